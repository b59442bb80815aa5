"""Who may send: the secrets of each hook, from a file that is read again when it changes, and made at the first start.

generic:
  acme: [whsec_…, whsec_…]            # several active ones, so that a secret can be changed without a gap
stripe:
  main:                               # this account's name, in the hook's address and in customers' links
    secrets: [whsec_…, whsec_…]       # of the endpoint at Stripe, whole; the worker reads `key` and `url`
    key: rk_…
billing:
  erp: [whsec_…]                      # a billing system that signs by Standard Webhooks
sources:                              # the connected helpdesks, by the names of their files in policies/sources/
  support:
    secrets: [SECRET, SECRET]
    user: bot@acme.example            # as whom its API is used, where it is read or written to
    token: …
api: [TOKEN, TOKEN]                   # for the programs that edit customers; several active ones
"""

import base64
import logging
import os
import secrets as chance
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from records import yaml_lines
from sla.customer import Name
from starter.hook_signature import key_of

SECRETS_VARIABLE = "PACTKEEPER_HOOK_SECRETS_FILE"
BY_NAME = "stripe"
"""The references of a source begin with its name, and these are Stripe's."""
EVERY: Final = 1.0
"""Seconds in which it is looked at most once whether the file has changed."""
Secret = Annotated[str, StringConstraints(min_length=24, max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]

Signing = Annotated[str, StringConstraints(min_length=20, max_length=200, pattern=r"^[!-~]+$")]


_log = logging.getLogger(__name__)


class HookSettingError(ValueError):
    """The file of secrets can't be used; one sentence, without a secret in it."""


class SourceSecrets(BaseModel):
    """What one connected source and we know alone: what its deliveries are signed with, and how we use its API."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secrets: Annotated[tuple[Signing, ...], Field(repr=False)] = ()
    """The active ones, so that one can be changed without a gap."""
    user: str = ""
    token: Annotated[str, Field(repr=False)] = ""


class StripeHook(BaseModel):
    """One account with Stripe: the secrets of its endpoint. What its key and address must be is `activities.billing_settings`' business."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secrets: tuple[Signing, ...] = ()
    key: str | None = None
    url: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    generic: dict[str, tuple[str, ...]] = {}
    stripe: dict[Name, StripeHook] = {}
    billing: dict[Name, tuple[str, ...]] = {}
    sources: dict[Name, SourceSecrets] = {}
    api: tuple[Secret, ...] = ()


@dataclass(frozen=True)
class Secrets:
    """What we and each sender know alone: by it the hooks are open."""

    generic: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)
    """A customer's active keys."""
    sources: Mapping[str, SourceSecrets] = field(default_factory=dict, repr=False)
    """What we and each connected source know alone, by its name."""
    stripe: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)
    """The active secrets of each account with Stripe."""
    billing: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)
    """The active keys of each generic billing source."""
    api: tuple[str, ...] = field(default=(), repr=False)
    """The active tokens of the API."""
    accounts: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """How each account with Stripe is read: its `key`, and its `url`, where they are told."""


