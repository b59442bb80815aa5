"""What webhooks miss is made good by asking: a real django-helpdesk, its real API, the real server, a worker that reads."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from activities.attributes import ALL_KEYS
from activities.calls import ReadSource, SourceRead
from activities.courier import Courier
from activities.helpdesks.client import HelpdeskUnavailable
from activities.policies import Policies
from activities.settings import CourierSettings
from activities.sources import SourceActivities
from records import database
from records.customers import CustomerStore
from records.dead_letters import DeadLetterStore
from records.deliveries import DeliveryStore
from records.sent import SentStore
from records.shelf import Shelf
from records.sources import SourceStore
from records.spool import Spool
from sla import names
from sla.customer import Contact, Customer
from sla.events import Assigned, Delivery, PriorityChanged
from starter.delivery_log import DeliveryLog
from starter.dispatch import TemporalDispatch
from starter.embedded import EmbeddedServer
from starter.front import desk, hear
from starter.hook_settings import IntakeSettings, Secrets, SourceSecrets
from starter.kept import Kept
from starter.source_hooks import SourceHooks
from starter.spooler import Spooler
from starter.web import create_app
from tests.peers.helpdesk import ALEX, CRITICAL, DANA, HIGH, RESOLVED, HelpdeskPeer
from tests.test_main_job import served
from worker.build import build_worker
from worker.teller import LiveTeller
from worker.writing import Writer

SECRET = "a-secret-of-this-test-alone-and-long-enough"
ANN = "ann@acme.example"
ACME = Customer(id="acme", domains=("acme.example",), contacts=(Contact(email=ANN),))


@dataclass
class Office:
    """Everything that runs, and how its incidents stand."""

    client: Client
    queue: str
    peer: HelpdeskPeer
    engine: AsyncEngine
    hooks: SourceHooks
    states: SourceStore
    address: str
    alarms: list[tuple[str, str]]

    async def reads(self) -> SourceRead:
        """One round of the reconciler, by its own workflow."""
        came: SourceRead = await self.client.execute_workflow(
            names.SOURCE_WORKFLOW, ReadSource(source="desk"), id=f"round-{uuid.uuid4()}", task_queue=self.queue,
            result_type=SourceRead,
        )  # fmt: skip
        return came

    async def status(self, ticket: int) -> dict[str, Any]:
        handle = self.client.get_workflow_handle(names.incident_id("desk", str(ticket)))
        return dict(await handle.query(names.STATUS))

    async def settled(self, ticket: int, holds: Any) -> dict[str, Any]:
        """The incident's status, once `holds` is true of it."""
        told: dict[str, Any] = {}
        for _ in range(300):
            try:
                told = await self.status(ticket)
                if holds(told):
                    return told
            except (RPCError, WorkflowFailureError):
                pass
            await asyncio.sleep(0.1)
        raise AssertionError(f"it never held: {told}")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A helpdesk whose webhooks reach nobody yet, and a worker that reads its API."""
    peer = HelpdeskPeer(tmp_path / "helpdesk")
    prepared = asyncio.create_task(asyncio.to_thread(peer.prepare))
    url = f"sqlite:///{tmp_path / 'records.db'}"
    await asyncio.to_thread(database.upgrade, url)
    engine = database.engine(url)
    sources = tmp_path / "policies"
    (sources / "sources").mkdir(parents=True)
    for kind in ("contracts", "playbooks", "teams"):
        (sources / kind).symlink_to(Path(__file__).parents[1] / "policies" / kind)
    customers = CustomerStore(engine)
    await customers.put(ACME)
    async with EmbeddedServer(tmp_path / "state", search_attributes=ALL_KEYS) as temporal:
        client = await Client.connect(temporal.target, data_converter=pydantic_data_converter)
        await prepared
        (sources / "sources" / "desk.yaml").write_text(
            f"name: desk\nkind: django-helpdesk\nurl: {peer.base}\nquiet_hours: 1\n"
            "priorities: {1: P1, 2: P2, 3: P3, 4: P4, 5: P4}\n"
            f"agents: {{{DANA}: dana}}\nours: ['{ALEX}']\nwrites: [notes, assignee, priority]\n"
        )
        async with running(client, engine, Shelf(sources), peer, tmp_path) as made:
            # As a proxy answers for an intake that is away. (Where nothing listens at all, this helpdesk fails its customer.)
            peer.environ["HELPDESK_HOOK"] = f"{made.address}/away"
            await asyncio.to_thread(peer.start)
            try:
                yield made
            finally:
                await asyncio.to_thread(peer.stop)
    await engine.dispose()


@asynccontextmanager
async def running(
    client: Client, engine: AsyncEngine, shelf: Shelf, peer: HelpdeskPeer, home: Path
) -> AsyncIterator[Office]:
    """A worker and an intake."""
    from records.customer_cache import CustomerCache

    customers = CustomerStore(engine)
    policies = Policies(shelf, records=CustomerCache(customers))
    kept, queue, alarms = Kept(engine, customers, policies), f"reading-{uuid.uuid4().hex[:6]}", list[tuple[str, str]]()
    settings = IntakeSettings(
        Secrets(sources={"desk": SourceSecrets(secrets=(SECRET,), user="alex", token="alex-password")})
    )
    states = SourceStore(engine)

    async def alarm(key: str, said: str) -> None:
        alarms.append((key, said))

    reading = SourceActivities(policies, client, partial(desk, settings), partial(hear, kept), states, alarm)
    dispatch = TemporalDispatch(client, queue, policies)
    log, spooler = DeliveryLog(DeliveryStore(engine), states), Spooler(Spool(engine), dispatch)
    hooks = SourceHooks(dispatch, settings, policies, DeadLetterStore(engine), log, spooler)
    app = create_app(dispatch, settings, sources=hooks)
    beside = asyncio.create_task(log.run())
    sent = SentStore(engine)
    courier = Courier(CourierSettings(state=home), sent, StringIO())
    teller = LiveTeller(policies, courier, writer=Writer(policies, partial(desk, settings), sent))
    async with build_worker(client, policies, teller, task_queue=queue, sources=reading), served(app) as address:
        try:
            yield Office(client, queue, peer, engine, hooks, states, address, alarms)
        finally:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)


async def test_a_ticket_whose_webhook_reached_nobody_is_opened_by_the_reconciler_with_its_own_time(
    office: Office,
) -> None:
    """The helpdesk is up and the intake down: nothing is lost, and no clock is late by it. By three doors it is one incident."""
    await office.reads()  # from now on the source is known, and what changes is read
    ticket = await asyncio.to_thread(office.peer.submit, "Nothing loads", "Blank.", ANN, CRITICAL)
    await asyncio.to_thread(office.peer.agent_writes, ticket, "We are on it.", public=True)
    came = await office.reads()
    assert (came.read, came.failed) == (1, 0)
    told = await office.settled(ticket.id, lambda t: t["clocks"].get("response", {}).get("state") == "met")
    assert (told["customer"], told["priority"]) == ("acme", "P1")
    opened = next(line for line in told["log"] if line["event"] == "opened")
    assert datetime.fromisoformat(opened["occurred_at"]) < datetime.fromisoformat(opened["received_at"])
    words = len(told["log"])

    # The intake is back: the next webhook tells the whole story again, and so does the next round.
    office.peer.environ["HELPDESK_HOOK"] = f"{office.address}/hooks/django-helpdesk/{SECRET}"
    await asyncio.to_thread(office.peer.stop)
    await asyncio.to_thread(office.peer.start)
    await asyncio.to_thread(office.peer.agent_writes, ticket, "The cache was purged.", public=True, status=RESOLVED)
    told = await office.settled(ticket.id, lambda t: t["phase"] == "resolved")
    assert [line["event"] for line in told["log"]].count("opened") == 1
    assert len(told["log"]) <= words + 3  # the reply, the resolution, the priority as it is now
    again = await office.reads()
    assert again.read >= 1
    await office.hooks.dispatch.read_ticket("desk", str(ticket.id))
    handle = office.client.get_workflow_handle(names.ticket_id("desk", str(ticket.id)))
    assert await handle.result() > 0
    after = await office.settled(ticket.id, lambda t: t["phase"] == "resolved")
    assert after["log"] == told["log"]
    assert after["notices"] == told["notices"]
    state = await office.states.get("desk")
    assert state is not None
    assert state.read_how.startswith("1 ticket read")


async def test_a_round_that_breaks_off_begins_again_where_it_was_and_says_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from activities.helpdesks.django_helpdesk import DjangoHelpdesk

    await office.reads()
    first = await asyncio.to_thread(office.peer.submit, "One", "…", ANN)
    second = await asyncio.to_thread(office.peer.submit, "Two", "…", ANN)
    real, left = DjangoHelpdesk.ticket, [1]

    async def shaky(self: DjangoHelpdesk, id: str) -> dict[str, Any] | None:
        if id == str(second.id) and left:
            left.pop()
            raise HelpdeskUnavailable("it is away", 0.2)
        return await real(self, id)

    monkeypatch.setattr(DjangoHelpdesk, "ticket", shaky)
    came = await office.reads()
    assert not left
    assert came.read >= 1
    for ticket in (first, second):
        await office.settled(ticket.id, lambda t: t["phase"] == "open")


async def test_a_source_that_has_gone_quiet_is_told_once(office: Office) -> None:
    await office.reads()
    assert office.alarms == []
    state = await office.states.get("desk")
    assert state is not None
    await office.states.heard({("desk", "django-helpdesk"): state.since - timedelta(hours=3)})
    await office.reads()
    await office.reads()
    ((key, said),) = office.alarms
    assert said.startswith("nothing was heard of django-helpdesk/desk for ")
    assert key.startswith("source/desk/quiet/")


async def test_what_is_decided_here_is_written_there_and_its_echo_changes_nothing(office: Office) -> None:
    """A priority revised and a ticket given away by an operator: the helpdesk shows both, and the next round says nothing new."""
    await office.reads()
    ticket = await asyncio.to_thread(office.peer.submit, "Slow", "Since noon.", ANN, CRITICAL)
    await office.reads()
    await office.settled(ticket.id, lambda t: t["priority"] == "P1")
    handle = office.client.get_workflow_handle(names.incident_id("desk", str(ticket.id)))
    for name, event in (
        ("reclassify", PriorityChanged(to="P2", by="dana")), ("assign", Assigned(to="dana", by="eli")),
    ):  # fmt: skip
        now = datetime.now(UTC)
        word = Delivery(key=f"operator:{name}", occurred_at=now, received_at=now, event=event)
        await handle.execute_update(name, word)
    source = office.hooks.policies.source("desk")
    assert source is not None
    api = desk(office.hooks.settings, source)
    assert api is not None
    found: dict[str, Any] = {}
    for _ in range(200):
        read = await api.ticket(str(ticket.id))
        assert read is not None
        found = read["ticket"]
        if (found["priority"], found["assigned_to"]) == (HIGH, DANA):
            break
        await asyncio.sleep(0.1)
    assert (found["priority"], found["assigned_to"]) == (HIGH, DANA)
    before = await office.status(ticket.id)
    await asyncio.to_thread(office.peer.customer_writes, ticket, "Any news?")
    await office.reads()
    after = await office.settled(ticket.id, lambda t: len(t["log"]) > len(before["log"]))
    assert (after["priority"], after["assignee"]) == ("P2", "dana")
    assert not after["dead_letters"]
