"""A real escalated-django on a free port of this machine: start it, be its customers and its agents, stop it.

Everybody acts by its API, each with a token of their own. Its webhooks go, signed, to the one address that it is given, from
within the request that made them. Migrating and seeding takes it some fifteen seconds.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

SITE = Path(__file__).parent / "escalated_site"
SECRET = "whsec-of-this-escalated-alone"
DANA, ALEX, ANN, BOB, ROBOT = 1, 2, 3, 4, 5
"""Who may log in, by the ids that the helpdesk gives them: two agents, two customers of Acme, and the user as whom we write."""


class EscalatedPeer:
    """The helpdesk as a process of its own; `base` is its address."""

    def __init__(self, home: Path, hook: str = "") -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "ESCALATED_"))},
            "DJANGO_SETTINGS_MODULE": "escalated_settings",
            "PYTHONPATH": str(SITE),
            "ESCALATED_HOME": str(home),
            "ESCALATED_HOOK": hook,
            "ESCALATED_SECRET": SECRET,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.tokens: dict[str, str] = {}

    def start(self) -> Self:
        """Make and fill the database, and serve; returns when a page answers."""
        if not (self.home / "tokens.json").exists():
            self._run("-m", "django", "migrate", "-v0")
            self._run(str(SITE / "escalated_seed.py"))
        self.tokens = json.loads((self.home / "tokens.json").read_text())
        command = [sys.executable, "-m", "django", "runserver", f"127.0.0.1:{self.port}", "--noreload", "--skip-checks"]
        with (self.home / "server.log").open("wb") as log:
            self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.base}/support/api/v1/tickets/", timeout=10)
                return self
            time.sleep(0.05)  # between two looks at another process
        self.stop()
        raise RuntimeError(f"escalated-django did not start:\n{(self.home / 'server.log').read_text()[-3000:]}")

    def stop(self) -> None:
        """End the process; its database stays in `home`."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

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

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [sys.executable, *command], env=self.environ, capture_output=True, timeout=120, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr.decode()[-3000:]}")
