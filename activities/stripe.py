"""Reading Stripe over REST: subscriptions and invoices, of which only so much is taken as a customer's standing needs."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from activities import http
from activities.billing_settings import StripeAccount
from activities.settings import origin

VERSION: Final = "2026-10-28.endive"
"""The version of Stripe's API in which answers are asked for, whatever the account's own is."""
PAGE: Final = 100
PAGES: Final = 20
_LATER = frozenset({408, 409, 425, 429})
_CODE = re.compile(r"[a-z][a-z_]{0,60}")


class StripeUnavailable(Exception):
    """Stripe can't be asked just now. One sentence; `retry_after` seconds where it named a time."""

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class StripeRefused(Exception):
    """Stripe will say the same until somebody changes a key, its rights or a link. One sentence."""


class NotThere(StripeRefused):
    """What was asked for is not in that account."""


def _moment(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _id(value: Any) -> Any:
    """An id, also where the whole object stands in its place."""
    return value.get("id") if isinstance(value, Mapping) else value


Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Id = Annotated[str | None, BeforeValidator(_id)]


class _Object(BaseModel):
    """Frozen; what is not needed is not looked at."""

    model_config = ConfigDict(frozen=True)


class Transitions(_Object):
    """When an invoice came into each state."""

    finalized_at: Moment = None
    paid_at: Moment = None
    voided_at: Moment = None
    marked_uncollectible_at: Moment = None


class _Details(_Object):
    subscription: Id = None


class _Parent(_Object):
    subscription_details: _Details | None = None


class Invoice(_Object):
    """One invoice; `status`: draft, open, paid, void or uncollectible."""

    id: str
    status: str | None = None
    created: Moment = None
    due_date: Moment = None
    status_transitions: Transitions = Transitions()
    subscription: Id = None
    """Where API versions until 2025 have it."""
    parent: _Parent | None = None

    @property
    def of(self) -> str | None:
        """The subscription that it is for."""
        details = self.parent.subscription_details if self.parent else None
        return self.subscription or (details.subscription if details else None)


class Subscription(_Object):
    """One subscription, with its latest invoice, or that one's id alone."""

    id: str
    status: str
    customer: Id = None
    created: Moment = None
    trial_end: Moment = None
    canceled_at: Moment = None
    ended_at: Moment = None
    latest_invoice: Invoice | str | None = None

    @property
    def latest(self) -> str | None:
        """The id of its latest invoice."""
        return self.latest_invoice.id if isinstance(self.latest_invoice, Invoice) else self.latest_invoice


class _Page(_Object):
    data: tuple[dict[str, Any], ...]
    has_more: bool = False


T = TypeVar("T", bound=_Object)


@dataclass(frozen=True)
class Stripe:
    """One account with Stripe, to be read. Each method raises `StripeUnavailable` or `StripeRefused`."""

    account: StripeAccount
    connect_seconds: float = 5.0
    total_seconds: float = 20.0

    async def subscription(self, id: str) -> Subscription:
        """One subscription."""
        path = f"/v1/subscriptions/{quote(id, safe='')}"
        return self._read(Subscription, await self._get(path, {"expand[]": "latest_invoice"}, f"subscription {id}"))

    async def subscriptions(self, customer: str) -> tuple[Subscription, ...]:
        """All subscriptions of a customer, those that are over, too."""
        asked = {"customer": customer, "status": "all", "expand[]": "data.latest_invoice"}
        found = await self._all("/v1/subscriptions", asked, f"customer {customer}")
        return tuple(self._read(Subscription, one) for one in found)

    async def invoice(self, id: str) -> Invoice:
        """One invoice."""
        return self._read(Invoice, await self._get(f"/v1/invoices/{quote(id, safe='')}", {}, f"invoice {id}"))

    async def invoices(self, subscription: str) -> tuple[Invoice, ...]:
        """The invoices of a subscription."""
        found = await self._all("/v1/invoices", {"subscription": subscription}, f"subscription {subscription}")
        return tuple(self._read(Invoice, one) for one in found)

    async def _all(self, path: str, asked: Mapping[str, str], what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        for _ in range(PAGES):
            told = await self._get(path, {**asked, "limit": str(PAGE), **after}, what)
            page = self._read(_Page, told)
            found += page.data
            if not page.has_more or not page.data:
                break
            after = {"starting_after": str(page.data[-1].get("id"))}
        return found

    async def _get(self, path: str, asked: Mapping[str, str], what: str) -> Any:
        account = self.account
        url = f"{account.url}{path}" + (f"?{urlencode(asked)}" if asked else "")
        headers = {"authorization": f"Bearer {account.key}", "stripe-version": VERSION, "user-agent": "Pactkeeper"}
        try:
            answer = await http.get(url, headers, connect=self.connect_seconds, total=self.total_seconds)
        except http.NoAnswer as silence:
            raise StripeUnavailable(f"{self.where} {silence}") from None
        if answer.status != 200:
            raise self._trouble(answer, what)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            raise StripeUnavailable(f"{self.where} answered with what is no JSON") from None

    def _trouble(self, answer: http.Answer, what: str) -> Exception:
        status, name = answer.status, self.account.name
        if status in _LATER or status >= 500:
            return StripeUnavailable(f"{self.where} answered {status}", answer.retry_after)
        if status == 401:
            return StripeRefused(
                f"{self.where} does not take our key (401); set stripe.{name}.key to one of that account"
            )
        if status == 403:
            return StripeRefused(
                f"{self.where} does not let our key read {what} (403); give it the right to read subscriptions and invoices"
            )
        if status == 404:
            return NotThere(f"{self.where} has no {what} (404); correct the link of the customer, or the key")
        if 300 <= status < 400:
            return StripeRefused(
                f"{self.where} answered {status}, a redirect; set stripe.{name}.url to its final address"
            )
        return StripeRefused(f"{self.where} answered {status} ({_code(answer.body)}) when asked for {what}")

    def _read(self, kind: type[T], told: Any) -> T:
        try:
            return kind.model_validate(told)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or kind.__name__
            raise StripeUnavailable(
                f"{self.where} told a {kind.__name__.strip('_').lower()} without a usable {field}"
            ) from None

    @property
    def where(self) -> str:
        """The account, as an error may name it."""
        return f"the Stripe account {self.account.name!r} at {origin(self.account.url)}"


def _code(body: bytes) -> str:
    """Stripe's own code of an error, if it is one: it quotes nothing of what was asked."""
    try:
        error = json.loads(body)["error"]
        code = str(error.get("code") or error.get("type"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "no code"
    return code if _CODE.fullmatch(code) else "no code"
