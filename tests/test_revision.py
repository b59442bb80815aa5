"""An account goes by its customer's record as it now stands, also when nobody told it that the record was edited."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.calls import Reconcile, Reconciled
from activities.policies import Policies
from sla import names
from sla.account_events import AccountDelivery, PaymentLapsed
from sla.customer import ContractLine, Customer
from starter.engines import Silent
from starter.virtual_time import start_environment
from worker.build import build_worker


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    env = await start_environment(ALL_KEYS)
    yield env.client
    await env.shutdown()


async def reconciled(client: Client, queue: str) -> Reconciled:
    return await client.execute_workflow(
        names.RECONCILE_WORKFLOW,
        Reconcile(),
        id=f"reconcile-{uuid.uuid4().hex}",
        task_queue=queue,
        result_type=Reconciled,
    )


async def test_the_reconciler_has_an_account_read_its_terms_again_and_once_alone(client: Client) -> None:
    """The record gets a line paid in advance while Temporal is out of reach: the next lapse leaves that line alone."""
    queue = f"q-{uuid.uuid4().hex[:8]}"
    known = {queue: Customer(id=queue, contract="reciprocity")}
    handle = client.get_workflow_handle(names.account_id(queue))
    async with build_worker(client, Policies(only=known), Silent(), task_queue=queue):
        await dispatch.open_account(client, queue, task_queue=queue)
        assert (await reconciled(client, queue)).revised == 1  # it has never shown what it goes by
        async with asyncio.timeout(20):
            while (await reconciled(client, queue)).revised:
                await asyncio.sleep(0.1)
        lines = (ContractLine(id="monthly"), ContractLine(id="paid", products=("grc",), prepaid=True))
        known[queue] = known[queue].model_copy(update={"lines": lines})
        assert (await reconciled(client, queue)).revised == 1
        async with asyncio.timeout(20):
            while list((await handle.query(names.STATUS))["lines"]) != ["monthly", "paid"]:
                await asyncio.sleep(0.05)
        at = datetime.now(UTC)
        await dispatch.pay(
            client,
            queue,
            AccountDelivery(key="k", occurred_at=at, received_at=at, event=PaymentLapsed()),
            task_queue=queue,
        )
        async with asyncio.timeout(20):
            while (told := await handle.query(names.STATUS))["standing"] == "current":
                await asyncio.sleep(0.05)
        assert {id: line["standing"] for id, line in told["lines"].items()} == {
            "monthly": "suspended",
            "paid": "current",
        }
        assert at - timedelta(seconds=5) < datetime.fromisoformat(told["lines"]["monthly"]["since"])
        assert (await reconciled(client, queue)).revised == 0
