"""Words that Temporal did not take: kept in the records, and brought to it as soon as it answers again."""

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy.exc import SQLAlchemyError

from activities.calls import Look
from records.dead_letters import Letter
from records.spool import LETTERS, Spool, Spooled, spool_id, words_of
from sla.account_events import AccountDelivery
from sla.events import Delivery
from starter.port import Unavailable

TRIES: Final = 20
PATIENCE: Final = timedelta(hours=1)
"""Words are given up after so many tries that Temporal answered, and not before this: it may answer and still take nothing."""
AT_ONCE: Final = 8
MANY: Final = 200
BACKOFF: Final = (1.0, 15.0)
"""Seconds between two tries: the first, and the longest."""
LATE: Final = timedelta(minutes=1)
"""So long after the last that waited is gone, the log of deliveries is looked through: a line of it may come late."""

_log = logging.getLogger(__name__)


class Door(Protocol):
    """What of the door to Temporal is needed; each method raises Unavailable where it did not acknowledge."""

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        """Bring the words of one ticket to its incident."""

    async def existing(self, incident: str, words: Sequence[Delivery]) -> str:
        """Bring words to an incident that is there."""

    async def read_ticket(self, source: str, ticket: str) -> str:
        """Have a ticket read by its helpdesk's API."""

    async def account(self, customer: str, word: AccountDelivery) -> str:
        """Bring a payment event to the customer's account."""

    async def look(self, customer: str, asked: Look) -> str:
        """Have the customer's account read its payments where they are kept."""

    async def ready(self) -> None:
        """Whether Temporal answers."""


class Spooler:
    """Puts words by, and brings them in the order of each ticket. Two at once do no harm: a word counts once by its key."""

    def __init__(self, spool: Spool, dispatch: Door, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._spool, self._dispatch, self._now = spool, dispatch, now
        self._put = asyncio.Event()
        self._moved: datetime | None = None
        """When something last was in the spool, or we began."""

    async def put(
        self, source: str, ticket: str, customer: str, words: Sequence[Delivery | AccountDelivery], why: str,
        incident: str | None = None, delivery: str = "",
    ) -> None:  # fmt: skip
        """Keep words, as `Spooled` has them. `delivery`: the id under which the log of deliveries has what told them.

        Raises:
            SQLAlchemyError, OSError: the records are down as well.
        """
        at = self._now()
        id = spool_id(at, delivery, uuid.uuid4().hex)
        said: Any = tuple(words)
        await self._spool.put(Spooled(id, source, ticket, customer, incident, said, at, 0, why))
        what = f"{len(words)} word{'' if len(words) == 1 else 's'}" if words else "a look"
        _log.warning("%s of %s/%s waits in the records: %s", what, source, (ticket or incident or customer)[:80], why)
        self._moved = at
        self._put.set()

    async def run(self) -> None:
        """Bring what waits, until this is cancelled."""
        first, longest = BACKOFF
        wait = first
        while True:
            self._put.clear()
            if await self.drain():
                wait = first
                with contextlib.suppress(
                    TimeoutError
                ):  # Then we look by ourselves: another process may have put some by.
                    async with asyncio.timeout(longest):
                        await self._put.wait()
            await asyncio.sleep(wait)
            wait = min(2 * wait, longest)

    async def drain(self) -> bool:
        """Bring all that can be brought now, and have the log of deliveries say so; True when nothing is left."""
        try:
            empty = await self._brought()
            await self._noted()
        except (SQLAlchemyError, OSError, ValueError) as error:  # ValueError: words that this version can't read
            _log.error("the spool can't be read or written (%s)", type(error).__name__)
            return False
        return empty

    async def _brought(self) -> bool:
        while found := await self._spool.waiting(MANY):
            self._moved = self._now()
            if not await self._bring(found):
                return False
        return True

    async def _noted(self) -> None:
        now = self._now()
        self._moved = self._moved or now
        if now - self._moved <= LATE:
            while await self._spool.settle(now):
                pass

    async def _bring(self, found: Sequence[Spooled]) -> bool:
        """One turn: the oldest of each ticket; False when none of them leaves the spool, or Temporal is away."""
        gone = 0
        for start in range(0, len(found), AT_ONCE):
            several = found[start : start + AT_ONCE]
            faults = await asyncio.gather(*(self._one(each) for each in several))
            gone += faults.count(None)
            failed = [(each, fault) for each, fault in zip(several, faults, strict=True) if fault is not None]
            if failed and not await self._answers():
                return False
            for each, fault in failed:
                gone += await self._given_up(each, fault)
        return gone > 0

    async def _one(self, each: Spooled) -> str | None:
        """Bring words; None: they are taken. Else why not."""
        try:
            await bring(self._dispatch, each)
        except Unavailable as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - the words of one ticket must not keep back those of the others
            _log.error(
                "words of %s/%s can't be brought", each.source, (each.ticket or each.customer)[:80], exc_info=error
            )
            return f"a fault of ours: {type(error).__name__}"
        await self._spool.done(each.id)
        return None

    async def _answers(self) -> bool:
        """Whether Temporal does: where it does not, the words are not at fault."""
        try:
            await self._dispatch.ready()
        except Unavailable:
            return False
        return True

    async def _given_up(self, each: Spooled, why: str) -> bool:
        """Note that words were not taken though Temporal answers; True: they leave the spool for it, as a dead letter."""
        tried, waited = each.tries + 1, self._now() - each.put_at
        if tried < TRIES or waited < PATIENCE:
            await self._spool.failed(each.id, why)
            return False
        kept = letter(each, f"Temporal did not take it in {tried} tries: {why}")
        if await self._spool.give_up(each.id, kept):
            _log.error(
                "words of %s/%s are kept as the dead letter %s: %s",
                each.source,
                (each.ticket or each.customer)[:80],
                kept.id,
                why,
            )
        return True


def letter(each: Spooled, why: str) -> Letter:
    """Words that are given up, as a dead letter."""
    said = {
        "source": each.source,
        "ticket": each.ticket,
        "customer": each.customer,
        "incident": each.incident,
        "words": [word.model_dump(mode="json") for word in each.words],
    }
    kind = ", ".join(dict.fromkeys(word.event.event for word in each.words))
    source = f"{LETTERS}/{each.source}"
    body = json.dumps(said, ensure_ascii=False)
    return Letter(
        f"{source}/{each.id}", source, each.put_at, why[:500], kind, each.ticket or each.incident or each.customer, body
    )


def held(kept: Letter) -> Spooled:
    """What such a letter holds.

    Raises:
        ValueError: nothing that can be read.
    """
    said = json.loads(kept.body)
    names = (said["source"], said["ticket"], said["customer"], said["incident"])
    found = Spooled(kept.id, *names, (), kept.received_at, 0, kept.why)
    return replace(found, words=words_of(found, said["words"]))


async def bring(door: Door, each: Spooled) -> str:
    """Bring what waits to where it belongs; the workflow's id, or nothing where it does not run any more.

    Raises:
        Unavailable: it was not taken.
    """
    words: Any = each.words
    if each.of_account:
        if not words:
            return await door.look(each.customer, Look(source=each.source, why="what it told waited in the records"))
        return [await door.account(each.customer, word) for word in words][-1]
    if each.incident is not None:
        return await door.existing(each.incident, words)
    if words:
        return await door.incident(each.source, each.ticket, each.customer, words)
    return await door.read_ticket(each.source, each.ticket)
