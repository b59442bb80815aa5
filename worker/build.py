"""Building a worker: the workflows in the sandbox with the pure core passed through, the activities, the limits."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities import all_activities
from activities.billing import BillingActivities
from activities.policies import Policies
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


def runner() -> SandboxedWorkflowRunner:
    """The sandbox: our own modules are policed by lint and tests, and are not executed anew for every incident."""
    return Sandbox(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def build_worker(
    client: Client,
    policies: Policies,
    teller: Teller,
    *,
    billing: BillingActivities | None = None,
    task_queue: str = names.TASK_QUEUE,
    max_cached_workflows: int = 1000,
    grace: timedelta = timedelta(seconds=10),
) -> Worker:
    """A worker for our queue; it finishes what runs within `grace` when it is stopped."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=all_activities(policies, client, teller, billing),
        workflow_runner=runner(),
        max_cached_workflows=max_cached_workflows,
        graceful_shutdown_timeout=grace,
    )
