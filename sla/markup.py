"""The text of what is written in HTML: for sources that hand comments and mails over with their markup."""

import html
import re
import string

_BLOCKS = frozenset(
    ["p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "table", "ul", "ol", "hr"]
)
_SILENT = frozenset({"script", "style", "head", "title", "template"})
_TAG = re.compile(r"<(?:!--|[!?]|/?([A-Za-z][A-Za-z0-9]{0,30}))")
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
"""Letter by letter, so that every place stays where it is; `lower` makes some letters two."""


def unmarked(page: str) -> str:
    """The text of a page, a block a line. By hand, for `html.parser` takes minutes over pages that somebody made for that."""
    found, at, small, unclosed = list[str](), 0, page.translate(_SMALL), set[str]()
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
