"""What happens by the clock, on Temporal Schedules: the reconciler, the sweep of notices, the reading of helpdesks."""

import os
from collections.abc import Collection, Iterable, Mapping
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

from activities.calls import ReadSource, Reconcile
from sla import names
from sla.source import Source
from starter.home import SettingError

RECONCILE_ID: Final = "reconcile-billing"
SWEEP_ID: Final = "sweep-notices"
SWEEP_EVERY: Final = timedelta(minutes=10)
SOURCE_ID: Final = "read-source-"
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
    """See to it that the payments are compared every so often; doing it again changes nothing. Zero takes the schedule away.

    Whether somebody has paused it, and why, stays as it is.
    """
    often = timedelta(minutes=minutes()) if every is None else every
    await _ensure(client, RECONCILE_ID, _schedule(often, task_queue) if often else None)


async def ensure_sweep_schedule(client: Client, *, task_queue: str = names.TASK_QUEUE) -> None:
    """See to it that what a worker put off and did not live to send is sent all the same; doing it again changes nothing."""
    await _ensure(client, SWEEP_ID, _sweep_schedule(task_queue))


async def ensure_source_schedules(
    client: Client, sources: Iterable[Source], unread: Collection[str] = (), *, task_queue: str = names.TASK_QUEUE
) -> None:
    """See to it that every connected helpdesk is read as often as its file says, and none that is there no more.

    One without an API, or that is never to be read, is looked at every hour, for the alarm of a source that has gone quiet.
    Those of `unread`, whose files nobody could read yet, stay as they are.
    """
    wanted: dict[str, Schedule] = {}
    for source in sources:
        often = source.reconcile_minutes if source.url is not None else 0
        if often or source.quiet_hours:
            wanted[f"{SOURCE_ID}{source.name}"] = _source_schedule(source, timedelta(minutes=often or 60), task_queue)
    async for known in await client.list_schedules():
        name = known.id.removeprefix(SOURCE_ID)
        if known.id.startswith(SOURCE_ID) and known.id not in wanted and name not in unread:
            await _ensure(client, known.id, None)
    for id, schedule in wanted.items():
        await _ensure(client, id, schedule)


async def _ensure(client: Client, id: str, schedule: Schedule | None) -> None:
    handle = client.get_schedule_handle(id)
    if schedule is None:
        try:
            await handle.delete()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        return
    try:
        await client.create_schedule(id, schedule)
    except ScheduleAlreadyRunningError:
        task_queue = _queue(schedule)

        def updated(input: ScheduleUpdateInput) -> ScheduleUpdate | None:
            now, wanted = input.description.schedule, schedule
            if (
                now.spec.intervals == wanted.spec.intervals
                and now.policy == wanted.policy
                and _queue(now) == task_queue
            ):
                return None
            wanted.state = now.state
            return ScheduleUpdate(schedule=wanted)

        await handle.update(updated)


def _source_schedule(source: Source, often: timedelta, task_queue: str) -> Schedule:
    action = ScheduleActionStartWorkflow(
        names.SOURCE_WORKFLOW, ReadSource(source=source.name), id=f"{SOURCE_ID}{source.name}", task_queue=task_queue,
        execution_timeout=timedelta(hours=6), static_summary=f"read what changed at {source.name} ({source.kind})",
    )  # fmt: skip
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=often)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
        state=ScheduleState(note="a webhook that never came is made good by asking"),
    )


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


def _sweep_schedule(task_queue: str) -> Schedule:
    action = ScheduleActionStartWorkflow(
        names.SWEEP_WORKFLOW, id=SWEEP_ID, task_queue=task_queue, execution_timeout=timedelta(hours=1),
        static_summary="send what was put by and nobody came for",
    )  # fmt: skip
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=SWEEP_EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
        state=ScheduleState(note="a notice that was put off outlives the worker that was to send it"),
    )


def _queue(schedule: Schedule) -> str | None:
    action = schedule.action
    return action.task_queue if isinstance(action, ScheduleActionStartWorkflow) else None
