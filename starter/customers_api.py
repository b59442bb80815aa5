"""Customers for programs: `/api/customers`, for whoever holds a token; JSON as the YAML files have it.

The order is fixed: token, size, JSON, model, records; then the customer's running account is told. Each refusal is one
sentence, with the path of what it speaks of.
"""

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from activities.policies import Policies
from records.customer_files import unknown_contract
from records.customer_unfit import unfit
from records.customers import CustomerRefused, CustomerStore, bears_on_account
from records.policy_faults import dotted, first_fault
from records.yaml_lines import Path, plain
from sla.customer import Customer
from starter.hook_bodies import Refused, parse, raw_body
from starter.hook_settings import IntakeSettings
from starter.openapi import TOKEN, answer, body, obj, page, ref

LIMIT: Final = 256 * 1024
PATIENCE: Final = 5.0
"""Seconds that telling the account may take; the reconciler tells it later what it was not told now."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CustomersApi:
    """Needs the records, the policies by which a contract is known, the tokens in force, and who tells an account."""

    store: CustomerStore
    policies: Policies
    settings: IntakeSettings
    revise: Callable[[str], Awaitable[object]]

    def router(self) -> APIRouter:
        """The pages."""
        made = APIRouter(prefix="/api/customers", dependencies=[Depends(self.known)])
        said = partial(page, tag="customers", who=TOKEN)
        shown, flag = ref("Customer"), {"type": "boolean"}
        every = answer("The customers, by their ids.", obj(customers={"type": "array", "items": shown}))
        kept = answer(
            "It is kept. `account_told`: whether its account knows; null: there was nothing to tell.",
            obj(changed=flag, account_told={"type": ["boolean", "null"]}, customer=shown),
        )
        sends = body("The customer, wholly; `id` may be left out.", ref("CustomerGiven"))
        made.get("", **said("list_customers", "All customers", {200: every}, 401, 503))(self.every)
        one, gone = answer("It, with all its fields.", shown), answer("It is forgotten.")
        made.get("/{id:path}", **said("get_customer", "One customer", {200: one}, 401, 404, 503))(self.one)
        put = said("keep_customer", "Keep a customer", {200: kept, 201: kept}, 401, 409, 422, 503, sends=sends)
        made.put("/{id:path}", **put)(self.put)
        made.delete("/{id:path}", **said("forget_customer", "Forget a customer", {204: gone}, 401, 404, 503))(
            self.remove
        )
        return made

    async def every(self) -> JSONResponse:
        """All of them."""
        return JSONResponse({"customers": [_shown(customer) for customer in (await self.store.all()).values()]})

    async def one(self, id: str) -> JSONResponse:
        """One of them."""
        found = await self.store.get(id)
        if found is None:
            raise nobody(id)
        return JSONResponse(_shown(found))

    async def put(self, id: str, request: Request) -> JSONResponse:
        """Keep a customer as it is now: 201 where it is new."""
        customer = _customer(id, await raw_body(request, LIMIT))
        if fault := unfit(customer) or unknown_contract(customer, self.policies.shelf):
            raise Refused(422, fault[1], _place(fault[0]))
        before = await self.store.get(id)
        try:
            changed = await self.store.put(customer)
        except CustomerRefused as error:
            raise Refused(409 if error.taken else 422, str(error), _place(error.path)) from None
        told = await self._tell(id) if changed and bears_on_account(before, customer) else None
        answer = {"changed": changed, "account_told": told, "customer": _shown(customer)}
        return JSONResponse(answer, 201 if changed and before is None else 200)

    async def remove(self, id: str) -> Response:
        """Forget a customer."""
        if not await self.store.remove(id):
            raise nobody(id)
        await self._tell(id)
        return Response(status_code=204)

    async def known(self, request: Request) -> None:
        """Only a token opens these pages; each is compared, so that time tells nothing."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        offered = given.strip().encode("utf-8", "replace")
        known = [hmac.compare_digest(token.encode(), offered) for token in self.settings.api]
        if scheme.lower() != "bearer" or not any(known):
            said = (
                "the request has no token that is known here; send Authorization: Bearer TOKEN, see docs/customers.md"
            )
            raise HTTPException(401, said, {"WWW-Authenticate": "Bearer", "Connection": "close"})

    async def _tell(self, id: str) -> bool:
        """Tell the customer's account, if one runs, that the record has changed; False where Temporal did not answer."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.revise(id)
        except (RPCError, RuntimeError, TimeoutError) as error:
            _log.warning("an account is not told of its customer's new record: %s", type(error).__name__)
            return False
        return True


def _customer(id: str, raw: bytes) -> Customer:
    value = {"id": id, **parse(raw)}
    try:
        customer = Customer.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        path, sentence = first_fault(plain(value), Customer, error)
        raise Refused(422, sentence, _place(path)) from None
    if customer.id != id:
        raise Refused(422, f"id is {customer.id!r}, and the address says {id!r}; send the same in both", "id")
    return customer


def _place(path: Path) -> str | None:
    return dotted(path) if path else None


def nobody(id: str) -> Refused:
    shown = id if len(id) <= 120 else f"{id[:117]}…"
    return Refused(404, f"no customer {shown!r} is known; GET /api/customers lists them")


def _shown(customer: Customer) -> dict[str, Any]:
    return customer.model_dump(mode="json")
