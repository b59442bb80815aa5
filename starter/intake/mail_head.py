"""The headers of an e-mail: as they were written, in whatever charset, and the addresses and ids in them."""

import re
from collections.abc import Sequence
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses

MOST_HEADER = 8000
MOST_ADDRESSES = 100
MOST_ALIKE = 20
"""Headers of one name that are looked at, from the top."""
_UNNAMED = (None, "us-ascii", "ascii", "unknown-8bit")
_ADDRESS = re.compile(r"[^@\s<>()\[\]\\,;:\"]+@[^@\s<>()\\,;:\"]+")
_ID = re.compile(r"<([^<>\s]{1,900})>")
_ENCODED = re.compile(r"=\?[^?\s]*\?[bq]\?[^?]*\?=(?:\s*=\?[^?\s]*\?[bq]\?[^?]*\?=)*", re.IGNORECASE)


class Head:
    """The headers of one mail.

    What stands in them raw, neither ASCII nor encoded, is UTF-8 (RFC 6532), else in the charset that the mail names for its
    body, else of Windows-1252, as most that write so mean it.
    """

    def __init__(self, mail: "Message[str, str]") -> None:
        self._charset = mail.get_content_charset()
        self._raw: dict[str, list[str]] = {}
        for name, value in mail.raw_items():
            alike = self._raw.setdefault(name.lower(), [])
            if len(alike) < MOST_ALIKE:
                alike.append(str(value)[:MOST_HEADER])

    def all(self, name: str) -> list[str]:
        """Each header of that name, the topmost first, on one line and else as it was written."""
        return [
            (one if one.isascii() else guessed(one.encode("utf-8", "surrogateescape"), self._charset))
            .replace("\r", " ")
            .replace("\n", " ")
            for one in self._raw.get(name.lower(), [])
        ]

    def first(self, name: str) -> str:
        """The topmost header of that name; empty where there is none."""
        return next(iter(self.all(name)), "")

    def line(self, name: str) -> str:
        """A header as one line for people: decoded, and with nothing in it that could end it or begin another."""
        return line(_ENCODED.sub(lambda run: _words(run[0]), self.first(name)))

    def addresses(self, *names: str) -> list[str]:
        """The addresses in some headers, in lower case; what is no address is left out."""
        try:
            found = getaddresses([value for name in names for value in self.all(name)])[:MOST_ADDRESSES]
        except (IndexError, ValueError, TypeError, RecursionError):
            return []
        return [one.lower()[:320] for _, one in found if _ADDRESS.fullmatch(one)]

    def ids(self, name: str) -> list[str]:
        """The ids of mails in a header, in their order."""
        return _ID.findall(self.first(name))


def both(addresses: Sequence[str]) -> list[str]:
    """The addresses, and those with a `+` also without what follows it."""
    return [*addresses, *(re.sub(r"\+[^@]*@", "@", one) for one in addresses if "+" in one)]


def line(text: str) -> str:
    """One line: control characters and breaks become blanks, halves of characters question marks."""
    return " ".join("".join(c if c >= " " and c not in "\x7f\u2028\u2029\x85" else " " for c in whole(text)).split())


def whole(told: str) -> str:
    """Without halves of characters, which nothing later could write down."""
    return told.encode("utf-8", "surrogateescape" if _escaped(told) else "replace").decode("utf-8", "replace")


def decoded(raw: bytes, charset: str | None) -> str:
    """Bytes by the charset that they name, and guessed where there is no such thing; what does not fit is shown as such."""
    try:
        return guessed(raw) if charset in _UNNAMED else raw.decode(str(charset), "replace")
    except (LookupError, ValueError, UnicodeError):
        return guessed(raw)


def guessed(raw: bytes, charset: str | None = None) -> str:
    """Bytes that name no charset: UTF-8 where they are that, else by a charset that stands near, else Windows-1252."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        near = charset not in (*_UNNAMED, "utf-8", "utf8")
        return decoded(raw, charset) if near else raw.decode("cp1252", "replace")


def _words(run: str) -> str:
    """Encoded words that follow each other, decoded together: some cut a character in two."""
    try:
        return "".join(one if isinstance(one, str) else decoded(one, charset) for one, charset in decode_header(run))
    except (HeaderParseError, ValueError, LookupError):
        return run


def _escaped(told: str) -> bool:
    return all("\udc80" <= c <= "\udcff" for c in told if "\ud800" <= c <= "\udfff")
