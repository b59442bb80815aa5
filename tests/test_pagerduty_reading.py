"""Reading PagerDuty: its log tells the words that its webhooks tell, under their keys; and what a webhook missed is read."""

import copy
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities import dispatch
from activities.calls import ReadSource, SourceRead
from activities.helpdesks import pagerduty as api
from activities.helpdesks.client import REFUSED, Account, HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.helpdesks.kinds import helpdesk
from activities.helpdesks.pagerduty import PagerDuty
from activities.sources import SourceActivities
from records.shelf import Shelf
from records.sources import SourceStore
from sla.entries import entry
from sla.evaluate import View, evaluate
from sla.events import Delivery
from sla.intake import Told, Unusable, word
from sla.source import Source
from starter.bound import Bound
from starter.intake.pagerduty import ADAPTER, LOGGED
from tests.mutations import ODD, payloads
from tests.peers.pagerduty import API_KEY, DANA, ELI, SERVICE, PagerDutyRest, pagerduty_rest, user

HEARD = datetime(2031, 7, 12, 2, 0, tzinfo=UTC)
SINCE = datetime(2031, 7, 11, 23, 0, tzinfo=UTC)
SOURCE = Source(name="oncall", kind="pagerduty", agents={"PDANA01": "dana", "PELI001": "eli"})
OURS, KEY = "PGR0VU2", "incident/desk/4711"
TITLE = f"30 min left for response on 4711 [{KEY}]"
BODIES = payloads("pagerduty")
ACTED = ("acknowledged", "resolved", "reassigned")
"""Deliveries of which there is a log entry, too."""


def entry_of(name: str) -> dict[str, Any]:
    """The log entry of the act that a webhook told: an id of its own, and the time without the part of a second."""
    event = BODIES[name]["event"]
    kind = next(logged for logged, told in LOGGED.items() if told == event["event_type"])
    made = {"id": f"R-{name}", "type": kind, "agent": event["agent"], "created_at": f"{event['occurred_at'][:19]}Z"}
    return made | ({"assignees": event["data"]["assignees"]} if name == "reassigned" else {})


def ticket(*entries: Any, **incident: Any) -> dict[str, Any]:
    """One of PagerDuty's incidents, as the API's client hands it over."""
    whole = {"id": OURS, "type": "incident", "incident_key": KEY, "title": TITLE, "service": SERVICE, **incident}
    return {"incident": whole, "entries": list(entries), "_changed": "2031-07-11T23:50:00+00:00"}


def story(told: dict[str, Any], source: Source = SOURCE, received: datetime = HEARD) -> Told | None:
    """What it tells."""
    assert ADAPTER.story is not None
    return ADAPTER.story(told, source, received)


def words(told: Told | None) -> list[tuple[str, dict[str, Any]]]:
    """Keys and events."""
    assert told is not None
    assert (told.ticket, told.incident) == ("", KEY)
    return [(one.key, one.event.model_dump(exclude_none=True, exclude_defaults=True)) for one in told.words]


def heard(name: str) -> list[tuple[str, dict[str, Any]]]:
    """What the webhook told."""
    return words(ADAPTER.read(BODIES[name], SOURCE, HEARD).told[0])


# The story


@pytest.mark.parametrize("name", ACTED)
def test_the_log_tells_the_word_of_the_webhook_under_its_key(name: str) -> None:
    assert words(story(ticket(entry_of(name)))) == heard(name)


def test_a_log_in_another_time_zone_tells_it_under_the_same_key() -> None:
    shifted = entry_of("acknowledged") | {"created_at": "2031-07-11T16:34:11-07:00"}
    assert words(story(ticket(shifted))) == heard("acknowledged")


def test_an_incident_that_comes_without_its_key_is_known_by_the_end_of_its_title() -> None:
    assert words(story(ticket(entry_of("acknowledged"), incident_key=None))) == heard("acknowledged_without_key")


