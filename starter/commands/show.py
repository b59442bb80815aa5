"""An incident as people read it at the terminal: a line, or the whole page. Made from what `status --json` prints."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from activities.message import one_line
from starter.commands import terminal
from starter.commands.went import by
from workflows.card import MARKS, MAY

STANDS_STILL = {
    "waiting": "we wait for the customer's answer",
    "held": "the requester is no authorized contact; a contact of the company must authorize the request",
    "discarded": "the request is not in a language that the contract serves, or was declined",
    "dispositioned": "it is no covered incident",
}
COMMANDS = {
    "acknowledge": "ack",
    "plan_given": "plan-given",
}
"""Actions whose command is called otherwise."""


def line(called: str, told: Mapping[str, Any]) -> Text:
    """`4711: open, P1, dana; response met; resolution due Mon 14 Jul 2031 16:00 (in 3 h)`."""
    if told["phase"] == "opening":
        return Text(f"{one_line(called)}: being opened; look again in a moment")
    who = told["assignee"] or "nobody has it yet"
    said = Text(f"{one_line(called)}: ").append_text(terminal.state(told["phase"]))
    said.append(f", {told['priority']}, {one_line(who)}")
    for name, clock in told["clocks"].items():
        said.append(f"; {name} ")
        said.append_text(terminal.state(clock["state"]))
        if clock["state"] == "running" and clock["due"]:
            said.append(f", due {terminal.moment(clock['due'])} ({terminal.from_now(clock['due'])})")
    return said


def page(
    called: str, told: Mapping[str, Any], plan: Sequence[Mapping[str, Any]], now: datetime
) -> Iterator[RenderableType]:
    """All of an incident: what it is, its clocks, why they stand still, what comes next, what was said."""
    yield heading(called, told)
    contract = told["contract"]
    place = terminal.offset(datetime.fromisoformat(told["next_change_at"] or told["log"][-1]["received_at"]))
    under = f"contract {contract['name']} (version {contract['version']}), standing {told['standing']}"
    yield Text(f"{under}, {told['incident']}; times are the contract's own ({place})", style="dim")
    yield from body(told, now)
    if plan:
        yield Text("\nNext, unless something happens first", style="bold")
        yield steps(plan[:5], now)
        if len(plan) > 5:
            yield Text(f"and {len(plan) - 5} more: pactkeeper plan {one_line(called)}", style="dim")
    yield from sent(told["notices"])
    if told["dead_letters"]:
        last = told["dead_letters"][-1]
        yield Text(f"\nDead letters: {len(told['dead_letters'])}; the last: {one_line(last['why'])}", style="bold red")
    may = ", ".join(COMMANDS.get(word, word) for word in MAY[told["phase"]].split(", "))
    yield Text(f"\nYou may: {may}", style="dim")


def heading(called: str, told: Mapping[str, Any]) -> Text:
    """The first line: ticket, phase, priority, customer, who has it."""
    said = Text(one_line(called), style="bold")
    said.append(" · ").append_text(terminal.state(told["phase"])).append(f" · {told['priority']}")
    if told.get("customer"):
        said.append(f" · {one_line(told['customer'])}")
    return said.append(f" · {one_line(told['assignee'])} has it" if told["assignee"] else " · nobody has it yet")


def body(told: Mapping[str, Any], now: datetime) -> Iterator[RenderableType]:
    """The clocks, and why they stand still."""
    yield clocks(told["clocks"], now)
    states = {clock["state"] for clock in told["clocks"].values()}
    why = unpaid(told) if told["phase"] == "suspended" else STANDS_STILL.get(told["phase"])
    if why and (told["phase"] != "waiting" or "paused" in states):
        ground = f" ({told['disposition'].replace('_', ' ')})" if told["disposition"] else ""
        yield Text(f"Why the clocks stand still: {why}{ground}", style="yellow")
    if means := told.get("support", {}).get("means"):
        yield Text(f"Payments: {one_line(means)}", style="yellow")
    if told["phase"] == "resolved":
        yield Text(f"Resolved by a {str(told['resolution']).replace('_', ' ')}", style="green")
    for remark in told["attention"]:
        yield Text(f"Look at this: {one_line(remark)}", style="bold yellow")


def unpaid(told: Mapping[str, Any]) -> str:
    """Why support is suspended, and since when, as far as the incident knows."""
    support = told.get("support", {})
    since = f" since {terminal.moment(support['since'])}" if support.get("since") else ""
    if told.get("standing") == "terminated":
        return f"support has ended{since}, with the contract"
    why = support.get("why") or ""
    named = why[why.index("(") :] if "(" in why else ""
    return f"support is suspended{since}, for the customer is not current with its payments{' ' if named else ''}{one_line(named)}"


def clocks(told: Mapping[str, Mapping[str, Any]], now: datetime) -> RenderableType:
    """The clocks as a table."""
    made = terminal.table("clock", "state", "used", "left", "due", "", "promise")
    for name, clock in told.items():
        live = clock["state"] in ("running", "paused", "suspended", "missed", "met")
        left = clock["left_seconds"] if live else None
        promise = f"{clock['target'] or 'no target'}, {clock['commitment']} ({clock['clause']})"
        terminal.row(
            made,
            [
                name,
                terminal.state(clock["state"], MARKS[clock["state"]]),
                terminal.bar(clock["used_seconds"], left) if live else "–",
                terminal.amount(left),
                *_due(clock, now),
                promise,
            ],
        )
    return made


def _due(clock: Mapping[str, Any], now: datetime) -> tuple[str, str]:
    """The moment that matters, and what it is or how far away."""
    if clock["provisional"]:
        return "–", "due past the pinned calendar"
    if clock["stopped"]:
        late = f", missed {terminal.moment(clock['declared_missed'])}" if clock["declared_missed"] else ""
        return terminal.moment(clock["stopped"]), f"stopped{late}"
    if clock["due"] is None:
        return "–", ""
    return terminal.moment(clock["due"]), terminal.from_now(clock["due"], now)


def steps(plan: Sequence[Mapping[str, Any]], now: datetime) -> RenderableType:
    """Steps to come."""
    place = terminal.offset(datetime.fromisoformat(plan[0]["at"]))
    made = terminal.table(f"when ({place})", "", "clock", "step", "tells", "clause")
    for step in plan:
        moved = f", then to the {step['reassign'].replace('_', ' ')}" if step["reassign"] else ""
        terminal.row(
            made,
            [
                terminal.moment(step["at"]),
                terminal.from_now(step["at"], now),
                step["clock"],
                step["step"],
                ", ".join(step["tells"]).replace("_", " ") + moved,
                step["clause"],
            ],
        )
    return made


def sent(notices: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """What was sent, and to whom."""
    if not notices:
        return
    yield Text("\nSent", style="bold")
    made = terminal.table("when", "what", "clock", "to", "by", "clause")
    for notice in notices:
        what = notice["kind"].replace("_", " ") + (f" {notice['step']}" if notice["step"] else "")
        terminal.row(
            made,
            [
                terminal.moment(notice["at"]),
                what,
                notice["clock"] or "–",
                ", ".join(notice["to"]) or "nobody",
                by(notice),
                notice["clause"] or "–",
            ],
        )
    yield made


def happened(log: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What was heard from outside."""
    made = terminal.table("happened", "what", "by", "heard of")
    for entry in log:
        late = entry["received_at"] != entry["occurred_at"]
        terminal.row(
            made,
            [
                terminal.moment(entry["occurred_at"]),
                entry["event"].replace("_", " "),
                entry["by"] or "–",
                terminal.moment(entry["received_at"]) if late else "",
            ],
        )
    return made
