"""`pactkeeper policy check`: what is wrong is an error, what is suspicious a warning, each with its file and line."""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from records.shelf import Shelf
from sla.coverage import Coverage, audience, quiet
from sla.playbook import LadderStep
from sla.policy import Contract
from sla.roster import Roster, Team
from sla.timetable import from_us, to_us
from starter.policy_check import Finding, check_files, exit_status

POLICIES = Path(__file__).resolve().parent.parent / "policies"
TODAY = date(2031, 7, 1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the shipped shelf, to be spoilt."""
    return Path(shutil.copytree(POLICIES, tmp_path / "policies"))


@pytest.fixture
def check(root: Path) -> Callable[..., list[Finding]]:
    """Checks files named from the root; none: the whole shelf."""
    return lambda *names: check_files([root / name for name in names], Shelf(root), TODAY)


def spoil(path: Path, old: str, new: str) -> int:
    """Puts `new` for the first `old` of a file; gives the line on which that stood."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def test_the_shipped_shelf_raises_nothing(check: Callable[..., list[Finding]]) -> None:
    assert check() == []


def test_an_error_prints_as_file_line_and_sentence(root: Path, check: Callable[..., list[Finding]]) -> None:
    line = spoil(root / "contracts/tromzo.yaml", "P2: 4 business hours", "P2: 4 busines hours")
    (found,) = check("contracts/tromzo.yaml")
    assert found.severity == "error"
    assert str(found).endswith(f"tromzo.yaml:{line}: {found.message}")
    assert found.message.startswith('clocks.response.targets.P2 is "4 busines hours"; write a whole number')


def test_errors_fail_and_warnings_fail_only_when_strict() -> None:
    error, warning = Finding("a", 1, "error", "x"), Finding("a", 1, "warning", "x")
    assert exit_status([]) == exit_status([], strict=True) == 0
    assert exit_status([warning]) == 0
    assert exit_status([warning], strict=True) == exit_status([warning, error]) == 1
    assert str(warning) == "a:1: warning: x"


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        (
            "      P4: 4 calendar weeks\n",
            "",
            "    targets:\n      P1: 1 bus",
            "clocks.resolution.targets has none for P4, so that clock never runs for it",
        ),
        (
            "P4: 4 calendar weeks",
            "P4: 90 calendar weeks",
            "P4: 90",
            "clocks.resolution.targets.P4 is 90 calendar weeks, which ends after the 400 days for which the",
        ),
        (
            "P4: 4 calendar weeks",
            "P4: 1 calendar week",
            "P4: 1 cal",
            "clocks.resolution.targets.P4 is 1 calendar week, shorter than the 2 calendar weeks of the more urgent P3",
        ),
        (
            '  # closures: ["2031-12-24"]',
            "  closures: [2031-12-27]",
            "  closures",
            "hours.closures has 2031-12-27, a Saturday, when support is closed anyway; check the date",
        ),
        (
            '  # closures: ["2031-12-24"]',
            '  special_hours: {2031-12-24: ["06:00-12:00"]}\n  closures: [2031-12-24]',
            "  special",
            "hours.special_hours.2031-12-24 never applies, for the closure of that date wins",
        ),
        (
            "tells: [customer, product_feedback]",
            "tells: [customer, product_fedback]",
            "tells: [customer, product",
            "dispositions.feature_request.tells names 'product_fedback', no role of the team default; did you mean",
        ),
        (
            "      fields: [logs, attachments]",
            "      fields: []",
            "      fields: []",
            "checklist.items.logs.fields is em",
        ),
        (
            "    starts: opened\n",
            "    starts: opened\n    repeats: true\n",
            "    repeats",
            "clocks.response.repeats has no effect, for a ticket is opened once",
        ),
        (
            "    stops: [agent_replied, resolved, closed]",
            "    restarts: [reopened]\n    stops: [agent_replied]  #",
            "    restarts: [reopened]\n    stops: [a",
            "clocks.response.restarts has no effect, for neither resolved nor closed stops the clock",
        ),
        (
            "    stops: [agent_replied, resolved",
            "    stops: [reclassification_told, resolved",
            "    stops: [recl",
            "clocks.response.stops names reclassification_told, but nothing tells of it",
        ),
    ],
)
def test_a_suspicious_contract_is_valid_and_warned_of(
    root: Path, check: Callable[..., list[Finding]], old: str, new: str, at: str, message: str
) -> None:
    path = root / "contracts/tromzo.yaml"
    spoil(path, old, new)
    text = path.read_text()
    (found,) = check("contracts/tromzo.yaml")
    assert found.severity == "warning"
    assert found.message.startswith(message)
    assert found.line == text[: text.rindex(at)].count("\n") + 1


