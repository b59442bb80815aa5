"""What is suspicious in a valid policy: promises nobody gave, steps that never fire, contacts beyond the bounds."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Literal

from sla.civil import to_us
from sla.customer import Customer
from sla.duration import Duration
from sla.errors import BeyondHorizon
from sla.hours import DAY, WEEKDAYS, parse_day
from sla.playbook import LadderStep, Playbook
from sla.policy import Contract
from sla.source import Source
from sla.timetable import Timetable


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something suspicious at a `path` of a policy file; an error is what the system refuses when it comes to it."""

    path: tuple[str | int, ...]
    sentence: str
    severity: Literal["error", "warning"] = "warning"


def source_doubts(source: Source, members: Collection[str], priorities: Collection[str]) -> Iterator[Doubt]:
    """What a source's file names and nobody knows: members of no team, priorities of no contract."""
    for theirs, ours in source.agents.items():
        if members and ours not in members:
            said = f"agents.{theirs} is {ours!r}, who is in no team; write one of: {', '.join(sorted(members))}"
            yield Doubt(("agents", theirs), said)
    for theirs, ours in source.priorities.items():
        if priorities and ours not in priorities:
            known = ", ".join(sorted(priorities))
            said = f"priorities.{theirs} is {ours!r}, which is a priority of no contract; write one of: {known}"
            yield Doubt(("priorities", theirs), said)


def contract_doubts(contract: Contract, first: date) -> Iterator[Doubt]:
    """What is suspicious in a contract alone; `first` is the day from which its calendar would be pinned."""
    yield from _targets(contract, first)
    yield from _events(contract)
    yield from _days(contract)
    if contract.language is not None and not contract.language.accepted:
        said = "language.accepted is empty, so every request is discarded; name a language, such as en"
        yield Doubt(("language", "accepted"), said)
    for name, item in (contract.checklist.items if contract.checklist else {}).items():
        if not item.fields:
            where = f"checklist.items.{name}.fields"
            said = f"{where} is empty, so {name} always counts as missing; name the ticket's fields that fill it"
            yield Doubt(("checklist", "items", name, "fields"), said)


def ladder_doubts(contracts: Sequence[Contract], playbook: Playbook, first: date) -> Iterator[Doubt]:
    """Steps of a playbook that can never fire under any of the contracts that use it, or that do nothing."""
    tables = [(contract, _pinned(contract, first)) for contract in contracts]
    names = ", ".join(contract.name for contract in contracts)
    known = {
        "clocks": sorted({name for contract in contracts for name in contract.clocks}),
        "priorities": sorted({name for contract in contracts for name in contract.priorities}),
    }
    for i, step in enumerate(playbook.steps):
        label = f"steps.{i} ({step.at})"
        if not step.tells and step.reassign is None:
            said = f"{label} tells nobody and reassigns nothing; give it `tells` or `reassign`"
            yield Doubt(("steps", i), said)
        for field, there in known.items() if contracts else ():
            for j, name in enumerate(getattr(step, field) or ()):
                if name not in there:
                    said = f"{label} names {name!r}, which is none of the {field} of {names}; {suggest(name, there)}"
                    yield Doubt(("steps", i, field, j), said)
        why = [_never(contract, table, step) for contract, table in tables]
        if why and all(why):
            reasons = "; ".join(dict.fromkeys(reason for reason in why if reason))
            yield Doubt(("steps", i, "at"), f"{label} can never fire under {names}: {reasons}")


def customer_doubts(customer: Customer, contract: Contract | None) -> Iterator[Doubt]:
    """Where a customer's contacts don't keep to its contract."""
    terms = contract.contacts if contract else None
    if terms is None:
        return
    if terms.at_most is not None and len(customer.contacts) > terms.at_most:
        clause = terms.at_most_clause or terms.clause
        said = f"contacts has {len(customer.contacts)}; the contract allows at most {terms.at_most} ({clause})"
        yield Doubt(("contacts", terms.at_most), said, "error")
    if terms.only_authorized and not customer.contacts:
        said = f"contacts is empty, so nobody is known to be authorized and no request is held ({terms.clause})"
        yield Doubt(("id",), f"{said}; name the contacts")
    held = {role for contact in customer.contacts for role in contact.roles}
    for i, contact in enumerate(customer.contacts):
        for role in contact.roles:
            if terms.roles and role not in terms.roles:
                said = f"contacts.{i}.roles has {role!r}, no role of the contract; {suggest(role, terms.roles)}"
                yield Doubt(("contacts", i, "roles"), said)
    if customer.contacts and (missing := [role for role in terms.roles if role not in held]):
        clause = terms.roles_clause or terms.clause
        said = f"contacts leaves roles unfilled ({clause}): {', '.join(missing)}; one person may hold several"
        yield Doubt(("contacts",), said)


def suggest(name: str, known: Sequence[str]) -> str:
    """What to write instead of a name that is none of the known ones."""
    near = get_close_matches(name, known, n=1)
    return (f"did you mean {near[0]}? " if near else "") + f"write one of: {', '.join(known)}"


