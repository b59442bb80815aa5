"""What is asked of the server for `standing` and `approve`: the accounts that are not current, the incidents of one."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError

from sla import names
from starter.accounts import Standing, accounts, standings
from starter.commands import account, terminal
from starter.commands.failures import RefusalError
from starter.commands.find import listed, parts
from starter.commands.query import query
from starter.commands.status import row_of
from worker.reference import reference

ASKED_AT_ONCE = 10
TOUCHED = 20
"""So many incidents are asked what would stand still; of the others their number is told."""
SEARCHED = 10_000
PATIENCE = 4.0
URGENCY = {"suspended": 1, "terminated": 1, "lapsed": 2, "current": 3}


async def not_current(client: Client) -> list[dict[str, Any]]:
    """How every account stands that is not current, those waiting for an approval first, then the suspended, the lapsed."""
    now = datetime.now(UTC)
    found = [one async for one in accounts(client) if any(_unpaid(one, now))]
    gate = asyncio.Semaphore(ASKED_AT_ONCE)
    told = await asyncio.gather(*(_account(client, one, gate, now) for one in found))
    return sorted(told, key=_urgency)


async def enrolled(client: Client, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The open incidents of an account, as the server's index has them, with the line that each is under."""
    lines = {id: line for line, about in told["of_line"].items() for id in about["incidents"]}
    rows = [row_of(one) async for one in listed(client, customer=told["customer"], limit=SEARCHED)]
    shown = [row | {"line": lines[row["incident"]]} for row in rows if row["incident"] in lines]
    return sorted(shown, key=lambda row: (row["clocks"] != "missed", row["next_due"] or "9999", row["incident"]))


async def touched(client: Client, told: Mapping[str, Any], lines: Sequence[str]) -> list[dict[str, Any]]:
    """What a suspension of lines meets: the first of their incidents, each as it stands; those that don't answer are left out."""
    ids = [(line, id) for line in lines for id in told["of_line"][line]["incidents"]][:TOUCHED]
    gate = asyncio.Semaphore(ASKED_AT_ONCE)
    asked = await asyncio.gather(*(_incident(client, line, id, gate) for line, id in ids))
    return [one for one in asked if one is not None and one["phase"] != "closed"]


def many(found: Sequence[Mapping[str, Any]], now: datetime) -> RenderableType:
    """A table of lines that are not current."""
    if not found:
        return Text("Every customer is current with its payments, as far as we have heard.")
    offset = terminal.offset(now.astimezone())
    made = terminal.table("customer", "line", "standing", f"since ({offset})", "enrolled", "why", "what comes next")
    for told in found:
        for id, line in told["lines"].items():
            if line["standing"] == "current":
                continue
            said = account.next_of(told, id) if told.get("of_line") else "no worker answers; the index says this"
            since = None if line["since"] is None else datetime.fromisoformat(line["since"]).astimezone()
            state = terminal.state(line["standing"], "approval?" if line["awaits_approval"] else None)
            cells = [told["customer"], id, state, terminal.moment(since), _enrolled(told, id), line["why"] or "–"]
            terminal.row(made, [*cells, Text(said, style="bold" if line["awaits_approval"] else "")])
    return made


def _unpaid(one: Standing, now: datetime) -> list[bool]:
    return [ledger.standing_at(now) != "current" for ledger in standings(one.ledger)]


def _enrolled(told: Mapping[str, Any], line: str) -> object:
    about = (told.get("of_line") or {}).get(line)
    return "–" if about is None else about["enrolled"]


async def _account(client: Client, one: Standing, gate: asyncio.Semaphore, now: datetime) -> dict[str, Any]:
    handle = client.get_workflow_handle(f"account/{one.customer}")
    async with gate:
        try:
            told: dict[str, Any] = await query(
                handle, f"the account of {one.customer}", names.STATUS, now.isoformat(), patience=PATIENCE
            )
        except (RefusalError, RPCError):
            return _of_ledger(one, now)
    return told


def _of_ledger(one: Standing, now: datetime) -> dict[str, Any]:
    """The same, as far as the ledger alone tells it."""
    lines = {
        ledger.line or "support": {
            "standing": ledger.standing_at(now),
            "since": None if (since := ledger.since_at(now)) is None else since.isoformat(),
            "why": ledger.why,
            "suspends_at": None,
            "awaits_approval": False,
            "exception": None,
        }
        for ledger in standings(one.ledger)
    }
    worst = min(lines.values(), key=lambda line: URGENCY[str(line["standing"])])
    told = {"customer": one.customer, "standing": worst["standing"], "since": worst["since"], "lines": lines}
    return told | {"answered": False, "enrolled": None, "notices": []}


def _urgency(told: Mapping[str, Any]) -> tuple[int, int, str, str]:
    lines = told["lines"].values()
    waits = any(line["awaits_approval"] for line in lines)
    soon = min((line["suspends_at"] for line in lines if line["suspends_at"]), default="9999")
    return (0 if waits else 1, min(URGENCY[line["standing"]] for line in lines), soon, told["customer"])


async def _incident(client: Client, line: str, id: str, gate: asyncio.Semaphore) -> dict[str, Any] | None:
    async with gate:
        try:
            handle = client.get_workflow_handle(id)
            told = await query(handle, id, names.STATUS, datetime.now(UTC).isoformat(), patience=PATIENCE)
        except (RefusalError, RPCError):
            return None
    source, ticket, _ = parts(id)
    return {"ticket": reference(source, ticket), "line": line, **told}
