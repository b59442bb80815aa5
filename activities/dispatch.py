"""The one way in: a start that carries the opening, or else signal-with-start, so that the order of arrival does not matter.

A word for a closed incident goes to the ticket's next link: there it is either taken into the log of the closed
incident, to which it belongs, or it opens a follow-up.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.attributes import KEYWORDS
from activities.calls import Look, ReadTicket, Revise, Words
from activities.foresight import foreseen
from activities.policies import Policies
from sla import names
from sla.account import AccountState
from sla.account_events import AccountDelivery
from sla.events import Delivery
from sla.incident import IncidentState
from sla.ledger import AccountLedger

MOST_SAID = 512 * 1024
"""Bytes that one signal carries at most: Temporal takes no more than 2 MiB, and a ticket's whole story may be larger."""
MAX_LINKS = 200
"""A ticket that is closed and taken up again more often than this is a loop of some helpdesk's rules."""

HOW_TO_READ = """\
**What this is.** One support incident under its support contract. How it stands is on the card *Current Details*: \
what is due, who has it, what to do, why a clock stands still, what comes next. The card names the ticket for the commands.

**What happened.** The tab *Timeline* shows what the incident waited for, and *Event History* each thing that it heard or \
did, with a line that says what. The tab *Queries* has `status`, `plan`, `proof` (why a deadline is what it is) and `log`.

**What to do.** At a terminal: `pactkeeper ack TICKET --by YOU`, and so on; `pactkeeper --help` lists all. \
Here: *More Actions*, *Send an Update*, *Custom*.

**What not to do.** *Request Cancellation*, *Terminate* and *Reset* drop the promises made to the customer, and nobody is \
told. An incident that is over is closed: `pactkeeper close TICKET --by YOU`.
"""


class TooManyLinks(Exception):
    """The ticket was closed and taken up again too often."""


async def deliver(
    client: Client,
    source: str,
    ticket: str,
    customer: str,
    word: Delivery | Sequence[Delivery],
    *,
    task_queue: str = names.TASK_QUEUE,
    contract: str | None = None,
    playbook: str | None = None,
    first_link: int = 1,
    policies: Policies | None = None,
) -> str:
    """Bring a word to its incident, or several of one ticket at once; the id of the workflow that took them.

    Returns only after Temporal acknowledged; very many words go in several signals, in their order. With `policies`, an
    incident that these words open starts with all its attributes, which spares it a paid upsert.

    Raises:
        RPCError: Temporal did not acknowledge; the same word may be sent again, its key makes it count once.
        TooManyLinks: see MAX_LINKS.
    """
    if policies is not None and not await policies.readable():
        policies = None
    state = IncidentState(
        source=source, ticket=ticket, customer=customer, contract=contract, playbook=playbook, link=first_link
    )
    for words in portions([word] if isinstance(word, Delivery) else word):
        state = await _said(client, state, words, task_queue, policies)
    return names.incident_id(source, ticket, state.link)


def portions(words: Sequence[Delivery]) -> list[list[Delivery]]:
    """The words in order, as many together as one signal carries; at least one of them, however long."""
    made, size = [list(words[:1])], 0
    if len(words) < 2:
        return made
    for i, word in enumerate(words):
        own = len(word.model_dump_json().encode("utf-8", "replace"))
        if i and size + own > MOST_SAID:
            made.append([word])
            size = own
        else:
            made[-1] += [word] if i else []
            size += own
    return made


async def _said(
    client: Client, first: IncidentState, words: list[Delivery], task_queue: str, policies: Policies | None
) -> IncidentState:
    """One call, to the first link of the ticket that is not closed: how that began, or would have.

    An opening comes with the start itself, which spares the incident a paid signal; where the ticket is there already,
    it is a word like any other.
    """
    if any(word.event.event == "opened" for word in words):
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await _start(
                client, first.model_copy(update={"words": words}), task_queue, foreseen(policies, first, words)
            )
            return first
    signal, said = (names.DELIVER, words[0]) if len(words) == 1 else (names.DELIVER_ALL, Words(words=tuple(words)))
    for link in range(first.link, MAX_LINKS + 1):
        state = first.model_copy(update={"link": link})
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await _start(
                client, state, task_queue, foreseen(policies, state, words),
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING, start_signal=signal, start_signal_args=[said],
            )  # fmt: skip
            return state
    raise TooManyLinks(
        f"ticket {first.ticket} was closed and taken up again {MAX_LINKS} times; look for a loop in the helpdesk's rules"
    )


