"""What the sources sent, at the terminal: `deliveries`, `sources` and `letters`, without a server."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from records import database
from records.dead_letters import DeadLetterStore, Letter
from records.deliveries import CARRIED_OUT, DeliveryStore
from records.sources import SourceState, SourceStore
from records.spool import Spool, Spooled
from sla.source import Source
from starter.commands.deliveries import COLOURS
from starter.home import Home
from starter.outcomes import MEANS, Outcome
from starter.source_rows import lines
from tests.terminal import Run, run
from tests.test_deliveries import ONE
from tests.test_spooler import said

__all__ = ["run"]
NOW = datetime.now(UTC)
LETTER = Letter(
    id="zendesk/desk/evt-7", source="zendesk/desk", received_at=NOW, why="ticket is missing", kind="ticket.created",
    subject="detail.id", body='{"ticket": {"subject": "\\u001b[31mred"}}',
)  # fmt: skip
Fill = Callable[[AsyncEngine], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Policies with two sources."""
    folder = tmp_path / "policies" / "sources"
    folder.mkdir(parents=True)
    (folder / "desk.yaml").write_text("name: desk\nkind: zendesk\ntitle: The desk\nurl: https://acme.example\n")
    (folder / "mail.yaml").write_text("name: mail\nkind: mail\n")
    monkeypatch.setenv("PACTKEEPER_POLICIES", str(folder.parent))
    return folder


def fill(fills: Fill) -> None:
    """Put something into the records of the installation that a test runs on."""
    url = Home.here().database
    database.upgrade(url)

    async def filled() -> None:
        engine = database.engine(url)
        try:
            await fills(engine)
        finally:
            await engine.dispose()

    asyncio.run(filled())


async def one_of_each(engine: AsyncEngine) -> None:
    await DeliveryStore(engine).put(
        [
            replace(
                ONE, id=name, outcome=name, kind=f"a {name}", received_at=NOW - timedelta(minutes=i), tickets=(f"{i}",),
                detail="401: not signed" if name == "refused" else "", words=0 if name == "duplicate" else 2,
            )
            for i, name in enumerate(MEANS)
        ]
    )  # fmt: skip


async def letters(engine: AsyncEngine) -> None:
    await DeadLetterStore(engine).put(LETTER)
    spooled = replace(
        LETTER, id="spool/desk/1", source="spool/desk", received_at=NOW - timedelta(hours=1), body="no json"
    )
    await DeadLetterStore(engine).put(spooled)
    await DeadLetterStore(engine).put(replace(spooled, id="stripe/main/evt_1", source="stripe/main"))


def test_where_nothing_was_set_up_yet_everything_is_empty_and_nothing_is_made(run: Run) -> None:
    assert run("deliveries")[:2] == (0, "Nothing has been delivered yet.\n")
    assert run("letters")[:2] == (0, "No dead letter waits.\n")
    code, out, _ = run("sources")
    assert (code, out.count("· not heard yet")) == (0, 2)
    for command in ("deliveries", "letters"):
        assert json.loads(run(command, "--json")[1]) == []
    assert "there is no dead letter 'x'" in run("letters", "show", "x")[2]
    assert not Home.here().state.exists()


def test_every_outcome_has_a_sign_a_colour_and_a_meaning() -> None:
    assert tuple(MEANS) == get_args(Outcome) == tuple(COLOURS)
    assert set(CARRIED_OUT) == set(MEANS) - {"refused"}
    assert len({sign for sign, _ in MEANS.values()}) == len(MEANS)


def test_deliveries_are_listed_the_newest_first_with_what_became_of_them(run: Run) -> None:
    fill(one_of_each)
    code, out, _ = run("deliveries")
    lines = out.splitlines()
    assert code == 0
    for line, (name, (sign, _)) in zip(lines[1:], MEANS.items(), strict=True):
        assert f"{sign} {name}" in line
        assert f"a {name}" in line
    assert "401: not signed" in lines[6]
    assert lines[1].rstrip().endswith("2 words")
    assert lines[2].rstrip().endswith("–")
    assert len(run("deliveries", "--outcome", "kept")[1].splitlines()) == 2
    assert len(run("deliveries", "--limit", "3")[1].splitlines()) == 4
    assert "a kept" in run("deliveries", "--ticket", "4", "--source", "desk")[1]
    assert run("deliveries", "--source", "mail")[1] == "No such delivery is in the log.\n"
    code, _, err = run("deliveries", "--outcome", "lost")
    assert (code, "'accepted', 'duplicate'" in err) == (2, True)


def test_deliveries_are_json_for_a_script(run: Run) -> None:
    fill(one_of_each)
    (told,) = json.loads(run("deliveries", "--outcome", "accepted", "--json")[1])
    one = asdict(replace(ONE, id="accepted", kind="a accepted", received_at=NOW, tickets=("0",)))
    assert told == json.loads(json.dumps(one, default=str))


def test_below_the_list_stands_what_waits(run: Run) -> None:
    async def waits(engine: AsyncEngine) -> None:
        await letters(engine)
        await Spool(engine).put(Spooled("1", "desk", "4713", "acme", None, (said("a"),), NOW))

    fill(waits)
    out = run("deliveries")[1]
    assert "… 1 delivery waits for Temporal" in out
    assert "! 3 dead letters wait for somebody: `pactkeeper letters` lists them." in out


