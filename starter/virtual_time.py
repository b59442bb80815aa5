"""Months in seconds: workflows on the real server, each on a clock of its own that moves only when it is told to.

The server's time skipping (1.32) has three traps, and this module is where they are handled: a target must be quiet (a
timer due shortly before it makes the server skip on to the next one), a fast-forward over a timer that is due but has
not fired loses it, and a query beside a continue-as-new is answered by the old run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from starter.embedded import temporal_executable

DYNAMIC_CONFIG: Mapping[str, str] = {
    "frontend.WorkflowTimeSkippingEnabled": "true",
    # By default a fast-forward over more than 200 timers just stops.
    "frontend.WorkflowTimeSkippingMaxSkipPerSession": "100000",
    # By default every timer costs a real second, and some more when many fire.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "history.timerProcessorMaxPollRPS": "2000",
    "history.transferProcessorMaxPollRPS": "2000",
    # By default the second continue-as-new of one second is put off, and its timers are lost.
    "history.workflowIdReuseMinimalInterval": '"0s"',
}
QUIET = timedelta(seconds=5)
"""Virtual, so it costs nothing; it must exceed the real time in which one wake-up is carried out."""

_begins: ContextVar[datetime | None] = ContextVar("begins", default=None)


class Overshot(RuntimeError):
    """The server skipped past its target; the story must be played again, under new ids."""


@contextmanager
def begins_at(at: datetime) -> Iterator[None]:
    """Workflows that this block starts, plainly or with a signal, have their first task at `at`."""
    token = _begins.set(at)
    try:
        yield
    finally:
        _begins.reset(token)


class _StartDelay(Interceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        class Outbound(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
                at = _begins.get()
                if at is not None:
                    input.start_delay = max(at - datetime.now(UTC), timedelta(0))
                return await super().start_workflow(input)

        return Outbound(next)


async def start_environment(
    search_attributes: Sequence[SearchAttributeKey[Any]],
    *,
    dynamic_config: Mapping[str, str] | None = None,
    metrics_port: int | None = None,
) -> WorkflowEnvironment:
    """A real server, in memory, on loopback, whose workflows stand still until they are moved.

    `metrics_port` is where the server tells its own metrics; None: anywhere.
    """
    settings = {**DYNAMIC_CONFIG, **(dynamic_config or {})}
    return await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(temporal_executable()),
        search_attributes=search_attributes,
        dev_server_extra_args=[
            *(word for name, value in settings.items() for word in ("--dynamic-config-value", f"{name}={value}")),
            *(() if metrics_port is None else ("--metrics-port", str(metrics_port))),
        ],
        interceptors=[_StartDelay()],
        data_converter=pydantic_data_converter,
        dev_server_log_level="error",
    )


@dataclass(frozen=True)
class Member:
    """A workflow, and how to ask for which moment its timer is armed (None: no timer). The question is a barrier, too."""

    handle: WorkflowHandle[Any, Any]
    wake: Callable[[], Awaitable[datetime | None]]


class Clocks:
    """The clocks of one story's workflows, moved in step."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        self.env = env
        self._members: dict[str, Member] = {}
        self._runs: dict[str, str] = {}

    @property
    def client(self) -> Client:
        return self.env.client

    async def add(self, member: Member, at: datetime) -> None:
        """A workflow just started: carry it to its first task at `at`, and past it."""
        if member.handle.id not in self._members:
            await self._forward(member, at + QUIET)
            await member.wake()
            self._members[member.handle.id] = member

    async def before(self, at: datetime) -> None:
        """Fire all that is due before `at`, in order; what is due at `at` itself is left for what is heard at that moment."""
        await self._fire(lambda wake: wake < at)
        for member in self._open():
            await self._forward(member, at - 2 * QUIET)

    async def to(self, at: datetime) -> None:
        """Fire all that is due up to and with `at`, in order."""
        await self._fire(lambda wake: wake <= at)
        for member in self._open():
            await self._forward(member, at)

    def _open(self) -> list[Member]:
        return list(self._members.values())

    async def _fire(self, due: Callable[[datetime], bool]) -> None:
        while True:
            wakes = [(await self._settled(member), member) for member in self._open()]
            ahead = [(wake, member) for wake, member in wakes if wake is not None and due(wake)]
            if not ahead:
                return
            soonest = min(wake for wake, _ in ahead)
            for wake, member in wakes:
                if wake != soonest:
                    await self._forward(member, soonest if wake is None or wake > soonest + QUIET else soonest - QUIET)
            for wake, member in ahead:
                if wake == soonest:
                    await self._forward(member, soonest + QUIET)

    async def _settled(self, member: Member) -> datetime | None:
        """When the member wakes next, once nothing that is due is still unfired."""
        id = member.handle.id
        for _ in range(600):
            if id not in self._members:
                return None
            wake = await member.wake()
            now, run, running = await self._describe(member)
            if not running:
                self._members.pop(id, None)
                return None
            if self._runs.setdefault(id, run) == run and (wake is None or wake > now):
                return wake
            if self._runs[id] == run:
                await asyncio.sleep(0.02)
            self._runs[id] = run
        raise TimeoutError(f"workflow {id} was due and did not wake")

    async def _describe(self, member: Member) -> tuple[datetime, str, bool]:
        told = await member.handle.describe()
        info = told.raw_description.workflow_extended_info.time_skipping_info
        return info.current_time.ToDatetime(UTC), told.run_id, told.status == WorkflowExecutionStatus.RUNNING

    async def _forward(self, member: Member, at: datetime) -> None:
        left = at - await self.env.get_current_time(member.handle)
        if left <= timedelta(0):
            return
        try:
            if not await asyncio.wait_for(self.env.fast_forward(member.handle, left), 60):
                self._members.pop(member.handle.id, None)
                return
        except RPCError as error:
            if "already completed" not in str(error):
                raise
            self._members.pop(member.handle.id, None)
            return
        over = await self.env.get_current_time(member.handle) - at
        if over > timedelta(seconds=30):
            raise Overshot(f"workflow {member.handle.id} is {over} past {at}")
