"""What every helpdesk's client is and can: read what changed, read one ticket, write to one. And the JSON that they all speak.

A ticket is handed over as plain JSON data, all that the adapter of its kind needs to tell its story (`Adapter.story`).
"""

import json
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from activities import http
from activities.settings import origin

CONNECT = 5.0
TOTAL = 20.0
REFUSED = "_refused"
"""Under this a ticket of a round tells why it alone can't be read (a HelpdeskRefused or HelpdeskUnavailable)."""
TICKET = "_ticket"
"""Under this such a ticket tells its id; nothing else is in it. Without one it is no ticket that can be read by itself."""
_LATER = frozenset({408, 409, 412, 423, 425, 429})


class HelpdeskUnavailable(Exception):
    """It can't be asked just now. One sentence; `retry_after` seconds where it named a time.

    `of_one`: it was reached and named no time, so it may be only what was asked for that fails, whatever else works.
    """

    def __init__(self, sentence: str, retry_after: float | None = None, *, of_one: bool = False) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        self.of_one = of_one


class HelpdeskRefused(Exception):
    """It will say the same until somebody changes a setting or a right. One sentence. `status`: what it answered."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Account:
    """Where a helpdesk's API is and as whom we use it. Which of `user` and `token` are needed, its client says."""

    url: str
    """Without a slash at its end."""
    user: str = ""
    token: str = field(default="", repr=False)
    due_field: str | None = None
    channels: tuple[str, ...] = ()
    """Which of its channels are read, for one that has to be asked channel by channel; left out: all."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What is to stand in a ticket. Done again it changes nothing: the note carries its mark, the rest are values."""

    key: str
    note: str | None = None
    """An internal note, plain text. Its mark stands at its end."""
    mark: str = ""
    """`[pactkeeper:0123456789abcdef]`, made from the key: a ticket that has it already gets no second note."""
    assignee: str | None = None
    """The agent, as the helpdesk itself calls them (an id or an address)."""
    priority: str | None = None
    """The helpdesk's own name or number of the priority."""
    due: datetime | None = None
    tags: tuple[str, ...] = ()
    """To be added; those that are there stay."""


class Helpdesk(Protocol):
    """One connected helpdesk. Every method raises HelpdeskUnavailable or HelpdeskRefused, and nothing else."""

    def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Each ticket that changed at `since` or later, the one that changed first before the others, whole.

        Each has a key `_changed` (ISO 8601): the time by which they are sorted, so that all that changed up to it was handed
        over, and the next round may begin there. It is the list's time, though the ticket may have changed again until it
        was read. One that alone can't be read has `REFUSED`, and keeps no other back. Where not all that changed can be
        handed over, it raises.
        """

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One ticket, whole; None: there is none of that id."""

    async def write(self, id: str, writing: Writing) -> str:
        """Write into a ticket; half a sentence on what was written. Written before, it is not written again."""

    async def check(self) -> str:
        """Whether we may read and write: one sentence that says as whom. Nothing is changed."""


@dataclass(frozen=True)
class Json:
    """JSON over HTTP to one helpdesk."""

    account: Account
    headers: Mapping[str, str] = field(repr=False)
    title: str = "the helpdesk"

    async def get(self, path: str, **query: str | int) -> Any:
        """The JSON at a path.

        Raises:
            HelpdeskUnavailable, HelpdeskRefused: status 404 is refused with `status=404`.
        """
        asked = f"?{urlencode(query)}" if query else ""
        return await self.send("GET", f"{path}{asked}")

    async def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send JSON; the JSON that comes back, None where nothing does. Redirects are not followed."""
        url = path if path.startswith(("https://", "http://")) else f"{self.account.url}{path}"
        if origin(url) != origin(self.account.url):
            raise HelpdeskRefused(f"{self.title} names a page elsewhere; it is not followed")
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        kind = {} if content is None else {"content-type": "application/json"}
        told = {"accept": "application/json", "user-agent": "Pactkeeper", **kind, **self.headers, **(headers or {})}
        where = f"{self.title} at {origin(self.account.url)}"
        try:
            answer = await http.request(method, url, content, told, connect=CONNECT, total=TOTAL)
        except http.NoAnswer as silence:
            raise HelpdeskUnavailable(f"{where} {silence}", of_one=isinstance(silence, http.Silence)) from None
        if answer.status in _LATER or answer.status >= 500:
            of_one = answer.status != 429 and answer.retry_after is None
            raise HelpdeskUnavailable(f"{where} answered {answer.status}", answer.retry_after, of_one=of_one)
        if not 200 <= answer.status < 300:
            raise HelpdeskRefused(f"{where} answered {answer.status}", answer.status)
        if not answer.whole and len(answer.body) >= http.MAX_PAGE:
            raise HelpdeskRefused(f"{where} answered with more than {http.MAX_PAGE >> 20} MiB", 413)
        if not answer.whole:
            raise HelpdeskUnavailable(f"{where} broke off", of_one=True)
        try:
            return whole(json.loads(answer.body)) if answer.body.strip() else None
        except (ValueError, RecursionError):
            raise HelpdeskRefused(f"{where} answered with something that is no JSON") from None


async def alone(reading: Awaitable[dict[str, Any] | None], id: str, what: str = "ticket") -> dict[str, Any] | None:
    """A ticket of a round; told under `REFUSED` where it can't be read, unless that is said of the account or the helpdesk.

    `what`: where it is not a ticket that is read, but what tickets are looked for in; that may be refused alone.

    Raises:
        HelpdeskUnavailable, HelpdeskRefused: as it is read; for the helpdesk's and the account's own sake alone.
    """
    ticket = {TICKET: id} if what == "ticket" else {}
    try:
        return await reading
    except HelpdeskRefused as refused:
        if refused.status == 401:
            raise
        return {REFUSED: HelpdeskRefused(f"{what} {id[:80]}: {refused}", refused.status), **ticket}
    except HelpdeskUnavailable as error:
        if not error.of_one or not ticket:
            raise
        return {REFUSED: HelpdeskUnavailable(f"{what} {id[:80]}: {error}", of_one=True), **ticket}


def whole(value: Any) -> Any:
    """Without halves of characters, as a text has them that was cut somewhere: nothing later could write them down."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.loads(text.encode("utf-8", "replace"))
    return value


def listed(value: Any, *path: str) -> Sequence[dict[str, Any]]:
    """The objects of a list that lies under a path; none where there is no list."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
