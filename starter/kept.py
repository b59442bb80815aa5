"""The records of an installation, as whatever runs here reads them: one engine, the customers, and the policies over both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.policies import Policies
from records import database
from records.customer_cache import CustomerCache
from records.customer_files import Seeded, seed
from records.customers import CustomerStore
from starter.home import DATABASE_VARIABLE, Home, SettingError


@dataclass(frozen=True, slots=True)
class Kept:
    """The database of records, its customers, and the policies by which both are read."""

    engine: AsyncEngine
    customers: CustomerStore
    policies: Policies

    async def read(self) -> None:
        """Read the customers.

        Raises:
            SettingError: they can't be read.
        """
        try:
            await self.policies.fresh()
        except (SQLAlchemyError, OSError) as error:
            raise SettingError(
                f"the customers can't be read from the database of records ({type(error).__name__}); "
                f"check {DATABASE_VARIABLE}, and run `pactkeeper setup` once"
            ) from None


@asynccontextmanager
async def recorded(home: Home) -> AsyncIterator[Kept]:
    """The records of this installation, for as long as something runs on them; nothing is asked of them yet.

    Raises:
        SettingError: their database can't be told from what is set.
    """
    with setting():
        engine = database.engine(home.database)
    try:
        customers = CustomerStore(engine)
        yield Kept(engine, customers, Policies(records=CustomerCache(customers)))
    finally:
        await engine.dispose()


async def prepare_records(home: Home) -> Seeded:
    """Bring the database of records to its newest schema, and into it the customers of files that it does not know."""
    with setting():
        await asyncio.to_thread(database.upgrade, home.database)
    async with recorded(home) as kept:
        return await seed(kept.customers, kept.policies.shelf)


async def read_here(home: Home, kept: Kept) -> None:
    """Read the customers, for a part that runs alone; a database in the state folder is made first where it is missing.

    Raises:
        SettingError: they can't be read.
    """
    if not home.named_database:
        await prepare_records(home)
    await kept.read()


@contextlib.contextmanager
def setting() -> Iterator[None]:
    """What refuses a setting names it already; only its kind of error says too little."""
    try:
        yield
    except ValueError as error:
        raise SettingError(str(error)) from None
