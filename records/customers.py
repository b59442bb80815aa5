"""The customers as people edit them: kept in the records, each as a whole, nothing in it belonging to two.

Every change takes the counter `revisions('customers')` first. That row is the lock by which the changes of several
processes come one after the other, and the number by which a copy of the customers knows that it is old.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from records.customer_rows import chunks, read_customers, rows
from records.customer_unfit import odd, unfit
from records.models import BillingLinkRow, CustomerClaim, CustomerRow, Revision
from records.shelf import claims
from sla.customer import ContractLine, Customer

NAME: Final = "customers"


class CustomerRefused(ValueError):
    """A customer that cannot be kept as it is; one sentence.

    `customer` is its id, `path` what the sentence speaks of, `taken` whether that belongs to another customer.
    """

    def __init__(self, sentence: str, customer: str, path: tuple[str | int, ...] = (), *, taken: bool = False) -> None:
        super().__init__(sentence)
        self.customer, self.path, self.taken = customer, path, taken


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit did: the customer before, and after."""

    before: Customer
    after: Customer

    @property
    def changed(self) -> bool:
        return self.before != self.after


def bears_on_account(before: Customer | None, after: Customer | None) -> bool:
    """Whether a change concerns what the customer's account goes by: its contract, its lines, its payments."""
    one, other = ((c.contract, c.lines, c.billing) if c is not None else None for c in (before, after))
    return one != other


class CustomerStore:
    """The customers. Database errors are SQLAlchemy's own (`SQLAlchemyError`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert

    async def revision(self) -> int:
        """How many changes there were; it never comes back to a number that it had."""
        async with self._engine.connect() as connection:
            return await _revision(connection)

    async def snapshot(self) -> tuple[int, dict[str, Customer]]:
        """The revision, and every customer by its id as of it."""
        async with self._at_one_moment() as connection:
            return await _revision(connection), await read_customers(connection)

    async def all(self) -> dict[str, Customer]:
        """Every customer by its id."""
        return (await self.snapshot())[1]

    async def get(self, id: str) -> Customer | None:
        """The customer of that id."""
        if odd(id):
            return None
        async with self._at_one_moment() as connection:
            return (await read_customers(connection, [id])).get(id)

    async def linked(self, source: str, account: str, reference: str) -> list[tuple[Customer, ContractLine]]:
        """Whose payments are kept under that customer's id there: customers and those of their lines."""
        if odd(source + account + reference):
            return []
        link = BillingLinkRow
        where = (link.source == source, link.account == account, link.reference == reference)
        async with self._at_one_moment() as connection:
            ids = set((await connection.execute(select(link.customer).where(*where))).scalars())
            found = await read_customers(connection, ids)
        wanted = (source, account, reference)
        return [
            (customer, line)
            for customer in found.values()
            for line in customer.contract_lines
            if (kept := customer.billed(line)) is not None and (kept.source, kept.account, kept.customer) == wanted
        ]

    async def put(self, customer: Customer) -> bool:
        """Keep the customer as it is now, new or in place of the one of its id; True when that changed something.

        Raises:
            CustomerRefused: something of it belongs to another customer, or cannot be kept.
        """
        return bool(await self.put_all([customer]))

    async def put_all(self, customers: Sequence[Customer]) -> list[str]:
        """Keep them all, or, where one is refused, none; the ids of those that this changed. Raises as `put`."""
        async with self._changing() as change:
            before = await read_customers(change.connection, {c.id for c in customers})
            changed = [c for c in customers if before.get(c.id) != c]
            await change.replace(changed)
            return [c.id for c in changed]

    async def add(self, customers: Iterable[Customer]) -> tuple[list[str], list[CustomerRefused]]:
        """Keep those whose ids are not known yet; the ids of these, and why others could not be kept."""
        added, refused = list[str](), list[CustomerRefused]()
        async with self._changing() as change:
            known = set((await change.connection.execute(select(CustomerRow.id))).scalars())
            for customer in customers:
                if customer.id not in known:
                    try:
                        await change.replace([customer])
                    except CustomerRefused as error:
                        refused.append(error)
                    else:
                        added.append(customer.id)
                        known.add(customer.id)
        return added, refused

    async def edit(self, id: str, made: Callable[[Customer], Customer]) -> Edited | None:
        """Change a customer as it is just now, so that two who edit it at once both keep what they changed.

        None where there is no such customer. Raises as `put`, and what `made` raises.
        """
        if odd(id):
            return None
        async with self._changing() as change:
            before = (await read_customers(change.connection, [id])).get(id)
            if before is None:
                return None
            edited = Edited(before, made(before))
            if edited.changed:
                await change.replace([edited.after])
            return edited

    async def remove(self, id: str) -> bool:
        """Forget the customer; True when there was one."""
        if odd(id):
            return False
        async with self._changing() as change:
            return await change.remove([id]) > 0

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator["_Change"]:
        """A transaction that holds the lock; where it changes nothing, it leaves no trace."""
        async with self._engine.connect() as connection:
            counted = self._insert(Revision).values(name=NAME, number=1)
            counted = counted.on_conflict_do_update(index_elements=["name"], set_={"number": Revision.number + 1})
            await connection.execute(counted)
            change = _Change(connection)
            try:
                yield change
            except IntegrityError:
                said = "another program changed the customers at the same time; try again"
                raise CustomerRefused(said, "", taken=True) from None
            if change.made:
                await connection.commit()

    @asynccontextmanager
    async def _at_one_moment(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose every answer is of one moment."""
        async with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                await connection.exec_driver_sql("BEGIN")
            else:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection


class _Change:
    """A change under way: the lock is held, and what is written is kept if all goes well."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.made = False

    async def replace(self, customers: Sequence[Customer]) -> None:
        """Put customers in the place of those of their ids, all of them checked before anything is written."""
        for customer in customers:
            if fault := unfit(customer):
                raise CustomerRefused(fault[1], customer.id, fault[0])
        await self._unclaimed(customers)
        await self.remove([customer.id for customer in customers])
        now = datetime.now(UTC)
        for customer in customers:
            self.made = True
            for table, some in rows(customer, now):
                if some:
                    await self.connection.execute(insert(table), list(some))

    async def remove(self, ids: Sequence[str]) -> int:
        """Take customers out; how many there were."""
        gone = 0
        for some in chunks(ids):
            asked = delete(CustomerRow).where(CustomerRow.id.in_(some)).returning(CustomerRow.id)
            gone += len((await self.connection.execute(asked)).all())
        self.made = self.made or gone > 0
        return gone

    async def _unclaimed(self, customers: Sequence[Customer]) -> None:
        """Refuse what belongs to another, among these or those that are kept."""
        ours, wanted = {c.id for c in customers}, sorted({claim for c in customers for _, claim, _ in claims(c)})
        owner = dict[str, str]()
        for some in chunks(wanted):
            held = select(CustomerClaim.claim, CustomerClaim.customer).where(CustomerClaim.claim.in_(some))
            for claim, whose in await self.connection.execute(held):
                if whose not in ours:
                    owner[claim] = whose
        for customer in customers:
            for path, claim, what in claims(customer):
                if (whose := owner.setdefault(claim, customer.id)) != customer.id:
                    said = f"{what} belongs to the customer {whose!r} already; take it out of one of them"
                    raise CustomerRefused(said, customer.id, path, taken=True)


async def _revision(connection: AsyncConnection) -> int:
    asked = select(Revision.number).where(Revision.name == NAME)
    return (await connection.execute(asked)).scalar_one_or_none() or 0
