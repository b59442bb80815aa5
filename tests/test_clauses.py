"""One test for each obligation of the three contracts that the engine covers, driving the real workflows to it.

A test named after a clause plays that clause's stories (`stories/*/T06-*.yaml`) on the real workflows, in virtual time, and holds all
that they expect; then it says in its own words what the clause comes to.
"""

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from activities.calls import CarryOut
from activities.wording import IncidentFacts, words
from records.shelf import Shelf
from sla.roster import Outcome
from sla.steps import Step
from starter import engines
from starter.stories import load
from tests.conftest import Acts
from tests.stage import ROOT, SHELF, STORIES, Stage

Incident = dict[str, Any]


def by_ticket(incidents: dict[str, Incident], clock: str, value: str) -> dict[str, Any]:
    """One value of one clock of each ticket."""
    return {ticket: incident["clocks"][clock][value] for ticket, incident in incidents.items()}


def hour(moment: str | None) -> str | None:
    """`2031-07-08 12:00`: a moment as the clause's reader writes it."""
    return moment and moment[:16].replace("T", " ")


def kinds(incident: Incident) -> list[str]:
    return [notice["kind"] for notice in incident["notices"]]


def steps(incident: Incident, clock: str) -> list[str]:
    return [notice["step"] for notice in incident["notices"] if notice["clock"] == clock]


