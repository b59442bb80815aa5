"""Building a worker: the workflows in the sandbox with the pure core passed through, the activities, the limits."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Self

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities import all_activities
from activities.billing import BillingActivities
from activities.policies import Policies
from activities.sources import SourceActivities
from activities.steps import Teller
from sla import names
from worker.sandbox import Sandbox
from workflows import WORKFLOWS

PASSED_THROUGH = (
    "sla",
    "activities",
    "records",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_inspection",
    "httpx",
)


class Workers:
    """The two workers of a process, which run and stop together."""

    def __init__(self, incidents: Worker, accounts: Worker, begin: Callable[[], Awaitable[None]] | None = None) -> None:
        """`begin` is run beside them, once."""
        self._both = (incidents, accounts)
        self._begin = begin
        self._entered = AsyncExitStack()

    @property
    def task_queue(self) -> str:
        """The queue of the incidents."""
        return self._both[0].task_queue

    async def run(self) -> None:
        """Run until this is cancelled, or one of them fails."""
        try:
            async with asyncio.TaskGroup() as group:
                for one in self._both:
                    group.create_task(one.run())
                if self._begin is not None:
                    await self._begin()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def shutdown(self) -> None:
        """Stop both; returns when what ran has ended."""
        await asyncio.gather(*(one.shutdown() for one in self._both))

    async def __aenter__(self) -> Self:
        for one in self._both:
            await self._entered.enter_async_context(one)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._entered.aclose()


def runner() -> SandboxedWorkflowRunner:
    """The sandbox: our own modules are policed by lint and tests, and are not executed anew for every incident."""
    return Sandbox(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def build_worker(
    client: Client,
    policies: Policies,
    teller: Teller,
    *,
    billing: BillingActivities | None = None,
    sources: SourceActivities | None = None,
    task_queue: str = names.TASK_QUEUE,
    max_cached_workflows: int = 1000,
    grace: timedelta = timedelta(seconds=10),
    begin: Callable[[], Awaitable[None]] | None = None,
) -> Workers:
    """A worker for our queue and for the accounts' beside it; it finishes what runs within `grace` when it is stopped.

    The accounts have slots of their own: incidents that wait for their account hold theirs meanwhile.
    """

    def one(queue: str) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=activities,
            workflow_runner=runner(),
            max_cached_workflows=max_cached_workflows,
            graceful_shutdown_timeout=grace,
        )

    activities = all_activities(policies, client, teller, billing, sources)
    return Workers(one(task_queue), one(names.accounts_queue(task_queue)), begin)
