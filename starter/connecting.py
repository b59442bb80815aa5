"""Connecting a source: what its kind needs, its file, its secret, its address, and the clicks in their order."""

import re
import secrets as chance
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sla.source import Source
from starter.hook_settings import new_secret
from starter.secrets_file import flow

PAGES: Final = Path(__file__).resolve().parent.parent / "docs" / "sources"
GENERIC: Final = "generic"
BASE_VARIABLE: Final = "PACTKEEPER_URL"
LOCAL: Final = "http://127.0.0.1:8400"
"""Where the web intake of `pactkeeper up` listens, unless its port was taken."""
EXAMPLE: Final = "# An example: `pactkeeper connect` writes over this file as long as this line stands in it."
SHORTEST: Final = 20
"""Characters: what the file of secrets takes at the least."""
_FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\[\]]+)\]\(([^()\s]+)\)")
_MARKED = re.compile(r"(`+[^`]+`+)|(\*{1,2})(?=[^\s*])((?:(?!\n\n)[^*])+)(?<=\S)\2", re.DOTALL)
_SECTION = re.compile(r"^## Set it up[^\n]*\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Api:
    """What a client of a source's API needs: an example of its address, and what its people call user and token."""

    url: str
    token: str = "API token"  # noqa: S105 - what it is called
    user: str = ""
    """Empty: the token alone says who we are. Where it is named it may be left out for a token of another kind."""
    needed: bool = False
    """Whether nothing is heard without it, as the webhooks are too thin."""
    writes: bool = True
    """Whether anything can be written back."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source, as somebody who connects it meets it."""

    title: str
    brings: str
    """What comes from it, in half a sentence."""
    theirs: str = ""
    """Where they show the secret that they make; empty: we make it, and it is pasted there."""
    api: Api | None = None
    in_path: bool = False
    """Whether the secret is the last part of the address."""


SETUPS: Final[Mapping[str, Kind]] = {
    "zendesk": Kind(
        "Zendesk", "tickets, by event webhooks or a trigger", "the webhook's page, Reveal secret",
        Api("https://acme.zendesk.com", user="agent's e-mail address"),
    ),
    "freshdesk": Kind("Freshdesk", "tickets, by three automation rules", api=Api("https://acme.freshdesk.com", "API key")),
    "jira": Kind(
        "Jira Service Management", "requests, by a webhook or an automation rule",
        api=Api("https://acme.atlassian.net", user="account's e-mail address"),
    ),
    "zammad": Kind(
        "Zammad", "tickets, by a trigger and its webhook", api=Api("https://zammad.example.com", "access token")
    ),
    "django-helpdesk": Kind(
        "django-helpdesk", "tickets, by two settings of Django",
        api=Api("https://helpdesk.example.com", "password", "user name"), in_path=True,
    ),
    "escalated-django": Kind(
        "Escalated for Django", "tickets, by its webhooks", api=Api("https://support.example.com", needed=True)
    ),
    "request-tracker": Kind(
        "Request Tracker", "tickets, by a scrip", api=Api("https://rt.example.com", "authentication token")
    ),
    "slack": Kind(
        "Slack", "messages in a support channel, and buttons", "the app's page, Basic Information, Signing Secret",
        Api("https://slack.com", "bot token", writes=False),
    ),
    "mail": Kind("E-mail", "mails to a support address, handed over by the mail server"),
    "alertmanager": Kind("Prometheus Alertmanager", "alerts, as outages"),
    "pagerduty": Kind(
        "PagerDuty", "what is acknowledged and resolved there", "shown once, when the webhook subscription is made",
        Api("https://api.pagerduty.com", "REST API key", writes=False),
    ),
    GENERIC: Kind("Anything that can sign JSON", "events as stories write them, and a customer's payments"),
}  # fmt: skip


def fresh_secret(kind: str) -> str:
    """A secret of ours for a kind, long enough for every scheme, of characters that every form takes."""
    return new_secret() if kind == GENERIC else chance.token_urlsafe(32)


def example(file: Path) -> bool:
    """Whether a source's file is still the example that came with Pactkeeper, which may be written over."""
    try:
        return EXAMPLE in file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False


def hook(base: str, kind: str, name: str, secret: str | None) -> str:
    """The address to paste; a kind whose webhooks carry no header has the secret in it."""
    last = (secret or "SECRET") if SETUPS[kind].in_path else name
    return f"{base.rstrip('/')}/hooks/{kind}/{last}"


def written(source: Source) -> str:
    """The source's file."""
    told = source.model_dump(mode="json", exclude_defaults=True)
    lines = [
        "# yaml-language-server: $schema=../schemas/source.schema.json",
        "#",
        f"# {SETUPS[source.kind].title}: docs/sources/{source.kind}.md says what may stand here. Its secret is in hook-secrets.yaml.",
        *(f"{name}: {flow(value)}" for name, value in told.items()),
    ]  # fmt: skip
    if source.customer is None:
        lines.append("# customer: acme                      # whose a ticket is when nothing else tells")
    return "\n".join(lines) + "\n"


def steps(kind: str, values: Mapping[str, str], pages: Path = PAGES, bold: tuple[str, str] = ("", "")) -> str:
    """The clicks in their order, from the page of that kind, with `{HOOK}`, `{SECRET}`, `{NAME}` and `{BASE}` filled in.

    What is emphasised there comes without its stars; `bold`: what begins and ends it instead.
    """
    try:
        found = _SECTION.search((pages / f"{kind}.md").read_text(encoding="utf-8"))
    except OSError:
        found = None
    if found is None:
        return f"The steps stand in docs/sources/{kind}.md of the repository; this installation came without them."
    _, first, rest = found[1].partition("1. ")
    parts = _FENCE.split(f"{first}{rest}".strip())
    # A terminal follows no links and shows no Markdown, and what stands in a fence is to be pasted as it is.
    shown = "".join(part if i % 2 else _plain(_LINK.sub(_followed, part), bold) for i, part in enumerate(parts))
    # One pass, so that a value is never read as a placeholder; `{{…}}` belongs to the helpdesk's own templates.
    return re.sub(r"(?<!\{)\{([A-Z]+)\}(?!\})", lambda placed: values.get(placed[1], placed[0]), shown)


def _plain(text: str, bold: tuple[str, str]) -> str:
    """Without the stars of what is emphasised; what is code stays as it is."""
    return _MARKED.sub(lambda found: found[1] or f"{bold[0]}{found[3]}{bold[1]}", text)


def _followed(link: re.Match[str]) -> str:
    text, target = link[1], link[2].partition("#")[0]
    if not target:
        return text
    return f"{text} ({target.replace('../', 'docs/') if '//' not in target else target})"
