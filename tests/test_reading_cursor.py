"""How far a round has come: past no ticket that is not read, past no part that is refused, and never before the source was connected."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from temporalio.exceptions import ApplicationError

from activities.helpdesks.client import REFUSED, Account, HelpdeskRefused, HelpdeskUnavailable
from activities.helpdesks.kinds import CLIENTS, helpdesk
from activities.reading import HELD, OVERLAP, Progress, patience
from tests.desks import moving
from tests.test_sources_reading import NOW, Helpdesk, Kept, Office, at, failing, hear, opened

EVERY = timedelta(minutes=5)


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    return opened(Kept(NOW - timedelta(hours=2)), monkeypatch)


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_round_that_breaks_off_behind_a_ticket_that_changed_meanwhile_loses_none_of_the_others(
    office: Office, httpserver: HTTPServer, kind: str
) -> None:
    """A worker was away for two hours; somebody answers in the ticket that is read first, and then the helpdesk breaks off."""
    moving(httpserver, kind, {"1": at(-110), "2": at(-60), "3": at(-50)}, {"1": at(0.2)})
    breaks, names = [True], list[str]()

    class Breaks:
        async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
            client = helpdesk(
                kind, Account(httpserver.url_for("").rstrip("/"), "bot", "t0k3n", channels=("C0SUPPORT",))
            )
            assert client is not None
            async for ticket in client.changed(since):
                yield ticket
                if breaks:
                    breaks.pop()
                    raise HelpdeskUnavailable("it answered 429", 30)

    def hears(source: Any, ticket: dict[str, Any], received: datetime) -> Any:
        whole = ticket.get("ticket") or ticket.get("issue") or ticket.get("incident") or ticket
        names.append(str(whole.get("ts") or whole.get("id") or whole.get("key"))[-1])
        return hear(source, {"id": names[-1], "_changed": ticket["_changed"]}, received)

    office.reading.helpdesk = lambda source: Breaks()  # type: ignore[assignment, return-value]
    office.reading.hear = hears
    await office.breaks_off(1)
    office.now += timedelta(seconds=40)
    await office.reads(2)
    assert set(names) == {"1", "2", "3"}


# What is refused for a while


@dataclass
class Parted(Helpdesk):
    """A helpdesk that is read part by part, one of which may be closed."""

    closed: list[dict[str, Any]] = field(default_factory=list)
    shut: bool = True

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        told = "channel C0B: it said not_in_channel; invite the app"
        if self.shut:
            yield {REFUSED: HelpdeskRefused(told, 403)}
        there = [*self.tickets, *([] if self.shut else self.closed)]
        whole = Helpdesk(sorted(there, key=lambda one: str(one["_changed"])), asked=self.asked)
        async for ticket in whole.changed(since):
            yield ticket


async def goes_by(office: Office, desk: Parted, minutes: int) -> None:
    """A round every five minutes, before each a ticket in either part."""
    for _ in range(0, minutes, 5):
        minute = (office.now - NOW) / timedelta(minutes=1)
        desk.tickets.append({"id": f"a{minute:g}", "_changed": at(minute - 1)})
        desk.closed.append({"id": f"b{minute:g}", "_changed": at(minute - 1)})
        await office.reads()
        office.now += EVERY


async def test_what_was_written_in_a_part_while_it_was_refused_is_read_once_it_may_be(office: Office) -> None:
    desk = Parted([])
    office.reading.helpdesk = lambda source: desk
    await goes_by(office, desk, 60)
    assert {ticket[0] for ticket, _ in office.brought} == {"a"}
    desk.shut = False
    await office.reads()
    brought = sorted(ticket for ticket, _ in office.brought)
    assert brought == sorted(one["id"] for one in [*desk.tickets, *desk.closed])
    office.now += EVERY
    await office.reads()
    assert office.desk.asked == []
    assert desk.asked[-1] >= office.now - 2 * EVERY - 2 * OVERLAP


async def test_of_a_part_that_is_refused_somebody_is_told_as_of_a_part_and_of_no_ticket(office: Office) -> None:
    desk = Parted([])
    office.reading.helpdesk = lambda source: desk
    await goes_by(office, desk, 5)
    assert (office.left, set(office.keys)) == ([], {"source/desk/part/2031-07-07"})
    assert office.alarms[0] == (
        "desk can't be read whole: channel C0B: it said not_in_channel; invite the app; "
        "what is written there comes once it can be read, from 3 days back at most"
    )
    came = await office.reads()
    assert (came.failed, came.said) == (
        1, "1 ticket read, 1 word, and not channel C0B: it said not_in_channel; invite the app"
    )  # fmt: skip


async def test_a_part_that_is_refused_for_ever_does_not_have_all_read_again_for_ever(office: Office) -> None:
    desk = Parted([])
    office.reading.helpdesk = lambda source: desk
    office.reading.alarm = None
    office.now += 10 * HELD
    await goes_by(office, desk, 10)
    assert desk.asked[-1] == office.now - EVERY - EVERY - HELD - OVERLAP


# Whence it is read


@pytest.mark.parametrize("hours", [-20.0, -3.0, 0.0, 20.0])
async def test_nothing_is_asked_for_that_changed_before_the_source_was_connected_by_the_clock_there(
    monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    """However often the clock there seems to be put back, and although each round begins before the last one's end."""
    office = opened(Kept(NOW), monkeypatch)
    for minute in range(0, 60, 5):
        office.now, office.desk.ahead = NOW + timedelta(minutes=minute), timedelta(hours=hours if minute % 10 else 0)
        await office.reads()
    assert len(office.desk.asked) == 12
    assert min(office.desk.asked) >= NOW + timedelta(hours=min(hours, 0)) - OVERLAP


def test_a_round_that_was_begun_before_the_source_was_known_goes_by_what_it_reads() -> None:
    progress = Progress("desk", NOW, NOW)
    assert progress.surely(None, timedelta(0)) is None
    assert progress.surely(NOW - EVERY, timedelta(0)) == NOW - EVERY


# Many that fail


def test_more_tickets_are_passed_over_at_each_try_by_doubling() -> None:
    assert [patience(attempt) for attempt in range(1, 10)] == [0, 0, 0, 1, 2, 4, 8, 16, 32]


async def test_a_hundred_tickets_in_a_row_that_fail_hold_no_source_for_good(office: Office) -> None:
    """A round begins anew at the first try, so all of the row must fit into the tries of one."""
    office.desk.tickets = [{"id": str(number), "_changed": at(number / 10 - 60)} for number in range(101)]
    office.desk.fails = {str(number): failing() for number in range(100)}
    for attempt in range(1, 21):
        try:
            came = await office.reads(attempt)
            break
        except ApplicationError:
            assert office.left == []
    assert (attempt, came.failed) == (11, 100)
    assert office.left == [str(number) for number in range(100)]
    assert [ticket for ticket, _ in office.brought] == ["100"]
