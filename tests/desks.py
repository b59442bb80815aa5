"""The helpdesks that stand in for the real ones: their deliveries, their answers as documented, and what their pages tell to write."""

import copy
import json
import re
import textwrap
from collections.abc import Callable, Iterator
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
