"""`reconcile`: what the billing sources say, compared with what the accounts believe."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Annotated, Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from activities.message import one_line
from sla import names
from starter.commands import terminal
from starter.commands.failures import WORKER, RefusalError
from starter.commands.options import Json, option
from starter.home import Home

if TYPE_CHECKING:
    from activities.calls import Reconciled

TAKEN_UP = 10.0
"""Seconds in which a worker takes up what waits for one."""
STARTED = 3
"""So many events has the history of a workflow that no worker has taken up, at most."""


def reconcile(
    customer: Annotated[
        list[str] | None, option("CUSTOMER", "Only this customer; may be repeated.", "--customer")
    ] = None,
    json: Json = False,
) -> None:
    """Read the payments of every linked customer now, and have the accounts look again that do not agree.

    It runs by itself every ten minutes (PACTKEEPER_RECONCILE_MINUTES), so that a webhook that never came is made good.

    Example: pactkeeper reconcile --customer acme
    """
    from starter.connect import ask

    came = ask(Home.here(), lambda client: _reconciled(client, tuple(customer or ())))
    if json:
        terminal.as_json(came.model_dump())
        return
    terminal.show(sentence(came))
    if came.failed:
        terminal.note("why some could not be read is in the worker's log; an account that looks says it, too")


def sentence(came: "Reconciled") -> str:
    """`4 customers read: 3 agree with their accounts, 1 account looks again; 0 could not be read`."""
    read = "1 customer read" if came.read == 1 else f"{came.read} customers read"
    agreed = "1 agrees with its account" if came.agreed == 1 else f"{came.agreed} agree with their accounts"
    looked = "1 account looks again" if came.looked == 1 else f"{came.looked} accounts look again"
    revised = f"; {came.revised} read their terms again" if came.revised else ""
    return f"{read}: {agreed}, {looked}; {came.failed} could not be read{revised}"


async def _reconciled(client: Client, only: tuple[str, ...]) -> "Reconciled":
    from activities.calls import Reconcile, Reconciled

    handle: WorkflowHandle[Any, Reconciled] = await client.start_workflow(
        names.RECONCILE_WORKFLOW, Reconcile(only=only), id=f"reconcile-billing/by-hand-{uuid.uuid4()}",
        task_queue=names.TASK_QUEUE, result_type=Reconciled,
    )  # fmt: skip
    result = asyncio.create_task(handle.result())
    try:
        done, _ = await asyncio.wait([result], timeout=TAKEN_UP)
        if not done and (await handle.describe()).history_length <= STARTED:
            await handle.terminate("no worker took it up")
            raise RefusalError(f"no worker took it up within {TAKEN_UP:.0f} s; {WORKER}")
        return await result
    except WorkflowFailureError as error:
        why = getattr(error.cause, "cause", None) or error.cause
        raise RefusalError(f"the comparison failed: {one_line(str(getattr(why, 'message', why)), 300)}") from None
    finally:
        result.cancel()
