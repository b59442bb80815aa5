"""A real escalated-django whose webhooks are answered 503 however often it tries: one ticket, one effect, by the real server."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.attributes import ALL_KEYS
from activities.courier import Courier
from activities.helpdesks.client import Account, Helpdesk
from activities.helpdesks.kinds import helpdesk
from activities.policies import Policies
from activities.settings import CourierSettings
from activities.sources import SourceActivities
from records import database
from records.customer_cache import CustomerCache
from records.customers import CustomerStore
from records.dead_letters import DeadLetterStore
from records.deliveries import DeliveryStore
from records.sent import SentStore
from records.shelf import Shelf
from records.sources import SourceStore
from records.spool import Spool
from sla import names
from sla.source import Source
from starter.delivery_log import DeliveryLog
from starter.dispatch import TemporalDispatch
from starter.embedded import EmbeddedServer
from starter.front import hear
from starter.hook_settings import IntakeSettings, Secrets, SourceSecrets
from starter.kept import Kept
from starter.source_hooks import SourceHooks
from starter.spooler import Spooler
from starter.web import create_app
from tests.peers.escalated import SECRET, EscalatedPeer
from tests.receivers import log_lines
from tests.test_main_job import served, settled
from tests.test_reading_live import ACME
from worker.build import build_worker
from worker.teller import LiveTeller


@dataclass
class Unlucky:
    """The intake behind something that answers 503 to whoever asks, though all came through; and what came."""

    app: Any
    came: list[tuple[str, str, int]] = field(default_factory=list)
    """The event, the signature, and what the intake itself answered."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        told, status = bytearray(), list[int]()

        async def heard() -> Any:
            message = await receive()
            told.extend(message.get("body", b""))
            return message

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
                message = {**message, "status": 503}
            await send(message)

        await self.app(scope, heard, answer)
        signature = dict(scope["headers"])[b"x-escalated-signature"].decode()
        self.came.append((json.loads(bytes(told))["event"], signature, status[0]))


@dataclass
class Desk:
    """The helpdesk, and what its webhooks come to."""

    peer: EscalatedPeer
    client: Client
    door: Unlucky
    home: Path

    async def status(self, ticket: int) -> dict[str, Any]:
        return dict(await self.client.get_workflow_handle(names.incident_id("esc", str(ticket))).query(names.STATUS))

    async def looked(self, ticket: int) -> None:
        """Returns once the ticket was looked at as often as it was asked for."""
        await self.client.get_workflow_handle(names.ticket_id("esc", str(ticket))).result()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    peer = EscalatedPeer(tmp_path / "escalated")
    policies_at, url = tmp_path / "policies", f"sqlite:///{tmp_path / 'records.db'}"
    (policies_at / "sources").mkdir(parents=True)
    for kind in ("contracts", "playbooks", "teams"):
        (policies_at / kind).symlink_to(Path(__file__).parents[1] / "policies" / kind)
    said = f"name: esc\nkind: escalated-django\nurl: {peer.base}\npriorities: {{urgent: P1}}\n"
    (policies_at / "sources" / "esc.yaml").write_text(said)
    await asyncio.to_thread(database.upgrade, url)
    engine = database.engine(url)
    customers = CustomerStore(engine)
    await customers.put(ACME)
    policies, states = Policies(Shelf(policies_at), records=CustomerCache(customers)), SourceStore(engine)

    def api(source: Source) -> Helpdesk | None:
        return helpdesk(source.kind, Account(peer.base, token=peer.tokens["robot"]))

    async def alarm(key: str, what: str) -> None:
        raise AssertionError(f"{key}: {what}")

    async with EmbeddedServer(tmp_path / "state", search_attributes=ALL_KEYS) as temporal:
        client = await Client.connect(temporal.target, data_converter=pydantic_data_converter)
        queue = f"escalated-{uuid.uuid4().hex[:6]}"
        settings = IntakeSettings(Secrets(sources={"esc": SourceSecrets(secrets=(SECRET,))}))
        hearing = partial(hear, Kept(engine, customers, policies))
        reading = SourceActivities(policies, client, api, hearing, states, alarm)
        dispatch = TemporalDispatch(client, queue, policies)
        log, spooler = DeliveryLog(DeliveryStore(engine), states), Spooler(Spool(engine), dispatch)
        hooks = SourceHooks(dispatch, settings, policies, DeadLetterStore(engine), log, spooler)
        door = Unlucky(create_app(dispatch, settings, sources=hooks))
        teller = LiveTeller(policies, Courier(CourierSettings(state=tmp_path), SentStore(engine), StringIO()))
        async with build_worker(client, policies, teller, task_queue=queue, sources=reading), served(door) as address:
            peer.environ["ESCALATED_HOOK"] = f"{address}/hooks/escalated-django/esc"
            await asyncio.to_thread(peer.start)
            try:
                yield Desk(peer, client, door, tmp_path)
            finally:
                await asyncio.to_thread(peer.stop)
    await engine.dispose()


async def test_three_tries_each_signed_anew_open_one_incident_with_one_acknowledgement(desk: Desk) -> None:
    """Its sender gives up; the intake took all three, the worker read the ticket, and nothing happened twice."""
    ticket = await asyncio.to_thread(desk.peer.opens, "Checkout answers 502", "Since 09:14.", "urgent")
    tries = [(signature, status) for event, signature, status in desk.door.came if event == "ticket.created"]
    assert len({signature for signature, _ in tries}) == len(tries) == 3
    assert all(200 <= status < 300 for _, status in tries)
    await settled(desk.status, ticket, lambda t: t["phase"] == "open")
    await desk.looked(ticket)
    await asyncio.to_thread(desk.peer.writes, ticket, "We are on it.")
    await settled(desk.status, ticket, lambda t: t["clocks"]["response"]["state"] == "met")
    await desk.looked(ticket)
    told = await settled(desk.status, ticket, lambda t: [key for key in sent(desk.home) if "/acknowledgement/" in key])
    assert (told["customer"], told["priority"]) == ("acme", "P1")
    events = [line["event"] for line in told["log"]]
    assert (events.count("opened"), events.count("agent_replied")) == (1, 1)
    assert [notice["kind"] for notice in told["notices"]].count("acknowledgement") == 1
    assert len([key for key in sent(desk.home) if "/acknowledgement/" in key]) == 1
    assert not told["dead_letters"]


def sent(home: Path) -> list[str]:
    """The keys of the messages that left, by the log; each names every step that it tells of."""
    return [line["key"] for line in log_lines(home)] if (home / "notices.jsonl").exists() else []
