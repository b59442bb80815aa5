"""How a person is reached: by the way of the hour, by the next where that fails, aloud only within the hours of a promise."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.courier import Courier
from activities.message import Message
from activities.settings import CourierSettings, SmtpServer
from records import database
from records.sent import SentStore
from sla.check import Doubt
from sla.coverage import Coverage
from sla.entries import Notice, StepDone, entry, record
from sla.evaluate import evaluate
from sla.events import AgentReplied, Delivery, Opened
from sla.perform import begun
from sla.roster import Recipient, Roster, Team
from sla.staffing import team_doubts
from sla.steps import Step
from sla.ways import wakes
from tests.cases import pinned
from tests.receivers import SECRET, MailSink, WebSink, log_lines, mail_sink, message, web_sink
from tests.test_teller import asked, outcome, step
from tests.test_teller import teller as plain_teller

OFFICE = {"timezone": "Europe/Berlin", "hours": {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}}
DAY = datetime(2031, 7, 14, 9, 0, tzinfo=UTC)
NIGHT = datetime(2031, 7, 14, 23, 0, tzinfo=UTC)
PAGE = ("pagerduty", "R" * 32)


def team(**member: Any) -> Team:
    told = {
        "name": "day",
        "members": {"dana": {"name": "Dana", "always": True, **member}},
        "tiers": [{"title": "First line", "members": ["dana"]}],
        "fallback": "dana",
    }
    return Team.model_validate(told)


def dana(at: datetime, *, quiet: bool = False, **member: Any) -> tuple[tuple[str, str | None], ...]:
    """Dana's ways at a moment, the one that is taken first."""
    found = Roster.around(team(**member), at).recipient("dana", at, quiet=quiet)
    return ((found.channel, found.address), *found.fallbacks)


SLACK_BY_DAY = {"channel": "slack", "address": "U0DANA", "hours": OFFICE}
ALL_WAYS = {
    "channel": "email",
    "address": "dana@x.example",
    "reach": [SLACK_BY_DAY, {"channel": "pagerduty", "address": "R" * 32}],
}


def test_without_ways_the_channel_is_the_only_one() -> None:
    assert dana(DAY, channel="email", address="dana@x.example") == (("email", "dana@x.example"),)
    assert dana(DAY) == (("log", None),)


def test_the_first_way_whose_hours_are_open_is_taken_and_the_others_follow_in_their_order() -> None:
    assert dana(DAY, **ALL_WAYS) == (("slack", "U0DANA"), PAGE, ("email", "dana@x.example"))
    assert dana(NIGHT, **ALL_WAYS) == (PAGE, ("slack", "U0DANA"), ("email", "dana@x.example"))


def test_where_no_way_is_open_the_channel_is_taken() -> None:
    ways = dana(NIGHT, channel="email", address="dana@x.example", reach=[SLACK_BY_DAY])
    assert ways == (("email", "dana@x.example"), ("slack", "U0DANA"))


@pytest.mark.parametrize(
    ("local", "first"), [("08:59", "log"), ("09:00", "slack"), ("16:59", "slack"), ("17:00", "log")]
)
def test_hours_are_the_local_ones_and_half_open(local: str, first: str) -> None:
    at = datetime.fromisoformat(f"2031-07-14T{local}+02:00")
    assert dana(at, reach=[SLACK_BY_DAY])[0][0] == first


def test_what_is_to_wake_nobody_goes_by_a_way_that_does_not() -> None:
    assert dana(NIGHT, quiet=True, **ALL_WAYS) == (("email", "dana@x.example"),)
    assert dana(DAY, quiet=True, **ALL_WAYS) == (("email", "dana@x.example"),)


def test_a_log_that_nobody_chose_is_no_quiet_way() -> None:
    """It would be read by nobody; such a notice waits for the opening."""
    only_pages = [{"channel": "pagerduty", "address": "R" * 32}]
    assert dana(NIGHT, quiet=True, reach=only_pages) == (PAGE,)
    assert dana(NIGHT, quiet=True, reach=only_pages, channel="email", address="d@x.example")[0][0] == "email"


