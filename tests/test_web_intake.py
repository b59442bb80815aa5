"""The web intake: each kind of bad input has its answer, and nothing of it reaches Temporal; good input is taken once."""

import base64
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from sla.account_events import AccountDelivery
from sla.events import Delivery
from starter import hook_bodies
from starter.hook_settings import HookSettingError, IntakeSettings, Secrets, ensure, new_secret, read
from starter.hook_signature import key_of
from starter.port import Unavailable
from starter.web import create_app

NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
SECRET, OLD, FOREIGN = new_secret(), new_secret(), new_secret()
OPENED = {"ticket": "4711", "event": "opened", "at": "2031-07-07T16:59:00Z", "priority": "P1", "by": "ann@acme.example"}


@dataclass
class Taken:
    """A door that keeps what comes through, or says that Temporal is away."""

    away: bool = False
    words: list[tuple[str, str, str, Delivery]] = field(default_factory=list)
    payments: list[tuple[str, AccountDelivery]] = field(default_factory=list)

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        await self.ready()
        self.words += [(source, ticket, customer, word) for word in words]
        return f"incident/{source}/{ticket}"

    async def account(self, customer: str, word: AccountDelivery) -> str:
        await self.ready()
        self.payments.append((customer, word))
        return f"account/{customer}"

    async def ready(self) -> None:
        if self.away:
            raise Unavailable("away")


class Web:
    """The app, and a browser that signs."""

    def __init__(self) -> None:
        self.taken = Taken()
        settings = IntakeSettings(
            Secrets(generic={"acme": (key_of(SECRET), key_of(OLD)), "other": (key_of(FOREIGN),)}),
            now=lambda: NOW,
        )
        transport = httpx.ASGITransport(create_app(self.taken, settings), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://intake")

    async def post(
        self, raw: bytes, *, secret: str = SECRET, at: datetime = NOW, to: str = "acme", **headers: str
    ) -> httpx.Response:
        """The raw bytes, signed by the reference library."""
        signed = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign("msg_1", at, raw.decode("utf-8", "surrogateescape"))
            if _text(raw)
            else "v1,x",
        }
        if not _text(raw):
            import hashlib
            import hmac

            signed["webhook-signature"] = (
                "v1,"
                + base64.b64encode(
                    hmac.new(
                        key_of(secret), f"msg_1.{signed['webhook-timestamp']}.".encode() + raw, hashlib.sha256
                    ).digest()
                ).decode()
            )
        chosen = [(n.encode(), v.encode()) for n, v in (signed | _dashed(headers)).items() if v != "-"]
        return await self.http.post(f"/hooks/generic/{to}", content=raw, headers=chosen)

    async def send(self, **fields: Any) -> httpx.Response:
        return await self.post(json.dumps(OPENED | fields).encode())

    @property
    def untouched(self) -> bool:
        return not self.taken.words and not self.taken.payments


def _text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def web() -> Web:
    return Web()


async def test_a_signed_event_is_taken_with_its_own_time_and_the_delivery_id_as_its_key(web: Web) -> None:
    answer = await web.send()
    assert answer.status_code == 202
    assert answer.json() == {"accepted": True, "workflow": "incident/acme/4711", "key": "generic:msg_1"}
    ((source, ticket, customer, word),) = web.taken.words
    assert (source, ticket, customer, word.key) == ("acme", "4711", "acme", "generic:msg_1")
    assert word.occurred_at == NOW - timedelta(minutes=1)
    assert word.received_at == NOW


async def test_a_payment_event_goes_to_the_account(web: Web) -> None:
    answer = await web.post(b'{"event": "payment_lapsed", "at": "2031-07-01T00:00:00Z"}')
    assert answer.status_code == 202
    ((customer, word),) = web.taken.payments
    assert (customer, word.event.event, word.occurred_at.day) == ("acme", "payment_lapsed", 1)


@pytest.mark.parametrize(
    "event", ["suspension_approved", "suspension_declined", "exception_granted", "exception_ended"]
)
async def test_what_is_an_operators_alone_no_hook_takes(web: Web, event: str) -> None:
    answer = await web.post(
        json.dumps({"event": event, "by": "ann", "why": "x", "until": "2031-08-01T00:00:00Z"}).encode()
    )
    assert answer.status_code == 422
    allowed = "payment_lapsed, payment_current, contract_terminated"
    assert answer.json()["error"] == f"event is '{event}', which is for operators alone; a hook takes: {allowed}"
    assert web.untouched


