"""Secrets and sources are read again while everything runs: what is new opens at once, what is taken out shuts, what is broken waits."""

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from activities.policies import Policies
from records.shelf import Shelf
from sla.source import Source
from starter import hook_settings, secrets_file
from starter.customers_api import CustomersApi
from starter.front import desk
from starter.hook_settings import EVERY, IntakeSettings, new_secret
from starter.sample_signing import SIGNERS
from starter.samples import sample
from starter.source_hooks import SourceHooks
from starter.web import create_app
from tests.front_desk import ACME, NOW, Door, Letters, Notes, Waiting

FIRST, SECOND = "the-first-secret-of-this-desk", "the-second-secret-of-this-desk"
TOKEN = "a-token-of-the-api-long-enough"
DESK = Source(name="desk", kind="zendesk", customer="acme", url="https://desk.example")
SECRETS = ("sources", "desk", "secrets")


class Intake:
    """The app on files that can change, and a clock that is moved by hand."""

    def __init__(self, root: Path) -> None:
        self.file, self.seconds, self.turn = root / "hook-secrets.yaml", 0.0, 0
        self.file.write_text("{}\n")
        self.folder = root / "sources"
        self.settings = IntakeSettings(file=self.file, now=lambda: self.now, clock=lambda: self.seconds)
        policies = Policies(Shelf(root), only={"acme": ACME})
        self.door: Any = Door()
        hooks: Any = SourceHooks(self.door, self.settings, policies, Letters(), Notes(), Waiting())  # type: ignore[arg-type]
        store: Any = Nobody()
        customers = CustomersApi(store, policies, self.settings, nobody_told)
        app = create_app(self.door, self.settings, sources=hooks, customers=customers)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://intake"
        )

    @property
    def now(self) -> Any:
        return NOW + timedelta(seconds=self.seconds)

    def later(self, seconds: float = EVERY) -> None:
        """Time passes."""
        self.seconds += seconds

    def connect(self, secret: str) -> None:
        """What `pactkeeper connect` does: a file, and a secret."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "desk.yaml").write_text("name: desk\nkind: zendesk\ncustomer: acme\nurl: https://desk.example\n")
        secrets_file.change(self.file, [(SECRETS, [secret])])

    async def sends(self, secret: str) -> int:
        """One new delivery, signed with that secret."""
        made = sample(DESK, secret, self.now)
        self.turn += 1
        raw = made.raw.replace(b"pactkeeper-doctor", b"event-%d" % self.turn)
        assert raw != made.raw
        headers = {"content-type": "application/json", **SIGNERS["zendesk"](secret, raw, self.now)}
        answer = await self.http.post("/hooks/zendesk/desk", content=raw, headers=headers)
        return answer.status_code


class Nobody:
    """Records without a customer."""

    async def all(self) -> dict[str, Any]:
        return {}


async def nobody_told(id: str) -> None: ...


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path)


async def test_a_source_that_is_connected_beside_a_running_intake_is_heard_within_a_second(intake: Intake) -> None:
    assert await intake.sends(FIRST) == 401
    intake.connect(FIRST)
    intake.later()
    assert await intake.sends(FIRST) == 202
    assert intake.door.looks


async def test_a_secret_is_changed_without_a_gap_and_the_old_one_is_refused_once_it_is_taken_out(
    intake: Intake,
) -> None:
    intake.connect(FIRST)
    intake.later()
    secrets_file.change(intake.file, [(SECRETS, [SECOND])])
    intake.later()
    assert [await intake.sends(FIRST), await intake.sends(SECOND)] == [202, 202]
    secrets_file.drop_last(intake.file, SECRETS)
    intake.later()
    assert [await intake.sends(FIRST), await intake.sends(SECOND)] == [401, 202]


def _gone(file: Path) -> None:
    file.unlink()


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _says(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(text)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (_gone, "can't be read"),
    "a folder": (_folder, "can't be read"),
    "empty": (_says(""), "is empty"),
    "no YAML": (_says(f"sources: {{desk: {{secrets: [{SECOND}"), "is no YAML"),
    "a tag": (_says("api: !!bool maybe"), "is no YAML"),
    "no list": (_says("api: 2031-13-45"), "api"),
    "of another shape": (_says(f"sources: {{desk: {{secret: {SECOND}}}}}"), r"sources.desk.secret"),
    "too short": (_says("sources: {desk: {secrets: [short]}}"), r"sources.desk.secrets.0"),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_while_the_file_is_broken_the_last_good_secrets_stay_and_one_line_says_what_is_wrong(
    intake: Intake, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, says = BROKEN[how]
    intake.connect(FIRST)
    intake.later()
    assert await intake.sends(FIRST) == 202
    good = intake.file.read_text()
    spoil(intake.file)
    with caplog.at_level(logging.ERROR, hook_settings.__name__):
        for _ in range(3):
            intake.later()
            assert [await intake.sends(FIRST), await intake.sends(SECOND)] == [202, 401]
    (line,) = [record.getMessage() for record in caplog.records if record.name == hook_settings.__name__]
    assert str(intake.file) in line
    assert says in line
    assert intake.settings.fault is not None
    assert all(secret not in caplog.text for secret in (FIRST, SECOND))

    if intake.file.is_dir():
        intake.file.rmdir()
    intake.file.write_text(good.replace(FIRST, SECOND))
    intake.later()
    assert [await intake.sends(FIRST), await intake.sends(SECOND)] == [401, 202]
    assert intake.settings.fault is None


def test_a_file_that_could_not_be_read_is_read_again_though_it_has_not_changed(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rights alone may have been put right."""

    def no_right(file: Path) -> Any:
        raise hook_settings.HookSettingError(f"{file} can't be read (Permission denied)")

    intake.connect(FIRST)
    with monkeypatch.context() as patched:
        patched.setattr(hook_settings, "read", no_right)
        intake.later()
        assert not intake.settings.sources
    intake.later()
    assert intake.settings.sources["desk"].secrets == (FIRST,)


