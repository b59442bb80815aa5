"""So many requests at a time: those on top are told to come again, in words, and what watches over us is not among them."""

import asyncio
import logging
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from starter import crowd
from starter.crowd import Crowd
from starter.hook_settings import IntakeSettings
from starter.web import create_app
from tests.front_desk import Door


class Busy:
    """An app that answers when it is told to."""

    def __init__(self) -> None:
        self.inside, self.most, self.go, self.breaks = 0, 0, asyncio.Event(), False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/hooks/"):
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await self.go.wait()
            finally:
                self.inside -= 1
            if self.breaks:
                raise RuntimeError("a fault of ours")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def full(self, many: int) -> None:
        while self.inside < many:
            await asyncio.sleep(0)


def browser(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake")


async def test_what_is_too_much_is_503_with_a_sentence_and_there_is_room_again_once_one_is_done() -> None:
    busy = Busy()
    http = browser(Crowd(busy, 3))
    async with asyncio.timeout(20):
        posts = [asyncio.create_task(http.post("/hooks/zendesk/desk")) for _ in range(3)]
        await busy.full(3)
        answer = await http.post("/hooks/generic/acme", content=b"x" * 1000)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert set(answer.json()) == {"error"}
        assert answer.json()["error"].startswith("3 requests are being worked on")
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/deliveries")).status_code == 200
        busy.go.set()
        assert [(await post).status_code for post in posts] == [200] * 3
        assert (await http.post("/hooks/zendesk/desk")).status_code == 200
    assert busy.most == 3


async def test_one_that_fails_or_whose_sender_goes_away_makes_room_too() -> None:
    busy = Busy()
    http = browser(Crowd(busy, 1))
    async with asyncio.timeout(20):
        post = asyncio.create_task(http.post("/hooks/zendesk/desk"))
        await busy.full(1)
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post
        busy.breaks = True
        busy.go.set()
        for _ in range(3):
            with pytest.raises(RuntimeError):
                await http.post("/hooks/zendesk/desk")
        busy.breaks = False
        assert (await http.post("/hooks/zendesk/desk")).status_code == 200


async def test_the_log_counts_them_at_most_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    seconds = [0.0]
    busy = Busy()
    http = browser(Crowd(busy, 1, lambda: seconds[0]))
    with caplog.at_level(logging.ERROR, crowd.__name__):
        async with asyncio.timeout(20):
            post = asyncio.create_task(http.post("/hooks/zendesk/desk"))
            await busy.full(1)
            for _ in range(50):
                assert (await http.post("/hooks/zendesk/desk")).status_code == 503
                seconds[0] += 1
            seconds[0] += 10
            busy.go.set()
            await post
            await http.post("/hooks/zendesk/desk")
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [1, 49]


async def test_the_web_intake_has_such_a_bound_and_says_so_in_its_schema() -> None:
    door: Any = Door()
    http = browser(create_app(door, IntakeSettings(), at_once=0))
    assert (await http.post("/hooks/generic/acme")).status_code == 503
    assert (await http.get("/healthz")).status_code == 200
    paths = (await http.get("/openapi.json")).json()["paths"]
    hooks = [page["post"]["responses"] for path, page in paths.items() if path.startswith("/hooks/")]
    assert all("Retry-After" in answers["503"]["headers"] for answers in hooks)
    assert hooks
