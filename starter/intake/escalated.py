"""escalated-django (0.7): its webhooks are signed and thin, naming a ticket and who did what, without requester or text.

So a webhook says only that the ticket is to be looked at. Read over the API it tells its story by the ids of its replies and
activities: however often, and re-signed how often, a webhook comes, what it is about counts once.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sla.intake import Adapter, Read, Told, Unusable, part, text_of
from sla.signing import Hook, compare, in_window
from sla.source import Source
from starter.intake.escalated_ticket import number_of, story

CHANGES: Final = frozenset(
    f"ticket.{what}"
    for what in (
        *("created", "status_changed", "resolved", "closed", "reopened", "escalated"),
        *("assigned", "priority_changed", "department_changed"),
    )
)
TELLS: Final = CHANGES | {"reply.created", "note.created", "chat.started", "chat.message", "chat.ended"}
ECHOES: Final = CHANGES | {"note.created"}
"""What we bring about ourselves when we write. An answer by the same user would be a person's."""


def verify(hook: Hook, secrets: Sequence[str]) -> None:
    """Hex HMAC-SHA256 of the body, which holds the moment at which it was sent.

    Raises:
        BadSignature: it fits none of the secrets, or the moment is too far away.
    """
    wanted = [hmac.new(secret.encode(), hook.raw, hashlib.sha256).hexdigest().encode() for secret in secrets]
    compare(wanted, [hook.header("x-escalated-signature")])
    try:
        told = text_of(part(json.loads(hook.raw), "timestamp"))
    except (ValueError, RecursionError):
        return  # Rightly signed and no JSON: for the one who parses it to say.
    try:
        stamp = datetime.fromisoformat(told or "")
    except ValueError:
        return  # Nobody but the sender can have left it out: what it is signed over is the body.
    if stamp.tzinfo is not None:
        in_window(stamp, hook.received)


def read(body: Any, source: Source, received: datetime) -> Read:
    """One delivery: which ticket is to be looked at.

    Raises:
        Unusable: it names no ticket.
    """
    kind = text_of(part(body, "event"), 80) or ""
    if kind not in TELLS:
        return Read(ignored=f"{kind or 'a delivery without a name'} is no event that matters", kind=kind)
    payload = part(body, "payload")
    path = "payload.ticket_id" if not kind.startswith("chat.") else "payload.chat.ticket_id"
    ticket = number_of(part(payload, *path.split(".")[1:]))
    if ticket is None:
        raise Unusable(f"{path} is no number; escalated-django sends the ticket's number there", path)
    if kind in ECHOES and source.is_ours(number_of(part(payload, "user_id"))):
        return Read(ignored="our own doing", kind=kind)
    return Read(told=(Told(ticket, look=True),), kind=kind)


ADAPTER = Adapter(
    kind="escalated-django",
    title="escalated-django",
    read=read,
    verify=verify,
    story=story,
    window=True,
    limit=256 * 1024,
)
