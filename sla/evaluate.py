"""The fold: from a contract, a log and a moment to everything that is to be known and done.

    evaluate(pinned, log, now) -> View

Pure. The same function serves the workflow, the player of stories, the proof of a deadline and the plan of steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sla.civil import from_us, to_us
from sla.clock import Clock, clocks
from sla.entries import Entry
from sla.facts import Facts, gather
from sla.ladder import rungs
from sla.ledger import Ledger
from sla.owed import climbed, one_time, withdrawals
from sla.policy import PinnedContract
from sla.steps import Planned, Step
from sla.turns import updates

FIRST = {"acknowledgement": 0, "withdrawal": 1}
"""Of the steps of one moment, these come first: what is withdrawn is withdrawn before it is told anew."""
REPIN_AHEAD_US = 60 * 86_400 * 1_000_000
"""The calendar is pinned anew when less than this (60 days) of it lies ahead."""


@dataclass(frozen=True, slots=True)
class ClockView:
    """One clock as it stands at a moment. Times are aware UTC; seconds count what the target counts."""

    name: str
    title: str
    state: str
    """`not_started`, `running`, `paused`, `suspended`, `met`, `missed` or `void`."""
    target: str | None
    commitment: str
    clause: str
    started: datetime | None
    due: datetime | None
    stopped: datetime | None
    declared_missed: datetime | None
    used_us: int
    left_us: int | None
    provisional: bool
    """Whether the deadline lies past the pinned horizon, so that no date can be told yet."""

    @property
    def live(self) -> bool:
        """Whether the promise is still to be kept."""
        return self.state in ("not_started", "running", "paused", "suspended")


@dataclass(frozen=True, slots=True)
class View:
    """All that a log comes to at a moment."""

    now: datetime
    phase: str
    priority: str
    assignee: str | None
    acknowledged: str | None
    """Who of ours acted on it first."""
    acknowledged_at: datetime | None
    disposition: str | None
    resolution: str | None
    clocks: tuple[ClockView, ...]
    ledger: Ledger
    owed: tuple[Step, ...]
    plan: tuple[Planned, ...]
    next_change_at: datetime | None
    """When something changes by itself: a step falls due, a miss is declared. None: nothing will."""
    look_again_at: datetime | None
    """The same, or when the calendar must be pinned anew, whichever comes first; None once closed."""
    closed_at: datetime | None
    next_due: datetime | None
    repin_at: datetime
    attention: tuple[str, ...]
    triage: bool
    """Whether it waits in the triage queue: something of it is not known here, and was taken by the strictest reading."""
    missing: tuple[str, ...]
    customer: str | None
    product: str | None
    tried: tuple[str, ...]
    in_flight: int
    """Steps that were begun and whose outcome is not in the log yet."""
    raw: tuple[Clock, ...]

    @property
    def closed(self) -> bool:
        return self.phase == "closed"

    @property
    def standing(self) -> str:
        """How the customer's contract line stands: `current`, `lapsed`, `suspended` or `terminated`."""
        return self.ledger.standing_at(self.now)

    def clock(self, name: str) -> ClockView:
        """The clock of that name; KeyError names those there are."""
        for clock in self.clocks:
            if clock.name == name:
                return clock
        raise KeyError(f"no clock {name!r}; there are: {', '.join(c.name for c in self.clocks)}")


