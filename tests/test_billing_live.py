"""Support follows the payments at a real Stripe (localstripe): webhooks, none at all, or any order; the last word is what it reads back.

Each customer has an incident open, whose clocks must end as `GET /v1/subscriptions/{id}` says.
"""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from stripe import WebhookSignature
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.billing import BillingActivities
from activities.billing_settings import BillingSettings
from activities.calls import Reconcile, Reconciled
from activities.policies import Policies
from records import database
from records.customer_cache import CustomerCache
from records.customers import CustomerStore
from records.dead_letters import DeadLetterStore
from sla import names
from sla.account_events import AccountDelivery, PaymentCurrent, PaymentLapsed
from sla.customer import BillingLink, Contact, Customer
from sla.events import Delivery, Opened
from starter.dispatch import TemporalDispatch
from starter.embedded import EmbeddedServer
from starter.engines import Silent
from starter.hook_settings import IntakeSettings, Secrets
from starter.port import BillingRecords
from starter.schedules import RECONCILE_ID, ensure_schedule
from starter.web import create_app
from tests.peers.stripe import GOOD, KEY, REFUSED_ACCOUNT, StripePeer
from tests.test_main_job import served
from worker.build import build_worker

SECRET = "whsec_of_these_live_tests_alone_1234"
STANDS = {"active": "current", "trialing": "current", "past_due": "suspended", "canceled": "terminated"}
"""How a line under the contract `reciprocity`, which suspends at once, stands by a subscription's status."""

WALKS = (
    ("loud",),
    ("silent", "pays"),
    ("loud", "pays", "ends"),
    ("silent", "ends", "begins"),
    ("ends", "begins", "silent"),
    ("loud", "ends"),
    ("silent", "pays", "ends", "begins", "loud", "pays"),
    ("ends", "begins", "ends"),
)
"""What happens to a subscription, one thing after the other."""


@dataclass
class Office:
    """Everything that runs: a Stripe, an intake, records, a worker, a Temporal server."""

    stripe: StripePeer
    client: Client
    queue: str
    customers: CustomerStore
    letters: DeadLetterStore
    policies: Policies
    hook: str

    async def customer(self, *, link: bool = True, debit: str | None = None) -> "Payer":
        """A customer with a subscription that is paid, and one open incident."""
        id = f"acme-{uuid.uuid4().hex[:8]}"
        theirs = await asyncio.to_thread(self.stripe.customer)
        if debit:
            await asyncio.to_thread(self.stripe.debit, theirs, debit)
        subscription = await asyncio.to_thread(self.stripe.subscribes, theirs)
        payer = Payer(self, id, theirs, subscription)
        if link:
            await payer.linked()
        at = datetime.now(UTC)
        word = Delivery(
            key="opened", occurred_at=at, received_at=at, event=Opened(priority="S1", by="ann@acme.example")
        )
        await dispatch.deliver(
            self.client, "desk", id, id, word, task_queue=self.queue, contract="reciprocity", policies=self.policies
        )
        return payer

    async def reconcile(self, *only: str) -> Reconciled:
        """One run of the reconciler, by its own workflow; that an account shows its terms for the first time is left out."""
        came: Reconciled = await self.client.execute_workflow(
            names.RECONCILE_WORKFLOW, Reconcile(only=only), id=f"reconcile/{uuid.uuid4()}", task_queue=self.queue,
            result_type=Reconciled,
        )  # fmt: skip
        return came.model_copy(update={"revised": 0})

    async def deliver(self, events: Sequence[dict[str, Any]]) -> list[int]:
        """Bring events to the hook in this order, each signed anew as Stripe does with every attempt."""
        came = []
        async with httpx.AsyncClient(trust_env=False) as http:
            for event in events:
                raw = json.dumps(event)
                signed = WebhookSignature.generate_signature_header(raw, SECRET)
                came.append((await http.post(self.hook, content=raw, headers={"stripe-signature": signed})).status_code)
        return came


