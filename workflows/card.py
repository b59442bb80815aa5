"""What an operator reads in the Temporal UI: the card of an incident, and one line for each timer and activity.

The card is written when something happens, not when it is read: so it tells moments, and no "minutes left" that would be
stale. What others wrote is told in a way that the UI cannot take for markup, links or pictures.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from sla import names
from sla.evaluate import ClockView, View
from sla.incident import Incident
from sla.owed import duration_text
from sla.policy import Contract
from sla.steps import Planned, Step
from sla.timetable import Timetable
from workflows.advice import declined, headline, standing_still, to_do, who
from workflows.words import STOPS, due_of, listed, moment, plain, short, tells, when

MARKS = {
    "running": "▶ running",
    "paused": "‖ paused",
    "suspended": "■ suspended",
    "met": "✔ met",
    "missed": "✖ missed",
    "void": "∅ void",
    "not_started": "… not started",
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


table: Timetable, at: datetime | None) -> str:
    """A moment as people at the desk read it, in the calendar's own time, and in UTC for whoever sits elsewhere."""
    if at is None:
        return "–"
    local, utc = table.to_local(at), at.astimezone(UTC)
    if local.utcoffset() == utc.utcoffset():
        return f"{local:%a %d %b %Y %H:%M} UTC"
    day = "" if local.date() == utc.date() else f"{utc:%a} "
    return f"{local:%a %d %b %Y %H:%M %Z} ({day}{utc:%H:%M} UTC)"


def card(view: View, incident: Incident) -> str:
    """The card, as markdown: what matters first, who has it, what to do; the clocks; the next five steps; what one may do."""
    table, contract = incident.pinned.calendar.timetable(), incident.pinned.contract
    ticket = f"{names.canonical(incident.state.source)}/{names.canonical(incident.state.ticket)}"
    lines = [f"**{headline(view, incident)}**", who(view, incident), f"**To do:** {to_do(view, incident, ticket)}"]
    lines += ["", "**Clocks**", *(_clock(clock, contract, table) for clock in view.clocks)]
    if why := standing_still(view, incident):
        lines += ["", f"**Why the clocks stand still:** {why}"]
    if view.plan:
        lines += ["", "**Next, unless something happens first**", *(_step(step, table) for step in view.plan[:5])]
        if len(view.plan) > 5:
            lines.append(f"• and {len(view.plan) - 5} more: `pactkeeper plan {ticket}`")
    lines += ["", *_remarks(view, incident)]
    lines.append(f"**You may:** {'close' if declined(incident) else MAY[view.phase]}")
    lines += ["", f"{view.phase} · {contract.title}, version {incident.pinned.version}"]
    lines.append(f"Times are those of {incident.pinned.calendar.timezone}.")
    return "\n".join(lines)


view: View, incident: Incident) -> str:
    """What matters most, in one sentence."""
    table, contract = incident.pinned.calendar.timetable(), incident.pinned.contract
    late = [clock for clock in view.clocks if clock.state == "missed" and clock.stopped is None]
    if view.phase == "closed":
        return f"Closed {when(table, view.closed_at)}; nothing is left to do."
    if late:
        # A guarantee alone can be breached (T08, B09).
        word = "Breached" if any(clock.commitment == "guarantee" for clock in late) else "Missed target"
        return f"{word}: {', '.join(c.name for c in late)}, due {when(table, min(due_of(c) for c in late))}, still owed."
    if view.phase == "suspended":
        clause = f" ({contract.suspension.clause})" if contract.suspension else ""
        return f"Support is suspended since {when(table, view.ledger.since)}{clause}; no clock runs."
    if view.phase == "held":
        clause = f" ({contract.contacts.clause})" if contract.contacts else ""
        return f"Held: who asks is no authorized contact{clause}."
    if view.phase == "discarded":
        return "Declined by a contact of the company." if declined(incident) else f"Discarded{_language(contract)}."
    if view.phase == "dispositioned":
        return f"No covered incident: {(view.disposition or '').replace('_', ' ')}."
    if view.phase == "resolved":
        return f"Resolved by {'an' if view.resolution == 'other_relief' else 'a'} {(view.resolution or '').replace('_', ' ')}."
    if view.next_due is not None:
        first = next(clock for clock in view.clocks if clock.state == "running" and clock.due == view.next_due)
        return f"Next due: {first.name}, {when(table, first.due)}."
    if view.phase == "waiting":
        return "We wait for the customer."
    return "Every promise is kept so far; the ticket is still open."