def test_a_priority_without_any_target_is_promised_nothing(root: Path, check: Callable[..., list[Finding]]) -> None:
    line = spoil(root / "contracts/bugzero.yaml", "  P4:\n    title: Minor", "  P9:\n    title: Minor")
    spoil(root / "contracts/bugzero.yaml", "      P4: 10 business days\n", "")
    (found,) = check("contracts/bugzero.yaml")
    assert (found.line, found.severity) == (line, "warning")
    assert found.message.startswith("priorities.P9 has no target on any clock, so nothing is promised for it")


def test_no_accepted_language_discards_everything(root: Path, check: Callable[..., list[Finding]]) -> None:
    line = spoil(root / "contracts/reciprocity.yaml", "accepted: [en]", "accepted: []")
    (found,) = check("contracts/reciprocity.yaml")
    assert (found.line, found.message[:26]) == (line, "language.accepted is empty")


def test_a_missing_playbook_is_an_error_where_it_is_named(root: Path, check: Callable[..., list[Finding]]) -> None:
    line = spoil(root / "contracts/tromzo.yaml", "playbook: default", "playbook: defualt")
    (found,) = check("contracts/tromzo.yaml")
    assert (found.line, found.severity) == (line, "error")
    assert found.message == 'playbook is "defualt", which is not on the shelf; write one of: default'


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        (
            "clocks: [response]",
            "clocks: [respnse]",
            [
                "steps.0 (unacknowledged 50%) can never fire under bugzero, reciprocity, tromzo: bugzero has the",
                "steps.0 (unacknowledged 50%) names 'respnse', which is none of the clocks of bugzero, recip",
            ],
        ),
        (
            "    clocks: [response]\n",
            "    clocks: [response]\n    priorities: [P9]\n",
            [
                "steps.0 (unacknowledged 50%) can never fire under",
                "steps.0 (unacknowledged 50%) names 'P9', which is non",
            ],
        ),
        (
            "    clocks: [response]\n",
            "    clocks: [reply]\n    priorities: [P1]\n",
            ["steps.0 (unacknowledged 50%) can never fire under"],
        ),
        ("miss + 1 business hour", "miss + 400 business days", ["steps.4 (miss + 400 business days) can never fire "]),
        (
            "    tells: [assignee]\n    reassign: next\n",
            "    tells: []\n",
            ["steps.0 (unacknowledged 50%) tells nobody and reassigns nothing; give it `tells` or `reassign`"],
        ),
        (
            "tells: [assignee, lead]",
            "tells: [assignee, lede]",
            ["steps.2 (90%) tells 'lede', no role of the team default; did you mean lead?"],
        ),
    ],
)
def test_a_step_that_never_fires_or_reaches_nobody_is_warned_of(
    root: Path, check: Callable[..., list[Finding]], old: str, new: str, messages: list[str]
) -> None:
    spoil(root / "playbooks/default.yaml", old, new)
    found = check("playbooks/default.yaml")
    assert [f.severity for f in found] == ["warning"] * len(messages)
    for finding, message in zip(found, messages, strict=True):
        assert finding.message.startswith(message)


def test_a_step_fires_if_it_fires_under_one_contract_that_uses_the_playbook(root: Path) -> None:
    """A playbook serves contracts with different clocks; one of its own contract alone is held to that contract."""
    spoil(root / "contracts/bugzero.yaml", "playbook: default", "playbook: own")
    shutil.copy(root / "playbooks/default.yaml", root / "playbooks/own.yaml")
    spoil(root / "playbooks/own.yaml", "name: default", "name: own")
    found = check_files([root / "contracts/bugzero.yaml"], Shelf(root), TODAY)
    assert {f.file.rpartition("/")[2] for f in found} == {"own.yaml"}
    assert any(f.message.startswith("steps.5 (miss + 1 business day) can never fire under bugzero") for f in found)
    assert check_files([root / "playbooks/default.yaml"], Shelf(root), TODAY) == []


