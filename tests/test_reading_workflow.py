"""Reading by workflows: a ticket that is pointed to while it is read is read once more, and one that fails is read until it can be."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities import dispatch
from activities.calls import ReadSource, ReadTicket, SourceRead
from sla import names
from sla.events import Delivery
from starter.embedded import EmbeddedServer
from starter.virtual_time import start_environment
from tests.test_sources_reading import NOW, Kept, failing, five, opened
from worker.build import runner
from workflows.sources import SourceWorkflow, TicketWorkflow


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


async def forward(env: WorkflowEnvironment, handle: WorkflowHandle[Any, Any], span: timedelta) -> None:
    """Move a workflow's clock, unless it is over before its clock can be."""
    try:
        await env.fast_forward(handle, span)
    except RPCError as error:
        if "already completed" not in str(error):
            raise


async def test_a_rotten_ticket_keeps_no_other_back_and_arrives_once_it_is_healed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_ticket = dispatch.read_ticket
    office = opened(Kept(NOW - timedelta(hours=1)), monkeypatch)
    office.desk.tickets, office.desk.fails = five(), {"3": failing()}
    monkeypatch.setattr(dispatch, "read_ticket", read_ticket)
    there = asyncio.Event()

    async def deliver(client: Any, source: str, ticket: str, customer: str, words: Sequence[Delivery], **_: Any) -> str:
        office.brought.append((ticket, [f"{one.occurred_at:%H:%M}" for one in words]))
        if ticket == "3":
            there.set()
        return ticket

    monkeypatch.setattr(dispatch, "deliver", deliver)
    env = await start_environment([])
    try:
        queue, office.reading.client = f"reading-{uuid.uuid4().hex[:6]}", env.client
        async with Worker(
            env.client, task_queue=queue, workflows=[SourceWorkflow, TicketWorkflow],
            activities=[office.reading.reconcile_source, office.reading.read_ticket], workflow_runner=runner(),
        ):  # fmt: skip
            round_ = await env.client.start_workflow(
                names.SOURCE_WORKFLOW, ReadSource(source="desk"), id="round", task_queue=queue, result_type=SourceRead
            )
            await forward(env, round_, timedelta(minutes=1))
            came = await round_.result()
            assert (came.failed, sorted(ticket for ticket, _ in office.brought)) == (1, ["1", "2", "4", "5"])
            office.desk.fails = {}
            handle = env.client.get_workflow_handle(names.ticket_id("desk", "3"), result_type=int)
            await forward(env, handle, timedelta(minutes=10))
            await asyncio.wait_for(there.wait(), 30)
            assert await handle.result() == 1
    finally:
        await env.shutdown()
    assert dict(office.brought)["3"] == ["16:53"]


async def test_a_ticket_that_fails_for_days_is_read_on_by_a_new_run_each_day_and_at_last_told() -> None:
    """However often it is asked for meanwhile, no run's history grows too long for the server."""
    tries, healed = 0, False

    @activity.defn(name=names.READ_TICKET)
    async def read_ticket(asked: ReadTicket) -> int:
        nonlocal tries
        tries += 1
        if not healed:
            raise ApplicationError("it answered 500", type="HelpdeskUnavailable")
        return 2

    env = await start_environment([])
    try:
        async with Worker(
            env.client,
            task_queue="days",
            workflows=[TicketWorkflow],
            activities=[read_ticket],
            workflow_runner=runner(),
        ):
            id = await dispatch.read_ticket(env.client, "desk", "4711", task_queue="days")
            handle = env.client.get_workflow_handle(id, result_type=int)
            first = (await handle.describe()).run_id
            await forward(env, handle, timedelta(hours=26))
            assert (await handle.describe()).run_id != first
            assert tries > 24 * 12 - 20  # At least every five minutes, but for the first few.
            healed = True
            await forward(env, handle, timedelta(minutes=10))
            assert await handle.result() == 2
            history = await env.client.get_workflow_handle(id, run_id=first).fetch_history()
    finally:
        await env.shutdown()
    await Replayer(
        workflows=[TicketWorkflow], data_converter=pydantic_data_converter, workflow_runner=runner()
    ).replay_workflow(history)
