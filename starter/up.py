"""Keeping the parts running: all of them on this machine (`up`), or a worker alone; until told to stop, or one ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
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
from records.shelf import PolicyFileError, Shelf
from starter.dispatch import TemporalDispatch
from starter.embedded import EmbeddedServer
from starter.home import Home, SettingError
from starter.hook_settings import IntakeSettings, ensure
from starter.state_dir import ServerError
from starter.web import create_app
from starter.web_server import WebServer
from worker.build import build_worker
from worker.teller import LiveTeller


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
    web: str
    secrets: Path
    """The file with the secrets of the hooks."""


async def up(home: Home, ports: Ports, ready: Callable[[Running], None]) -> None:
    """Run everything on this machine; `ready` is told when all of it answers. Returns when it is cancelled.

    Raises:
        ServerError: a part can't start, or ended by itself.
        SettingError: a setting can't be used.
    """
    settings, hooks = channels(home), intake(home)
    server = EmbeddedServer(home.state, port=ports.temporal, ui_port=ports.ui, search_attributes=ALL_KEYS)
    async with server:
        await prepare_records(home)
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)
        web = WebServer(create_app(TemporalDispatch(client, policies=Policies()), hooks), port=ports.web)
        async with working(client, home, settings) as worker:
            running = Running(home, server.target, server.ui_url, web.url, hooks.file or home.state)
            parts = {"the Temporal server": server.wait(), "the worker": worker.run(), "the web intake": web.run()}
            telling = asyncio.create_task(_tell(web, lambda: ready(running)))
            try:
                await first_to_end(home, parts)
            finally:
                telling.cancel()


async def _tell(web: WebServer, ready: Callable[[], None]) -> None:
    await web.answers()
    ready()


def intake(home: Home) -> IntakeSettings:
    """Who may send to the web intake; the first time, fresh secrets are made.

    Raises:
        SettingError: the file of secrets can't be used.
    """
    shelf = Shelf()
    try:
        customers = list(shelf.customers())
    except PolicyFileError:
        customers = []
    with _setting():
        return ensure(home.state, customers, shelf.customer_of)


async def prepare_records(home: Home) -> None:
    """Bring the database of records to its newest schema."""
    with _setting():
        await asyncio.to_thread(database.upgrade, home.database)


def channels(home: Home) -> CourierSettings:
    """Which channels are set up here.

    Raises:
        SettingError: one of their settings can't be used.
    """
    with _setting():
        return replace(CourierSettings.from_env(os.environ), state=home.state)


@asynccontextmanager
async def working(client: Client, home: Home, settings: CourierSettings) -> AsyncIterator[Worker]:
    """A worker with everything it needs, not yet running."""
    with _setting():
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
def _setting() -> Iterator[None]:
    """What refuses a setting names it already; only its kind of error says too little."""
    try:
        yield
    except ValueError as error:
        raise SettingError(str(error)) from None