def test_files_checked_together_win_over_the_shelf(tmp_path: Path) -> None:
    """A new contract with a new playbook, neither on the shelf yet, nor in folders named for what they are."""
    contract, playbook = tmp_path / "c.yaml", tmp_path / "p.yaml"
    shutil.copy(POLICIES / "contracts/bugzero.yaml", contract)
    spoil(contract, "playbook: default", "playbook: fresh")
    playbook.write_text("name: fresh\nsteps:\n  - at: 50%\n    clocks: [resolution]\n")
    found = check_files([contract, playbook], Shelf(POLICIES), TODAY)
    assert [(f.file, f.line) for f in found] == [(str(playbook), 3), (str(playbook), 4)]
    (alone,) = check_files([contract], Shelf(POLICIES), TODAY)
    assert alone.message.startswith('playbook is "fresh", which is not on the shelf')


def test_a_contract_on_another_shelf_finds_its_playbook_beside_it(root: Path) -> None:
    spoil(root / "contracts/bugzero.yaml", "playbook: default", "playbook: fresh")
    (root / "playbooks/fresh.yaml").write_text("name: fresh\nsteps:\n  - at: 50%\n    clocks: [resolution]\n")
    found = check_files([root / "contracts/bugzero.yaml"], Shelf(POLICIES), TODAY)
    assert {f.severity for f in found} == {"warning"}


@pytest.mark.parametrize(
    ("page", "file", "old", "new"),
    [
        ("contracts.md", "contracts/tromzo.yaml", "P2: 4 business hours", "P2: 4 busines hours"),
        ("contracts.md", "contracts/tromzo.yaml", "      P4: 4 calendar weeks\n", ""),
        ("playbooks.md", "teams/default.yaml", "channel: log, always: true", "channel: log"),
    ],
)
def test_what_the_pages_show_is_what_is_printed(
    root: Path, check: Callable[..., list[Finding]], page: str, file: str, old: str, new: str
) -> None:
    spoil(root / file, old, new)
    text = (POLICIES.parent / "docs" / page).read_text()
    assert any(str(found).replace(str(root), "policies") in text for found in check(file))


# Teams


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "eli: {name: Eli, channel: log}",
            "eli: {name: Eli, absences: [{first: 2031-01-01, last: 2033-01-01}]}",
            "members.eli is on duty at no time in the 53 weeks from 2031-07-01; check the hours and absences",
        ),
        (
            "eli: {name: Eli, channel: log}",
            "eli: {name: Eli, channel: email}",
            "members.eli has the channel email and no address",
        ),
        ("members: [dana, eli]", "members: [dana]", "members.eli is in no tier and no role, so nobody ever asks them"),
        (
            "    members: [farid]",
            "    members: [farid]\n  - {title: Empty, members: []}",
            "tiers.2 (Empty) has no members",
        ),
        ("lead: [farid]", "lead: []", None),
    ],
)
def test_a_suspicious_team_is_warned_of(
    root: Path, check: Callable[..., list[Finding]], old: str, new: str, message: str | None
) -> None:
    spoil(root / "teams/default.yaml", old, new)
    found = check("teams/default.yaml")
    assert {f.severity for f in found} <= {"warning"}
    assert [f.message[: len(message or "")] for f in found] == ([message] if message else [])


def test_a_role_that_the_team_loses_is_missed_by_every_step_that_tells_it(
    root: Path, check: Callable[..., list[Finding]]
) -> None:
    spoil(root / "teams/default.yaml", "  lead: [farid]\n", "")
    assert [f.message.partition(" tells")[0] for f in check("teams/default.yaml")] == [
        "steps.2 (90%)",
        "steps.3 (100%)",
        "steps.5 (miss + 1 business day)",
    ]


