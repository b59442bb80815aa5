"""The way out, where several things meet: who is told what at night, what becomes of it once it is over, what is written back."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from activities import mail
from activities.courier import Address, Courier
from activities.message import ChannelRefused, ChannelUnavailable, Message
from activities.pagerduty import PagerDutySettings
from activities.policies import Policies
from activities.settings import CourierSettings, SmtpServer
from records import database
from records.bundles import BundleStore
from records.sent import SentStore
from records.shelf import Shelf
from records.threads import ThreadStore
from sla.customer import DEFAULT_CUSTOMER
from sla.entries import Entry, Notice, StandingTold, StepDone, entry, record
from sla.evaluate import evaluate
from sla.events import Acknowledged, AgentReplied, Closed, Delivery, Event, Opened, PriorityChanged, Resolved
from sla.ledger import Interval, Ledger
from sla.perform import begun
from sla.roster import Outcome, Recipient
from sla.steps import Step
from sla.ways import LIVE
from tests.cases import pinned
from tests.peers.pagerduty import KEY, pagerduty_server
from tests.receivers import log_lines, mail_sink, message
from tests.test_storm import Clock, later, notice
from tests.test_teller import POLICIES, asked, outcome, step
from tests.test_writing import writing
from worker.alarms import Alarms
from worker.build import Workers
from worker.letters import messages
from worker.storm import GRACE
from worker.teller import PATIENT_ATTEMPTS, LiveTeller

OPENS = datetime(2031, 7, 15, 7, 0, tzinfo=UTC)
NOON = datetime.fromisoformat("2031-07-08T12:00-07:00")


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A fresh database."""
    url = database.default_url(tmp_path)
    await asyncio.to_thread(database.upgrade, url)
    made = database.engine(url)
    yield made
    await made.dispose()


def test_what_is_told_aloud_keeps_its_own_address_beside_a_quiet_one() -> None:
    """Both go to dana by Slack: the quiet one into a channel, the page to them."""
    mild, page = step(label="75%", quiet_until=OPENS), step(label="90%")
    still, loud = (
        Recipient("dana", "slack", "C0TEAM", "Dana"),
        Recipient("dana", "slack", "U0DANA", "Dana", (("pagerduty", None),)),
    )
    told = messages(
        asked(mild, page), [(mild, outcome(mild, still)), (page, outcome(page, loud))], POLICIES, DEFAULT_CUSTOMER
    )
    assert [(one.to[0].address, one.quiet, one.fallbacks) for one in told] == [
        ("C0TEAM", True, ()), ("U0DANA", False, (("pagerduty", None),)),
    ]  # fmt: skip


def said(key: str, event: Event, minutes: int, received: int | None = None) -> Entry:
    at, came = NOON + timedelta(minutes=minutes), NOON + timedelta(minutes=minutes if received is None else received)
    return entry(Delivery(key=key, occurred_at=at, received_at=came, event=event))


def escalated(minutes: int, channel: str = "pagerduty") -> list[Entry]:
    """A rung of the ladder that was told."""
    at = NOON + timedelta(minutes=minutes)
    rung = Step(key=f"escalation/response/{minutes}/1", kind="escalation", at=at, clock="response", step="75%")
    told = StepDone(
        step_key=rung.key,
        notices=(Notice(at=at, kind="escalation", to=("dana",), channel=channel),),
        shows=channel in LIVE,
    )
    return [begun(rung), record(f"done:{rung.key}", at, told)]


@pytest.mark.parametrize(
    ("contract", "priority", "hour", "opens"),
    [("tromzo", "P1", 22, "2031-07-09T06:00-07:00"), ("tromzo", "P1", 13, None), ("reciprocity", "1", 22, None)],
)
def test_a_suspension_at_night_wakes_nobody_where_open_time_is_promised(
    contract: str, priority: str, hour: int, opens: str | None
) -> None:
    at = NOON.replace(hour=hour)
    ledger = Ledger(version=1, standing="suspended", suspended=(Interval(start=at),))
    log = [
        said("desk:1:opened", Opened(priority=priority, subject="x"), 0),
        record("standing:1", at, StandingTold(ledger=ledger)),
    ]
    [owed] = [one for one in evaluate(pinned(contract), log, at).owed if one.kind == "suspension"]
    assert owed.quiet_until == (opens and datetime.fromisoformat(opens))


