"""The spool: what Temporal does not take is kept, comes to it in order as soon as it answers, and is never lost."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.calls import Look
from records.dead_letters import LISTED, DeadLetterStore
from records.deliveries import DeliveryRecord, DeliveryStore
from records.spool import Spool, Spooled
from sla.account_events import AccountDelivery
from sla.events import Delivery
from starter import spooler
from starter.port import Unavailable
from starter.spooler import LATE, PATIENCE, TRIES, Spooler, held, letter

AT = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)


def said(key: str, body: str = "still broken") -> Delivery:
    event = {"event": "customer_replied", "by": "ann@acme.example", "body": body}
    return Delivery.model_validate({"key": key, "occurred_at": AT, "received_at": AT, "event": event})


@dataclass
class Door:
    """Temporal's door: it may be shut, or take nothing of some tickets."""

    shut: bool = False
    never: set[str] = field(default_factory=set)
    took: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        return await self._take(f"{source}/{ticket}", words)

    async def existing(self, incident: str, words: Sequence[Delivery]) -> str:
        return await self._take(incident, words)

    async def read_ticket(self, source: str, ticket: str) -> str:
        return await self._take(f"read/{source}/{ticket}", [said("looked")])

    async def account(self, customer: str, word: AccountDelivery) -> str:
        return await self._take(f"account/{customer}", [word])

    async def look(self, customer: str, asked: Look) -> str:
        return await self._take(f"look/{customer}", [said(asked.source)])

    async def ready(self) -> None:
        if self.shut:
            raise Unavailable("away")

    async def _take(self, where: str, words: Sequence[Delivery | AccountDelivery]) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        if self.shut or where in self.never:
            raise Unavailable(f"{where} is not taken")
        if where.endswith("faulty"):
            raise ValueError("a fault of ours")
        self.took += [(where, word.key) for word in words]
        self.taken.set()
        return where


class Clock:
    """A clock that ticks a microsecond at each look."""

    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at


@pytest.fixture
def spool(engine: AsyncEngine) -> Spool:
    return Spool(engine)


async def put(making: Spooler, ticket: str, *keys: str, incident: str | None = None, delivery: str = "") -> None:
    await making.put("desk", ticket, "acme", [said(key) for key in keys], "away", incident, delivery)


async def test_what_is_put_waits_as_it_is_the_oldest_of_each_ticket_first(spool: Spool) -> None:
    first = Spooled("1", "desk", "4711", "acme", None, (said("a"), said("b")), AT, 0, "away\ufffd")
    second = Spooled("2", "desk", "4711", "acme", None, (said("c"),), AT, 0, "away")
    third = Spooled("0", "desk", "4711", "acme", None, (said("e"),), AT + timedelta(seconds=1), 0, "away")
    other = Spooled("3", "desk", "4712", "acme", "incident/desk/4712", (said("d"),), AT - timedelta(hours=1), 0, "away")
    for one in (third, second, first, other, first):
        await spool.put(one)
    assert await spool.waiting(10) == [other, first]
    assert await spool.waiting(1) == [other]
    assert (await spool.count(), await spool.by_source(), await spool.oldest()) == (4, {"desk": 4}, other.put_at)
    await spool.failed("3", "no")
    assert [(one.id, one.tries, one.why) for one in await spool.waiting(10)] == [("1", 0, "away\ufffd"), ("3", 1, "no")]
    assert await spool.done("1")
    assert not await spool.done("1")
    assert [one.id for one in await spool.waiting(10)] == ["2", "3"]


async def test_a_spooled_delivery_is_accepted_in_the_log_as_soon_as_all_it_told_has_come(
    spool: Spool, engine: AsyncEngine
) -> None:
    door, clock, log = Door(shut=True), Clock(), DeliveryStore(engine)
    making = Spooler(spool, door, clock)
    await put(making, "1", "a", delivery="d1")
    await put(making, "2", "b", delivery="d1")
    await put(making, "", "ack", incident="incident/desk/9", delivery="press")
    one = DeliveryRecord("d1", "zendesk/desk", AT, "evt-1", "", "", "spooled", "away", ("1", "2"), 2, took_ms=5)
    lines = [one, *(replace(one, id=id) for id in ("press", "gone")), replace(one, id="told", outcome="ignored")]
    await log.put(lines)
    assert not await making.drain()
    came = {each.id: (each.outcome, each.detail) for each in await log.recent()}
    waits = ("spooled", "away")
    done = ("accepted", "it waited in the records until 2031-07-07 17:00:00 UTC")
    assert came == {"d1": waits, "press": waits, "told": ("ignored", "away"), "gone": done}
    door.shut, door.never, clock.at = False, {"desk/2"}, AT + timedelta(minutes=7)
    assert not await making.drain()
    left = {each.id for each in await log.recent(outcome="spooled")}
    assert left == {"d1"}, "a part of it waits still"
    door.never.clear()
    assert await making.drain()
    assert await log.recent(outcome="spooled") == []
    (found,) = [each for each in await log.recent() if each.id == "d1"]
    assert found == replace(one, outcome="accepted", detail="it waited in the records until 2031-07-07 17:07:00 UTC")