@dataclass
class Payer:
    """One customer of ours, and who it is at Stripe."""

    office: Office
    id: str
    theirs: str
    subscription: str

    async def linked(self) -> None:
        """Say where the customer's payments are kept."""
        await self.office.customers.put(
            Customer(
                id=self.id, contract="reciprocity", contacts=(Contact(email=f"ann@{self.id}.example"),),
                billing=BillingLink(customer=self.theirs),
            )
        )  # fmt: skip

    async def status(self) -> str:
        """What Stripe itself says of the subscription."""
        return str((await asyncio.to_thread(self.office.stripe.subscription, self.subscription))["status"])

    async def lapses(self, *, webhook: bool = True) -> str:
        """A payment fails."""
        return await asyncio.to_thread(self.office.stripe.lapses, self.theirs, self.subscription, webhook=webhook)

    async def pays(self, invoice: str) -> None:
        """The open invoice is paid."""
        await asyncio.to_thread(self.office.stripe.pays, self.theirs, invoice)

    async def account(self) -> dict[str, Any]:
        """The account as it stands."""
        return dict(await self.office.client.get_workflow_handle(names.account_id(self.id)).query(names.STATUS))

    async def incident(self) -> dict[str, Any]:
        """The incident as it stands."""
        handle = self.office.client.get_workflow_handle(names.incident_id("desk", self.id))
        return dict(await handle.query(names.STATUS))

    async def stands(self, wanted: str) -> None:
        """Wait until the account stands so, as Stripe says, and the incident's clocks are suspended or run accordingly."""
        clock = "running" if wanted == "current" else "suspended"

        async def holds() -> bool:
            account, incident = await self.account(), await self.incident()
            quiet = not account["looking"] and account["told"] == account["version"]
            return quiet and account["standing"] == wanted and incident["clocks"]["response"]["state"] == clock

        await until(holds, lambda: self._told(wanted))
        assert STANDS[await self.status()] == wanted

    async def _told(self, wanted: str) -> Any:
        return {
            "wanted": wanted,
            "stripe": await self.status(),
            "account": await self.account(),
            "incident": await self.incident(),
        }


