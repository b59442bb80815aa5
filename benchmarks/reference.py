"""The reference incident: what is said of it and when, and how to live through it on a real server in virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities import dispatch
from activities.policies import Policies
from sla import names
from sla.events import Acknowledged, AgentReplied, Closed, CustomerReplied, Delivery, IncidentEvent, Opened, Resolved
from starter.virtual_time import QUIET, begins_at

SOURCE, CUSTOMER = "reference", "acme"
MONDAY = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
"""10:00 in Los Angeles; under Tromzo's contract an answer to a P3 is due at 10:00 the next morning."""
ANN, DANA = "ann@acme.example", "dana"


@dataclass(frozen=True)
class Said:
    """What one delivery of the helpdesk tells, so long after the opening."""

    after: timedelta
    events: tuple[IncidentEvent, ...]


def _said(hours: int, minutes: int, *events: IncidentEvent) -> Said:
    return Said(timedelta(hours=hours, minutes=minutes), events)


OPENING = _said(0, 0, Opened(by=ANN, subject="The export stops halfway", channel="email"))
REST = (
    _said(6, 40, CustomerReplied(by=ANN)),
    _said(7, 0, CustomerReplied(by=ANN)),
    _said(7, 20, CustomerReplied(by=ANN)),
    _said(7, 40, Resolved(by=DANA)),
    _said(7, 55, Closed(by=DANA)),
)
ONE_BY_ONE = (OPENING, _said(6, 5, Acknowledged(by=DANA)), _said(6, 20, AgentReplied(by=DANA)), *REST)
"""At 16:00 half of the response target is gone and nobody has taken the ticket: it is escalated, to Dana, who takes it."""
TOGETHER = (OPENING, _said(6, 20, Acknowledged(by=DANA), AgentReplied(by=DANA)), *REST)
"""The same; the helpdesk tells in one webhook that Dana took the ticket and answered it, as one form made it so."""

SKIPS = ("WORKFLOW_EXECUTION_OPTIONS_UPDATED", "WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED")
"""The server's own lines on time skipping, which no production server writes."""


async def live(env: WorkflowEnvironment, ticket: str, story: Sequence[Said], policies: Policies) -> str:
    """Tell a story, each delivery at its moment, and let every timer in between fire; the id of the closed incident."""
    handle: WorkflowHandle[object, object] | None = None
    id = ""
    for number, said in enumerate(story):
        at = MONDAY + said.after
        if handle is not None:
            await _forward(env, handle, at)
        words = [
            Delivery(key=f"{ticket}:{number}.{i}", occurred_at=at, received_at=at, event=event)
            for i, event in enumerate(said.events)
        ]
        with begins_at(at):
            id = await dispatch.deliver(env.client, SOURCE, ticket, CUSTOMER, words, policies=policies)
        if handle is None:
            handle = env.client.get_workflow_handle(id)
            await env.fast_forward(handle, at + QUIET - await env.get_current_time(handle))
        await _settled(handle)
    return id


async def _forward(env: WorkflowEnvironment, handle: WorkflowHandle[object, object], at: datetime) -> None:
    """Up to `at`, with a stop after each timer."""
    while True:
        fires = await _fires(handle)
        target = at if fires is None or fires > at else fires + QUIET
        left = target - await env.get_current_time(handle)
        if left > timedelta(0):
            await env.fast_forward(handle, left)
        if target == at:
            return
        while await _fires(handle) == fires:
            await asyncio.sleep(0.01)
        await _settled(handle)


async def _settled(handle: WorkflowHandle[object, object]) -> None:
    """Wait until the incident has done with all that it heard. Nothing that is asked here counts as an action."""
    async with asyncio.timeout(60):
        while True:
            told = await handle.describe()
            if told.status != WorkflowExecutionStatus.RUNNING:
                return
            raw = told.raw_description
            if not raw.HasField("pending_workflow_task") and not raw.pending_activities:
                return
            await asyncio.sleep(0.01)


async def _fires(handle: WorkflowHandle[object, object]) -> datetime | None:
    """When the armed timer fires, by the history."""
    fires: dict[int, datetime] = {}
    for event in (await handle.fetch_history()).events:
        if event.HasField("timer_started_event_attributes"):
            lasts = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            fires[event.event_id] = event.event_time.ToDatetime(UTC) + lasts
        for over in ("timer_fired_event_attributes", "timer_canceled_event_attributes"):
            if event.HasField(over):
                fires.pop(getattr(event, over).started_event_id, None)
    return min(fires.values(), default=None)


async def history(client: Client, id: str) -> list[HistoryEvent]:
    """The events of a workflow, without those of time skipping."""
    events = (await client.get_workflow_handle(id).fetch_history()).events
    return [event for event in events if kind(event) not in SKIPS]


def kind(event: HistoryEvent) -> str:
    """`WORKFLOW_TASK_STARTED` and the like."""
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def incident_of(ticket: str) -> str:
    """The id of a reference incident."""
    return names.incident_id(SOURCE, ticket)
