"""The kinds of source that there are, each with its adapter; an adapter is loaded when somebody asks for it."""

from importlib import import_module
from typing import Final

from sla.intake import Adapter

KINDS: Final = {
    "zendesk": "zendesk",
    "freshdesk": "freshdesk",
    "jira": "jira",
    "zammad": "zammad",
    "django-helpdesk": "django_helpdesk",
    "escalated-django": "escalated",
    "request-tracker": "request_tracker",
    "slack": "slack",
    "mail": "mail",
    "alertmanager": "alertmanager",
    "pagerduty": "pagerduty",
}
"""A kind's name, as addresses and files write it, and its module in `starter/intake/`."""


def adapter(kind: str) -> Adapter:
    """The adapter of a kind.

    Raises:
        KeyError: there is no such kind.
    """
    found: Adapter = import_module(f"starter.intake.{KINDS[kind]}").ADAPTER
    return found


def adapters() -> dict[str, Adapter]:
    """All of them, by kind."""
    return {kind: adapter(kind) for kind in KINDS}