def updates(log: list[Entry], minutes: int) -> list[Step]:
    view = evaluate(pinned("tromzo"), log, NOON + timedelta(minutes=minutes))
    return [one for one in view.owed if one.kind == "update"]


def done(log: list[Entry], owed: Step) -> list[Entry]:
    return [*log, begun(owed), record(f"done:{owed.key}", owed.at, StepDone(step_key=owed.key))]


OPENED = said("desk:1:opened", Opened(priority="P1", subject="x"), 0)


@pytest.mark.parametrize("minutes", [3, 5, 6, 7])
def test_an_end_that_lay_in_the_spool_is_shown_whenever_it_was_received(minutes: int) -> None:
    """Received before the page, before a word that came past it, or in the same moment: PagerDuty has to be told."""
    log = [OPENED, *escalated(5), said("desk:1:ack", Acknowledged(by="dana"), 6)]
    [first] = updates(log, 8)
    log = done(log, first)
    assert updates(log, 8) == []
    log.append(said("desk:1:zz:resolved", Resolved(by="dana"), minutes))
    [second] = updates(log, 8)
    assert second.at >= first.at, "an older update would be taken for what is known already"
    assert updates(done(log, second), 8) == []


@pytest.mark.parametrize(
    ("channel", "followed"), [("apprise", True), ("slack", True), ("email", False), ("log", False)]
)
def test_what_may_wait_for_the_morning_is_followed_too(channel: str, followed: bool) -> None:
    log = [OPENED, *escalated(5, channel), said("desk:1:resolved", Resolved(by="dana"), 6)]
    assert bool(updates(log, 8)) is followed


def test_an_update_is_no_older_than_a_page_that_is_still_on_its_way() -> None:
    """Else PagerDuty would take the page for the newer of the two, and go on paging."""
    on_its_way = escalated(7)[:1]
    [owed] = updates([OPENED, *escalated(5), *on_its_way, said("desk:1:resolved", Resolved(by="dana"), 6)], 8)
    assert owed.at == NOON + timedelta(minutes=7)


def test_each_turn_is_followed_once_however_many_came_at_one_moment() -> None:
    log = [OPENED, *escalated(5)]
    for number in range(12):
        log.append(said(f"desk:1:prio:{number:02}", PriorityChanged(to="P2" if number % 2 else "P3"), number, 6))
        [owed] = updates(log, 30)
        assert owed.key == f"update/-/-/{number + 1}"
        log = done(log, owed)
        assert updates(log, 30) == []


def test_an_update_says_what_turned_since_the_last() -> None:
    log = [
        OPENED,
        *escalated(5),
        said("desk:1:prio", PriorityChanged(to="P2"), 6),
        said("operator:1", Acknowledged(by="dana"), 7),
    ]
    [first] = updates(log, 8)
    assert first.facts["turns"].split("\n") == ["priority_changed desk:1:prio", "acknowledged operator:1"]
    log = [*done(log, first), said("operator:2", Closed(by="dana"), 9)]
    [second] = updates(log, 10)
    assert second.facts["turns"] == "closed operator:2"


def update(*turns: str) -> Step:
    return Step(key="update/-/-/1", kind="update", at=OPENS, of=turns[-1].split()[1], facts={"turns": "\n".join(turns)})