class Recorder:
    """Stands where notices leave for people, and writes down what they were told, in the words that they read."""

    heard: list[tuple[str, str]] = []

    async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
        for step, outcome in chosen:
            for notice, recipients in outcome.notices:
                contact = next((r.id for r in recipients if "@" in r.id), None)
                incident = IncidentFacts(incident=asked.incident, ticket=asked.ticket, customer="Acme", contact=contact)
                self.heard.append((notice.kind, words(step, notice, incident)[1]))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What people read while a story plays: kind and text of each notice."""
    monkeypatch.setattr(engines, "Silent", Recorder)
    monkeypatch.setattr(Recorder, "heard", [])
    return Recorder.heard


# Tromzo


async def test_T01_three_channels_open_an_incident_and_take_replies(acts: Acts) -> None:
    incidents = await acts()
    assert set(incidents) == {"mail", "form", "chat"}
    assert set(SHELF.contract("tromzo").channels) == {"email", "ticket", "slack"}
    assert len({str(incident["clocks"]) for incident in incidents.values()}) == 1


async def test_T02_only_support_hours_count(acts: Acts) -> None:
    due = by_ticket(await acts(), "response", "due")
    assert {ticket: hour(at) for ticket, at in due.items()} == {
        "early": "2031-07-08 08:00",
        "closing": "2031-07-09 08:00",
        "friday": "2031-07-14 07:00",
        "saturday": "2031-07-14 08:00",
        "holiday": "2031-07-07 07:00",
    }


async def test_T03_each_kind_in_scope_is_an_incident_and_another_is_pointed_out(acts: Acts) -> None:
    incidents = await acts()
    assert len(SHELF.contract("tromzo").scope.categories) == 5  # type: ignore[union-attr]
    assert [ticket for ticket, incident in incidents.items() if incident["attention"]] == ["other"]
    assert "T03" in incidents["other"]["attention"][0]


async def test_T04_a_feature_request_is_no_incident(acts: Acts) -> None:
    incident = (await acts())["4711"]
    assert {clock["state"] for clock in incident["clocks"].values()} == {"void"}
    told = [notice["to"] for notice in incident["notices"] if notice["clause"] == "T04"]
    assert told == [["ann@acme.example"], ["hana"]]


async def test_T05_the_provider_assigns_the_priority_and_every_change_is_kept(acts: Acts) -> None:
    assert (await acts("default-priority"))["4711"]["priority"] == "P3"
    changed = (await acts("priority-at-triage"))["unnamed"]["log"][-1]
    assert (changed["by"], changed["to"], changed["why"]) == ("dana", "P2", "no exports for anyone")


async def test_T06_the_response_targets(acts: Acts) -> None:
    due = by_ticket(await acts("response-targets"), "response", "due")
    assert [hour(at) for at in due.values()] == ["2031-07-08 12:00", "2031-07-08 14:00", "2031-07-09 10:00", "2031-07-09 10:00"]
    missed = (await acts("missed-response"))["4711"]
    assert (missed["clocks"]["response"]["state"], missed["clocks"]["response"]["clause"]) == ("missed", "T06")


async def test_T07_the_resolution_targets(acts: Acts) -> None:
    due = by_ticket(await acts(), "resolution", "due")
    assert [hour(at) for at in due.values()] == ["2031-07-09 10:00", "2031-07-15 10:00", "2031-07-22 10:00", "2031-08-05 10:00"]


async def test_T08_a_late_resolution_is_a_missed_target_and_never_a_breach(acts: Acts, stage: Stage, told: list[tuple[str, str]]) -> None:
    clocks = (await acts())["4711"]["clocks"]
    assert (clocks["resolution"]["state"], clocks["resolution"]["commitment"]) == ("missed", "estimate")
    await engines.play_temporal(load(STORIES["T08-late-resolution"], SHELF), stage.env)
    assert any("missed" in text and "estimate" in text for kind, text in told if kind == "escalation")
    assert not any("breach" in text.lower() or "guarantee" in text.lower() for _, text in told)


async def test_T09_only_an_agents_reply_stops_the_response(acts: Acts, stage: Stage, told: list[tuple[str, str]]) -> None:
    incident = (await acts())["4711"]
    assert hour(incident["clocks"]["response"]["stopped"]) == "2031-07-08 10:50"
    await engines.play_temporal(load(STORIES["T09-what-stops-the-response"], SHELF), stage.env)
    text = dict(told)["acknowledgement"]
    asks = {name: item.asks for name, item in SHELF.contract("tromzo").checklist.items.items()}  # type: ignore[union-attr]
    assert {name for name, item in asks.items() if item in text} == set(asks) - {"impact", "start_time"}


async def test_T10_a_workaround_resolves_and_the_fix_goes_on_without_a_clock(acts: Acts) -> None:
    incidents = await acts("workaround")
    assert {incident["resolution"] for incident in incidents.values()} == {"workaround", "fix", "other_relief"}
    assert set(by_ticket(incidents, "resolution", "state").values()) == {"met"}
    reopened = (await acts("workaround-fails"))["4711"]["clocks"]["resolution"]
    assert (reopened["state"], reopened["used_seconds"]) == ("running", 2 * 3600)


async def test_T11_what_is_missing_is_asked_once_and_waiting_pauses_the_resolution(acts: Acts) -> None:
    asked = {ticket: kinds(incident).count("information_request") for ticket, incident in (await acts("checklist")).items()}
    assert asked == {"whole": 0, "bare": 1}
    waiting = (await acts("waiting-pauses-resolution"))["unanswered"]["clocks"]
    assert (waiting["resolution"]["state"], waiting["response"]["state"]) == ("paused", "missed")


async def test_T12_what_is_not_covered_is_excluded_and_the_exclusion_is_reversible(acts: Acts) -> None:
    for incident in (await acts("excluded")).values():
        assert {clock["state"] for clock in incident["clocks"].values()} == {"void"}
        assert kinds(incident) == ["acknowledgement", "information_request", "disposition"]
    back = (await acts("exclusion-taken-back"))["4711"]["clocks"]["response"]
    assert (back["state"], back["used_seconds"]) == ("met", 110 * 60)


# BugZero


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
    assert [hour(at) for at in due.values()] == ["2031-07-09 10:00", "2031-07-10 10:00", "2031-07-15 10:00", "2031-07-22 10:00"]
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


# Reciprocity


async def test_R01_the_acknowledgement_links_the_documentation(acts: Acts, stage: Stage, told: list[tuple[str, str]]) -> None:
    assert kinds((await acts())["4711"]) == ["acknowledgement"]
    await engines.play_temporal(load(STORIES["R01-knowledge-base"], SHELF), stage.env)
    link = SHELF.contract("reciprocity").acknowledgement.knowledge_base  # type: ignore[union-attr]
    assert link
    assert link in dict(told)["acknowledgement"]


async def test_R02_an_email_opens_a_case_and_replies_thread_onto_it(acts: Acts) -> None:
    incidents = await acts()
    assert list(incidents) == ["4711"]
    assert [line["event"] for line in incidents["4711"]["log"]] == ["opened", "customer_replied", "agent_replied", "plan_provided"]


async def test_R06_the_customer_is_told_when_no_cause_is_found_and_issues_stay_apart(acts: Acts) -> None:
    incident = (await acts("cause-not-found"))["4711"]
    assert [notice["kind"] for notice in incident["notices"] if notice["clause"] == "R06"] == ["disposition", "information_request"]
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
    assert [hour(at) for at in due.values()] == ["2031-07-12 00:00", "2031-07-12 04:00", "2031-07-12 08:00", "2031-07-14 20:00"]
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


# Every contract


async def test_X01_steps_at_shares_and_after_a_miss_at_most_once_and_never_while_standing_still(acts: Acts) -> None:
    climbed = (await acts("shares-of-a-target"))["4711"]
    assert steps(climbed, "response") == ["75%", "90%", "100%", "miss + 1 business hour", "miss + 1 business hour"]
    for incident in (await acts("silent-when-met")).values():
        assert not {"escalation", "reassignment"} & set(kinds(incident))
    rearmed = (await acts("lowered-priority-rearms"))["4711"]
    assert [steps(rearmed, "response").count(step) for step in ("75%", "90%", "100%")] == [2, 1, 1]
    assert (await acts("own-playbook"))["p1"]["assignee"] == "farid"


async def test_X02_to_the_next_on_duty_then_the_next_tier_and_nobody_who_is_away(acts: Acts) -> None:
    assert (await acts("absent-is-not-chosen"))["4711"]["notices"][2]["to"] == ["eli"]
    nobody = (await acts("nobody-on-duty"))["4711"]["notices"][1]
    assert (nobody["to"], nobody["note"].startswith("nobody else is on duty")) == (["gwen"], True)
    kept = await acts("acknowledged-in-time")
    assert [incident["assignee"] for incident in kept.values()][0] == "eli"


async def test_X03_standing_counts_from_the_lapse_not_from_when_we_heard(acts: Acts) -> None:
    clock = (await acts("effective-from-the-lapse"))["4711"]["clocks"]["response"]
    assert hour(clock["due"]) == "2031-07-09 08:45"
    lapsed = (await acts("withdrawn-by-a-lapse"))["4711"]
    assert (lapsed["phase"], lapsed["clocks"]["response"]["used_seconds"]) == ("suspended", 75 * 60)
    assert kinds(lapsed).count("withdrawal") == 2


async def test_X04_any_order_ends_in_the_same_state_and_the_unfounded_is_withdrawn(acts: Acts) -> None:
    states = {str({k: v for k, v in i.items() if k in ("phase", "priority", "clocks")}) for i in (await acts("any-order")).values()}
    assert len(states) == 1
    sent = (await acts("withdrawal"))["4711"]["notices"]
    told = {notice["step"]: notice["to"] for notice in sent if notice["kind"] == "escalation"}
    back = {notice["step"]: notice["to"] for notice in sent if notice["kind"] == "withdrawal"}
    assert back == {step: told[step] for step in ("75%", "90%", "100%")}


X05_STORY = """\
title: The contract is changed while incidents run
contract: tromzo
happens:
  - {at: 2031-07-08 10:00, ticket: before, event: opened, priority: P1, by: ann@acme.example}
  - {at: 2031-07-08 10:00, ticket: moved, event: opened, priority: P1, by: ann@acme.example}
  - {at: 2031-07-08 10:30, ticket: before, event: acknowledged, by: dana}
  - {at: 2031-07-08 10:30, ticket: moved, event: acknowledged, by: dana}
  - {at: 2031-07-08 10:45, ticket: after, event: opened, priority: P1, by: ann@acme.example}
  - {at: 2031-07-08 10:50, ticket: moved, event: policy_moved, to: tromzo, by: gwen}
