"""Standing for programs: how a customer's support stands, the manual billing source, and what operators decide.

Under `/api/customers/{id}`, with the tokens of the customers' pages. The order is fixed: token, size, JSON, model, customer,
line; then Temporal. A refusal is one sentence, with the path of what it speaks of; an account's own refusal is 409.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.exceptions import HTTPException

from activities.calls import Decision
from records.policy_faults import dotted, first_fault
from records.yaml_lines import plain
from sla.customer import Customer
from sla.events import Text
from starter.accounts import NoAccount, RefusedDecision
from starter.customers_api import CustomersApi, nobody
from starter.hook_bodies import Refused, parse, raw_body
from starter.intake import generic
from starter.openapi import API_PAYMENTS, TEXT, TOKEN, answer, body, obj, page, taken
from starter.port import Accounts, Dispatch

LIMIT: Final = 64 * 1024
MAX_KEY: Final = 200
_OTHERS: Final = ["GET", "PUT", "DELETE"]
Key = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY)]


class Decided(BaseModel):
    """The body of a decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["approve_suspension", "decline_suspension", "grant_exception", "end_exception"]
    by: Text
    why: Text | None = None
    line: Text | None = None
    until: AwareDatetime | None = None
    """When an exception ends."""
    at: AwareDatetime | None = None
    """When it was decided; left out: now."""
    key: Key | None = None
    """Sent twice under one key, it is one decision."""


@dataclass(frozen=True)
class StandingApi:
    """Needs the customers' pages, the door to Temporal for payments, and the accounts."""

    customers: CustomersApi
    dispatch: Dispatch
    accounts: Accounts
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def router(self) -> APIRouter:
        """The pages; to be mounted before those of the customers, whose ids may hold anything."""
        made = APIRouter(prefix="/api/customers", dependencies=[Depends(self.customers.known)])
        said = partial(page, tag="standing", who=TOKEN)
        account: dict[str, Any] = {"type": "object"}
        stands = {200: answer("As `pactkeeper standing --json` prints it, without the list of incidents.", account)}
        heard = {202: answer("It is with the account.", taken(workflow=TEXT, key=TEXT))}
        decided = {200: answer("The account as it then stands.", obj(key=TEXT, account=account))}
        payment, decision = body("A payment event.", *API_PAYMENTS), body("A decision.", Decided.model_json_schema())
        wrong = (401, 404, 422, 503)
        made.get("/{id:path}/standing", **said("get_standing", "How its support stands", stands, 401, 404, 503))(
            self.standing
        )
        made.post(
            "/{id:path}/events", status_code=202, **said("hear", "A payment event", heard, *wrong, sends=payment)
        )(self.heard)
        made.post("/{id:path}/decisions", **said("decide", "A decision", decided, *wrong, 409, sends=decision))(
            self.decided
        )
        for part, others in (("standing", ["PUT", "DELETE"]), ("events", _OTHERS), ("decisions", _OTHERS)):
            made.add_api_route(f"/{{id:path}}/{part}", _not_so, methods=others, include_in_schema=False)
        return made

    async def standing(self, id: str) -> JSONResponse:
        """How the customer's support stands, line by line."""
        found = await self.accounts.standing(id)
        if found is None:
            await self._customer(id)
            found = {"customer": id, "standing": "current", "since": None, "lines": {}, "enrolled": 0, "notices": []}
        return JSONResponse(found)

    async def heard(self, id: str, request: Request) -> JSONResponse:
        """A payment lapsed or arrived, or the contract ended."""
        body = parse(await raw_body(request, LIMIT))
        if "ticket" in body:
            raise Refused(
                422, "ticket has no place here; the events of a ticket go to a hook, see docs/intake.md", "ticket"
            )
        key = body.pop("key", None)
        if key is not None and (not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY):
            raise Refused(422, f"key is no text of 1 to {MAX_KEY} characters", "key")
        try:
            word = generic.word(body, id, f"api:{key or uuid.uuid4()}", self.now()).delivery
        except generic.Unreadable as error:
            raise Refused(422, error.sentence, error.path) from None
        customer = await self._customer(id)
        _line(customer, word.event.line)  # type: ignore[union-attr]
        took = await self.dispatch.account(id, word)  # type: ignore[arg-type]
        return JSONResponse({"accepted": True, "workflow": took, "key": word.key}, 202)

    async def decided(self, id: str, request: Request) -> JSONResponse:
        """An operator's decision; the account as it then stands."""
        said = _decided(parse(await raw_body(request, LIMIT)))
        _line(await self._customer(id), said.line)
        decision = Decision(by=said.by, why=said.why, line=said.line, until=said.until, at=said.at)
        key = f"api:{said.key or uuid.uuid4()}"
        try:
            told = await self.accounts.decide(id, said.action, decision, key)
        except (RefusedDecision, NoAccount) as error:
            raise Refused(409, str(error)) from None
        return JSONResponse({"key": key, "account": told})

    async def _customer(self, id: str) -> Customer:
        customer = await self.customers.store.get(id)
        if customer is None:
            raise nobody(id)
        return customer


def _not_so() -> None:
    """A method of the customers' own pages: without this it would be taken for a customer whose id ends like our pages."""
    raise HTTPException(405)


def _decided(body: dict[str, Any]) -> Decided:
    try:
        return Decided.model_validate_json(json.dumps(body), strict=True)
    except ValidationError as error:
        path, sentence = first_fault(plain(body), Decided, error)
        raise Refused(422, sentence, dotted(path)) from None


def _line(customer: Customer, line: str | None) -> None:
    known = [one.id for one in customer.contract_lines]
    if line is not None and line not in known:
        raise Refused(422, f"line is {line!r}; {customer.id} has: {', '.join(known)}", "line")
