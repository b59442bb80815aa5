"""PagerDuty both ways: its signed webhooks as words of our incidents, and our notices as its alerts."""

import asyncio
import base64
import contextlib
import hashlib
import random
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.message import ChannelRefused, ChannelUnavailable, Message
from activities.pagerduty import PagerDutySettings, dedup_key, send, severity, trigger
from records import database
from records.threads import ThreadStore
from sla.intake import Read, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.pagerduty import ADAPTER
from tests.mutations import DELIVERIES, bent, payloads
from tests.peers.pagerduty import HANGS, KEY, OTHER_KEY, PagerDutyPeer, faults, pagerduty_server
from tests.receivers import message

SECRET = "K4hZVp0yT1uW8sQ2"
HEARD = datetime(2031, 7, 12, 2, 0, tzinfo=UTC)
NOW = datetime(2031, 7, 11, 23, 30, 5, tzinfo=UTC)
SOURCE = Source(name="oncall", kind="pagerduty", agents={"PDANA01": "dana", "eli@support.example": "eli"})
BODIES = payloads("pagerduty")


def told(name: str, source: Source = SOURCE) -> dict[str, Any]:
    """The one word that a delivery tells, with its key, its time and its incident."""
    [one] = ADAPTER.read(BODIES[name], source, HEARD).told
    [said] = one.words
    event = said.event.model_dump(exclude_none=True, exclude_defaults=True) | {"event": said.event.event}
    return {"incident": one.incident, "ticket": one.ticket, "key": said.key, "at": said.occurred_at, **event}


# The signature


def signed(raw: bytes, *secrets: str) -> str:
    """The header as openssl makes it."""
    made = [
        subprocess.run(
            ["openssl", "dgst", "-sha256", "-hmac", secret, "-r"], input=raw, capture_output=True, check=True
        ).stdout.split()[0].decode()
        for secret in secrets
    ]  # fmt: skip
    return ",".join(f"v1={one}" for one in made)


def test_what_openssl_signs_is_taken_while_any_secret_is_active() -> None:
    raw = (DELIVERIES / "pagerduty" / "acknowledged.json").read_bytes()
    hook = Hook({"x-pagerduty-signature": signed(raw, "an older secret", SECRET)}, raw, HEARD)
    ADAPTER.verify(hook, [SECRET])
    ADAPTER.verify(hook, ["a newer secret", SECRET])


def test_a_foreign_a_cut_a_missing_and_a_crowd_of_signatures_are_refused() -> None:
    raw = (DELIVERIES / "pagerduty" / "acknowledged.json").read_bytes()
    good = signed(raw, SECRET)
    upper, cut, bare = good.upper(), good[:-1], good.removeprefix("v1=")
    for header in (signed(raw, "foreign"), upper, cut, bare, "", "v1=", good.replace("v1", "v0"), ",".join([good] * 9)):
        with pytest.raises(BadSignature):
            ADAPTER.verify(Hook({"x-pagerduty-signature": header}, raw, HEARD), [SECRET])
    with pytest.raises(BadSignature):
        ADAPTER.verify(Hook({"x-pagerduty-signature": good}, raw + b"\n", HEARD), [SECRET])
    with pytest.raises(BadSignature):
        ADAPTER.verify(Hook({}, raw, HEARD), [])


def test_every_attempt_at_a_delivery_has_its_id() -> None:
    assert ADAPTER.delivery_id(Hook({"x-webhook-id": "6a2c… ".strip()}, b"", HEARD)) == "6a2c…"
    assert ADAPTER.delivery_id(Hook({}, b"", HEARD)) == ""


# What is told


def test_who_acknowledges_there_acknowledges_here_at_pagerdutys_own_time() -> None:
    assert told("acknowledged") == {
        "incident": "incident/desk/4711",
        "ticket": "",
        "key": "oncall:incident/desk/4711:acknowledged:20310711T233411Z:PDANA01",
        "at": datetime(2031, 7, 11, 23, 34, 11, 562000, tzinfo=UTC),
        "event": "acknowledged",
        "by": "dana",
    }


