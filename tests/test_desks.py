"""What holds of every helpdesk alike: whatever it sends is read or refused in a sentence, and its API's moods are told apart."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.helpdesks.kinds import CLIENTS, helpdesk
from sla.civil import parsed
from sla.intake import Unusable
from sla.source import Source
from starter.hook_settings import SourceSecrets
from tests import test_freshdesk, test_jira, test_zammad, test_zendesk
from tests.desks import MARK, StandIn, moving, spoilt, told_to_write

DESKS = {one.DESK.adapter.kind: one.DESK for one in (test_freshdesk, test_jira, test_zammad, test_zendesk)}
every_desk = pytest.mark.parametrize("desk", DESKS.values(), ids=DESKS)
NOTE = Writing("k", "Half of the time is used.", MARK)


@every_desk
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_comes_is_read_or_unusable(desk: StandIn, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from((*desk.bodies, "")))
    body = spoilt(data, desk.delivery(name) if name else desk.whole())
    for source in desk.sources:
        with contextlib.suppress(Unusable):
            read = desk.adapter.read(body, source, desk.now)
            assert read.told or read.ignored
        with contextlib.suppress(Unusable):
            assert desk.adapter.story is not None
            desk.adapter.story(body if isinstance(body, dict) else {}, source, desk.now)


@every_desk
def test_the_files_that_the_page_tells_to_write_are_right(desk: StandIn) -> None:
    file, secrets = told_to_write(desk.adapter.kind)
    source = Source.model_validate(file)
    assert source.kind == desk.adapter.kind
    assert SourceSecrets.model_validate(secrets["sources"][source.name]).token


@every_desk
async def test_a_ticket_that_is_not_there_is_none_and_takes_no_note(desk: StandIn, httpserver: HTTPServer) -> None:
    httpserver.expect_request(desk.path.format(id="1")).respond_with_json(desk.missing, 404)
    assert await desk.client(httpserver).ticket("1") is None
    with pytest.raises(HelpdeskRefused):
        await desk.client(httpserver).write("1", NOTE)


@every_desk
@pytest.mark.parametrize(
    ("status", "error"),
    [(401, HelpdeskRefused), (403, HelpdeskRefused), (429, HelpdeskUnavailable), (503, HelpdeskUnavailable)],
)
@pytest.mark.parametrize("asked", ["read", "written"])
async def test_a_refusal_is_one_and_a_bad_hour_is_another(
    desk: StandIn, httpserver: HTTPServer, asked: str, status: int, error: type[Exception]
) -> None:
    httpserver.expect_request(desk.path.format(id="1")).respond_with_data("", status, {"retry-after": "93"})
    api = desk.client(httpserver)
    with pytest.raises(error) as raised:
        await (api.ticket("1") if asked == "read" else api.write("1", NOTE))
    assert getattr(raised.value, "retry_after", 93) == 93
    assert "t0k3n" not in str(raised.value)


@every_desk
async def test_a_note_that_was_taken_though_no_answer_came_is_not_written_again(
    desk: StandIn, httpserver: HTTPServer
) -> None:
    """The first one arrives, its answer does not; the second round finds the mark."""
    kept = desk.loses(httpserver)
    with pytest.raises(HelpdeskUnavailable):
        await desk.client(httpserver).write(desk.ticket, NOTE)
    assert await desk.client(httpserver).write(desk.ticket, NOTE) == "nothing that was not there"
    assert len(kept) == 1


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_ticket_that_changes_again_during_the_round_hides_none_of_those_that_are_still_to_come(
    kind: str, httpserver: HTTPServer
) -> None:
    """How far a round came is what `_changed` of the last ticket says: nothing that comes later may lie before it."""
    times = {id: f"2031-07-07T17:{id}0:00Z" for id in "123"}
    moving(httpserver, kind, times, {"1": "2031-07-07T17:50:00Z"})
    client = helpdesk(kind, Account(httpserver.url_for("").rstrip("/"), "bot", "t0k3n", channels=("C0SUPPORT",)))
    assert client is not None
    found: list[dict[str, Any]] = [one async for one in client.changed(datetime(2031, 7, 7, 17, 0, tzinfo=UTC))]
    changed = [parsed(one["_changed"]) for one in found]
    assert times["1"].endswith("17:50:00Z")
    assert (len(found), changed) == (3, sorted(at for at in changed if at is not None))
