"""PagerDuty's Events API v2, and the log entries of its REST API v2, on this machine, made after its documentation.

An alert is known by service and `dedup_key` while it is open; a trigger for one that is resolved opens a new one, and what
acknowledges or resolves none that is open is dropped. A log entry is what somebody did with an incident.
"""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pytest_httpserver import HTTPServer
from pytest_httpserver.httpserver import METHOD_ALL
from werkzeug import Request, Response

KEY, OTHER_KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3", "ffffffffffffffffffffffffffffffff"
HANGS = "hangs"
"""Done, but never answered."""


@dataclass
class Alert:
    """One alert: whom it would page is told by `status`."""

    service: str
    dedup_key: str
    status: str
    triggers: list[dict[str, Any]]


@dataclass
class PagerDutyPeer:
    """The services behind the keys, and their alerts in the order in which they were opened."""

    url: str = ""
    alerts: list[Alert] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    next: list[tuple[int, dict[str, str]] | str] = field(default_factory=list)
    """What to answer next: a status with headers, and nothing is done, or `hangs`."""
    released: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Request) -> Response:
        fate = self.next.pop(0) if self.next else ""
        if isinstance(fate, tuple):
            return Response("{}", fate[0], fate[1], "application/json")
        event = request.get_json()
        errors = faults(event)
        if errors:
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return Response(json.dumps(said), 400, content_type="application/json")
        self.events.append(event)
        self.take(event)
        if fate == HANGS:
            self.released.wait(10)
        said = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        return Response(json.dumps(said), 202, content_type="application/json")

    def take(self, event: dict[str, Any]) -> None:
        """What the event does."""
        service, key, action = event["routing_key"], event["dedup_key"], event["event_action"]
        known = next(
            (a for a in self.alerts if (a.service, a.dedup_key) == (service, key) and a.status != "resolved"), None
        )
        if action == "trigger":
            if known is None:
                self.alerts.append(Alert(service, key, "triggered", [event]))
            else:
                known.triggers.append(event)
        elif known is not None:
            known.status = "resolved" if action == "resolve" else "acknowledged"


def faults(event: dict[str, Any]) -> list[str]:
    """What PagerDuty would refuse of an event."""
    wrong = [] if len(str(event.get("routing_key"))) == 32 else ["'routing_key' is invalid"]
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        wrong.append("'event_action' is invalid")
    if not 0 < len(str(event.get("dedup_key") or "")) <= 255:
        wrong.append("'dedup_key' is invalid")
    if event.get("event_action") == "trigger":
        payload = event.get("payload") or {}
        wrong += [f"'payload.{name}' is missing" for name in ("summary", "source", "severity") if not payload.get(name)]
        if len(payload.get("summary", "")) > 1024:
            wrong.append("'payload.summary' is too long")
        if payload.get("severity") not in ("critical", "error", "warning", "info"):
            wrong.append("'payload.severity' is invalid")
        wrong += ["'links' are invalid" for link in event.get("links", []) if not link.get("href")]
    return wrong


ACCOUNT = "https://acme.pagerduty.com"
API_KEY = "u+test-NbAkKc66ryYTWUXYEu"
DANA, ELI = ("PDANA01", "Dana Ruiz"), ("PELI001", "Eli Park")
SERVICE = {"id": "PF9KMXH", "type": "service_reference", "summary": "Support escalations"}


def user(person: tuple[str, str]) -> dict[str, str]:
    """A reference to one of PagerDuty's users."""
    id, name = person
    return {"id": id, "type": "user_reference", "summary": name, "html_url": f"{ACCOUNT}/users/{id}"}


