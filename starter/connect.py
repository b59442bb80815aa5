"""The way to the Temporal server: where it is, a client that speaks our data, and one sentence when nothing answers."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from activities.message import one_line
from starter.home import Home
from starter.ports import HOST, USUAL_PORT
from starter.state_dir import StateDir

PATIENCE: Final = 10.0
"""Seconds until a server that says nothing counts as absent."""
T = TypeVar("T")


class UnreachableError(RuntimeError):
    """No Temporal server can be reached; the message is one sentence that says where, and what to do."""


async def connect(home: Home) -> Client:
    """A client of the server that Temporal's own settings name (`TEMPORAL_ADDRESS`, a profile), else of the one that
    `pactkeeper up` runs on this state folder, else of 127.0.0.1:7233.

    Raises:
        UnreachableError: nothing answers there, or the settings can't be read.
    """
    config = settings(home)
    target = config["target_host"]
    if "://" in target:
        raise UnreachableError(f"TEMPORAL_ADDRESS is {target!r}; write HOST:PORT, such as {HOST}:{USUAL_PORT}")
    try:
        async with asyncio.timeout(PATIENCE):
            return await Client.connect(**config, data_converter=pydantic_data_converter)
    except ValueError as error:
        raise UnreachableError(f"TEMPORAL_ADDRESS is {target!r}, which is no HOST:PORT ({error})") from None
    except (RuntimeError, TimeoutError) as error:
        remedy = "start one with `pactkeeper up`, or set TEMPORAL_ADDRESS"
        raise UnreachableError(f"no Temporal server answers at {target}{_why(error)}; {remedy}") from None


def settings(home: Home) -> ClientConnectConfig:
    """What `Client.connect` is to be given, `target_host` always among it.

    Raises:
        UnreachableError: a profile or a file that the environment names can't be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = ClientConfig.load_client_connect_config()
    except RuntimeError as error:
        why = one_line(str(error), 200)
        raise UnreachableError(
            f"the settings of the Temporal client can't be read ({why}); see TEMPORAL_CONFIG_FILE and TEMPORAL_PROFILE"
        ) from None
    if not config.get("target_host"):
        running = StateDir(home.state).running()
        config["target_host"] = running.target if running else f"{HOST}:{USUAL_PORT}"
    return config


def ask(home: Home, question: Callable[[Client], Awaitable[T]]) -> T:
    """Connect, ask, and give the answer; for commands that do one thing and end."""

    async def asked() -> T:
        return await question(await connect(home))

    return asyncio.run(asked())


def _why(error: Exception) -> str:
    """The reason where it is another than that nobody listens."""
    text = str(error)
    if isinstance(error, TimeoutError):
        return f" within {PATIENCE:.0f} s"
    if "dns error" in text:
        return " (its name is not known)"
    if "ConnectionRefused" in text:
        return ""
    return f" ({one_line(text.removeprefix('Failed client connect: '), 160)})"
