"""Where every way of a person fails: the team's fallback member is told, once, in words that say so; only then the log."""

import asyncio
import io
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.ack_links import Links, read
from activities.courier import Address, Courier
from activities.message import ChannelUnavailable, Message
from activities.pagerduty import PagerDutySettings
from activities.policies import Policies
from activities.settings import CourierSettings, SmtpServer
from activities.slack_api import SlackSettings
from activities.stand_in import StandIn
from activities.steps import StepActivities
from records.bundles import BundleStore
from records.sent import SentStore
from records.shelf import Shelf
from records.threads import ThreadStore
from sla.customer import DEFAULT_CUSTOMER
from sla.roster import Outcome, Recipient
from tests.peers.pagerduty import KEY, pagerduty_server
from tests.peers.slack import TOKEN, slack_server
from tests.receivers import MailSink, log_lines, mail_sink, message
from tests.test_storm import MOST, NOON, Clock, later, notice
from tests.test_teller import asked, outcome, step
from tests.test_teller_account import speaks, suspends
from tests.test_teller_account import teller as account_teller
from worker.alarms import Alarms
from worker.teller import PATIENT_ATTEMPTS, LiveTeller

NOW = datetime(2031, 7, 12, 9, 0, tzinfo=UTC)
TEAM = """
name: default
members:
  dana: {name: Dana, always: true, channel: email, address: dana@support.example}
  gwen:
    name: Gwen
    always: true
    reach: [%s]
tiers: [{title: First line, members: [dana]}]
fallback: gwen
"""
MAIL = "{channel: email, address: gwen@support.example}"
PAGER = "{channel: pagerduty}"
SLACK = "{channel: slack, address: C0123ABCD}"
LINKS = Links("https://support.example", b"a secret of more than twenty-four bytes")


def policies(folder: Path, *ways: str, only: Mapping[str, Any] | None = None) -> Policies:
    """A team in which Gwen is the fallback, reached by these ways."""
    (folder / "teams").mkdir(exist_ok=True)
    (folder / "teams" / "default.yaml").write_text(TEAM % ", ".join(ways))
    return Policies(Shelf(folder), only=only)


def courier(
    folder: Path, engine: AsyncEngine | None, *ways: str, mail: MailSink | None = None, **channels: Any
) -> Courier:
    """A courier whose mail goes to the sink; without one, to a port at which nobody listens."""
    smtp = {"smtp": SmtpServer("127.0.0.1", mail.port if mail else 9), "mail_from": "support@tromzo.example"}
    settings = CourierSettings(state=folder, connect_seconds=1, total_seconds=2, **smtp | channels)
    sent, threads = (None, None) if engine is None else (SentStore(engine), ThreadStore(engine))
    stand_in = StandIn(policies(folder, *ways), LINKS)
    return Courier(settings, sent, io.StringIO(), threads=threads, stand_in=stand_in, now=lambda: NOW)


def to_dana(**more: Any) -> Message:
    """A page whose first way is an address that Slack does not know."""
    to = {"to": (Address(id="dana", name="Dana", address="C0GONE"),)}
    return message("slack", fallbacks=(("email", "dana@support.example"),), **to | more)


def said(got: Any) -> str:
    return str(got.get_body(("plain",)).get_content()).replace("\r\n", "\n")