def _targets(contract: Contract, first: date) -> Iterator[Doubt]:
    table = _pinned(contract, first)
    starts = _starts(table)
    for priority in contract.priorities:
        lacking = [name for name, clock in contract.clocks.items() if priority not in clock.targets]
        if len(lacking) == len(contract.clocks):
            said = f"priorities.{priority} has no target on any clock, so nothing is promised for it"
            yield Doubt(("priorities", priority), said)
            continue
        for name in lacking:
            said = f"clocks.{name}.targets has none for {priority}, so that clock never runs for it"
            yield Doubt(("clocks", name, "targets"), f"{said}; give it one if it should")
    for name, clock in contract.clocks.items():
        urgent: tuple[str, Duration] | None = None
        for priority in contract.priorities:
            target = clock.targets.get(priority)
            if target is None:
                continue
            said, path = f"clocks.{name}.targets.{priority} is {target}", ("clocks", name, "targets", priority)
            if _due(table, starts[0], target) is None:
                pinned = f"ends after the {contract.horizon_days} days for which the calendar is pinned"
                yield Doubt(path, f"{said}, which {pinned}; shorten it or raise horizon_days")
            if urgent is not None and any(_longer(table, start, urgent[1], target) for start in starts):
                more = f"shorter than the {urgent[1]} of the more urgent {urgent[0]}"
                yield Doubt(path, f"{said}, {more}; priorities stand most urgent first")
            urgent = priority, target


def _events(contract: Contract) -> Iterator[Doubt]:
    for name, clock in contract.clocks.items():
        if "reclassification_told" in clock.stops and contract.reclassification is None:
            said = f"clocks.{name}.stops names reclassification_told, but nothing tells of it"
            yield Doubt(("clocks", name, "stops"), f"{said}; write `reclassification:` with its clause")
        if clock.restarts and not {"resolved", "closed"} & set(clock.stops):
            said = f"clocks.{name}.restarts has no effect, for neither resolved nor closed stops the clock; take it out"
            yield Doubt(("clocks", name, "restarts"), said)
        if clock.repeats and clock.starts == "opened":
            said = f"clocks.{name}.repeats has no effect, for a ticket is opened once; take it out"
            yield Doubt(("clocks", name, "repeats"), said)


def _days(contract: Contract) -> Iterator[Doubt]:
    for day in contract.hours.closures:
        if not _open_on(contract, day):
            said = f"hours.closures has {day}, a {day:%A}, when support is closed anyway; check the date"
            yield Doubt(("hours", "closures", str(day)), said)
    for day in contract.hours.special_hours:
        if day in contract.hours.closures:
            said = f"hours.special_hours.{day} never applies, for the closure of that date wins; take one of them out"
            yield Doubt(("hours", "special_hours", str(day)), said)


def _open_on(contract: Contract, day: date) -> bool:
    """Whether hours start on a date, or run into it from the day before."""
    before = day - timedelta(days=1)
    return bool(_written(contract, day)) or any(
        closes > DAY for _, closes in parse_day(_written(contract, before), str(before))
    )


def _written(contract: Contract, day: date) -> Sequence[str]:
    week = {str(name): hours for name, hours in contract.hours.hours.items()}
    return contract.hours.special_hours.get(day) or week.get(WEEKDAYS[day.weekday()], ())


def _never(contract: Contract, table: Timetable, step: LadderStep) -> str | None:
    """Why a step can never fire under a contract; None: it can."""
    if step.clocks is not None and not set(step.clocks) & set(contract.clocks):
        return f"{contract.name} has the clocks {', '.join(contract.clocks)}"
    if step.priorities is not None and not set(step.priorities) & set(contract.priorities):
        return f"{contract.name} has the priorities {', '.join(contract.priorities)}"
    targets = [t for name, c in contract.clocks.items() for p, t in c.targets.items() if step.applies(name, p)]
    if not targets:
        return f"{contract.name} has no target for those priorities on those clocks"
    if step.at.after is not None and all(_past(table, target, step.at.after) for target in targets):
        pinned = f"the {contract.horizon_days} days for which {contract.name}'s calendar is pinned"
        return f"{step.at.after} after a miss lies past {pinned}"
    return None


def _past(table: Timetable, target: Duration, after: Duration) -> bool:
    due = _due(table, _starts(table)[0], target)
    return due is None or _due(table, due, after) is None


def _pinned(contract: Contract, first: date) -> Timetable:
    return contract.hours.pin(first, first + timedelta(days=contract.horizon_days)).timetable()


def _starts(table: Timetable) -> list[int]:
    """Noon of the first seven pinned days: enough to compare targets by."""
    noon = datetime.combine(table.calendar.first, time(12))
    return [to_us(table.from_local(noon + timedelta(days=day))) for day in range(7)]


def _due(table: Timetable, start: int, target: Duration) -> int | None:
    """When a target is due; None: after the pinned days."""
    try:
        budget = target.budget_us(table, start)
        due = table.add_us(start, budget) if target.counts_open_time else start + budget
    except BeyondHorizon:
        return None
    return due if due <= table.horizon_us[1] else None


def _longer(table: Timetable, start: int, urgent: Duration, less: Duration) -> bool:
    a, b = _due(table, start, urgent), _due(table, start, less)
    return b is not None and (a is None or a > b)
