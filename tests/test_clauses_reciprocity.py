"""One test for each obligation of Reciprocity's contract that the engine covers, driving the real workflows to it.

A test named after a clause plays that clause's stories (`stories/reciprocity/R09-*.yaml`) on the real workflows, in virtual time, and
holds all that they expect; then it says in its own words what the clause comes to.
"""

from starter import engines
from starter.stories import load
from tests.clauses import Acts, Told, by_ticket, hour, kinds
from tests.stage import SHELF, STORIES, Stage


async def test_R01_the_acknowledgement_links_the_documentation(acts: Acts, stage: Stage, told: Told) -> None:
    assert kinds((await acts())["4711"]) == ["acknowledgement"]
    await engines.play_temporal(load(STORIES["R01-knowledge-base"], SHELF), stage.env)
    link = SHELF.contract("reciprocity").acknowledgement.knowledge_base  # type: ignore[union-attr]
    assert link
    assert link in dict(told)["acknowledgement"]


async def test_R02_an_email_opens_a_case_and_replies_thread_onto_it(acts: Acts) -> None:
    incidents = await acts()
    assert list(incidents) == ["4711"]
    assert [line["event"] for line in incidents["4711"]["log"]] == [
        "opened",
        "customer_replied",
        "agent_replied",
        "plan_provided",
    ]


async def test_R06_the_customer_is_told_when_no_cause_is_found_and_issues_stay_apart(acts: Acts) -> None:
    incident = (await acts("cause-not-found"))["4711"]
    assert [notice["kind"] for notice in incident["notices"] if notice["clause"] == "R06"] == [
        "disposition",
        "information_request",
    ]
    assert by_ticket(await acts("two-issues"), "response", "state") == {"1": "met", "2": "running"}


async def test_R07_the_customer_classifies_and_every_revision_is_told_within_the_hour(acts: Acts) -> None:
    incident = (await acts("reclassification"))["4711"]
    assert kinds(incident).count("reclassification") == 2
    assert {incident["clocks"][name]["state"] for name in ("advice", "advice#2")} == {"met"}
    late = (await acts("advice-too-late"))["4711"]["clocks"]["advice"]
    assert (late["state"], late["target"]) == ("missed", "1 business hour")


async def test_R08_only_a_plan_stops_the_response(acts: Acts) -> None:
    states = by_ticket(await acts(), "response", "state")
    assert states == {"replied": "met", "planned": "met", "only_replied": "missed"}


async def test_R09_elapsed_hours_day_and_night(acts: Acts) -> None:
    due = by_ticket(await acts("elapsed-hours"), "response", "due")
    assert [hour(at) for at in due.values()] == [
        "2031-07-12 00:00",
        "2031-07-12 04:00",
        "2031-07-12 08:00",
        "2031-07-14 20:00",
    ]
    night = (await acts("missed-at-night"))["4711"]["clocks"]["response"]
    assert hour(night["declared_missed"]) == "2031-07-12 06:00"


async def test_R12_a_suspension_stops_every_clock_and_gives_back_what_was_left(acts: Acts) -> None:
    """Reciprocity, Customer Obligations: support may be suspended while the customer is not current."""
    back = (await acts("suspended-while-not-current"))["4711"]
    assert hour(back["clocks"]["response"]["due"]) == "2031-07-16 18:00"
    assert kinds(back) == ["acknowledgement", "suspension", "suspension", "resumption", "resumption"]
    still = (await acts("still-suspended"))["4711"]
    assert {clock["state"] for clock in still["clocks"].values()} == {"suspended"}
    new = (await acts("opened-while-suspended"))["4711"]["clocks"]["response"]
    assert (hour(new["started"]), new["left_seconds"]) == ("2031-07-09 14:00", 3 * 3600)
    revised = (await acts("revised-while-suspended"))["4711"]["clocks"]["advice"]
    assert revised["state"] == "met"


async def test_R14_every_ticket_is_owed_a_reply_by_the_next_business_day(acts: Acts) -> None:
    due = {ticket: hour(at) for ticket, at in by_ticket(await acts("next-business-day"), "reply", "due").items()}
    assert due == {"tuesday": "2031-07-09 16:00", "sunday": "2031-07-07 17:00", "holiday": "2031-07-04 16:00"}
    assert (await acts("missed-reply"))["4711"]["clocks"]["reply"]["state"] == "missed"


async def test_R15_other_languages_are_discarded_in_silence_kept_and_restored(acts: Acts) -> None:
    french = (await acts("english-only"))["french"]
    assert (french["phase"], french["notices"]) == ("discarded", [])
    assert {ticket: i["phase"] for ticket, i in (await acts("detected-language")).items()} == {
        "german": "discarded",
        "short": "open",
        "english": "open",
    }
    assert hour((await acts("restored"))["4711"]["clocks"]["response"]["started"]) == "2031-07-08 10:00"
