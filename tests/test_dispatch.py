"""The web intake's door to Temporal: acknowledged words count, and whatever else Temporal says puts the sender off."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.dispatch import MOST_SAID, portions
from sla.account_events import AccountDelivery, PaymentLapsed
from sla.events import AgentReplied, Delivery, Opened
from starter import dispatch
from starter.dispatch import TemporalDispatch
from starter.port import Unavailable
from starter.state_dir import ServerError
from starter.web_server import WebServer

AT = datetime(2031, 7, 14, 16, 0, tzinfo=UTC)
LAPSED = AccountDelivery(key="p", occurred_at=AT, received_at=AT, event=PaymentLapsed())


def words(*keys: str) -> list[Delivery]:
    events = {"opened": Opened(by="ann@acme.example")}
    return [
        Delivery(key=key, occurred_at=AT, received_at=AT, event=events.get(key, AgentReplied(by="dana")))
        for key in keys
    ]


class Temporal:
    """What stands in for the client: says what it is told to, and keeps what it was asked."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.calls = 0

    async def start_workflow(
        self, _: str, state: Any = None, *, id: str, start_signal_args: Sequence[Any] = (), **__: object
    ) -> None:
        self.calls += 1
        said = getattr(start_signal_args[0], "words", start_signal_args) if start_signal_args else state.words
        self.asked += [word.key for word in said]
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


def door(*answers: Exception | None) -> tuple[TemporalDispatch, Temporal]:
    temporal = Temporal(*answers)
    return TemporalDispatch(temporal), temporal  # type: ignore[arg-type]


@pytest.mark.parametrize("status", list(RPCStatusCode))
async def test_whatever_temporal_answers_but_yes_puts_the_sender_off(status: RPCStatusCode) -> None:
    refused = RPCError("why", status, b"")
    through, _ = door(refused, refused)
    with pytest.raises(Unavailable, match="did not acknowledge"):
        await through.incident("desk", "1", "acme", words("opened"))
    with pytest.raises(Unavailable, match="did not acknowledge"):
        await through.account("acme", LAPSED)


async def test_a_server_that_is_not_there_puts_the_sender_off() -> None:
    client = await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
    through = TemporalDispatch(client)
    with pytest.raises(Unavailable):
        await through.incident("desk", "1", "acme", words("opened"))
    with pytest.raises(Unavailable):
        await through.account("acme", LAPSED)
    with pytest.raises(Unavailable):
        await through.ready()


async def test_a_server_that_says_nothing_puts_the_sender_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Temporal):
        async def start_workflow(self, *_: object, **__: object) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(dispatch, "PATIENCE", 0.01)
    with pytest.raises(Unavailable, match="within"):
        await TemporalDispatch(Silent()).incident("desk", "1", "acme", words("opened"))  # type: ignore[arg-type]


async def test_what_was_acknowledged_is_not_sent_again_and_what_was_not_is() -> None:
    down = RPCError("down", RPCStatusCode.UNAVAILABLE, b"")
    through, temporal = door(None, down)
    assert await through.incident("desk", "1", "acme", words("opened")) == "incident/desk/1"
    with pytest.raises(Unavailable):
        await through.incident("desk", "1", "acme", words("opened", "a", "b"))
    assert await through.incident("desk", "1", "acme", words("opened", "a", "b")) == "incident/desk/1"
    assert await through.incident("desk", "1", "acme", words("opened", "a", "b", "c")) == "incident/desk/1"
    assert temporal.asked == ["opened", "a", "b", "a", "b", "c"]


async def test_the_same_key_of_another_ticket_or_source_is_another_word() -> None:
    through, temporal = door()
    for source, ticket in (("desk", "1"), ("desk", "2"), ("shop", "1")):
        await through.incident(source, ticket, "acme", words("opened"))
    assert len(temporal.asked) == 3


async def test_it_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "REMEMBERED", 2)
    through, temporal = door()
    await through.incident("desk", "1", "acme", words("opened", "a", "b"))
    await through.incident("desk", "1", "acme", words("opened"))
    assert temporal.asked == ["opened", "a", "b", "opened"]


async def test_a_ticket_that_is_closed_and_taken_up_without_end_is_put_off_too() -> None:
    through, _ = door(*(WorkflowAlreadyStartedError("x", "IncidentWorkflow") for _ in range(500)))
    with pytest.raises(Unavailable, match="loop"):
        await through.incident("desk", "1", "acme", words("opened"))


# The port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


def test_a_port_that_is_asked_for_is_taken_or_refused(taken: int) -> None:
    with pytest.raises(ServerError, match=rf"can't listen at 127\.0\.0\.1:{taken} \(Address already in use\)"):
        WebServer(FastAPI(), port=taken)


async def test_a_request_under_way_is_answered_before_it_stops() -> None:
    app, inside, go_on = FastAPI(), asyncio.Event(), asyncio.Event()

    @app.get("/slow")
    async def slow() -> str:
        inside.set()
        await go_on.wait()
        return "done"

    web = WebServer(app)
    running = asyncio.create_task(web.run())
    await web.answers()
    async with httpx.AsyncClient() as client:
        asked = asyncio.create_task(client.get(f"{web.url}/slow"))
        await inside.wait()
        running.cancel()
        await asyncio.sleep(0)
        go_on.set()
        assert (await asked).json() == "done"
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_story_that_is_larger_than_temporal_takes_goes_in_several_signals_in_its_order() -> None:
    """Two hundred long mails are four megabytes, and Temporal takes two at a time."""
    through, temporal = door()
    story = [
        Delivery(key=str(i), occurred_at=AT, received_at=AT, event=AgentReplied(by="dana", body="é" * 10_000))
        for i in range(200)
    ]
    sizes = [sum(len(one.model_dump_json().encode()) for one in some) for some in portions(story)]
    assert max(sizes) <= MOST_SAID
    assert await through.incident("desk", "1", "acme", story) == "incident/desk/1"
    assert temporal.asked == [str(i) for i in range(200)]
    assert temporal.calls == len(sizes) > 1
    assert [len(some) for some in portions(story[:1])] == [1]


async def test_where_an_incident_closes_between_two_signals_the_rest_goes_to_the_tickets_next_link() -> None:
    over = WorkflowAlreadyStartedError("incident/desk/1", "IncidentWorkflow")
    through, _ = door(None, over)
    long = [
        Delivery(key=str(i), occurred_at=AT, received_at=AT, event=AgentReplied(by="dana", body="x" * 20_000))
        for i in range(40)
    ]
    assert await through.incident("desk", "1", "acme", long) == "incident/desk/1/2"
