"""Bringing a word to its incident: an operator's as an update, which may be refused; a customer's as a signal."""

import asyncio
from datetime import UTC, datetime
from typing import TypeVar

from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from activities import dispatch
from sla import names
from sla.events import Delivery, Envelope, Event
from sla.incident import IncidentState
from starter.commands.failures import WORKER, RefusalError
from starter.commands.find import Found

D = TypeVar("D", bound=Envelope)
PATIENCE = 15.0
"""Seconds in which an incident answers, if a worker runs."""


def word(kind: type[D], event: Event, at: datetime, key: str) -> D:
    """The delivery of an event that happened at `at`, heard of now."""
    envelope = {"key": key, "occurred_at": at, "received_at": datetime.now(UTC)}
    try:
        return kind.model_validate({**envelope, "event": event})
    except ValueError:
        raise RefusalError(f"--key is {key[:60]!r}; write 1 to 500 characters", 2) from None


async def act(client: Client, found: Found, action: str, said: Delivery, *, late: bool) -> str:
    """Carry out an operator's action; the id of the incident that took it.

    A closed incident takes only what reopens it, and (`late`) what happened before: it goes on under a new run then.

    Raises:
        RefusalError: the incident is closed, or nobody answers.
        WorkflowUpdateFailedError: the incident refuses, in a sentence.
    """
    if found.running:
        try:
            async with asyncio.timeout(PATIENCE):
                await found.handle.execute_update(action, said, id=said.key)
                return found.handle.id
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise _silence(found) from None
        except RPCError as error:
            if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
                raise _silence(found) from None
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
    if said.event.event != "reopened" and not late:
        raise RefusalError(f"{found.called} is closed; `pactkeeper reopen {found.called} --by YOU` opens it again")
    return await _go_on(client, found, said)


async def tell(client: Client, found: Found, said: Delivery) -> str:
    """Bring a word that nobody can refuse; the id of the incident that took it."""
    if found.running:
        try:
            await found.handle.signal(names.DELIVER, said)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        else:
            return found.handle.id
    return await _go_on(client, found, said)


async def _go_on(client: Client, found: Found, said: Delivery) -> str:
    """Hand a word to the link after a closed one."""
    handle = client.get_workflow_handle(found.handle.id, result_type=IncidentState)
    try:
        async with asyncio.timeout(PATIENCE):
            state = await handle.result()
    except WorkflowFailureError:
        raise RefusalError(
            f"{found.called} was ended by force, not closed ({found.handle.id}); open a new ticket"
        ) from None
    return await dispatch.deliver(
        client, state.source, state.ticket, state.customer, said,
        contract=state.contract, playbook=state.playbook, first_link=found.link + 1,
    )  # fmt: skip


def _silence(found: Found) -> RefusalError:
    return RefusalError(
        f"{found.called} did not answer within {PATIENCE:.0f} s, and may still take it; is a worker running? {WORKER}"
    )
