"""One test for each obligation of every contract that the engine covers, driving the real workflows to it.

A test named after a clause plays that clause's stories (`stories/every-contract/X01-*.yaml`) on the real workflows, in virtual time, and
holds all that they expect; then it says in its own words what the clause comes to.
"""

import re
import shutil
from datetime import datetime
from pathlib import Path

from records.shelf import Shelf
from starter import engines
from starter.stories import load
from tests.clauses import Acts, by_ticket, hour, kinds, steps
from tests.stage import ROOT, STORIES, Stage


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
    assert kept["prompt"]["assignee"] == "eli"
    assert kinds(kept["late"]).count("withdrawal") == 1


async def test_X03_standing_counts_from_the_lapse_not_from_when_we_heard(acts: Acts) -> None:
    clock = (await acts("effective-from-the-lapse"))["4711"]["clocks"]["response"]
    assert hour(clock["due"]) == "2031-07-09 08:45"
    lapsed = (await acts("withdrawn-by-a-lapse"))["4711"]
    assert (lapsed["phase"], lapsed["clocks"]["response"]["used_seconds"]) == ("suspended", 75 * 60)
    assert kinds(lapsed).count("withdrawal") == 2


async def test_X04_any_order_ends_in_the_same_state_and_the_unfounded_is_withdrawn(acts: Acts) -> None:
    states = {
        str({k: v for k, v in i.items() if k in ("phase", "priority", "clocks")})
        for i in (await acts("any-order")).values()
    }
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
    last = came["incidents"]["moved"]["log"][-1]
    assert (last["event"], last["by"], last["to"]) == ("policy_moved", "gwen", "tromzo")


def test_every_clause_with_a_story_has_a_test_that_is_named_after_it() -> None:
    """So that no row is covered by accident."""
    files = Path(__file__).parent.glob("test_clauses*.py")
    named = {
        clause for file in files for clause in re.findall(r"def test_([A-Z]\d\d)_", file.read_text(encoding="utf-8"))
    }
    assert {name.partition("-")[0] for name in STORIES if re.match(r"[A-Z]\d\d-", name)} == named
