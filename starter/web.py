"""The web intake: every hook and page of it. What is rightly signed is taken by Temporal, or kept in the records, before the 2xx.

Bodies are in no answer and no log.
"""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from starter.customers_api import CustomersApi
from starter.hook_bodies import Refused
from starter.hook_settings import IntakeSettings
from starter.openapi import WORDS, Intake, answer, obj, one, page
from starter.port import BillingRecords, Dispatch, Unavailable
from starter.source_hooks import SourceHooks
from starter.standing_api import StandingApi
from starter.web_billing import BillingHooks, add_billing_hooks
from starter.web_generic import GenericHook, add_generic_hook
from starter.web_sources import add_source_hooks

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
    sources: SourceHooks | None = None,
    pages: Sequence[APIRouter] = (),
) -> FastAPI:
    """The app of the web intake. Without `billing` the billing hooks put everybody off.

    `customers`, `standing`, `pages`: with their pages; `sources`: with the hooks of the connected helpdesks.
    """
    app = Intake(title="Pactkeeper intake", description=WORDS, docs_url=None, redoc_url=None, redirect_slashes=False)
    add_generic_hook(app, GenericHook(dispatch, settings, sources))
    add_billing_hooks(app, BillingHooks(dispatch, settings, billing, sources))
    if sources is not None:
        add_source_hooks(app, sources)  # after those whose addresses are not as general

    if standing is not None:
        app.include_router(standing.router())
    if customers is not None:
        app.include_router(customers.router())
    for more in pages:
        app.include_router(more)

    lives = {200: answer("It lives.", plain=one("ok\n"))}

    @app.get("/healthz", **page("lives", "Whether the process lives", lives, tag="health"))
    async def healthz() -> PlainTextResponse:
        """The process lives."""
        return PlainTextResponse("ok\n")

    ready = {200: answer("They can.", obj(ready=one(True)))}

    @app.get("/readyz", **page("ready", "Whether words can be taken", ready, 503, tag="health"))
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
        headers = dict(error.headers or {})
        # Each method of a page is a route of its own, and the first of them knows itself alone.
        if error.status_code == 405 and (all_ := app.takes(getattr(request.scope.get("route"), "path_format", ""))):
            headers["Allow"] = ", ".join(all_)
        return JSONResponse(
            {"error": told.get(error.status_code, str(error.detail))}, error.status_code, headers=headers
        )

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        _log.error("a fault of ours (%s): the sender is asked to come again", type(error).__name__, exc_info=error)
        return JSONResponse(
            {"error": "a fault of ours; send the same again"}, 503, headers={"Retry-After": str(RETRY_AFTER)}
        )

    return app
