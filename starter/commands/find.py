"""From what a person calls an incident to its workflow: the latest link of the ticket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.dispatch import MAX_LINKS
from sla import names
from starter.commands.failures import RefusalError
from worker.reference import OWN_SOURCE, reference

SEARCHED = 5000
"""So many open incidents are looked through for a ticket whose source was not said."""


@dataclass(frozen=True)
class Found:
    """An incident: its workflow, which link of its ticket it is, and whether it is still running."""

    handle: WorkflowHandle[Any, Any]
    link: int
    running: bool
    called: str
    """What the person calls it."""


def parts(workflow_id: str) -> tuple[str, str, int]:
    """Source, ticket and link of an incident's workflow id; source and ticket as the id has them."""
    _, source, ticket, *rest = workflow_id.split("/")
    return source, ticket, int(rest[0]) if rest else 1


async def find(client: Client, called: str, source: str | None) -> Found:
    """The incident that a person means.

    `incident/…` is a workflow's id; `SOURCE/TICKET` names both; a bare ticket is the command line's own, else the one
    open incident of that ticket in any source. With `source` the ticket is taken as it stands.

    Raises:
        RefusalError: there is none, or more than one.
    """
    called = called.strip()
    found = await latest(client, _base(called, source), called)
    if found is None and source is None and "/" not in called:
        found = await _elsewhere(client, called)
    if found is None:
        where = f" in {source}" if source else ""
        raise RefusalError(f"no incident is known for {called!r}{where}; `pactkeeper status` lists the open ones")
    return found


async def latest(client: Client, base: str, called: str) -> Found | None:
    """The last link of a ticket's incident, whose first link has the id `base`; None where no link exists."""
    found = await _upward(client, base, called, 1)
    if found is None:
        # The first link may be gone, closed longer ago than the server keeps it, while a follow-up lives on.
        async for execution in client.list_workflows(f"{_INCIDENTS} AND WorkflowId STARTS_WITH '{base}/'", limit=100):
            later = await _upward(client, base, called, parts(execution.id)[2])
            if later is not None and (found is None or later.link > found.link):
                found = later
    return found


async def listed(
    client: Client, *, customer: str | None = None, closed: bool = False, triage: bool = False, limit: int
) -> AsyncIterator[WorkflowExecution]:
    """Incidents as the server's index has them, which may lag behind by a moment; the open ones, or (`closed`) all.

    `triage`: those of which something is not known here, and nobody has looked yet.
    """
    query = _INCIDENTS if closed else f"{_INCIDENTS} AND ExecutionStatus = 'Running'"
    if triage:
        query += f" AND {names.TRIAGE} = true"
    if customer is not None:
        query += f" AND {names.CUSTOMER} = '{names.canonical(customer)}'"
    async for execution in client.list_workflows(query, limit=limit):
        yield execution


_INCIDENTS = f"WorkflowType = '{names.INCIDENT_WORKFLOW}'"


def _base(called: str, source: str | None) -> str:
    if not called:
        raise RefusalError("TICKET is empty; write the ticket's name, such as 4711", 2)
    if source is not None:
        return names.incident_id(source, called)
    head, *rest = called.split("/")
    if head == "incident" and len(rest) in (2, 3):
        return names.incident_id(rest[0], rest[1])
    if rest and head and rest[0]:
        return names.incident_id(head, called.partition("/")[2])
    return names.incident_id(OWN_SOURCE, called)


async def _upward(client: Client, base: str, called: str, first: int) -> Found | None:
    found: Found | None = None
    for link in range(first, MAX_LINKS + 1):
        handle = client.get_workflow_handle(base if link == 1 else f"{base}/{link}")
        try:
            told = await handle.describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND or "amespace" in error.message:
                raise
            break
        found = Found(handle, link, told.status == WorkflowExecutionStatus.RUNNING, called)
        if found.running:
            break
    return found


async def _elsewhere(client: Client, called: str) -> Found | None:
    """The open incident of a ticket whose source was not said."""
    wanted, bases = names.canonical(called), set[str]()
    async for execution in listed(client, limit=SEARCHED):
        source, ticket, _ = parts(execution.id)
        if ticket == wanted:
            bases.add(f"incident/{source}/{ticket}")
    if len(bases) > 1:
        several = ", ".join(sorted(reference(*parts(base)[:2]) for base in bases))
        raise RefusalError(f"ticket {called!r} is open in several sources; write one of: {several}")
    return await latest(client, bases.pop(), called) if bases else None
