"""What the web intake needs of the engine: a door for words, and whether it answers."""

from collections.abc import Sequence
from typing import Protocol

from sla.events import AccountDelivery, Delivery


class Unavailable(Exception):
    """Temporal did not acknowledge: the sender must try again, and its delivery's key makes the word count once."""


class Dispatch(Protocol):
    """Each method returns only after Temporal acknowledged, and raises Unavailable where it did not."""

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        """Bring the words of one ticket to its incident; its workflow's id."""

    async def account(self, customer: str, word: AccountDelivery) -> str:
        """Bring a payment event to the customer's account; its workflow's id."""

    async def ready(self) -> None:
        """Whether Temporal answers."""
