"""The HTML alternative of a mail: the same words as its text, with a link to press. Autoescaped; nothing is loaded from anywhere."""

from activities.message import Message, one_line
from activities.template_files import Line, rendered

TEMPLATE = "mail.html.j2"
_LINK = 2000


def page(message: Message) -> str:
    """The page of a message; its paragraphs are the text's, a line that repeats the link is left out of them."""
    links = {what: _link(url) for what, url in message.links.items()}
    paragraphs: list[list[Line]] = [[]]
    for line in message.text.splitlines():
        if any(link and link in line for link in links.values()):
            continue
        if line.strip():
            paragraphs[-1].append(Line("".join(c if c.isprintable() else " " for c in line).rstrip()))
        elif paragraphs[-1]:
            paragraphs.append([])
    told = {
        "subject": message.subject,
        "paragraphs": [lines for lines in paragraphs if lines],
        "acknowledge": links.get("acknowledge", Line()),
        "incident": links.get("incident", Line()),
        "to_customer": message.to_customer,
    }
    return rendered(TEMPLATE, told)


def _link(url: str) -> Line:
    return Line(one_line(url, _LINK) if url.startswith(("https://", "http://")) else "")