def evaluate(pinned: PinnedContract, log: Iterable[Entry], now: datetime, *, steps: bool = True) -> View:
    """Fold a log under a contract, as it stands at `now` (aware).

    `steps` False leaves out what is owed and planned, for whoever asks how things stand and does nothing about it.
    """
    contract, table, moment = pinned.contract, pinned.calendar.timetable(), to_us(now)
    facts = gather(contract, log, moment)
    phase = _phase(facts)
    runs = clocks(contract.clocks, facts, table)
    owed: list[Step] = []
    plan: list[Planned] = []
    looks: list[int] = []
    silent = phase in ("held", "discarded")
    if contract.suspends and facts.closed_at is None:
        edges = (edge for stretch in facts.ledger.suspended for edge in (stretch.start, stretch.end))
        looks += [at for edge in edges if edge is not None and (at := to_us(edge)) > moment]
    if steps and not silent:
        owed += one_time(contract, facts, phase, runs, moment)
        telling = any(step.kind == "reclassification" for step in owed)
        for clock in runs if facts.void_from is None and facts.closed_at is None else ():
            if telling and "reclassification_told" in clock.terms.stops:
                continue  # it stops at this very moment, when the customer is told
            if clock.declared is not None:
                looks.append(clock.declared)
            for rung in rungs(pinned.playbook, clock, facts, moment):
                if rung.at <= moment:
                    owed.append(climbed(rung, clock, moment))
                else:
                    looks.append(rung.at)
                    step = rung.step
                    plan.append(
                        Planned(at=from_us(rung.at), clock=clock.name, step=rung.label, tells=step.tells,
                                reassign=step.reassign, clause=step.clause)
                    )  # fmt: skip
    owed += [*withdrawals(pinned.playbook, runs, facts), *updates(facts)] if steps else []
    # Whatever else, a step happens once: one that was begun is not owed again, and none twice.
    begun = {climb.what.step_key for climb in facts.steps}
    owed = list({step.key: step for step in owed if step.key not in begun}.values())
    views = tuple(_view(clock, facts, phase, moment) for clock in runs)
    repin_at = to_us(repinned_at(pinned))
    dues = [view.due for view in views if view.state == "running" and view.due is not None]
    ahead = min((at for at in looks if at > moment), default=None)
    return View(
        now=now,
        phase=phase,
        priority=facts.priority,
        assignee=facts.assignee,
        acknowledged=facts.acknowledged_by,
        acknowledged_at=None if facts.acknowledged_at is None else from_us(facts.acknowledged_at),
        disposition=None if facts.disposition is None else facts.disposition.event.disposition,  # type: ignore[union-attr]
        resolution=facts.resolved_by,
        clocks=views,
        ledger=facts.ledger,
        owed=tuple(sorted(owed, key=lambda s: (s.at, FIRST.get(s.kind, len(FIRST))))),
        plan=tuple(sorted(plan, key=lambda p: p.at)),
        next_change_at=None if ahead is None else from_us(ahead),
        look_again_at=None if phase == "closed" else from_us(min(repin_at, ahead or repin_at)),
        closed_at=None if facts.closed_at is None else from_us(facts.closed_at),
        next_due=min(dues, default=None),
        repin_at=from_us(repin_at),
        attention=tuple(facts.attention),
        triage=bool(facts.doubts),
        missing=facts.read.missing,
        customer=None if facts.opened is None else facts.opened.event.by,  # type: ignore[union-attr]
        product=None if facts.opened is None else facts.opened.event.product,  # type: ignore[union-attr]
        tried=facts.tried,
        in_flight=sum(step.done is None for step in facts.steps),
        raw=tuple(runs),
    )


def repinned_at(pinned: PinnedContract) -> datetime:
    """When the calendar must be pinned further ahead."""
    return from_us(pinned.calendar.timetable().horizon_us[1] - REPIN_AHEAD_US)


def _phase(facts: Facts) -> str:
    if facts.closed_at is not None:
        return "closed"
    if facts.discarded:
        return "discarded"
    if facts.held:
        return "held"
    if facts.void_from is not None:
        return "dispositioned"
    if facts.resolved:
        return "resolved"
    if facts.open_suspension is not None:
        return "suspended"
    return "waiting" if facts.waiting else "open"


def _view(clock: Clock, facts: Facts, phase: str, now: int) -> ClockView:
    budget, declared, state = clock.budget(), clock.declared, _state(clock, facts, phase, now)
    until = now if state != "void" or facts.void_from is None else min(now, facts.void_from)
    used = clock.used(until)
    shown = clock.started is not None and clock.started <= now
    missed = state == "missed" and declared is not None
    due = clock.due if state in ("running", "met", "missed") else None
    return ClockView(
        name=clock.name,
        title=clock.terms.title,
        state=state,
        target=None if clock.target() is None else str(clock.target()),
        commitment=clock.terms.commitment,
        clause=clock.terms.clause,
        started=from_us(clock.started) if shown and clock.started is not None else None,
        due=None if due is None else from_us(due),
        stopped=None if clock.stopped is None or clock.stopped > now or state == "void" else from_us(clock.stopped),
        declared_missed=from_us(declared) if missed and declared is not None else None,
        used_us=used,
        left_us=None if budget is None else budget - used,
        provisional=state == "running" and due is None,
    )


def _state(clock: Clock, facts: Facts, phase: str, now: int) -> str:
    if phase == "discarded" or clock.target() is None:
        return "void"
    if facts.void_from is not None and facts.void_from <= now:
        return "void"
    if clock.started is None or clock.started > now:
        return "suspended" if phase == "suspended" else "not_started"
    if clock.declared is not None and clock.declared <= now:
        return "missed"
    if clock.stopped is not None and clock.stopped <= now:
        return "met"
    if phase == "suspended":
        return "suspended"
    return "running" if clock.running_at(now) else "paused"
