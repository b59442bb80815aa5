"""Bundling: the parts that incidents put by, gathered into few transactions, and waited for until they stop coming."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from records.bundles import BundleStore, Part
from sla import names
from sla.steps import Step

GATHERS: Final = 0.02
"""Seconds in which what comes is gathered for one transaction: a commit on stable storage costs about as much."""
AT_ONCE: Final = 500
"""Parts of one transaction, about."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an account waits for its incidents' parts. In seconds."""

    quiet: float = 5.0
    """None came for so long: no more will. Some never do: a ticket that is over, or is served even so."""
    quiet_of_many: float = 30.0
    """The same while more than `many` are missing: a server that stalls is likelier than so many that have nothing to say."""
    many: int = 100
    at_most: float = 600.0
    look: float = 0.5
    beat: float = 2.0
    """Between two signs of life, while it waits and while it sends."""


def utc_now() -> datetime:
    """Now; a store keeps instants."""
    return datetime.now(UTC)


class Depositor:
    """Puts parts by for everybody in this process: one transaction at a time, for all that came meanwhile."""

    def __init__(self, store: BundleStore, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._now = now
        self._waiting: list[tuple[Sequence[Part], asyncio.Future[list[bool]]]] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, parts: Sequence[Part]) -> list[bool]:
        """Put by, and return once that is on stable storage: for each part whether its bundle holds it.

        A caller who gives up takes nothing back.

        Raises:
            SQLAlchemyError, OSError: the database can't take them; what became of them is not known.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((parts, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        done: list[bool] = await future
        return done

    async def _work(self) -> None:
        await asyncio.sleep(GATHERS)
        while self._waiting:
            batch, size = [], 0
            while self._waiting and size < AT_ONCE:
                batch.append(self._waiting.pop(0))
                size += len(batch[-1][0])
            await self._commit(batch)

    async def _commit(self, batch: Sequence[tuple[Sequence[Part], asyncio.Future[list[bool]]]]) -> None:
        parts = [part for some, _ in batch for part in some]
        try:
            try:
                held = await self._store.put(parts, self._now())
            except (SQLAlchemyError, OSError):
                # A connection may be lost on a commit that was done. Put by again, a part is there once.
                held = await self._store.put(parts, self._now())
        except Exception as error:  # noqa: BLE001 - it is for those who wait, who know what to do about it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        answers = iter(held)
        for some, future in batch:
            answer = [next(answers) for _ in some]
            if not future.done():
                future.set_result(answer)


async def settled(store: BundleStore, bundles: Sequence[str], incidents: int, patience: Patience) -> None:
    """Wait until so many incidents have put parts by in the bundles, or until no more come.

    Raises:
        SQLAlchemyError, OSError: the database can't be asked.
    """
    clock = asyncio.get_running_loop().time
    began = came = clock()
    known = -1
    while True:
        now_there, closed = await store.gathered(bundles)
        if closed or now_there >= incidents:
            return
        if now_there != known:
            known, came = now_there, clock()
        quiet = patience.quiet if incidents - now_there <= patience.many else patience.quiet_of_many
        if clock() - came >= quiet or clock() - began >= patience.at_most:
            return
        await asyncio.sleep(patience.look)


def in_bundle(step: Step, customer: str) -> Step:
    """The step with its bundle's whole name, as the customer's incidents call it too."""
    account = names.account_id(customer)
    whole = step.bundle or ""
    return step if whole.startswith(f"{account}/") else step.model_copy(update={"bundle": f"{account}/{whole}"})
