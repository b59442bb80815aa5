"""django-helpdesk's API: against the real one, and its bad days against one that answers as documented."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.helpdesks.django_helpdesk import PAGE, DjangoHelpdesk
from sla.source import Source
from starter.intake.django_helpdesk import ADAPTER
from tests.peers.helpdesk import ALEX, CRITICAL, DANA, HIGH, NORMAL, HelpdeskPeer

MARK = "[pactkeeper:0123456789abcdef]"
DUE = datetime(2031, 7, 7, 15, tzinfo=UTC)
SOURCE = Source(name="desk", kind="django-helpdesk", agents={"1": "dana", "2": "alex"})
EVERYTHING = Writing(
    "incident/desk/1/escalate", "The answer is due: see #7 {{ secret }} {% if %}.", MARK, assignee=str(ALEX),
    priority=str(CRITICAL), due=DUE,
)  # fmt: skip


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HelpdeskPeer]:
    with HelpdeskPeer(tmp_path_factory.mktemp("helpdesk")) as helpdesk:
        yield helpdesk


def desk(peer: HelpdeskPeer, password: str | None = None) -> DjangoHelpdesk:
    return DjangoHelpdesk(Account(peer.base, "dana", password or "dana-password"))


async def test_what_a_real_helpdesk_hands_over_tells_the_ticket_and_what_we_write_tells_nothing(
    peer: HelpdeskPeer,
) -> None:
    """Written twice it stands there once; the customer is told nothing, and no other ticket hears of it."""
    before = datetime.now(UTC) - timedelta(seconds=1)
    ticket = peer.submit("Nothing loads", "Blank.", "ann@acme.example", HIGH)
    peer.agent_writes(ticket, "We are on it.", owner=DANA)
    found = [one async for one in desk(peer).changed(before)]
    assert [one["ticket"]["id"] for one in found] == [ticket.id]
    assert found[0]["_changed"] == found[0]["ticket"]["followup_set"][-1]["date"].replace("Z", "+00:00")
    assert ADAPTER.story
    told = ADAPTER.story(found[0], SOURCE, datetime.now(UTC))
    assert told
    words = [(word.event.event, word.event.by) for word in told.words]
    assert words[:3] == [("opened", "ann@acme.example"), ("acknowledged", "dana"), ("agent_replied", "dana")]

    assert await desk(peer).write(str(ticket.id), EVERYTHING) == "a note, the owner, the priority, the due date"
    assert await desk(peer).write(str(ticket.id), EVERYTHING) == "nothing that was not there"
    after = await desk(peer).ticket(str(ticket.id))
    assert after
    stands = after["ticket"]
    assert (stands["assigned_to"], stands["priority"], stands["title"]) == (ALEX, CRITICAL, "Nothing loads")
    note = stands["followup_set"][-1]
    assert not note["public"]
    assert note["comment"] == "The answer is due: see # 7 { { secret }} { % if % }.\n\n" + MARK
    again = ADAPTER.story(after, SOURCE, datetime.now(UTC))
    assert again
    said = {word.key for word in told.words} ^ {word.key for word in again.words}
    assert all(":priority:" in key for key in said)


async def test_only_what_changed_since_is_read(peer: HelpdeskPeer) -> None:
    peer.submit("Old", "Old.", "ann@acme.example", NORMAL)
    ticket = peer.submit("New", "New.", "ann@acme.example", NORMAL)
    newest = await desk(peer).ticket(str(ticket.id))
    assert newest
    since = datetime.fromisoformat(newest["ticket"]["followup_set"][-1]["date"])
    assert [one["ticket"]["id"] async for one in desk(peer).changed(since)] == [ticket.id]


async def test_a_ticket_that_is_not_there_is_none_and_can_not_be_written_to(peer: HelpdeskPeer) -> None:
    assert await desk(peer).ticket("4711") is None
    with pytest.raises(HelpdeskRefused, match="has no ticket 4711"):
        await desk(peer).write("4711", EVERYTHING)


async def test_the_check_says_as_whom_and_a_wrong_password_is_refused(peer: HelpdeskPeer) -> None:
    assert (await desk(peer).check()).startswith("reads and writes django-helpdesk as dana: ")
    with pytest.raises(HelpdeskRefused) as refused:
        await desk(peer, "wrong").check()
    assert refused.value.status in (401, 403)


def ticket_json(*comments: str, **fields: Any) -> dict[str, Any]:
    past = [
        {"id": n, "ticket": 1, "user": 1, "comment": one, "date": "2031-07-07T14:00:00Z"}
        for n, one in enumerate(comments)
    ]
    return {"id": 1, "assigned_to": None, "priority": 3, "due_date": None, "followup_set": past, **fields}


def stub(server: HTTPServer, user: str = "bot") -> DjangoHelpdesk:
    return DjangoHelpdesk(Account(server.url_for("/").rstrip("/"), user, "secret"))


async def test_a_note_that_arrived_although_no_answer_came_is_not_written_twice(httpserver: HTTPServer) -> None:
    notes: list[str] = []

    def accept(request: Request) -> Response:
        notes.append(json.loads(request.data)["comment"])
        return Response(status=504)

    httpserver.expect_request("/api/followups/", "POST").respond_with_handler(accept)
    httpserver.expect_request("/api/tickets/1/", "GET").respond_with_handler(
        lambda request: Response(json.dumps(ticket_json(*notes)), content_type="application/json")
    )
    note = Writing("k", "Due at noon.", MARK)
    with pytest.raises(HelpdeskUnavailable):
        await stub(httpserver).write("1", note)
    assert await stub(httpserver).write("1", note) == "nothing that was not there"
    assert len(notes) == 1


@pytest.mark.parametrize(("status", "after"), [(429, 7.0), (503, 7.0)])
async def test_a_busy_helpdesk_is_asked_again_when_it_says(httpserver: HTTPServer, status: int, after: float) -> None:
    httpserver.expect_request("/api/tickets/1/").respond_with_data("", status, {"Retry-After": "7"})
    with pytest.raises(HelpdeskUnavailable) as busy:
        await stub(httpserver).ticket("1")
    assert busy.value.retry_after == after


async def test_pages_are_read_from_the_last_backwards_until_one_is_old_enough(httpserver: HTTPServer) -> None:
    """Three pages of follow-ups; what is asked for lies on the last two, so the first is not read."""

    def page(number: int) -> dict[str, Any]:
        first = datetime(2031, 7, 7, 10 + number, tzinfo=UTC)
        dates = [(first + timedelta(seconds=n)).isoformat() for n in range(PAGE)]
        rows = [{"id": n, "ticket": 10 * number + n % 2, "date": date} for n, date in enumerate(dates)]
        return {"count": 3 * PAGE, "next": None, "previous": None, "results": rows}

    asked = {"last": page(3), "2": page(2)}
    for name, answer in asked.items():
        query = {"page_size": str(PAGE), "page": name}
        httpserver.expect_ordered_request("/api/followups/", query_string=query).respond_with_json(answer)
    for id in (20, 21, 30, 31):
        httpserver.expect_ordered_request(f"/api/tickets/{id}/").respond_with_json({"id": id, "followup_set": []})
    since = datetime(2031, 7, 7, 12, 0, 1, tzinfo=UTC)
    found = [one async for one in stub(httpserver).changed(since)]
    assert [one["ticket"]["id"] for one in found] == [20, 21, 30, 31]
    assert found[0]["_changed"] < found[-1]["_changed"]
    httpserver.check()


async def test_without_a_user_the_token_is_one_of_the_rest_framework(httpserver: HTTPServer) -> None:
    headers = {"Authorization": "Token secret"}
    httpserver.expect_request("/api/tickets/1/", headers=headers).respond_with_json(ticket_json())
    assert await stub(httpserver, user="").ticket("1") == {"ticket": ticket_json()}


async def test_what_the_helpdesk_can_not_take_is_said_and_the_rest_is_written(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/tickets/1/", "GET").respond_with_json(ticket_json(f"Said.\n\n{MARK}"))
    httpserver.expect_request("/api/tickets/1/", "PATCH", json={"priority": 1}).respond_with_json({})
    said = await stub(httpserver).write("1", Writing("k", "Said.", MARK, assignee="dana", priority="1"))
    assert said == "the priority; assigned_to 'dana' is no number, which is all that django-helpdesk takes there"
