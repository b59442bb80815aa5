"""Reading one link's standing: so many questions to its billing source as the rules need, and no more."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from activities.billing_settings import BillingSettings
from activities.calls import Outstanding
from activities.stripe import Invoice, NotThere, Stripe, StripeRefused, StripeUnavailable, Subscription
from activities.stripe_standing import Reading, unexplained, unknown, wanted
from sla.customer import BillingLink


@dataclass(frozen=True)
class LinkReader:
    """Reads links by the settings of their accounts."""

    settings: BillingSettings
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def read(self, link: BillingLink, outstanding: Iterable[Outstanding]) -> Reading:
        """What the link's source says now, with the invoices of what is outstanding.

        Raises:
            NoAccount: nobody has set up the link's account here.
            StripeUnavailable, StripeRefused: it can't be read.
        """
        some, settings = tuple(outstanding), self.settings
        stripe = Stripe(settings.stripe(link.account), settings.connect_seconds, settings.total_seconds)
        subscriptions = await _subscriptions(stripe, link)
        latest = (one.latest_invoice for one in subscriptions)
        invoices = {invoice.id: invoice for invoice in latest if isinstance(invoice, Invoice)}
        for id in wanted(link.account, subscriptions, some):
            found = await _invoice(stripe, id)
            if found is not None:
                invoices[id] = found
        reading = Reading(link.account, self.now(), subscriptions, invoices)
        for id in unexplained(reading):
            invoices |= {one.id: one for one in await stripe.invoices(id) if one.id not in invoices}
        return Reading(link.account, self.now(), subscriptions, invoices)


async def _subscriptions(stripe: Stripe, link: BillingLink) -> tuple[Subscription, ...]:
    if link.subscription is None:
        found = await stripe.subscriptions(link.customer)
    else:
        found = (await stripe.subscription(link.subscription),)
    for one in found:
        if one.customer not in (None, link.customer):
            raise StripeRefused(
                f"{stripe.where}: subscription {one.id} is {one.customer}'s, not {link.customer}'s; correct the link"
            )
    for status in unknown(found):
        raise StripeUnavailable(f"{stripe.where} told a subscription's status {status[:40]!r}, which is not known here")
    return found


async def _invoice(stripe: Stripe, id: str) -> Invoice | None:
    """None where Stripe has it no more: a draft may be deleted."""
    try:
        return await stripe.invoice(id)
    except NotThere:
        return None
