"""An answer in time, whatever hangs or however many send: senders wait three seconds, and then count a delivery as lost.

What can't be done now is told to come again by 503: some senders (PagerDuty, Alertmanager) give up on a 429 or another 4xx.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starter.port import NotKept

LONGEST: Final = 2.7
"""Seconds from when the body is there until the answer."""
MOST: Final = 256
"""Deliveries that are worked on at a time, those that nobody waits for any more among them."""
TOLD_EVERY: Final = 60.0
"""Seconds: the log has a line of too many at most so often."""

_log = logging.getLogger(__name__)
T = TypeVar("T")


class TooMany(NotKept):
    """As many are being worked on as may be; in a second there may be room."""


class _Work:
    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self.sent_away, self.told_at = 0, -float("inf")

    def over(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("a delivery ended in %s", type(error).__name__)  # its sender was told so, if it still waited

    def refuse(self) -> None:
        self.sent_away += 1
        if time.monotonic() - self.told_at >= TOLD_EVERY:
            _log.error("%d deliveries were put off (503), for %d were being worked on", self.sent_away, MOST)
            self.sent_away, self.told_at = 0, time.monotonic()
        raise TooMany(f"{MOST} deliveries are being worked on, which is the most at a time")


_work = _Work()


async def in_time(work: Coroutine[Any, Any, T]) -> T:
    """What comes of the work on one delivery whose sender is known. What has begun is carried through, waited for or not.

    Raises:
        NotKept: it is not done in time; TooMany: it was not begun. Its sender comes again, and what is carried out all the
            same counts once.
    """
    if len(_work.tasks) >= MOST:
        work.close()
        _work.refuse()
    task = asyncio.create_task(work)
    _work.tasks.add(task)
    task.add_done_callback(_work.over)
    done, _ = await asyncio.wait({task}, timeout=LONGEST)
    if not done:
        raise NotKept(f"it was not done within {LONGEST:g} s: Temporal and the records hang")
    return task.result()
