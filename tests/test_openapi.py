"""The schema at `/openapi.json` says the truth: whatever schemathesis makes of it is answered as it says, and never by a fault."""

import hmac
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import standardwebhooks
from fastapi import FastAPI
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.python.asgi import shutdown_lifespans

from activities.ack_links import Links, link
from activities.calls import Decision, Look
from activities.policies import Policies
from records import database
from records.customer_cache import CustomerCache
from records.customers import CustomerStore
from records.dead_letters import DeadLetterStore
from records.deliveries import DeliveryStore
from records.shelf import Shelf
from records.sources import SourceStore
from records.spool import Spool
from sla.account_events import AccountDelivery
from sla.events import Delivery
from sla.source import Source
from starter.accounts import NoAccount
from starter.ack_page import AckPages
from starter.customers_api import CustomersApi
from starter.deliveries_page import DeliveriesPage
from starter.delivery_log import DeliveryLog
from starter.hook_settings import IntakeSettings, Secrets, SourceSecrets
from starter.hook_signature import key_of
from starter.letter_office import LetterOffice
from starter.port import BillingRecords, Unavailable
from starter.sample_signing import SIGNERS
from starter.samples import sample
from starter.source_hooks import SourceHooks
from starter.sources import KINDS, adapter
from starter.spooler import Spooler
from starter.standing_api import StandingApi
from starter.web import create_app
from tests.customers import ACME, BOLT

ROOT = Path(__file__).parent.parent
NOW = datetime(2031, 7, 9, 19, tzinfo=UTC)
TOKEN = "the-token-of-a-program-0001"
SECRET = "whsec_" + "A" * 43 + "="
WORD = "a-secret-of-a-helpdesk-0001"
LINKS = Links("http://intake", b"k" * 32)
OPENED, OTHER = (f'{{"ticket": "{ticket}", "event": "opened"}}'.encode() for ticket in (1, 2))
OTHER_METHOD = {"error": "this page takes another method"}
COUNT = count()
ACK = link("", LINKS.secret, "incident/desk/4711", "dana", NOW).rpartition("/")[2]


@dataclass
class Behind:
    """What lies behind the pages: everything is taken, or nobody answers."""

    away: bool = False
    words: list[Delivery | AccountDelivery] = field(default_factory=list)
    asked: int = 0

    async def ready(self) -> None:
        self.asked += 1
        if self.away:
            raise Unavailable("away")

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        await self.ready()
        self.words += words
        return f"incident/{source}/{ticket}"

    async def existing(self, incident: str, words: Sequence[Delivery]) -> str:
        return await self.incident("", incident, "", words)

    async def read_ticket(self, source: str, ticket: str) -> str:
        return await self.incident(source, ticket, "", ())

    async def account(self, customer: str, word: AccountDelivery) -> str:
        await self.ready()
        self.words.append(word)
        return f"account/{customer}"

    async def look(self, customer: str, asked: Look) -> str:
        await self.ready()
        return f"account/{customer}"

    async def standing(self, customer: str) -> dict[str, Any] | None:
        await self.ready()
        return {"customer": customer, "standing": "lapsed"} if customer == "acme" else None

    async def decide(self, customer: str, action: str, said: Decision, key: str) -> dict[str, Any]:
        await self.ready()
        if action.startswith("approve"):
            raise NoAccount("it has had no incident yet")
        return {"standing": "suspended"}

    async def take(self, incident: str, person: str, key: str, at: datetime) -> bool:
        await self.ready()
        return True

    async def revise(self, customer: str) -> bool:
        return True


def app(url: str, behind: Behind) -> FastAPI:
    """The whole web intake with its records, as an installation puts it together."""
    database.upgrade(url)
    engine = database.engine(url)
    store, letters = CustomerStore(engine), DeadLetterStore(engine)
    policies = Policies(Shelf(ROOT / "policies"), records=CustomerCache(store))
    settings = IntakeSettings(
        Secrets(
            {"acme": (key_of(SECRET),)},
            {kind: SourceSecrets(secrets=(WORD,)) for kind in KINDS},
            {"main": (SECRET.encode(),)},
            {"erp": (key_of(SECRET),)},
            (TOKEN,),
        ),
        now=lambda: NOW,
    )
    sources = {kind: Source(name=kind, kind=kind) for kind in KINDS}
    log = DeliveryLog(DeliveryStore(engine), SourceStore(engine))
    hooks = SourceHooks(behind, settings, policies, letters, log, Spooler(Spool(engine), behind), only=sources)
    customers = CustomersApi(store, policies, settings, behind.revise)
    office = LetterOffice(letters, store, behind, hooks)
    deliveries = DeliveriesPage(engine, settings, lambda: sources, office, lambda: NOW)
    made = create_app(
        behind, settings, billing=BillingRecords(store, letters), customers=customers, sources=hooks,
        standing=StandingApi(customers, behind, behind, lambda: NOW),
        pages=[deliveries.router(), AckPages(LINKS, behind, lambda: NOW).router()],
    )  # fmt: skip

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        for one in (ACME, BOLT):
            await store.put(one)
        yield
        await log.flush()
        await engine.dispose()

    made.router.lifespan_context = running
    return made


