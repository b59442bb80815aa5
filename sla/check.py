"""What is suspicious in policies that are valid: promises nobody gave, steps that never fire, people who are never there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Literal

from sla.civil import to_us
from sla.coverage import Coverage, Quiet, quiet
from sla.customer import Customer
from sla.duration import Duration
from sla.errors import BeyondHorizon
from sla.hours import DAY, WEEKDAYS, parse_day
from sla.playbook import LadderStep, Playbook
from sla.policy import Contract
from sla.roster import Team
from sla.timetable import Timetable

AUDIENCES = ("assignee", "on_duty", "customer")


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something suspicious at a `path` of a policy file; an error is what the system would refuse when it came to it."""

    path: tuple[str | int, ...]
    sentence: str
    severity: Literal["error", "warning"] = "warning"


def contract_doubts(contract: Contract, first: date) -> Iterator[Doubt]:
    """What is suspicious in a contract alone; `first` is the day from which its calendar would be pinned."""
    yield from _targets(contract, first)
    yield from _events(contract)
    for day in contract.hours.closures:
        if not _open_on(contract, day):
            said = f"hours.closures has {day}, a {day:%A}, when support is closed anyway; check the date"
            yield Doubt(("hours", "closures", str(day)), said)
    for day in contract.hours.special_hours:
        if day in contract.hours.closures:
            yield Doubt(
                ("hours", "special_hours", str(day)),
                f"hours.special_hours.{day} never applies, for the closure of that date wins; take one of them out",
            )
    if contract.language is not None and not contract.language.accepted:
        yield Doubt(
            ("language", "accepted"),
            "language.accepted is empty, so every request is discarded; name a language, such as en",
        )
    for name, item in (contract.checklist.items if contract.checklist else {}).items():
        if not item.fields:
            path = ("checklist", "items", name, "fields")
            yield Doubt(
                path,
                f"{'.'.join(path)} is empty, so {name} always counts as missing; name the ticket's field that fills it",
            )


def ladder_doubts(contracts: Sequence[Contract], playbook: Playbook, first: date) -> Iterator[Doubt]:
    """Steps of a playbook that can never fire under any of the contracts that use it, or that do nothing."""
    tables = [(c, _pinned(c, first)) for c in contracts]
    names = ", ".join(c.name for c in contracts)
    for i, step in enumerate(playbook.steps):
        label = f"steps.{i} ({step.at})"
        if not step.tells and step.reassign is None:
            yield Doubt(("steps", i), f"{label} tells nobody and reassigns nothing; give it `tells` or `reassign`")
        if not contracts:
            continue
        known_clocks = {name for c in contracts for name in c.clocks}
        known_priorities = {name for c in contracts for name in c.priorities}
        for field, known in (("clocks", known_clocks), ("priorities", known_priorities)):
            for j, name in enumerate(getattr(step, field) or ()):
                if name not in known:
                    said = f"{label} names {name!r}, which is none of the {field} of {names}; {_suggest(name, sorted(known))}"
                    yield Doubt(("steps", i, field, j), said)
        why = [_never(contract, table, step) for contract, table in tables]
        if all(why):
            reasons = "; ".join(dict.fromkeys(reason for reason in why if reason))
            yield Doubt(("steps", i, "at"), f"{label} can never fire under {names}: {reasons}")


def team_doubts(team: Team, coverage: Coverage) -> Iterator[Doubt]:
    """Members who are never there, or never asked, or can't be reached."""
    asked = (
        {m for tier in team.tiers for m in tier.members}
        | {m for ms in team.roles.values() for m in ms}
        | {team.fallback}
    )
    for id, member in team.members.items():
        path = ("members", id)
        if not coverage.duty(id):
            said = f"members.{id} is on duty at no time in the 53 weeks from {coverage.first}; check the hours and absences"
            yield Doubt(path, said)
        if id not in asked:
            yield Doubt(
                path,
                f"members.{id} is in no tier and no role, so nobody ever asks them; put them into one, or take them out",
            )
        if member.channel in ("email", "webhook", "slack") and not member.address:
            yield Doubt(
                path,
                f"members.{id} has the channel {member.channel} and no address; write `address:`, or `channel: log`",
            )
    for i, tier in enumerate(team.tiers):
        if not tier.members:
            yield Doubt(("tiers", i), f"tiers.{i} ({tier.title}) has no members; name some, or take it out")
    if not any(tier.members for tier in team.tiers):
        yield Doubt(
            ("tiers",),
            f"tiers has nobody at all, so every step goes to the fallback {team.fallback}; name a tier's members",
        )


