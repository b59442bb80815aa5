"""Stripe's own signatures: `t=…,v1=…[,v1=…]`, HMAC-SHA256 over `t.body` with the whole secret, five minutes either way."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

from starter.hook_signature import MOST_SIGNATURES, WINDOW, BadSignature

HEADER = "stripe-signature"
MOST = 4096
"""Characters of the header; Stripe's have some two hundred."""


def verify(headers: Mapping[str, str], raw: bytes, secrets: Sequence[bytes], now: datetime) -> None:
    """Nothing, when one of the signatures was made with one of the secrets.

    Stripe's own library lets any time in the future pass; here the window is as wide on that side, too.

    Raises:
        BadSignature: for whatever else.
    """
    told = headers.get(HEADER, "")
    if not told or len(told) > MOST:
        raise BadSignature("no Stripe-Signature")
    pairs = [part.strip().partition("=") for part in told.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    given = [value.encode("utf-8", "replace") for name, _, value in pairs if name == "v1"]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or len(stamps[0]) > 12:
        raise BadSignature("Stripe-Signature tells no time, or several")
    if abs(now.timestamp() - int(stamps[0])) > WINDOW.total_seconds():
        raise BadSignature("the time of Stripe-Signature is outside the window")
    if not given or len(given) > MOST_SIGNATURES:
        raise BadSignature("Stripe-Signature holds no v1, or too many")
    signed = stamps[0].encode() + b"." + raw
    wanted = [hmac.new(secret, signed, hashlib.sha256).hexdigest().encode() for secret in secrets]
    # Every pair is compared, so that the time taken tells nothing.
    fits = [hmac.compare_digest(one, other) for one in wanted for other in given]
    if not any(fits):
        raise BadSignature("no signature fits")