def attacked(
    served: FastAPI,
    *,
    only: str = "",
    within: Callable[[Any], Any] | None = None,
    examples: int = 10,
    sign: "Signed | None" = None,
    **config: Any,
) -> dict[int, int]:
    """Have schemathesis do its worst, by its coverage of the schema, by chance, and by walking from page to page.

    Its checks hold, all of them; gives how often each status was answered.
    """
    settings = {"seed": 7, "generation": {"max-examples": examples, "deterministic": True, "no-shrink": True}, **config}
    schema = schemathesis.openapi.from_asgi("/openapi.json", served, config=SchemathesisConfig.from_dict(settings))
    if only:
        schema = schema.include(operation_id=only)
    if sign:
        schema.auth.set_from_requests(sign)
    if within:

        @schema.hook
        def map_body(context: Any, body: Any) -> Any:
            return within(body)

    faults, statuses = list[str](), dict[int, int]()
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, events.NonFatalError):
                faults.append(f"{event.label}: {event.value!r}")
            elif isinstance(event, events.FatalError):
                faults.append(repr(event.exception))
            elif isinstance(event, events.ScenarioFinished):
                for interaction in event.recorder.interactions.values():
                    if interaction.response is not None:
                        status = interaction.response.status_code
                        statuses[status] = statuses.get(status, 0) + 1
                for checks in event.recorder.checks.values():
                    for check in checks:
                        if (failed := check.failure_info) is not None:
                            faults.append(f"{check.name}: {failed.failure}\n{failed.code_sample}")
    finally:
        shutdown_lifespans()
    assert not faults, "\n\n".join(dict.fromkeys(faults))
    return statuses


@dataclass
class Signed:
    """Signs the bytes that are about to be sent."""

    sign: Callable[[bytes], dict[str, str]]
    needs: Sequence[str] = ()
    """Headers of a signature; a request that was made without one of them stays without it."""

    def __call__(self, request: Any) -> Any:
        raw = request.body or b""
        if all(name in request.headers for name in self.needs):
            request.headers.update(self.sign(raw.encode() if isinstance(raw, str) else raw))
        return request


