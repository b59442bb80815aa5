"""How the tests of the clauses read what came of a story, and hear what people were told while it played."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from activities.calls import CarryOut
from activities.wording import IncidentFacts, words
from sla.roster import Outcome
from sla.steps import Step

Incident = dict[str, Any]
Acts = Callable[..., Awaitable[dict[str, Incident]]]
"""The fixture `acts`."""
Told = list[tuple[str, str]]
"""Kind and text of each notice, in the words that its reader reads."""


def by_ticket(incidents: dict[str, Incident], clock: str, value: str) -> dict[str, Any]:
    """One value of one clock of each ticket."""
    return {ticket: incident["clocks"][clock][value] for ticket, incident in incidents.items()}


def hour(moment: str | None) -> str | None:
    """`2031-07-08 12:00`: a moment as the clause's reader writes it."""
    return moment and moment[:16].replace("T", " ")


def kinds(incident: Incident) -> list[str]:
    """The kind of each notice, in order."""
    return [notice["kind"] for notice in incident["notices"]]


def steps(incident: Incident, clock: str) -> list[str]:
    """The step of each notice on a clock, in order."""
    return [notice["step"] for notice in incident["notices"] if notice["clock"] == clock]


class Recorder:
    """Stands where notices leave for people, and writes down what they read."""

    def __init__(self, heard: Told) -> None:
        self.heard = heard

    async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
        """Word each notice as its channel would."""
        for step, outcome in chosen:
            for notice, recipients in outcome.notices:
                contact = next((r.id for r in recipients if "@" in r.id), None)
                incident = IncidentFacts(incident=asked.incident, ticket=asked.ticket, customer="Acme", contact=contact)
                self.heard.append((notice.kind, words(step, notice, incident)[1]))
