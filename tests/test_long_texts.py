"""Nobody can keep the intake at work: what a customer may write of any length is read in the time that reading takes."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from sla.source import Source
from starter.sources import adapter

NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
LONG = [
    "hi" + "\n" * 9000 + "thanks for a" + "\n" * 9000 + "x", "hi" + "!" * 20_000, "hi " + ".\n" * 9000, "thanks for " + "a." * 9000,
    "\n \n" * 6000 + "x", "hi" + "\r\n" * 9000 + "x", "<" * 20_000, "<a|" * 6000, "[#m" * 6000,
]  # fmt: skip


def zendesk(text: str) -> Any:
    audit = {"id": 2, "created_at": "2031-07-07T16:00:00Z", "author_id": 7}
    comment = {"id": 3, "type": "Comment", "body": text, "public": True, "author_id": 7}
    return {"ticket": {"id": 1}, "audits": [{"id": 1}, audit | {"events": [comment]}], "users": []}


def freshdesk(text: str) -> Any:
    told = {"id": 3, "body_text": text, "incoming": True, "created_at": "2031-07-07T16:00:00Z", "user_id": 7}
    return {"ticket": {"id": 1}, "conversations": [told]}


def jira(text: str) -> Any:
    comment = {"id": "3", "body": text, "jsdPublic": True, "author": {"accountId": "7", "accountType": "customer"}}
    return {"issue": {"key": "OPS-1", "fields": {}}, "changes": [], "comments": [comment]}


def escalated(text: str) -> Any:
    return {"id": 1, "replies": [{"id": 3, "body": text, "author": {"id": 7}}], "_agents": []}


def zammad(text: str) -> Any:
    return {"ticket": {"id": 1}, "articles": [{"id": 1}, {"id": 2, "sender": "Customer", "body": text}], "history": []}


STORIES = {
    "zendesk": zendesk, "freshdesk": freshdesk, "jira": jira, "escalated-django": escalated, "zammad": zammad,
}  # fmt: skip


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
@pytest.mark.parametrize("kind", STORIES)
def test_no_text_keeps_an_adapter_at_work(kind: str, text: str) -> None:
    story = adapter(kind).story
    assert story is not None
    begun = time.process_time()
    told = story(STORIES[kind](text), Source(name="desk", kind=kind), NOW)
    assert time.process_time() - begun < 0.5
    assert told is not None
    assert "customer_replied" in [word.event.event for word in told.words]


def test_a_ticket_of_very_many_answers_is_read_in_the_time_that_reading_takes() -> None:
    entry = {
        "date": "2031-07-07T16:00:00Z",
        "title": "Comment",
        "comment": "hello",
        "public": True,
        "user": 3,
        "new_status": None,
    }
    told = {"id": 1, "title": "x", "status": 1, "priority": 3, "submitter_email": "ann@acme.example"}
    begun = time.process_time()
    body = {"ticket": told | {"followup_set": [entry | {"id": i} for i in range(8000)]}, "queue_slug": "support"}
    read = adapter("django-helpdesk").read(body, Source(name="desk", kind="django-helpdesk"), NOW)
    assert time.process_time() - begun < 3
    assert len(read.told[0].words) > 8000


@pytest.mark.parametrize("line", ["> a wrote:\n", "On a\n", "From: a@b\n", ">\n"])
def test_no_mail_keeps_its_reader_at_work(line: str) -> None:
    raw = b"From: ann@acme.example\r\nMessage-ID: <1@a>\r\nIn-Reply-To: <0@a>\r\n\r\n" + (line * 18_000).encode() + b"x"
    begun = time.process_time()
    assert adapter("mail").read(raw, Source(name="desk", kind="mail"), NOW).told
    assert time.process_time() - begun < 2
