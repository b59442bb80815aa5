"""Reading customers' payments where they are kept: for an account that looks, and for all of them by the clock."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities import dispatch
from activities.beating import beating
from activities.billing_reading import LinkReader
from activities.billing_settings import BillingSettings, NoAccount
from activities.calls import BillingRead, Look, Outstanding, ReadBilling, Reconcile, Reconciled
from activities.policies import Policies
from activities.stripe import StripeRefused, StripeUnavailable
from activities.stripe_standing import news
from records.shelf import PolicyFileError
from sla import names
from sla.account_events import AccountDelivery
from sla.customer import BillingLink, ContractLine, Customer
from sla.ledger import AccountLedger
from sla.standing import fingerprint

IN_FLIGHT: Final = 5
"""Customers read side by side: well under what Stripe lets an account ask in a second."""
BEAT: Final = 5.0
"""Seconds between heartbeats."""
PATIENCE: Final = 60.0
"""Seconds that a source may ask us to wait, and we do, before a customer counts as failed."""
ATTEMPTS: Final = 3
LATER: Final = timedelta(minutes=5)
"""After a refusal, which only a person can mend."""
_OURS = re.compile(r"stripe:[A-Za-z0-9_.:-]+")
Trouble = NoAccount | StripeRefused | StripeUnavailable | ValueError


class Unread(Exception):
    """None of a customer's links told anything new, and one or more could not be read."""

    def __init__(self, first: Trouble) -> None:
        super().__init__(str(first))
        self.first = first


def links(customer: Customer, gone: Iterable[str] = ()) -> Mapping[BillingLink, list[ContractLine]]:
    """The links by which a customer's lines are paid; a line that is prepaid for good needs none.

    `gone`: lines that the record has no more and incidents are still open on; the customer's link tells of them, else the first.
    """
    found: dict[BillingLink, list[ContractLine]] = {}
    first = next((link for line in customer.contract_lines if (link := customer.billed(line)) is not None), None)
    old = [(ContractLine(id=id), customer.billing or first) for id in gone]
    for line, link in [*((line, customer.billed(line)) for line in customer.contract_lines), *old]:
        if link is not None and not line.prepaid:
            found.setdefault(link, []).append(line)
    return found


