"""The reconciler: a webhook that never came is made good by asking."""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.calls import Reconcile, Reconciled
    from sla import names

SWEPT_APART: Final = "sweep-has-a-schedule-of-its-own"
"""Rounds that began before swept up what was put by, too."""


@workflow.defn(name=names.RECONCILE_WORKFLOW)
class ReconcileWorkflow:
    """One comparison of every linked customer's standing with its account; a schedule starts it."""

    @workflow.run
    async def run(self, asked: Reconcile) -> Reconciled:
        came: Reconciled = await workflow.execute_activity(
            names.RECONCILE_BILLING, asked, result_type=Reconciled,
            start_to_close_timeout=timedelta(hours=2), heartbeat_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1), maximum_attempts=20),
            summary="read every linked customer's standing",
        )  # fmt: skip
        if not asked.only and not workflow.patched(SWEPT_APART):
            with suppress(ActivityError):
                await workflow.execute_activity(
                    names.SWEEP_BUNDLES, start_to_close_timeout=timedelta(minutes=10),
                    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1), maximum_attempts=5),
                    summary="send what was put by and nobody came for",
                )  # fmt: skip
        return came