@dataclass
class PagerDutyRest:
    """Incidents and what was done with them. Its clock runs in the account's time zone unless another is asked for."""

    url: str = ""
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    me: dict[str, str] | None = None
    """Whose key it is; None: the account's, which is nobody's."""
    includes: bool = True
    """Whether `include[]=incidents` is heeded."""
    most: int = 10_000
    next: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def incident(self, id: str, key: str | None, title: str = "", service: dict[str, str] = SERVICE) -> None:
        """An incident of that key, or of none as where a service makes alerts as well."""
        self.incidents[id] = {
            "id": id, "type": "incident", "summary": f"[#{len(self.incidents) + 1}] {title}", "status": "triggered",
            "html_url": f"{ACCOUNT}/incidents/{id}", "incident_key": key, "title": title, "service": service,
        }  # fmt: skip

    def did(self, incident: str, what: str, at: str, by: tuple[str, str] | None = None, **more: Any) -> None:
        """A log entry of a person's, or, where `by` is None, of an integration's."""
        agent = user(by) if by else {"id": "PIJ90N7", "type": "service_reference", "summary": "Events API V2"}
        id = f"R{len(self.log):025d}"
        self.log.append({
            "id": id, "type": f"{what}_log_entry", "summary": what, "created_at": at, "agent": agent,
            "channel": {"type": "website" if by else "api"}, "service": SERVICE, "teams": [], "contexts": [],
            "html_url": f"{ACCOUNT}/incidents/{incident}/log_entries/{id}", "incident": incident, **more,
        })  # fmt: skip

    def answer(self, request: Request) -> Response:
        self.asked.append(request.full_path)
        if self.next:
            status, headers = self.next.pop(0)
            return _json({"error": {"message": "no"}}, status, headers)
        if request.headers.get("Authorization") != f"Token token={API_KEY}":
            return _json({"error": {"message": "Unauthorized", "code": 2006}}, 401)
        assert request.method == "GET", "nothing is ever written there"
        match request.path.strip("/").split("/"):
            case ["users", "me"]:
                told = {"error": {"message": "Please provide a user level access token", "code": 2001}}
                return _json(told, 400) if self.me is None else _json({"user": self.me})
            case ["log_entries"]:
                return self._page(request, self.log)
            case ["incidents", id] if id in self.incidents:
                return _json({"incident": self.incidents[id]})
            case ["incidents", id, "log_entries"] if id in self.incidents:
                return self._page(request, [one for one in self.log if one["incident"] == id])
        return _json({"error": {"message": "Not Found", "code": 2100}}, 404)

    def _page(self, request: Request, log: list[dict[str, Any]]) -> Response:
        """The newest first, at most 100 of them, and none beyond the most that PagerDuty pages through."""
        limit, offset = int(request.args.get("limit", 25)), int(request.args.get("offset", 0))
        if limit > 100 or offset + limit > self.most:
            return _json({"error": {"message": "Invalid Input Provided", "code": 2001}}, 400)
        since, until = (request.args.get(name, type=datetime.fromisoformat) for name in ("since", "until"))
        found = sorted(log, key=_at, reverse=True)
        found = [one for one in found if (not since or _at(one) >= since) and (not until or _at(one) <= until)]
        told = [self._told(one, request) for one in found[offset : offset + limit]]
        more = offset + limit < len(found)
        return _json({"log_entries": told, "limit": limit, "offset": offset, "more": more, "total": None})

    def _told(self, one: dict[str, Any], request: Request) -> dict[str, Any]:
        whole = self.incidents[one["incident"]]
        short = {name: whole[name] for name in ("id", "summary", "html_url")} | {"type": "incident_reference"}
        included = self.includes and "incidents" in request.args.getlist("include[]")
        at = (
            _at(one) if request.args.get("time_zone") == "UTC" else _at(one).astimezone(ZoneInfo("America/Los_Angeles"))
        )
        told = at.isoformat().replace("+00:00", "Z")
        return {**one, "incident": whole if included else short, "created_at": told}


def _at(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["created_at"]).astimezone(UTC)


def _json(told: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(told), status, headers, "application/json")


P = TypeVar("P", PagerDutyPeer, PagerDutyRest)


@contextlib.contextmanager
def pagerduty_server() -> Iterator[Callable[[], PagerDutyPeer]]:
    """A running Events API on a free port of 127.0.0.1: each call empties it, and gives what it holds from now on."""
    with _running(PagerDutyPeer, "/v2/enqueue", "/v2/enqueue", "POST") as fresh:
        yield fresh


@contextlib.contextmanager
def pagerduty_rest() -> Iterator[Callable[[], PagerDutyRest]]:
    """A running REST API, likewise."""
    with _running(PagerDutyRest, re.compile(".*"), "", METHOD_ALL) as fresh:
        yield fresh


@contextlib.contextmanager
def _running(kind: type[P], paths: str | re.Pattern[str], place: str, method: str) -> Iterator[Callable[[], P]]:
    now: list[P] = []

    def answer(request: Request) -> Response:
        return now[-1].answer(request)

    server = HTTPServer(host="127.0.0.1", port=0, threaded=True)
    server.expect_request(paths, method=method).respond_with_handler(answer)
    server.start()

    def fresh() -> P:
        peer = kind()
        peer.url = f"http://127.0.0.1:{server.port}{place}"
        now.append(peer)
        return peer

    try:
        yield fresh
    finally:
        for peer in now:
            peer.released.set()
        server.stop()