def test_an_incident_without_its_key_is_known_by_the_end_of_its_title() -> None:
    """Where a service makes alerts as well as incidents, PagerDuty leaves the incident's key out."""
    assert told("acknowledged_without_key")["incident"] == "incident/desk/4711"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resolved", {"event": "resolved", "by": "dana"}),
        ("reopened", {"event": "reopened", "by": "Eli Park"}),
        ("reassigned", {"event": "assigned", "to": "Eli Park", "by": "dana"}),
    ],
)
def test_what_people_do_there_is_their_word_here(name: str, said: dict[str, str]) -> None:
    assert {k: v for k, v in told(name).items() if k in ("event", "by", "to")} == said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("reassigned", {"event": "acknowledged", "by": "Eli Park"}),
        ("escalated", {"event": "assigned", "to": "Eli Park", "by": "Eli Park"}),
        ("delegated", {"event": "assigned", "to": "Eli Park", "by": "Eli Park"}),
    ],
)
def test_who_reassigns_it_to_themselves_acknowledges_and_to_whom_it_comes_back_by_handing_on_does_not(
    kind: str, said: dict[str, str]
) -> None:
    """PagerDuty goes on paging after both; but only who reassigns it says by that that they have it."""
    event = BODIES["reassigned"]["event"]
    body = {"event": event | {"agent": event["data"]["assignees"][0], "event_type": f"incident.{kind}"}}
    [one] = ADAPTER.read(body, SOURCE, HEARD).told
    assert one.words[0].event.model_dump(exclude_none=True) == said


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("resolved_by_integration", "no person did it: our own echo, or a rule of PagerDuty's"),
        ("merged", "it was merged into another incident there, which resolves nothing here"),
        ("triggered", "incident.triggered is no event that matters"),
        ("unacknowledged_by_timeout", "incident.unacknowledged is no event that matters"),
        ("foreign", "it is about no incident of ours"),
        ("ping", "pagey.ping is no event that matters"),
    ],
)
def test_our_own_echo_other_alerts_and_what_no_person_did_are_nobodys_word(name: str, why: str) -> None:
    assert ADAPTER.read(BODIES[name], SOURCE, HEARD) == Read(ignored=why, kind=BODIES[name]["event"]["event_type"])


def test_a_team_that_resolves_a_page_once_it_is_handled_can_have_that_say_nothing_of_the_ticket() -> None:
    source = SOURCE.model_copy(update={"statuses": {"resolved": "ignored"}})
    assert ADAPTER.read(BODIES["resolved"], source, HEARD).told == ()
    assert told("acknowledged", source)["by"] == "dana"


def test_only_the_services_that_are_listed_count() -> None:
    here = SOURCE.model_copy(update={"channels": ("Support escalations",)})
    elsewhere = SOURCE.model_copy(update={"channels": ("P0THER1",)})
    assert told("acknowledged", here)["by"] == "dana"
    assert ADAPTER.read(BODIES["acknowledged"], elsewhere, HEARD).ignored == "its service is none of those that count"


def test_deliveries_twice_and_in_any_order_tell_the_same_words() -> None:
    once = {w.key: w for body in BODIES.values() for one in ADAPTER.read(body, SOURCE, HEARD).told for w in one.words}
    shuffled = [*BODIES.values(), *BODIES.values()]
    random.Random(7).shuffle(shuffled)
    later = HEARD + timedelta(minutes=20)
    again = {w.key: w for body in shuffled for one in ADAPTER.read(body, SOURCE, later).told for w in one.words}
    assert {k: (w.occurred_at, w.event) for k, w in once.items()} == {
        k: (w.occurred_at, w.event) for k, w in again.items()
    }
    assert len(once) == 4, "the one acknowledgement was told twice, with its incident's key and without"


@pytest.mark.parametrize("missing", ["event_type", "occurred_at"])
def test_an_event_that_lacks_what_names_it_is_kept_for_a_person(missing: str) -> None:
    event = {k: v for k, v in BODIES["acknowledged"]["event"].items() if k != missing}
    with pytest.raises(Unusable) as caught:
        ADAPTER.read({"event": event}, SOURCE, HEARD)
    assert caught.value.path == f"event.{missing}"


@settings(max_examples=200)
@given(bent("pagerduty"))
def test_whatever_comes_is_read_or_unusable(body: Any) -> None:
    read = None
    with contextlib.suppress(Unusable):
        read = ADAPTER.read(body, SOURCE, HEARD)
    assert read is None or bool(read.told) != bool(read.ignored)


