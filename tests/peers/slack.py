"""A Slack on this machine, made after its documentation: messages, threads, metadata, limits, and errors as `ok: false`.

Methods that read take a form alone, as Slack's do. `next` says what becomes of the calls to come.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

TOKEN = "xoxb-0000-of-these-tests"
BEGINS = 1_941_579_000
"""2031-07-11T23:30:00Z: the `ts` of messages counts up from here, a second each."""
READS = ("conversations.history", "conversations.replies", "users.conversations", "auth.test")
ME = {
    "url": "https://acme.slack.com/",
    "team": "Acme",
    "user": "pactkeeper",
    "team_id": "T0ACME",
    "user_id": "U0PACT",
    "bot_id": "B0PACT",
}
HANGS, LOST, LIMITED = "hangs", "lost", "limited"
"""Done, but never answered; not done and not answered well (500); not done: 429 with Retry-After."""


@dataclass
class SlackPeer:
    """What a workspace holds, and how it answers."""

    base: str = ""
    channels: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"C0123ABCD": [], "C0999ZZZZ": []})
    people: dict[str, str] = field(default_factory=lambda: {"U0DANA": "D0DANA"})
    """Users, and the conversation with each."""
    absent: set[str] = field(default_factory=set)
    """Channels in which the app is not."""
    without_scope: set[str] = field(default_factory=set)
    """Methods that the token may not call."""
    page: int = 200
    next: list[str] = field(default_factory=list)
    """What becomes of the next calls that write: an error's name, or one of those above; empty: all is well."""
    reading: dict[str, list[str]] = field(default_factory=dict)
    """The same for the methods that read, each by its name."""
    me: dict[str, str] = field(default_factory=lambda: dict(ME))
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    count: int = 0

    def all(self) -> list[dict[str, Any]]:
        """Every message that stands anywhere, the oldest first."""
        return sorted((m for messages in self.channels.values() for m in messages), key=lambda m: float(m["ts"]))

    def parents(self) -> list[dict[str, Any]]:
        return [m for m in self.all() if m.get("thread_ts", m["ts"]) == m["ts"]]

    def below(self, parent: dict[str, Any]) -> list[dict[str, Any]]:
        return [m for m in self.all() if m.get("thread_ts") == parent["ts"] != m["ts"]]

    def says(self, channel: str, user: str, text: str, at: float, below: str | None = None, **more: Any) -> str:
        """Somebody writes at a time, below a message or at the top; the message's `ts`."""
        self.count += 1
        ts = f"{int(at)}.{self.count:06}"
        here = self.channels.setdefault(channel, [])
        first = next((m for m in here if m["ts"] == below), None)
        hangs = {} if below is None else {"thread_ts": below}
        parent = {"parent_user_id": first["user"]} if first else {}
        here.append({"type": "message", "user": user, "text": text, "ts": ts, **hangs, **parent, **more})
        if first is not None:
            count = first.get("reply_count", 0) + 1
            first |= {"thread_ts": below, "reply_count": count, "latest_reply": max(ts, first.get("latest_reply", ""))}
        return ts

    def answer(self, request: Request) -> Response:
        method = request.path.rpartition("/")[2]
        form = request.content_type.startswith("application/x-www-form-urlencoded")
        raw = request.get_data()
        said = {name: values[0] for name, values in parse_qs(raw.decode()).items()} if form else json.loads(raw)
        self.calls.append((method, said))
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._no("invalid_auth")
        if method in self.without_scope:
            return self._no("missing_scope", needed="channels:history,groups:history", provided="chat:write")
        if method in READS and not form:
            return self._no("channel_not_found")  # JSON is not read there, so the channel is missing.
        fates = self.reading.get(method, []) if method in READS else self.next
        fate = fates.pop(0) if fates else ""
        if fate == LIMITED:
            return Response('{"ok":false,"error":"ratelimited"}', 429, {"Retry-After": "7"}, "application/json")
        if fate == LOST:
            return Response("upstream", 500)
        if fate and fate != HANGS:
            return self._no(fate)
        if method in READS:
            return self._read(method, said)
        done = {"chat.postMessage": self._post, "chat.update": self._update, "conversations.open": self._open}[method](
            said
        )
        if fate == HANGS:
            self.released.wait(10)
        return done

    def _post(self, said: dict[str, Any]) -> Response:
        channel = self.people.get(said["channel"], said["channel"])
        if channel not in self.channels and channel not in self.people.values():
            return self._no("channel_not_found")
        if channel in self.absent:
            return self._no("not_in_channel")
        if error := unfit(said):
            return self._no(error)
        here = self.channels.setdefault(channel, [])
        thread = said.get("thread_ts")
        if thread is not None and not any(m["ts"] == thread for m in here):
            return self._no("thread_not_found")
        self.count += 1
        ts = f"{BEGINS + self.count}.{self.count:06}"
        kept = {k: said[k] for k in ("text", "blocks", "metadata") if k in said}
        broadcast = {"subtype": "thread_broadcast"} if said.get("reply_broadcast") else {}
        threaded = {} if thread is None else {"thread_ts": thread}
        here.append(
            {"type": "message", "bot_id": "B0PACT", "user": "U0PACT", "ts": ts, **threaded, **broadcast, **kept}
        )
        return self._yes(channel=channel, ts=ts, message=here[-1])

    def _update(self, said: dict[str, Any]) -> Response:
        if said["channel"] not in self.channels:
            return self._no("channel_not_found")
        found = next((m for m in self.channels[said["channel"]] if m["ts"] == said["ts"]), None)
        if found is None:
            return self._no("message_not_found")
        if error := unfit(said):
            return self._no(error)
        found |= {k: said[k] for k in ("text", "blocks", "metadata") if k in said} | {"edited": {"user": "U0PACT"}}
        return self._yes(channel=said["channel"], ts=said["ts"], text=said["text"])

    def _open(self, said: dict[str, Any]) -> Response:
        if said["users"] not in self.people:
            return self._no("user_not_found")
        return self._yes(channel={"id": self.people[said["users"]]})

    def _read(self, method: str, said: dict[str, Any]) -> Response:
        if method == "auth.test":
            return self._yes(**self.me)
        if method == "users.conversations":
            return self._page("channels", [{"id": one} for one in self.channels if one not in self.absent], said)
        if said.get("channel") not in self.channels:
            return self._no("channel_not_found")
        if said["channel"] in self.absent:
            return self._no("not_in_channel")
        here = self.channels[said["channel"]]
        if method == "conversations.replies":
            shown = [m for m in here if said["ts"] in (m["ts"], m.get("thread_ts"))]
            if not shown:
                return self._no("thread_not_found")
        else:
            oldest = float(said.get("oldest", 0))
            top = [m for m in here if m.get("thread_ts", m["ts"]) == m["ts"] or m.get("subtype") == "thread_broadcast"]
            shown = [m for m in reversed(top) if float(m["ts"]) > oldest]
        if said.get("include_all_metadata") != "true":
            shown = [{k: v for k, v in m.items() if k != "metadata"} for m in shown]
        return self._page("messages", shown, said)

    def _page(self, name: str, shown: list[dict[str, Any]], said: dict[str, Any]) -> Response:
        start, size = int(said.get("cursor") or 0), min(int(said.get("limit", 100)), self.page)
        further = str(start + size) if start + size < len(shown) else ""
        there = {name: shown[start : start + size]}
        return self._yes(**there, has_more=bool(further), response_metadata={"next_cursor": further})

    @staticmethod
    def _no(error: str, **told: Any) -> Response:
        return Response(json.dumps({"ok": False, "error": error, **told}), 200, content_type="application/json")

    @staticmethod
    def _yes(**told: Any) -> Response:
        return Response(json.dumps({"ok": True, **told}), 200, content_type="application/json")