async def test_slack_refuses_and_mail_is_down_so_the_fallback_is_told_once_and_the_receipt_says_so(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    with slack_server() as fresh:
        peer = fresh()
        by = courier(tmp_path, engine, SLACK, slack=SlackSettings(TOKEN, peer.base))
        with pytest.raises(ChannelUnavailable, match="mail server"):
            await by.bring(to_dana(), patient=True)
        assert peer.all() == [], "what may come back is waited for first"
        receipts = [await by.bring(to_dana(), patient=False)]
        restarted = courier(tmp_path, engine, SLACK, slack=SlackSettings(TOKEN, peer.base))
        receipts += [await restarted.bring(to_dana(), patient=patient) for patient in (True, False)]
        [told] = peer.all()
    assert [(receipt.via, receipt.repeated) for receipt in receipts] == [
        ("slack", False),
        ("slack", True),
        ("slack", True),
    ]
    for one in ("channel_not_found", "mail server", "on to gwen, the fallback; then posted to C0123ABCD (slack)"):
        assert one in receipts[0].detail
    assert told["text"].startswith("For Dana: 30 min left")
    shown = str(told["blocks"])
    assert "This was for Dana (dana), and none of their ways took it: " in shown
    assert "channel_not_found" in shown
    kept = await SentStore(engine).get(to_dana().key)
    assert kept is not None
    assert (kept.recipients, kept.channel, kept.via) == (("gwen",), "slack", "slack")
    assert not (tmp_path / "notices.jsonl").exists()


async def test_the_log_takes_what_the_fallback_cannot_be_told_either(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        receipt = await courier(tmp_path, None, MAIL, PAGER).bring(to_dana(), patient=False)
    assert receipt.via == "log"
    assert "on to gwen, the fallback; " in receipt.detail
    assert "pagerduty is not set up here" in receipt.detail
    [line] = log_lines(tmp_path)
    assert (line["to"][0]["id"], line["subject"]) == ("dana", to_dana().subject), "in its own words"
    [error] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert error.startswith("a notice of incident/desk/4711 goes to the log: ")


async def test_the_fallback_is_waited_for_as_anybody_is(tmp_path: Path) -> None:
    refused = message("slack", to=(Address(id="dana", name="Dana", address="C0GONE"),))
    with pytest.raises(ChannelUnavailable, match="mail server"):
        await courier(tmp_path, None, MAIL).bring(refused, patient=True)
    assert not (tmp_path / "notices.jsonl").exists()


async def test_what_a_customer_cannot_be_told_reaches_the_fallback_and_says_so(tmp_path: Path) -> None:
    """By a way that does not ring, though Gwen's pager comes first otherwise."""
    to = (Address(id="ann@acme.example", name="Ann", address="ann@acme.example"),)
    lost = message("phone", to=to, to_customer=True, subject="Your request 4711", text="Hello Ann,\n\nwe have it.")
    with mail_sink() as mail, pagerduty_server() as fresh:
        peer = fresh()
        by = courier(tmp_path, None, PAGER, MAIL, mail=mail, pagerduty=PagerDutySettings(peer.url, KEY))
        assert (await by.bring(lost, patient=True)).via == "email"
        assert peer.alerts == []
    [(envelope, got)] = mail.mails
    assert envelope.rcpt_tos == ["gwen@support.example"]
    assert got["Subject"] == "Ann could not be told: Your request 4711"
    assert said(got) == (
        "The customer could not be told what stands below. It was for Ann (ann@acme.example), and none of their ways took"
        " it: phone is not available in this version.\n\nHello Ann,\n\nwe have it.\n"
    )


async def test_ways_that_hang_leave_the_fallback_its_time(tmp_path: Path) -> None:
    """What all of a person's ways may take is used up before Gwen's turn comes, and she is told all the same."""
    begun = asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hangs, "127.0.0.1", 0)
    silent = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    with mail_sink() as mail:
        by = courier(tmp_path, None, MAIL, mail=mail, webhook_url=silent, webhook_secret=b"x" * 32, all_seconds=0.1)
        receipt = await by.bring(message("webhook", to=(Address(id="dana", name="Dana"),)), patient=False)
        assert (receipt.via, len(mail.mails)) == ("email", 1)
    assert begun.is_set()
    server.close()
    await server.wait_closed()


async def test_a_team_without_mail_is_not_told_of_each_customer_that_gets_none(tmp_path: Path) -> None:
    to = (Address(id="ann@acme.example", name="Ann", address="ann@acme.example"),)
    lost = message("email", to=to, to_customer=True, subject="Your request 4711", text="Hello Ann.")
    with pagerduty_server() as fresh:
        peer = fresh()
        by = courier(tmp_path, None, PAGER, smtp=None, pagerduty=PagerDutySettings(peer.url, KEY))
        assert (await by.bring(lost, patient=True)).via == "log"
        assert peer.alerts == []


@pytest.mark.parametrize(
    ("ways", "more"),
    [
        ((MAIL,), {"kind": "update"}),
        ((MAIL,), {"to": (Address(id="gwen", address="C0GONE"),)}),
        ((PAGER, "{channel: slack, address: U0GWEN}"), {"quiet": True}),
        (("{channel: email, address: dana@support.example}", "{channel: slack, address: C0GONE}"), {}),
        (("{channel: log}",), {}),
    ],
    ids=["update", "the fallback herself", "only ways that ring", "no way that was not tried", "the log"],
)
async def test_nobody_else_is_told(tmp_path: Path, ways: tuple[str, ...], more: dict[str, Any]) -> None:
    assert StandIn(policies(tmp_path, *ways)).of(to_dana(**more), "it failed", NOW) is None


async def test_a_quiet_notice_takes_the_quiet_ways_alone(tmp_path: Path) -> None:
    told = StandIn(policies(tmp_path, PAGER, SLACK, MAIL)).of(to_dana(quiet=True, not_before=NOW), "it failed", NOW)
    assert told is not None
    assert (told.channel, told.to[0].address) == ("slack", "C0123ABCD")
    assert told.fallbacks == (("email", "gwen@support.example"),)
    assert (told.quiet, told.not_before) == (True, None)


async def test_a_team_that_somebody_broke_keeps_nothing_from_the_log(tmp_path: Path) -> None:
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "default.yaml").write_text("name: [")
    assert StandIn(Policies(Shelf(tmp_path))).of(to_dana(), "it failed", NOW) is None