# What goes out


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[], PagerDutyPeer]]:
    with pagerduty_server() as fresh:
        yield fresh


@pytest.fixture
def peer(server: Callable[[], PagerDutyPeer]) -> PagerDutyPeer:
    return server()


@pytest_asyncio.fixture
async def threads(tmp_path: Path) -> AsyncIterator[ThreadStore]:
    url = database.default_url(tmp_path)
    await asyncio.to_thread(database.upgrade, url)
    made = database.engine(url)
    yield ThreadStore(made)
    await made.dispose()


class Pager:
    """The channel, with one incident's messages at their times."""

    def __init__(self, peer: PagerDutyPeer, threads: ThreadStore | None, seconds: float = 10) -> None:
        self.settings = PagerDutySettings(peer.url, KEY, seconds, seconds)
        self.threads = threads

    async def notice(self, at: str = "2031-07-11T23:30:00Z", address: str = "", **more: Any) -> str:
        key = f"incident/desk/4711/escalation/{at}/{more.get('kind')}"
        return await self.send(message("pagerduty", key, at=at, **more), address)

    async def update(self, at: str, **data: str) -> str:
        return await self.send(message("pagerduty", f"incident/desk/4711/update/{at}", kind="update", at=at, data=data))

    async def send(self, said: Message, address: str = "") -> str:
        return await send(self.settings, said, address, self.threads, NOW)


async def test_notices_of_an_incident_are_one_alert_that_is_acknowledged_and_resolved(
    peer: PagerDutyPeer, threads: ThreadStore
) -> None:
    pager = Pager(peer, threads)
    assert await pager.notice() == f"trigger: 202 from {peer.url.removesuffix('/v2/enqueue')}"
    await pager.notice("2031-07-11T23:45:00Z")
    assert (await pager.update("2031-07-11T23:50:00Z", acknowledged_by="dana")).startswith("acknowledge: 202")
    [alert] = peer.alerts
    assert (alert.dedup_key, alert.status, len(alert.triggers)) == ("incident/desk/4711", "acknowledged", 2)
    assert (await pager.update("2031-07-12T01:00:00Z", phase="resolved", acknowledged_by="dana")).startswith(
        "resolve: 202"
    )
    assert alert.status == "resolved"


async def test_an_event_says_what_whose_how_long_who_and_what_to_do(peer: PagerDutyPeer, threads: ThreadStore) -> None:
    facts = {"customer": "Acme <b>", "priority": "P2", "left": "30 min", "due": "2031-07-12T00:00Z", "assignee": "dana"}
    links = {
        "acknowledge": "https://pact.example/a/xyz",
        "incident": "https://pact.example/i/4711",
        "odd": "file:///etc",
    }
    await Pager(peer, threads).notice(data=facts, links=links)
    [event] = peer.events
    assert event["payload"] == {
        "summary": "30 min left for response on 4711 [incident/desk/4711]",
        "source": "Acme <b>",
        "severity": "error",
        "timestamp": "2031-07-11T23:30:00+00:00",
        "class": "escalation",
        "component": "response",
        "custom_details": facts | {"clause": "X01", "kind": "escalation", "what": message().text},
    }
    assert event["client_url"] == links["incident"]
    assert event["links"] == [
        {"href": links["acknowledge"], "text": "Acknowledge"}, {"href": links["incident"], "text": "Incident"},
    ]  # fmt: skip


async def test_a_late_trigger_does_not_reopen(peer: PagerDutyPeer, threads: ThreadStore) -> None:
    """A trigger for a resolved alert would open a new one: what fell due before the resolution is not sent any more."""
    pager = Pager(peer, threads)
    peer.next = [(503, {})]
    with pytest.raises(ChannelUnavailable):
        await pager.notice("2031-07-11T23:30:00Z")
    await pager.update("2031-07-12T01:00:00Z", phase="resolved")
    assert (await pager.notice("2031-07-11T23:30:00Z")).startswith("not sent")
    assert (await pager.notice("2031-07-12T01:00:00Z")).startswith("not sent")
    assert peer.alerts == []


