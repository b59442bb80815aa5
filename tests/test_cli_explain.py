"""`explain`: deadlines that were worked out by hand, and segments that add up to them."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.terminal import ROOT, Run, run

__all__ = ["run"]


@pytest.mark.parametrize(
    ("contract", "priority", "received", "clock", "due", "declared"),
    [
        # T06: two business hours, one on Friday and one on Monday.
        ("tromzo", "P1", "2031-07-11T17:00", "response", "2031-07-14T07:00:00-07:00", "2031-07-14T07:00:00-07:00"),
        # T06: four hours to the close; a miss is declared at the next opening, on Monday.
        ("tromzo", "P2", "2031-07-11T14:00", "response", "2031-07-11T18:00:00-07:00", "2031-07-14T06:00:00-07:00"),
        # T07: four weeks of the calendar, to the same local time, over the end of daylight saving (2 November).
        ("tromzo", "P4", "2031-10-20T10:00", "resolution", "2031-11-17T10:00:00-08:00", "2031-11-17T10:00:00-08:00"),
        # B07: eight business hours: four on Thursday, none on Friday (4 July), four on Monday.
        ("bugzero", "P1", "2031-07-03T13:00", "response", "2031-07-07T13:00:00-06:00", "2031-07-07T13:00:00-06:00"),
        # B07: two business days: Monday and Tuesday, for Friday is a holiday.
        ("bugzero", "P2", "2031-07-03T13:00", "response", "2031-07-08T13:00:00-06:00", "2031-07-08T13:00:00-06:00"),
        # R09: 72 hours that elapse are an hour less on the clock where it was set back.
        ("reciprocity", "S4", "2031-11-01T12:00", "response", "2031-11-04T11:00:00-08:00", "2031-11-04T11:00:00-08:00"),
        # R09 with an offset: four hours later, wherever it was written.
        (
            "reciprocity",
            "S1",
            "2031-07-11T23:30Z",
            "response",
            "2031-07-11T20:30:00-07:00",
            "2031-07-11T20:30:00-07:00",
        ),
        # R14: received on a Saturday, one business day is Monday's close; missed at Tuesday's opening.
        ("reciprocity", "S1", "2031-07-12T12:00", "reply", "2031-07-14T17:00:00-07:00", "2031-07-15T08:00:00-07:00"),
    ],
)
def test_explain_gives_the_deadlines_that_were_worked_out_by_hand(
    run: Run, contract: str, priority: str, received: str, clock: str, due: str, declared: str
) -> None:
    code, out, err = run(
        *("explain", "--contract", contract, "--priority", priority, "--received", received, "--clock", clock, "--json")
    )
    assert (code, err) == (0, "")
    told = json.loads(out)["clocks"]
    assert list(told) == [clock]
    assert told[clock]["due"] == due
    assert told[clock]["declared_missed"] == declared


@pytest.mark.parametrize(
    "received", ["2031-07-03T17:00", "2031-11-01T12:00", "2031-07-13T03:00", "2031-07-11T16:20:30"]
)
@pytest.mark.parametrize(("contract", "priority"), [("tromzo", "P3"), ("bugzero", "P4"), ("reciprocity", "S3")])
def test_the_segments_add_up_to_the_deadline_without_a_gap(
    run: Run, contract: str, priority: str, received: str
) -> None:
    _, out, _ = run("explain", "--contract", contract, "--priority", priority, "--received", received, "--json")
    for clock in json.loads(out)["clocks"].values():
        segments, total, at = clock["parts"], 0, clock["started"]
        for part in segments:
            assert part["from"] == at
            at = part["to"]
            length = datetime.fromisoformat(part["to"]) - datetime.fromisoformat(part["from"])
            assert part["counted_seconds"] in (0, length.total_seconds())
            total += part["counted_seconds"]
            assert part["total_seconds"] == total
        assert at == clock["due"]
        assert total == clock["budget_seconds"]


def test_explain_for_people_names_the_target_the_clause_the_holiday_and_the_calendar(run: Run) -> None:
    code, out, _ = run("explain", "--contract", "bugzero", "--priority", "P1", "--received", "2031-07-03T13:00")
    assert code == 0
    for words in (
        "P1 Core down, received Thu 3 Jul 2031 13:00 (UTC-6)",
        "response: First response, 8 business hours (B07)",
        "due Mon 7 Jul 2031 13:00 (UTC-6)",
        "support is closed (Independence Day on Fri 4 Jul)",
        "America/Denver",
        "tzdata 20",
        "holidays 0.",
    ):
        assert words in out


def test_explain_says_when_a_miss_is_declared_where_a_deadline_lies_at_the_close(run: Run) -> None:
    _, out, _ = run("explain", "--contract", "tromzo", "--priority", "P2", "--received", "2031-07-11T14:00")
    assert "due Fri 11 Jul 2031 18:00 (UTC-7); as that is when support closes, a miss is declared Mon 14 Jul" in out


def test_explain_looks_past_the_contracts_own_horizon(run: Run, tmp_path: Path) -> None:
    text = (ROOT / "policies/contracts/tromzo.yaml").read_text()
    far = tmp_path / "far.yaml"
    far.write_text(text.replace("P4: 4 calendar weeks", "P4: 60 calendar weeks") + "\nhorizon_days: 100\n")
    arguments = ("--contract", str(far), "--priority", "P4", "--received", "2031-07-11T14:00", "--clock", "resolution")
    code, out, err = run("explain", *arguments, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["clocks"]["resolution"]["due"] == "2032-09-03T14:00:00-07:00"
