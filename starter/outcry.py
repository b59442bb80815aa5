"""Alarms that are raised where nobody may wait for a channel: noted at once, told beside, once a day of each subject."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

_log = logging.getLogger(__name__)


class Outcry:
    """Needs who tells: a key, under which it is told once, and a sentence. Subjects are few: a file's, a source's."""

    def __init__(
        self, tell: Callable[[str, str], Awaitable[object]], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._tell, self._now = tell, now
        self._raised: dict[str, str] = {}
        self._waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def say(self, subject: str, sentence: str) -> None:
        """Have somebody told, if nobody was told of the subject today; at once, and without fail."""
        today = f"{self._now():%Y-%m-%d}"
        if self._raised.get(subject) != today:
            self._raised[subject] = today
            self._waiting.put_nowait((f"{subject}/{today}", sentence))

    async def run(self) -> None:
        """Tell what was said, until this is cancelled."""
        while True:
            key, sentence = await self._waiting.get()
            try:
                await self._tell(key, sentence)
            except Exception as error:  # noqa: BLE001 - an alarm that can't be told must not end what tells the next
                _log.error("nobody could be told (%s): %s", type(error).__name__, sentence)
