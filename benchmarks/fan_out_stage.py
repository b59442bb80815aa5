"""The stage of the fan-out benchmark: a server, the real worker in a process of its own, and one customer's incidents."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.attributes import ALL_KEYS
from starter.embedded import DYNAMIC_CONFIG, EmbeddedServer

ROOT = Path(__file__).resolve().parent.parent
CUSTOMER, CONTRACT, SOURCE = "fan-out", "fan-out", "fan-out"
RUNGS = (75, 90, 100)
"""Percent of the target at which the ladder tells somebody."""
WITHOUT_LIMIT = {"worker.BatcherRPS": "10000", "worker.BatcherConcurrency": "50"}
"""A batch operation of a server that is left as it is makes 50 signals a second."""
PR_SET_PDEATHSIG = 1
_COMMAND = [sys.executable, "-c", "from starter.cli import main; main()"]


def write_policies(folder: Path, target_minutes: int) -> None:
    """A contract of one clock, day and night, that suspends at once; one person on duty; one customer."""
    week = "".join(f"    {day}: ['00:00-24:00']\n" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    files = {
        f"contracts/{CONTRACT}.yaml": (
            f"name: {CONTRACT}\ntitle: One clock\nedition: first\nhours:\n  clause: T06\n  timezone: UTC\n  hours:\n{week}"
            "priority_clause: T06\npriorities:\n  P1: {title: One, guideline: any}\ndefault_priority: P1\n"
            "clocks:\n  response:\n    title: Answer\n    clause: T06\n    commitment: target\n    starts: opened\n"
            "    stops: [agent_replied, resolved, closed]\n"
            f"    targets: {{P1: {target_minutes} elapsed minutes}}\n"
            f"suspension: {{clause: R12, mode: automatic}}\nplaybook: {CONTRACT}\n"
        ),
        f"playbooks/{CONTRACT}.yaml": f"name: {CONTRACT}\ntitle: Three rungs\nsteps:\n"
        + "".join(f"  - at: {percent}%\n    tells: [assignee]\n    clause: X01\n" for percent in RUNGS),
        "teams/default.yaml": (
            "name: default\nmembers:\n  dana: {name: Dana, channel: log, always: true}\n"
            "tiers:\n  - title: All\n    members: [dana]\nfallback: dana\n"
        ),
        f"customers/{CUSTOMER}.yaml": (
            f"id: {CUSTOMER}\nname: Fan-out\ncontract: {CONTRACT}\ncontacts:\n"
            "  - {email: ann@fan-out.example, name: Ann, roles: [support, billing], prefers: log}\n"
        ),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _dies_with_us() -> None:
    """Left behind by a benchmark that was killed, a worker would take tasks from the next one's server (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class WorkerProcess:
    """`pactkeeper worker`, which may be killed and started again; `rss` is its resident memory in MiB, sampled."""

    environ: Mapping[str, str]
    log: Path
    rss: list[tuple[datetime, float]] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        if self._process is None or self._process.returncode is not None:
            raise SystemExit(f"the worker ended by itself; see {self.log}")
        return self._process.pid

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND, "worker", cwd=ROOT, env=self.environ, stdout=log, stderr=log, preexec_fn=_dies_with_us
            )

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; with SIGKILL as a crash would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)
            await self._process.wait()

    def memory(self) -> float:
        """MiB that are resident now (Linux)."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    async def watch(self) -> None:
        """Sample the memory for ever."""
        while True:
            with contextlib.suppress(OSError, IndexError, SystemExit):
                self.rss.append((datetime.now().astimezone(), self.memory()))
            await asyncio.sleep(0.5)

    def peak(self, start: datetime, end: datetime) -> float:
        return max((mib for at, mib in self.rss if start <= at <= end), default=0.0)


@dataclass(frozen=True)
class Stage:
    """What runs, and where it keeps its things."""

    client: Client
    server: EmbeddedServer
    worker: WorkerProcess
    state: Path
    policies: Path


@asynccontextmanager
async def stage(folder: Path, target_minutes: int) -> AsyncIterator[Stage]:
    """A server with its database on disk, the records, and a running worker."""
    policies, state = folder / "policies", folder / "state"
    write_policies(policies, target_minutes)
    config = {**DYNAMIC_CONFIG, **WITHOUT_LIMIT}
    async with EmbeddedServer(folder / "temporal", search_attributes=ALL_KEYS, dynamic_config=config) as server:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")} | {
            "TEMPORAL_ADDRESS": server.target, "PACTKEEPER_STATE": str(state), "PACTKEEPER_POLICIES": str(policies),
        }  # fmt: skip
        state.mkdir(parents=True, exist_ok=True)
        setup = await asyncio.create_subprocess_exec(
            *_COMMAND, "setup", cwd=ROOT, env=environ, stdout=sys.stderr, stderr=sys.stderr
        )
        if await setup.wait():
            raise SystemExit("the records could not be made ready; what was said stands above")
        worker = WorkerProcess(environ, folder / "worker.log")
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)
        with _environment(environ):
            await worker.start()
            watching = asyncio.create_task(worker.watch())
            try:
                yield Stage(client, server, worker, state, policies)
            finally:
                watching.cancel()
                await worker.kill(signal.SIGTERM)


@contextlib.contextmanager
def _environment(environ: Mapping[str, str]) -> Iterator[None]:
    """The intake in this process reads the same policies and records as the worker."""
    before = {name: os.environ.get(name) for name in ("PACTKEEPER_STATE", "PACTKEEPER_POLICIES")}
    os.environ.update({name: environ[name] for name in before})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