def test_links_and_commands_are_made_out_to_who_reads_them_now(tmp_path: Path) -> None:
    old, other = (LINKS.to("incident/desk/4711", who, NOW, NOW) for who in ("dana", "dana.b"))
    forged = f"{LINKS.base}/ack/abc.def"
    text = f"Take it: pactkeeper ack 4711 --by dana\n or: {old}.\n{forged}\n{other}\n--by dana.b"
    told = StandIn(policies(tmp_path, MAIL), LINKS).of(to_dana(text=text, links={"acknowledge": old}), "it failed", NOW)
    assert told is not None
    link = told.links["acknowledge"]
    assert read(LINKS.secret, link.rpartition("/")[2], NOW) == ("incident/desk/4711", "gwen")
    first, _, *lines = told.text.splitlines()
    assert first == "This was for Dana (dana), and none of their ways took it: it failed."
    assert lines == ["Take it: pactkeeper ack 4711 --by gwen", f" or: {link}.", forged, link, "--by dana.b"]


async def test_what_comes_too_thick_for_the_fallback_is_one_message_too_and_is_told_once(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    """The phone system is down, and every customer's notice comes to Gwen."""
    clock = Clock()
    with mail_sink() as mail:
        by = courier(tmp_path, engine, MAIL, mail=mail)
        to = later(by, engine, clock)
        lost = [notice(i, channel="phone", to_customer=True) for i in range(MOST + 3)]
        for one in [*lost, *lost]:
            assert not await to.takes(one), "it is a customer's"
            receipt = await by.bring(one, patient=True, later=to.takes)
        assert receipt.detail.endswith("on to gwen, the fallback, with others")
        assert len(mail.mails) == MOST
        kept = await SentStore(engine).get(lost[0].key)
        assert kept is not None
        assert (kept.channel, kept.via) == ("phone", "email")
        clock.to(NOON + timedelta(seconds=50))
        await to.settled()
    assert len(mail.mails) == MOST + 1
    text = said(mail.mails[-1][1])
    for i in range(MOST, MOST + 3):
        assert f"Dana could not be told: P3: 30 min left on t{i} (Acme)" in text


async def test_the_message_of_a_storm_reaches_the_fallback_where_its_reader_is_not_reached(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with mail_sink() as mail:
        mail.to_recipient = {"dana@support.example": "550 5.1.1 no such user"}
        by = courier(tmp_path, engine, MAIL, mail=mail)
        to = later(by, engine, clock)
        for i in range(MOST + 2):
            link = LINKS.to(f"incident/desk/t{i}", "dana", NOW, NOW)
            one = notice(i).model_copy(update={"links": {"acknowledge": link}})
            if not await to.takes(one):
                await by.bring(one, patient=True)
        clock.to(NOON + timedelta(seconds=50))
        await to.settled()
    *_, (envelope, got) = mail.mails
    assert (len(mail.mails), envelope.rcpt_tos) == (MOST + 1, ["gwen@support.example"])
    assert got["Subject"] == f"For Dana: P3: 30 min left on t{MOST} (Acme) (and 1 more)"
    tokens = [line.rpartition("/ack/")[2] for line in said(got).splitlines() if "/ack/" in line]
    assert [read(LINKS.secret, one, NOW) for one in tokens] == [
        (f"incident/desk/t{i}", "gwen") for i in (MOST, MOST + 1)
    ]


async def test_what_a_storm_puts_off_at_night_wakes_no_fallback(tmp_path: Path, engine: AsyncEngine) -> None:
    clock = Clock()
    with pagerduty_server() as fresh, mail_sink() as mail:
        peer = fresh()
        mail.to_recipient = {"dana@support.example": "550 5.1.1 no such user"}
        by = courier(tmp_path, engine, PAGER, mail=mail, pagerduty=PagerDutySettings(peer.url, KEY))
        for quiet in (True, False):
            to = later(by, engine, clock)
            first = 0 if quiet else 10
            for i in range(first, first + MOST + 2):
                await to.takes(notice(i, quiet=quiet))
            clock.to(clock.at + timedelta(minutes=1))
            await to.settled()
            assert len(peer.alerts) == (0 if quiet else 1)
    assert [line["kind"] for line in log_lines(tmp_path)] == ["several"]


async def test_what_an_account_says_to_one_whom_nothing_reaches_comes_to_the_fallback(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    dana, ben = Recipient("dana", "slack", "C0GONE", "Dana"), Recipient("ben@acme.example", "phone", None, "Ben")
    ann = Recipient("ann@acme.example", "log", "ann@acme.example", "Ann")
    with mail_sink() as mail:
        by = account_teller(tmp_path, engine, courier=courier(tmp_path, engine, MAIL, mail=mail))
        await suspends(by, 1, ann, dana)
        own = step("suspension", None, tells=("customer",), key="suspension/-/support/1", bundle="support/suspension/x")
        for attempt in (1, 2):
            await speaks(by, (own, (ben,)), waits_for=1, attempt=attempt)
        await by.sweep_bundles(timedelta(0))
    subjects = sorted(str(got["Subject"]) for _, got in mail.mails)
    assert subjects == ["Ben could not be told: Support for Acme is suspended", "For Dana: Support suspended: Acme"]


async def test_an_alert_that_the_fallback_got_is_resolved_with_its_incident(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    """Dana has no pager, so that without Gwen's nobody would follow what becomes of the incident."""
    known = policies(tmp_path, PAGER, only={"acme": DEFAULT_CUSTOMER})
    page, over = step(tells=("on_duty",)), step("update", None, clock=None, tells=(), clause=None)
    with pagerduty_server() as fresh:
        peer = fresh()
        by = LiveTeller(known, courier(tmp_path, engine, PAGER, pagerduty=PagerDutySettings(peer.url, KEY)))
        came = await StepActivities(known, None, by).perform(asked(page, asks_ledger=False), PATIENT_ATTEMPTS + 1)  # type: ignore[arg-type]
        assert [one.shows for one in came.outcomes] == [True]
        assert [alert.status for alert in peer.alerts] == ["triggered"]
        at = page.at + timedelta(minutes=5)
        await by.tell(asked(over, phase="resolved"), [(over.model_copy(update={"at": at}), Outcome(()))], 1)
        assert [alert.status for alert in peer.alerts] == ["resolved"]


async def test_an_account_that_speaks_at_night_wakes_nobody_before_the_opening(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    """All that Dana's incidents put by is quiet, and she has a pager alone; Farid's is said aloud."""
    clock, opens = Clock(), NOON + timedelta(hours=18)
    dana, farid = (Recipient(who, "pagerduty", None, who.title()) for who in ("dana", "farid"))
    quiet, loud = (
        step("suspension", None, tells=("assignee",), bundle="account/acme/support/suspension/x", quiet_until=until)
        for until in (opens, None)
    )
    with pagerduty_server() as fresh:
        peer = fresh()
        by = courier(tmp_path, engine, MAIL, pagerduty=PagerDutySettings(peer.url, KEY))
        teller = account_teller(tmp_path, engine, courier=by)
        teller._later = to = later(by, engine, clock)
        await suspends(teller, 1, dana, said=quiet)
        await suspends(teller, 2, dana, said=quiet)
        await suspends(teller, 3, farid, said=quiet)
        await suspends(teller, 4, farid, said=loud)
        own = step("suspension", None, tells=("customer",), key="suspension/-/support/1", bundle="support/suspension/x")
        for attempt in (1, 2):
            await speaks(teller, (own, ()), waits_for=4, attempt=attempt)
        assert [alert.dedup_key.rpartition("-")[2] for alert in peer.alerts] == ["farid"]
        clock.to(opens)
        await to.settled()
        assert [alert.dedup_key.rpartition("-")[2] for alert in peer.alerts] == ["farid", "dana"]
        assert await BundleStore(engine).forgotten(NOW + timedelta(days=9999)) == []


def test_quiet_is_nothing_that_a_part_of_before_knew() -> None:
    """What was put by under an earlier version is said as it would have been."""
    from activities.account_wording import Line

    kept = {"kind": "suspension", "at": "2031-07-09T19:30:00Z", "ticket": "1", "customer": "acme"}
    assert Line.model_validate(kept).quiet_until is None


@pytest.mark.parametrize("outcomes", [0, 1])
def test_a_step_that_told_nobody_shows_nowhere(outcomes: int) -> None:
    from sla.perform import done

    one, pager = step(), Recipient("gwen", "pagerduty", None, "Gwen")
    told = outcome(one, *[Recipient("dana", "email", "dana@x.example", "Dana")] * outcomes)
    assert done(one, told, pager).shows is bool(outcomes)
    assert not done(one, told).shows


async def test_an_alarm_reaches_the_fallback_where_nothing_reaches_who_is_on_duty(tmp_path: Path) -> None:
    with mail_sink() as mail:
        mail.to_recipient = {"dana@support.example": "550 5.1.1 no such user"}
        known = policies(tmp_path, PAGER, MAIL)
        await Alarms(known, courier(tmp_path, None, PAGER, MAIL, mail=mail)).tell("source/desk/1", "nothing was heard")
    [(envelope, got)] = mail.mails
    assert (envelope.rcpt_tos, got["Subject"]) == (["gwen@support.example"], "For Dana: nothing was heard")
