"""The e-mail channel against a real mail server."""

import asyncio
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.courier import Address, ChannelRefused, ChannelUnavailable, Courier
from activities.mail import compose, mailbox, message_id
from activities.settings import CourierSettings, SmtpServer
from activities.smtp import Conversation
from tests.receivers import CERTIFICATE, MailSink, mail_sink, message, only, server_tls

SENDER = "support@tromzo.example"
NOW = datetime(2031, 7, 12, tzinfo=UTC)
DANA = Address(id="dana", name="Dana", address="dana@support.example")
ERIN = Address(id="erin", address="erin@support.example")


def plain(mail: EmailMessage) -> str:
    """The mail's text; it stands before the page."""
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    text = mail.get_body(("plain",))
    assert text is not None
    return str(text.get_content())


def courier(state: Path, mail: MailSink, seconds: float = 10, host: str = "127.0.0.1", **server: Any) -> Courier:
    """A courier whose only channel beside the log is this mail server."""
    smtp = SmtpServer(host, mail.port, **server)
    settings = CourierSettings(state=state, smtp=smtp, mail_from=SENDER, connect_seconds=seconds, total_seconds=seconds)
    return Courier(settings, None, now=lambda: NOW)


async def test_a_mail_says_who_what_and_that_a_machine_wrote_it(tmp_path: Path) -> None:
    with mail_sink() as mail:
        receipt = await courier(tmp_path, mail).send(message("email"))
    [(envelope, got)] = mail.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, ["dana@support.example"])
    assert got["From"] == SENDER
    assert got["To"] == "Dana <dana@support.example>"
    assert got["Subject"] == message().subject
    assert got["Date"] == "Sat, 12 Jul 2031 00:00:00 +0000"
    assert got["Auto-Submitted"] == "auto-generated"
    assert plain(got).splitlines() == message().text.splitlines()
    assert receipt.detail == f"taken by 127.0.0.1:{mail.port}"


async def test_the_id_follows_from_the_key_and_the_thread_from_the_incident(tmp_path: Path) -> None:
    with mail_sink() as mail:
        for key in ("one", "one", "two"):
            await courier(tmp_path, mail).send(message("email", key=key))
        await courier(tmp_path, mail).send(message("email", key="three", incident="incident/desk/4712"))
    mails = [got for _, got in mail.mails]
    ids = [got["Message-ID"] for got in mails]
    assert ids[0] == ids[1] == message_id("one", SENDER)
    assert len(set(ids)) == 3
    assert [got["References"] == mails[0]["In-Reply-To"] for got in mails] == [True, True, True, False]


@pytest.mark.parametrize("domain", ["a.example", f"{'a' * 30}.{'b' * 30}.example", f"{'a' * 60}.{'b' * 60}.example"])
def test_a_long_domain_breaks_no_thread(domain: str) -> None:
    mail = compose(message("email"), (), f"support@{domain}", NOW)
    for name in ("Message-ID", "In-Reply-To", "References"):
        lines = mail.as_bytes().decode().replace("\r\n ", " ").splitlines()
        assert next(line for line in lines if line.startswith(name)).endswith(f"@{domain}>")


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=80))
def test_no_text_can_write_a_header_or_end_one(subject: str, text: str, name: str) -> None:
    to = mailbox(Address(id="ann", name=name + "\r\nBcc: eve@evil.example", address="ann@acme.example"))
    assert to is not None
    said = message("email", subject=subject + "\r\nBcc: eve@evil.example\r\n\r\nHi", text=text + "\r\n.\r\nQUIT")
    raw = compose(said, (to,), SENDER, NOW).as_bytes()
    got = message_from_bytes(raw, policy=default)
    assert raw.isascii()
    assert "Bcc" not in got
    assert [a.addr_spec for a in got["To"].addresses] == ["ann@acme.example"]
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


async def test_a_text_with_a_lone_full_stop_arrives_whole(tmp_path: Path) -> None:
    text = "Ünsere Notiz – 75 %\n.\nQUIT\n" + "x" * 3000
    with mail_sink() as mail:
        await courier(tmp_path, mail).send(message("email", text=text, subject="Überfällig: " + "ä" * 150))
    [(_, got)] = mail.mails
    assert plain(got).splitlines() == text.splitlines()
    assert got["Subject"] == "Überfällig: " + "ä" * 150


@pytest.mark.parametrize(
    ("address", "usable"),
    [("ann@acme.example", True), ("a+b@acme.example", True), ("ann@münchen.example", True), (" a@acme.example ", True),
     (None, False), ("", False), ("ann", False), ("@acme.example", False), ("ann@", False), ("a..b@acme.test", False),
     ("ann@acme.example, eve@evil.example", False), ("<ann@acme.example>", False), ("ann@acme..example", False),
     ("änn@acme.example", False), ("ann@acme.example\r\nDATA", False), ("a b@acme.example", False),
     ("a" * 65 + "@acme.example", False), ("ann@" + "a" * 260, False)],
)  # fmt: skip
async def test_only_an_address_is_written_to(tmp_path: Path, address: str | None, usable: bool) -> None:
    with mail_sink() as mail:
        post = courier(tmp_path, mail).send(message("email", to=(Address(id="ann", address=address),)))
        if usable:
            await post
        else:
            with pytest.raises(ChannelRefused, match=r"^ann cannot be told by e-mail: no usable address is known$"):
                await post
    assert len(mail.mails) == usable


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ("550 5.1.1 no such user here: dana@support.example", ChannelRefused, "answered 550 5.1.1 for dana"),
        ("450 4.2.0 greylisted", ChannelUnavailable, "answered 450 4.2.0 for dana"),
        ("421 closing", ChannelUnavailable, "answered 421 for dana"),
    ],
)
async def test_a_recipient_that_the_server_does_not_take(
    tmp_path: Path, answer: str, error: type[Exception], sentence: str
) -> None:
    with mail_sink() as mail:
        mail.to_recipient = {"dana@support.example": answer}
        with pytest.raises(error, match=rf"^the mail server 127\.0\.0\.1:\d+ {sentence}$"):
            await courier(tmp_path, mail).send(message("email"))
    assert not mail.mails


