"""escalated-django's webhooks and API: against the real one, and its bad days against one that answers as documented."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.helpdesks.escalated import LIVE, Escalated
from sla.events import Delivery
from sla.intake import Read
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.escalated import ADAPTER
from tests.peers.escalated import ALEX, DANA, ROBOT, SECRET, EscalatedPeer

MARK = "[pactkeeper:0123456789abcdef]"
SOURCE = Source(name="esc", kind="escalated-django", agents={"1": "dana", "2": "alex"}, ours=(str(ROBOT),))
EVERYTHING = Writing(
    "incident/esc/1/escalate", "The answer is due at noon.", MARK, assignee="alex@helpdesk.example", priority="critical",
    due=datetime(2031, 7, 7, tzinfo=UTC), tags=("late", "unheard-of"),
)  # fmt: skip
WRITTEN = "a note, the priority, the assignee, the tags, no tag unheard-of, which it lacks; it takes no due date"


@dataclass
class Desk:
    """The helpdesk, what it posted, and what we answer to that."""

    peer: EscalatedPeer
    posted: list[Hook] = field(default_factory=list)
    answer: int = 202

    @property
    def api(self) -> Escalated:
        return Escalated(Account(self.peer.base, token=self.peer.tokens["robot"]))

    def read(self) -> list[Read]:
        """What was posted since we read last, each with a signature that holds."""
        came = []
        for hook in self.posted:
            ADAPTER.verify(hook, ["an-older-secret", SECRET])
            came.append(ADAPTER.read(json.loads(hook.raw), SOURCE, hook.received))
        self.posted.clear()
        return came

    async def look(self, ticket: int) -> dict[str, Delivery]:
        """All words of a ticket, by key."""
        found = await self.api.ticket(str(ticket))
        assert found
        assert ADAPTER.story
        told = ADAPTER.story(found, SOURCE, datetime.now(UTC))
        assert told
        return {word.key: word for word in told.words}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    server = HTTPServer("127.0.0.1", 0)
    server.start()

    def take(request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        desk.posted.append(Hook(headers, request.data, datetime.now(UTC)))
        return Response(status=desk.answer)

    server.expect_request("/hook", "POST").respond_with_handler(take)
    try:
        with EscalatedPeer(tmp_path_factory.mktemp("escalated"), server.url_for("/hook")) as peer:
            desk = Desk(peer)
            yield desk
    finally:
        server.stop()


@pytest.fixture
def desk(running: Desk) -> Desk:
    running.posted.clear()
    running.answer = 202
    return running


async def test_a_webhook_that_is_sent_three_times_each_signed_anew_has_one_effect(desk: Desk) -> None:
    desk.answer = 503
    ticket = desk.peer.opens("Checkout answers 502", "Since 09:14 UTC.", "urgent")
    assert len({hook.raw for hook in desk.posted}) == 3
    assert len({hook.header("x-escalated-signature") for hook in desk.posted}) == 3
    tampered = Hook(desk.posted[0].headers, desk.posted[1].raw, desk.posted[0].received)
    with pytest.raises(BadSignature):
        ADAPTER.verify(tampered, [SECRET])
    looks = [told.ticket for read in desk.read() for told in read.told if told.look]
    assert looks == [str(ticket)] * 3
    first, again = await desk.look(ticket), await desk.look(ticket)
    assert list(first) == list(again) == [f"esc:{ticket}:opened"]
    opened = first[f"esc:{ticket}:opened"].event
    assert (opened.event, opened.by, opened.priority, opened.body) == (
        "opened",
        "ann@acme.example",
        "P1",
        "Since 09:14 UTC.",
    )  # type: ignore[union-attr]


async def test_the_story_only_grows_while_the_ticket_lives(desk: Desk) -> None:
    """Looked at after each step or only at the end: the same words under the same keys, at the helpdesk's own times."""
    peer = desk.peer
    ticket = peer.opens("Login is slow", "Half a minute.")
    steps = [
        lambda: peer.assigns(ticket, DANA), lambda: peer.writes(ticket, "A note.", internal=True),
        lambda: peer.writes(ticket, "We are on it."), lambda: peer.writes(ticket, "Thanks.", by="ann"),
        lambda: peer.writes(ticket, "Here, too.", by="bob"), lambda: peer.ranks(ticket, "high"),
        lambda: peer.turns(ticket, "resolved", by="alex"), lambda: peer.turns(ticket, "reopened", by="ann"),
        lambda: peer.quietly(ticket, priority="critical"), lambda: peer.turns(ticket, "closed"),
    ]  # fmt: skip
    known = await desk.look(ticket)
    for step in steps:
        step()
        after = await desk.look(ticket)
        assert known.keys() <= after.keys()
        for key in known:
            assert after[key].event == known[key].event
            # What no activity tells has the time at which the ticket was last saved; the first that is heard counts.
            assert after[key].occurred_at == known[key].occurred_at or ":after:" in key
        known = after
    assert {told.ticket for read in desk.read() for told in read.told} == {str(ticket)}
    kinds = [word.event.event for word in sorted(known.values(), key=lambda word: word.occurred_at)]
    assert kinds[:5] == ["opened", "acknowledged", "agent_replied", "agent_replied", "waiting_on_customer"]
    assert kinds[5:8] == ["customer_replied", "reopened", "customer_replied"]
    assert sorted(kinds[8:]) == ["closed", "priority_changed", "priority_changed", "reopened", "resolved"]


