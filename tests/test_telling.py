"""The telling itself: what passes is waited for, what refuses holds up nobody, and a further attempt goes on where it was."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities import telling
from activities.calls import Roll, Telling
from activities.telling import TellingActivities
from sla.ledger import Ledger

IDS = tuple(f"incident/desk/{i}" for i in range(120))
ASKED = Telling(customer="acme", ledger=Ledger(version=3), at=datetime(2031, 7, 9, 19, tzinfo=UTC), incidents=IDS)


class Server:
    """A Temporal server as far as the telling sees it; `answers` gives the errors that an incident answers with, in turn."""

    namespace, identity = "default", "test"
    data_converter: DataConverter = pydantic_data_converter

    def __init__(self, **answers: Sequence[RPCStatusCode]) -> None:
        self.answers = {f"incident/desk/{name[1:]}": list(errors) for name, errors in answers.items()}
        self.told: list[str] = []
        self.requests: set[str] = set()

    @property
    def workflow_service(self) -> "Server":
        return self

    async def signal_workflow_execution(self, request: Any, **_: Any) -> None:
        incident = request.workflow_execution.workflow_id
        self.requests.add(request.request_id)
        if self.answers.get(incident):
            raise RPCError("no", self.answers[incident].pop(0), b"")
        self.told.append(incident)


class Attempt:
    """One attempt at the telling; `noted` is its last heartbeat."""

    def __init__(self, server: Server, details: Sequence[Any] = ()) -> None:
        self.noted: tuple[Any, ...] = ()
        self.environment = ActivityEnvironment()
        self.environment.info = dataclasses.replace(self.environment.info, heartbeat_details=details)
        self.environment.on_heartbeat = self._note
        self.activities = TellingActivities(cast(Client, server))

    def _note(self, *details: Any) -> None:
        self.noted = details

    async def tell(self) -> Roll:
        return cast(Roll, await self.environment.run(self.activities.tell_incidents, ASKED))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits between attempts."""
    monkeypatch.setattr(telling, "WAITS", (0.0,) * 5)


async def test_each_incident_is_told_once_and_the_closed_ones_are_given_back() -> None:
    server = Server(_7=[RPCStatusCode.NOT_FOUND])
    assert await Attempt(server).tell() == Roll(incidents=(IDS[7],))
    assert sorted(server.told) == sorted(set(IDS) - {IDS[7]})


async def test_what_passes_is_tried_again_for_that_incident_alone() -> None:
    server = Server(_7=[RPCStatusCode.UNAVAILABLE] * 5, _8=[RPCStatusCode.RESOURCE_EXHAUSTED])
    await Attempt(server).tell()
    assert sorted(server.told) == sorted(IDS)


async def test_one_that_refuses_keeps_no_other_waiting_and_is_all_that_the_next_attempt_asks() -> None:
    """An incident that takes no more signals (a run takes 10,000) must not keep its customer's others from being told."""
    server = Server(_7=[RPCStatusCode.INVALID_ARGUMENT], _9=[RPCStatusCode.NOT_FOUND])
    first = Attempt(server)
    with pytest.raises(RPCError):
        await first.tell()
    assert sorted(server.told) == sorted(set(IDS) - {IDS[7], IDS[9]})
    assert first.noted == (len(IDS), [IDS[9]], [IDS[7]])
    server.told.clear()
    assert await Attempt(server, first.noted).tell() == Roll(incidents=(IDS[9],))
    assert server.told == [IDS[7]]


async def test_a_further_attempt_goes_on_where_the_one_before_was_under_the_same_request() -> None:
    """By the id of the request the server drops what is told again, so that a kill tells nobody twice."""
    server = Server()
    await Attempt(server, (100, [IDS[3]], [])).tell()
    assert sorted(server.told) == sorted(IDS[100:])
    await Attempt(server).tell()
    assert len(server.requests) == 1
