"""What can happen to a customer's account: lapses and payments, decisions about suspension, exceptions, a contract's end."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from sla.events import Envelope, Event, Text


class AccountEvent(Event):
    """What an event of a customer has: which contract line it is about; left out: every line that is not prepaid."""

    line: Text | None = None


class PaymentLapsed(AccountEvent):
    """The customer is no longer current with its payments (R12, X03)."""

    event: Literal["payment_lapsed"] = "payment_lapsed"
    reference: Text | None = None
    """What is unpaid, as the billing system names it: an invoice, a subscription."""


class PaymentCurrent(AccountEvent):
    """The customer has paid what was owed. With the reference of a lapse it settles that lapse alone, else every one."""

    event: Literal["payment_current"] = "payment_current"
    reference: Text | None = None


class SuspensionApproved(AccountEvent):
    """Somebody who may says that support is to be suspended while this lapse lasts (contracts that want an approval)."""

    event: Literal["suspension_approved"] = "suspension_approved"
    why: Text | None = None


class SuspensionDeclined(AccountEvent):
    """Somebody who may says that support goes on in spite of this lapse."""

    event: Literal["suspension_declined"] = "suspension_declined"
    why: Text | None = None


class ExceptionGranted(AccountEvent):
    """Support is given in spite of a suspension, until a moment: on whose word, and why ("break glass")."""

    event: Literal["exception_granted"] = "exception_granted"
    by: Text
    why: Text
    until: AwareDatetime


class ExceptionEnded(AccountEvent):
    """An exception ends before its time."""

    event: Literal["exception_ended"] = "exception_ended"
    why: Text | None = None


class ContractTerminated(AccountEvent):
    """The contract has ended: no support is due until the customer is current again."""

    event: Literal["contract_terminated"] = "contract_terminated"
    reference: Text | None = None
    why: Text | None = None


AnyAccountEvent = (
    PaymentLapsed
    | ContractTerminated
    | PaymentCurrent
    | SuspensionApproved
    | SuspensionDeclined
    | ExceptionGranted
    | ExceptionEnded
)
ACCOUNT_EVENTS: tuple[type[AccountEvent], ...] = AnyAccountEvent.__args__
"""In the order in which events of one and the same instant are taken: a payment after a lapse, in the customer's favour."""
ACCOUNT_EVENT_NAMES: tuple[str, ...] = tuple(kind.model_fields["event"].default for kind in ACCOUNT_EVENTS)


class AccountDelivery(Envelope):
    """One event of a customer on its way to its account."""

    event: Annotated[AnyAccountEvent, Field(discriminator="event")]


ACCOUNT_EVENT: TypeAdapter[Any] = TypeAdapter(Annotated[AnyAccountEvent, Field(discriminator="event")])
