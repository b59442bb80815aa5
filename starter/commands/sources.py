"""`sources`: the connected helpdesks, when each was heard and read last, and what of theirs waits."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text

from starter.commands import terminal
from starter.commands.customers_here import prepared
from starter.commands.options import Json
from starter.home import Home

if TYPE_CHECKING:
    from starter.source_rows import SourceLine


def sources(json: Json = False) -> None:
    """List the connected sources: when each was heard last, which have gone quiet, what came of reading their APIs.

    Example: pactkeeper sources
    """
    now = datetime.now(UTC)
    found, broken = asyncio.run(_found(Home.here(), now))
    if json:
        terminal.as_json([asdict(one) for one in found])
        return
    if not found and not broken:
        terminal.show("No source is connected; `pactkeeper connect` shows how.")
        return
    made = terminal.table("source", "kind", "heard (UTC)", "", "read by API", "last 24 h", "waiting", "dead letters")
    for one in found:
        terminal.row(
            made,
            (
                one.name if one.connected else Text(f"{one.name} (no file any more)", style="dim"),
                one.kind,
                terminal.moment(_whole(one.heard_at)),
                health(one, now),
                reading(one, now),
                ", ".join(f"{many} {what}" for what, many in one.day.items()) or "–",
                Text(f"… {one.spooled}", style="yellow") if one.spooled else "–",
                Text(f"! {one.letters}", style="bold yellow") if one.letters else "–",
            ),
        )
    terminal.show(made)
    for said in (*broken, *(one.alarm for one in found if one.alarm)):
        terminal.show(Text(f"✗ {said}", style="bold red"))


def health(one: "SourceLine", now: datetime) -> Text:
    """Whether it is heard as often as it should be."""
    if one.quiet_since is not None:
        return Text(f"✗ quiet: {terminal.from_now(one.quiet_since, now)}", style="bold red")
    if one.heard_at is None:
        return Text("· not heard yet", style="dim")
    if not one.connected:
        return Text(f"· {terminal.from_now(one.heard_at, now)}", style="dim")
    return Text(f"✓ {terminal.from_now(one.heard_at, now)}", style="green")


def reading(one: "SourceLine", now: datetime) -> str:
    """When its API was read last, and what came of it."""
    if one.read_at is None:
        return "not yet" if one.reads else "is not set up" if one.has_api else "–"
    return f"{terminal.from_now(one.read_at, now)}: {one.read_how}"


def _whole(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(microsecond=0)


async def _found(home: Home, now: datetime) -> "tuple[list[SourceLine], list[str]]":
    """Each source, and what is wrong with the files that can't be read."""
    from activities.policies import Policies
    from starter.kept import recorded
    from starter.source_rows import lines, source_lines

    connected, unread = Policies().shelf.usable_sources()
    broken = [error.sentences[0] for error in unread.values()]
    if not prepared(home):
        return lines(connected, {}, {}, {}, now), broken
    async with recorded(home) as kept:
        return await source_lines(kept.engine, connected, now), broken
