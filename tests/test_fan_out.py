"""Telling many incidents: each is told once, also where the worker dies in the middle, and the account's history stays small."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import dispatch, telling
from activities.attributes import ALL_KEYS
from activities.calls import StandingWord
from activities.policies import Policies
from sla import names
from sla.account_events import AccountDelivery, PaymentCurrent, PaymentLapsed
from sla.customer import DEFAULT_CUSTOMER
from sla.events import Delivery, Opened
from starter.embedded import EmbeddedServer
from starter.engines import Silent
from tests.terminal import ROOT
from worker.build import build_worker
from workflows.account import BATCH

SOURCE, CUSTOMER, MANY = "crowd", "crowd", 200
MOST_EVENTS, TEN_THOUSAND = 200, 10_000
POLICIES = Policies(only={CUSTOMER: DEFAULT_CUSTOMER.model_copy(update={"id": CUSTOMER, "contract": "reciprocity"})})
OF_CUSTOMER = f"WorkflowType='{names.INCIDENT_WORKFLOW}' AND {names.CUSTOMER}='{CUSTOMER}'"
SLOW_WORKER = "import sys; from tests.test_fan_out import slow_worker; slow_worker(sys.argv[1])"


def slow_worker(target: str) -> None:
    """A worker in a process of its own that tells one incident at a time, so that it can be killed in the middle."""
    telling.IN_FLIGHT = 1  # type: ignore[misc]

    async def run() -> None:
        client = await Client.connect(target, data_converter=pydantic_data_converter)
        await build_worker(client, POLICIES, Silent()).run()

    asyncio.run(run())


class Crowd:
    """Many incidents of one customer on a real server."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ids = [names.incident_id(SOURCE, f"t{i}") for i in range(MANY)]
        self.changes = 0

    async def opens(self) -> None:
        waiting = iter(range(MANY))

        async def lane() -> None:
            for i in waiting:
                now = datetime.now(UTC)
                word = Delivery(key="opened", occurred_at=now, received_at=now, event=Opened(by="ann@acme.example"))
                await dispatch.deliver(self.client, SOURCE, f"t{i}", CUSTOMER, word, policies=POLICIES)
                while (await self._handle(i).describe()).raw_description.HasField("pending_workflow_task"):
                    await asyncio.sleep(0.02)

        await asyncio.gather(*(lane() for _ in range(6)))

    async def pays(self, event: PaymentLapsed | PaymentCurrent) -> datetime:
        now = datetime.now(UTC)
        self.changes += 1
        word = AccountDelivery(key=f"p{self.changes}", occurred_at=now, received_at=now, event=event)
        await dispatch.pay(self.client, CUSTOMER, word)
        return now

    async def showing(self, phase: str) -> int:
        return (await self.client.count_workflows(f"{OF_CUSTOMER} AND {names.PHASE}='{phase}'")).count

    async def all_show(self, phase: str, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while await self.showing(phase) < MANY or not await self.account_is_done():
                await asyncio.sleep(0.2)

    async def account_is_done(self) -> bool:
        told = await self.client.get_workflow_handle(names.account_id(CUSTOMER)).query(names.STATUS)
        return bool(told["told"] == told["version"])

    async def account_events(self, since: datetime) -> int:
        history = await self.client.get_workflow_handle(names.account_id(CUSTOMER)).fetch_history()
        return sum(event.event_time.ToDatetime(UTC) >= since for event in history.events)

    async def words(self) -> list[Counter[int]]:
        """How often each incident was told each version of the ledger, by its history."""
        found = []
        for i in range(MANY):
            said: Counter[int] = Counter()
            for event in (await self._handle(i).fetch_history()).events:
                heard = event.workflow_execution_signaled_event_attributes
                if heard.signal_name == names.STANDING_TOLD:
                    said[StandingWord.model_validate_json(heard.input.payloads[0].data).ledger.version] += 1
            found.append(said)
        return found

    def _handle(self, i: int) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(self.ids[i])


@pytest.fixture(scope="module")
async def crowd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crowd]:
    folder = tmp_path_factory.mktemp("crowd")
    async with EmbeddedServer(folder, search_attributes=ALL_KEYS) as server:
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)
        made = Crowd(client)
        async with build_worker(client, POLICIES, Silent()):
            await made.opens()
        yield made


async def test_R12_all_incidents_are_told_once_and_the_account_s_history_stays_small(crowd: Crowd) -> None:
    """A suspension and a resumption of 10,000 incidents would be fewer than 200 events of the account."""
    async with build_worker(crowd.client, POLICIES, Silent()):
        began = await crowd.pays(PaymentLapsed())
        await crowd.all_show("suspended", 60)
        await crowd.pays(PaymentCurrent())
        await crowd.all_show("open", 60)
        await asyncio.sleep(1)  # what the account might still do of itself would show as events
        events = await crowd.account_events(began)
    batches = ceil(TEN_THOUSAND / BATCH) - ceil(MANY / BATCH)
    a_batch = 6  # scheduled, started, completed, and a workflow task that asks for the next one
    assert events + 2 * batches * a_batch < MOST_EVENTS
    assert await crowd.words() == [Counter({1: 1, 2: 1})] * MANY


async def test_R12_a_worker_killed_in_the_middle_of_the_telling_loses_no_incident_and_tells_none_twice(
    crowd: Crowd,
) -> None:
    """The next worker goes on with the telling; what the dead one had told and not noted is not told again."""
    target = crowd.client.service_client.config.target_host
    before = await crowd.words()
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", SLOW_WORKER, target, cwd=ROOT)
    try:
        await crowd.pays(PaymentLapsed())
        async with asyncio.timeout(60):
            while await crowd.showing("suspended") < 5:
                await asyncio.sleep(0.02)
    finally:
        killed.send_signal(signal.SIGKILL)
        await killed.wait()
    told = sum(after != once for after, once in zip(await crowd.words(), before, strict=True))
    assert 5 <= told < MANY
    async with build_worker(crowd.client, POLICIES, Silent()):
        await crowd.all_show("suspended", 120)
    assert await crowd.words() == [once + Counter({max(once) + 1: 1}) for once in before]