def unfit(said: dict[str, Any]) -> str:
    """The error for a message beyond Slack's limits; empty: it fits."""
    if not said.get("text"):
        return "no_text"
    if len(said["text"]) > 4000:
        return "msg_too_long"
    blocks = said.get("blocks", [])
    if len(blocks) > 50 or len(json.dumps(blocks)) > 13_000:
        return "msg_blocks_too_long"
    for block in blocks:
        texts = [block["text"]] if "text" in block else []
        limits = [(one, 3000) for one in texts] + [(one, 2000) for one in block.get("fields", [])]
        limits += [(one, 2000) for one in block.get("elements", []) if block["type"] == "context"]
        if len(block.get("fields", [])) > 10 or any(not 0 < len(one["text"]) <= most for one, most in limits):
            return "invalid_blocks"
        buttons = block["elements"] if block["type"] == "actions" else []
        if any(len(b["value"]) > 2000 or len(b["action_id"]) > 255 or len(b["text"]["text"]) > 75 for b in buttons):
            return "invalid_blocks"
    metadata = said.get("metadata")
    if metadata is not None and not (metadata.get("event_type") and isinstance(metadata.get("event_payload"), dict)):
        return "invalid_metadata_format"
    return ""


@contextlib.contextmanager
def slack_server() -> Iterator[Callable[[], SlackPeer]]:
    """A running Slack on a free port of 127.0.0.1: each call empties it, and gives what it holds from now on."""
    now: list[SlackPeer] = []

    def answer(request: Request) -> Response:
        return now[-1].answer(request)

    server = HTTPServer(host="127.0.0.1", port=0, threaded=True)
    for method in ("chat.postMessage", "chat.update", "conversations.open", *READS):
        server.expect_request(f"/api/{method}", method="POST").respond_with_handler(answer)
    server.start()

    def fresh() -> SlackPeer:
        peer = SlackPeer()
        peer.base = f"http://127.0.0.1:{server.port}/api"
        now.append(peer)
        return peer

    try:
        yield fresh
    finally:
        for peer in now:
            peer.released.set()
        server.stop()
