"""Conservation: whatever lapses, payments, replies, pauses and changes of priority come in whatever order, no time is made or
lost, and nobody is told anything in a suspended stretch.

Generated histories are played on the core and compared with `standing_walked`, which counts as a person would; some are played
on the real workflows as well. A long run, of at least 2,000 histories (200 on the workflows), is asked for by

    PACTKEEPER_HISTORIES=2000 pytest tests/test_conservation.py        (or `make conservation`)
"""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings

from sla.account import Account
from sla.customer import ContractLine
from sla.entries import Entry, StepBegun, StepDone
from sla.incident import Incident
from sla.player import Player
from sla.policy import Contract
from sla.steps import Step
from starter.engines import play_core, play_temporal
from tests.histories import ANN, Heard, History, histories, pinned, place, sample, table_of
from tests.stage import AT_ONCE, Stage
from tests.standing_walked import Hours, WalkedLine, WalkedTicket, hours_of, inside, minute, walk_line, walk_ticket

ASKED = int(os.environ.get("PACTKEEPER_HISTORIES", "0"))
ON_WORKFLOWS = max(25, ASKED // 10)
NO_END = 1_000
"""More steps than any generated ticket can owe."""


@dataclass
class Lived:
    """A history as the core lived through it, all that was owed on the way, and the same counted apart."""

    history: History
    player: Player
    owed: dict[str, list[Step]] = field(default_factory=dict)
    """The steps of each ticket; the account's under the empty name."""

    @property
    def now(self) -> int:
        return minute(self.history.until)

    @cached_property
    def lines(self) -> dict[str, WalkedLine]:
        """Each contract line, counted apart."""
        words = [(minute(heard.at), heard.what) for heard in self.history.of(None)]
        found = {}
        for line in self.history.contract_lines:
            contract, hours = self.terms(line)
            found[line.id] = walk_line(words, line, contract, hours)
        return found

    @cached_property
    def tickets(self) -> dict[str, WalkedTicket]:
        """Each ticket, counted apart."""
        found = {}
        for ticket in self.history.tickets:
            line = self.history.line_of(ticket)
            words = [(minute(heard.at), heard.what) for heard in self.history.of(ticket)]
            found[ticket] = walk_ticket(words, self.lines[line.id], *self.terms(line), self.now)
        return found

    def terms(self, line: ContractLine) -> tuple[Contract, Hours]:
        """What is promised for a line, and its hours by hand."""
        name = self.history.contract_of(line)
        return pinned(name).contract, hours_of(name, place(name))

    def ends(self) -> dict[str, Any]:
        """How all stands at the end; only how long it took us to tell a revised priority (R07) is our own doing."""
        result = self.player.result("core", table_of(self.history.contract))
        for told in result["incidents"].values():
            told["clocks"] = {name: clock for name, clock in told["clocks"].items() if not name.startswith("advice")}
        told_of = ("phase", "priority", "disposition", "resolution", "clocks", "attention")
        return {
            "incidents": {id: {name: told[name] for name in told_of} for id, told in result["incidents"].items()},
            "customers": {id: told["lines"] | {"": told["standing"]} for id, told in result["customers"].items()},
        }


@contextmanager
def _noted(owed: dict[str, list[Step]]) -> Iterator[None]:
    """Write down each step as it is begun."""
    begin, say = Incident.begin, Account.begin

    def incidents(self: Incident, steps: Any) -> None:
        told = owed.setdefault(self.state.ticket, [])
        told.extend(steps)
        assert len(told) < NO_END, f"told without end: {[step.key for step in told[-6:]]}"
        begin(self, steps)

    def accounts(self: Account, steps: Any) -> None:
        owed.setdefault("", []).extend(steps)
        say(self, steps)

    with patch.object(Incident, "begin", incidents), patch.object(Account, "begin", accounts):
        yield


def live(history: History) -> Lived:
    """Play a history on the core."""
    loaded = history.loaded()
    lived = Lived(history, Player(loaded.script, loaded, loaded.contract))
    with _noted(lived.owed):
        lived.player.play()
    return lived


@settings(
    max_examples=ASKED or 60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(histories())
def test_conservation_of_any_interleaving_of_lapses_payments_replies_pauses_and_priorities(history: History) -> None:
    """X01, X03, X04: all that must hold of each history; one test, because living through it is what takes the time."""
    lived = live(history)
    for holds in RULES:
        holds(lived)


def a_line_is_suspended_when_a_person_with_a_ledger_says_so(lived: Lived) -> None:
    """X03: every stretch, with those that lie ahead, and how the line stands at the end."""
    for told in lived.player.accounts["acme"].view(lived.history.until).lines:
        line = lived.lines[told.id]
        suspended = [(minute(one.start), one.end and minute(one.end)) for one in told.ledger.suspended]
        assert suspended == line.suspended
        assert told.standing == line.standing(lived.now)
        assert (told.suspends_at and minute(told.suspends_at)) == next(
            (a for a, _ in line.suspended if a > lived.now), None
        )


def time_used_is_what_a_person_with_a_stopwatch_counts_and_with_what_is_left_makes_up_the_budget(lived: Lived) -> None:
    """Used and left of every clock; the use, start and end of each that runs from the opening."""
    for ticket, incident in lived.player.incidents.items():
        view, counted = incident.view(lived.history.until), lived.tickets[ticket]
        assert (view.phase, view.priority) == (counted.phase, counted.priority)
        contract, hours = lived.terms(lived.history.line_of(ticket))
        for told, raw in zip(view.clocks, view.raw, strict=True):
            assert told.target is not None
            if told.started is not None:
                assert told.left_us is not None
                assert told.used_us + told.left_us == hours.budget(minute(told.started), told.target) * 60_000_000
            if raw.base in counted.clocks:
                clock = counted.clocks[raw.base]
                assert (told.started and minute(told.started)) == clock.started
                assert (told.stopped and minute(told.stopped)) == clock.stopped
                assert told.target == str(contract.clocks[raw.base].targets[clock.judged_by])
                assert told.used_us == (clock.open if "business" in told.target else clock.elapsed) * 60_000_000
                assert told.state in states(clock.state, counted.phase)


def states(state: str, phase: str) -> set[str]:
    """What a clock may be called, leaving open whether it was missed."""
    if state == "off":
        return {"met", "missed"}
    if phase == "suspended":
        return {"suspended", "missed"}
    return {"not_started"} if state == "idle" else {"running", "paused", "missed"}


def no_step_of_the_ladder_stands_in_a_suspended_stretch(lived: Lived) -> None:
    """X01: neither an escalation nor a handing over, unless it was withdrawn when the suspension became known."""
    for ticket, incident in lived.player.incidents.items():
        for step in climbed(incident.state.log):
            assert not inside(lived.tickets[ticket].suspended, minute(step.occurred_at)), step


def climbed(log: list[Entry]) -> list[Entry]:
    """The steps of the ladder that were told to anybody and not taken back."""
    begun = [(line, line.event) for line in log if isinstance(line.event, StepBegun)]
    back = {what.of for _, what in begun if what.kind == "withdrawal"}
    told = {line.event.step_key for line in log if isinstance(line.event, StepDone) and line.event.notices}
    return [line for line, what in begun if what.kind == "escalation" and what.step_key in told - back]


def no_rung_is_climbed_twice_in_one_instant(lived: Lived) -> None:
    """X01: what makes a rung fall due and what makes it founded are one and the same, or people would be paged without end."""
    for ticket in lived.tickets:
        climbs = [(s.clock, s.step, s.at) for s in lived.owed.get(ticket, []) if s.kind == "escalation"]
        assert len(climbs) == len(set(climbs)), climbs


def suspensions_told_and_their_ends_alternate_and_the_last_word_is_true(lived: Lived) -> None:
    """Never two suspensions without an end between, nor an end without a suspension."""
    for ticket, counted in lived.tickets.items():
        spoken = [s.kind for s in lived.owed.get(ticket, []) if s.kind in ENDS or s.key.startswith("withdrawal/-/")]
        assert alternates(spoken), spoken
        if counted.phase != "resolved":
            assert (spoken[-1:] == ["suspension"]) == (counted.phase == "suspended")
        elif spoken[-1:] == ["suspension"]:
            assert inside(counted.suspended, lived.now)
    for id, line in lived.lines.items():
        spoken = [s.kind for s in lived.owed.get("", []) if s.step == id and s.kind in (*ENDS, "withdrawal")]
        assert alternates(spoken), spoken
        assert (spoken[-1:] == ["suspension"]) == inside(line.suspended, lived.now)


ENDS = ("suspension", "resumption")


def alternates(spoken: Sequence[str]) -> bool:
    """A suspension first, then its end, and so on."""
    return all((kind == "suspension") == (i % 2 == 0) for i, kind in enumerate(spoken))


def every_bundle_that_a_ticket_waits_for_is_sent_by_the_account(lived: Lived) -> None:
    """Else what a ticket has to say would be put by and never sent."""
    sent = {step.bundle for step in lived.owed.get("", [])}
    for ticket in lived.tickets:
        assert {step.bundle for step in lived.owed.get(ticket, []) if step.bundle} <= sent


def the_end_does_not_depend_on_the_order_and_number_of_deliveries(lived: Lived) -> None:
    """X04: heard at once and once only, it comes to the same."""
    assert lived.ends() == live(lived.history.prompt()).ends()


RULES = (
    a_line_is_suspended_when_a_person_with_a_ledger_says_so,
    time_used_is_what_a_person_with_a_stopwatch_counts_and_with_what_is_left_makes_up_the_budget,
    no_step_of_the_ladder_stands_in_a_suspended_stretch,
    no_rung_is_climbed_twice_in_one_instant,
    suspensions_told_and_their_ends_alternate_and_the_last_word_is_true,
    every_bundle_that_a_ticket_waits_for_is_sent_by_the_account,
    the_end_does_not_depend_on_the_order_and_number_of_deliveries,
)


def _word(at: str, **what: str) -> Heard:
    when = datetime.fromisoformat(f"2031-{at}:00-07:00")
    received = datetime.fromisoformat(f"2031-{what.pop('received')}:00-07:00") if "received" in what else when
    who = {} if "ticket" in what else {"customer": "acme"}
    return Heard(when, (received,), who | what)


OPENED = {"ticket": "a", "event": "opened", "by": ANN}
ONCE_WRONG = {
    "resolved and reopened in one minute": ("tromzo", (
        _word("07-08T10:00", priority="P2", **OPENED),
        _word("07-08T11:00", ticket="a", event="resolved", by="dana"),
        _word("07-08T11:00", ticket="a", event="reopened", by="dana"),
    )),
    "resolved and reopened before the clock could start": ("tromzo", (
        _word("07-08T09:00", event="payment_lapsed"),
        _word("07-08T10:00", priority="P2", **OPENED),
        _word("07-08T11:00", ticket="a", event="resolved", by="dana"),
        _word("07-08T12:00", ticket="a", event="reopened", by="dana"),
        _word("07-09T09:00", event="payment_current"),
    )),
    "an earlier lapse moves what was told, and the ticket is told only when it is opened again": ("reciprocity", (
        _word("07-08T10:00", priority="S2", **OPENED),
        _word("07-08T11:00", ticket="a", event="resolved", by="dana"),
        _word("07-09T12:00", event="payment_lapsed"),
        _word("07-09T09:00", received="07-09T15:00", event="contract_terminated"),
        _word("07-10T09:00", ticket="a", event="reopened", by="dana"),
    )),
    "the first word heard of a ticket is not its opening, long after what was told": ("reciprocity", (
        _word("07-08T12:00", event="payment_lapsed"),
        _word("07-08T09:00", received="07-08T15:00", event="contract_terminated"),
        _word("07-09T10:00", received="07-10T10:00", priority="S2", **OPENED),
        _word("07-09T10:00", ticket="a", event="acknowledged", by="dana"),
    )),
    "the opening is heard late and says that the ticket is served": (
        "../policies/patient.yaml",
        (
            _word("07-08T09:00", event="contract_terminated"),
            _word("07-08T10:00", received="07-08T12:00", priority="S1", **OPENED),
            _word("07-08T10:00", ticket="a", event="waiting_on_customer", by="dana"),
        ),
    ),
    "lowered after a miss, with a step of the ladder to come after it": ("../policies/patient.yaml", (
        _word("07-04T12:30", priority="S2", **OPENED),
        _word("07-04T12:30", ticket="a", event="priority_changed", to="S1", by="dana"),
        _word("07-07T08:15", ticket="a", event="priority_changed", to="S3", by=ANN),
    )),
    "the contract ends as a whole, and by the same reference for the line that is paid in advance": ("reciprocity", (
        _word("07-02T13:00", event="contract_terminated", reference="INV-2"),
        _word("07-02T13:00", event="contract_terminated", reference="INV-2", line="two"),
    ), ContractLine(id="one", products=("one",)), ContractLine(id="two", products=("two",), prepaid=True)),
    "served until it was lowered, and in that moment it is heard that all was paid before": ("../policies/patient.yaml", (
        _word("07-02T13:00", priority="S1", **OPENED),
        _word("07-02T13:00", event="contract_terminated"),
        _word("07-07T13:00", ticket="a", event="priority_changed", to="S2", by="dana"),
        _word("07-05T13:00", received="07-07T13:00", event="payment_current"),
    )),
    "served until a late word says that it was not": ("../policies/patient.yaml", (
        _word("07-08T09:00", priority="S1", **OPENED),
        _word("07-08T12:00", event="contract_terminated"),
        _word("07-08T11:00", received="07-08T15:00", event="payment_lapsed"),
        _word("07-08T10:00", received="07-10T10:00", event="contract_terminated", reference="sub"),
        _word("07-08T09:30", received="07-11T10:00", ticket="a", event="priority_changed", to="S2", by=ANN),
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", ONCE_WRONG)
def test_what_once_went_wrong_holds(name: str) -> None:
    """Short histories that taught us something."""
    contract, heard, *lines = ONCE_WRONG[name]
    lived = live(History(contract, tuple(lines), heard, timedelta(hours=1)))
    for holds in RULES:
        holds(lived)


async def test_generated_histories_come_to_the_same_on_the_real_workflows(stage: Stage) -> None:
    """The JSON of both engines is the same, word for word, but for the engine's name."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def differs(history: History) -> str | None:
        async with gate:
            real = await play_temporal(history.loaded(), stage.env)
        pure = play_core(history.loaded())
        both = [json.dumps(one | {"engine": ""}, indent=1, sort_keys=True) for one in (real, pure)]
        return None if both[0] == both[1] else f"{history}"

    found = await asyncio.gather(*(differs(history) for history in sample(ON_WORKFLOWS)))
    assert [one for one in found if one] == []
