"""The three contracts as the shelf holds them: each value is its clause's, each reading of ours is marked."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from records.shelf import Shelf
from sla.check import contract_doubts
from sla.policy import Contract, Part
from sla.roster import Roster
from sla.timetable import Timetable, from_us, to_us

SHELF = Shelf(Path(__file__).resolve().parent.parent / "policies")
FIRST, LAST = date(2030, 12, 1), date(2033, 1, 31)


@pytest.fixture(scope="module")
def tromzo() -> Contract:
    return SHELF.contract("tromzo")


@pytest.fixture(scope="module")
def bugzero() -> Contract:
    return SHELF.contract("bugzero")


@pytest.fixture(scope="module")
def reciprocity() -> Contract:
    return SHELF.contract("reciprocity")


def table(contract: Contract) -> Timetable:
    return contract.hours.pin(FIRST, LAST).timetable()


def is_open(contract: Contract, local: str) -> bool:
    times = table(contract)
    return times.is_open(times.from_local(datetime.fromisoformat(local)))


def due(contract: Contract, clock: str, priority: str, received: str) -> str:
    """When a target is due, local in, local out."""
    times = table(contract)
    start = to_us(times.from_local(datetime.fromisoformat(received)))
    target = contract.clocks[clock].targets[priority]
    budget = target.budget_us(times, start)
    end = times.add_us(start, budget) if target.counts_open_time else start + budget
    return times.to_local(from_us(end)).strftime("%Y-%m-%d %H:%M")


def targets(contract: Contract, clock: str) -> dict[str, str]:
    return {priority: str(target) for priority, target in contract.clocks[clock].targets.items()}


def parts(contract: Contract) -> dict[str, Part]:
    """Every part that acts on a clause, by its place in the file."""
    single = {name: getattr(contract, name) for name in type(contract).model_fields}
    found = {name: part for name, part in single.items() if isinstance(part, Part)}
    found |= {f"clocks.{name}": clock for name, clock in contract.clocks.items()}
    return found | {f"dispositions.{name}": terms for name, terms in contract.dispositions.items()}


# Tromzo


def test_T01_three_channels_lead_in(tromzo: Contract) -> None:
    """Tromzo, Support Channels and Availability."""
    assert tromzo.channels == {"email": "T01", "ticket": "T01", "slack": "T01"}


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2031-07-07 05:59:59", False),
        ("2031-07-07 06:00", True),
        ("2031-07-07 17:59:59", True),
        ("2031-07-07 18:00", False),
        ("2031-07-12 10:00", False),
        ("2031-07-13 10:00", False),
        ("2031-07-04 10:00", False),
        ("2032-07-05 10:00", False),
        ("2032-12-24 10:00", False),
        ("2031-03-10 06:00", True),
        ("2031-11-03 06:00", True),
        ("2031-11-03 05:59", False),
    ],
)
def test_T02_open_from_six_to_eighteen_Pacific_but_not_on_US_holidays(
    tromzo: Contract, local: str, expected: bool
) -> None:
    """Independence Day, also moved from a Sunday, Christmas moved from a Saturday; after both clock changes."""
    assert is_open(tromzo, local) is expected


def test_T03_five_categories_are_in_scope(tromzo: Contract) -> None:
    assert tromzo.scope is not None
    assert tromzo.scope.clause == "T03"
    assert set(tromzo.scope.categories) == {"access", "errors", "configuration", "users", "data"}


def test_T04_a_feature_request_voids_the_clocks_and_product_feedback_hears_of_it(tromzo: Contract) -> None:
    terms = tromzo.dispositions["feature_request"]
    assert (terms.clause, terms.voids, terms.tells) == ("T04", True, ("customer", "product_feedback"))


def test_T05_four_priorities_each_with_a_guideline_most_urgent_first(tromzo: Contract) -> None:
    assert tromzo.priority_clause == "T05"
    assert list(tromzo.priorities) == ["P1", "P2", "P3", "P4"]
    assert all(terms.guideline for terms in tromzo.priorities.values())
    assert tromzo.most_urgent == "P1"


def test_T06_response_targets(tromzo: Contract) -> None:
    clock = tromzo.clocks["response"]
    assert (clock.clause, clock.commitment, clock.starts) == ("T06", "target", "opened")
    assert targets(tromzo, "response") == {
        "P1": "2 business hours",
        "P2": "4 business hours",
        "P3": "1 business day",
        "P4": "1 business day",
    }


@pytest.mark.parametrize(
    ("priority", "received", "expected"),
    [
        ("P1", "2031-07-07 10:00", "2031-07-07 12:00"),
        ("P1", "2031-07-11 17:00", "2031-07-14 07:00"),
        ("P2", "2031-07-03 16:00", "2031-07-07 08:00"),
        ("P3", "2031-07-08 10:00", "2031-07-09 10:00"),
        ("P3", "2031-07-13 12:00", "2031-07-14 18:00"),
        ("P4", "2031-07-03 10:00", "2031-07-07 10:00"),
    ],
)
def test_T06_response_deadlines(tromzo: Contract, priority: str, received: str, expected: str) -> None:
    """Within a day, over a weekend, over Independence Day, and received while support is closed."""
    assert due(tromzo, "response", priority, received) == expected


def test_T07_resolution_targets(tromzo: Contract) -> None:
    clock = tromzo.clocks["resolution"]
    assert (clock.clause, clock.stops, clock.restarts) == ("T07", ("resolved", "closed"), ("reopened",))
    assert targets(tromzo, "resolution") == {
        "P1": "1 business day",
        "P2": "1 calendar week",
        "P3": "2 calendar weeks",
        "P4": "4 calendar weeks",
    }


@pytest.mark.parametrize(
    ("priority", "received", "expected"),
    [
        ("P1", "2031-07-11 16:00", "2031-07-14 16:00"),
        ("P2", "2031-03-05 11:30", "2031-03-12 11:30"),
        ("P3", "2031-10-30 03:15", "2031-11-13 03:15"),
        ("P4", "2031-07-12 23:00", "2031-08-09 23:00"),
    ],
)
def test_T07_weeks_are_the_calendars(tromzo: Contract, priority: str, received: str, expected: str) -> None:
    """The same local time 7·N days later, on a closed day too, and over both clock changes."""
    assert due(tromzo, "resolution", priority, received) == expected


def test_T08_resolution_is_an_estimate(tromzo: Contract) -> None:
    assert tromzo.clocks["resolution"].commitment == "estimate"


def test_T09_the_acknowledgement_stops_no_clock(tromzo: Contract) -> None:
    assert tromzo.acknowledgement is not None
    assert tromzo.acknowledgement.clause == "T09"
    assert tromzo.clocks["response"].stops == ("agent_replied", "resolved", "closed")


def test_T10_resolutions_have_their_clause(tromzo: Contract) -> None:
    assert tromzo.resolutions is not None
    assert tromzo.resolutions.clause == "T10"


def test_T11_six_things_are_asked_for_and_waiting_pauses_the_resolution_alone(tromzo: Contract) -> None:
    assert tromzo.checklist is not None
    assert tromzo.checklist.clause == "T11"
    assert list(tromzo.checklist.items) == [
        "affected_aspects",
        "impact",
        "start_time",
        "steps",
        "logs",
        "error_wording",
    ]
    assert all(name in item.fields for name, item in tromzo.checklist.items.items())
    assert tromzo.clocks["resolution"].pauses == ("waiting_on_customer",)
    assert tromzo.clocks["response"].pauses == ()


def test_T12_four_grounds_exclude_and_void(tromzo: Contract) -> None:
    terms = tromzo.dispositions["excluded"]
    assert (terms.clause, terms.voids, terms.tells) == ("T12", True, ("customer",))
    assert set(terms.grounds) == {
        "third_parties",
        "customer_environment",
        "unauthorised_use",
        "internet_or_force_majeure",
    }


# BugZero


def test_B01_resolutions_have_their_clause(bugzero: Contract) -> None:
    assert bugzero.resolutions is not None
    assert bugzero.resolutions.clause == "B01"


def test_B02_six_services_are_out_of_scope(bugzero: Contract) -> None:
    terms = bugzero.dispositions["out_of_scope"]
    assert (terms.clause, terms.voids) == ("B02", True)
    assert set(terms.grounds) == {
        "implementation",
        "configuration",
        "integration",
        "customization",
        "training",
        "administration",
    }


def test_B03_three_grounds_exclude(bugzero: Contract) -> None:
    terms = bugzero.dispositions["excluded"]
    assert (terms.clause, terms.voids) == ("B03", True)
    assert set(terms.grounds) == {"immaterial", "modified_by_others", "not_kept_up_to_date"}


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2031-07-07 08:59", False),
        ("2031-07-07 09:00", True),
        ("2031-07-07 16:59", True),
        ("2031-07-07 17:00", False),
        ("2031-07-12 10:00", False),
        ("2031-11-27 10:00", False),
    ],
)
def test_B04_open_from_nine_to_seventeen_Mountain_but_not_on_holidays(
    bugzero: Contract, local: str, expected: bool
) -> None:
    assert bugzero.hours.timezone == "America/Denver"
    assert is_open(bugzero, local) is expected


def test_B05_portal_and_phone_lead_in_and_no_target_knows_a_channel(bugzero: Contract) -> None:
    assert bugzero.channels == {"portal": "B05", "phone": "B05"}


def test_B06_four_priorities_each_with_a_guideline(bugzero: Contract) -> None:
    assert bugzero.priority_clause == "B06"
    assert list(bugzero.priorities) == ["P1", "P2", "P3", "P4"]


def test_B07_responses_have_targets_and_nothing_else_has(bugzero: Contract) -> None:
    """No resolution target exists, and none may be invented."""
    assert list(bugzero.clocks) == ["response"]
    assert bugzero.clocks["response"].clause == "B07"
    assert targets(bugzero, "response") == {
        "P1": "8 business hours",
        "P2": "2 business days",
        "P3": "5 business days",
        "P4": "10 business days",
    }


@pytest.mark.parametrize(
    ("priority", "received", "expected"),
    [
        ("P1", "2031-07-07 09:00", "2031-07-07 17:00"),
        ("P1", "2031-07-07 12:00", "2031-07-08 12:00"),
        ("P2", "2031-07-03 10:00", "2031-07-08 10:00"),
        ("P3", "2031-07-12 10:00", "2031-07-18 17:00"),
        ("P4", "2031-12-19 15:00", "2032-01-06 15:00"),
    ],
)
def test_B07_response_deadlines(bugzero: Contract, priority: str, received: str, expected: str) -> None:
    """In hours, over Independence Day, from a Saturday, and over Christmas and New Year."""
    assert due(bugzero, "response", priority, received) == expected


def test_B09_the_response_is_a_target(bugzero: Contract) -> None:
    assert bugzero.clocks["response"].commitment == "target"


def test_B10_B11_B13_ten_contacts_at_most_six_roles_and_nobody_else(bugzero: Contract) -> None:
    terms = bugzero.contacts
    assert terms is not None
    assert (terms.clause, terms.only_authorized) == ("B13", True)
    assert (terms.at_most_clause, terms.at_most, terms.roles_clause) == ("B10", 10, "B11")
    assert set(terms.roles) == {
        "primary_business",
        "secondary_business",
        "technical",
        "support",
        "billing",
        "security",
    }


def test_B14_the_acknowledgement_goes_out(bugzero: Contract) -> None:
    assert bugzero.acknowledgement is not None
    assert bugzero.acknowledgement.clause == "B14"


# Reciprocity


def test_R01_the_acknowledgement_links_the_knowledge_base(reciprocity: Contract) -> None:
    assert reciprocity.acknowledgement is not None
    assert reciprocity.acknowledgement.clause == "R01"
    assert (reciprocity.acknowledgement.knowledge_base or "").startswith("https://")


def test_R02_an_email_leads_in(reciprocity: Contract) -> None:
    assert reciprocity.channels == {"email": "R02"}


def test_R06_an_unknown_cause_is_told_asks_for_more_and_voids_nothing(reciprocity: Contract) -> None:
    terms = reciprocity.dispositions["cause_not_found"]
    assert (terms.clause, terms.voids, terms.asks_information, terms.tells) == ("R06", False, True, ("customer",))


def test_R07_a_revised_severity_is_told_within_one_business_hour_each_time(reciprocity: Contract) -> None:
    assert reciprocity.reclassification is not None
    assert reciprocity.reclassification.clause == "R07"
    clock = reciprocity.clocks["advice"]
    assert (clock.clause, clock.starts, clock.stops, clock.repeats) == (
        "R07",
        "priority_changed",
        ("reclassification_told",),
        True,
    )
    assert set(targets(reciprocity, "advice").values()) == {"1 business hour"}
    assert due(reciprocity, "advice", "S1", "2031-07-11 16:30") == "2031-07-14 08:30"


def test_R08_a_plan_stops_the_response_and_a_reply_does_not(reciprocity: Contract) -> None:
    assert reciprocity.clocks["response"].stops == ("plan_provided", "resolved", "closed")


@pytest.mark.parametrize(
    ("severity", "received", "expected"),
    [
        ("S1", "2031-07-12 23:00", "2031-07-13 03:00"),
        ("S2", "2031-07-09 10:00", "2031-07-09 18:00"),
        ("S3", "2031-11-02 00:30", "2031-11-02 11:30"),
        ("S4", "2031-03-08 12:00", "2031-03-11 13:00"),
    ],
)
def test_R09_the_response_counts_elapsed_hours(
    reciprocity: Contract, severity: str, received: str, expected: str
) -> None:
    """By night, in hours, and real hours over both clock changes."""
    assert targets(reciprocity, "response") == {
        "S1": "4 elapsed hours",
        "S2": "8 elapsed hours",
        "S3": "12 elapsed hours",
        "S4": "72 elapsed hours",
    }
    assert due(reciprocity, "response", severity, received) == expected


def test_R12_suspension_is_automatic(reciprocity: Contract) -> None:
    assert reciprocity.suspension is not None
    assert (reciprocity.suspension.clause, reciprocity.suspends) == ("R12", True)


@pytest.mark.parametrize("severity", ["S1", "S2", "S3", "S4"])
def test_R14_every_ticket_has_a_reply_by_the_next_business_day_and_no_day_is_a_holiday(
    reciprocity: Contract, severity: str
) -> None:
    clock = reciprocity.clocks["reply"]
    assert clock.clause == "R14"
    assert {"agent_replied", "plan_provided"} <= set(clock.stops)
    assert reciprocity.hours.holidays is None
    assert due(reciprocity, "reply", severity, "2031-07-03 10:00") == "2031-07-04 10:00"
    assert due(reciprocity, "reply", severity, "2031-07-05 10:00") == "2031-07-07 17:00"


def test_R15_english_alone_is_accepted(reciprocity: Contract) -> None:
    assert reciprocity.language is not None
    assert (reciprocity.language.clause, reciprocity.language.accepted) == ("R15", ("en",))


# Every contract


@pytest.mark.parametrize(("name", "letter"), [("tromzo", "T"), ("bugzero", "B"), ("reciprocity", "R")])
def test_every_part_names_a_clause_of_its_own_contract_or_of_the_house(name: str, letter: str) -> None:
    contract = SHELF.contract(name)
    clauses = {part.clause for part in parts(contract).values()}
    clauses |= {contract.hours.clause, contract.priority_clause, *contract.channels.values()}
    assert {clause for clause in clauses if clause[0] not in (letter, "X")} == set()


@pytest.mark.parametrize("name", ["tromzo", "bugzero", "reciprocity"])
def test_every_reading_of_ours_is_marked_with_its_reason(name: str) -> None:
    """What is ours: the zone and holidays, what stops a clock beyond the clause's words, voiding, and suspension."""
    contract = SHELF.contract(name)
    ours = {f"clocks.{clock}" for clock in contract.clocks} | {"suspension"}
    ours |= {"checklist", "dispositions.excluded"} if name == "tromzo" else set()
    ours |= {"contacts", "dispositions.excluded", "dispositions.out_of_scope"} if name == "bugzero" else set()
    marked = {place for place, part in parts(contract).items() if part.reading}
    assert ours <= marked
    assert contract.hours.reading


