"""Keeping the parts running: all of them on this machine (`up`), or a worker alone; until told to stop, or one ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.attributes import ALL_KEYS
from activities.courier import Courier
from activities.policies import Policies
from activities.settings import CourierSettings
from records import database
from records.sent import SentStore
from starter.embedded import EmbeddedServer
from starter.home import Home
from starter.state_dir import ServerError
from worker.build import build_worker
from worker.teller import LiveTeller


class SettingError(ValueError):
    """A setting of this installation can't be used; the message is one sentence that names it."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports asked for; None: the usual one, or else a free one."""

    temporal: int | None = None
    ui: int | None = None
    web: int | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """Where everything is."""

    home: Home
    temporal: str
    ui: str


async def up(home: Home, ports: Ports, ready: Callable[[Running], None]) -> None:
    """Run everything on this machine; `ready` is told when all of it answers. Returns when it is cancelled.

    Raises:
        ServerError: a part can't start, or ended by itself.
        SettingError: a setting can't be used.
    """
    server = EmbeddedServer(home.state, port=ports.temporal, ui_port=ports.ui, search_attributes=ALL_KEYS)
    async with server:
        await prepare_records(home)
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)
        async with working(client, home) as worker:
            ready(Running(home, server.target, server.ui_url))
            await first_to_end(home, {"the Temporal server": server.wait(), "the worker": worker.run()})


async def prepare_records(home: Home) -> None:
    """Bring the database of records to its newest schema."""
    with _setting("PACTKEEPER_DATABASE"):
        await asyncio.to_thread(database.upgrade, home.database)


@asynccontextmanager
async def working(client: Client, home: Home) -> AsyncIterator[Worker]:
    """A worker with everything it needs, not yet running."""
    with _setting("the channels"):
        settings = replace(CourierSettings.from_env(os.environ), state=home.state)
    with _setting("PACTKEEPER_DATABASE"):
        engine = database.engine(home.database)
    try:
        policies = Policies()
        yield build_worker(client, policies, LiveTeller(policies, Courier(settings, SentStore(engine))))
    finally:
        await engine.dispose()


async def first_to_end(home: Home, parts: Mapping[str, Coroutine[Any, Any, Any]]) -> None:
    """Run parts that should never end, until this is cancelled; all of them have ended when it returns.

    Raises:
        ServerError: one ended by itself; the sentence says which and why.
    """
    tasks = {asyncio.create_task(part): what for what, part in parts.items()}
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        error = None if task.cancelled() else task.exception()
        why = f" ({type(error).__name__}: {error})" if error else ""
        raise ServerError(f"{tasks[task]} ended by itself{why}; see {home.log} and {home.state / 'temporal.log'}")


def until_stopped(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run until it ends, or until Ctrl-C or SIGTERM, which stop it cleanly."""

    async def run() -> None:
        task = asyncio.create_task(main())
        loop = asyncio.get_running_loop()
        for stop in (signal.SIGINT, signal.SIGTERM):
            # Once: a second Ctrl-C must not cut off the cleaning up.
            loop.add_signal_handler(stop, _once(task.cancel))
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())


def _once(act: Callable[[], object]) -> Callable[[], None]:
    done: list[bool] = []

    def first() -> None:
        if not done:
            done.append(True)
            act()

    return first


@contextlib.contextmanager
def _setting(name: str) -> Any:
    try:
        yield
    except ValueError as error:
        raise SettingError(str(error)) from None
