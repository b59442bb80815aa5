"""Put off: what comes too thick is one message at the minute's end, what is to wake nobody waits; each is told once."""

import asyncio
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.courier import Address, Courier
from activities.message import Message
from activities.pagerduty import PagerDutySettings
from activities.settings import CourierSettings, SmtpServer
from records import database
from records.bundles import BundleStore
from records.sent import SentStore
from records.threads import ThreadStore
from tests.peers.pagerduty import KEY, pagerduty_server
from tests.receivers import MailSink, log_lines, mail_sink, message
from worker.bundling import Depositor
from worker.storm import MOST, Later

NOON = datetime(2031, 7, 14, 12, 0, 10, tzinfo=UTC)
MINUTES_END = datetime(2031, 7, 14, 12, 1, tzinfo=UTC)


class Clock:
    """Time that stands until it is told to go on; who sleeps is woken when their moment is there."""

    def __init__(self) -> None:
        self.at = NOON
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.at + timedelta(seconds=seconds), woken))
        self._wake()
        await woken.wait()

    def to(self, at: datetime) -> None:
        self.at = at
        self._wake()

    def _wake(self) -> None:
        for at, woken in self._sleepers:
            if at <= self.at:
                woken.set()


def courier(folder: Path, engine: AsyncEngine, mail: MailSink) -> Courier:
    smtp = SmtpServer("127.0.0.1", mail.port)
    settings = CourierSettings(
        state=folder, smtp=smtp, mail_from="support@tromzo.example", connect_seconds=2, total_seconds=5
    )
    return Courier(settings, SentStore(engine), io.StringIO())


def later(by: Courier, engine: AsyncEngine, clock: Clock) -> Later:
    store = BundleStore(engine)
    return Later(store, Depositor(store, clock.now), by, now=clock.now, sleep=clock.sleep)


def notice(number: int, priority: str = "P3", channel: str = "email", **more: Any) -> Message:
    ticket = f"t{number}"
    link = f"https://support.example/ack/{number}"
    return message(
        channel, f"incident/desk/{ticket}/escalation/response/75%/1/dana", incident=f"incident/desk/{ticket}",
        subject=f"{priority}: 30 min left on {ticket} (Acme)", links={"acknowledge": link}, clause="X01",
        data={"ticket": ticket, "source": "desk", "priority": priority, "assignee": "Dana"}, **more,
    )  # fmt: skip


class Process:
    """One process that brings notices, with others beside it on the same records and at the same time of day."""

    def __init__(self, folder: Path, engine: AsyncEngine, mail: MailSink, clock: Clock) -> None:
        self.folder, self.engine, self.mail, self.clock = folder, engine, mail, clock
        self.by = courier(folder, engine, mail)
        self.to = later(self.by, engine, clock)

    async def brings(self, *messages: Message) -> None:
        for one in messages:
            if not await self.to.takes(one):
                await self.by.bring(one, patient=True)

    async def until(self, at: datetime) -> None:
        """Let it be that late, and what is due then go out."""
        self.clock.to(at)
        await self.to.settled()

    def another(self) -> "Process":
        return Process(self.folder, self.engine, self.mail, self.clock)

    def dies(self) -> None:
        """What it put off stays in the records alone."""
        for task in self.to._tasks.values():
            task.cancel()

    @property
    def said(self) -> list[str]:
        """The subjects of all that went out."""
        return [str(got["Subject"]) for _, got in self.mail.mails]

    def text(self, which: int = -1) -> str:
        """What one of the mails says, the last one's unless told."""
        got = self.mail.mails[which][1].get_body(("plain",))
        return str(got.get_content()).replace("\r\n", "\n")


@pytest.fixture
def process(tmp_path: Path, engine: AsyncEngine) -> Iterator[Process]:
    with mail_sink() as mail:
        yield Process(tmp_path, engine, mail, Clock())


async def test_what_is_beyond_five_in_a_minute_is_one_message_at_its_end_the_most_urgent_first(
    process: Process,
) -> None:
    await process.brings(*(notice(i) for i in range(9)), notice(9, "P1"))
    assert process.said == [f"P3: 30 min left on t{i} (Acme)" for i in range(MOST)]
    process.clock.to(NOON.replace(second=59))
    await asyncio.sleep(0)
    assert len(process.said) == MOST
    await process.until(MINUTES_END)
    assert process.said[MOST:] == ["P1: 30 min left on t9 (Acme) (and 4 more)"]
    text = process.text()
    places = [text.index(f"on t{i} (Acme)") for i in (9, 5, 6, 7, 8)]
    assert places == sorted(places)
    assert "on t4 (" not in text
    for i in (9, 5, 6, 7, 8):
        assert f"Take it: https://support.example/ack/{i}\n" in text
        assert f"Look:    pactkeeper status desk/t{i}\n" in text
    assert text.count("clause X01") == text.count("Has it:  Dana") == 5


async def test_the_next_minute_begins_anew_and_each_person_and_channel_has_its_own(process: Process) -> None:
    await process.brings(*(notice(i) for i in range(MOST)))
    erin = (Address(id="erin", address="erin@support.example"),)
    await process.brings(*(notice(10 + i, to=erin) for i in range(MOST)))
    process.clock.to(MINUTES_END)
    await process.brings(*(notice(20 + i) for i in range(MOST)))
    assert len(process.said) == 3 * MOST


@pytest.mark.parametrize("more", [{"channel": "log"}, {"to_customer": True}, {"kind": "update"}])
async def test_a_program_a_customer_and_an_update_are_never_put_off(process: Process, more: dict[str, Any]) -> None:
    assert [await process.to.takes(notice(i, **more)) for i in range(2 * MOST)] == [False] * 2 * MOST


