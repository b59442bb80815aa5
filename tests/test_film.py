"""The film of a played story: lanes that can be read without colour, a clock that only goes forward, sentences that are true."""

import os
import pty
import re
import select
import subprocess
import sys
import xml.dom.minidom
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from records.shelf import Shelf
from sla.timetable import to_us
from starter import film_play
from starter.commands import demo
from starter.engines import play_core
from starter.film import Film, FilmError, film
from starter.film_axis import axis
from starter.film_frame import NARROWEST, Picture
from starter.film_lanes import LEGEND, STATES
from starter.film_screen import PAPER, as_svg, moment_at
from starter.stories import load
from tests.stage import STORIES
from tests.terminal import ROOT, Run, run

__all__ = ["run"]

WEEKEND, WITHDRAWAL, SUSPENSION = (
    "pause-over-a-weekend",
    "X04-withdrawal",
    "R12-suspended-while-not-current",
)
PICTURED = "pause-across-the-deadline"


@cache
def shown(story: str) -> Film:
    loaded = load(STORIES[story], Shelf(ROOT / "policies"))
    return film(loaded, play_core(loaded))


def at(film: Film, local: str) -> datetime:
    return film.table.from_local(datetime.fromisoformat(local))


def frame(film: Film, local: str | None = None, width: int = PAPER, lines: int | None = None) -> list[str]:
    """A frame as a person without colours sees it, line by line."""
    console = Console(width=width, no_color=True, force_terminal=False, legacy_windows=False, _environ={})
    with console.capture() as capture:
        console.print(Picture(film, width).frame(film.ends if local is None else at(film, local), lines))
    return capture.get().splitlines()


def row(lines: list[str], begins: str) -> str:
    return next(line for line in lines if line.startswith(f"│  {begins}"))


def lane(lines: list[str], begins: str) -> str:
    """The glyphs of a clock's lane, each run of one glyph told once."""
    return re.sub(r"(.)\1+", r"\1", re.sub(r"[^━─╍×═✔✖■⚑]", "", row(lines, begins)[20:-25]))


def well_formed(picture: str) -> None:
    xml.dom.minidom.parseString(picture)  # noqa: S318 - our own picture


# Lanes


def test_no_two_glyphs_are_told_apart_by_colour_alone() -> None:
    assert len({glyph.sign for glyph in LEGEND}) == len(LEGEND)
    assert len({glyph.sign for glyph in STATES.values()}) == len(STATES)


def test_a_pause_over_a_weekend_is_drawn_between_two_stretches_that_run() -> None:
    lines = frame(shown(WEEKEND))
    assert lane(lines, "resolution T07") == "━╍━✔⚑"
    assert lane(lines, "response T06") == "━✔⚑"
    assert "✔ met" in row(lines, "response T06")


def test_closed_hours_are_shaded_wherever_nothing_else_is_drawn() -> None:
    shaded = row(frame(shown(WEEKEND)), "2 business hours")
    assert "░░░░░░░░" in shaded
    assert "░" not in "".join(frame(shown(WITHDRAWAL)))


def test_a_clock_that_waits_for_the_opening_is_drawn_thin() -> None:
    assert lane(frame(shown("raised-past-what-is-used")), "response T06") == "━─━✖═■"


def test_a_suspension_has_a_glyph_of_its_own_and_says_what_is_left() -> None:
    lines = frame(shown(SUSPENSION), "2031-07-12 12:00")
    assert lane(lines, "response R09") == "━×"
    assert "× suspended" in row(lines, "response R09")
    assert "6 h left" in row(lines, "8 elapsed hours")


def test_a_deadline_that_moved_leaves_a_hollow_flag() -> None:
    assert "⚐" in row(frame(shown(WEEKEND)), "1 business day")
    assert "⚐" not in row(frame(shown(WEEKEND), "2031-07-11 17:00"), "1 business day")


def test_what_is_heard_late_is_drawn_as_it_was_known_then_and_redrawn_when_it_is_known_better() -> None:
    before, after = frame(shown(WITHDRAWAL), "2031-07-08 12:15"), frame(shown(WITHDRAWAL), "2031-07-08 12:30")
    assert lane(before, "response T06") == "━✖═"
    assert lane(after, "response T06") == "━✔⚑"
    assert re.findall(r"[▲△]\d", row(before, "2 business hours")) == ["▲2", "▲3", "▲4", "▲5"]
    assert re.findall(r"[▲△]\d", row(after, "2 business hours")) == ["▲2", "△3", "△4", "△5"]


def test_the_future_is_not_drawn_but_for_the_deadline() -> None:
    lines = frame(shown(WITHDRAWAL), "2031-07-08 10:30")
    assert lane(lines, "response T06") == "━⚑"
    assert "▶ due Tue 12:00" in row(lines, "response T06")
    assert "1 h 30 min left" in row(lines, "2 business hours")


# Captions


