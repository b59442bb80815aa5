"""How the film calls people, times and amounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from activities.message import one_line
from sla.civil import DAY_US
from sla.evaluate import ClockView
from sla.owed import duration_text
from sla.policy import Contract
from sla.timetable import Timetable
from starter.stories import Loaded

A_WEEK = timedelta(days=6, hours=12)
"""In a story longer than this a weekday alone does not say which day."""


@dataclass(frozen=True)
class Names:
    """What a story's people and times are called."""

    table: Timetable
    contract: Contract
    people: Mapping[str, str]
    customers: Mapping[str, str]
    dated: bool
    """Whether a time is written with its date."""

    @classmethod
    def of(cls, loaded: Loaded, ends: datetime) -> Self:
        """The names of a story that ends at a moment."""
        people = {member: person.name for member, person in loaded.policies.team().members.items()}
        customers = loaded.script.customers.values()
        people |= {c.email: c.name for customer in customers for c in customer.contacts if c.name}
        begins = min(line.word.occurred_at for line in loaded.script.lines)
        named = {customer.id: customer.name or customer.id for customer in customers}
        return cls(loaded.table, loaded.contract, people, named, ends - begins > A_WEEK)

    def who(self, person: str | None, otherwise: str = "somebody") -> str:
        """A person as others call them: `Dana`."""
        return one_line(self.people.get(person, person), 40) if person else otherwise

    def all_of(self, people: Sequence[str]) -> str:
        """`Dana, Farid and Gwen`."""
        return listed([self.who(person) for person in dict.fromkeys(people)]) or "nobody"

    def priority(self, name: str) -> str:
        """`P1 Critical`; the name alone where the title only repeats it."""
        terms = self.contract.priorities.get(name)
        title = "" if terms is None else getattr(terms, "title", "")
        return name if not title or title[-1:] == name[-1:] else f"{name} {title}"

    def when(self, at: datetime, now: datetime | None = None) -> str:
        """`Fri 17:05`, in the calendar's own time; with the date in a long story, and for what is far from `now`."""
        local = self.table.to_local(at)
        dated = self.dated or (now is not None and abs(at - now) > A_WEEK)
        return f"{local:%a} {local.day} {local:%b} {clock(local)}" if dated else f"{local:%a} {clock(local)}"

    def brief(self, at: datetime, now: datetime) -> str:
        """`Fri 17:05`; `11 Jul 17:05` where `when` writes a date."""
        said = self.when(at, now).split(" ")
        return " ".join(said if len(said) == 2 else said[1:])

    def whole(self, at: datetime) -> str:
        """`Fri 11 Jul 2031 17:05`."""
        local = self.table.to_local(at)
        return f"{local:%a} {local.day} {local:%b %Y} {clock(local)}"


def clock(local: datetime) -> str:
    """`17:05`, with seconds where there are any."""
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def amount(shown: ClockView) -> str:
    """What a clock has left, or is over: `1 h 30 min`; of wall-clock time also `6 d 23 h`."""
    us = abs(shown.left_us or 0)
    days, rest = divmod(us, DAY_US)
    if days < 2 or "business" in (shown.target or ""):
        return duration_text(us)
    return f"{days} d" + (f" {duration_text(rest)}" if rest >= 60_000_000 else "")


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
