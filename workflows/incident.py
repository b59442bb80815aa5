"""The incident: append an event, evaluate, do what is owed, sleep until something can change. Forever, until closed."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.attributes import attributes, changes
    from activities.calls import (
        CarriedOut,
        CarryOut,
        FollowUp,
        OpenedIncident,
        OpenIncident,
        Pin,
        ReadLate,
        ReadOpening,
        StandingWord,
        Words,
    )
    from sla import names, report
    from sla.evaluate import View, repinned_at
    from sla.events import Delivery
    from sla.incident import Incident, IncidentState
    from sla.policy import PinnedContract
    from sla.proof import proof
    from workflows.advice import support
    from workflows.card import card, details, timer_summary
    from workflows.messages import read_signal
    from workflows.operators import Operators

QUICK = timedelta(seconds=5)
"""How long the cheap way, a local activity, may take; what is slower goes beside the loop as an activity of its own."""


@workflow.defn(name=names.INCIDENT_WORKFLOW)
class IncidentWorkflow(Operators):
    """One support incident, from its first word until it is closed."""

    @workflow.init
    def __init__(self, state: IncidentState) -> None:
        self.incident = Incident(state.model_copy(update={"words": []}))
        self.stirred = False
        self.woken = False
        self.unread: list[Delivery] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.timer: asyncio.Task[None] | None = None
        self.armed: datetime | None = None
        for word in state.words:
            self.hear(word)

    @workflow.run
    async def run(self, state: IncidentState) -> IncidentState:
        living = asyncio.create_task(self._live())
        try:
            return await asyncio.shield(living)
        except asyncio.CancelledError:
            # The worker puts us out of its memory in the same way, and then there is no reason.
            if workflow.cancellation_reason() is None:
                raise
        # A promise to a customer does not end because somebody pressed a button of the server's; it sends that once a run.
        why = "an incident is closed, not cancelled: use the update `close`, or `pactkeeper close`"
        self.incident.put_aside(workflow.now(), "request cancellation", why, "")
        self.stirred = True
        return await living

    async def _live(self) -> IncidentState:
        if self.incident.state.pinned is None:
            await self._open()
        while True:
            await self._renew()
            self.stirred = self.woken = False
            await self._catch_up()
            view = self.incident.view(workflow.now())
            if view.owed:
                self._begin(view)
                view = self.incident.view(workflow.now())
            self._show(view)
            if view.closed and await self._over(view):
                return self.incident.state
            self._arm(view)
            await workflow.wait_condition(lambda: self.stirred)

    async def _renew(self) -> None:
        """Continue as new when the server suggests it, with all that was heard.

        Only when a signal, an update or the timer woke us: the outcome of a local activity may be replayed in an earlier
        task than it came in, whose suggestion was another.
        """
        if self.woken and workflow.info().is_continue_as_new_suggested() and not self.tasks and not self.unread:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(self.incident.state)

    # What comes in

    @workflow.signal(dynamic=True)
    def heard(self, name: str, args: Sequence[RawValue]) -> None:
        """Every signal of every name: what cannot be read is kept as a dead letter, and nothing raises."""
        word, why, text = read_signal(name, args, workflow.payload_converter())
        if isinstance(word, Delivery):
            self.hear(word)
        elif isinstance(word, Words):
            for one in word.words:
                self.hear(one)
        elif isinstance(word, StandingWord):
            self.incident.told_standing(word.ledger, word.at)
        else:
            self.incident.put_aside(workflow.now(), name, why, text)
        self.stirred = self.woken = True

    def hear(self, word: Delivery) -> None:
        """Take one word; the text of an opening is kept until it has been read."""
        if self.incident.hear(word) and (word.event.event == "opened" or self.incident.state.pinned is None):
            self.unread.append(word)
        self.stirred = self.woken = True

    # What is asked

    @workflow.query(
        name=names.STATUS,
        description="The clocks, who has it, what was sent. Argument: a moment (ISO 8601), or none for the last one.",
    )
    def status(self, at: str | None = None) -> dict[str, Any]:
        """The incident as `status --json` prints it."""
        if self.incident.state.pinned is None:
            return {"phase": "opening"}
        view = self._view(at)
        told = report.incident(view, self.incident.state.log, self._table())
        return told | {
            "incident": workflow.info().workflow_id,
            "ticket": self.incident.state.ticket,
            "number": self.incident.state.number,
            "customer": self.incident.state.customer,
            "contract": {"name": self.incident.pinned.contract.name, "version": self.incident.pinned.version},
            "standing": view.standing,
            "support": support(view, self.incident),
            "next_change_at": report.local(self._table(), view.next_change_at),
            "in_flight": view.in_flight,
            "dead_letters": [letter.model_dump(mode="json") for letter in self.incident.state.dead_letters],
        }

    @workflow.query(name=names.PLAN, description="Every step that will fire unless something happens first.")
    def plan(self) -> list[dict[str, Any]]:
        """The future of the ladder."""
        table = self._table()
        return [step.model_dump(mode="json") | {"at": report.local(table, step.at)} for step in self._view(None).plan]

    @workflow.query(
        name=names.PROOF,
        description="Why a deadline is what it is: the segments that add up to it. Argument: a clock, or none for all.",
    )
    def proof(self, clock: str | None = None) -> dict[str, Any]:
        """The proof of each deadline."""
        return proof(self._view(None), self.incident.pinned, clock)

    @workflow.query(name=names.LOG, description="The whole log, the engine's own records included.")
    def log(self) -> list[dict[str, Any]]:
        """The log, line by line."""
        return [line.model_dump(mode="json") for line in self.incident.state.log]

    @workflow.query(name=names.WAKE, description="For which moment the timer is armed; none: no timer.")
    def wake(self) -> str | None:
        """The moment at which this incident wakes by itself."""
        return None if self.armed is None else self.armed.isoformat()

    def _view(self, at: str | None) -> View:
        return self.incident.view(datetime.fromisoformat(at) if at else workflow.now())

    def _table(self) -> Any:
        return self.incident.pinned.calendar.timetable()

    # What goes out

    async def _open(self) -> None:
        await workflow.wait_condition(lambda: bool(self.unread))
        workflow.set_current_details(
            "Being opened. What keeps it from opening, if anything, stands under *Pending Activities*."
        )
        word = min(self.unread, key=lambda w: (w.event.event != "opened", w.received_at, w.key))
        opened = await self._local(
            names.OPEN_INCIDENT,
            OpenIncident(
                incident=workflow.info().workflow_id, state=self._bare(), word=word, alone=len(self.unread) == 1
            ),
            OpenedIncident,
            "pin contract and calendar, enrol with the account, read the opening and acknowledge it",
        )
        words, self.unread, before = self.unread, [], self.incident
        self.incident = opened.incident(before.state, word.received_at)
        self.incident.inherit(before)
        for heard in words:
            self.hear(opened.word if heard.key == word.key else heard)
        self.incident.begin(opened.begun)
        self.incident.finish(opened.begun, opened.came)
        self.unread = [w for w in self.unread if w.key != word.key]

    def _bare(self) -> IncidentState:
        return self.incident.state.model_copy(update={"log": [], "dead_letters": []})

    async def _catch_up(self) -> None:
        """What must be known before evaluating: an opening that came late, another contract, a further stretch of calendar."""
        while self.unread:
            word = self.unread.pop(0)
            if word.event.event == "opened" and not self.incident.is_read:
                asked = ReadOpening(
                    customer=self.incident.state.customer, pinned=self.incident.pinned, word=word,
                    incident=workflow.info().workflow_id, state=self._bare(), line=self.incident.ledger.line,
                )  # fmt: skip
                read: ReadLate = await self._local(names.READ_OPENING, asked, ReadLate, "read the opening message")
                read.taken(self.incident, word.received_at)
        for line in self.incident.moves():
            to = getattr(line.event, "to", None)
            try:
                pinned = await self._pin(to or self.incident.state.contract, line.occurred_at)
            except FailureError as error:
                self.incident.cannot_move(line, str(error.cause or error))
                continue
            self.incident.pin(pinned, line.received_at, f"pinned:{line.key}")
        if workflow.now() >= repinned_at(self.incident.pinned):
            pinned = await self._pin(None, workflow.now(), extend=self.incident.pinned)
            self.incident.pin(pinned, workflow.now(), f"pinned:ahead:{pinned.calendar.last.isoformat()}")

    async def _pin(self, contract: str | None, at: datetime, extend: PinnedContract | None = None) -> PinnedContract:
        asked = Pin(
            customer=self.incident.state.customer,
            contract=contract,
            playbook=self.incident.state.playbook,
            at=at,
            extend=extend,
        )
        pinned: PinnedContract = await self._local(
            names.PIN, asked, PinnedContract, "pin the contract and its calendar", may_refuse=extend is None
        )
        return pinned

    def _begin(self, view: View) -> None:
        """Begin all that is owed, beside the loop: a dead channel never keeps the incident from hearing."""
        self.incident.begin(view.owed)
        task = asyncio.create_task(self._carry_out(view))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _carry_out(self, view: View) -> None:
        asked, steps = CarryOut.owed(workflow.info().workflow_id, self.incident, view, workflow.now()), view.owed
        summary = details(steps)
        try:
            came = await workflow.execute_local_activity(
                names.CARRY_OUT, asked, result_type=CarriedOut, start_to_close_timeout=QUICK,
                retry_policy=RetryPolicy(maximum_attempts=1), summary=summary,
            )  # fmt: skip
        except FailureError:  # a local activity's failure comes bare, another's inside an ActivityError
            came = await workflow.execute_activity(
                names.CARRY_OUT, asked, result_type=CarriedOut, start_to_close_timeout=timedelta(minutes=1),
                retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=2)), summary=summary,
            )  # fmt: skip
        if came.ledger is not None:
            self.incident.told_standing(came.ledger, workflow.now())
        self.incident.finish(steps, came.outcomes)
        self.stirred = True

    async def _over(self, view: View) -> bool:
        """Whether all is done: nothing under way, nothing unheard, what came after the closing handed on."""
        words = self.incident.afterwords(view)
        if words:
            asked = FollowUp(incident=workflow.info().workflow_id, state=self._bare(), words=tuple(words))
            await self._local(names.FOLLOW_UP, asked, None, "open a follow-up incident")
            self.stirred = True
            return False
        if self.tasks or self.stirred or self.unread:
            return False
        await workflow.wait_condition(workflow.all_handlers_finished)
        return not self.stirred

    async def _local(self, name: str, asked: Any, result: Any, summary: str, *, may_refuse: bool = False) -> Any:
        """The cheap way, and if that fails, the one that an operator sees: pending, with its reason, until it goes through.

        Raises:
            FailureError: with `may_refuse`, it does not go through.
        """
        try:
            return await workflow.execute_local_activity(
                name, asked, result_type=result, start_to_close_timeout=2 * QUICK, summary=summary,
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=3),
            )  # fmt: skip
        except FailureError:  # a local activity's failure comes bare, another's inside an ActivityError
            if may_refuse:
                raise
        return await workflow.execute_activity(
            name, asked, result_type=result, start_to_close_timeout=timedelta(seconds=30), summary=summary,
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
        )  # fmt: skip

    # What the operator sees, and when we wake

    def _show(self, view: View) -> None:
        workflow.set_current_details(card(view, self.incident))
        changed = changes(
            workflow.info().typed_search_attributes,
            attributes(view, self.incident.state.customer, self.incident.pinned.version),
        )
        if changed and not (view.closed and not self.tasks):
            workflow.upsert_search_attributes(changed)

    def _arm(self, view: View) -> None:
        """One lazy timer: armed anew only when it must fire earlier; fired too early, it finds nothing due and is armed for the rest."""
        at = view.look_again_at
        if at is None or (self.armed is not None and self.armed <= at):
            return
        if self.timer is not None:
            self.timer.cancel()
        self.armed = at
        self.timer = asyncio.create_task(self._wake(at, timer_summary(view, self._table())))

    async def _wake(self, at: datetime, summary: str) -> None:
        left = at - workflow.now()
        with suppress(asyncio.CancelledError):
            if left > timedelta(0):
                await workflow.sleep(left, summary=summary)
            self.armed = self.timer = None
            self.stirred = self.woken = True