def test_every_moment_is_told_in_a_plain_sentence_with_people_and_clauses() -> None:
    told = [(caption.number, caption.said, caption.told) for caption in shown(WITHDRAWAL).captions]
    assert told == [
        (
            1,
            "Ann opens 4711 as P1 Critical: response due Tue 12:00 (T06) and resolution due Wed 10:00 (T07)",
            ("· Ann is sent the acknowledgement (T09, T11)",),
        ),
        (2, "", ("▲ 50% of the response time is gone and nobody has taken it: Dana gets it (X02)",)),
        (3, "", ("▲ 75% of the response time is gone: Dana is told (X01)",)),
        (4, "", ("▲ 90% of the response time is gone: Dana and Farid are told (X01)",)),
        (5, "the response (T06) is missed", ("▲ Dana, Farid and Gwen are told (X01)",)),
        (
            6,
            "Dana answers the customer (at Tue 11:20, heard only now): so the response was met after all, with 40 min to spare",
            ("▽ 75%, 90% and 100% taken back, and Dana, Farid and Gwen are told so (X04)",),
        ),
    ]


def test_a_pause_says_that_the_clock_stands_still_and_its_end_what_is_left() -> None:
    said = [caption.said for caption in shown(WEEKEND).captions]
    assert (
        said[2]
        == "waiting on the customer (at Fri 17:00, heard only now): the resolution clock stands still with 11 h left"
    )
    assert said[3] == "Ann answers: the resolution clock goes on with the 11 h left, due Tue 08:00"


def test_a_suspension_names_the_customer_and_gives_back_what_was_left() -> None:
    said = [(caption.said, caption.told) for caption in shown(SUSPENSION).captions]
    assert said[2] == (
        "Acme's payment lapses: the response and reply clocks stand still with 6 h and 7 h left",
        ("· Ann and Dana are told that support is suspended (R12)",),
    )
    assert said[3][0] == (
        "Acme has paid: the response clock goes on with the 6 h left, due Wed 16 Jul 18:00, "
        "and the reply clock with the 7 h left, due Thu 17 Jul 10:00"
    )


def test_what_happens_alike_to_several_tickets_is_said_once() -> None:
    first = shown("priority-changes-during-a-pause").captions[1]
    assert first.said == "4711 and 4712: Dana answers the customer: the response is met with 3 h 30 min to spare (T06)"


def test_a_second_delivery_of_the_same_word_is_told_as_such() -> None:
    assert any("once more, which changes nothing" in caption.said for caption in shown("duplicates").captions)


# Time


def test_the_films_time_goes_forward_only_and_stands_at_every_moment() -> None:
    story = shown(WITHDRAWAL)
    line = story.axis(60)
    times = [moment_at(story, line, i / 1000) for i in range(1001)]
    assert times == sorted(times)
    assert set(story.moments) <= set(times)
    assert times[0] == story.moments[0]
    assert times[-1] == story.ends


@given(
    days=st.floats(0.01, 60),
    happens=st.lists(st.floats(0, 1), max_size=12),
    width=st.integers(10, 90),
    look=st.floats(0, 1),
)
def test_the_line_of_time_shows_every_instant_in_one_column_in_order(
    days: float, happens: list[float], width: int, look: float
) -> None:
    table = shown(WEEKEND).table
    start = to_us(datetime(2031, 7, 1, tzinfo=UTC))
    span = int(days * 86_400_000_000)
    line = axis(table, start, start + span, width, [start + int(share * span) for share in happens])
    edges = [a for a, _ in line.columns] + [line.columns[-1][1]]
    assert edges == sorted(edges)
    assert (edges[0], edges[-1]) == (start, start + span)
    instant = start + int(look * (span - 1))
    a, b = line.columns[line.column(instant)]
    assert a - 1 <= instant <= b + 1
    assert len(line.days) <= width
    assert len(line.hours) <= width


def test_what_happens_close_together_stays_apart() -> None:
    story = shown(WEEKEND)
    line = story.axis(54)
    columns = [line.column(to_us(caption.at)) for caption in story.captions]
    assert min(b - a for a, b in pairwise(columns)) >= 2


# Frames


@pytest.mark.parametrize("width", [NARROWEST, 80, PAPER, 200])
def test_a_frame_is_as_wide_as_the_screen_allows(width: int) -> None:
    for story in (*STORIES,) if width == PAPER else (WEEKEND, SUSPENSION, "X04-any-order"):
        lines = frame(shown(story), width=width)
        assert {len(line) for line in lines} == {min(width, 118)}, story


@pytest.mark.parametrize("lines", [17, 20, 24])
def test_a_frame_that_must_be_low_keeps_the_last_captions(lines: int) -> None:
    made = frame(shown(WITHDRAWAL), width=80, lines=lines)
    assert len(made) <= lines
    assert "(X04)" in "".join(made)


def test_the_moving_now_is_told_with_weekday_date_and_year() -> None:
    assert frame(shown(WEEKEND), "2031-07-12 13:40")[-1].endswith("now Sat 12 Jul 2031 13:40 ─╯")


