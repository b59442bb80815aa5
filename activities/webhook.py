"""The webhook channel: one signed POST (Standard Webhooks) a message, its id made from the message's key."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from standardwebhooks.webhooks import Webhook

from activities import http
from activities.message import ChannelRefused, ChannelUnavailable, Message
from activities.settings import CourierSettings, origin

_LATER = frozenset({408, 425, 429})
_PLAIN = "/:@+#~_-"
"""What an id keeps as it is. No full stop, for the signature is over `id.timestamp.body`."""


def webhook_id(key: str) -> str:
    """The `webhook-id` of a message: its key, percent-encoded where a header or the signature cannot hold it."""
    return quote(key, safe=_PLAIN).replace(".", "%2E")


def body(message: Message) -> bytes:
    """The JSON that is posted: `type`, `timestamp` (when the step fell due), `data`. Alike at every attempt."""
    data: dict[str, object] = {
        "key": message.key,
        "incident": message.incident,
        "kind": message.kind,
        "clock": message.clock,
        "step": message.step,
        "clause": message.clause,
        "to": [{"id": person.id, "name": person.name} for person in message.to],
        "subject": message.subject,
        "text": message.text,
        "facts": dict(sorted(message.data.items())),
    }
    if message.links:
        data["links"] = dict(sorted(message.links.items()))
    if message.quiet:
        data["quiet"] = True
    at = message.at.astimezone(UTC).isoformat()
    envelope = {"type": f"notice.{message.kind}", "timestamp": at, "data": data}
    return json.dumps(envelope, ensure_ascii=True, separators=(",", ":")).encode()


def headers(key: str, content: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """The three headers of Standard Webhooks, and what the content is. `now` is the moment of the attempt."""
    name, at = webhook_id(key), now.astimezone(UTC)
    return {
        "content-type": "application/json",
        "user-agent": "Pactkeeper",
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, at, content.decode()),
    }


async def send(settings: CourierSettings, message: Message, now: datetime) -> str:
    """Post the message; gives a line for the receipt. Raises `ChannelUnavailable` or `ChannelRefused`."""
    url, secret = settings.webhook_url, settings.webhook_secret
    assert url is not None
    assert secret is not None
    content, where = body(message), f"the webhook at {origin(url)}"
    signed = headers(message.key, content, secret, now)
    try:
        answer = await http.post(url, content, signed, connect=settings.connect_seconds, total=settings.total_seconds)
    except http.Forbidden as never:
        raise ChannelRefused(f"{where} {never}") from None
    except http.NoAnswer as silence:
        raise ChannelUnavailable(f"{where} {silence}") from None
    if 200 <= answer.status < 300:
        return f"{answer.status} from {origin(url)}"
    if answer.status in _LATER or answer.status >= 500:
        raise ChannelUnavailable(f"{where} answered {answer.status}", answer.retry_after)
    if 300 <= answer.status < 400:
        raise ChannelRefused(f"{where} answered {answer.status}, a redirect; set its final address")
    raise ChannelRefused(f"{where} answered {answer.status}")
