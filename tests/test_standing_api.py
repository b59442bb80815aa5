"""Standing for programs: the manual billing source and the decisions; whatever is sent, the answer is a sentence, never a fault."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.calls import Decision
from activities.policies import Policies
from records.customer_cache import CustomerCache
from records.customers import CustomerStore
from records.shelf import Shelf
from sla.customer import ContractLine, Customer
from starter.accounts import NoAccount, RefusedDecision
from starter.customers_api import CustomersApi
from starter.hook_settings import IntakeSettings, Secrets
from starter.port import Unavailable
from starter.standing_api import LIMIT, Decided, StandingApi
from starter.web import create_app
from tests.test_web_intake import Taken

ROOT = Path(__file__).parent.parent
TOKEN = "the-token-of-the-desk-0001"
NOW = datetime(2031, 7, 9, 19, tzinfo=UTC)
ACME = Customer(id="acme", contract="tromzo", lines=(ContractLine(id="hard"), ContractLine(id="soft")))
ODD = Customer(id="Süd/AG", contract="tromzo")
LAPSE = {"event": "payment_lapsed", "occurred_at": "2031-07-09T12:00:00Z", "reference": "INV-1", "line": "hard"}
GRANT = {"action": "grant_exception", "by": "gwen", "why": "launch", "until": "2031-07-11T10:00:00-07:00"}

pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


@dataclass
class Books:
    """Accounts that keep what was decided, refuse it, or are away."""

    decided: list[tuple[str, str, Decision, str]] = field(default_factory=list)
    raises: Exception | None = None

    async def standing(self, customer: str) -> dict[str, Any] | None:
        if self.raises:
            raise self.raises
        return {"customer": customer, "standing": "lapsed"} if customer == "acme" else None

    async def decide(self, customer: str, action: str, said: Decision, key: str) -> dict[str, Any]:
        if self.raises:
            raise self.raises
        self.decided.append((customer, action, said, key))
        return {"standing": "suspended"}


class Api:
    """The app with its records, and a program that asks it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.store, self.books, self.taken = CustomerStore(engine), Books(), Taken()
        policies = Policies(Shelf(ROOT / "policies"), records=CustomerCache(self.store))
        settings = IntakeSettings(Secrets(api=(TOKEN,)), now=lambda: NOW)
        customers = CustomersApi(self.store, policies, settings, self.revise)
        standing = StandingApi(customers, self.taken, self.books, lambda: NOW)
        app = create_app(self.taken, settings, customers=customers, standing=standing)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://intake")

    async def revise(self, customer: str) -> bool:
        return True

    async def ask(self, method: str, path: str, token: str = TOKEN, **what: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await self.http.request(method, f"/api/customers{path}", headers=headers, **what)


@pytest_asyncio.fixture
async def api(engine: AsyncEngine) -> AsyncIterator[Api]:
    made = Api(engine)
    await made.store.put(ACME)
    await made.store.put(ODD)
    yield made
    await made.http.aclose()


async def test_an_event_goes_to_the_account_under_its_key(api: Api) -> None:
    came = await api.ask("POST", "/acme/events", json=LAPSE | {"key": "erp-7", "by": "erp"})
    assert (came.status_code, came.json()) == (
        202,
        {"accepted": True, "workflow": "account/acme", "key": "api:erp-7"},
    )
    ((customer, word),) = api.taken.payments
    assert (customer, word.key, word.received_at) == ("acme", "api:erp-7", NOW)
    assert word.occurred_at == datetime(2031, 7, 9, 12, tzinfo=UTC)
    said = word.event.model_dump(exclude_none=True)
    assert said == {"event": "payment_lapsed", "by": "erp", "line": "hard", "reference": "INV-1"}


async def test_a_decision_is_taken_once_a_key_and_answered_with_the_account(api: Api) -> None:
    came = await api.ask("POST", "/acme/decisions", json=GRANT | {"line": "soft", "key": "case-9"})
    assert (came.status_code, came.json()) == (200, {"key": "api:case-9", "account": {"standing": "suspended"}})
    ((customer, action, said, key),) = api.books.decided
    assert (customer, action, key, said.line, said.by, said.why) == (
        "acme", "grant_exception", "api:case-9", "soft", "gwen", "launch",
    )  # fmt: skip
    assert said.until == datetime(2031, 7, 11, 17, tzinfo=UTC)


async def test_what_the_account_refuses_is_a_conflict_with_its_own_sentence(api: Api) -> None:
    for why in (RefusedDecision("nothing is outstanding"), NoAccount("acme has had no incident yet")):
        api.books.raises = why
        came = await api.ask("POST", "/acme/decisions", json={"action": "approve_suspension", "by": "gwen"})
        assert (came.status_code, came.json()) == (409, {"error": str(why)})


async def test_who_asks_while_nobody_answers_is_told_to_come_again(api: Api) -> None:
    api.books.raises, api.taken.away = Unavailable("away"), True
    for method, path, body in (
        ("GET", "/acme/standing", None), ("POST", "/acme/events", LAPSE), ("POST", "/acme/decisions", GRANT),
    ):  # fmt: skip
        came = await api.ask(method, path, json=body)
        assert (came.status_code, came.headers["Retry-After"]) == (503, "30")


async def test_standing_is_read_and_a_customer_without_an_account_is_current(api: Api) -> None:
    assert (await api.ask("GET", "/acme/standing")).json() == {"customer": "acme", "standing": "lapsed"}
    came = await api.ask("GET", "/S%C3%BCd%2FAG/standing")
    assert (came.status_code, came.json()["customer"], came.json()["standing"]) == (200, "Süd/AG", "current")
    came = await api.ask("GET", "/nobody/standing")
    assert (came.status_code, "no customer 'nobody' is known" in came.json()["error"]) == (404, True)
    assert (await api.ask("GET", "/acme")).json()["id"] == "acme", "the customers' pages are there still"


async def test_without_a_known_token_nothing_is_read_or_done(api: Api) -> None:
    for method, path in (("GET", "standing"), ("POST", "events"), ("POST", "decisions")):
        came = await api.ask(method, f"/acme/{path}", token="x", content=b"x" * LIMIT * 3)
        assert (came.status_code, came.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert not api.taken.payments
    assert not api.books.decided


@pytest.mark.parametrize(
    ("page", "body", "status", "sentence", "path"),
    [
        ("events", LAPSE | {"event": "opened"}, 422, "write one of: payment_lapsed, payment_current", "event"),
        ("events", LAPSE | {"event": "exception_granted"}, 422, "which is for operators alone", "event"),
        ("events", LAPSE | {"line": "x"}, 422, "line is 'x'; acme has: hard, soft", "line"),
        ("events", LAPSE | {"occurred_at": "2031-07-09 12:00"}, 422, "write a time with its offset", "occurred_at"),
        ("events", LAPSE | {"occurred_at": "0001-01-01T00:00:00Z"}, 422, "may lie 400 days back", "occurred_at"),
        ("events", LAPSE | {"occurred_at": "2031-07-11T00:00:00Z"}, 422, "24 hours ahead", "occurred_at"),
        ("events", LAPSE | {"amount": 3}, 422, "amount is no field of payment_lapsed", "amount"),
        ("events", LAPSE | {"customer": "bolt"}, 422, "customer is 'bolt'", "customer"),
        ("events", LAPSE | {"ticket": "1"}, 422, "ticket has no place here", "ticket"),
        ("events", LAPSE | {"key": ""}, 422, "key is no text of 1 to 200 characters", "key"),
        ("events", {}, 422, "event is None; write one of", "event"),
        ("decisions", GRANT | {"action": "suspend"}, 422, 'action is "suspend"; write one of: approve_suspension', "action"),
        ("decisions", {"action": "approve_suspension"}, 422, "by is missing", "by"),
        ("decisions", GRANT | {"until": "tomorrow"}, 422, "until is", "until"),
        ("decisions", GRANT | {"until": "2031-07-11T10:00:00"}, 422, "until is", "until"),
        ("decisions", GRANT | {"line": "x"}, 422, "line is 'x'; acme has: hard, soft", "line"),
        ("decisions", GRANT | {"key": "k" * 201}, 422, "key is", "key"),
        ("decisions", GRANT | {"yes": True}, 422, "yes is no known field", "yes"),
        ("decisions", GRANT | {"by": 7}, 422, 'by is 7; put it in quotes: "7"', "by"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_in_a_sentence_with_its_place(
    api: Api, page: str, body: Any, status: int, sentence: str, path: str
) -> None:
    came = await api.ask("POST", f"/acme/{page}", json=body)
    assert (came.status_code, came.json().get("path")) == (status, path), came.text
    assert sentence in came.json()["error"]
    assert not api.taken.payments
    assert not api.books.decided


async def test_nobody_pays_or_decides_for_a_customer_that_is_not_known(api: Api) -> None:
    for page, body in (("events", {"event": "payment_lapsed"}), ("decisions", GRANT)):
        assert (await api.ask("POST", f"/nix/{page}", json=body)).status_code == 404
    assert not api.taken.payments
    assert not api.books.decided


_FIELDS = st.sampled_from([*Decided.model_fields, "event", "occurred_at", "reference", "ticket", "x"])
_WORDS = st.sampled_from(
    ["payment_lapsed", "contract_terminated", "approve_suspension", "hard", "9999-12-31T23:59:59-12:00"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=6),
    max_leaves=14,
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    id=st.just(b"acme") | st.binary(max_size=6),
    page=st.sampled_from(["standing", "events", "decisions"]),
    body=_JSON.map(json.dumps).map(str.encode) | st.binary(max_size=40),
)
async def test_no_request_is_a_fault_of_ours(api: Api, method: str, id: bytes, page: str, body: bytes) -> None:
    address = "".join(f"%{byte:02x}" for byte in id)
    came = await api.ask(method, f"/{address}/{page}", content=body)
    assert came.status_code < 500, came.text
    if came.status_code >= 400:
        assert came.json()["error"]


async def test_the_time_of_an_event_may_be_left_out(api: Api) -> None:
    await api.ask("POST", "/acme/events", json={"event": "payment_current"})
    ((_, word),) = api.taken.payments
    assert word.occurred_at == word.received_at == NOW
    assert word.key.startswith("api:")
    assert word.happened <= NOW + timedelta(0)
