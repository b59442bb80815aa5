"""`status`: one incident as a page, or the open ones as a list, the most urgent first."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text
from temporalio.client import Client, WorkflowExecution

from activities.attributes import KEYWORDS, NEXT_DUE, TRIAGE
from sla import names
from starter.commands import account, terminal
from starter.commands.failures import RefusalError
from starter.commands.find import find, listed, parts
from starter.commands.options import TICKET_HELP, Json, Source, argument, option
from starter.commands.query import query
from starter.commands.show import page
from starter.commands.went import went, with_ways
from starter.connect import ask
from starter.home import Home
from worker.reference import reference

COLUMNS = ("ticket", "customer", "priority", "phase", "clocks")


def status(
    ticket: Annotated[str | None, argument("[TICKET]", TICKET_HELP + " Left out: all that are open.")] = None,
    customer: Annotated[str | None, option("CUSTOMER", "One customer's incidents, and its standing.")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="List closed incidents, too.")] = False,
    triage: Annotated[
        bool,
        typer.Option(
            "--triage", help="Only those of which something is not known here: whose, how urgent, what state."
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many to list at most.")] = 200,
    source: Source = None,
    json: Json = False,
) -> None:
    """Show how an incident stands: its clocks, why they stand still, what comes next. Without TICKET: the open ones.

    Example: pactkeeper status 4711

    Example: pactkeeper status --customer acme
    """
    if ticket is not None:
        ask(Home.here(), lambda client: _one(client, ticket, source, json))
    else:
        ask(Home.here(), lambda client: _several(client, customer, closed, triage, limit, json))


async def _one(client: Client, ticket: str, source: str | None, json: bool) -> None:
    found = await find(client, ticket, source)
    now = datetime.now(UTC)
    told = await query(found.handle, ticket, names.STATUS, now.isoformat())
    if told["phase"] != "opening" and told["notices"]:
        log, known = await query(found.handle, ticket, names.LOG), await went(Home.here(), found.handle.id)
        told = {**told, "notices": with_ways(told["notices"], log, known)}
    if json:
        terminal.as_json(told)
    elif told["phase"] == "opening":
        terminal.show(f"{ticket}: being opened; look again in a moment")
    else:
        terminal.show(*page(ticket, told, await query(found.handle, ticket, names.PLAN), now))


async def _several(client: Client, customer: str | None, closed: bool, triage: bool, limit: int, json: bool) -> None:
    standing = None if customer is None else await _standing(client, customer)
    rows = [row_of(e) async for e in listed(client, customer=customer, closed=closed, triage=triage, limit=limit)]
    rows.sort(key=lambda row: (row["clocks"] != "missed", row["next_due"] or "9999", row["incident"]))
    if json:
        terminal.as_json({"incidents": rows} if customer is None else {"customer": standing, "incidents": rows})
        return
    if customer is not None:
        terminal.show(
            account.sentence(standing) if standing else f"{customer} has had no incident and no payment event yet"
        )
    if not rows:
        none = "Nothing waits in the triage queue." if triage else "No incident is open."
        terminal.show(none if triage or not closed else "There is no incident yet.")
        return
    terminal.show(listing(rows, datetime.now(UTC)))
    if not triage and (waiting := sum(row["triage"] for row in rows)):
        wait = "1 waits" if waiting == 1 else f"{waiting} wait"
        terminal.show(Text(f"! {wait} in the triage queue: `pactkeeper status --triage`", style="bold yellow"))
    if len(rows) == limit:
        terminal.note(f"only the first {limit} are listed; `--limit` lists more")


async def _standing(client: Client, customer: str) -> dict[str, Any] | None:
    try:
        return await account.standing(client, customer)
    except RefusalError as error:
        terminal.note(str(error))
        return None


def listing(rows: Sequence[Mapping[str, Any]], now: datetime) -> RenderableType:
    """Incidents as a table."""
    made = terminal.table(*COLUMNS, f"next due ({terminal.offset(now.astimezone())})", "", "assignee")
    for row in rows:
        terminal.row(made, _cells(row, now))
    return made


def row_of(execution: WorkflowExecution) -> dict[str, Any]:
    """An incident as the server's index has it."""
    source, ticket, link = parts(execution.id)
    shown = {name: execution.typed_search_attributes.get(key) for name, key in KEYWORDS.items()}
    due = execution.typed_search_attributes.get(NEXT_DUE)
    return {
        "ticket": reference(source, ticket),
        "incident": execution.id,
        "link": link,
        "customer": shown[names.CUSTOMER],
        "priority": shown[names.PRIORITY],
        "phase": shown[names.PHASE] if execution.close_time is None else "closed",
        "clocks": shown[names.CLOCK_STATE],
        "next_due": None if due is None or execution.close_time else due.astimezone(UTC).isoformat(),
        "assignee": shown[names.ASSIGNEE],
        "triage": execution.close_time is None and bool(execution.typed_search_attributes.get(TRIAGE)),
    }


def _cells(row: Mapping[str, Any], now: datetime) -> list[object]:
    due = None if row["next_due"] is None else datetime.fromisoformat(row["next_due"]).astimezone()
    soon = due is not None and (due - now).total_seconds() < 1800
    return [
        row["ticket"],
        row["customer"] or "–",
        row["priority"] or "–",
        terminal.state(row["phase"] or "opening"),
        terminal.state(row["clocks"] or "–"),
        terminal.moment(due),
        Text(terminal.from_now(due, now), style="bold red" if soon else ""),
        row["assignee"] or "nobody yet",
    ]
