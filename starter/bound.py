"""Whose ticket it is, and what nobody here knows of it: from what an adapter tells to words that can be brought to an incident."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from activities.policies import Policies
from sla.events import Delivery
from sla.intake import Told, word
from sla.source import Source

UNKNOWN = "unknown"
"""The customer of tickets that are nobody's."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Words of one ticket, and whose it is."""

    told: Told
    customer: str
    words: tuple[Delivery, ...]

    @property
    def ticket(self) -> str:
        """Its number there."""
        return self.told.ticket

    @property
    def incident(self) -> str | None:
        """The one incident that the words are for, which they open not."""
        return self.told.incident


def bind(told: Told, source: Source, policies: Policies, received: datetime) -> Bound:
    """Whose ticket it is: what the source says of our customers, the company's and the requester's; else it is nobody's."""
    own = told.customer if told.customer and policies.customer(told.customer) else None
    # A customer that it names and nobody knows is nobody: anybody else would be told of what is not theirs.
    customer, doubts = own if told.customer else _customer(told, source, policies), list(told.doubts)
    if customer is None and told.incident is None and told.words:
        # A doubt stands on the card that all operators see: whose address it is stays in the log.
        who = told.customer or (told.requester or "").rpartition("@")[2] or told.organisation
        doubts.append(f"nobody knows whose ticket it is{f': {who}' if who else ''}; the default contract holds")
    words = told.words
    if doubts and told.incident is None:
        at = min((one.occurred_at for one in words), default=received)
        words += tuple(_doubt(source, told.ticket, doubt, at, received) for doubt in dict.fromkeys(doubts))
    return Bound(told, customer or UNKNOWN, words)


def _customer(told: Told, source: Source, policies: Policies) -> str | None:
    company = (told.organisation or "").strip().casefold()
    if found := next((id for name, id in source.organisations.items() if name.casefold() == company), None):
        return found
    if told.requester:
        domain = told.requester.rpartition("@")[2].casefold()
        own = next((id for name, id in source.domains.items() if name.casefold() == domain), None)
        if found := own or policies.customer_of(told.requester):
            return found
    return source.customer


def _doubt(source: Source, ticket: str, doubt: str, at: datetime, received: datetime) -> Delivery:
    digest = hashlib.sha256(doubt.encode("utf-8", "replace")).hexdigest()[:12]
    return word(f"{source.name}:{ticket}:doubt:{digest}", at, received, event="doubted", what=doubt[:300])
