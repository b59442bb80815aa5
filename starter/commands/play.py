"""`play`: stories, on the real workflows in virtual time or through the pure core, held to what they expect."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from sla.expectation import differences
from starter.commands import terminal
from starter.commands.failures import RefusalError
from starter.commands.options import Json, argument, option
from starter.commands.show import body, happened, heading, sent
from starter.engines import play_core, play_temporal
from starter.stories import Loaded, StoryFileError, load

Result = dict[str, Any]


def play(
    files: Annotated[list[Path], argument("FILE...", "Story files, such as stories/hard/pause-over-a-weekend.yaml.")],
    engine: Annotated[
        str,
        option("temporal|core", "The real workflows in virtual time (this is the default), or the pure core alone."),
    ] = "temporal",
    json: Json = False,
) -> None:
    """Play stories: what happened, under which contract, and whether what came of it is what they expect.

    The exit status is 0 when all that is expected holds, 1 when something does not, 2 when a story can't be read.

    Example: pactkeeper play stories/hard/pause-over-a-weekend.yaml

    Example: pactkeeper play --engine core --json stories/hard/pause-over-a-weekend.yaml
    """
    if engine not in ("temporal", "core"):
        raise RefusalError(f"--engine is {engine!r}; write temporal or core", 2)
    stories = _load(files)
    results = [play_core(story) for story in stories] if engine == "core" else _in_virtual_time(stories)
    if json:
        terminal.as_json(results[0] if len(results) == 1 else results)
    else:
        for result in results:
            terminal.show(*summary(result))
    failed = [_unmet(story, result, named=len(stories) > 1) for story, result in zip(stories, results, strict=True)]
    if not json and not any(failed):
        terminal.show(Text("All that is expected holds.", style="green"))
    raise typer.Exit(int(any(failed)))


def _load(files: Sequence[Path]) -> list[Loaded]:
    """All stories, or every sentence about those that can't be read."""
    stories: list[Loaded] = []
    wrong: list[str] = []
    for path in files:
        try:
            stories.append(load(path))
        except StoryFileError as error:
            wrong += error.sentences
    if wrong:
        raise RefusalError("\n".join(wrong), 2)
    return stories


def _unmet(story: Loaded, result: Result, *, named: bool) -> bool:
    """Tell each difference on a line of its own; whether there is one."""
    found = differences(story.expect, result, story.table)
    for difference in found:
        terminal.note(f"{story.path}: {difference}" if named else difference)
    return bool(found)


def _in_virtual_time(stories: Sequence[Loaded]) -> list[Result]:
    now = datetime.now(UTC)
    for story in stories:
        first = story.script.lines[0].received
        if first <= now:
            begins = terminal.moment(story.table.to_local(first))
            said = (
                f"{story.path}: the story begins {begins}, which is past; the real workflows play only what lies ahead"
            )
            raise RefusalError(f"{said}: play it with --engine core", 2)
    with _chatter_aside():
        return asyncio.run(_play(stories))


async def _play(stories: Sequence[Loaded]) -> list[Result]:
    from activities.attributes import ALL_KEYS
    from starter.virtual_time import start_environment

    env = await start_environment(ALL_KEYS)
    try:
        return [await play_temporal(story, env) for story in stories]
    finally:
        await env.shutdown()


@contextmanager
def _chatter_aside() -> Iterator[None]:
    """What the server writes on the standard output that it has from us goes nowhere: it is no answer of ours."""
    sys.stdout.flush()
    ours, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(ours, 1)
        os.close(ours)
        os.close(nowhere)


def summary(result: Result) -> Iterator[RenderableType]:
    """A played story for people."""
    now = datetime.fromisoformat(result["now"])
    yield Text(f"\n{result['title']}", style="bold underline")
    contract = result["contract"]
    engine = "real workflows" if result["engine"] == "temporal" else "pure core"
    up_to = f"up to {terminal.moment(now)} ({terminal.offset(now)})"
    under = f"under {contract['name']} (version {contract['version']})"
    yield Text(f"played by the {engine} {up_to}, {under}", style="dim")
    for called, told in result["incidents"].items():
        yield Text("")
        yield heading(called, told)
        yield from body(told, now)
        yield Text("\nHeard", style="bold")
        yield happened(told["log"])
        yield from sent(told["notices"])
    for customer, told in result["customers"].items():
        if told["standing"] != "current" or told["since"]:
            yield Text(f"\n{customer} is {told['standing']} since {terminal.moment(told['since'])}")
    yield Text("")
