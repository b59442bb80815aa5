"""Acknowledged means processed: whatever arrives, however it is shaped, and whenever the incident closes or continues as new."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.calls import CarryOut
from activities.policies import Policies
from sla import names
from sla.account_events import AccountDelivery, PaymentCurrent, PaymentLapsed
from sla.customer import DEFAULT_CUSTOMER
from sla.events import AgentReplied, Closed, CustomerReplied, Delivery, Opened, Resolved
from sla.incident import IncidentState
from sla.roster import Outcome
from sla.steps import Step
from starter.engines import Silent
from starter.virtual_time import Clocks, Member, begins_at, start_environment
from worker.build import build_worker, runner
from workflows import WORKFLOWS

MONDAY = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
"""10:00 in Los Angeles: support is open."""


@pytest.fixture(scope="module")
async def restless() -> AsyncIterator[WorkflowEnvironment]:
    """A server on which every workflow must continue as new every few events."""
    env = await start_environment(ALL_KEYS, dynamic_config={"limit.historyCount.suggestContinueAsNew": "20"})
    yield env
    await env.shutdown()


class Desk:
    """A service desk on a server of its own queue."""

    def __init__(self, client: Client, env: WorkflowEnvironment, teller: Silent | None = None) -> None:
        self.client, self.env = client, env
        self.source = f"desk-{uuid.uuid4().hex[:8]}"
        self.customer = f"acme-{uuid.uuid4().hex[:8]}"
        self.queue = self.source
        only = {self.customer: DEFAULT_CUSTOMER.model_copy(update={"id": self.customer})}
        self.worker = build_worker(client, Policies(only=only), teller or Silent(), task_queue=self.queue)
        self.sent = 0

    def word(self, event: Any, at: datetime = MONDAY) -> Delivery:
        self.sent += 1
        return Delivery(key=f"k{self.sent}", occurred_at=at, received_at=at, event=event)

    async def hears(self, ticket: str, event: Any, at: datetime = MONDAY, contract: str = "tromzo") -> str:
        return await dispatch.deliver(
            self.client,
            self.source,
            ticket,
            self.customer,
            self.word(event, at),
            task_queue=self.queue,
            contract=contract,
        )

    def handle(self, ticket: str, link: int = 1) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(names.incident_id(self.source, ticket, link), result_type=IncidentState)

    async def log_keys(self, ticket: str) -> list[str]:
        """The keys of all outside words over all links, each run asked in its last state."""
        keys: list[str] = []
        link = 1
        while True:
            try:
                log = await self.handle(ticket, link).query(names.LOG)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                return keys
            keys += [line["key"] for line in log if line["key"].startswith("k") and line["key"] not in keys]
            link += 1


@pytest.fixture
async def desk(restless: WorkflowEnvironment) -> AsyncIterator[Desk]:
    desk = Desk(restless.client, restless)
    async with desk.worker:
        yield desk


JUNK: Sequence[tuple[str, list[Any]]] = [
    (names.DELIVER, []),
    (names.DELIVER, [7]),
    (names.DELIVER, ["text"]),
    (names.DELIVER, [None]),
    (names.DELIVER, [{"key": "x"}]),
    (
        names.DELIVER,
        [{"key": "x", "occurred_at": "yesterday", "received_at": "2031-07-07T17:00:00Z", "event": {"event": "opened"}}],
    ),
    (
        names.DELIVER,
        [
            {
                "key": "x",
                "occurred_at": "2031-07-07T17:00:00Z",
                "received_at": "2031-07-07T17:00:00Z",
                "event": {"event": "exploded"},
            }
        ],
    ),
    (names.DELIVER, [{}, {}]),
    (names.STANDING_TOLD, [{"ledger": 5}]),
    ("customer_replied", [{"by": "ann"}]),
    ("x" * 300, [b"\x00\xff"]),
]


async def test_signals_of_wrong_type_or_name_are_kept_as_dead_letters_and_freeze_nothing(desk: Desk) -> None:
    """Every acknowledged signal is processed or dead-lettered, and the deadline still fires."""
    clocks = Clocks(desk.env)
    with begins_at(MONDAY):
        await desk.hears("junk", Opened(priority="P1", by="ann@acme.example"))
    handle = desk.handle("junk")

    async def wake() -> datetime | None:
        at = await handle.query(names.WAKE)
        return None if at is None else datetime.fromisoformat(at)

    await clocks.add(Member(handle, wake), MONDAY)
    for name, args in JUNK:
        await handle.signal(name, args=args)
    told = await handle.query(names.STATUS)
    assert len(told["dead_letters"]) == len(JUNK)
    assert all(letter["why"] for letter in told["dead_letters"])
    await clocks.to(MONDAY + timedelta(hours=3))
    told = await handle.query(names.STATUS)
    assert told["clocks"]["response"]["state"] == "missed"
    assert [n["step"] for n in told["notices"] if n["kind"] == "escalation"].count("100%") == 1


async def test_words_are_neither_lost_nor_doubled_while_the_incident_continues_as_new(desk: Desk) -> None:
    """120 replies, some sent twice, with a continue-as-new every few events: each is in the log once."""
    await desk.hears("hot", Opened(priority="P4", by="ann@acme.example"))
    words = [desk.word(CustomerReplied(by="ann@acme.example"), MONDAY + timedelta(seconds=i)) for i in range(120)]
    twice = words[::3]

    async def send(word: Delivery) -> None:
        await dispatch.deliver(
            desk.client, desk.source, "hot", desk.customer, word, task_queue=desk.queue, contract="tromzo"
        )

    gate = asyncio.Semaphore(8)

    async def gated(word: Delivery) -> None:
        async with gate:
            await send(word)

    await asyncio.gather(*map(gated, words + twice))
    await _settles(desk.handle("hot"))
    keys = await desk.log_keys("hot")
    assert sorted(keys, key=lambda k: int(k[1:])) == ["k1", *(w.key for w in words)]
    assert (await desk.handle("hot").describe()).raw_description.workflow_execution_info.first_run_id != (
        await desk.handle("hot").describe()
    ).run_id


@pytest.mark.parametrize("race", range(6))
async def test_replies_racing_the_closing_are_each_taken_by_the_incident_or_by_its_follow_up(
    desk: Desk, race: int
) -> None:
    """X04: 30 replies sent while the ticket closes: acknowledged equals processed."""
    ticket = f"race-{race}"
    await desk.hears(ticket, Opened(priority="P3", by="ann@acme.example"))
    late = MONDAY + timedelta(minutes=30)
    events = [(CustomerReplied(by="ann@acme.example"), late + timedelta(seconds=i)) for i in range(30)]
    events.insert(5 * race, (Closed(by="dana"), MONDAY + timedelta(minutes=20)))
    await asyncio.gather(*(desk.hears(ticket, event, at) for event, at in events))
    async with asyncio.timeout(20):
        while set(await desk.log_keys(ticket)) != {f"k{i}" for i in range(1, 33)}:
            await asyncio.sleep(0.05)
    assert (await desk.handle(ticket).result()).ticket == ticket
    status = await desk.handle(ticket, 2).query(names.STATUS)
    assert status["number"] == 2
    assert status["phase"] == "open"


async def test_a_late_word_about_a_closed_incident_is_taken_into_its_log(desk: Desk) -> None:
    """X04: the agent had answered in time; the word of it comes after the closing, and the miss is taken back."""
    clocks = Clocks(desk.env)
    with begins_at(MONDAY):
        await desk.hears("late", Opened(priority="P1", by="ann@acme.example"))
    handle = desk.handle("late")

    async def wake() -> datetime | None:
        at = await handle.query(names.WAKE)
        return None if at is None else datetime.fromisoformat(at)

    await clocks.add(Member(handle, wake), MONDAY)
    await clocks.to(MONDAY + timedelta(hours=3))
    await desk.hears("late", Resolved(by="dana"), MONDAY + timedelta(hours=3))
    await desk.hears("late", Closed(by="dana"), MONDAY + timedelta(hours=3, minutes=1))
    closed = await handle.result()
    assert any(line.event.event == "step_begun" for line in closed.log)
    word = desk.word(AgentReplied(by="dana"), MONDAY + timedelta(hours=1)).model_copy(
        update={"received_at": MONDAY + timedelta(hours=4)}
    )
    id = await dispatch.deliver(
        desk.client, desk.source, "late", desk.customer, word, task_queue=desk.queue, contract="tromzo"
    )
    assert id.endswith("/2")
    final = await desk.handle("late", 2).result()
    assert final.number == 1
    told = await desk.handle("late", 2).query(names.STATUS)
    assert told["clocks"]["response"]["state"] == "met"
    withdrawn = [n for n in told["notices"] if n["kind"] == "withdrawal"]
    assert {n["step"] for n in withdrawn} >= {"75%", "90%", "100%"}


async def test_R12_no_incident_that_opens_while_the_account_suspends_misses_it(desk: Desk) -> None:
    """Enrolling and reading the ledger are one atomic act: 40 openings race a lapse and a payment."""

    async def pay(event: Any, key: str, at: datetime) -> None:
        word = AccountDelivery(key=key, occurred_at=at, received_at=at, event=event)
        await dispatch.pay(desk.client, desk.customer, word, task_queue=desk.queue, contract="reciprocity")

    lapse = MONDAY - timedelta(minutes=5)
    openings = [
        desk.hears(f"r{i}", Opened(priority="S2", by="ann@acme.example"), contract="reciprocity") for i in range(40)
    ]
    await asyncio.gather(*openings[:20], pay(PaymentLapsed(), "lapse", lapse), *openings[20:])
    async with asyncio.timeout(30):
        for i in range(40):
            while (await _settles(desk.handle(f"r{i}")))["phase"] != "suspended":
                await asyncio.sleep(0.05)
    await pay(PaymentCurrent(), "paid", lapse + timedelta(hours=2))
    async with asyncio.timeout(30):
        for i in range(40):
            while (told := await _settles(desk.handle(f"r{i}")))["phase"] != "open":
                await asyncio.sleep(0.05)
            assert [n["kind"] for n in told["notices"] if n["kind"] in ("suspension", "resumption")] == [
                "suspension"
            ] * 2 + ["resumption"] * 2


async def test_a_request_to_cancel_ends_no_promise(desk: Desk) -> None:
    """The UI's largest button: the incident goes on, and the request is kept where an operator sees it."""
    await desk.hears("cancel", Opened(priority="P1", by="ann@acme.example"))
    await _settles(desk.handle("cancel"))
    await desk.handle("cancel").cancel()
    await desk.hears("cancel", AgentReplied(by="dana"), MONDAY + timedelta(minutes=5))
    told = await _settles(desk.handle("cancel"))
    assert told["clocks"]["response"]["state"] == "met"
    assert "closed, not cancelled" in told["dead_letters"][0]["why"]


