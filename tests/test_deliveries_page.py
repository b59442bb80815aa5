"""The page of deliveries: a token opens it, it says what the records have, and what strangers wrote is only text there."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from records.dead_letters import DeadLetterStore, Letter
from records.deliveries import DeliveryStore
from records.sources import SourceStore
from records.spool import Spool, Spooled
from sla.source import Source
from starter.deliveries_page import DeliveriesPage
from starter.hook_settings import IntakeSettings, Secrets
from starter.letter_office import NotSeenTo
from starter.outcomes import MEANS
from starter.port import NotKept, Unavailable
from starter.web import create_app
from tests.test_deliveries import AT, ONE
from tests.test_spooler import said
from tests.test_web_intake import Taken

NOW = AT + timedelta(days=2)
TOKEN, OTHER = "the-token-of-an-operator-0001", "the-token-of-an-operator-0002"
HTML = {"accept": "text/html,application/xhtml+xml,*/*"}
PROGRAM = {"accept": "application/json"}
NASTY = '<script>alert("x")</script>&\u202e"\''
LETTER = Letter(
    id="zendesk/desk/evt-7", source="zendesk/desk", received_at=AT, why="ticket is missing", kind="ticket.created",
    subject="detail.id", body='{"secret": "of a customer"}',
)  # fmt: skip


class Asked:
    """The app over its records, and a browser that knows the token."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine, self.replayed = engine, list[str]()
        self.fault: Exception | None = None
        self.sources_fault: Exception | None = None
        self.page = DeliveriesPage(engine, IntakeSettings(Secrets(api=(OTHER, TOKEN))), self.sources, self, lambda: NOW)
        app = create_app(Taken(), IntakeSettings(), pages=[self.page.router()])  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://intake")

    def sources(self) -> dict[str, Source]:
        if self.sources_fault:
            raise self.sources_fault
        desk = Source(name="desk", kind="zendesk", title="The desk <b>", url="https://acme.example")
        return {"desk": desk, "mail": Source(name="mail", kind="mail")}

    async def replay(self, id: str) -> str:
        if self.fault:
            raise self.fault
        self.replayed.append(id)
        return "replayed: 2 words brought to 4711"

    async def fills(self) -> None:
        deliveries = [
            replace(ONE, id=outcome, outcome=outcome, received_at=AT + timedelta(minutes=i), tickets=(str(4711 + i),))
            for i, outcome in enumerate(MEANS)
        ]
        await DeliveryStore(self.engine).put(deliveries)
        await DeadLetterStore(self.engine).put(LETTER)
        states = SourceStore(self.engine)
        await states.heard({("desk", "zendesk"): AT, ("gone", "jira"): AT})
        await states.read("desk", "zendesk", AT, NOW - timedelta(minutes=3), "2 tickets had changed")
        await Spool(self.engine).put(Spooled("1", "desk", "4713", "acme", None, (said("a"),), AT))

    async def get(self, path: str = "", headers: dict[str, str] = HTML, token: str = TOKEN) -> httpx.Response:
        return await self.http.get(f"/deliveries{path}", headers=headers, auth=("anybody", token))

    async def press(self, form: dict[str, str], headers: dict[str, str] = HTML) -> httpx.Response:
        return await self.http.post("/deliveries/letters/replay", data=form, headers=headers, auth=("", TOKEN))


@pytest_asyncio.fixture
async def asked(engine: AsyncEngine) -> AsyncIterator[Asked]:
    made = Asked(engine)
    yield made
    await made.http.aclose()


ON_SQLITE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def texts(page: httpx.Response) -> str:
    """What of a page is read."""
    body = page.text.partition("<body>")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def rows(page: httpx.Response) -> list[str]:
    """The outcomes in the log, from the top."""
    return re.findall(r'<td><span class="pill \w*"><b>.</b>(\w+)</span>', page.text)