until: 2031-07-08 11:00
"""


async def test_X05_an_incident_keeps_its_version_and_moving_it_is_explicit_and_recorded(
    acts: Acts, stage: Stage, tmp_path: Path
) -> None:
    """The contract's file is edited at 10:30, while two incidents run under it: 2 hours become 3."""
    moved = (await acts())["moved"]
    assert (moved["clocks"]["response"]["clause"], moved["log"][-1]["event"]) == ("B07", "policy_moved")
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (tmp_path / "story.yaml").write_text(X05_STORY)
    file = tmp_path / "policies" / "contracts" / "tromzo.yaml"

    def edit(now: datetime) -> None:
        text = file.read_text(encoding="utf-8")
        if (now.hour, now.minute) == (17, 30) and "P1: 2 business hours" in text:
            file.write_text(text.replace("P1: 2 business hours", "P1: 3 business hours"), encoding="utf-8")

    story = load(tmp_path / "story.yaml", Shelf(tmp_path / "policies"))
    came = await engines.play_temporal(story, stage.env, watch=edit)
    assert by_ticket(came["incidents"], "response", "target") == {
        "before": "2 business hours",
        "moved": "3 business hours",
        "after": "3 business hours",
    }
    assert came["incidents"]["moved"]["log"][-1] | {"event": "policy_moved", "by": "gwen"} == came["incidents"]["moved"]["log"][-1]


def test_every_clause_with_a_story_has_a_test_here() -> None:
    """So that no row is covered by accident."""
    named = {name.split("_")[1] for name in globals() if name.startswith("test_")}
    assert {name.partition("-")[0] for name in STORIES if name[1:3].isdigit()} <= named
