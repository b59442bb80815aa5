"""From what steps say to the messages that go out: who reads it, in which words, and the key by which it goes out once."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from activities.account_wording import Line, account_facts, letter
from activities.calls import CarryOut, TellAccount
from activities.message import UPDATE, Address, Message, one_line
from activities.policies import Policies
from activities.wording import TAKEN, IncidentFacts, Item, for_customer, render_batch
from records.bundles import Part
from records.shelf import PolicyFileError
from sla import names
from sla.customer import Customer
from sla.roster import Outcome, Recipient
from sla.steps import Step
from sla.ways import wakes
from worker.reference import reference

MAX_KEY = 900
Said = tuple[Recipient, Item]
"""One notice, and who reads it."""


Linking = Callable[[str, str, datetime], str]
"""Writes the link that acknowledges: for an incident and a person, of a step that fell due then."""


def messages(
    asked: CarryOut,
    chosen: Sequence[tuple[Step, Outcome]],
    policies: Policies,
    customer: Customer,
    linking: Linking | None = None,
) -> list[Message]:
    """What an incident's steps come to: all that they say to one person in one way is one message.

    What is told aloud keeps its own address and ways round: at night a quiet step reaches the same person elsewhere.
    """
    grouped: dict[Recipient, list[Item]] = {}
    for recipient, item in said(asked, chosen, policies, customer, linking):
        grouped.setdefault(recipient, []).append(item)
    return [message(asked, recipient, items) for recipient, items in grouped.items()]


def said(
    asked: CarryOut,
    chosen: Sequence[tuple[Step, Outcome]],
    policies: Policies,
    customer: Customer,
    linking: Linking | None = None,
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
                theirs = notice.model_copy(update={"to": (person.id,)})
                takes = notice.kind in TAKEN and person.id in known.members and not for_customer(step, theirs, facts)
                link = linking(asked.incident, person.id, step.at) if linking is not None and takes else ""
                yield person, (step, theirs, facts.model_copy(update={"acknowledge": link}) if link else facts)


def message(asked: CarryOut, recipient: Recipient, items: Sequence[Item]) -> Message:
    """The message that says all this to one person."""
    subject, text = render_batch(items)
    step, notice, facts = _lead(items, subject)
    data = {**step.facts, "ticket": facts.ticket, "source": facts.source, "customer": facts.customer}
    stands = (
        ("priority", facts.priority), ("assignee", facts.assignee), ("acknowledged_by", asked.acknowledged),
        ("phase", asked.phase),
    )  # fmt: skip
    data |= {name: value for name, value in stands if value}
    if len(items) > 1:
        data["steps"] = ", ".join(one.key for one, _, _ in items)
    waits = _waits([one.quiet_until for one, _, _ in items])
    link = next((one.acknowledge for _, _, one in items if one.acknowledge), "")
    return Message(
        key=_key(asked.incident, [one.key for one, _, _ in items], recipient.id),
        incident=asked.incident,
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
        links={"acknowledge": link} if link else {},
        fallbacks=recipient.fallbacks,
        to_customer=any(for_customer(*item) for item in items),
        quiet=waits is not None,
        not_before=waits if wakes(recipient.channel, recipient.address) else None,
    )


def update(asked: CarryOut, step: Step, channel: str, to: str) -> Message:
    """How the incident stands now, for a message of it that shows that; it is never told as news."""
    taken = any(turn.startswith(("acknowledged ", "assigned ")) for turn in step.facts.get("turns", "").split("\n"))
    stands = (
        ("phase", asked.phase), ("assignee", asked.scene.assignee), ("acknowledged_by", asked.acknowledged),
        ("acknowledged_at", asked.acknowledged_at.isoformat() if asked.acknowledged_at else ""), ("taken", "now" if taken else ""),
        ("priority", asked.priority), ("due", asked.next_due.isoformat() if asked.next_due else ""),
    )  # fmt: skip
    place = hashlib.sha256(to.encode()).hexdigest()[:12]  # an address may be a key that nobody is to read
    ticket = one_line(asked.ticket, 100)
    return Message(
        key=f"{asked.incident}/{step.key}/{channel}-{place}", incident=asked.incident, kind=UPDATE, channel=channel,
        to=(Address(id=channel, address=to),), subject=ticket, text=ticket, at=step.at,
        data={name: value for name, value in stands if value}, quiet=True,
    )  # fmt: skip


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


def own(
    asked: TellAccount,
    customer: Customer,
    chosen: Sequence[tuple[Step, Outcome]],
    but: Collection[tuple[str, str]] = (),
) -> list[Message]:
    """What an account says to those whom its steps tell, `but` for some channels and recipients."""
    return [
        of_account(asked, customer, step, to)
        for step, outcome in chosen
        for _, people in outcome.notices
        for to in people
        if (to.channel, names.canonical(to.id)) not in but
    ]


def of_parts(customer: Customer, bundle: str, recipient: Recipient, lines: Sequence[Line], parts: int) -> Message:
    """The same, where no account came to say it: in the words of its incidents' parts, of which there is at least one."""
    first = lines[0]
    facts = account_facts(customer.id, customer.name or first.customer_name, first.contract, first.offset_minutes)
    return _account_message(first.speaks(bundle), recipient, facts, lines, parts)


def lines_of(kept: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> tuple[Recipient, list[Line]]:
    """Recipient and lines as the records kept them; there is at least one."""
    return kept_recipient(kept[0][0]), [Line.model_validate(line) for _, line in kept]


def kept_recipient(kept: Mapping[str, Any]) -> Recipient:
    """A recipient as the records kept it."""
    ways = tuple((channel, address) for channel, address in kept.get("fallbacks") or ())
    return Recipient(**{**kept, "fallbacks": ways})


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
    waits = _waits([line.quiet_until for line in lines] or [step.quiet_until])
    return Message(
        key=key, incident=facts.incident, kind=step.kind, step=step.step, clause=step.clause, channel=recipient.channel,
        to=(address(recipient),), subject=subject, text=text, at=step.at, data=data, fallbacks=recipient.fallbacks,
        to_customer=theirs, quiet=waits is not None,
        not_before=waits if wakes(recipient.channel, recipient.address) else None,
    )  # fmt: skip


def _waits(quiet: Sequence[datetime | None]) -> datetime | None:
    """Until when a message that says all this is to wake nobody; None: something of it is said aloud."""
    return min((until for until in quiet if until is not None), default=None) if all(quiet) else None


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

    @property
    def members(self) -> Collection[str]:
        try:
            return self._policies.team().members
        except PolicyFileError:
            return ()

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
