"""Which kinds of helpdesk have an API that we read and write, each with its client."""

from collections.abc import Callable
from importlib import import_module
from typing import Final

from activities.helpdesks.client import Account, Helpdesk

CLIENTS: Final = {
    "zendesk": ("zendesk", "Zendesk"),
    "freshdesk": ("freshdesk", "Freshdesk"),
    "jira": ("jira", "Jira"),
    "zammad": ("zammad", "Zammad"),
    "django-helpdesk": ("django_helpdesk", "DjangoHelpdesk"),
    "escalated-django": ("escalated", "Escalated"),
    "request-tracker": ("request_tracker", "RequestTracker"),
    "slack": ("slack", "Slack"),
    "pagerduty": ("pagerduty", "PagerDuty"),
}
"""A kind's name, and the module here and the class in it."""


def helpdesk(kind: str, account: Account) -> Helpdesk | None:
    """A client for an account; None: there is no API for that kind."""
    if kind not in CLIENTS:
        return None
    module, name = CLIENTS[kind]
    made: Callable[[Account], Helpdesk] = getattr(import_module(f"activities.helpdesks.{module}"), name)
    return made(account)
