"""What an incident comes to for a person, in sentences: what matters most, who has it, what to do, why clocks stand still."""

from datetime import UTC, datetime
from typing import Any

from sla import names, report
from sla.evaluate import View
from sla.incident import Incident
from workflows.words import STOPS, base_of, due_of, plain, when

DOES = {
    "agent_replied": "answer the customer",
    "plan_provided": "give the customer a plan",
    "resolved": "give relief (a fix, a workaround or another)",
}
"""What to do first, by the event that it leads to."""
TAKES = ("acknowledged", "agent_replied", "plan_provided", "waiting_on_customer", "resolved")
"""Events by which one of ours takes a ticket."""
NEVER = datetime.max.replace(tzinfo=UTC)


def headline(view: View, incident: Incident) -> str:
    """What matters most, in one sentence."""
    table, contract = incident.pinned.calendar.timetable(), incident.pinned.contract
    late = [clock for clock in view.clocks if clock.state == "missed" and clock.stopped is None]
    if view.phase == "closed":
        return f"Closed {when(table, view.closed_at)}; nothing is left to do."
    if late:
        # A guarantee alone can be breached (T08, B09).
        word = "Breached" if any(clock.commitment == "guarantee" for clock in late) else "Missed target"
        due = when(table, min(due_of(clock) for clock in late))
        return f"{word}: {', '.join(clock.name for clock in late)}, due {due}, still owed."
    if view.phase == "suspended":
        clause = f" ({contract.suspension.clause})" if contract.suspension else ""
        ended = view.standing == "terminated"
        said = "Support has ended with the contract" if ended else "Support is suspended"
        return f"{said} since {when(table, view.ledger.since_at(view.now))}{clause}; no clock runs."
    if view.phase == "held":
        clause = f" ({contract.contacts.clause})" if contract.contacts else ""
        return f"Held: who asks is no authorized contact{clause}."
    if view.phase == "discarded" and declined(incident):
        return "Declined by a contact of the company."
    if view.phase == "discarded":
        clause = f" ({contract.language.clause})" if contract.language else ""
        return f"Discarded: not in a language that is served{clause}."
    if view.phase == "dispositioned":
        return f"No covered incident: {_disposition(view)}."
    if view.phase == "resolved":
        kind = (view.resolution or "").replace("_", " ")
        return f"Resolved by {'an' if kind.startswith('o') else 'a'} {kind}."
    if view.next_due is not None:
        first = next(clock for clock in view.clocks if clock.state == "running" and clock.due == view.next_due)
        return f"Next due: {first.name}, {when(table, first.due)}."
    if view.phase == "waiting":
        return "We wait for the customer."
    return "Every promise is kept so far; the ticket is still open."


def who(view: View, incident: Incident) -> str:
    """What it is, whose, and who has it."""
    title = incident.pinned.contract.priorities[view.priority].title
    whose = f"{view.priority} ({title}) of {plain(names.canonical(incident.state.customer))}."
    if view.assignee is None:
        return f"{whose} Nobody has it yet."
    return f"{whose} {plain(view.assignee)} has it{'' if taken(incident) else ', but has not acknowledged it'}."


def to_do(view: View, incident: Incident, ticket: str) -> str:
    """What helps most now, with its command."""
    match view.phase:
        case "closed":
            return f"nothing; `pactkeeper reopen {ticket} --by YOU` if it is not over"
        case "suspended":
            until = "there is a contract again" if view.standing == "terminated" else "the customer has paid"
            return f"nothing, until {until}; then `pactkeeper resume {names.canonical(incident.state.customer)}`"
        case "held":
            return f"ask a contact of the company; then `pactkeeper authorize {ticket} --by CONTACT`, or `decline`"
        case "discarded" if not declined(incident):
            return f"read it; if it is in a served language after all, `pactkeeper restore {ticket} --by YOU`"
        case "discarded" | "dispositioned" | "resolved":
            return f"`pactkeeper close {ticket} --by YOU` once it is over"
    if not taken(incident):
        return f"`pactkeeper ack {ticket} --by YOU`, and look into it"
    owed = [clock for clock in view.clocks if clock.stopped is None and clock.state in ("missed", "running")]
    if not owed and view.phase == "waiting":
        return "nothing, until the customer answers; the answer starts the clocks again"
    for clock in sorted(owed, key=lambda clock: (clock.state != "missed", clock.due or NEVER)):
        for stop in incident.pinned.contract.clocks[base_of(clock.name)].stops:
            if stop in DOES:
                return f"{DOES[stop]}; then `pactkeeper {STOPS[stop].replace('_', '-')} {ticket} --by YOU`"
    return f"{DOES['resolved']}; then `pactkeeper resolve {ticket} --by YOU`"