def test_all_words_come_in_the_order_in_which_they_happened_whatever_the_order_of_the_log() -> None:
    told = story(ticket(*(entry_of(name) for name in reversed(ACTED))))
    assert told is not None
    assert [one.occurred_at for one in told.words] == sorted(one.occurred_at for one in told.words)
    assert sorted(words(told)) == sorted(one for name in ACTED for one in heard(name))


@pytest.mark.parametrize("kind", ["assign", "delegate", "escalate"])
def test_who_hands_on_assigns_and_only_who_reassigns_it_to_themselves_acknowledges(kind: str) -> None:
    def given(to: tuple[str, str]) -> list[tuple[str, dict[str, Any]]]:
        made = {"type": f"{kind}_log_entry", "agent": user(DANA), "created_at": "2031-07-11T23:40:00Z"}
        return words(story(ticket(made | {"assignees": [user(to)]})))

    key = "oncall:incident/desk/4711:{}:20310711T234000Z:PDANA01"
    assert given(ELI) == [(key.format("assigned"), {"to": "eli", "by": "dana"})]
    own = ("acknowledged", {"by": "dana"}) if kind == "assign" else ("assigned", {"to": "dana", "by": "dana"})
    assert given(DANA) == [(key.format(own[0]), own[1])]


def test_a_merge_resolves_nothing_whether_the_incident_tells_it_or_the_entry() -> None:
    reason = {"type": "merge_resolve_reason", "incident": {"id": "PGR0VU7", "type": "incident_reference"}}
    taken, over = entry_of("acknowledged"), entry_of("resolved")
    assert words(story(ticket(taken, over, resolve_reason=reason))) == heard("acknowledged")
    assert words(story(ticket(taken, over | {"resolve_reason": reason}))) == heard("acknowledged")
    assert story(ticket(over, resolve_reason=reason)) is None
    assert len(words(story(ticket(taken, over, resolve_reason=None)))) == 2


def test_an_acknowledgement_that_assigns_as_well_is_one_word() -> None:
    """PagerDuty writes an assignment beside the acknowledgement of whoever did not have it."""
    told = entry_of("acknowledged")
    beside = told | {"id": "R-2", "type": "assign_log_entry", "assignees": [told["agent"]]}
    assert words(story(ticket(told, beside))) == heard("acknowledged")


@pytest.mark.parametrize("kind", ["service_reference", "integration_reference", "inbound_integration_reference", None])
def test_what_no_person_did_is_nobodys_word(kind: str | None) -> None:
    agent = {"id": "PIJ90N7", "type": kind, "summary": "Events API V2"} if kind else None
    assert story(ticket(*(entry_of(name) | {"agent": agent} for name in ACTED))) is None


def test_our_own_user_is_nobody() -> None:
    assert story(ticket(entry_of("acknowledged")), SOURCE.model_copy(update={"ours": ("PDANA01",)})) is None


@pytest.mark.parametrize(
    "kind", ["notify", "annotate", "trigger", "unacknowledge", "snooze", "reach_ack_limit", "repeat_escalation_path"]
)
def test_entries_that_say_nothing_of_who_has_it_tell_nothing(kind: str) -> None:
    assert story(ticket(entry_of("acknowledged") | {"type": f"{kind}_log_entry"})) is None


def test_anothers_incident_and_another_service_tell_nothing() -> None:
    told = entry_of("acknowledged")
    assert story(ticket(told, incident_key="d3640fbd", title="A little bump in the road")) is None
    assert story(ticket(told), SOURCE.model_copy(update={"channels": ("P0THER1",)})) is None
    assert story(ticket(told), SOURCE.model_copy(update={"channels": ("support escalations",)})) is not None


def test_a_resolution_says_nothing_where_that_is_set() -> None:
    source = SOURCE.model_copy(update={"statuses": {"resolved": "ignored"}})
    told = story(ticket(entry_of("acknowledged"), entry_of("resolved")), source)
    assert words(told) == heard("acknowledged")


def test_an_entry_that_cannot_be_read_keeps_no_other_back_and_alone_is_unusable() -> None:
    odd = entry_of("resolved") | {"created_at": None}
    assert words(story(ticket(odd, entry_of("acknowledged")))) == heard("acknowledged")
    with pytest.raises(Unusable, match="when it happened"):
        story(ticket(odd))


