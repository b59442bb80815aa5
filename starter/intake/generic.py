"""The generic sources: one event of a story as a body, for helpdesks and billing systems that can be taught to send it.

{"ticket": "4711", "event": "opened", "at": "2031-07-11T16:00:00-07:00", "priority": "P1", "by": "ann@acme.example"}
{"event": "payment_lapsed", "at": "2031-07-12T09:00:00Z"}
{"customer": "acme", "event": "payment_lapsed", "at": "2031-07-12T09:00:00Z", "reference": "INV-77"}
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from sla.account_events import ACCOUNT_EVENT, ACCOUNT_EVENT_NAMES, ACCOUNT_EVENTS, AccountDelivery
from sla.events import EVENT_NAMES, INCIDENT_EVENT, INCIDENT_EVENTS, Delivery

PAST = timedelta(days=400)
AHEAD = timedelta(hours=24)
ENVELOPE = ("ticket", "event", "at", "occurred_at", "received", "customer")
BILLING_EVENTS = ("payment_lapsed", "payment_current", "contract_terminated")
"""What a billing system knows. Approvals and exceptions are an operator's word, and no hook takes them."""
MAX_CUSTOMER = 120


class Unreadable(Exception):
    """A body that is no event: the field's path, and one sentence that says what is wrong and what is allowed."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(sentence)
        self.path, self.sentence = path, sentence


@dataclass(frozen=True, slots=True)
class Word:
    """What a body says: a ticket's word, or (`ticket` None) one of the customer's account."""

    ticket: str | None
    delivery: Delivery | AccountDelivery


def word(body: dict[str, Any], customer: str, key: str, received: datetime) -> Word:
    """Read one body. The customer is the one whose secret signed it.

    Raises:
        Unreadable: it is no event.
    """
    ticket = _ticket(body)
    named = body.get("customer")
    if named is not None and named != customer:
        raise Unreadable("customer", f"customer is {_shown(named)}, but the hook is {customer}'s; leave it out")
    fields = {field: value for field, value in body.items() if field not in ENVELOPE}
    envelope: dict[str, Any] = {"key": key, "occurred_at": _at(body, received), "received_at": received}
    if ticket is None:
        return Word(None, AccountDelivery(**envelope, event=_event(ACCOUNT_EVENT, _billing(body), fields)))
    name = body.get("event")
    if name not in EVENT_NAMES:
        raise Unreadable("event", f"event is {_shown(name)}; write one of: {', '.join(EVENT_NAMES)}")
    return Word(ticket, Delivery(**envelope, event=_event(INCIDENT_EVENT, str(name), fields)))


def payer(body: dict[str, Any]) -> str:
    """Whose payments the body of a billing system is about.

    Raises:
        Unreadable: it names nobody.
    """
    told = body.get("customer")
    if not isinstance(told, str) or not 1 <= len(told.strip()) <= MAX_CUSTOMER:
        raise Unreadable(
            "customer", f"customer is {_shown(told)}; write the customer's id, 1 to {MAX_CUSTOMER} characters"
        )
    return told.strip()


def payment(body: dict[str, Any], source: str, key: str, received: datetime) -> AccountDelivery:
    """Read the body of a billing system. Its reference gets the source's name before it: no source settles another's.

    Raises:
        Unreadable: it is no event of a billing system.
    """
    payer(body)
    fields = {field: value for field, value in body.items() if field not in ("customer", "event", "at", "occurred_at")}
    reference = fields.get("reference")
    if isinstance(reference, str) and reference.strip():
        fields["reference"] = f"{source}:{reference.strip()}"
    event = _event(ACCOUNT_EVENT, _billing(body), {"by": source, **fields})
    return AccountDelivery(key=key, occurred_at=_at(body, received), received_at=received, event=event)


def _billing(body: dict[str, Any]) -> str:
    name = body.get("event")
    if name in BILLING_EVENTS:
        return str(name)
    allowed = ", ".join(BILLING_EVENTS)
    if name in ACCOUNT_EVENT_NAMES:
        raise Unreadable("event", f"event is {_shown(name)}, which is for operators alone; a hook takes: {allowed}")
    also = "" if name not in EVENT_NAMES else "; an event of a ticket needs `ticket`"
    raise Unreadable("event", f"event is {_shown(name)}; write one of: {allowed}{also}")


def _ticket(body: dict[str, Any]) -> str | None:
    ticket = body.get("ticket")
    if ticket is None:
        return None
    if isinstance(ticket, bool) or not isinstance(ticket, str | int) or not 1 <= len(str(ticket).strip()) <= 200:
        raise Unreadable("ticket", f"ticket is {_shown(ticket)}; write its number or name, 1 to 200 characters")
    return str(ticket).strip()


def _at(body: dict[str, Any], received: datetime) -> datetime:
    path = "occurred_at" if "occurred_at" in body else "at"
    told = body.get(path)
    if told is None:
        return received
    try:
        at = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Unreadable(
            path, f"{path} is {_shown(told)}; write a time with its offset or Z, such as 2031-07-11T16:00:00Z"
        )
    try:
        too_old, too_new = at < received - PAST, at > received + AHEAD
    except OverflowError:
        too_old = too_new = True
    if too_old or too_new:
        raise Unreadable(path, f"{path} is {_shown(told)}; it may lie 400 days back and 24 hours ahead")
    return at


def _event(adapter: Any, name: str, fields: dict[str, Any]) -> Any:
    try:
        return adapter.validate_python({"event": name, **fields}, strict=None)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"] if part != name) or name
        if first["type"] == "extra_forbidden":
            raise Unreadable(
                path, f"{path} is no field of {name}; allowed: {', '.join(_allowed(name)) or 'none'}"
            ) from None
        if first["type"] == "missing":
            raise Unreadable(path, f"{name} has no {path}; add it") from None
        said = first["msg"]
        raise Unreadable(path, f"{path} cannot be taken: {said[:1].lower()}{said[1:]}") from None


def _allowed(name: str) -> list[str]:
    kinds = (*INCIDENT_EVENTS, *ACCOUNT_EVENTS)
    kind = next((kind for kind in kinds if kind.model_fields["event"].default == name), None)
    fields = {"by": None} if kind is None else kind.model_fields
    return sorted(getattr(field, "alias", None) or given for given, field in fields.items() if given != "event")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
