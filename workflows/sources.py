"""Reading the connected helpdesks by their API: in rounds, for what webhooks missed; and one ticket, where a webhook told too little."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, RetryState

with workflow.unsafe.imports_passed_through():
    from activities.calls import ReadSource, ReadTicket, SourceRead
    from sla import names


@workflow.defn(name=names.SOURCE_WORKFLOW)
class SourceWorkflow:
    """One round for one source; a schedule starts it."""

    @workflow.run
    async def run(self, asked: ReadSource) -> SourceRead:
        came: SourceRead = await workflow.execute_activity(
            names.RECONCILE_SOURCE, asked, result_type=SourceRead,
            start_to_close_timeout=timedelta(hours=2), heartbeat_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=5), maximum_attempts=20),
            summary=f"read what changed at {asked.source}",
        )  # fmt: skip
        return came


A_DAY = timedelta(days=1)
"""A ticket that could not be read for so long is read on by a new run, for each time that it is asked for makes a run longer."""


@workflow.defn(name=names.TICKET_WORKFLOW)
class TicketWorkflow:
    """One ticket, read again until it can be; asked again while it is being read, it is read once more."""

    def __init__(self) -> None:
        self.asked = 1

    @workflow.run
    async def run(self, asked: ReadTicket) -> int:
        words = 0
        while self.asked:
            self.asked = 0
            try:
                words += await workflow.execute_activity(
                    names.READ_TICKET, asked, result_type=int, start_to_close_timeout=timedelta(minutes=30),
                    schedule_to_close_timeout=A_DAY, heartbeat_timeout=timedelta(seconds=60),
                    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=5)),
                    summary=f"read the ticket at {asked.source}",
                )  # fmt: skip
            except ActivityError as error:
                if error.retry_state != RetryState.TIMEOUT:
                    raise
                workflow.continue_as_new(asked)
        return words

    @workflow.signal(dynamic=True)
    def look(self, name: str, args: Sequence[RawValue]) -> None:
        """It may have changed."""
        self.asked = 1
