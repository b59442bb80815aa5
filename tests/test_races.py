"""No incident misses a suspension: tickets that open while their customer's account suspends, resumes, or has just begun."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.policies import Policies
from sla import names
from sla.account_events import AccountDelivery, PaymentCurrent, PaymentLapsed
from sla.customer import DEFAULT_CUSTOMER
from sla.events import Delivery, Opened
from starter.embedded import EmbeddedServer
from starter.engines import Silent
from worker.build import build_worker, runner
from workflows import WORKFLOWS

SOURCE = "races"
AT_ONCE = 10
"""Customers whose race is run at a time."""
WITHIN = 0.04
"""Seconds in which all words of a race are sent, each at a moment of its own."""


@dataclass(frozen=True)
class Race:
    """What is sent at the same time, and how every ticket must stand in the end. Hours before now tell what counts."""

    what: str
    tickets: int
    payments: tuple[tuple[PaymentLapsed | PaymentCurrent, int], ...]
    ends: str


LAPSED, PAID = PaymentLapsed(), PaymentCurrent()
RACES = (
    Race("a lapse", 1, ((LAPSED, 2),), "suspended"),
    Race("a lapse and its payment, in any order", 1, ((LAPSED, 2), (PAID, 1)), "open"),
    Race("paid, and lapsed anew", 1, ((LAPSED, 4), (PAID, 3), (LAPSED, 2)), "suspended"),
    Race("two tickets and a lapse", 2, ((LAPSED, 2),), "suspended"),
    Race("twelve tickets of a new account and a lapse", 12, ((LAPSED, 2),), "suspended"),
)
RUNS = (*RACES[:4] * 48, *RACES[4:] * 8)
"""200 races."""


class Customers:
    """A worker on a real server, and customers who appear when somebody speaks of them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.known = {
            f"c{i}": DEFAULT_CUSTOMER.model_copy(update={"id": f"c{i}", "contract": "reciprocity"})
            for i in range(len(RUNS))
        }
        self.policies = Policies(only=self.known)
        self.worker = build_worker(client, self.policies, Silent())

    async def opens(self, customer: str, ticket: str) -> None:
        now = datetime.now(UTC)
        word = Delivery(key="opened", occurred_at=now, received_at=now, event=Opened(by="ann@acme.example"))
        await dispatch.deliver(self.client, SOURCE, ticket, customer, word, policies=self.policies)

    async def pays(self, customer: str, key: str, event: PaymentLapsed | PaymentCurrent, hours_ago: int) -> None:
        now = datetime.now(UTC)
        at = now - timedelta(hours=hours_ago)
        await dispatch.pay(
            self.client, customer, AccountDelivery(key=key, occurred_at=at, received_at=now, event=event)
        )

    async def status(self, id: str) -> dict[str, Any]:
        return dict(await self.client.get_workflow_handle(id).query(names.STATUS))

    async def run(self, number: int, race: Race) -> None:
        """Send all of it within a moment, and wait until each ticket stands as it must."""
        customer, chance = f"c{number}", random.Random(number)
        tickets = [f"{customer}-{i}" for i in range(race.tickets)]
        sent = [self.opens(customer, ticket) for ticket in tickets]
        sent += [self.pays(customer, f"p{i}", event, hours) for i, (event, hours) in enumerate(race.payments)]

        async def send(words: Any) -> None:
            await asyncio.sleep(chance.uniform(0, WITHIN))
            await words

        await asyncio.gather(*map(send, sent))
        await self.stands(customer, tickets, race)

    async def stands(self, customer: str, tickets: Sequence[str], race: Race) -> None:
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(40):
                for ticket in tickets:
                    while True:
                        found = await self.status(names.incident_id(SOURCE, ticket))
                        account = await self.status(names.account_id(customer))
                        if found["phase"] == race.ends and account["told"] == account["version"]:
                            break
                        await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"{race.what}: {customer} ends {found.get('phase')!r}, not {race.ends!r}")
        assert account["enrolled"] == len(tickets)
        assert not account["dead_letters"]


@pytest.fixture(scope="module")
async def customers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customers]:
    folder = tmp_path_factory.mktemp("races")
    async with EmbeddedServer(folder, search_attributes=ALL_KEYS) as server:
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)
        made = Customers(client)
        async with made.worker:
            yield made


async def test_R12_no_ticket_misses_a_suspension_whatever_is_sent_at_the_same_moment(customers: Customers) -> None:
    """200 races on a real server: each ticket ends suspended where its customer is, and open where the customer has paid."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, race: Race) -> None:
        async with gate:
            await customers.run(number, race)

    async with asyncio.TaskGroup() as races:
        for number, race in enumerate(RUNS):
            races.create_task(one(number, race))


async def test_every_history_of_the_races_replays(customers: Customers) -> None:
    """Enrolments that come while the account reads its terms are replayed in the order in which they came."""
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=runner())
    replayed = 0
    async for found in customers.client.list_workflows(f"WorkflowType='{names.ACCOUNT_WORKFLOW}'"):
        history = await customers.client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        assert result.replay_failure is None, f"{found.id}: {result.replay_failure}"
        replayed += 1
    assert replayed == len(RUNS)