async def test_what_we_write_stands_there_once_and_comes_back_as_nothing(desk: Desk) -> None:
    ticket = desk.peer.opens("Nothing loads", "Blank.")
    before = await desk.look(ticket)
    desk.posted.clear()
    assert await desk.api.write(str(ticket), EVERYTHING) == WRITTEN
    assert await desk.api.write(str(ticket), EVERYTHING) == "no tag unheard-of, which it lacks; it takes no due date"
    found = await desk.api.ticket(str(ticket))
    assert found
    assert [one["is_internal_note"] for one in found["replies"]] == [True]
    assert (found["assignee"]["id"], found["priority"], [one["name"] for one in found["tags"]]) == (
        ALEX,
        "critical",
        ["late"],
    )
    assert set(await desk.look(ticket)) == set(before)
    assert desk.posted
    assert all(not read.told for read in desk.read())


async def test_the_reconciler_finds_what_was_saved_or_only_answered_since_then(desk: Desk) -> None:
    """An answer of a customer leaves the ticket's own date as it was."""
    quiet, answered = desk.peer.opens("Quiet", "Old."), desk.peer.opens("Answered", "Old.")
    since = datetime.now(UTC)
    desk.peer.writes(answered, "Any news?", by="ann")
    new = desk.peer.opens("New", "New.")
    found = [one async for one in desk.api.changed(since)]
    assert [one["id"] for one in found] == [answered, new]
    assert quiet not in [one["id"] for one in found]
    assert datetime.fromisoformat(found[0]["_changed"]) >= since
    assert {one["email"] for one in found[0]["_agents"]} >= {"dana@helpdesk.example", "alex@helpdesk.example"}


async def test_the_check_says_as_whom_and_refuses_whom_the_helpdesk_does_not_know_as_an_agent(desk: Desk) -> None:
    assert await desk.api.check() == f"reads and writes escalated-django as robot@helpdesk.example, user {ROBOT}"
    for token, said in (desk.peer.tokens["ann"], "who is no agent"), ("wrong", "answered 401"):
        with pytest.raises(HelpdeskRefused, match=said):
            await Escalated(Account(desk.peer.base, token=token)).check()
    assert await desk.api.ticket("4711") is None
    with pytest.raises(HelpdeskRefused, match="has no ticket 4711"):
        await desk.api.write("4711", EVERYTHING)


API = "/support/api/v1"


def stub(server: HTTPServer) -> Escalated:
    return Escalated(Account(server.url_for("/").rstrip("/"), token="secret"))


async def test_a_note_that_arrived_although_no_answer_came_is_not_written_twice(httpserver: HTTPServer) -> None:
    notes: list[dict[str, Any]] = []

    def accept(request: Request) -> Response:
        notes.append({"id": len(notes), **json.loads(request.data)})
        return Response(status=504)

    httpserver.expect_request(f"{API}/tickets/1/reply/", "POST").respond_with_handler(accept)
    httpserver.expect_request(f"{API}/tickets/1/", "GET").respond_with_handler(
        lambda request: Response(json.dumps({"data": {"id": 1, "replies": notes}}), content_type="application/json")
    )
    note = Writing("k", "Due at noon.", MARK)
    with pytest.raises(HelpdeskUnavailable):
        await stub(httpserver).write("1", note)
    assert await stub(httpserver).write("1", note) == "nothing that was not there"
    assert [one["is_internal_note"] for one in notes] == [True]


async def test_a_helpdesk_that_limits_our_rate_is_asked_again_when_it_says(httpserver: HTTPServer) -> None:
    httpserver.expect_request(f"{API}/tickets/1/").respond_with_json(
        {"message": "Too many requests.", "retry_after": 60}, 429, {"Retry-After": "60"}
    )
    with pytest.raises(HelpdeskUnavailable) as busy:
        await stub(httpserver).ticket("1")
    assert busy.value.retry_after == 60


async def test_pages_are_read_until_one_is_old_enough_and_of_the_live_ones_all(httpserver: HTTPServer) -> None:
    noon = datetime(2031, 7, 7, 12, tzinfo=UTC)

    def page(request: Request) -> Response:
        number, status = int(request.args["page"]), request.args.get("status")
        hours = {None: [5, 4, 3, -1], "open": [-2, -3]}.get(status, [])
        rows = [
            {"id": n, "updated_at": (noon + timedelta(hours=hour)).isoformat(), "last_reply_at": None}
            for n, hour in enumerate(hours, 10 if status else 0)
        ]
        if status == "open" and number == 2:
            rows[1]["last_reply_at"] = (noon + timedelta(minutes=1)).isoformat()
        shown = rows[2 * number - 2 : 2 * number] if status is None else rows[number - 1 : number]
        body = {"data": shown, "meta": {"current_page": number, "last_page": 9 if status is None else len(rows)}}
        return Response(json.dumps(body), content_type="application/json")

    httpserver.expect_request(f"{API}/tickets/").respond_with_handler(page)
    httpserver.expect_request(f"{API}/agents/").respond_with_json({"data": []})
    for id in (0, 1, 2, 11):
        httpserver.expect_request(f"{API}/tickets/{id}/").respond_with_json({"data": {"id": id}})
    found = [one["id"] async for one in stub(httpserver).changed(noon)]
    assert found == [11, 2, 1, 0]
    listed = [request for request, _ in httpserver.log if request.path == f"{API}/tickets/"]
    assert len(listed) == 2 + 2 + len(LIVE) - 1
    httpserver.check()


async def test_an_api_under_another_prefix_is_named_whole(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/desk/api/v1/tickets/1/").respond_with_json({"data": {"id": 1}})
    httpserver.expect_request("/desk/api/v1/agents/").respond_with_json({"data": []})
    desk = Escalated(Account(httpserver.url_for("/desk/api/v1"), token="secret"))
    assert await desk.ticket("1") == {"id": 1, "_agents": []}
