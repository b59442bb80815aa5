"""One test for each obligation of BugZero's contract that the engine covers, driving the real workflows to it.

A test named after a clause plays that clause's stories (`stories/bugzero/B07-*.yaml`) on the real workflows, in virtual time, and
holds all that they expect; then it says in its own words what the clause comes to.
"""

from tests.clauses import Acts, by_ticket, hour
from tests.stage import SHELF


async def test_B01_a_fix_a_workaround_or_another_relief_resolves(acts: Acts) -> None:
    incidents = await acts()
    assert {incident["resolution"] for incident in incidents.values()} == {"fix", "workaround", "other_relief"}
    assert {incident["phase"] for incident in incidents.values()} == {"resolved"}


async def test_B02_six_services_are_out_of_scope(acts: Acts) -> None:
    incidents = await acts()
    assert len(SHELF.contract("bugzero").dispositions["out_of_scope"].grounds) == len(incidents) == 6
    assert set(by_ticket(incidents, "response", "state").values()) == {"void"}


async def test_B03_no_duty_for_three_kinds_of_defect_and_versions_are_checked(acts: Acts) -> None:
    assert len(SHELF.contract("bugzero").dispositions["excluded"].grounds) == len(await acts("no-duty")) == 3
    versions = await acts("unsupported-version")
    assert [bool(versions[ticket]["attention"]) for ticket in ("old", "current")] == [True, False]


async def test_B04_only_business_days_from_nine_to_five_mountain_time_count(acts: Acts) -> None:
    due = by_ticket(await acts(), "response", "due")
    assert {at[-6:] for ticket, at in due.items() if ticket != "winter"} == {"-06:00"}
    assert due["winter"] == "2031-12-03T10:00:00-07:00"


async def test_B05_the_way_in_changes_no_deadline(acts: Acts) -> None:
    incidents = await acts()
    assert len(incidents) == 6
    assert len(set(by_ticket(incidents, "response", "due").values())) == 1


async def test_B06_the_priority_is_determined_by_guidelines(acts: Acts) -> None:
    guidelines = {name: terms.guideline for name, terms in SHELF.contract("bugzero").priorities.items()}
    assert list(guidelines) == ["P1", "P2", "P3", "P4"]
    assert all(guidelines.values())
    assert (await acts())["4711"]["priority"] == "P1"


async def test_B07_response_targets_and_no_other(acts: Acts) -> None:
    incidents = await acts("response-targets")
    due = by_ticket(incidents, "response", "due")
    assert [hour(at) for at in due.values()] == [
        "2031-07-09 10:00",
        "2031-07-10 10:00",
        "2031-07-15 10:00",
        "2031-07-22 10:00",
    ]
    silent = (await acts("no-resolution-target"))["4711"]
    assert {name for incident in [*incidents.values(), silent] for name in incident["clocks"]} == {"response"}


async def test_B09_what_is_late_is_a_missed_target(acts: Acts) -> None:
    clock = (await acts())["4711"]["clocks"]["response"]
    assert (clock["state"], clock["commitment"]) == ("missed", "target")


async def test_B13_a_strangers_request_is_held_until_authorized_or_declined(acts: Acts) -> None:
    incidents = await acts()
    assert {ticket: incident["phase"] for ticket, incident in incidents.items()} == {
        "authorized": "open",
        "declined": "discarded",
        "waiting": "held",
        "known": "open",
    }
    assert hour(incidents["authorized"]["clocks"]["response"]["started"]) == "2031-07-09 09:30"


async def test_B14_each_contact_is_told_in_their_own_way(acts: Acts) -> None:
    way = {ticket: incident["notices"][0]["channel"] for ticket, incident in (await acts()).items()}
    assert way == {"ann": "email", "bob": "phone", "cleo": "portal", "dan": "email"}
