"""An answer in time, whatever hangs: senders wait three seconds, and then count a delivery as lost."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starter.port import NotKept

LONGEST: Final = 2.7
"""Seconds from when the body is there until the answer."""

_log = logging.getLogger(__name__)
_left: set[asyncio.Task[Any]] = set()
T = TypeVar("T")


async def in_time(work: Coroutine[Any, Any, T]) -> T:
    """What comes of the work. What has begun is carried through, also when nobody waits for it any more.

    Raises:
        NotKept: it is not done in time. Its sender comes again, and what is carried out all the same counts once.
    """
    task = asyncio.create_task(work)
    _left.add(task)
    task.add_done_callback(_over)
    done, _ = await asyncio.wait({task}, timeout=LONGEST)
    if not done:
        raise NotKept(f"it was not done within {LONGEST:g} s: Temporal and the records hang")
    return task.result()


def _over(task: asyncio.Task[Any]) -> None:
    _left.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.debug("a delivery ended in %s", type(error).__name__)  # and its sender was told so, if it still waited
