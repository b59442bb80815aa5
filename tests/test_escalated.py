"""escalated-django: what its signed, thin webhooks and its API come to; captures of the real one, and where it could mislead."""

import copy
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sla.intake import Told, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.escalated import ADAPTER
from starter.intake.escalated_ticket import MOST_ACTIVITIES

FOLDER = Path(__file__).parent / "deliveries" / "escalated-django"
DELIVERIES = sorted(FOLDER.glob("[0-9]*.json"))
TICKET: dict[str, Any] = json.loads((FOLDER / "ticket.json").read_text())
HEARD = datetime(2026, 11, 22, 13, tzinfo=UTC)
BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOURCE = Source(name="esc", kind="escalated-django", agents={"1": "dana", "alex@helpdesk.example": "alex"}, ours=("5",))
SECRET = "a-secret-of-this-source"
MARK = "[pactkeeper:0123456789abcdef]"
ANN, BOB = "ann@acme.example", "bob@acme.example"
PEOPLE = {1: "dana@helpdesk.example", 2: "alex@helpdesk.example", 3: ANN, 4: BOB, 5: "robot@helpdesk.example"}


def story(ticket: dict[str, Any], source: Source = SOURCE) -> Told:
    assert ADAPTER.story
    told = ADAPTER.story(ticket, source, HEARD)
    assert told
    return told


def said(told: Told) -> list[tuple[str, str | None]]:
    return [(word.event.event, word.event.by) for word in sorted(told.words, key=lambda word: word.occurred_at)]


def at(minutes: float) -> str:
    return (BEGAN + timedelta(minutes=minutes)).isoformat()


def reply(id: int, minutes: float, by: int | None, body: str = "Said.", note: bool = False) -> dict[str, Any]:
    author = None if by is None else {"id": by, "name": "", "email": PEOPLE[by]}
    return {"id": id, "body": body, "is_internal_note": note, "author": author, "created_at": at(minutes)}


def change(id: int, minutes: float, by: int | None, kind: str, **properties: Any) -> dict[str, Any]:
    causer = None if by is None else {"id": by, "name": ""}
    return {"id": id, "type": kind, "properties": properties, "causer": causer, "created_at": at(minutes)}


def turned(id: int, minutes: float, by: int | None, before: str, after: str) -> dict[str, Any]:
    return change(id, minutes, by, "status_changed", old_status=before, new_status=after)


