"""The helpdesks that stand in for the real ones: their deliveries, their answers as documented, and what their pages tell to write."""

import copy
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities.helpdesks.client import Helpdesk
from sla.intake import Adapter, Told
from sla.signing import BadSignature, Hook
from sla.source import Source

HERE = Path(__file__).parent
MARK = "[pactkeeper:0123456789abcdef]"
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.lists(st.integers(), max_size=2),
    st.sampled_from((
        10**300, "x" * 5000, "<" * 3000, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "\u202e\x00<!channel>\r\nBcc: a",
        [], {}, [None, 1, {}], {"id": []}, "{status:{from:,to:}}", "{a:{from:{from:1,to:2},to:",
    )),
)  # fmt: skip
"""What may stand anywhere in a body instead of what belongs there."""


@dataclass(frozen=True)
class StandIn:
    """A helpdesk, how it is read, and how its API is asked."""

    adapter: Adapter
    sources: tuple[Source, ...]
    """With its API, and without."""
    now: datetime
    bodies: tuple[str, ...]
    whole: Callable[[], dict[str, Any]]
    """A ticket as the API client hands it over."""
    client: Callable[[HTTPServer], Helpdesk]
    path: str
    """Where the API has a ticket, with its `{id}`."""
    ticket: str
    loses: Callable[[HTTPServer], list[Any]]
    """Has the API keep every note for that ticket, in this list, and answer the first with 504 for all that."""
    missing: Any = None
    """What it says of a ticket that is not there."""

    def delivery(self, name: str) -> Any:
        """A delivery as it came."""
        return delivery(self.adapter.kind, name)

    def story(self, ticket: Any = None, source: Source | None = None) -> Told:
        """What a ticket read over the API tells."""
        assert self.adapter.story is not None
        found = self.adapter.story(ticket or self.whole(), source or self.sources[0], self.now)
        assert found is not None
        return found


@dataclass(frozen=True)
class Listing:
    """How the API of a kind of helpdesk lists its tickets, from when each changed last, and hands over one of them."""

    path: str
    list: Callable[[Mapping[str, str]], Any]
    ticket: Callable[[str, str], Any]
    """An id and when it changed last, into what all the other paths answer with."""
    id: str = r"(?:tickets?/|issue/|incidents/|ts=\d+\.0*)(\d)\b"
    """Where the path, or what is posted there, names the ticket."""


def stamp(at: str) -> str:
    """A moment as Slack writes it."""
    return f"{datetime.fromisoformat(at).timestamp():.6f}"


def rows(times: Mapping[str, str], **names: str) -> list[dict[str, str]]:
    """A row for each ticket, its id and its last change under these names."""
    return [{names["id"]: id, names["at"]: at} for id, at in times.items()]


LISTINGS = {
    "zendesk": Listing(
        "/api/v2/incremental/tickets/cursor",
        lambda times: {
            "tickets": [{**row, "generated_timestamp": int(float(stamp(row["at"])))} for row in rows(times, id="id", at="at")],
            "end_of_stream": True,
        },
        lambda id, at: {"audits": []},
    ),
    "freshdesk": Listing(
        "/api/v2/tickets",
        lambda times: rows(times, id="id", at="updated_at"),
        lambda id, at: {"id": id, "updated_at": at},
    ),
    "jira": Listing(
        "/rest/api/3/search/jql",
        lambda times: {"issues": [{"key": id, "fields": {"updated": at}} for id, at in times.items()]},
        lambda id, at: {"values": [], "comments": [], "total": 0},
    ),
    "zammad": Listing(
        "/api/v1/tickets/search",
        lambda times: rows(times | {"0": "2031-01-01T00:00:00Z"}, id="id", at="updated_at"),
        lambda id, at: {"id": id, "updated_at": at},
    ),
    "django-helpdesk": Listing(
        "/api/followups/",
        lambda times: {"count": len(times), "results": rows(times, id="ticket", at="date")},
        lambda id, at: {"id": id, "modified": at},
    ),
    "escalated-django": Listing(
        "/support/api/v1/tickets/",
        lambda times: {"data": rows(times, id="id", at="updated_at"), "meta": {"last_page": 1}},
        lambda id, at: {"data": {"id": id, "updated_at": at}},
    ),
    "request-tracker": Listing(
        "/REST/2.0/tickets",
        lambda times: {"items": rows(times, id="id", at="LastUpdated")},
        lambda id, at: {"id": id, "LastUpdated": at, "items": []},
    ),
    "slack": Listing(
        "/api/conversations.history",
        lambda times: {
            "ok": True,
            "messages": [{"ts": f"1941000000.{int(id):06}", "latest_reply": stamp(at)} for id, at in times.items()],
        },
        lambda id, at: {"ok": True, "user_id": "U0PACT", "messages": [{"ts": f"1941000000.{int(id):06}"}, {"ts": stamp(at)}]},
    ),
    "pagerduty": Listing(
        "/log_entries",
        lambda times: {
            "log_entries": [
                {"type": "acknowledge_log_entry", "created_at": at, "incident": {"id": id, "title": "a"}}
                for id, at in times.items()
            ],
        },
        lambda id, at: {"incident": {"id": id, "updated_at": at}},
    ),
}  # fmt: skip