async def _start(
    client: Client, state: IncidentState, task_queue: str, shown: TypedSearchAttributes, **how: Any
) -> None:
    await client.start_workflow(
        names.INCIDENT_WORKFLOW, state, id=names.incident_id(state.source, state.ticket, state.link), task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE, search_attributes=shown,
        static_summary=_summary(state.ticket, state.customer), static_details=HOW_TO_READ, **how,
    )  # fmt: skip


async def existing(client: Client, incident: str, words: Sequence[Delivery]) -> str:
    """Bring words to the one incident of that workflow id, which must run; its id, or nothing where it does not."""
    try:
        await client.get_workflow_handle(incident).signal(names.DELIVER_ALL, Words(words=tuple(words)))
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return ""
    return incident


async def read_ticket(client: Client, source: str, ticket: str, *, task_queue: str = names.TASK_QUEUE) -> str:
    """Have a ticket read by its helpdesk's API; the id of the workflow that does."""
    id = names.ticket_id(source, ticket)
    await client.start_workflow(
        names.TICKET_WORKFLOW, ReadTicket(source=source, ticket=ticket), id=id, task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING, start_signal=names.LOOK,
        static_summary=f"read ticket {names.canonical(ticket)} of {names.canonical(source)}",
    )  # fmt: skip
    return id


async def pay(
    client: Client,
    customer: str,
    word: AccountDelivery,
    *,
    task_queue: str = names.TASK_QUEUE,
    contract: str | None = None,
) -> str:
    """Bring a payment event to the customer's account; the id of its workflow."""
    return await _to_account(client, customer, names.DELIVER, word, task_queue, contract)


async def look(
    client: Client,
    customer: str,
    asked: Look,
    *,
    task_queue: str = names.TASK_QUEUE,
    contract: str | None = None,
) -> str:
    """Have the customer's account read its payments where they are kept; the id of its workflow."""
    return await _to_account(client, customer, names.LOOK, asked, task_queue, contract)


async def revise(client: Client, customer: str, *, looks: bool = True) -> bool:
    """Tell the customer's account that its contract lines have changed; False where there is no account yet."""
    try:
        await client.get_workflow_handle(names.account_id(customer)).signal(
            names.REVISE, Revise(at=datetime.now(UTC), looks=looks)
        )
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def _to_account(
    client: Client, customer: str, signal: str, said: AccountDelivery | Look, task_queue: str, contract: str | None
) -> str:
    await client.start_workflow(
        names.ACCOUNT_WORKFLOW,
        task_queue=names.accounts_queue(task_queue),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=signal,
        start_signal_args=[said],
        **account(customer, contract),
    )
    return names.account_id(customer)


async def open_account(
    client: Client, customer: str, *, task_queue: str = names.TASK_QUEUE, contract: str | None = None
) -> str:
    """Make sure that a customer's account runs; the id of its workflow."""
    await client.start_workflow(
        names.ACCOUNT_WORKFLOW, task_queue=names.accounts_queue(task_queue), id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        **account(customer, contract),
    )  # fmt: skip
    return names.account_id(customer)


def account(customer: str, contract: str | None) -> dict[str, Any]:
    """How a customer's account starts: its id and state, what it is found by, and the ledger that others read."""
    found_by = [SearchAttributePair(KEYWORDS[names.CUSTOMER], names.canonical(customer))]
    return {
        "arg": AccountState(customer=customer, contract=contract),
        "id": names.account_id(customer),
        "search_attributes": TypedSearchAttributes(found_by),
        "memo": {names.LEDGER: AccountLedger()},
        "static_summary": f"account of {names.canonical(customer)}",
    }


def _summary(ticket: str, customer: str) -> str:
    """What holds for ever, in less than the 200 bytes that Temporal takes: the priority may change, so it is not told."""
    return f"Ticket {names.canonical(ticket)} of {names.canonical(customer)}"
