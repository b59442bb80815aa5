"""What operators do to an incident: each an update, which the incident may refuse in a sentence."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from temporalio.client import Client
from temporalio.service import RPCError

from activities.message import one_line
from activities.policies import Policies
from sla import events, names
from starter.commands import send, terminal
from starter.commands.failures import WORKER, RefusalError
from starter.commands.find import find
from starter.commands.options import At, By, Key, Source, Ticket, argument, made, moment, option, word_key
from starter.commands.query import query
from starter.commands.show import line
from starter.connect import ask
from starter.home import Home

SOON = 4.0
"""Seconds in which a running worker has taken a word."""
POSITIONS = {"to": "TO", "as": "AS", "disposition": "AS"}
"""Fields that the command line takes by their place."""


def ack(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Take a ticket: it is yours, and nobody is looked for any more. The customer is told nothing, so no clock stops.

    Example: pactkeeper ack 4711 --by dana
    """
    event = made(events.Acknowledged, by=by)
    _note_stranger(by)
    _do(ticket, source, "acknowledge", event, at, key)


def assign(
    ticket: Ticket,
    to: Annotated[str, argument("TO", "Who gets it, such as eli.")],
    by: By,
    at: At = None,
    source: Source = None,
    key: Key = None,
) -> None:
    """Give a ticket to somebody.

    Example: pactkeeper assign 4711 eli --by dana
    """
    event = made(events.Assigned, POSITIONS, to=to, by=by)
    _note_stranger(to)
    _do(ticket, source, "assign", event, at, key)


def reclassify(
    ticket: Ticket,
    to: Annotated[str, argument("PRIORITY", "The priority it has from now on, such as P2.")],
    by: By,
    why: Annotated[str | None, option("TEXT", "The reason, which the customer may be told.")] = None,
    at: At = None,
    source: Source = None,
    key: Key = None,
) -> None:
    """Revise the priority; every clock is judged by the new one from then on.

    Example: pactkeeper reclassify 4711 P2 --by dana --why "a workaround helps most people"
    """
    _do(ticket, source, "reclassify", made(events.PriorityChanged, {"to": "PRIORITY"}, to=to, by=by, why=why), at, key)


