"""What a delivery of a helpdesk comes to, whatever its format; and how one connected source's words map to ours.

An adapter (`starter/intake/`) turns one request, or one ticket read over a source's API, into `Told`: whose ticket it is and
which events it tells, with the source's own times, under keys that are the same by whatever door they come.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import ValidationError

from sla.civil import parsed
from sla.events import INCIDENT_EVENT, Delivery
from sla.signing import Hook
from sla.source import Source, State

PAST = timedelta(days=400)
AHEAD = timedelta(hours=24)
OLDEST = timedelta(days=20 * 365)
"""No ticket is older: a time before that is nonsense, such as the epoch."""
MARK = re.compile(r"\[pactkeeper:[0-9a-f]{16}\]")
"""What stands at the end of every note that we write into a helpdesk: by it our own echo is known."""


class Unusable(Exception):
    """Rightly signed, and nothing to go by: where (a path, or empty), and one sentence."""

    def __init__(self, sentence: str, path: str = "") -> None:
        super().__init__(sentence)
        self.sentence, self.path = sentence, path


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one ticket."""

    ticket: str
    words: tuple[Delivery, ...] = ()
    requester: str | None = None
    """The e-mail address of who asks for support."""
    organisation: str | None = None
    """The source's own id or name of their company."""
    customer: str | None = None
    """Our id of the customer, where the source itself says it."""
    doubts: tuple[str, ...] = ()
    """What of it nobody here knows, such as a status: one sentence each, for the triage queue."""
    look: bool = False
    """The delivery is too thin: the ticket is to be read over the source's API."""
    incident: str | None = None
    """The workflow's id of the one incident that the words are for, which must be there: they open none."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a delivery comes to. Nothing told and nothing `ignored` is never so: one of them says what became of it."""

    told: tuple[Told, ...] = ()
    ignored: str | None = None
    """Why it tells us nothing: a type of event that does not matter, our own echo, an automatic answer."""
    kind: str = ""
    """The type of event, as the source calls it."""
    answer: str | None = None
    """What the sender wants to hear, as plain text, such as a challenge at set-up."""


@dataclass(frozen=True)
class Adapter:
    """How one kind of source is read. Each module of `starter/intake/` has one, called `ADAPTER`; all of it is pure."""

    kind: str
    title: str
    """What people call it: Zendesk, Jira Service Management."""
    read: Callable[[Any, Source, datetime], Read]
    """A body (JSON as Python has it; for `mail` the raw bytes) into what it tells. Raises Unusable, and nothing else."""
    verify: Callable[[Hook, Sequence[str]], None]
    """Whether one of the active secrets made it, in constant time. Raises BadSignature, and nothing else."""
    delivery_id: Callable[[Hook], str] = lambda hook: ""
    """The id of the delivery, the same over retries, where its headers tell one; else empty."""
    story: Callable[[dict[str, Any], Source, datetime], Told | None] | None = None
    """A ticket as its API client hands it over into all that it tells; None: it is none of ours. Raises Unusable."""
    body: Literal["json", "form", "mail"] = "json"
    """`form`: a form whose field `payload` holds the JSON."""
    limit: int = 1024 * 1024
    """Bytes."""
    secret_in_path: bool = False
    """Its webhooks can carry no header: the last part of the address is the secret."""
    taken: int = 202
    """The status that tells the sender that we have it; some want 200 and nothing else."""
    window: bool = False
    """Whether its signature covers a timestamp, so that an old delivery is refused."""


def moment(told: Any, received: datetime, *, unit: Literal["s", "ms"] = "s") -> datetime:
    """An instant as a source writes it: ISO 8601 with its offset (`Z`, `+00:00`, `+0000`), or a number since the epoch.

    What can't be read, carries no offset, or lies absurdly far off (20 years back, 24 hours ahead) counts as `received`.
    What lies more than 400 days back counts as that old, in the order in which it happened: an old ticket's last word must
    not come before its first.
    """
    at: datetime | None = None
    try:
        if isinstance(told, str) and told.strip():
            at = datetime.fromisoformat(told.strip())
        elif isinstance(told, int | float) and not isinstance(told, bool):
            at = datetime.fromtimestamp(told / (1000 if unit == "ms" else 1), UTC)
        if at is None or at.tzinfo is None or not received - OLDEST <= at <= received + AHEAD:
            return received
        if at < received - PAST:
            return received - PAST - (received - PAST - at) / 10_000  # within that day, and in order
    except (ValueError, OverflowError, OSError):
        return received
    return at


def second(told: Any) -> datetime | None:
    """An instant to the second, in UTC, for keys that several doors must write alike; None for what tells none."""
    at = parsed(told)
    try:
        return None if at is None else at.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        return None


def in_key(told: Any) -> str:
    """The same, as it stands in a key."""
    at = second(told)
    return at.strftime("%Y%m%dT%H%M%SZ") if at else "unknown"


def word(key: str, at: datetime, received: datetime, **said: Any) -> Delivery:
    """One event of a ticket under its key. What is None, or an empty text, is left out.

    Raises:
        Unusable: it is no event.
    """
    given = {name: value for name, value in said.items() if value is not None and value != ""}
    try:
        event = INCIDENT_EVENT.validate_python(given)
        return Delivery.model_validate({"key": key[:500], "occurred_at": at, "received_at": received, "event": event})
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise Unusable(f"{said.get('event')} can't be read at {where}", where) from None


def turned(state: State | None, before: State | None = None) -> str | None:
    """The event that a status makes, coming from another where that is known; None: none.

    A ticket that is opened again after it was resolved or closed, or that waits no more, is `reopened`.
    """
    match state:
        case "waiting":
            return "waiting_on_customer"
        case "resolved" | "closed":
            return state
        case "open":
            return "reopened" if before in ("waiting", "resolved", "closed") else None
    return None


def marked(text: str | None, *, public: bool) -> bool:
    """Whether it is a note that we wrote ourselves: our mark ends it. What the customer sees is none, though it may quote one."""
    last = next((line.strip() for line in reversed((text or "").splitlines()) if line.strip()), "")
    return not public and bool(MARK.search(last)) and not last.startswith(">")


def mail_reference(source: str, ticket: str, domain: str) -> str:
    """The id that our own mails about a ticket carry in `References` (RFC 5322), so that an answer to them finds it."""
    return f"<ticket.{source}.{ticket}@{domain}>"


def text_of(value: Any, limit: int = 320) -> str | None:
    """A text, trimmed and cut; a whole number as one; None for whatever else, and for nothing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return value.strip()[:limit] or None if isinstance(value, str) else None


def part(value: Any, *path: str) -> Any:
    """What lies under a path of keys; None where there is no such thing."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
