"""The web intake's door to Temporal: every word is acknowledged or put off."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from activities import dispatch
from activities.calls import Look
from activities.message import one_line
from activities.policies import Policies
from sla import names
from sla.account_events import AccountDelivery
from sla.events import Delivery
from starter.port import Unavailable

PATIENCE: Final = 2.0
"""Seconds in which Temporal acknowledges one word; the least patient senders wait three."""
REMEMBERED: Final = 20_000


@dataclass
class TemporalDispatch:
    """Words for incidents and accounts, brought to Temporal.

    A helpdesk that tells a ticket's whole story each time repeats what was acknowledged before; what this process
    remembers of it is not sent again. What it has forgotten is, and the incident knows it by its key.
    """

    client: Client
    task_queue: str = names.TASK_QUEUE
    policies: Policies | None = None
    """By which an incident starts with all its attributes."""
    _known: OrderedDict[tuple[str, str, str], str] = field(default_factory=OrderedDict)

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        """Bring the words of one ticket to its incident, by one signal; the id of the workflow that took them."""
        known = [self._known.get((source, ticket, word.key)) for word in words]
        new = [word for word, took in zip(words, known, strict=True) if took is None]
        took = await self._deliver(source, ticket, customer, new) if new else next(iter(filter(None, known)), "")
        for word in words:
            name = (source, ticket, word.key)
            self._known.setdefault(name, took)
            self._known.move_to_end(name)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return took

    async def existing(self, incident: str, words: Sequence[Delivery]) -> str:
        """Bring words to the one incident of that workflow id; the id, or nothing where it does not run (any more)."""
        with _put_off():
            async with asyncio.timeout(PATIENCE):
                return await dispatch.existing(self.client, incident, words)

    async def read_ticket(self, source: str, ticket: str) -> str:
        """Have a ticket read by its helpdesk's API; the id of the workflow that does."""
        with _put_off():
            async with asyncio.timeout(PATIENCE):
                return await dispatch.read_ticket(self.client, source, ticket, task_queue=self.task_queue)

    async def account(self, customer: str, word: AccountDelivery) -> str:
        """Bring a payment event to the customer's account; its workflow's id."""
        with _put_off():
            async with asyncio.timeout(PATIENCE):
                return await dispatch.pay(self.client, customer, word, task_queue=self.task_queue)

    async def look(self, customer: str, asked: Look) -> str:
        """Have the customer's account read its payments where they are kept; its workflow's id."""
        with _put_off():
            async with asyncio.timeout(PATIENCE):
                return await dispatch.look(self.client, customer, asked, task_queue=self.task_queue)

    async def ready(self) -> None:
        """Whether Temporal answers."""
        with _put_off():
            async with asyncio.timeout(PATIENCE):
                if not await self.client.service_client.check_health():
                    raise Unavailable("the Temporal server says that it is not serving")

    async def _deliver(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        with _put_off():
            async with asyncio.timeout(PATIENCE):
                return await dispatch.deliver(
                    self.client, source, ticket, customer, words, task_queue=self.task_queue, policies=self.policies
                )


@contextlib.contextmanager
def _put_off() -> Iterator[None]:
    """Whatever Temporal says but yes, the word is not acknowledged: its sender must keep it."""
    try:
        yield
    except TimeoutError:
        raise Unavailable(f"Temporal did not acknowledge within {PATIENCE:g} s") from None
    except RPCError as error:
        raise Unavailable(
            f"Temporal did not acknowledge: {error.status.name}: {one_line(error.message, 200)}"
        ) from None
    except (RuntimeError, dispatch.TooManyLinks) as error:
        raise Unavailable(f"Temporal was not asked: {one_line(str(error), 200)}") from None
