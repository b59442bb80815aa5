"""What must hold of `evaluate` for any log: order-blind, conserving, monotone, silent while a clock stands still, never owing twice."""

import json
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sla.entries import Entry
from sla.evaluate import View, evaluate
from sla.events import PriorityChanged
from sla.timetable import to_us
from tests.cases import Case, carry_out, cases, later, living, played, waits

MINUTE = timedelta(minutes=1)
quick = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def final(view: View) -> dict[str, Any]:
    """All that a view says of the present: nothing of what is owed or was told."""
    said = (
        "phase",
        "priority",
        "assignee",
        "disposition",
        "resolution",
        "clocks",
        "closed_at",
        "next_due",
        "attention",
    )
    return {name: getattr(view, name) for name in said}


# X04: the order of deliveries leaves no trace


@quick
@given(cases(), st.data())
def test_X04_any_order_and_number_of_deliveries_gives_the_same_view(case: Case, data: st.DataObject) -> None:
    """The same words, each delivered any number of times, in any order, heard whenever, come to the same."""
    again = data.draw(st.lists(st.sampled_from(case.log), max_size=6))
    late = data.draw(st.lists(later(), min_size=len(again), max_size=len(again)))
    more = [
        line.model_copy(update={"received_at": line.received_at + by}) for line, by in zip(again, late, strict=True)
    ]
    shuffled = data.draw(st.permutations([*case.log, *more]))
    now = case.end + timedelta(days=15)
    assert final(evaluate(case.pinned, shuffled, now)) == final(evaluate(case.pinned, case.log, now))


@quick
@given(cases())
def test_X04_when_we_heard_changes_nothing_of_the_clocks(case: Case) -> None:
    """Prompt deliveries and late ones: the same view, once all is heard."""
    prompt = [line.model_copy(update={"received_at": line.occurred_at}) for line in case.log]
    assert final(evaluate(case.pinned, prompt, case.end)) == final(evaluate(case.pinned, case.log, case.end))


@settings(quick, max_examples=100)
@given(cases(("tromzo", "bugzero"), closing=False))
def test_X04_an_incident_that_lived_through_late_words_ends_as_one_that_heard_them_promptly(case: Case) -> None:
    """With all that was escalated, reassigned and withdrawn in between. (Closing aside: what follows it is another incident's.)"""
    prompt = tuple(word.model_copy(update={"received_at": word.occurred_at}) for word in case.words)
    end = case.end
    lived, punctual = (played(words, case, end)["incidents"]["a"] for words in (case.words, prompt))
    assert {k: lived[k] for k in ("phase", "priority", "clocks")} == {
        k: punctual[k] for k in ("phase", "priority", "clocks")
    }


# Arithmetic


@quick
@given(cases())
def test_used_and_left_make_up_the_target(case: Case) -> None:
    """No change of priority, pause or suspension creates or loses time."""
    view = evaluate(case.pinned, case.log, case.end)
    for clock, told in zip(view.raw, view.clocks, strict=True):
        budget = clock.budget()
        assert (told.left_us is None) == (budget is None)
        if told.left_us is not None:
            assert told.used_us + told.left_us == budget


@quick
@given(cases())
def test_used_is_what_a_walk_over_the_minutes_counts(case: Case) -> None:
    """Minute by minute, from the words alone: open or elapsed time since the start in which nothing stood still."""
    view = evaluate(case.pinned, case.log, case.end)
    table = case.pinned.calendar.timetable()
    for clock, told in zip(view.raw, view.clocks, strict=True):
        if clock.base not in ("response", "resolution") or told.started is None or told.state == "void":
            continue
        if any(w.event.event == "reopened" for w in case.words):
            continue
        end = min(told.stopped or case.end, told.started + timedelta(days=2))
        pauses = waits(case) if clock.terms.pauses else []
        holes = [*pauses, *((s.start, s.end) for s in case.ledger.suspended)]
        counts_open = clock.counts_open()
        at, walked = told.started, 0
        while at < end:
            still = any(a <= at and (b is None or at < b) for a, b in holes)
            walked += not still and (not counts_open or table.is_open(at))
            at += MINUTE
        assert clock.used(to_us(end)) == walked * 60_000_000