async def until(holds: Callable[[], Any], told: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until it holds."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                with suppress(Exception):  # a workflow may not be there yet
                    if await holds():
                        return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it never held: {await told()}") from None


@pytest.fixture(scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """One office for the whole module; each test has customers of its own."""
    home = tmp_path_factory.mktemp("office")
    url = f"sqlite:///{home / 'records.db'}"
    await asyncio.to_thread(database.upgrade, url)
    engine = database.engine(url)
    peer = StripePeer(home / "stripe")
    started = asyncio.create_task(asyncio.to_thread(peer.start))
    try:
        async with EmbeddedServer(home / "state", search_attributes=ALL_KEYS) as temporal:
            await started
            client = await Client.connect(temporal.target, data_converter=pydantic_data_converter)
            async with running(client, engine, peer) as made:
                yield made
    finally:
        await asyncio.to_thread(peer.stop)
        await engine.dispose()


@asynccontextmanager
async def running(client: Client, engine: AsyncEngine, peer: StripePeer) -> AsyncIterator[Office]:
    """A worker and an intake between that Stripe and that server."""
    customers, letters = CustomerStore(engine), DeadLetterStore(engine)
    loop = asyncio.get_running_loop()
    # The cache asks once a second; here every second is a hundred, and what a test just wrote is seen.
    policies = Policies(records=CustomerCache(customers, clock=lambda: loop.time() * 100))
    queue = f"billing-{uuid.uuid4().hex[:6]}"
    hooks = IntakeSettings(Secrets(stripe={"main": (SECRET.encode(),)}))
    app = create_app(TemporalDispatch(client, queue), hooks, billing=BillingRecords(customers, letters))
    billing = BillingActivities(policies, client, BillingSettings(lambda: {"main": {"key": KEY, "url": peer.base}}))
    async with build_worker(client, policies, Silent(), task_queue=queue, billing=billing), served(app) as address:
        yield Office(peer, client, queue, customers, letters, policies, f"{address}/hooks/stripe/main")


@pytest.fixture
async def with_webhooks(office: Office) -> AsyncIterator[Office]:
    """Stripe's own webhooks reach the intake."""
    await asyncio.to_thread(office.stripe.sends_to, office.hook, SECRET)
    yield office
    await asyncio.to_thread(office.stripe.sends_to, "http://127.0.0.1:9/", SECRET)


async def test_a_failing_card_suspends_by_its_webhook_and_the_payment_resumes(with_webhooks: Office) -> None:
    payer = await with_webhooks.customer()
    invoice = await payer.lapses()
    await payer.stands("suspended")
    account = await payer.account()
    assert f"stripe:main:{invoice}" in json.dumps(account)
    told = await asyncio.to_thread(with_webhooks.stripe.get, f"/v1/invoices/{invoice}")
    assert datetime.fromisoformat(account["since"]).timestamp() == told["status_transitions"]["finalized_at"]
    await asyncio.sleep(1.1)  # Stripe counts whole seconds, and a lapse of none would be none
    await payer.pays(invoice)
    await payer.stands("current")


async def test_a_card_that_lapses_without_any_webhook_is_found_by_the_reconciler(office: Office) -> None:
    payer, other = await office.customer(), await office.customer()
    assert await office.reconcile(payer.id, other.id) == Reconciled(read=2, agreed=2)
    invoice = await payer.lapses(webhook=False)
    assert await office.reconcile(payer.id, other.id) == Reconciled(read=2, agreed=1, looked=1)
    await payer.stands("suspended")
    await other.stands("current")
    assert await office.reconcile(payer.id, other.id) == Reconciled(read=2, agreed=2)
    await asyncio.sleep(1.1)  # as above
    await payer.pays(invoice)
    assert (await office.reconcile(payer.id)).looked == 1
    await payer.stands("current")


async def test_a_subscription_deleted_before_its_payment_failed_ends_terminated(with_webhooks: Office) -> None:
    """A refused SEPA debit: Stripe deletes the subscription, and only then tells that the payment failed."""
    payer = await with_webhooks.customer(debit=REFUSED_ACCOUNT)
    await payer.stands("terminated")
    kinds = ("customer.subscription.deleted", "invoice.payment_failed")
    theirs = [e for e in await asyncio.to_thread(with_webhooks.stripe.events, *kinds) if _of(e) == payer.theirs]
    assert {event["type"] for event in theirs} == set(kinds)
    for order in permutations(theirs):
        assert set(await with_webhooks.deliver(order)) == {202}
        await payer.stands("terminated")
    account = await payer.account()
    assert account["dead_letters"] == []


@pytest.mark.parametrize("reverse", [False, True], ids=["paid-last", "failed-last"])
async def test_paid_and_failed_within_a_second_in_both_orders(office: Office, reverse: bool) -> None:
    payer = await office.customer()
    invoice = await payer.lapses()
    await payer.pays(invoice)
    kinds = ("invoice.payment_failed", "invoice.payment_succeeded")
    theirs = [e for e in await asyncio.to_thread(office.stripe.events, *kinds) if e["data"]["object"]["id"] == invoice]
    assert [event["type"] for event in theirs] == list(kinds)
    assert await office.deliver(theirs[::-1] if reverse else theirs) == [202, 202]
    await payer.stands("current")


@pytest.mark.parametrize("reverse", [False, True], ids=["paid-last", "failed-last"])
async def test_a_webhook_of_the_failure_that_comes_after_that_of_the_payment_suspends_nobody(
    office: Office, reverse: bool
) -> None:
    """The lapse was known already; then the payment's webhook and the failure's come in either order."""
    payer = await office.customer()
    invoice = await payer.lapses()
    kinds = ("invoice.payment_failed", "invoice.payment_succeeded")
    assert (await office.reconcile(payer.id)).looked == 1
    await payer.stands("suspended")
    await asyncio.sleep(1.1)  # as above
    await payer.pays(invoice)
    theirs = [e for e in await asyncio.to_thread(office.stripe.events, *kinds) if e["data"]["object"]["id"] == invoice]
    assert await office.deliver(theirs[::-1] if reverse else theirs) == [202, 202]
    await payer.stands("current")


async def test_any_walk_with_webhooks_lost_doubled_and_in_any_order_ends_as_stripe_says(office: Office) -> None:
    """Sixteen customers, each on a walk of its own; half the deliveries are lost, some come twice, none in order."""
    chance = random.Random(20311)

    async def walk(number: int) -> Payer:
        payer, turns = await office.customer(), random.Random(number)
        for step in WALKS[number % len(WALKS)]:
            await asyncio.sleep(turns.random())
            if step in ("loud", "silent"):
                invoice = await payer.lapses(webhook=step == "loud")
            elif step == "pays":
                await payer.pays(invoice)
            elif step == "ends":
                await asyncio.to_thread(office.stripe.ends, payer.subscription)
            else:
                await asyncio.to_thread(office.stripe.card, payer.theirs, GOOD)
                payer.subscription = await asyncio.to_thread(office.stripe.subscribes, payer.theirs)
            if turns.random() < 0.5:
                await office.reconcile(payer.id)
        return payer

    payers = await asyncio.gather(*map(walk, range(16)))
    known = {payer.theirs for payer in payers}
    kinds = ("invoice.payment_failed", "invoice.payment_succeeded", "customer.subscription.deleted")
    events = [e for e in await asyncio.to_thread(office.stripe.events, *kinds) if _of(e) in known]
    sent = chance.choices(events, k=len(events) // 2)
    assert set(await office.deliver(sent)) <= {202}
    counts = await office.reconcile(*(payer.id for payer in payers))
    assert (counts.read, counts.failed) == (16, 0)
    for payer in payers:
        await payer.stands(STANDS[await payer.status()])
    assert await office.reconcile(*(payer.id for payer in payers)) == Reconciled(read=16, agreed=16)


async def test_a_subscription_that_ends_and_a_new_one_that_begins(with_webhooks: Office) -> None:
    payer = await with_webhooks.customer()
    await asyncio.to_thread(with_webhooks.stripe.ends, payer.subscription)
    await payer.stands("terminated")
    await asyncio.sleep(1.1)  # as above
    payer.subscription = await asyncio.to_thread(with_webhooks.stripe.subscribes, payer.theirs)
    await payer.stands("current")


async def test_a_lapse_that_an_operator_entered_is_none_of_stripes(office: Office) -> None:
    payer = await office.customer()
    at = datetime.now(UTC) - timedelta(seconds=1)
    word = AccountDelivery(key="by-hand", occurred_at=at, received_at=at, event=PaymentLapsed(by="dana"))
    await dispatch.pay(office.client, payer.id, word, task_queue=office.queue)

    async def suspended() -> bool:
        return bool((await payer.account())["standing"] == "suspended")

    await until(suspended, payer.account)
    assert await office.reconcile(payer.id) == Reconciled(read=1, agreed=1)
    now = datetime.now(UTC)
    paid = AccountDelivery(key="paid", occurred_at=now, received_at=now, event=PaymentCurrent(by="dana"))
    await dispatch.pay(office.client, payer.id, paid, task_queue=office.queue)
    await payer.stands("current")


async def test_an_unknown_customer_is_kept_and_taken_up_once_it_is_linked(office: Office) -> None:
    payer = await office.customer(link=False)
    await payer.lapses()
    events = [
        e for e in await asyncio.to_thread(office.stripe.events, "invoice.payment_failed") if _of(e) == payer.theirs
    ]
    assert await office.deliver(events) == [200]
    (letter,) = [one for one in await office.letters.list() if one.subject == payer.theirs]
    assert letter.source == "stripe/main"
    await payer.linked()
    assert (await office.reconcile(payer.id)).looked == 1
    await payer.stands("suspended")


async def test_one_customers_failure_stops_no_other_and_is_counted(office: Office) -> None:
    gone, astray, fine = [await office.customer() for _ in range(3)]
    gone.theirs = "cus_gone"
    await gone.linked()
    link = BillingLink(account="nobody", customer=astray.theirs)
    await office.customers.put(Customer(id=astray.id, contract="reciprocity", billing=link))
    await fine.lapses(webhook=False)
    counts = await office.reconcile(gone.id, astray.id, fine.id)
    assert counts == Reconciled(read=1, looked=1, failed=2)
    await fine.stands("suspended")


async def test_the_schedule_is_there_once_however_often_it_is_asked_for(office: Office) -> None:
    for every in (timedelta(minutes=10), timedelta(minutes=10), timedelta(minutes=7)):
        await ensure_schedule(office.client, every, task_queue=office.queue)
    handle = office.client.get_schedule_handle(RECONCILE_ID)
    told = await handle.describe()
    assert [spec.every for spec in told.schedule.spec.intervals] == [timedelta(minutes=7)]
    await handle.pause(note="for a while")
    await ensure_schedule(office.client, timedelta(minutes=10), task_queue=office.queue)
    told = await handle.describe()
    assert (told.schedule.state.paused, told.schedule.state.note) == (True, "for a while")
    payer = await office.customer()
    await payer.lapses(webhook=False)
    await handle.trigger()
    await payer.stands("suspended")
    await ensure_schedule(office.client, timedelta(), task_queue=office.queue)
    await ensure_schedule(office.client, timedelta(), task_queue=office.queue)


def _of(event: dict[str, Any]) -> Any:
    return event["data"]["object"]["customer"]
