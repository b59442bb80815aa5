"""Raw e-mail (`message/rfc822`), as a mail server hands it over: a thread is a ticket, a mail is what somebody said in it.

A thread is known by the reference that our own mails carry (`reference`), by `[#m…]` in the subject or `+m…` in an address, and
else by its first `Message-ID`. What a machine answered is nobody's word (RFC 3834).
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, cast

from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, moment, word
from sla.signing import bearer
from sla.source import Source
from starter.intake.mail_head import Head, both
from starter.intake.mail_machine import automatic, clicked
from starter.intake.mail_quotes import forwarded, forwards, own
from starter.intake.mail_text import text

PRIORITIES = {"high": "P1"}
"""What `Importance`, `X-Priority` and `Priority` come to; `low` counts for what the source's file says of it, and for no more."""
DAY = timedelta(days=1)
MOST_LINES = 200_000
_LONG = re.compile(
    rb"^content-(?:type|disposition):(?=[^\n]{2000}|[^\n]*\n[ \t])[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.IGNORECASE | re.MULTILINE,
)
"""Headers with so many parameters that the library would take hours over them."""
_OURS = re.compile(r"ticket\.(.{1,64})\.(m[0-9a-f]{16})@.+")
_TAG = re.compile(r"\[#(m[0-9a-f]{16})\]")
_PLUS = re.compile(r"\+(m[0-9a-f]{16})$")
_REWRITTEN = ("X-Original-From", "X-Original-Sender")
"""Where a mailing list that puts its own address into From tells whose mail it is."""


def read(body: Any, source: Source, received: datetime) -> Read:
    """What one mail tells.

    Raises:
        Unusable: it is no mail, or names no sender.
    """
    raw = body if isinstance(body, bytes) else b""
    if raw.count(b"\n") > MOST_LINES:
        raise Unusable(f"the mail has more than {MOST_LINES} lines")
    try:
        mail = message_from_bytes(
            _LONG.sub(lambda found: found[0] if len(found[0]) < 2000 else found[0][:2000] + b"\n", raw)
        )
        return _read(_Mail(mail, source, received))
    except (MessageError, RecursionError, ValueError, LookupError, TypeError, AttributeError):
        # What the library's reader of mails raises on odd ones is not written down anywhere.
        raise Unusable("the mail can't be taken apart") from None


def _read(mail: "_Mail") -> Read:
    if not mail.source.is_customer(mail.sender, mail.shown) and (
        why := automatic(mail.mail, mail.head, answers=bool(mail.parents or mail.marked))
    ):
        return Read(ignored=f"an automatic mail: {why}", kind="automatic")
    if mail.sender is None:
        raise Unusable("the mail names no sender in From; hand over the whole mail, from its first header on", "From")
    if mail.source.is_ours(mail.sender):
        return Read(ignored="our own mail", kind="own")
    if not mail.source.counts(*mail.recipients):
        return Read(ignored="none of its recipients is an address that counts", kind="mail")
    if click := clicked(mail.mail):
        return Read(ignored=click[0], kind=click[1])
    return Read((mail.told(),), kind="reply" if mail.parents else "mail")


