"""What is owed besides waiting: told once for each thing that happened, and taken back where it was unfounded."""

from collections.abc import Iterable
from datetime import datetime

from sla.civil import from_us
from sla.clock import Clock
from sla.facts import Facts
from sla.ladder import Rung, founded
from sla.playbook import Moment, Playbook
from sla.policy import Contract
from sla.steps import Kind, Step


def one_time(contract: Contract, facts: Facts, phase: str, now: int) -> list[Step]:
    """The notices that answer one thing that happened: opening, disposition, revision, suspension."""
    owed: list[Step] = []
    if facts.opened is not None and phase != "closed":
        owed += _opening(contract, facts)
    if phase != "closed":
        owed += _revisions(contract, facts) + _dispositions(contract, facts)
        owed += _suspension(contract, facts, phase, now)
    return owed


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
        facts=facts,
    )  # fmt: skip


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
            owed.append(
                Step(key=_key("withdrawal", what.clock, what.step, what.step_key.rpartition("/")[2]), kind="withdrawal",
                     at=_later(climb.begun.occurred_at, facts.heard), clock=what.clock, step=what.step, clause="X04",
                     recipients=told, of=what.step_key, speaks_when_suspended=True)
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
    if contract.checklist is not None and missing and facts.begun("information_request", facts.opened.key) is None:
        owed.append(
            _told(
                "information_request",
                at,
                contract.checklist.clause,
                ("customer",),
                of=facts.opened.key,
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


def _dispositions(contract: Contract, facts: Facts) -> list[Step]:
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
                owed.append(_told("information_request", line.received_at, terms.clause, ("customer",), of=line.key, facts=said,
                                  number=_number(facts, "information_request")))  # fmt: skip
    if facts.restored is not None and facts.begun("disposition", facts.restored.key) is None:
        told = facts.begun("disposition")
        if told is not None and told.what.step != "restored":
            terms = contract.dispositions.get(told.what.step or "")  # type: ignore[call-overload]
            owed.append(_told("disposition", facts.restored.received_at, terms.clause if terms else None, ("customer",),
                              of=facts.restored.key, step="restored", number=_number(facts, "disposition")))  # fmt: skip
    return owed


def _suspension(contract: Contract, facts: Facts, phase: str, now: int) -> list[Step]:
    if contract.suspension is None:
        return []
    clause, owed = contract.suspension.clause, list[Step]()
    since = facts.open_suspension
    told = [s for s in facts.steps if s.what.kind == "suspension"]
    last = told[-1] if told else None
    over = last is not None and facts.begun("resumption", last.what.step_key) is not None
    if since is not None and since <= now and phase == "suspended" and (last is None or over):
        at = _later(from_us(since), facts.heard)
        owed.append(
            _told(
                "suspension",
                at,
                clause,
                ("customer", "assignee"),
                number=len(told) + 1,
                facts={"since": from_us(since).isoformat()},
            )
        )
    if since is None and last is not None and not over and last.done is not None:
        ends = [end for start, end in facts.suspended if end is not None]
        at = _later(from_us(max(ends, default=last.at)), facts.heard)
        owed.append(_told("resumption", at, clause, ("customer", "assignee"), of=last.what.step_key, number=len(told)))
    return owed


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
