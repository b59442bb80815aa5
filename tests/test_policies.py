"""Which customers hold: a story's own, else those of the records, else those of the files; and what their lines say."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.foresight import foreseen
from activities.policies import Policies
from records.customer_cache import CustomerCache
from records.customers import CustomerStore
from records.shelf import Shelf
from sla.customer import ContractLine, Customer
from sla.events import Delivery, Opened
from sla.incident import IncidentState
from tests.customers import ACME, BOLT

SHELF = Shelf(Path(__file__).parent.parent / "policies")
NOW = datetime(2031, 7, 10, 17, tzinfo=UTC)


async def test_a_storys_customers_hold_before_those_of_the_records_and_these_before_the_files(
    engine: AsyncEngine,
) -> None:
    store = CustomerStore(engine)
    await store.put_all([ACME, BOLT])
    files, records = Policies(SHELF), Policies(SHELF, records=CustomerCache(store))
    story = Policies(SHELF, only={"zed": Customer(id="zed", domains=("acme.example",))}, records=records.records)
    for policies in (files, records, story):
        await policies.fresh()
    assert [list(p.customers()) for p in (files, records, story)] == [["acme"], ["acme", "bolt"], ["zed"]]
    assert [p.customer("acme") for p in (files, records, story)] == [SHELF.customer("acme"), ACME, None]
    assert [p.customer_of("bo@acme.example") for p in (files, records, story)] == ["acme", "acme", "zed"]
    assert [p.customer_of("bo@bolt.example") for p in (files, records, story)] == [None, "bolt", None]
    assert [p.contract_name("bolt", None) for p in (files, records, story)] == ["tromzo"] * 3, "the default"


async def test_who_can_do_without_the_customers_is_told_that_they_cannot_be_read(engine: AsyncEngine) -> None:
    policies = Policies(SHELF, records=CustomerCache(CustomerStore(engine)))
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE contacts"))
    assert not await policies.readable()
    assert await Policies(SHELF).readable()
    word = Delivery(key="k", occurred_at=NOW, received_at=NOW, event=Opened(by="ann@acme.example", priority="P1"))
    state = IncidentState(source="cli", ticket="1", customer="acme")
    assert foreseen(None, state, [word]), "an incident starts all the same"


@pytest.mark.parametrize(
    ("day", "until"),
    [
        (date(2031, 7, 9), datetime(2031, 7, 10, 7, tzinfo=UTC)),
        (date(2031, 12, 31), datetime(2032, 1, 1, 8, tzinfo=UTC)),
        (date(2000, 1, 1), datetime(2000, 1, 2, 8, tzinfo=UTC)),
        (date(2199, 12, 31), datetime(2200, 1, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_line_is_prepaid_up_to_and_with_a_day_however_long_ago_or_far_ahead(day: date, until: datetime) -> None:
    """The day of the contract's own calendar, in Los Angeles here; its account can always be opened."""
    customer = Customer(id="a", contract="reciprocity", lines=(ContractLine(id="x", prepaid_until=day),))
    terms = Policies(SHELF, only={"a": customer}).terms("a", None, NOW)
    assert terms.lines[0].prepaid_until == until