async def test_what_waits_for_an_account_comes_to_it_and_a_thin_word_of_it_has_it_look(spool: Spool) -> None:
    door = Door(shut=True)
    making = Spooler(spool, door, Clock())
    told = {"key": "p", "occurred_at": AT, "received_at": AT, "event": {"event": "payment_lapsed", "reference": "in_1"}}
    lapsed = AccountDelivery.model_validate(told)
    await making.put("billing/erp", "", "acme", [lapsed], "away")
    await making.put("stripe/main", "", "acme", [], "away")
    await making.put("stripe/main", "", "other", [], "away")
    assert not await making.drain()
    first = await spool.waiting(9)
    assert [(one.customer, one.words) for one in first] == [("acme", (lapsed,)), ("acme", ()), ("other", ())]
    again = held(letter(first[0], "it is not taken"))
    assert (again.of_account, again.customer, again.words) == (True, "acme", (lapsed,))
    door.shut = False
    assert await making.drain()
    assert sorted(door.took) == [("account/acme", "p"), ("look/acme", "stripe/main"), ("look/other", "stripe/main")]


async def test_a_line_of_the_log_that_comes_after_its_words_have_gone_is_told_of_as_well(
    spool: Spool, engine: AsyncEngine
) -> None:
    """The log is written a moment later; and after a minute in which nothing waited nobody looks it through any more."""
    clock, log = Clock(), DeliveryStore(engine)
    making = Spooler(spool, Door(), clock)
    await put(making, "1", "a")
    assert await making.drain()
    line = DeliveryRecord("d1", "zendesk/desk", AT, "evt-1", "", "", "spooled", "away", ("1",))
    await log.put([line])
    assert await making.drain()
    assert [each.outcome for each in await log.recent()] == ["accepted"]
    clock.at += LATE + timedelta(seconds=1)
    await log.put([replace(line, id="d2")])
    assert await making.drain()
    assert [each.id for each in await log.recent(outcome="spooled")] == ["d2"]
    assert await Spooler(spool, Door(), clock).drain(), "one that starts looks it through"
    assert await log.recent(outcome="spooled") == []


async def test_a_spooled_delivery_that_is_given_up_says_which_dead_letter_it_is(
    spool: Spool, engine: AsyncEngine
) -> None:
    clock, log = Clock(), DeliveryStore(engine)
    making = Spooler(spool, Door(never={"desk/4711"}), clock)
    await put(making, "4711", "a", delivery="d1")
    await log.put([DeliveryRecord("d1", "zendesk/desk", AT, "evt-1", "", "", "spooled", "away", ("4711",))])
    clock.at += PATIENCE
    for _ in range(TRIES):
        await making.drain()
    (kept,) = await DeadLetterStore(engine).list(LISTED)
    (found,) = await log.recent()
    assert (found.outcome, found.detail) == ("kept", f"Temporal did not take it; it is the dead letter {kept.id}")


async def test_while_something_of_an_earlier_version_waits_the_log_says_nothing_of_it(
    spool: Spool, engine: AsyncEngine
) -> None:
    """Its id does not tell of which delivery the words are."""
    log = DeliveryStore(engine)
    await spool.put(Spooled("001941022800000000-" + "a" * 32, "desk", "4711", "acme", None, (said("a"),), AT))
    await log.put([DeliveryRecord("d1", "zendesk/desk", AT, "evt-1", "", "", "spooled", "away", ("4711",))])
    assert await spool.settle(AT) == 0


async def test_what_another_process_brought_meanwhile_becomes_no_dead_letter(spool: Spool, engine: AsyncEngine) -> None:
    one = Spooled("1", "desk", "4711", "acme", None, (said("a"),), AT)
    await spool.put(one)
    assert await spool.done("1")
    assert not await spool.give_up("1", letter(one, "it is not taken"))
    assert await DeadLetterStore(engine).waiting() == 0


async def test_words_come_in_the_order_of_their_ticket_once_temporal_answers(spool: Spool) -> None:
    door = Door(shut=True)
    making = Spooler(spool, door, Clock())
    for i in range(12):
        await put(making, f"{i % 3}", f"{i}a", f"{i}b")
    await put(making, "", "ack", incident="incident/desk/9")
    assert not await making.drain()
    assert await spool.count() == 13
    assert all(one.tries == 0 for one in await spool.waiting(99)), "while Temporal is away no word is at fault"
    door.shut = False
    assert await making.drain()
    assert await spool.count() == 0
    assert await spool.oldest() is None
    for ticket in range(3):
        told = [key for where, key in door.took if where == f"desk/{ticket}"]
        assert told == [f"{i}{half}" for i in range(ticket, 12, 3) for half in "ab"]
    assert ("incident/desk/9", "ack") in door.took


async def test_while_temporal_is_away_the_rest_is_not_asked_for(spool: Spool) -> None:
    door = Door(shut=True)
    making = Spooler(spool, door, Clock())
    for i in range(30):
        await put(making, str(i), "a")
    assert not await making.drain()
    assert door.asked == spooler.AT_ONCE