def standing_still(view: View, incident: Incident) -> str | None:
    """Why a clock does not run, in a sentence; None while all do or none has to."""
    if view.phase == "suspended" and view.standing == "terminated":
        return "the contract has ended; each goes on with exactly what was left when there is one again"
    if view.phase == "suspended":
        return "the customer is not current with its payments; each goes on with exactly what was left"
    if view.phase == "waiting":
        paused = [clock.name for clock in view.clocks if clock.state == "paused"]
        running = [clock.name for clock in view.clocks if clock.state == "running"]
        runs_on = f"{', '.join(running)} {'runs' if len(running) == 1 else 'run'} on" if running else ""
        if paused:
            why = f"we wait for the customer's answer, which pauses {', '.join(paused)}"
            return f"{why}; {runs_on}" if runs_on else why
        return f"they do not: under this contract waiting pauses none of them, and {runs_on}" if runs_on else None
    if view.phase == "held":
        return "none starts before a contact of the company authorizes the request"
    if view.phase == "discarded" and declined(incident):
        return "a contact of the company declined the request"
    if view.phase == "discarded":
        return "a request in another language is kept, and no message went to the customer"
    if view.phase == "dispositioned":
        return f"it was dispositioned as {_disposition(view)}, so no promise is met or missed"
    return None


def payments(view: View, incident: Incident) -> str | None:
    """What the customer's payments mean for the incident, in a sentence; None while they mean nothing, or the clocks say it."""
    contract, ledger = incident.pinned.contract, view.ledger
    if view.standing == "current" or view.phase in ("suspended", "closed"):
        return None
    table = incident.pinned.calendar.timetable()
    since = f" since {when(table, ledger.since)}" if ledger.since is not None else ""
    if not contract.suspends or contract.suspension is None:
        return f"a payment is outstanding{since}; this contract does not suspend support"
    if view.standing in ("suspended", "terminated"):
        if view.priority in contract.suspension.serves:
            said = "the end of the contract" if view.standing == "terminated" else "the suspension"
            return f"served in spite of {said} (contract: {', '.join(contract.suspension.serves)})"
        return f"support is {view.standing} since {when(table, ledger.since_at(view.now))}"
    ahead = min((one.start for one in ledger.suspended if one.start > view.now), default=None)
    then = f"support will be suspended from {when(table, ahead)} unless it is paid" if ahead is not None else ""
    if (exception := ledger.exception(view.now)) is not None:
        by = plain(exception.by.partition("@")[0])
        until = f"served by an exception of {by} until {when(table, exception.end)}: {plain(exception.why)}"
        return f"{until}; {then}" if then and ahead != exception.end else until
    if ahead is not None:
        return f"payment outstanding{since}; {then}"
    asks = contract.suspension.mode == "approval"
    return f"payment outstanding{since}; support goes on{' unless somebody approves its suspension' if asks else ''}"


def support(view: View, incident: Incident) -> dict[str, Any]:
    """The same as data, times in the calendar's offset: `status --json` has it."""
    ledger, table = view.ledger, incident.pinned.calendar.timetable()
    ahead = min((one.start for one in ledger.suspended if one.start > view.now), default=None)
    exception = ledger.exception(view.now) if view.standing != "current" else None
    return {
        "line": ledger.line or None,
        "since": report.local(table, ledger.since_at(view.now)),
        "why": ledger.why,
        "suspends_at": report.local(table, ahead),
        "exception": None
        if exception is None
        else {"by": exception.by, "why": exception.why, "until": report.local(table, exception.end)},
        "means": payments(view, incident),
    }


def declined(incident: Incident) -> bool:
    """Whether a contact of the company refused the request, and none stood for it."""
    heard = {line.event.event for line in incident.state.log}
    return "declined" in heard and "authorized" not in heard


def taken(incident: Incident) -> bool:
    """Whether one of ours has acknowledged it, in so many words or by acting."""
    return any(line.event.event in TAKES and getattr(line.event, "by", None) for line in incident.state.log)


def _disposition(view: View) -> str:
    return (view.disposition or "").replace("_", " ")
