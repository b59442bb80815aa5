"""How to read the billing accounts: each one's key and address, from the file of hook secrets or the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from activities.settings import STATE, secret_of, web_address

FILE = "PACTKEEPER_HOOK_SECRETS_FILE"
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

    file: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_seconds: float = 5.0
    total_seconds: float = 20.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str], state: Path | None = None) -> Self:
        """Read the settings; a file that is not there sets nothing.

        Raises:
            ValueError: one sentence that names the setting, and never a secret.
        """
        named = environ.get(FILE, "").strip()
        folder = state or Path(environ.get(STATE, "").strip() or "var")
        made = cls(_accounts(Path(named) if named else folder / "hook-secrets.yaml"), environ)
        for account in made.file:
            if made.file[account].get("key") or made.file[account].get("url"):
                made.stripe(account)
        return made

    def stripe(self, account: str) -> StripeAccount:
        """How to read one account.

        Raises:
            NoAccount: it has no key.
            ValueError: its key or its address can't be used.
        """
        told = self.file.get(account, {})
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


def _accounts(file: Path) -> dict[str, dict[str, str]]:
    try:
        told: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(f"{file} can't be read ({error.strerror}); {FILE} names the file of hook secrets") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ValueError(f"{file} is no YAML; see docs/billing.md") from None
    stripe = told.get("stripe") if isinstance(told, dict) else None
    if not isinstance(stripe, dict):
        return {}
    return {
        str(account): {name: text for name in ("key", "url") if isinstance(text := one.get(name), str)}
        for account, one in stripe.items()
        if isinstance(one, dict)
    }
