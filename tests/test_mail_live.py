"""Mail in and out through real mail servers: what a customer answers to our own notice comes back to its ticket."""

import asyncio
import smtplib
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from sla.source import Source
from tests.front_desk import NOW, SECRET, Desk
from tests.receivers import MailSink, mail_sink, message
from tests.test_mail import courier

ANN, DESK = "ann@acme.example", "support@tromzo.example"


def mail(subject: str, text: str, **headers: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"], made["Date"] = ANN, DESK, subject, format_datetime(NOW)
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


async def comes_in(server: MailSink, desk: Desk, sent: EmailMessage) -> int:
    """The customer's mail program sends it, and our mail server hands over what came, as docs/sources/mail.md has it."""

    def send() -> bytes:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as program:
            program.send_message(sent)
        return server.mails[-1][1].as_bytes()

    raw = await asyncio.to_thread(send)
    auth = {"authorization": f"Bearer {SECRET}", "content-type": "message/rfc822"}
    return (await desk.post("/hooks/mail/inbox", raw, auth)).status_code


async def test_a_customer_writes_is_answered_by_us_and_answers_us_in_one_ticket(tmp_path: Path) -> None:
    desk = Desk(Source(name="inbox", kind="mail", agents={DESK: "dana"}))
    with mail_sink() as ours, mail_sink() as theirs:
        assert await comes_in(ours, desk, mail("Nothing loads", "Blank.", Message_ID="<first@acme.example>")) == 202
        ((source, ticket, customer, opened),) = desk.door.words
        assert (source, customer, opened.event.event) == ("inbox", "acme", "opened")

        told = message("email", incident=f"incident/{source}/{ticket}", kind="acknowledgement")
        await courier(tmp_path, theirs).send(told)
        notice = theirs.mails[-1][1]
        references = f"{notice['References']} {notice['Message-ID']}"
        answer = {"In_Reply_To": str(notice["Message-ID"]), "References": references}
        said = mail("Re: Taken", "It is the login, too.", Message_ID="<second@acme.example>", **answer)
        assert await comes_in(ours, desk, said) == 202
        away = mail("Away", "Until Monday.", Message_ID="<third@acme.example>", Auto_Submitted="auto-replied", **answer)
        assert await comes_in(ours, desk, away) == 200

    assert {ticket for _, ticket, _, _ in desk.door.words} == {ticket}
    events = [word.event.event for *_, word in desk.door.words]
    assert events.count("customer_replied") == 1