def ticket(*past: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A ticket of Ann's, as the API shows it: the newest activity first."""
    made = change(1, 0, 3, "created", subject="Blank", priority="high")
    done = [made, *(one for one in past if "type" in one)]
    plain = {"id": 7, "subject": "Blank", "description": "Since nine.", "status": "open", "priority": "high"}
    plain |= {"channel": "web", "requester": {"name": "ann", "email": ANN}, "assignee": None, "department": None}
    plain |= {"is_snoozed": False, "created_at": at(0), "updated_at": at(59), "resolved_at": None, "closed_at": None}
    shown = {"replies": [one for one in past if "body" in one], "activities": done[::-1][:MOST_ACTIVITIES]}
    agents = [{"id": id, "name": "", "email": PEOPLE[id]} for id in (1, 2, 5)]
    return {**plain, **shown, "_agents": agents, **fields}


def test_every_captured_webhook_of_a_ticket_says_to_look_at_it() -> None:
    for path in DELIVERIES:
        came = ADAPTER.read(json.loads(path.read_text()), SOURCE, HEARD)
        assert came.told == (Told("1", look=True),)
        assert came.kind == path.stem.partition("-")[2]


def test_the_whole_life_of_a_captured_ticket_is_read_over_the_api() -> None:
    """Bob of the same company counts as a customer, although the helpdesk, on his word, waits for one: no clock may pause."""
    told = story(TICKET)
    assert (told.ticket, told.requester, told.doubts) == ("1", ANN, ())
    assert said(told) == [
        ("opened", ANN),
        ("acknowledged", "dana"),
        ("agent_replied", "dana"),
        ("agent_replied", "dana"),
        ("waiting_on_customer", "dana"),
        ("customer_replied", ANN),
        ("reopened", ANN),
        ("customer_replied", BOB),
        ("priority_changed", "dana"),
        ("resolved", "alex"),
        ("reopened", ANN),
        ("closed", "dana"),
    ]
    assert [word.event.public for word in told.words if word.event.event == "agent_replied"] == [False, True]
    assert [word.event.to for word in told.words if word.event.event == "priority_changed"] == ["P1"]
    assert told.words[0].event.priority == "P2"
    assert told.words[0].occurred_at == datetime.fromisoformat(TICKET["created_at"])
    assert len({word.key for word in told.words}) == len(told.words)


def test_a_ticket_looked_at_as_it_grows_says_each_thing_once_though_only_the_newest_activities_are_shown() -> None:
    """The API shows twenty; most are written twice, with and without who did it. No look may tell one by two keys."""
    past: list[dict[str, Any]] = []
    status, seen = "open", dict[str, Any]()
    for n in range(40):
        after = "resolved" if n % 2 == 0 else "reopened"
        for twin, by in ((0, 1), (1, None)):
            past.append(turned(10 + 2 * n + twin, n + twin / 1000, by, status, after))
            told = story(ticket(*past, status=after, resolved_at=at(n), updated_at=at(n)))
            for word in told.words:
                seen.setdefault(word.key, word)
        status = after
    kinds = [word.event.event for word in sorted(seen.values(), key=lambda word: word.occurred_at)]
    assert kinds == ["opened"] + ["resolved", "reopened"] * 20


def test_who_takes_a_ticket_acknowledges_it_and_who_is_given_one_does_not() -> None:
    taken = change(2, 1, 1, "assigned", agent_id=1)
    given = change(3, 2, 1, "assigned", agent_id=2)
    told = story(ticket(taken, given, assignee={"id": 2, "email": PEOPLE[2]}))
    assert said(told)[1:] == [("acknowledged", "dana"), ("assigned", "dana")]
    assert [word.event.to for word in told.words if word.event.event == "assigned"] == ["alex"]


def test_what_a_rule_or_an_automation_changed_without_a_trace_is_read_from_the_ticket_once() -> None:
    quiet = {
        "priority": "critical",
        "status": "resolved",
        "resolved_at": at(30),
        "assignee": {"id": 2, "email": PEOPLE[2]},
    }
    told = story(ticket(**quiet))
    assert said(told)[1:] == [("resolved", None), ("priority_changed", None), ("assigned", None)]
    again = story(ticket(reply(9, 45, 3), **quiet, updated_at=at(50)))
    assert {word.key for word in told.words} < {word.key for word in again.words}


def test_a_ticket_that_sleeps_is_called_closed_and_is_not() -> None:
    assert said(story(ticket(status="closed", is_snoozed=True))) == [("opened", ANN)]
    assert said(story(ticket(status="closed")))[1:] == [("closed", None)]


@pytest.mark.parametrize("body", ["Out of office: back on Monday.", "Automatic reply: away", "[Auto-Reply] I am away."])
def test_an_automatic_answer_is_no_reply_and_ends_no_wait(body: str) -> None:
    waits = turned(2, 1, 1, "open", "waiting_on_customer")
    wakes = turned(3, 5.001, 3, "waiting_on_customer", "waiting_on_agent")
    told = story(ticket(waits, reply(1, 5, 3, body), wakes, status="waiting_on_agent"))
    assert said(told) == [("opened", ANN), ("waiting_on_customer", "dana")]
    written = story(
        ticket(waits, reply(1, 5, 3, "I was out of office. Here is the log."), wakes, status="waiting_on_agent")
    )
    assert said(written)[2:] == [("customer_replied", ANN), ("reopened", ANN)]


def test_who_answers_without_an_account_is_the_requester() -> None:
    assert said(story(ticket(reply(1, 5, None))))[1:] == [("customer_replied", ANN)]


def test_without_the_list_of_agents_whoever_is_not_the_requester_counts_as_one_unless_we_say_otherwise() -> None:
    bare = ticket(reply(1, 5, 3), reply(2, 6, 2), reply(3, 7, 4))
    del bare["_agents"]
    assert [kind for kind, _ in said(story(bare))[1:]] == ["customer_replied", "agent_replied", "agent_replied"]
    ours = SOURCE.model_copy(update={"customers": frozenset({BOB})})
    assert [kind for kind, _ in said(story(bare, ours))[3:]] == ["customer_replied"]


def test_what_we_wrote_says_nothing_and_what_we_changed_is_not_told_back() -> None:
    ours = [
        reply(1, 5, 5, "An internal note.", note=True), reply(2, 6, 1, f"Due at noon.\n\n{MARK}", note=True),
        change(3, 7, 5, "assigned", agent_id=2), change(4, 8, 5, "priority_changed", old_priority="high", new_priority="urgent"),
        turned(5, 9, 5, "open", "escalated"),
    ]  # fmt: skip
    assert said(story(ticket(*ours, priority="urgent", status="escalated", assignee={"id": 2}))) == [("opened", ANN)]


@pytest.mark.parametrize(
    "event", ["note.created", "ticket.assigned", "ticket.priority_changed", "ticket.status_changed"]
)
def test_a_webhook_about_our_own_doing_is_not_even_looked_at(event: str) -> None:
    body = {"event": event, "payload": {"ticket_id": 7, "user_id": 5}, "timestamp": at(0)}
    assert ADAPTER.read(body, SOURCE, HEARD).ignored == "our own doing"
    assert ADAPTER.read(body | {"event": "reply.created"}, SOURCE, HEARD).told


def test_a_status_that_nobody_knows_is_doubted_and_a_priority_goes_on_as_it_is() -> None:
    told = story(ticket(turned(2, 1, 1, "open", "parked"), status="parked", priority="blazing"))
    assert told.doubts == ("status 'parked' is none that is known; put it under `statuses` of this source",)
    assert [word.event.to for word in told.words if word.event.event == "priority_changed"] == ["blazing"]
    parked = SOURCE.model_copy(update={"statuses": {"Parked": "waiting"}})
    assert ("waiting_on_customer", "dana") in said(
        story(ticket(turned(2, 1, 1, "open", "parked"), status="parked"), parked)
    )


def test_only_the_departments_that_count_open_anything() -> None:
    tier = SOURCE.model_copy(update={"channels": ("Support", "9")})
    assert ADAPTER.story
    assert ADAPTER.story(ticket(), tier, HEARD) is None
    assert ADAPTER.story(ticket(department={"id": 2, "name": "support"}), tier, HEARD)
    assert ADAPTER.story(ticket(department={"id": 9, "name": "Sales"}), tier, HEARD)


def test_a_chat_names_its_ticket_elsewhere_and_other_events_are_counted_and_no_more() -> None:
    chat = {"event": "chat.message", "payload": {"chat": {"session_id": 1, "ticket_id": 7}}, "timestamp": at(0)}
    assert ADAPTER.read(chat, SOURCE, HEARD).told == (Told("7", look=True),)
    tag = {"event": "ticket.tag_added", "payload": {"ticket_id": 7}, "timestamp": at(0)}
    assert ADAPTER.read(tag, SOURCE, HEARD).ignored == "ticket.tag_added is no event that matters"


@pytest.mark.parametrize("id", [None, "", True, [], {}, 1.5, "9" * 201])
def test_a_delivery_that_names_no_ticket_can_not_be_used(id: Any) -> None:
    with pytest.raises(Unusable) as unusable:
        ADAPTER.read({"event": "reply.created", "payload": {"ticket_id": id}}, SOURCE, HEARD)
    assert unusable.value.path == "payload.ticket_id"


def hook(raw: bytes, signature: str | None = None, heard: datetime = BEGAN) -> Hook:
    made = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    return Hook({"x-escalated-signature": made if signature is None else signature}, raw, heard)


BODY = json.dumps({"event": "reply.created", "payload": {"ticket_id": 7}, "timestamp": at(0)}).encode()


def test_a_signature_that_the_real_helpdesk_made_holds() -> None:
    """Of the first captured delivery, as its header had it; the secret is the peer's."""
    made = "e8c720f85ceacf99793809418c4efe5c75851da55e2124e05ee62ac6834e5786"
    raw = DELIVERIES[0].read_bytes()
    ADAPTER.verify(
        hook(raw, made, datetime(2026, 11, 22, 12, 10, tzinfo=UTC)), ["another", "whsec-of-this-escalated-alone"]
    )
    with pytest.raises(BadSignature):
        ADAPTER.verify(
            hook(raw + b" ", made, datetime(2026, 11, 22, 12, 10, tzinfo=UTC)), ["whsec-of-this-escalated-alone"]
        )


@pytest.mark.parametrize("wrong", ["", "00", hook(BODY).headers["x-escalated-signature"].upper(), "é", "0" * 64])
def test_a_wrong_signature_does_not(wrong: str) -> None:
    ADAPTER.verify(hook(BODY), [SECRET])
    for secrets in ([SECRET], []):
        with pytest.raises(BadSignature):
            ADAPTER.verify(hook(BODY, wrong), secrets)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_delivery_that_is_old_or_from_the_future_is_not_taken(seconds: int) -> None:
    ADAPTER.verify(hook(BODY, heard=BEGAN + timedelta(seconds=seconds * 0.99)), [SECRET])
    with pytest.raises(BadSignature):
        ADAPTER.verify(hook(BODY, heard=BEGAN + timedelta(seconds=seconds)), [SECRET])


@pytest.mark.parametrize("stamp", [None, "", 0, "2026-11-22T12:00:00", "soon", {}, "9" * 5000])
def test_a_moment_that_the_sender_left_out_keeps_nothing_back(stamp: Any) -> None:
    """It lies under the signature, so that nobody else can have taken it out; and to look twice does no harm."""
    raw = json.dumps({"event": "reply.created", "timestamp": stamp}).encode()
    ADAPTER.verify(hook(raw), [SECRET])
    with pytest.raises(BadSignature):
        ADAPTER.verify(hook(raw), ["another"])


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_rightly_signed_and_no_json_is_for_the_next_to_refuse(raw: bytes) -> None:
    ADAPTER.verify(hook(raw), [SECRET])


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.sampled_from(["\x00", "\ud800", "", "9" * 5000, 10**400, [None, 3, {"id": "x"}], {"id": True}, {"id": []}]),
)  # fmt: skip


def mutated(draw: st.DrawFn, value: Any, odds: int) -> Any:
    """The same, with something odd in it here and there."""
    if draw(st.integers(0, odds)) == 0:
        return draw(ODD)
    if isinstance(value, dict):
        return {name: mutated(draw, one, odds) for name, one in value.items() if draw(st.integers(0, odds))}
    if isinstance(value, list):
        return [mutated(draw, one, odds) for one in value[:6]]
    return value


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_comes_is_read_or_refused_in_a_sentence(data: st.DataObject) -> None:
    body = mutated(data.draw, json.loads(data.draw(st.sampled_from(DELIVERIES)).read_text()), 8)
    try:
        came = ADAPTER.read(body, SOURCE, HEARD)
        answer = came.told or came.ignored
    except Unusable as error:
        answer = error.sentence
    assert answer


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_the_api_shows_is_read_or_refused_in_a_sentence(data: st.DataObject) -> None:
    shown = mutated(data.draw, copy.deepcopy(TICKET), 30)
    assert ADAPTER.story
    try:
        told = ADAPTER.story(shown, SOURCE, HEARD)
        answer = told is None or told.words
    except Unusable as error:
        answer = error.sentence
    assert answer
