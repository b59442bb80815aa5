"""The way out, where several things meet: who is told what at night, what becomes of it once it is over, what is written back."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.courier import Address, Courier
from activities.message import ChannelRefused
from activities.pagerduty import PagerDutySettings
from activities.policies import Policies
from activities.settings import CourierSettings, SmtpServer
from records import database
from records.bundles import BundleStore
from records.sent import SentStore
from records.shelf import Shelf
from records.threads import ThreadStore
from sla.customer import DEFAULT_CUSTOMER
from sla.evaluate import evaluate
from sla.events import (
    Acknowledged,
    Closed,
    Delivery,
    Entry,
    Event,
    Notice,
    Opened,
    PriorityChanged,
    Resolved,
    StepDone,
    entry,
    record,
)
from sla.perform import begun
from sla.roster import Outcome, Recipient
from sla.steps import Step
from tests.cases import pinned
from tests.peers.pagerduty import KEY, pagerduty_server
from tests.receivers import log_lines, mail_sink, message
from tests.test_storm import Clock, later, notice
from tests.test_teller import POLICIES, asked, outcome, step
from tests.test_writing import writing
from worker.alarms import Alarms
from worker.letters import messages
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
    told = StepDone(step_key=rung.key, notices=(Notice(at=at, kind="escalation", to=("dana",), channel=channel),))
    return [begun(rung), record(f"done:{rung.key}", at, told)]


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
    with mail_sink() as mail:
        settings = CourierSettings(
            state=tmp_path, smtp=SmtpServer("127.0.0.1", mail.port), mail_from="support@tromzo.example"
        )
        (tmp_path / "teams").mkdir()
        (tmp_path / "teams" / "default.yaml").write_text(TEAM)
        await Alarms(Policies(Shelf(tmp_path)), Courier(settings, None, io.StringIO())).tell(
            "source/desk/quiet/1", "nothing was heard"
        )
    [(envelope, _)] = mail.mails
    assert envelope.rcpt_tos == ["dana@support.example"]