async def test_a_word_for_a_terminated_incident_opens_a_fresh_one(desk: Desk) -> None:
    """What somebody ended by force is not gone on with, and the next word is not lost."""
    await desk.hears("forced", Opened(priority="P1", by="ann@acme.example"))
    await _settles(desk.handle("forced"))
    await desk.handle("forced").terminate()
    assert (await desk.hears("forced", CustomerReplied(by="ann@acme.example"))).endswith("/2")
    assert (await _settles(desk.handle("forced", 2)))["phase"] == "open"


async def test_an_opening_that_cannot_be_read_stands_among_the_pending_activities_with_its_reason(desk: Desk) -> None:
    """A contract that is not there: an operator sees why, and the incident opens by itself once it is."""
    await desk.hears("stuck", Opened(by="ann@acme.example"), contract="nowhere")
    async with asyncio.timeout(20):
        while True:
            found = (await desk.handle("stuck").describe()).raw_description.pending_activities
            if found and found[0].last_failure.message:
                break
            await asyncio.sleep(0.1)
    assert "there is no contract 'nowhere'" in found[0].last_failure.message
    await desk.handle("stuck").terminate()


async def test_a_channel_that_is_down_neither_loses_the_notice_nor_keeps_the_incident_from_hearing(
    restless: WorkflowEnvironment,
) -> None:
    """The cheap way fails; the notice goes out by the patient one, and words are heard meanwhile."""

    class Down(Silent):
        told = 0

        async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
            self.told += 1
            if self.told <= 2:
                raise ApplicationError("the channel is down", type="ChannelUnavailable")

    teller = Down()
    desk = Desk(restless.client, restless, teller)
    async with desk.worker:
        await desk.hears("down", Opened(priority="P1", by="ann@acme.example"))
        await desk.hears("down", AgentReplied(by="dana"), MONDAY + timedelta(minutes=5))
        told = await _settles(desk.handle("down"))
        assert told["clocks"]["response"]["state"] == "met"
        assert [n["kind"] for n in told["notices"]] == ["acknowledgement", "information_request"]
        assert teller.told >= 3


async def test_every_history_of_this_server_replays(restless: WorkflowEnvironment) -> None:
    """What the tests above did, continue-as-new and local activities in long tasks included, replays clean."""
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=runner())
    replayed = renewed = 0
    async for found in restless.client.list_workflows(""):
        history = await restless.client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        assert result.replay_failure is None, f"{found.id} {found.run_id}: {result.replay_failure}"
        replayed += 1
        renewed += history.events[-1].HasField("workflow_execution_continued_as_new_event_attributes")
    assert replayed > 50
    assert renewed > 5


async def _settles(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            told: dict[str, Any] = await handle.query(names.STATUS)
            if told.get("in_flight", 1) == 0:
                return told
            await asyncio.sleep(0.02)
