"""One customer's many incidents, suspended and resumed: how fast against bare signals, and that none is told wrongly.

`python -m benchmarks.fan_out [--incidents N] [--json] [--quick]`. The embedded server keeps its database on disk, as
`pactkeeper up` has it; `pactkeeper worker` runs in a process of its own. The incidents are opened through the real way
in, and the last fourth has steps of its ladder that fall due while the account tells of the suspension, the last told
first: nobody may hear of one before support goes on. In the middle of the telling of the resumption the worker is
killed, and started again. The bare limits are taken on the same server and the same incidents, with the same worker
running: list and signal with 50 in flight, and a batch operation of the server, its limit of 50 a second lifted.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from activities import dispatch
from activities.policies import Policies
from benchmarks import fan_out_audit as audit
from benchmarks import fan_out_ways as ways
from benchmarks.fan_out_report import Change, Result, report
from benchmarks.fan_out_stage import CONTRACT, CUSTOMER, RUNGS, SOURCE, Stage, stage
from benchmarks.intake import cpu
from benchmarks.machine import leave, machine
from records.shelf import Shelf
from sla import names
from sla.account_events import AccountDelivery, PaymentCurrent, PaymentLapsed
from sla.events import Delivery, Opened
from sla.ledger import Interval

DUE_SHARE = 4
"""One in so many has a step that falls due in the window."""
TARGET = timedelta(minutes=240)
"""Of the contract's only clock: no step falls due by itself while a run lasts."""
STALLED = 150
"""Seconds without any progress after which a run is given up."""
OPENED_AT_ONCE = 9
FORESEEN = 100
"""Incidents told a second, as guessed for the width of the window."""


