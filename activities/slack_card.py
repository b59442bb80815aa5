"""The one message that an incident has in a Slack channel: what it says by now, and how that looks. Pure.

Whatever comes from outside is escaped, so that `<!channel>` and `<@U…>` are but letters, and cut to Slack's limits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from activities.message import Message, one_line

ACKNOWLEDGE: Final = "pactkeeper_acknowledge"
"""What the button is called where its pressing comes in (`starter/intake/slack.py`)."""
UPDATE: Final = "update"
OVER: Final = ("resolved", "closed")
_FACTS = ("customer", "priority", "clock", "left", "due", "assignee", "acknowledged_by", "phase")
_FIELDS = (
    ("customer", "Customer"), ("priority", "Priority"), ("clause", "Clause"), ("left", "Time left"), ("due", "Due"),
    ("assignee", "Has it"),
)  # fmt: skip
_LIVE = ("left", "due")
_LINKS = {"acknowledge": "Acknowledge by link", "incident": "Open the incident"}
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SECTION, _FIELD, _TITLE = 2900, 400, 600
Card = dict[str, Any]


def merged(card: Mapping[str, Any], message: Message) -> Card:
    """What the message says once this notice, or this update, is taken in. One that comes late changes nothing that is newer."""
    at = message.at.isoformat()
    if card and message.at.timestamp() < float(card.get("stamp", 0)):
        return dict(card)
    new: Card = dict(card) | {"at": at, "stamp": message.at.timestamp()}
    facts = {name: one_line(message.data[name]) for name in _FACTS if name in message.data}
    if card.get("phase") in OVER and facts.get("phase", card.get("phase")) not in OVER:
        new.pop("acknowledged_by", None)
    new |= facts
    if message.links or message.kind != UPDATE:
        new["links"] = {name: url for name, url in message.links.items() if url.startswith(("https://", "http://"))}
    if message.kind != UPDATE or "subject" not in card:
        new |= {"subject": message.subject, "text": message.text, "clause": message.clause or "", "kind": message.kind}
    return new


def rendered(card: Mapping[str, Any], incident: str) -> tuple[str, list[dict[str, Any]]]:
    """The plain text (for notifications) and the blocks of the parent message."""
    over, taken = card.get("phase") in OVER, str(card.get("acknowledged_by") or "")
    title = "".join(" " if c in "*~`" else c for c in one_line(str(card.get("subject") or "Incident")))
    headline = f"~{said(title, _TITLE)}~" if over else f"*{said(title, _TITLE)}*"
    shown = [(label, str(card.get(name) or "")) for name, label in _FIELDS if not (over and name in _LIVE)]
    fields = [_text(f"*{label}*\n{said(one_line(value), _FIELD)}") for label, value in shown if value]
    blocks: list[dict[str, Any]] = [_section(headline)]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    body = said(paragraphs(str(card.get("text") or "")), _SECTION)
    if body and not over:
        blocks.append(_section(body))
    blocks.append({"type": "context", "elements": [_text(_standing(card, taken))]})
    may_take = not over and not taken
    if may_take and incident.startswith("incident/"):
        button = {
            "type": "button", "action_id": ACKNOWLEDGE, "value": incident, "style": "primary",
            "text": {"type": "plain_text", "text": "Acknowledge"},
        }  # fmt: skip
        blocks.append({"type": "actions", "block_id": "pactkeeper", "elements": [button]})
    links = card.get("links")
    listed = _links(links if isinstance(links, Mapping) else {}, may_take)
    if listed:
        blocks.append({"type": "context", "elements": [_text(listed)]})
    rest = " | ".join(f"{label}: {one_line(value)}" for label, value in shown if value)
    begins = f"{str(card['phase']).capitalize()}: " if over else ""
    return said(f"{begins}{title}{' | ' if rest else ''}{rest}", _SECTION), blocks


def reply(message: Message) -> tuple[str, list[dict[str, Any]]]:
    """What goes below the parent: a whole notice, or the short line of an update."""
    title = said(one_line(message.subject) or _moved(message.data), _TITLE)
    if message.kind == UPDATE:
        return title, [_section(title)]
    body = said(paragraphs(message.text), _SECTION)
    bold = f"*{''.join(' ' if c in '*~`' else c for c in title)}*"
    return title, [_section(bold), *([_section(body)] if body else [])]


def said(text: str, limit: int) -> str:
    """Text as Slack's markup shows it letter by letter, at most `limit` characters; an escape is never cut in two."""
    out: list[str] = []
    room = limit - 1
    for c in text:
        shown = _ESCAPED.get(c, c)
        # An emoji counts as two where lengths are counted in UTF-16.
        room -= len(shown) + (ord(c) > 0xFFFF)
        if room < 0:
            return "".join(out) + "…"
        out.append(shown)
    return "".join(out)


def paragraphs(text: str) -> str:
    """The text with its lines, and without any character that moves a cursor or turns the writing."""
    lines = ("".join(c if c.isprintable() else " " for c in line).rstrip() for line in text.splitlines())
    return "\n".join(lines).strip()


def _standing(card: Mapping[str, Any], taken: str) -> str:
    if card.get("phase") in OVER:
        return str(card["phase"]).capitalize()
    return f"Acknowledged by {said(one_line(taken), _FIELD)}" if taken else "Nobody has acknowledged it yet"


def _moved(data: Mapping[str, str]) -> str:
    """One line of what an update changes."""
    parts = (
        data.get("phase") in OVER and str(data["phase"]).capitalize(),
        data.get("acknowledged_by") and f"Acknowledged by {one_line(data['acknowledged_by'], 100)}",
        data.get("assignee") and f"{one_line(data['assignee'], 100)} has it",
    )
    return "; ".join(str(part) for part in parts if part) or "Brought up to date"


def _links(links: Mapping[str, str], may_take: bool) -> str:
    shown = []
    for name, url in links.items():
        if name == "acknowledge" and not may_take:
            continue
        plain = "".join(f"%{ord(c):02X}" if c in '<>|" ' else c for c in url)
        if plain.isascii() and plain.isprintable() and len(plain) <= 1000:
            shown.append(f"<{plain.replace('&', '&amp;')}|{said(_LINKS.get(name, one_line(name, 60)), 100)}>")
    return "  ".join(shown[:2])


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def keys(state: Mapping[str, Any], name: str) -> Sequence[str]:
    """The keys of messages that a thread's state lists under a name."""
    listed = state.get(name)
    return [str(one) for one in listed] if isinstance(listed, list) else []
