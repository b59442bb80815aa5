"""The channels' settings: what is accepted, and one sentence without a secret for what is not."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from activities.apprise import AppriseSettings
from activities.pagerduty import PagerDutySettings
from activities.settings import CourierSettings, SmtpServer, origin

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
URL = "https://hooks.example/in?token=t0ken"
MAIL = {"PACTKEEPER_MAIL_FROM": "support@tromzo.example"}
SMTP = "PACTKEEPER_SMTP_URL"
BARE = CourierSettings(pagerduty=PagerDutySettings(), apprise=AppriseSettings())
HOOK = {"PACTKEEPER_WEBHOOK_URL": URL, "PACTKEEPER_WEBHOOK_SECRET": SECRET}


def test_nothing_set_up_means_the_log_alone() -> None:
    empty = dict.fromkeys((*MAIL, *HOOK, SMTP, "PACTKEEPER_STATE", "PACTKEEPER_SMTP_URL_FILE"), "")
    assert CourierSettings.from_env({}) == CourierSettings.from_env(empty) == replace(BARE, state=Path("var"))


def test_all_set_up() -> None:
    settings = CourierSettings.from_env(
        {SMTP: "smtp://desk%40tromzo:p%3Aw@mail.example?starttls=1", "PACTKEEPER_STATE": "elsewhere", **MAIL, **HOOK}
    )
    assert settings.smtp == SmtpServer("mail.example", 587, "desk@tromzo", "p:w", starttls=True)
    assert settings.mail_from == "support@tromzo.example"
    assert (settings.webhook_url, settings.webhook_secret) == (URL, SECRET)
    assert settings.state == Path("elsewhere")
    assert (settings.connect_seconds, settings.total_seconds) == (5, 10)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", SmtpServer("mail.example", 25)),
        ("smtp://mail.example:2525/", SmtpServer("mail.example", 2525)),
        ("smtps://mail.example", SmtpServer("mail.example", 465, tls=True)),
        ("smtps://u:p@mail.example?starttls=0", SmtpServer("mail.example", 465, "u", "p", tls=True)),
        ("smtp://u:p@127.0.0.1:25", SmtpServer("127.0.0.1", 25, "u", "p")),
        ("smtp://[::1]:25", SmtpServer("::1", 25)),
    ],
)
def test_the_address_of_a_mail_server(url: str, server: SmtpServer) -> None:
    assert CourierSettings.from_env({SMTP: url, **MAIL}).smtp == server


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mail.example:25", "is no address of a mail server; write smtp://"),
        ("http://hunter2@mail.example", "is no address of a mail server; write smtp://"),
        ("smtp://", "is no address of a mail server; write smtp://"),
        ("smtp://mail.example/hunter2", "is no address of a mail server; write smtp://"),
        ("smtp://u:hunter2@mail.example:99999?starttls=1", "cannot be read; write smtp://"),
        ("smtp://u:hunter2@mail.example:no?starttls=1", "cannot be read; write smtp://"),
        ("smtp://[u:hunter2@mail.example", "cannot be read; write smtp://"),
        ("smtp://u:hunter2@mail.example\n", None),
        ("smtp://u:hunter2 @mail.example", "holds a character that no address has"),
        ("smtp://u:hünter2@mail.example", "holds a character that no address has"),
        ("smtp://u:h%C3%BCnter2@mail.example?starttls=1", "has a user name or password beyond ASCII"),
        ("smtp://hunter2@mail.example?starttls=1", "has half of a user name and password"),
        ("smtp://u:hunter2@mail.example", "would send a password in clear; add \\?starttls=1 or write smtps://"),
        ("smtps://u:hunter2@mail.example?starttls=1", "asks for smtps:// and starttls=1; keep one of them"),
        ("smtps://u:hunter2@mail.example?startls=1", "has an option that is not known; the only one is starttls=1"),
        (
            "smtps://u:hunter2@mail.example?starttls=maybe",
            "has an option that is not known; the only one is starttls=1",
        ),
    ],
)
def test_a_bad_mail_server_is_one_sentence_without_the_password(url: str, sentence: str | None) -> None:
    pattern = sentence or "would send a password in clear"
    with pytest.raises(ValueError, match=f"^PACTKEEPER_SMTP_URL {pattern}") as caught:
        CourierSettings.from_env({SMTP: url, **MAIL})
    assert "nter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("hooks.example/in", "is no web address"),
        ("ftp://hooks.example", "is no web address"),
        ("https://", "is no web address"),
        ("http://hooks.example/in?t0ken", "is not encrypted"),
        ("http://127.1/t0ken", "is not encrypted"),
        ("http://0x7f000001/t0ken", "is not encrypted"),
        ("http://localhost.evil.example/t0ken", "is not encrypted"),
        ("https://t0ken@hooks.example/in", "holds a user name, a password or a #fragment"),
        ("https://127.0.0.1:t0ken@hooks.example", "holds a user name, a password or a #fragment"),
        ("https://hooks.example/#t0ken", "holds a user name, a password or a #fragment"),
        ("https://hooks.example/t0ken\r\nx", "holds a character that no address has"),
        ("https://hooks.example:t0ken/", "cannot be read"),
    ],
)
def test_a_bad_webhook_address_is_one_sentence_without_it(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=rf"^PACTKEEPER_WEBHOOK_URL {sentence}; write https://HOST/PATH") as caught:
        CourierSettings.from_env({**HOOK, "PACTKEEPER_WEBHOOK_URL": url})
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:9/x", "https://10.0.0.1/"])
def test_plain_http_goes_to_this_machine_only(url: str) -> None:
    assert CourierSettings.from_env({**HOOK, "PACTKEEPER_WEBHOOK_URL": url}).webhook_url == url


@pytest.mark.parametrize(
    "secret", ["hunter2", "whsec_", "whsec_aHVudGVyMg==", "whsec_%%%", SECRET[6:], "whsec_" + SECRET[6:] * 3]
)
def test_a_weak_signing_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(
        ValueError, match=r"^PACTKEEPER_WEBHOOK_SECRET is no signing secret; write whsec_ and"
    ) as caught:
        CourierSettings.from_env({**HOOK, "PACTKEEPER_WEBHOOK_SECRET": secret})
    assert len(secret) < 7 or secret.removeprefix("whsec_") not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"PACTKEEPER_WEBHOOK_URL": URL}, "PACTKEEPER_WEBHOOK_URL is set but PACTKEEPER_WEBHOOK_SECRET is not; write"),
        ({SMTP: "smtp://mail.example"}, "PACTKEEPER_SMTP_URL is set but PACTKEEPER_MAIL_FROM is not; write"),
        (
            {SMTP: "smtp://m.example", "PACTKEEPER_MAIL_FROM": "Desk <d@x>"},
            "PACTKEEPER_MAIL_FROM is 'Desk <d@x>'; write",
        ),
    ],
)
def test_half_a_channel_is_an_error(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        CourierSettings.from_env(environ)


def test_what_belongs_to_a_channel_that_is_not_set_up_is_left_alone() -> None:
    assert CourierSettings.from_env({"PACTKEEPER_WEBHOOK_SECRET": "x", **MAIL}) == BARE


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    secret, url = tmp_path / "secret", tmp_path / "url"
    secret.write_text(SECRET + "\n")
    url.write_text(URL + "\n")
    settings = CourierSettings.from_env(
        {"PACTKEEPER_WEBHOOK_SECRET_FILE": str(secret), "PACTKEEPER_WEBHOOK_URL_FILE": str(url)}
    )
    assert (settings.webhook_url, settings.webhook_secret) == (URL, SECRET)


def test_a_secret_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    blank, binary = tmp_path / "blank", tmp_path / "binary"
    blank.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    for file, why in (
        (tmp_path / "none", "which cannot be read: No such file or directory"),
        (tmp_path, "which cannot be read: Is a directory"),
        (blank, "which is empty; write the value into it"),
        (binary, "which is not text; write the value alone into it"),
    ):
        with pytest.raises(ValueError, match=rf"^PACTKEEPER_SMTP_URL_FILE names .*, {why}$"):
            CourierSettings.from_env({"PACTKEEPER_SMTP_URL_FILE": str(file)})
    with pytest.raises(ValueError, match=r"^PACTKEEPER_SMTP_URL and PACTKEEPER_SMTP_URL_FILE are both set; keep one"):
        CourierSettings.from_env({SMTP: "smtp://x", "PACTKEEPER_SMTP_URL_FILE": str(blank)})


def test_no_secret_is_in_the_repr() -> None:
    shown = repr(CourierSettings.from_env({SMTP: "smtps://desk:hunter2@mail.example", **MAIL, **HOOK}))
    assert "mail.example" in shown
    for secret in ("hunter2", "t0ken", SECRET[6:]):
        assert secret not in shown


def test_of_a_url_only_its_origin_is_shown() -> None:
    assert origin("https://user:pw@hooks.example:8443/secret/path?token=t") == "https://hooks.example:8443"
