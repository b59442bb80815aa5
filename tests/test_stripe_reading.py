"""Reading Stripe: what is asked, what each answer means to whoever waits for it, and that no key is ever told."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.billing import BillingActivities, links
from activities.billing_settings import USUAL_URL, BillingSettings, NoAccount
from activities.calls import BillingRead, Outstanding, ReadBilling, Reconcile, Reconciled
from activities.policies import Policies
from activities.stripe import VERSION
from sla.customer import BillingLink, ContractLine, Customer
from starter.hook_settings import EVERY, IntakeSettings

KEY = "rk_test_that_nobody_may_see"
LINK = BillingLink(customer="cus_1")
ACME = Customer(id="acme", billing=LINK)
INVOICE = {"id": "in_1", "status": "open", "status_transitions": {"finalized_at": 1_700_000_000}}
PAST_DUE = {"id": "sub_1", "status": "past_due", "customer": "cus_1", "latest_invoice": INVOICE}
ACTIVE = {"id": "sub_1", "status": "active", "customer": "cus_1", "latest_invoice": None}


@dataclass
class Stub:
    """What stands in for Stripe: answers by path, and keeps what it was asked."""

    url: str = ""
    answers: dict[str, list[tuple[int, Any, dict[str, str]]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)

    def on(self, path: str, body: Any, status: int = 200, **headers: str) -> None:
        """Answer so; the last answer of a path is given again and again."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(path, []).append((status, body, told))

    def page(self, *subscriptions: dict[str, Any]) -> None:
        """The customer has these subscriptions."""
        self.on("/v1/subscriptions", {"object": "list", "data": list(subscriptions), "has_more": False})

    @property
    def paths(self) -> list[str]:
        return [path for path, *_ in self.asked]


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            made.asked.append((parts.path, parse_qs(parts.query), {n.lower(): v for n, v in self.headers.items()}))
            some = made.answers.get(parts.path, [(404, {"error": {"code": "resource_missing"}}, {})])
            status, body, headers = some.pop(0) if len(some) > 1 else some[0]
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


async def activities(stub: Stub, *customers: Customer, url: str | None = None, seconds: float = 5) -> BillingActivities:
    client = await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
    settings = BillingSettings(lambda: {"main": {"key": KEY, "url": url or stub.url}}, {}, seconds, seconds)
    return BillingActivities(Policies(only={one.id: one for one in customers or [ACME]}), client, settings)


async def read(stub: Stub, *customers: Customer, outstanding: tuple[Outstanding, ...] = (), **how: Any) -> BillingRead:
    """What an account gets."""
    made = await activities(stub, *customers, **how)
    asked = ReadBilling(customer="acme", outstanding=outstanding)
    came: BillingRead = await ActivityEnvironment().run(made.read_billing, asked)
    return came


async def test_it_asks_with_its_key_in_the_pinned_version_and_reads_the_invoice_along(stub: Stub) -> None:
    stub.page(PAST_DUE)
    (word,) = (await read(stub)).words
    assert word.event.model_dump() == {
        "event": "payment_lapsed", "by": "stripe", "line": "support", "reference": "stripe:main:in_1",
    }  # fmt: skip
    assert word.occurred_at.timestamp() == 1_700_000_000
    ((path, asked, headers),) = stub.asked
    assert path == "/v1/subscriptions"
    assert asked == {"customer": ["cus_1"], "status": ["all"], "limit": ["100"], "expand[]": ["data.latest_invoice"]}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["stripe-version"] == VERSION


def test_the_pinned_version_is_the_one_that_the_vendors_library_was_made_for() -> None:
    assert stripe.api_version == VERSION


async def test_one_subscription_is_read_by_its_id(stub: Stub) -> None:
    stub.on("/v1/subscriptions/sub_1", PAST_DUE)
    link = LINK.model_copy(update={"subscription": "sub_1"})
    assert len((await read(stub, Customer(id="acme", billing=link))).words) == 1
    assert stub.paths == ["/v1/subscriptions/sub_1"]


