"""`reply`: what an agent answers, and what the customer writes again."""

from typing import Annotated

import typer
from temporalio.client import Client

from sla.events import AgentReplied, CustomerReplied, Delivery
from starter.commands import send, terminal
from starter.commands.act import acted, report, standing
from starter.commands.failures import RefusalError
from starter.commands.find import find
from starter.commands.options import At, Body, By, Key, Source, Ticket, made, moment, option, text_of, word_key
from starter.connect import ask
from starter.home import Home


def reply(
    ticket: Ticket,
    by: By,
    speaker: Annotated[str, option("agent|customer", "Whose words they are; left out: an agent's.", "--as")] = "agent",
    internal: Annotated[
        bool, typer.Option("--internal", help="An agent's note that the customer does not see; it stops no clock.")
    ] = False,
    body: Body = "",
    at: At = None,
    source: Source = None,
    key: Key = None,
) -> None:
    """Record a reply: an agent's to the customer (which stops the response clock), or the customer's.

    What a customer says after the closing opens a follow-up incident.

    Example: pactkeeper reply 4711 --by dana

    Example: pactkeeper reply 4711 --as customer --by ann@acme.example --body "It still fails"
    """
    if speaker not in ("agent", "customer"):
        raise RefusalError(f"--as is {speaker!r}; write agent or customer", 2)
    if speaker == "customer" and internal:
        raise RefusalError(
            "--internal is for an agent's note; a customer's words are never internal, so leave one of the two out", 2
        )
    if speaker == "customer":
        theirs = send.word(Delivery, made(CustomerReplied, by=by, body=text_of(body)), moment(at), word_key(key))
        ask(Home.here(), lambda client: _heard(client, ticket, source, theirs))
        return
    ours = made(AgentReplied, by=by, public=not internal, body=text_of(body))
    said = send.word(Delivery, ours, moment(at), word_key(key))
    ask(Home.here(), lambda client: acted(client, ticket, source, "reply", said, late=at is not None))


async def _heard(client: Client, ticket: str, source: str | None, said: Delivery) -> None:
    found = await find(client, ticket, source)
    taken = await send.tell(client, found, said)
    if taken != found.handle.id:
        terminal.show(f"{ticket} was closed; the word went on to {taken}")
    report(ticket, await standing(client, taken))