def staffing_doubts(contracts: Sequence[Contract], playbook: Playbook, coverage: Coverage) -> Iterator[Doubt]:
    """Steps of a playbook that a team can't carry out: an unknown role, no next person, nobody on duty before the deadline."""
    team = coverage.team
    staff = {m for tier in team.tiers for m in tier.members}
    filled = [tier for tier in team.tiers if tier.members]
    for i, step in enumerate(playbook.steps):
        label = f"steps.{i} ({step.at})"
        for j, name in enumerate(step.tells):
            if name not in AUDIENCES and name not in team.roles:
                yield Doubt(
                    ("steps", i, "tells", j),
                    f"{label} tells {name!r}, no role of the team {team.name}; {_role(name, team)}",
                )
        if (step.reassign == "next" and len(staff) < 2) or (step.reassign == "next_tier" and len(filled) < 2):
            said = (
                f"{label} finds nobody to reassign to, for the team {team.name} has {len(staff)} in {len(filled)} tiers"
            )
            yield Doubt(("steps", i, "reassign"), f"{said}; the fallback {team.fallback} is told instead")
        for contract in contracts:
            for clock in contract.clocks:
                found = quiet(contract, clock, step, coverage)
                if found is not None:
                    until = "when it fires" if step.at.needs_miss else "before the deadline"
                    said = f"{label} of {contract.name}'s {clock}: nobody whom it tells is on duty {until}; {_example(found)}"
                    yield Doubt(("steps", i), f"{said}; the fallback {team.fallback} is told instead")


def disposition_doubts(contract: Contract, team: Team) -> Iterator[Doubt]:
    """Audiences of a contract's dispositions that the team doesn't have."""
    for name, terms in contract.dispositions.items():
        for j, told in enumerate(terms.tells):
            if told not in AUDIENCES and told not in team.roles:
                said = f"dispositions.{name}.tells names {told!r}, no role of the team {team.name}; {_role(told, team)}"
                yield Doubt(("dispositions", name, "tells", j), said)


def customer_doubts(customer: Customer, contract: Contract | None) -> Iterator[Doubt]:
    """What a customer's contract says of its contacts, and they don't keep."""
    terms = contract.contacts if contract else None
    if terms is None:
        return
    if terms.at_most is not None and len(customer.contacts) > terms.at_most:
        said = f"contacts has {len(customer.contacts)}; the contract allows at most {terms.at_most} ({terms.at_most_clause or terms.clause})"
        yield Doubt(("contacts", terms.at_most), said, "error")
    if terms.only_authorized and not customer.contacts:
        yield Doubt(
            ("id",),
            f"contacts is empty, so nobody is known to be authorized and no request is held ({terms.clause}); name them",
        )
    held = {role for contact in customer.contacts for role in contact.roles}
    for i, contact in enumerate(customer.contacts):
        for role in contact.roles:
            if terms.roles and role not in terms.roles:
                said = f"contacts.{i}.roles has {role!r}, no role of the contract; {_suggest(role, terms.roles)}"
                yield Doubt(("contacts", i, "roles"), said)
    if customer.contacts and (missing := [role for role in terms.roles if role not in held]):
        clause = terms.roles_clause or terms.clause
        yield Doubt(
            ("contacts",),
            f"contacts leaves roles unfilled ({clause}): {', '.join(missing)}; one person may hold several",
        )