async def test_two_processes_at_once_bring_every_word_and_lose_none(spool: Spool) -> None:
    door = Door()
    one, two = Spooler(spool, door, Clock()), Spooler(spool, door, Clock())
    for i in range(20):
        await put(one, f"{i % 5}", str(i))
    assert await asyncio.gather(one.drain(), two.drain()) == [True, True]
    assert {key for _, key in door.took} == {str(i) for i in range(20)}
    assert await spool.count() == 0
    for ticket in range(5):
        first = dict.fromkeys(key for where, key in door.took if where == f"desk/{ticket}")
        assert list(first) == [str(i) for i in range(ticket, 20, 5)], "a word's first coming keeps the order"


async def test_a_ticket_that_is_never_taken_keeps_back_no_other_and_ends_as_dead_letters(
    spool: Spool, engine: AsyncEngine
) -> None:
    clock, door = Clock(), Door(never={"desk/loop"})
    making, letters = Spooler(spool, door, clock), DeadLetterStore(engine)
    await making.put("desk", "loop", "acme", [said("a", "x" * 20_000) for _ in range(5)], "away")
    await put(making, "faulty", "f")
    for i in range(12):
        await put(making, str(i), "a")
    for _ in range(TRIES):
        assert not await making.drain()
    assert {where for where, _ in door.took} == {f"desk/{i}" for i in range(12)}
    assert [one.tries > TRIES for one in await spool.waiting(9)] == [True, True], (
        "Temporal may answer and take nothing for a while"
    )
    clock.at += PATIENCE
    assert await making.drain()
    assert await spool.count() == 0
    kept = {one.subject: one for one in await letters.list()}
    assert set(kept) == {"loop", "faulty"}
    assert kept["faulty"].why == f"Temporal did not take it in {TRIES + 2} tries: a fault of ours: ValueError"
    loop = await letters.get(kept["loop"].id)
    assert loop is not None
    assert loop.id.startswith("spool/desk/")
    assert (loop.source, loop.kind) == ("spool/desk", "customer_replied")
    assert len(loop.body) > LISTED == len(kept["loop"].body), "what nobody took is kept whole"
    again = held(loop)
    assert (again.source, again.ticket, again.customer, again.incident) == ("desk", "loop", "acme", None)
    assert again.words == tuple(said("a", "x" * 20_000) for _ in range(5))


async def test_a_word_is_given_up_after_twenty_tries_however_long_it_waits(spool: Spool, engine: AsyncEngine) -> None:
    clock = Clock()
    making = Spooler(spool, Door(never={"desk/loop"}), clock)
    await put(making, "loop", "a")
    clock.at += 2 * PATIENCE
    for _ in range(TRIES - 1):
        assert not await making.drain()
    assert await DeadLetterStore(engine).waiting() == 0
    await making.drain()
    assert await DeadLetterStore(engine).waiting() == 1
    assert await spool.count() == 0


async def test_records_that_are_down_are_the_senders_to_know_and_end_nothing() -> None:
    class Down:
        async def put(self, one: Spooled) -> None:
            raise OperationalError("INSERT", {}, Exception("gone"))

        async def waiting(self, limit: int) -> list[Spooled]:
            raise OperationalError("SELECT", {}, Exception("gone"))

    making = Spooler(Down(), Door(), Clock())  # type: ignore[arg-type]
    with pytest.raises(OperationalError):
        await put(making, "4711", "a")
    assert not await making.drain()


async def test_it_runs_by_itself_also_for_what_was_put_by_before_it(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooler, "BACKOFF", (0.001, 0.01))
    door = Door(shut=True)
    making = Spooler(spool, door, Clock())
    await put(making, "1", "a")
    running = asyncio.create_task(making.run())
    try:
        async with asyncio.timeout(30):
            while door.asked < 3:
                await asyncio.sleep(0.001)
            door.shut = False
            await door.taken.wait()
            door.taken.clear()
            await put(making, "2", "b")
            await door.taken.wait()
            door.taken.clear()
            await put(Spooler(spool, door, Clock()), "3", "c")
            await door.taken.wait()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert [key for _, key in door.took][:2] == ["a", "b"]
    assert ("desk/3", "c") in door.took


async def test_that_a_ticket_is_to_be_read_waits_like_a_word(spool: Spool) -> None:
    door = Door(shut=True)
    making = Spooler(spool, door, Clock())
    await put(making, "4711")
    assert not await making.drain()
    assert await spool.count() == 1
    door.shut = False
    assert await making.drain()
    assert (door.took, await spool.count()) == ([("read/desk/4711", "looked")], 0)


async def test_words_that_can_not_be_read_any_more_end_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of another version must not take the web intake down with it."""

    async def waiting(limit: int) -> list[Spooled]:
        Delivery.model_validate({})
        return []

    monkeypatch.setattr(spool, "waiting", waiting)
    assert not await Spooler(spool, Door(), Clock()).drain()
