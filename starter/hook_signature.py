"""Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, five minutes either way."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=5)
MOST_SIGNATURES = 8


class BadSignature(Exception):
    """The request is not signed by somebody who holds a secret; why is for our log, never for the sender."""


def key_of(secret: str) -> bytes:
    """The bytes of a `whsec_…` secret.

    Raises:
        ValueError: it is no base64, or shorter than 24 bytes.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            "a hook's secret is no base64; write whsec_ and base64, as `pactkeeper up` makes them"
        ) from None
    if len(key) < 24:
        raise ValueError(f"a hook's secret has {len(key)} bytes; the least is 24")
    return key


def verify(headers: Mapping[str, str], raw: bytes, keys: Sequence[bytes], now: datetime) -> str:
    """The delivery's id, when one of the signatures was made with one of the keys.

    Raises:
        BadSignature: for whatever else.
    """
    id, stamp, told = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id or len(id) > 200 or not id.isprintable():
        raise BadSignature("no webhook-id")
    if not stamp.isdigit() or not stamp.isascii() or len(stamp) > 12:
        raise BadSignature("no webhook-timestamp")
    if abs(now.timestamp() - int(stamp)) > WINDOW.total_seconds():
        raise BadSignature("webhook-timestamp is outside the window")
    signatures = told.split(" ")
    if len(signatures) > MOST_SIGNATURES:
        raise BadSignature("too many signatures")
    signed = f"{id}.{stamp}.".encode() + raw
    wanted = [b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]
    given = [signature.encode("utf-8", "replace") for signature in signatures]
    # Every pair is compared, so that the time taken tells nothing.
    fits = [hmac.compare_digest(one, other) for one in wanted for other in given]
    if not any(fits):
        raise BadSignature("no signature fits")
    return id
