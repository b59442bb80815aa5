"""One test for each obligation of Tromzo's contract that the engine covers, driving the real workflows to it.

A test named after a clause plays that clause's stories (`stories/tromzo/T06-*.yaml`) on the real workflows, in virtual time, and
holds all that they expect; then it says in its own words what the clause comes to.
"""

from starter import engines
from starter.stories import load
from tests.clauses import Acts, Told, by_ticket, hour, kinds
from tests.stage import SHELF, STORIES, Stage


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
    assert [hour(at) for at in due.values()] == [
        "2031-07-08 12:00",
        "2031-07-08 14:00",
        "2031-07-09 10:00",
        "2031-07-09 10:00",
    ]
    missed = (await acts("missed-response"))["4711"]
    assert (missed["clocks"]["response"]["state"], missed["clocks"]["response"]["clause"]) == ("missed", "T06")


async def test_T07_the_resolution_targets(acts: Acts) -> None:
    due = by_ticket(await acts(), "resolution", "due")
    assert [hour(at) for at in due.values()] == [
        "2031-07-09 10:00",
        "2031-07-15 10:00",
        "2031-07-22 10:00",
        "2031-08-05 10:00",
    ]


async def test_T08_a_late_resolution_is_a_missed_target_and_never_a_breach(
    acts: Acts, stage: Stage, told: Told
) -> None:
    clocks = (await acts())["4711"]["clocks"]
    assert (clocks["resolution"]["state"], clocks["resolution"]["commitment"]) == ("missed", "estimate")
    await engines.play_temporal(load(STORIES["T08-late-resolution"], SHELF), stage.env)
    assert any("missed" in text and "estimate" in text for kind, text in told if kind == "escalation")
    assert not any("breach" in text.lower() or "guarantee" in text.lower() for _, text in told)


async def test_T09_only_an_agents_reply_stops_the_response(acts: Acts, stage: Stage, told: Told) -> None:
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
    asked = {
        ticket: kinds(incident).count("information_request") for ticket, incident in (await acts("checklist")).items()
    }
    assert asked == {"whole": 0, "bare": 1, "watched": 0}
    waiting = (await acts("waiting-pauses-resolution"))["unanswered"]["clocks"]
    assert (waiting["resolution"]["state"], waiting["response"]["state"]) == ("paused", "missed")


async def test_T12_what_is_not_covered_is_excluded_and_the_exclusion_is_reversible(acts: Acts) -> None:
    for incident in (await acts("excluded")).values():
        assert {clock["state"] for clock in incident["clocks"].values()} == {"void"}
        assert kinds(incident) == ["acknowledgement", "information_request", "disposition"]
    back = (await acts("exclusion-taken-back"))["4711"]["clocks"]["response"]
    assert (back["state"], back["used_seconds"]) == ("met", 110 * 60)
