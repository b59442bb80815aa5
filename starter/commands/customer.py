"""`customer`: the customers of the records, brought in from files, written out, looked at, taken out."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from records.shelf import PolicyFileError, Shelf
from sla.customer import BillingLink, ContractLine, Customer
from starter.commands import terminal
from starter.commands.customers_here import named_in, on_records, tell_accounts
from starter.commands.failures import RefusalError
from starter.commands.options import CustomerId, Json, argument, option
from starter.home import Home


def bring_in(paths: Annotated[list[Path], argument("PATH...", "Files of customers, or folders of them.")]) -> None:
    """Bring customers in from YAML files: all of them, or, where one is wrong, none. They replace those of their ids.

    Example: pactkeeper customer import policies/customers
    """
    from records.customer_files import bring, sheets
    from records.customers import CustomerStore, bears_on_account

    home, found = Home.here(), sheets(paths, Shelf())

    async def ask(store: CustomerStore) -> tuple[list[str], list[str]]:
        before = await store.all()
        changed = await bring(store, found)
        after = {sheet.model.id: sheet.model for sheet in found}
        return changed, [id for id in changed if bears_on_account(before.get(id), after[id])]

    changed, concerned = on_records(home, ask)
    same = len(found) - len(changed)
    terminal.show(
        f"Brought in: {', '.join(changed) or 'nothing that is new'}." + (f" As before: {same}." if same else "")
    )
    tell_accounts(home, concerned)


def export(
    ids: Annotated[list[str] | None, argument("[ID]...", "Which customers; left out: all.")] = None,
    to: Annotated[Path | None, option("FOLDER", "Write one file a customer; left out: to standard output.")] = None,
) -> None:
    """Write customers as YAML, as `customer import` takes them. A file that says the same already is left as it is.

    Example: pactkeeper customer export acme

    Example: pactkeeper customer export --to policies/customers
    """
    from records.customer_files import written

    known = on_records(Home.here(), lambda store: store.all())
    chosen = [known[id] for id in (ids or known) if id in known]
    if missing := [id for id in ids or () if id not in known]:
        raise RefusalError(f"no customer {missing[0]!r} is known; write one of: {named_in(known)}")
    if to is None:
        print("---\n".join(map(written, chosen)), end="")
        return
    for customer in chosen:
        _write(to, customer)


def _write(folder: Path, customer: Customer) -> None:
    from records.customer_files import file_name, written

    path = folder / file_name(customer.id)
    try:
        if Shelf().sheet(Customer, "customer", path).model == customer:
            terminal.note(f"{path} says so already")
            return
    except PolicyFileError:  # There is none, or none that can be read: it is written.
        pass
    schema = folder.parent / "schemas" / "customer.schema.json"
    head = "# yaml-language-server: $schema=../schemas/customer.schema.json\n" if schema.is_file() else ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(head + written(customer), encoding="utf-8")
    except OSError as error:
        raise RefusalError(f"{path} cannot be written: {error.strerror}") from None
    terminal.note(f"wrote {path}")


def every(json: Json = False) -> None:
    """List the customers.

    Example: pactkeeper customer list
    """
    customers = on_records(Home.here(), lambda store: store.all())
    if json:
        terminal.as_json([customer.model_dump(mode="json") for customer in customers.values()])
        return
    if not customers:
        terminal.show("There is no customer yet; `pactkeeper customer import PATH` brings some in.")
        return
    made = terminal.table("customer", "name", "contract", "lines", "billing", "contacts")
    for customer in customers.values():
        links = dict.fromkeys(_linked(link) for link in map(customer.billed, customer.contract_lines) if link)
        contacts = ", ".join(contact.email for contact in customer.contacts)
        cells = [customer.contract or "the default", ", ".join(line.id for line in customer.contract_lines)]
        terminal.row(made, [customer.id, customer.name, *cells, ", ".join(links) or "–", contacts or "–"])
    terminal.show(made)


def show(id: CustomerId, json: Json = False) -> None:
    """Show a customer: its contract lines, where they are paid for, its contacts.

    Example: pactkeeper customer show acme
    """
    customers = on_records(Home.here(), lambda store: store.all())
    customer = customers.get(id)
    if customer is None:
        raise RefusalError(f"no customer {id!r} is known; write one of: {named_in(customers)}")
    if json:
        terminal.as_json(customer.model_dump(mode="json"))
    else:
        terminal.show(*page(customer))


def page(customer: Customer) -> Sequence[RenderableType]:
    """A customer for people."""
    head = Text(customer.id, style="bold")
    head.append(f"  {customer.name}" if customer.name else "", style="not bold")
    contract = f"contract {customer.contract or 'of the installation'}"
    domains = f", mail from {', '.join(customer.domains)}" if customer.domains else ""
    lines = terminal.table("line", "title", "contract", "products", "paid", "billing")
    for line in customer.contract_lines:
        link = customer.billed(line)
        products = ", ".join(line.products) or "all others"
        own = [line.id, line.title or "–", line.contract or "–", products]
        terminal.row(lines, [*own, _paid(line), _linked(link) if link else "–"])
    contacts = terminal.table("contact", "name", "roles", "prefers")
    for contact in customer.contacts:
        terminal.row(contacts, [contact.email, contact.name or "–", ", ".join(contact.roles) or "–", contact.prefers])
    told = contacts if customer.contacts else Text("It has no contact yet.")
    return head, Text(contract + domains), Text(""), lines, Text(""), told


def remove(
    id: CustomerId,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
) -> None:
    """Forget a customer: its lines, links and contacts. Its incidents run on under the contract they opened with.

    Example: pactkeeper customer remove acme --yes
    """
    home = Home.here()
    if not yes:
        raise RefusalError(f"{id} and all its lines, links and contacts would be forgotten; say --yes to do it", 2)
    if not on_records(home, lambda store: store.remove(id)):
        raise RefusalError(f"no customer {id!r} is known; `pactkeeper customer list` lists them")
    terminal.show(f"{id} is forgotten.")
    for path in Shelf().paths("customer"):
        try:
            told = Shelf().sheet(Customer, "customer", path)
        except PolicyFileError:
            continue
        if told.model.id == id:
            again = "the next `pactkeeper up` takes the customer up again, so take the file away, too"
            terminal.note(f"{shlex.quote(told.file)} still tells of it: {again}")
    tell_accounts(home, [id])


def _paid(line: ContractLine) -> str:
    if line.prepaid:
        return "in advance"
    return f"in advance up to {line.prepaid_until}" if line.prepaid_until else "as billed"


def _linked(link: BillingLink) -> str:
    return "/".join(filter(None, (link.source, link.account, link.customer, link.subscription)))
