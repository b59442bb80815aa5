"""An account that goes on in a new run: what it was about to do is done by the next run, and nothing holds it up for ever."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.calls import BillingRead, Look, ReadBilling, Reconcile, Reconciled
from activities.policies import Policies
from sla import names
from sla.account import AccountState
from sla.account_events import AccountDelivery, PaymentLapsed
from sla.customer import DEFAULT_CUSTOMER
from sla.duration import Duration
from sla.standing import AccountTerms, LineTerms
from starter.engines import Silent
from starter.virtual_time import start_environment
from worker.build import build_worker


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    """A server on which every workflow must continue as new every few events."""
    env = await start_environment(ALL_KEYS, dynamic_config={"limit.historyCount.suggestContinueAsNew": "20"})
    yield env.client
    await env.shutdown()


class Billing:
    """A billing source that counts how often it is read, and says nothing; or that refuses us for ever."""

    def __init__(self, refuses: bool = False) -> None:
        self.refuses, self.read = refuses, 0

    @activity.defn(name=names.READ_BILLING)
    async def read_billing(self, asked: ReadBilling) -> BillingRead:
        self.read += 1
        if self.refuses:
            raise ApplicationError("it does not take our key (401)", type="BillingRefused")
        return BillingRead()

    @activity.defn(name=names.RECONCILE_BILLING)
    async def reconcile_billing(self, asked: Reconcile) -> Reconciled:
        return Reconciled()


class Account:
    """An account with three calendar days of grace, on a queue of its own."""

    def __init__(self, client: Client, *, refuses: bool = False) -> None:
        self.client, self.customer, self.billing = client, f"acme-{uuid.uuid4().hex[:8]}", Billing(refuses)
        self.handle = client.get_workflow_handle(names.account_id(self.customer))
        self.policies = Policies(only={self.customer: DEFAULT_CUSTOMER.model_copy(update={"id": self.customer})})

    def worker(self) -> Worker:
        billing: Any = self.billing
        return build_worker(self.client, self.policies, Silent(), billing=billing, task_queue=self.customer)

    async def begins(self) -> None:
        line = LineTerms(id="support", grace=Duration.parse("3 calendar days"))
        state = AccountState(customer=self.customer, terms=AccountTerms(lines=(line,)))
        begun = dispatch.account(self.customer, None) | {"arg": state}
        await self.client.start_workflow(names.ACCOUNT_WORKFLOW, task_queue=self.customer, **begun)

    async def run_id(self) -> str:
        return str((await self.handle.describe()).run_id)

    async def renews(self) -> None:
        """Speak to it until it has gone on in a new run."""
        first = await self.run_id()
        async with asyncio.timeout(20):
            while await self.run_id() == first:
                await self.handle.signal("nonsense")
                await asyncio.sleep(0.05)


async def test_a_look_that_is_asked_for_as_the_account_renews_itself_is_taken(client: Client) -> None:
    """None is lost, whichever of them it is that meets the renewal."""
    account = Account(client)
    async with account.worker():
        await account.begins()
        first = await account.run_id()
        for number in range(15):
            for _ in range(number % 3):
                await account.handle.signal("nonsense")
                await account.handle.query(names.WAKE)
            before = account.billing.read
            await account.handle.signal(names.LOOK, Look(source="a hook"))
            async with asyncio.timeout(10):
                while account.billing.read == before:
                    await asyncio.sleep(0.02)
        assert await account.run_id() != first


async def test_an_account_that_renewed_itself_wakes_when_the_grace_is_over(client: Client) -> None:
    account = Account(client)
    async with account.worker():
        await account.begins()
        now = datetime.now(UTC)
        word = AccountDelivery(key="lapsed", occurred_at=now, received_at=now, event=PaymentLapsed())
        await account.handle.signal(names.DELIVER, word)
        await account.renews()
        async with asyncio.timeout(10):
            while await account.handle.query(names.WAKE) is None:
                await asyncio.sleep(0.02)


async def test_a_look_that_is_refused_for_days_keeps_no_account_from_renewing_itself(client: Client) -> None:
    """Each new run begins the look anew; else the history would grow until the server ends it."""
    account = Account(client, refuses=True)
    async with account.worker():
        await account.begins()
        await account.handle.signal(names.LOOK, Look(source="a hook"))
        await account.renews()
        read = account.billing.read
        async with asyncio.timeout(10):
            while account.billing.read == read:
                await asyncio.sleep(0.05)
        assert (await account.handle.query(names.STATUS))["looking"]