async def test_all_pages_are_read(stub: Stub) -> None:
    over = {"id": "sub_0", "status": "canceled", "customer": "cus_1"}
    stub.on("/v1/subscriptions", {"data": [over], "has_more": True})
    stub.on("/v1/subscriptions", {"data": [PAST_DUE], "has_more": False})
    assert len((await read(stub)).words) == 1
    assert [asked.get("starting_after") for _, asked, _ in stub.asked] == [None, ["sub_0"]]


async def test_an_invoice_that_was_deleted_is_no_failure(stub: Stub) -> None:
    stub.page(ACTIVE)
    out = Outstanding(line="support", reference="stripe:main:in_9", since="2026-01-01T00:00:00Z")  # type: ignore[arg-type]
    (word,) = (await read(stub, outstanding=(out,))).words
    assert word.event.event == "payment_current"
    assert stub.paths == ["/v1/subscriptions", "/v1/invoices/in_9"]


TROUBLE: list[tuple[int, Any, dict[str, str], str, str, timedelta | None]] = [
    (401, {"error": {"message": f"Invalid API Key: {KEY}"}}, {}, "BillingRefused", r"does not take our key \(401\)", timedelta(minutes=5)),
    (403, {}, {}, "BillingRefused", "the right to read subscriptions and invoices", timedelta(minutes=5)),
    (404, {}, {}, "BillingRefused", r"has no customer cus_1 \(404\); correct the link", timedelta(minutes=5)),
    (400, {"error": {"code": "parameter_missing"}}, {}, "BillingRefused", r"answered 400 \(parameter_missing\)", timedelta(minutes=5)),
    (400, {"error": {"code": KEY.upper()}}, {}, "BillingRefused", r"answered 400 \(no code\)", timedelta(minutes=5)),
    (302, b"", {"location": "http://127.0.0.1:9/"}, "BillingRefused", "a redirect", timedelta(minutes=5)),
    (429, {}, {"retry-after": "7"}, "BillingUnavailable", "answered 429", timedelta(seconds=7)),
    (429, {}, {}, "BillingUnavailable", "answered 429", None),
    (500, b"<html>", {}, "BillingUnavailable", "answered 500", None),
    (503, {}, {"retry-after": "3"}, "BillingUnavailable", "answered 503", timedelta(seconds=3)),
    (200, b"<html>", {}, "BillingUnavailable", "no JSON", None),
    (200, b"[" * 100_000, {}, "BillingUnavailable", "no JSON", None),
    (200, [], {}, "BillingUnavailable", "without a usable", None),
    (200, {"data": {}}, {}, "BillingUnavailable", "without a usable data", None),
    (200, {"data": [{"id": "sub_1"}]}, {}, "BillingUnavailable", "a subscription without a usable status", None),
    (200, {"data": [{**ACTIVE, "status": "dormant"}]}, {}, "BillingUnavailable", "'dormant', which is not known here", None),
    (200, {"data": [{**ACTIVE, "customer": "cus_2"}]}, {}, "BillingRefused", "cus_2's, not cus_1's; correct the link", timedelta(minutes=5)),
    (200, b"x" * (9 * 1024 * 1024), {}, "BillingUnavailable", "more than we take", None),
    (200, b"{", {"content-length": "100"}, "BillingUnavailable", "broke off", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "says", "delay"), TROUBLE, ids=[f"{t[0]} {t[4]}" for t in TROUBLE]
)
async def test_each_bad_answer_is_a_sentence_and_is_tried_again_when_it_makes_sense(
    stub: Stub, status: int, body: Any, headers: dict[str, str], kind: str, says: str, delay: timedelta | None
) -> None:
    stub.answers["/v1/subscriptions"] = [(status, body, headers)]
    with pytest.raises(ApplicationError, match=says) as told:
        await read(stub)
    assert (told.value.type, told.value.non_retryable, told.value.next_retry_delay) == (kind, False, delay)
    assert KEY not in str(told.value)
    assert "the Stripe account 'main' at http://127.0.0.1:" in str(told.value)


