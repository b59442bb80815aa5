"""How the film calls people, times and amounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from activities.message import one_line
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

    def when(self, at: datetime) -> str:
        """`Fri 17:05`, in the calendar's own time; `Fri 11 Jul 17:05` in a long story."""
        local = self.table.to_local(at)
        day = f"{local:%a} {local.day} {local:%b}" if self.dated else f"{local:%a}"
        return f"{day} {clock(local)}"

    def whole(self, at: datetime) -> str:
        """`Fri 11 Jul 2031 17:05`."""
        local = self.table.to_local(at)
        return f"{local:%a} {local.day} {local:%b %Y} {clock(local)}"


def clock(local: datetime) -> str:
    """`17:05`, with seconds where there are any."""
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def amount(us: int) -> str:
    """`1 h 30 min`, without a sign; days where there are many hours of the wall clock."""
    return duration_text(abs(us))


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
