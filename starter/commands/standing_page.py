"""A customer's standing as people read it at the terminal: the whole page, and what an approval would do."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from activities.message import one_line
from activities.policies import Policies
from sla.customer import Customer
from starter.commands import account, terminal
from starter.commands.show import sent
from starter.commands.status import listing

SHOWN = 20
"""So many incidents are listed."""


def page(told: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[RenderableType]:
    """All of an account: its lines, what comes next, whom it asks, its exceptions, its incidents, what was told."""
    head = Text(one_line(told["customer"]), style="bold")
    head.append(" · ").append_text(terminal.state(told["standing"]))
    if told["since"]:
        head.append(f" since {account.here(told['since'])}")
    yield head
    if not told["lines"]:
        yield Text("The account is being opened; look again in a moment.")
        return
    yield _lines(told)
    for id in told["lines"]:
        yield from _remarks(told, id)
    if rows:
        yield Text(f"\nEnrolled incidents ({told['enrolled']})", style="bold")
        yield listing(rows[:SHOWN], now)
    if told["enrolled"] > min(len(rows), SHOWN):
        yield Text(f"pactkeeper status --customer {one_line(told['customer'])} lists all that are open", style="dim")
    yield from sent([{"clock": None, **notice, "step": None} for notice in told["notices"][-SHOWN:]])
    if letters := told["dead_letters"]:
        yield Text(f"\nDead letters: {len(letters)}; the last: {one_line(letters[-1]['why'])}", style="bold red")
    yield Text(f"\nYou may: {', '.join(_may(told))}", style="dim")


def concerned(told: Mapping[str, Any], line: str | None) -> list[str]:
    """The lines that an approval would touch."""
    return [id for id, one in told["lines"].items() if line in (None, id) and one["standing"] == "lapsed"]


def question(
    told: Mapping[str, Any],
    line: str | None,
    rows: Sequence[Mapping[str, Any]],
    policies: Policies,
    at: datetime | None,
) -> Iterator[RenderableType]:
    """What an approval would do: for each line since when, and which incidents would stand still, which are served even so."""
    customer = policies.customer(told["customer"]) or Customer(id=told["customer"])
    for id in concerned(told, line):
        about = told["of_line"][id]
        yield Text(f"{one_line(about['title'] or id)}: {told['lines'][id]['why']}", style="bold")
        for due in about["outstanding"]:
            what = f"{one_line(due['reference'])}, " if due["reference"] else ""
            yield Text(f"  {what}outstanding since {account.here(due['since'])}")
        yield Text(f"  {_from_when(about, told['lines'][id], at)}")
        serves = _serves(policies, customer, id)
        mine = [row for row in rows if row["line"] == id]
        if mine:
            yield _stands(mine, serves)
        if (more := about["enrolled"] - len(mine)) > 0:
            yield Text(f"  and {more} more {'incident' if more == 1 else 'incidents'}")
        if not about["enrolled"]:
            yield Text("  No incident is enrolled; new ones are taken in, and their clocks start when support goes on.")


def _lines(told: Mapping[str, Any]) -> RenderableType:
    made = terminal.table("line", "standing", "since", "why", "paid", "contract")
    for id, line in told["lines"].items():
        about = told["of_line"][id]
        since = account.here(line["since"]) if line["since"] else "–"
        clause = f" ({about['clause']})" if about["clause"] else ""
        named = f"{about['title']} ({id})" if about["title"] else id
        state = terminal.state(line["standing"])
        terminal.row(
            made,
            [named, state, since, line["why"] or "–", _paid(about), f"{about['contract']}{clause}"],
        )
    return made


def _paid(about: Mapping[str, Any]) -> str:
    if about["prepaid"]:
        return "in advance"
    return f"in advance until {account.here(about['prepaid_until'])}" if about["prepaid_until"] else "as billed"


def _remarks(told: Mapping[str, Any], id: str) -> Iterator[RenderableType]:
    line, about = told["lines"][id], told["of_line"][id]
    of = f"{id}: " if len(told["lines"]) > 1 else ""
    if coming := account.next_of(told, id):
        yield Text(f"{of}{coming}", style="bold")
    if line["awaits_approval"]:
        option = f" --line {id}" if len(told["lines"]) > 1 else ""
        customer = one_line(told["customer"])
        yield Text(f"{of}Somebody is asked: suspend support while it is outstanding?", style="bold yellow")
        yield Text(
            f"  pactkeeper approve {customer}{option} --by YOU  |  pactkeeper decline-suspension {customer}{option} --by YOU"
        )
    if (exception := line["exception"]) is not None and line["standing"] != "current":
        yield Text(f"{of}The exception's reason: {one_line(exception['why'], 400)}", style="yellow")
    if (answer := about["answer"]) is not None:
        verb = "approved" if answer["approved"] else "declined"
        why = f": {answer['why']}" if answer["why"] else ""
        yield Text(
            one_line(
                f"{of}{answer['by'] or 'Somebody'} {verb} the suspension on {account.here(answer['at'])}{why}", 400
            )
        )


def _may(told: Mapping[str, Any]) -> Iterator[str]:
    lines = told["lines"].values()
    unpaid = any(line["standing"] in ("lapsed", "suspended") for line in lines)
    if unpaid and any(about["mode"] == "approval" for about in told["of_line"].values()):
        yield "approve"
        yield "decline-suspension"
    yield "except"
    if any(line["exception"] for line in lines):
        yield "end-exception"
    yield "suspend"
    yield "resume"


def _from_when(about: Mapping[str, Any], line: Mapping[str, Any], at: datetime | None) -> str:
    if about["mode"] == "none":
        return "Its contract does not suspend support, so an approval changes nothing."
    if about["mode"] == "automatic":
        return "Its contract suspends support by itself, so an approval changes nothing."
    if line["exception"] is not None:
        return f"Support would be suspended when the exception ends, on {account.here(line['exception']['until'])}."
    graces = [due["grace_until"] for due in about["outstanding"] if not due["terminated"]]
    if graces and not line["awaits_approval"]:
        return f"Support would be suspended when the grace is over, on {account.here(min(graces))}."
    since = "now" if at is None else account.here(at.isoformat())
    return f"Support would be suspended from {since} on, until it is paid."


def _serves(policies: Policies, customer: Customer, line: str) -> tuple[str, ...]:
    mine = next((one for one in customer.contract_lines if one.id == line), None)
    terms = policies.contract(customer.id, None if mine is None else mine.contract).suspension
    return () if terms is None else terms.serves


def _stands(rows: Sequence[Mapping[str, Any]], serves: Sequence[str]) -> RenderableType:
    made = terminal.table("ticket", "priority", "assignee", "what it would do")
    for row in rows:
        clocks = [
            f"{name} ({terminal.amount(clock['left_seconds'])} left)"
            for name, clock in row["clocks"].items()
            if clock["state"] in ("running", "paused")
        ]
        stops = f"stands still: {', '.join(clocks)}" if clocks else "no clock runs; nothing changes"
        said = "served even so" if row["priority"] in serves else stops
        terminal.row(made, [row["ticket"], row["priority"], row["assignee"] or "nobody yet", said])
    return made