async def test_silence_and_nobody_there_are_told_as_such(stub: Stub) -> None:
    with pytest.raises(ApplicationError, match="cannot be reached"):
        await read(stub, url="http://127.0.0.1:9")
    import socket

    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(ApplicationError, match=r"did not answer within 0\.3 s"):
            await read(stub, url=f"http://127.0.0.1:{mute.getsockname()[1]}", seconds=0.3)


async def test_a_link_to_an_account_that_nobody_set_up_is_said_once(stub: Stub) -> None:
    link = LINK.model_copy(update={"account": "eu-2"})
    with pytest.raises(
        ApplicationError, match=r"'eu-2' has no key here; set stripe\.eu-2\.key .* or PACTKEEPER_STRIPE_KEY_EU_2"
    ) as told:
        await read(stub, Customer(id="acme", billing=link))
    assert told.value.non_retryable


async def test_one_link_that_cannot_be_read_holds_up_no_other_and_then_is_told(stub: Stub) -> None:
    gone = ContractLine(id="db", billing=BillingLink(customer="cus_1", subscription="sub_gone"))
    stub.page(PAST_DUE)
    customer = Customer(id="acme", billing=LINK, lines=(gone, ContractLine(id="web")))
    (word,) = (await read(stub, customer)).words
    known = Outstanding(line="web", reference="stripe:main:in_1", since=word.occurred_at)
    with pytest.raises(ApplicationError, match="no subscription sub_gone"):
        await read(stub, customer, outstanding=(known,))


async def test_lines_that_share_a_link_are_told_each_and_one_that_is_prepaid_for_good_is_not(stub: Stub) -> None:
    lines = (ContractLine(id="web"), ContractLine(id="db"), ContractLine(id="old", prepaid=True))
    stub.page(PAST_DUE)
    words = (await read(stub, Customer(id="acme", billing=LINK, lines=lines))).words
    assert [word.event.line for word in words] == ["web", "db"]
    assert len({word.key for word in words}) == 2
    assert stub.paths == ["/v1/subscriptions"]


async def test_who_has_no_link_or_is_unknown_has_no_news(stub: Stub) -> None:
    assert (await read(stub, Customer(id="acme"))).words == ()
    assert (await read(stub, Customer(id="other"))).words == ()
    assert links(Customer(id="acme")) == {}
    assert stub.asked == []


class Accounts:
    """What stands in for Temporal: no account is there yet; keeps who is asked to look."""

    def __init__(self) -> None:
        self.looked: list[str] = []

    def get_workflow_handle(self, id: str) -> Any:
        from temporalio.service import RPCError, RPCStatusCode

        class Handle:
            async def describe(self) -> None:
                raise RPCError("none", RPCStatusCode.NOT_FOUND, b"")

        return Handle()

    async def start_workflow(self, *_: object, id: str, **__: object) -> None:
        self.looked.append(id)


async def reconcile(
    stub: Stub, *customers: Customer, environment: ActivityEnvironment | None = None
) -> tuple[Reconciled, list[str]]:
    made, accounts = await activities(stub, *customers), Accounts()
    made.client = accounts  # type: ignore[assignment]
    counts: Reconciled = await (environment or ActivityEnvironment()).run(made.reconcile_billing, Reconcile())
    return counts, accounts.looked


def linked(id: str, **more: Any) -> Customer:
    return Customer(id=id, billing=BillingLink(customer=f"cus_{id}", subscription=f"sub_{id}", **more))


async def test_the_reconciler_counts_each_and_only_those_look_who_must(stub: Stub) -> None:
    stub.on("/v1/subscriptions/sub_a", {**PAST_DUE, "customer": "cus_a"})
    stub.on("/v1/subscriptions/sub_b", {**ACTIVE, "customer": "cus_b"})
    counts, looked = await reconcile(
        stub, linked("a"), linked("b"), linked("c"), linked("d", account="nobody"), Customer(id="e")
    )
    assert counts == Reconciled(read=2, agreed=1, looked=1, failed=2)
    assert looked == ["account/a"]


