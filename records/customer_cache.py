"""A copy of the customers for those who look them up at every turn: read again when the records have changed."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from records.customers import CustomerStore
from records.shelf import claims
from sla.customer import Customer

EVERY: Final = 1.0
"""Seconds in which the database is asked at most once, for whom that is fresh enough."""

_log = logging.getLogger(__name__)


class CustomerCache:
    """The customers as of the last `fresh`. The snapshot is good while the database is down."""

    def __init__(self, store: CustomerStore, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self._clock = clock
        self._asked_at = -float("inf")
        self._revision = -1
        self._customers: Mapping[str, Customer] | None = None
        self._owner: dict[str, str] = {}
        self._asking = asyncio.Lock()

    async def fresh(self, within: float = EVERY) -> None:
        """See to it that the copy is no older than `within` seconds, or is being read; with 0 it is of now.

        Raises:
            SQLAlchemyError: the database can't be asked, and never could.
        """
        if not self._due(within):
            return
        if within and self._customers is not None and self._asking.locked():
            return  # somebody asks already, and a database that hangs must not hold everybody
        async with self._asking:
            if not self._due(within):
                return
            self._asked_at = self._clock()
            try:
                if self._customers is None or await self.store.revision() != self._revision:
                    await self._read()
            except (SQLAlchemyError, OSError) as error:
                if self._customers is None:
                    self._asked_at = -float("inf")
                    raise
                _log.warning("the customers can't be read (%s); those read before hold", type(error).__name__)

    def customers(self) -> Mapping[str, Customer]:
        """Every customer by its id.

        Raises:
            LookupError: they were never read; `fresh` reads them.
        """
        if self._customers is None:
            raise LookupError("the customers have not been read yet; call fresh() first")
        return self._customers

    def customer(self, id: str) -> Customer | None:
        """The customer of that id, or None. Raises as `customers`."""
        return self.customers().get(id)

    def customer_of(self, email: str) -> str | None:
        """The id of the customer whose contact it is, else of the one whose domain it is. Raises as `customers`."""
        self.customers()
        address = email.strip().casefold()
        return self._owner.get(f"contact {address}") or self._owner.get(f"domain {address.rpartition('@')[2]}")

    def _due(self, within: float) -> bool:
        return self._clock() - self._asked_at >= within

    async def _read(self) -> None:
        self._revision, customers = await self.store.snapshot()
        self._owner = {claim: id for id, one in customers.items() for _, claim, _ in claims(one)}
        self._customers = customers
