"""A sign of life while something takes long: what is silent for its heartbeat timeout is taken for dead, and done again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def beating(beat: Callable[[], None], seconds: float) -> AsyncIterator[None]:
    """Call `beat` now, and every so many seconds for as long as the block runs."""

    async def beats() -> None:
        while True:
            beat()
            await asyncio.sleep(seconds)

    task = asyncio.create_task(beats())
    try:
        yield
    finally:
        task.cancel()
