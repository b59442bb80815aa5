"""The customers for programs: a token opens the pages, and whatever is sent, the answer is a sentence and never a fault."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.service import RPCError, RPCStatusCode

from activities.policies import Policies
from records.customer_cache import CustomerCache
from records.customers import CustomerStore
from records.shelf import Shelf
from sla.customer import Customer
from sla.source import Source
from starter.customers_api import LIMIT, CustomersApi
from starter.hook_settings import HookSettingError, IntakeSettings, Secrets, SourceSecrets, ensure, read
from starter.source_hooks import SourceHooks
from starter.web import create_app
from tests.customers import ACME, BOLT, CUSTOMERS
from tests.test_django_helpdesk_adapter import ANN, HEARD, payload
from tests.test_web_intake import Taken

ROOT = Path(__file__).parent.parent
TOKEN, OTHER = "the-token-of-the-crm-0001", "the-token-of-the-crm-0002"
DESK = "the-secret-in-the-address-of-the-desk"


class Api:
    """The app with its records, and a program that asks it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.store, self.revised = CustomerStore(engine), list[str]()
        self.down: Exception | None = None
        self.taken = Taken()
        policies = Policies(Shelf(ROOT / "policies"), records=CustomerCache(self.store))
        hooks = IntakeSettings(
            Secrets(sources={"desk": SourceSecrets(secrets=(DESK,))}, api=(OTHER, TOKEN)), now=lambda: HEARD
        )
        desk = {"desk": Source(name="desk", kind="django-helpdesk")}
        customers = CustomersApi(self.store, policies, hooks, self.revise)
        sources = SourceHooks(self.taken, hooks, policies, only=desk)
        app = create_app(self.taken, hooks, customers=customers, sources=sources)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://intake")

    async def revise(self, customer: str) -> bool:
        if self.down:
            raise self.down
        self.revised.append(customer)
        return True

    async def ask(self, method: str, path: str = "", token: str | None = TOKEN, **what: Any) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.http.request(method, f"/api/customers{path}", headers=headers, **what)

    async def put(self, customer: Customer) -> httpx.Response:
        return await self.ask("PUT", f"/{customer.id}", json=customer.model_dump(mode="json"))


async def nobody_told(customer: str) -> bool:
    return False


