"""What django-helpdesk's payloads mean: on captures of the real one, and where its words could be taken for others."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from starter.hook_settings import IntakeSettings
from starter.intake.django_helpdesk import Connected, Seen, Story, story
from starter.web import create_app
from tests.test_web_intake import DESK, Taken

CAPTURES = sorted((Path(__file__).parent / "captures" / "django_helpdesk").glob("*.json"))
HEARD = datetime(2031, 7, 7, 23, tzinfo=UTC)
BEGAN = datetime(2031, 7, 7, 14, tzinfo=UTC)
AGENTS = Connected(default_customer="acme", agents={1: "dana", 2: "alex"})
ANN = "ann@acme.example"
MAIL: dict[str, Any] = {"message_id": "<a@acme.example>", "email_recipients": [ANN]}


def captured(name: str) -> dict[str, Any]:
    (path,) = (path for path in CAPTURES if path.stem.endswith(name))
    return dict(json.loads(path.read_text()))


def said(told: Story) -> list[tuple[str, str | None]]:
    """What each word is and whose."""
    return [(word.event.event, word.event.by) for word in sorted(told.words, key=lambda w: w.occurred_at)]


def entry(id: int, minutes: int, **fields: Any) -> dict[str, Any]:
    """A follow-up as the helpdesk serializes it."""
    plain = {"user": None, "title": "Nothing loads", "comment": "", "public": True, "new_status": None}
    date = (BEGAN + timedelta(minutes=minutes)).isoformat()
    return {"id": id, "date": date, "message_id": None, "email_recipients": []} | plain | fields


OPENING = entry(1, 0, title="Ticket Opened Via Web", comment="Blank.")


def payload(*past: dict[str, Any], about: int | None = None, **ticket: Any) -> dict[str, Any]:
    """A delivery; `about` is the follow-up that it was sent for."""
    plain = {"id": 1, "title": "Nothing loads", "description": "Blank.", "submitter_email": ANN, "assigned_to": None}
    whole = {**plain, "status": 1, "on_hold": False, "priority": 3, **ticket, "followup_set": [OPENING, *past]}
    return {"ticket": whole, "queue_slug": "support"} | ({} if about is None else {"followup_id": about})


def after(*past: dict[str, Any], mapping: Connected = AGENTS, before: Seen | None = None, **more: Any) -> list[Any]:
    """What a delivery says besides the opening."""
    known = before or Seen(1, more.get("priority", 3))
    return said(story(payload(*past, **more), mapping, HEARD, known))[1:]


def test_the_whole_life_of_a_captured_ticket_is_read_from_its_last_delivery_alone() -> None:
    assert said(story(captured("13-close"), AGENTS, HEARD, Seen(12, 1))) == [
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
    life = [story(json.loads(path.read_text()), AGENTS, HEARD, Seen(0, 1)) for path in CAPTURES[:-1]]
    for earlier, later in pairwise(life):
        keys = {word.key: (word.event.event, word.occurred_at) for word in later.words}
        kept = {w.key: (w.event.event, w.occurred_at) for w in earlier.words if not w.key.endswith(":priority")}
        assert kept.items() <= keys.items()


def test_a_note_is_no_public_reply() -> None:
    (*_, note) = story(captured("03-note"), AGENTS, HEARD, Seen(2, 2)).words
    assert getattr(note.event, "public") is False  # noqa: B009


def test_a_mail_opens_by_mail_at_the_time_it_came() -> None:
    (opened,) = story(captured("14-mail-in"), AGENTS, HEARD).words
    assert (getattr(opened.event, "channel"), opened.event.by) == ("email", "bob@stranger.example")  # noqa: B009
    assert opened.occurred_at < HEARD


def test_an_out_of_office_mail_is_no_reply_and_reopens_nothing() -> None:
    before = story(captured("11-reopen-by-mail"), AGENTS, HEARD, Seen(10, 1))
    assert said(story(captured("12-ooo"), AGENTS, HEARD, Seen(11, 1))) == said(before)


@pytest.mark.parametrize(
    "comment", ["The text runs away from the margin.", "I was out of the office. Here is the log."]
)
def test_a_customer_who_writes_of_being_away_is_heard(comment: str) -> None:
    assert after(entry(2, 5, comment=comment, **MAIL)) == [("customer_replied", ANN)]
    assert after(entry(2, 5, comment=comment)) == [("customer_replied", ANN)]


def test_words_merged_in_from_another_ticket_are_not_this_ones() -> None:
    """R06: two issues are never merged silently; another ticket's answer stops no clock of this one."""
    other = {"title": "[Merged from #7] Other", "comment": "Said there."}
    told = story(payload(entry(9, -60, **other), entry(10, -50, user=1, **other)), AGENTS, HEARD, Seen(1, 3))
    assert said(told) == [("opened", ANN)]
    assert told.words[0].occurred_at == BEGAN


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


def test_a_second_mail_to_a_reopened_ticket_reopens_it_no_second_time() -> None:
    closed = entry(2, 5, user=1, title="Nothing loads and Closed", new_status=4)
    mails = [entry(3 + n, 10 + n, title="Ticket Re-Opened", comment="Still.", new_status=2, **MAIL) for n in range(2)]
    kinds = [kind for kind, _ in after(closed, *mails, status=2)]
    assert kinds == ["closed", "customer_replied", "reopened", "customer_replied"]


def test_a_status_set_on_the_kanban_board_is_told_by_the_next_word_and_once() -> None:
    first = story(payload(entry(2, 5, user=1, comment="Purged."), status=3), AGENTS, HEARD, Seen(1, 3))
    assert said(first)[1:] == [("agent_replied", "dana"), ("resolved", None)]
    past = entry(2, 5, user=1, comment="Purged."), entry(3, 9, user=1, comment="A note.", public=False)
    keys = [
        w.key for w in story(payload(*past, status=3), AGENTS, HEARD, Seen(2, 3)).words if w.event.event == "resolved"
    ]
    assert keys == [w.key for w in first.words if w.event.event == "resolved"]


def test_a_level_that_nothing_maps_to_is_handed_on_for_the_strictest_reading() -> None:
    (opened,) = story(payload(priority=9), AGENTS, HEARD).words
    assert getattr(opened.event, "priority") == "9"  # noqa: B009


def test_a_delivery_older_than_the_last_one_changes_no_priority() -> None:
    note = entry(2, 5, user=1, comment="Looking.", public=False)
    told = story(payload(note, about=2, priority=4), AGENTS, HEARD, Seen(3, 1))
    assert "priority_changed" not in dict(said(told))
    assert told.seen == Seen(3, 1)


async def test_only_a_change_of_priority_is_told_so_that_an_operators_own_revision_stands() -> None:
    """T05, R07: a mere comment in the helpdesk must not undo what an operator reclassified here."""
    taken = Taken()
    app = create_app(taken, IntakeSettings(django_helpdesk={DESK: AGENTS}, now=lambda: HEARD))
    note = entry(2, 5, user=1, comment="Looking.", public=False)
    raised = entry(3, 9, user=1, comment="Urgent.", public=False)
    deliveries = payload(), payload(note, about=2), payload(note, raised, about=3, priority=1)
    told = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake") as http:
        for delivery in deliveries:
            taken.words.clear()
            assert (await http.post(f"/hooks/django-helpdesk/{DESK}", json=delivery)).status_code == 202
            told.append([getattr(w.event, "to") for *_, w in taken.words if w.event.event == "priority_changed"])  # noqa: B009
    assert told == [[], [], ["P1"]]