def test_whether_the_file_has_changed_is_looked_up_once_a_second_at_most_and_one_that_has_not_is_not_read(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, reads = [], []
    stamp, read = hook_settings._stamp, hook_settings.read
    monkeypatch.setattr(hook_settings, "_stamp", lambda file: looks.append(file) or stamp(file))
    monkeypatch.setattr(hook_settings, "read", lambda file: reads.append(file) or read(file))
    for _ in range(100):
        intake.later(EVERY / 10)
        assert intake.settings.sources == {}
    assert 9 <= len(looks) <= 10
    assert reads == []


async def test_the_generic_hook_the_tokens_and_the_helpdesks_account_follow_too(intake: Intake) -> None:
    raw = b'{"ticket": "1", "event": "opened", "by": "ann@acme.example", "priority": "P1"}'
    whole = new_secret()
    auth = {"authorization": f"Bearer {TOKEN}"}
    assert (await intake.http.get("/api/customers", headers=auth)).status_code == 401
    puts = [
        (("generic", "acme"), [whole]), (("api",), [TOKEN]),
        (("sources", "desk", "user"), "bot@acme.example"), (("sources", "desk", "token"), "t-1"),
    ]  # fmt: skip
    secrets_file.change(intake.file, puts)
    intake.later()
    assert (await intake.http.get("/api/customers", headers=auth)).status_code == 200
    signed = {
        "webhook-id": "msg_1", "webhook-timestamp": str(int(intake.now.timestamp())),
        "webhook-signature": Webhook(whole).sign("msg_1", intake.now, raw.decode()),
    }  # fmt: skip
    assert (await intake.http.post("/hooks/generic/acme", content=raw, headers=signed)).status_code == 202
    client: Any = desk(intake.settings, DESK)
    assert (client.account.user, client.account.token) == ("bot@acme.example", "t-1")
