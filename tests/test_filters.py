"""What the operator's filters find on a real server: due within 30 minutes, one customer's open severity 1s, and so on."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.policies import Policies
from records.shelf import Shelf
from sla import account_events, events, names
from sla.customer import Contact, Customer
from sla.events import Delivery
from starter.embedded import EmbeddedServer
from starter.engines import Silent
from worker.build import build_worker

ROOT = Path(__file__).resolve().parent.parent
SHELF = Shelf(ROOT / "policies")


def known(id: str, contract: str) -> Customer:
    return Customer(id=id, contract=contract, contacts=(Contact(email=f"ann@{id}.example", prefers="log"),))


CUSTOMERS = {
    c.id: c for c in (known("birch-bank", "reciprocity"), known("cedar-bank", "reciprocity"), known("acme", "tromzo"))
}


BANK = "birch-bank"


@pytest.fixture(scope="module")
def now() -> datetime:
    """The moment from which all is counted; the server's clock is the real one."""
    return datetime.now(UTC)


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> AsyncIterator[Client]:
    """A real server, in real time, with a worker and the tickets below."""
    async with EmbeddedServer(tmp_path_factory.mktemp("temporal"), search_attributes=ALL_KEYS) as server:
        client = await Client.connect(server.target, data_converter=pydantic_data_converter)
        async with build_worker(client, Policies(SHELF, only=CUSTOMERS), Silent()):
            await happen(client, now)
            yield client


async def happen(client: Client, now: datetime) -> None:
    """Tickets that were opened some time before `now`, as their events say: some are due soon, others only nearly."""
    sent = 0

    async def hears(customer: str, ticket: str, event: Any, minutes_ago: float) -> None:
        nonlocal sent
        sent += 1
        then = now - timedelta(minutes=minutes_ago)
        word = Delivery(key=f"k{sent}", occurred_at=then, received_at=now, event=event)
        await dispatch.deliver(client, "desk", ticket, customer, word)

    async def opens(customer: str, ticket: str, priority: str, minutes_ago: float) -> None:
        opening = events.Opened(priority=priority, by=f"ann@{customer}.example", language="en")
        await hears(customer, ticket, opening, minutes_ago)
        await hears(customer, ticket, events.AgentReplied(by="dana"), minutes_ago - 1)

    await opens(BANK, "due-in-22", "S1", 218)  # a plan within 4 elapsed hours
    await opens(BANK, "due-in-32", "S1", 208)
    await opens(BANK, "due-in-10", "S2", 470)  # within 8
    await opens(BANK, "missed", "S2", 500)
    await opens(BANK, "met", "S1", 230)
    await hears(BANK, "met", events.PlanProvided(by="eli"), 100)
    await opens(BANK, "closed", "S1", 230)
    await hears(BANK, "closed", events.Closed(by="eli"), 90)
    await opens(BANK, "raised", "S3", 60)
    await hears(BANK, "raised", events.PriorityChanged(to="S1", by="dana"), 50)
    await opens(BANK, "lowered", "S1", 60)
    await hears(BANK, "lowered", events.PriorityChanged(to="S4", by="dana"), 50)
    await opens("cedar-bank", "another-s-due", "S1", 215)
    await opens("cedar-bank", "another-s", "S1", 20)
    await opens("acme", "suspended", "P1", 5)
    lapse = account_events.AccountDelivery(
        key="lapse", occurred_at=now - timedelta(minutes=2), received_at=now, event=account_events.PaymentLapsed()
    )
    await dispatch.pay(client, "acme", lapse)


async def finds(client: Client, query: str, tickets: set[str]) -> None:
    """The server's index, which may lag behind by a moment, comes to hold exactly these for the query."""
    found: set[str] = set()
    for _ in range(100):
        found = {execution.id.rpartition("/")[2] async for execution in client.list_workflows(query)}
        if found == tickets:
            return
        await asyncio.sleep(0.1)
    assert found == tickets, query


async def test_the_filters_find_exactly_the_right_incidents(desk: Client, now: datetime) -> None:
    """Due within 30 minutes; one customer's open severity 1s; what was missed; what is suspended; what is over."""
    running = "ExecutionStatus = 'Running'"
    soon = (now + timedelta(minutes=30)).isoformat()
    await finds(desk, f"{running} AND {names.NEXT_DUE} < '{soon}'", {"due-in-22", "due-in-10", "another-s-due"})
    bank_s1 = f"{running} AND {names.CUSTOMER} = '{BANK}' AND {names.PRIORITY} = 'S1'"
    await finds(desk, bank_s1, {"due-in-22", "due-in-32", "met", "raised"})
    await finds(desk, f"{running} AND {names.CLOCK_STATE} = 'missed'", {"missed"})
    await finds(desk, f"{running} AND {names.PHASE} = 'suspended'", {"suspended"})
    await finds(desk, f"{running} AND {names.STANDING} = 'suspended' AND {names.PHASE} IS NOT NULL", {"suspended"})
    await finds(desk, f"{names.CUSTOMER} = '{BANK}' AND ExecutionStatus = 'Completed'", {"closed"})


async def test_every_filter_of_the_operators_page_is_one(desk: Client) -> None:
    """The server refuses a query that names what it does not know."""
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    filters = re.findall(r"```sql\n(.*?)\n```", page) + re.findall(
        r"^\| [^|`]+ \| `([^`]*[=']\S*[^`]*)` \|$", page, re.MULTILINE
    )
    assert len(filters) >= 10
    for query in filters:
        await desk.count_workflows(query)


async def test_nothing_personal_is_in_an_id_a_summary_or_an_attribute(desk: Client) -> None:
    """Whoever may look at the server reads them, encrypted payloads or not: no requester's address is there."""
    seen: list[str] = []
    async for execution in desk.list_workflows(""):
        seen += [execution.id, str(execution.typed_search_attributes), str(await execution.memo())]
        handle = desk.get_workflow_handle(execution.id, run_id=execution.run_id)
        history = await handle.fetch_history()
        for event in history.events:
            seen += [event.user_metadata.summary.data.decode(), event.user_metadata.details.data.decode()]
    assert any("75% of response used" in text for text in seen)
    assert any("Ticket missed of birch-bank" in text for text in seen)
    assert not [text for text in seen if "@" in text or ".example" in text]
