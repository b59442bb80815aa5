"""A Stripe on a free port of this machine (localstripe): subscriptions, cards that fail, and its own signed webhooks.

What it does as Stripe does: it keeps state, so that what is read back agrees with what was done; it sends its webhooks a
second late, in no sure order. What it does not: there is no `customer.subscription.updated`, and nothing is sent twice.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

SERVE = Path(__file__).parent / "stripe_site" / "serve_localstripe.py"
KEY = "sk_test_of_these_tests"
GOOD, DECLINED, DECLINED_WITH_WEBHOOK = "4242424242424242", "4000000000000341", "4000008260003178"
REFUSED_ACCOUNT = "DE62370400440532013001"
"""A SEPA account whose debit fails half a second later."""


class StripePeer:
    """The process; `base` is its address. Its methods block, so call them in a thread."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.log = home / "localstripe.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.base, headers={"authorization": f"Bearer {KEY}"}, trust_env=False)

    def start(self) -> Self:
        """Serve, with two plans to subscribe to; returns when it answers."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVE), str(self.port)], stdout=log, stderr=log, env=dict(os.environ)
            )
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                self.http.get("/v1/customers")
                break
            time.sleep(0.05)  # between two looks at another process
        product = self.post("/v1/products", name="Support", type="service")["id"]
        for interval, amount in (("month", 9900), ("year", 99900)):
            self.post("/v1/plans", id=interval, amount=amount, currency="eur", interval=interval, product=product)
        return self

    def stop(self) -> None:
        """End it."""
        self.http.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def post(self, path: str, *, fails: int | None = None, **told: Any) -> dict[str, Any]:
        """Do something; `fails` is the status of a refusal that is meant."""
        answer = self.http.post(path, json=told)
        assert answer.status_code == (fails or 200), f"{path}: {answer.status_code} {answer.text}"
        made: dict[str, Any] = answer.json() if answer.content else {}
        return made

    def get(self, path: str, **asked: Any) -> dict[str, Any]:
        """What is there."""
        answer = self.http.get(path, params=asked)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def sends_to(self, url: str, secret: str) -> None:
        """Have it send its webhooks there."""
        self.post("/_config/webhooks/one", url=url, secret=secret)

    def customer(self) -> str:
        """A new customer with a card that works."""
        id = str(self.post("/v1/customers", email="ap@acme.example")["id"])
        self.card(id, GOOD)
        return id

    def card(self, customer: str, number: str) -> None:
        """Give the customer another card to pay with."""
        card = {"number": number, "exp_month": 12, "exp_year": 2039, "cvc": "123"}
        self._pays_by(customer, self.post("/v1/payment_methods", type="card", card=card)["id"])

    def debit(self, customer: str, iban: str) -> None:
        """Have the customer pay by SEPA debit."""
        who = {"name": "Acme", "email": "ap@acme.example"}
        self._pays_by(
            customer,
            self.post("/v1/payment_methods", type="sepa_debit", sepa_debit={"iban": iban}, billing_details=who)["id"],
        )

    def _pays_by(self, customer: str, method: str) -> None:
        self.post(f"/v1/payment_methods/{method}/attach", customer=customer)
        self.post(f"/v1/customers/{customer}", invoice_settings={"default_payment_method": method})

    def subscribes(self, customer: str) -> str:
        """A new subscription of the customer's."""
        return str(self.post("/v1/subscriptions", customer=customer, items=[{"plan": "month"}])["id"])

    def subscription(self, id: str) -> dict[str, Any]:
        """The subscription as it stands."""
        return self.get(f"/v1/subscriptions/{id}")

    def lapses(self, customer: str, subscription: str, *, webhook: bool = True) -> str:
        """The next payment fails, with a webhook or without a word; the invoice that is open then."""
        self.card(customer, DECLINED_WITH_WEBHOOK if webhook else DECLINED)
        item = self.subscription(subscription)["items"]["data"][0]["id"]
        self.post(f"/v1/subscriptions/{subscription}", items=[{"id": item, "plan": "year"}])
        invoice = str(self.subscription(subscription)["latest_invoice"])
        if webhook:
            intent = self.get(f"/v1/invoices/{invoice}")["payment_intent"]
            secret = self.get(f"/v1/payment_intents/{intent}")["client_secret"]
            self.post(f"/v1/payment_intents/{intent}/_authenticate", fails=402, client_secret=secret, success=True)
        assert self.subscription(subscription)["status"] == "past_due"
        return invoice

    def pays(self, customer: str, invoice: str) -> None:
        """Pay an open invoice by a card that works."""
        self.card(customer, GOOD)
        self.post(f"/v1/invoices/{invoice}/pay")

    def ends(self, subscription: str) -> None:
        """Cancel a subscription."""
        answer = self.http.delete(f"/v1/subscriptions/{subscription}")
        assert answer.status_code == 200, answer.text

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What happened of these kinds, the oldest first."""
        found = self.get("/v1/events", limit=1000)["data"]
        return [one for one in found if one["type"] in kinds]