@quick
@given(cases(), later(), later())
def test_used_never_decreases_as_time_goes_by(case: Case, one: timedelta, two: timedelta) -> None:
    sooner, after = sorted((case.end + one, case.end + two))
    for clock, afterwards in zip(
        evaluate(case.pinned, case.log, sooner).clocks, evaluate(case.pinned, case.log, after).clocks, strict=True
    ):
        assert clock.used_us <= afterwards.used_us
        assert not (clock.state == "missed" and afterwards.state == "met")


@quick
@given(cases())
def test_a_clock_is_missed_exactly_when_it_used_more_than_its_target(case: Case) -> None:
    """And never both met and missed. (Which priority held when may decide, so here none changes.)"""
    words = [line for line in case.log if line.event.event != "priority_changed"]
    for told in evaluate(case.pinned, words, case.end).clocks:
        assert (told.state == "missed") == (told.declared_missed is not None)
        if told.declared_missed is not None and (told.target or "").split()[1] == "business":
            assert case.pinned.calendar.timetable().is_open(told.declared_missed)
        if told.state == "met":
            assert told.left_us is not None
            assert told.left_us >= 0
            assert told.stopped is not None
        if told.state == "missed" and told.stopped is not None:
            assert told.left_us is not None
            assert told.left_us < 0
        if told.state == "running" and told.due is not None:
            assert told.due >= case.end or told.left_us == 0


@quick
@given(cases(), later(1), st.sampled_from(["dana", "ann@acme.example"]), st.data())
def test_T05_a_priority_changed_after_a_clock_stopped_does_not_judge_it_anew(
    case: Case, after: timedelta, by: str, data: st.DataObject
) -> None:
    """The priority that held when it stopped is the one that counts."""
    log = [line for line in case.log if line.event.event != "reopened"]
    change = PriorityChanged(to=data.draw(st.sampled_from(list(case.pinned.contract.priorities))), by=by)
    line = Entry(key="after", occurred_at=case.end + after, received_at=case.end + after, event=change)
    now = case.end + after + after
    before, then = (evaluate(case.pinned, words, now) for words in (log, [*log, line]))
    for clock in before.clocks:
        if clock.stopped is not None and clock.stopped < line.occurred_at:
            assert then.clock(clock.name) == clock


@quick
@given(cases())
def test_T11_an_incident_waits_exactly_while_an_agent_waits_for_the_customer(case: Case) -> None:
    """Read from the words alone, where nothing else decides the phase."""
    phase = evaluate(case.pinned, case.log, case.end).phase
    if phase in ("open", "waiting"):
        assert (phase == "waiting") == any(end is None for _, end in waits(case))


@quick
@given(cases(), st.sampled_from(["email", "ticket", "slack", "portal", "phone", "api", None]))
def test_B05_the_way_in_changes_no_deadline(case: Case, channel: str | None) -> None:
    """Under every contract, not BugZero's alone."""
    opening = case.log[2]
    other = opening.model_copy(update={"event": opening.event.model_copy(update={"channel": channel})})
    by_another_way = [other if line is opening else line for line in case.log]
    here, there = (evaluate(case.pinned, log, case.end) for log in (case.log[:2] + case.log[2:], by_another_way))
    assert here.clocks == there.clocks
    assert here.plan == there.plan


# Steps


@quick
@given(cases(), later())
def test_X01_no_step_is_owed_or_planned_while_its_clock_stands_still(case: Case, after: timedelta) -> None:
    """Not in a suspension, not in a pause of its clock, not once it was stopped, not while it is void."""
    view = evaluate(case.pinned, case.log, case.end + after)
    raw = {clock.name: clock for clock in view.raw}
    moments = [(s.clock, s.at) for s in view.owed if s.kind == "escalation"] + [(p.clock, p.at) for p in view.plan]
    if view.phase in ("held", "discarded", "dispositioned", "closed"):
        assert not moments
    for name, at in moments:
        assert name is not None
        clock = raw[name]
        assert not any(s.start <= at and (s.end is None or at < s.end) for s in case.ledger.suspended)
        if clock.terms.pauses:
            assert not any(a <= at and (b is None or at < b) for a, b in waits(case))
        told = view.clock(name)
        assert told.stopped is None or at < told.stopped
        assert told.started is not None
        assert told.started <= at
        assert told.state in ("running", "paused", "missed")


