"""A real escalated-django on a free port of this machine: start it, be its customers and its agents, stop it.

Everybody acts by its API, each with a token of their own. Its webhooks go, signed, to the one address that it is given, from
within the request that made them. Migrating and seeding takes it some fifteen seconds.
"""

import json
from pathlib import Path
from typing import Any, Self

import httpx

from tests.peers.site import SitePeer

SITE = Path(__file__).parent / "escalated_site"
SECRET = "whsec-of-this-escalated-alone"
DANA, ALEX, ANN, BOB, ROBOT = 1, 2, 3, 4, 5
"""Who may log in, by the ids that the helpdesk gives them: two agents, two customers of Acme, and the user as whom we write."""


class EscalatedPeer(SitePeer):
    """The helpdesk as a process of its own; `base` is its address."""

    site, name, front, made = SITE, "escalated", "/support/api/v1/tickets/", "tokens.json"

    def __init__(self, home: Path, hook: str = "") -> None:
        super().__init__(home, hook, SECRET=SECRET)
        self.tokens: dict[str, str] = {}

    def start(self) -> Self:
        """Serve; returns when a page answers. An unprepared home is prepared first."""
        super().start()
        self.tokens = json.loads((self.home / self.made).read_text())
        return self

    # What a customer does.

    def opens(self, subject: str, text: str, priority: str = "medium", *, by: str = "ann") -> int:
        """Open a ticket; its id."""
        made = self._send("POST", "tickets/create/", by, subject=subject, description=text, priority=priority)
        return int(made["data"]["id"])

    # What anybody does; who is the requester counts as a customer, others as agents.

    def writes(self, ticket: int, text: str, *, by: str = "dana", internal: bool = False) -> int:
        """Answer, or write an internal note; its id. An agent's answer makes the ticket wait for the customer."""
        made = self._send("POST", f"tickets/{ticket}/reply/", by, body=text, is_internal_note=internal)
        return int(made["data"]["id"])

    def assigns(self, ticket: int, to: int, *, by: str = "dana") -> None:
        """Give the ticket to an agent."""
        self._send("POST", f"tickets/{ticket}/assign/", by, agent_id=to)

    def turns(self, ticket: int, status: str, *, by: str = "dana") -> None:
        """Set the status."""
        self._send("PATCH", f"tickets/{ticket}/status/", by, status=status)

    def ranks(self, ticket: int, priority: str, *, by: str = "dana") -> None:
        """Set the priority."""
        self._send("PATCH", f"tickets/{ticket}/priority/", by, priority=priority)

    def quietly(self, ticket: int, **fields: str) -> None:
        """Change fields as its own automations do: without a trace in the ticket's activities, and without a webhook."""
        changes = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        code = f"import django; django.setup()\nfrom escalated.models import Ticket as T\nT.objects.filter(pk={ticket}).update({changes})"
        self._run("-c", code)

    def _send(self, method: str, path: str, by: str, **body: Any) -> dict[str, Any]:
        url, token = f"{self.base}/support/api/v1/{path}", {"authorization": f"Bearer {self.tokens[by]}"}
        answer = httpx.request(method, url, json=body, headers=token, timeout=60)
        if answer.status_code >= 300:
            raise RuntimeError(f"{method} {path} answered {answer.status_code}:\n{answer.text[:2000]}")
        return dict(answer.json())
