"""The pure player: a story through the core alone, in milliseconds. Its answers are the real workflows' answers."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from sla import report
from sla.account import Account, AccountState
from sla.account_events import AccountDelivery
from sla.events import Delivery
from sla.incident import Incident, IncidentState, as_opening, continues
from sla.ledger import Ledger
from sla.perform import choose, choose_account, done, read
from sla.policy import Contract, PinnedContract
from sla.roster import Roster
from sla.standing import AccountTerms
from sla.story import Line, Script
from sla.timetable import Timetable


class World(Protocol):
    """What the player asks of the world outside the core: compiled calendars, contracts by name, a roster, a language."""

    def pin(self, contract: str, playbook: str | None, at: datetime) -> PinnedContract: ...
    def terms(self, customer: str, at: datetime) -> AccountTerms: ...
    def line(self, customer: str, product: str | None) -> tuple[str, str]: ...
    def roster(self, at: datetime) -> Roster: ...
    def language(self, contract: Contract, opening: Delivery) -> tuple[str | None, str | None]: ...


class Player:
    """One playing of one script."""

    def __init__(self, script: Script, world: World, contract: Contract) -> None:
        self.script, self.world, self.contract = script, world, contract
        self.incidents: dict[str, Incident] = {}
        self.chains: dict[str, list[str]] = {}
        self.now = script.lines[0].received
        self.customers = script.customers
        self.accounts = {id: Account(AccountState(customer=id)) for id in self.customers}
        for id, account in self.accounts.items():
            account.take_terms(world.terms(id, self.now), self.now)
        self.watch: Callable[[str, Incident, datetime], None] | None = None
        """Called after each change of an incident, for the film."""

    def play(self) -> None:
        """Play every line, and then on until the story's end, or until nothing more can happen."""
        lines = list(self.script.lines)
        until = self.script.until
        while True:
            heard = lines[0].received if lines else None
            changes = {label: self._next_change(incident) for label, incident in self.incidents.items()}
            standing = {id: self._next_of(account) for id, account in self.accounts.items()}
            next_change = min((at for at in (*changes.values(), *standing.values()) if at is not None), default=None)
            now = min((at for at in (heard, next_change) if at is not None), default=None)
            if now is None or (until is not None and now > until):
                break
            self.now = now
            if heard is not None and heard == now:
                self._hear(lines.pop(0))
            else:
                for id in [id for id, at in standing.items() if at == now]:
                    self._say(id)
                for label in [label for label, at in changes.items() if at == now]:
                    self._settle(label)
        self.now = until if until is not None else self.now

    def _next_change(self, incident: Incident) -> datetime | None:
        view = incident.view(self.now)
        if view.closed:
            return None
        return self.now if view.owed else view.next_change_at

    def _next_of(self, account: Account) -> datetime | None:
        view = account.view(self.now)
        return self.now if view.owed else view.look_again_at

    def _hear(self, line: Line) -> None:
        if isinstance(line.word, AccountDelivery):
            self._payment(line.customer, line.word)
            return
        assert line.ticket is not None
        chain = self.chains.setdefault(line.ticket, [])
        word = line.word
        if chain:
            incident = self.incidents[chain[-1]]
            view = incident.view(self.now)
            if not view.closed or continues(view, word) or any(word.key == e.key for e in incident.state.log):
                incident.hear(word)
                self._settle(chain[-1])
                return
            word = as_opening(word, view)
        self._open(line.ticket, line.customer, word)

    def _open(self, ticket: str, customer: str, word: Delivery) -> None:
        chain = self.chains.setdefault(ticket, [])
        before = self.incidents[chain[-1]].view(self.now).closed_at if chain else None
        label = ticket if not chain else f"{ticket}/{len(chain) + 1}"
        state = IncidentState(source="story", ticket=ticket, customer=customer, contract=self.script.story.contract,
                              playbook=self.script.story.playbook, number=len(chain) + 1, after=before)  # fmt: skip
        incident = self.incidents[label] = Incident(state)
        chain.append(label)
        product = word.event.product if word.event.event == "opened" else None
        line, contract = self.world.line(customer, product)
        incident.pin(self.world.pin(contract, self.script.story.playbook, word.occurred_at), word.received_at)
        if word.event.event == "opened":
            self._read_from(incident, word, first=len(chain) == 1)
        ledger = self.accounts[customer].enrol(label, line, known=False)
        incident.told_standing(Ledger(**dict(ledger)), word.received_at, enrolled=True)
        incident.hear(word)
        self._settle(label)

    def _payment(self, customer: str, word: AccountDelivery) -> None:
        account = self.accounts[customer]
        account.hear(word)
        for ledger in account.untold():
            for label in account.of_line(ledger.line):
                incident = self.incidents[label]
                if not incident.view(self.now).closed:
                    incident.told_standing(Ledger(**dict(ledger)), word.received_at)
                    self._settle(label)
        account.state.told = account.version
        self._say(customer)

    def _say(self, customer: str) -> None:
        """What the account itself owes its customer and us."""
        account = self.accounts[customer]
        while owed := account.view(self.now).owed:
            account.begin(owed)
            chosen = choose_account(owed, self.world.roster(owed[0].at), self.customers[customer].payers())
            account.finish(owed, [done(step, outcome) for step, outcome in chosen])

    def _settle(self, label: str) -> None:
        incident = self.incidents[label]
        self._read(incident)
        self._moved(incident)
        while True:
            view = incident.view(self.now)
            if not view.owed:
                break
            incident.begin(view.owed)
            customer = self.customers[incident.state.customer].recipient(view.customer)
            roster = self.world.roster(view.owed[0].at)
            chosen = choose(view.owed, roster, incident.scene(view), customer)
            fallback = roster.recipient(roster.team.fallback)
            incident.finish(view.owed, [done(step, outcome, fallback) for step, outcome in chosen])
        if self.watch is not None:
            self.watch(label, incident, self.now)
        for word in incident.afterwords(view):
            self._open(incident.state.ticket, incident.state.customer, word)

    def _read(self, incident: Incident) -> None:
        if incident.is_read:
            return
        opening = next((line.word for line in self.script.lines if isinstance(line.word, Delivery) and line.word.event.event == "opened"
                        and any(e.key == line.word.key for e in incident.state.log)), None)  # fmt: skip
        if opening is not None:
            self._move(incident, opening)
            self._read_from(incident, opening)

    def _read_from(self, incident: Incident, opening: Delivery, *, first: bool = True) -> None:
        customer = self.customers[incident.state.customer]
        language = self.world.language(incident.pinned.contract, opening)
        told = read(incident.pinned.contract, opening, customer, language)
        # T11: a ticket's customer is asked once, not again by a follow-up.
        incident.was_read(told if first else told.model_copy(update={"missing": ()}), opening.received_at)

    def _move(self, incident: Incident, opening: Delivery) -> None:
        """An opening heard late may be the first to name the product, and so the contract line."""
        customer = incident.state.customer
        line, contract = self.world.line(customer, getattr(opening.event, "product", None))
        if line == incident.ledger.line:
            return
        pinned = self.world.pin(contract, self.script.story.playbook, opening.occurred_at)
        incident.pin(pinned, opening.received_at, f"pinned:line:{line}")
        label = next(label for label, one in self.incidents.items() if one is incident)
        ledger = self.accounts[customer].enrol(label, line, known=True)
        incident.told_standing(Ledger(**dict(ledger)), opening.received_at, enrolled=True)

    def _moved(self, incident: Incident) -> None:
        for line in incident.moves():
            name = getattr(line.event, "to", None) or self.script.story.contract
            pinned = self.world.pin(name, self.script.story.playbook, line.occurred_at)
            incident.pin(pinned, line.received_at, f"pinned:{line.key}")

    def result(self, engine: str, table: Timetable) -> dict[str, Any]:
        """What `play --json` prints."""
        return {
            "title": self.script.story.title,
            "engine": engine,
            "contract": {"name": self.contract.name, "version": self.contract.version},
            "now": report.local(table, self.now),
            "incidents": {
                label: report.incident(
                    incident.view(self.now), incident.state.log, incident.pinned.calendar.timetable()
                )
                for label, incident in self.incidents.items()
            },
            "customers": {
                id: report.account(account.view(self.now), account.state.log, table)
                for id, account in self.accounts.items()
            },
            "availability": {},
        }
