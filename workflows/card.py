"""What an operator reads in the Temporal UI: the card of an incident, and one line for each timer and activity.

The card is written when something happens, not when it is read: so it tells moments, and no "minutes left" that would be
stale. What others wrote is told in a way that the UI cannot take for markup, links or pictures. The UI keeps line breaks,
and draws tables without borders or space between columns, so there are none here.
"""

from collections.abc import Sequence

from sla import names
from sla.evaluate import ClockView, View
from sla.incident import Incident
from sla.owed import duration_text
from sla.policy import Contract
from sla.steps import Planned, Step
from sla.timetable import Timetable
from workflows.advice import declined, headline, payments, standing_still, to_do, who
from workflows.words import STOPS, base_of, due_of, listed, moment, plain, short, soon, tells, when

MARKS = {
    "running": "▶ running",
    "paused": "‖ paused",
    "suspended": "■ suspended",
    "met": "✔ met",
    "missed": "✖ missed",
    "void": "∅ void",
    "not_started": "… not started",
}
MAY = {
    "open": "acknowledge, assign, reclassify, reply, plan_given, wait, resolve, dispose, close",
    "waiting": "reply, plan_given, reclassify, resolve, close; a reply of the customer starts the paused clocks again",
    "suspended": "assign, reclassify; the clocks go on when the customer is current with its payments",
    "held": "authorize, decline",
    "discarded": "restore, close",
    "dispositioned": "restore, close",
    "resolved": "reopen, close",
    "closed": "reopen",
}
SAYS = {
    "acknowledgement": "acknowledge receipt",
    "information_request": "ask the customer for what is missing",
    "suspension": "tell that support is suspended",
    "resumption": "tell that support goes on",
    "withdrawal": "take back an unfounded escalation",
    "reclassification": "tell the revised priority",
    "disposition": "tell the disposition",
}


def card(view: View, incident: Incident) -> str:
    """The card, as markdown: what matters first, who has it, what to do; the clocks; the next five steps; what one may do."""
    table, contract = incident.pinned.calendar.timetable(), incident.pinned.contract
    ticket = f"{names.canonical(incident.state.source)}/{names.canonical(incident.state.ticket)}"
    lines = [f"**{headline(view, incident)}**", who(view, incident), f"**To do:** {to_do(view, incident, ticket)}"]
    lines += ["", "**Clocks**", *(_clock(clock, contract, table) for clock in view.clocks)]
    if why := standing_still(view, incident):
        lines.append(f"**Why the clocks stand still:** {why}")
    if said := payments(view, incident):
        lines.append(f"**Payments:** {said}")
    if view.plan:
        lines += ["", "**Next, unless something happens first**", *(_step(step, table) for step in view.plan[:5])]
        if len(view.plan) > 5:
            lines.append(f"• and {len(view.plan) - 5} more: `pactkeeper plan {ticket}`")
    lines += ["", *_remarks(view, incident, ticket)]
    lines.append(f"**You may:** {'close' if declined(incident) else MAY[view.phase]}")
    lines += ["", f"{view.phase} · {contract.title}, version {incident.pinned.version}"]
    lines.append(f"Times are those of {incident.pinned.calendar.timezone}.")
    return "\n".join(lines)


def timer_summary(view: View, table: Timetable) -> str:
    """What the incident sleeps for. Short, and without the year: the UI's timeline cuts what is longer than some 70 letters."""
    at = view.look_again_at or view.now
    if view.plan and view.plan[0].at == at:
        step = view.plan[0]
        takes = ", passes it on" if step.reassign else ""
        what = f"{moment(step.clock, step.step)} → {', '.join(step.tells).replace('_', ' ')}{takes}"
    else:
        what = "a deadline passes" if view.next_change_at == at else "more of the calendar must be pinned"
    return short(f"{what}, {soon(table.to_local(at))}")


def details(steps: Sequence[Step]) -> str:
    """One line for the activity that carries out steps."""
    said = [
        moment(step.clock or "", step.step or "")
        if step.kind == "escalation"
        else SAYS.get(step.kind, step.kind.replace("_", " "))
        for step in steps
    ]
    return short("; ".join(dict.fromkeys(said)))


def _clock(clock: ClockView, contract: Contract, table: Timetable) -> str:
    match clock.state:
        case "running" if clock.provisional:
            how = f"due after {table.calendar.last}, past what is pinned of the calendar"
        case "running":
            how = f"due {when(table, clock.due)}"
        case "met":
            how = f"met {when(table, clock.stopped)}"
        case "missed":
            how = f"was due {when(table, due_of(clock))}"
            how += f", done {when(table, clock.stopped)}" if clock.stopped is not None else ", still owed"
        case "suspended" if clock.started is None:
            how = "starts when support goes on"
        case "paused" | "suspended":
            how = clock.state if clock.left_us is None else f"{clock.state}, {duration_text(clock.left_us)} left"
        case "not_started":
            how = "has not started"
        case _:
            how = "does not count"
    owed = clock.live or (clock.state == "missed" and clock.stopped is None)
    stops = [STOPS[stop] for stop in contract.clocks[base_of(clock.name)].stops]
    target = f"{clock.target}, {clock.commitment}" if clock.target else "no target"
    by = f"; stopped by {listed(stops, 'or')}" if owed else ""
    return f"{MARKS[clock.state].split()[0]} **{clock.name}** {how} ({target}, {clock.clause}){by}"


def _step(step: Planned, table: Timetable) -> str:
    return f"• {when(table, step.at)}: {moment(step.clock, step.step)}: {tells(step)} ({step.clause})"


def _remarks(view: View, incident: Incident, ticket: str) -> list[str]:
    said = [f"**Look at this:** {plain(remark)}" for remark in view.attention]
    if (checklist := incident.pinned.contract.checklist) and view.missing:
        missing = ", ".join(name.replace("_", " ") for name in view.missing)
        said.append(f"**Missing from the customer ({checklist.clause}):** {missing}")
    if view.disposition is not None and view.phase != "dispositioned":
        said.append(f"**Dispositioned as {view.disposition.replace('_', ' ')};** the clocks go on all the same")
    if view.phase == "resolved" and view.resolution == "workaround":
        said.append("**A workaround is in place;** the long-term fix is still open, without a clock")
    if letters := incident.state.dead_letters:
        said.append(f"**Dead letters: {len(letters)}.** The last: {plain(letters[-1].why)}.")
        said.append(f"`pactkeeper status {ticket} --json` shows them; what they say has not been taken in")
    return said
