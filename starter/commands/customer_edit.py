"""`customer set`, `line`, `link` and `contact`: what is changed of a customer, each as one change of its record."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from sla.customer import WHOLE, BillingLink, Contact, ContractLine, Customer
from starter.commands import terminal
from starter.commands.customers_here import named_in, on_records, tell_accounts
from starter.commands.failures import RefusalError
from starter.commands.options import CustomerId, argument, made, option
from starter.home import Home

Contract = Annotated[str | None, option("NAME", "The contract; an empty text: as where none is named.", "--contract")]


def set_customer(
    id: CustomerId,
    name: Annotated[str | None, option("TEXT", "What the customer is called.")] = None,
    contract: Contract = None,
    domain: Annotated[
        list[str] | None, option("DOMAIN", "Whose mail is the customer's; may be repeated, and replaces all.")
    ] = None,
    no_domain: Annotated[bool, typer.Option("--no-domain", help="Take its domains out.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Make the customer: there is none of that id yet.")] = False,
) -> None:
    """Change a customer's name, contract or domains, or make it.

    Example: pactkeeper customer set acme --name "Acme Corporation" --contract reciprocity

    Example: pactkeeper customer set bolt --new --name Bolt --domain bolt.example
    """
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = name
    if contract is not None:
        values["contract"] = _contract(contract)
    if domain and no_domain:
        raise RefusalError("--domain and --no-domain say two things; give one of them", 2)
    if domain or no_domain:
        values["domains"] = tuple(domain or ())
    if new:
        _make(made(Customer, {"id": "CUSTOMER"}, id=id, **values))
    else:
        _change(id, lambda customer: _with(customer, **values))


def line(
    id: CustomerId,
    line: Annotated[str, argument("LINE", "The contract line, such as hardware; a new one is added.")],
    title: Annotated[str | None, option("TEXT", "What the line is called.")] = None,
    contract: Contract = None,
    product: Annotated[
        list[str] | None, option("NAME", "A product that it covers; may be repeated, and replaces all.")
    ] = None,
    no_product: Annotated[bool, typer.Option("--no-product", help="It covers all that no other line names.")] = False,
    prepaid: Annotated[bool, typer.Option("--prepaid", help="It is paid in advance for good.")] = False,
    prepaid_until: Annotated[
        str | None, option("DAY", "It is paid in advance up to and with this day, such as 2031-12-31.")
    ] = None,
    not_prepaid: Annotated[bool, typer.Option("--not-prepaid", help="It is paid as it is billed.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the line out.")] = False,
) -> None:
    """Add or change a contract line of a customer, or take it out. Each line is paid for, and suspended, on its own.

    Example: pactkeeper customer line acme hardware --product gateway --prepaid-until 2031-12-31
    """
    values: dict[str, Any] = {}
    if title is not None:
        values["title"] = title
    if contract is not None:
        values["contract"] = _contract(contract)
    if product and no_product:
        raise RefusalError("--product and --no-product say two things; give one of them", 2)
    if product or no_product:
        values["products"] = tuple(product or ())
    if prepaid + (prepaid_until is not None) + not_prepaid > 1:
        raise RefusalError("--prepaid, --prepaid-until and --not-prepaid say different things; give one of them", 2)
    if prepaid or prepaid_until is not None or not_prepaid:
        values |= {"prepaid": prepaid, "prepaid_until": None if prepaid_until is None else _day(prepaid_until)}
    if remove and values:
        raise RefusalError("--remove takes the line out, so nothing else of it can be changed; give it alone", 2)
    if remove:
        _change(id, lambda customer: _without_line(customer, line))
    else:
        _change(id, lambda customer: _with_line(customer, line, values))


def link(
    id: CustomerId,
    line: Annotated[str | None, option("LINE", "The line that is paid there; left out: the whole customer.")] = None,
    source: Annotated[str, option("SOURCE", "The billing system; left out: stripe.")] = "stripe",
    account: Annotated[str, option("NAME", "Which of our accounts there; left out: main.")] = "main",
    customer: Annotated[str | None, option("ID", "The customer's id there, such as cus_9s6XKzkNRiz8i3.")] = None,
    subscription: Annotated[
        str | None, option("ID", "The one subscription that counts; left out: any that is not over.")
    ] = None,
    unlink: Annotated[bool, typer.Option("--unlink", help="Take the link out.")] = False,
) -> None:
    """Tell where a customer's payments are kept, for all of it or for one line; or take that back.

    Example: pactkeeper customer link acme --customer cus_9s6XKzkNRiz8i3
    """
    if unlink == (customer is not None):
        raise RefusalError("give either --customer, who it is in the billing system, or --unlink", 2)
    kept = None
    if not unlink:
        kept = made(BillingLink, source=source, account=account, customer=customer, subscription=subscription)

    def change(who: Customer) -> Customer:
        if line is None:
            return _with(who, billing=kept)
        if line not in {one.id for one in who.contract_lines}:
            lines = ", ".join(one.id for one in who.contract_lines)
            raise RefusalError(f"--line is {line!r}; {who.id} has: {lines}", 2)
        return _with_line(who, line, {"billing": kept})

    _change(id, change)


def contact(
    id: CustomerId,
    email: Annotated[str, argument("EMAIL", "The contact's address; a new one is added.")],
    name: Annotated[str | None, option("TEXT", "What the person is called.")] = None,
    role: Annotated[
        list[str] | None, option("ROLE", "Such as technical, support, billing; may be repeated, and replaces all.")
    ] = None,
    no_role: Annotated[bool, typer.Option("--no-role", help="Take the roles out.")] = False,
    prefers: Annotated[str | None, option("WAY", "How to be told: email, phone, portal or log.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the contact out.")] = False,
) -> None:
    """Add or change a contact of a customer, or take it out. Contacts for billing and support hear of payments.

    Example: pactkeeper customer contact acme eve@acme.example --name Eve --role billing
    """
    values: dict[str, Any] = {
        name: value for name, value in (("name", name), ("prefers", prefers)) if value is not None
    }
    if role and no_role:
        raise RefusalError("--role and --no-role say two things; give one of them", 2)
    if role or no_role:
        values["roles"] = tuple(role or ())
    if remove and values:
        raise RefusalError("--remove takes the contact out, so nothing else of it can be changed; give it alone", 2)
    _change(id, lambda customer: _with_contact(customer, email.strip(), values, remove=remove))


def _change(id: str, change: Callable[[Customer], Customer]) -> None:
    from records.customers import CustomerStore, Edited, bears_on_account

    home = Home.here()

    async def ask(store: CustomerStore) -> tuple[Edited | None, list[str]]:
        edited = await store.edit(id, change)
        return edited, [] if edited is not None else list(await store.all())

    edited, known = on_records(home, ask)
    if edited is None:
        raise RefusalError(f"no customer {id!r} is known; write one of: {named_in(known)}")
    terminal.show(f"{id} is changed." if edited.changed else f"{id} is so already.")
    if bears_on_account(edited.before, edited.after):
        tell_accounts(home, [id])


def _make(customer: Customer) -> None:
    home = Home.here()
    added, refused = on_records(home, lambda store: store.add([customer]))
    if refused:
        raise refused[0]
    if not added:
        raise RefusalError(f"there is a customer {customer.id!r} already; leave --new out to change it")
    terminal.show(f"{customer.id} is made.")
    tell_accounts(home, [customer.id])


def _with(customer: Customer, **values: Any) -> Customer:
    try:
        return Customer.model_validate({name: getattr(customer, name) for name in Customer.model_fields} | values)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise RefusalError(f"{customer.id} can't be so: {said[0].lower()}{said[1:]}", 2) from None


def _with_line(customer: Customer, id: str, values: dict[str, Any]) -> Customer:
    # What covers all so far goes on beside a line that is new.
    lines = list(customer.lines or ([] if id == WHOLE else customer.contract_lines))
    before = next((one for one in lines if one.id == id), None)
    old = {} if before is None else {name: getattr(before, name) for name in ContractLine.model_fields}
    after = made(ContractLine, {"id": "LINE", "products": "--product"}, **({"id": id} | old | values))
    kept = [*lines, after] if before is None else [after if one is before else one for one in lines]
    return _with(customer, lines=tuple(kept))


def _without_line(customer: Customer, id: str) -> Customer:
    kept = tuple(one for one in customer.lines if one.id != id)
    if len(kept) == len(customer.lines):
        lines = ", ".join(one.id for one in customer.lines) or f"only {WHOLE}, which is there by itself"
        raise RefusalError(f"{customer.id} has no line {id!r} to take out; it has: {lines}", 2)
    return _with(customer, lines=kept)


def _with_contact(customer: Customer, email: str, values: dict[str, Any], *, remove: bool) -> Customer:
    before = customer.contact(email)
    if remove and before is None:
        contacts = ", ".join(one.email for one in customer.contacts) or "none"
        raise RefusalError(f"{customer.id} has no contact {email!r} to take out; it has: {contacts}", 2)
    if remove:
        return _with(customer, contacts=tuple(one for one in customer.contacts if one is not before))
    old = {} if before is None else before.model_dump()
    after = made(Contact, {"email": "EMAIL", "roles": "--role"}, **(old | {"email": email} | values))
    kept = [*customer.contacts, after] if before is None else [after if c is before else c for c in customer.contacts]
    return _with(customer, contacts=tuple(kept))


def _contract(name: str) -> str | None:
    from records.shelf import Shelf

    known = [path.stem for path in Shelf().paths("contract")]
    if name and name not in known:
        raise RefusalError(f"--contract is {name!r}; write one of: {', '.join(known)}", 2)
    return name or None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise RefusalError(f"--prepaid-until is {text!r}; write a day such as 2031-12-31", 2) from None