async def test_what_falls_due_after_the_resolution_pages_anew(peer: PagerDutyPeer, threads: ThreadStore) -> None:
    pager = Pager(peer, threads)
    await pager.notice()
    await pager.update("2031-07-11T23:40:00Z", acknowledged_by="dana")
    await pager.update("2031-07-12T01:00:00Z", phase="closed", acknowledged_by="dana")
    await pager.notice("2031-07-12T01:00:01Z")
    assert [a.status for a in peer.alerts] == ["resolved", "triggered"]
    await pager.update("2031-07-12T01:10:00Z", acknowledged_by="eli")
    assert [a.status for a in peer.alerts] == ["resolved", "acknowledged"]


async def test_a_trigger_that_was_on_its_way_while_another_process_resolved_is_resolved_again(
    peer: PagerDutyPeer, threads: ThreadStore
) -> None:
    class Slow(ThreadStore):
        """A store that knows of the resolution only once the trigger is out."""

        seen = 0

        async def get(self, incident: str, channel: str) -> Any:
            self.seen += 1
            return None if self.seen == 1 else await threads.get(incident, channel)

    await Pager(peer, threads).update("2031-07-12T01:00:00Z", phase="resolved")
    pager = Pager(peer, Slow(threads._engine))
    peer.events.clear()
    await pager.notice("2031-07-11T23:30:00Z")
    assert [e["event_action"] for e in peer.events] == ["trigger", "resolve"]
    assert [a.status for a in peer.alerts] == ["resolved"]
    assert (await pager.notice("2031-07-11T23:31:00Z")).startswith("not sent")


async def test_an_acknowledgement_is_told_once_so_that_one_that_runs_out_pages_again(
    peer: PagerDutyPeer, threads: ThreadStore
) -> None:
    pager = Pager(peer, threads)
    await pager.notice()
    for minute in (40, 50):
        await pager.update(f"2031-07-11T23:{minute}:00Z", acknowledged_by="dana")
    assert [e["event_action"] for e in peer.events] == ["trigger", "acknowledge"]
    assert await pager.update("2031-07-11T23:55:00Z", assignee="eli") == "nothing that PagerDuty could be told"


async def test_what_is_to_wake_nobody_opens_no_alert_and_may_add_to_one(
    peer: PagerDutyPeer, threads: ThreadStore
) -> None:
    pager = Pager(peer, threads)
    with pytest.raises(ChannelRefused, match="wake nobody"):
        await pager.notice(quiet=True)
    await pager.notice()
    await pager.notice("2031-07-11T23:40:00Z", quiet=True)
    assert [t["payload"]["severity"] for t in peer.alerts[0].triggers] == ["error", "info"]


async def test_a_person_of_another_service_is_paged_there(peer: PagerDutyPeer, threads: ThreadStore) -> None:
    pager = Pager(peer, threads)
    await pager.notice()
    await pager.notice("2031-07-11T23:40:00Z", address=OTHER_KEY)
    assert [(a.service, a.dedup_key) for a in peer.alerts] == [
        (KEY, "incident/desk/4711"),
        (OTHER_KEY, "incident/desk/4711"),
    ]
    assert [t.channel for t in await threads.of("incident/desk/4711")] == ["pagerduty:", f"pagerduty:{OTHER_KEY}"]


@pytest.mark.parametrize("address", ["short", "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3x", "a0b1c2d3e4f5a0b1 2d3e4f5a0b1c2d3"])
async def test_an_address_that_is_no_key_is_refused_without_repeating_it(peer: PagerDutyPeer, address: str) -> None:
    with pytest.raises(ChannelRefused) as caught:
        await Pager(peer, None).notice(address=address)
    assert address not in str(caught.value)
    assert peer.events == []


async def test_429_and_5xx_are_tried_later_as_long_as_pagerduty_asks_and_400_is_not(peer: PagerDutyPeer) -> None:
    pager = Pager(peer, None)
    peer.next = [(429, {"Retry-After": "60"}), (502, {}), (400, {}), (301, {"Location": "https://elsewhere.example"})]
    with pytest.raises(ChannelUnavailable) as busy:
        await pager.notice()
    assert busy.value.retry_after == 60
    with pytest.raises(ChannelUnavailable):
        await pager.notice()
    with pytest.raises(ChannelRefused, match="look at the integration key") as refused:
        await pager.notice()
    assert KEY not in str(refused.value)
    with pytest.raises(ChannelRefused):
        await pager.notice()


