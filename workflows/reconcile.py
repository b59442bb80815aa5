"""The reconciler: a webhook that never came is made good by asking."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.calls import Reconcile, Reconciled
    from sla import names


@workflow.defn(name=names.RECONCILE_WORKFLOW)
class ReconcileWorkflow:
    """One comparison of every linked customer's standing with its account; a schedule starts it.

    What incidents put by and no account came for, after a crash, is sent in the same round.
    """

    @workflow.run
    async def run(self, asked: Reconcile) -> Reconciled:
        came: Reconciled = await workflow.execute_activity(
            names.RECONCILE_BILLING, asked, result_type=Reconciled,
            start_to_close_timeout=timedelta(hours=2), heartbeat_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1), maximum_attempts=20),
            summary="read every linked customer's standing",
        )  # fmt: skip
        if not asked.only:
            with suppress(ActivityError):
                await workflow.execute_activity(
                    names.SWEEP_BUNDLES, start_to_close_timeout=timedelta(minutes=10),
                    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1), maximum_attempts=5),
                    summary="send what was put by and nobody came for",
                )  # fmt: skip
        return came