incident: Incident) -> bool:
    """Whether a contact of the company refused the request, and none stood for it."""
    heard = {line.event.event for line in incident.state.log}
    return "declined" in heard and "authorized" not in heard


view: View, incident: Incident) -> str | None:
    """Why no clock runs, in a sentence; None while one does or none has to."""
    table = incident.pinned.calendar.timetable()
    if view.phase == "suspended":
        since = when(table, view.ledger.since)
        return f"support is suspended since {since}, for the customer is not current with its payments"
    if view.phase == "waiting":
        paused = [clock.name for clock in view.clocks if clock.state == "paused"]
        running = [clock.name for clock in view.clocks if clock.state == "running"]
        if paused:
            runs = f"; {', '.join(running)} runs on" if running else ""
            return f"we wait for the customer's answer, which pauses {', '.join(paused)}{runs}"
        return f"they do not: we wait for the customer, but {', '.join(running)} runs on" if running else None
    if view.phase == "held":
        return "the requester is no authorized contact; a contact of the company must authorize the request"
    if view.phase == "discarded" and declined(incident):
        return "a contact of the company declined the request"
    if view.phase == "discarded":
        return "the request is not in a language that the contract serves; no message went to the customer"
    if view.phase == "dispositioned":
        return f"dispositioned as {(view.disposition or '').replace('_', ' ')}: none is met or missed"
    return None


def timer_summary(view: View, table: Timetable) -> str:
    """What the incident sleeps for."""
    if view.plan and view.plan[0].at == view.next_change_at:
        step = view.plan[0]
        takes = ", passes it on" if step.reassign else ""
        what = f"{moment(step.clock, step.step)} → {', '.join(step.tells).replace('_', ' ')}{takes}"
    elif view.next_change_at is not None:
        what = "a deadline passes"
    else:
        what = "more of the calendar must be pinned"
    # Short, and without the year: the timeline cuts what is longer than about 70 letters.
    return short(f"{what}, {table.to_local(view.look_again_at or view.now):%a %d %b %H:%M %Z}")


def details(steps: Sequence[Step]) -> str:
    """One line for the activity that carries out steps."""
    said = [
        moment(step.clock or "", step.step or "")
        if step.kind == "escalation"
        else SAYS.get(step.kind, step.kind.replace("_", " "))
        for step in steps
    ]
    return short("; ".join(dict.fromkeys(said)))


text: str) -> str:
    """As much of a line as Temporal takes for a summary."""
    kept = text.encode()[:MAX_SUMMARY].decode("utf-8", "ignore")
    return text if kept == text else kept[:-1] + "…"


text: str) -> str:
    """What others wrote, on one line; in code where the UI could take a part of it for markup, a link or a picture."""
    line = " ".join(text.split())[:300]
    return f"`{line.replace('`', chr(39))}`" if _MARKUP.search(line) else line


clock: ClockView) -> datetime:
    due = clock.due or clock.declared_missed
    assert due is not None
    return due


contract: Contract) -> str:
    return f": not in a language that is served ({contract.language.clause})" if contract.language else ""


view: View, incident: Incident) -> str:
    what = f"{view.priority} ({incident.pinned.contract.priorities[view.priority].title})"
    customer = f"{what} of {plain(names.canonical(incident.state.customer))}."
    if view.assignee is None:
        return f"{customer} Nobody has it yet."
    return f"{customer} {plain(view.assignee)} has it{'' if _taken(incident) else ', but has not acknowledged it'}."


incident: Incident) -> bool:
    """Whether one of ours has acknowledged it, in so many words or by acting."""
    return any(line.event.event in OURS and getattr(line.event, "by", None) for line in incident.state.log)


