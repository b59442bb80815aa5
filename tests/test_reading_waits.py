"""A helpdesk that limits us while it is read is waited for; nobody else who asks it waits, and no wait is long."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from temporalio.exceptions import ApplicationError
from werkzeug import Request, Response

from activities import http
from activities.helpdesks.client import Account, Helpdesk, HelpdeskUnavailable, Json
from activities.helpdesks.slack import Slack
from sla.source import Source
from starter.bound import Bound
from starter.intake.slack import story
from tests.peers.slack import BEGINS, LIMITED, TOKEN, SlackPeer, slack_server
from tests.test_sources_reading import Kept, Office, opened

BEGUN = datetime.fromtimestamp(BEGINS, UTC)


async def asks(server: HTTPServer, answers: list[tuple[int, str | None]], *, patient: bool = True) -> list[float]:
    """Ask a server that answers so (a status, and its Retry-After); how long was waited before each further question."""
    left, waits = list(answers), list[float]()

    def answer(request: Request) -> Response:
        status, after = left.pop(0)
        return Response("[]", status, {} if after is None else {"Retry-After": after})

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    server.expect_request("/x").respond_with_handler(answer)
    json = Json(Account(server.url_for("").rstrip("/")), {})
    if not patient:
        assert await json.get("/x") == []
    with http.patient(sleep):
        assert await json.get("/x") == []
    assert left == []
    return waits


@pytest.mark.parametrize(
    ("limited", "waits"),
    [
        ([(429, "7")], [7]),
        ([(503, "60")], [60]),
        ([(429, "20"), (503, "20"), (429, "20")], [20, 20, 20]),
        ([(429, "0"), (429, "0")], [1, 1]),
    ],
)
async def test_who_is_to_come_again_within_a_minute_waits_and_asks_again(
    httpserver: HTTPServer, limited: list[tuple[int, str | None]], waits: list[float]
) -> None:
    assert await asks(httpserver, [*limited, (200, None)]) == waits


@pytest.mark.parametrize(
    ("limited", "after"),
    [([(429, "61")], 61), ([(429, "25")] * 3, 25), ([(429, None)], None), ([(500, "7")], 7), ([(502, None)], None)],
)
async def test_longer_than_a_minute_in_all_and_for_what_is_no_limit_nobody_waits(
    httpserver: HTTPServer, limited: list[tuple[int, str | None]], after: float | None
) -> None:
    with pytest.raises(HelpdeskUnavailable) as caught:
        await asks(httpserver, limited)
    assert caught.value.retry_after == after


async def test_who_only_asks_or_writes_does_not_wait(httpserver: HTTPServer) -> None:
    with pytest.raises(HelpdeskUnavailable):
        await asks(httpserver, [(429, "7")], patient=False)


# Slack, which lets each method be called fifty times a minute


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[], SlackPeer]]:
    with slack_server() as fresh:
        yield fresh


def slacked(peer: SlackPeer, channels: tuple[str, ...], patch: pytest.MonkeyPatch) -> Office:
    """What reads these channels, connected five minutes before the peer's time begins."""
    office = opened(Kept(BEGUN - timedelta(minutes=5)), patch)
    office.now = BEGUN
    source = Source(name="desk", kind="slack", channels=channels, url=peer.base.removesuffix("/api"))
    client = Account(peer.base.removesuffix("/api"), token=TOKEN, channels=channels)

    def hear(_: Source, ticket: dict[str, Any], received: datetime) -> Bound | None:
        told = story(ticket, source, received)
        return None if told is None else Bound(told, "acme", told.words)

    def desk(_: Source) -> Helpdesk:
        return Slack(client)

    office.reading.helpdesk, office.reading.hear = desk, hear
    return office


async def test_more_channels_than_one_minute_allows_are_read_in_one_round(
    server: Callable[[], SlackPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, minute, calls = server(), 0.0, list[float]()
    channels = tuple(f"C0{number:03}" for number in range(110))
    for channel in channels:
        peer.says(channel, "U0ANN", "no mail", BEGINS - 60)
    real = peer.answer

    def answer(request: Request) -> Response:
        if request.path.endswith("conversations.history"):
            if sum(one > minute - 1 for one in calls) >= 50:
                return Response("{}", 429, {"Retry-After": "60"})
            calls.append(minute)
        return real(request)

    async def sleep(seconds: float) -> None:
        nonlocal minute
        minute += seconds / 60

    monkeypatch.setattr(peer, "answer", answer)
    office = slacked(peer, channels, monkeypatch)
    office.reading.sleep = sleep
    came = await office.reads()
    assert (came.read, came.failed, minute) == (110, 0, 2)
    assert len(office.brought) == 110


async def test_one_ticket_that_is_read_by_itself_gives_its_place_to_others_meanwhile(
    server: Callable[[], SlackPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = server()
    thread = peer.says("C0SUPPORT", "U0ANN", "no mail", BEGINS - 60)
    office = slacked(peer, ("C0SUPPORT",), monkeypatch)
    peer.reading = {"conversations.replies": [LIMITED]}
    with pytest.raises(ApplicationError) as caught:
        await office.reads_one(f"C0SUPPORT-{thread}")
    assert caught.value.next_retry_delay == timedelta(seconds=7)


async def test_a_round_that_waits_can_be_cancelled(
    server: Callable[[], SlackPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, waits = server(), asyncio.Event()
    peer.reading = {"auth.test": [LIMITED]}
    office = slacked(peer, ("C0SUPPORT",), monkeypatch)

    async def sleep(seconds: float) -> None:
        waits.set()
        await asyncio.Event().wait()

    office.reading.sleep = sleep
    round_ = asyncio.create_task(office.reads())
    await asyncio.wait_for(waits.wait(), 10)
    round_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await round_
    assert await office.cursor() is None