@pytest.mark.parametrize(
    ("turns", "assignee", "priority"),
    [
        (["acknowledged operator:1"], "114", None),
        (["priority_changed operator:1"], None, "urgent"),
        (["priority_changed operator:1", "assigned desk:4711:assigned:7"], None, "urgent"),
        (["resolved operator:1"], None, None),
        (["assigned desk:4711:assigned:7"], None, None),
    ],
)
def test_only_what_was_decided_here_is_written_over_the_helpdesks_word(
    turns: list[str], assignee: str | None, priority: str | None
) -> None:
    """Its own newer word may be on its way, and who takes a ticket here says nothing of how urgent it is."""
    made = writing((update(*turns), Outcome(())))
    assert made is not None
    assert (made.assignee, made.priority) == (assignee, priority)


async def test_what_is_over_before_the_opening_wakes_nobody(tmp_path: Path, engine: AsyncEngine) -> None:
    clock = Clock()
    with pagerduty_server() as fresh:
        peer = fresh()
        settings = CourierSettings(state=tmp_path, pagerduty=PagerDutySettings(peer.url, KEY))
        by = Courier(settings, SentStore(engine), io.StringIO(), threads=ThreadStore(engine))
        teller = LiveTeller(POLICIES, by, BundleStore(engine))
        teller._later = to = later(by, engine, clock)
        for number in (1, 2):
            assert await to.takes(
                notice(number, channel="pagerduty", not_before=OPENS, quiet=True, to=(Address(id="dana"),))
            )
        over = step("update", None, clock=None, tells=(), clause=None)
        for attempt in (1, 2):
            await teller.tell(
                asked(over, incident="incident/desk/t1", ticket="t1", phase="resolved"), [(over, Outcome(()))], attempt
            )
        clock.to(OPENS)
        await to.settled()
    assert [alert.dedup_key for alert in peer.alerts] == ["incident/desk/t2"]
    [line] = log_lines(tmp_path)
    assert (line["incident"], line["detail"]) == ("incident/desk/t1", "it was over before anybody was to be woken")


async def test_an_alert_is_resolved_though_pagerduty_was_away_for_longer(tmp_path: Path, engine: AsyncEngine) -> None:
    page, over = step(), step("update", None, clock=None, tells=(), clause=None, at=OPENS)
    with pagerduty_server() as fresh:
        peer = fresh()
        settings = CourierSettings(state=tmp_path, pagerduty=PagerDutySettings(peer.url, KEY))
        by = Courier(settings, SentStore(engine), io.StringIO(), threads=ThreadStore(engine))
        teller = LiveTeller(POLICIES, by)
        await teller.tell(asked(page), [(page, outcome(page, Recipient("gwen", "pagerduty", None, "Gwen")))], 1)
        peer.next = [(503, {})] * (PATIENT_ATTEMPTS + 1)
        for attempt in range(1, PATIENT_ATTEMPTS + 2):
            with pytest.raises(Exception, match="answered 503"):
                await teller.tell(asked(over, phase="resolved"), [(over, Outcome(()))], attempt)
        await teller.tell(asked(over, phase="resolved"), [(over, Outcome(()))], PATIENT_ATTEMPTS + 2)
    assert [alert.status for alert in peer.alerts] == ["resolved"]


@pytest.mark.parametrize("patient", [True, False])
async def test_slow_ways_one_after_the_other_do_not_keep_a_page_from_the_log(tmp_path: Path, patient: bool) -> None:
    """A step has a minute: a page that always takes longer would be begun for ever, and told to nobody."""

    class Slow(Courier):
        async def _sent_by(self, via: str, message: Message, now: datetime) -> str:
            await asyncio.sleep(60)
            return "never"

    web = {"webhook_url": "https://x.example", "webhook_secret": "whsec_x"}
    mails = {"smtp": SmtpServer("127.0.0.1", 1), "mail_from": "support@tromzo.example"}
    by = Slow(CourierSettings(state=tmp_path, all_seconds=0.05, **web, **mails), None, io.StringIO())  # type: ignore[arg-type]
    page = message("webhook", fallbacks=(("email", "dana@x.example"),))
    if patient:
        with pytest.raises(ChannelUnavailable, match=r"webhook was not done within 0\.05 s"):
            await asyncio.wait_for(by.bring(page, patient=True), 5)
        return
    receipt = await asyncio.wait_for(by.bring(page, patient=False), 5)
    assert receipt.via == "log"
    assert len(log_lines(tmp_path)) == 1


