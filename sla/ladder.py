"""The ladder on one clock: when each rung falls due, whether it was already climbed, and whether it was founded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sla.clock import Clock
from sla.errors import BeyondHorizon
from sla.facts import Done, Facts
from sla.playbook import LadderStep, Moment, Playbook


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the playbook on one clock: `at` is when it falls due (µs), past or to come."""

    clock: Clock
    step: LadderStep
    label: str
    at: int
    generation: int


def rungs(playbook: Playbook, clock: Clock, facts: Facts, now: int) -> Iterator[Rung]:
    """The rungs that are owed by `now` or will be, those already climbed left out."""
    priority = clock.priority
    for step in playbook.steps:
        if not step.applies(clock.base, priority):
            continue
        label = str(step.at)
        climbed = climbs(facts.steps, clock.name, label)
        standing = [c for c in climbed if _stands(c, facts) and founded(clock, step.at, facts, c.at)]
        if any(_covers(clock, step.at, c, priority, now) for c in standing):
            continue
        at = falls_due(clock, step.at, facts, facts.heard)
        if at is not None:
            yield Rung(clock, step, label, at, len(climbed) + 1)


def climbs(steps: Sequence[Done], clock: str, label: str) -> list[Done]:
    """The times at which the rung of that label was climbed on that clock, in order."""
    return [s for s in steps if s.what.kind == "escalation" and s.what.clock == clock and s.what.step == label]


def _stands(climb: Done, facts: Facts) -> bool:
    """Whether it was told and not taken back; what was withdrawn and proves founded after all is told anew."""
    held_back = climb.done is not None and climb.done.held_back
    return not held_back and facts.begun("withdrawal", climb.what.step_key) is None


def falls_due(clock: Clock, moment: Moment, facts: Facts, not_before: int) -> int | None:
    """The first instant, not before `not_before`, at which the rung's condition holds; None: it will not."""
    budget = clock.budget()
    if budget is None:
        return None
    if moment.after is not None:
        if clock.declared is None:
            return None
        try:
            after = _after(clock, moment, clock.declared)
        except BeyondHorizon:
            return None
        at = _passed(clock, budget, after, not_before)
    elif moment.needs_miss:
        at = None if clock.declared is None else _passed(clock, budget, clock.declared, not_before)
    else:
        at = clock.first(_share(budget, moment), not_before, moving=False)
    if at is None or (facts.void_from is not None and at >= facts.void_from):
        return None
    if moment.unacknowledged and facts.acknowledged_at is not None:
        return None
    return at


def _passed(clock: Clock, budget: int, since: int, not_before: int) -> int | None:
    """When a step that fell due at `since`, at the miss or after it, is told: then, or when we hear of it, be it at night."""
    return clock.first(budget, max(since, not_before), moving=since >= not_before)


def founded(clock: Clock, moment: Moment, facts: Facts, at: int) -> bool:
    """Whether, by all that is known now, the rung's condition held at the instant at which it was climbed (X04)."""
    priority = clock.priority_at(at)
    budget = clock.budget(priority)
    if budget is None or not clock.running_at(at) or (facts.void_from is not None and at >= facts.void_from):
        return False
    if moment.unacknowledged and facts.acknowledged_at is not None and facts.acknowledged_at <= at:
        return False
    if not moment.needs_miss:
        return clock.used(at, priority) >= _share(budget, moment)
    declared = clock.declared_under(at)
    if declared is None or declared > at:
        return False
    try:
        return moment.after is None or _after(clock, moment, declared) <= at
    except BeyondHorizon:
        return False


def _covers(clock: Clock, moment: Moment, climb: Done, priority: str, now: int) -> bool:
    """Whether a climb still counts: made under the same priority, or its share has been used ever since."""
    if climb.what.priority == priority:
        return True
    percent = moment.percent or 100
    marks = [at for at, _ in clock.priorities if climb.at < at <= now]
    for at in marks:
        then = clock.priority_at(at)
        budget = clock.budget(then)
        if budget is None or clock.used(at, then) * 100 < budget * percent:
            return False
    return True


def _share(budget: int, moment: Moment) -> int:
    return -(-budget * (moment.percent or 100) // 100)


def _after(clock: Clock, moment: Moment, declared: int) -> int:
    assert moment.after is not None
    grace = moment.after.budget_us(clock.table, declared)
    return clock.table.add_us(declared, grace) if moment.after.counts_open_time else declared + grace
