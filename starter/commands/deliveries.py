"""`deliveries`: what the connected sources sent lately, and what became of it."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from starter.commands import terminal
from starter.commands.customers_here import prepared
from starter.commands.options import Json, option
from starter.home import Home
from starter.outcomes import MEANS, Outcome

if TYPE_CHECKING:
    from records.deliveries import DeliveryRecord

COLOURS: Final = {
    "accepted": "green",
    "duplicate": "dim",
    "ignored": "dim",
    "spooled": "yellow",
    "kept": "bold yellow",
    "refused": "bold red",
}


def deliveries(
    source: Annotated[str | None, option("SOURCE", "Only those of this source, such as desk or zendesk/desk.")] = None,
    outcome: Annotated[Outcome | None, option("OUTCOME", "Only these: " + ", ".join(MEANS) + ".")] = None,
    ticket: Annotated[
        str | None, option("TICKET", "Only those that tell of this ticket, as its source calls it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 30,
    json: Json = False,
) -> None:
    """List what the connected sources sent lately, and what became of each delivery. They are kept for thirty days.

    Example: pactkeeper deliveries --source desk --outcome refused
    """
    found, letters, spooled = asyncio.run(_found(Home.here(), limit, source, outcome, ticket))
    if json:
        terminal.as_json([asdict(one) for one in found])
        return
    if found:
        terminal.show(_table(found))
    else:
        asked = any(one is not None for one in (source, outcome, ticket))
        terminal.show("No such delivery is in the log." if asked else "Nothing has been delivered yet.")
    if spooled:
        wait = "1 delivery waits" if spooled == 1 else f"{spooled} deliveries wait"
        terminal.show(
            Text(f"{MEANS['spooled'][0]} {wait} for Temporal, and will come to it.", style=COLOURS["spooled"])
        )
    if letters:
        wait = "1 dead letter waits" if letters == 1 else f"{letters} dead letters wait"
        told = f"{MEANS['kept'][0]} {wait} for somebody: `pactkeeper letters` lists them."
        terminal.show(Text(told, style=COLOURS["kept"]))


def _table(found: "list[DeliveryRecord]") -> Table:
    made = terminal.table("when (UTC)", "source", "outcome", "kind", "tickets", "detail")
    for one in found:
        cells = (
            terminal.moment(one.received_at.replace(microsecond=0)),
            one.source,
            signed(one.outcome),
            one.kind or "–",
            ", ".join(one.tickets) or "–",
            one.detail or _told(one),
        )
        terminal.row(made, cells)
    return made


def _told(one: "DeliveryRecord") -> str:
    if one.words:
        return "1 word" if one.words == 1 else f"{one.words} words"
    return "is read over its API" if one.outcome == "accepted" and one.tickets else "–"


def signed(outcome: str) -> Text:
    """An outcome with its sign, in its colour."""
    sign, _ = MEANS.get(outcome, ("?", ""))
    return Text(f"{sign} {outcome}", style=COLOURS.get(outcome, ""))


async def _found(
    home: Home, limit: int, source: str | None, outcome: str | None, ticket: str | None
) -> "tuple[list[DeliveryRecord], int, int]":
    from records.dead_letters import DeadLetterStore
    from records.deliveries import DeliveryStore
    from records.spool import Spool
    from starter.kept import recorded

    if not prepared(home):
        return [], 0, 0
    async with recorded(home) as kept:
        log = DeliveryStore(kept.engine)
        found = await log.recent(limit, source=source, outcome=outcome, ticket=ticket)
        if not found and ticket and "/" in ticket and source is None:  # as lists of incidents call it: SOURCE/TICKET
            of, _, own = ticket.removeprefix("incident/").partition("/")
            found = await log.recent(limit, source=of, outcome=outcome, ticket=own)
        return found, await DeadLetterStore(kept.engine).waiting(), await Spool(kept.engine).count()
