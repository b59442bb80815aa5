"""What a customer's subscriptions at Stripe mean for a contract line: pure, one rule a status.

Every subscription that owes money counts, also beside one that is paid. Of the rest, one that lives outdoes those that
never began, pause or are over.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from activities.calls import Outstanding
from activities.stripe import Invoice, Subscription
from sla.account_events import AccountDelivery, AccountEvent, ContractTerminated, PaymentCurrent, PaymentLapsed

LIVING: Final = frozenset({"active", "trialing"})
OWING: Final = frozenset({"past_due", "unpaid"})
UNBEGUN: Final = frozenset({"incomplete", "incomplete_expired"})
STATUSES: Final = LIVING | OWING | UNBEGUN | {"paused", "canceled"}
BY: Final = "stripe"
Standing = Literal["current", "lapsed", "terminated"]


@dataclass(frozen=True)
class Reading:
    """What was read of one link, at one moment: its subscriptions, and the invoices that matter, by id."""

    account: str
    at: datetime
    subscriptions: tuple[Subscription, ...]
    invoices: Mapping[str, Invoice] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a line is not current: what is unpaid or over, and since when."""

    reference: str
    since: datetime
    terminated: bool = False


def standing(reading: Reading) -> Standing | None:
    """How the line stands by what Stripe says; None: the customer has no subscription at all, so Stripe says nothing."""
    if not reading.subscriptions:
        return None
    why = reasons(reading)
    if not why:
        return "current"
    return "terminated" if any(reason.terminated for reason in why) else "lapsed"


def reasons(reading: Reading) -> tuple[Reason, ...]:
    """Why the line is not current; none: it is."""
    some = reading.subscriptions
    owing = [one for one in some if one.status in OWING]
    if owing:
        return tuple(_owed(reading, one) for one in owing)
    if any(one.status in LIVING for one in some):
        return ()
    paused = [one for one in some if one.status == "paused"]
    if paused:
        return tuple(_paused(reading, one) for one in paused)
    unbegun = [one for one in some if one.status == "incomplete"]
    if unbegun and not any(one.status == "canceled" for one in some):
        return tuple(_begun(reading, one) for one in unbegun)
    return _ended(reading)


def news(
    reading: Reading, line: str, outstanding: Iterable[Outstanding], *, prepaid: bool = False
) -> tuple[AccountDelivery, ...]:
    """What the account does not know yet, as events at their own times; read twice, they have the same keys.

    Only what Stripe itself said before is settled: a lapse that somebody entered, or another source told, stays.
    A line that is `prepaid` up to some day does not end before it: the end of its subscription is told as a lapse.
    """
    if not reading.subscriptions:
        return ()
    why = {reason.reference: reason for reason in reasons(reading)}
    known = {item.reference: item for item in outstanding if item.line == line and _ours(item.reference)}
    new = [reason for reason in why.values() if reason.reference not in known]
    words = [_told(reading, line, replace(one, terminated=one.terminated and not prepaid)) for one in new]
    for reference, item in known.items():
        paid = None if reference in why else _settled(reading, item)
        if paid is not None:
            event = PaymentCurrent(by=BY, line=line, reference=reference)
            key = f"{reference}/{line}/paid/{_stamp(item.since)}"
            words.append(_delivery(reading, key, paid, event))
    return tuple(words)


def wanted(account: str, subscriptions: Sequence[Subscription], outstanding: Iterable[Outstanding]) -> tuple[str, ...]:
    """The ids of the invoices that must be read beside the subscriptions: those of what is outstanding, and the latest."""
    latest = [one.latest for one in subscriptions if one.status != "canceled"]
    here = {one.latest_invoice.id for one in subscriptions if isinstance(one.latest_invoice, Invoice)}
    invoices = [id for item in outstanding if (id := _named(account, item.reference)[0]).startswith("in_")]
    return tuple(dict.fromkeys(id for id in (*latest, *invoices) if id is not None and id not in here))


def unexplained(reading: Reading) -> tuple[str, ...]:
    """The subscriptions that owe money for another invoice than their latest: all of theirs must be read."""
    owing = (one for one in reading.subscriptions if one.status in OWING)
    return tuple(one.id for one in owing if not _unpaid(reading.invoices.get(one.latest or "")))


def _owed(reading: Reading, one: Subscription) -> Reason:
    """The invoice that is unpaid: the latest, or, where that is a draft or paid, the oldest that is open.

    One that was given up counts only where none is open: it was settled when it was given up.
    """
    latest = reading.invoices.get(one.latest or "")
    some = [latest] if _unpaid(latest) else [i for i in reading.invoices.values() if i.of == one.id and _unpaid(i)]
    dated = sorted((i.status == "uncollectible", _lapsed_at(reading, i), i.id) for i in some if i is not None)
    if dated:
        _, since, id = dated[0]
        return Reason(f"stripe:{reading.account}:{id}", since)
    return Reason(f"stripe:{reading.account}:{one.id}:{one.status}:{one.latest or 'none'}", reading.at)


