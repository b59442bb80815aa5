"""The two bare ways to bring one word to all incidents of a customer: list and signal, and a batch operation."""

import asyncio
import random
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from temporalio.api.batch.v1 import BatchOperationSignal
from temporalio.api.enums.v1 import BatchOperationState
from temporalio.api.workflowservice.v1 import DescribeBatchOperationRequest, StartBatchOperationRequest
from temporalio.client import Client

from activities.calls import StandingWord
from benchmarks.fan_out_stage import CUSTOMER
from sla import names
from sla.ledger import Ledger

IN_FLIGHT = 50
OF_CUSTOMER = (
    f"WorkflowType='{names.INCIDENT_WORKFLOW}' AND {names.CUSTOMER}='{CUSTOMER}' AND ExecutionStatus='Running'"
)
LOOKED_AT = 200
"""Incidents, chosen at random, that are asked whether all of them have taken the word."""


def known_word() -> StandingWord:
    """A word that each incident knows already, for it was told when it opened: it wakes it, and changes nothing."""
    return StandingWord(ledger=Ledger(), at=datetime.now(UTC))


async def list_and_signal(client: Client) -> tuple[int, float, float]:
    """How many were signalled; seconds of the listing, and of the signals, 50 in flight."""
    began = time.perf_counter()
    found = [one.id async for one in client.list_workflows(OF_CUSTOMER, page_size=1000)]
    listed = time.perf_counter()
    waiting, word = iter(found), known_word()

    async def lane() -> None:
        for id in waiting:
            await client.get_workflow_handle(id).signal(names.STANDING_TOLD, word)

    await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))
    return len(found), listed - began, time.perf_counter() - listed


async def batch(client: Client) -> tuple[int, float]:
    """How many a batch operation of the server signalled, and in how many seconds."""
    job = f"fan-out-{uuid.uuid4()}"
    signal = BatchOperationSignal(signal=names.STANDING_TOLD, identity="benchmark")
    signal.input.payloads.extend(await client.data_converter.encode([known_word()]))
    began = time.perf_counter()
    await client.workflow_service.start_batch_operation(
        StartBatchOperationRequest(
            namespace=client.namespace,
            visibility_query=OF_CUSTOMER,
            job_id=job,
            reason="benchmark",
            signal_operation=signal,
        )
    )
    while True:
        told = await client.workflow_service.describe_batch_operation(
            DescribeBatchOperationRequest(namespace=client.namespace, job_id=job)
        )
        if told.state == BatchOperationState.BATCH_OPERATION_STATE_COMPLETED:
            return told.complete_operation_count, time.perf_counter() - began
        if told.state == BatchOperationState.BATCH_OPERATION_STATE_FAILED:
            raise SystemExit("the batch operation failed")
        await asyncio.sleep(0.1)


async def drained(client: Client, ids: Sequence[str]) -> None:
    """Wait until incidents chosen at random have done with all that they heard."""
    left = random.sample(list(ids), min(LOOKED_AT, len(ids)))
    while left:
        told = await asyncio.gather(*(client.get_workflow_handle(id).describe() for id in left[:20]))
        busy = [one.id for one in told if one.raw_description.HasField("pending_workflow_task")]
        left = busy + left[20:]
        if busy:
            await asyncio.sleep(0.2)
