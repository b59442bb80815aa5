"""Policies as activities need them: which contract a customer has, pinned at a moment; the team; the customers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from records.shelf import Shelf
from sla.customer import Customer
from sla.horizon import further, window
from sla.policy import Contract, PinnedContract
from sla.roster import Team


@dataclass(frozen=True)
class Policies:
    """The policy files, and what holds where they say nothing."""

    shelf: Shelf = field(default_factory=Shelf)
    default_contract: str = "tromzo"
    """The contract of a customer that no file knows."""
    team_name: str = "default"
    only: Mapping[str, Customer] | None = None
    """A story's own customers; None: those of the files."""
    base: Path | None = None
    """The folder to which a story's paths are relative; None: only names are taken."""

    def customer(self, id: str) -> Customer | None:
        """The customer of that id, or None."""
        return self.only.get(id) if self.only is not None else self.shelf.customer(id)

    def contract_name(self, customer: str, asked: str | None) -> str:
        """The contract that a customer's incident is under: the one asked for, the customer's own, or the default."""
        known = self.customer(customer)
        return asked or (known.contract if known is not None else None) or self.default_contract

    def contract(self, customer: str, asked: str | None) -> Contract:
        """The contract itself."""
        return self.shelf.contract(self.contract_name(customer, asked), self.base)

    def pin(self, customer: str, asked: str | None, playbook: str | None, at: datetime) -> PinnedContract:
        """The contract with its calendar pinned for an incident that opens at `at`."""
        name = self.contract_name(customer, asked)
        first, last = window(at, self.shelf.contract(name, self.base).horizon_days)
        return self.shelf.pin(name, playbook, first, last, self.base)

    def further(self, pinned: PinnedContract, at: datetime) -> PinnedContract:
        """The same contract, pinned further ahead from `at`; what was pinned stays."""
        _, last = window(at, pinned.contract.horizon_days)
        return further(pinned, pinned.contract.hours.pin(pinned.calendar.first, last))

    def team(self) -> Team:
        """The team as it stands now: an absence entered today counts today."""
        return self.shelf.team(self.team_name, self.base)