SEMANTIC = {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}}
"""What no schema can say is 422 too: a contract or a line that there is not, a time too far away, another's customer in the body."""
KEPT = {"negative_data_rejection": {"enabled": False}}
"""What is rightly signed and can't be read is kept as a dead letter, and answered by 200: its sender could do nothing about it."""
BEARER: dict[str, Any] = {
    "auth": {"openapi": {"token": {"bearer": TOKEN}}},
    "headers": {"Accept": "application/json"},
    "operations": [{"include-operation-id": ["keep_customer", "hear", "decide"], "checks": SEMANTIC}],
    "phases": {"stateful": {"generation": {"max-examples": 3}}},
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return database.default_url(tmp_path)


def test_whoever_holds_a_token_is_answered_as_the_schema_says(url: str) -> None:
    statuses = attacked(app(url, Behind()), **BEARER)
    assert {200, 202, 204, 400, 401, 404, 405, 422} <= set(statuses)


def test_whoever_holds_none_gets_in_nowhere(url: str) -> None:
    behind = Behind()
    statuses = attacked(app(url, behind), phases={"stateful": {"enabled": False}, "fuzzing": {"enabled": False}})
    assert {401, 405} <= set(statuses)
    assert not {201, 202, 204} & set(statuses)
    assert not behind.words


STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")


def standard(raw: bytes, id: str = "") -> dict[str, str]:
    """As Standard Webhooks signs, by its own library, which knows texts alone; each delivery under an id of its own."""
    try:
        text, id = raw.decode(), id or f"msg_{next(COUNT)}"
    except UnicodeDecodeError:
        return {}
    signature = standardwebhooks.Webhook(SECRET).sign(id, NOW, text)
    return {"webhook-id": id, "webhook-timestamp": str(int(NOW.timestamp())), "webhook-signature": signature}


def stripe(raw: bytes) -> dict[str, str]:
    """As Stripe signs."""
    stamp = str(int(NOW.timestamp()))
    made = hmac.digest(SECRET.encode(), stamp.encode() + b"." + raw, "sha256").hex()
    return {"stripe-signature": f"t={stamp},v1={made}"}


def test_a_signed_event_is_answered_as_the_schema_says(url: str) -> None:
    behind = Behind()
    statuses = attacked(
        app(url, behind), only="send_event", sign=Signed(standard, STANDARD), examples=30,
        parameters={"path.customer": "acme"}, checks=SEMANTIC,
    )  # fmt: skip
    assert {202, 400, 401, 405, 422} <= set(statuses)
    assert {word.event.event for word in behind.words} >= {"opened", "payment_lapsed"}


def test_a_signed_payment_is_answered_as_the_schema_says(url: str) -> None:
    statuses = attacked(
        app(url, Behind()),
        only="send_payment",
        sign=Signed(standard, STANDARD),
        examples=30,
        parameters={"path.source": "erp"},
        checks=SEMANTIC,
    )
    assert {200, 400, 401, 405, 422} <= set(statuses)


def test_a_signed_event_of_stripe_is_answered_as_the_schema_says(url: str) -> None:
    statuses = attacked(
        app(url, Behind()),
        only="send_stripe_event",
        sign=Signed(stripe, ["stripe-signature"]),
        parameters={"path.account": "main"},
        checks=KEPT,
    )
    assert {200, 401, 405} <= set(statuses)


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_delivery_is_answered_as_the_schema_says(url: str, kind: str) -> None:
    behind, place = Behind(), WORD if adapter(kind).secret_in_path else kind
    real, turns = sample(Source(name=kind, kind=kind), WORD, NOW).raw, count()

    def within(made: Any) -> Any:
        """A real delivery, a part of which is what was made up."""
        return made if kind == "mail" else grafted(json.loads(real), made, next(turns))

    statuses = attacked(
        app(url, behind), only="send_delivery", within=within, sign=Signed(lambda raw: SIGNERS[kind](WORD, raw, NOW)),
        examples=25, parameters={"path.kind": kind, "path.place": place}, checks=KEPT,
    )  # fmt: skip
    assert {200, 405} <= set(statuses)
    assert behind.asked or kind == "mail", statuses


def grafted(real: Any, made: Any, turn: int) -> Any:
    """The real thing with one of its parts, each in its turn, replaced by what was made up."""
    places = list(spots(real))
    holder, name = places[turn % len(places)]
    holder[name] = made
    return real


def spots(real: Any) -> Iterator[tuple[Any, Any]]:
    """Each part of a JSON value: what holds it, and under which name."""
    for name, part in real.items() if isinstance(real, dict) else enumerate(real) if isinstance(real, list) else ():
        yield real, name
        yield from spots(part)


def test_the_answers_that_are_hard_to_come_by_are_as_the_schema_says(url: str) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app(url, Behind()))
    known, html = {"Authorization": f"Bearer {TOKEN}"}, {"Accept": "text/html"}
    json_, form = {"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}
    opening = json_ | standard(OPENED)

    def asked(operation: str, headers: dict[str, str], raw: bytes | str = b"", **path: str) -> int:
        case = schema.find_operation_by_id(operation).Case(path_parameters=path)
        response = case.call_and_validate(headers=headers, data=raw or None, excluded_checks=[])
        return int(response.status_code)

    try:
        assert asked("keep_customer", known | json_, b'{"name": "New"}', id="new") == 201
        assert asked("keep_customer", known | json_, b'{"domains": ["acme.example"]}', id="new") == 409
        assert asked("keep_customer", known | {"Content-Encoding": "gzip"}, b"x", id="new") == 415
        assert asked("keep_customer", known, b" " * 300_000, id="new") == 413
        assert asked("forget_customer", known, id="new") == 204
        assert asked("decide", known | json_, b'{"action": "approve_suspension", "by": "gwen"}', id="acme") == 409
        assert asked("send_event", opening, OPENED, customer="acme") == 202
        assert asked("send_event", opening, OPENED, customer="acme") == 200
        assert asked("send_event", json_ | standard(OTHER, opening["webhook-id"]), OTHER, customer="acme") == 409
        for kind in KINDS:
            made, place = (
                sample(Source(name=kind, kind=kind), WORD, NOW),
                WORD if adapter(kind).secret_in_path else kind,
            )
            test = {**made.headers, "X-Pactkeeper-Test": "1"}
            assert asked("send_delivery", test, made.raw, kind=kind, place=place) == 200
            assert asked("send_delivery", dict(made.headers), made.raw, kind=kind, place=place) == adapter(kind).taken
            again = asked("send_delivery", dict(made.headers), made.raw, kind=kind, place=place)
            assert again in (200, adapter(kind).taken), "what only says that a ticket is to be read may be told twice"
        assert asked("list_deliveries", known) == asked("list_deliveries", known | html) == 200
        assert (
            asked("replay_letter", known | form, "id=none")
            == asked("replay_letter", known | form | html, "id=none")
            == 409
        )
        assert asked("replay_letter", known | form, b"\xff") == 400
        basic = {"Authorization": "Basic " + b64encode(f":{TOKEN}".encode()).decode()}
        assert asked("replay_letter", basic | form, "id=none") == 403
        assert asked("ask", {}, token=ACK) == asked("take", {}, token=ACK) == 200
    finally:
        shutdown_lifespans()


def test_while_nobody_answers_whoever_asks_is_told_to_come_again(url: str) -> None:
    gone = {
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
        "positive_data_acceptance": {"enabled": False},  # that is just what this is about
    }
    chance_alone = {"coverage": {"enabled": False}, "stateful": {"enabled": False}}
    settings = BEARER | {"checks": gone, "operations": [], "phases": chance_alone}
    assert {200, 503} <= set(attacked(app(url, Behind(away=True)), **settings))


def test_the_schema_says_all_of_every_page_and_nothing_that_never_comes(url: str) -> None:
    served = app(url, Behind())
    schema = served.openapi()
    schemathesis.openapi.from_dict(schema).validate()
    told = json.dumps(schema)
    for never in ("HTTPValidationError", "Successful Response", "Validation Error", TOKEN, SECRET, WORD):
        assert never not in told
    said = {f"{method.upper()} {path}": one for path, of in schema["paths"].items() for method, one in of.items()}
    assert set(said) == {
        "POST /hooks/generic/{customer}", "POST /hooks/stripe/{account}", "POST /hooks/billing/{source}",
        "POST /hooks/{kind}/{place}", "GET /api/customers", "GET /api/customers/{id}", "PUT /api/customers/{id}",
        "DELETE /api/customers/{id}", "GET /api/customers/{id}/standing", "POST /api/customers/{id}/events",
        "POST /api/customers/{id}/decisions", "GET /deliveries", "POST /deliveries/letters/replay", "GET /ack/{token}",
        "POST /ack/{token}", "GET /healthz", "GET /readyz",
    }  # fmt: skip
    assert len({one["operationId"] for one in said.values()}) == len(said)
    for name, one in said.items():
        assert ("security" in one) == name.partition(" ")[2].startswith(("/api", "/deliveries")), name
        assert ("requestBody" in one) == (name.startswith(("POST", "PUT")) and "/ack/" not in name), name
        assert {"400", "408", "413", "415"} <= set(one["responses"]) or "requestBody" not in one, name


async def test_another_method_is_refused_with_those_that_there_are_and_does_nothing(url: str) -> None:
    served = app(url, Behind())
    transport, known = httpx.ASGITransport(served), {"Authorization": f"Bearer {TOKEN}"}
    async with (
        served.router.lifespan_context(served),
        httpx.AsyncClient(transport=transport, base_url="http://intake", headers=known) as http,
    ):
        for method, path, takes in (
            ("PATCH", "/api/customers", "GET"),
            ("PATCH", "/api/customers/acme", "DELETE, GET, PUT"),
            ("PUT", "/api/customers/acme/standing", "GET"),
            ("DELETE", "/api/customers/acme/standing", "GET"),
            ("GET", "/api/customers/acme/events", "POST"),
            ("PUT", "/api/customers/acme/decisions", "POST"),
            ("GET", "/hooks/stripe/main", "POST"),
            ("DELETE", "/deliveries", "GET"),
        ):
            came = await http.request(method, path, content=b"{}")
            assert (came.status_code, came.headers["Allow"], came.json()) == (405, takes, OTHER_METHOD), path
        came = await http.get("/api")
        assert (came.status_code, set(came.json())) == (404, {"error"})
        listed = (await http.get("/api/customers")).json()["customers"]
        assert [one["id"] for one in listed] == ["acme", "bolt"], "nobody is kept as acme/standing"
