"""What is owed besides waiting: told once for each thing that happened, and taken back where it was unfounded."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sla.civil import from_us, to_us
from sla.clock import Clock
from sla.errors import BeyondHorizon
from sla.facts import Done, Facts
from sla.ladder import Rung, founded
from sla.playbook import Moment, Playbook
from sla.policy import Contract
from sla.steps import Kind, Step
from sla.suspension import Saying, saying

WAKES = ("opened", "priority_changed", "reopened", "restored", "authorized")
"""Words after which a ticket is told what it was not told before: that support is suspended."""


AFTER_HOURS_US = 15 * 60 * 1_000_000
"""So long after closing time somebody is told aloud of what fell due within it."""


def one_time(contract: Contract, facts: Facts, phase: str, runs: Sequence[Clock], now: int) -> list[Step]:
    """The notices that answer one thing that happened: opening, disposition, revision, suspension."""
    owed: list[Step] = []
    if facts.opened is not None and phase != "closed":
        owed += _opening(contract, facts)
    if phase != "closed":
        owed += _revisions(contract, facts) + _dispositions(contract, facts, owed)
        owed += _suspension(contract, facts, phase, runs, now)
    return [_hushed(step, runs, now) for step in owed]


def _hushed(step: Step, runs: Sequence[Clock], now: int) -> Step:
    """The step, such that it wakes none of our people where open time is all that is promised, and it is closed now."""
    if not step.recipients and set(step.tells) <= {"customer"}:
        return step
    opens = [_quiet_until(clock, now) for clock in _live(runs, now) or runs]
    until = [at for at in opens if at is not None]
    return step.model_copy(update={"quiet_until": min(until)}) if until and len(until) == len(opens) else step


def climbed(rung: Rung, clock: Clock, now: int) -> Step:
    """The step of a rung that fell due."""
    budget = clock.budget() or 0
    facts = {
        "commitment": clock.terms.commitment,
        "promise": clock.terms.title,
        "promise_clause": clock.terms.clause,
        "target": str(clock.target()),
        "left": duration_text(budget - clock.used(rung.at)),
    }
    if clock.due is not None:
        facts["due"] = clock.table.to_local(from_us(clock.due)).isoformat(timespec="minutes")
    if clock.declared is not None and clock.declared <= now:
        facts["declared_missed"] = clock.table.to_local(from_us(clock.declared)).isoformat(timespec="minutes")
    if rung.at < now - 60_000_000:
        facts["fell_due"] = clock.table.to_local(from_us(rung.at)).isoformat(timespec="minutes")
    return Step(
        key=_key("escalation", clock.name, rung.label, rung.generation), kind="escalation", at=from_us(rung.at), clock=clock.name,
        step=rung.label, priority=clock.priority, clause=rung.step.clause, tells=rung.step.tells, reassign=rung.step.reassign,
        quiet_until=_quiet_until(clock, now), facts=facts,
    )  # fmt: skip


def _quiet_until(clock: Clock, now: int) -> datetime | None:
    """The next opening, where open time is promised and it is closed now; what falls due as it closes is told then."""
    if not clock.counts_open():
        return None
    try:
        open_now = clock.table.is_open_us(now) or clock.table.is_open_us(now - AFTER_HOURS_US)
        return None if open_now else from_us(clock.table.next_open_us(now))
    except BeyondHorizon:
        return None


def withdrawals(playbook: Playbook, clocks: Iterable[Clock], facts: Facts) -> list[Step]:
    """For each escalation that turned out unfounded: a notice to those who got it (X04)."""
    by_name = {clock.name: clock for clock in clocks}
    owed: list[Step] = []
    for climb in facts.steps:
        what, done = climb.what, climb.done
        if what.kind != "escalation" or done is None or done.held_back or facts.begun("withdrawal", what.step_key):
            continue
        clock = by_name.get(what.clock or "")
        moment = Moment.parse(what.step or "100%")
        if clock is not None and founded(clock, moment, facts, climb.at):
            continue
        told = tuple(dict.fromkeys(person for notice in done.notices for person in notice.to))
        if told:
            at = _later(climb.begun.occurred_at, facts.heard)
            owed.append(
                Step(key=_key("withdrawal", what.clock, what.step, what.step_key.rpartition("/")[2]), kind="withdrawal",
                     at=at, clock=what.clock, step=what.step, clause="X04", recipients=told, of=what.step_key,
                     speaks_when_suspended=True, quiet_until=None if clock is None else _quiet_until(clock, to_us(at)))
            )  # fmt: skip
    return owed


def _opening(contract: Contract, facts: Facts) -> list[Step]:
    assert facts.opened is not None
    at = _heard(facts, "authorized") or _heard(facts, "restored") or facts.opened.received_at
    owed: list[Step] = []
    missing = "\n".join(contract.checklist.items[i].asks for i in facts.read.missing) if contract.checklist else ""
    if contract.acknowledgement is not None and facts.begun("acknowledgement") is None:
        said = {"missing": missing, "knowledge_base": contract.acknowledgement.knowledge_base or ""}
        owed.append(_told("acknowledgement", at, contract.acknowledgement.clause, ("customer",), facts=said))
    # Once, whichever of several openings turns out to be the first.
    openings = [line.key for line in facts.entries if line.event.event == "opened"]
    if (
        contract.checklist is not None
        and missing
        and not any(facts.begun("information_request", of) for of in openings)
    ):
        owed.append(
            _told(
                "information_request",
                at,
                contract.checklist.clause,
                ("customer",),
                of=facts.opened.key,
                number=_number(facts, "information_request"),
                facts={"missing": missing},
            )
        )
    return owed


def _revisions(contract: Contract, facts: Facts) -> list[Step]:
    if contract.reclassification is None:
        return []
    owed: list[Step] = []
    for line, before, to in facts.revisions:
        if facts.begun("reclassification", line.key) is None:
            number = _number(facts, "reclassification") + len(owed)
            said = {"from": before, "to": to, "why": getattr(line.event, "why", None) or ""}
            clause = contract.reclassification.clause
            owed.append(
                _told(
                    "reclassification", line.received_at, clause, ("customer",), of=line.key, number=number, facts=said
                )
            )
    return owed


def _dispositions(contract: Contract, facts: Facts, before: Sequence[Step]) -> list[Step]:
    """`before`: what is owed beside it already."""
    owed: list[Step] = []
    line = facts.disposition
    if line is not None and line.event.event == "dispositioned":
        name = line.event.disposition
        terms = contract.dispositions.get(name)
        if terms is not None:
            said = {"disposition": name, "ground": terms.grounds.get(line.event.ground or "", line.event.ground or "")}
            if facts.begun("disposition", line.key) is None:
                owed.append(_told("disposition", line.received_at, terms.clause, terms.tells, of=line.key, step=name, facts=said,
                                  number=_number(facts, "disposition")))  # fmt: skip
            if terms.asks_information and facts.begun("information_request", line.key) is None:
                number = _number(facts, "information_request") + sum(s.kind == "information_request" for s in before)
                owed.append(_told("information_request", line.received_at, terms.clause, ("customer",), of=line.key, facts=said,
                                  number=number))  # fmt: skip
    if facts.restored is not None and facts.begun("disposition", facts.restored.key) is None:
        told = facts.begun("disposition")
        if told is not None and told.what.step != "restored":
            terms = contract.dispositions.get(told.what.step or "")  # type: ignore[call-overload]
            owed.append(_told("disposition", facts.restored.received_at, terms.clause if terms else None, ("customer",),
                              of=facts.restored.key, step="restored", number=_number(facts, "disposition")))  # fmt: skip
    return owed


def _suspension(contract: Contract, facts: Facts, phase: str, runs: Sequence[Clock], now: int) -> list[Step]:
    if contract.suspension is None:
        return []
    clause, ledger = contract.suspension.clause, facts.ledger
    told = [s for s in facts.steps if s.what.kind == "suspension"]
    last = told[-1] if told else None
    if last is not None and last.done is None:
        return []
    over = last is None or any(facts.begun(kind, last.what.step_key) for kind in ("resumption", "withdrawal"))
    owed = saying(facts.suspended, None if last is None or over else about(last))
    if owed is None or (owed.kind == "suspension" and phase != "suspended"):
        return []
    at, of = _later(from_us(owed.about), facts.heard), None if last is None else last.what.step_key
    said = {"since": from_us(owed.about).isoformat(), "why": ledger.why, "line": ledger.line}
    bundle = owed.bundle(ledger.line) if _together(facts, owed) else None
    if owed.kind == "suspension":
        said["left"] = "; ".join(
            f"{c.name}: {duration_text((c.budget() or 0) - c.used(now))}" for c in _live(runs, now)
        )
        if facts.opened_at is not None and facts.opened_at >= owed.about:
            said["taken_in"] = "yes"
        step = _told("suspension", at, clause, ("customer", "assignee"), of=from_us(owed.about).isoformat(),
                     number=len(told) + 1, facts=said)  # fmt: skip
    elif owed.kind == "resumption":
        exception = ledger.exception(from_us(now))
        if exception is not None and exception.end is not None:
            said |= {"why": exception.why, "until": exception.end.isoformat(), "by": exception.by}
        dues = [(c.name, from_us(c.due)) for c in _live(runs, now) if c.due is not None]
        said["due"] = "; ".join(f"{name}: {due.isoformat()}" for name, due in dues)
        step = _told("resumption", at, clause, ("customer", "assignee"), of=of, number=len(told), facts=said)
    else:
        notices = last.done.notices if last is not None and last.done is not None else ()
        people = tuple(dict.fromkeys(who for notice in notices for who in notice.to))
        if ledger.standing == "current" and ledger.since is not None:
            said["paid"] = ledger.since.isoformat()
        step = _told("withdrawal", at, "X04", (), of=of, number=len(told), facts=said | {"of": "suspension"})
        step = step.model_copy(update={"key": _key("withdrawal", None, "suspension", len(told)), "recipients": people})
    return [step.model_copy(update={"bundle": bundle})]


def about(told: Done) -> int:
    """The beginning of the suspension that a step told."""
    return told.at if told.what.of is None else to_us(datetime.fromisoformat(told.what.of))


def _together(facts: Facts, owed: Saying) -> bool:
    """Whether the account says it too, at this moment: then each person is told once, for all incidents."""
    at = from_us(owed.about)
    match owed.kind:
        case "suspension":
            alone = (facts.enrolled_with and owed.about <= facts.told_at) or _woken(
                facts, max(owed.about, facts.told_at)
            )
            return not alone and any(stretch.start == at for stretch in facts.ledger.suspended)
        case "resumption":
            return any(stretch.end == at for stretch in facts.ledger.suspended)
    begun = from_us(max(owed.about, facts.heard))
    lasts = any(s.start <= begun and (s.end is None or s.end > at) for s in facts.ledger.suspended)
    # One that began for this ticket alone, as its priority was served no longer, the account never told.
    return not facts.enrolled_with and not lasts and at in facts.line_suspended


def _woken(facts: Facts, after: int) -> bool:
    """Whether it was our own ticket's words, heard after a moment, that put an end to silence."""
    return any(line.event.event in WAKES and to_us(line.received_at) > after for line in facts.entries)