async def test_a_trigger_that_was_taken_but_not_answered_stays_one_alert(
    peer: PagerDutyPeer, threads: ThreadStore
) -> None:
    peer.next = [HANGS]
    with pytest.raises(ChannelUnavailable, match="did not answer"):
        await Pager(peer, threads, seconds=0.3).notice()
    peer.released.set()
    await Pager(peer, threads).notice()
    [alert] = peer.alerts
    assert len(alert.triggers) == 2


async def test_a_database_that_is_gone_keeps_no_page_back(peer: PagerDutyPeer, tmp_path: Path) -> None:
    made = database.engine(database.default_url(tmp_path))  # no tables in it
    try:
        await Pager(peer, ThreadStore(made)).notice()
        await Pager(peer, ThreadStore(made)).update("2031-07-12T01:00:00Z", phase="resolved")
    finally:
        await made.dispose()
    assert [a.status for a in peer.alerts] == ["resolved"]


@settings(max_examples=100)
@given(st.text(max_size=3000), st.text(min_size=1, max_size=400), st.text(max_size=300))
def test_whatever_a_notice_says_fits_pagerdutys_limits(subject: str, incident: str, customer: str) -> None:
    incident = f"incident/{incident}"
    said = message(subject=subject, incident=incident, data={"customer": customer}, text=subject * 20)
    event = {"routing_key": KEY, "event_action": "trigger", "dedup_key": dedup_key(incident), **trigger(said)}
    assert faults(event) == []
    assert event["payload"]["summary"].endswith(f"[{dedup_key(incident)}]")
    assert event["payload"]["summary"].isprintable()


async def test_each_message_of_an_account_is_an_alert_by_itself(peer: PagerDutyPeer, threads: ThreadStore) -> None:
    """An account lives for ever; what it says next year must page though nobody resolved what it said this year."""
    pager = Pager(peer, threads)
    for at in ("2031-07-11T23:30:00Z", "2032-01-11T23:30:00Z"):
        await pager.notice(at, kind="approval", incident="account/acme", subject="Shall support be suspended?")
    assert len(peer.alerts) == 2
    assert peer.alerts[0].triggers[0]["payload"]["summary"] == "Shall support be suspended?"


def test_a_key_that_is_too_long_is_hashed() -> None:
    assert dedup_key("incident/desk/4711") == "incident/desk/4711"
    assert dedup_key("i" * 256) == f"x-{hashlib.sha256(b'i' * 256).hexdigest()}"


@pytest.mark.parametrize(
    ("more", "grade"),
    [
        ({}, "error"),
        ({"data": {"priority": "P1"}}, "critical"),
        ({"step": "100%"}, "critical"),
        ({"step": "miss + 1 h"}, "critical"),
        ({"data": {"declared_missed": "2031-07-12T00:00Z"}}, "critical"),
        ({"kind": "reminder"}, "warning"),
        ({"kind": "withdrawal"}, "info"),
        ({"quiet": True, "step": "100%"}, "info"),
    ],
)
def test_severity_follows_what_is_at_stake(more: dict[str, Any], grade: str) -> None:
    assert severity(message(**more)) == grade


def test_settings_are_read_and_a_wrong_key_is_named_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    eu = "https://events.eu.pagerduty.com/v2/enqueue"
    assert PagerDutySettings.from_env({}) == PagerDutySettings()
    known = PagerDutySettings.from_env({"PACTKEEPER_PAGERDUTY_KEY_FILE": str(file), "PACTKEEPER_PAGERDUTY_URL": eu})
    assert (known.routing_key, known.url) == (KEY, eu)
    assert KEY not in repr(known)
    wrong = base64.b64encode(b"not a key at all").decode()
    with pytest.raises(ValueError, match="PACTKEEPER_PAGERDUTY_KEY is no integration key") as caught:
        PagerDutySettings.from_env({"PACTKEEPER_PAGERDUTY_KEY": wrong})
    assert wrong not in str(caught.value)
