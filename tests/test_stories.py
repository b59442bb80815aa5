"""Every shipped story holds what it expects, on the core and on the real workflows, and both give the same answer."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sla.account_events import ACCOUNT_EVENT_NAMES
from sla.duration import Duration
from sla.events import EVENT_NAMES
from sla.expectation import differences
from starter.engines import play_core
from starter.stories import StoryFileError, load
from tests.stage import ROOT, SHELF, STORIES, Stage, unmet

EVERY = pytest.mark.parametrize("story", STORIES)
CLAUSES = re.compile(r"T0[1-9]|T1[0-2]|B0[1-9]|B1[0-4]|R0[1-9]|R1[0-8]|X0[1-5]")


def core(story: str) -> dict[str, Any]:
    return play_core(load(STORIES[story], SHELF))


@EVERY
def test_a_story_holds_on_the_core(story: str) -> None:
    """What the file expects, worked out by hand in it, is what the pure core comes to."""
    assert unmet(story, core(story)) == []


@EVERY
async def test_a_story_holds_on_the_real_workflows_with_the_same_answer(story: str, stage: Stage) -> None:
    """The JSON of both engines is the same, word for word, but for the engine's name."""
    real = dict(await stage.result(story))
    assert unmet(story, real) == []
    assert real.pop("engine") == "temporal"
    pure = core(story)
    assert pure.pop("engine") == "core"
    assert json.dumps(real, indent=1, sort_keys=True) == json.dumps(pure, indent=1, sort_keys=True)


@EVERY
def test_every_notice_of_a_story_names_its_clause_and_they_are_in_order_of_time(story: str) -> None:
    """So that anyone can ask "why?" and get the contract's answer."""
    for incident in core(story)["incidents"].values():
        sent = incident["notices"]
        assert all(CLAUSES.fullmatch(notice["clause"] or "") for notice in sent), sent
        assert all(notice["to"] for notice in sent), sent
        assert [notice["at"] for notice in sent] == sorted(notice["at"] for notice in sent)


@EVERY
def test_no_step_fires_twice_without_a_reason_and_a_withdrawal_goes_to_those_who_got_it(story: str) -> None:
    """X01: at most once for each clock, but after a withdrawal (X04) or a changed priority."""
    for incident in core(story)["incidents"].values():
        changes = [line["occurred_at"] for line in incident["log"] if line["event"] == "priority_changed"]
        told: dict[tuple[str, str], dict[str, set[str]]] = {}
        for notice in incident["notices"]:
            if notice["step"] is None or notice["kind"] not in ("escalation", "reassignment", "withdrawal"):
                continue
            rung = told.setdefault((notice["clock"], notice["step"]), {})
            if notice["kind"] == "withdrawal":
                assert rung, f"{notice} withdraws what was never told"
                assert set(notice["to"]) == rung.pop(max(rung))
                continue
            again = [at for at in rung if at != notice["at"]]
            assert not any(not [c for c in changes if at < c <= notice["at"]] for at in again), f"{notice} came again"
            rung.setdefault(notice["at"], set()).update(notice["to"])


@EVERY
def test_the_clocks_of_a_story_add_up(story: str) -> None:
    """Used and left are the target, and a clock says of itself only what its state allows."""
    for incident in core(story)["incidents"].values():
        for clock in incident["clocks"].values():
            if clock["left_seconds"] is not None and clock["target"].split()[1:] in (
                ["business", "hours"],
                ["elapsed", "hours"],
            ):
                target = Duration.parse(clock["target"])
                assert clock["used_seconds"] + clock["left_seconds"] == target.amount * 3600
            assert clock["used_seconds"] >= 0
            assert (clock["declared_missed"] is not None) == (clock["state"] == "missed")
            assert clock["stopped"] is None or clock["state"] in ("met", "missed")
            assert clock["due"] is None or clock["state"] in ("running", "met", "missed")


def test_every_clause_of_this_issue_has_a_story() -> None:
    """One at least for each row of the clauses that the engine covers."""
    covered = "T01-12 B01-7 B09 B13-14 R01-2 R06-9 R12 R14-15 X01-5"
    rows = [part.partition("-") for part in covered.split()]
    clauses = {f"{row[0]}{n:02}" for row, _, last in rows for n in range(int(row[1:]), int(last or row[1:]) + 1)}
    assert clauses - {name.partition("-")[0] for name in STORIES} == set()


