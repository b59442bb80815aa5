"""Put off: what comes too thick is one message at the minute's end, what is to wake nobody waits; each is told once."""

import asyncio
import io
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


async def bring(by: Courier, to: Later, *messages: Message) -> None:
    for one in messages:
        if not await to.takes(one):
            await by.bring(one, patient=True)


def said(mail: MailSink) -> list[str]:
    return [str(got["Subject"]) for _, got in mail.mails]


async def test_what_is_beyond_five_in_a_minute_is_one_message_at_its_end_the_most_urgent_first(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with mail_sink() as mail:
        by = courier(tmp_path, engine, mail)
        to = later(by, engine, clock)
        await bring(by, to, *(notice(i) for i in range(9)), notice(9, "P1"))
        assert said(mail) == [f"P3: 30 min left on t{i} (Acme)" for i in range(MOST)]
        clock.to(NOON.replace(second=59))
        await asyncio.sleep(0)
        assert len(mail.mails) == MOST
        clock.to(NOON + timedelta(seconds=50))
        await to.settled()
    assert len(mail.mails) == MOST + 1
    got = mail.mails[-1][1]
    assert got["Subject"] == "P1: 30 min left on t9 (Acme) (and 4 more)"
    text = got.get_body(("plain",)).get_content().replace("\r\n", "\n")
    places = [text.index(f"on t{i} (Acme)") for i in (9, 5, 6, 7, 8)]
    assert places == sorted(places)
    assert "on t4 (" not in text
    for i in (9, 5, 6, 7, 8):
        assert f"Take it: https://support.example/ack/{i}\n" in text
        assert f"Look:    pactkeeper status desk/t{i}\n" in text
    assert text.count("clause X01") == text.count("Has it:  Dana") == 5


async def test_the_next_minute_begins_anew_and_each_person_and_channel_has_its_own(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with mail_sink() as mail:
        by = courier(tmp_path, engine, mail)
        to = later(by, engine, clock)
        await bring(by, to, *(notice(i) for i in range(MOST)))
        erin = (Address(id="erin", address="erin@support.example"),)
        await bring(by, to, *(notice(10 + i, to=erin) for i in range(MOST)))
        clock.to(NOON + timedelta(seconds=50))
        await bring(by, to, *(notice(20 + i) for i in range(MOST)))
    assert len(mail.mails) == 3 * MOST


@pytest.mark.parametrize("more", [{"channel": "log"}, {"to_customer": True}, {"kind": "update"}])
async def test_a_program_a_customer_and_an_update_are_never_put_off(
    tmp_path: Path, engine: AsyncEngine, more: dict[str, Any]
) -> None:
    with mail_sink() as mail:
        to = later(courier(tmp_path, engine, mail), engine, Clock())
        assert [await to.takes(notice(i, **more)) for i in range(2 * MOST)] == [False] * 2 * MOST


async def test_a_step_that_is_told_again_is_not_told_twice(tmp_path: Path, engine: AsyncEngine) -> None:
    """By a further attempt in this minute, in the next, in another process, and after its message has gone out."""
    clock, all_of_them = Clock(), [notice(i) for i in range(MOST + 2)]
    with mail_sink() as mail:
        by = courier(tmp_path, engine, mail)
        to = later(by, engine, clock)
        for _ in range(2):
            await bring(by, to, *all_of_them)
        clock.to(NOON + timedelta(seconds=49))
        other = courier(tmp_path, engine, mail)
        fresh = later(other, engine, clock)
        await bring(other, fresh, *all_of_them)
        clock.to(NOON + timedelta(seconds=50))
        await to.settled()
        clock.to(NOON + timedelta(minutes=5))
        await fresh.settled()
        await bring(other, fresh, *reversed(all_of_them))
        await fresh.settled()
    assert len(mail.mails) == MOST + 1


async def test_one_that_is_put_off_alone_goes_out_in_its_own_words_and_thread(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with mail_sink() as mail:
        by = courier(tmp_path, engine, mail)
        to = later(by, engine, clock)
        await bring(by, to, *(notice(i) for i in range(MOST + 1)))
        clock.to(NOON + timedelta(seconds=50))
        await to.settled()
    assert said(mail)[-1] == f"P3: 30 min left on t{MOST} (Acme)"
    assert await SentStore(engine).get(notice(MOST).key) is not None


async def test_what_a_killed_process_left_is_brought_by_the_next_or_by_the_sweep(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with mail_sink() as mail:
        by = courier(tmp_path, engine, mail)
        killed = later(by, engine, clock)
        await bring(by, killed, *(notice(i) for i in range(MOST + 2)))
        for task in killed._tasks.values():
            task.cancel()
        clock.to(NOON + timedelta(minutes=3))
        assert len(mail.mails) == MOST
        next_one = later(by, engine, clock)
        assert await next_one.release_due() == 1
        assert await next_one.release_due() == 0
    assert said(mail)[-1] == f"P3: 30 min left on t{MOST} (Acme) (and 1 more)"


async def test_a_process_that_starts_brings_what_was_left_with_its_first_notice(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with mail_sink() as mail:
        by = courier(tmp_path, engine, mail)
        killed = later(by, engine, clock)
        await bring(by, killed, *(notice(i) for i in range(MOST + 2)))
        for task in killed._tasks.values():
            task.cancel()
        clock.to(NOON + timedelta(minutes=3))
        fresh = later(by, engine, clock)
        await bring(by, fresh, notice(50))
        await fresh.settled()
    assert sorted(said(mail)[MOST:]) == ["P3: 30 min left on t5 (Acme) (and 1 more)", "P3: 30 min left on t50 (Acme)"]


async def test_what_is_to_wake_nobody_waits_for_the_opening(tmp_path: Path, engine: AsyncEngine) -> None:
    clock = Clock()
    opens = datetime(2031, 7, 15, 7, 0, tzinfo=UTC)
    waits = [
        notice(i, channel="slack", not_before=opens, quiet=True, fallbacks=(("email", "dana@x.example"),))
        for i in (1, 2)
    ]
    with mail_sink() as mail:
        by = courier(tmp_path, engine, mail)
        to = later(by, engine, clock)
        await bring(by, to, *waits, *waits)
        clock.to(opens - timedelta(seconds=1))
        await asyncio.sleep(0)
        assert not mail.mails
        clock.to(opens)
        await to.settled()
        assert not await to.takes(notice(3, channel="slack", not_before=opens)), "it is open by now"
    [(envelope, got)] = mail.mails
    assert envelope.rcpt_tos == ["dana@x.example"]
    assert "2 notices that fell due outside the hours" in got.get_body(("plain",)).get_content()


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
        await bring(by, to, *waits, *waits)
        assert not peer.alerts
        clock.to(opens)
        await to.settled()
    assert sorted(alert.dedup_key for alert in peer.alerts) == [f"incident/desk/t{i}" for i in range(7)]


async def test_an_accounts_message_is_listed_by_its_customer(tmp_path: Path, engine: AsyncEngine) -> None:
    clock = Clock()
    with mail_sink() as mail:
        by = courier(tmp_path, engine, mail)
        to = later(by, engine, clock)
        said = [
            message("email", f"account/c{i}/x", incident=f"account/c{i}", data={"customer": f"c{i}"}) for i in range(7)
        ]
        await bring(by, to, *said)
        clock.to(NOON + timedelta(seconds=50))
        await to.settled()
    text = mail.mails[-1][1].get_body(("plain",)).get_content()
    assert "pactkeeper standing c5" in text
    assert "pactkeeper standing c6" in text


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
