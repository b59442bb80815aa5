"""Stripe's events, of which only so much is read: whose payments may have changed. The rest is asked of Stripe itself.

Neither the order of Stripe's events is given nor that all of them come, so none of them says how a customer stands.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MATTERS = frozenset(
    f"customer.subscription.{what}" for what in ("created", "updated", "deleted", "paused", "resumed")
) | frozenset(
    f"invoice.{what}"
    for what in (
        "finalized",
        "paid",
        "payment_succeeded",
        "payment_failed",
        "marked_uncollectible",
        "voided",
        "overdue",
    )
)
"""`invoice.paid` and `invoice.payment_succeeded` say the same; some senders send but one of them."""
MAX_ID = 200
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


class Unusable(Exception):
    """A body that Stripe signed and that tells nothing to go by; one sentence."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an event tells: its id and type, whose it is, when it was made; the subscription where it names one."""

    id: str
    kind: str
    customer: str
    subscription: str | None
    created: datetime | None

    @property
    def matters(self) -> bool:
        """Whether the customer's payments may have changed."""
        return self.kind in MATTERS


def id_of(body: dict[str, Any]) -> str | None:
    """The id of an event, if it is one."""
    return _id(body.get("id")) if isinstance(body.get("id"), str) else None


def kind_of(body: dict[str, Any]) -> str:
    """The type of an event, or what stands there, cut; for the log and a dead letter."""
    return str(body.get("type") or "")[:MAX_ID]


def told(body: dict[str, Any]) -> Told:
    """Read one event.

    Raises:
        Unusable: it has no id, no type, or (where it matters) no customer.
    """
    id, kind = id_of(body), body.get("type")
    if id is None:
        raise Unusable("the event has no id")
    if not isinstance(kind, str) or not 1 <= len(kind) <= MAX_ID:
        raise Unusable("the event has no type")
    made = _moment(body.get("created"))
    if kind not in MATTERS:
        return Told(id, kind, "", None, made)
    data = body.get("data")
    it = data.get("object") if isinstance(data, dict) else None
    if not isinstance(it, dict):
        raise Unusable("the event has no data.object")
    customer = _id(it.get("customer"))
    if customer is None:
        raise Unusable("data.object.customer is no id of a customer")
    return Told(id, kind, customer, _subscription(kind, it), made)


def _subscription(kind: str, it: dict[str, Any]) -> str | None:
    """A subscription's own id; an invoice's, where the version of the API puts it: until 2025 beside, since then below `parent`."""
    if kind.startswith("customer.subscription."):
        return _id(it.get("id"))
    parent = it.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, dict) else None
    return _id(it.get("subscription")) or _id(details.get("subscription") if isinstance(details, dict) else None)


def _id(value: Any) -> str | None:
    """An id, written out or as the `id` of the object that stands in its place."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
