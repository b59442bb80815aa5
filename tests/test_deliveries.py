"""The log of deliveries: what is noted is kept, by whom it was sent is heard, and what came before is known again."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from records.deliveries import CARRIED_OUT, DeliveryRecord, DeliveryStore, Known
from records.sources import SourceState, SourceStore, quiet
from sla.source import Source
from starter import delivery_log
from starter.delivery_log import ALIKE, KEPT, DeliveryLog

AT = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
DESK = "zendesk/desk"
ONE = DeliveryRecord(
    id="a1", source=DESK, received_at=AT, delivery="evt-1", digest="d1", kind="ticket.created", outcome="accepted",
    detail="", tickets=("4711",), words=2, took_ms=12,
)  # fmt: skip
DOWN = OperationalError("SELECT 1", {}, Exception("no such host"))


def later(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


@pytest.fixture
def store(engine: AsyncEngine) -> DeliveryStore:
    return DeliveryStore(engine)


@pytest.fixture
def sources(engine: AsyncEngine) -> SourceStore:
    return SourceStore(engine)


async def test_what_is_put_is_read_back_the_newest_first_and_an_id_counts_once(store: DeliveryStore) -> None:
    many = [replace(ONE, id=f"{i:03}", received_at=later(i)) for i in range(120)]
    await store.put(many)
    await store.put([replace(many[0], detail="again"), *many[1:]])
    await store.put([])
    assert await store.recent(200) == many[::-1]
    assert await store.recent(2) == [many[119], many[118]]


async def test_the_log_is_asked_by_source_outcome_and_ticket(store: DeliveryStore) -> None:
    await store.put(
        [
            ONE,
            replace(ONE, id="a2", outcome="refused", tickets=()),
            replace(ONE, id="a3", source="mail/support", tickets=("471", 'x"4711"')),
            replace(ONE, id="a4", source="jira/my_desk", tickets=("OPS-1", "4711")),
        ]
    )

    async def ids(**asked: str) -> list[str]:
        return [one.id for one in await store.recent(**asked)]

    assert await ids(source="desk") == ["a1", "a2"]
    assert await ids(source="zendesk/desk") == ["a1", "a2"]
    assert await ids(source="my_desk") == ["a4"]
    assert await ids(source="esk") == []
    assert await ids(source="my%") == []
    assert await ids(outcome="refused") == ["a2"]
    assert await ids(ticket="4711") == ["a1", "a4"]
    assert await ids(ticket="ops-1") == []
    assert await ids(ticket="4711", source="jira/my_desk", outcome="accepted") == ["a4"]


async def test_what_anybody_can_send_is_kept_as_every_database_takes_it(store: DeliveryStore) -> None:
    odd = replace(ONE, kind="a\x00b", detail="\ud800" + "y" * 900, tickets=("\x00", "🙂"), words=-1, took_ms=10**12)
    await store.put([odd])
    (kept,) = await store.recent()
    assert (kept.kind, kept.detail, kept.tickets) == ("a\ufffdb", "?" + "y" * 499, ("\ufffd", "🙂"))
    assert (kept.words, kept.took_ms) == (0, 2**31 - 1)
    assert await store.recent(ticket="🙂") == [kept]


async def test_only_what_was_carried_out_is_known_again(store: DeliveryStore) -> None:
    await store.put(
        [
            replace(ONE, id=outcome, delivery=outcome, outcome=outcome, received_at=later(i))
            for i, outcome in enumerate((*CARRIED_OUT, "refused"))
        ]
    )
    nameless = replace(ONE, delivery="", digest="d2")
    await store.put(
        [
            replace(nameless, id="n1", received_at=later(10)),
            replace(nameless, id="n2", received_at=later(11), outcome="duplicate"),
            replace(nameless, id="n3", received_at=later(12), digest=""),
        ]
    )
    found = await store.known(100)
    assert found[0] == Known(DESK, "", "d2", later(10))
    assert [one.delivery for one in found[1:]] == list(CARRIED_OUT)[::-1]
    assert await store.known(1) == found[:1]


async def test_what_came_is_counted_and_forgotten_after_its_time(store: DeliveryStore) -> None:
    await store.put([replace(ONE, id=str(i), received_at=later(i)) for i in range(6)])
    await store.put([replace(ONE, id="r", received_at=later(3), outcome="refused")])
    assert await store.counts(later(2)) == {(DESK, "accepted"): 4, (DESK, "refused"): 1}
    assert await store.purge(later(4)) == 5
    assert [one.id for one in await store.recent()] == ["5", "4"]


async def test_a_source_that_is_heard_is_heard_last_at_its_last_time_and_quiet_no_more(sources: SourceStore) -> None:
    await sources.seen("desk", "zendesk", AT)
    assert await sources.get("desk") == SourceState("desk", "zendesk", AT)
    await sources.told_quiet("desk", later(1))
    await sources.seen("desk", "zendesk", later(2))
    assert await sources.get("desk") == SourceState("desk", "zendesk", AT, told_quiet_at=later(1))
    await sources.heard({("desk", "zendesk"): later(5), ("new", "jira"): later(6)})
    await sources.told_quiet("desk", later(7))
    await sources.heard({("desk", "zendesk"): later(4), ("new", "jira"): later(7)})
    await sources.heard({})
    assert await sources.all() == {
        "desk": SourceState("desk", "zendesk", AT, heard_at=later(5), told_quiet_at=later(7)),
        "new": SourceState("new", "jira", later(6), heard_at=later(7)),
    }
    await sources.heard({("desk", "zendesk"): later(8)})
    assert await sources.get("desk") == SourceState("desk", "zendesk", AT, heard_at=later(8))
    assert await sources.get("nobody") is None


async def test_how_far_a_source_was_read_stays_where_reading_it_fails(sources: SourceStore) -> None:
    await sources.read("desk", "zendesk", AT, later(1), "3 tickets had changed")
    await sources.read("desk", "zendesk", None, later(2), "the token is refused")
    assert await sources.get("desk") == SourceState(
        "desk", "zendesk", later(1), read_to=AT, read_at=later(2), read_how="the token is refused"
    )
    await sources.read("desk", "zendesk", later(3), later(3), "nothing new")
    found = await sources.get("desk")
    assert found is not None
    assert (found.read_to, found.since) == (later(3), later(1))


def test_a_source_is_quiet_after_its_hours_and_not_at_them() -> None:
    desk = Source(name="desk", kind="zendesk", quiet_hours=24)
    silent, fresh = Source(name="silent", kind="mail", quiet_hours=0), Source(name="fresh", kind="jira")
    states = {
        "desk": SourceState("desk", "zendesk", AT, heard_at=later(60)),
        "silent": SourceState("silent", "mail", AT),
        "gone": SourceState("gone", "mail", AT),
    }
    connected = {one.name: one for one in (desk, silent, fresh)}
    assert quiet(connected, states, later(25 * 60)) == []
    (said,) = quiet(connected, states, later(25 * 60 + 1))
    assert said == (
        "nothing was heard of zendesk/desk for 24 h, since 2031-07-07 18:00 UTC; it may be quiet for 24 h: "
        "look at its webhooks, then run `pactkeeper doctor desk`"
    )
    never = {"desk": replace(states["desk"], heard_at=None)}
    assert "for 48 h, since it was connected, since 2031-07-07 17:00 UTC" in quiet(connected, never, later(48 * 60))[0]


@dataclass
class Broken:
    """Both stores, over a database that can be taken away."""

    down: bool = True
    put_down: list[DeliveryRecord] = field(default_factory=list)
    heard_of: dict[tuple[str, str], datetime] = field(default_factory=dict)
    purged: list[datetime] = field(default_factory=list)
    before: Sequence[Known] = ()
    calls: int = 0
    loads: int = 0

    async def put(self, records: Sequence[DeliveryRecord]) -> None:
        self._try()
        self.put_down += records

    async def heard(self, times: dict[tuple[str, str], datetime]) -> None:
        self._try()
        self.heard_of |= times

    async def known(self, limit: int) -> Sequence[Known]:
        self._try()
        self.loads += 1
        return self.before

    async def purge(self, before: datetime) -> int:
        self._try()
        self.purged.append(before)
        return 0

    def _try(self) -> None:
        self.calls += 1
        if self.down:
            raise DOWN


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> datetime:
        return self.at


def log_on(broken: Broken, clock: Clock | None = None) -> DeliveryLog:
    return DeliveryLog(broken, broken, clock or Clock())  # type: ignore[arg-type]


def test_a_delivery_is_known_by_its_id_whatever_its_signature_and_a_changed_body_is_told() -> None:
    log = log_on(Broken())
    assert log.known(DESK, "evt-1", "d1") == "new"
    log.note(ONE)
    assert log.known(DESK, "evt-1", "d1") == "duplicate"
    assert log.known(DESK, "evt-1", "d2") == "other"
    assert log.known("zendesk/other", "evt-1", "d1") == "new"
    log.note(replace(ONE, id="a2", digest="d2", outcome="refused"))
    assert log.known(DESK, "evt-1", "d2") == "other"
    log.forget(DESK, "evt-1")
    assert log.known(DESK, "evt-1", "d1") == "new"


def test_what_was_put_off_is_new_when_it_comes_again() -> None:
    log = log_on(Broken())
    log.note(replace(ONE, outcome="refused", detail="503: Temporal does not answer"))
    assert log.known(DESK, "evt-1", "d1") == "new"


def test_a_body_without_an_id_is_a_repetition_for_ten_minutes_from_the_first() -> None:
    clock = Clock()
    log, nameless = log_on(Broken(), clock), replace(ONE, delivery="")
    log.note(nameless)
    for minutes in (5, 10):
        clock.at = later(minutes)
        assert log.known(DESK, "", "d1") == "duplicate"
        log.note(replace(nameless, outcome="duplicate", received_at=clock.at))
    clock.at = AT + ALIKE + timedelta(microseconds=1)
    assert log.known(DESK, "", "d1") == "new"
    log.note(replace(nameless, received_at=clock.at))
    clock.at += ALIKE
    assert log.known(DESK, "", "d1") == "duplicate"
    assert log.known(DESK, "", "d2") == "new"


def test_what_is_remembered_is_bounded_and_the_least_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_log, "REMEMBERED", 3)
    log = log_on(Broken())
    for id in ("1", "2", "3", "1", "4"):
        log.note(replace(ONE, delivery=id))
    assert [log.known(DESK, id, "d1") for id in ("1", "2", "3", "4")] == ["duplicate", "new", "duplicate", "duplicate"]


async def test_after_a_start_what_came_before_it_is_known(store: DeliveryStore, sources: SourceStore) -> None:
    before = DeliveryLog(store, sources, Clock())
    before.note(ONE)
    before.note(replace(ONE, id="a2", delivery="", digest="d2"))
    before.note(replace(ONE, id="a3", delivery="evt-9", outcome="refused"))
    assert await before.flush()
    after = DeliveryLog(store, sources, Clock())
    after.note(replace(ONE, id="a4", delivery="evt-2"))
    await after.load()
    asked = [("evt-1", "d1"), ("evt-1", "x"), ("", "d2"), ("evt-9", "d1"), ("evt-2", "d1")]
    assert [after.known(DESK, *one) for one in asked] == ["duplicate", "other", "duplicate", "new", "duplicate"]


async def test_of_what_came_before_a_start_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_log, "REMEMBERED", 3)
    before = [Known(DESK, id, "d1", later(-i)) for i, id in enumerate(("newest", "middle", "oldest"))]
    log = log_on(Broken(down=False, before=before))
    await log.load()
    log.note(ONE)
    asked = ("newest", "middle", "oldest", "evt-1")
    assert [log.known(DESK, id, "d1") for id in asked] == ["duplicate", "duplicate", "new", "duplicate"]


async def test_what_is_noted_is_kept_and_heard_of_but_what_is_refused_is_nobodys_voice(
    store: DeliveryStore, sources: SourceStore
) -> None:
    log = DeliveryLog(store, sources, Clock())
    log.note(replace(ONE, id="a2", received_at=later(2)))
    log.note(ONE)
    log.note(replace(ONE, id="a3", source="mail/support", outcome="refused"))
    log.note(replace(ONE, id="a4", source="generic/acme"))
    assert await log.flush()
    assert [one.id for one in await store.recent()] == ["a2", "a1", "a3", "a4"]
    assert {name: state.heard_at for name, state in (await sources.all()).items()} == {"desk": later(2)}
    log.note(ONE)
    assert await log.flush(), "the same record again is no fault"
    assert len(await store.recent()) == 4


async def test_a_database_that_is_down_loses_nothing_and_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken()
    log = log_on(broken)
    for i in range(1200):
        log.note(replace(ONE, id=str(i)))
        if i % 400 == 0:
            assert not await log.flush()
    broken.down = False
    assert await log.flush()
    assert [one.id for one in broken.put_down] == [str(i) for i in range(1200)]
    said = [(record.levelno, record.message) for record in caplog.records]
    assert said == [
        (logging.ERROR, "the log of deliveries can't be kept (OperationalError); it is held until it can"),
        (logging.WARNING, "the log of deliveries is kept again"),
    ]


async def test_of_too_many_that_wait_the_newest_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_log, "WAITING", 5)
    broken = Broken()
    log = log_on(broken)
    for i in range(9):
        log.note(replace(ONE, id=str(i)))
        assert not await log.flush()
    broken.down = False
    await log.flush()
    assert [one.id for one in broken.put_down] == ["4", "5", "6", "7", "8"]


async def test_it_keeps_by_itself_loads_once_and_purges_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_log, "EVERY", 0)
    monkeypatch.setattr(delivery_log, "PATIENCE", 0.001)
    clock, broken = Clock(), Broken(before=[Known(DESK, "old", "d", AT)])
    log = log_on(broken, clock)
    log.note(ONE)
    running = asyncio.create_task(log.run())
    try:
        async with asyncio.timeout(10):
            await _turns(broken, 3)
            assert broken.put_down == []
            broken.down = False
            while not broken.purged:
                await asyncio.sleep(0)
            assert broken.put_down == [ONE]
            assert log.known(DESK, "old", "d") == "duplicate"
            assert broken.loads == 1
            clock.at += timedelta(minutes=59)
            await _noted(log, broken, "b")
            assert broken.purged == [AT - KEPT]
            clock.at += timedelta(minutes=1)
            await _noted(log, broken, "c")
            while len(broken.purged) < 2:
                await asyncio.sleep(0)
    finally:
        log.note(replace(ONE, id="last"))
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert broken.loads == 1
    assert broken.put_down[-1].id == "last", "what came at the very end is kept, too"


async def _turns(broken: Broken, many: int) -> None:
    goal = broken.calls + many
    while broken.calls < goal:
        await asyncio.sleep(0)


async def _noted(log: DeliveryLog, broken: Broken, id: str) -> None:
    log.note(replace(ONE, id=id))
    while broken.put_down[-1].id != id:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_strangers_do_not_fill_the_records_and_are_counted_all_the_same(
    store: DeliveryStore, sources: SourceStore, caplog: pytest.LogCaptureFixture
) -> None:
    log = DeliveryLog(store, sources)
    for i in range(500):
        log.note(replace(ONE, id=f"x{i}", outcome="refused", detail="401: the delivery is not signed"))
    log.note(replace(ONE, id="known", outcome="refused", detail="409: another body came under this id before"))
    log.note(replace(ONE, id="next", outcome="refused", detail="401: not signed", received_at=later(1)))
    assert await log.flush()
    kept = [one.id for one in await store.recent(1000)]
    assert (len(kept), "known" in kept, "next" in kept) == (delivery_log.STRANGERS + 2, True, True)
    said = [record.getMessage() for record in caplog.records if "nobody signed" in record.getMessage()]
    assert said == [f"{500 - delivery_log.STRANGERS} requests that nobody signed are left out of the log of deliveries"]