class Run:
    """One run over a stage."""

    def __init__(self, stage: Stage, incidents: int) -> None:
        self.stage, self.client, self.n = stage, stage.client, incidents
        self.policies = Policies(Shelf(stage.policies))
        self.ids = [names.incident_id(SOURCE, f"t{i}") for i in range(incidents)]
        self.account = self.client.get_workflow_handle(names.account_id(CUSTOMER))
        self.offsets: dict[int, timedelta] = {}
        """When, after the beginning of the window, a step of an incident falls due."""
        self.window = datetime.now(UTC)
        self.result = Result(str(machine()), incidents)
        self.moved = time.perf_counter()

    async def all(self) -> Result:
        await self._open()
        self.result.worker_before_mib = self.stage.worker.memory()
        await self._until_the_window()
        await self._change("suspended", PaymentLapsed())
        await self._change("resumed, worker killed", PaymentCurrent(), kill=True)
        await self._look_back()
        await self._signals()
        await self._batch()
        return self.result

    # Opening

    async def _open(self) -> None:
        """Open all; the last fourth, which is told last, with steps that fall due in the window."""
        await self._bring(range(1), time.perf_counter())  # the worker has come up
        plain, began = self.n - self.n // DUE_SHARE, time.perf_counter()
        await self._bring(range(1, plain), began)
        rest = (self.n - plain) * (time.perf_counter() - began) / plain
        self.window = datetime.now(UTC) + timedelta(seconds=rest * 1.5 + 10)
        width = timedelta(seconds=max(4.0, self.n / FORESEEN))
        due = range(self.n - 1, plain - 1, -1)
        self.offsets = {i: width * (k + 1) / len(due) for k, i in enumerate(due)}
        await self._bring(range(plain, self.n), began)
        self.result.opened_s = time.perf_counter() - began

    async def _bring(self, numbers: range, began: float) -> None:
        """Open these, so many at once, each until it has done with its opening."""
        waiting, opened = iter(numbers), numbers.start

        async def lane() -> None:
            nonlocal opened
            for i in waiting:
                await self._deliver(i)
                await ways.drained(self.client, [self.ids[i]])
                opened += 1
                self.moved = time.perf_counter()

        async with asyncio.TaskGroup() as lanes:
            for _ in range(OPENED_AT_ONCE):
                lanes.create_task(lane())
            while opened < numbers.stop:
                await asyncio.sleep(1.0)
                self._moving(opened, opened)
                self._say(f"opened {opened} of {self.n}, {opened / (time.perf_counter() - began):.0f} a second")

    async def _deliver(self, i: int) -> None:
        now = datetime.now(UTC)
        happened = now
        if i in self.offsets:
            percent = self._rung(i)
            happened = self.window + self.offsets[i] - TARGET * percent / 100
        word = Delivery(key=f"o{i}", occurred_at=happened, received_at=now, event=Opened(by="ann@fan-out.example"))
        await dispatch.deliver(self.client, SOURCE, f"t{i}", CUSTOMER, word, contract=CONTRACT, policies=self.policies)

    def _moving(self, before: int, count: int) -> int:
        """The count; it must not stand still for long."""
        if count != before:
            self.moved = time.perf_counter()
        elif time.perf_counter() > self.moved + STALLED:
            raise SystemExit(f"nothing has moved for {STALLED} s at {count} of {self.n}; see the worker's log")
        return count

    # Changes of standing

    async def _change(self, what: str, event: PaymentLapsed | PaymentCurrent, *, kill: bool = False) -> None:
        """Tell the account, and wait until it has told all and all of them show it."""
        phase = "suspended" if isinstance(event, PaymentLapsed) else "open"
        worker, server = self.stage.worker, self.stage.server.pid
        now, began, before = datetime.now(UTC), time.perf_counter(), (cpu(worker.pid), cpu(server))
        word = AccountDelivery(key=f"{what} {now}", occurred_at=now, received_at=now, event=event)
        await dispatch.pay(self.client, CUSTOMER, word, contract=CONTRACT)
        change, killed_at = Change(what, now, datetime.now(UTC)), None
        shown, self.moved = 0, time.perf_counter()
        while shown < self.n:
            await asyncio.sleep(0.1 if kill else 0.5)
            shown = self._moving(shown, await self._showing(phase))
            if kill and shown >= self.n / 20:
                killed_at, kill = datetime.now(UTC), False
                await worker.kill()
                await worker.start()
            self._say(f"{what}: {shown} of {self.n} show it after {time.perf_counter() - began:.0f} s")
        change.settled_s = time.perf_counter() - began
        if killed_at is None:
            change.worker_cpu_s, change.server_cpu_s = cpu(worker.pid) - before[0], cpu(server) - before[1]
        change.worker_peak_mib = worker.peak(now, datetime.now(UTC))
        await self._all_told()
        events = await audit.account_events(self.client, self.account.id, now, datetime.now(UTC))
        first, last = audit.telling(events)
        change.told_s, change.account_events = (last - first).total_seconds(), len(events)
        change.killed_in_the_middle = killed_at is not None and first < killed_at < last
        if isinstance(event, PaymentLapsed):
            change.due = sum(change.at <= self.window + offset <= last for offset in self.offsets.values())
        self.result.changes.append(change)
        self._say(f"{what}: told in {change.told_s:.1f} s, {len(events)} events of the account\n")

    def _rung(self, i: int) -> int:
        """The step of an incident that falls due in the window, in percent."""
        return RUNGS[i % len(RUNGS)]

    async def _showing(self, phase: str) -> int:
        return (await self.client.count_workflows(f"{ways.OF_CUSTOMER} AND {names.PHASE}='{phase}'")).count

    async def _all_told(self) -> None:
        """Wait until the account has told all, and has said what it says itself."""
        while True:
            told = await self.account.query(names.STATUS)
            if told["told"] >= told["version"] and not told["in_flight"]:
                return
            await asyncio.sleep(0.5)

    # The bare limits

    async def _signals(self) -> None:
        self._say("list and signal")
        began, result = time.perf_counter(), self.result
        count, result.listed_s, result.signalled_s = await ways.list_and_signal(self.client)
        self._expect_all(count)
        await ways.drained(self.client, self.ids)
        result.signals_drained_s = time.perf_counter() - began
        self._say(f"list and signal: {self.n / (result.listed_s + result.signalled_s):.0f} a second\n")

    async def _batch(self) -> None:
        self._say("batch operation")
        began, result = time.perf_counter(), self.result
        count, result.batch_s = await ways.batch(self.client)
        self._expect_all(count)
        await ways.drained(self.client, self.ids)
        result.batch_drained_s = time.perf_counter() - began
        self._say(f"batch operation: {self.n / result.batch_s:.0f} a second\n")

    def _expect_all(self, count: int) -> None:
        if count != self.n:
            raise SystemExit(f"a bare way reached {count} incidents of {self.n}; the run is no measure")

    # Afterwards

    async def _look_back(self) -> None:
        """Count what was told wrongly, lost and doubled."""
        file, wanted = self.stage.state / "notices.jsonl", {(self.ids[i], f"{self._rung(i)}%") for i in self.offsets}
        missing, patience = wanted, time.perf_counter() + 60 + self.n / 50
        while missing and time.perf_counter() < patience:
            await asyncio.sleep(2)
            told = {(one.incident, key.split("/")[2]) for one, key in audit.escalations(audit.sent(file))}
            missing = wanted - told
            self._say(f"{len(missing)} of {len(wanted)} steps that fell due are still to be told")
        notices, (lapse, paid) = audit.sent(file), self.result.changes
        keys = [(one.incident, key) for one, key in audit.escalations(notices)]
        kept = await audit.histories(self.client, self.ids)
        self.result.found = {
            "escalations": len(keys),
            "wrong": len(audit.wrong(notices, Interval(start=lapse.at, end=paid.at), lapse.known)),
            "escalations_lost": len(missing),
            "escalations_doubled": len(keys) - len(set(keys)),
            "held_back": sum(len(one.held_back) for one in kept.values()),
            "words_lost": sum(one.words.get(v, 0) == 0 for one in kept.values() for v in (1, 2)),
            "words_doubled": sum(max(0, one.words.get(v, 0) - 1) for one in kept.values() for v in (1, 2)),
        } | await audit.bundles(self.stage.state, self.n)
        self._say("looked back\n")

    async def _until_the_window(self) -> None:
        left = (self.window - datetime.now(UTC)).total_seconds()
        if left < 0:
            self._say(f"the window began {-left:.0f} s ago: some steps have fallen due before the lapse\n")
        else:
            self._say(f"waiting {left:.0f} s for the window\n")
            await asyncio.sleep(left)

    def _say(self, words: str) -> None:
        print(f"\r\033[K{words}" if sys.stderr.isatty() else words.strip(), end="" if sys.stderr.isatty() else "\n",
              file=sys.stderr, flush=True)  # fmt: skip


async def measure(incidents: int) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder), int(TARGET.total_seconds() // 60)) as here:
            return await Run(here, incidents).all()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--quick", action="store_true", help="300 incidents")
    parser.add_argument("--incidents", type=int, default=10_000, metavar="N", help="left out: 10000")
    wanted = parser.parse_args(arguments)
    result = asyncio.run(measure(300 if wanted.quick else wanted.incidents))
    if wanted.json:
        told = asdict(result) | {"rates": result.rates, "account_events": result.events}
        print(json.dumps(told, indent=2, default=str))
    else:
        report(result)
    return 0


if __name__ == "__main__":
    leave(main())
