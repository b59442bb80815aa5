"""The one way in for every connected helpdesk: the order of work, what each fault answers, and that nothing is ever lost."""

import asyncio
import json
import socket
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.policies import Policies
from records.shelf import Shelf
from sla.intake import Adapter, Read, Told, Unusable, moment, part, text_of, word
from sla.signing import Hook, bearer
from sla.source import Source
from starter import in_time, senders, source_hooks
from starter.dispatch import TemporalDispatch
from starter.sources import adapter
from tests.front_desk import ACME, NOW, OLD, SECRET, Desk

DESK = Source(name="desk", kind="toy", organisations={"7": "acme"}, domains={"other.example": "other"})
BODY = {"ticket": "4711", "event": "opened", "at": "2031-07-07T16:00:00Z", "by": "ann@acme.example", "priority": "P1"}


def read(body: Any, source: Source, received: datetime) -> Read:
    ticket, kind = text_of(part(body, "ticket")), text_of(part(body, "event")) or ""
    if kind == "hello":
        return Read(answer=text_of(part(body, "challenge")), ignored="set-up", kind=kind)
    if kind == "noise":
        return Read(ignored="noise is no event that matters", kind=kind)
    if ticket is None:
        raise Unusable("ticket is missing", "ticket")
    if kind == "thin":
        return Read((Told(ticket, look=True),), kind=kind)
    at = moment(part(body, "at"), received)
    if kind == "taken":
        words = (word("toy:taken", at, received, event="acknowledged", by="dana"),)
        return Read((Told("", words, incident="incident/desk/4711"),), kind=kind)
    said = {name: value for name, value in body.items() if name in ("event", "by", "priority")}
    doubts = tuple(filter(None, [text_of(part(body, "doubt"))]))
    if kind == "parked":
        return Read((Told(ticket, doubts=("the status 'Parked' means nothing here",)),), kind=kind)
    told = Told(
        ticket, (word(f"{source.name}:{ticket}:{kind}", at, received, **said),), text_of(part(body, "by")),
        text_of(part(body, "organisation")), text_of(part(body, "customer")), doubts=doubts,
    )  # fmt: skip
    return Read((told,), kind=kind)


TOY = Adapter("toy", "Toy desk", read, bearer, delivery_id=lambda hook: hook.header("x-id"), limit=10_000)


def _toys(monkeypatch: pytest.MonkeyPatch, how: Adapter = TOY) -> None:
    """The toy desk is the one kind that there is."""
    for module in (source_hooks, senders):
        monkeypatch.setattr(module, "KINDS", {"toy": "toy"})
        monkeypatch.setattr(module, "adapter", lambda kind: how)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    _toys(monkeypatch)
    return Desk(DESK)