@pytest.mark.parametrize(("channel", "address", "does"), [("pagerduty", None, True), ("apprise", "tgram://x", True), ("slack", "U1", True),
                                                          ("slack", "D1", True), ("slack", "C1", False), ("slack", "G1", False),
                                                          ("email", "x", False), ("log", None, False), ("webhook", None, False)])  # fmt: skip
def test_what_rings(channel: str, address: str | None, does: bool) -> None:
    assert wakes(channel, address) is does


def test_a_step_out_of_hours_is_told_by_the_quiet_way_and_another_aloud() -> None:
    roster = Roster.around(team(**ALL_WAYS), NIGHT)
    for until, channel in ((None, "pagerduty"), (NIGHT + timedelta(hours=10), "email")):
        owed = step(at=NIGHT, quiet_until=until, tells=("on_duty",))
        [(notice, people)] = roster.carry_out(owed, None, (), None).notices
        assert (notice.channel, people[0].channel) == (channel, channel)


def escalations(contract: str, priority: str, heard: str, now: str) -> list[Step]:
    """What is owed by way of escalation of a ticket that was opened at noon and heard of then."""
    at = datetime.fromisoformat("2031-07-08T12:00-07:00")
    opening = Delivery(
        key="d1",
        occurred_at=at,
        received_at=datetime.fromisoformat(heard),
        event=Opened(priority=priority, subject="x"),
    )
    owed = evaluate(pinned(contract), [entry(opening)], datetime.fromisoformat(now)).owed
    return [one for one in owed if one.kind == "escalation"]


NIGHTLY = "2031-07-08T22:00-07:00"


def test_what_is_heard_at_night_of_a_promise_of_business_hours_wakes_nobody_before_the_opening() -> None:
    late = escalations("tromzo", "P1", NIGHTLY, NIGHTLY)
    opens = datetime.fromisoformat("2031-07-09T06:00-07:00")
    assert [one.step for one in late] == ["unacknowledged 50%", "75%", "90%", "100%", "miss + 1 business hour"]
    assert {one.quiet_until for one in late} == {opens}


def test_what_falls_due_as_it_closes_is_told_then_and_a_promise_of_all_hours_at_any() -> None:
    for until in ("2031-07-08T18:00-07:00", "2031-07-08T18:14-07:00"):
        assert {one.quiet_until for one in escalations("tromzo", "P1", until, until)} == {None}
    assert {one.quiet_until for one in escalations("reciprocity", "1", NIGHTLY, NIGHTLY)} == {None}


def test_what_is_taken_back_at_night_wakes_nobody_either() -> None:
    noon = datetime.fromisoformat("2031-07-08T12:00-07:00")
    page = noon + timedelta(hours=1)
    night = datetime.fromisoformat(NIGHTLY)
    rung = Step(
        key="escalation/response/unacknowledged_50%/1",
        kind="escalation",
        at=page,
        clock="response",
        step="unacknowledged 50%",
    )
    told = StepDone(step_key=rung.key, notices=(Notice(at=page, kind="escalation", to=("dana",)),))
    late = Delivery(key="d2", occurred_at=noon, received_at=night, event=AgentReplied(by="dana"))
    log = [
        entry(Delivery(key="d1", occurred_at=noon, received_at=noon, event=Opened(priority="P1", subject="x"))),
        begun(rung),
        record(f"done:{rung.key}", page, told),
        entry(late),
    ]
    [back] = [one for one in evaluate(pinned("tromzo"), log, night).owed if one.kind == "withdrawal"]
    assert back.quiet_until == datetime.fromisoformat("2031-07-09T06:00-07:00")


def test_a_way_without_an_address_is_doubted() -> None:
    made = team(reach=[{"channel": "apprise"}, {"channel": "pagerduty"}, {"channel": "slack", "address": "C1"}])
    [doubt] = [d for d in team_doubts(made, Coverage(made, DAY.date())) if "reach" in d.path]
    assert isinstance(doubt, Doubt)
    assert (
        doubt.sentence
        == "members.dana.reach.0 has the channel apprise and no address; write `address:`, or take it out"
    )