@dataclass(frozen=True)
class _Mail:
    mail: "Message[str, str]"
    source: Source
    received: datetime

    @cached_property
    def head(self) -> Head:
        return Head(self.mail)

    @cached_property
    def shown(self) -> str | None:
        """Whose mail it says that it is."""
        return next(iter(self.head.addresses("From") or self.head.addresses("Sender")), None)

    @cached_property
    def sender(self) -> str | None:
        """Whose mail it is: what a mailing list, or a form on a web page, sends under an address of our own is an outsider's.

        By what such a mail says besides From, somebody may become a customer, and never one of the team: it is easily forged.
        """
        if self.shown is None or not self._is_channel(self.shown):
            return self.shown
        told = self.head.addresses(*_REWRITTEN) + self._answered_to + self.head.addresses("X-MailFrom")
        return next((one for one in told if not self._of_team(one)), self.shown)

    @property
    def _answered_to(self) -> list[str]:
        """To whom an answer goes; not where the team itself writes, to others, and wants the answer elsewhere."""
        wanted, to = self.head.addresses("Reply-To"), self.head.addresses("To", "Cc")
        listed = self.head.first("List-Id") or self.head.first("Mailing-list")
        return wanted if listed or all(one in wanted or self._of_team(one) for one in to) else []

    @property
    def recipients(self) -> list[str]:
        """All to whom it went, as far as the mail tells; also without what follows a `+`."""
        return both(self.head.addresses("To", "Cc", "Resent-To", "Resent-Cc") + self._mailbox)

    @property
    def parents(self) -> list[str]:
        """The ids of the mails before it in its thread, the first one first."""
        return self.head.ids("References") or self.head.ids("In-Reply-To")

    @property
    def id(self) -> str:
        """Its own id; where it has none, one that is made of what it says, the same each time it is handed over."""
        own_id = next(iter(self.head.ids("Message-ID")), None) or self.head.first("Message-ID").strip()
        if own_id:
            return own_id
        return "\n".join((*(self.head.first(name) for name in ("From", "Date", "Subject")), text(self.mail)))

    def told(self) -> Told:
        """The mail as somebody's word in its thread."""
        marked, forward = self.marked, forwards(self.head.line("Subject"))
        ticket = marked or _short(self.parents[0] if self.parents else self.id)
        key, reply = f"mail:{_short(self.id)}", bool(marked or self.parents)
        # A thread that we see for the first time in its middle has no opening but this; else the earliest one counts.
        opening = f"{key}:opened" if reply else "opened"
        said = text(self.mail)
        new = said if forward or not reply else own(said)
        if not self._of_team(self.sender):
            words = [self._word(ticket, key, event="customer_replied", by=self.sender, body=new)] if reply else []
            if not marked:
                words.append(self._opened(ticket, opening, self.sender, new))
            return Told(ticket, tuple(words), requester=self.sender)
        outside = [one for one in self.head.addresses("To", "Cc") if not self._of_team(one)]
        # What an agent sends on to the team is asked by whoever wrote it.
        sent_on = forwarded(said) if forward and not marked and not outside else []
        asks = next((one for one in sent_on if not self._of_team(one)), None)
        requester = asks or next(iter(outside), None)
        words = []
        if reply:
            by = self.source.agent(self.sender)
            words.append(self._word(ticket, key, event="agent_replied", by=by, public=bool(outside), body=new))
        if asks or not reply:
            words.append(self._opened(ticket, opening, requester, new))
        return Told(ticket, tuple(words), requester=requester)

    def _opened(self, ticket: str, key: str, by: str | None, said: str) -> Delivery:
        return self._word(
            ticket, key, event="opened", by=by, priority=self._priority(), channel="email",
            subject=self.head.line("Subject"), body=said,
        )  # fmt: skip

    def _word(self, ticket: str, key: str, **said: Any) -> Delivery:
        return word(f"{self.source.name}:{ticket}:{key}", self._at(), self.received, **said)

    def _at(self) -> datetime:
        """When it was written, unless its clock is more than a day off from when a mail server took it."""
        came = _date(self.head.first("Received").rpartition(";")[2])
        arrived = self.received if came is None else moment(came.isoformat(), self.received)
        written = _date(self.head.first("Date"))
        return arrived if written is None or abs(written - arrived) > DAY else written

    def _priority(self) -> str | None:
        told = {
            self.head.first("Importance").strip().lower(),
            self.head.first("X-Priority").strip()[:1],
            self.head.first("Priority").strip().lower(),
        }
        if told & {"high", "urgent", "1", "2"}:
            return self.source.priority("high", PRIORITIES)
        low = self.source.priority("low")
        return low if told & {"low", "non-urgent", "4", "5"} and low != "low" else None

    @cached_property
    def marked(self) -> str | None:
        """The ticket that our own mark names, wherever the mail carries it."""
        for parent in reversed(self.head.ids("References") + self.head.ids("In-Reply-To")):
            if (found := _OURS.fullmatch(parent)) and found[1] == self.source.name:
                return found[2]
        for address in self.head.addresses("To", "Cc") + self._mailbox:
            if found := _PLUS.search(address.partition("@")[0]):
                return found[1]
        tag = _TAG.search(self.head.line("Subject"))
        return tag[1] if tag else None

    def _of_team(self, address: str | None) -> bool:
        """Whether it is an agent's address, or one of our own."""
        return bool(address) and (
            self._is_channel(address or "")
            or any(one in self._agents or self.source.is_ours(one) for one in both([address or ""]))
        )

    def _is_channel(self, address: str) -> bool:
        """Whether it is an address to which people write for support."""
        return not self._channels.isdisjoint(both([address]))

    @cached_property
    def _agents(self) -> frozenset[str]:
        return frozenset(one.casefold() for one in self.source.agents)

    @cached_property
    def _channels(self) -> frozenset[str]:
        return frozenset(one.casefold() for one in (*self.source.channels, *both(self._mailbox)))

    @property
    def _mailbox(self) -> list[str]:
        """The address by which it reached us, as the mail server noted it."""
        return self.head.addresses("Delivered-To", "X-Original-To")


def _short(id: str) -> str:
    return f"m{hashlib.sha256(id.strip().encode('utf-8', 'replace')).hexdigest()[:16]}"


def _date(told: str) -> datetime | None:
    """A date as mails write it; one of an unknown zone (`-0000`) is UTC's."""
    try:
        at = cast("datetime | None", parsedate_to_datetime(told.strip()))
        return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


ADAPTER = Adapter(kind="mail", title="E-mail", read=read, verify=bearer, body="mail", limit=5 * 1024 * 1024)
