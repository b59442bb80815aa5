"""From what steps say to the messages that go out: who reads it, in which words, and the key by which it goes out once."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from activities.account_wording import Line, account_facts, letter
from activities.calls import CarryOut, TellAccount
from activities.message import Address, Message
from activities.policies import Policies
from activities.wording import IncidentFacts, Item, render_batch
from records.bundles import Part
from records.shelf import PolicyFileError
from sla import names
from sla.customer import Customer
from sla.roster import Outcome, Recipient
from sla.steps import Step
from worker.reference import reference

MAX_KEY = 900
Said = tuple[Recipient, Item]
"""One notice, and who reads it."""


def messages(
    asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], policies: Policies, customer: Customer
) -> list[Message]:
    """What an incident's steps come to: all that they say to one person by one channel is one message."""
    grouped: dict[tuple[str, str], tuple[Recipient, list[Item]]] = {}
    for recipient, item in said(asked, chosen, policies, customer):
        grouped.setdefault((recipient.channel, recipient.id), (recipient, []))[1].append(item)
    return [message(asked.incident, recipient, items) for recipient, items in grouped.values()]


def said(
    asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], policies: Policies, customer: Customer
) -> Iterator[Said]:
    """Each notice of an incident's steps, for each who is told."""
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


def message(incident: str, recipient: Recipient, items: Sequence[Item]) -> Message:
    """The message that says all this to one person."""
    subject, text = render_batch(items)
    step, notice, facts = _lead(items, subject)
    data = {**step.facts, "ticket": facts.ticket, "source": facts.source, "customer": facts.customer}
    data |= {name: value for name, value in (("priority", facts.priority), ("assignee", facts.assignee)) if value}
    if len(items) > 1:
        data["steps"] = ", ".join(one.key for one, _, _ in items)
    return Message(
        key=_key(incident, [one.key for one, _, _ in items], recipient.id),
        incident=incident,
        kind=notice.kind,
        clock=notice.clock,
        step=notice.step,
        clause=notice.clause,
        channel=recipient.channel,
        to=(address(recipient),),
        subject=subject,
        text=text,
        at=step.at,
        data=data,
    )


def part(bundle: str, asked: CarryOut, customer: Customer, recipient: Recipient, item: Item) -> Part:
    """The same notice as a part of a bundle's message."""
    return Part(
        bundle=bundle, customer=customer.id, incident=asked.incident, step_key=item[0].key, channel=recipient.channel,
        recipient_id=names.canonical(recipient.id), recipient=asdict(recipient), message=Line.of(item).kept(),
    )  # fmt: skip


def of_account(
    asked: TellAccount, customer: Customer, step: Step, recipient: Recipient, lines: Sequence[Line] = (), parts: int = 0
) -> Message:
    """What an account says to one person, with their incidents' lines; `parts` is how many incidents of theirs there are."""
    facts = account_facts(customer.id, customer.name, asked.contract_title, asked.offset_minutes)
    theirs = customer.contact(recipient.id) is not None or (not lines and "customer" in step.tells)
    return _account_message(step, recipient, facts, lines, parts, theirs)


def of_parts(customer: Customer, bundle: str, recipient: Recipient, lines: Sequence[Line], parts: int) -> Message:
    """The same, where no account came to say it: in the words of its incidents' parts, of which there is at least one."""
    first = lines[0]
    facts = account_facts(customer.id, customer.name or first.customer_name, first.contract, first.offset_minutes)
    return _account_message(first.speaks(bundle), recipient, facts, lines, parts)


def lines_of(kept: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> tuple[Recipient, list[Line]]:
    """Recipient and lines as the records kept them; there is at least one."""
    return Recipient(**kept[0][0]), [Line.model_validate(line) for _, line in kept]


def address(recipient: Recipient) -> Address:
    """How the courier reaches them."""
    return Address(id=recipient.id, name=recipient.name, address=recipient.address)


def _account_message(
    step: Step, recipient: Recipient, facts: IncidentFacts, lines: Sequence[Line], parts: int, theirs: bool = False
) -> Message:
    theirs = theirs or any(line.to_customer for line in lines)
    subject, text = letter(step, recipient, facts, lines, parts, to_customer=theirs)
    to, data = names.canonical(recipient.id), {**step.facts, "customer": facts.customer}
    if lines:
        data |= {"incidents": str(parts), "tickets": ", ".join(line.ticket for line in lines)}
    key = f"{step.bundle}/{recipient.channel}-{to}" if step.bundle else f"{facts.incident}/{step.key}/{to}"
    return Message(
        key=key, incident=facts.incident, kind=step.kind, step=step.step, clause=step.clause, channel=recipient.channel,
        to=(address(recipient),), subject=subject, text=text, at=step.at, data=data,
    )  # fmt: skip


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
