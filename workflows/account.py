"""A customer's account: its payment standing, the incidents enrolled with it, and the telling of them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.calls import AccountState, AccountTerms, OpenAccount, Roll, Telling
    from sla import account, names
    from sla.events import AccountDelivery, Ledger
    from workflows.messages import read_signal

BATCH = 500
ROLL_CALL = 500
"""The roll is counted, and closed incidents forgotten, when it has grown by so many and doubled."""


@workflow.defn(name=names.ACCOUNT_WORKFLOW)
class AccountWorkflow:
    """One customer's account; it lives for ever."""

    @workflow.init
    def __init__(self, state: AccountState) -> None:
        self.state = state
        self.woken = False
        self._enrolled = set(state.enrolled)
        self.published = state.ledger.version
        self._fold()

    @workflow.run
    async def run(self, state: AccountState) -> None:
        if self.state.terms is None:
            asked = OpenAccount(customer=self.state.customer, contract=self.state.contract)
            self.state.terms = await workflow.execute_local_activity(
                names.OPEN_ACCOUNT, asked, result_type=AccountTerms, start_to_close_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)), summary="read the customer's contract",
            )  # fmt: skip
            self._fold()
            self._publish()
        while True:
            await workflow.wait_condition(lambda: self.woken or self._has_work())
            # Only what woke us by an event of its own may decide this: see IncidentWorkflow._renew.
            if self.woken and workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                # Left to itself, the server carries over the memo of the start.
                workflow.continue_as_new(self.state, memo={names.LEDGER: self.state.ledger})
            self.woken = False
            if self.state.told < self.state.ledger.version:
                await self._tell()
            elif self._roll_is_long():
                await self._count_roll()

    @workflow.signal(dynamic=True)
    def heard(self, name: str, args: Sequence[RawValue]) -> None:
        """Every signal of every name; what cannot be read is kept as a dead letter, and nothing raises."""
        word, why, text = read_signal(name, args, workflow.payload_converter(), {names.DELIVER: AccountDelivery})
        if isinstance(word, AccountDelivery):
            self.state.log.append(word)
            self.state.heard_at = max(word.received_at, self.state.heard_at or word.received_at)
            self._fold()
            self._publish()
        else:
            letter = {"at": workflow.now().isoformat(), "name": name[:200], "why": why[:500], "what": text}
            self.state.dead_letters = [*self.state.dead_letters, letter][-200:]
        self.woken = True

    @workflow.update(name=names.ENROL, description="Enrol an incident and read the ledger, in one act.")
    async def enrol(self, incident: str) -> Ledger:
        """Enrolling and reading are one atomic act: no incident can miss a suspension."""
        await workflow.wait_condition(lambda: self.state.terms is not None)
        if incident not in self._enrolled:
            self.state.enrolled.append(incident)
            self._enrolled.add(incident)
            self.woken = True
        return self.state.ledger

    @workflow.query(name=names.LEDGER, description="The ledger: standing, since when, every stretch of suspension.")
    def ledger(self) -> Ledger:
        """What a step asks before it speaks."""
        return self.state.ledger

    @workflow.query(name=names.STATUS, description="Standing, what was told, who is enrolled.")
    def status(self) -> dict[str, Any]:
        """The account as `status --json` prints it."""
        return {
            "customer": self.state.customer,
            "standing": self.state.ledger.standing,
            "since": None if self.state.ledger.since is None else self.state.ledger.since.isoformat(),
            "version": self.state.ledger.version,
            "told": self.state.told,
            "ready": self.state.terms is not None,
            "enrolled": len(self.state.enrolled),
            "events": len(self.state.log),
            "dead_letters": self.state.dead_letters,
        }

    def _fold(self) -> None:
        """Read the log anew; only a ledger that says something else gets a new version. Nothing is said before the terms are known."""
        if self.state.terms is None:
            return
        ledger = account.fold(self.state.log, suspends=self.state.terms.suspends, version=self.state.ledger.version)
        if ledger != self.state.ledger:
            self.state.ledger = ledger.model_copy(update={"version": ledger.version + 1})
        standing = f"**{self.state.ledger.standing}**"
        since = (
            "" if self.state.ledger.since is None else f" since {self.state.ledger.since.isoformat(timespec='minutes')}"
        )
        workflow.set_current_details(
            f"{self.state.customer}: {standing}{since}; {len(self.state.enrolled)} incidents enrolled"
        )

    def _publish(self) -> None:
        """Put the ledger where a step reads it without asking us, in the very task in which it changed."""
        if self.state.ledger.version != self.published:
            workflow.upsert_memo({names.LEDGER: self.state.ledger})
            self.published = self.state.ledger.version

    def _has_work(self) -> bool:
        return self.state.told < self.state.ledger.version or self._roll_is_long()

    def _roll_is_long(self) -> bool:
        return len(self.state.enrolled) >= max(ROLL_CALL, 2 * self.state.counted)

    async def _tell(self) -> None:
        version = self.state.ledger.version
        ledger, at = self.state.ledger, self.state.heard_at or workflow.now()
        roll = list(self.state.enrolled)
        for start in range(0, len(roll), BATCH):
            batch = tuple(roll[start : start + BATCH])
            gone = await workflow.execute_activity(
                names.TELL_INCIDENTS, Telling(customer=self.state.customer, ledger=ledger, at=at, incidents=batch), result_type=Roll,
                start_to_close_timeout=timedelta(minutes=10), heartbeat_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
                summary=f"tell {len(batch)} incidents: {ledger.standing}",
            )  # fmt: skip
            self._forget(gone.incidents)
        self.state.told = version

    async def _count_roll(self) -> None:
        gone: list[str] = []
        roll = list(self.state.enrolled)
        for start in range(0, len(roll), BATCH):
            came = await workflow.execute_activity(
                names.COUNT_ROLL, Roll(incidents=tuple(roll[start : start + BATCH])), result_type=Roll,
                start_to_close_timeout=timedelta(minutes=10), heartbeat_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)), summary="which incidents are closed",
            )  # fmt: skip
            gone += came.incidents
        self._forget(tuple(gone))
        self.state.counted = len(self.state.enrolled)

    def _forget(self, gone: tuple[str, ...]) -> None:
        closed = set(gone)
        self.state.enrolled = [incident for incident in self.state.enrolled if incident not in closed]
        self._enrolled = set(self.state.enrolled)