def test_the_story_in_the_docs_holds_and_every_event_is_told_of_there(tmp_path: Path) -> None:
    """So that the page on stories cannot lie."""
    page = (ROOT / "docs" / "stories.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "story.yaml").write_text(shown)
    loaded = load(tmp_path / "story.yaml", SHELF)
    assert differences(loaded.expect, play_core(loaded), loaded.table) == []
    assert [name for name in (*EVENT_NAMES, *ACCOUNT_EVENT_NAMES) if f"`{name}`" not in page] == []


FIRST = "{at: 2031-07-08 10:00, ticket: a, event: opened, priority: P1, by: ann@acme.example}"
UNREADABLE = {
    "an unknown event": ("[{at: 2031-07-08 10:00, ticket: a, event: opend}]", "", 4, ["'opend'", "opened, customer_replied"]),
    "a field that the event lacks": (
        "[{at: 2031-07-08 10:00, ticket: a, event: closed, kind: fix}]", "", 4, ["kind is no field of closed", "allowed: by"],
    ),
    "an unknown priority": ("[{at: 2031-07-08 10:00, ticket: a, event: opened, priority: S1}]", "", 4, ["'S1'", "P1, P2, P3, P4"]),
    "an end before the beginning": (f"[{FIRST}]", "until: 2031-07-08 09:00", 5, ["before the story's first event", "10:00"]),
    "a word heard before it was said": (
        "[{at: 2031-07-08 10:00, received: 2031-07-08 09:00, ticket: a, event: closed}]", "", 4, ["before it happens"],
    ),
    "a time that is none": ("[{at: tomorrow, ticket: a, event: closed}]", "", 4, ["'tomorrow'", "2031-07-11 16:00"]),
    "nobody's event": ("[{at: 2031-07-08 10:00, event: closed}]", "", 4, ["neither a ticket nor a customer"]),
    "an unknown customer": ("[{at: 2031-07-08 10:00, customer: moon, event: payment_lapsed}]", "", 4, ["'moon'", "acme"]),
    "an unknown field of the story": (f"[{FIRST}]", "untill: 2031-07-09 10:00", 5, ["untill", "until"]),
    "nothing that happens": ("[]", "", 4, ["happens is empty"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_story_that_cannot_be_read_says_where_what_and_what_is_allowed(fault: str, tmp_path: Path) -> None:
    happens, more, line, words = UNREADABLE[fault]
    path = tmp_path / "story.yaml"
    path.write_text(f"title: A story\ncontract: tromzo\nteam: default\nhappens: {happens}\n{more}\n")
    with pytest.raises(StoryFileError) as refused:
        load(path, SHELF)
    (sentence,) = refused.value.sentences
    assert f"story.yaml:{line}: " in sentence
    assert all(word in sentence for word in words), sentence


def test_an_unknown_contract_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    path.write_text(f"title: A story\ncontract: trumzo\nhappens: [{FIRST}]\n")
    with pytest.raises(StoryFileError, match=r"story\.yaml:2: .*bugzero, reciprocity, tromzo"):
        load(path, SHELF)


WRONG = {
    "a state": {"clocks": {"response": {"state": "met"}}},
    "a moment": {"clocks": {"response": {"due": "2031-07-08 12:01"}}},
    "a span": {"clocks": {"response": {"used": "3 business hours"}}},
    "a clock that is not there": {"clocks": {"advice": {"state": "met"}}},
    "more notices than came": {"notices": [{"step": "75%"}, {"step": "75%"}]},
    "a notice that never came": {"notices": [{"kind": "call"}]},
    "no notices": {"notices": []},
    "never a notice that came": {"never": [{"clock": "response", "step": "75%"}]},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_story_that_expects_something_else_is_told_so(what: str) -> None:
    """The comparison can fail, on each thing that a story can name."""
    loaded = load(STORIES["T06-missed-response"], SHELF)
    (fault,) = differences({"incidents": {"4711": WRONG[what]}}, play_core(loaded), loaded.table)
    assert fault.startswith("expect.incidents.4711."), fault
    assert "expected" in fault


def test_stories_play_in_the_future_and_say_what_they_expect() -> None:
    """The server starts at the present and only goes forward."""
    for name, path in STORIES.items():
        loaded = load(path, SHELF)
        assert loaded.script.lines[0].received.year >= 2031, name
        assert loaded.expect.get("incidents"), name
        assert path.read_text(encoding="utf-8").startswith("#"), (
            f"{path.relative_to(ROOT)}: say how the expectation was worked out"
        )