def _begun(reading: Reading, one: Subscription) -> Reason:
    """A first payment that was never made."""
    since = min(one.created or reading.at, reading.at)
    return Reason(f"stripe:{reading.account}:{one.latest or one.id + ':incomplete'}", since)


def _paused(reading: Reading, one: Subscription) -> Reason:
    """A trial that ended without a way to pay; each time it pauses has a name of its own."""
    stamp = f":{_stamp(one.trial_end)}" if one.trial_end else ""
    return Reason(f"stripe:{reading.account}:{one.id}:paused{stamp}", min(one.trial_end or reading.at, reading.at))


def _ended(reading: Reading) -> tuple[Reason, ...]:
    """The subscription that ended last; one that never began counts only where there is no other."""
    canceled = [one for one in reading.subscriptions if one.status == "canceled"]
    some = canceled or list(reading.subscriptions)
    at, id = max((_ended_at(reading, one), one.id) for one in some)
    return (Reason(f"stripe:{reading.account}:{id}", at, terminated=True),)


def _ended_at(reading: Reading, one: Subscription) -> datetime:
    invoice = reading.invoices.get(one.latest or "")
    voided = invoice.status_transitions.voided_at if invoice is not None else None
    return min(one.ended_at or one.canceled_at or voided or reading.at, reading.at)


def _unpaid(invoice: Invoice | None) -> bool:
    return invoice is not None and invoice.status in (None, "open", "uncollectible")


def _lapsed_at(reading: Reading, invoice: Invoice) -> datetime:
    told = invoice.due_date or invoice.status_transitions.finalized_at or invoice.created
    return min(told or reading.at, reading.at)


def _settled(reading: Reading, item: Outstanding) -> datetime | None:
    """When what was outstanding, and is no reason any more, was settled; None while it is not."""
    id, *state = _named(reading.account, item.reference)
    invoice, now = reading.invoices.get(id), standing(reading)
    if invoice is not None and invoice.status in ("paid", "void"):
        turned = invoice.status_transitions
        return turned.paid_at or turned.voided_at or _paid_since(reading, item.since)
    ended = id.startswith("sub_") and not state
    if ended:
        began = (one.created for one in reading.subscriptions if one.status not in UNBEGUN)
        later = [at for at in began if at is not None and at >= item.since]
        if later:
            return min(later)
    if now == "current":
        marked = invoice.status_transitions.marked_uncollectible_at if invoice is not None else None
        return marked or _paid_since(reading, item.since)
    # An end, or a state such as a pause, that is over: what holds instead has a name of its own.
    return reading.at if state or (ended and now == "lapsed") else None


def _paid_since(reading: Reading, since: datetime) -> datetime:
    """The first payment of a living subscription's latest invoice from then on, else now."""
    latest = (reading.invoices.get(one.latest or "") for one in reading.subscriptions if one.status in LIVING)
    paid = (
        invoice.status_transitions.paid_at for invoice in latest if invoice is not None and invoice.status == "paid"
    )
    return min((at for at in paid if at is not None and at >= since), default=reading.at)


def _told(reading: Reading, line: str, reason: Reason) -> AccountDelivery:
    event: AccountEvent
    if reason.terminated:
        why = "the subscription is over at Stripe"
        event = ContractTerminated(by=BY, line=line, reference=reason.reference, why=why)
    else:
        event = PaymentLapsed(by=BY, line=line, reference=reason.reference)
    # A moment that is but that of reading is no part of the key: read again, it would be another.
    stamp = f"/{_stamp(reason.since)}" if reason.since != reading.at else ""
    return _delivery(reading, f"{reason.reference}/{line}/{event.model_dump()['event']}{stamp}", reason.since, event)


def _delivery(reading: Reading, key: str, at: datetime, event: AccountEvent) -> AccountDelivery:
    told = {"key": key, "occurred_at": min(at, reading.at), "received_at": reading.at, "event": event}
    return AccountDelivery.model_validate(told)


def _ours(reference: str | None) -> bool:
    return reference is not None and reference.startswith("stripe:")


def _named(account: str, reference: str | None) -> list[str]:
    """What a reference of this account names, the object's id first; of another's, nothing."""
    parts = (reference or "").split(":")
    return parts[2:] if len(parts) >= 3 and parts[:2] == ["stripe", account] else [""]


def _stamp(at: datetime) -> int:
    return int(at.timestamp())


def unknown(subscriptions: Iterable[Subscription]) -> Iterator[str]:
    """Statuses that Stripe did not have when this was written."""
    return (one.status for one in subscriptions if one.status not in STATUSES)
