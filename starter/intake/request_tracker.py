"""Request Tracker 5: one transaction at a time from a scrip, or a ticket's whole history over REST 2, in one and the same shape.

RT tells each thing that happens to a ticket as a transaction with a number, by which it is the same by either door. RT reopens a
resolved ticket itself when somebody writes: the reply and the reopening are two transactions, and each counts for what it is.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, marked, moment, part, text_of, turned, word
from sla.signing import MOST_SIGNATURES, Hook, compare, in_window
from sla.source import Source, State

STATUSES: dict[str, State] = {
    "new": "open", "open": "open", "stalled": "waiting", "resolved": "resolved", "rejected": "closed", "deleted": "closed",
}  # fmt: skip
"""RT's own lifecycle; others name more."""
LEVELS = {0: "P3", 50: "P2", 100: "P1"}
"""RT keeps priorities as numbers: from each of these on (Low, Medium, High of its own settings), ours."""
NAMED = {"low": "P3", "medium": "P2", "high": "P1"}
SYSTEM = frozenset({"rt_system", "nobody"})
_OWNER = frozenset({"Take", "Steal", "Give", "Force", "Untake"})
_STAMP = re.compile(r"[0-9]{1,12}")


def verify(hook: Hook, secrets: Sequence[str]) -> None:
    """Whether our scrip signed it: `X-Pactkeeper-Signature: t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY`.

    Raises:
        BadSignature: it did not, or not within five minutes of now.
    """
    told = [
        one.strip().partition("=") for one in hook.header("x-pactkeeper-signature").split(",")[: MOST_SIGNATURES + 2]
    ]
    stamp = next((value for name, _, value in told if name == "t"), "")
    wanted = [
        hmac.new(one.encode(), stamp.encode() + b"." + hook.raw, hashlib.sha256).hexdigest().encode() for one in secrets
    ]
    compare(wanted, [value for name, _, value in told if name == "v1"] or [""])
    in_window(datetime.fromtimestamp(int(stamp), UTC) if _STAMP.fullmatch(stamp) else None, hook.received)


def read(body: Any, source: Source, received: datetime) -> Read:
    """What one transaction tells.

    Raises:
        Unusable: it names no ticket.
    """
    transaction = part(body, "transaction")
    kind = text_of(part(transaction, "type"), 100) or ""
    teller = _teller(part(body, "ticket"), text_of(part(transaction, "ticket"), 200), source, received)
    if not source.counts(teller.queue):
        return Read(ignored=f"the queue {teller.queue} is none of those that count", kind=kind)
    if not isinstance(transaction, Mapping) or text_of(transaction.get("id"), 100) is None or not kind:
        return Read((Told(teller.id, requester=teller.requester, look=True),), kind="thin")
    words = teller.words(transaction, teller.ticket.get("priority"))
    if not words and not teller.doubts:
        return Read(ignored=f"{kind} tells nothing here", kind=kind)
    return Read((teller.told(words),), kind=kind)


