"""What `doctor` finds of the world outside: APIs, clocks, channels; and that a check which falls over hides no other."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable
from activities.settings import CourierSettings, SmtpServer
from activities.slack_api import SlackSettings
from sla.source import Source
from starter import doctor_channels, doctor_sources
from starter.doctor_clock import compared
from starter.doctor_here import templates
from starter.findings import Finding, tried
from starter.home import Home
from starter.hook_settings import SourceSecrets
from starter.kept import prepare_records
from tests.receivers import mail_sink, only, web_sink
from tests.terminal import ROOT


class Desk:
    """A helpdesk's client that answers as it is told."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer

    async def check(self) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_assignees_that_nobody_could_be_are_told() -> None:
    source = Source(name="support", kind="jira", url="https://acme.example", writes=("notes", "assignee"))
    (line,) = doctor_sources.unnamed(source)
    assert (line.what, line.state, "docs/sources/jira.md" in line.do) == ("agents", "warning", True)
    assert doctor_sources.unnamed(source.model_copy(update={"agents": {"1": "dana"}})) == []
    mute = source.model_copy(update={"agents": {"1": "dana"}, "writes": ("priority",)})
    assert [one.what for one in doctor_sources.unnamed(mute)] == ["writes"]
    assert doctor_sources.unnamed(mute.model_copy(update={"priorities": {"1": "P1"}})) == []
    (line,) = doctor_sources.unnamed(Source(name="inbox", kind="mail"))
    assert "your own people too" in line.says
    assert doctor_sources.unnamed(source.model_copy(update={"writes": ("notes",)})) == []


async def test_a_customer_that_is_not_there_is_told(tmp_path: Path) -> None:
    source = Source(name="support", kind="mail", customer="acmee", domains={"acme.example": "acme"})
    assert await doctor_sources.customers(Home(tmp_path), source) == []
    await prepare_records(Home(tmp_path))
    (line,) = await doctor_sources.customers(Home(tmp_path), source)
    assert (line.state, line.says) == ("warning", "its file names acmee, and there is no such customer")


@pytest.mark.parametrize(
    ("answer", "state", "do"),
    [
        ("bot@acme.example may read and write", "ok", ""),
        (
            HelpdeskRefused("Jira at https://acme.example answered 401", 401),
            "failure",
            "check user, API token and rights",
        ),
        (
            HelpdeskUnavailable("Jira at https://acme.example did not answer within 20 s"),
            "failure",
            "can it be reached",
        ),
    ],
)
async def test_the_api_is_asked_whether_it_lets_us_in(
    monkeypatch: pytest.MonkeyPatch, answer: str | Exception, state: str, do: str
) -> None:
    asked: list[Account] = []
    monkeypatch.setattr(doctor_sources, "helpdesk", lambda kind, account: asked.append(account) or Desk(answer))
    source = Source(name="support", kind="jira", url="http://127.0.0.1:1/")
    (line,) = await doctor_sources.api(source, SourceSecrets(user="bot", token="t0ken"))
    assert (line.state, line.says) == (state, str(answer))
    assert do in line.do
    assert [(one.url, one.user, one.token) for one in asked] == [("http://127.0.0.1:1", "bot", "t0ken")]


async def test_an_api_without_its_token_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(name="support", kind="jira", url="http://127.0.0.1:1")
    (line,) = await doctor_sources.api(source, SourceSecrets(user="bot"))
    assert (line.state, line.says) == ("failure", "its API token is missing")
    assert await doctor_sources.api(Source(name="box", kind="mail"), SourceSecrets()) == []
    (line,) = await doctor_sources.api(Source(name="thin", kind="escalated-django"), SourceSecrets())
    assert (line.state, "nothing is heard" in line.says) == ("failure", True)


