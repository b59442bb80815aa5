"""`reconcile` and `dead-letters`: what the billing sources say, compared; and what came of them and reached nobody."""

import asyncio
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from activities.message import one_line
from sla import names
from starter.commands import terminal
from starter.commands.customers_here import prepared
from starter.commands.failures import WORKER, RefusalError
from starter.commands.options import Json, argument, option
from starter.home import Home

if TYPE_CHECKING:
    from activities.calls import Reconciled
    from records.dead_letters import Letter
    from starter.kept import Kept

TAKEN_UP = 10.0
"""Seconds in which a worker takes up what waits for one."""
STARTED = 3
"""So many events has the history of a workflow that no worker has taken up, at most."""
Action = Literal["replay", "dismiss"]
Letters = Annotated[str | None, argument("ID", "The letter, as the list names it, such as stripe/main/evt_1.")]


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


def dead_letters(
    action: Annotated[Action | None, argument("replay|dismiss", "What to do with one; left out: list them.")] = None,
    id: Letters = None,
    why: Annotated[str | None, option("TEXT", "With dismiss: why nothing needs to be done.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List those that were seen to, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 50,
    json: Json = False,
) -> None:
    """List what billing systems sent that could be brought to nobody; replay one, or dismiss it.

    A letter waits until somebody has seen to it: link its customer, and replay it.

    Example: pactkeeper dead-letters

    Example: pactkeeper dead-letters replay stripe/main/evt_1
    """
    home = Home.here()
    if action is None:
        _list(home, every, limit, json)
        return
    if id is None:
        raise RefusalError(f"ID is missing; write pactkeeper dead-letters {action} ID, as the list names it", 2)
    if action == "dismiss" and not (why or "").strip():
        raise RefusalError("--why is missing; write why nothing needs to be done", 2)
    how = asyncio.run(_dismissed(home, id, str(why)) if action == "dismiss" else _replayed(home, id))
    terminal.show(f"{id}: {how}")


def _list(home: Home, every: bool, limit: int, json: bool) -> None:
    found = asyncio.run(_found(home, every, limit))
    if json:
        terminal.as_json([asdict(letter) for letter in found])
        return
    if not found:
        terminal.show("No dead letter waits.")
        return
    made = terminal.table("received (UTC)", "id", "kind", "about", "why", "seen to")
    for one in found:
        seen = f"{terminal.moment(one.handled_at)}: {one.handled_how}" if one.handled_at else "–"
        cells = (terminal.moment(one.received_at), one.id, one.kind or "–", one.subject or "–", one.why, seen)
        terminal.row(made, cells)
    terminal.show(made)


async def _found(home: Home, every: bool, limit: int) -> list["Letter"]:
    from records.dead_letters import DeadLetterStore
    from starter.kept import recorded

    if not prepared(home):
        return []
    async with recorded(home) as kept:
        return await DeadLetterStore(kept.engine).list(limit, handled=every)


async def _dismissed(home: Home, id: str, why: str) -> str:
    from records.dead_letters import DeadLetterStore
    from starter.kept import recorded

    async with recorded(home) as kept:
        letters = DeadLetterStore(kept.engine)
        await _waiting(letters.get(id), id)
        await letters.handle(id, datetime.now(UTC), f"dismissed: {why.strip()[:500]}")
    return "dismissed"


async def _replayed(home: Home, id: str) -> str:
    from records.dead_letters import DeadLetterStore
    from starter.connect import connect
    from starter.kept import recorded

    async with recorded(home) as kept:
        letters = DeadLetterStore(kept.engine)
        letter = await _waiting(letters.get(id), id)
        client = await connect(home)
        told = await (
            _looks(client, kept, letter) if letter.source.startswith("stripe/") else _taken(client, kept, letter)
        )
        await letters.handle(id, datetime.now(UTC), told)
    return told


async def _waiting(asked: Any, id: str) -> "Letter":
    letter: Letter | None = await asked
    if letter is None:
        raise RefusalError(f"there is no dead letter {id!r}; `pactkeeper dead-letters --all` lists them")
    if letter.handled_at is not None:
        raise RefusalError(f"{id} was seen to on {terminal.moment(letter.handled_at)} (UTC): {letter.handled_how}")
    return letter


async def _looks(client: Client, kept: "Kept", letter: "Letter") -> str:
    from activities import dispatch
    from activities.calls import Look

    account = letter.source.partition("/")[2]
    if not letter.subject:
        raise RefusalError(f"{letter.id} names no customer ({letter.why}); look at it with --json, and dismiss it")
    found = await kept.customers.linked("stripe", account, letter.subject)
    if not found:
        link = f"`pactkeeper customer link CUSTOMER --customer {letter.subject}`"
        raise RefusalError(
            f"no customer is linked to {letter.subject} of the Stripe account {account} yet; {link} does it"
        )
    ids = list(dict.fromkeys(customer.id for customer, _ in found))
    for id in ids:
        await dispatch.look(client, id, Look(source=letter.source, why=f"replay of {letter.id}"))
    return f"replayed: {', '.join(ids)} {'looks' if len(ids) == 1 else 'look'} again"


async def _taken(client: Client, kept: "Kept", letter: "Letter") -> str:
    from activities import dispatch
    from starter.hook_bodies import Refused
    from starter.intake.generic import Unreadable
    from starter.web_billing import replayed

    try:
        word = replayed(letter)
    except (Refused, Unreadable) as error:
        raise RefusalError(f"{letter.id} can't be read: {error.sentence}") from None
    customer = await kept.customers.get(letter.subject)
    if customer is None:
        raise RefusalError(f"there is no customer {letter.subject!r} yet; `pactkeeper customer set` makes one")
    lines = [line.id for line in customer.contract_lines]
    if word.event.line is not None and word.event.line not in lines:
        raise RefusalError(f"{customer.id} has no contract line {word.event.line!r} yet; there are: {', '.join(lines)}")
    await dispatch.pay(client, customer.id, word)
    return f"replayed: {customer.id} was told {word.event.event}"
