"""What happens by the clock: the reconciler, on a Temporal Schedule."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import Reconcile
from sla import names
from starter.home import SettingError

RECONCILE_ID: Final = "reconcile-billing"
VARIABLE: Final = "PACTKEEPER_RECONCILE_MINUTES"
USUAL: Final = 10
MOST: Final = 24 * 60


def minutes(environ: Mapping[str, str] = os.environ) -> int:
    """How often the reconciler runs; 0: never.

    Raises:
        SettingError: the setting is no number of minutes.
    """
    told = environ.get(VARIABLE, "").strip()
    if not told:
        return USUAL
    if not (told.isascii() and told.isdigit() and len(told) <= 4 and int(told) <= MOST):
        raise SettingError(f"{VARIABLE} is {told[:20]!r}; write minutes from 1 to {MOST}, or 0 for never")
    return int(told)


async def ensure_schedule(
    client: Client, every: timedelta | None = None, *, task_queue: str = names.TASK_QUEUE
) -> None:
    """See to it that the reconciler runs every so often; doing it again changes nothing. Zero takes the schedule away.

    Whether somebody has paused it, and why, stays as it is.
    """
    often = timedelta(minutes=minutes()) if every is None else every
    handle = client.get_schedule_handle(RECONCILE_ID)
    if not often:
        try:
            await handle.delete()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        return
    try:
        await client.create_schedule(RECONCILE_ID, _schedule(often, task_queue))
    except ScheduleAlreadyRunningError:

        def updated(input: ScheduleUpdateInput) -> ScheduleUpdate | None:
            now, wanted = input.description.schedule, _schedule(often, task_queue)
            if (
                now.spec.intervals == wanted.spec.intervals
                and now.policy == wanted.policy
                and _queue(now) == task_queue
            ):
                return None
            wanted.state = now.state
            return ScheduleUpdate(schedule=wanted)

        await handle.update(updated)


def _schedule(often: timedelta, task_queue: str) -> Schedule:
    action = ScheduleActionStartWorkflow(
        names.RECONCILE_WORKFLOW, Reconcile(), id=RECONCILE_ID, task_queue=task_queue, execution_timeout=timedelta(hours=6),
        static_summary="compare what the billing sources say with what the accounts know",
    )  # fmt: skip
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=often)]),
        # One that could not start while the server was down is not made up for: the next one reads all the same.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
        state=ScheduleState(note="a webhook that never came is made good by asking"),
    )


def _queue(schedule: Schedule) -> str | None:
    action = schedule.action
    return action.task_queue if isinstance(action, ScheduleActionStartWorkflow) else None
