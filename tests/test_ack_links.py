"""Links that acknowledge: whole, ours and a week old at most, or nothing; and a page that a mail scanner cannot press."""

import base64
import json
import os
import stat
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from activities.ack_links import FILE, GOOD_FOR, BadLink, Links, link, read, secret_here
from starter.ack_page import AckPages, NotTaken
from starter.port import Unavailable

AT = datetime(2031, 7, 11, 23, 30, tzinfo=UTC)
SECRET = b"a secret of more than twenty-four bytes"
INCIDENT = "incident/desk/4711"
BASE = "https://support.example"


def token(secret: bytes = SECRET, at: datetime = AT, incident: str = INCIDENT, person: str = "dana") -> str:
    made = link(BASE, secret, incident, person, at)
    assert made.startswith(f"{BASE}/ack/")
    return made.rpartition("/")[2]


@given(st.text(max_size=200), st.text(max_size=80))
def test_what_was_linked_is_read_again(incident: str, person: str) -> None:
    try:
        made = token(incident=incident, person=person)
    except UnicodeEncodeError:
        return
    assert read(SECRET, made, AT) == (incident, person)
    assert all(c.isascii() and (c.isalnum() or c in "-_.") for c in made)


@pytest.mark.parametrize(("later", "good"), [(timedelta(0), True), (GOOD_FOR, True), (GOOD_FOR + timedelta(seconds=1), False),
                                             (timedelta(minutes=-59), True), (timedelta(hours=-2), False)])  # fmt: skip
def test_a_link_is_good_for_seven_days(later: timedelta, good: bool) -> None:
    if good:
        assert read(SECRET, token(), AT + later)
    else:
        with pytest.raises(BadLink, match=r"^this link is (older than seven days|from the future)"):
            read(SECRET, token(), AT + later)


@given(st.data())
def test_one_changed_character_makes_it_nobodys(data: st.DataObject) -> None:
    """Also the last ones, of which base64 leaves some bits unread."""
    made = token()
    place = data.draw(st.integers(0, len(made) - 1))
    other = data.draw(st.sampled_from("ABCDwxyz0189-_.=~ "))
    changed = made[:place] + other + made[place + 1 :]
    if changed != made:
        with pytest.raises(BadLink, match=r"^this link is not one of ours, or was not copied whole$"):
            read(SECRET, changed, AT)


@pytest.mark.parametrize("junk", ["", ".", "a", "a.b", "a.b.c", "é.é", "." * 3000, "A" * 5000 + ".x", "bnVsbA.x"])
def test_junk_is_refused_in_the_same_sentence(junk: str) -> None:
    with pytest.raises(BadLink, match="not one of ours"):
        read(SECRET, junk, AT)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=6))
def test_whatever_a_payload_holds_it_is_refused_and_nothing_else_is_raised(held: object) -> None:
    payload = base64.urlsafe_b64encode(json.dumps(held).encode()).decode().rstrip("=")
    with pytest.raises(BadLink):
        read(SECRET, f"{payload}.{token().partition('.')[2]}", AT)


def test_another_secret_reads_nothing() -> None:
    with pytest.raises(BadLink):
        read(b"another secret of more than 24 bytes", token(), AT)


def test_a_notice_has_the_same_link_at_every_attempt_of_a_day_and_an_old_one_is_still_good() -> None:
    links = Links(BASE, SECRET)
    noon = datetime(2031, 7, 12, 12, tzinfo=UTC)
    assert links.to(INCIDENT, "dana", AT, noon) == links.to(INCIDENT, "dana", AT, noon + timedelta(hours=3))
    old = links.to(INCIDENT, "dana", AT - timedelta(days=30), noon)
    assert read(SECRET, old.rpartition("/")[2], noon + timedelta(days=6)) == (INCIDENT, "dana")
    assert "secret" not in repr(links)


def test_without_an_address_there_are_no_links(tmp_path: Path) -> None:
    assert Links.here({}, tmp_path) is None
    assert not (tmp_path / FILE).exists()
    made = Links.here({"PACTKEEPER_URL": f"{BASE}/"}, tmp_path)
    assert made is not None
    assert made.base == BASE


