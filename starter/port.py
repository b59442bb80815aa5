"""What the web intake needs of the engine and of the records: doors for words, and whether they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from activities.calls import Decision, Look
from records.dead_letters import Letter
from records.deliveries import DeliveryRecord
from sla.account_events import AccountDelivery
from sla.customer import ContractLine, Customer
from sla.events import Delivery


class Unavailable(Exception):
    """Temporal did not acknowledge: the sender must try again, and its delivery's key makes the word count once."""


class NotKept(Exception):
    """The records could not be asked or written: the sender must keep its word."""


class Dispatch(Protocol):
    """Each method returns only after Temporal acknowledged, and raises Unavailable where it did not."""

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        """Bring the words of one ticket to its incident; its workflow's id."""

    async def existing(self, incident: str, words: Sequence[Delivery]) -> str:
        """Bring words to the one incident of that workflow id; the id, or nothing where it does not run (any more)."""

    async def read_ticket(self, source: str, ticket: str) -> str:
        """Have a ticket read by its helpdesk's API; the id of the workflow that does."""

    async def account(self, customer: str, word: AccountDelivery) -> str:
        """Bring a payment event to the customer's account; its workflow's id."""

    async def look(self, customer: str, asked: Look) -> str:
        """Have the customer's account read its payments where they are kept; its workflow's id."""

    async def ready(self) -> None:
        """Whether Temporal answers."""


class Accounts(Protocol):
    """The customers' accounts as operators use them. Each method raises Unavailable where Temporal, or the worker, does not answer."""

    async def standing(self, customer: str) -> dict[str, Any] | None:
        """The account as it stands now, as `standing --json` prints it; None: the customer has none yet."""

    async def decide(self, customer: str, action: str, said: Decision, key: str) -> dict[str, Any]:
        """Carry out a decision, once a key; the account as it then stands. Raises RefusedDecision, NoAccount."""


class Customers(Protocol):
    """The customers, and where their payments are kept. Database errors are SQLAlchemy's own."""

    async def get(self, id: str) -> Customer | None:
        """The customer of that id."""

    async def linked(self, source: str, account: str, reference: str) -> Sequence[tuple[Customer, ContractLine]]:
        """Whose payments are kept under that customer's id there."""


class Letters(Protocol):
    """Where words are kept that can be brought to nobody. Database errors are SQLAlchemy's own."""

    async def put(self, letter: Letter) -> bool:
        """Keep it, unless one of that id is kept already."""


@dataclass(frozen=True, slots=True)
class BillingRecords:
    """What the billing hooks need of the records."""

    customers: Customers
    letters: Letters


class Log(Protocol):
    """Where what became of deliveries is noted, and by what a repetition is known."""

    def known(self, source: str, delivery: str, digest: str) -> Literal["new", "duplicate", "other"]:
        """Whether it was carried out before; `other`: the id was, with another body."""

    def note(self, record: DeliveryRecord) -> None:
        """Note what became of one; at once, and without fail."""


class Spool(Protocol):
    """Where words wait while Temporal does not answer."""

    async def put(
        self, source: str, ticket: str, customer: str, words: Sequence[Delivery | AccountDelivery], why: str,
        incident: str | None = None, delivery: str = "",
    ) -> None:  # fmt: skip
        """Keep them. `delivery`: the id under which the log has it. Raises SQLAlchemyError or OSError where the records fail as well."""
