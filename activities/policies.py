"""Policies as activities need them: which contract a customer has, pinned at a moment; the team; the customers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from records.shelf import Shelf, customer_of
from sla import names
from sla.customer import ContractLine, Customer
from sla.horizon import further, window
from sla.policy import Contract, PinnedContract
from sla.roster import Team
from sla.source import Source
from sla.standing import AccountTerms, LineTerms

if TYPE_CHECKING:  # The command line need not wait for SQLAlchemy where it asks no database.
    from records.customer_cache import CustomerCache

AT_LEAST = 400
"""Days for which an account's calendar is pinned ahead, at the least; it is pinned anew when 60 are left."""
LOOKING_BACK = timedelta(days=400)
"""A lapse of payment may be told of so late, and its grace is still counted by the calendar."""


@dataclass(frozen=True)
class Policies:
    """The policy files, and what holds where they say nothing."""

    shelf: Shelf = field(default_factory=Shelf)
    default_contract: str = "tromzo"
    """The contract of a customer that no file knows."""
    team_name: str = "default"
    only: Mapping[str, Customer] | None = None
    """A story's own customers; None: those of the records, or of the files."""
    base: Path | None = None
    """The folder to which a story's paths are relative; None: only names are taken."""
    records: "CustomerCache | None" = None
    """The customers of the records; None: those of the files."""

    async def fresh(self, *, at_once: bool = False) -> None:
        """Read the customers again where the records have changed: called first by whoever is about to look some up.

        `at_once`: with what was changed this very moment; else a copy of up to a second ago will do.
        """
        if self.only is None and self.records is not None:
            await (self.records.fresh(0) if at_once else self.records.fresh())

    async def readable(self) -> bool:
        """`fresh`, for whoever can do without the customers: False where they can't be read."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            await self.fresh()
        except (SQLAlchemyError, OSError):
            return False
        return True

    def customers(self) -> Mapping[str, Customer]:
        """Every customer by its id."""
        if self.only is not None:
            return self.only
        return self.records.customers() if self.records is not None else self.shelf.customers()

    def customer(self, id: str) -> Customer | None:
        """The customer of that id, or None."""
        return self.customers().get(id)

    def customer_of(self, email: str) -> str | None:
        """The id of the customer whose contact it is, else of the one whose domain it is, else None."""
        if self.only is None and self.records is not None:
            return self.records.customer_of(email)
        return customer_of(self.customers().values(), email)

    def contract_name(self, customer: str, asked: str | None) -> str:
        """The contract that a customer's incident is under: the one asked for, the customer's own, or the default."""
        known = self.customer(customer)
        return asked or (known.contract if known is not None else None) or self.default_contract

    def line(self, customer: str, asked: str | None, product: str | None) -> tuple[ContractLine, str | None]:
        """The contract line that covers a product, and the contract asked for: the line's own before any other."""
        line = self._known(customer).line(product)
        return line, line.contract or asked

    def contract(self, customer: str, asked: str | None) -> Contract:
        """The contract itself."""
        return self.shelf.contract(self.contract_name(customer, asked), self.base)

    def pin(self, customer: str, asked: str | None, playbook: str | None, at: datetime) -> PinnedContract:
        """The contract with its calendar pinned for an incident that opens at `at`."""
        name = self.contract_name(customer, asked)
        first, last = window(at, self.shelf.contract(name, self.base).horizon_days)
        return self.shelf.pin(name, playbook, first, last, self.base)

    def terms(self, customer: str, asked: str | None, at: datetime) -> AccountTerms:
        """What the contracts of a customer's lines say of payments, as they stand now."""
        known = self._known(customer)
        lines = tuple(self._line_terms(known, line, asked, at) for line in known.contract_lines)
        return AccountTerms(suspends=lines[0].mode != "none", contract=lines[0].contract, lines=lines)

    def _known(self, customer: str) -> Customer:
        return self.customer(customer) or Customer(id=names.canonical(customer))

    def _line_terms(self, customer: Customer, line: ContractLine, asked: str | None, at: datetime) -> LineTerms:
        contract = self.contract(customer.id, line.contract or asked)
        said, calendar = contract.suspension, None
        if line.prepaid_until is not None or (said is not None and (said.grace is not None or said.mode == "approval")):
            last = (at + timedelta(days=max(contract.horizon_days, AT_LEAST))).date()
            calendar = contract.hours.pin((at - LOOKING_BACK).date(), last)
        until = None
        if line.prepaid_until is not None:  # However far that day is from now, two days are pinned for it.
            after = line.prepaid_until + timedelta(days=1)
            midnight = datetime.combine(after, datetime.min.time())
            until = contract.hours.pin(line.prepaid_until, after).timetable().from_local(midnight)
        made = LineTerms(
            id=line.id, title=line.title, contract=contract.name, contract_title=contract.title, mode="none", prepaid=line.prepaid,
            prepaid_until=until, calendar=calendar, linked=customer.billed(line) is not None,
        )  # fmt: skip
        if said is None:
            return made
        asks = {"asks": said.asks, "unanswered": said.unanswered} if said.mode == "approval" else {}
        return made.model_copy(update={"clause": said.clause, "mode": said.mode, "grace": said.grace, **asks})

    def further(self, pinned: PinnedContract, at: datetime) -> PinnedContract:
        """The same contract, pinned further ahead from `at`; what was pinned stays."""
        _, last = window(at, pinned.contract.horizon_days)
        return further(pinned, pinned.contract.hours.pin(pinned.calendar.first, last))

    def source(self, name: str) -> Source | None:
        """The connected helpdesk of that name; None where there is none, or its file could never be read."""
        if self.base is not None or self.only is not None:
            return None  # a story is told by nobody's helpdesk
        return self.shelf.usable_sources()[0].get(name)

    def writes(self, source: str) -> bool:
        """Whether anything is written back into the helpdesk of that name."""
        known = self.source(source)
        return known is not None and bool(known.writes)

    def team(self) -> Team:
        """The team as it stands now: an absence entered today counts today."""
        return self.shelf.team(self.team_name, self.base)