@settings(max_examples=200)
@given(st.data())
def test_whatever_a_log_holds_is_told_or_unusable(data: st.DataObject) -> None:
    told = copy.deepcopy(ticket(*(entry_of(name) for name in ACTED)))
    for _ in range(data.draw(st.integers(1, 4))):
        holder = data.draw(st.sampled_from([told, told["incident"], *told["entries"]]))
        if isinstance(holder, dict) and holder and isinstance(told["incident"], dict):
            name = data.draw(st.sampled_from(sorted(holder)))
            if name not in ("incident", "entries"):
                holder[name] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
    try:
        found = story(told)
    except Unusable:
        return
    assert found is None or (found.words and (found.incident or "").startswith("incident/"))


# Told twice


def stands(*said: Delivery) -> View:
    """How the incident stands in the end, under the contract tromzo."""
    opened = word("desk:4711:opened", SINCE, HEARD, event="opened", subject="No mail", by="pat@acme.example")
    pinned = Shelf().pin("tromzo", None, date(2031, 1, 1), date(2031, 12, 31))
    return evaluate(pinned, [entry(one) for one in (opened, *said)], HEARD)


@pytest.mark.parametrize("name", ACTED)
def test_an_act_that_both_doors_told_in_neighbouring_seconds_changes_nothing(name: str) -> None:
    """Should PagerDuty ever round one of the two times and cut the other, the key differs: the end does not."""
    [by_hook] = ADAPTER.read(BODIES[name], SOURCE, HEARD).told[0].words
    rounded = datetime.fromisoformat(entry_of(name)["created_at"]) + timedelta(seconds=1)
    read = story(ticket(entry_of(name) | {"created_at": rounded.isoformat()}))
    assert read is not None
    assert read.words[0].key != by_hook.key
    once = stands(by_hook)
    assert stands(by_hook, *read.words) == stands(*read.words, by_hook) == once
    assert once != stands(), "the first did change something"


# The API


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[], PagerDutyRest]]:
    with pagerduty_rest() as fresh:
        yield fresh


@pytest.fixture
def peer(server: Callable[[], PagerDutyRest]) -> PagerDutyRest:
    made = server()
    made.incident(OURS, KEY, TITLE)
    return made


def client(peer: PagerDutyRest, token: str = API_KEY) -> PagerDuty:
    return PagerDuty(Account(peer.url, token=token), now=lambda: HEARD)


async def changed(peer: PagerDutyRest, since: datetime = SINCE) -> list[dict[str, Any]]:
    return [one async for one in client(peer).changed(since)]


def test_it_is_the_client_of_its_kind() -> None:
    assert isinstance(helpdesk("pagerduty", Account("https://api.pagerduty.com")), PagerDuty)
    assert set(LOGGED) == api.TOLD


async def test_what_the_webhooks_missed_is_read_with_pagerdutys_own_times(peer: PagerDutyRest) -> None:
    peer.did(OURS, "trigger", "2031-07-11T23:30:02Z")
    peer.did(OURS, "notify", "2031-07-11T23:30:05Z")
    peer.did(OURS, "acknowledge", "2031-07-11T23:34:11Z", DANA)
    peer.did(OURS, "assign", "2031-07-11T23:50:00Z", DANA, assignees=[user(ELI)])
    [found] = await changed(peer)
    assert found["_changed"] == "2031-07-11T23:50:00+00:00"
    assert words(story(found)) == [
        ("oncall:incident/desk/4711:acknowledged:20310711T233411Z:PDANA01", {"by": "dana"}),
        ("oncall:incident/desk/4711:assigned:20310711T235000Z:PDANA01", {"to": "eli", "by": "dana"}),
    ]


