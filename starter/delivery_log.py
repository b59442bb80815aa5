"""The log of deliveries as the web intake writes it: noted at once, kept a moment later; and what came before, in memory."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy.exc import SQLAlchemyError

from records.deliveries import CARRIED_OUT, DeliveryRecord, DeliveryStore
from records.sources import SourceStore
from starter.sources import KINDS

REMEMBERED: Final = 20_000
"""So many deliveries are known again."""
WAITING: Final = 10_000
"""So many records wait at most for a database that is down; of more, the newest."""
BATCH: Final = 500
ALIKE: Final = timedelta(minutes=10)
"""A body that comes again without an id of its sender's is a repetition for so long; later it may well be meant."""
STRANGERS: Final = 60
"""So many requests a minute that nobody signed are kept; more are counted only, for anybody can send them without end."""
KEPT: Final = timedelta(days=30)
PURGED: Final = timedelta(hours=1)
UNSIGNED: Final = ("400:", "401:", "408:", "413:", "415:")
"""How the details of refused requests begin of which nobody knows who sent them."""
EVERY: Final = 0.25
PATIENCE: Final = 5.0
"""Seconds until a database that is down is tried again; also what the last records have when we stop."""

_log = logging.getLogger(__name__)


class DeliveryLog:
    """Notes what became of each delivery, and knows those again that were carried out.

    One for a process; other processes have their own, so a repetition may be taken twice: the keys of its words make it count once.
    """

    def __init__(
        self, store: DeliveryStore, sources: SourceStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store, self._sources, self._now = store, sources, now
        self._seen: OrderedDict[tuple[str, str, str], tuple[str, datetime]] = OrderedDict()
        self._waiting: deque[DeliveryRecord] = deque(maxlen=WAITING)
        self._down, self._loaded = False, False
        self._purged: datetime | None = None
        self._strangers: tuple[datetime | None, int] = None, 0

    def known(self, source: str, delivery: str, digest: str) -> Literal["new", "duplicate", "other"]:
        """Whether it was carried out before; `other`: one of that id was, with another body.

        One without an id is known by its body, for ten minutes.
        """
        found = self._seen.get(_name(source, delivery, digest))
        if found is None:
            return "new"
        body, at = found
        if not delivery:
            return "duplicate" if self._now() - at <= ALIKE else "new"
        return "duplicate" if not body or not digest or body == digest else "other"

    def note(self, record: DeliveryRecord) -> None:
        """Note what became of one; at once, and without fail."""
        if record.outcome == "refused" and record.detail.startswith(UNSIGNED) and self._too_many(record.received_at):
            return
        self._waiting.append(record)
        if record.outcome in CARRIED_OUT:
            self._remember(record.source, record.delivery, record.digest, record.received_at)

    def _too_many(self, at: datetime) -> bool:
        minute = at.replace(second=0, microsecond=0)
        known, many = self._strangers
        if known != minute and many > STRANGERS:
            _log.warning("%d requests that nobody signed are left out of the log of deliveries", many - STRANGERS)
        self._strangers = minute, many + 1 if known == minute else 1
        return self._strangers[1] > STRANGERS

    def forget(self, source: str, delivery: str, digest: str = "") -> None:
        """One that was noted has to come again: it is new when it does."""
        self._seen.pop(_name(source, delivery, digest), None)

    async def load(self) -> None:
        """Read what came before the start.

        Raises:
            SQLAlchemyError, OSError: the records can't be read.
        """
        ours = list(self._seen.items())
        for one in reversed(await self._store.known(REMEMBERED)):
            self._remember(one.source, one.delivery, one.digest, one.received_at)
        for name, what in ours:
            self._seen[name] = what
            self._seen.move_to_end(name)
        self._loaded = True

    async def run(self) -> None:
        """Keep what is noted, until this is cancelled; what is still unkept then gets a last try."""
        try:
            while True:
                await asyncio.sleep(PATIENCE if self._down else EVERY)
                await self._tried(self._work)
        finally:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._flush()
            except (SQLAlchemyError, OSError) as error:
                _log.error("%d deliveries are left out of the log (%s)", len(self._waiting), type(error).__name__)

    async def flush(self) -> bool:
        """Keep all that is noted; False: the records are down, and it is still held."""
        return await self._tried(self._flush)

    async def purge(self) -> None:
        """Forget what is older than thirty days, at most once an hour.

        Raises:
            SQLAlchemyError, OSError: the records are down.
        """
        now = self._now()
        if self._purged is None or now - self._purged >= PURGED:
            await self._store.purge(now - KEPT)
            self._purged = now

    async def _work(self) -> None:
        await self._flush()
        if not self._loaded:
            await self.load()
        await self.purge()

    async def _tried(self, act: Callable[[], Awaitable[None]]) -> bool:
        try:
            await act()
        except (SQLAlchemyError, OSError) as error:
            if not self._down:
                _log.error("the log of deliveries can't be kept (%s); it is held until it can", type(error).__name__)
            self._down = True
            return False
        if self._down:
            _log.warning("the log of deliveries is kept again")
        self._down = False
        return True

    async def _flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._store.put(batch)
                await self._sources.heard(_heard(batch))
            except BaseException:
                # Not `extendleft`: of a full row it would drop the newest.
                self._waiting = deque((*batch, *self._waiting), maxlen=WAITING)
                raise

    def _remember(self, source: str, delivery: str, digest: str, at: datetime) -> None:
        if not (delivery or digest):
            return
        name = _name(source, delivery, digest)
        known = self._seen.get(name)
        if known is None or (not delivery and at - known[1] > ALIKE):
            self._seen[name] = digest, at
        self._seen.move_to_end(name)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def _name(source: str, delivery: str, digest: str) -> tuple[str, str, str]:
    return source, delivery, "" if delivery else digest


def _heard(batch: list[DeliveryRecord]) -> dict[tuple[str, str], datetime]:
    """When each connected source was heard last. What is refused may be anybody's; a generic hook is a customer's."""
    found: dict[tuple[str, str], datetime] = {}
    for one in batch:
        kind, _, name = one.source.partition("/")
        if one.outcome in CARRIED_OUT and kind in KINDS:
            found[name, kind] = max(one.received_at, found.get((name, kind), one.received_at))
    return found
