"""`plan`, `proof` and `log`: what will happen to an incident, why its deadlines are what they are, what happened."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from temporalio.client import Client

from sla import names
from starter.commands import terminal
from starter.commands.add_up import stretches
from starter.commands.failures import RefusalError
from starter.commands.find import Found, find
from starter.commands.options import Json, Source, Ticket, option
from starter.commands.query import query
from starter.commands.show import steps
from starter.commands.went import by, ways, went
from starter.connect import ask
from starter.home import Home

if TYPE_CHECKING:
    from records.sent import Went

ENVELOPE = ("event", "by", "key")


def plan(ticket: Ticket, source: Source = None, json: Json = False) -> None:
    """Show every step that will fire unless something happens first.

    Example: pactkeeper plan 4711
    """
    found = ask(Home.here(), lambda client: _query(client, ticket, source, names.PLAN))
    if json:
        terminal.as_json(found)
    elif found:
        terminal.show(steps(found, datetime.now(UTC)))
    else:
        terminal.show(f"{ticket}: nothing more will happen by itself")


def proof(
    ticket: Ticket,
    clock: Annotated[str | None, option("NAME", "One clock, such as response; left out: all.")] = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Show why each deadline is what it is: the stretches of time that add up to it.

    Example: pactkeeper proof 4711 --clock response
    """
    told = ask(Home.here(), lambda client: _query(client, ticket, source, names.PROOF))
    if clock is not None:
        if clock not in told["clocks"]:
            raise RefusalError(f"--clock is {clock!r}; {ticket} has: {', '.join(told['clocks'])}", 2)
        told["clocks"] = {clock: told["clocks"][clock]}
    if json:
        terminal.as_json(told)
    else:
        terminal.show(f"{ticket}, under {told['contract']['name']} (version {told['contract']['version']})")
        terminal.show(*stretches(told))


def log(ticket: Ticket, source: Source = None, json: Json = False) -> None:
    """Show the whole log: what happened, when we heard of it, and what the engine did.

    Example: pactkeeper log 4711
    """
    lines, known = ask(Home.here(), lambda client: _logged(client, ticket, source))
    if json:
        terminal.as_json(lines)
        return
    made = terminal.table("happened (UTC)", "heard (UTC)", "what", "by", "details")
    for entry in sorted(lines, key=lambda entry: (entry["occurred_at"], entry["received_at"])):
        what = entry["event"]
        happened, heard = (terminal.moment(_utc(entry[name])) for name in ("occurred_at", "received_at"))
        terminal.row(
            made,
            [
                happened,
                heard if heard != happened else "",
                what["event"].replace("_", " "),
                what.get("by") or "",
                _details(what, known),
            ],
        )
    terminal.show(made)


async def _logged(client: Client, ticket: str, source: str | None) -> "tuple[list[dict[str, Any]], Sequence[Went]]":
    found = await find(client, ticket, source)
    return await _asked(found, ticket, names.LOG), await went(Home.here(), found.handle.id)


async def _query(client: Client, ticket: str, source: str | None, name: str) -> Any:
    return await _asked(await find(client, ticket, source), ticket, name)


async def _asked(found: Found, ticket: str, name: str) -> Any:
    told = await query(found.handle, ticket, names.STATUS)
    if told["phase"] == "opening":
        raise RefusalError(f"{ticket} is being opened; ask again in a moment")
    return await query(found.handle, ticket, name)


def _utc(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone(UTC)


def _details(event: Mapping[str, Any], known: "Sequence[Went]") -> str:
    """What else the line says, short."""
    if event["event"] == "step_done":
        told = [{**n, "via": ways(event["step_key"], n["to"], known)} for n in event["notices"]]
        sent = [f"{n['kind']} to {', '.join(n['to']) or 'nobody'} by {by(n)}" for n in told]
        handed = [f"goes to {event['assignee']}"] if event["assignee"] else []
        return "; ".join([*sent, *handed]) or (
            "held back: support is suspended" if event["held_back"] else "nobody was told"
        )
    if event["event"] == "standing_told":
        return str(event["ledger"]["standing"])
    shown = {
        name: value for name, value in event.items() if name not in ENVELOPE and value not in (None, "", [], {}, True)
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())
