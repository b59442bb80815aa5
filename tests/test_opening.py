"""What an incident owes at once is said along with its opening; a channel that is down or slow keeps nobody from being heard."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from activities import attributes as attribute_keys
from activities import dispatch, incidents
from activities.attributes import ALL_KEYS
from activities.calls import CarryOut
from activities.policies import Policies
from benchmarks.reference import history, kind
from records.shelf import PolicyFileError
from sla import names
from sla.customer import DEFAULT_CUSTOMER
from sla.events import Acknowledged, CustomerReplied, Delivery, Opened
from sla.incident import Incident, IncidentState
from sla.roster import Outcome
from sla.steps import Step
from starter.virtual_time import start_environment
from worker.build import build_worker

MONDAY = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
OPENED = Opened(by="ann@acme.example", priority="P3")


class Teller:
    """Notes what it tells; the first times it is told to fail it does, at once or by hanging."""

    def __init__(self, fails: int = 0, hangs: int = 0) -> None:
        self.fails, self.hangs = fails, hangs
        self.told: list[str] = []

    async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
        if self.hangs:
            self.hangs -= 1
            await asyncio.sleep(60)  # never waited for: it is given up, or cancelled
        if self.fails:
            self.fails -= 1
            raise ApplicationError("the channel is down", type="ChannelUnavailable")
        self.told += [step.key for step, _ in chosen]


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    env = await start_environment(ALL_KEYS)
    yield env.client
    await env.shutdown()


def words(*events: Any) -> list[Delivery]:
    return [
        Delivery(key=f"k{i}", occurred_at=MONDAY, received_at=MONDAY, event=event) for i, event in enumerate(events)
    ]


async def opens(
    client: Client, teller: Teller, *events: Any, foresees: bool = False
) -> tuple[WorkflowHandle[Any, Any], dict[str, Any]]:
    """Open a ticket of a new customer, and wait until nothing is owed at once."""
    queue = f"desk-{uuid.uuid4().hex[:8]}"
    policies = Policies(only={queue: DEFAULT_CUSTOMER.model_copy(update={"id": queue})})
    async with build_worker(client, policies, teller, task_queue=queue):
        id = await dispatch.deliver(
            client, queue, "1", queue, words(*events), task_queue=queue, contract="tromzo",
            policies=policies if foresees else None,
        )  # fmt: skip
        handle = client.get_workflow_handle(id)
        async with asyncio.timeout(30):
            while (told := await handle.query(names.STATUS)).get("in_flight", 1) or not told["notices"]:
                await asyncio.sleep(0.02)
        return handle, told


async def markers(client: Client, handle: WorkflowHandle[Any, Any]) -> int:
    return sum(kind(event) == "MARKER_RECORDED" for event in await history(client, handle.id))


async def test_the_acknowledgement_goes_out_with_the_opening_in_one_activity(client: Client) -> None:
    teller = Teller()
    handle, told = await opens(client, teller, OPENED)
    assert teller.told == [f"{n['kind']}/-/-/1" for n in told["notices"]]
    assert "acknowledgement" in [n["kind"] for n in told["notices"]]
    assert await markers(client, handle) == 1


async def test_what_a_channel_that_is_down_cannot_take_at_the_opening_is_told_later_and_once(client: Client) -> None:
    teller = Teller(fails=1)
    handle, told = await opens(client, teller, OPENED)
    assert teller.told == [f"{n['kind']}/-/-/1" for n in told["notices"]]
    assert await markers(client, handle) == 2


async def test_a_channel_that_hangs_does_not_keep_the_incident_from_opening(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the opening is over nothing else is heard, so it waits for nobody for long."""
    monkeypatch.setattr(incidents, "AT_ONCE", 0.05)
    teller = Teller(hangs=1)
    _, told = await opens(client, teller, OPENED)
    assert teller.told == [f"{n['kind']}/-/-/1" for n in told["notices"]]


async def test_words_that_come_together_are_weighed_together_before_anything_is_said(client: Client) -> None:
    """The opening alone does not tell what is owed when more was said with it."""
    teller = Teller()
    handle, _ = await opens(client, teller, OPENED, Acknowledged(by="dana"))
    assert await markers(client, handle) == 2


async def test_an_opening_comes_with_the_start_and_by_another_door_as_a_word_that_counts_once(client: Client) -> None:
    """So an incident's history spares the signal; an opening for a ticket that runs finds it all the same."""
    source = uuid.uuid4().hex
    opened, replied = words(OPENED, CustomerReplied(by="ann@acme.example"))
    id = await dispatch.deliver(client, source, "1", "acme", opened)
    for said in (opened, [opened, replied], [opened]):
        assert await dispatch.deliver(client, source, "1", "acme", said) == id
    kinds = [kind(event) for event in await history(client, id)]
    assert kinds[1] == "WORKFLOW_TASK_SCHEDULED", "nothing was signalled with the start"
    assert kinds.count("WORKFLOW_EXECUTION_SIGNALED") == 3


async def test_an_incident_that_starts_with_what_is_foreseen_needs_no_upsert(client: Client) -> None:
    """With the policies at hand the attributes are complete from the start, and equal to what the incident shows."""
    handle, _ = await opens(client, Teller(), OPENED, foresees=True)
    described = await handle.describe()
    customer = described.typed_search_attributes[attribute_keys.KEYWORDS[names.CUSTOMER]]
    assert "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" not in {kind(e) for e in await history(client, handle.id)}
    incident = Incident(IncidentState(source="desk", ticket="1", customer="acme"))
    incident.pin(Policies().pin("acme", "tromzo", None, MONDAY), MONDAY)
    incident.hear(words(OPENED)[0])
    wanted = attribute_keys.attributes(incident.view(MONDAY), customer, incident.pinned.version)
    assert {key: described.typed_search_attributes.get(key) for key in wanted} == wanted


async def test_an_incident_whose_policies_cannot_be_read_by_the_starter_starts_all_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is foreseen is a saving, never a condition."""
    broken = Policies()

    def refuse(*_: object) -> None:
        raise PolicyFileError(())

    monkeypatch.setattr(Policies, "pin", refuse, raising=True)
    id = await dispatch.deliver(client, uuid.uuid4().hex, "1", "acme", words(OPENED), policies=broken)
    shown = (await client.get_workflow_handle(id).describe()).typed_search_attributes
    assert {pair.key.name: pair.value for pair in shown}[names.PRIORITY] == "P3"
