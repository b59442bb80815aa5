"""`suspend` and `resume`: a customer's payments, and what they do to its open incidents."""

import asyncio
from datetime import datetime
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities import dispatch
from activities.policies import Policies
from sla import names
from sla.events import AccountDelivery, AccountEvent, PaymentCurrent, PaymentLapsed
from starter.commands import send, terminal
from starter.commands.failures import WORKER, RefusalError
from starter.commands.options import At, CustomerId, Key, moment, word_key
from starter.commands.query import query
from starter.connect import ask
from starter.home import Home

SOON = 10.0
"""Seconds in which a running worker has told a customer's incidents."""


def suspend(customer: CustomerId, at: At = None, key: Key = None) -> None:
    """Record that a customer's payment lapsed: where the contract says so, support is suspended and every clock stands.

    Example: pactkeeper suspend acme --at 2031-07-09T12:00-07:00
    """
    _pay(customer, PaymentLapsed(), at, key)


def resume(customer: CustomerId, at: At = None, key: Key = None) -> None:
    """Record that a customer has paid what it owed: its clocks go on with exactly what was left.

    Example: pactkeeper resume acme
    """
    _pay(customer, PaymentCurrent(), at, key)


def _pay(customer: str, event: AccountEvent, at: str | None, key: str | None) -> None:
    if not customer.strip():
        raise RefusalError("CUSTOMER is empty; write the customer's id, such as acme", 2)
    policies = Policies()
    if policies.customer(customer) is None:
        known = ", ".join(policies.shelf.customers()) or "none yet"
        terminal.note(f"no file in policies/customers/ tells of {customer!r} (there are: {known})")
    said = send.word(AccountDelivery, event, moment(at), word_key(key))

    async def paid(client: Client) -> dict[str, Any] | None:
        await dispatch.pay(client, customer, said)
        return await _settled(client, customer)

    told = ask(Home.here(), paid)
    if told is None:
        terminal.note(f"{customer}: Temporal has it, but no worker has answered yet; {WORKER}")
        return
    terminal.show(sentence(told))
    if told["standing"] == "lapsed":
        terminal.note("its contract does not suspend support when a payment lapses, so its clocks run on")


def sentence(told: dict[str, Any]) -> str:
    """`acme is suspended since Wed 9 Jul 2031 12:00 (UTC-7); 2 incidents enrolled`, in this machine's time."""
    at = None if told["since"] is None else datetime.fromisoformat(told["since"]).astimezone()
    since = "" if at is None else f" since {terminal.moment(at)} ({terminal.offset(at)})"
    many = "1 incident" if told["enrolled"] == 1 else f"{told['enrolled']} incidents"
    return f"{told['customer']} is {told['standing']}{since}; {many} enrolled"


async def standing(client: Client, customer: str) -> dict[str, Any] | None:
    """The account as it stands; None where the customer has none yet."""
    handle = client.get_workflow_handle(names.account_id(customer))
    try:
        told: dict[str, Any] = await query(handle, f"the account of {customer}", names.STATUS)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return None
    return told


async def _settled(client: Client, customer: str) -> dict[str, Any] | None:
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
