"""The generic hook: one event of a story, signed by Standard Webhooks, from whatever a team has taught to send it."""

import hashlib
import logging
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from sla import names
from sla.account_events import AccountDelivery
from starter.bound import UNKNOWN
from starter.came import Came
from starter.hook_bodies import Refused, parse, raw_body
from starter.hook_settings import IntakeSettings
from starter.hook_signature import BadSignature, verify
from starter.in_time import in_time
from starter.intake import generic
from starter.openapi import (
    HOOK_PAYMENTS,
    STANDARD_WEBHOOKS,
    TEXT,
    TICKET_EVENTS,
    answer,
    body,
    one,
    page,
    taken,
)
from starter.port import Dispatch, Unavailable
from starter.source_hooks import SourceHooks

LIMIT = 256 * 1024

_log = logging.getLogger(__name__)


@dataclass
class GenericHook:
    """What it needs. With `sources` its deliveries are in the same log, and wait in the same spool."""

    dispatch: Dispatch
    settings: IntakeSettings
    sources: SourceHooks | None = None

    async def take(self, customer: str, request: Request) -> JSONResponse:
        """One request."""
        came = Came(f"generic/{self._called(customer)}", self.settings.now())
        with came.noted(None if self.sources is None else self.sources.log):
            return await self._take(customer, request, came)

    def _called(self, customer: str) -> str:
        """A customer who has a hook here; what else stands in an address may be anything, without end."""
        return names.canonical(customer) if customer in self.settings.generic else UNKNOWN

    async def _take(self, customer: str, request: Request, came: Came) -> JSONResponse:
        raw = await raw_body(request, LIMIT)
        came.digest = hashlib.sha256(raw).hexdigest()
        try:
            came.delivery = verify(request.headers, raw, self.settings.generic.get(customer, ()), came.received)
        except BadSignature as error:
            _log.warning("a delivery for %s is not taken: %s", self._called(customer), error)
            raise Refused(401, "the delivery is not signed with a secret of this hook; see docs/intake.md") from None
        return await in_time(self._carried_out(customer, raw, came))

    async def _carried_out(self, customer: str, raw: bytes, came: Came) -> JSONResponse:
        if self.sources is not None and self.sources.repeats(came):
            return JSONResponse({"accepted": True, "duplicate": True}, 200)
        try:
            word = generic.word(parse(raw), customer, f"generic:{came.delivery}", came.received)
        except generic.Unreadable as error:
            raise Refused(422, error.sentence, error.path) from None
        came.kind, came.words, took = word.delivery.event.event, 1, ""
        try:
            if isinstance(word.delivery, AccountDelivery):
                took = await self.dispatch.account(customer, word.delivery)
            else:
                assert word.ticket is not None
                came.tickets = (word.ticket,)
                took = await self.dispatch.incident(customer, word.ticket, customer, [word.delivery])
        except Unavailable as error:
            if self.sources is None or self.sources.spool is None:
                raise
            said = (word.delivery,)
            await self.sources.put_by(customer, word.ticket or "", customer, said, str(error), delivery=came.id)
            came.ends("spooled", "Temporal did not answer; kept in the records")
            return JSONResponse({"accepted": True, "spooled": True, "key": word.delivery.key}, 202)
        came.ends("accepted", "")
        return JSONResponse({"accepted": True, "workflow": took, "key": word.delivery.key}, 202)


def add_generic_hook(app: FastAPI, hook: GenericHook) -> None:
    """The route."""

    answers = {
        202: answer(
            "It is with Temporal; or `spooled`: kept in the records until Temporal answers.",
            {"oneOf": [taken(workflow=TEXT, key=TEXT), taken(spooled=one(True), key=TEXT)]},
        ),
        200: answer("It came before, and nothing is done.", taken(duplicate=one(True))),
    }
    sends = body("One event: of a ticket, or a payment's.", *TICKET_EVENTS, *HOOK_PAYMENTS)
    said = page(
        "send_event", "Send one event of a story", answers, 401, 409, 422, 503,
        tag="hooks", sends=sends, parameters=STANDARD_WEBHOOKS,
    )  # fmt: skip

    @app.post("/hooks/generic/{customer}", status_code=202, **said)
    async def generic_hook(customer: str, request: Request) -> JSONResponse:
        """Signed by Standard Webhooks with a secret of that customer: HMAC-SHA256 over `id.timestamp.body`, five minutes either way."""
        return await hook.take(customer, request)