async def test_incidents_come_in_the_order_of_what_was_done_with_them_last(peer: PagerDutyRest) -> None:
    peer.incident("P2", "incident/desk/4712", "another")
    peer.did("P2", "acknowledge", "2031-07-11T23:20:00Z", ELI)
    peer.did(OURS, "acknowledge", "2031-07-11T23:10:00Z", DANA)
    peer.did(OURS, "resolve", "2031-07-11T23:40:00Z", DANA)
    assert [(one["incident"]["id"], one["_changed"]) for one in await changed(peer)] == [
        ("P2", "2031-07-11T23:20:00+00:00"),
        (OURS, "2031-07-11T23:40:00+00:00"),
    ]


async def test_nothing_older_is_read(peer: PagerDutyRest) -> None:
    peer.did(OURS, "acknowledge", "2031-07-11T22:59:59Z", DANA)
    assert await changed(peer) == []
    peer.did(OURS, "resolve", "2031-07-11T23:00:00Z", DANA)
    [found] = await changed(peer, SINCE + timedelta(milliseconds=900))
    assert [one["type"] for one in found["entries"]] == ["resolve_log_entry"]


async def test_an_incident_that_the_log_only_refers_to_is_read_by_itself_once(peer: PagerDutyRest) -> None:
    peer.includes = False
    peer.did(OURS, "acknowledge", "2031-07-11T23:34:11Z", DANA)
    peer.did(OURS, "resolve", "2031-07-11T23:40:00Z", DANA)
    [found] = await changed(peer)
    assert len(words(story(found))) == 2
    assert sum(path.startswith(f"/incidents/{OURS}") for path in peer.asked) == 1


async def test_an_incident_that_is_gone_or_refused_keeps_no_other_back(peer: PagerDutyRest) -> None:
    peer.includes = False
    for i, id in enumerate(("P2", "P3", OURS)):
        peer.incident(id, KEY, TITLE)
        peer.did(id, "acknowledge", f"2031-07-11T23:1{i}:00Z", DANA)
    desk = client(peer)
    ask, fates = desk.json.get, {"/incidents/P2": 404, "/incidents/P3": 403}

    async def get(path: str, **query: str | int) -> Any:
        if path in fates:
            peer.next = [(fates[path], {})]
        return await ask(path, **query)

    object.__setattr__(desk.json, "get", get)
    found = [one async for one in desk.changed(SINCE)]
    assert [REFUSED in one for one in found] == [True, False]
    assert "ticket P3" in str(found[0][REFUSED])


async def test_a_long_log_is_read_page_by_page(peer: PagerDutyRest) -> None:
    for i in range(250):
        peer.did(OURS, "notify", f"2031-07-11T23:{i % 60:02d}:00Z")
    peer.did(OURS, "acknowledge", "2031-07-11T23:00:01Z", DANA)
    [found] = await changed(peer)
    assert len(words(story(found))) == 1
    assert len(peer.asked) == 3