def wait(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Wait for the customer: the clocks that the contract lets pause stand still until they reply.

    Example: pactkeeper wait 4711 --by dana
    """
    _do(ticket, source, "wait", made(events.WaitingOnCustomer, by=by), at, key)


def plan_given(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Record that the customer was given a plan for resolution.

    Example: pactkeeper plan-given 4711 --by dana
    """
    _do(ticket, source, "plan_given", made(events.PlanProvided, by=by), at, key)


def resolve(
    ticket: Ticket,
    by: By,
    kind: Annotated[str, option("KIND", "One of: fix, workaround, other_relief; left out: fix.", "--kind")] = "fix",
    at: At = None,
    source: Source = None,
    key: Key = None,
) -> None:
    """Record that relief was given.

    Example: pactkeeper resolve 4711 --by dana --kind workaround
    """
    _do(ticket, source, "resolve", made(events.Resolved, by=by, kind=kind), at, key)


def reopen(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Open again what was resolved or closed: its clocks go on with what was left.

    Example: pactkeeper reopen 4711 --by dana
    """
    _do(ticket, source, "reopen", made(events.Reopened, by=by), at, key)


def close(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Close a ticket for good.

    Example: pactkeeper close 4711 --by dana
    """
    _do(ticket, source, "close", made(events.Closed, by=by), at, key)


def dispose(
    ticket: Ticket,
    disposition: Annotated[str, argument("AS", "feature_request, out_of_scope, excluded or cause_not_found.")],
    by: By,
    ground: Annotated[str | None, option("NAME", "The contract's ground for it.")] = None,
    at: At = None,
    source: Source = None,
    key: Key = None,
) -> None:
    """Say that a ticket is no covered incident, or that its cause cannot be found. `restore` takes it back.

    Example: pactkeeper dispose 4711 excluded --ground third_parties --by dana
    """
    event = made(events.Dispositioned, POSITIONS, disposition=disposition, ground=ground, by=by)
    _do(ticket, source, "dispose", event, at, key)


def restore(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Take back a disposition or a discarding: the clocks stand as if it had not been.

    Example: pactkeeper restore 4711 --by dana
    """
    _do(ticket, source, "restore", made(events.Restored, by=by), at, key)


def authorize(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Stand for a held request, as a contact of the company: its clocks start.

    Example: pactkeeper authorize 4711 --by ann@acme.example
    """
    _do(ticket, source, "authorize", made(events.Authorized, by=by), at, key)


def decline(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Refuse a held request, as a contact of the company.

    Example: pactkeeper decline 4711 --by ann@acme.example
    """
    _do(ticket, source, "decline", made(events.Declined, by=by), at, key)


def revise_calendar(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Count a ticket by its contract's calendar as that stands now; the log keeps the deadlines before and after.

    Example: pactkeeper revise-calendar 4711 --by dana
    """
    _do(ticket, source, "revise_calendar", made(events.CalendarRevised, by=by), at, key)


def move_policy(
    ticket: Ticket,
    to: Annotated[str, argument("CONTRACT", "The contract it is under from now on.")],
    by: By,
    at: At = None,
    source: Source = None,
    key: Key = None,
) -> None:
    """Put a ticket under another contract, or under its own contract as that stands now.

    Example: pactkeeper move-policy 4711 bugzero --by dana
    """
    Policies().shelf.contract(to)
    _do(ticket, source, "move_policy", made(events.PolicyMoved, {"to": "CONTRACT"}, to=to, by=by), at, key)


def settle(ticket: Ticket, by: By, at: At = None, source: Source = None, key: Key = None) -> None:
    """Take a ticket out of the triage queue: somebody has looked at what was not known of it.

    One whose priority is not known stays in it until `reclassify` names one.

    Example: pactkeeper settle 4711 --by dana
    """
    _do(ticket, source, "settle", made(events.Settled, by=by), at, key)


def _note_stranger(who: str) -> None:
    """Say so when the team does not know who takes a ticket: a slip of the pen would send notices nowhere."""
    team = Policies().team()
    if who not in team.members:
        known = ", ".join(team.members)
        terminal.note(f"{who} is not in the team {team.name} ({known}), so their notices only go to the log")


def _do(ticket: str, source: str | None, action: str, event: events.Event, at: str | None, key: str | None) -> None:
    said = send.word(events.Delivery, event, moment(at), word_key(key))
    ask(Home.here(), lambda client: acted(client, ticket, source, action, said, late=at is not None))


async def acted(
    client: Client, ticket: str, source: str | None, action: str, said: events.Delivery, *, late: bool
) -> None:
    """Carry out an action, and say how the incident stands then."""
    found = await find(client, ticket, source)
    taken = await send.act(client, found, action, said, late=late)
    told = await standing(client, taken)
    report(ticket, told)
    if action == "settle" and told is not None:
        for remark in told.get("attention", ()):
            terminal.note(f"there is still this: {one_line(remark)}")


async def standing(client: Client, incident: str) -> dict[str, Any] | None:
    """How the incident stands now; None when nobody answers soon."""
    handle = client.get_workflow_handle(incident)
    told: dict[str, Any] = {"phase": "opening"}
    try:
        async with asyncio.timeout(SOON):
            while told["phase"] == "opening":
                told = await query(handle, incident, names.STATUS, datetime.now(UTC).isoformat())
                if told["phase"] == "opening":
                    await asyncio.sleep(0.1)
    except (TimeoutError, RPCError, RefusalError):
        return None
    return told


def report(called: str, told: dict[str, Any] | None) -> None:
    """Print how an incident stands, in a line."""
    if told is None:
        terminal.note(f"{called}: Temporal has it, but no worker has answered yet; {WORKER}")
    else:
        terminal.show(line(called, told))
