"""What an operator reads in the Temporal UI: the card of an incident, and one line for each timer and activity."""

from collections.abc import Sequence
from datetime import datetime

from sla.evaluate import ClockView, View
from sla.incident import Incident
from sla.owed import duration_text
from sla.steps import Step
from sla.timetable import Timetable

MARKS = {
    "running": "▶ running",
    "paused": "⏸ paused",
    "suspended": "⛔ suspended",
    "met": "✔ met",
    "missed": "✖ missed",
    "void": "∅ void",
    "not_started": "… not started",
}
MAY = {
    "open": "acknowledge, assign, reclassify, reply, plan_given, wait, resolve, dispose, close",
    "waiting": "reply, reclassify, resolve, close; a reply of the customer starts the paused clocks again",
    "suspended": "assign, reclassify; the clocks go on when the customer is current with its payments",
    "held": "authorize, decline",
    "discarded": "restore, close",
    "dispositioned": "restore, close",
    "resolved": "reopen, close",
    "closed": "reopen",
}


def when(table: Timetable, at: datetime | None) -> str:
    """A moment as people at the desk read it, in the calendar's own time."""
    return "–" if at is None else f"{table.to_local(at):%a %d %b %Y %H:%M}"


def card(view: View, incident: Incident) -> str:
    """The card, as markdown: clocks, why paused, who has it, the next five steps, what one may do."""
    table, contract = incident.pinned.calendar.timetable(), incident.pinned.contract
    lines = [
        f"**{view.phase}** · {view.priority} {contract.priorities[view.priority].title} · "
        f"assignee **{view.assignee or 'nobody yet'}** · {contract.title} · version {incident.pinned.version}",
        "",
        "| clock | state | target | due | left | clause |",
        "|---|---|---|---|---|---|",
        *(_row(clock, table) for clock in view.clocks),
        "",
    ]
    if why := standing_still(view, table):
        lines += [f"**Why the clocks stand still:** {why}", ""]
    if view.plan:
        lines += ["**Next steps, unless something happens first:**", ""]
        for step in view.plan[:5]:
            moved = f", then to the {step.reassign.replace('_', ' ')}" if step.reassign else ""
            lines.append(
                f"- {when(table, step.at)}: {step.clock} {step.step} → {', '.join(step.tells)}{moved} ({step.clause})"
            )
        lines.append("")
    for remark in view.attention:
        lines.append(f"**Look at this:** {remark}")
    if view.missing and contract.checklist:
        lines.append(f"**Missing from the customer ({contract.checklist.clause}):** {', '.join(view.missing)}")
    if view.phase == "resolved" and view.resolution == "workaround":
        lines.append("**A workaround is in place;** the long-term fix is still open, without a clock")
    if incident.state.dead_letters:
        lines.append(
            f"**Dead letters:** {len(incident.state.dead_letters)}; the last: {incident.state.dead_letters[-1].why}"
        )
    lines.append(f"**You may:** {MAY[view.phase]}")
    return "\n".join(lines)


def _row(clock: ClockView, table: Timetable) -> str:
    left = "–" if clock.left_us is None or clock.state == "void" else duration_text(clock.left_us)
    due = "after the pinned calendar ends" if clock.provisional else when(table, clock.due)
    what = "estimate" if clock.commitment == "estimate" else clock.commitment
    return f"| {clock.name} | {MARKS[clock.state]} | {clock.target or '–'} ({what}) | {due} | {left} | {clock.clause} |"


def standing_still(view: View, table: Timetable) -> str | None:
    """Why no clock runs, in a sentence; None while one does or none has to."""
    if view.phase == "suspended":
        return f"support is suspended since {when(table, view.ledger.since)}: the customer is not current with its payments"
    if view.phase == "waiting" and any(clock.state == "paused" for clock in view.clocks):
        return "we wait for the customer's answer"
    if view.phase == "held":
        return "the requester is no authorized contact; a contact of the company must authorize the request"
    if view.phase == "discarded":
        return "the request is not in a language that the contract serves; no message went to the customer"
    if view.phase == "dispositioned":
        return f"dispositioned as {(view.disposition or '').replace('_', ' ')}: no clock runs"
    return None


def timer_summary(view: View, table: Timetable) -> str:
    """What the incident sleeps for."""
    if view.plan and view.plan[0].at == view.next_change_at:
        step = view.plan[0]
        return f"{step.clock} {step.step} → {', '.join(step.tells)}, {when(table, step.at)}"[:190]
    if view.next_change_at is not None:
        return f"a deadline passes, {when(table, view.next_change_at)}"
    return f"pin the calendar further ahead, {when(table, view.repin_at)}"


def details(steps: Sequence[Step]) -> str:
    """One line for the activity that carries out steps."""
    said = [f"{step.clock} {step.step}" if step.kind == "escalation" else step.kind.replace("_", " ") for step in steps]
    return ", ".join(dict.fromkeys(said))[:190]