async def test_every_active_secret_signs_and_one_fitting_signature_of_several_is_enough(web: Web) -> None:
    assert (await web.post(json.dumps(OPENED).encode(), secret=OLD)).status_code == 202
    right = Webhook(SECRET).sign("msg_1", NOW, json.dumps(OPENED))
    answer = await web.post(json.dumps(OPENED).encode(), webhook_signature=f"v1a,abc v1,AAAA {right}")
    assert answer.status_code == 202


UNSIGNED: list[dict[str, Any]] = [
    {"webhook_signature": "-"},
    {"webhook_signature": ""},
    {"webhook_signature": "v1,"},
    {"webhook_signature": "v1"},
    {"webhook_signature": "nonsense without comma"},
    {"webhook_signature": "v1,\u00e9\u00e9"},
    {"webhook_signature": " ".join(["v1,AAAA"] * 100)},
    {"webhook_id": "-"},
    {"webhook_id": "another"},
    {"webhook_id": "x" * 300},
    {"webhook_timestamp": "-"},
    {"webhook_timestamp": "NaN"},
    {"webhook_timestamp": "-5"},
    {"webhook_timestamp": "9" * 400},
    {"webhook_timestamp": str(int(NOW.timestamp()) * 1000)},
    {"secret": FOREIGN},
    {"to": "other"},
    {"to": "nobody"},
    {"at": NOW - timedelta(seconds=301)},
    {"at": NOW + timedelta(seconds=301)},
]


# No secret is in a test's name: each process makes its own, and the names must be the same in all.
@pytest.mark.parametrize(
    "how", UNSIGNED, ids=lambda how: " ".join(f"{k}={str(v)[:40]}" for k, v in how.items() if k != "secret")
)
async def test_whatever_is_wrong_with_a_signature_is_one_and_the_same_401(web: Web, how: dict[str, Any]) -> None:
    answer = await web.post(json.dumps(OPENED).encode(), **how)
    assert answer.status_code == 401
    assert answer.json() == {"error": "the delivery is not signed with a secret of this hook; see docs/intake.md"}
    assert web.untouched


async def test_a_truncated_upper_case_or_re_serialised_body_is_not_what_was_signed(web: Web) -> None:
    right = Webhook(SECRET).sign("msg_1", NOW, json.dumps(OPENED))
    raw = json.dumps(OPENED).encode()
    for signature, body in (
        (right[:-4], raw),
        (right.upper(), raw),
        (right, raw.replace(b": ", b":")),
        (right, b"\xef\xbb\xbf" + raw),
    ):
        assert (await web.post(body, webhook_signature=signature)).status_code == 401
    assert web.untouched


BODIES: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"[]", 400),
    (b"7", 400),
    (b"{", 400),
    (b'{"event": "opened", "event": "closed"}', 400),
    (b'{"ticket": NaN}', 400),
    (b'{"ticket": Infinity}', 400),
    (b'{"ticket": 1e999}', 400),
    (b'{"ticket": ' + b"9" * 5000 + b"}", 400),
    (b'{"ticket": "\\ud800"}', 400),
    (b"\xff\xfe", 400),
    (b"[" * 100_000, 400),
    (b'{"a":' * 20_000, 400),
    (b"x" * (256 * 1024 + 1), 413),
]


@pytest.mark.parametrize(("raw", "status"), BODIES, ids=[str(raw[:30]) for raw, _ in BODIES])
async def test_a_signed_body_that_is_no_json_object_is_refused_in_a_sentence(web: Web, raw: bytes, status: int) -> None:
    answer = await web.post(raw)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert web.untouched


FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"event": "exploded"}, "event", "write one of: opened, customer_replied"),
    ({"event": None}, "event", "write one of"),
    ({"event": ["opened"]}, "event", "write one of"),
    ({"event": "payment_lapsed"}, "event", "write one of"),
    ({"ticket": ""}, "ticket", "1 to 200 characters"),
    ({"ticket": True}, "ticket", "1 to 200 characters"),
    ({"ticket": {}}, "ticket", "1 to 200 characters"),
    ({"ticket": "x" * 201}, "ticket", "1 to 200 characters"),
    ({"at": "2031-02-30T00:00:00Z"}, "at", "with its offset or Z"),
    ({"at": "2031-07-07T16:00:00"}, "at", "with its offset or Z"),
    ({"at": "2031-07-07T16:00:00+99:99"}, "at", "with its offset or Z"),
    ({"at": 7}, "at", "with its offset or Z"),
    ({"at": "0001-01-01T00:00:00Z"}, "at", "400 days back"),
    ({"at": "9999-12-31T23:59:59Z"}, "at", "24 hours ahead"),
    ({"at": "9999-12-31T23:59:59-12:00"}, "at", "24 hours ahead"),
    ({"priority": 5}, "priority", "string"),
    ({"priority": None, "channel": "pigeon"}, "channel", "email"),
    ({"fields": {"a": 1}}, "fields.a", "string"),
    ({"colour": "red"}, "colour", "allowed: body, by, category"),
    ({"event": "acknowledged"}, "priority", "no field of acknowledged"),
    ({"customer": "other"}, "customer", "the hook is acme's"),
]


@pytest.mark.parametrize(("fields", "path", "says"), FIELDS, ids=[str(fields)[:40] for fields, *_ in FIELDS])
async def test_a_field_that_cannot_be_taken_is_named_with_what_is_allowed(
    web: Web, fields: dict[str, Any], path: str, says: str
) -> None:
    answer = await web.send(**fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["path"] == path
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert web.untouched


async def test_an_unknown_priority_is_taken_for_an_urgent_incident_must_not_vanish(web: Web) -> None:
    assert (await web.send(priority="Urgent!")).status_code == 202


async def test_a_long_text_is_cut_and_control_characters_do_no_harm(web: Web) -> None:
    answer = await web.send(body="x" * 100_000, subject="a\r\nBcc: b@example.com", ticket="47\x0011\u202e")
    assert answer.status_code == 202
    ((_, _, _, word),) = web.taken.words
    assert len(getattr(word.event, "body")) == 20_000  # noqa: B009


async def test_a_compressed_body_is_refused(web: Web) -> None:
    assert (await web.post(json.dumps(OPENED).encode(), content_encoding="gzip")).status_code == 415


async def test_a_body_without_end_is_cut_off_at_the_limit(web: Web) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 65536

    answer = await web.http.post("/hooks/generic/acme", content=endless())
    assert answer.status_code == 413
    assert sent < 10


async def test_a_body_that_trickles_in_is_given_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(hook_bodies, "SLOW", 0.01)

    async def trickle() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    assert (await web.http.post("/hooks/generic/acme", content=trickle())).status_code == 408


async def test_while_temporal_is_away_the_sender_is_asked_to_come_again(web: Web) -> None:
    web.taken.away = True
    for answer in (await web.send(), await web.http.get("/readyz"), await web.post(b'{"event": "payment_lapsed"}')):
        assert answer.status_code == 503
    assert (await web.send()).headers["retry-after"] == "30"
    assert (await web.http.get("/healthz")).text == "ok\n"


async def test_pages_that_are_not_there_and_other_methods_have_their_answers(web: Web) -> None:
    assert (await web.http.get("/hooks/generic/acme")).status_code == 405
    assert (await web.http.post("/hooks/nothing")).status_code == 404
    assert (await web.http.get("/readyz")).json() == {"ready": True}


def test_the_first_start_makes_secrets_that_only_its_owner_reads(tmp_path: Path) -> None:
    made = ensure(tmp_path / "var", ["acme"], ["desk"])
    assert list(made.generic) == ["acme"]
    assert len(made.sources["desk"].secrets[0]) >= 24
    assert made.sources["desk"].secrets[0] not in repr(made)
    assert len(made.generic["acme"][0]) >= 24
    file = tmp_path / "var" / "hook-secrets.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ensure(tmp_path / "var", ["acme"], []).generic == made.generic
    assert "whsec" not in repr(made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("generic: {acme: [whsec_c2hvcnQ=]}", "the least is 24"),
        ("generic: {acme: ['!!']}", "no base64"),
        ("sources: {desk: {secrets: [short]}}", "sources.desk.secrets.0"),
        ("surprise: 1", "surprise"),
        ("- a", "file"),
        ("{", "no YAML"),
    ],
)
def test_a_file_of_secrets_that_cannot_be_used_is_refused_in_a_sentence_without_them(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text)
    with pytest.raises(HookSettingError, match=says) as told:
        read(file)
    assert "c2hvcnQ" not in str(told.value)
    assert "short" not in str(told.value)
