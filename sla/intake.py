"""What a delivery of a helpdesk comes to, whatever its format; and how one connected source's words map to ours.

An adapter (`starter/intake/`) turns one request, or one ticket read over a source's API, into `Told`: whose ticket it is and
which events it tells, with the source's own times, under keys that are the same by whatever door they come.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from sla.civil import parsed
from sla.customer import CustomerId, Name
from sla.events import INCIDENT_EVENT, Delivery
from sla.roster import MemberId

PAST = timedelta(days=400)
AHEAD = timedelta(hours=24)
OLDEST = timedelta(days=20 * 365)
"""No ticket is older: a time before that is nonsense, such as the epoch."""
WINDOW = timedelta(minutes=5)
"""How far a signed timestamp may lie from our clock, either way."""
MOST_SIGNATURES = 8
MARK = re.compile(r"\[pactkeeper:[0-9a-f]{16}\]")
"""What stands at the end of every note that we write into a helpdesk: by it our own echo is known."""

State = Literal["open", "waiting", "resolved", "closed", "ignored"]
"""What a helpdesk's status means: worked on; waiting on the customer; relief was given; over; nothing to us."""
Part = Literal["notes", "assignee", "priority", "due", "tags"]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def _plain(value: Any) -> Any:
    """YAML reads `1` as a number; as a name of the helpdesk's it is a text."""
    if isinstance(value, Mapping):
        return {str(name): one for name, one in value.items()}
    return value


Words = Annotated[dict[str, Short], BeforeValidator(_plain)]


class BadSignature(Exception):
    """The request is not from somebody who holds a secret; why is for our log, never for the sender."""


class Unusable(Exception):
    """Rightly signed, and nothing to go by: where (a path, or empty), and one sentence."""

    def __init__(self, sentence: str, path: str = "") -> None:
        super().__init__(sentence)
        self.sentence, self.path = sentence, path


class Source(BaseModel):
    """One connected helpdesk account, `policies/sources/NAME.yaml`: what it is, and what its words mean here.

    Names of priorities, statuses and products are compared without regard to case. What an adapter knows of its kind of
    helpdesk holds where nothing is said here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    """Part of the incidents' ids and of the hook's address: `/hooks/KIND/NAME`."""
    kind: Name
    """Which adapter reads it: zendesk, freshdesk, jira, …"""
    title: str = ""
    url: str | None = None
    """Where its API is, such as https://acme.zendesk.com; left out: it is not read, nor written to."""
    customer: CustomerId | None = None
    """Whose a ticket is when nothing else tells; left out: nobody's, and it is put in the triage queue."""
    domains: dict[str, CustomerId] = {}
    """Customers by the requester's e-mail domain, before those of the customers' own records."""
    organisations: Annotated[dict[str, CustomerId], BeforeValidator(_plain)] = {}
    """Customers by the source's id or name of their organisation, before anything else."""
    priorities: Words = {}
    """Its priorities to ours."""
    statuses: Annotated[dict[str, State], BeforeValidator(_plain)] = {}
    products: Words = {}
    """Its products, request types or components to ours."""
    product_field: Short | None = None
    """The name of its field that tells the product, such as `customfield_10010`."""
    agents: Annotated[dict[str, MemberId], BeforeValidator(_plain)] = {}
    """Its agents, by id or e-mail address, to the members of our team."""
    customers: frozenset[str] = frozenset()
    """Ids or addresses of people who count as customers though the source takes them for agents."""
    ours: tuple[Short, ...] = ()
    """Ids or addresses of the user as which we write: what it does is our own echo."""
    channels: tuple[Short, ...] = ()
    """Which of its channels, queues, projects or groups count; left out: all."""
    writes: tuple[Part, ...] = ()
    """What is written back; left out: nothing."""
    due_field: Short | None = None
    """The name of its field for the next due time, where it has none of its own."""
    reconcile_minutes: Annotated[int, Field(ge=0, le=1440)] = 5
    """How often its API is asked for what its webhooks missed; 0: never."""
    quiet_hours: Annotated[int, Field(ge=0, le=8760)] = 24
    """After so many hours without a word from it somebody is told; 0: never."""

    def priority(self, told: str | None, known: Mapping[str, str] = {}) -> str | None:
        """Our name of a priority; one that nobody knows goes on as it is, and the incident counts it as the most urgent."""
        return (
            None if not told or not told.strip() else (_of(self.priorities, told) or _of(known, told) or told.strip())
        )

    def state(self, told: str | None, known: Mapping[str, State]) -> State | None:
        """What a status means; None: nobody knows."""
        found: State | None = _of(self.statuses, told) or _of(known, told)
        return found

    def product(self, told: str | None) -> str | None:
        """Our name of a product."""
        return None if not told or not told.strip() else (_of(self.products, told) or told.strip()[:200])

    def agent(self, *ids: str | None) -> str | None:
        """The member of our team that is one of these ids or addresses; else the first of them, as it is."""
        given = [id for id in ids if id]
        found = next((name for id in given if (name := _of(self.agents, id))), None)
        return found or (given[0][:320] if given else None)

    def is_customer(self, *ids: str | None) -> bool:
        """Whether somebody counts as a customer by our own word."""
        known = {one.casefold() for one in self.customers}
        return any(id and id.casefold() in known for id in ids)

    def is_ours(self, *ids: str | None) -> bool:
        """Whether it is we ourselves who did it."""
        known = {one.casefold() for one in self.ours}
        return any(id and id.casefold() in known for id in ids)

    def counts(self, *channels: str | None) -> bool:
        """Whether that channel, queue, project or group is one of those that count."""
        known = {one.casefold() for one in self.channels}
        return not known or any(one and one.casefold() in known for one in channels)


