"""Making an incident ready: its contract and calendar pinned, its opening read, enrolled with its account, its receipt told."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from temporalio import activity
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from activities import dispatch
from activities.calls import CarryOut, FollowUp, OpenedIncident, OpenIncident, Pin, ReadLate, ReadOpening
from activities.language import detect
from activities.policies import Policies
from activities.steps import StepActivities
from records.shelf import PolicyFileError
from sla import names
from sla.entries import Read
from sla.events import Delivery
from sla.incident import Incident, IncidentState, as_opening, continues
from sla.ledger import Ledger
from sla.perform import read
from sla.policy import Contract, PinnedContract

ENROLLING = 8
"""Enrolments with one account under way at once: the server takes ten, and sends away what is more."""
AT_ONCE = 3.0
"""Seconds in which what is owed at the opening is said along with it; what takes longer is said later, beside the loop."""


def language_of(contract: Contract, word: Delivery) -> tuple[str | None, str | None]:
    """The language of an opening, asked only where the contract cares and nobody told it."""
    what = word.event
    if contract.language is None or what.event != "opened" or what.language is not None:
        return None, None
    return detect(f"{what.subject}\n{what.body}")


def product_of(word: Delivery) -> str | None:
    """The product that an opening is about, where it says."""
    return word.event.product if word.event.event == "opened" else None


@dataclass
class IncidentActivities:
    """Needs the policies, a client for enrolling, and who carries out steps."""

    policies: Policies
    client: Client
    steps: StepActivities
    _turns: WeakValueDictionary[str, asyncio.Semaphore] = field(default_factory=WeakValueDictionary)

    @activity.defn(name=names.OPEN_INCIDENT)
    async def open_incident(self, asked: OpenIncident) -> OpenedIncident:
        """What an incident begins with. A link after the first looks at the closed one before it."""
        await self.policies.fresh()
        state, word = asked.state, asked.word
        number, after, contract = state.number, None, state.contract
        before = None
        if state.link > 1:
            before = await self._before(names.incident_id(state.source, state.ticket, state.link - 1))
        if before is not None:
            view = before.view(word.received_at)
            if continues(view, word):
                assert before.state.pinned is not None
                ledger = await self._enrol(asked.incident, state, before.ledger.line)
                return OpenedIncident(pinned=before.state.pinned, ledger=ledger, word=word, carried=before.state)
            word = as_opening(word, view)
            number, after, contract = before.state.number + 1, view.closed_at, contract or before.state.contract
        line, contract = self.policies.line(state.customer, contract, product_of(word))
        pinned = self.policies.pin(state.customer, contract, state.playbook, word.occurred_at)
        opening = self._read(state, pinned.contract, word) if word.event.event == "opened" else None
        if (
            opening is not None and before is not None
        ):  # T11: a ticket's customer is asked once, not again by a follow-up
            opening = opening.model_copy(update={"missing": ()})
        ledger = await self._enrol(asked.incident, state, line.id)
        opened = OpenedIncident(pinned=pinned, ledger=ledger, word=word, read=opening, after=after, number=number)
        return await self._told_at_once(asked, opened) if asked.alone else opened

    async def _told_at_once(self, asked: OpenIncident, opened: OpenedIncident) -> OpenedIncident:
        """Say what is owed by the opening alone. What cannot be said now stays owed."""
        at = asked.word.received_at
        incident = opened.incident(asked.state, at)
        incident.hear(opened.word)
        view = incident.view(at)
        if not view.owed:
            return opened
        try:
            async with asyncio.timeout(AT_ONCE):
                came = await self.steps.perform(CarryOut.owed(asked.incident, incident, view, at), 1)
        except (TimeoutError, ApplicationError) as error:
            activity.logger.warning("the first notices of %s wait: %s", asked.incident, error)
            return opened
        ledger = came.ledger or opened.ledger
        return opened.model_copy(update={"begun": view.owed, "came": came.outcomes, "ledger": ledger})

    @activity.defn(name=names.READ_OPENING)
    async def read_opening(self, asked: ReadOpening) -> ReadLate:
        """Read an opening that came after other words; it may be the first to name the product, and so the contract line."""
        await self.policies.fresh()
        pinned, ledger, state = asked.pinned, None, asked.state
        if state is not None and asked.incident is not None:
            line, contract = self.policies.line(state.customer, state.contract, product_of(asked.word))
            if asked.line and line.id != asked.line:
                pinned = self.policies.pin(state.customer, contract, state.playbook, asked.word.occurred_at)
                ledger = await self._enrol(asked.incident, state, line.id, moved=True)
        told = self._read(
            state or IncidentState(source="", ticket="", customer=asked.customer), pinned.contract, asked.word
        )
        return ReadLate(**dict(told), pinned=pinned if ledger is not None else None, ledger=ledger)

    @activity.defn(name=names.PIN)
    async def pin(self, asked: Pin) -> PinnedContract:
        """Pin anew: another contract, a revised calendar, or the same further ahead."""
        await self.policies.fresh()
        if asked.extend is not None:
            return self.policies.further(asked.extend, asked.at)
        try:
            return self.policies.pin(asked.customer, asked.contract, asked.playbook, asked.at)
        except PolicyFileError as error:
            raise ApplicationError(str(error), type="PolicyFileError", non_retryable=True) from None

    @activity.defn(name=names.FOLLOW_UP)
    async def follow_up(self, asked: FollowUp) -> None:
        """Hand words on to the ticket's next link."""
        state = asked.state
        for word in asked.words:
            await dispatch.deliver(self.client, state.source, state.ticket, state.customer, word, task_queue=activity.info().task_queue,
                                   contract=state.contract, playbook=state.playbook, first_link=state.link + 1,
                                   policies=self.policies)  # fmt: skip

    async def _before(self, id: str) -> Incident | None:
        """The closed incident that a link follows; None where it did not end by itself (somebody terminated it)."""
        try:
            state: IncidentState = await self.client.get_workflow_handle(id, result_type=IncidentState).result()
        except WorkflowFailureError:
            return None
        return Incident(state) if state.pinned is not None else None

    async def _enrol(self, incident: str, state: IncidentState, line: str, *, moved: bool = False) -> Ledger:
        """Enrolling and reading the ledger are one atomic act."""
        start: WithStartWorkflowOperation[Any, None] = WithStartWorkflowOperation(
            names.ACCOUNT_WORKFLOW, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_queue=names.accounts_queue(activity.info().task_queue), **dispatch.account(state.customer, state.contract),
        )  # fmt: skip
        turns = self._turns.setdefault(state.customer, asyncio.Semaphore(ENROLLING))
        async with turns:
            ledger: Ledger = await self.client.execute_update_with_start_workflow(
                names.ENROL,
                args=[incident, line],
                start_workflow_operation=start,
                id=f"{incident}:{line}" if moved else incident,
                result_type=Ledger,
            )
        return ledger

    def _read(self, state: IncidentState, contract: Contract, word: Delivery) -> Read:
        told = read(contract, word, self.policies.customer(state.customer), language_of(contract, word))
        return told.model_copy(update={"writes": True}) if self.policies.writes(state.source) else told