async def test_one_bad_address_keeps_no_other_from_being_told_and_is_named(tmp_path: Path) -> None:
    with mail_sink() as mail:
        mail.to_recipient = {"erin@support.example": "550 no"}
        to = (DANA, ERIN, Address(id="finn"))
        receipt = await courier(tmp_path, mail).send(message("email", to=to))
    assert [envelope.rcpt_tos for envelope, _ in mail.mails] == [["dana@support.example"]]
    assert receipt.detail.endswith(", but not for finn, erin")


async def test_one_recipient_put_off_puts_the_mail_off_for_all_so_that_nobody_gets_it_twice(tmp_path: Path) -> None:
    with mail_sink() as mail:
        mail.to_recipient = {"erin@support.example": "452 full"}
        with pytest.raises(ChannelUnavailable, match=r"answered 452 for erin$"):
            await courier(tmp_path, mail).send(message("email", to=(DANA, ERIN)))
        assert not mail.mails
        mail.to_recipient = {}
        await courier(tmp_path, mail).send(message("email", to=(DANA, ERIN)))
    assert [envelope.rcpt_tos for envelope, _ in mail.mails] == [["dana@support.example", "erin@support.example"]]


@pytest.mark.parametrize(
    ("answer", "error"), [("451 4.3.0 later", ChannelUnavailable), ("554 5.7.1 spam", ChannelRefused)]
)
async def test_a_mail_that_the_server_does_not_take(tmp_path: Path, answer: str, error: type[Exception]) -> None:
    with mail_sink() as mail:
        mail.to_data = [answer]
        with pytest.raises(error, match=f"answered {answer[:9]}$"):
            await courier(tmp_path, mail).send(message("email"))


async def test_a_mail_server_that_says_nothing_is_given_up_in_time_and_the_retry_has_the_same_id(
    tmp_path: Path,
) -> None:
    """After the text was handed over nobody knows whether it was taken: the id tells the second from the first."""
    with mail_sink() as mail:
        mail.hang = True
        with pytest.raises(ChannelUnavailable, match=r"did not answer within 0\.3 s$"):
            await courier(tmp_path, mail, seconds=0.3).send(message("email"))
        mail.hang = False
        mail.released.set()
        await courier(tmp_path, mail).send(message("email"))
    assert len(mail.effects) == 1


async def test_a_mail_that_was_called_off_is_not_handed_over_later() -> None:
    """An activity that was given up leaves its thread behind; that thread must not send."""
    with mail_sink() as mail:
        mail.hang_at_recipient = True
        server = SmtpServer("127.0.0.1", mail.port)
        talk = Conversation(server, SENDER, {"dana": "dana@support.example"}, b"Subject: late\r\n\r\n", 10, 10)
        left_behind = asyncio.create_task(asyncio.to_thread(talk.hold))
        await asyncio.to_thread(mail.reached.wait, 10)
        talk.call_off()
        mail.released.set()
        with pytest.raises(ChannelUnavailable):
            await left_behind
    assert not mail.mails


async def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    with mail_sink() as mail:
        pass
    with pytest.raises(ChannelUnavailable, match=r"cannot be reached, or broke off$"):
        await courier(tmp_path, mail).send(message("email"))


async def test_a_mail_server_without_starttls_gets_no_mail(tmp_path: Path) -> None:
    with (
        mail_sink() as mail,
        pytest.raises(ChannelRefused, match=r"offers no STARTTLS, and without it nothing is sent$"),
    ):
        await courier(tmp_path, mail, starttls=True).send(message("email"))
    assert not mail.mails


@pytest.mark.parametrize("how", ["starttls", "tls"])
@pytest.mark.parametrize("trusted", [True, False])
async def test_an_encrypted_mail_server_must_be_the_one_that_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, trusted: bool
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    starttls = {"tls_context": server_tls(), "require_starttls": True}
    options = starttls if how == "starttls" else {"ssl_context": server_tls()}
    with mail_sink(server_hostname="localhost", **options) as mail:
        post = courier(tmp_path, mail, host="localhost", **{how: True}).send(message("email"))
        if trusted:
            assert (await post).via == "email"
        else:
            with pytest.raises(ChannelUnavailable, match=r"has a certificate that is not trusted$"):
                await post
    assert len(mail.mails) == trusted


@pytest.mark.parametrize(("password", "taken"), [("right", True), ("wr0ng", False)])
async def test_a_wrong_password_is_refused_and_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, taken: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    options = {"authenticator": only(b"desk", b"right"), "auth_required": True, "tls_context": server_tls()}
    with mail_sink(server_hostname="localhost", **options) as mail:
        login: dict[str, Any] = {"host": "localhost", "starttls": True, "user": "desk", "password": password}
        post = courier(tmp_path, mail, **login).send(message("email"))
        if taken:
            assert (await post).via == "email"
        else:
            with pytest.raises(ChannelRefused, match=r"answered 535 to the user name and password$") as caught:
                await post
            assert password not in repr(caught.value)
    assert len(mail.mails) == taken


async def test_a_mail_server_without_log_in_is_refused(tmp_path: Path) -> None:
    with mail_sink() as mail, pytest.raises(ChannelRefused, match="offers no log-in that fits"):
        await courier(tmp_path, mail, user="desk", password="right").send(message("email"))
