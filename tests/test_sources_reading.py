"""Reading a helpdesk in rounds: no ticket keeps another back, no date of a ticket's hides what comes, nothing is brought twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities import dispatch, http
from activities.calls import ReadSource, ReadTicket, SourceRead
from activities.helpdesks.client import REFUSED, Account, HelpdeskRefused, HelpdeskUnavailable, Json, Writing, alone
from activities.reading import OVERLAP
from activities.sources import LATER, TOLD_AT, SourceActivities
from records.sources import SourceState, SourceStore
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
        word(f"desk:{ticket['id']}:{key}", moment(ticket.get("_changed", at(0)), received), received, event="reopened")
        for key in ticket.get("words", ["a"])
    ]
    return Bound(Told(ticket["id"], tuple(said), incident=ticket.get("incident")), "acme", tuple(said))


@dataclass
class Helpdesk:
    """Tickets, which of them it refuses or fails at, and how far its clock is ahead of ours."""

    tickets: list[dict[str, Any]]
    refuses: dict[str, int] = field(default_factory=dict)
    fails: dict[str, HelpdeskUnavailable] = field(default_factory=dict)
    asked: list[datetime] = field(default_factory=list)
    away: HelpdeskUnavailable | None = None
    ahead: timedelta = timedelta(0)

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        self.asked.append(since)
        if self.away is not None:
            raise self.away
        for one in self.tickets:
            if datetime.fromisoformat(one["_changed"]) >= since and (
                found := await alone(self.ticket(one["id"]), one["id"])
            ):
                yield found

    async def ticket(self, id: str) -> dict[str, Any] | None:
        if id in self.refuses:
            raise HelpdeskRefused(f"the helpdesk answered {self.refuses[id]}", self.refuses[id])
        if id in self.fails:
            raise self.fails[id]
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
    keys: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """The tickets that were left to a workflow of their own."""
    existing: list[tuple[str, list[str]]] = field(default_factory=list)
    now: datetime = NOW

    async def reads(self, attempt: int = 1) -> SourceRead:
        came: SourceRead = await at_try(attempt).run(self.reading.reconcile_source, ReadSource(source="desk"))
        return came

    async def breaks_off(self, attempt: int) -> None:
        with pytest.raises(ApplicationError) as caught:
            await self.reads(attempt)
        assert (caught.value.type, caught.value.non_retryable) == ("HelpdeskUnavailable", False)

    async def reads_one(self, ticket: str, attempt: int = 1) -> int:
        words: int = await at_try(attempt).run(self.reading.read_ticket, ReadTicket(source="desk", ticket=ticket))
        return words

    async def cursor(self) -> datetime | None:
        state = await self.reading.states.get("desk")
        return None if state is None else state.read_to


def at_try(attempt: int) -> ActivityEnvironment:
    env = ActivityEnvironment()
    env.info = replace(env.info, attempt=attempt)
    return env


@pytest.fixture
def office(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> Office:
    return opened(SourceStore(engine), monkeypatch)


def opened(states: Any, monkeypatch: pytest.MonkeyPatch) -> Office:
    desk, brought, alarms = Helpdesk([]), list[tuple[str, list[str]]](), list[str]()

    async def deliver(client: Any, source: str, ticket: str, customer: str, words: Sequence[Delivery], **_: Any) -> str:
        brought.append((ticket, [one.key.rpartition(":")[2] for one in words]))
        return ticket

    async def existing(client: Any, incident: str, words: Sequence[Delivery]) -> str:
        office.existing.append((incident, [one.key.rpartition(":")[2] for one in words]))
        return ""  # It does not run any more.

    async def read_ticket(client: Any, source: str, ticket: str, **_: Any) -> str:
        office.left.append(ticket)
        return ticket

    async def alarm(key: str, said: str) -> None:
        office.keys.append(key)
        alarms.append(said)

    monkeypatch.setattr(dispatch, "deliver", deliver)
    monkeypatch.setattr(dispatch, "existing", existing)
    monkeypatch.setattr(dispatch, "read_ticket", read_ticket)
    monkeypatch.setattr(http, "ahead", lambda url: desk.ahead)
    reading = SourceActivities(
        Rules(), None, lambda source: desk, hear, states, alarm, lambda: office.now  # type: ignore[arg-type]
    )  # fmt: skip
    office = Office(reading, desk, brought, alarms)
    return office


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


def failing(status: int = 500) -> HelpdeskUnavailable:
    return HelpdeskUnavailable(f"the helpdesk answered {status}", of_one=True)


def five() -> list[dict[str, Any]]:
    return [{"id": str(i), "_changed": at(i - 10)} for i in range(1, 6)]


async def test_one_rotten_ticket_among_five_is_tried_again_and_then_left_to_a_workflow_of_its_own(
    office: Office,
) -> None:
    await office.reading.states.seen("desk", "toy", NOW - timedelta(hours=1))
    office.desk.tickets, office.desk.fails = five(), {"3": failing()}
    for attempt in (1, 2, 3):
        await office.breaks_off(attempt)
    assert [ticket for ticket, _ in office.brought] == ["1", "2"]
    assert (office.left, office.alarms) == ([], [])
    assert await office.cursor() == NOW - timedelta(minutes=8)
    came = await office.reads(4)
    assert [ticket for ticket, _ in office.brought] == ["1", "2", "4", "5"]
    assert office.left == ["3"]
    assert (came.failed, came.to) == (1, NOW - timedelta(minutes=5))
    (said,) = office.alarms
    assert said.startswith("1 ticket of desk can't be read: ticket 3: the helpdesk answered 500")
    assert office.keys == ["source/desk/unread/2031-07-07"]


async def test_a_ticket_that_was_passed_over_arrives_with_its_own_time_once_it_is_healed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[datetime] = []

    async def deliver(client: Any, source: str, ticket: str, customer: str, words: Sequence[Delivery], **_: Any) -> str:
        heard.extend(one.occurred_at for one in words if ticket == "3")
        return ticket

    monkeypatch.setattr(dispatch, "deliver", deliver)
    office.desk.tickets, office.desk.fails = (
        [{**one, "_changed": at(int(one["id"]))} for one in five()],
        {"3": failing()},
    )
    await office.reads(4)
    with pytest.raises(ApplicationError):
        await office.reads_one("3")
    office.desk.fails, office.now = {}, NOW + timedelta(hours=7)
    assert await office.reads_one("3") == 1
    assert heard == [NOW + timedelta(minutes=3)]


async def test_rotten_tickets_in_a_row_are_passed_over_more_at_each_try_once_one_behind_them_is_read(
    office: Office,
) -> None:
    office.desk.tickets = [{**one, "_changed": at(int(one["id"]))} for one in five()]
    office.desk.fails = {"2": failing(), "3": failing(502), "4": failing(504)}
    for attempt in (3, 4, 5):
        await office.breaks_off(attempt)
    assert office.left == []
    await office.reads(6)
    assert office.left == ["2", "3", "4"]
    assert [ticket for ticket, _ in office.brought] == ["1", "5"]


@pytest.mark.parametrize(
    "fault",
    [
        HelpdeskUnavailable("the helpdesk answered 429", 30),
        HelpdeskUnavailable("the helpdesk answered 503", 120),
        HelpdeskUnavailable("the helpdesk cannot be reached"),
    ],
    ids=["rate", "maintenance", "no connection"],
)
async def test_what_is_the_helpdesks_own_failure_passes_nothing_over_however_often_it_is_tried(
    office: Office, fault: HelpdeskUnavailable
) -> None:
    await office.reading.states.seen("desk", "toy", NOW - timedelta(hours=1))
    office.desk.tickets, office.desk.fails = five(), {"3": fault}
    for attempt in range(1, 21):
        await office.breaks_off(attempt)
    office.desk.away = fault
    await office.breaks_off(20)
    assert office.left == []


async def test_a_helpdesk_at_which_every_ticket_fails_is_down_and_somebody_is_told_after_ten_minutes(
    office: Office,
) -> None:
    office.desk.tickets = [{**one, "_changed": at(int(one["id"]))} for one in five()]
    office.desk.fails = {one["id"]: failing() for one in office.desk.tickets}
    for attempt in range(1, TOLD_AT):
        await office.breaks_off(attempt)
    assert office.alarms == []
    await office.breaks_off(TOLD_AT)
    await office.breaks_off(20)
    assert (office.left, office.brought, await office.cursor()) == ([], [], None)
    assert set(office.keys) == {"source/desk/away/2031-07-07"}
    assert office.alarms[0].startswith("desk can't be read: ticket 5: the helpdesk answered 500")
    office.desk.fails = {}
    await office.reads()
    assert [ticket for ticket, _ in office.brought] == ["1", "2", "3", "4", "5"]


async def test_a_helpdesk_that_is_to_be_left_alone_for_long_is_told_of_at_once(office: Office) -> None:
    office.desk.away = HelpdeskUnavailable("the helpdesk answered 429", 599)
    await office.breaks_off(1)
    assert office.keys == []
    office.desk.away = HelpdeskUnavailable("the helpdesk answered 429", 3600)
    await office.breaks_off(1)
    assert office.keys == ["source/desk/away/2031-07-07"]


async def test_where_no_other_ticket_changed_the_one_that_fails_is_left_to_its_workflow_as_well(office: Office) -> None:
    office.desk.tickets, office.desk.fails = [{"id": "1", "_changed": at(0)}], {"1": failing()}
    await office.breaks_off(3)
    assert (await office.reads(4)).to == NOW
    assert office.left == ["1"]


async def test_while_temporal_is_away_no_ticket_is_passed_over(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any, **__: Any) -> str:
        raise RPCError("it is away", RPCStatusCode.UNAVAILABLE, b"")

    monkeypatch.setattr(dispatch, "read_ticket", away)
    office.desk.tickets, office.desk.fails = five(), {"3": failing()}
    await office.reading.states.seen("desk", "toy", NOW - timedelta(hours=1))
    with pytest.raises(ApplicationError, match="it is away"):
        await office.reads(4)
    cursor = await office.cursor()
    assert cursor is None or cursor <= NOW - timedelta(minutes=8)


async def test_a_refused_ticket_is_left_to_a_workflow_that_asks_ever_more_seldom_whether_we_have_the_right(
    office: Office,
) -> None:
    office.desk.tickets, office.desk.refuses = five(), {"3": 403}
    await office.reading.states.seen("desk", "toy", NOW - timedelta(hours=1))
    await office.reads()
    assert office.left == ["3"]
    waits = []
    for attempt in (1, 2, 1000):
        with pytest.raises(ApplicationError) as caught:
            await office.reads_one("3", attempt)
        waits.append(caught.value.next_retry_delay)
    assert waits == [LATER, 2 * LATER, timedelta(hours=6)]


async def test_of_a_ticket_that_fails_again_and_again_somebody_is_told_once_a_day(office: Office) -> None:
    office.desk.fails = {"3": failing()}
    for attempt in (1, TOLD_AT - 1, TOLD_AT, TOLD_AT + 1):
        with pytest.raises(ApplicationError):
            await office.reads_one("3", attempt)
    assert office.keys == 2 * ["source/desk/unread/2031-07-07"]
    assert office.alarms[0].startswith("1 ticket of desk can't be read: ticket 3: the helpdesk answered 500")


async def test_a_long_round_keeps_how_far_it_came_so_that_one_that_is_cut_off_goes_on_from_there(
    office: Office,
) -> None:
    office.desk.tickets = [{"id": str(i), "_changed": at(i / 60)} for i in range(250)]
    office.now = NOW + timedelta(hours=1)
    await office.reading.states.seen("desk", "toy", NOW)
    noted: list[datetime | None] = []
    keep = office.reading.states.read

    async def read(name: str, kind: str, to: datetime | None, when: datetime, how: str) -> None:
        noted.append(to)
        await keep(name, kind, to, when, how)

    office.reading.states.read = read  # type: ignore[method-assign]
    await office.reads()
    assert noted[:-1] == [datetime.fromisoformat(at(i / 60)) for i in (99, 199)]


async def test_words_for_one_incident_go_there_and_open_none_and_where_it_is_over_they_are_dropped(
    office: Office,
) -> None:
    office.desk.tickets = [
        {"id": "PD1", "_changed": at(0), "incident": "incident/desk/4711/1", "words": ["acknowledged"]}
    ]
    came = await office.reads()
    assert (office.existing, office.brought) == ([("incident/desk/4711/1", ["acknowledged"])], [])
    assert (came.read, came.failed, office.alarms) == (1, 0, [])
    await office.reads()
    assert len(office.existing) == 1


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


class Kept:
    """What is kept of the one source, in memory."""

    def __init__(self, since: datetime) -> None:
        self.state = SourceState("desk", "toy", since, heard_at=since)

    async def seen(self, name: str, kind: str, when: datetime) -> None: ...

    async def get(self, name: str) -> SourceState:
        return self.state

    async def read(self, name: str, kind: str, to: datetime | None, when: datetime, how: str) -> None:
        self.state = replace(self.state, read_to=to or self.state.read_to, read_at=when)


async def rounds(
    office: Office, changes: list[float], minutes: list[float], skews: list[float], broken: set[int]
) -> dict[str, list[float]]:
    """Read at these minutes what changed at those, by a clock so many minutes ahead of ours: at which each ticket was read."""
    reads: dict[str, list[float]] = {str(number): [] for number in range(len(changes))}
    for number, (minute, skew) in enumerate(zip(minutes, skews, strict=True)):
        office.now, office.desk.ahead = NOW + timedelta(minutes=minute), timedelta(minutes=skew)
        for id, changed in enumerate(changes):
            if changed <= minute and not any(one["id"] == str(id) for one in office.desk.tickets):
                office.desk.tickets.append({"id": str(id), "_changed": at(changed + skew), "words": [f"w{id}"]})
        office.desk.tickets.sort(key=lambda one: one["_changed"])
        middle = office.desk.tickets[len(office.desk.tickets) // 2]["id"] if office.desk.tickets else ""
        office.desk.fails = {middle: HelpdeskUnavailable("it is away", 1)} if number in broken else {}
        seen = list[str]()
        told = office.reading.hear

        def hears(source: Source, ticket: dict[str, Any], received: datetime, seen: list[str] = seen) -> Bound:
            seen.append(ticket["id"])
            return hear(source, ticket, received)

        office.reading.hear = hears
        try:
            await office.reads()
        except ApplicationError:
            assert number in broken
        office.reading.hear = told
        for id in seen:
            reads[id].append(minute)
    return reads


@settings(max_examples=60, deadline=None)
@given(
    skew=st.integers(-180, 180),
    changes=st.lists(st.integers(0, 300), min_size=1, max_size=12),
    gaps=st.lists(st.integers(1, 30), min_size=5, max_size=15),
    broken=st.sets(st.integers(0, 14), max_size=4),
)
@example(skew=-6, changes=[0], gaps=[11, 1, 1, 1, 1], broken=set())
@example(skew=-6, changes=[0, 12, 12, 12], gaps=[12, 1, 1, 1, 1], broken={0})
def test_whatever_time_it_is_there_no_change_is_lost_and_none_is_read_for_ever(
    skew: int, changes: list[int], gaps: list[int], broken: set[int]
) -> None:
    minutes = [float(sum(gaps[: i + 1])) for i in range(len(gaps))]
    minutes += [max(minutes[-1], 300.0) + 10 * i for i in range(1, 25)]
    with pytest.MonkeyPatch.context() as patch:
        office = opened(Kept(NOW), patch)
        reads = asyncio.run(
            rounds(office, [float(one) for one in changes], minutes, [float(skew)] * len(minutes), broken)
        )
    assert [id for id, when in reads.items() if not when] == []
    assert [id for id, when in reads.items() if minutes[-1] in when] == []
    assert sorted(ticket for ticket, _ in office.brought) == sorted(reads)


@pytest.mark.parametrize("back", [-180.0, -14.0, -6.0])
async def test_a_clock_that_is_put_back_hides_nothing(monkeypatch: pytest.MonkeyPatch, back: float) -> None:
    office = opened(Kept(NOW), monkeypatch)
    changes, minutes = [5.0, 10.5, 14.0, 19.0, 33.0], [10.0, 20.0, 30.0, 40.0, 50.0]
    reads = await rounds(office, changes, minutes, [0.0, back, back, back, back], set())
    assert all(reads.values()), reads


@pytest.mark.parametrize("told", [180.0, -180.0])
async def test_a_wrong_time_that_somebody_between_us_and_the_helpdesk_tells_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, told: float
) -> None:
    office = opened(Kept(NOW), monkeypatch)
    for minute in range(10, 70, 10):
        office.now, office.desk.ahead = NOW + timedelta(minutes=minute), timedelta(minutes=told)
        office.desk.tickets.append({"id": str(minute), "_changed": at(minute - 9)})
        await office.reads()
    assert [ticket for ticket, _ in office.brought] == [str(minute) for minute in range(10, 70, 10)]


@pytest.mark.parametrize("passing", [
    "200 OK\r\nDate: noon", "200 OK", "200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT", "200 OK\r\nDate: Mon, 01 Jan 0001 00:00:00 GMT",
    "200 OK\r\nDate: Fri, 31 Dec 9999 23:59:59 -2300", "200 OK\r\nAge: 0\r\nDate: {wrong}", "502 Bad Gateway\r\nDate: {wrong}",
    "401 Unauthorized\r\nDate: {wrong}", "302 Found\r\nLocation: /login\r\nDate: {wrong}",
])  # fmt: skip
async def test_the_time_there_is_known_from_a_good_answer_and_neither_from_an_error_a_copy_nor_an_absurd_date(
    passing: str,
) -> None:
    def then(hours: int) -> str:
        return format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)

    answers = [f"200 OK\r\nDate: {then(-3)}", passing.format(wrong=then(9)), f"204 No Content\r\nDate: {then(3)}"]

    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {answers.pop(0)}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(says, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert http.ahead(url) == timedelta(0)
        for hours in (-3, -3, 3):
            with contextlib.suppress(HelpdeskUnavailable, HelpdeskRefused):
                await Json(Account(url), {}).get("/x")
            assert abs(http.ahead(f"{url}/elsewhere") - timedelta(hours=hours)) < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("status", "headers", "of_one"),
    [
        (500, {}, True),
        (502, {}, True),
        (409, {}, True),
        (503, {}, True),
        (503, {"Retry-After": "5"}, False),
        (429, {}, False),
    ],
)
async def test_an_answer_that_names_no_time_may_be_that_tickets_own_fault(
    httpserver: HTTPServer, status: int, headers: dict[str, str], of_one: bool
) -> None:
    httpserver.expect_request("/x").respond_with_data("no", status, headers=headers)
    json = Json(Account(httpserver.url_for("").rstrip("/")), {})
    with pytest.raises(HelpdeskUnavailable) as caught:
        await json.get("/x")
    assert caught.value.of_one is of_one
    if of_one:
        assert REFUSED in (await alone(json.get("/x"), "1") or {})
    for what, alike in (("ticket", of_one), ("channel", False)):
        if not alike:
            with pytest.raises(HelpdeskUnavailable):
                await alone(json.get("/x"), "1", what)


async def test_silence_and_a_broken_answer_may_be_that_tickets_fault_and_no_connection_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"GET /hangs" in await reader.readuntil(b"\r\n\r\n"):
            await reader.read()  # until the other side gives up
        writer.close()

    monkeypatch.setattr("activities.helpdesks.client.TOTAL", 0.3)
    server = await asyncio.start_server(says, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    json = Json(Account(f"http://127.0.0.1:{port}"), {})
    async with server:
        for path in ("/hangs", "/breaks"):
            with pytest.raises(HelpdeskUnavailable) as caught:
                await json.get(path)
            assert caught.value.of_one, path
    with pytest.raises(HelpdeskUnavailable) as caught:
        await json.get("/x")
    assert not caught.value.of_one