def test_sources_tell_when_they_were_heard_and_which_have_gone_quiet(run: Run) -> None:
    async def states(engine: AsyncEngine) -> None:
        await letters(engine)
        store = SourceStore(engine)
        await store.seen("mail", "mail", NOW - timedelta(hours=2))
        await store.heard({("desk", "zendesk"): NOW - timedelta(days=2), ("gone", "jira"): NOW - timedelta(days=9)})
        just = datetime.now(UTC)  # for this may run long after `NOW`, at which the tests were collected
        await store.read("desk", "zendesk", NOW, just - timedelta(minutes=3, seconds=1), "2 tickets had changed")

    fill(states)
    code, out, _ = run("sources")
    lines = out.splitlines()
    assert code == 0
    assert "✗ quiet: 2 d ago" in lines[1]
    assert "3 min ago: 2 tickets had changed" in lines[1]
    assert "! 2" in lines[1], "its own, and what the spool gave up"
    assert "· not heard yet" in lines[2]
    assert "is not set up" not in lines[2], "a mail has no API"
    assert "gone (no file any more)" in lines[3]
    assert "· 9 d ago" in lines[3]
    assert lines[4].startswith("✗ nothing was heard of zendesk/desk for 48 h")
    told = json.loads(run("sources", "--json")[1])
    assert [(one["name"], bool(one["alarm"]), one["letters"]) for one in told] == [
        ("desk", True, 2), ("mail", False, 0), ("gone", False, 0),
    ]  # fmt: skip


def test_a_source_without_a_file_is_listed_while_there_is_something_to_say_of_it() -> None:
    old, fresh = NOW - timedelta(days=31), NOW - timedelta(days=29)
    ages = {"heard": fresh, "old": old, "waits": old, "dead": old, "given up": old}
    states = {name: SourceState(name, "jira", old, heard_at=at) for name, at in ages.items()}
    states["read"] = SourceState("read", "jira", old, read_at=fresh)
    counts = {("jira/heard", "ignored"): 3, ("jira/heard", "accepted"): 12, ("zendesk/heard", "kept"): 1}
    assert next(one.day for one in lines({}, states, {}, {}, NOW, counts)) == {"accepted": 12, "ignored": 3}
    told = lines({}, states, {"waits": 2}, {"jira/dead": 1, "spool/given up": 1, "jira/other": 1}, NOW)
    assert [one.name for one in told] == ["dead", "given up", "heard", "read", "waits"]
    assert not any(one.connected or one.alarm or one.quiet_since for one in told)
    back = {"old": Source(name="old", kind="jira")}
    assert next(one.name for one in lines(back, states, {}, {}, NOW)) == "old", "connected again, it is there again"


def test_without_any_source_it_says_how_to_connect_one(run: Run, connected: Path) -> None:
    for file in connected.iterdir():
        file.unlink()
    assert "`pactkeeper connect` shows how" in run("sources")[1]


def test_letters_are_listed_shown_and_dropped_with_a_reason(run: Run) -> None:
    fill(letters)
    assert json.loads(run("letters", "--json")[1])[0]["id"] == LETTER.id
    assert [one["id"] for one in json.loads(run("letters", "--source", "zendesk/desk", "--json")[1])] == [LETTER.id]
    assert len(json.loads(run("letters", "--source", "desk", "--json")[1])) == 2
    code, out, _ = run("letters", "show", LETTER.id)
    assert code == 0
    assert "why       ticket is missing" in out
    assert "seen to   not yet" in out
    assert '"subject": "\\u001b[31mred"' in out, "what could move a cursor does not"
    assert json.loads(run("letters", "show", LETTER.id, "--json")[1])["body"] == LETTER.body
    assert "no json" in run("letters", "show", "spool/desk/1")[1]
    assert run("letters", "drop", LETTER.id, "--why", " ")[0] == 2
    assert run("letters", "drop", LETTER.id, "--why", "a test")[:2] == (0, f"{LETTER.id}: dropped: a test\n")
    assert run("letters", "drop", LETTER.id, "--why", "a test")[0] == 1
    assert LETTER.id not in run("letters")[1]
    assert "dropped: a test" in run("letters", "--all")[1]
    assert "dropped: a test" in run("letters", "show", LETTER.id)[1]


def test_the_name_of_a_letter_is_listed_whole_to_be_copied(run: Run) -> None:
    id = f"django-helpdesk/support-desk-of-the-north/sha256-{'0123456789ab' * 6}"

    async def one(engine: AsyncEngine) -> None:
        await DeadLetterStore(engine).put(replace(LETTER, id=id, why="a long reason " * 9, subject="a field of it"))

    fill(one)
    assert f" {id} " in run("letters")[1]


def test_a_replay_needs_an_id_that_waits_and_a_server(run: Run) -> None:
    fill(letters)
    assert "ID is missing; write pactkeeper letters replay ID" in run("letters", "replay")[2]
    assert "there is no dead letter 'x'" in run("letters", "replay", "x")[2]
    code, _, err = run("letters", "replay", LETTER.id)
    assert (code, "127.0.0.1:1" in err) == (1, True)
    assert LETTER.id in run("letters")[1]
