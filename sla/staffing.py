"""Whether a team can carry out a playbook: members who are there, roles that exist, rungs that find somebody."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sla.check import Doubt, suggest
from sla.coverage import Coverage, Quiet, quiet
from sla.playbook import Playbook
from sla.policy import Contract
from sla.roster import Team
from sla.ways import ADDRESSED

AUDIENCES = ("assignee", "on_duty", "customer")


def team_doubts(team: Team, coverage: Coverage) -> Iterator[Doubt]:
    """Members who are never there, or never asked, or can't be reached."""
    asked = {member for tier in team.tiers for member in tier.members} | {team.fallback}
    asked |= {member for members in team.roles.values() for member in members}
    for name, member in team.members.items():
        path, here = ("members", name), f"members.{name}"
        if not coverage.duty(name):
            weeks = f"the 53 weeks from {coverage.first}"
            yield Doubt(path, f"{here} is on duty at no time in {weeks}; check the hours and absences")
        if name not in asked:
            said = f"{here} is in no tier and no role, so nobody ever asks them; put them into one, or take them out"
            yield Doubt(path, said)
        if member.channel in ADDRESSED and not member.address:
            said = f"{here} has the channel {member.channel} and no address; write `address:`, or `channel: log`"
            yield Doubt(path, said)
        for i, way in enumerate(member.reach):
            if way.channel in ADDRESSED and not way.address:
                said = (
                    f"{here}.reach.{i} has the channel {way.channel} and no address; write `address:`, or take it out"
                )
                yield Doubt((*path, "reach", i), said)
        if member.reach and member.channel == "log" and all(way.hours is not None for way in member.reach):
            said = f"{here} is told through the log alone outside the hours of reach; write `channel:`, or a way without hours"
            yield Doubt((*path, "reach"), said)
    for i, tier in enumerate(team.tiers):
        if not tier.members:
            yield Doubt(("tiers", i), f"tiers.{i} ({tier.title}) has no members; name some, or take it out")
    if not team.tiers:
        said = f"tiers is empty, so every step goes to the fallback {team.fallback}; name a tier with its members"
        yield Doubt(("tiers",), said)


def staffing_doubts(contracts: Sequence[Contract], playbook: Playbook, coverage: Coverage) -> Iterator[Doubt]:
    """Steps of a playbook that a team can't carry out: an unknown role, no next person, nobody on duty in time."""
    team = coverage.team
    staff = {member for tier in team.tiers for member in tier.members}
    filled = [tier for tier in team.tiers if tier.members]
    instead = f"the fallback {team.fallback} is told instead"
    for i, step in enumerate(playbook.steps):
        label = f"steps.{i} ({step.at})"
        for j, name in enumerate(step.tells):
            if said := _unknown_role(f"{label} tells", name, team):
                yield Doubt(("steps", i, "tells", j), said)
        if (step.reassign == "next" and len(staff) < 2) or (step.reassign == "next_tier" and len(filled) < 2):
            who = f"the team {team.name} has {_count(len(staff), 'member')} in {_count(len(filled), 'tier')}"
            yield Doubt(("steps", i, "reassign"), f"{label} finds nobody to reassign to, for {who}; {instead}")
        for contract in contracts:
            for clock in contract.clocks:
                found = quiet(contract, clock, step, coverage)
                if found is not None:
                    until = "when it fires" if step.at.needs_miss else "before the deadline"
                    said = f"{label} of {contract.name}'s {clock}: nobody whom it tells is on duty {until}"
                    yield Doubt(("steps", i), f"{said}; {_example(found)}; {instead}")


def disposition_doubts(contract: Contract, team: Team) -> Iterator[Doubt]:
    """Audiences of a contract's dispositions that the team doesn't have."""
    for name, terms in contract.dispositions.items():
        for j, told in enumerate(terms.tells):
            if said := _unknown_role(f"dispositions.{name}.tells names", told, team):
                yield Doubt(("dispositions", name, "tells", j), said)


def _unknown_role(who: str, name: str, team: Team) -> str | None:
    if name in AUDIENCES or name in team.roles:
        return None
    return f"{who} {name!r}, no role of the team {team.name}; {suggest(name, [*AUDIENCES, *team.roles])}"


def _example(found: Quiet) -> str:
    back = "nobody is back for a year" if found.back is None else f"somebody is back only {_when(found.back)}"
    received, fires, due = map(_when, (found.received, found.fires, found.due))
    return f"for example, {found.priority} received {received} reaches it {fires} and is due {due}, but {back}"


def _when(at: datetime) -> str:
    return at.strftime("%a %Y-%m-%d %H:%M")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