async def test_the_page_says_what_the_records_have(asked: Asked) -> None:
    await asked.fills()
    page = await asked.get()
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    shown = texts(page)
    assert rows(page) == list(MEANS)[::-1]
    for name, (sign, _) in MEANS.items():
        assert f"{sign} {name}" in shown
    assert (
        "The desk <b> zendesk ✗ quiet: 2 d ago 2031-07-07 17:00:00 3 min ago: 2 tickets had changed – … 1 ! 1" in shown
    )
    assert "mail mail · not yet – – – –" in shown, "a mail has no API"
    assert "gone (no file any more) jira" in shown
    assert "nothing was heard of zendesk/desk for 48 h" in shown
    assert "zendesk/desk/evt-7 ticket.created detail.id ticket is missing" in shown
    assert "of a customer" not in page.text
    assert "no-store" in page.headers["cache-control"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text


async def test_the_log_is_narrowed_by_the_address_and_every_link_keeps_the_rest(asked: Asked) -> None:
    await asked.fills()
    assert rows(await asked.get("?outcome=kept")) == ["kept"]
    assert rows(await asked.get("?ticket=4712&source=desk")) == ["duplicate"]
    assert rows(await asked.get("?source=mail")) == []
    assert rows(await asked.get("?limit=2")) == ["refused", "kept"]
    page = await asked.get("?outcome=kept&source=zendesk/desk")
    links = {html.unescape(link) for link in re.findall(r'href="(/[^"]*)"', page.text)}
    assert "/deliveries?source=zendesk%2Fdesk&outcome=refused#log" in links
    assert "/deliveries?outcome=kept#log" in links
    for link in links:
        assert (await asked.get(link.removeprefix("/deliveries").partition("#")[0])).status_code == 200


async def test_a_program_gets_the_same_facts_as_json_and_no_bodies(asked: Asked) -> None:
    await asked.fills()
    came = await asked.get("?outcome=accepted", PROGRAM)
    facts = came.json()
    assert [one["tickets"] for one in facts["deliveries"]] == [["4711"]]
    assert [(one["name"], one["letters"], one["spooled"]) for one in facts["sources"]] == [
        ("desk", 1, 1), ("mail", 0, 0), ("gone", 0, 0),
    ]  # fmt: skip
    (letter,) = facts["letters"]
    assert (letter["id"], facts["waiting"]) == (LETTER.id, 1)
    assert "body" not in letter


@ON_SQLITE
async def test_what_strangers_wrote_is_only_text(asked: Asked) -> None:
    await DeliveryStore(asked.engine).put(
        [replace(ONE, kind=NASTY, detail=NASTY, tickets=(NASTY,), source=f"x/{NASTY}", outcome=NASTY)]
    )
    await DeadLetterStore(asked.engine).put(replace(LETTER, id=NASTY, why=NASTY, kind=NASTY, subject=NASTY))
    page = await asked.get(f"?ticket={httpx.QueryParams(t=NASTY)['t']}".replace("&", "%26").replace("#", "%23"))
    for shown in (page, await asked.get()):
        assert shown.status_code == 200
        assert "<script" not in shown.text
        assert shown.text.count("<form") == shown.text.count("</form>")
    assert texts(await asked.get()).count('<script>alert("x")</script>') >= 6


@ON_SQLITE
@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer nobody"}, {"authorization": "Basic !!"}, {"authorization": "Basic OnRoZQ=="},
     {"authorization": "Bearer "}, {"authorization": TOKEN}],
)  # fmt: skip
async def test_without_a_token_nothing_is_shown_or_done(asked: Asked, headers: dict[str, str]) -> None:
    await asked.fills()
    for method, path in (("GET", ""), ("POST", "/letters/replay")):
        came = await asked.http.request(method, f"/deliveries{path}", headers=headers)
        assert came.status_code == 401
        assert came.headers["www-authenticate"].startswith("Basic realm=")
        assert "desk" not in came.text
    assert asked.replayed == []