def test_X03_tromzo_and_bugzero_suspend_by_the_rule_of_the_house(tromzo: Contract, bugzero: Contract) -> None:
    """Their texts are silent on payment, so the clause is ours, and so is the switch."""
    for contract in (tromzo, bugzero):
        assert contract.suspension is not None
        assert (contract.suspension.clause, contract.suspends) == ("X03", True)
        off = contract.model_copy(update={"suspension": contract.suspension.model_copy(update={"mode": "none"})})
        assert not off.suspends


def test_X05_a_contracts_version_moves_with_its_content_and_with_nothing_else(tromzo: Contract) -> None:
    assert Contract.model_validate(tromzo.model_dump(mode="json")).version == tromzo.version
    assert tromzo.model_copy(update={"edition": "another"}).version != tromzo.version


def test_the_shipped_contracts_raise_no_doubt() -> None:
    for path in SHELF.paths("contract"):
        assert list(contract_doubts(SHELF.contract(path.stem), date(2031, 1, 1))) == []


def test_the_default_ladder_has_the_steps_that_the_contracts_names_promise() -> None:
    steps = {str(step.at): step for step in SHELF.playbook("default").steps}
    assert {"unacknowledged 50%", "75%", "90%", "100%", "miss + 1 business hour"} <= set(steps)
    assert (steps["unacknowledged 50%"].reassign, steps["unacknowledged 50%"].clause) == ("next", "X02")
    assert steps["miss + 1 business hour"].reassign == "next_tier"
    assert steps["100%"].clocks is None


def test_advice_has_no_rung_but_its_miss() -> None:
    steps = SHELF.playbook("default").steps
    assert [str(step.at) for step in steps if step.applies("advice", "S1")] == ["100%"]


@pytest.mark.parametrize(
    ("local", "who"),
    [("2031-07-07 10:00", "dana"), ("2031-07-07 22:00", "farid"), ("2031-07-12 10:00", "farid")],
)
def test_the_default_team_always_has_somebody_on_duty(tromzo: Contract, local: str, who: str) -> None:
    """The first line by day, the second by night and at weekends."""
    at = table(tromzo).from_local(datetime.fromisoformat(local))
    assert Roster.around(SHELF.team("default"), at).first_on_duty(at) == who


def test_a_contracts_calendar_pins_over_its_horizon() -> None:
    """A deadline of the longest target lies well within what is pinned when an incident opens."""
    at = datetime(2031, 7, 12, 8, tzinfo=UTC)
    for path in SHELF.paths("contract"):
        contract = SHELF.contract(path.stem)
        times = contract.hours.pin(at.date(), at.date() + timedelta(days=contract.horizon_days)).timetable()
        for clock in contract.clocks.values():
            for target in clock.targets.values():
                assert target.budget_us(times, to_us(at)) > 0
