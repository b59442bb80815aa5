"""Keeping the parts running: all of them on this machine (`up`), or a worker alone; until told to stop, or one ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.ack_links import Links
from activities.attributes import ALL_KEYS
from activities.billing import BillingActivities
from activities.billing_settings import BillingSettings
from activities.courier import Courier
from activities.policies import Policies
from activities.settings import CourierSettings
from activities.stand_in import StandIn
from records.bundles import BundleStore
from records.customer_files import Seeded
from records.sent import SentStore
from records.shelf import PolicyFileError
from records.sources import SourceStore
from records.threads import ThreadStore
from starter import web_note
from starter.embedded import EmbeddedServer
from starter.front import desk, front, readers
from starter.home import Home
from starter.hook_settings import IntakeSettings, ensure
from starter.kept import Kept, prepare_records, recorded, setting
from starter.lookout import Lookout
from starter.outcry import Outcry
from starter.schedules import ensure_schedule, ensure_sweep_schedule
from starter.state_dir import ServerError
from starter.web_server import WebServer
from worker.alarms import Alarms
from worker.build import Workers, build_worker
from worker.teller import LiveTeller
from worker.writing import Writer


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
    seeded: Seeded = field(default_factory=Seeded)
    """What the files of customers brought into the records."""


async def up(home: Home, ports: Ports, ready: Callable[[Running], None]) -> None:
    """Run everything on this machine; `ready` is told when all of it answers. Returns when it is cancelled.

    Raises:
        ServerError: a part can't start, or ended by itself.
        SettingError: a setting can't be used.
    """
    settings = channels(home)
    server = EmbeddedServer(home.state, port=ports.temporal, ui_port=ports.ui, search_attributes=ALL_KEYS)
    async with recorded(home) as kept:
        hooks = intake(home, kept.policies)
        billing = billing_accounts(hooks)
        async with server:
            seeded = await prepare_records(home)
            await kept.read()
            client = await Client.connect(server.target, data_converter=pydantic_data_converter)
            await ensure_schedule(client)
            await ensure_sweep_schedule(client)
            sends = courier(home, kept, settings)
            outcry = Outcry(Alarms(kept.policies, sends).tell)
            lookout = Lookout(client, kept.policies, hooks, SourceStore(kept.engine), outcry.say)
            door = front(client, kept, hooks, ack_links(home), outcry.say)
            web = WebServer(door.app, port=ports.web)
            web_note.leave(home, web.url)
            worker = working(home, client, kept, sends, billing, hooks)
            running = Running(home, server.target, server.ui_url, web.url, hooks.file or home.state, seeded)
            parts = {
                "the Temporal server": server.wait(),
                "the worker": worker.run(),
                "the web intake": web.run(),
                "the log of deliveries": door.run(),
                "the look-out for files that change": lookout.run(),
                "the alarms": outcry.run(),
            }
            telling = asyncio.create_task(_tell(web, lambda: ready(running)))
            try:
                await first_to_end(home, parts)
            finally:
                telling.cancel()


async def _tell(web: WebServer, ready: Callable[[], None]) -> None:
    await web.answers()
    ready()


def intake(home: Home, policies: Policies) -> IntakeSettings:
    """Who may send to the web intake; the first time, fresh secrets are made, for the customers of the files.

    Raises:
        SettingError: the file of secrets can't be used.
    """
    try:
        customers = list(policies.shelf.customers())
    except PolicyFileError:
        customers = []
    with setting():
        return ensure(home.state, customers, list(policies.shelf.usable_sources()[0]))


def channels(home: Home) -> CourierSettings:
    """Which channels are set up here.

    Raises:
        SettingError: one of their settings can't be used.
    """
    with setting():
        return replace(CourierSettings.from_env(os.environ), state=home.state)


def billing_accounts(hooks: IntakeSettings) -> BillingSettings:
    """Which billing accounts are read here.

    Raises:
        SettingError: one of their settings can't be used.
    """
    with setting():
        return BillingSettings.from_env(os.environ, lambda: hooks.accounts)


def ack_links(home: Home) -> Links | None:
    """By what the links of notices are made and read; none without the address of our web pages.

    Raises:
        SettingError: a setting of theirs can't be used.
    """
    with setting():
        return Links.here(os.environ, home.state)


def courier(home: Home, kept: Kept, settings: CourierSettings) -> Courier:
    """Who sends messages, and remembers in the records that they went out.

    Raises:
        SettingError: a setting of the links in them can't be used.
    """
    stand_in = StandIn(kept.policies, ack_links(home))
    return Courier(settings, SentStore(kept.engine), threads=ThreadStore(kept.engine), stand_in=stand_in)


def working(
    home: Home, client: Client, kept: Kept, sends: Courier, accounts: BillingSettings, hooks: IntakeSettings
) -> Workers:
    """A worker with everything it needs, not yet running."""
    writer = Writer(kept.policies, partial(desk, hooks), SentStore(kept.engine))
    teller = LiveTeller(kept.policies, sends, BundleStore(kept.engine), links=ack_links(home), writer=writer)
    money = BillingActivities(kept.policies, client, accounts)
    desks = readers(client, kept, hooks, Alarms(kept.policies, sends))
    return build_worker(client, kept.policies, teller, billing=money, sources=desks, begin=teller.resume)


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
