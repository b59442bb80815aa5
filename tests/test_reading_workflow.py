"""Reading one ticket: whoever points to it while it is being read has it read again, and once more is not needed."""

import asyncio
import uuid
from pathlib import Path

from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, Worker

from activities import dispatch
from activities.calls import ReadTicket
from sla import names
from starter.embedded import EmbeddedServer
from worker.build import runner
from workflows.sources import TicketWorkflow


async def test_a_ticket_that_is_pointed_to_while_it_is_read_is_read_once_more_and_the_history_replays(
    tmp_path: Path,
) -> None:
    reads, begun, goes_on = 0, asyncio.Event(), asyncio.Event()

    @activity.defn(name=names.READ_TICKET)
    async def read_ticket(asked: ReadTicket) -> int:
        nonlocal reads
        reads += 1
        begun.set()
        await goes_on.wait()
        return 2

    async with EmbeddedServer(tmp_path / "state") as server:
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)
        queue = f"reading-{uuid.uuid4().hex[:6]}"
        async with Worker(
            client, task_queue=queue, workflows=[TicketWorkflow], activities=[read_ticket], workflow_runner=runner()
        ):
            id = await dispatch.read_ticket(client, "desk", "4711", task_queue=queue)
            await begun.wait()
            for _ in range(3):
                assert await dispatch.read_ticket(client, "desk", "4711", task_queue=queue) == id
            goes_on.set()
            handle = client.get_workflow_handle(id, result_type=int)
            assert (await handle.result(), reads) == (4, 2)
            assert await dispatch.read_ticket(client, "desk", "4711", task_queue=queue) == id
            assert (await client.get_workflow_handle(id, result_type=int).result(), reads) == (2, 3)
            history = await handle.fetch_history()
    await Replayer(
        workflows=[TicketWorkflow], data_converter=pydantic_data_converter, workflow_runner=runner()
    ).replay_workflow(history)