def test_a_film_shows_what_the_workflows_answered_or_nothing() -> None:
    loaded = load(STORIES[WEEKEND], Shelf(ROOT / "policies"))
    result = play_core(loaded)
    result["incidents"]["4711"]["clocks"]["response"]["used_seconds"] += 1
    with pytest.raises(FilmError, match=r"incidents\.4711\.clocks\.response\.used_seconds 1801"):
        film(loaded, result)


# The picture


def test_the_readmes_picture_is_what_the_film_draws() -> None:
    """Write it anew with: pactkeeper demo --no-wait --story stories/hard/pause-across-the-deadline.yaml --svg docs/images/demo.svg"""
    assert (ROOT / "docs/images/demo.svg").read_text(encoding="utf-8") == as_svg(shown(PICTURED))


def test_the_picture_needs_nothing_from_anywhere_and_names_no_machine() -> None:
    picture = as_svg(shown(PICTURED))
    well_formed(picture)
    assert re.findall(r"\w+://[^\"\s<]+", picture) == ["http://www.w3.org/2000/svg"]
    assert "@font-face" not in picture
    assert str(ROOT) not in picture


def test_a_title_with_markup_and_braces_is_shown_as_it_is() -> None:
    plain = shown(WEEKEND)
    story = plain.loaded.script.story.model_copy(update={"title": "a {b} [red]c[/red] <d> & e"})
    named = replace(plain, loaded=replace(plain.loaded, script=replace(plain.loaded.script, story=story)))
    assert "a {b} [red]c[/red] <d> & e" in frame(named)[0]
    well_formed(as_svg(named))


# The command


@pytest.mark.parametrize(("gone", "seconds"), [(1.0, 14.0), (4.0, 11.0), (7.0, 8.0), (12.0, 8.0)])
def test_all_films_together_are_over_in_time(gone: float, seconds: float) -> None:
    assert demo.showing(30.0, gone, 1.0, several=True) == seconds
    assert demo.showing(30.0, gone, 2.0, several=True) == seconds / 2
    assert demo.showing(30.0, gone, 1.0, several=False) == 30.0
    assert max(demo.IN_ALL, 7.0 + demo.AT_LEAST) <= 20


def test_the_shipped_programme_is_played_on_real_workflows_and_holds(run: Run, tmp_path: Path) -> None:
    code, out, err = run("demo", "--svg", str(tmp_path / "new" / "last.svg"))
    assert code == 0, err
    for name in demo.PROGRAMME:
        assert load(demo.STORIES / f"{name}.yaml").script.story.title[:60] in out
    assert out.count("✔     ") >= len(demo.PROGRAMME)
    assert "real Temporal workflows" in out
    assert "pactkeeper up" in out
    well_formed((tmp_path / "new" / "last.svg").read_text(encoding="utf-8"))


def test_a_story_that_does_not_hold_is_told_and_fails(run: Run, tmp_path: Path) -> None:
    text = STORIES[WEEKEND].read_text(encoding="utf-8").replace("left: 5 business hours", "left: 4 business hours")
    (tmp_path / "other.yaml").write_text(text, encoding="utf-8")
    code, out, err = run("demo", "--no-wait", "--story", str(tmp_path / "other.yaml"))
    assert code == 1
    assert "✖     A pause over a weekend costs nothing" in out
    assert "expect.incidents.4711.clocks.resolution.left: expected '4 business hours', got '18000 seconds'" in err


def test_a_story_of_the_past_is_refused_in_a_sentence(run: Run, tmp_path: Path) -> None:
    text = STORIES[WEEKEND].read_text(encoding="utf-8").replace("2031-", "2014-")
    (tmp_path / "old.yaml").write_text(text, encoding="utf-8")
    code, out, err = run("demo", "--story", str(tmp_path / "old.yaml"))
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "begins in the past" in err


def test_a_story_that_cannot_be_read_is_refused_in_a_sentence(run: Run) -> None:
    assert run("demo", "--story", "nix.yaml") == (
        2,
        "",
        "nix.yaml: the story can't be read (No such file or directory); check the path\n",
    )


def test_workflows_that_do_not_come_to_an_end_are_told_in_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_play, "PATIENCE", 0)
    code, out, err = run("demo", "--story", str(STORIES[WEEKEND]))
    assert (code, out) == (1, "")
    assert err.splitlines()[1:] == ["the workflows did not come to the end of the stories in time; try again"]


def test_a_terminal_sees_the_film_run() -> None:
    """Frame after frame, at a hundred times the speed, and the last one stays."""
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-c",
        "from starter.cli import main; main()",
        "demo",
        "--speed",
        "100",
        "--story",
        str(STORIES[WEEKEND]),
    ]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", "NO_COLOR": "1"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    seen = bytearray()
    until = datetime.now(UTC) + timedelta(seconds=60)
    while datetime.now(UTC) < until and select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    assert process.wait(30) == 0
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "Playing the story on real workflows" in text
    assert text.count("╭─ A pause over a weekend") >= 2
    assert "now Tue 15 Jul 2031 09:00" in text
