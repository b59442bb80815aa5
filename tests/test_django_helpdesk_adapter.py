"""What django-helpdesk's payloads mean: on captures of the real one, and where its words could be taken for others."""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sla.intake import Told, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.django_helpdesk import ADAPTER

CAPTURES = sorted((Path(__file__).parent / "captures" / "django_helpdesk").glob("*.json"))
CAPTURED = datetime(2026, 11, 23, tzinfo=UTC)
HEARD = datetime(2031, 7, 7, 23, tzinfo=UTC)
BEGAN = datetime(2031, 7, 7, 14, tzinfo=UTC)
SOURCE = Source(name="desk", kind="django-helpdesk", customer="acme", agents={"1": "dana", "2": "alex"})
ANN = "ann@acme.example"
MARK = "[pactkeeper:0123456789abcdef]"
MAIL: dict[str, Any] = {"message_id": "<a@acme.example>", "email_recipients": [ANN]}
Said = list[tuple[str, str | None]]


def captured(name: str) -> dict[str, Any]:
    (path,) = (path for path in CAPTURES if path.stem.endswith(name))
    return dict(json.loads(path.read_text()))


def told(payload: dict[str, Any], source: Source = SOURCE, heard: datetime = HEARD) -> Told:
    (one,) = ADAPTER.read(payload, source, heard).told
    return one


def said(one: Told) -> Said:
    """What each word is and whose, but for the priority, which every delivery says anew."""
    words = [(word.event.event, word.event.by) for word in sorted(one.words, key=lambda w: w.occurred_at)]
    return [word for word in words if word[0] != "priority_changed"]


def entry(id: int, minutes: int, **fields: Any) -> dict[str, Any]:
    """A follow-up as the helpdesk serializes it."""
    plain = {"user": None, "title": "Nothing loads", "comment": "", "public": True, "new_status": None}
    date = (BEGAN + timedelta(minutes=minutes)).isoformat()
    return {"id": id, "date": date, "message_id": None, "email_recipients": []} | plain | fields


OPENING = entry(1, 0, title="Ticket Opened Via Web", comment="Blank.")


def payload(*past: dict[str, Any], about: int | None = None, **ticket: Any) -> dict[str, Any]:
    """A delivery; `about` is the follow-up that it was sent for."""
    plain = {"id": 1, "title": "Nothing loads", "description": "Blank.", "submitter_email": ANN, "assigned_to": None}
    whole = {**plain, "queue": 1, "status": 1, "on_hold": False, "priority": 3, **ticket}
    whole["followup_set"] = [OPENING, *past]
    return {"ticket": whole, "queue_slug": "support"} | ({} if about is None else {"followup_id": about})


def after(*past: dict[str, Any], source: Source = SOURCE, **more: Any) -> Said:
    """What a delivery says besides the opening and the priority."""
    return said(told(payload(*past, **more), source))[1:]


def test_the_whole_life_of_a_captured_ticket_is_read_from_its_last_delivery_alone() -> None:
    assert said(told(captured("13-close"), heard=CAPTURED)) == [
        ("opened", ANN),
        ("acknowledged", "dana"),
        ("agent_replied", "dana"),
        ("agent_replied", "dana"),
        ("waiting_on_customer", "dana"),
        ("customer_replied", ANN),
        ("reopened", "dana"),
        ("assigned", "dana"),
        ("agent_replied", "dana"),
        ("agent_replied", "alex"),
        ("resolved", "alex"),
        ("customer_replied", ANN),
        ("closed", ANN),
        ("customer_replied", ANN),
        ("reopened", ANN),
        ("closed", "dana"),
    ]


def test_every_delivery_of_a_ticket_says_again_what_those_before_it_said_under_the_same_keys() -> None:
    life = [told(json.loads(path.read_text()), heard=CAPTURED) for path in CAPTURES[:-1]]
    for earlier, later in pairwise(life):
        keys = {word.key: (word.event.event, word.occurred_at) for word in later.words}
        kept = {w.key: (w.event.event, w.occurred_at) for w in earlier.words if w.event.event != "priority_changed"}
        assert kept.items() <= keys.items()


