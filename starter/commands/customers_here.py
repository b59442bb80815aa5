"""The customers as the command line looks them up: in the records of this installation, else in the files."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from activities.policies import Policies
from starter.commands import terminal
from starter.home import DATABASE_VARIABLE, Home

if TYPE_CHECKING:
    from records.customers import CustomerStore

SHOWN: Final = 20
"""So many customers are named at most in a sentence."""
PATIENCE: Final = 10.0
"""Seconds that telling accounts may take."""
T = TypeVar("T")


def policies_here(home: Home) -> Policies:
    """The policies with the customers of the records; with those of the files where there are no records yet.

    A database that can't be read is told of, and the files hold: a ticket must not wait for it.
    """
    from sqlalchemy.exc import SQLAlchemyError

    if not prepared(home):
        return Policies()
    try:
        return Policies(only=on_records(home, lambda store: store.all()))
    except (SQLAlchemyError, OSError) as error:
        terminal.note(
            f"the customers can't be read from the database of records ({type(error).__name__}), so those of the files "
            f"are taken; check {DATABASE_VARIABLE}"
        )
        return Policies()


def known(policies: Policies) -> str:
    """The customers that there are, as a sentence names them."""
    return named_in(policies.customers())


def named_in(customers: Iterable[str]) -> str:
    """Some of the customers, as a sentence names them."""
    ids = sorted(customers)
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more or "none yet"


def prepared(home: Home) -> bool:
    """Whether there is a database: one that is named elsewhere counts as there."""
    return not home.database.startswith("sqlite") or Path(home.database.partition("///")[2]).exists()


def on_records(home: Home, ask: "Callable[[CustomerStore], Awaitable[T]]") -> T:
    """Ask the customers of the records, or change them. Where there are no records yet, they are made from the files.

    Raises:
        SettingError: the database can't be told from what is set.
        SQLAlchemyError: it can't be used.
    """
    from starter.kept import prepare_records, recorded

    async def asked() -> T:
        if not prepared(home):
            await prepare_records(home)
        async with recorded(home) as kept:
            return await ask(kept.customers)

    return asyncio.run(asked())


def tell_accounts(home: Home, ids: Sequence[str]) -> None:
    """Tell the running accounts of customers that their records have changed, as well as it can be done now."""
    from temporalio.service import RPCError

    from activities.dispatch import revise
    from activities.message import one_line
    from starter.connect import UnreachableError, connect

    async def told() -> None:
        client = await connect(home)
        async with asyncio.timeout(PATIENCE):
            for id in ids:
                await revise(client, id)

    if not ids:
        return
    try:
        asyncio.run(told())
    except (UnreachableError, RPCError, TimeoutError) as error:
        why = one_line(str(error), 200) or "Temporal gave no answer in time"
        terminal.note(f"the change stands, but running accounts can't be told of it now, and hear of it later: {why}")
