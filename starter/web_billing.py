"""The billing hooks of the web intake: Stripe's, which only say "look", and those of a generic billing source.

What is rightly signed and can be brought to nobody is kept as a dead letter, and its sender is told that it arrived: it
would only send the same again for days. What is not rightly signed is 401, and nothing of it is kept.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from activities.calls import Look
from records.dead_letters import Letter, body_of
from sla import names
from sla.account_events import AccountDelivery
from starter import hook_stripe_signature
from starter.bound import UNKNOWN
from starter.came import Came
from starter.hook_bodies import Refused, parse, raw_body
from starter.hook_settings import IntakeSettings
from starter.hook_signature import BadSignature, verify
from starter.in_time import TooMany, in_time
from starter.intake import generic, stripe
from starter.openapi import BILLING_PAYMENTS, STANDARD_WEBHOOKS, TEXT, answer, body, header, obj, one, page, taken
from starter.port import BillingRecords, Dispatch, Log, NotKept, Unavailable
from starter.source_hooks import SourceHooks

STRIPE_LIMIT = 1024 * 1024
"""Bytes; an invoice of hundreds of lines has some hundred thousand."""
BILLING_LIMIT = 64 * 1024
RETRY_AFTER = 30
ROOM_AFTER = 1
"""Seconds after which there may be room for one more."""

_log = logging.getLogger(__name__)


@dataclass
class BillingHooks:
    """What the billing hooks need: the door to Temporal, who is linked to what, where dead letters are kept."""

    dispatch: Dispatch
    settings: IntakeSettings
    records: BillingRecords | None
    sources: SourceHooks | None = None
    """With it, what Temporal does not take waits in the records."""

    async def stripe(self, account: str, raw: bytes, came: Came) -> JSONResponse:
        """A delivery of Stripe that is rightly signed."""
        source = f"stripe/{account}"
        try:
            body = parse(raw)
        except Refused as error:
            return await self._kept(came, _digest(raw), error.sentence, "", raw)
        try:
            told = stripe.told(body)
        except stripe.Unusable as error:
            came.delivery, came.kind = stripe.id_of(body) or "", stripe.kind_of(body)
            return await self._kept(came, came.delivery or _digest(raw), str(error), "", raw)
        came.delivery, came.kind = told.id, told.kind
        if not told.matters:
            came.ends("ignored", f"{told.kind} says nothing about payments")
            return JSONResponse({"accepted": False, "ignored": told.kind}, 200)
        async with self._at_hand() as records:
            found = await records.customers.linked("stripe", account, told.customer)
        if not found:
            why = f"no customer is linked to {told.customer} of the Stripe account {account}"
            return await self._kept(came, told.id, why, told.customer, raw)
        asked = Look(source=source, why=f"{told.kind} {told.id}")
        took = list[str]()
        for id in dict.fromkeys(customer.id for customer, _ in found):
            try:
                took.append(await self.dispatch.look(id, asked))
            except Unavailable as error:
                await self._put_by(came, source, id, (), error)
        said: dict[str, Any] = {"accepted": True, "workflows": took, "event": told.id}
        if len(took) < len({customer.id for customer, _ in found}):
            return JSONResponse(said | {"spooled": True}, 202)
        came.ends("accepted", "")
        return JSONResponse(said, 202)

    async def billing(self, source: str, id: str, raw: bytes, came: Came) -> JSONResponse:
        """A delivery of a generic billing source that is rightly signed."""
        try:
            body = parse(raw)
            customer = generic.payer(body)
            word = generic.payment(body, source, f"billing:{source}:{id}", came.received)
        except generic.Unreadable as error:
            raise Refused(422, error.sentence, error.path) from None
        async with self._at_hand() as records:
            known = await records.customers.get(customer)
        came.delivery, came.kind, came.words = id, word.event.event, 1
        if known is None:
            return await self._kept(came, id, f"there is no customer {customer}", customer, raw)
        lines = [line.id for line in known.contract_lines]
        if word.event.line is not None and word.event.line not in lines:
            why = f"{customer} has no contract line {word.event.line}; there are: {', '.join(lines)}"
            return await self._kept(came, id, why, customer, raw)
        try:
            took = await self.dispatch.account(customer, word)
        except Unavailable as error:
            await self._put_by(came, f"billing/{source}", customer, (word,), error)
            return JSONResponse({"accepted": True, "spooled": True, "key": word.key}, 202)
        came.ends("accepted", "")
        return JSONResponse({"accepted": True, "workflow": took, "key": word.key}, 202)

    async def _put_by(
        self, came: Came, source: str, customer: str, words: Sequence[AccountDelivery], error: Unavailable
    ) -> None:
        if self.sources is None or self.sources.spool is None:
            raise error
        await self.sources.put_by(source, "", customer, words, str(error), delivery=came.id)
        came.ends("spooled", "Temporal did not answer; kept in the records")

    async def _kept(self, came: Came, id: str, why: str, subject: str, raw: bytes) -> JSONResponse:
        letter = Letter(
            id=f"{came.source}/{id[:200]}", source=came.source, received_at=came.received, why=why, kind=came.kind,
            subject=subject, body=body_of(raw),
        )  # fmt: skip
        async with self._at_hand() as records:
            new = await records.letters.put(letter)
        came.ends("kept", why)
        if new:
            _log.warning("a delivery of %s is kept as the dead letter %s: %s", came.source, letter.id, why)
        return JSONResponse({"accepted": False, "dead_letter": letter.id, "why": why}, 200)

    @asynccontextmanager
    async def _at_hand(self) -> AsyncIterator[BillingRecords]:
        if self.records is None:
            raise NotKept("no database of records is set up")
        try:
            yield self.records
        except (SQLAlchemyError, OSError) as error:
            raise NotKept(f"the database of records can't be used ({type(error).__name__})") from None

    def came(self, kind: str, name: str, known: Container[str]) -> Came:
        """A request, before anything of it is read. What stands in an address and is no name here may be anything."""
        return Came(f"{kind}/{name if name in known else UNKNOWN}", self.settings.now())

    @property
    def log(self) -> Log | None:
        """The log of deliveries."""
        return None if self.sources is None else self.sources.log


def add_billing_hooks(app: FastAPI, hooks: BillingHooks) -> None:
    """The routes of the billing hooks."""
    settings = hooks.settings
    kept, texts = obj(accepted=one(False), dead_letter=TEXT, why=TEXT), {"type": "array", "items": TEXT}
    look = {
        202: answer(
            "The accounts of those it is about look; or `spooled`: as soon as Temporal answers.",
            obj("spooled", accepted=one(True), workflows=texts, event=TEXT, spooled=one(True)),
        ),
        200: answer(
            "It tells nothing; or it is kept as a dead letter, for nobody is linked to it or it can't be read.",
            {"oneOf": [obj(accepted=one(False), ignored=TEXT), kept]},
        ),
    }
    an_event = body("An event as Stripe sends it; only its type and its customer are read.", {"type": "object"})
    signed = header("Stripe-Signature", "Stripe's own: `t=SECONDS,v1=HMAC`, five minutes either way.")
    said = page(
        "send_stripe_event",
        "Send an event of Stripe",
        look,
        401,
        503,
        tag="billing",
        sends=an_event,
        parameters=[signed],
    )

    @app.post("/hooks/stripe/{account}", status_code=202, **said)
    async def stripe_hook(account: str, request: Request) -> JSONResponse:
        """Signed by Stripe with a secret of the endpoint: HMAC-SHA256 over `t.body`."""
        came = hooks.came("stripe", account, settings.stripe)
        with came.noted(hooks.log):
            raw = await raw_body(request, STRIPE_LIMIT)
            came.digest = hashlib.sha256(raw).hexdigest()
            try:
                hook_stripe_signature.verify(request.headers, raw, settings.stripe.get(account, ()), came.received)
            except BadSignature as error:
                raise _refused(f"stripe/{names.canonical(account)}", error) from None
            return await in_time(hooks.stripe(account, raw, came))

    brought = {
        202: answer(
            "It is with the customer's account; or `spooled`: kept in the records until Temporal answers.",
            {"oneOf": [taken(workflow=TEXT, key=TEXT), taken(spooled=one(True), key=TEXT)]},
        ),
        200: answer("It is kept as a dead letter: there is no such customer, or no such line.", kept),
    }
    said = page(
        "send_payment", "Send a payment event of a billing system", brought, 401, 422, 503,
        tag="billing", sends=body("A payment event.", *BILLING_PAYMENTS), parameters=STANDARD_WEBHOOKS,
    )  # fmt: skip

    @app.post("/hooks/billing/{source}", status_code=202, **said)
    async def billing_hook(source: str, request: Request) -> JSONResponse:
        """Signed by Standard Webhooks with a secret of that source: HMAC-SHA256 over `id.timestamp.body`, five minutes either way."""
        came = hooks.came("billing", source, settings.billing)
        with came.noted(hooks.log):
            raw = await raw_body(request, BILLING_LIMIT)
            came.digest = hashlib.sha256(raw).hexdigest()
            try:
                id = verify(request.headers, raw, settings.billing.get(source, ()), came.received)
            except BadSignature as error:
                raise _refused(f"billing/{names.canonical(source)}", error) from None
            return await in_time(hooks.billing(source, id, raw, came))

    @app.exception_handler(NotKept)
    async def not_kept(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, TooMany):
            said, after = f"{error}", ROOM_AFTER
        else:
            _log.error("a request is put off: %s", error)
            said, after = "the records can't be reached", RETRY_AFTER
        told = {"error": f"{said}; send the same again in {after} second{'s' if after > 1 else ''}"}
        return JSONResponse(told, 503, headers={"Retry-After": str(after)})


def replayed(letter: Letter) -> AccountDelivery:
    """The word that a kept delivery of a generic billing source carries.

    Raises:
        Refused, generic.Unreadable: it carries none.
    """
    _, _, source = letter.source.partition("/")
    id = letter.id.removeprefix(f"{letter.source}/")
    return generic.payment(parse(letter.raw), source, f"billing:{source}:{id}", letter.received_at)


def _digest(raw: bytes) -> str:
    """A name for a body that has none."""
    return f"sha256-{hashlib.sha256(raw).hexdigest()[:24]}"


def _refused(source: str, error: BadSignature) -> Refused:
    _log.warning("a delivery of %s is not taken: %s", source, error)
    return Refused(401, "the delivery is not signed with a secret of this hook; see docs/billing.md")
