"""PagerDuty's Events API v2 on this machine, made after its documentation.

An alert is known by service and `dedup_key` while it is open; a trigger for one that is resolved opens a new one, and what
acknowledges or resolves none that is open is dropped.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
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


@contextlib.contextmanager
def pagerduty_server() -> Iterator[Callable[[], PagerDutyPeer]]:
    """A running Events API on a free port of 127.0.0.1: each call empties it, and gives what it holds from now on."""
    now: list[PagerDutyPeer] = []

    def answer(request: Request) -> Response:
        return now[-1].answer(request)

    server = HTTPServer(host="127.0.0.1", port=0, threaded=True)
    server.expect_request("/v2/enqueue", method="POST").respond_with_handler(answer)
    server.start()

    def fresh() -> PagerDutyPeer:
        peer = PagerDutyPeer()
        peer.url = f"http://127.0.0.1:{server.port}/v2/enqueue"
        now.append(peer)
        return peer

    try:
        yield fresh
    finally:
        for peer in now:
            peer.released.set()
        server.stop()