def test_deliveries_that_come_twice_and_in_any_order_make_the_same_words() -> None:
    bodies = [json.loads(path.read_text()) for path in CAPTURES[:-1]]

    def heard(order: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
        """As an incident takes them: what has a key that is known is no news."""
        found: dict[str, tuple[Any, ...]] = {}
        for body in order:
            for one in told(body, heard=CAPTURED).words:
                found.setdefault(one.key, (one.event.event, one.event.by, one.occurred_at))
        return found

    shuffled = bodies * 2
    random.Random(4711).shuffle(shuffled)
    assert heard(bodies) == heard(shuffled)


def test_the_ticket_read_over_the_api_says_the_same_under_the_same_keys() -> None:
    for path in CAPTURES:
        body = json.loads(path.read_text())
        by_api = ADAPTER.story and ADAPTER.story({"ticket": body["ticket"]}, SOURCE, CAPTURED)
        assert by_api == told(body, heard=CAPTURED)


def test_the_ticket_is_its_requesters() -> None:
    one = told(captured("14-mail-in"), heard=CAPTURED)
    assert (one.ticket, one.requester) == ("2", "bob@stranger.example")


def test_a_note_is_no_public_reply() -> None:
    notes = [word.event.public for word in told(captured("03-note"), heard=CAPTURED).words if word.key.endswith("up:3")]
    assert notes == [False]


def test_a_mail_opens_by_mail_at_the_time_it_came() -> None:
    (opened,) = told(captured("14-mail-in"), heard=CAPTURED).words
    assert (opened.event.channel, opened.event.by) == ("email", "bob@stranger.example")
    assert opened.occurred_at < CAPTURED


def test_an_out_of_office_mail_is_no_reply_and_reopens_nothing() -> None:
    before = told(captured("11-reopen-by-mail"), heard=CAPTURED)
    assert said(told(captured("12-ooo"), heard=CAPTURED)) == said(before)


@pytest.mark.parametrize(
    "comment", ["The text runs away from the margin.", "I was out of the office. Here is the log."]
)
def test_a_customer_who_writes_of_being_away_is_heard(comment: str) -> None:
    assert after(entry(2, 5, comment=comment, **MAIL)) == [("customer_replied", ANN)]
    assert after(entry(2, 5, comment=comment)) == [("customer_replied", ANN)]


def test_words_merged_in_from_another_ticket_are_not_this_ones() -> None:
    """R06: two issues are never merged silently; another ticket's answer stops no clock of this one."""
    other = {"title": "[Merged from #7] Other", "comment": "Said there."}
    one = told(payload(entry(9, -60, **other), entry(10, -50, user=1, **other)))
    assert said(one) == [("opened", ANN)]
    assert one.words[0].occurred_at == BEGAN


def test_the_helpdesks_own_escalation_is_no_customers_word() -> None:
    assert after(entry(2, 600, title="Ticket Escalated", comment="Ticket escalated after 1 days")) == []


@pytest.mark.parametrize(
    "title", ["Ticket taken off hold", "Ticket placed on hold", "Assigned to boss", "Ticket Escalated"]
)
def test_a_title_that_the_customer_chose_means_nothing(title: str) -> None:
    resolved = entry(2, 5, user=1, title=f"{title} and Resolved", comment="Done.", new_status=3)
    assert after(resolved, title=title, status=3) == [("agent_replied", "dana"), ("resolved", "dana")]
    assert after(entry(2, 5, user=1, title=title, comment="We are on it."), title=title) == [("agent_replied", "dana")]


def test_a_hold_pauses_an_open_ticket_and_its_end_reopens_no_resolved_one() -> None:
    hold, off = entry(2, 5, user=1, title="Ticket placed on hold"), entry(4, 15, user=1, title="Ticket taken off hold")
    assert after(hold, off) == [("waiting_on_customer", "dana"), ("reopened", "dana")]
    resolved = entry(3, 10, user=1, title="Nothing loads and Resolved", new_status=3)
    assert after(hold, resolved, off, status=3) == [("waiting_on_customer", "dana"), ("resolved", "dana")]


def test_who_takes_a_ticket_acknowledges_it_and_who_is_given_one_does_not() -> None:
    """X02: who took it need not be replaced for want of an acknowledgement."""
    given = entry(2, 5, user=1, title="Assigned to dana")
    assert after(given) == [("acknowledged", "dana")]
    assert after({**given, "title": "Assigned to alex"}) == [("assigned", "dana")]


def test_an_agent_who_is_given_a_ticket_is_known_by_the_name_with_which_they_log_in() -> None:
    named = SOURCE.model_copy(update={"agents": {"1": "dana", "a.lex": "alex", "2": "alex"}})
    words = told(payload(entry(2, 5, user=1, title="Assigned to a.lex")), named).words
    assert [word.event.to for word in words if word.event.event == "assigned"] == ["alex"]


def test_a_second_mail_to_a_reopened_ticket_reopens_it_no_second_time() -> None:
    closed = entry(2, 5, user=1, title="Nothing loads and Closed", new_status=4)
    mails = [entry(3 + n, 10 + n, title="Ticket Re-Opened", comment="Still.", new_status=2, **MAIL) for n in range(2)]
    kinds = [kind for kind, _ in after(closed, *mails, status=2)]
    assert kinds == ["closed", "customer_replied", "reopened", "customer_replied"]


def test_a_mail_that_reopens_what_was_closed_on_the_board_reopens_it() -> None:
    mail = entry(2, 9, title="Ticket Re-Opened", comment="Still.", new_status=2, **MAIL)
    assert after(mail, status=2) == [("customer_replied", ANN), ("reopened", ANN)]


def test_a_status_set_on_the_kanban_board_is_told_by_the_next_word_and_once() -> None:
    first = told(payload(entry(2, 5, user=1, comment="Purged."), status=3))
    assert said(first)[1:] == [("agent_replied", "dana"), ("resolved", None)]
    past = entry(2, 5, user=1, comment="Purged."), entry(3, 9, user=1, comment="A note.", public=False)
    keys = [w.key for w in told(payload(*past, status=3)).words if w.event.event == "resolved"]
    assert keys == [w.key for w in first.words if w.event.event == "resolved"]


def test_a_level_that_nothing_maps_to_is_handed_on_for_the_strictest_reading() -> None:
    (opened,) = told(payload(priority=9)).words
    assert opened.event.priority == "9"


def test_a_status_that_nobody_knows_is_doubted_and_says_nothing() -> None:
    one = told(payload(entry(2, 5, user=1, title="Nothing loads and Parked", new_status=6), status=6))
    assert said(one) == [("opened", ANN)]
    assert one.doubts == ("status 6 is none that is known; put it under `statuses` of this source",)
    parked = SOURCE.model_copy(update={"statuses": {"6": "waiting"}})
    assert after(entry(2, 5, user=1, new_status=6), source=parked, status=6) == [("waiting_on_customer", "dana")]


def level(one: Told) -> list[tuple[str, str, datetime]]:
    return [(w.key, w.event.to, w.occurred_at) for w in one.words if w.event.event == "priority_changed"]


def test_the_priority_is_told_as_it_stood_at_the_newest_word_so_that_a_late_delivery_undoes_nothing() -> None:
    note, raised = entry(2, 5, user=1, comment="Looking."), entry(3, 9, user=1, comment="Urgent.")
    older, newer = told(payload(note, about=2)), told(payload(note, raised, about=3, priority=1))
    assert level(older) == [("desk:1:priority:3:2", "P3", BEGAN + timedelta(minutes=5))]
    assert level(newer) == [("desk:1:priority:1:3", "P1", BEGAN + timedelta(minutes=9))]
    assert level(told(payload(note, about=2))) == level(older)


def test_the_opening_says_its_priority_itself() -> None:
    assert level(told(payload(priority=1))) == []


@pytest.mark.parametrize("about", [None, 2])
def test_our_own_note_is_no_word_of_anybodys(about: int | None) -> None:
    ours = SOURCE.model_copy(update={"ours": ("7",)})
    marked, by_us = (
        entry(2, 5, user=1, public=False, comment=f"Due at noon.\n\n{MARK}"),
        entry(2, 5, user=7, public=False, comment="x"),
    )
    for note in marked, by_us:
        if about is None:
            assert after(note, source=ours) == []
        else:
            assert ADAPTER.read(payload(note, about=about), ours, HEARD).ignored == "our own note"


def test_only_the_queues_that_count_open_anything() -> None:
    billing = SOURCE.model_copy(update={"channels": ("billing", "9")})
    assert ADAPTER.read(payload(), billing, HEARD).ignored == "queue support is none that counts"
    assert told({**payload(), "queue_slug": "billing"}, billing).ticket == "1"
    assert ADAPTER.story
    assert ADAPTER.story({"ticket": payload(queue=9)["ticket"]}, billing, HEARD)
    assert ADAPTER.story({"ticket": payload(queue=1)["ticket"]}, billing, HEARD) is None


def test_the_address_is_the_secret() -> None:
    secret = "a-secret-that-is-long-enough-for-all"
    assert ADAPTER.secret_in_path
    ADAPTER.verify(Hook({"x-pactkeeper-token": secret}, b"", HEARD), ["another-one", secret])
    with pytest.raises(BadSignature):
        ADAPTER.verify(Hook({"x-pactkeeper-token": secret[:-1]}, b"", HEARD), [secret])
    with pytest.raises(BadSignature):
        ADAPTER.verify(Hook({"x-pactkeeper-token": ""}, b"", HEARD), [])


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.sampled_from(["\x00", "\ud800", "", "9" * 5000, 10**400, [None, 3, {"id": "x"}], {"id": True}]),
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
@settings(max_examples=150, deadline=None)
def test_whatever_comes_is_read_or_refused_in_a_sentence(data: st.DataObject) -> None:
    body = mutated(data.draw, captured(data.draw(st.sampled_from(["13-close", "14-mail-in"]))), 25)
    try:
        came = ADAPTER.read(body, SOURCE, CAPTURED)
        answer = came.told or came.ignored
    except Unusable as error:
        answer = error.sentence
    assert answer
