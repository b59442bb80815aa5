"""So many deliveries at a time, and each is answered in time: what is too much, or hangs, is told to come again, in words."""

import asyncio
import json
import logging

import pytest

from sla.source import Source
from starter import in_time
from tests.front_desk import SECRET, Desk

PATH, SIGNED = "/hooks/alertmanager/desk", {"authorization": f"Bearer {SECRET}"}


def outage(name: str) -> bytes:
    told = {"status": "firing", "labels": {"alertname": name}, "startsAt": "2031-07-07T16:59:00Z"}
    body = {"version": "4", "groupKey": name, "status": "firing", "groupLabels": {"alertname": name}, "alerts": [told]}
    return json.dumps(body).encode()


@pytest.fixture
def desk() -> Desk:
    return Desk(Source(name="desk", kind="alertmanager", customer="acme"))


async def test_what_is_too_much_is_503_with_a_sentence_and_there_is_room_again_once_one_is_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who is not known takes no place; nor is anybody kept from looking whether we are well."""
    monkeypatch.setattr(in_time, "MOST", 2)
    inside, goes_on = list[int](), asyncio.Event()

    async def ready() -> None:
        inside.append(1)
        await goes_on.wait()

    monkeypatch.setattr(desk.door, "ready", ready)
    async with asyncio.timeout(20):
        posts = [asyncio.create_task(desk.post(PATH, outage(str(i)), SIGNED)) for i in range(2)]
        while len(inside) < 2:
            await asyncio.sleep(0)
        with caplog.at_level(logging.ERROR, in_time.__name__):
            answers = [await desk.post(PATH, outage(f"more{i}"), SIGNED) for i in range(3)]
        assert {(one.status_code, one.headers["retry-after"]) for one in answers} == {(503, "1")}
        assert answers[0].json()["error"].startswith("2 deliveries are being worked on")
        assert len([one for one in caplog.records if one.name == in_time.__name__]) <= 1
        assert (await desk.post(PATH, outage("stranger"))).status_code == 401
        assert (await desk.http.get("/healthz")).status_code == 200
        goes_on.set()
        assert [(await post).status_code for post in posts] == [202, 202]
        assert (await desk.post(PATH, outage("more0"), SIGNED)).status_code == 202
    assert len(inside) == 3


async def test_a_sender_who_goes_away_takes_nothing_back_that_was_begun(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def ready() -> None:
        begun.set()
        await goes_on.wait()

    monkeypatch.setattr(desk.door, "ready", ready)
    async with asyncio.timeout(20):
        post = asyncio.create_task(desk.post(PATH, outage("one"), SIGNED))
        await begun.wait()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post
        goes_on.set()
        while not desk.door.words:
            await asyncio.sleep(0)
