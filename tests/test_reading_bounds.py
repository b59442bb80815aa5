"""Where a helpdesk holds more than one question is answered with, a round or a ticket breaks off: nothing is left out in silence."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities import http
from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable
from activities.helpdesks.escalated import API, Escalated
from activities.helpdesks.freshdesk import Freshdesk
from activities.helpdesks.jira import Jira
from activities.helpdesks.request_tracker import RequestTracker
from activities.helpdesks.zendesk import Zendesk

SINCE = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
THEN = "2031-07-07T17:30:00Z"


def account(server: HTTPServer) -> Account:
    return Account(server.url_for("").rstrip("/"), "bot", "secret")


async def read(changed: AsyncIterator[dict[str, Any]]) -> int:
    return len([one async for one in changed])


async def test_freshdesk_with_more_changes_in_one_second_than_it_lists(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.helpdesks.freshdesk.PAGE", 1)
    monkeypatch.setattr("activities.helpdesks.freshdesk.MOST_PAGES", 2)
    ids = iter(range(10))
    httpserver.expect_request("/api/v2/tickets").respond_with_handler(
        lambda _: Response(json.dumps([{"id": next(ids), "updated_at": THEN}]), content_type="application/json")
    )
    httpserver.expect_request(re.compile("/api/v2/tickets/.*/conversations")).respond_with_json([])
    httpserver.expect_request(re.compile("/api/v2/tickets/.*")).respond_with_json({"id": 1})
    with pytest.raises(HelpdeskUnavailable, match="in one second"):
        await read(Freshdesk(account(httpserver)).changed(SINCE))


async def test_escalated_with_more_pages_than_are_read(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.helpdesks.escalated.MOST_PAGES", 2)
    page = {"data": [{"id": 1, "updated_at": THEN}], "meta": {"last_page": 3}}
    httpserver.expect_request(f"{API}/tickets/").respond_with_json(page)
    with pytest.raises(HelpdeskUnavailable, match="more than 2 pages"):
        await read(Escalated(account(httpserver)).changed(SINCE))


async def test_jira_that_hands_over_the_same_page_again(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/rest/api/3/search/jql").respond_with_json({"issues": [], "nextPageToken": "t"})
    with pytest.raises(HelpdeskUnavailable, match="the same page again"):
        await read(Jira(account(httpserver)).changed(SINCE))


@pytest.mark.parametrize(
    ("kind", "module"), [(Zendesk, "zendesk"), (Freshdesk, "freshdesk"), (Jira, "jira"), (RequestTracker, "request_tracker")]
)  # fmt: skip
async def test_a_ticket_that_is_longer_than_is_read_is_refused_and_not_cut_short(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, kind: Any, module: str
) -> None:
    """What is refused is told of; a story without its end would tell of no resolution."""
    monkeypatch.setattr(f"activities.helpdesks.{module}.MOST_PAGES", 2)
    monkeypatch.setattr(f"activities.helpdesks.{module}.PAGE", 1, raising=False)
    entries = iter(range(100))

    def answer(request: Request) -> Response:
        id = next(entries)
        rows = [{"id": id, "Type": "Set"}]
        ticket = {"id": 7, "key": "SD-7", "fields": {"updated": THEN}, "ticket": {"id": 7, "updated_at": THEN}}
        lists = {
            "audits": rows, "meta": {"has_more": True, "after_cursor": f"c{id}"}, "values": rows, "comments": rows, "total": 99,
            "items": rows,
        }  # fmt: skip
        whole: Any = rows if request.path.endswith("/conversations") else ticket | lists
        return Response(json.dumps(whole), content_type="application/json")

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    with pytest.raises(HelpdeskRefused, match="more than 2 ") as caught:
        await kind(account(httpserver)).ticket("7")
    assert caught.value.status == 413


@pytest.mark.parametrize(("ahead", "minutes"), [(180, 192), (0, 12), (-180, 12)])
async def test_jira_is_asked_by_its_own_clock_where_that_is_ahead(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, ahead: int, minutes: int
) -> None:
    monkeypatch.setattr(http, "ahead", lambda url: timedelta(minutes=ahead))
    httpserver.expect_request("/rest/api/3/search/jql").respond_with_json({"issues": []})
    assert await read(Jira(account(httpserver)).changed(datetime.now(UTC) - timedelta(minutes=9, seconds=30))) == 0
    assert httpserver.log[0][0].args["jql"].startswith(f'updated >= "-{minutes}m"')
