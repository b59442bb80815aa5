"""The sweep of what was put by and nobody came for: on a schedule of its own, whether payments are compared or not."""

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from activities.calls import Reconcile, Reconciled
from sla import names
from starter.embedded import EmbeddedServer
from starter.schedules import RECONCILE_ID, SWEEP_ID, VARIABLE, ensure_schedule, ensure_sweep_schedule
from worker.build import runner
from workflows.reconcile import ReconcileWorkflow
from workflows.sweep import SweepWorkflow


@workflow.defn(name=names.RECONCILE_WORKFLOW)
class AsItWas:
    """A round of the reconciler when it swept up, too."""

    @workflow.run
    async def run(self, asked: Reconcile) -> Reconciled:
        came: Reconciled = await workflow.execute_activity(
            names.RECONCILE_BILLING, asked, result_type=Reconciled, start_to_close_timeout=timedelta(hours=2)
        )
        await workflow.execute_activity(names.SWEEP_BUNDLES, start_to_close_timeout=timedelta(minutes=10))
        return came


class Office:
    """The two activities, and what was asked of them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.swept = asyncio.Event()

    @activity.defn(name=names.RECONCILE_BILLING)
    async def reconcile(self, asked: Reconcile) -> Reconciled:
        self.asked.append("reconcile")
        return Reconciled(read=1)

    @activity.defn(name=names.SWEEP_BUNDLES)
    async def sweep(self) -> int:
        self.asked.append("sweep")
        self.swept.set()
        return 3


async def test_the_sweep_runs_by_itself_though_payments_are_never_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    office = Office()
    async with EmbeddedServer(tmp_path / "state") as server:
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)
        for _ in range(2):
            await ensure_schedule(client)
            await ensure_sweep_schedule(client)
        with pytest.raises(RPCError, match="not found"):
            await client.get_schedule_handle(RECONCILE_ID).describe()
        handle = client.get_schedule_handle(SWEEP_ID)
        assert [spec.every for spec in (await handle.describe()).schedule.spec.intervals] == [timedelta(minutes=10)]
        async with Worker(
            client, task_queue=names.TASK_QUEUE, workflows=[SweepWorkflow], activities=[office.sweep], workflow_runner=runner()
        ):  # fmt: skip
            await handle.trigger()
            async with asyncio.timeout(30):
                await office.swept.wait()
    assert office.asked == ["sweep"]


async def test_the_reconciler_sweeps_no_more_and_what_it_did_before_replays(tmp_path: Path) -> None:
    office = Office()
    async with EmbeddedServer(tmp_path / "state") as server:
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)

        async def runs(kind: type, **options: object) -> WorkflowHandle[object, Reconciled]:
            async with Worker(
                client, task_queue=kind.__name__, workflows=[kind], activities=[office.reconcile, office.sweep], **options  # type: ignore[arg-type]
            ):  # fmt: skip
                handle = await client.start_workflow(
                    names.RECONCILE_WORKFLOW, Reconcile(), id=str(uuid.uuid4()), task_queue=kind.__name__,
                    result_type=Reconciled,
                )  # fmt: skip
                assert await handle.result() == Reconciled(read=1)
                return handle

        then = await (await runs(AsItWas, workflow_runner=UnsandboxedWorkflowRunner())).fetch_history()
        assert office.asked == ["reconcile", "sweep"]
        now = await (await runs(ReconcileWorkflow, workflow_runner=runner())).fetch_history()
        assert office.asked[2:] == ["reconcile"]
    for history in (then, now):
        await Replayer(
            workflows=[ReconcileWorkflow], data_converter=pydantic_data_converter, workflow_runner=runner()
        ).replay_workflow(history)