class IntakeSettings:
    """The secrets in force just now, and the clock that the hooks go by.

    A `file` is read again when it has changed; whether it has is looked up at most once a second, by whoever asks. While
    it is broken or gone, what was read before stays in force.
    """

    def __init__(
        self,
        secrets: Secrets | None = None,
        *,
        file: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`secrets` left out: those in the file, if one is given.

        Raises:
            HookSettingError: the file can't be used; one sentence.
        """
        self.file, self.now, self._clock = file, now, clock
        self.fault: str | None = None
        """What is wrong with the file just now; one sentence, without a secret in it."""
        self._looked_at, self._stamp = clock(), None if file is None else _stamp(file)
        self._secrets = secrets or (Secrets() if file is None else read(file))

    @property
    def generic(self) -> Mapping[str, tuple[bytes, ...]]:
        """A customer's active keys."""
        return self.fresh().generic

    @property
    def sources(self) -> Mapping[str, SourceSecrets]:
        """What we and each connected source know alone, by its name."""
        return self.fresh().sources

    @property
    def stripe(self) -> Mapping[str, tuple[bytes, ...]]:
        """The active secrets of each account with Stripe."""
        return self.fresh().stripe

    @property
    def billing(self) -> Mapping[str, tuple[bytes, ...]]:
        """The active keys of each generic billing source."""
        return self.fresh().billing

    @property
    def api(self) -> tuple[str, ...]:
        """The active tokens of the API."""
        return self.fresh().api

    @property
    def accounts(self) -> Mapping[str, Mapping[str, str]]:
        """How each account with Stripe is read."""
        return self.fresh().accounts

    def fresh(self) -> Secrets:
        """All that is in force."""
        if self.file is not None and self._clock() - self._looked_at >= EVERY:
            self._looked_at = self._clock()
            stamp = _stamp(self.file)
            # What was broken is tried again, changed or not: its rights alone may have been put right.
            if stamp != self._stamp or self.fault is not None:
                self._stamp = stamp
                self._read(self.file, empty=stamp is not None and stamp.size == 0)
        return self._secrets

    def _read(self, file: Path, *, empty: bool) -> None:
        try:
            if empty:  # Somebody may be about to write it.
                raise HookSettingError(f"{file} is empty; write {{}} into it to shut all hooks")
            self._secrets = read(file)
        except HookSettingError as error:
            if str(error) != self.fault:
                _log.error("%s; until it is put right, what was read before stays in force", error)
            self.fault = str(error)
        else:
            self.fault = None
            _log.info("the secrets of the hooks are read anew, from %s", file)


class _Stamp(NamedTuple):
    """What changes when a file does."""

    changed_ns: int
    size: int
    file: int
    """Which file it is: one that is put in the place of another has another number."""


def _stamp(file: Path) -> _Stamp | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return _Stamp(stat.st_mtime_ns, stat.st_size, stat.st_ino)


def read(file: Path) -> Secrets:
    """The secrets in a file, as it is just now.

    Raises:
        HookSettingError: one sentence.
    """
    try:
        told = yaml_lines.read(file.read_text(encoding="utf-8")).value or {}
    except OSError as error:
        raise HookSettingError(
            f"{file} can't be read ({error.strerror}); {SECRETS_VARIABLE} names the file of hook secrets"
        ) from None
    except ValueError as error:
        where = f" (line {error.line})" if isinstance(error, yaml_lines.YamlError) else ""
        raise HookSettingError(
            f"{file} is no YAML that we take{where}; it holds `generic:`, `stripe:`, `billing:`, `sources:` and `api:`"
        ) from None
    try:
        made = _File.model_validate(told)
        keys = {customer: tuple(map(key_of, active)) for customer, active in made.generic.items()}
        billing = {source: tuple(map(key_of, active)) for source, active in made.billing.items()}
        if both := sorted(set(keys) & set(made.sources)):
            said = "is a customer's hook and a source at once, whose tickets would be one; give the source another name"
            raise ValueError(f"{both[0]} {said}")
        if BY_NAME in billing:
            raise ValueError(f"billing.{BY_NAME} is Stripe's own name; write stripe: for it, or choose another name")
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HookSettingError(f"{file}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise HookSettingError(f"{file}: {error}") from None
    stripe = {name: tuple(secret.encode() for secret in hook.secrets) for name, hook in made.stripe.items()}
    accounts = {name: hook.model_dump(include={"key", "url"}, exclude_none=True) for name, hook in made.stripe.items()}
    return Secrets(keys, made.sources, stripe, billing, made.api, accounts)


def ensure(state: Path, customers: list[str], sources: list[str]) -> IntakeSettings:
    """The settings of this installation.

    The first start makes secrets for the customers and the sources that there are, for its owner's eyes alone.

    Raises:
        HookSettingError: one sentence.
    """
    named = os.environ.get(SECRETS_VARIABLE, "").strip()
    file = Path(named) if named else state / "hook-secrets.yaml"
    if not named and not file.exists():
        made = {
            "generic": {customer: [new_secret()] for customer in customers or ["acme"]},
            "sources": {source: {"secrets": [chance.token_urlsafe(32)]} for source in sources},
            "api": [chance.token_urlsafe(32)],
        }
        state.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(
                "# The secrets of the web intake. Several in one list are all active, so one can be changed without a gap.\n"
                "# Stripe and other billing systems have their places here, too: see docs/billing.md.\n"
            )
            yaml.safe_dump(made, out, sort_keys=False)
    return IntakeSettings(file=file)


def new_secret() -> str:
    """A fresh secret of a generic hook."""
    return "whsec_" + base64.b64encode(chance.token_bytes(32)).decode()
