"""A customer's account: append an event, make the ledger anew, tell the enrolled incidents, do what is owed, wait. For ever."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.calls import (
        AccountTold,
        BillingRead,
        Look,
        OpenAccount,
        Outstanding,
        ReadBilling,
        Revise,
        Roll,
        TellAccount,
        Telling,
    )
    from sla import names, report
    from sla.account import Account, AccountState, AccountView
    from sla.account_events import AccountDelivery
    from sla.civil import from_us
    from sla.ledger import AccountLedger, Ledger
    from sla.standing import AccountTerms
    from workflows.account_card import account_card, account_timer
    from workflows.account_lines import of_line
    from workflows.deciders import Deciders
    from workflows.messages import read_signal

BATCH = 5000
ROLL_CALL = 500
"""The roll is counted, and closed incidents forgotten, when it has grown by so many and doubled."""
HEARS = {names.DELIVER: AccountDelivery, names.LOOK: Look, names.REVISE: Revise}
PATIENT = RetryPolicy(maximum_interval=timedelta(seconds=30))
TELLING = 60
"""Attempts, half an hour of them, before an incident that takes no signal is let be."""
LISTED = 50


@workflow.defn(name=names.ACCOUNT_WORKFLOW)
class AccountWorkflow(Deciders):
    """One customer's account; it lives for ever."""

    @workflow.init
    def __init__(self, state: AccountState) -> None:
        self.account = Account(state)
        # A run that goes on with an account arms its timer, and takes up what its predecessor left.
        self.woken = state.terms is not None
        self.revised = state.revised
        self.relinked = state.revised
        self.looks = state.looks
        self.looking: asyncio.Task[None] | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.told_now = 0
        self.timer: asyncio.Task[None] | None = None
        self.armed: datetime | None = None
        self._enrolled = set(state.enrolled)
        self.published = self._published() if state.terms is not None else (0, "")

    @workflow.run
    async def run(self, state: AccountState) -> None:
        if self.account.state.terms is None:
            await self._read_terms()
            self._publish()
            self.woken = True
        while True:
            self._show()
            await workflow.wait_condition(lambda: self.woken or self._has_work())
            # Only what woke us by an event of its own may decide this: see IncidentWorkflow._renew.
            # A look that is under way, be it for days since a key is refused, is begun anew by the next run.
            # So is what is being said, since the records may be down: whoever heard it already does not hear it again.
            if self.woken and workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                self.account.state.looks = self.looks or self.looking is not None
                self.account.state.revised = self.revised
                # Left to itself, the server carries over the memo of the start.
                workflow.continue_as_new(self.account.unfinished(), memo={names.LEDGER: self.account.state.ledger})
            self.woken = False
            if self.revised or self.account.calendar_runs_out(workflow.now()):
                self.revised = False
                await self._read_terms()
                self._publish(again=True)
                self.looks = self.looks or (self.relinked and any(line.linked for line in self.account.terms.all))
                self.relinked = False
            if self.looks and self.looking is None:
                self.looks = False
                self.looking = asyncio.create_task(self._look())
            if self.account.untold():
                await self._tell()
            elif self._roll_is_long():
                await self._count_roll()
            else:
                self._begin()
                self._arm()

    # What comes in

    @workflow.signal(dynamic=True)
    def heard(self, name: str, args: Sequence[RawValue]) -> None:
        """Every signal of every name; what cannot be read is kept as a dead letter, and nothing raises."""
        word, why, text = read_signal(name, args, workflow.payload_converter(), HEARS)
        if isinstance(word, AccountDelivery):
            self.hear(word)
        elif isinstance(word, Look):
            self.looks = True
        elif isinstance(word, Revise):
            self.revised, self.relinked = True, self.relinked or word.looks
        else:
            self.account.put_aside(workflow.now(), name, why, text)
        self.woken = True

    def hear(self, word: AccountDelivery) -> None:
        """Take one word; what it changes is there to be read in the very task in which it came."""
        self.account.hear(word)
        self._publish()
        self.woken = True

    @workflow.update(name=names.ENROL, description="Enrol an incident and read the ledger of its line, in one act.")
    async def enrol(self, incident: str, line: str | None = None) -> Ledger:
        """Enrolling and reading are one atomic act: no incident can miss a suspension."""
        await workflow.wait_condition(lambda: self.account.state.terms is not None)
        known = incident in self._enrolled
        self._enrolled.add(incident)
        self.woken = self.woken or not known
        return Ledger(**dict(self.account.enrol(incident, line, known)))

    # What is asked

    @workflow.query(name=names.LEDGER, description="The ledger: standing, since when, every stretch of suspension.")
    def ledger(self) -> AccountLedger:
        """What a step asks before it speaks."""
        return self.account.state.ledger

    @workflow.query(name=names.WAKE, description="For which moment the timer is armed; none: no timer.")
    def wake(self) -> str | None:
        """The moment at which this account wakes by itself."""
        return None if self.armed is None else self.armed.isoformat()

    @workflow.query(
        name=names.STATUS,
        description="Standing of each line, what was told, who is enrolled. Argument: a moment (ISO 8601), or none for the last one.",
    )
    def status(self, at: str | None = None) -> dict[str, Any]:
        """The account as `standing --json` prints it."""
        state = self.account.state
        view = self._view(at) if state.terms is not None else None
        told = {} if view is None else report.account(view, state.log)
        return {"standing": "current", "since": None} | told | {
            "customer": state.customer,
            "version": self.account.version,
            "told": self.account.version if not self.account.untold() else state.told,
            "ready": state.terms is not None and not self.revised,
            "in_flight": len(self.tasks) + (0 if view is None or not self.account.terms.lines else len(view.owed)),
            "looking": self.looks or self.looking is not None,
            "enrolled": len(state.enrolled),
            "events": len(state.log),
            "of_line": {} if view is None else of_line(self.account, view),
            "dead_letters": [letter.model_dump(mode="json") for letter in state.dead_letters],
        }  # fmt: skip

    def _view(self, at: str | None = None) -> AccountView:
        return self.account.view(datetime.fromisoformat(at) if at else workflow.now())

    # What goes out

    async def _read_terms(self) -> None:
        at = workflow.now()
        asked = OpenAccount(customer=self.account.state.customer, contract=self.account.state.contract, at=at)
        # No local activity: what is heard and enrolled meanwhile would not replay beside one.
        # Without terms there is no account; terms read again may be out of reach for a while, and those in force hold.
        again = RetryPolicy(maximum_interval=timedelta(seconds=30), maximum_attempts=5)
        try:
            terms = await workflow.execute_activity(
                names.OPEN_ACCOUNT, asked, result_type=AccountTerms, start_to_close_timeout=timedelta(seconds=20),
                retry_policy=PATIENT if self.account.state.terms is None else again, summary="read the customer's contract",
            )  # fmt: skip
        except ActivityError as error:
            self.account.put_aside(at, names.REVISE, str(error.cause or error), asked.model_dump_json())
            return
        self.account.take_terms(terms, at)

    def _publish(self, *, again: bool = False) -> None:
        """Put the ledger where a step reads it without asking us, in the very task in which it changed."""
        # What it goes by is shown along with a ledger, or when it was read again; alone, it is not worth a paid upsert.
        if self._published() != self.published and (again or self.account.version != self.published[0]):
            workflow.upsert_memo({names.LEDGER: self.account.state.ledger})
            self.published = self._published()

    def _published(self) -> tuple[int, str]:
        return self.account.version, self.account.state.ledger.terms

    def _has_work(self) -> bool:
        return bool(self.account.untold()) or self._roll_is_long()

    def _roll_is_long(self) -> bool:
        return len(self.account.state.enrolled) >= max(ROLL_CALL, 2 * self.account.state.counted)

    async def _tell(self) -> None:
        version, at = self.account.version, self.account.state.heard_at or workflow.now()
        told = 0
        for ledger in self.account.untold():
            roll = self.account.of_line(ledger.line)
            for start in range(0, len(roll), BATCH):
                batch = tuple(roll[start : start + BATCH])
                asked = Telling(customer=self.account.state.customer, ledger=ledger, at=at, incidents=batch)
                summary = f"tell {len(batch)} incidents: {ledger.standing}"
                try:
                    gone = await self._patiently(names.TELL_INCIDENTS, asked, Roll, summary, attempts=TELLING)
                except ActivityError as error:
                    # The rest was told; before such an incident speaks, it asks for the ledger by itself.
                    self.account.put_aside(at, names.STANDING_TOLD, str(error.cause or error), batch[0])
                    gone = Roll(incidents=())
                self._forget(gone.incidents)
                told += len(batch) - len(gone.incidents)
        self.account.state.told = version
        self.told_now = told
        self.woken = True

    async def _count_roll(self) -> None:
        gone: list[str] = []
        roll = list(self.account.state.enrolled)
        for start in range(0, len(roll), BATCH):
            batch = Roll(incidents=tuple(roll[start : start + BATCH]))
            gone += (await self._patiently(names.COUNT_ROLL, batch, Roll, "which incidents are closed")).incidents
        self._forget(tuple(gone))
        self.account.state.counted = len(self.account.state.enrolled)
        self.woken = True

    async def _patiently(self, name: str, asked: Any, result: Any, summary: str, attempts: int = 0) -> Any:
        return await workflow.execute_activity(
            name, asked, result_type=result, start_to_close_timeout=timedelta(minutes=30), heartbeat_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30), maximum_attempts=attempts), summary=summary,
        )  # fmt: skip

    def _forget(self, gone: tuple[str, ...]) -> None:
        self.account.forget(gone)
        self._enrolled = set(self.account.state.enrolled)

    def _begin(self) -> None:
        """Begin all that the account itself owes, beside the loop."""
        view = self._view()
        # Terms without lines were read before an account said anything itself; so their histories replay, for nothing.
        if not view.owed or not self.account.terms.lines:
            return
        self.account.begin(view.owed)
        task = asyncio.create_task(self._say(view))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _say(self, view: AccountView) -> None:
        state, first = self.account.state, self.account.terms.all[0]
        table = first.table
        offset = timedelta() if table is None else table.to_local(workflow.now()).utcoffset() or timedelta()
        asked = TellAccount(
            customer=state.customer, steps=view.owed, incidents=tuple(state.enrolled[:LISTED]), enrolled=len(state.enrolled),
            waits_for=self.told_now or len(state.enrolled), contract=first.contract, contract_title=first.contract_title,
            offset_minutes=int(offset.total_seconds() // 60),
        )  # fmt: skip
        self.told_now = 0
        said = ", ".join(dict.fromkeys(step.kind for step in view.owed))
        told: AccountTold = await self._patiently(names.TELL_ACCOUNT, asked, AccountTold, f"say: {said}")
        self.account.finish(view.owed, told.outcomes)
        self.woken = True

    async def _look(self) -> None:
        """Read the customer's payments where they are kept. Asked again meanwhile, we read again: the last answer counts."""
        out = [
            Outstanding(line=line, reference=due.reference, since=from_us(due.start), terminated=due.terminated)
            for line, due in self.account.dues
        ]
        asked = ReadBilling(customer=self.account.state.customer, outstanding=tuple(out))
        try:
            read: BillingRead = await workflow.execute_activity(
                names.READ_BILLING, asked, result_type=BillingRead, start_to_close_timeout=timedelta(minutes=2),
                retry_policy=RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=5)),
                summary="read the customer's payments",
            )  # fmt: skip
            for word in read.words:
                self.hear(word)
        except ActivityError as error:
            self.account.put_aside(workflow.now(), names.LOOK, str(error.cause or error), asked.model_dump_json())
        finally:
            self.looking = None
            self.woken = True

    # What the operator sees, and when we wake

    def _show(self) -> None:
        if self.account.state.terms is not None:
            workflow.set_current_details(account_card(self._view(), self.account))

    def _arm(self) -> None:
        """One lazy timer, as an incident's."""
        at = self._view().look_again_at
        if at is None or (self.armed is not None and self.armed <= at):
            return
        if self.timer is not None:
            self.timer.cancel()
        self.armed = at
        self.timer = asyncio.create_task(self._wake(at, account_timer(self._view())))

    async def _wake(self, at: datetime, summary: str) -> None:
        left = at - workflow.now()
        with suppress(asyncio.CancelledError):
            if left > timedelta(0):
                await workflow.sleep(left, summary=summary)
            self.armed = self.timer = None
            self.woken = True
