"""`standing`, and what operators decide about a customer's support: each an update that the account may refuse in a sentence."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from temporalio.client import Client

from activities.calls import Decision
from starter.accounts import NoAccount, RefusedDecision, Unanswered, decide
from starter.commands import account, terminal
from starter.commands.account import Line, Why
from starter.commands.customers_here import known, policies_here
from starter.commands.failures import WORKER, RefusalError
from starter.commands.options import (
    At,
    By,
    CustomerId,
    Json,
    Key,
    argument,
    made,
    moment,
    option,
    read_time,
    word_key,
)
from starter.commands.standing_page import concerned, page, question
from starter.commands.standing_rows import enrolled, many, not_current, touched
from starter.connect import ask
from starter.home import Home

CALLED = {"by": "--by", "why": "--why", "line": "--line", "until": "--until"}


def standing(
    customer: Annotated[
        str | None, argument("[CUSTOMER]", "The customer's id; left out: all who are not current.")
    ] = None,
    json: Json = False,
) -> None:
    """Show how a customer's support stands: each contract line, why, what comes next, who is asked, what was told.

    Without CUSTOMER: all who are not current with their payments, those waiting for an approval first.

    Example: pactkeeper standing acme

    Example: pactkeeper standing
    """
    if customer is None:
        found = ask(Home.here(), not_current)
        terminal.as_json(found) if json else terminal.show(many(found, datetime.now(UTC)))
        return
    told, rows = ask(Home.here(), lambda client: _one(client, customer))
    if told is None:
        _known(customer)
        told = {"customer": customer, "standing": "current", "since": None, "lines": {}, "enrolled": 0, "notices": []}
        if not json:
            terminal.show(f"{customer} has had no incident and no payment event yet")
            return
    if json:
        terminal.as_json(told | {"incidents": rows})
    else:
        terminal.show(*page(told, rows, datetime.now(UTC)))


def approve(
    customer: CustomerId,
    by: By,
    why: Why = None,
    line: Line = None,
    at: At = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    key: Key = None,
) -> None:
    """Approve that support is suspended while this payment is outstanding; it first shows what that would do.

    Example: pactkeeper approve acme --by gwen --why "no answer for two weeks" --yes
    """
    said = _decision(by=by, why=why, line=line, at=None if at is None else moment(at))
    told, rows = ask(Home.here(), lambda client: _touched(client, customer, line))
    if told is not None and concerned(told, line):
        terminal.show(*question(told, line, rows, policies_here(Home.here()), said.at))
        if not yes:
            _confirm(f"Suspend support of {customer}?")
    _decide(customer, "approve_suspension", said, key)


def decline_suspension(
    customer: CustomerId, by: By, why: Why = None, line: Line = None, at: At = None, key: Key = None
) -> None:
    """Decide that support goes on in spite of the lapse; the next lapse is asked about anew.

    Example: pactkeeper decline-suspension acme --by gwen --why "the cheque is on its way"
    """
    said = _decision(by=by, why=why, line=line, at=None if at is None else moment(at))
    _decide(customer, "decline_suspension", said, key)


def except_(
    customer: CustomerId,
    by: By,
    why: Annotated[str, option("TEXT", "The reason: an exception is on the record.", "--why")],
    until: Annotated[str, option("TIME", "When it ends by itself, such as 2031-07-11T16:00-07:00.", "--until")],
    line: Line = None,
    key: Key = None,
) -> None:
    """Break the glass: give support in spite of a suspension, until a moment; it ends by itself.

    Example: pactkeeper except acme --by gwen --why "their launch is tomorrow" --until 2031-07-11T16:00-07:00
    """
    said = _decision(by=by, why=why, line=line, until=_until(until))
    _decide(customer, "grant_exception", said, key, opens=True)


def end_exception(
    customer: CustomerId, by: By, why: Why = None, line: Line = None, at: At = None, key: Key = None
) -> None:
    """End an exception before its time.

    Example: pactkeeper end-exception acme --by gwen
    """
    said = _decision(by=by, why=why, line=line, at=None if at is None else moment(at))
    _decide(customer, "end_exception", said, key)


async def _one(client: Client, customer: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    told = await account.standing(client, customer)
    return told, [] if told is None else await enrolled(client, told)


async def _touched(
    client: Client, customer: str, line: str | None
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    told = await account.standing(client, customer)
    return told, [] if told is None else await touched(client, told, concerned(told, line))


def _decision(**said: Any) -> Decision:
    return made(Decision, CALLED, **said)


def _decide(customer: str, action: str, said: Decision, key: str | None, *, opens: bool = False) -> None:
    id = word_key(key)
    if not 1 <= len(id) <= 500:
        raise RefusalError(f"--key is {id[:60]!r}; write 1 to 500 characters", 2)
    if opens:
        _known(customer)

    async def decided(client: Client) -> dict[str, Any] | None:
        try:
            await decide(client, customer, action, said, id, opens=opens)
        except (RefusedDecision, NoAccount) as error:
            raise RefusalError(str(error)) from None
        except Unanswered as error:
            raise RefusalError(f"{error}, and may still take it; is a worker running? {WORKER}") from None
        return await account.settled(client, customer)

    account.report(customer, ask(Home.here(), decided))


def _known(customer: str) -> None:
    """Refuse a customer that nobody knows: a decision, unlike a payment, is a person's, and may be misspelt."""
    policies = policies_here(Home.here())
    if policies.customer(customer) is None:
        raise RefusalError(f"no customer {customer!r} is known; write one of: {known(policies)}")


def _until(text: str) -> datetime:
    at = read_time(text, "--until")
    if at.tzinfo is None:
        try:
            at = at.astimezone()
        except (OverflowError, ValueError, OSError):
            raise RefusalError(
                f"--until is {text!r}, which no calendar here reaches; write a time of our days", 2
            ) from None
        terminal.note(f"--until {text} is taken as {at.isoformat()}, by this machine's time zone")
    if at <= datetime.now(UTC):
        raise RefusalError(f"--until is {text}, which is over; write a time that lies ahead", 2)
    return at.astimezone(UTC)


def _confirm(asked: str) -> None:
    if not sys.stdin.isatty():
        raise RefusalError("nothing is done: nobody is there to be asked; say --yes to do it", 2)
    sys.stderr.write(f"{asked} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
        raise RefusalError("nothing is done")
