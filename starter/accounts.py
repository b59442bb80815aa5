"""A customer's account from outside: an operator's decision, as an update that the account may refuse, and who is not current."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from temporalio.client import (
    Client,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from activities import dispatch
from activities.calls import Decision
from activities.message import one_line
from sla import names
from sla.ledger import AccountLedger, Ledger
from starter.port import Unavailable

PATIENCE: Final = 15.0
"""Seconds in which an account answers, if a worker runs."""
WEB_PATIENCE: Final = 8.0
OPENING: Final = "the account is being opened"
ACCOUNTS: Final = f"WorkflowType = '{names.ACCOUNT_WORKFLOW}' AND ExecutionStatus = 'Running'"


class RefusedDecision(Exception):
    """The account refuses, in a sentence; nothing has changed."""


class NoAccount(Exception):
    """The customer has no account yet: no incident of it was opened, and no payment was heard of."""


class Unanswered(Exception):
    """Nobody answered in time; the decision may still be taken, and the same key makes it count once."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A customer's account as the server's index has it, which may lag behind by a moment."""

    customer: str
    """As the account's id has it."""
    ledger: AccountLedger


@dataclass(frozen=True, slots=True)
class TemporalAccounts:
    """The accounts, for the web intake."""

    client: Client

    async def standing(self, customer: str) -> dict[str, Any] | None:
        """The account as it stands now; None: the customer has none yet."""
        handle = self.client.get_workflow_handle(names.account_id(customer))
        with _put_off():
            try:
                async with asyncio.timeout(WEB_PATIENCE):
                    told: dict[str, Any] = await handle.query(names.STATUS, datetime.now(UTC).isoformat())
            except RPCError as error:
                if _missing(error):
                    return None
                raise
        return told

    async def decide(self, customer: str, action: str, said: Decision, key: str) -> dict[str, Any]:
        """Carry out a decision; the account as it then stands."""
        with _put_off():
            opens = action == "grant_exception"
            return await decide(self.client, customer, action, said, key, opens=opens, patience=WEB_PATIENCE)


async def decide(
    client: Client,
    customer: str,
    action: str,
    said: Decision,
    key: str,
    *,
    opens: bool = False,
    patience: float = PATIENCE,
) -> dict[str, Any]:
    """Carry out a decision; the account as it then stands. `key` is the update's id: sent again, it is no second act.

    `opens`: an account that does not run yet is started first.

    Raises:
        RefusedDecision, NoAccount, Unanswered: see there.
        RPCError: the server is not well.
    """
    handle = client.get_workflow_handle(names.account_id(customer))
    try:
        async with asyncio.timeout(patience):
            if opens:
                await dispatch.open_account(client, customer)
            while True:
                try:
                    came: dict[str, Any] = await handle.execute_update(action, said, id=key)
                    return came
                except WorkflowUpdateFailedError as error:
                    sentence = str(getattr(error.cause, "message", error.cause))
                    if not sentence.startswith(OPENING):
                        raise RefusedDecision(sentence) from None
                await asyncio.sleep(0.2)
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        raise Unanswered(f"the account of {customer} did not answer within {patience:.0f} s") from None
    except RPCError as error:
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise Unanswered(f"the account of {customer} did not answer within {patience:.0f} s") from None
        if _missing(error):
            raise NoAccount(f"{customer} has had no incident and no payment event yet") from None
        raise


def _missing(error: RPCError) -> bool:
    return error.status == RPCStatusCode.NOT_FOUND and "amespace" not in error.message


@contextlib.contextmanager
def _put_off() -> Iterator[None]:
    """Whatever keeps the account from answering, the asker is to come again."""
    try:
        yield
    except (TimeoutError, Unanswered) as error:
        raise Unavailable(f"the account did not answer: {one_line(str(error), 200)}") from None
    except (RPCError, WorkflowQueryFailedError, RuntimeError) as error:
        raise Unavailable(f"the account can't be asked: {type(error).__name__}: {one_line(str(error), 200)}") from None


async def accounts(client: Client) -> AsyncIterator[Standing]:
    """Every account, with the ledger that it shows to all; no worker need run."""
    async for execution in client.list_workflows(ACCOUNTS):
        ledger = await execution.memo_value(names.LEDGER, AccountLedger(), type_hint=AccountLedger)
        yield Standing(execution.id.partition("/")[2], ledger)


def standings(ledger: AccountLedger) -> list[Ledger]:
    """The ledgers of all lines, the first line's first."""
    return [ledger, *ledger.lines.values()]
