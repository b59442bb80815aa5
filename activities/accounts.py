"""What an account does outside itself: read its customer's contract, tell its incidents, count its roll."""

import asyncio
from dataclasses import dataclass

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import AccountTerms, OpenAccount, Roll, StandingWord, Telling
from activities.policies import Policies
from sla import names

IN_FLIGHT = 50


@dataclass
class AccountActivities:
    """Needs the policies and a client for telling."""

    policies: Policies
    client: Client

    @activity.defn(name=names.OPEN_ACCOUNT)
    async def open_account(self, asked: OpenAccount) -> AccountTerms:
        """Whether the customer's contract suspends support when a payment lapses."""
        contract = self.policies.contract(asked.customer, asked.contract)
        return AccountTerms(suspends=contract.suspends, contract=contract.name)

    @activity.defn(name=names.TELL_INCIDENTS)
    async def tell_incidents(self, asked: Telling) -> Roll:
        """Signal the ledger to each incident, 50 in flight; resumes where it was. Gives back those that are closed."""
        details = activity.info().heartbeat_details
        told, gone = (int(details[0]), list(details[1])) if details else (0, [])
        word = StandingWord(ledger=asked.ledger, at=asked.at)

        async def tell(incident: str) -> str | None:
            try:
                await self.client.get_workflow_handle(incident).signal(names.STANDING_TOLD, word)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                return incident
            return None

        for start in range(told, len(asked.incidents), IN_FLIGHT):
            answers = await asyncio.gather(*map(tell, asked.incidents[start : start + IN_FLIGHT]))
            gone += [answer for answer in answers if answer is not None]
            activity.heartbeat(start + IN_FLIGHT, gone)
        return Roll(incidents=tuple(gone))

    @activity.defn(name=names.COUNT_ROLL)
    async def count_roll(self, asked: Roll) -> Roll:
        """Which of the incidents are closed; looking costs nothing."""
        gone: list[str] = []

        async def closed(incident: str) -> str | None:
            try:
                found = await self.client.get_workflow_handle(incident).describe()
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                return incident
            return None if found.status == WorkflowExecutionStatus.RUNNING else incident

        for start in range(0, len(asked.incidents), IN_FLIGHT):
            answers = await asyncio.gather(*map(closed, asked.incidents[start : start + IN_FLIGHT]))
            gone += [answer for answer in answers if answer is not None]
            activity.heartbeat(start)
        return Roll(incidents=tuple(gone))
