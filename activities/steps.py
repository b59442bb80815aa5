"""Carrying out steps: ask the account's ledger, choose whom each step tells, and tell them, once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import CarriedOut, CarryOut, TellAccount
from activities.policies import Policies
from sla import names
from sla.customer import Customer
from sla.entries import StepDone
from sla.ledger import AccountLedger, Ledger
from sla.perform import choose, done
from sla.roster import Outcome, Roster
from sla.steps import Step

PATIENT_ATTEMPTS = 4
"""So often an account is asked, over about a minute, before a step speaks without an answer."""


class Teller(Protocol):
    """Brings notices to people. Telling the same notice again has no second effect."""

    async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
        """Say what an incident owes; steps of a bundle are put by, and said with what its account says."""

    async def tell_account(
        self, asked: TellAccount, chosen: Sequence[tuple[Step, Outcome]], attempt: int, beat: Callable[[], None]
    ) -> None:
        """Say what an account owes, and what its incidents have put by; `beat` is called every few seconds."""

    async def sweep_bundles(self) -> int:
        """Send what was put by long ago and nobody came for; how many messages went out."""


@dataclass
class StepActivities:
    """Needs the policies, a client for the ledger, and somebody who tells."""

    policies: Policies
    client: Client
    teller: Teller

    @activity.defn(name=names.CARRY_OUT)
    async def carry_out(self, asked: CarryOut) -> CarriedOut:
        """The outcome of each step. One that must not speak, since support is suspended, is held back."""
        return await self.perform(asked, activity.info().attempt)

    async def perform(self, asked: CarryOut, attempt: int) -> CarriedOut:
        """`carry_out`, for another activity too; it raises what the teller raises."""
        await self.policies.fresh()
        ledger = await self._ledger(asked.scene.customer, asked.line, attempt) if asked.asks_ledger else None
        silent = {
            s.key
            for s in asked.steps
            if ledger is not None and not s.speaks_when_suspended and ledger.stretch(s.at) is not None
        }
        spoken = [step for step in asked.steps if step.key not in silent]
        known = self.policies.customer(asked.scene.customer or "") or Customer(id=asked.scene.customer or "unknown")
        chosen, fallback = [], None
        if spoken:
            roster = Roster.around(self.policies.team(), spoken[0].at)
            chosen = choose(spoken, roster, asked.scene, known.recipient(asked.scene.requester))
            await self.teller.tell(asked, chosen, attempt)
            fallback = roster.recipient(roster.team.fallback)
        outcomes = {step.key: done(step, outcome, fallback) for step, outcome in chosen}
        back = {key: StepDone(step_key=key, held_back=True) for key in silent}
        return CarriedOut(outcomes=tuple((outcomes | back)[step.key] for step in asked.steps), ledger=ledger)

    async def _ledger(self, customer: str | None, line: str, attempt: int) -> Ledger | None:
        """The account's ledger, as all that it has acknowledged makes it. None: there is no account, or it does not
        answer again and again; then we speak, for a page that waits for ever is worse than one too many.

        It stands in the account's memo, and reading that costs nothing. A query, an action, is needed only while the
        account has something before it that may change the ledger.
        """
        handle = self.client.get_workflow_handle(names.account_id(customer or "unknown"))
        try:
            told = await handle.describe()
            if not told.raw_description.HasField("pending_workflow_task"):
                noted: AccountLedger | None = await told.memo_value(names.LEDGER, None, type_hint=AccountLedger)
                if noted is not None:
                    return Ledger(**dict(noted.of(line)))
            ledger: AccountLedger = await handle.query(names.LEDGER, result_type=AccountLedger)
            return Ledger(**dict(ledger.of(line)))
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            said = f"the account of {names.canonical(customer or 'unknown')} cannot be asked: {error.message}"
            if attempt <= PATIENT_ATTEMPTS:
                raise ApplicationError(said, type="AccountUnavailable") from None
            activity.logger.warning("%s", said)
            return None
