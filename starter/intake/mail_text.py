"""What people wrote in an e-mail: its headers and text out of whatever charset and markup, and without what they quoted."""

import html
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from typing import Any

MOST_HEADER = 8000
MOST_TEXT = 200_000
MOST_PARTS = 200
_BLOCKS = frozenset(
    ["p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "table", "ul", "ol", "hr"]
)
_SILENT = frozenset({"script", "style", "head", "title", "template"})
_TAG = re.compile(r"<(?:!--|[!?]|/?([A-Za-z][A-Za-z0-9]{0,30}))")
_WROTE = re.compile(r"^.{0,200}(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef)\s*:\s*$", re.IGNORECASE)
_INTRO = ("on ", "am ", "le ", "el ", "il ", "op ")
_ORIGINAL = re.compile(
    r"^\s*(?:-{2,}\s*(?:original message|ursprüngliche nachricht|message d.origine)\s*-{2,}|_{20,})\s*$", re.IGNORECASE
)
_FROM = re.compile(r"^\W{0,3}(?:from|von|de|da)\W{0,3}:\s.*@", re.IGNORECASE)
_SENT = re.compile(r"^\W{0,3}(?:sent|date|gesendet|datum|envoyé|enviado|inviato)\W{0,3}:\s", re.IGNORECASE)


def header(mail: "Message[str, str]", name: str) -> str:
    """A header as one line for people: decoded, and with nothing in it that could end it or begin another."""
    told = str(mail.get(name) or "")[:MOST_HEADER]
    try:
        pieces = decode_header(told)
    except (HeaderParseError, ValueError, LookupError):
        pieces = [(told, None)]
    text = "".join(one if isinstance(one, str) else _decoded(one, charset) for one, charset in pieces)
    return line(text)


def line(text: str) -> str:
    """One line: control characters and breaks become blanks, halves of characters question marks."""
    return " ".join("".join(c if c >= " " and c not in "\x7f\u2028\u2029\x85" else " " for c in _whole(text)).split())


def text(mail: "Message[str, str]") -> str:
    """What it says: its plain text, else its HTML without markup. Attachments are left out."""
    plain, pages = list[str](), list[str]()
    for part in _parts(mail):
        if part.is_multipart() or part.get_content_disposition() == "attachment" or part.get_filename():
            continue
        kind = part.get_content_type()
        if kind == "text/plain":
            plain.append(_content(part))
        elif kind == "text/html" and not pages:
            pages.append(_unmarked(_content(part)))
    found = "\n".join(one for one in plain if one.strip()) or "\n".join(pages)
    return _whole("".join(c for c in found if c >= " " or c in "\n\t")).strip()


def own(said: str) -> str:
    """A reply without the mail that it answers, where that stands at its end; whole where nothing would be left."""
    lines = said.splitlines()
    quoted = len(lines)
    while quoted and (not lines[quoted - 1].strip() or lines[quoted - 1].lstrip().startswith(">")):
        quoted -= 1
    cut = next((i for i in range(len(lines)) if _quotes_from(lines, i, quoted)), len(lines))
    kept = lines[:cut]
    while kept and (not kept[-1].strip() or kept[-1].startswith(">")):
        kept.pop()
    return "\n".join(kept).strip() or said


def _quotes_from(lines: list[str], i: int, quoted: int) -> bool:
    """Whether the quoted mail begins with this line: nothing of the sender's own follows. From `quoted` on all is marked so."""
    if _ORIGINAL.match(lines[i]):
        return True
    if _FROM.match(lines[i]) and any(_SENT.match(one) for one in lines[i + 1 : i + 4]):
        return True
    # "On Monday, Dana wrote:" is broken into two lines by some.
    broken = i + 1 < len(lines) and lines[i].lstrip().lower().startswith(_INTRO) and not _WROTE.match(lines[i])
    if not _WROTE.match(f"{lines[i]} {lines[i + 1]}" if broken else lines[i]):
        return False
    rest = i + (2 if broken else 1)
    return quoted <= rest < len(lines)


def _parts(mail: "Message[str, str]") -> Iterator["Message[str, str]"]:
    """The parts, one level after the other, but not those of a mail that is attached."""
    waiting: list[Any] = [mail]
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        yield part
        inner = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inner, list):
            waiting[:0] = [one for one in inner if isinstance(one, Message)]


def _content(part: "Message[str, str]") -> str:
    try:
        raw = part.get_payload(decode=True)
        charset = part.get_content_charset()
    except (ValueError, LookupError):
        return ""
    return _decoded(raw, charset)[:MOST_TEXT] if isinstance(raw, bytes) else ""


def _decoded(raw: bytes, charset: str | None) -> str:
    """Bytes by the charset that they name; by UTF-8 where there is no such thing; what does not fit is shown as such."""
    try:
        return raw.decode("utf-8" if charset in (None, "us-ascii", "unknown-8bit") else str(charset), "replace")
    except (LookupError, ValueError, UnicodeError):
        return raw.decode("utf-8", "replace")


def _whole(told: str) -> str:
    """Without halves of characters, which nothing later could write down."""
    return told.encode("utf-8", "surrogateescape" if _escaped(told) else "replace").decode("utf-8", "replace")


def _escaped(told: str) -> bool:
    return all("\udc80" <= c <= "\udcff" for c in told if "\ud800" <= c <= "\udfff")


def _unmarked(page: str) -> str:
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
