"""Asking a workflow, with one sentence where nobody answers."""

import asyncio
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.message import one_line
from starter.commands.failures import WORKER, RefusalError

PATIENCE = 8.0
"""Seconds in which a workflow answers, if a worker runs."""


async def query(
    handle: WorkflowHandle[Any, Any], called: str, name: str, *args: Any, patience: float = PATIENCE
) -> Any:
    """The answer.

    Raises:
        RefusalError: nobody answers, most likely because no worker runs; or the workflow can't.
        RPCError: the server has no such workflow, or is not well.
    """
    try:
        async with asyncio.timeout(patience):
            return await handle.query(name, args=args)
    except TimeoutError:
        raise RefusalError(f"{called} did not answer within {patience:.0f} s; is a worker running? {WORKER}") from None
    except WorkflowQueryFailedError as error:
        raise RefusalError(f"{called} can't answer: {one_line(str(error))}") from None
    except RPCError as error:
        if error.status not in (
            RPCStatusCode.DEADLINE_EXCEEDED,
            RPCStatusCode.CANCELLED,
            RPCStatusCode.FAILED_PRECONDITION,
        ):
            raise
        raise RefusalError(f"{called} did not answer; is a worker running? {WORKER}") from None
