"""From the steps owed to what they come to: whom each tells and who takes the incident, one after the other."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from sla.customer import Customer
from sla.entries import Entry, Notice, Read, StepBegun, StepDone, record
from sla.events import Delivery
from sla.policy import Contract
from sla.roster import Outcome, Recipient, Roster, by_channel
from sla.steps import Step
from sla.ways import LIVE


class Scene(BaseModel):
    """What the choice of people depends on: who has the incident, who was tried, and who asked for support."""

    model_config = ConfigDict(frozen=True)

    assignee: str | None = None
    tried: tuple[str, ...] = ()
    customer: str | None = None
    requester: str | None = None


def choose(
    steps: Sequence[Step], roster: Roster, scene: Scene, customer: Recipient | None
) -> list[tuple[Step, Outcome]]:
    """The outcome of each step, in order; a step that reassigns is felt by the next."""
    assignee, tried = scene.assignee, scene.tried
    chosen = []
    for step in steps:
        outcome = roster.carry_out(step, assignee, tried, customer)
        assignee, tried = outcome.assignee or assignee, outcome.tried
        chosen.append((step, outcome))
    return chosen


def choose_account(steps: Sequence[Step], roster: Roster, payers: Sequence[Recipient]) -> list[tuple[Step, Outcome]]:
    """The outcome of each of an account's steps: the customer's payers are told, each in their own way, or our people asked.

    A correction goes to those who were told, whoever pays by now. Where nobody of the customer's is known, the fallback is.
    """
    chosen = []
    for step in steps:
        if "customer" not in step.tells and step.kind != "withdrawal":
            chosen.append((step, roster.carry_out(step, None, (), None)))
            continue
        people, note = (_heard(step, payers) if step.recipients else list(payers)), None
        if not people:
            people, note = [roster.recipient(roster.team.fallback)], "no contact of the customer is known"
        notices = [
            (
                Notice(at=step.at, kind=step.kind, step=step.step, to=tuple(r.id for r in some), channel=channel,
                       clause=step.clause, note=note),
                tuple(some),
            )
            for channel, some in by_channel(people).items()
        ]  # fmt: skip
        chosen.append((step, Outcome(tuple(notices))))
    return chosen


def _heard(step: Step, payers: Sequence[Recipient]) -> list[Recipient]:
    known = {payer.id: payer for payer in payers}
    return [known.get(id) or Recipient(id, "email", id) for id in step.recipients]


def begun(step: Step) -> Entry:
    """The log's line that a step was begun; from it on, it is not owed again."""
    what = StepBegun(
        step_key=step.key, kind=step.kind, clock=step.clock, step=step.step, priority=step.priority, of=step.of
    )
    return record(f"begun:{step.key}", step.at, what)


def done(step: Step, outcome: Outcome, fallback: Recipient | None = None) -> StepDone:
    """The record of what came of a step. `fallback`: who gets what none of the ways of those told takes."""
    notices = tuple(notice for notice, _ in outcome.notices)
    reached = [who for _, people in outcome.notices for who in people]
    reached += [fallback] if reached and fallback is not None else []
    ways = (way for who in reached for way in (who.channel, *dict(who.fallbacks)))
    shows = any(way in LIVE for way in ways)
    return StepDone(step_key=step.key, notices=notices, assignee=outcome.assignee, tried=outcome.tried, shows=shows)


def read(
    contract: Contract, opening: Delivery, customer: Customer | None, language: tuple[str | None, str | None]
) -> Read:
    """What reading the opening gives. `language`: what was detected and by what, where it was not told.

    A program that opens a ticket in nobody's name, such as one that watches, has left nothing out that a person could add.
    """
    what = opening.event
    if what.event != "opened":
        return Read()
    given = {name for name, value in what.fields.items() if value.strip()}
    items = contract.checklist.items if contract.checklist else {}
    asked = what.by is not None or what.channel != "api"
    missing = tuple(name for name, item in items.items() if asked and not given & set(item.fields))
    known = None
    if customer is not None and customer.contacts and what.by is not None:
        known = customer.contact(what.by) is not None
    return Read(
        language=what.language or language[0],
        detector=None if what.language else language[1],
        missing=missing,
        authorized_contact=known,
        contacts=tuple(c.email.casefold() for c in customer.contacts) if customer and known is False else (),
    )
