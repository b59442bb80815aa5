"""What people wrote in an e-mail: its text, out of whatever parts, charset and markup."""

from collections.abc import Iterator
from email.message import Message
from typing import Any

from sla.markup import unmarked
from starter.intake.mail_head import decoded, whole

MOST_TEXT = 200_000
MOST_PARTS = 200


def text(mail: "Message[str, str]") -> str:
    """What it says, attachments left out: of alternatives the plain text, else the HTML without markup; of other parts all."""
    return whole("".join(c for c in _said(mail, [MOST_PARTS]) if c >= " " or c in "\n\t")).strip()


def parts(mail: "Message[str, str]") -> Iterator["Message[str, str]"]:
    """The parts, each before what is in it, but not those of a mail that is attached."""
    waiting: list[Message[str, str]] = [mail]
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        yield part
        waiting += reversed(_inner(part) or [])


def _inner(part: "Message[str, str]") -> "list[Message[str, str]] | None":
    """The parts of a part; None where it can have none."""
    inner: Any = part.get_payload()
    if part.get_content_maintype() != "multipart" or not isinstance(inner, list):
        return None
    return [one for one in inner[:MOST_PARTS] if isinstance(one, Message)]


def _said(part: "Message[str, str]", left: list[int]) -> str:
    """What a part says; `left` counts how many more are looked at."""
    left[0] -= 1
    if left[0] < 0:
        return ""
    kind = part.get_content_type()
    if (inner := _inner(part)) is not None:
        told = [(one.get_content_type(), said) for one in inner if (said := _said(one, left)).strip()]
        if kind == "multipart/alternative":
            told = sorted(told, key=lambda one: one[0] != "text/plain")[:1]
        return "\n".join(said for _, said in told)
    if part.get_content_disposition() == "attachment" or part.get_filename():
        return ""
    return _content(part) if kind == "text/plain" else unmarked(_content(part)) if kind == "text/html" else ""


def _content(part: "Message[str, str]") -> str:
    try:
        raw = part.get_payload(decode=True)
        charset = part.get_content_charset()
    except (ValueError, LookupError):
        return ""
    return decoded(raw, charset)[:MOST_TEXT] if isinstance(raw, bytes) else ""