@ON_SQLITE
async def test_without_any_token_set_up_nobody_is_let_in(asked: Asked) -> None:
    page = DeliveriesPage(asked.engine, IntakeSettings(), asked.sources, asked)
    app = create_app(Taken(), IntakeSettings(), pages=[page.router()])  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake") as http:
        assert (await http.get("/deliveries", auth=("", ""))).status_code == 401


async def test_every_active_token_opens_it_as_a_bearer_too(asked: Asked) -> None:
    for token in (TOKEN, OTHER):
        assert (await asked.get(token=token)).status_code == 200
        came = await asked.http.get("/deliveries", headers={"authorization": f"Bearer {token}"})
        assert came.status_code == 200


async def test_the_button_replays_the_letter_and_the_page_says_what_came_of_it(asked: Asked) -> None:
    await asked.fills()
    page = (await asked.get()).text
    fields = dict(re.findall(r'type="hidden" name="(id|proof)" value="([^"]+)"', page))
    came = await asked.press(fields)
    assert (came.status_code, asked.replayed) == (200, [LETTER.id])
    assert "✓ zendesk/desk/evt-7: replayed: 2 words brought to 4711" in texts(came)


@ON_SQLITE
@pytest.mark.parametrize(
    ("fault", "status"),
    [(NotSeenTo("it was seen to before"), 409), (Unavailable("Temporal is away"), 503), (NotKept("no records"), 503)],
)
async def test_a_letter_that_still_cant_be_brought_says_why(asked: Asked, fault: Exception, status: int) -> None:
    asked.fault = fault
    form = {"id": LETTER.id, "proof": asked.page.proof(LETTER.id)}
    came = await asked.press(form)
    assert (came.status_code, f"✗ {fault}" in texts(came)) == (status, True)
    came = await asked.press(form, PROGRAM)
    assert (came.status_code, came.json()) == (status, {"id": LETTER.id, "done": False, "error": str(fault)})


@ON_SQLITE
async def test_another_site_cant_press_the_button(asked: Asked) -> None:
    for form in (
        {"id": LETTER.id},
        {"id": LETTER.id, "proof": asked.page.proof("another")},
        {"id": LETTER.id, "proof": "é"},
    ):
        assert (await asked.press(form)).status_code == 403
    assert asked.replayed == []
    bearer = {"authorization": f"Bearer {TOKEN}", **PROGRAM}
    came = await asked.http.post("/deliveries/letters/replay", data={"id": LETTER.id}, headers=bearer)
    assert came.json() == {"id": LETTER.id, "done": True, "how": "replayed: 2 words brought to 4711"}


@ON_SQLITE
@pytest.mark.parametrize("query", ["?outcome=lost", "?limit=0", "?limit=1001", "?limit=x", "?limit=²", "?limit="])
async def test_what_cant_be_asked_is_refused_in_a_sentence(asked: Asked, query: str) -> None:
    came = await asked.get(query)
    assert came.status_code == 422
    assert "is no" in came.json()["error"]


@ON_SQLITE
async def test_a_form_that_is_none_is_refused(asked: Asked) -> None:
    for body in (b"\xff\xfe", b"&".join([b"a=1"] * 20)):
        came = await asked.http.post("/deliveries/letters/replay", content=body, auth=("", TOKEN))
        assert came.status_code == 400


@ON_SQLITE
async def test_sources_whose_files_are_broken_hide_nothing_else(asked: Asked) -> None:
    await asked.fills()
    asked.sources_fault = NotKept("the files of the sources can't be used")
    page = await asked.get()
    assert page.status_code == 200
    assert "✗ the files of the sources can't be used" in texts(page)
    assert len(rows(page)) == len(MEANS)
    assert "no file any more" not in texts(page), "which have one is not known just now"


@ON_SQLITE
async def test_records_that_are_down_are_told_of_and_no_fault(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(DeliveryStore, "recent", down)
    came = await asked.get()
    assert (came.status_code, "records can't be reached" in came.json()["error"]) == (503, True)
