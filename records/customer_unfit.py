"""What a customer may not hold, beyond what its model says, to be kept in the records."""

import unicodedata
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from sla.customer import Customer

Path = tuple[str | int, ...]
LONGEST_DOMAIN: Final = 253
FIRST_DAY: Final = date(2000, 1, 1)
LAST_DAY: Final = date(2199, 12, 31)
"""Calendars of contracts are made for these days without a second thought."""


def unfit(customer: Customer) -> tuple[Path, str] | None:
    """The first thing that cannot be kept: where it stands, and one sentence."""
    for path, text in _texts(customer.model_dump(), ()):
        if bad := odd(text):
            return path, f"{_dotted(path)} holds the character U+{ord(bad):04X}, which no database keeps; take it out"
    if bad := next((c for c in customer.id if unicodedata.category(c) in ("Cc", "Zl", "Zp")), None):
        return ("id",), f"id holds the character U+{ord(bad):04X}, which no address can hold; take it out"
    for i, domain in enumerate(customer.domains):
        if len(domain) > LONGEST_DOMAIN:
            return ("domains", i), f"domains.{i} has {len(domain)} characters; a domain has at most {LONGEST_DOMAIN}"
    for i, line in enumerate(customer.lines):
        day = line.prepaid_until
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            said = f"write a day from {FIRST_DAY} to {LAST_DAY}, or `prepaid: true` where it is for good"
            return ("lines", i, "prepaid_until"), f"lines.{i}.prepaid_until is {day}; {said}"
    seen = set[str]()
    for i, contact in enumerate(customer.contacts):
        if contact.email.casefold() in seen:
            return ("contacts", i), f"contacts names {contact.email!r} twice; name it once"
        seen.add(contact.email.casefold())
    return None


def odd(text: str) -> str | None:
    """The first character that no database keeps."""
    return next((c for c in text if c == "\0" or "\ud800" <= c <= "\udfff"), None)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case str():
            yield path, value
        case dict():
            for name, inner in value.items():
                yield from _texts(inner, (*path, name))
        case list() | tuple():
            for i, inner in enumerate(value):
                yield from _texts(inner, (*path, i))


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))
