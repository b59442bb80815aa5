"""A link's button on the real workflow: it takes the incident once, and says what the incident says."""

import asyncio
import uuid
from datetime import datetime, timedelta

import pytest

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.policies import Policies
from sla import names
from sla.customer import DEFAULT_CUSTOMER
from sla.events import Closed, Delivery, Event, Opened
from starter.ack_page import NotTaken, TemporalTakers
from starter.virtual_time import start_environment
from tests.test_opening import MONDAY, Teller
from worker.build import build_worker


def word(key: str, event: Event, at: datetime = MONDAY) -> Delivery:
    return Delivery(key=key, occurred_at=at, received_at=at, event=event)


async def test_a_link_takes_its_incident_once_and_a_closed_one_not_at_all() -> None:
    queue = f"desk-{uuid.uuid4().hex[:8]}"
    policies = Policies(only={queue: DEFAULT_CUSTOMER.model_copy(update={"id": queue})})
    env = await start_environment(ALL_KEYS)
    try:
        takers, now = TemporalTakers(env.client), MONDAY + timedelta(hours=1)
        async with build_worker(env.client, policies, Teller(), task_queue=queue):
            opened = word("k0", Opened(by="ann@acme.example", priority="P3"))
            id = await dispatch.deliver(
                env.client, queue, "1", queue, [opened], task_queue=queue, contract="tromzo"
            )  # fmt: skip
            handle = env.client.get_workflow_handle(id)
            async with asyncio.timeout(30):
                while (await handle.query(names.STATUS))["phase"] == "opening":
                    await asyncio.sleep(0.05)
            assert await takers.take(id, "dana", "ack-link:one", now)
            told = await handle.query(names.STATUS)
            assert told["assignee"] == "dana"
            assert not await takers.take(id, "dana", "ack-link:one", now), "the same link again"
            assert not await takers.take(id, "dana", "ack-link:two", now), "the link of another notice"
            assert await takers.take(id, "eli", "ack-link:three", now), "somebody else may take it over"
            taken = [
                line["by"] for line in (await handle.query(names.STATUS))["log"] if line["event"] == "acknowledged"
            ]
            assert taken == ["dana", "eli"]
            assert await takers.take(id, "dana", "ack-link:one", now), "and who lost it may take it again"
            assert (await handle.query(names.STATUS))["assignee"] == "dana", "what the page says is so"
            await handle.execute_update("close", word("k9", Closed(by="eli"), now), id="k9")
            with pytest.raises(NotTaken, match="is closed"):
                await takers.take(id, "dana", "ack-link:four", now)
            with pytest.raises(NotTaken, match="no incident is known"):
                await takers.take(f"incident/{queue}/2", "dana", "ack-link:five", now)
    finally:
        await env.shutdown()