def story(ticket: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """A ticket with its whole history; None: its queue does not count.

    Raises:
        Unusable: it has no id.
    """
    teller = _teller(ticket.get("ticket"), None, source, received)
    if not source.counts(teller.queue):
        return None
    listed = ticket.get("transactions")
    mine = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    # What was merged into the ticket has its own id in each transaction, and is another ticket's story.
    mine = [one for one in mine if text_of(one.get("ticket"), 200) in (None, teller.id) and text_of(one.get("id"), 100)]
    first = next((one.get("old") for one in mine if _field(one) == ("Set", "Priority")), teller.ticket.get("priority"))
    words = [found for one in mine for found in teller.words(one, first)]
    return teller.told(words)


def _teller(ticket: Any, id: str | None, source: Source, received: datetime) -> "_Teller":
    found = id or text_of(part(ticket, "id"), 201)
    if found is None or len(found) > 200 or not isinstance(ticket, Mapping):
        raise Unusable("ticket.id is missing; RT's number of the ticket stands there", "ticket.id")
    return _Teller(found, ticket, source, received, [])


@dataclass(frozen=True)
class _Teller:
    """One ticket, whose transactions are told."""

    id: str
    ticket: Mapping[str, Any]
    source: Source
    received: datetime
    doubts: list[str]

    @property
    def queue(self) -> str | None:
        return text_of(self.ticket.get("queue"))

    @property
    def requestors(self) -> list[Any]:
        told = self.ticket.get("requestors")
        return told if isinstance(told, list) else []

    @property
    def requester(self) -> str | None:
        """The first requestor's address."""
        return next((email for one in self.requestors if (email := text_of(part(one, "email")))), None)

    def told(self, words: Sequence[Delivery]) -> Told:
        company = next((name for one in self.requestors if (name := text_of(part(one, "organization")))), None)
        return Told(self.id, tuple(words), self.requester, company, doubts=tuple(dict.fromkeys(self.doubts)))

    def words(self, transaction: Mapping[str, Any], first_priority: Any) -> list[Delivery]:
        """What a transaction tells: one event, or none."""
        creator = transaction.get("creator")
        name, email = text_of(part(creator, "name")), text_of(part(creator, "email"))
        content = text_of(transaction.get("content"), 20_000) or ""
        if transaction.get("type") == "Create":
            return [self._opened(transaction, content, first_priority)]
        if self.source.is_ours(name, email) or marked(content, public=transaction.get("type") == "Correspond"):
            return []
        system = (name or "").casefold() in SYSTEM
        by = None if system else self.source.agent(email, name)
        match _field(transaction):
            case ("Correspond" | "Comment" as kind, _):
                if system or transaction.get("automatic") in (True, 1, "1", "true"):
                    return []
                if self._is_customer(name, email, part(creator, "privileged")):
                    return self._word(transaction, event="customer_replied", by=email or name, body=content)
                return self._word(transaction, event="agent_replied", by=by, public=kind == "Correspond", body=content)
            case ("Status", _) | ("Set", "Status"):
                return self._status(transaction, by)
            case ("Set", "Priority"):
                to = self._priority(transaction.get("new"))
                return self._word(transaction, event="priority_changed", to=to, by=by) if to else []
            # Beside it RT writes the same as `SetWatcher`.
            case ("Set", "Owner"):
                return self._owner(transaction, by)
            case (kind, _) if kind in _OWNER:
                return self._owner(transaction, by)
            case ("AddLink", "MergedInto"):
                return self._word(transaction, event="closed", by=by)
        return []

    def _opened(self, transaction: Mapping[str, Any], content: str, priority: Any) -> Delivery:
        fields, name = part(self.ticket, "custom_fields"), self.source.product_field
        said = {
            "event": "opened",
            "by": self.requester,
            "priority": self._priority(priority),
            "channel": "email" if transaction.get("mail") in (True, 1, "1") else "ticket",
            "subject": text_of(self.ticket.get("subject"), 1000),
            "body": content,
            "product": self.source.product(text_of(part(fields, name))) if name else None,
        }
        at = moment(transaction.get("created"), self.received)
        return word(f"{self.source.name}:{self.id}:opened", at, self.received, **said)

    def _status(self, transaction: Mapping[str, Any], by: str | None) -> list[Delivery]:
        new, old = text_of(transaction.get("new")), text_of(transaction.get("old"))
        state = self.source.state(new, STATUSES)
        if state is None:
            self.doubts.append(
                f"nobody knows what the status {new} means; write it under `statuses` of {self.source.name}"
            )
        event = turned(state, self.source.state(old, STATUSES))
        return self._word(transaction, event=event, by=by) if event else []

    def _owner(self, transaction: Mapping[str, Any], by: str | None) -> list[Delivery]:
        name, email = (text_of(part(transaction, "owner", one)) for one in ("name", "email"))
        if not (name or email) or (name or "").casefold() in SYSTEM:
            return []
        to = self.source.agent(email, name)
        if to == by:
            return self._word(transaction, event="acknowledged", by=to)
        return self._word(transaction, event="assigned", to=to, by=by)

    def _word(self, transaction: Mapping[str, Any], **said: Any) -> list[Delivery]:
        key = f"{self.source.name}:{self.id}:txn:{text_of(transaction.get('id'), 100)}"
        return [word(key, moment(transaction.get("created"), self.received), self.received, **said)]

    def _is_customer(self, name: str | None, email: str | None, privileged: Any) -> bool:
        """A requestor, or whoever RT gives no rights of its staff; our own lists come first."""
        if self.source.is_customer(name, email):
            return True
        known = {one.casefold() for one in self.source.agents}
        given = {one.casefold() for one in (name, email) if one}
        if given & known:
            return False
        own = {
            text.casefold() for one in self.requestors for at in ("name", "email") if (text := text_of(part(one, at)))
        }
        return bool(given & own) or (privileged in (False, 0, "0", ""))

    def _priority(self, told: Any) -> str | None:
        """Ours of a priority, which RT keeps as a number: the one that begins at it or next below it."""
        name = text_of(told, 100)
        if name is None or not _STAMP.fullmatch(name):
            return self.source.priority(name, NAMED)
        own = {int(level): ours for level, ours in self.source.priorities.items() if _STAMP.fullmatch(level)}
        levels = own or LEVELS
        below = [level for level in levels if level <= int(name)]
        return levels[max(below)] if below else name


def _field(transaction: Mapping[str, Any]) -> tuple[str, str]:
    return text_of(transaction.get("type"), 100) or "", text_of(transaction.get("field"), 100) or ""


ADAPTER = Adapter(
    kind="request-tracker",
    title="Request Tracker",
    read=read,
    verify=verify,
    story=story,
    window=True,
    limit=1024 * 1024,
)