async def test_more_than_pagerduty_gives_at_once_is_asked_for_in_halves(
    peer: PagerDutyRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST", 200)
    peer.most = 200
    for minute in range(60):
        peer.incident(f"P{minute}", f"incident/desk/{minute}", "many")
        for second in range(0, 60, 5):
            peer.did(f"P{minute}", "acknowledge", f"2031-07-11T23:{minute:02d}:{second:02d}Z", DANA)
    found = await changed(peer)
    said = {one.key for each in found if (told := story(each)) is not None for one in told.words}
    assert len(said) == 60 * 12
    assert [one["_changed"] for one in found] == sorted(one["_changed"] for one in found)


async def test_more_in_one_second_than_pagerduty_gives_breaks_off_rather_than_leave_any_out(
    peer: PagerDutyRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST", 100)
    peer.most = 100
    for _ in range(101):
        peer.did(OURS, "acknowledge", "2031-07-11T23:30:00Z", DANA)
    with pytest.raises(HelpdeskUnavailable, match="no more than 100 entries of its log at 2031-07-11 23:29:59 UTC"):
        await changed(peer)


async def test_one_incident_is_read_whole(peer: PagerDutyRest) -> None:
    peer.did(OURS, "acknowledge", "2031-07-10T23:34:11Z", DANA)
    peer.did(OURS, "notify", "2031-07-10T23:34:12Z")
    found = await client(peer).ticket(OURS)
    assert found is not None
    assert words(story(found)) == [
        ("oncall:incident/desk/4711:acknowledged:20310710T233411Z:PDANA01", {"by": "dana"}),
    ]
    assert await client(peer).ticket("P/../NONE") is None


async def test_nothing_is_written(peer: PagerDutyRest) -> None:
    with pytest.raises(HelpdeskRefused, match="goes out as notices"):
        await client(peer).write(OURS, Writing("k", note="Look here", mark="[pactkeeper:0123456789abcdef]"))
    assert peer.asked == []


async def test_check_says_which_account_and_as_whom(peer: PagerDutyRest) -> None:
    assert await client(peer).check() == "PagerDuty lets us read an account without a name with a key of the account"
    peer.did(OURS, "acknowledge", "2031-07-11T23:34:11Z", DANA)
    assert await client(peer).check() == "PagerDuty lets us read acme.pagerduty.com with a key of the account"
    peer.me = user(DANA) | {"name": "Dana Ruiz", "type": "user"}
    assert await client(peer).check() == "PagerDuty lets us read acme.pagerduty.com as Dana Ruiz (PDANA01)"


async def test_a_key_that_is_wrong_is_refused_and_not_repeated(peer: PagerDutyRest) -> None:
    for asking in (client(peer, "wrong-key").check(), client(peer, "wrong-key").ticket(OURS)):
        with pytest.raises(HelpdeskRefused, match="answered 401") as refused:
            await asking
        assert "wrong-key" not in str(refused.value)
    with pytest.raises(HelpdeskRefused):
        [one async for one in client(peer, "wrong-key").changed(SINCE)]


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, HelpdeskUnavailable), (500, HelpdeskUnavailable), (503, HelpdeskUnavailable), (403, HelpdeskRefused)],
)
async def test_a_bad_hour_is_one_thing_and_a_refusal_another(
    peer: PagerDutyRest, status: int, error: type[Exception]
) -> None:
    peer.next = [(status, {"Retry-After": "20", "ratelimit-reset": "20"})]
    with pytest.raises(error) as caught:
        await changed(peer)
    assert getattr(caught.value, "retry_after", 20) == 20


# The round


async def test_a_lost_webhook_is_told_to_the_incident_that_was_paged_for_once_and_opens_none(
    peer: PagerDutyRest, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = list[tuple[str, list[str]]]()

    async def existing(temporal: Any, incident: str, said: Sequence[Delivery]) -> str:
        brought.append((incident, [one.event.event for one in said]))
        return incident

    class Policies:
        def source(self, name: str) -> Source:
            return SOURCE

        async def fresh(self) -> None: ...

    def hear(source: Source, found: dict[str, Any], received: datetime) -> Bound | None:
        told = story(found, source, received)
        return None if told is None else Bound(told, "unknown", told.words)

    monkeypatch.setattr(dispatch, "existing", existing)
    monkeypatch.setattr(dispatch, "deliver", None)  # what would open a ticket
    reading = SourceActivities(
        Policies(), None, lambda source: client(peer), hear, SourceStore(engine), now=lambda: HEARD  # type: ignore[arg-type]
    )  # fmt: skip
    await reading.states.seen("oncall", "pagerduty", SINCE)
    peer.incident("P0THER", "somebody else's", "A little bump in the road")
    peer.did("P0THER", "acknowledge", "2031-07-11T23:31:00Z", ELI)
    peer.did(OURS, "acknowledge", "2031-07-11T23:34:11Z", DANA)
    for _ in range(2):
        came: SourceRead = await ActivityEnvironment().run(reading.reconcile_source, ReadSource(source="oncall"))
        assert (came.read, came.words, came.failed) == (2, 1, 0)
        await reading.states.read("oncall", "pagerduty", SINCE, HEARD, "again from where it began")
    assert brought == [(KEY, ["acknowledged"])]
