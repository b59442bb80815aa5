"""Whether a delivery comes from somebody who holds a secret: what every source's own scheme is made of.

All comparing is in constant time; the schemes themselves are in the adapters.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WINDOW = timedelta(minutes=5)
"""How far a signed timestamp may lie from our clock, either way."""
MOST_SIGNATURES = 8


class BadSignature(Exception):
    """The request is not from somebody who holds a secret; why is for our log, never for the sender."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One request as it came: header names in lower case, the raw bytes of its body, when it came."""

    headers: Mapping[str, str]
    raw: bytes
    received: datetime

    def header(self, name: str) -> str:
        """A header, empty where there is none."""
        return self.headers.get(name, "")


def compare(wanted: Iterable[bytes], given: Sequence[str]) -> None:
    """Whether one of the signatures given is one of those wanted; every pair is compared, so that the time tells nothing.

    Raises:
        BadSignature: none fits, or there are too many.
    """
    if len(given) > MOST_SIGNATURES:
        raise BadSignature("too many signatures")
    told = [one.encode("utf-8", "replace") for one in given]
    fits = [hmac.compare_digest(one, other) for one in wanted for other in told]
    if not any(fits):
        raise BadSignature("no signature fits")


def bearer(hook: Hook, secrets: Sequence[str]) -> None:
    """For sources that can't sign: a secret as `Authorization: Bearer …`, as the password of `Basic`, or as `X-Pactkeeper-Token`.

    Raises:
        BadSignature: none of them is one.
    """
    scheme, _, told = hook.header("authorization").partition(" ")
    given = [hook.header("x-pactkeeper-token")]
    if scheme.lower() == "bearer":
        given.append(told.strip())
    elif scheme.lower() == "basic":
        try:
            pair = base64.b64decode(told.strip(), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            pair = ""
        given += list(pair.partition(":")[::2])
    compare([secret.encode() for secret in secrets], [one for one in given if one] or [""])


def in_window(stamp: datetime | None, now: datetime) -> None:
    """Whether a signed timestamp is near enough.

    Raises:
        BadSignature: it is missing, or more than five minutes away, either way.
    """
    if stamp is None or abs((now - stamp).total_seconds()) > WINDOW.total_seconds():
        raise BadSignature("the timestamp is missing or outside the window")


def nudge_id(hook: Hook) -> str:
    """The id of a delivery whose body reads the same for each change of a ticket: its digest, and its second.

    By the body alone the second change within minutes would pass for a repetition of the first; a repetition that is taken
    for a change is looked at once more, and nothing comes of it.
    """
    return f"{hashlib.sha256(hook.raw).hexdigest()[:24]}-{hook.received.astimezone(UTC):%Y%m%dT%H%M%S}"
