"""What the teller says through Slack and PagerDuty: told once, brought up to date where it stands, links where they help."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.ack_links import Links, read
from activities.courier import Courier
from activities.pagerduty import PagerDutySettings
from activities.settings import CourierSettings
from activities.slack_api import SlackSettings
from records import database
from records.sent import SentStore
from records.threads import ThreadStore
from sla.roster import Outcome, Recipient
from tests.peers.pagerduty import KEY, pagerduty_server
from tests.peers.slack import TOKEN, slack_server
from tests.receivers import log_lines
from tests.test_teller import ANN, GWEN, POLICIES, asked, outcome, step
from worker.teller import LiveTeller

CHANNEL = "C0123ABCD"
IN_SLACK = Recipient("dana", "slack", CHANNEL, "Dana")
BY_PAGER = Recipient("gwen", "pagerduty", None, "Gwen")
LINKS = Links("https://support.example", b"a secret of more than twenty-four bytes")


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A fresh database."""
    url = database.default_url(tmp_path)
    await asyncio.to_thread(database.upgrade, url)
    made = database.engine(url)
    yield made
    await made.dispose()


def teller(folder: Path, engine: AsyncEngine, **channels: Any) -> LiveTeller:
    settings = CourierSettings(state=folder, **channels)
    courier = Courier(settings, SentStore(engine), io.StringIO(), threads=ThreadStore(engine))
    return LiveTeller(POLICIES, courier, links=LINKS)


UPDATE = {"clock": None, "step": None, "tells": (), "clause": None}


async def test_a_notice_stands_in_slack_and_pagerduty_and_follows_what_becomes_of_it(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    page = step()
    with slack_server() as slack_peer, pagerduty_server() as pager_peer:
        slack, pager = slack_peer(), pager_peer()
        by = teller(
            tmp_path, engine, slack=SlackSettings(TOKEN, slack.base), pagerduty=PagerDutySettings(pager.url, KEY)
        )
        for attempt in (1, 2):
            await by.tell(asked(page), [(page, outcome(page, IN_SLACK, BY_PAGER))], attempt)
        [parent] = slack.parents()
        [alert] = pager.alerts
        assert (alert.dedup_key, alert.status, len(alert.triggers)) == ("incident/generic/4711", "triggered", 1)
        for number, stands in enumerate(
            ({"acknowledged": "dana", "phase": "open"}, {"acknowledged": "dana", "phase": "resolved"}), 1
        ):
            at = datetime(2031, 7, 14, 17, number, tzinfo=UTC)
            now = step("update", None, number, at=at, key=f"update/-/-/{number}", **UPDATE)
            for attempt in (1, 2):
                await by.tell(asked(now, **stands), [(now, Outcome(()))], attempt)
            assert alert.status == ("acknowledged", "resolved")[number - 1]
        assert slack.parents()[0]["ts"] == parent["ts"]
        assert len(slack.parents()) == 1
    assert not (tmp_path / "notices.jsonl").exists(), "an update is no news"


async def test_an_update_of_what_stands_nowhere_goes_nowhere(tmp_path: Path, engine: AsyncEngine) -> None:
    now = step("update", None, key="update/-/-/1", **UPDATE)
    await teller(tmp_path, engine).tell(asked(now), [(now, Outcome(()))], 1)
    assert not (tmp_path / "notices.jsonl").exists()


async def test_who_can_take_it_reads_a_link_of_their_own_and_a_customer_reads_none(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    one = step(tells=("assignee", "customer"))
    dana = Recipient("dana", "log", None, "Dana")
    await teller(tmp_path, engine).tell(asked(one), [(one, outcome(one, GWEN, dana, ANN))], 1)
    told = {line["to"][0]["id"]: line for line in log_lines(tmp_path)}
    for person in ("gwen", "dana"):
        link = told[person]["links"]["acknowledge"]
        assert f"or:  {link}" in told[person]["text"]
        assert read(LINKS.secret, link.rpartition("/")[2], datetime.now(UTC)) == ("incident/generic/4711", person)
    ann = told["ann@acme.example"]
    assert (ann["to_customer"], ann["links"]) == (True, {})
    assert "/ack/" not in ann["text"]


async def test_a_link_is_whole_however_long_the_ticket_is_called(tmp_path: Path, engine: AsyncEngine) -> None:
    one, incident = step(), "incident/generic/" + "x" * 180
    await teller(tmp_path, engine).tell(asked(one, incident=incident), [(one, outcome(one, GWEN))], 1)
    [line] = log_lines(tmp_path)
    assert line["links"]["acknowledge"] in line["text"]


async def test_without_an_address_of_ours_no_notice_has_a_link(tmp_path: Path) -> None:
    one = step()
    courier = Courier(CourierSettings(state=tmp_path), None, io.StringIO())
    await LiveTeller(POLICIES, courier).tell(asked(one), [(one, outcome(one, GWEN))], 1)
    [line] = log_lines(tmp_path)
    assert line["links"] == {}
    assert "or: " not in line["text"]
