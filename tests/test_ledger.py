"""A step asks the account's ledger before it speaks: for nothing where it can, and never a ledger that is behind."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.calls import CarryOut
from activities.policies import Policies
from activities.steps import StepActivities
from sla import names
from sla.account_events import AccountDelivery, PaymentCurrent, PaymentLapsed
from sla.customer import DEFAULT_CUSTOMER
from sla.ledger import Ledger
from sla.perform import Scene
from sla.steps import Step
from starter.engines import Silent
from starter.virtual_time import start_environment
from worker.build import build_worker

NOON = datetime(2031, 7, 7, 19, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    """A server on which every workflow must continue as new every few events."""
    env = await start_environment(ALL_KEYS, dynamic_config={"limit.historyCount.suggestContinueAsNew": "20"})
    yield env.client
    await env.shutdown()


class Account:
    """A customer's account on a queue of its own."""

    def __init__(self, client: Client) -> None:
        self.client, self.customer = client, f"acme-{uuid.uuid4().hex[:8]}"
        self.policies = Policies(only={self.customer: DEFAULT_CUSTOMER.model_copy(update={"id": self.customer})})
        self.steps = StepActivities(self.policies, client, Silent())

    def worker(self) -> Worker:
        return build_worker(self.client, self.policies, Silent(), task_queue=self.customer)

    async def hears(self, event: Any, at: datetime) -> None:
        word = AccountDelivery(key=at.isoformat(), occurred_at=at, received_at=at, event=event)
        await dispatch.pay(self.client, self.customer, word, task_queue=self.customer, contract="reciprocity")

    async def settles(self, version: int) -> None:
        handle = self.client.get_workflow_handle(names.account_id(self.customer))
        async with asyncio.timeout(20):
            while True:
                told = await handle.query(names.STATUS)
                if told["told"] >= version and told["ready"] and not told["in_flight"]:
                    return
                await asyncio.sleep(0.02)

    def asks(self, at: datetime) -> CarryOut:
        step = Step(key="escalation/response/75%/1", kind="escalation", at=at, clock="response", step="75%")
        return CarryOut(
            incident="incident/desk/1", state_source="desk", ticket="1", steps=(step,), priority="S2",
            scene=Scene(customer=self.customer), contract="reciprocity", contract_title="Reciprocity",
        )  # fmt: skip


async def test_a_settled_ledger_is_read_from_the_accounts_memo_and_wakes_no_worker(client: Client) -> None:
    """Describing is free, and works while no worker runs at all."""
    account = Account(client)
    async with account.worker():
        await account.hears(PaymentLapsed(), NOON)
        await account.settles(1)
        await account.hears(PaymentCurrent(), NOON + timedelta(hours=1))
        await account.settles(2)
    for at, held_back in ((NOON + timedelta(minutes=30), True), (NOON + timedelta(hours=2), False)):
        async with asyncio.timeout(5):
            came = await account.steps.perform(account.asks(at), 1)
        assert came.ledger is not None
        assert came.ledger.version == 2
        assert [outcome.held_back for outcome in came.outcomes] == [held_back]


async def test_no_step_speaks_by_a_ledger_that_is_behind_what_the_account_has_acknowledged(client: Client) -> None:
    """R12: the lapse is acknowledged, and no worker has taken it yet: the step waits for the ledger that it makes."""
    account = Account(client)
    async with account.worker():
        await account.hears(PaymentLapsed(), NOON)
        await account.settles(1)
        await account.hears(PaymentCurrent(), NOON + timedelta(hours=1))
        await account.settles(2)
    again = NOON + timedelta(hours=2)
    await account.hears(PaymentLapsed(), again)
    asking = asyncio.create_task(account.steps.perform(account.asks(again + timedelta(minutes=1)), 1))
    async with account.worker(), asyncio.timeout(30):
        came = await asking
    assert came.ledger is not None
    assert came.ledger.version == 3
    assert came.outcomes[0].held_back


async def test_the_memo_stays_when_the_account_continues_as_new(client: Client) -> None:
    """What others read survives the renewal of the account, and a later run keeps it up to date."""
    account = Account(client)
    handle = client.get_workflow_handle(names.account_id(account.customer))
    async with account.worker():
        for day in range(6):
            await account.hears(PaymentLapsed(), NOON + timedelta(days=day))
            await account.settles(2 * day + 1)
            await account.hears(PaymentCurrent(), NOON + timedelta(days=day, hours=1))
            await account.settles(2 * day + 2)
            asked = await handle.query(names.LEDGER, result_type=Ledger)
            assert await (await handle.describe()).memo_value(names.LEDGER, type_hint=Ledger) == asked
    told = (await handle.describe()).raw_description.workflow_execution_info
    assert told.first_run_id != told.execution.run_id