@dataclass
class BillingActivities:
    """Needs the policies, a client for the accounts, and how the billing accounts are read."""

    policies: Policies
    client: Client
    settings: BillingSettings = field(default_factory=BillingSettings)

    @property
    def reader(self) -> LinkReader:
        """Who reads a link."""
        return LinkReader(self.settings)

    @activity.defn(name=names.READ_BILLING)
    async def read_billing(self, asked: ReadBilling) -> BillingRead:
        """What the billing sources say that the account does not have yet."""
        customer = await self._customer(asked.customer)
        if customer is None:
            return BillingRead()
        try:
            return BillingRead(words=await self._news(customer, asked.outstanding))
        except Unread as unread:
            raise _error(unread.first) from None

    @activity.defn(name=names.RECONCILE_BILLING)
    async def reconcile_billing(self, asked: Reconcile) -> Reconciled:
        """Read every linked customer's standing, and have those accounts look that do not agree; resumes where it was.

        An account that goes by other terms than the customer's record and contract now say, reads them again.
        """
        details = activity.info().heartbeat_details
        after, counts = (str(details[0]), Reconciled.model_validate(details[1])) if details else ("", Reconciled())
        some = await self._customers(asked.only)
        waiting = sorted(id for id in some if id > after)
        progress = _Progress(after, counts)
        async with beating(progress.beat, BEAT):
            for start in range(0, len(waiting), IN_FLIGHT):
                batch = waiting[start : start + IN_FLIGHT]
                came = await asyncio.gather(*(self._reconcile(some[id]) for id in batch))
                progress.add(batch[-1], came)
        return progress.counts

    async def _reconcile(self, customer: Customer) -> tuple[bool, str | None]:
        """Whether its account reads its terms again; and, where a line is linked, what the comparison came to."""
        try:
            revised = await self._revise(customer)
        except (RPCError, PolicyFileError) as error:
            activity.logger.warning("the terms of %s can't be compared: %s", names.canonical(customer.id), error)
            revised = False
        return revised, await self._compare(customer) if links(customer) else None

    async def _revise(self, customer: Customer) -> bool:
        ledger = await self._ledger(customer)
        if ledger is None:
            return False
        now = self.policies.terms(customer.id, ledger.asked, datetime.now(UTC))
        if ledger.terms == fingerprint(now):
            return False
        return await dispatch.revise(self.client, customer.id, looks=False)

    async def _compare(self, customer: Customer) -> str:
        """`agreed`, `looked` or `failed`."""
        try:
            known = await self._known(customer)
            words = await self._patiently(customer, known)
            if not words:
                return "agreed"
            queue = activity.info().task_queue
            look = Look(source="reconciler", why=", ".join(word.event.event for word in words)[:200])
            await dispatch.look(self.client, customer.id, look, task_queue=queue)
        except (Unread, RPCError) as error:
            said = error.message if isinstance(error, RPCError) else str(error)
            activity.logger.warning("the standing of %s can't be compared: %s", names.canonical(customer.id), said)
            return "failed"
        return "looked"

    async def _patiently(self, customer: Customer, known: Iterable[Outstanding]) -> tuple[AccountDelivery, ...]:
        """The news; a source that names a time to wait is asked again after it."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._news(customer, known)
            except Unread as unread:
                wait = unread.first.retry_after if isinstance(unread.first, StripeUnavailable) else None
                if wait is None or wait > PATIENCE:
                    raise
                await asyncio.sleep(wait)
        return await self._news(customer, known)

    async def _news(self, customer: Customer, outstanding: Iterable[Outstanding]) -> tuple[AccountDelivery, ...]:
        """Link by link; what one tells is not held up by another that can't be read."""
        some, words, trouble = tuple(outstanding), list[AccountDelivery](), list[Trouble]()
        known = {line.id for line in customer.contract_lines}
        gone = dict.fromkeys(item.line for item in some if item.line not in known)
        for link, lines in links(customer, gone).items():
            ids = {line.id for line in lines}
            try:
                reading = await self.reader.read(link, [item for item in some if item.line in ids])
            except (NoAccount, StripeRefused, StripeUnavailable, ValueError) as error:
                activity.logger.warning("the payments of %s can't be read: %s", names.canonical(customer.id), error)
                trouble.append(error)
                continue
            if not reading.subscriptions:
                activity.logger.warning("%s has no subscription at its source", names.canonical(customer.id))
            for line in lines:
                words += news(reading, line.id, some, prepaid=line.prepaid_until is not None)
        if trouble and not words:
            raise Unread(trouble[0])
        return tuple(words)

    async def _known(self, customer: Customer) -> tuple[Outstanding, ...]:
        """What the customer's account has outstanding from here."""
        ledger = await self._ledger(customer)
        return () if ledger is None else _outstanding(customer, ledger)

    async def _ledger(self, customer: Customer) -> AccountLedger | None:
        """What the customer's account shows in its memo, which costs nothing to read; None where none runs."""
        handle = self.client.get_workflow_handle(names.account_id(customer.id))
        try:
            told = await handle.describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None
        if told.status != WorkflowExecutionStatus.RUNNING:
            return None
        ledger: AccountLedger = await told.memo_value(names.LEDGER, AccountLedger(), type_hint=AccountLedger)
        return ledger

    async def _customer(self, id: str) -> Customer | None:
        await self.policies.fresh(at_once=True)
        return self.policies.customer(id)

    async def _customers(self, only: tuple[str, ...]) -> dict[str, Customer]:
        await self.policies.fresh(at_once=True)
        return {id: one for id, one in self.policies.customers().items() if not only or id in only}


def _outstanding(customer: Customer, ledger: AccountLedger) -> tuple[Outstanding, ...]:
    """Every line's, as its ledger names them. The moment that all of a line have in common there is close enough here."""
    ids = dict.fromkeys([*(line.id for line in customer.contract_lines), *ledger.lines])
    return tuple(
        Outstanding(line=id, reference=reference, since=one.since)
        for id in ids
        if (one := ledger.of(id)).since is not None and one.standing != "current"
        for reference in _OURS.findall(one.why)
    )


def _error(trouble: Trouble) -> ApplicationError:
    """What the account's operator sees beside the activity that waits."""
    if isinstance(trouble, StripeUnavailable):
        delay = None if trouble.retry_after is None else timedelta(seconds=trouble.retry_after)
        return ApplicationError(str(trouble), type="BillingUnavailable", next_retry_delay=delay)
    if isinstance(trouble, StripeRefused):
        return ApplicationError(str(trouble), type="BillingRefused", next_retry_delay=LATER)
    return ApplicationError(str(trouble), type="BillingNotSetUp", non_retryable=True)


@dataclass
class _Progress:
    """How far the reconciler has come: all up to and with the customer `last` are done."""

    last: str
    counts: Reconciled

    def add(self, last: str, came: Iterable[tuple[bool, str | None]]) -> None:
        told = self.counts.model_dump()
        for revised, what in came:
            told["revised"] += revised
            if what is None:
                continue
            told[what] += 1
            told["read"] += what != "failed"
        self.last, self.counts = last, Reconciled(**told)
        self.beat()

    def beat(self) -> None:
        activity.heartbeat(self.last, self.counts)
