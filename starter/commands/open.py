"""`open`: a new ticket, whose clocks start."""

from typing import Annotated, Any

from temporalio.client import Client

from activities import dispatch
from activities.message import one_line
from activities.policies import Policies
from sla import names
from sla.events import Delivery, Opened
from starter.commands import send, terminal
from starter.commands.act import report, standing
from starter.commands.customers_here import known, policies_here
from starter.commands.failures import RefusalError
from starter.commands.find import latest
from starter.commands.options import At, Body, Json, Key, argument, fields_of, made, moment, option, text_of, word_key
from starter.commands.show import unpaid
from starter.connect import ask
from starter.home import Home
from worker.reference import OWN_SOURCE, reference


def open_ticket(
    ticket: Annotated[str, argument("TICKET", "The new ticket's name, such as 4711.")],
    by: Annotated[str, option("EMAIL", "Who asks for support.", "--by")],
    customer: Annotated[
        str | None, option("CUSTOMER", "Whose ticket it is; left out: the customer whose contact EMAIL is.")
    ] = None,
    priority: Annotated[str | None, option("PRIORITY", "Such as P1; left out: the contract's default.")] = None,
    channel: Annotated[str | None, option("CHANNEL", "One of: email, ticket, slack, portal, phone, api.")] = None,
    subject: Annotated[str, option("TEXT", "What it is about, in a line.")] = "",
    body: Body = "",
    category: Annotated[str | None, option("NAME", "Which part of the contract's scope it falls under.")] = None,
    product: Annotated[str | None, option("NAME", "The product it is about.")] = None,
    product_version: Annotated[str | None, option("VERSION", "The product's version.")] = None,
    field: Annotated[list[str] | None, option("NAME=VALUE", "A field of the ticket; may be repeated.")] = None,
    language: Annotated[str | None, option("CODE", "The message's language, such as en, if you know it.")] = None,
    contract: Annotated[str | None, option("NAME", "Another contract than the customer's own.")] = None,
    source: Annotated[str, option("SOURCE", "Where the ticket is kept; left out: cli.")] = OWN_SOURCE,
    at: At = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Open an incident: the clocks of the customer's contract start.

    Example: pactkeeper open 4711 --customer acme --priority P1 --by ann@acme.example --subject "Nothing loads"
    """
    if not ticket.strip() or not source.strip():
        raise RefusalError(f"{'SOURCE' if ticket.strip() else 'TICKET'} is empty; write a name, such as 4711", 2)
    policies = policies_here(Home.here())
    whose = _whose(policies, customer, by)
    terms = policies.contract(whose, policies.line(whose, contract, product)[1])
    if priority is not None and priority not in terms.priorities:
        raise RefusalError(f"--priority is {priority!r}; {terms.name} knows {', '.join(terms.priorities)}", 2)
    event = made(
        Opened, by=by, priority=priority, channel=channel, subject=subject, body=text_of(body), category=category,
        product=product, product_version=product_version, fields=fields_of(field or []), language=language,
    )  # fmt: skip
    word = send.word(Delivery, event, moment(at), word_key(key))

    async def opened(client: Client) -> tuple[str, dict[str, Any] | None]:
        before = await latest(client, names.incident_id(source, ticket), ticket)
        if before is not None and before.running and key is None:
            said = f"ticket {ticket} is open already ({before.handle.id}); another word of the customer is"
            raise RefusalError(f"{said} `pactkeeper reply {reference(source, ticket)} --as customer --by {by}`")
        taken = await dispatch.deliver(client, source, ticket, whose, word, contract=contract, policies=policies)
        return taken, None if json else await standing(client, taken)

    taken, told = ask(Home.here(), opened)
    if json:
        receipt = {
            "incident": taken,
            "ticket": ticket,
            "source": source,
            "customer": whose,
            "contract": terms.name,
            "key": word.key,
        }
        times = {"occurred_at": word.occurred_at.isoformat(), "received_at": word.received_at.isoformat()}
        terminal.as_json(receipt | times)
        return
    called = reference(source, ticket)
    terminal.show(f"Opened {called} for {whose} under {terms.name}, as {taken}")
    report(called, told)
    if told is not None and told["phase"] == "suspended":
        terminal.show(
            f"{unpaid(told)[0].upper()}{unpaid(told)[1:]}: it is taken in, and its clocks start when support goes on."
        )
    elif told is not None and (means := told.get("support", {}).get("means")):
        terminal.show(f"Payments: {one_line(means)}")


def _whose(policies: Policies, customer: str | None, by: str) -> str:
    """The customer, from the option or from who asks."""
    whose = customer or policies.customer_of(by)
    if whose is None:
        raise RefusalError(
            f"--by is {by}, whom no customer has among its contacts; write --customer and one of: {known(policies)}", 2
        )
    if not whose.strip():
        raise RefusalError(f"--customer is empty; write one of: {known(policies)}", 2)
    if policies.customer(whose) is None:
        terminal.note(
            f"no customer {whose!r} is known (there are: {known(policies)}), "
            f"so it comes under {policies.contract_name(whose, None)}, the default contract"
        )
    return whose