async def send(
    desk: Desk, secret: str | None = SECRET, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    who = {} if secret is None else {"authorization": f"Bearer {secret}"}
    return await desk.post("/hooks/toy/desk", json.dumps(BODY | fields).encode(), who | (headers or {}))


async def test_a_delivery_is_brought_to_its_incident_with_the_times_of_the_source(desk: Desk) -> None:
    answer = await send(desk)
    assert (answer.status_code, answer.json()) == (
        202, {"accepted": True, "workflows": ["incident/desk/4711"], "words": 1},
    )  # fmt: skip
    ((source, ticket, customer, said),) = desk.door.words
    assert (source, ticket, customer) == ("desk", "4711", "acme")
    assert (said.key, said.occurred_at.hour, said.received_at) == ("desk:4711:opened", 16, NOW)
    (noted,) = desk.notes.records
    assert (noted.source, noted.outcome, noted.tickets, noted.words) == ("toy/desk", "accepted", ("4711",), 1)


async def test_every_active_secret_opens_and_no_other_does_in_the_same_words(desk: Desk) -> None:
    assert (await send(desk, OLD)).status_code == 202
    refused = [
        await send(desk, None), await send(desk, SECRET[:-1]), await send(desk, SECRET.upper()),
        await desk.post("/hooks/toy/nobody", b"{}", {"authorization": f"Bearer {SECRET}"}),
        await desk.post("/hooks/no-such-kind/desk", b"{}", {"authorization": f"Bearer {SECRET}"}),
    ]  # fmt: skip
    assert {(answer.status_code, answer.text) for answer in refused} == {(401, refused[0].text)}
    assert len(desk.door.words) == 1
    assert desk.notes.outcomes == ["accepted"] + ["refused"] * 5


async def test_the_same_delivery_again_is_a_duplicate_and_another_body_under_its_id_is_refused(desk: Desk) -> None:
    first = await send(desk, headers={"x-id": "d1"})
    again = await send(desk, headers={"x-id": "d1"})
    other = await send(desk, headers={"x-id": "d1"}, priority="P2")
    assert [a.status_code for a in (first, again, other)] == [202, 200, 409]
    assert again.json() == {"accepted": True, "duplicate": True}
    assert len(desk.door.words) == 1


async def test_what_is_rightly_signed_and_can_not_be_read_is_a_dead_letter_and_can_be_taken_again(desk: Desk) -> None:
    auth = {"authorization": f"Bearer {SECRET}"}
    for raw in (b"[[[", b'{"ticket": "1", "ticket": "2"}', b'{"event": "opened"}', b"\xff\xfe", b'{"n": NaN}'):
        answer = await desk.post("/hooks/toy/desk", raw, auth)
        assert answer.status_code == 200
        assert answer.json()["accepted"] is False
    assert len(desk.letters.kept) == 5
    assert not desk.door.touched
    letter = next(one for one in desk.letters.kept.values() if one.why == "ticket is missing")
    with pytest.raises(Unusable):
        await desk.hooks.replay(letter)
    object.__setattr__(letter, "body", json.dumps(BODY))
    assert await desk.hooks.replay(letter) == "1 words brought to 4711"
    assert desk.door.words


async def test_a_dead_letter_hands_over_the_very_bytes_that_came(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails and whatever else is no UTF-8: a text made of it in passing would read otherwise, and its parts have other lengths."""
    came: list[bytes] = []

    def mail(body: Any, source: Source, received: datetime) -> Read:
        came.append(body)
        if len(came) == 1:
            raise Unusable("the mail names no sender in From")
        return Read((Told("4711", (word("toy:mail", received, received, event="opened"),)),))

    _toys(monkeypatch, Adapter("toy", "Toy desk", mail, bearer, body="mail"))
    raw = "Subject: Störung\r\n\r\nAußen \0 nichts.".encode("latin-1") + bytes(range(256))
    assert (await desk.post("/hooks/toy/desk", raw, {"authorization": f"Bearer {SECRET}"})).json()["accepted"] is False
    (letter,) = desk.letters.kept.values()
    assert "Störung" in letter.body
    assert await desk.hooks.replay(letter) == "2 words brought to 4711"
    assert came == [raw, raw]


async def test_unknown_types_are_ignored_and_counted_and_a_challenge_is_answered(desk: Desk) -> None:
    assert (await send(desk, event="noise")).json() == {"accepted": False, "ignored": "noise is no event that matters"}
    answer = await send(desk, event="hello", challenge="abc")
    assert (answer.status_code, answer.text) == (200, "abc")
    assert desk.notes.outcomes == ["ignored", "ignored"]


async def test_a_ticket_of_nobody_known_opens_all_the_same_and_waits_in_the_triage_queue(desk: Desk) -> None:
    await send(desk, by="zoe@nowhere.example")
    customers = {customer for _, _, customer, _ in desk.door.words}
    doubts = [word.event.what for *_, word in desk.door.words if word.event.event == "doubted"]  # type: ignore[union-attr]
    assert customers == {"unknown"}
    assert doubts == ["nobody knows whose ticket it is: nowhere.example; the default contract holds"]


@pytest.mark.parametrize(
    ("fields", "customer"),
    [
        ({"organisation": "7", "by": "zoe@other.example"}, "acme"),
        ({"by": "zoe@OTHER.example"}, "other"),
        ({"by": "new.person@acme.example"}, "acme"),
        ({"customer": "acme", "by": "zoe@other.example"}, "acme"),
        ({"customer": "zebra", "by": "ann@acme.example"}, "unknown"),
    ],
)
async def test_whose_ticket_it_is(desk: Desk, fields: dict[str, Any], customer: str) -> None:
    """The company before the source's own domains before the customers' records."""
    await send(desk, **fields)
    assert {customer for _, _, customer, _ in desk.door.words} == {customer}


async def test_a_doubt_is_told_once_however_often_the_ticket_comes(desk: Desk) -> None:
    await send(desk, doubt="the status 'Parked' means nothing here")
    await send(desk, doubt="the status 'Parked' means nothing here", at="2031-07-07T16:30:00Z")
    doubts = {word.key for *_, word in desk.door.words if word.event.event == "doubted"}
    assert len(doubts) == 1


async def test_a_doubt_alone_reaches_the_ticket(desk: Desk) -> None:
    await send(desk, event="parked")
    assert [word.event.event for *_, word in desk.door.words] == ["doubted"]


async def test_while_temporal_is_away_words_are_spooled_and_only_where_that_fails_too_the_sender_comes_again(
    desk: Desk,
) -> None:
    desk.door.away = True
    answer = await send(desk)
    assert (answer.status_code, answer.json()["spooled"]) == (202, True)
    assert [(kept[:3], len(kept[3])) for kept in desk.waiting.kept] == [(("desk", "4711", "acme"), 1)]
    desk.waiting.down = True
    answer = await send(desk, headers={"x-id": "d2"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    desk.waiting.down = desk.door.away = False
    assert (await send(desk, headers={"x-id": "d2"})).status_code == 202
    assert len(desk.door.words) == 1


async def test_a_server_that_hangs_is_answered_for_in_under_three_seconds(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least patient senders wait three seconds; a Temporal that takes a connection and says nothing must not cost the word."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        port = hung.getsockname()[1]
        client = await Client.connect(f"127.0.0.1:{port}", lazy=True, data_converter=pydantic_data_converter)
        monkeypatch.setattr(desk.hooks, "dispatch", TemporalDispatch(client))
        began = time.monotonic()
        answer = await send(desk)
        assert time.monotonic() - began < 3
    assert (answer.status_code, answer.json()["spooled"]) == (202, True)
    assert len(desk.waiting.kept) == 1


async def test_where_the_records_hang_as_well_the_sender_is_answered_in_time_and_what_was_begun_is_carried_through(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that takes a connection and says nothing fails nothing: only our own patience ends it."""
    monkeypatch.setattr(in_time, "LONGEST", 0.05)
    hangs, put = asyncio.Event(), desk.waiting.put

    async def slowly(*words: Any, **how: Any) -> None:
        await hangs.wait()
        await put(*words, **how)

    monkeypatch.setattr(desk.waiting, "put", slowly)
    desk.door.away = True
    answer = await send(desk)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert desk.notes.outcomes == ["refused"], "so that it is no repetition when it comes again"
    hangs.set()
    while not desk.waiting.kept:
        await asyncio.sleep(0)
    assert (await send(desk)).status_code == 202


async def test_a_word_for_an_incident_that_runs_no_more_is_not_said_to_be_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(incident: str, words: object) -> str:
        return ""

    monkeypatch.setattr(desk.door, "existing", gone)
    answer = await send(desk, event="taken")
    assert (answer.status_code, answer.json()["accepted"]) == (200, False)
    assert desk.notes.outcomes == ["ignored"]


async def test_where_a_dead_letter_can_not_be_kept_the_sender_comes_again(desk: Desk) -> None:
    desk.letters.down = True
    answer = await desk.post("/hooks/toy/desk", b"[[[", {"authorization": f"Bearer {SECRET}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


async def test_words_for_one_incident_open_none_and_a_thin_delivery_has_the_ticket_read(desk: Desk) -> None:
    await send(desk, event="taken")
    assert [(incident, word.event.event) for incident, word in desk.door.existing_words] == [
        ("incident/desk/4711", "acknowledged")
    ]
    await send(desk, event="thin")
    assert desk.door.looks == [("desk", "4711")]
    assert not desk.door.words


async def test_a_trial_delivery_shows_what_it_would_tell_and_tells_nobody(desk: Desk) -> None:
    answer = await send(desk, headers={"x-pactkeeper-test": "1"})
    assert answer.status_code == 200
    (told,) = answer.json()["told"]
    assert (told["ticket"], told["customer"], told["words"][0]["event"]) == ("4711", "acme", "opened")
    assert not desk.door.touched
    assert desk.notes.records == []
    assert (await send(desk, None, headers={"x-pactkeeper-test": "1"})).status_code == 401


async def test_what_is_too_large_is_refused_before_anything_else(desk: Desk) -> None:
    answer = await desk.post("/hooks/toy/desk", b"x" * 10_001)
    assert answer.status_code == 413
    assert not desk.door.touched


async def test_while_temporal_is_away_a_nudge_to_look_waits_as_well(desk: Desk) -> None:
    """A source may never be read in rounds, and then nobody else would ever look."""
    desk.door.away = True
    answer = await send(desk, event="thin")
    assert (answer.status_code, answer.json()["spooled"]) == (202, True)
    assert desk.waiting.kept == [("desk", "4711", "unknown", (), None)]
    desk.waiting.down = True
    assert (await send(desk, event="thin", priority="P2")).status_code == 503


@pytest.mark.parametrize("kind", ["jira", "zendesk", "freshdesk"])
def test_a_nudge_to_look_that_reads_the_same_a_minute_later_is_no_repetition(kind: str) -> None:
    """`{"issue": {"key": "OPS-1"}}` is sent for each change: the second is as new as the first."""
    raw = b'{"pactkeeper": "zendesk-trigger", "ticket": {"id": "1"}, "issue": {"key": "OPS-1"}}'
    ids = [adapter(kind).delivery_id(Hook({}, raw, NOW + timedelta(seconds=s))) for s in (0, 0, 60)]
    assert ids[0] == ids[1] != ids[2]
    assert all(ids)


async def test_a_delivery_of_very_many_tickets_is_answered_in_time_while_temporal_is_slow(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Temporal has not taken within the sender's patience is spooled, and the sender waits once, not once a ticket."""
    said = word("toy:outage", NOW, NOW, event="reopened")
    many = Adapter(
        "toy", "Toy desk", lambda body, source, at: Read(tuple(Told(str(i), (said,)) for i in range(200))), bearer
    )
    _toys(monkeypatch, many)
    monkeypatch.setattr(source_hooks, "PATIENCE", 0.1)

    async def slow() -> None:
        await asyncio.sleep(30)  # never waited for: it is given up

    monkeypatch.setattr(desk.door, "ready", slow)
    async with asyncio.timeout(10):
        answer = await send(desk)
    assert (answer.status_code, answer.json()["spooled"], answer.json()["words"]) == (202, True, 400)
    assert len({ticket for _, ticket, *_ in desk.waiting.kept}) == 200


async def test_what_strangers_put_into_an_address_is_in_no_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """It may be the secret of another hook, and it may be made up without end."""
    for path in (f"/hooks/toys/{SECRET}", f"/hooks/toy/{SECRET}", f"/hooks/generic/{SECRET}"):
        assert (await desk.post(path, b"{}")).status_code == 401
    assert [note.source for note in desk.notes.records] == ["unknown", "toy/unknown", "generic/unknown"]
    assert SECRET not in caplog.text


async def test_a_broken_file_of_one_source_keeps_no_other_from_being_heard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And the source whose file it is comes again, once it is known to be that source; last read, it goes on as it was."""
    _toys(monkeypatch)
    made = Desk(DESK, Source(name="other", kind="toy"))
    made.hooks.only = None
    made.hooks.policies = Policies(Shelf(tmp_path), only={"acme": ACME})
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "desk.yaml").write_text("name: desk\nkind: toy\ncustomer: acme\n")
    (folder / "other.yaml").write_text("name: other\nkind: [\n")
    raw, auth = json.dumps(BODY).encode(), {"authorization": f"Bearer {SECRET}"}
    assert (await made.post("/hooks/toy/desk", raw, auth)).status_code == 202
    assert (await made.post("/hooks/toy/other", raw, auth)).status_code == 503
    assert (await made.post("/hooks/toy/other", raw, {})).status_code == 401
    (folder / "desk.yaml").write_text("name: desk\nkind: [\n")
    assert (await made.post("/hooks/toy/desk", raw, auth)).status_code in (200, 202)
