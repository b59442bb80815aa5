"""`letters`: what came from outside, was rightly signed, and could be brought to nobody: shown, replayed, dropped."""

import asyncio
import json as jsons
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from activities.message import one_line
from starter.commands import terminal
from starter.commands.customers_here import prepared
from starter.commands.failures import RefusalError
from starter.commands.options import Json, argument, option
from starter.home import Home

if TYPE_CHECKING:
    from records.dead_letters import Letter

Action = Literal["show", "replay", "drop"]
LONGEST = 500
SHOWN = 200
"""So many lines of a body are shown at most; `--json` has all of it."""


def letters(
    action: Annotated[Action | None, argument("show|replay|drop", "What to do with one; left out: list them.")] = None,
    id: Annotated[str | None, argument("ID", "The letter, as the list names it, such as zendesk/desk/evt_1.")] = None,
    why: Annotated[str | None, option("TEXT", "With drop: why nothing needs to be done.")] = None,
    source: Annotated[str | None, option("SOURCE", "Only those of this source, such as desk or zendesk/desk.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List those that were seen to, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 50,
    json: Json = False,
) -> None:
    """List the dead letters: what was sent rightly and could be brought to nobody; show, replay or drop one.

    A letter waits until somebody has seen to it: put right what it says, such as a customer's link, and replay it.

    Example: pactkeeper letters

    Example: pactkeeper letters replay stripe/main/evt_1
    """
    home = Home.here()
    if action is None:
        _list(asyncio.run(_found(home, every, limit, source)), json)
        return
    if id is None:
        raise RefusalError(f"ID is missing; write pactkeeper letters {action} ID, as the list names it", 2)
    if action == "show":
        _show(asyncio.run(_one(home, id)), json)
        return
    if action == "drop" and not (why or "").strip():
        raise RefusalError("--why is missing; write why nothing needs to be done", 2)
    how = asyncio.run(_dropped(home, id, str(why)) if action == "drop" else _replayed(home, id))
    terminal.show(f"{id}: {how}")


def _list(found: list["Letter"], json: bool) -> None:
    if json:
        terminal.as_json([asdict(letter) for letter in found])
        return
    if not found:
        terminal.show("No dead letter waits.")
        return
    made = terminal.table("received (UTC)", "id", "kind", "about", "why", "seen to")
    made.columns[1].no_wrap = True  # It is copied from here.
    for one in found:
        seen = f"{terminal.moment(one.handled_at)}: {one.handled_how}" if one.handled_at else "–"
        id, received = Text(one_line(one.id, LONGEST)), terminal.moment(one.received_at)
        cells = (received, id, one.kind or "–", one.subject or "–", one.why, seen)
        terminal.row(made, cells)
    terminal.show(made)


def _show(one: "Letter", json: bool) -> None:
    if json:
        terminal.as_json(asdict(one))
        return
    seen = f"{terminal.moment(one.handled_at)} (UTC): {one.handled_how}" if one.handled_at else "not yet"
    facts = {
        "received": f"{terminal.moment(one.received_at)} (UTC)",
        "source": one.source,
        "kind": one.kind or "–",
        "about": one.subject or "–",
        "why": one.why,
        "seen to": seen,
    }
    terminal.show(Text(one_line(one.id), style="bold"))
    for name, value in facts.items():
        terminal.show(Text.assemble((f"{name:<10}", "dim"), one_line(value, LONGEST)))
    lines = readable(one.body).split("\n")
    terminal.show("", *(Text(one_line_of(line)) for line in lines[:SHOWN]))
    if len(lines) > SHOWN:
        terminal.note(f"{len(lines) - SHOWN} lines more; --json prints all of it")


def readable(body: str) -> str:
    """A body as people read it: JSON laid out, anything else as it is."""
    try:
        return jsons.dumps(jsons.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body


def one_line_of(line: str) -> str:
    """A line of a body, its indentation kept, without what could move a cursor."""
    return "".join(c if c.isprintable() else " " for c in line.expandtabs(4).rstrip())


async def _found(home: Home, every: bool, limit: int, source: str | None) -> list["Letter"]:
    from records.dead_letters import DeadLetterStore
    from starter.kept import recorded

    if not prepared(home):
        return []
    async with recorded(home) as kept:
        return await DeadLetterStore(kept.engine).list(limit, handled=every, source=source)


async def _one(home: Home, id: str) -> "Letter":
    from records.dead_letters import DeadLetterStore
    from starter.kept import recorded
    from starter.letter_office import LIST

    found = None
    if prepared(home):
        async with recorded(home) as kept:
            found = await DeadLetterStore(kept.engine).get(id)
    if found is None:
        raise RefusalError(f"there is no dead letter {id!r}; {LIST}")
    return found


async def _dropped(home: Home, id: str, why: str) -> str:
    from records.dead_letters import DeadLetterStore
    from starter.kept import recorded
    from starter.letter_office import NotSeenTo, drop

    async with recorded(home) as kept:
        try:
            return await drop(DeadLetterStore(kept.engine), id, why, datetime.now(UTC))
        except NotSeenTo as error:
            raise RefusalError(str(error)) from None


async def _replayed(home: Home, id: str) -> str:
    from records.dead_letters import DeadLetterStore
    from starter.connect import connect
    from starter.dispatch import TemporalDispatch
    from starter.hook_settings import IntakeSettings
    from starter.kept import recorded
    from starter.letter_office import LetterOffice, NotSeenTo, waiting
    from starter.port import NotKept, Unavailable
    from starter.source_hooks import SourceHooks

    async with recorded(home) as kept:
        store = DeadLetterStore(kept.engine)
        try:
            await waiting(store, id)
            dispatch = TemporalDispatch(await connect(home), policies=kept.policies)
            helpdesks = SourceHooks(dispatch, IntakeSettings(), kept.policies)
            return await LetterOffice(store, kept.customers, dispatch, helpdesks).replay(id)
        except (NotSeenTo, NotKept, Unavailable) as error:
            raise RefusalError(str(error)) from None
