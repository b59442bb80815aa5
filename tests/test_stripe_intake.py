"""The billing hooks: each kind of bad input has its answer and nothing is lost; good input only says "look", or is taken once."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from standardwebhooks.webhooks import Webhook
from stripe import WebhookSignature

from activities.calls import Look
from activities.policies import Policies
from records import database
from records.customers import CustomerStore
from records.dead_letters import DeadLetterStore, Letter
from records.spool import Spool
from sla.account_events import AccountDelivery
from sla.customer import BillingLink, Contact, ContractLine, Customer
from starter import web_billing
from starter.hook_settings import HookSettingError, IntakeSettings, Secrets, new_secret, read
from starter.hook_signature import key_of
from starter.intake import stripe
from starter.port import BillingRecords, Unavailable
from starter.source_hooks import SourceHooks
from starter.spooler import Spooler
from starter.web import create_app
from tests.front_desk import Notes

NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
MAIN, OLD, OTHER = ("whsec_" + letter * 32 for letter in "mop")
ERP, LEDGER = new_secret(), new_secret()
ACME = Customer(
    id="acme",
    contacts=(Contact(email="ann@acme.example"),),
    lines=(ContractLine(id="web"), ContractLine(id="db", billing=BillingLink(customer="cus_db"))),
    billing=BillingLink(customer="cus_acme"),
)


def event(
    kind: str = "invoice.payment_failed", customer: Any = "cus_acme", id: Any = "evt_1", **more: Any
) -> dict[str, Any]:
    it = {"id": "in_1", "object": "invoice", "customer": customer, **more}
    return {"id": id, "object": "event", "type": kind, "created": int(NOW.timestamp()), "data": {"object": it}}


class Door:
    """A door that keeps what comes through, or says that Temporal is away."""

    def __init__(self) -> None:
        self.away = False
        self.looks: list[tuple[str, Look]] = []
        self.payments: list[tuple[str, AccountDelivery]] = []

    async def look(self, customer: str, asked: Look) -> str:
        await self.ready()
        self.looks.append((customer, asked))
        return f"account/{customer}"

    async def account(self, customer: str, word: AccountDelivery) -> str:
        await self.ready()
        self.payments.append((customer, word))
        return f"account/{customer}"

    async def ready(self) -> None:
        if self.away:
            raise Unavailable("away")


class Web:
    """The app on real records, and a browser that signs as Stripe's own library does."""

    def __init__(self, customers: CustomerStore, letters: DeadLetterStore, spool: Spool) -> None:
        self.door, self.customers, self.letters = Door(), customers, letters
        self.spooler = Spooler(spool, self.door, lambda: NOW)  # type: ignore[arg-type]
        settings = IntakeSettings(
            Secrets(
                stripe={"main": (MAIN.encode(), OLD.encode()), "other": (OTHER.encode(),), "unset": ()},
                billing={"erp": (key_of(ERP),), "ledger": (key_of(LEDGER),)},
            ),
            now=lambda: NOW,
        )
        self.notes = Notes()
        hooks = SourceHooks(self.door, settings, Policies(), log=self.notes, spool=self.spooler)  # type: ignore[arg-type]
        records = BillingRecords(customers, letters)
        app = create_app(self.door, settings, billing=records, sources=hooks)  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://intake")

    async def raw(
        self,
        raw: bytes,
        *,
        secret: str = MAIN,
        at: datetime = NOW,
        to: str = "main",
        header: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        """The raw bytes as Stripe sends them."""
        signed = WebhookSignature.generate_signature_header("", secret, timestamp=int(at.timestamp()))
        signed = signed.partition("v1=")[0] + "v1=" + _hmac(raw, secret, int(at.timestamp()))
        sent = {"stripe-signature": signed if header is None else header, "content-type": "application/json"} | headers
        return await self.http.post(
            f"/hooks/stripe/{to}", content=raw, headers=[(n.encode(), v.encode()) for n, v in sent.items() if v != "-"]
        )

    async def send(self, told: Any, **how: Any) -> httpx.Response:
        return await self.raw(json.dumps(told).encode(), **how)

    async def erp(self, told: Any, *, id: str = "msg_1", secret: str = ERP, to: str = "erp") -> httpx.Response:
        """A body as the billing system sends it, signed by the reference library."""
        raw = told if isinstance(told, str) else json.dumps(told)
        headers = {
            "webhook-id": id,
            "webhook-timestamp": str(int(NOW.timestamp())),
            "webhook-signature": Webhook(secret).sign(id, NOW, raw),
        }
        return await self.http.post(f"/hooks/billing/{to}", content=raw, headers=headers)

    async def kept(self) -> list[Letter]:
        return await self.letters.list()

    async def untouched(self) -> bool:
        return not self.door.looks and not self.door.payments and not await self.kept()


def _hmac(raw: bytes, secret: str, stamp: int) -> str:
    import hashlib
    import hmac

    return hmac.new(secret.encode(), str(stamp).encode() + b"." + raw, hashlib.sha256).hexdigest()


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    database.upgrade(url)
    engine = database.engine(url)
    customers = CustomerStore(engine)
    await customers.put(ACME)
    yield Web(customers, DeadLetterStore(engine), Spool(engine))
    await engine.dispose()


@pytest.mark.parametrize("kind", sorted(stripe.MATTERS))
async def test_each_event_that_matters_says_look_to_the_account_and_nothing_else(web: Web, kind: str) -> None:
    answer = await web.send(event(kind))
    assert answer.status_code == 202
    assert answer.json() == {"accepted": True, "workflows": ["account/acme"], "event": "evt_1"}
    assert web.door.looks == [("acme", Look(source="stripe/main", why=f"{kind} evt_1"))]
    assert not web.door.payments


async def test_a_customer_is_found_by_the_link_of_a_line_and_by_the_id_in_an_object(web: Web) -> None:
    assert (await web.send(event(customer="cus_db"))).status_code == 202
    assert (await web.send(event(customer={"id": "cus_acme", "email": "a@b.example"}))).status_code == 202
    assert [customer for customer, _ in web.door.looks] == ["acme", "acme"]


@pytest.mark.parametrize(
    "kind", ["customer.created", "charge.succeeded", "invoice.created", "invoice.updated", "v1.new_thing"]
)
async def test_other_events_are_acknowledged_and_ignored(web: Web, kind: str) -> None:
    answer = await web.send(event(kind, customer=None))
    assert (answer.status_code, answer.json()) == (200, {"accepted": False, "ignored": kind})
    assert await web.untouched()


async def test_an_unknown_customer_is_a_dead_letter_and_the_sender_is_content(web: Web) -> None:
    answer = await web.send(event(customer="cus_nobody"))
    assert answer.status_code == 200
    assert answer.json()["dead_letter"] == "stripe/main/evt_1"
    (letter,) = await web.kept()
    assert (letter.source, letter.kind, letter.subject) == ("stripe/main", "invoice.payment_failed", "cus_nobody")
    assert letter.why == "no customer is linked to cus_nobody of the Stripe account main"
    assert json.loads(letter.body)["id"] == "evt_1"
    assert letter.received_at == NOW
    assert not web.door.looks


async def test_a_customer_linked_in_another_account_is_unknown_in_this_one(web: Web) -> None:
    assert (await web.send(event(), to="other", secret=OTHER)).json()["dead_letter"] == "stripe/other/evt_1"


async def test_a_replay_is_harmless_and_a_dead_letter_is_kept_once(web: Web) -> None:
    for _ in range(3):
        assert (await web.send(event(customer="cus_nobody"))).status_code == 200
        assert (await web.send(event(id="evt_2"))).status_code == 202
    assert len(await web.kept()) == 1
    assert {customer for customer, _ in web.door.looks} == {"acme"}


async def test_the_same_id_with_another_body_keeps_the_first(web: Web) -> None:
    await web.send(event(customer="cus_nobody"))
    assert (await web.send(event(customer="cus_somebody"))).status_code == 200
    assert [letter.subject for letter in await web.kept()] == ["cus_nobody"]


UNSIGNED: list[dict[str, Any]] = [
    {"header": "-"},
    {"header": ""},
    {"header": "t=1,v1=abc"},
    {"header": f"t={int(NOW.timestamp())}"},
    {"header": f"t={int(NOW.timestamp())},v1="},
    {"header": f"t={'9' * 400},v1=abc"},
    {"header": "t=NaN,v1=abc"},
    {"header": "nonsense"},
    {"header": "\u00e9"},
    {"secret": OTHER},
    {"to": "other"},
    {"to": "unset"},
    {"to": "nobody"},
    {"to": "..%2Fmain"},
    {"secret": MAIN.removeprefix("whsec_")},
    {"at": NOW - timedelta(seconds=301)},
    {"at": NOW + timedelta(seconds=301)},
    {"at": NOW - timedelta(days=4000)},
]


@pytest.mark.parametrize("how", UNSIGNED, ids=lambda how: str(how)[:50])
async def test_whatever_is_wrong_with_a_signature_is_one_and_the_same_401(web: Web, how: dict[str, Any]) -> None:
    answer = await web.send(event(), **how)
    if answer.status_code != 404:  # no hook has such an address
        assert answer.status_code == 401
        assert answer.json() == {"error": "the delivery is not signed with a secret of this hook; see docs/billing.md"}
    assert await web.untouched()


async def test_the_window_is_as_wide_as_stripes_and_both_active_secrets_sign(web: Web) -> None:
    for how in ({"at": NOW - timedelta(seconds=300)}, {"at": NOW + timedelta(seconds=300)}, {"secret": OLD}):
        assert (await web.send(event(), **how)).status_code == 202  # type: ignore[arg-type]


async def test_a_truncated_or_re_serialised_body_is_not_what_was_signed(web: Web) -> None:
    raw = json.dumps(event()).encode()
    right = f"t={int(NOW.timestamp())},v1={_hmac(raw, MAIN, int(NOW.timestamp()))}"
    for body in (raw[:-1], raw.replace(b": ", b":"), raw + b"\n", b""):
        assert (await web.raw(body, header=right)).status_code == 401
    assert (await web.raw(raw, header=right[:-2])).status_code == 401
    assert await web.untouched()


UNUSABLE: list[bytes] = [
    b"",
    b"[]",
    b"7",
    b"{",
    b"{}",
    b'{"id": "evt_1", "id": "evt_2"}',
    b'{"id": NaN}',
    b'{"id": 1e999}',
    b'{"id": "\\ud800"}',
    b'{"id": "evt_\\u0000", "type": "invoice.paid"}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b'{"id": "evt_1"}',
    b'{"id": "evt_1", "type": 5}',
    b'{"id": "evt_1", "type": ["invoice.paid"]}',
    b'{"id": "", "type": "invoice.paid"}',
    b'{"id": "evt 1", "type": "invoice.paid"}',
    b'{"id": {"a": 1}, "type": "invoice.paid"}',
    b'{"id": "evt_1", "type": "invoice.paid"}',
    b'{"id": "evt_1", "type": "invoice.paid", "data": []}',
    b'{"id": "evt_1", "type": "invoice.paid", "data": {"object": "in_1"}}',
    b'{"id": "evt_1", "type": "invoice.paid", "data": {"object": {"customer": null}}}',
    b'{"id": "evt_1", "type": "invoice.paid", "data": {"object": {"customer": 5}}}',
    b'{"id": "evt_1", "type": "invoice.paid", "data": {"object": {"customer": "cus_\\n1"}}}',
    b'{"id": "evt_1", "type": "invoice.paid", "data": {"object": {"customer": "' + b"c" * 300 + b'"}}}',
]


@pytest.mark.parametrize("raw", UNUSABLE, ids=lambda raw: str(raw[:60]))
async def test_what_stripe_signed_and_cannot_be_used_is_kept_for_it_would_come_again_for_days(
    web: Web, raw: bytes
) -> None:
    answer = await web.raw(raw)
    assert answer.status_code == 200, answer.text
    (letter,) = await web.kept()
    assert answer.json()["dead_letter"] == letter.id
    assert letter.id.startswith("stripe/main/")
    assert "\n" not in letter.why
    assert len(letter.body) <= 64 * 1024
    assert (await web.raw(raw)).status_code == 200
    assert len(await web.kept()) == 1
    assert not web.door.looks


@pytest.mark.parametrize("created", [None, True, "soon", -1, 10**19, 2**62, 0.5, {}])
async def test_an_absurd_time_within_an_event_does_no_harm(web: Web, created: Any) -> None:
    assert (await web.send(event() | {"created": created})).status_code == 202


async def test_a_body_that_is_too_large_compressed_or_slow_is_refused(web: Web) -> None:
    assert (await web.raw(b"x" * (web_billing.STRIPE_LIMIT + 1))).status_code == 413
    assert (await web.send(event(), **{"content-encoding": "gzip"})).status_code == 415
    large = event(lines=["x" * 900_000])
    assert (await web.send(large)).status_code == 202
    assert (await web.http.get("/hooks/stripe/main")).status_code == 405


async def test_every_request_leaves_a_line_in_the_log_of_deliveries(web: Web) -> None:
    await web.send(event())
    await web.send(event("customer.created"))
    await web.send(event(customer="cus_nobody"))
    await web.raw(b"[[[")
    await web.send(event(), secret="whsec_of_somebody_else_entirely")
    await web.send(event(), to="whsec_nobody")
    await web.erp({"customer": "acme", "event": "payment_lapsed"})
    await web.erp({"customer": "acme", "event": "payment_lapsed"}, secret=LEDGER)
    web.door.away = True
    await web.send(event())
    told = [(one.source, one.outcome, one.kind) for one in web.notes.records]
    assert told == [
        ("stripe/main", "accepted", "invoice.payment_failed"), ("stripe/main", "ignored", "customer.created"),
        ("stripe/main", "kept", "invoice.payment_failed"), ("stripe/main", "kept", ""), ("stripe/main", "refused", ""),
        ("stripe/unknown", "refused", ""), ("billing/erp", "accepted", "payment_lapsed"), ("billing/erp", "refused", ""),
        ("stripe/main", "spooled", "invoice.payment_failed"),
    ]  # fmt: skip


async def test_while_temporal_is_away_what_billing_tells_waits_in_the_records(web: Web) -> None:
    web.door.away = True
    answer = await web.send(event())
    told = {"accepted": True, "spooled": True, "workflows": [], "event": event()["id"]}
    assert (answer.status_code, answer.json()) == (202, told)
    assert (await web.send(event("customer.created"))).status_code == 200
    assert (await web.send(event(customer="cus_nobody"))).status_code == 200
    paid = await web.erp({"customer": "acme", "event": "payment_lapsed"})
    assert (paid.status_code, paid.json()) == (202, {"accepted": True, "spooled": True, "key": "billing:erp:msg_1"})
    assert not await web.spooler.drain()
    web.door.away = False
    assert await web.spooler.drain()
    assert [customer for customer, _ in web.door.looks] == ["acme"]
    assert [(customer, word.key) for customer, word in web.door.payments] == [("acme", "billing:erp:msg_1")]


@contextmanager
def down(web: Web) -> Iterator[None]:
    """The database does not answer."""

    class Down:
        def __getattr__(self, name: str) -> Any:
            async def asked(*_: object) -> None:
                raise OperationalError("select", {}, Exception("secret words"))

            return asked

    settings = IntakeSettings(
        Secrets(stripe={"main": (MAIN.encode(),)}, billing={"erp": (key_of(ERP),)}), now=lambda: NOW
    )
    app = create_app(web.door, settings, billing=BillingRecords(Down(), Down()))  # type: ignore[arg-type]
    before, web.http = (
        web.http,
        httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://intake"),
    )
    try:
        yield
    finally:
        web.http = before


async def test_while_the_records_are_away_nothing_is_acknowledged_that_would_be_lost(web: Web) -> None:
    with down(web):
        for told in (event(), event(customer="cus_nobody"), {}):
            answer = await web.send(told)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
            assert "secret" not in answer.text
        assert (await web.erp({"customer": "acme", "event": "payment_lapsed"})).status_code == 503
        assert (await web.send(event("customer.created"))).status_code == 200


LAPSED = {
    "customer": "acme",
    "event": "payment_lapsed",
    "at": "2031-07-07T09:00:00Z",
    "reference": "INV-77",
    "line": "web",
}


async def test_a_billing_source_tells_a_lapse_under_its_own_name(web: Web) -> None:
    answer = await web.erp(LAPSED)
    assert answer.json() == {"accepted": True, "workflow": "account/acme", "key": "billing:erp:msg_1"}
    ((customer, word),) = web.door.payments
    assert (customer, word.key, word.occurred_at.hour, word.received_at) == ("acme", "billing:erp:msg_1", 9, NOW)
    told = word.event.model_dump()
    assert told == {"event": "payment_lapsed", "by": "erp", "line": "web", "reference": "erp:INV-77"}


async def test_no_source_settles_anothers_debts_and_least_of_all_stripes(web: Web) -> None:
    await web.erp({"customer": "acme", "event": "payment_current", "reference": "stripe:main:in_1"})
    ((_, word),) = web.door.payments
    assert getattr(word.event, "reference") == "erp:stripe:main:in_1"  # noqa: B009


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"event": "exception_granted"}, "event", "for operators alone; a hook takes: payment_lapsed, payment_current"),
        ({"event": "suspension_approved"}, "event", "for operators alone"),
        ({"event": "opened"}, "event", "needs `ticket`"),
        ({"event": "exploded"}, "event", "write one of: payment_lapsed, payment_current, contract_terminated"),
        ({"event": ["payment_lapsed"]}, "event", "write one of"),
        ({"customer": None}, "customer", "1 to 120 characters"),
        ({"customer": 7}, "customer", "1 to 120 characters"),
        ({"customer": " "}, "customer", "1 to 120 characters"),
        ({"customer": "x" * 121}, "customer", "1 to 120 characters"),
        ({"at": "yesterday"}, "at", "with its offset or Z"),
        ({"at": "2031-07-07T09:00:00"}, "at", "with its offset or Z"),
        ({"at": "2001-01-01T00:00:00Z"}, "at", "400 days back"),
        ({"at": "2031-07-09T00:00:00Z"}, "at", "24 hours ahead"),
        ({"reference": 7}, "reference", "string"),
        ({"reference": "x" * 400}, "reference", "320"),
        ({"line": ["web"]}, "line", "string"),
        ({"amount": 5}, "amount", "allowed: by, line, reference"),
    ],
)
async def test_a_field_that_cannot_be_taken_is_named_with_what_is_allowed(
    web: Web, fields: dict[str, Any], path: str, says: str
) -> None:
    answer = await web.erp(LAPSED | fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["path"] == path
    assert says in answer.json()["error"]
    assert await web.untouched()


async def test_a_billing_body_that_is_no_json_object_is_refused(web: Web) -> None:
    for raw in ("", "[]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', '{"customer": "\\ud800"}', "[" * 60_000):
        assert (await web.erp(raw)).status_code == 400
    assert (await web.erp("x" * 65_537)).status_code == 413
    assert await web.untouched()


async def test_an_unknown_customer_or_line_of_a_billing_source_is_a_dead_letter(web: Web) -> None:
    for id, fields in (("m1", {"customer": "nobody"}), ("m2", {"line": "cellar"})):
        answer = await web.erp(LAPSED | fields, id=id)
        assert (answer.status_code, answer.json()["dead_letter"]) == (200, f"billing/erp/{id}")
    one, two = sorted(await web.kept(), key=lambda letter: letter.id)
    assert (one.why, one.subject) == ("there is no customer nobody", "nobody")
    assert two.why == "acme has no contract line cellar; there are: web, db"
    assert web_billing.replayed(one).key == "billing:erp:m1"
    assert web_billing.replayed(one).received_at == NOW


async def test_another_sources_secret_is_401(web: Web) -> None:
    assert (await web.erp(LAPSED, secret=LEDGER)).status_code == 401
    assert (await web.erp(LAPSED, to="nobody")).status_code == 401
    assert await web.untouched()


async def test_a_letter_that_was_seen_to_is_shown_no_more(web: Web) -> None:
    await web.send(event(customer="cus_nobody"))
    assert await web.letters.waiting() == 1
    assert await web.letters.handle("stripe/main/evt_1", NOW, "linked and looked")
    assert not await web.letters.handle("stripe/main/evt_1", NOW, "again")
    assert await web.kept() == []
    (letter,) = await web.letters.list(handled=True)
    assert (letter.handled_at, letter.handled_how) == (NOW, "linked and looked")


def test_the_file_of_secrets_holds_billing_accounts_too(tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text(f"stripe: {{main: {{secrets: [{MAIN}, {OLD}], key: rk_test_123}}}}\nbilling: {{erp: [{ERP}]}}\n")
    made = read(file)
    assert made.stripe == {"main": (MAIN.encode(), OLD.encode())}
    assert list(made.billing) == ["erp"]
    assert "whsec" not in repr(made)
    assert "rk_" not in repr(made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stripe: {main: {secrets: [short]}}", r"stripe\.main\.secrets\.0"),
        ("stripe: {main: {secret: short}}", r"stripe\.main\.secret"),
        ("stripe: {'a b': {}}", r"stripe\.a b"),
        ("billing: {erp: ['!!']}", "no base64"),
        ("billing: {stripe: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}", "Stripe's own name"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence_without_secrets(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text)
    with pytest.raises(HookSettingError, match=says) as told:
        read(file)
    assert "short" not in str(told.value)
    assert "MfKQ" not in str(told.value)
