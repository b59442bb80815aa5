"""What people wrote in an e-mail: its text, out of whatever parts, charset and markup."""

import html
import re
from collections.abc import Iterator
from email.message import Message
from typing import Any

from starter.intake.mail_head import decoded, whole

MOST_TEXT = 200_000
MOST_PARTS = 200
_BLOCKS = frozenset(
    ["p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "table", "ul", "ol", "hr"]
)
_SILENT = frozenset({"script", "style", "head", "title", "template"})
_TAG = re.compile(r"<(?:!--|[!?]|/?([A-Za-z][A-Za-z0-9]{0,30}))")


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


def unmarked(page: str) -> str:
    """The text of a page, a block a line. By hand, for `html.parser` takes minutes over pages that somebody made for that."""
    found, at, small, unclosed = list[str](), 0, page.lower(), set[str]()
    while (start := page.find("<", at)) >= 0:
        found.append(_blanks(page[at:start]))
        tag = _TAG.match(page, start)
        if tag is None:
            found.append("<")
            at = start + 1
            continue
        name = (tag[1] or "").lower()
        end, close = ("-->", 3) if tag[0] == "<!--" else (">", 1)
        if name in _SILENT and name not in unclosed:
            if small.find(f"</{name}", start) >= 0:
                start = small.find(f"</{name}", start)
            else:
                unclosed.add(name)
        over = page.find(end, start)
        at = over + close if over >= 0 else len(page)
        if name in _BLOCKS:
            found.append("\n")
    found.append(_blanks(page[at:]))
    lines = (" ".join(one.split()) for one in html.unescape("".join(found)).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _blanks(told: str) -> str:
    return re.sub(r"\s+", " ", told)
