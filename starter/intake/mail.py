"""Raw e-mail (`message/rfc822`), as a mail server hands it over: a thread is a ticket, a mail is what somebody said in it.

A thread is known by the reference that our own mails carry (`reference`), by `[#m…]` in the subject or `+m…` in an address, and
else by its first `Message-ID`. What a machine answered is nobody's word (RFC 3834).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any, cast

from sla.automatic import automatic_subject
from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, moment, word
from sla.signing import bearer
from sla.source import Source
from starter.intake.mail_text import MOST_HEADER, header, line, own, text

PRIORITIES = {"high": "P1"}
"""What `Importance`, `X-Priority` and `Priority` come to; `low` counts for what the source's file says of it, and for no more."""
DAY = timedelta(days=1)
MOST_ADDRESSES = 100
MOST_LINES = 200_000
_LONG = re.compile(
    rb"^content-(?:type|disposition):(?=[^\n]{2000}|[^\n]*\n[ \t])[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.IGNORECASE | re.MULTILINE,
)
"""Headers with so many parameters that the library would take hours over them."""
_ID = re.compile(r"<([^<>\s]{1,900})>")
_OURS = re.compile(r"ticket\.(.{1,64})\.(m[0-9a-f]{16})@.+")
_TAG = re.compile(r"\[#(m[0-9a-f]{16})\]")
_PLUS = re.compile(r"\+(m[0-9a-f]{16})$")
_ADDRESS = re.compile(r"[^@\s<>()\[\]\\,;:\"]+@[^@\s<>()\\,;:\"]+")
_MACHINE = frozenset({"mailer-daemon", "postmaster", "mail-daemon"})
_BULK = frozenset({"bulk", "junk", "auto_reply", "auto-reply"})


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
    if mail.sender is None and not mail.empty_sender:
        raise Unusable("the mail names no sender in From; hand over the whole mail, from its first header on", "From")
    if mail.sender is None or (why := mail.automatic()):
        return Read(ignored=f"an automatic mail: {why if mail.sender else 'its sender is empty'}", kind="automatic")
    if mail.source.is_ours(mail.sender):
        return Read(ignored="our own mail", kind="own")
    if not mail.source.counts(*mail.recipients):
        return Read(ignored="none of its recipients is an address that counts", kind="mail")
    return Read((mail.told(),), kind="reply" if mail.parents else "mail")