async def test_a_step_that_is_told_again_is_not_told_twice(process: Process) -> None:
    """By a further attempt in this minute, in the next, in another process, and after its message has gone out."""
    all_of_them = [notice(i) for i in range(MOST + 2)]
    for _ in range(2):
        await process.brings(*all_of_them)
    process.clock.to(NOON + timedelta(seconds=49))
    other = process.another()
    await other.brings(*all_of_them)
    await process.until(MINUTES_END)
    await other.until(NOON + timedelta(minutes=5))
    await other.brings(*reversed(all_of_them))
    await other.to.settled()
    assert len(process.said) == MOST + 1


async def test_one_that_is_put_off_alone_goes_out_in_its_own_words_and_thread(process: Process) -> None:
    await process.brings(*(notice(i) for i in range(MOST + 1)))
    await process.until(MINUTES_END)
    assert process.said[-1] == f"P3: 30 min left on t{MOST} (Acme)"
    assert await SentStore(process.engine).get(notice(MOST).key) is not None


async def test_what_a_killed_process_left_is_brought_by_the_next_or_by_the_sweep(process: Process) -> None:
    await process.brings(*(notice(i) for i in range(MOST + 2)))
    process.dies()
    process.clock.to(NOON + timedelta(minutes=3))
    assert len(process.said) == MOST
    next_one = process.another()
    assert await next_one.to.release_due() == 1
    assert await next_one.to.release_due() == 0
    assert process.said[-1] == f"P3: 30 min left on t{MOST} (Acme) (and 1 more)"


async def test_a_process_that_starts_brings_what_was_left_with_its_first_notice(process: Process) -> None:
    await process.brings(*(notice(i) for i in range(MOST + 2)))
    process.dies()
    process.clock.to(NOON + timedelta(minutes=3))
    fresh = process.another()
    await fresh.brings(notice(50))
    await fresh.to.settled()
    assert sorted(process.said[MOST:]) == [
        "P3: 30 min left on t5 (Acme) (and 1 more)",
        "P3: 30 min left on t50 (Acme)",
    ]


async def test_what_is_to_wake_nobody_waits_for_the_opening(process: Process) -> None:
    opens = datetime(2031, 7, 15, 7, 0, tzinfo=UTC)
    waits = [
        notice(i, channel="slack", not_before=opens, quiet=True, fallbacks=(("email", "dana@x.example"),))
        for i in (1, 2)
    ]
    await process.brings(*waits, *waits)
    process.clock.to(opens - timedelta(seconds=1))
    await asyncio.sleep(0)
    assert not process.said
    await process.until(opens)
    assert not await process.to.takes(notice(3, channel="slack", not_before=opens)), "it is open by now"
    [(envelope, _)] = process.mail.mails
    assert envelope.rcpt_tos == ["dana@x.example"]
    assert "2 notices that fell due outside the hours" in process.text()


async def test_pagerduty_gets_each_at_the_opening_by_itself(tmp_path: Path, engine: AsyncEngine) -> None:
    """An alert is an incident's, and is acknowledged and resolved with it."""
    clock, opens = Clock(), datetime(2031, 7, 15, 7, 0, tzinfo=UTC)
    with pagerduty_server() as fresh:
        peer = fresh()
        settings = CourierSettings(state=tmp_path, pagerduty=PagerDutySettings(peer.url, KEY))
        by = Courier(settings, SentStore(engine), io.StringIO(), threads=ThreadStore(engine))
        to = later(by, engine, clock)
        own = (Address(id="dana"),)
        waits = [notice(i, channel="pagerduty", not_before=opens, quiet=True, to=own) for i in range(7)]
        for one in (*waits, *waits):
            assert await to.takes(one)
        assert not peer.alerts
        clock.to(opens)
        await to.settled()
    assert sorted(alert.dedup_key for alert in peer.alerts) == [f"incident/desk/t{i}" for i in range(7)]


async def test_an_accounts_message_is_listed_by_its_customer(process: Process) -> None:
    await process.brings(*(
        message("email", f"account/c{i}/x", incident=f"account/c{i}", data={"customer": f"c{i}"}) for i in range(7)
    ))  # fmt: skip
    await process.until(MINUTES_END)
    assert "pactkeeper standing c5" in process.text()
    assert "pactkeeper standing c6" in process.text()


async def test_a_channel_that_is_down_is_tried_again_and_then_the_log_takes_it(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with mail_sink() as mail:
        pass
    by = courier(tmp_path, engine, mail)
    to = later(by, engine, clock)
    for i in range(MOST + 2):
        await to.takes(notice(i))
    for _ in range(400):
        clock.to(clock.at + timedelta(seconds=10))
        await asyncio.sleep(0.01)
        if not to._tasks:
            break
    [line] = log_lines(tmp_path)
    assert line["kind"] == "several"
    assert "cannot be reached" in line["detail"]


async def test_a_database_that_is_down_puts_nothing_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = database.engine(f"sqlite:///{tmp_path / 'nowhere' / 'records.db'}")
    try:
        with mail_sink() as mail:
            to = later(courier(tmp_path, engine, mail), engine, Clock())
            assert [await to.takes(notice(i)) for i in range(MOST + 2)] == [False] * (MOST + 2)
    finally:
        await engine.dispose()
    assert {record.getMessage() for record in caplog.records} == {
        "a notice can't be put off, and goes out by itself (OperationalError)"
    }
