"""The e-mail channel: one mail a message, the same `Message-ID` at every attempt, one thread an incident."""

import asyncio
import contextlib
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.headerregistry import Address as Mailbox
from email.headerregistry import HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from activities.mail_page import page
from activities.message import Address, ChannelRefused, ChannelUnavailable, Message, one_line
from activities.settings import CourierSettings
from activities.smtp import Conversation
from sla.intake import mail_reference

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")

_THREADS = ThreadPoolExecutor(16, "mail")
"""Of its own: a mail server that hangs must keep no name from being resolved, and no line out of the log."""

_headers = HeaderRegistry()
for _name in ("in-reply-to", "references"):
    # As free text, an id that is too long for one line would be written as an encoded word, and the thread be lost.
    _headers.map_to_type(_name, MessageIDHeader)  # type: ignore[arg-type]  # typeshed forgets its base class
_POLICY = SMTP.clone(header_factory=_headers, cte_type="7bit")


def mailbox(person: Address) -> Mailbox | None:
    """The person's mailbox, fit for a header and an envelope; None when their address is no such thing."""
    local, _, domain = (person.address or "").strip().rpartition("@")
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode()
    if len(local) > 64 or len(domain) > 253 or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        return None
    return Mailbox(display_name=one_line(person.name, 100), username=local, domain=domain)


def message_id(key: str, sender: str) -> str:
    """The `Message-ID` that follows from a message's key and the domain that sends it."""
    return f"<{_digest(key)}@{sender.rpartition('@')[2]}>"


def compose(message: Message, to: tuple[Mailbox, ...], sender: str, now: datetime) -> EmailMessage:
    """The mail as it goes out at `now`; it says that a machine wrote it (RFC 3834), so that no machine answers it."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = one_line(message.subject, 200)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = message_id(message.key, sender)
    mail["In-Reply-To"] = mail["References"] = thread_id(message.incident, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    lines = ("".join(c if c.isprintable() else " " for c in line).rstrip() for line in message.text.splitlines())
    mail.set_content("\n".join(lines) + "\n", charset="utf-8")
    mail.add_alternative(page(message), subtype="html", charset="utf-8")
    mail.set_boundary(f"=_{_digest(message.key)}")  # alike at every attempt, as the rest is
    return mail


def thread_id(incident: str, sender: str) -> str:
    """What all mails about one ticket refer to, so that they stand in one thread, and an answer to them finds the ticket."""
    what, *rest = incident.split("/")
    if what != "incident" or len(rest) < 2:
        return message_id(incident, sender)
    return mail_reference(rest[0], rest[1], sender.rpartition("@")[2])


async def send(settings: CourierSettings, message: Message, now: datetime) -> str:
    """Send the mail; gives a line for the receipt, which names the recipients for whom it was not taken.

    A server that puts off one recipient (4xx) gets the mail for all of them later, so that nobody gets it twice.

    Raises:
        ChannelUnavailable: the network, the time, the certificate, or a 4xx answer.
        ChannelRefused: a 5xx answer, a wrong password, or not one usable address.
    """
    server, sender = settings.smtp, settings.mail_from
    assert server is not None
    assert sender is not None
    boxes = {person.id: mailbox(person) for person in message.to}
    usable = {who: box for who, box in boxes.items() if box is not None}
    if not usable:
        raise ChannelRefused(f"{', '.join(boxes)} cannot be told by e-mail: no usable address is known")
    content = compose(message, tuple(usable.values()), sender, now).as_bytes()
    envelope = {who: box.addr_spec for who, box in usable.items()}
    conversation = Conversation(server, sender, envelope, content, settings.connect_seconds, settings.total_seconds)
    # The thread keeps to the time limit itself, but for a slow name server; then it is left alone, and sends nothing.
    work = asyncio.get_running_loop().run_in_executor(_THREADS, conversation.hold)
    work.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    try:
        async with asyncio.timeout(settings.total_seconds + 0.5):
            refused = await asyncio.shield(work)
    except TimeoutError:
        raise ChannelUnavailable(f"the mail server {server.place} did not answer in time") from None
    finally:
        conversation.call_off()
    left_out = [*(who for who in boxes if who not in usable), *refused]
    return f"taken by {server.place}" + (f", but not for {', '.join(left_out)}" if left_out else "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
