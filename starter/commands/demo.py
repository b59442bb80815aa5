"""`demo`: the best stories as a film, played on the real workflows."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from sla.expectation import differences
from starter.commands import terminal
from starter.commands.failures import RefusalError
from starter.commands.options import option
from starter.film import Film, FilmError, film
from starter.stories import Loaded, StoryFileError, load

STORIES = Path(__file__).resolve().parent.parent.parent / "stories"
PROGRAMME = (
    "hard/pause-over-a-weekend",
    "every-contract/X04-withdrawal",
    "reciprocity/R12-suspended-while-not-current",
    "hard/raised-past-what-is-used",
)
A_MOMENT = 1.2
"""Seconds for each thing that happens, where nobody is pressed for time."""
IN_ALL, AT_LEAST = 15.0, 8.0
"""Seconds from the command to the end of several films, and for these films at least."""
NEXT = (
    ("Try next:", "pactkeeper up"),
    ("", "pactkeeper demo --story stories/hard/pause-across-the-deadline.yaml"),
)


def demo(
    story: Annotated[
        Path | None, option("FILE", "Show this story, rather than the best of those that are shipped.")
    ] = None,
    speed: Annotated[
        float, typer.Option(metavar="FACTOR", min=0.1, max=100, help="2 is twice as fast, 0.5 half as fast.")
    ] = 1.0,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Let the films run, or print only their last frames.")
    ] = True,
    svg: Annotated[Path | None, option("FILE", "Write the last frame of the last film as a picture, too.")] = None,
) -> None:
    """Watch incidents play out: the best stories as films, on real workflows in virtual time. Needs no server.

    Example: pactkeeper demo

    Example: pactkeeper demo --story stories/hard/pause-across-the-deadline.yaml --speed 0.5
    """
    from starter.film_frame import Picture
    from starter.film_play import past
    from starter.film_screen import as_svg, moves, width_of

    began = time.monotonic()
    stories = _load([story] if story else [STORIES / f"{name}.yaml" for name in PROGRAMME])
    if (old := past(stories)) is not None:
        raise RefusalError(
            f"{old.path}: the story begins in the past; the real workflows play only what lies ahead: "
            f"`pactkeeper play --engine core {old.path}` plays it on the core",
        )
    out = terminal.console()
    runs = wait and moves(out)
    try:
        results = _played(stories, out if runs else None)
        took = time.monotonic() - began
        films = [film(loaded, result) for loaded, result in zip(stories, results, strict=True)]
    except TimeoutError:
        raise RefusalError("the workflows did not come to the end of the stories in time; try again") from None
    except FilmError as error:
        raise RefusalError(str(error)) from None
    if runs:
        wanted = A_MOMENT * sum(len(shown.moments) for shown in films)
        _show(out, films, showing(wanted, time.monotonic() - began, speed, several=len(films) > 1))
    else:
        out.print(*(Picture(made, width_of(out)).frame(made.ends) for made in films), sep="\n")
    if svg is not None:
        _write(svg, as_svg(films[-1]))
    raise typer.Exit(_summary(stories, results, took))


def showing(wanted: float, gone: float, speed: float, *, several: bool) -> float:
    """How many seconds the films take: one takes what it wants; several are over in time, however slow the machine."""
    return (min(wanted, max(AT_LEAST, IN_ALL - gone)) if several else wanted) / speed


def _show(out: Console, films: Sequence[Film], seconds: float) -> None:
    from starter.film_screen import show

    end = time.monotonic() + seconds
    for i, shown in enumerate(films):
        left = end - time.monotonic()
        show(out, shown, max(0.1, left * len(shown.moments) / sum(len(later.moments) for later in films[i:])))


def _load(paths: Sequence[Path]) -> list[Loaded]:
    try:
        return [load(path) for path in paths]
    except StoryFileError as error:
        raise RefusalError("\n".join(error.sentences), 2) from None


def _played(stories: Sequence[Loaded], out: Console | None) -> list[dict[str, Any]]:
    """Every story's result; while they are played, how far each is."""
    from starter.film_play import play_all

    if out is None:
        terminal.note(f"Playing {_stories(stories)} on real workflows, in virtual time …")
        return asyncio.run(play_all(stories))
    reached: dict[Path, datetime] = {}
    with Live(console=out, transient=True, auto_refresh=False) as live:

        def tell(loaded: Loaded, now: datetime) -> None:
            reached[loaded.path] = now
            live.update(_progress(stories, reached), refresh=True)

        live.update(_progress(stories, reached), refresh=True)
        return asyncio.run(play_all(stories, tell))


def _progress(stories: Sequence[Loaded], reached: Mapping[Path, datetime]) -> Text:
    made = Text(
        f"Playing {_stories(stories)} on real workflows, in virtual time …\n", no_wrap=True, overflow="ellipsis"
    )
    for loaded in stories:
        at = reached.get(loaded.path)
        made.append(f"  {terminal.moment(loaded.table.to_local(at)) if at else '':<22}", style="cyan")
        made.append(f" {loaded.script.story.title}\n")
    return made


def _stories(stories: Sequence[Loaded]) -> str:
    return f"{len(stories)} stories" if len(stories) > 1 else "the story"


def _write(path: Path, picture: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise RefusalError(f"--svg {path}: the picture can't be written ({error.strerror})") from None
    terminal.note(f"The picture is in {path}")


def _summary(stories: Sequence[Loaded], results: Sequence[dict[str, Any]], took: float) -> int:
    """Tell what held, and what to try next; the exit status."""
    table = terminal.table("held", "story", "expected")
    table.columns[1].ratio, table.columns[2].ratio, table.expand = 5, 4, True
    table.width = min(terminal.console().width, 110)
    wrong: list[str] = []
    passed = timedelta()
    for loaded, result in zip(stories, results, strict=True):
        found = differences(loaded.expect, result, loaded.table)
        wrong += [f"{loaded.path}: {difference}" for difference in found]
        held = Text("✖", style="bold red") if found else Text("✔", style="bold green")
        terminal.row(table, [held, loaded.script.story.title, expected(loaded.expect)])
        passed += datetime.fromisoformat(result["now"]) - loaded.script.lines[0].received
    span = f"{passed.days} days {passed.seconds // 3600} h" if passed.days else f"{passed.seconds // 60} min"
    terminal.show(Text(""), table, Text(f"\n{span} of real Temporal workflows, played in {took:.1f} s.", style="dim"))
    terminal.show(*(Text.assemble(f"{lead:<10}", (command, "bold")) for lead, command in NEXT))
    for difference in wrong:
        terminal.note(difference)
    return 1 if wrong else 0


def expected(expect: Mapping[str, Any]) -> str:
    """What a story expects, in a line: `response met, resolution running, 3 notices, no escalation`."""
    tickets: dict[str, list[str]] = {}
    for called, wanted in expect.get("incidents", {}).items():
        clocks = [f"{name} {clock['state']}" for name, clock in wanted.get("clocks", {}).items() if "state" in clock]
        sent = len(wanted.get("notices", []))
        never = ["nothing else"] if sent and wanted.get("never") else ["silence"] if wanted.get("never") else []
        notices = [f"{sent} notice{'s' if sent > 1 else ''}"] if sent else []
        tickets.setdefault(", ".join([*clocks, *notices, *never]), []).append(str(called))
    if len(tickets) == 1:
        return next(iter(tickets)) or "–"
    return "; ".join(f"{', '.join(called)}: {said}" for said, called in tickets.items()) or "–"
