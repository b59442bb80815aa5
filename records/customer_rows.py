"""A customer as rows of its tables, and back."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from records.models import Base, BillingLinkRow, ContactRow, ContractLineRow, CustomerClaim, CustomerRow
from records.shelf import claims
from sla.customer import BillingLink, Contact, ContractLine, Customer

CHUNK: Final = 500
"""So many values at most in one statement: SQLite takes no more than a few thousand."""
T = TypeVar("T")
Row = Mapping[Any, Any]
_Rows = Sequence[Mapping[str, Any]]


def rows(customer: Customer, at: datetime) -> Iterator[tuple[type[Base], _Rows]]:
    """What a customer is in each table, in the order in which the tables need one another."""
    own: dict[str, Any] = {"customer": customer.id}
    who = {"id": customer.id, "name": customer.name, "contract": customer.contract}
    yield CustomerRow, [{**who, "domains": list(customer.domains), "revised_at": at}]
    yield CustomerClaim, [{**own, "claim": claim} for claim in dict.fromkeys(claim for _, claim, _ in claims(customer))]
    yield (
        ContactRow,
        [
            {**own, **c.model_dump(), "roles": list(c.roles), "email_key": c.email.casefold(), "position": i}
            for i, c in enumerate(customer.contacts)
        ],
    )
    yield (
        ContractLineRow,
        [
            {**own, **line.model_dump(exclude={"billing"}), "products": list(line.products), "position": i}
            for i, line in enumerate(customer.lines)
        ],
    )
    links = [("", customer.billing), *((line.id, line.billing) for line in customer.lines)]
    yield BillingLinkRow, [{**own, "line": line, **_kept(link)} for line, link in links if link is not None]


async def read_customers(connection: AsyncConnection, ids: Collection[str] | None = None) -> dict[str, Customer]:
    """Customers by their ids, in the order of these; None: all of them."""
    if ids is not None:
        found: dict[str, Customer] = {}
        for some in chunks(sorted(ids)):
            found |= await _read(connection, some)
        return found
    return await _read(connection, None)


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in parts small enough for one statement."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


async def _read(connection: AsyncConnection, ids: Sequence[str] | None) -> dict[str, Customer]:
    async def of(model: type[Base], place: str) -> dict[str, list[Row]]:
        table = model.__table__
        owner = table.c.id if model is CustomerRow else table.c.customer
        asked: Select[Any] = select(table).order_by(table.c[place])
        grouped: dict[str, list[Row]] = defaultdict(list)
        for row in (await connection.execute(asked if ids is None else asked.where(owner.in_(ids)))).mappings():
            grouped[row[owner.name]].append(row)
        return grouped

    who = await of(CustomerRow, "id")
    contacts, lines = await of(ContactRow, "position"), await of(ContractLineRow, "position")
    links = {id: {row["line"]: _link(row) for row in some} for id, some in (await of(BillingLinkRow, "line")).items()}
    return {id: _customer(who[id][0], contacts.get(id, ()), lines.get(id, ()), links.get(id, {})) for id in sorted(who)}


def _customer(row: Row, contacts: Sequence[Row], lines: Sequence[Row], links: Mapping[str, BillingLink]) -> Customer:
    return Customer(
        **{name: row[name] for name in ("id", "name", "contract", "domains")},
        contacts=tuple(Contact(**{name: one[name] for name in Contact.model_fields}) for one in contacts),
        lines=tuple(
            ContractLine(**{name: one[name] for name in ContractLine.model_fields if name != "billing"},
                         billing=links.get(one["id"]))
            for one in lines
        ),
        billing=links.get(""),
    )  # fmt: skip


def _kept(link: BillingLink) -> dict[str, str]:
    where = {"source": link.source, "account": link.account}
    return {**where, "reference": link.customer, "subscription": link.subscription or ""}


def _link(row: Row) -> BillingLink:
    where = {"source": row["source"], "account": row["account"]}
    return BillingLink(**where, customer=row["reference"], subscription=row["subscription"] or None)