async def test_mail_servers_that_hang_take_no_thread_from_others() -> None:
    """Names are resolved, and the log is written, in the threads that all share; of these there are few."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hanging = CourierSettings(
            smtp=SmtpServer("127.0.0.1", port),
            mail_from="support@tromzo.example",
            connect_seconds=1.5,
            total_seconds=1.5,
        )
        mails = [
            asyncio.create_task(
                mail.send(hanging, message("email", to=(Address(id="ann", address="ann@x.example"),)), OPENS)
            )
            for _ in range(40)
        ]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(0.5):
            assert await asyncio.to_thread(lambda: "at once") == "at once"
        assert {type(error) for error in await asyncio.gather(*mails, return_exceptions=True)} == {ChannelUnavailable}


async def test_what_is_put_off_comes_at_its_time_though_the_telling_was_cut_short(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with pagerduty_server() as fresh:
        peer = fresh()
        settings = CourierSettings(state=tmp_path, pagerduty=PagerDutySettings(peer.url, KEY))
        by = Courier(settings, SentStore(engine), io.StringIO(), threads=ThreadStore(engine))
        to = later(by, engine, clock)
        waits = notice(1, channel="pagerduty", not_before=OPENS, quiet=True, to=(Address(id="dana"),))
        first = asyncio.create_task(to.takes(waits))
        while not to._depositor._waiting:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.sleep(0.2)
        assert await to.takes(waits), "it lies there"
        clock.to(OPENS)
        await to.settled()
    assert [alert.dedup_key for alert in peer.alerts] == ["incident/desk/t1"]


async def test_a_worker_that_starts_sees_to_what_another_put_off_before_it_has_anything_to_tell(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with pagerduty_server() as fresh:
        peer = fresh()
        settings = CourierSettings(state=tmp_path, pagerduty=PagerDutySettings(peer.url, KEY))
        by = Courier(settings, SentStore(engine), io.StringIO(), threads=ThreadStore(engine))
        gone = later(by, engine, clock)
        assert await gone.takes(notice(1, channel="pagerduty", not_before=OPENS, quiet=True, to=(Address(id="dana"),)))
        for task in gone._tasks.values():
            task.cancel()
        teller = LiveTeller(POLICIES, by, BundleStore(engine))
        teller._later = to = later(by, engine, clock)

        class Idle:
            async def run(self) -> None:
                return None

        await Workers(Idle(), Idle(), teller.resume).run()  # type: ignore[arg-type]
        clock.to(OPENS + GRACE)
        await to.settled()
    assert [alert.dedup_key for alert in peer.alerts] == ["incident/desk/t1"]


async def test_what_only_informs_reopens_no_resolved_alert(engine: AsyncEngine) -> None:
    from activities import pagerduty

    with pagerduty_server() as fresh:
        peer, threads = fresh(), ThreadStore(engine)

        async def send(kind: str, minute: int, **more: Any) -> str:
            said = message(
                "pagerduty", f"incident/desk/4711/{kind}", kind=kind, at=f"2031-07-11T23:{minute}:00Z", **more
            )
            return await pagerduty.send(PagerDutySettings(peer.url, KEY), said, "", threads, OPENS)

        await send("escalation", 30)
        await send("update", 40, data={"phase": "resolved"})
        with pytest.raises(ChannelRefused, match="only informs"):
            await send("withdrawal", 41)
        assert [alert.status for alert in peer.alerts] == ["resolved"]
        await send("escalation", 50)
    assert [alert.status for alert in peer.alerts] == ["resolved", "triggered"]


async def test_a_resolution_that_comes_late_closes_no_newer_alert(engine: AsyncEngine) -> None:
    from activities import pagerduty

    with pagerduty_server() as fresh:
        peer, threads = fresh(), ThreadStore(engine)

        async def send(kind: str, minute: int, **more: Any) -> str:
            said = message(
                "pagerduty", f"incident/desk/4711/{kind}", kind=kind, at=f"2031-07-11T23:{minute}:00Z", **more
            )
            return await pagerduty.send(PagerDutySettings(peer.url, KEY), said, "", threads, OPENS)

        await send("escalation", 30)
        peer.next = [(503, {})]
        with pytest.raises(ChannelUnavailable):
            await send("update", 40, data={"phase": "resolved"})
        await send("escalation", 50)
        assert "triggered again" in await send("update", 40, data={"phase": "resolved"})
        assert [alert.status for alert in peer.alerts] == ["triggered"]
        await send("update", 55, data={"phase": "resolved"})
    assert [alert.status for alert in peer.alerts] == ["resolved"]


async def test_who_acted_before_a_page_does_not_silence_it_by_the_way(tmp_path: Path, engine: AsyncEngine) -> None:
    """Dana acknowledged long ago; the lead is paged for a clock that nears its end, and then the priority changes."""
    page = step()
    with pagerduty_server() as fresh:
        peer = fresh()
        settings = CourierSettings(state=tmp_path, pagerduty=PagerDutySettings(peer.url, KEY))
        teller = LiveTeller(POLICIES, Courier(settings, None, io.StringIO(), threads=ThreadStore(engine)))
        lead = Recipient("gwen", "pagerduty", None, "Gwen")
        await teller.tell(asked(page), [(page, outcome(page, lead))], 1)

        async def turn(number: int, turns: str, acted: timedelta) -> str:
            key, at = f"update/-/-/{number}", page.at + timedelta(minutes=number)
            now = step("update", None, clock=None, tells=(), clause=None, key=key, at=at, facts={"turns": turns})
            stands = asked(now, phase="open", acknowledged="dana", acknowledged_at=page.at + acted)
            await teller.tell(stands, [(now, Outcome(()))], 1)
            return peer.alerts[0].status

        long_ago = timedelta(hours=-1)
        assert await turn(1, "priority_changed desk:1", long_ago) == "triggered"
        assert await turn(2, "acknowledged operator:1", long_ago) == "acknowledged"
        again = step(label="90%", at=page.at + timedelta(minutes=5))
        await teller.tell(asked(again), [(again, outcome(again, lead))], 1)
        peer.alerts[0].status = "triggered"
        assert await turn(6, "waiting_on_customer desk:1", timedelta(minutes=6)) == "acknowledged", (
            "an answer counts too"
        )


TEAM = """
name: default
members:
  dana:
    name: Dana
    always: true
    channel: pagerduty
    reach:
      - {channel: pagerduty}
      - {channel: email, address: dana@support.example}
tiers: [{title: First line, members: [dana]}]
fallback: dana
"""


async def test_an_alarm_finds_its_way_round_a_channel_that_is_not_there(tmp_path: Path) -> None:
    with mail_sink() as sink:
        settings = CourierSettings(
            state=tmp_path, smtp=SmtpServer("127.0.0.1", sink.port), mail_from="support@tromzo.example"
        )
        (tmp_path / "teams").mkdir()
        (tmp_path / "teams" / "default.yaml").write_text(TEAM)
        await Alarms(Policies(Shelf(tmp_path)), Courier(settings, None, io.StringIO())).tell(
            "source/desk/quiet/1", "nothing was heard"
        )
    [(envelope, _)] = sink.mails
    assert envelope.rcpt_tos == ["dana@support.example"]


def test_the_first_answer_of_an_agent_takes_the_ticket_and_is_shown_and_a_later_one_is_not() -> None:
    log = [OPENED, *escalated(5), said("desk:1:reply:1", AgentReplied(by="dana"), 6)]
    [owed] = updates(log, 7)
    log = [*done(log, owed), said("desk:1:reply:2", AgentReplied(by="dana"), 8)]
    assert updates(log, 9) == []
