"""The main job on real input: a real django-helpdesk, its own form and agent's page, its own webhooks, the real server."""

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.attributes import ALL_KEYS
from activities.policies import Policies
from sla import names
from sla.customer import DEFAULT_CUSTOMER
from sla.source import Source
from starter.dispatch import TemporalDispatch
from starter.embedded import EmbeddedServer
from starter.engines import Silent
from starter.hook_settings import IntakeSettings, Secrets, SourceSecrets
from starter.source_hooks import SourceHooks
from starter.web import create_app
from tests.peers.helpdesk import CRITICAL, DANA, RESOLVED, HelpdeskPeer
from worker.build import build_worker

SECRET = "a-secret-of-this-test-alone-and-long-enough"


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The app on a free port of this machine, by the real web server; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[tuple[HelpdeskPeer, Callable[[int], Any]]]:
    """A helpdesk whose webhooks reach an intake before a real server and worker; and the status of its tickets."""
    peer = HelpdeskPeer(tmp_path / "helpdesk")
    prepared = asyncio.create_task(asyncio.to_thread(peer.prepare))
    only = {"acme": DEFAULT_CUSTOMER}
    async with EmbeddedServer(tmp_path / "state", search_attributes=ALL_KEYS) as temporal:
        client = await Client.connect(temporal.target, data_converter=pydantic_data_converter)
        queue = f"main-job-{uuid.uuid4().hex[:6]}"
        settings = IntakeSettings(Secrets(sources={"desk": SourceSecrets(secrets=(SECRET,))}))
        connected = {"desk": Source(name="desk", kind="django-helpdesk", customer="acme")}
        dispatch, policies = TemporalDispatch(client, queue), Policies(only=only)
        app = create_app(dispatch, settings, sources=SourceHooks(dispatch, settings, policies, only=connected))
        async with build_worker(client, policies, Silent(), task_queue=queue), served(app) as address:
            await prepared
            peer.environ["HELPDESK_HOOK"] = f"{address}/hooks/django-helpdesk/{SECRET}"
            await asyncio.to_thread(peer.start)
            try:

                async def status(ticket: int, link: int = 1) -> dict[str, Any]:
                    handle = client.get_workflow_handle(names.incident_id("desk", str(ticket), link))
                    return dict(await handle.query(names.STATUS))

                yield peer, status
            finally:
                await asyncio.to_thread(peer.stop)


async def test_a_ticket_of_a_real_helpdesk_runs_from_its_form_to_its_resolution(desk: Any) -> None:
    """Opened on the public form, answered and resolved on the agent's page: opened, met, resolved, each at the desk's own time."""
    peer, status = desk
    began = time.time()
    ticket = await asyncio.to_thread(peer.submit, "Nothing loads", "Every page is blank.", "ann@acme.example", CRITICAL)
    told = await settled(status, ticket.id, lambda t: t["phase"] == "open" and "response" in t["clocks"])
    assert told["priority"] == "P1"
    assert told["customer"] == "acme"
    assert told["clocks"]["response"]["state"] in ("running", "not_started")
    assert [n["kind"] for n in told["notices"]][:1] == ["acknowledgement"]

    await asyncio.to_thread(peer.agent_writes, ticket, "Looks like the CDN.", public=False, owner=DANA)
    told = await settled(status, ticket.id, lambda t: t["assignee"] is not None)
    assert told["clocks"]["response"]["state"] == "running"  # T09: an internal note is no answer

    await asyncio.to_thread(peer.agent_writes, ticket, "We are on it.", public=True)
    told = await settled(status, ticket.id, lambda t: t["clocks"]["response"]["state"] == "met")
    assert told["assignee"] == "dana"

    await asyncio.to_thread(peer.agent_writes, ticket, "The cache was purged.", public=True, status=RESOLVED)
    told = await settled(status, ticket.id, lambda t: t["phase"] == "resolved")
    assert told["clocks"]["resolution"]["state"] == "met"
    assert [line["event"] for line in told["log"]].count("opened") == 1
    assert "resolved" in [line["event"] for line in told["log"]]
    assert not told["dead_letters"]

    await asyncio.to_thread(peer.customer_accepts, ticket)
    told = await settled(status, ticket.id, lambda t: t["phase"] == "closed")
    assert time.time() - began < 60


async def settled(status: Callable[[int], Any], ticket: int, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The ticket's status, once `holds` is true of it."""
    told: dict[str, Any] = {}
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    told = await status(ticket)
                    if told["phase"] != "opening" and holds(told):
                        return told
                except Exception as error:  # noqa: BLE001 the incident may not be there yet
                    told = {"not there": str(error)}
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it never held of {told}") from None
