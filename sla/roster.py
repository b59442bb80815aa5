"""Who is on duty, who is next, and so whom a step tells.

A team is tiers of members; each member has hours and absences. Nobody off duty or absent is chosen: if nobody is on
duty, the step says so and goes to the fallback (X02).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from sla.calendar import BusinessCalendar
from sla.entries import Notice
from sla.errors import BeyondHorizon
from sla.steps import Step
from sla.timetable import Timetable
from sla.ways import ChannelName, Way, wakes

MemberId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,79}$")]


class Absence(BaseModel):
    """Local dates, first to last inclusive, on which a member is away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: date
    last: date
    why: str = ""

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"the absence ends on {self.last}, before it begins on {self.first}")
        return self


class Member(BaseModel):
    """One person: how to reach them, and when they are on duty (`hours` left out: the team's; `always: true`: day and night)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    channel: ChannelName = "log"
    address: str | None = None
    reach: tuple[Way, ...] = ()
    """The first whose hours are open is taken, else `channel`; where that fails the others follow, in this order."""
    hours: BusinessCalendar | None = None
    always: bool = False
    absences: tuple[Absence, ...] = ()


class Tier(BaseModel):
    """One line of support; its members are asked in this order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    members: tuple[MemberId, ...]


class Team(BaseModel):
    """Tiers, roles such as `lead`, and the fallback that is always told when nobody else can be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str = ""
    hours: BusinessCalendar | None = None
    """The hours of members who have none of their own; left out: day and night."""
    members: dict[MemberId, Member]
    tiers: tuple[Tier, ...]
    roles: dict[str, tuple[MemberId, ...]] = {}
    fallback: MemberId

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = ", ".join(self.members)
        named = [(f"tiers.{i}.members", m) for i, tier in enumerate(self.tiers) for m in tier.members]
        named += [(f"roles.{role}", m) for role, members in self.roles.items() for m in members]
        for where, member in [*named, ("fallback", self.fallback)]:
            if member not in self.members:
                raise ValueError(f"{where} names {member!r}; write one of the team's members: {known}")
        for role in self.roles:
            if role in ("customer", "assignee", "on_duty"):
                raise ValueError(f"roles.{role} would hide the audience of that name; call the role something else")
        return self


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody to tell: who, and by which channel and address."""

    id: str
    channel: str
    address: str | None = None
    name: str = ""
    fallbacks: tuple[tuple[str, str | None], ...] = ()
    """Where that way fails: channel and address of the next ones, in order."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step comes to: the notices to send with their recipients, and who has the incident now."""

    notices: tuple[tuple[Notice, tuple[Recipient, ...]], ...]
    assignee: str | None = None
    tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roster:
    """A team about one moment, with its members' hours compiled."""

    team: Team
    tables: Mapping[str, Timetable | None]
    ways: Mapping[tuple[str, int], Timetable] = field(default_factory=dict)
    """The hours of each member's ways, by member and place; a way that is always open has none."""

    @classmethod
    def around(cls, team: Team, at: datetime) -> "Roster":
        """The roster good for 40 days from `at`. Compiles calendars, so it is called outside workflows only."""
        first = (at - timedelta(days=2)).date().replace(day=1)
        tables: dict[str, Timetable | None] = {}
        for id, member in team.members.items():
            hours = member.hours or team.hours
            tables[id] = None if member.always or hours is None else _table(hours.model_dump_json(), first)
        ways = {
            (id, place): _table(way.hours.model_dump_json(), first)
            for id, member in team.members.items()
            for place, way in enumerate(member.reach)
            if way.hours is not None
        }
        return cls(team, tables, ways)

    def on_duty(self, member: str, at: datetime) -> bool:
        """Whether the member works at `at` and is not away that (local) day."""
        table = self.tables.get(member)
        person = self.team.members.get(member)
        if person is None:
            return False
        if table is None:
            return not any(a.first <= at.date() <= a.last for a in person.absences)
        if any(a.first <= table.to_local(at).date() <= a.last for a in person.absences):
            return False
        return _open(table, at)

    def first_on_duty(self, at: datetime) -> str | None:
        """The first of the first tier that has somebody on duty."""
        return next((m for tier in self.team.tiers for m in tier.members if self.on_duty(m, at)), None)

    def next(
        self, at: datetime, assignee: str | None, tried: tuple[str, ...], *, skip_tier: bool = False
    ) -> str | None:
        """Who is next: after the assignee in their tier, then the next tiers; never one who was tried, is off duty or absent."""
        tiers = [tier.members for tier in self.team.tiers]
        here = next((i for i, members in enumerate(tiers) if assignee in members), -1)
        out = {*tried, assignee}
        order: list[str] = []
        if here >= 0:
            if not skip_tier:
                place = tiers[here].index(assignee or "")
                order += tiers[here][place + 1 :] + tiers[here][:place]
            order += [m for members in tiers[here + 1 :] for m in members]
        else:
            # Nobody has it yet: where the higher tiers are off duty, the first one takes it rather than nobody.
            order += [m for members in (tiers[1:] + tiers[:1] if skip_tier else tiers) for m in members]
        return next((m for m in order if m not in out and self.on_duty(m, at)), None)

    def recipient(self, member: str, at: datetime | None = None, *, quiet: bool = False) -> Recipient:
        """The member as somebody to tell at `at`; one who left the team is reached through the log.

        `quiet`: no way that wakes is taken, unless there is no other; such a message has to wait.
        """
        person = self.team.members.get(member)
        if person is None:
            return Recipient(member, "log")
        by_hours = [way for place, way in enumerate(person.reach) if at is None or self._reaches(member, place, at)]
        usual = (person.channel, person.address)
        ways = [(way.channel, way.address) for way in by_hours[:1]]
        ways += [usual] if not ways else []
        ways += [(way.channel, way.address) for way in person.reach]
        # The log comes last of itself, and is a way that somebody wants only where it is the only one.
        ways += [usual] if person.channel != "log" or not person.reach else []
        if quiet:
            ways = [way for way in ways if not wakes(*way)] or ways
        (channel, address), *others = dict.fromkeys(ways)
        return Recipient(member, channel, address, person.name, tuple(others))

    def _reaches(self, member: str, place: int, at: datetime) -> bool:
        table = self.ways.get((member, place))
        return table is None or _open(table, at)

    def carry_out(
        self, step: Step, assignee: str | None, tried: tuple[str, ...], customer: Recipient | None
    ) -> Outcome:
        """Choose whom the step tells and who takes the incident, at the moment it fell due."""
        at, notes = step.at, list[str]()

        def reached(member: str) -> Recipient:
            return self.recipient(member, at, quiet=step.quiet_until is not None)

        taker = None
        if step.reassign:
            taker = self.next(at, assignee, tried, skip_tier=step.reassign == "next_tier")
            if taker is None:
                notes.append("nobody else is on duty to take it")
        told: dict[str, Recipient] = {}
        for id in step.recipients:
            told[id] = customer if customer is not None and customer.id == id else reached(id)
        for audience in step.tells:
            for recipient in self._audience(audience, at, taker or assignee, customer, notes, reached):
                told.setdefault(recipient.id, recipient)
        staff_asked = step.reassign is not None or any(a != "customer" for a in step.tells)
        nobody_takes = step.reassign is not None and taker is None
        staff_told = any(id in self.team.members for id in told)
        if staff_asked and (nobody_takes or not (staff_told or taker)):
            fallback = reached(self.team.fallback)
            told.setdefault(fallback.id, fallback)
        groups: list[tuple[str, dict[str, Recipient]]] = []
        if taker is not None:
            handed = {m: reached(m) for m in (taker, assignee) if m is not None}
            groups.append(("reassignment", handed))
            told = {id: r for id, r in told.items() if id not in handed}
        kind = step.kind if taker is None or step.kind != "reassignment" else "escalation"
        if told:
            groups.append((kind, told))
        note = "; ".join(dict.fromkeys(notes)) or None
        notices = [
            (
                Notice(at=at, kind=kind, clock=step.clock, step=step.step, to=tuple(r.id for r in some), channel=channel,
                       clause="X02" if kind == "reassignment" else step.clause, note=note),
                tuple(some),
            )
            for kind, people in groups
            for channel, some in by_channel(people.values()).items()
        ]  # fmt: skip
        tried = tuple(dict.fromkeys([*tried, *(m for m in (assignee, taker) if m)])) if taker else tried
        return Outcome(tuple(notices), taker, tried)

    def _audience(
        self,
        audience: str,
        at: datetime,
        assignee: str | None,
        customer: Recipient | None,
        notes: list[str],
        reached: Callable[[str], Recipient],
    ) -> list[Recipient]:
        if audience == "customer":
            if customer is None:
                notes.append("no contact of the customer is known")
                return []
            return [customer]
        if audience in ("assignee", "on_duty"):
            if audience == "assignee" and assignee is not None:
                if assignee not in self.team.members or self.on_duty(assignee, at):
                    return [reached(assignee)]
                notes.append(f"{assignee} is off duty")
            stand_in = self.first_on_duty(at)
            if stand_in is None:
                notes.append("nobody is on duty")
                return []
            return [reached(stand_in)]
        members = self.team.roles.get(audience, ())
        if not members:
            notes.append(f"the team has no {audience.replace('_', ' ')}")
        present = [m for m in members if self.on_duty(m, at)]
        if members and not present:
            notes.append(f"no {audience.replace('_', ' ')} is on duty")
        return [reached(m) for m in present]


def by_channel(people: Iterable[Recipient]) -> dict[str, list[Recipient]]:
    """The people by the channel on which they are told."""
    grouped: dict[str, list[Recipient]] = {}
    for recipient in people:
        grouped.setdefault(recipient.channel, []).append(recipient)
    return grouped


def _open(table: Timetable, at: datetime) -> bool:
    try:
        return table.is_open(at)
    except BeyondHorizon:
        return False


@lru_cache(maxsize=256)
def _table(hours: str, first: date) -> Timetable:
    return BusinessCalendar.model_validate_json(hours).pin(first, first + timedelta(days=75)).timetable()
