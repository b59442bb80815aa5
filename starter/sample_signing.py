"""How each kind of source signs what it sends: the other side of its adapter's `verify`."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

Signer = Callable[[str, bytes, datetime], dict[str, str]]
"""The secret, the body's bytes and the moment into headers, names in lower case."""


def _zendesk(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    stamp = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    signature = base64.b64encode(_digest(secret, stamp.encode() + raw).digest()).decode()
    return {"x-zendesk-webhook-signature": signature, "x-zendesk-webhook-signature-timestamp": stamp}


def _jira(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    return {"x-hub-signature": f"sha256={_digest(secret, raw).hexdigest()}"}


def _zammad(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    return {"x-hub-signature": f"sha1={_digest(secret, raw, 'sha1').hexdigest()}"}


def _escalated(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    return {"x-escalated-signature": _digest(secret, raw).hexdigest(), "x-escalated-event": "ticket.created"}


def _request_tracker(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    stamp = int(at.timestamp())
    return {"x-pactkeeper-signature": f"t={stamp},v1={_digest(secret, f'{stamp}.'.encode() + raw).hexdigest()}"}


def _slack(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    stamp = int(at.timestamp())
    signature = _digest(secret, f"v0:{stamp}:".encode() + raw).hexdigest()
    return {"x-slack-request-timestamp": str(stamp), "x-slack-signature": f"v0={signature}"}


def _pagerduty(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    return {"x-pagerduty-signature": f"v1={_digest(secret, raw).hexdigest()}"}


def _token(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    """For those who can't sign: the secret goes along."""
    return {"authorization": f"Bearer {secret}"}


def _in_path(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    """Its secret is the last part of the address; as the intake hands that on, so that an adapter can be asked alone."""
    return {"x-pactkeeper-token": secret}


def _digest(secret: str, told: bytes, name: str = "sha256") -> "hmac.HMAC":
    return hmac.new(secret.encode(), told, getattr(hashlib, name))


SIGNERS: Final[Mapping[str, Signer]] = {
    "zendesk": _zendesk,
    "freshdesk": _token,
    "jira": _jira,
    "zammad": _zammad,
    "django-helpdesk": _in_path,
    "escalated-django": _escalated,
    "request-tracker": _request_tracker,
    "slack": _slack,
    "mail": _token,
    "alertmanager": _token,
    "pagerduty": _pagerduty,
}