@pytest.mark.parametrize(
    "url", ["support.example", "http://support.example", "https://u:p@x.example", "https://x.example/?a=1"]
)
def test_an_address_that_cannot_be_used_is_one_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=r"^PACTKEEPER_URL "):
        Links.here({"PACTKEEPER_URL": url}, tmp_path)


def test_the_secret_is_made_once_whoever_comes_first_and_is_its_owners_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: secret_here({}, tmp_path / "state"), range(16)))
    assert len(made) == 1
    assert [path.name for path in (tmp_path / "state").iterdir()] == [FILE]
    assert stat.S_IMODE(os.stat(tmp_path / "state" / FILE).st_mode) == 0o600  # noqa: PTH116


def test_a_secret_of_ones_own_may_stand_in_a_file_and_a_short_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("x" * 32 + "\n")
    assert secret_here({"PACTKEEPER_LINK_SECRET_FILE": str(tmp_path / "own")}, tmp_path) == b"x" * 32
    with pytest.raises(ValueError, match=r"^PACTKEEPER_LINK_SECRET is shorter than 24 characters"):
        secret_here({"PACTKEEPER_LINK_SECRET": "short"}, tmp_path)
    (tmp_path / FILE).write_text("\n")
    with pytest.raises(ValueError, match="holds no secret"):
        secret_here({}, tmp_path)


class Desk:
    """Takes what it is told to take, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.fault: Exception | None = None

    async def take(self, incident: str, person: str, key: str, at: datetime) -> bool:
        if self.fault is not None:
            raise self.fault
        self.asked.append((incident, person, key))
        return len(self.asked) == 1


@asynccontextmanager
async def pages(desk: Desk, now: datetime = AT) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(AckPages(Links(BASE, SECRET), desk, lambda: now).router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


async def test_opening_a_link_changes_nothing_and_pressing_its_button_takes_the_incident_once() -> None:
    desk = Desk()
    async with pages(desk) as web:
        for _ in range(3):
            page = await web.get(f"/ack/{token()}")
        assert not desk.asked
        assert page.text.count("<button") == 1
        assert "Take 4711?" in page.text
        took = await web.post(f"/ack/{token()}")
        again = await web.post(f"/ack/{token()}")
    assert [(incident, person) for incident, person, _ in desk.asked] == [(INCIDENT, "dana")] * 2
    assert len({key for *_, key in desk.asked}) == 1, "one link is one act, however often it is pressed"
    assert "dana has 4711 now" in took.text
    assert "This link was used before; nothing was changed." in again.text
    for answer in (page, took, again):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("now", "path", "said"), [(AT, "x.y", "not one of ours"), (AT + timedelta(days=8), token(), "older than seven")]
)
async def test_a_link_that_is_not_good_says_so_and_asks_nobody(
    method: str, now: datetime, path: str, said: str
) -> None:
    desk = Desk()
    async with pages(desk, now) as web:
        answer = await web.request(method, f"/ack/{path}")
    assert answer.status_code == 404
    assert said in answer.text
    assert "<button" not in answer.text
    assert not desk.asked


async def test_a_refusal_is_the_incidents_own_sentence_and_a_silence_may_be_tried_again() -> None:
    desk = Desk()
    async with pages(desk) as web:
        desk.fault = NotTaken("the incident is <closed>")
        refused = await web.post(f"/ack/{token()}")
        desk.fault = Unavailable("no worker")
        silent = await web.post(f"/ack/{token()}")
    assert refused.status_code == 409
    assert "the incident is &lt;closed&gt;." in refused.text
    assert (silent.status_code, silent.headers["retry-after"]) == (503, "30")
    assert "<button" in silent.text


async def test_no_name_of_a_ticket_becomes_markup() -> None:
    desk, evil = Desk(), "incident/desk/<script>alert(1)<"
    async with pages(desk) as web:
        shown = await web.get(f"/ack/{token(incident=evil, person='<b>dana')}")
        took = await web.post(f"/ack/{token(incident=evil, person='<b>dana')}")
    for answer in (shown, took):
        assert "<script" not in answer.text
        assert "<b>" not in answer.text
