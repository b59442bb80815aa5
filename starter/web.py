"""The web intake: verify, bound, then signal-with-start, then 202; never before Temporal has acknowledged.

The order is fixed: size, raw bytes, signature, window, parse, map, Temporal. Bodies are in no answer and no log.
"""

import hmac
import logging
from collections import OrderedDict
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from sla import names
from sla.events import AccountDelivery, Delivery
from starter.customers_api import CustomersApi
from starter.hook_bodies import Refused, parse, raw_body
from starter.hook_settings import IntakeSettings
from starter.hook_signature import BadSignature, verify
from starter.intake import django_helpdesk, generic
from starter.intake.django_helpdesk import Connected, Seen
from starter.port import BillingRecords, Dispatch, Unavailable
from starter.standing_api import StandingApi
from starter.web_billing import BillingHooks, add_billing_hooks

KIB = 1024
GENERIC_LIMIT = 256 * KIB
HELPDESK_LIMIT = 1024 * KIB
TICKETS_SEEN = 20_000
"""Tickets whose last sight is kept, so that only a change of priority is told as one."""
RETRY_AFTER = 30
"""Seconds: what senders that retry at all still wait for."""

_log = logging.getLogger(__name__)


def create_app(
    dispatch: Dispatch,
    settings: IntakeSettings,
    *,
    billing: BillingRecords | None = None,
    customers: CustomersApi | None = None,
    standing: StandingApi | None = None,
) -> FastAPI:
    """The app of the web intake. Without `billing` the billing hooks put everybody off; `customers`, `standing`: with their pages."""
    app = FastAPI(title="Pactkeeper intake", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    tickets: OrderedDict[tuple[str, str], Seen] = OrderedDict()

    @app.post("/hooks/generic/{customer}", status_code=202)
    async def generic_hook(customer: str, request: Request) -> JSONResponse:
        """One event of a story, signed by Standard Webhooks."""
        raw = await raw_body(request, GENERIC_LIMIT)
        received = settings.now()
        try:
            id = verify(request.headers, raw, settings.generic.get(customer, ()), received)
        except BadSignature as error:
            _log.warning("a delivery for %s is not taken: %s", names.canonical(customer), error)
            raise _not_signed() from None
        try:
            word = generic.word(parse(raw), customer, f"generic:{id}", received)
        except generic.Unreadable as error:
            raise Refused(422, error.sentence, error.path) from None
        if isinstance(word.delivery, AccountDelivery):
            took = await dispatch.account(customer, word.delivery)
        else:
            assert word.ticket is not None
            took = await dispatch.incident(customer, word.ticket, customer, [word.delivery])
        return JSONResponse({"accepted": True, "workflow": took, "key": word.delivery.key}, 202)

    @app.post("/hooks/django-helpdesk/{secret}", status_code=202)
    async def django_helpdesk_hook(secret: str, request: Request) -> JSONResponse:
        """A ticket of django-helpdesk, as its webhooks tell it."""
        connected = _connected(settings, secret)
        if customers is not None:
            await customers.policies.readable()
        body = parse(await raw_body(request, HELPDESK_LIMIT))
        ticket = body.get("ticket")
        known = tickets.get((connected.source, str(ticket.get("id") if isinstance(ticket, dict) else None)))
        try:
            told = django_helpdesk.story(body, connected, settings.now(), known)
        except django_helpdesk.Unusable as error:
            raise Refused(422, error.sentence, error.path) from None
        words: list[Delivery] = list(told.words)
        took = await dispatch.incident(connected.source, told.ticket, told.customer, words)
        tickets[connected.source, told.ticket] = told.seen
        tickets.move_to_end((connected.source, told.ticket))
        if len(tickets) > TICKETS_SEEN:
            tickets.popitem(last=False)
        return JSONResponse({"accepted": True, "workflow": took, "words": len(words)}, 202)

    add_billing_hooks(app, BillingHooks(dispatch, settings, billing))

    if standing is not None:
        app.include_router(standing.router())
    if customers is not None:
        app.include_router(customers.router())

    @app.get("/healthz")
    async def healthz() -> PlainTextResponse:
        """The process lives."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Temporal answers, so words can be taken."""
        await dispatch.ready()
        return JSONResponse({"ready": True})

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused)
        told: dict[str, Any] = {"error": error.sentence}
        # What is still coming is not wanted: without this the server would go on reading it.
        shut = {"Connection": "close"} if error.status in (401, 408, 413, 415) else None
        return JSONResponse(told if error.path is None else told | {"path": error.path}, error.status, headers=shut)

    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Exception) -> JSONResponse:
        _log.error("a request is put off: %s", error)
        told = {"error": f"Temporal does not answer; send the same again in {RETRY_AFTER} seconds"}
        return JSONResponse(told, 503, headers={"Retry-After": str(RETRY_AFTER)})

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        told = {404: "there is no such page; hooks are under /hooks/", 405: "this page takes another method"}
        return JSONResponse(
            {"error": told.get(error.status_code, str(error.detail))}, error.status_code, headers=error.headers
        )

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        _log.error("a fault of ours (%s): the sender is asked to come again", type(error).__name__, exc_info=error)
        return JSONResponse(
            {"error": "a fault of ours; send the same again"}, 503, headers={"Retry-After": str(RETRY_AFTER)}
        )

    return app


def _not_signed() -> Refused:
    return Refused(401, "the delivery is not signed with a secret of this hook; see docs/intake.md")


def _connected(settings: IntakeSettings, secret: str) -> Connected:
    given, found = secret.encode("utf-8", "replace"), None
    for known, connected in settings.django_helpdesk.items():
        if hmac.compare_digest(known.encode(), given):
            found = connected
    if found is None:
        raise _not_signed()
    return found