def _of(names: Mapping[str, Any], told: str | None) -> Any:
    wanted = (told or "").strip().casefold()
    return next((value for name, value in names.items() if name.casefold() == wanted), None)


@dataclass(frozen=True, slots=True)
class Hook:
    """One request as it came: header names in lower case, the raw bytes of its body, when it came."""

    headers: Mapping[str, str]
    raw: bytes
    received: datetime

    def header(self, name: str) -> str:
        """A header, empty where there is none."""
        return self.headers.get(name, "")


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


def compare(wanted: Iterable[bytes], given: Sequence[str]) -> None:
    """Whether one of the signatures given is one of those wanted; every pair is compared, so that the time tells nothing.

    Raises:
        BadSignature: none fits, or there are too many.
    """
    if len(given) > MOST_SIGNATURES:
        raise BadSignature("too many signatures")
    told = [one.encode("utf-8", "replace") for one in given]
    fits = [hmac.compare_digest(one, other) for one in wanted for other in told]
    if not any(fits):
        raise BadSignature("no signature fits")


def bearer(hook: Hook, secrets: Sequence[str]) -> None:
    """For sources that can't sign: a secret as `Authorization: Bearer …`, as the password of `Basic`, or as `X-Pactkeeper-Token`.

    Raises:
        BadSignature: none of them is one.
    """
    scheme, _, told = hook.header("authorization").partition(" ")
    given = [hook.header("x-pactkeeper-token")]
    if scheme.lower() == "bearer":
        given.append(told.strip())
    elif scheme.lower() == "basic":
        try:
            pair = base64.b64decode(told.strip(), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            pair = ""
        given += list(pair.partition(":")[::2])
    compare([secret.encode() for secret in secrets], [one for one in given if one] or [""])


def in_window(stamp: datetime | None, now: datetime) -> None:
    """Whether a signed timestamp is near enough.

    Raises:
        BadSignature: it is missing, or more than five minutes away, either way.
    """
    if stamp is None or abs((now - stamp).total_seconds()) > WINDOW.total_seconds():
        raise BadSignature("the timestamp is missing or outside the window")


def nudge_id(hook: Hook) -> str:
    """The id of a delivery whose body reads the same for each change of a ticket: its digest, and its second.

    By the body alone the second change within minutes would pass for a repetition of the first; a repetition that is taken
    for a change is looked at once more, and nothing comes of it.
    """
    return f"{hashlib.sha256(hook.raw).hexdigest()[:24]}-{hook.received.astimezone(UTC):%Y%m%dT%H%M%S}"


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


def marked(text: str | None) -> bool:
    """Whether it is a note that we wrote ourselves."""
    return bool(MARK.search(text or ""))


def mail_reference(source: str, ticket: str, domain: str) -> str:
    """The id that our own mails about a ticket carry in `References` (RFC 5322), so that an answer to them finds it."""
    return f"<ticket.{source}.{ticket}@{domain}>"


def beginning(text: str | None) -> str:
    """How a text begins, without empty lines and at most 400 characters: over more a pattern may be at work for hours."""
    lines = (line.strip() for line in (text or "")[:4000].split("\n"))
    return "\n".join(line for line in lines if line)[:400]


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