def test_a_team_of_one_tier_has_no_next_tier(root: Path, check: Callable[..., list[Finding]]) -> None:
    spoil(root / "teams/default.yaml", "    members: [dana, eli]\n  - title: On call, day and night\n", "")
    spoil(root / "teams/default.yaml", "    members: [farid]", "    members: [dana, eli, farid]")
    (found,) = check("teams/default.yaml")
    told = "for the team default has 3 members in 1 tier; the fallback gwen is told instead"
    assert found.message == f"steps.4 (miss + 1 business hour) finds nobody to reassign to, {told}"


def test_X02_a_rung_with_nobody_on_duty_before_its_deadline_is_warned_of(
    root: Path, check: Callable[..., list[Finding]]
) -> None:
    """Reciprocity's four hours run through the night (R09), and nobody of this team does."""
    spoil(root / "teams/default.yaml", "farid: {name: Farid, channel: log, always: true}", "farid: {name: Farid}")
    found = [f for f in check("teams/default.yaml") if "reciprocity's response" in f.message]
    steps = {f.message.partition(" of")[0] for f in found}
    assert steps == {"steps.0 (unacknowledged 50%)", "steps.1 (75%)", "steps.2 (90%)"}
    assert all(f.file.endswith("playbooks/default.yaml") and f.severity == "warning" for f in found)
    (share,) = [f for f in found if "(75%)" in f.message]
    assert "nobody whom it tells is on duty before the deadline; for example, S1 received " in share.message
    assert "the fallback gwen is told instead" in share.message


def brute(contract: Contract, clock: str, step: LadderStep, team: Team, first: datetime, days: int) -> bool:
    """Whether a rung of a share finds nobody, by asking the roster minute by minute for tickets of every half hour."""
    times = contract.hours.pin(first.date() - timedelta(days=5), first.date() + timedelta(days=days + 40)).timetable()
    rosters: dict[date, Roster] = {}
    people = audience(step, team)

    def there(at: datetime) -> bool:
        roster = rosters.setdefault(at.date().replace(day=1), Roster.around(team, at))
        return any(roster.on_duty(person, at) for person in people)

    for half_hours in range(days * 48):
        start = to_us(first + timedelta(minutes=30 * half_hours))
        for target in contract.clocks[clock].targets.values():
            budget = target.budget_us(times, start)
            share = budget * (step.at.percent or 100) // 100
            if target.counts_open_time:
                fires, due = times.add_us(start, share), times.add_us(start, budget)
            else:
                fires, due = start + share, start + budget
            at, end = from_us(fires), from_us(due)
            while at < end and not there(at):
                at += timedelta(minutes=10)
            if at >= end:
                return True
    return False


@pytest.mark.parametrize("name", ["tromzo", "bugzero", "reciprocity"])
@pytest.mark.parametrize("hours", ["07:00-19:00", "09:00-12:00", "08:00-16:00", "17:00-18:00"])
def test_what_is_warned_of_is_what_a_walk_through_every_half_hour_finds(name: str, hours: str) -> None:
    """One person, an absence in the middle, three weeks; every clock at 75 %."""
    contract = Shelf(POLICIES).contract(name)
    week = {day: [hours] for day in ("mon", "tue", "wed", "thu", "fri")}
    team = Team.model_validate(
        {
            "name": "one",
            "hours": {"timezone": "America/Los_Angeles", "hours": week},
            "members": {"una": {"name": "Una", "absences": [{"first": "2031-07-09", "last": "2031-07-09"}]}},
            "tiers": [{"title": "all", "members": ["una"]}],
            "fallback": "una",
        }
    )
    step = LadderStep.model_validate({"at": "75%"})
    for clock in contract.clocks:
        found = quiet(contract, clock, step, Coverage(team, TODAY))
        walked = brute(contract, clock, step, team, datetime(2031, 7, 1, tzinfo=UTC), 21)
        assert walked <= (found is not None)
        if found is not None and found.received < datetime(2031, 7, 21, tzinfo=UTC):
            day = found.received.astimezone(UTC)
            roster = Roster.around(team, day)
            at = found.fires
            while at < found.due:
                assert not roster.on_duty("una", at)
                at += timedelta(minutes=1)


# Customers