def _targets(contract: Contract, first: date) -> Iterator[Doubt]:
    table = _pinned(contract, first)
    starts = _starts(table)
    for priority in contract.priorities:
        lacking = [name for name, clock in contract.clocks.items() if priority not in clock.targets]
        if len(lacking) == len(contract.clocks):
            yield Doubt(
                ("priorities", priority),
                f"priorities.{priority} has no target on any clock, so nothing is promised for it",
            )
            continue
        for name in lacking:
            yield Doubt(
                ("clocks", name, "targets"),
                f"clocks.{name}.targets has none for {priority}, so that clock never runs for it; give it one if it should",
            )
    for name, clock in contract.clocks.items():
        before: tuple[str, Duration] | None = None
        for priority in contract.priorities:
            target = clock.targets.get(priority)
            if target is None:
                continue
            where, path = f"clocks.{name}.targets.{priority}", ("clocks", name, "targets", priority)
            if _due(table, starts[0], target) is None:
                yield Doubt(
                    path,
                    f"{where} is {target}, which ends after the {contract.horizon_days} days for which the calendar is pinned; "
                    "shorten it or raise horizon_days",
                )
            if before is not None and any(_longer(table, start, before[1], target) for start in starts):
                said = f"{where} is {target}, shorter than the {before[1]} of the more urgent {before[0]}; priorities stand most urgent first"
                yield Doubt(path, said)
            before = priority, target


def _events(contract: Contract) -> Iterator[Doubt]:
    for name, clock in contract.clocks.items():
        if "reclassification_told" in clock.stops and contract.reclassification is None:
            said = f"clocks.{name}.stops names reclassification_told, but nothing tells of it; write `reclassification:` with its clause"
            yield Doubt(("clocks", name, "stops"), said)
        if clock.restarts and not {"resolved", "closed"} & set(clock.stops):
            said = f"clocks.{name}.restarts has no effect, for neither resolved nor closed stops the clock; take it out"
            yield Doubt(("clocks", name, "restarts"), said)
        if clock.repeats and clock.starts == "opened":
            yield Doubt(
                ("clocks", name, "repeats"),
                f"clocks.{name}.repeats has no effect, for a ticket is opened once; take it out",
            )


def _never(contract: Contract, table: Timetable, step: LadderStep) -> str | None:
    """Why a step can never fire under a contract; None: it can."""
    if step.clocks is not None and not set(step.clocks) & set(contract.clocks):
        return f"{contract.name} has the clocks {', '.join(contract.clocks)}"
    if step.priorities is not None and not set(step.priorities) & set(contract.priorities):
        return f"{contract.name} has the priorities {', '.join(contract.priorities)}"
    targets = [t for name, c in contract.clocks.items() for p, t in c.targets.items() if step.applies(name, p)]
    if not targets:
        return f"{contract.name} has no target for those priorities on those clocks"
    if step.at.after is not None and all(_after_horizon(table, target, step.at.after) for target in targets):
        return f"{step.at.after} after a miss lies past the {contract.horizon_days} days for which {contract.name}'s calendar is pinned"
    return None


def _after_horizon(table: Timetable, target: Duration, after: Duration) -> bool:
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


def _open_on(contract: Contract, day: date) -> bool:
    """Whether hours start on a date, or run into it from the day before."""
    week, before = contract.hours.hours, day - timedelta(days=1)
    own = contract.hours.special_hours.get(day) or week.get(WEEKDAYS[day.weekday()])  # type: ignore[call-overload]
    early = contract.hours.special_hours.get(before) or week.get(WEEKDAYS[before.weekday()], ())  # type: ignore[call-overload]
    return bool(own) or any(closes > DAY for _, closes in parse_day(early, str(before)))


def _example(found: Quiet) -> str:
    back = "nobody is back for a long time" if found.back is None else f"somebody is back only {_when(found.back)}"
    course = f"{found.priority} received {_when(found.received)} reaches it {_when(found.fires)} and is due {_when(found.due)}"
    return f"for example, {course}, but {back}"


def _when(at: datetime) -> str:
    return at.strftime("%a %Y-%m-%d %H:%M")


def _role(name: str, team: Team) -> str:
    return _suggest(name, [*AUDIENCES, *team.roles])


def _suggest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return (f"did you mean {near[0]}? " if near else "") + f"write one of: {', '.join(known)}"