async def test_the_reconciler_waits_when_it_is_told_to(stub: Stub) -> None:
    for _ in range(2):
        stub.on("/v1/subscriptions/sub_a", {}, 429, retry_after="0")
    stub.on("/v1/subscriptions/sub_a", {**ACTIVE, "customer": "cus_a"})
    assert (await reconcile(stub, linked("a")))[0] == Reconciled(read=1, agreed=1)
    stub.answers.clear()
    stub.on("/v1/subscriptions/sub_a", {}, 429, retry_after="600")
    assert (await reconcile(stub, linked("a")))[0] == Reconciled(failed=1)


async def test_the_reconciler_goes_on_where_it_was(stub: Stub) -> None:
    """Killed after twelve of twenty, it reads the other eight, and its counts are of all twenty."""
    everybody = [linked(f"c{i:02}") for i in range(20)]
    for one in everybody:
        stub.on(f"/v1/subscriptions/sub_{one.id}", {**ACTIVE, "customer": f"cus_{one.id}"})
    environment = ActivityEnvironment()
    beats: list[Any] = []
    environment.on_heartbeat = lambda *details: beats.append(details)
    assert (await reconcile(stub, *everybody, environment=environment))[0] == Reconciled(read=20, agreed=20)
    at = next(beat for beat in beats if beat[1].read == 10)
    stub.asked.clear()
    again = ActivityEnvironment()
    again.info = type(again.info)(**{**vars(again.info), "heartbeat_details": [at[0], at[1].model_dump()]})
    assert (await reconcile(stub, *everybody, environment=again))[0] == Reconciled(read=20, agreed=20)
    assert sorted(stub.paths) == [f"/v1/subscriptions/sub_c{i:02}" for i in range(10, 20)]


def test_the_environment_wins_over_the_file_and_nothing_tells_a_key(tmp_path: Path) -> None:
    (tmp_path / "hook-secrets.yaml").write_text("stripe: {main: {key: rk_live_of_the_file, secrets: []}, eu-2: {}}\n")
    seconds = [0.0]
    hooks = IntakeSettings(file=tmp_path / "hook-secrets.yaml", clock=lambda: seconds[0])
    plain = BillingSettings.from_env({}, lambda: hooks.accounts)
    assert (plain.stripe("main").key, plain.stripe("main").url) == ("rk_live_of_the_file", USUAL_URL)
    (tmp_path / "key").write_text("rk_live_of_a_secret_file\n")
    environ = {
        "PACTKEEPER_STRIPE_KEY_MAIN": "rk_live_of_the_environment",
        "PACTKEEPER_STRIPE_URL_MAIN": "http://127.0.0.1:8420/",
        "PACTKEEPER_STRIPE_KEY_EU_2_FILE": str(tmp_path / "key"),
    }
    set_ = BillingSettings.from_env(environ, lambda: hooks.accounts)
    assert (set_.stripe("main").key, set_.stripe("main").url) == ("rk_live_of_the_environment", "http://127.0.0.1:8420")
    assert set_.stripe("eu-2").key == "rk_live_of_a_secret_file"
    assert "rk_" not in repr(plain) + repr(set_) + repr(set_.stripe("main"))
    with pytest.raises(NoAccount, match="PACTKEEPER_STRIPE_KEY_OTHER"):
        plain.stripe("other")
    (tmp_path / "hook-secrets.yaml").write_text("stripe: {main: {key: rk_live_of_later_on}}\n")
    seconds[0] += EVERY
    assert plain.stripe("main").key == "rk_live_of_later_on"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stripe: {main: {key: 'two words'}}", "is none; write a restricted key"),
        ("stripe: {main: {key: rk_live_1, url: 'http://stripe.example'}}", "is not encrypted"),
        ("stripe: {main: {key: rk_live_1, url: 'https://a:b@stripe.example'}}", "holds a user name"),
        ("{", "no YAML"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_without_its_value(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "hook-secrets.yaml").write_text(text)
    with pytest.raises(ValueError, match=says) as told:
        BillingSettings.from_env({}, lambda: IntakeSettings(file=tmp_path / "hook-secrets.yaml").accounts)
    assert "two words" not in str(told.value)
    assert "rk_live" not in str(told.value)