@dataclass(frozen=True)
class _Mail:
    mail: "Message[str, str]"
    source: Source
    received: datetime

    @property
    def sender(self) -> str | None:
        """Whose mail it is."""
        return next(iter(self._addresses("From") or self._addresses("Sender")), None)

    @property
    def empty_sender(self) -> bool:
        """Whether it says that it has no sender, as what comes from a mail server itself does."""
        return "<>" in (self._raw("From").replace(" ", ""), self._raw("Return-Path").replace(" ", ""))

    @property
    def recipients(self) -> list[str]:
        """All to whom it went, as far as the mail tells; also without what follows a `+`."""
        return self._both(self._addresses("To", "Cc", "Resent-To", "Resent-Cc") + self._mailbox)

    @property
    def parents(self) -> list[str]:
        """The ids of the mails before it in its thread, the first one first."""
        return _ID.findall(self._raw("References")) or _ID.findall(self._raw("In-Reply-To"))

    @property
    def id(self) -> str:
        """Its own id; where it has none, one that is made of what it says, the same each time it is handed over."""
        own_id = next(iter(_ID.findall(self._raw("Message-ID"))), None) or self._raw("Message-ID").strip()
        if own_id:
            return own_id
        return "\n".join((self._raw("From"), self._raw("Date"), self._raw("Subject"), text(self.mail)))

    def automatic(self) -> str | None:
        """Why it is a machine's and no person's; None where it is a person's, or somebody's who counts all the same."""
        if self.source.is_customer(self.sender):
            return None
        submitted = self._raw("Auto-Submitted").partition(";")[0].strip().lower()
        suppressed = {one.strip().lower() for one in self._raw("X-Auto-Response-Suppress").split(",")}
        local = (self.sender or "").partition("@")[0].lower()
        signs = {
            f"Auto-Submitted is {line(submitted)[:40]}": submitted not in ("", "no"),
            "it is a report on another mail": self.mail.get_content_type() == "multipart/report",
            "its Return-Path is empty": self._raw("Return-Path").replace(" ", "") == "<>",
            "it is from a mail server": local in _MACHINE,
            "its Precedence is that of bulk mail": self._raw("Precedence").strip().lower() in _BULK,
            "it says that it wants no automatic answer": bool(suppressed & {"all", "oof", "autoreply"}),
            "it calls itself an automatic answer": any(
                self._raw(name).strip().lower() not in ("", "no", "false")
                for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-FC-MachineGenerated")
            ),
            "its subject is that of an absence": bool(self.parents)
            and not submitted
            and automatic_subject(header(self.mail, "Subject")),
        }
        return next((why for why, shown in signs.items() if shown), None)

    def told(self) -> Told:
        """The mail as somebody's word in its thread."""
        marked = self._marked()
        ticket = marked or _short(self.parents[0] if self.parents else self.id)
        key = f"mail:{_short(self.id)}"
        said, reply = text(self.mail), bool(marked or self.parents)
        outside = [one for one in self._addresses("To", "Cc") if not self._of_team(one)]
        if not self._of_team(self.sender):
            words = [self._reply(ticket, key, said)] if reply else []
            # A thread that we see for the first time in its middle has no opening but this; else the earliest one counts.
            if not marked:
                words.append(
                    self._opened(
                        ticket, f"{key}:opened" if reply else "opened", self.sender, own(said) if reply else said
                    )
                )
            return Told(ticket, tuple(words), requester=self.sender)
        requester = outside[0] if outside else None
        if not reply:
            return Told(ticket, (self._opened(ticket, "opened", requester, said),), requester=requester)
        public = bool(outside)
        answer = self._word(
            ticket, key, event="agent_replied", by=self.source.agent(self.sender), public=public, body=own(said)
        )
        return Told(ticket, (answer,), requester=requester)

    def _reply(self, ticket: str, key: str, said: str) -> Delivery:
        return self._word(ticket, key, event="customer_replied", by=self.sender, body=own(said))

    def _opened(self, ticket: str, key: str, by: str | None, said: str) -> Delivery:
        return self._word(
            ticket, key, event="opened", by=by, priority=self._priority(), channel="email",
            subject=header(self.mail, "Subject"), body=said,
        )  # fmt: skip

    def _word(self, ticket: str, key: str, **said: Any) -> Delivery:
        return word(f"{self.source.name}:{ticket}:{key}", self._at(), self.received, **said)

    def _at(self) -> datetime:
        """When it was written, unless its clock is more than a day off from when a mail server took it."""
        came = _date(next(iter(self._all("Received")), "").rpartition(";")[2])
        arrived = self.received if came is None else moment(came.isoformat(), self.received)
        written = _date(self._raw("Date"))
        return arrived if written is None or abs(written - arrived) > DAY else written

    def _priority(self) -> str | None:
        told = {
            self._raw("Importance").strip().lower(),
            self._raw("X-Priority").strip()[:1],
            self._raw("Priority").strip().lower(),
        }
        if told & {"high", "urgent", "1", "2"}:
            return self.source.priority("high", PRIORITIES)
        low = self.source.priority("low")
        return low if told & {"low", "non-urgent", "4", "5"} and low != "low" else None

    def _marked(self) -> str | None:
        """The ticket that our own mark names, wherever the mail carries it."""
        for parent in reversed(_ID.findall(self._raw("References")) + _ID.findall(self._raw("In-Reply-To"))):
            if (found := _OURS.fullmatch(parent)) and found[1] == self.source.name:
                return found[2]
        for address in self._addresses("To", "Cc") + self._mailbox:
            if found := _PLUS.search(address.partition("@")[0]):
                return found[1]
        tag = _TAG.search(header(self.mail, "Subject"))
        return tag[1] if tag else None

    def _of_team(self, address: str | None) -> bool:
        """Whether it is an agent's address, or one of our own."""
        agents = {one.casefold() for one in self.source.agents}
        own_addresses = {*agents, *(one.casefold() for one in (*self.source.channels, *self._both(self._mailbox)))}
        return bool(address) and any(
            one in own_addresses or self.source.is_ours(one) for one in self._both([address or ""])
        )

    @property
    def _mailbox(self) -> list[str]:
        """The address by which it reached us, as the mail server noted it."""
        return self._addresses("Delivered-To", "X-Original-To")

    def _both(self, addresses: Sequence[str]) -> list[str]:
        return [*addresses, *(re.sub(r"\+[^@]*@", "@", one) for one in addresses if "+" in one)]

    def _addresses(self, *names: str) -> list[str]:
        """The addresses in some headers, in lower case; what is no address is left out."""
        told = [value for name in names for value in self._all(name)]
        try:
            found = getaddresses(told)[:MOST_ADDRESSES]
        except (IndexError, ValueError, TypeError):
            return []
        return [one.lower()[:320] for _, one in found if _ADDRESS.fullmatch(one)]

    def _raw(self, name: str) -> str:
        return next(iter(self._all(name)), "")

    def _all(self, name: str) -> list[str]:
        return [str(one)[:MOST_HEADER].replace("\r", " ").replace("\n", " ") for one in self.mail.get_all(name) or []]


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
