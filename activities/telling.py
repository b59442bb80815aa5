"""Telling many incidents their account's ledger, and asking which of them are closed: so many in flight, resumable.

One word is put into its wire form once for all who hear it. A signal carries the id of its telling, so that the server
itself drops what is told again after a kill; an incident drops it too, by the ledger's version.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.beating import beating
from activities.calls import Roll, StandingWord, Telling
from sla import names

IN_FLIGHT: Final = 50
BEAT: Final = 2.0
"""Seconds between heartbeats, well within the timeout also where the machine is loaded."""
PATIENCE: Final = timedelta(seconds=10)
WAITS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each further attempt at one incident; the client has tried for a while by itself before the first."""
PASSING: Final = frozenset(
    {
        RPCStatusCode.ABORTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.UNKNOWN,
    }
)
Ask = Callable[[str], Awaitable[bool]]
"""Does one thing with one incident; True when it is closed."""


@dataclass
class TellingActivities:
    """Needs a client."""

    client: Client

    @activity.defn(name=names.TELL_INCIDENTS)
    async def tell_incidents(self, asked: Telling) -> Roll:
        """Signal the ledger to each incident; resumes where it was. Gives back those that are closed."""
        word = StandingWord(ledger=asked.ledger, at=asked.at)
        said, client, once = await self.client.data_converter.encode([word]), self.client, _telling()

        async def tell(incident: str) -> bool:
            request = SignalWorkflowExecutionRequest(
                namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=incident),
                signal_name=names.STANDING_TOLD, identity=client.identity, request_id=once,
            )  # fmt: skip
            request.input.payloads.extend(said)
            await client.workflow_service.signal_workflow_execution(request, retry=True, timeout=PATIENCE)
            return False

        return await _each(asked.incidents, tell)

    @activity.defn(name=names.COUNT_ROLL)
    async def count_roll(self, asked: Roll) -> Roll:
        """Which of the incidents are closed; looking costs nothing."""
        client = self.client

        async def closed(incident: str) -> bool:
            request = DescribeWorkflowExecutionRequest(
                namespace=client.namespace, execution=WorkflowExecution(workflow_id=incident)
            )
            found = await client.workflow_service.describe_workflow_execution(request, retry=True, timeout=PATIENCE)
            return found.workflow_execution_info.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING

        return await _each(asked.incidents, closed)


@dataclass
class _Progress:
    """How far along a list all is done, whatever the order in which its items are finished."""

    done: int = 0
    """All before this index have been asked."""
    gone: dict[str, None] = field(default_factory=dict)
    left: dict[str, None] = field(default_factory=dict)
    """Those that refused; the next attempt asks them again, and nobody else."""
    _ahead: set[int] = field(default_factory=set)

    @classmethod
    def so_far(cls) -> Self:
        """What the attempt before noted."""
        noted = activity.info().heartbeat_details
        done, gone, left = noted if len(noted) == 3 else (0, (), ())
        return cls(done, dict.fromkeys(gone), dict.fromkeys(left))

    def note(self) -> None:
        activity.heartbeat(self.done, list(self.gone), list(self.left))

    def finish(self, index: int) -> None:
        self._ahead.add(index)
        while self.done in self._ahead:
            self._ahead.remove(self.done)
            self.done += 1


async def _each(incidents: Sequence[str], ask: Ask) -> Roll:
    """Ask of every incident, IN_FLIGHT at a time: a slow one holds up its own lane alone, one that refuses nobody."""
    progress, refusals = _Progress.so_far(), list[RPCError]()
    rest = range(progress.done, len(incidents))
    waiting = iter([*((None, incident) for incident in progress.left), *((i, incidents[i]) for i in rest)])

    async def lane() -> None:
        for index, incident in waiting:
            try:
                if await _patiently(ask, incident):
                    progress.gone[incident] = None
                progress.left.pop(incident, None)
            except RPCError as error:
                progress.left[incident] = None
                refusals.append(error)
            if index is not None:
                progress.finish(index)

    async with beating(progress.note, BEAT), asyncio.TaskGroup() as lanes:
        for _ in range(IN_FLIGHT):
            lanes.create_task(lane())
    if refusals:
        progress.note()
        raise refusals[0]
    return Roll(incidents=tuple(progress.gone))


async def _patiently(ask: Ask, incident: str) -> bool:
    """One incident, tried again on what may pass: a hiccup does not begin the whole batch anew."""
    for wait in (*WAITS, None):
        try:
            return await ask(incident)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return True
            if wait is None or error.status not in PASSING:
                raise
        await asyncio.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _telling() -> str:
    """The id of this telling, the same at each attempt, as the server wants ids of requests."""
    info = activity.info()
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{info.workflow_id}/{info.workflow_run_id}/{info.activity_id}"))