def test_somebody_whom_a_page_does_not_reach_at_night_is_doubted() -> None:
    for member, doubted in (
        ({"reach": [SLACK_BY_DAY]}, True),
        ({"reach": [SLACK_BY_DAY, {"channel": "pagerduty"}]}, False),
        ({"reach": [SLACK_BY_DAY], "channel": "email", "address": "d@x.example"}, False),
        ({}, False),
    ):
        made = team(**member)
        found = [
            d.sentence for d in team_doubts(made, Coverage(made, DAY.date())) if "through the log alone" in d.sentence
        ]
        assert bool(found) is doubted


def settings(state: Path, web: WebSink, mail: MailSink) -> CourierSettings:
    return CourierSettings(
        state=state, webhook_url=web.url, webhook_secret=SECRET, smtp=SmtpServer("127.0.0.1", mail.port),
        mail_from="support@tromzo.example", connect_seconds=1, total_seconds=2,
    )  # fmt: skip


def to_dana(*fallbacks: tuple[str, str | None], **more: Any) -> Message:
    return message("webhook", fallbacks=fallbacks, **more)


MAIL = ("email", "dana@support.example")


@pytest.mark.parametrize(("status", "patient"), [(410, True), (410, False), (503, False)])
async def test_where_a_way_fails_the_next_is_taken_and_the_receipt_says_so(
    tmp_path: Path, status: int, patient: bool
) -> None:
    with web_sink() as web, mail_sink() as mail:
        web.answers = [(status, {})]
        receipt = await Courier(settings(tmp_path, web, mail), None).bring(to_dana(MAIL), patient=patient)
    assert receipt.via == "email"
    assert f"answered {status}; then taken by 127.0.0.1" in receipt.detail
    assert len(mail.mails) == 1
    assert not (tmp_path / "notices.jsonl").exists()


async def test_a_way_that_may_come_back_is_waited_for_first(tmp_path: Path) -> None:
    one = step()
    to = Recipient("dana", "webhook", None, "Dana", (MAIL,))
    with web_sink() as web, mail_sink() as mail:
        by = plain_teller(tmp_path)
        by._courier = Courier(settings(tmp_path, web, mail), None)
        web.answers = [(503, {})] * 4
        for attempt in (1, 2, 3):
            with pytest.raises(ApplicationError):
                await by.tell(asked(one), [(one, outcome(one, to))], attempt)
            assert not mail.mails
        await by.tell(asked(one), [(one, outcome(one, to))], 4)
    assert len(mail.mails) == 1


async def test_the_log_takes_what_no_way_takes(tmp_path: Path) -> None:
    with web_sink() as web, mail_sink() as mail:
        web.answers = [(410, {})]
        ways = (("slack", "U0DANA"), ("pagerduty", None), ("email", "no address"))
        receipt = await Courier(settings(tmp_path, web, mail), None).bring(to_dana(*ways), patient=True)
    assert receipt.via == "log"
    for said in ("answered 410", "slack is not set up here", "pagerduty is not set up here", "no usable address"):
        assert said in receipt.detail
    [line] = log_lines(tmp_path)
    assert "U0DANA" not in str(line), "no address stands in the log"


async def test_a_notice_that_went_by_another_way_goes_by_none_again(tmp_path: Path) -> None:
    import asyncio

    url = database.default_url(tmp_path)
    await asyncio.to_thread(database.upgrade, url)
    engine = database.engine(url)
    try:
        with web_sink() as web, mail_sink() as mail:
            web.answers = [(410, {})]
            for _ in range(2):
                courier = Courier(settings(tmp_path, web, mail), SentStore(engine))
                receipt = await courier.bring(to_dana(MAIL), patient=True)
        assert (receipt.via, receipt.repeated) == ("email", True)
        assert (len(web.requests), len(mail.mails)) == (1, 1)
        kept = await SentStore(engine).get(to_dana().key)
        assert kept is not None
        assert (kept.channel, kept.via) == ("webhook", "email")
    finally:
        await engine.dispose()


async def test_an_update_is_never_told_as_news(tmp_path: Path) -> None:
    """A message that cannot be brought up to date stays as it is; nobody is told of that, and no log line made."""
    receipt = await Courier(CourierSettings(state=tmp_path), None).bring(message("slack", kind="update"), patient=True)
    assert "not brought up to date" in receipt.detail
    assert not (tmp_path / "notices.jsonl").exists()
