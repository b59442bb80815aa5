"""`play`: what it prints where, and its exit status."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.terminal import ROOT, Run, run

__all__ = ["run"]


def story(folder: Path, name: str = "tiny.yaml", **changes: Any) -> Path:
    """A small story; JSON is YAML, too."""
    told: dict[str, Any] = {
        "title": "Tiny",
        "contract": "tromzo",
        "happens": [
            {"at": "2031-07-11 16:00", "ticket": "1", "event": "opened", "priority": "P1", "by": "ann@acme.example"},
            {"at": "2031-07-11 16:30", "ticket": "1", "event": "agent_replied", "by": "dana"},
        ],
        "until": "2031-07-11 17:00",
        "expect": {"incidents": {"1": {"phase": "open", "clocks": {"response": {"state": "met"}}}}},
    }
    path = folder / name
    path.write_text(json.dumps(told | changes))
    return path


def test_play_gives_0_when_all_that_is_expected_holds_and_prints_json_alone(run: Run, tmp_path: Path) -> None:
    code, out, err = run("play", "--engine", "core", "--json", str(story(tmp_path)))
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["engine"] == "core"
    assert told["incidents"]["1"]["clocks"]["response"]["used_seconds"] == 1800


def test_play_gives_1_and_a_line_for_each_difference(run: Run, tmp_path: Path) -> None:
    expect = {"incidents": {"1": {"phase": "closed", "clocks": {"response": {"state": "missed"}}}}}
    code, out, err = run("play", "--engine", "core", str(story(tmp_path, expect=expect)))
    assert code == 1
    assert err.splitlines() == [
        "expect.incidents.1.phase: expected 'closed', got 'open'",
        "expect.incidents.1.clocks.response.state: expected 'missed', got 'met'",
    ]
    assert "All that is expected holds" not in out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"contract": "trozmo"}, "there is no contract 'trozmo'"),
        ({"happens": []}, "happens is empty"),
        (
            {"happens": [{"at": "2031-07-11 16:00", "ticket": "1", "event": "exploded"}]},
            "an event of a ticket is one of",
        ),
        ({"until": "2031-07-10 16:00"}, "before the story's first event"),
        ({"untill": "2031-07-12 16:00"}, "untill"),
    ],
)
def test_play_gives_2_when_a_story_cannot_be_read(
    run: Run, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    path = story(tmp_path, **changes)
    code, out, err = run("play", "--engine", "core", "--json", str(path))
    assert (code, out) == (2, "")
    assert sentence in err
    assert re.match(rf"{re.escape(str(path))}:\d+: ", err)


def test_play_reads_all_its_stories_before_it_plays_one(run: Run, tmp_path: Path) -> None:
    good, bad = story(tmp_path), story(tmp_path, "bad.yaml", contract="trozmo")
    code, out, err = run("play", "--engine", "core", str(good), str(bad), str(tmp_path / "absent.yaml"))
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2


def test_play_of_several_says_which_story_a_difference_is_in(run: Run, tmp_path: Path) -> None:
    good, bad = story(tmp_path), story(tmp_path, "bad.yaml", expect={"incidents": {"1": {"priority": "P2"}}})
    code, out, err = run("play", "--engine", "core", "--json", str(good), str(bad))
    assert code == 1
    assert err == f"{bad}: expect.incidents.1.priority: expected 'P2', got 'P1'\n"
    assert [told["title"] for told in json.loads(out)] == ["Tiny", "Tiny"]


def test_the_real_workflows_play_only_what_lies_ahead(run: Run, tmp_path: Path) -> None:
    entry = {"at": "2001-07-11 16:00", "ticket": "1", "event": "opened", "priority": "P1"}
    code, _, err = run("play", str(story(tmp_path, happens=[entry], until="2001-07-12 16:00")))
    assert code == 2
    assert "play it with --engine core" in err


def test_play_on_the_real_workflows_prints_json_alone_and_ends_cleanly(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "from starter.cli import main; main()", "play", "--json", str(story(tmp_path))]
    came = subprocess.run(
        words, check=False, cwd=ROOT, capture_output=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert came.returncode == 0, came.stderr
    told = json.loads(came.stdout)
    assert told["engine"] == "temporal"
    assert told["incidents"]["1"]["clocks"]["response"]["state"] == "met"


def test_a_played_story_reads_well(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("play", "--engine", "core", str(story(tmp_path)))
    assert code == 0
    for words in (
        "Tiny",
        "1 · open · P1 · dana has it",
        "✔ met",
        "██░░░░░░░░ 25 %",
        "agent replied",
        "acknowledgement",
        "All that is expected holds.",
    ):
        assert words in out