def test_B10_more_contacts_than_the_contract_allows_is_an_error(
    root: Path, check: Callable[..., list[Finding]]
) -> None:
    people = "\n".join(f"  - {{email: c{i}@acme.example, roles: [technical]}}" for i in range(11))
    (root / "customers/acme.yaml").write_text(f"id: acme\ncontract: bugzero\ncontacts:\n{people}\n")
    error, warning = sorted(check("customers/acme.yaml"), key=lambda f: f.severity)
    assert (error.severity, error.line) == ("error", 14)
    assert error.message == "contacts has 11; the contract allows at most 10 (B10)"
    assert warning.message.startswith(
        "contacts leaves roles unfilled (B11): primary_business, secondary_business, support"
    )


def test_B11_B13_a_contact_of_an_unknown_role_and_no_contact_at_all_are_warned_of(
    root: Path, check: Callable[..., list[Finding]]
) -> None:
    path = root / "customers/acme.yaml"
    path.write_text("id: acme\ncontract: bugzero\n")
    assert [f.message[:27] for f in check("customers/acme.yaml")] == ["contacts is empty, so nobody"[:27]]
    path.write_text("id: acme\ncontract: bugzero\ncontacts:\n  - {email: a@acme.example, roles: [tecnical]}\n")
    assert any("contacts.0.roles has 'tecnical', no role of the contract; did you mean technical?" in f.message
               for f in check("customers/acme.yaml"))  # fmt: skip


def test_a_customers_unknown_contract_is_an_error(root: Path, check: Callable[..., list[Finding]]) -> None:
    line = spoil(root / "customers/acme.yaml", "contract: tromzo", "contract: tromso")
    (found,) = check("customers/acme.yaml")
    assert (found.severity, found.line) == ("error", line)
    assert found.message.startswith('contract is "tromso", which is not on the shelf; write one of: bugzero')


def test_two_customers_with_one_domain_are_an_error(root: Path, check: Callable[..., list[Finding]]) -> None:
    (root / "customers/beta.yaml").write_text("id: beta\ndomains: [acme.example]\n")
    (found,) = check("customers/beta.yaml")
    assert (found.severity, found.line) == ("error", 2)
    assert found.message.startswith("the domain 'acme.example' belongs to the customer 'acme' too, in ")


# Files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n", "this is no policy; a contract has `clocks:`"),
        ("a: 1\na: 2\n", "a stands twice, first on line 1"),
        ("", "this is no policy"),
    ],
)
def test_a_file_that_is_no_policy_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    (found,) = check_files([tmp_path / "x.yaml"], Shelf(POLICIES), TODAY)
    assert found.severity == "error"
    assert found.message.startswith(message)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (found,) = check_files([tmp_path / "x.yaml"], Shelf(POLICIES), TODAY)
    assert (found.severity, found.message) == ("error", "there is no such file; write the path of a policy's file")


def test_a_folder_stands_for_its_files(root: Path) -> None:
    spoil(root / "contracts/tromzo.yaml", "clause: T06", "clause: six")
    (found,) = check_files([root], Shelf(root), TODAY)
    assert found.file.endswith("tromzo.yaml")


def test_two_files_of_one_name_are_an_error(root: Path) -> None:
    copy = root.parent / "copy.yaml"
    shutil.copy(root / "contracts/tromzo.yaml", copy)
    (found,) = check_files([root / "contracts/tromzo.yaml", copy], Shelf(root), TODAY)
    assert (found.file, found.severity) == (str(copy), "error")
    assert found.message.startswith('name is "tromzo", as in ')


def test_a_source_that_names_who_and_what_nobody_knows_is_told_of(tmp_path: Path) -> None:
    """A ticket would become somebody's who is in no team, and every priority the most urgent."""
    file = tmp_path / "desk.yaml"
    file.write_text(
        'name: desk\nkind: zendesk\nagents: {"1": dana, "2": alex}\npriorities: {urgent: P1, low: P9}\n',
        encoding="utf-8",
    )
    found = [str(one) for one in check_files([file], Shelf())]
    assert len(found) == 2
    assert ":3: " in found[0]
    assert "agents.2 is 'alex', who is in no team; write one of: dana," in found[0]
    assert "priorities.low is 'P9', which is a priority of no contract; write one of: P1," in found[1]
