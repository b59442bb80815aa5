"""Real receivers on loopback for what goes out: a web server that checks signatures, and a mail server."""

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from activities.message import Address, Message

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
CERTIFICATE = Path(__file__).parent / "tls" / "localhost.pem"


@dataclass
class WebSink:
    """A web server that answers as it is told, and keeps what came: every request, and the effects, one an id."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """What to answer next; when none is left, 200 to what is signed well and 401 to the rest."""
    hang: str | None = None
    """`silent`: never a status line. `body`: a status and half a body, and then nothing."""
    body: bytes = b"{}"
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    effects: dict[str, Any] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)

    def take(self, headers: dict[str, str], content: bytes) -> tuple[int, dict[str, str]]:
        self.requests.append((headers, content))
        status, extra = self.answers.pop(0) if self.answers else (200, {})
        if status < 300:
            try:
                said = Webhook(SECRET).verify(content, headers)
            except WebhookVerificationError:
                return 401, {}
            self.effects.setdefault(headers["webhook-id"], said)
        return status, extra


@contextlib.contextmanager
def web_sink(tls: bool = False) -> Iterator[WebSink]:
    """A running `WebSink` on a free port of 127.0.0.1."""
    sink = WebSink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            if sink.hang == "silent":
                sink.released.wait(10)
                self.close_connection = True
                return
            status, extra = sink.take({k.lower(): v for k, v in self.headers.items()}, content)
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            length = len(sink.body) if sink.hang is None else len(sink.body) + 100
            self.send_header("content-length", str(length))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(sink.body)
            if sink.hang == "body":
                sink.released.wait(10)
                self.close_connection = True

        do_GET = do_POST  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is no news."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    sink.url = f"http{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{server.server_port}/hook?token=t0p"
    try:
        yield sink
    finally:
        sink.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class MailSink:
    """A mail server's inside: answers as it is told, and keeps every mail and, by `Message-ID`, its effect."""

    port: int = 0
    to_recipient: dict[str, str] = field(default_factory=dict)
    """An address and the answer to it, such as `550 5.1.1 no such user`."""
    to_data: list[str] = field(default_factory=list)
    mails: list[tuple[Envelope, EmailMessage]] = field(default_factory=list)
    effects: dict[str, EmailMessage] = field(default_factory=dict)
    hang: bool = False
    hang_at_recipient: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.hang_at_recipient:
            self.reached.set()
            await asyncio.to_thread(self.released.wait, 10)
        if address in self.to_recipient:
            return self.to_recipient[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if self.hang:
            await asyncio.to_thread(self.released.wait, 10)
        if self.to_data:
            return self.to_data.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((envelope, mail))
        self.effects.setdefault(str(mail["Message-ID"]), mail)
        return "250 2.0.0 taken"


class AnyPort(Controller):
    """A controller on a port that the system chooses."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def mail_sink(**options: Any) -> Iterator[MailSink]:
    """A running `MailSink` on a free port of 127.0.0.1; the options are aiosmtpd's."""
    sink = MailSink()
    controller = AnyPort(sink, hostname="127.0.0.1", port=0, ready_timeout=10, **options)
    controller.start()
    sink.port = controller.port
    try:
        yield sink
    finally:
        sink.released.set()
        controller.stop()


def server_tls() -> ssl.SSLContext:
    """The certificate of `localhost`, which nobody trusts who was not told to (`SSL_CERT_FILE`)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def only(user: bytes, password: bytes) -> Any:
    """An authenticator that lets one user in."""

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (user, password), handled=False)

    return check


def message(
    channel: str = "log", key: str = "incident/desk/4711/escalation/response/75%/1/dana", **more: Any
) -> Message:
    """A message to Dana."""
    said: dict[str, Any] = {
        "key": key,
        "incident": "incident/desk/4711",
        "kind": "escalation",
        "clock": "response",
        "step": "75%",
        "clause": "X01",
        "channel": channel,
        "to": (Address(id="dana", name="Dana", address="dana@support.example"),),
        "subject": "30 min left for response on 4711",
        "text": "75% is used.\n\nTake it: pactkeeper ack 4711 --by dana",
        "at": "2031-07-11T23:30:00Z",
        "data": {"target": "2 business hours"},
    }
    return Message.model_validate(said | more)


def log_lines(state: Path) -> list[dict[str, Any]]:
    """What stands in the log channel's file."""
    return [json.loads(line) for line in (state / "notices.jsonl").read_text().splitlines()]