def _live(runs: Sequence[Clock], now: int) -> list[Clock]:
    """The clocks whose promise is still to be kept."""
    return [c for c in runs if c.budget() is not None and (c.stopped is None or c.stopped > now)]


def _told(
    kind: Kind,
    at: datetime,
    clause: str | None,
    tells: tuple[str, ...],
    *,
    of: str | None = None,
    step: str | None = None,
    number: int = 1,
    facts: dict[str, str] | None = None,
) -> Step:
    said = {name: value for name, value in (facts or {}).items() if value}
    return Step(key=_key(kind, None, step, number), kind=kind, at=at, step=step, clause=clause, tells=tells, of=of,
                speaks_when_suspended=True, facts=said)  # fmt: skip


def _number(facts: Facts, kind: str) -> int:
    return 1 + sum(s.what.kind == kind for s in facts.steps)


def _heard(facts: Facts, name: str) -> datetime | None:
    """When we first heard of an event of that name."""
    return next((line.received_at for line in facts.entries if line.event.event == name), None)


def _key(kind: str, clock: str | None, step: str | None, generation: int | str) -> str:
    return "/".join([kind, clock or "-", (step or "-").replace(" ", "_"), str(generation)])


def _later(at: datetime, us: int) -> datetime:
    return max(at, from_us(us))


def duration_text(us: int) -> str:
    """`1 h 30 min`, `45 s`, with a minus where it is over."""
    sign, seconds = ("-" if us < 0 else ""), abs(us) // 1_000_000
    hours, minutes = divmod(seconds // 60, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return sign + (" ".join(p for p in parts if p) or f"{seconds} s")
