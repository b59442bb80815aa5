"""`suspend` and `resume`: a customer's payments, as a person tells of them, and what they do to its open incidents."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities import dispatch
from activities.message import one_line
from sla import names
from sla.account_events import AccountDelivery, AccountEvent, ContractTerminated, PaymentCurrent, PaymentLapsed
from starter.commands import send, terminal
from starter.commands.customers_here import known, policies_here
from starter.commands.failures import WORKER, RefusalError
from starter.commands.options import At, CustomerId, Key, made, moment, option, word_key
from starter.commands.query import query
from starter.connect import ask
from starter.home import Home
from workflows.account_lines import coming

SOON = 10.0
"""Seconds in which a running worker has told a customer's incidents."""
Line = Annotated[str | None, option("LINE", "One contract line, such as hardware; left out: all of them.", "--line")]
Reference = Annotated[
    str | None, option("NAME", "What is unpaid or was paid, such as INV-77; a payment with it settles that alone.")
]
Why = Annotated[str | None, option("TEXT", "The reason, for the record.", "--why")]
Teller = Annotated[str | None, option("WHO", "Who says so, such as dana.", "--by")]


def suspend(
    customer: CustomerId,
    line: Line = None,
    reference: Reference = None,
    terminated: Annotated[
        bool, typer.Option("--terminated", help="The contract has ended: no grace, and nobody is asked.")
    ] = False,
    why: Annotated[str | None, option("TEXT", "The reason, for the record; with --terminated.", "--why")] = None,
    by: Teller = None,
    at: At = None,
    key: Key = None,
) -> None:
    """Record that a customer's payment lapsed: support is suspended when the contract says so, and every clock stands.

    Example: pactkeeper suspend acme --reference INV-77 --at 2031-07-09T12:00-07:00

    Example: pactkeeper suspend acme --line hardware --terminated
    """
    if why is not None and not terminated:
        raise RefusalError("--why goes with --terminated; name what is unpaid with --reference", 2)
    said = {"line": line, "reference": reference, "by": by}
    event = made(ContractTerminated, **said, why=why) if terminated else made(PaymentLapsed, **said)
    _pay(customer, line, event, at, key)


def resume(
    customer: CustomerId,
    line: Line = None,
    reference: Reference = None,
    by: Teller = None,
    at: At = None,
    key: Key = None,
) -> None:
    """Record that a customer has paid what it owed: its clocks go on with exactly what was left.

    Example: pactkeeper resume acme --reference INV-77
    """
    _pay(customer, line, made(PaymentCurrent, line=line, reference=reference, by=by), at, key)


def _pay(customer: str, line: str | None, event: AccountEvent, at: str | None, key: str | None) -> None:
    if not customer.strip():
        raise RefusalError("CUSTOMER is empty; write the customer's id, such as acme", 2)
    policies = policies_here(Home.here())
    whose = policies.customer(customer)
    if whose is None:
        terminal.note(f"no customer {customer!r} is known (there are: {known(policies)})")
    elif line is not None and line not in (lines := [one.id for one in whose.contract_lines]):
        raise RefusalError(f"--line is {line!r}; {customer} has: {', '.join(lines)}", 2)
    said = send.word(AccountDelivery, event, moment(at), word_key(key))

    async def paid(client: Client) -> dict[str, Any] | None:
        await dispatch.pay(client, customer, said)
        return await settled(client, customer)

    report(customer, ask(Home.here(), paid))


def report(customer: str, told: dict[str, Any] | None) -> None:
    """Print how an account stands, in a line, and in one more for each of its lines where that is not all."""
    if told is None:
        terminal.note(f"{customer}: Temporal has it, but no worker has answered yet; {WORKER}")
        return
    terminal.show(sentence(told))
    for id, line in told.get("lines", {}).items():
        title = f"{id}: {line['standing']}; " if len(told["lines"]) > 1 else ""
        said = next_of(told, id)
        if said and (title or line["standing"] == "lapsed"):
            terminal.show(f"{title}{said}")


def sentence(told: dict[str, Any]) -> str:
    """`acme is suspended since Wed 9 Jul 2031 12:00 (UTC-7); 2 incidents enrolled`, in this machine's time."""
    since = f" since {here(told['since'])}" if told["since"] else ""
    many = "1 incident" if told["enrolled"] == 1 else f"{told['enrolled']} incidents"
    return f"{told['customer']} is {told['standing']}{since}; {many} enrolled"


def next_of(told: Mapping[str, Any], line: str) -> str:
    """What comes next for a line, in this machine's time."""
    return one_line(coming(told["lines"][line], told["of_line"][line], here), 400)


def here(at: str) -> str:
    """A moment in this machine's time, with its offset."""
    local = datetime.fromisoformat(at).astimezone()
    return f"{terminal.moment(local)} ({terminal.offset(local)})"


async def standing(client: Client, customer: str) -> dict[str, Any] | None:
    """The account as it stands now; None where the customer has none yet."""
    handle = client.get_workflow_handle(names.account_id(customer))
    try:
        told: dict[str, Any] = await query(
            handle, f"the account of {customer}", names.STATUS, datetime.now(UTC).isoformat()
        )
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return None
    return told


async def settled(client: Client, customer: str) -> dict[str, Any] | None:
    """The account once all its incidents are told; None when nobody answers soon."""
    try:
        async with asyncio.timeout(SOON):
            while True:
                told = await standing(client, customer)
                if told is not None and told["ready"] and told["told"] == told["version"]:
                    return told
                await asyncio.sleep(0.1)
    except (TimeoutError, RPCError, RefusalError):
        return None