view: View, incident: Incident, ticket: str) -> str:
    """What helps most now, with its command."""
    match view.phase:
        case "closed":
            return f"nothing; `pactkeeper reopen {ticket} --by YOU` if it is not over"
        case "suspended":
            customer = names.canonical(incident.state.customer)
            return f"nothing, until the customer has paid; then `pactkeeper resume {customer}`"
        case "held":
            return f"ask a contact of the company; then `pactkeeper authorize {ticket} --by CONTACT`, or `decline`"
        case "discarded" if not declined(incident):
            return f"look whether it is in another language indeed; if not, `pactkeeper restore {ticket} --by YOU`"
        case "discarded" | "dispositioned" | "resolved":
            return f"`pactkeeper close {ticket} --by YOU` when it is over"
    if not _taken(incident):
        return f"`pactkeeper ack {ticket} --by YOU`, and look into it"
    owed = [clock for clock in view.clocks if clock.stopped is None and clock.state in ("missed", "running")]
    if not owed and view.phase == "waiting":
        return "nothing, until the customer answers; the answer starts the clocks again"
    for clock in sorted(
        owed, key=lambda clock: (clock.state != "missed", clock.due or datetime.max.replace(tzinfo=UTC))
    ):
        for stop in incident.pinned.contract.clocks[clock.name.partition("#")[0]].stops:
            if stop in DOES:
                return f"{DOES[stop]}; then `pactkeeper {STOPS[stop].replace('_', '-')} {ticket} --by YOU`"
    return f"{DOES['resolved']}; then `pactkeeper resolve {ticket} --by YOU`"


def _clock(clock: ClockView, contract: Contract, table: Timetable) -> str:
    left = "" if clock.left_us is None else f" with {duration_text(clock.left_us)} left"
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
        case "paused" | "suspended":
            how = f"{clock.state}{left}" if clock.started is not None else "starts when support goes on"
        case "not_started":
            how = "has not started"
        case _:
            how = "does not count"
    stops = contract.clocks[clock.name.partition("#")[0]].stops
    until = f"; stopped by {listed([STOPS[s] for s in stops], 'or')}" if clock.live or how.endswith("owed") else ""
    target = f"{clock.target}, {clock.commitment}" if clock.target else "no target"
    return f"{MARKS[clock.state].split()[0]} **{clock.name}** {how} ({target}, {clock.clause}){until}"


def _step(step: Planned, table: Timetable) -> str:
    return f"• {when(table, step.at)}: {moment(step.clock, step.step)}: {tells(step)} ({step.clause})"


clock: str, step: str) -> str:
    """`75% of response used`, `response missed`, `1 business hour after response was missed`."""
    if step == "100%":
        return f"{clock} missed"
    if step.startswith("miss + "):
        return f"{step.removeprefix('miss + ')} after {clock} was missed"
    nobody = step.startswith("unacknowledged ")
    return f"{step.removeprefix('unacknowledged ')} of {clock} used{' and nobody took it' if nobody else ''}"


step: Planned) -> str:
    told = listed([who.replace("_", " ") for who in step.tells] or ["nobody"], "and")
    takes = {"next": "; the next person takes it", "next_tier": "; the next tier takes it"}
    return f"tells {told}{takes.get(step.reassign or '', '')}"


words: Sequence[str], last: str) -> str:
    """`a, b or c`."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else words[0]


def _remarks(view: View, incident: Incident) -> list[str]:
    said = [f"**Look at this:** {plain(remark)}" for remark in view.attention]
    if (checklist := incident.pinned.contract.checklist) and view.missing:
        missing = ", ".join(name.replace("_", " ") for name in view.missing)
        said.append(f"**Missing from the customer ({checklist.clause}):** {missing}")
    if view.phase == "resolved" and view.resolution == "workaround":
        said.append("**A workaround is in place;** the long-term fix is still open, without a clock")
    if letters := incident.state.dead_letters:
        said.append(
            f"**Dead letters: {len(letters)}.** The last: {plain(letters[-1].why)}. All of them: query `status`"
        )
    return said