ON_SQLITE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""For what never comes as far as the database."""


@pytest_asyncio.fixture
async def api(engine: AsyncEngine) -> AsyncIterator[Api]:
    made = Api(engine)
    yield made
    await made.http.aclose()


async def test_a_customer_is_made_read_changed_and_removed(api: Api) -> None:
    came = await api.put(ACME)
    assert (came.status_code, came.json()["changed"], came.json()["account_told"]) == (201, True, True)
    assert Customer.model_validate_json(json.dumps(came.json()["customer"])) == ACME
    assert (await api.ask("GET", "/acme")).json() == ACME.model_dump(mode="json")
    await api.put(BOLT)
    listed = (await api.ask("GET")).json()
    assert [one["id"] for one in listed["customers"]] == ["acme", "bolt"]
    again = await api.put(ACME)
    assert (again.status_code, again.json()["changed"], again.json()["account_told"]) == (200, False, None)
    assert (await api.ask("DELETE", "/acme")).status_code == 204
    assert (await api.ask("DELETE", "/acme")).status_code == 404
    assert await api.store.all() == {"bolt": BOLT}


async def test_the_account_is_told_of_what_it_goes_by_and_of_nothing_else(api: Api) -> None:
    await api.put(ACME)
    assert api.revised == ["acme"]
    await api.put(ACME.model_copy(update={"name": "Acme Corporation", "domains": ()}))
    assert api.revised == ["acme"]
    await api.put(ACME.model_copy(update={"lines": ()}))
    assert api.revised == ["acme", "acme"]


@ON_SQLITE
@pytest.mark.parametrize("down", [RPCError("away", RPCStatusCode.UNAVAILABLE, b""), RuntimeError("no"), TimeoutError()])
async def test_a_change_stands_while_temporal_is_away(api: Api, down: Exception) -> None:
    api.down = down
    came = await api.put(ACME)
    assert (came.status_code, came.json()["account_told"]) == (201, False)
    assert await api.store.get("acme") == ACME
    assert (await api.ask("DELETE", "/acme")).status_code == 204


@ON_SQLITE
async def test_only_a_token_opens_the_pages(api: Api) -> None:
    await api.put(ACME)
    assert (await api.ask("GET", token=OTHER)).status_code == 200, "several are active"
    for headers in (
        {},
        *({"Authorization": x.encode()} for x in ("Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, "Bearer é")),
    ):
        for method in ("GET", "PUT", "DELETE"):
            came = await api.http.request(method, "/api/customers/acme", headers=headers, content=b"x" * (LIMIT * 3))
            assert came.status_code == 401
            assert came.headers["WWW-Authenticate"] == "Bearer"
            assert TOKEN not in came.text
    assert await api.store.all() == {"acme": ACME}


@ON_SQLITE
async def test_without_a_token_set_up_nobody_enters(engine: AsyncEngine) -> None:
    customers = CustomersApi(CustomerStore(engine), Policies(), IntakeSettings(), nobody_told)
    transport = httpx.ASGITransport(create_app(Taken(), IntakeSettings(), customers=customers))
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as http:
        for token in ("", " ", "None"):
            came = await http.get("/api/customers", headers={"Authorization": f"Bearer {token}"})
            assert came.status_code == 401


@ON_SQLITE
@pytest.mark.parametrize(
    ("raw", "status", "sentence", "path"),
    [
        (b"", 400, "the body is no JSON", None),
        (b"[]", 400, "the body is no JSON object", None),
        (b'{"name": "a", "name": "b"}', 400, "an object holds a key twice", None),
        (b'{"name": NaN}', 400, "NaN is no number of JSON", None),
        (b'{"name": "\\ud800"}', 400, "half a character", None),
        (b'{"name": "\xff"}', 400, "not UTF-8", None),
        (b"[" * 100_000, 400, "nested too deeply", None),
        (b'{"name": "' + b"x" * LIMIT + b'"}', 413, "larger than 256 KiB", None),
        (b'{"name": 7}', 422, 'name is 7; put it in quotes: "7"', "name"),
        (b'{"name": "\\u0000"}', 422, "name holds the character U+0000", "name"),
        (b'{"id": "other"}', 422, "id is 'other', and the address says 'acme'; send the same in both", "id"),
        (b'{"nmae": "x"}', 422, "nmae is no known field; did you mean name?", "nmae"),
        (b'{"contract": "tromso"}', 422, "contract is 'tromso'; write one of: bugzero, reciprocity, tromzo", "contract"),
        (b'{"lines": [{"id": "a"}, {"id": "a"}]}', 422, "lines names the line 'a' twice; name it once", "lines"),
        (b'{"lines": [{"id": "a", "prepaid": "yes"}]}', 422, 'lines.0.prepaid is "yes"; write true or false', "lines.0.prepaid"),
        (b'{"lines": [{"id": "a", "prepaid_until": 0}]}', 422, "lines.0.prepaid_until is 0; write a date", "lines.0.prepaid_until"),
        (b'{"lines": [{"id": "a", "contract": "x"}]}', 422, "lines.0.contract is 'x'; write one of", "lines.0.contract"),
        (b'{"billing": {"customer": "a b"}}', 422, 'billing.customer is "a b"; write letters', "billing.customer"),
        (b'{"billing": {"source": "paypal", "customer": "x"}}', 422, "billing.source is", "billing.source"),
        (b'{"contacts": [{"email": "a@b"}, {"email": "A@b"}]}', 422, "contacts names 'A@b' twice", "contacts.1"),
        (b'{"contacts": [{"email": "ann"}]}', 422, "write an e-mail address", "contacts.0.email"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_in_a_sentence_with_its_place(
    api: Api, raw: bytes, status: int, sentence: str, path: str | None
) -> None:
    came = await api.ask("PUT", "/acme", content=raw)
    assert came.status_code == status, came.text
    assert sentence in came.json()["error"]
    assert came.json().get("path") == path
    assert await api.store.all() == {}


async def test_what_belongs_to_another_is_a_conflict(api: Api) -> None:
    await api.put(ACME)
    came = await api.ask("PUT", "/x", json={"domains": ["ok.example", "acme.example"]})
    assert came.status_code == 409
    assert came.json()["path"] == "domains.1"
    assert "the domain 'acme.example' belongs to the customer 'acme' already" in came.json()["error"]


async def test_a_customer_may_be_called_anything(api: Api) -> None:
    for id in ("a/b", "Süd AG", "..", "100%", "a?b#c"):
        address = "/" + "".join(f"%{byte:02x}" for byte in id.encode())
        came = await api.ask("PUT", address, json={"name": "x"})
        assert came.status_code == 201, came.text
        assert (await api.ask("GET", address)).json()["id"] == id
        assert (await api.ask("DELETE", address)).status_code == 204


_FIELDS = st.sampled_from([*Customer.model_fields, "email", "customer", "x"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "PUT", "DELETE", "POST", "PATCH"]),
    id=st.binary(max_size=6),
    body=_JSON.map(json.dumps).map(str.encode) | st.binary(max_size=40),
)
async def test_no_request_is_a_fault_of_ours(api: Api, method: str, id: bytes, body: bytes) -> None:
    address = "".join(f"%{byte:02x}" for byte in id)
    came = await api.ask(method, f"/{address}", content=body)
    assert came.status_code < 500, came.text
    if came.status_code >= 400:
        assert came.json()["error"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(customer=CUSTOMERS)
async def test_any_customer_that_is_taken_comes_back_as_it_was(api: Api, customer: Customer) -> None:
    address = "/" + "".join(f"%{byte:02x}" for byte in customer.id.encode())
    came = await api.ask("PUT", address, json=customer.model_dump(mode="json"))
    assert came.status_code in (201, 422), came.text
    if came.status_code == 201:
        assert (await api.ask("GET", address)).json() == customer.model_dump(mode="json")
        await api.ask("DELETE", address)


async def test_many_who_want_one_domain_at_once_are_all_answered_and_one_gets_it(api: Api) -> None:
    came = await asyncio.gather(*(api.ask("PUT", f"/c{n}", json={"domains": ["d.example"]}) for n in range(8)))
    assert sorted(one.status_code for one in came) == [201] + [409] * 7


async def test_a_helpdesks_mail_finds_a_customer_that_was_just_made(api: Api) -> None:
    """The intake reads the customers of the records, also those that came after it started."""
    await api.put(Customer(id="late", domains=(ANN.rpartition("@")[2],)))
    came = await api.http.post(f"/hooks/django-helpdesk/{DESK}", json=payload())
    assert came.status_code == 202, came.text
    assert {customer for _, _, customer, _ in api.taken.words} == {"late"}


def test_a_token_is_made_at_the_first_start_with_the_other_secrets(tmp_path: Path) -> None:
    made = ensure(tmp_path, ["acme"], [])
    assert made.file is not None
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    (token,) = made.api
    assert len(token) > 40
    assert token in made.file.read_text()
    assert token not in repr(made)
    assert ensure(tmp_path, ["acme"], []).api == (token,)


def test_a_token_that_can_be_guessed_is_refused_without_being_repeated(tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text("api: [hunter2]\n")
    with pytest.raises(HookSettingError, match=r"api\.0: ") as caught:
        read(file)
    assert "hunter2" not in str(caught.value)
