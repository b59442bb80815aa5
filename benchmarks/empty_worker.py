"""The yardsticks: workflows that do nothing, run by a worker that does nothing else, outside the sandbox."""

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "benchmark-empty"


@workflow.defn(name="Empty")
class Empty:
    """Begins, and is over: one task."""

    @workflow.run
    async def run(self) -> None:
        return None


@workflow.defn(name="Listener")
class Listener:
    """Hears eight signals, does nothing about them, and is over: up to nine tasks."""

    def __init__(self) -> None:
        self.heard = 0

    @workflow.signal
    def word(self) -> None:
        self.heard += 1

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.heard >= 8)


def empty_worker(client: Client) -> Worker:
    """A worker for them, outside the sandbox."""
    return Worker(client, task_queue=QUEUE, workflows=[Empty, Listener], workflow_runner=UnsandboxedWorkflowRunner())