@quick
@given(cases())
def test_what_was_begun_and_done_is_not_owed_again(case: Case) -> None:
    """However often the same log is looked at: after the steps are recorded nothing more is owed at that moment."""
    incident = living(case)
    for _ in range(3):
        view = incident.view(case.end)
        carry_out(incident, view)
        if not view.owed:
            break
    assert not incident.view(case.end).owed
    begun = [line.event.step_key for line in incident.state.log if line.event.event == "step_begun"]
    assert len(begun) == len(set(begun))


@quick
@given(cases())
def test_a_step_that_is_begun_is_not_owed_while_it_is_under_way(case: Case) -> None:
    """Between beginning and outcome any number of words may come; the step stays one step."""
    incident = living(case)
    owed = incident.view(case.end).owed
    incident.begin(owed)
    view = incident.view(case.end)
    assert {step.key for step in owed}.isdisjoint(step.key for step in view.owed)
    assert view.in_flight == len(owed)


@settings(quick, max_examples=150)
@given(cases())
def test_X01_a_story_never_climbs_a_rung_twice_without_a_reason(case: Case) -> None:
    """The pure player's notices: the same step of the same clock again only after a changed priority or a withdrawal."""
    for incident in played(case.words, case, case.end)["incidents"].values():
        fresh: dict[tuple[str, str], tuple[str, int]] = {}
        revisions = [line["received_at"] for line in incident["log"] if line["event"] == "priority_changed"]
        for notice in incident["notices"]:
            rung = (notice["clock"], notice["step"])
            if notice["kind"] == "withdrawal":
                assert rung in fresh
            if notice["clock"] is None:
                continue
            heard = sum(at <= notice["at"] for at in revisions)
            if notice["kind"] in ("escalation", "reassignment"):
                last = fresh.get(rung)
                assert (
                    last is None
                    or last[0] == notice["at"]
                    or heard > last[1]
                    or withdrawn(incident, rung, last[0], notice["at"])
                )
                fresh[rung] = (notice["at"], heard)


@settings(quick, max_examples=150)
@given(cases())
def test_X04_a_miss_that_was_told_and_not_withdrawn_is_a_miss(case: Case) -> None:
    """What stands of the ladder at the end is what is known at the end. (Without changes of priority, which take a miss back.)"""
    words = tuple(word for word in case.words if word.event.event != "priority_changed")
    for incident in played(words, case, case.end)["incidents"].values():
        for name, clock in incident["clocks"].items():
            told = [n["kind"] for n in incident["notices"] if (n["clock"], n["step"]) == (name, "100%")]
            standing = told.count("escalation") - told.count("withdrawal")
            assert standing in (0, 1)
            if clock["state"] not in ("missed", "void"):
                assert standing == 0, clock
            if clock["state"] == "missed" and clock["stopped"] is None and incident["phase"] in ("open", "waiting"):
                assert standing == 1, clock


@settings(quick, max_examples=100)
@given(cases())
def test_a_story_is_played_to_the_same_end_every_time(case: Case) -> None:
    """Nothing in it depends on chance, on the clock on the wall or on the order of a set."""
    first, second = (json.dumps(played(case.words, case, case.end), sort_keys=True) for _ in range(2))
    assert first == second


def withdrawn(incident: dict[str, Any], rung: tuple[str, str], since: str, until: str) -> bool:
    """Whether the rung was taken back between two moments."""
    back = [n["at"] for n in incident["notices"] if n["kind"] == "withdrawal" and (n["clock"], n["step"]) == rung]
    return any(since <= at <= until for at in back)
