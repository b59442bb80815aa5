"""Stories played on the real workflows, side by side on one server whose time is virtual, to be shown as films."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from activities.attributes import ALL_KEYS
from starter.engines import play_temporal
from starter.stories import Loaded
from starter.virtual_time import start_environment

PATIENCE = 120
Reached = Callable[[Loaded, datetime], None]
"""Called whenever a story's workflows have reached a moment."""


def past(stories: Sequence[Loaded]) -> Loaded | None:
    """The first story that begins before now; the real workflows play only what lies ahead."""
    now = datetime.now(UTC)
    return next((story for story in stories if story.script.lines[0].received <= now), None)


def _watch(story: Loaded, reached: Reached | None) -> Callable[[datetime], None] | None:
    return None if reached is None else partial(reached, story)


async def play_all(stories: Sequence[Loaded], reached: Reached | None = None) -> list[dict[str, Any]]:
    """What `play --json` prints of each story, in the order of the stories.

    Raises:
        TimeoutError: they did not come to their end within `PATIENCE` seconds.
    """
    with _silent_output():
        env = await start_environment(ALL_KEYS)
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*(play_temporal(story, env, _watch(story, reached)) for story in stories))
    finally:
        await env.shutdown()


@contextmanager
def _silent_output() -> Iterator[None]:
    """A process started in this block has nowhere to write to, while what we write goes where it went."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    ours, nowhere = (os.dup(1), os.dup(2)), os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    try:
        yield
    finally:
        for descriptor, kept in zip((1, 2), ours, strict=True):
            os.dup2(kept, descriptor)
            os.close(kept)
        os.close(nowhere)
