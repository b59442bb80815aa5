"""The live teller: what a step says becomes one message for each person and channel, and the courier brings it."""

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from activities.calls import CarryOut
from activities.courier import Courier
from activities.message import Address, ChannelRefused, ChannelUnavailable, Message
from activities.policies import Policies
from activities.wording import IncidentFacts, Item, render_batch
from records.shelf import PolicyFileError
from sla import names
from sla.customer import Customer
from sla.roster import Outcome, Recipient
from sla.steps import Step
from worker.reference import reference

PATIENT_ATTEMPTS = 3
"""A channel that is down is tried so often, for about half a minute in all; after that the notice goes to the log."""
MAX_KEY = 900

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveTeller:
    """Tells for real: words from the templates, people from the policies, channels from the courier."""

    policies: Policies
    courier: Courier

    async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
        """Bring every message; one that its channel can't take keeps no other back.

        Raises:
            ApplicationError: a channel is down, and may be tried again.
        """
        known = self.policies.customer(asked.scene.customer or "") or Customer(id=asked.scene.customer or "unknown")
        sent = [self._bring(message, attempt) for message in messages(asked, chosen, self.policies, known)]
        came = await asyncio.gather(*sent, return_exceptions=True)
        failed = [error for error in came if isinstance(error, BaseException)]
        down = [error for error in failed if isinstance(error, ChannelUnavailable)]
        if bug := next((error for error in failed if not isinstance(error, ChannelUnavailable)), None):
            raise bug
        if down:
            waits = [error.retry_after for error in down if error.retry_after is not None]
            delay = timedelta(seconds=min(waits)) if waits else None
            said = "; ".join(dict.fromkeys(map(str, down)))
            raise ApplicationError(said, type="ChannelUnavailable", next_retry_delay=delay)

    async def _bring(self, message: Message, attempt: int) -> None:
        try:
            await self.courier.send(message)
        except ChannelRefused as error:
            await self._fall_back(message, str(error))
        except ChannelUnavailable as error:
            if attempt <= PATIENT_ATTEMPTS:
                raise
            await self._fall_back(message, str(error))

    async def _fall_back(self, message: Message, why: str) -> None:
        _log.error("a notice of %s goes to the log: %s", message.incident, why)
        await self.courier.fall_back(message, why)


def messages(
    asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], policies: Policies, customer: Customer
) -> list[Message]:
    """What goes out: all that the steps say to one person by one channel is one message."""
    grouped: dict[tuple[str, str], tuple[Recipient, list[Item]]] = {}
    for recipient, item in _items(asked, chosen, policies, customer):
        grouped.setdefault((recipient.channel, recipient.id), (recipient, []))[1].append(item)
    return [_message(asked, recipient, items) for recipient, items in grouped.values()]


def _items(
    asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], policies: Policies, customer: Customer
) -> Iterator[tuple[Recipient, Item]]:
    assignee = asked.scene.assignee
    known = _Names(policies)
    contact = customer.recipient(asked.scene.requester)
    for step, outcome in chosen:
        before, assignee = assignee, outcome.assignee or assignee
        facts = IncidentFacts(
            incident=asked.incident,
            ticket=asked.ticket,
            source=asked.state_source,
            reference=reference(asked.state_source, asked.ticket),
            customer=customer.id,
            customer_name=customer.name,
            contact=contact.id if contact else None,
            contact_name=contact.name if contact else "",
            priority=asked.priority,
            priority_title=known.priority(asked.contract, asked.priority),
            assignee=assignee,
            assignee_name=known.member(assignee),
            previous=before if before != assignee else None,
            previous_name=known.member(before) if before != assignee else "",
            contract=asked.contract_title,
            offset_minutes=asked.offset_minutes,
        )
        for notice, people in outcome.notices:
            for person in people:
                yield person, (step, notice.model_copy(update={"to": (person.id,)}), facts)


def _message(asked: CarryOut, recipient: Recipient, items: Sequence[Item]) -> Message:
    subject, text = render_batch(items)
    step, notice, facts = _lead(items, subject)
    data = {**step.facts, "ticket": facts.ticket, "source": facts.source, "customer": facts.customer}
    data |= {name: value for name, value in (("priority", facts.priority), ("assignee", facts.assignee)) if value}
    if len(items) > 1:
        data["steps"] = ", ".join(one.key for one, _, _ in items)
    return Message(
        key=_key(asked.incident, [one.key for one, _, _ in items], recipient.id),
        incident=asked.incident,
        kind=notice.kind,
        clock=notice.clock,
        step=notice.step,
        clause=notice.clause,
        channel=recipient.channel,
        to=(Address(id=recipient.id, name=recipient.name, address=recipient.address),),
        subject=subject,
        text=text,
        at=step.at,
        data=data,
    )


def _lead(items: Sequence[Item], subject: str) -> Item:
    """The item that the message is about first of all, by the words of its subject."""
    if len(items) == 1:
        return items[0]
    return next((item for item in items if subject.startswith(render_batch([item])[0])), items[0])


def _key(incident: str, steps: Sequence[str], recipient: str) -> str:
    """`incident/step/recipient`, with the keys of all that the message says; the same at every attempt."""
    said = "+".join(steps)
    if len(said) > MAX_KEY - 2 * names.MAX_ID:
        said = f"{steps[0]}+{hashlib.sha256(said.encode()).hexdigest()[:24]}"
    return f"{incident}/{said}/{names.canonical(recipient)}"


class _Names:
    """What people call members and priorities; a policy file that is broken just now takes away no notice."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def member(self, member: str | None) -> str:
        try:
            person = self._policies.team().members.get(member or "")
        except PolicyFileError:
            return ""
        return person.name if person is not None else ""

    def priority(self, contract: str, name: str) -> str:
        try:
            terms = self._policies.shelf.contract(contract, self._policies.base).priorities.get(name)
        except PolicyFileError:
            return ""
        return terms.title if terms is not None else ""