async def test_a_helpdesks_clock_is_read_from_what_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_sources, "helpdesk", lambda kind, account: Desk("fine"))
    with web_sink() as sink:
        url = sink.url.partition("/hook")[0]
        found = await doctor_sources.api(Source(name="x", kind="jira", url=url), SourceSecrets(user="b", token="t"))
    assert [(one.what, one.state) for one in found] == [("API", "ok"), ("clock", "ok")]


@pytest.mark.parametrize(
    ("ahead", "within", "state"),
    [(4.9, 0, "ok"), (-4.9, 0, "ok"), (5.9, 1, "ok"), (6.1, 1, "warning"), (-60, 0, "warning"), (61, 0, "failure"), (-9e4, 2, "failure")],
)  # fmt: skip
def test_clocks_that_differ_are_told_of_long_before_signatures_fail(ahead: float, within: float, state: str) -> None:
    line = compared("x", "the other", timedelta(seconds=ahead), timedelta(seconds=within))
    assert line.state == state
    assert ("ahead of" if ahead > 0 else "behind") in line.says or state == "ok"
    assert bool(line.do) == (state != "ok")


async def channels(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> dict[str, Finding]:
    given = replace(CourierSettings(), **settings)
    monkeypatch.setattr(CourierSettings, "from_env", lambda environ: given)
    return {one.what: one for one in await doctor_channels.channels(Home(Path("var")))}


async def test_the_mail_server_is_logged_in_to_and_gets_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_sink(authenticator=only(b"bot", b"right"), auth_require_tls=False) as sink:
        server = SmtpServer("127.0.0.1", sink.port, "bot", "right")
        told = (await channels(monkeypatch, smtp=server, mail_from="bot@acme.example"))["e-mail"]
        assert (told.state, told.says) == ("ok", f"127.0.0.1:{sink.port} lets us in as bot; nothing was sent")
        wrong = replace(server, password="wr0ng")
        told = (await channels(monkeypatch, smtp=wrong, mail_from="bot@acme.example"))["e-mail"]
        assert told.state == "failure"
        assert "535" in told.says
        assert "wr0ng" not in told.says + told.do
        assert sink.mails == []


async def test_slack_is_asked_who_we_are_and_pagerduty_and_webhooks_are_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with web_sink() as sink:
        sink.answers, sink.body = [(200, {})], b'{"ok": false, "error": "invalid_auth"}'
        base = sink.url.partition("/hook")[0]
        settings = {"slack": SlackSettings("xoxb-s3cret", base), "webhook_url": sink.url, "webhook_secret": "whsec_x"}
        monkeypatch.setattr(
            sink, "take", lambda headers, content: (sink.requests.append((headers, content)), (200, {}))[1]
        )
        told = await channels(monkeypatch, **settings)
        assert told["Slack"].state == "failure"
        assert "invalid_auth" in told["Slack"].says
        assert "xoxb" not in told["Slack"].says + told["Slack"].do
        sink.body = b'{"ok": true, "team": "Acme", "user": "pactkeeper"}'
        told = await channels(monkeypatch, **settings)
    assert told["Slack"].says == "Acme knows us as pactkeeper; nothing was posted"
    assert told["webhook"].state == "ok"
    assert len(sink.requests) == 2  # Slack's two; the webhook's receiver heard nothing


async def test_a_teams_own_templates_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await templates() == []
    monkeypatch.setenv("PACTKEEPER_TEMPLATES", str(tmp_path))
    ours = ROOT / "activities" / "templates" / "reminder.txt.j2"
    shutil.copy(ours, tmp_path)
    (line,) = await templates()
    assert line.state == "ok"
    (tmp_path / "reminder.txt.j2").write_text("{{ nobody.knows }")
    (line,) = await templates()
    assert line.state == "failure"
    assert "reminder.txt.j2" in line.says


async def test_a_check_that_falls_over_is_a_finding_itself() -> None:
    async def falls() -> list[Finding]:
        raise ZeroDivisionError("a secret might stand here")

    (line,) = await tried("x", "y", falls)
    assert (line.state, line.says) == ("failure", "could not be looked at (ZeroDivisionError)")
