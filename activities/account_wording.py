"""The words of an account: what it says to each person, and below it a line for each incident of theirs.

An incident's line is made when its part is put by, and waits in the records until the account speaks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from activities.message import one_line
from activities.phrases import clocks
from activities.wording import IncidentFacts, Item, for_customer, render_batch
from sla import names
from sla.entries import Notice
from sla.roster import Recipient
from sla.steps import Kind, Step

LISTED = 50
"""So many incidents are listed in one message; of the others their number is told."""
_OF_ONE = ("left", "due", "taken_in", "opened")
"""Facts that hold for one incident; the others hold for all of a bundle."""


class Line(BaseModel):
    """What a bundle's message says of one incident; every text is one line, without control characters."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    at: AwareDatetime
    clause: str | None = None
    ticket: str
    reference: str = ""
    priority: str = ""
    assignee: str = ""
    assignee_name: str = ""
    customer: str
    customer_name: str = ""
    contract: str = ""
    offset_minutes: int | None = None
    to_customer: bool = False
    quiet_until: AwareDatetime | None = None
    """Until then it is to wake nobody."""
    facts: dict[str, str] = {}

    @classmethod
    def of(cls, item: Item) -> Self:
        """What an incident's notice comes to as a line of a longer message."""
        step, notice, incident = item
        made = cls(
            kind=step.kind, at=step.at, clause=notice.clause or step.clause, ticket=incident.ticket,
            reference=incident.reference, priority=incident.priority or "", assignee=incident.assignee or "",
            assignee_name=incident.assignee_name, customer=incident.customer, customer_name=incident.customer_name,
            contract=incident.contract, offset_minutes=incident.offset_minutes,
            to_customer=for_customer(*item), quiet_until=step.quiet_until, facts=step.facts,
        )  # fmt: skip
        return cls.model_validate(_clean(made.model_dump()))

    def kept(self) -> dict[str, Any]:
        """As the records keep it; `rank` puts the highest priority first, and then what is due first."""
        rank = f"{self.priority or '~'} {self.facts.get('due') or '~'} {self.ticket}"
        return self.model_dump(mode="json", exclude_defaults=True) | {"rank": rank}

    def says(self, to: str) -> str:
        """`4711 (S2): response: 1 h 30 min left, due …`; our people read how the command line calls it, and whose it is."""
        begins = f"{self.ticket if self.to_customer else self.reference or self.ticket}"
        begins += f" ({self.priority})" if self.priority else ""
        if not self.to_customer and self.assignee not in ("", to):
            begins += f", with {self.assignee_name or self.assignee}"
        still = self.kind == "suspension"
        told = clocks(self.facts.get("left", ""), self.facts.get("due", ""), self.offset_minutes, stand_still=still)
        if still and self.facts.get("taken_in"):
            told = ["taken in; its time begins when support goes on"]
        return f"{begins}: {'; '.join(told)}" if told else begins

    def speaks(self, bundle: str) -> Step:
        """The step of an account that nobody knows of any more, as far as an incident's part tells it."""
        facts = {name: fact for name, fact in self.facts.items() if name not in _OF_ONE}
        return Step(key=bundle, kind=self.kind, at=self.at, clause=self.clause, bundle=bundle, facts=facts)


def letter(
    step: Step, to: Recipient, facts: IncidentFacts, lines: Sequence[Line], parts: int, *, to_customer: bool
) -> tuple[str, str]:
    """Subject and text of what an account says to one person, with the first of their incidents' lines.

    Whom the step tells is not asked here: it may tell the customer, and this be for one of our people who has a ticket.
    """
    about = facts.model_copy(update={"contact": to.id, "contact_name": to.name} if to_customer else {})
    notice = Notice(at=step.at, kind=step.kind, to=(to.id,), clause=step.clause)
    to_nobody_in_particular = step.model_copy(update={"tells": ()})
    return render_batch(
        [(to_nobody_in_particular, notice, about)], [line.says(to.id) for line in lines], parts - len(lines)
    )


def account_facts(customer: str, name: str, contract: str, offset_minutes: int | None) -> IncidentFacts:
    """What the words of an account need to know, beside its step's own facts."""
    return IncidentFacts(
        incident=names.account_id(customer), customer=customer, customer_name=name, contract=contract,
        offset_minutes=offset_minutes,
    )  # fmt: skip


def _clean(value: Any) -> Any:
    """The same, its texts such as every database takes."""
    if isinstance(value, str):
        return value if value.isprintable() and len(value) <= 500 else one_line(value)
    if isinstance(value, Mapping):
        return {one_line(key): _clean(held) for key, held in value.items()}
    return value
