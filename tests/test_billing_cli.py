"""An operator's day with Stripe, on a running `pactkeeper up`: a delivery that nobody is linked to, its link, its replay."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook
from stripe import WebhookSignature

from starter.hook_settings import new_secret
from tests.installation import OPEN, Say, Up, command, soon
from tests.peers.stripe import KEY, StripePeer

__all__ = ["command"]
SECRET, ERP = "whsec_of_an_operators_day_12345678", new_secret()


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripePeer]:
    with StripePeer(tmp_path_factory.mktemp("stripe")) as peer:
        yield peer


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, stripe: StripePeer) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up") / "var"
    folder.mkdir()
    main = f"{{secrets: [{SECRET}], key: {KEY}, url: '{stripe.base}'}}"
    (folder / "hook-secrets.yaml").write_text(f"stripe: {{main: {main}}}\nbilling: {{erp: [{ERP}]}}\n")
    running = Up(folder)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def say(command: Say, up: Up) -> Say:
    return partial(command, up.folder)


def hooks(up: Up) -> str:
    found = re.search(r"Web intake +(http://127\.0\.0\.1:\d+)/hooks/generic/", (up.folder / "said").read_text())
    assert found
    return f"{found[1]}/hooks"


def test_a_delivery_that_nobody_is_linked_to_is_shown_and_counts_once_its_customer_is_linked(
    up: Up, say: Say, stripe: StripePeer
) -> None:
    theirs = stripe.customer()
    subscription = stripe.subscribes(theirs)
    say("open", "4711", *OPEN, "--priority", "S1", "--contract", "reciprocity")
    stripe.lapses(theirs, subscription)
    (event,) = [e for e in stripe.events("invoice.payment_failed") if e["data"]["object"]["customer"] == theirs]
    raw = json.dumps(event)
    headers = {"stripe-signature": WebhookSignature.generate_signature_header(raw, SECRET)}
    assert httpx.post(f"{hooks(up)}/stripe/main", content=raw, headers=headers, trust_env=False).status_code == 200

    id = f"stripe/main/{event['id']}"
    assert f"no customer is linked to {theirs}" in say("letters")
    (letter,) = json.loads(say("letters", "--json"))
    assert (letter["id"], letter["subject"]) == (id, theirs)
    said = say("letters", "replay", id, fails=1)
    assert f"`pactkeeper customer link CUSTOMER --customer {theirs}` does it" in said

    say("customer", "link", "acme", "--customer", theirs)
    assert "replayed: acme looks again" in say("letters", "replay", id)
    soon(lambda: _standing(say) == "suspended")
    assert "No dead letter waits." in say("letters")
    assert "replayed: acme looks again" in say("letters", "--all")
    assert "was seen to on" in say("letters", "replay", id, fails=1)
    assert "1 customer read: 1 agrees with its account, 0 accounts look again; 0 could not be read" in say("reconcile")


def test_a_billing_source_that_is_ahead_of_our_records_is_made_good(up: Up, say: Say) -> None:
    raw = json.dumps({"customer": "bolt", "event": "payment_lapsed", "reference": "INV-1"})
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(ERP).sign("m1", now, raw),
    }
    assert httpx.post(f"{hooks(up)}/billing/erp", content=raw, headers=headers, trust_env=False).status_code == 200
    assert "there is no customer 'bolt' yet" in say("letters", "replay", "billing/erp/m1", fails=1)
    say("customer", "set", "bolt", "--new", "--name", "Bolt", "--contract", "reciprocity")
    assert "replayed: bolt was told payment_lapsed" in say("letters", "replay", "billing/erp/m1")


def test_what_cannot_be_used_is_dismissed_with_a_reason(up: Up, say: Say) -> None:
    headers = {"stripe-signature": WebhookSignature.generate_signature_header("{}", SECRET)}
    assert httpx.post(f"{hooks(up)}/stripe/main", content=b"{}", headers=headers, trust_env=False).status_code == 200
    (letter,) = json.loads(say("letters", "--json"))
    assert "names no customer" in say("letters", "replay", letter["id"], fails=1)
    assert "--why is missing" in say("letters", "drop", letter["id"], fails=2)
    assert "dropped: a test" in say("letters", "drop", letter["id"], "--why", "a test")
    assert "there is no dead letter 'x'" in say("letters", "drop", "x", "--why", "a test", fails=1)
    assert "ID is missing" in say("letters", "replay", fails=2)


def _standing(say: Say) -> Any:
    return json.loads(say("status", "--customer", "acme", "--json"))["customer"]["standing"]
