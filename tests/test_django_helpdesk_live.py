"""The doors of a real django-helpdesk that have no form: mails of a customer, and its REST API; the real server behind both."""

import asyncio
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

import httpx

from tests.peers.helpdesk import CRITICAL, NORMAL, HelpdeskPeer, Ticket
from tests.test_main_job import desk, settled

__all__ = ["desk"]  # a fixture
ANN = "ann@acme.example"


def mail(subject: str, text: str, **headers: str) -> bytes:
    """A mail of Ann's to the queue's address; `Auto_Submitted` is the header `Auto-Submitted`."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = f"Ann <{ANN}>", "support@helpdesk.example", subject
    made["Date"], made["Message-ID"] = format_datetime(datetime.now(UTC)), make_msgid(domain="acme.example")
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made.as_bytes()


def events(told: dict[str, Any]) -> list[str]:
    return [line["event"] for line in told["log"]]


async def test_a_customers_mails_open_and_answer_and_their_absence_notice_does_nothing(desk: Any) -> None:
    """By mail alone: opened by Ann, answered by Dana, "I am away" counts as nothing, and the reply counts once."""
    peer, status = desk
    await asyncio.to_thread(peer.customer_mails, mail("Nothing loads", "Every page is blank."))
    told = await settled(status, 1, lambda t: t["phase"] == "open" and "response" in t["clocks"])
    assert told["customer"] == "acme"
    opened = next(line for line in told["log"] if line["event"] == "opened")
    assert opened["by"] == ANN

    peer.priorities[1] = NORMAL
    ticket = Ticket(1, ANN, "", "Nothing loads")
    subject = "Re: [support-1] Nothing loads"
    await asyncio.to_thread(
        peer.customer_mails, mail(subject, "I am out of the office until Monday.", Auto_Submitted="auto-replied")
    )
    # What comes after it tells the whole ticket anew, the absence notice included.
    await asyncio.to_thread(peer.agent_writes, ticket, "Which page?", public=True)
    told = await settled(status, 1, lambda t: t["clocks"]["response"]["state"] == "met")
    assert "out of the office" in await asyncio.to_thread(shown, peer, 1)
    assert "customer_replied" not in events(told)

    await asyncio.to_thread(peer.customer_mails, mail(subject, "The price list, still."))
    told = await settled(status, 1, lambda t: "customer_replied" in events(t))
    (reply,) = [line for line in told["log"] if line["event"] == "customer_replied"]
    assert reply["by"] == ANN
    assert (events(told).count("opened"), events(told).count("agent_replied")) == (1, 1)
    assert not told["dead_letters"]


async def test_a_ticket_that_a_program_creates_by_rest_opens_once(desk: Any) -> None:
    """Its own API sends the same webhook as its form; who it is for counts, not who called."""
    peer, status = desk
    ticket = await asyncio.to_thread(created, peer, "Nothing loads")
    told = await settled(status, ticket, lambda t: t["phase"] == "open" and "response" in t["clocks"])
    assert (told["customer"], told["priority"]) == ("acme", "P1")
    (opened,) = [line for line in told["log"] if line["event"] == "opened"]
    assert opened["by"] == ANN
    assert told["clocks"]["response"]["state"] in ("running", "not_started")


def created(peer: HelpdeskPeer, title: str) -> int:
    """A ticket that the agent Dana's program makes for Ann; its number."""
    asked = {"queue": 1, "title": title, "description": "Blank.", "submitter_email": ANN, "priority": CRITICAL}
    answer = httpx.post(f"{peer.base}/api/tickets/", json=asked, auth=("dana", "dana-password"), timeout=30)
    assert answer.status_code == 201, answer.text[:2000]
    return int(answer.json()["id"])


def shown(peer: HelpdeskPeer, ticket: int) -> str:
    """A ticket with all that was said on it, as the helpdesk's API tells it."""
    return httpx.get(f"{peer.base}/api/tickets/{ticket}/", auth=("dana", "dana-password"), timeout=30).text
