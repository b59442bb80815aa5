"""How to read the billing accounts: each one's key and address, from the file of hook secrets or the environment."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from activities.settings import secret_of, web_address

KEY = "PACTKEEPER_STRIPE_KEY_"
URL = "PACTKEEPER_STRIPE_URL_"
USUAL_URL = "https://api.stripe.com"
_KEY = re.compile(r"[A-Za-z0-9_]{8,255}")
_ALLOWED = "write a restricted key of Stripe's, rk_…"


class NoAccount(LookupError):
    """A link names a billing account that nobody has set up here; one sentence."""


@dataclass(frozen=True, slots=True)
class StripeAccount:
    """Where one of our accounts with Stripe is read, and with which key."""

    name: str
    key: str = field(repr=False)
    url: str = USUAL_URL
    """Without a slash at its end."""


@dataclass(frozen=True)
class BillingSettings:
    """The billing accounts, by name; what the environment says wins over the file."""

    file: Callable[[], Mapping[str, Mapping[str, str]]] = field(default=dict, repr=False)
    """`key` and `url` of each account, as the file of hook secrets has them just now."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_seconds: float = 5.0
    total_seconds: float = 20.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str], file: Callable[[], Mapping[str, Mapping[str, str]]] = dict) -> Self:
        """The settings, each of them looked at once.

        Raises:
            ValueError: one sentence that names the setting, and never a secret.
        """
        made = cls(file, environ)
        for account, told in file().items():
            if told:
                made.stripe(account)
        return made

    def stripe(self, account: str) -> StripeAccount:
        """How to read one account.

        Raises:
            NoAccount: it has no key.
            ValueError: its key or its address can't be used.
        """
        told = self.file().get(account, {})
        of_key, of_url = variable(KEY, account), variable(URL, account)
        key = secret_of(self.environ, of_key) or told.get("key", "")
        url = self.environ.get(of_url, "").strip() or told.get("url", "") or USUAL_URL
        if not key:
            raise NoAccount(
                f"the Stripe account {account!r} has no key here; set stripe.{account}.key in the file of hook secrets, or {of_key}"
            )
        if not _KEY.fullmatch(key):
            raise ValueError(f"the key of the Stripe account {account!r} is none; {_ALLOWED}")
        return StripeAccount(
            account, key, web_address(url, f"the address of the Stripe account {account!r}").rstrip("/")
        )


def variable(start: str, account: str) -> str:
    """The variable of an account: `PACTKEEPER_STRIPE_KEY_EU_2` for the key of `eu-2`."""
    return start + re.sub(r"[^A-Z0-9]", "_", account.upper())
