"""Reading a helpdesk in rounds: no ticket keeps another back, no date of a ticket's hides what comes, nothing is brought twice."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities import dispatch, http
from activities.calls import ReadSource, ReadTicket, SourceRead
from activities.helpdesks.client import Account, HelpdeskRefused, Json, Writing, alone
from activities.sources import OVERLAP, SourceActivities
from records.sources import SourceStore
from sla.events import Delivery
from sla.intake import Told, Unusable, moment, word
from sla.source import Source
from starter.bound import Bound

NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
DESK = Source(name="desk", kind="toy", url="https://desk.example")


def at(minutes: float) -> str:
    return (NOW + timedelta(minutes=minutes)).isoformat()


class Rules:
    def source(self, name: str) -> Source:
        return DESK

    async def fresh(self) -> None: ...


def hear(source: Source, ticket: dict[str, Any], received: datetime) -> Bound:
    if "broken" in ticket:
        raise Unusable("ticket.id is missing")
    said = [
        word(f"desk:{ticket['id']}:{key}", moment(at(0), received), received, event="reopened")
        for key in ticket.get("words", ["a"])
    ]
    return Bound(Told(ticket["id"], tuple(said)), "acme", tuple(said))


@dataclass
class Helpdesk:
    """Tickets, and which of them it refuses."""

    tickets: list[dict[str, Any]]
    refuses: dict[str, int] = field(default_factory=dict)
    asked: list[datetime] = field(default_factory=list)

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        self.asked.append(since)
        for one in self.tickets:
            if datetime.fromisoformat(one["_changed"]) >= since and (
                found := await alone(self.ticket(one["id"]), one["id"])
            ):
                yield found

    async def ticket(self, id: str) -> dict[str, Any] | None:
        if id in self.refuses:
            raise HelpdeskRefused(f"the helpdesk answered {self.refuses[id]}", self.refuses[id])
        return next(one for one in self.tickets if one["id"] == id)

    async def write(self, id: str, writing: Writing) -> str:
        return ""

    async def check(self) -> str:
        return ""


@dataclass
class Office:
    reading: SourceActivities
    desk: Helpdesk
    brought: list[tuple[str, list[str]]]
    alarms: list[str]

    async def reads(self) -> SourceRead:
        came: SourceRead = await ActivityEnvironment().run(self.reading.reconcile_source, ReadSource(source="desk"))
        return came


@pytest.fixture
def office(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> Office:
    desk, brought, alarms = Helpdesk([]), list[tuple[str, list[str]]](), list[str]()

    async def deliver(client: Any, source: str, ticket: str, customer: str, words: Sequence[Delivery], **_: Any) -> str:
        brought.append((ticket, [one.key.rpartition(":")[2] for one in words]))
        return ticket

    async def alarm(key: str, said: str) -> None:
        alarms.append(said)

    monkeypatch.setattr(dispatch, "deliver", deliver)
    reading = SourceActivities(
        Rules(), None, lambda source: desk, hear, SourceStore(engine), alarm, lambda: NOW  # type: ignore[arg-type]
    )  # fmt: skip
    return Office(reading, desk, brought, alarms)


async def test_a_ticket_that_is_dated_ahead_hides_nothing_that_changes_later(office: Office) -> None:
    await office.reading.states.seen("desk", "toy", NOW - timedelta(hours=1))
    office.desk.tickets = [{"id": "1", "_changed": at(-10)}, {"id": "2", "_changed": at(60 * 24 * 365)}]
    assert (await office.reads()).to == NOW
    office.desk.tickets = [{"id": "3", "_changed": at(1)}]
    await office.reads()
    assert office.desk.asked[1] <= NOW - OVERLAP
    assert [ticket for ticket, _ in office.brought] == ["1", "2", "3"]


async def test_a_ticket_that_alone_is_refused_or_can_not_be_read_keeps_no_other_back_and_somebody_is_told(
    office: Office,
) -> None:
    office.desk.tickets = [{"id": str(i), "_changed": at(i)} for i in range(1, 5)]
    office.desk.refuses = {"2": 403}
    office.desk.tickets[2]["broken"] = True
    came = await office.reads()
    assert (came.read, came.failed) == (2, 2)
    assert [ticket for ticket, _ in office.brought] == ["1", "4"]
    (said,) = office.alarms
    assert said.startswith("2 tickets of desk can't be read: ticket.id is missing")


@pytest.mark.parametrize("status", [401, 403])
async def test_where_all_is_refused_the_account_lacks_the_right_and_the_next_round_begins_where_this_did(
    office: Office, status: int
) -> None:
    office.desk.tickets = [{"id": "1", "_changed": at(1)}, {"id": "2", "_changed": at(2)}]
    office.desk.refuses = dict.fromkeys("12", status)
    came = await office.reads()
    assert (came.read, came.to) == (0, None)
    assert came.said.startswith("refused: ")
    office.desk.refuses = {}
    await office.reads()
    assert office.desk.asked[0] == office.desk.asked[1]
    assert [ticket for ticket, _ in office.brought] == ["1", "2"]


async def test_what_was_brought_is_not_brought_again_by_the_rounds_that_overlap(office: Office) -> None:
    """To a closed incident each repetition would cost one of the links that a ticket has."""
    office.desk.tickets = [{"id": "1", "_changed": at(0)}]
    await office.reads()
    assert (await office.reads()).words == 1
    office.desk.tickets = [{"id": "1", "_changed": at(1), "words": ["a", "b"]}]
    await office.reads()
    assert office.brought == [("1", ["a"]), ("1", ["b"])]


async def test_a_ticket_that_was_pointed_to_and_can_not_be_read_is_told_of(office: Office) -> None:
    office.desk.tickets = [{"id": "1", "_changed": at(0), "broken": True}]
    assert await ActivityEnvironment().run(office.reading.read_ticket, ReadTicket(source="desk", ticket="1")) == 0
    (said,) = office.alarms
    assert "can't be read" in said


@pytest.mark.parametrize(
    ("body", "told"),
    [(b'{"text": "cut \\ud83d", "n": [1]}', {"text": "cut ?", "n": [1]}), ('{"text": "\U0001f600é"}'.encode(), {"text": "\U0001f600é"})],
)  # fmt: skip
async def test_half_a_character_in_an_answer_is_mended_for_no_event_could_hold_it(
    monkeypatch: pytest.MonkeyPatch, body: bytes, told: dict[str, Any]
) -> None:
    async def answered(*_: Any, **__: Any) -> http.Answer:
        return http.Answer(200, body, None)

    monkeypatch.setattr(http, "request", answered)
    assert await Json(Account("https://desk.example"), {}).get("/x") == told


async def test_an_answer_that_is_too_large_stays_so_and_is_not_asked_for_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answered(*_: Any, **__: Any) -> http.Answer:
        return http.Answer(200, b"x" * http.MAX_PAGE, None, whole=False)

    monkeypatch.setattr(http, "request", answered)
    with pytest.raises(HelpdeskRefused, match="more than 8 MiB"):
        await Json(Account("https://desk.example"), {}).get("/x")