def moving(server: HTTPServer, kind: str, times: dict[str, str], then: Mapping[str, str]) -> None:
    """Have a server list these tickets of a kind of helpdesk; as soon as it did, some change again."""
    listing = LISTINGS[kind]

    def handler(request: Request) -> Response:
        if request.path == listing.path:
            if " AND id > " in request.args.get("query", ""):
                return answers({"items": []})  # what Request Tracker has behind the last
            found = listing.list(dict(times))
            times.update(then)
            return answers(found)
        named = re.search(listing.id, f"{request.path}?{request.get_data(as_text=True)}")
        id = named[1] if named else ""
        return answers(listing.ticket(id or "0", times.get(id, next(iter(times.values())))))

    server.expect_request(re.compile(".*")).respond_with_handler(handler)


def delivery(kind: str, name: str) -> Any:
    """A delivery of a kind of helpdesk, as it came."""
    return json.loads((HERE / "deliveries" / kind / f"{name}.json").read_text(encoding="utf-8"))


def said(told: Told) -> list[tuple[str, str]]:
    """The events of some words with their moments."""
    return [(one.event.event, one.occurred_at.strftime("%H:%M:%S")) for one in told.words]


def answers(body: Any, status: int = 200) -> Response:
    """JSON, from a handler."""
    return Response(json.dumps(body), status, content_type="application/json")


def losing(kept: list[Any]) -> Callable[[Request], Response]:
    """A handler that keeps what is posted, and whose answer never comes through."""

    def taken(request: Request) -> Response:
        kept.append(request.get_json())
        return Response(b"", 504)

    return taken


def spoilt(data: st.DataObject, body: Any) -> Any:
    """The same with something odd in a few places, or instead of all of it."""
    for _ in range(data.draw(st.integers(1, 4))):
        path, leaf = data.draw(st.sampled_from(list(places(body)))), data.draw(ODD)
        if not path:
            return leaf
        body = at = copy.deepcopy(body)
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = leaf
    return body


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in items:
        yield from places(one, (*path, name))


def hook(raw: bytes, now: datetime, **headers: str) -> Hook:
    """A request with these headers (`_` for `-`)."""
    return Hook({name.replace("_", "-"): value for name, value in headers.items()}, raw, now)


def opens(adapter: Adapter, given: Hook, secrets: tuple[str, ...]) -> bool:
    """Whether it is taken for signed by one of the secrets."""
    try:
        adapter.verify(given, secrets)
    except BadSignature:
        return False
    return True


def page(kind: str) -> str:
    """The page of documentation for a kind of source."""
    return (HERE.parent / "docs" / "sources" / f"{kind}.md").read_text(encoding="utf-8")


def told_to_write(kind: str) -> tuple[Any, Any]:
    """The file of a source and its entry of secrets, as the page has them."""
    file, secrets = (
        yaml.safe_load(re.sub(r"…|THE-[A-Z-]+", "x" * 32, textwrap.dedent(one)))
        for one in re.findall(r"```yaml\n(.+?)```", page(kind), re.DOTALL)
    )
    return file, secrets
