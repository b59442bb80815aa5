"""What a worker spends on a whole incident, against what it spends on nothing: CPU for each workflow task, in one run.

`python -m benchmarks.worker_cpu [--json] [--quick]`. Two workers, each in a process of its own: ours (sandbox, contract
and calendar, activities, notices) lives through reference incidents in virtual time; the other runs empty workflows
outside the sandbox. They take turns, and the median of the rounds counts. CPU is the process's own count of user and
system time, so waiting costs nothing, and the ratio hardly moves with the load of the machine.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.attributes import ALL_KEYS
from activities.courier import Courier
from activities.policies import Policies
from activities.settings import CourierSettings
from benchmarks.empty_worker import QUEUE, Empty, Listener, empty_worker
from benchmarks.machine import Machine, banner_aside, leave, machine
from benchmarks.reference import CUSTOMER, ONE_BY_ONE, history, kind, live
from records import database
from records.sent import SentStore
from sla import names
from starter.engines import Silent
from starter.virtual_time import start_environment
from worker.build import build_worker
from worker.teller import LiveTeller

AIM = 1.8
AT_ONCE = 6
"""Incidents lived through side by side."""
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Round:
    """One turn of each: CPU milliseconds a workflow task."""

    incident_ms: float
    """CPU of a whole incident."""
    tasks: float
    """Workflow tasks of an incident, and of its account for it."""
    own_tasks: float
    """Those of the incident alone."""
    empty_ms: float
    listener_ms: float

    @property
    def ratio(self) -> float:
        return self.incident_ms / self.tasks / self.empty_ms


class Process:
    """A worker in a process of its own, which tells its CPU time when asked."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, target: str, what: str) -> "Process":
        """`what` is one of WORKERS."""
        # Byte code as an image or an installation has it: compiled once.
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "pactkeeper-benchmark-bytecode")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.worker_cpu", "--serve", what, target,
            cwd=ROOT, env=environ, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        made = cls(process)
        await made._line()
        return made

    async def cpu(self) -> float:
        """Seconds of CPU so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return float(await self._line())

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise SystemExit("a worker of the benchmark ended by itself; what it said stands above")
        return line


async def serve(what: str, target: str) -> None:
    """Be a worker until standard input ends."""
    client = await Client.connect(target, data_converter=pydantic_data_converter)
    with tempfile.TemporaryDirectory() as folder:
        if what == "empty":
            await _work(empty_worker(client))
        elif what == "ours":
            await _work(build_worker(client, Policies(), Silent()))
        else:
            url = f"sqlite+aiosqlite:///{folder}/records.db"
            await asyncio.to_thread(database.upgrade, url)
            engine = database.engine(url)
            settings = replace(CourierSettings.from_env({}), state=Path(folder))
            with (Path(folder) / "console").open("w", encoding="utf-8") as console:
                courier = Courier(settings, SentStore(engine), console)
                await _work(build_worker(client, Policies(), LiveTeller(Policies(), courier)))
            await engine.dispose()


async def _work(worker: Worker) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with worker:
        print("ready", flush=True)
        while await reader.readline():
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(used.ru_utime + used.ru_stime, flush=True)


async def measure(incidents: int, rounds: int, what: str) -> list[Round]:
    with banner_aside():
        env = await start_environment(ALL_KEYS)
    try:
        target = env.client.service_client.config.target_host
        ours, empty = await Process.start(target, what), await Process.start(target, "empty")
        bench = _Bench(env, ours, empty, incidents)
        await bench.warm()
        measured = [await bench.round(str(number)) for number in range(rounds)]
        await ours.stop()
        await empty.stop()
        return measured
    finally:
        await env.shutdown()


@dataclass(frozen=True)
class _Bench:
    env: WorkflowEnvironment
    ours: Process
    empty: Process
    incidents: int

    async def warm(self) -> None:
        await live(self.env, "warm", ONE_BY_ONE, Policies())
        await self.env.client.execute_workflow(Empty.run, id="warm-empty", task_queue=QUEUE)

    async def round(self, tag: str) -> Round:
        account = names.account_id(CUSTOMER)
        before, began = await self._tasks([account]), await self.ours.cpu()
        ids = await self._side_by_side([self._incident(f"{tag}-{i}") for i in range(self.incidents)])
        spent = await self.ours.cpu() - began
        own = await self._tasks(ids)
        tasks = own + await self._tasks([account]) - before
        empty = await self._nothing([self._empty(f"empty-{tag}-{i}") for i in range(3 * self.incidents)])
        listener = await self._nothing([self._listener(f"listener-{tag}-{i}") for i in range(self.incidents)])
        n = self.incidents
        return Round(spent * 1000 / n, tasks / n, own / n, empty, listener)

    async def _nothing(self, runs: Sequence[object]) -> float:
        began = await self.empty.cpu()
        ids = await self._side_by_side(runs)
        spent = await self.empty.cpu() - began
        return spent * 1000 / await self._tasks(ids)

    async def _side_by_side(self, runs: Sequence[object]) -> list[str]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(run: object) -> str:
            async with gate:
                return str(await run)  # type: ignore[misc]

        return await asyncio.gather(*map(one, runs))

    async def _incident(self, ticket: str) -> str:
        return await live(self.env, ticket, ONE_BY_ONE, Policies())

    async def _empty(self, id: str) -> str:
        await self.env.client.execute_workflow(Empty.run, id=id, task_queue=QUEUE)
        return id

    async def _listener(self, id: str) -> str:
        handle = await self.env.client.start_workflow(Listener.run, id=id, task_queue=QUEUE)
        for _ in range(8):
            await asyncio.sleep(0.01)
            await handle.signal(Listener.word)
        await handle.result()
        return id

    async def _tasks(self, ids: Sequence[str]) -> int:
        count = 0
        for id in ids:
            count += sum(kind(event) == "WORKFLOW_TASK_COMPLETED" for event in await history(self.env.client, id))
        return count


def report(what: str, before: Machine, rounds: Sequence[Round]) -> dict[str, object]:
    middle = {name: statistics.median(asdict(one)[name] for one in rounds) for name in asdict(rounds[0])}
    ratio = statistics.median(one.ratio for one in rounds)
    return {
        "what": what, "machine": str(before), "rounds": [asdict(one) | {"ratio": one.ratio} for one in rounds],
        "median": middle, "ratio": ratio, "aim": AIM, "reached": ratio <= AIM,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--quick", action="store_true", help="fewer incidents, one round")
    parser.add_argument("--telling", action="store_true", help="tell the notices too: texts, log channel, database")
    parser.add_argument("--serve", nargs=2, metavar=("WHAT", "TARGET"), help=argparse.SUPPRESS)
    wanted = parser.parse_args(arguments)
    if wanted.serve:
        asyncio.run(serve(*wanted.serve))
        leave(0)
    incidents, rounds = (15, 1) if wanted.quick else (100, 3)
    before = machine()
    what = "telling" if wanted.telling else "ours"
    told = report(what, before, asyncio.run(measure(incidents, rounds, what)))
    if wanted.json:
        print(json.dumps(told, indent=2))
        return 0
    middle = told["median"]
    assert isinstance(middle, dict)
    print(f"{before}\n")
    print(
        f"a whole incident        {middle['incident_ms']:6.1f} ms of worker CPU, {middle['tasks']:.1f} workflow tasks"
    )
    print(f"  a task                {middle['incident_ms'] / middle['tasks']:6.2f} ms")
    print(f"an empty workflow       {middle['empty_ms']:6.2f} ms a task, outside the sandbox")
    print(f"one that only listens   {middle['listener_ms']:6.2f} ms a task")
    print(f"ratio                   {told['ratio']:6.2f}    aim: at most {AIM}")
    return 0


if __name__ == "__main__":
    leave(main())
