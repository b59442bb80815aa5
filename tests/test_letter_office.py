"""Dead letters of every source are brought again by one way, as of when they came; what still can't be says why, and stays."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.calls import Look
from records.dead_letters import DeadLetterStore, Letter
from records.spool import Spooled
from sla.account_events import AccountDelivery
from sla.customer import ContractLine, Customer
from sla.events import Delivery
from sla.intake import Unusable
from starter.hook_bodies import Refused
from starter.letter_office import LetterOffice, NotSeenTo, drop
from starter.port import Unavailable
from starter.spooler import letter
from tests.customers import ACME, BOLT
from tests.test_deliveries import AT
from tests.test_spooler import said

NOW = datetime(2031, 7, 9, tzinfo=UTC)
PAYMENT = {"customer": "acme", "event": "payment_lapsed", "reference": "INV-1", "line": "hardware"}
STRIPE = Letter("stripe/main/evt_1", "stripe/main", AT, "no customer is linked", "invoice.paid", "cus_1", "{}")
BILLING = Letter(
    "billing/erp/m1", "billing/erp", AT, "there is no customer acme", "payment_lapsed", "acme", json.dumps(PAYMENT)
)
DESK = Letter("zendesk/desk/evt-7", "zendesk/desk", AT, "ticket is missing", "ticket.created", "", "{}")
HELD = Spooled("00-1", "desk", "4711", "acme", None, (said("a"), said("b")), AT)
SPOOLED = letter(HELD, "Temporal did not take it in 20 tries: too many links")


@dataclass
class World:
    """Everything around the letters: customers, Temporal, the helpdesks' hooks."""

    customers: dict[str, Customer] = field(default_factory=dict)
    away: bool = False
    runs: bool = True
    fault: Exception | None = None
    did: list[object] = field(default_factory=list)

    async def get(self, id: str) -> Customer | None:
        return self.customers.get(id)

    async def linked(self, source: str, account: str, reference: str) -> Sequence[tuple[Customer, ContractLine]]:
        assert (source, account, reference) == ("stripe", "main", "cus_1")
        return [(one, line) for one in self.customers.values() for line in one.contract_lines]

    async def look(self, customer: str, asked: Look) -> str:
        return self._done("look", customer, asked.source, asked.why)

    async def account(self, customer: str, word: AccountDelivery) -> str:
        return self._done("account", customer, word.key, word.event.event, word.received_at)

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        return self._done("incident", source, ticket, customer, tuple(words))

    async def existing(self, incident: str, words: Sequence[Delivery]) -> str:
        return self._done("existing", incident, tuple(words)) if self.runs else ""

    async def replay(self, kept: Letter) -> str:
        if self.fault:
            raise self.fault
        return self._done("replay", kept.id)

    def _done(self, *what: object) -> str:
        if self.away:
            raise Unavailable("Temporal is away")
        self.did.append(what)
        return str(what[0])


class Desk:
    """The office, over a world."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.world, self.letters = World(), DeadLetterStore(engine)
        self.office = LetterOffice(self.letters, self.world, self.world, self.world, lambda: NOW)  # type: ignore[arg-type]

    async def refused(self, one: Letter) -> str:
        with pytest.raises(NotSeenTo) as caught:
            await self.office.replay(one.id)
        kept = await self.letters.get(one.id)
        assert kept is not None
        assert kept.handled_at is None, "it stays as it is"
        assert self.world.did == []
        return str(caught.value)


@pytest.fixture
async def desk(engine: AsyncEngine) -> Desk:
    made = Desk(engine)
    for one in (STRIPE, BILLING, DESK, SPOOLED):
        assert await made.letters.put(one)
    return made


pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


async def test_an_event_of_stripe_makes_the_accounts_look_once_somebody_is_linked(desk: Desk) -> None:
    assert "`pactkeeper customer link CUSTOMER --customer cus_1` does it" in await desk.refused(STRIPE)
    desk.world.customers = {"acme": ACME, "bolt": BOLT}
    assert await desk.office.replay(STRIPE.id) == "replayed: acme, bolt look again"
    assert desk.world.did == [("look", id, "stripe/main", "replay of stripe/main/evt_1") for id in ("acme", "bolt")]


async def test_a_payment_is_told_as_of_when_it_came_once_customer_and_line_are_there(desk: Desk) -> None:
    assert "there is no customer 'acme' yet" in await desk.refused(BILLING)
    desk.world.customers = {"acme": BOLT}
    assert "bolt has no contract line 'hardware' yet" in await desk.refused(BILLING)
    desk.world.customers = {"acme": ACME}
    assert await desk.office.replay(BILLING.id) == "replayed: acme was told payment_lapsed"
    assert desk.world.did == [("account", "acme", "billing:erp:m1", "payment_lapsed", AT)]


async def test_what_the_spool_gave_up_is_brought_to_its_incident(desk: Desk) -> None:
    assert await desk.office.replay(SPOOLED.id) == "replayed: incident has it"
    assert desk.world.did == [("incident", "desk", "4711", "acme", HELD.words)]
    button = letter(replace(HELD, id="2", incident="incident/desk/1"), "x")
    await desk.letters.put(button)
    desk.world.runs = False
    assert await desk.office.replay(button.id) == "replayed: its incident does not run any more"


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"words": [{}]}', '{"words": 3}', '"words"', '{"words'])
async def test_words_that_cant_be_read_stay(desk: Desk, body: str) -> None:
    broken = replace(SPOOLED, id="spool/desk/broken", body=body)
    await desk.letters.put(broken)
    assert "holds no words that can be read" in await desk.refused(broken)


async def test_a_helpdesks_letter_goes_the_way_of_a_delivery(desk: Desk) -> None:
    for fault in (Unusable("ticket is missing", "ticket"), Refused(404, "there is no source zendesk/desk any more")):
        desk.world.fault = fault
        assert await desk.refused(DESK) == f"zendesk/desk/evt-7 still can't be taken: {fault}"
    desk.world.fault = None
    assert await desk.office.replay(DESK.id) == "replayed: replay"


async def test_while_temporal_is_away_a_letter_stays(desk: Desk) -> None:
    desk.world.away, desk.world.customers = True, {"acme": ACME}
    for one in (STRIPE, BILLING, DESK, SPOOLED):
        with pytest.raises(Unavailable):
            await desk.office.replay(one.id)
    assert await desk.letters.waiting() == 4


async def test_a_letter_is_seen_to_once_and_what_became_of_it_is_kept(desk: Desk) -> None:
    await desk.office.replay(DESK.id)
    assert await drop(desk.letters, STRIPE.id, "  a test  ", NOW) == "dropped: a test"
    for one, how in ((DESK, "replayed: replay"), (STRIPE, "dropped: a test")):
        with pytest.raises(NotSeenTo, match=f"was seen to on 2031-07-09 00:00 UTC: {how}"):
            await desk.office.replay(one.id)
        with pytest.raises(NotSeenTo, match="was seen to on"):
            await drop(desk.letters, one.id, "again", NOW)
    with pytest.raises(NotSeenTo, match="there is no dead letter 'x'"):
        await desk.office.replay("x")
