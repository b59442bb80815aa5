"""A real django-helpdesk on a free port of this machine: start it, be its customers and its agents, stop it.

Its webhooks go to the one address that it is given. Migrating and seeding takes it a few seconds.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.peers.site import SitePeer

SITE = Path(__file__).parent / "helpdesk_site"
OPEN, REOPENED, RESOLVED, CLOSED, DUPLICATE = 1, 2, 3, 4, 5
CRITICAL, HIGH, NORMAL, LOW, VERY_LOW = 1, 2, 3, 4, 5
DANA, ALEX, ANN = 1, 2, 3
"""Who may log in, by the ids that the helpdesk gives them: two agents and a customer."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as its customer holds it: its number, and what opens its public page."""

    id: int
    email: str
    key: str
    title: str


class HelpdeskPeer(SitePeer):
    """The helpdesk as a process of its own; `base` is its address."""

    site, name, front, made = SITE, "helpdesk", "/", "helpdesk.sqlite3"

    def __init__(self, home: Path, hook: str = "") -> None:
        self.mail = home / "mail"
        self.mail.mkdir(parents=True, exist_ok=True)
        super().__init__(home, hook, MAIL=str(self.mail))
        self.priorities: dict[int, int] = {}

    def copied_to(self, home: Path, hook: str) -> "HelpdeskPeer":
        """Another helpdesk with this one's database, so that only the first pays for the migrations."""
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.home / "helpdesk.sqlite3", home)
        return HelpdeskPeer(home, hook)

    # What a customer does.

    def submit(self, title: str, body: str, email: str, priority: int = NORMAL) -> Ticket:
        """Fill in and send the public form."""
        with self._visit() as browser:
            page = browser.get("/tickets/submit/")
            form = {"queue": "1", "title": title, "body": body, "submitter_email": email, "priority": str(priority)}
            answer = browser.post("/tickets/submit/", data={**form, **_token(page)})
        _expect(answer, 302)
        told = parse_qs(urlsplit(answer.headers["location"]).query)
        number = int(told["ticket"][0].rpartition("-")[2])
        self.priorities[number] = priority
        return Ticket(number, email, told["key"][0], title)

    def customer_writes(self, ticket: Ticket, comment: str) -> None:
        """Log in as the customer Ann and answer on the ticket's page."""
        self.agent_writes(ticket, comment, by="ann")

    def customer_accepts(self, ticket: Ticket) -> None:
        """Follow the link by which a customer closes what was resolved."""
        with self._visit() as browser:
            _expect(browser.get("/view/", params={**self._public(ticket), "close": ""}), 302)

    def customer_mails(self, raw: bytes) -> None:
        """Put a mail into the queue's box and have it fetched. A subject with `[support-N]` answers ticket N."""
        (self.mail / "mail.eml").write_bytes(raw)
        self._run("-m", "django", "get_email", "--quiet")

    # What an agent does.

    @contextlib.contextmanager
    def login(self, name: str) -> Iterator[httpx.Client]:
        """A browser in which that person is logged in."""
        with self._visit() as browser:
            page = browser.get("/login/")
            form = {"username": name, "password": f"{name}-password", "next": "/tickets/"}
            _expect(browser.post("/login/", data={**form, **_token(page)}), 302)
            yield browser

    def agent_writes(
        self,
        ticket: Ticket,
        comment: str = "",
        *,
        by: str = "dana",
        public: bool = True,
        status: int = OPEN,
        priority: int | None = None,
        owner: int | None = None,
    ) -> None:
        """Send the form on the agent's page of a ticket: an answer, a note, a new status, priority or owner."""
        self.priorities[ticket.id] = priority or self.priorities[ticket.id]
        with self.login(by) as browser:
            page = browser.get(f"/tickets/{ticket.id}/")
            form = {
                "comment": comment,
                "new_status": str(status),
                "title": ticket.title,
                "queue": "1",
                "body": "as before",
            }
            form |= {"priority": str(self.priorities[ticket.id]), "submitter_email": ticket.email}
            form |= {"public": "1"} if public else {}
            form |= {} if owner is None else {"owner": str(owner)}
            answer = browser.post(f"/tickets/{ticket.id}/update/", data={**form, **_token(page)})
        _expect(answer, 302)

    def agent_holds(self, ticket: Ticket, *, by: str = "dana", on: bool = True) -> None:
        """Put the ticket on hold, or take it off; the helpdesk sends no webhook for that."""
        with self.login(by) as browser:
            page = browser.get(f"/tickets/{ticket.id}/")
            answer = browser.post(f"/tickets/{ticket.id}/{'hold' if on else 'unhold'}/", data=_token(page))
        _expect(answer, 302)

    def _visit(self) -> httpx.Client:
        return httpx.Client(base_url=self.base, headers={"referer": self.base}, timeout=30)

    def _public(self, ticket: Ticket) -> dict[str, str]:
        return {"ticket": f"support-{ticket.id}", "email": ticket.email, "key": ticket.key}


def _token(page: httpx.Response) -> dict[str, str]:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    if found is None:
        raise RuntimeError(f"{page.url.path} shows no form:\n{page.text[:2000]}")
    return {"csrfmiddlewaretoken": found[1]}


def _expect(answer: httpx.Response, status: int) -> None:
    if answer.status_code != status:
        raise RuntimeError(
            f"{answer.request.method} {answer.url.path} answered {answer.status_code}:\n{answer.text[:2000]}"
        )
