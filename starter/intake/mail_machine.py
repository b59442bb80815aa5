"""E-mails that are nobody's word: what a machine sends (RFC 3834), and what a mail program sends at a click."""

import re
from email.message import Message

from sla.automatic import automatic_subject
from starter.intake.mail_head import Head, line
from starter.intake.mail_text import parts

_MACHINE = frozenset({"mailer-daemon", "postmaster", "mail-daemon"})
_BULK = frozenset({"bulk", "junk", "auto_reply", "auto-reply"})
_NOBODY = re.compile(r"<?(?:mailer-daemon(?:@[^>]*)?)?>?", re.IGNORECASE)
"""An empty sender, also as sendmail and the `pipe` of Postfix write it."""
_REPLY = re.compile(rb"^METHOD:REPLY\s*$", re.IGNORECASE | re.MULTILINE)


def automatic(mail: "Message[str, str]", head: Head, *, answers: bool) -> str | None:
    """Why it is a machine's and no person's; None where it is a person's. `answers`: it belongs to a thread."""
    submitted = head.first("Auto-Submitted").partition(";")[0].strip().lower()
    suppressed = {one.strip().lower() for one in head.first("X-Auto-Response-Suppress").split(",")}
    returned = head.first("Return-Path").replace(" ", "")
    signs = {
        "its sender is empty": head.first("From").replace(" ", "") == "<>",
        f"Auto-Submitted is {line(submitted)[:40]}": submitted not in ("", "no"),
        "it is a report on another mail": mail.get_content_type() == "multipart/report",
        "its Return-Path is empty": bool(returned) and _NOBODY.fullmatch(returned) is not None,
        "it is from a mail server": _from_server(head),
        "its Precedence is that of bulk mail": head.first("Precedence").strip().lower() in _BULK,
        "it says that it wants no automatic answer": bool(suppressed & {"all", "oof", "autoreply"}),
        "it calls itself an automatic answer": any(
            head.first(name).strip().lower() not in ("", "no", "false")
            for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-FC-MachineGenerated")
        ),
        "its subject is that of an absence": answers and not submitted and automatic_subject(head.line("Subject")),
    }
    return next((why for why, shown in signs.items() if shown), None)


def clicked(mail: "Message[str, str]") -> tuple[str, str] | None:
    """What somebody clicked instead of writing, and its kind: an answer to an invitation, or an emoji (Gmail)."""
    for part in parts(mail):
        kind = part.get_content_type()
        if kind == "text/vnd.google.email-reaction+json":
            return "a reaction with an emoji", "reaction"
        if kind == "text/calendar" and part.get_content_disposition() != "attachment" and _answers(part):
            return "an answer to an invitation", "calendar"
    return None


def _answers(part: "Message[str, str]") -> bool:
    method = part.get_param("method")
    if isinstance(method, str):
        return method.strip().lower() == "reply"
    raw = part.get_payload(decode=True)
    return isinstance(raw, bytes) and _REPLY.search(raw) is not None


def _from_server(head: Head) -> bool:
    """Whether a mail server itself is the sender, be it by a bare name (`MAILER-DAEMON <>`)."""
    if address := next(iter(head.addresses("From")), None):
        return address.partition("@")[0] in _MACHINE
    return not _MACHINE.isdisjoint(re.findall(r"[a-z-]+", head.first("From").lower()))
