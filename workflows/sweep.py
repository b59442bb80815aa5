"""The sweep: what was put by, or put off, and nobody came for, is sent."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from sla import names


@workflow.defn(name=names.SWEEP_WORKFLOW)
class SweepWorkflow:
    """One round, which sends what a process that is gone has left behind; a schedule starts it."""

    @workflow.run
    async def run(self) -> int:
        swept: int = await workflow.execute_activity(
            names.SWEEP_BUNDLES, result_type=int, start_to_close_timeout=timedelta(minutes=10),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1), maximum_attempts=5),
            summary="send what was put by and nobody came for",
        )  # fmt: skip
        return swept
