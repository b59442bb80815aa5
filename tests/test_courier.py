"""The courier: one effect a key, whatever dies, is lost or is sent twice; and a log that always takes what is left."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.courier import Address, ChannelRefused, ChannelUnavailable, Courier, Message
from activities.settings import CourierSettings, SmtpServer
from records import database
from records.sent import Sent, SentStore
from tests.receivers import SECRET, MailSink, WebSink, log_lines, mail_sink, message, web_sink

NOW = datetime(2031, 7, 12, tzinfo=UTC)


class Forgetful(SentStore):
    """A store whose process dies before it can remember anything."""

    async def put(self, sent: Sent) -> bool:
        raise KeyboardInterrupt


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A fresh database."""
    url = database.default_url(tmp_path)
    await asyncio.to_thread(database.upgrade, url)
    made = database.engine(url)
    yield made
    await made.dispose()


@pytest.fixture
def store(engine: AsyncEngine) -> SentStore:
    return SentStore(engine)


def settings(state: Path, web: WebSink | None = None, mail: MailSink | None = None) -> CourierSettings:
    """Settings for whatever receivers there are."""
    return CourierSettings(
        state=state,
        webhook_url=web.url if web else None,
        webhook_secret=SECRET if web else None,
        smtp=SmtpServer("127.0.0.1", mail.port) if mail else None,
        mail_from="support@tromzo.example" if mail else None,
    )


async def test_a_message_that_was_sent_is_not_sent_again(tmp_path: Path, store: SentStore) -> None:
    with web_sink() as web:
        courier = Courier(settings(tmp_path, web), store)
        first = await courier.send(message("webhook"))
        again = await courier.send(message("webhook"))
        after_restart = await Courier(settings(tmp_path, web), store).send(message("webhook"))
    assert (first.via, first.repeated) == ("webhook", False)
    assert again == after_restart == first.model_copy(update={"repeated": True})
    assert len(web.requests) == 1


async def test_two_sendings_of_one_key_at_the_same_time_have_one_effect(tmp_path: Path, store: SentStore) -> None:
    with web_sink() as web:
        courier = Courier(settings(tmp_path, web), store)
        receipts = await asyncio.gather(*(courier.send(message("webhook")) for _ in range(8)))
        await courier.send(message("webhook", key="another"))
    assert sorted(r.repeated for r in receipts) == [False] + [True] * 7
    assert len(web.requests) == 2


async def test_what_was_sent_is_remembered_whole(tmp_path: Path, store: SentStore) -> None:
    said = message("slack", to=(Address(id="dana"), Address(id="erin")))
    receipt = await Courier(settings(tmp_path), store, io.StringIO(), now=lambda: NOW).send(said)
    kept = await store.get(said.key)
    assert kept == Sent(
        key=said.key, incident=said.incident, kind="escalation", clock="response", step="75%", clause="X01",
        channel="slack", recipients=("dana", "erin"), via="log", sent_at=NOW, detail=receipt.detail,
    )  # fmt: skip


@pytest.mark.parametrize("channel", ["webhook", "email", "log"])
async def test_a_crash_between_sending_and_remembering_leaves_one_effect(
    tmp_path: Path, engine: AsyncEngine, channel: str
) -> None:
    """The second attempt reaches the receiver, which knows the key."""
    console = io.StringIO()
    with web_sink() as web, mail_sink() as mail:
        where = settings(tmp_path, web, mail)
        with pytest.raises(KeyboardInterrupt):
            await Courier(where, Forgetful(engine), console).send(message(channel))
        receipt = await Courier(where, SentStore(engine), console).send(message(channel))
    assert receipt.via == channel
    match channel:
        case "webhook":
            assert len(web.requests) == 2
            assert len(web.effects) == 1
            assert len({body for _, body in web.requests}) == 1
        case "email":
            assert len(mail.mails) == 2
            assert len(mail.effects) == 1
        case _:
            assert receipt.repeated
            assert len(log_lines(tmp_path)) == 1
            assert len(console.getvalue().splitlines()) == 1
    assert await SentStore(engine).get(message().key) is not None


@pytest.mark.parametrize("channel", ["webhook", "email", "log"])
async def test_a_lost_store_leaves_one_effect(tmp_path: Path, channel: str) -> None:
    with web_sink() as web, mail_sink() as mail:
        for _ in range(3):
            await Courier(settings(tmp_path, web, mail), None, io.StringIO()).send(message(channel))
    effects = {"webhook": web.effects, "email": mail.effects, "log": log_lines(tmp_path) if channel == "log" else []}
    assert len(effects[channel]) == 1


async def test_a_database_that_is_down_keeps_no_page_from_going_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = database.engine(f"sqlite:///{tmp_path / 'nowhere' / 'records.db'}")
    with web_sink() as web:
        receipt = await Courier(settings(tmp_path, web), SentStore(engine)).send(message("webhook"))
    await engine.dispose()
    assert receipt.via == "webhook"
    assert len(web.effects) == 1
    assert [r.getMessage() for r in caplog.records] == [
        "the record of sent notices cannot be read (OperationalError)",
        "a notice went out but is not in the record of sent notices (OperationalError)",
    ]


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ("email", "email is not set up here (PACTKEEPER_SMTP_URL); written to the log"),
        ("webhook", "webhook is not set up here (PACTKEEPER_WEBHOOK_URL); written to the log"),
        ("slack", "slack is not set up here (PACTKEEPER_SLACK_TOKEN); written to the log"),
        ("pagerduty", "pagerduty is not set up here (PACTKEEPER_PAGERDUTY_KEY); written to the log"),
        ("apprise", "apprise is not set up here (the extra `notices`); written to the log"),
        ("phone", "phone is not available in this version; written to the log"),
        ("portal", "portal is not available in this version; written to the log"),
    ],
)
async def test_a_channel_that_is_not_set_up_falls_back_to_the_log_and_says_so(
    tmp_path: Path, channel: str, why: str
) -> None:
    console = io.StringIO()
    receipt = await Courier(settings(tmp_path), None, console).send(message(channel))
    assert (receipt.via, receipt.detail) == ("log", why)
    assert why.removesuffix("; written to the log") in console.getvalue()
    assert log_lines(tmp_path)[0]["channel"] == channel


async def test_what_a_channel_refused_can_be_put_into_the_log(tmp_path: Path, store: SentStore) -> None:
    with web_sink() as web:
        web.answers = [(400, {})]
        courier = Courier(settings(tmp_path, web), store, io.StringIO())
        with pytest.raises(ChannelRefused) as refusal:
            await courier.send(message("webhook"))
        receipt = await courier.fall_back(message("webhook"), str(refusal.value))
        again = await courier.send(message("webhook"))
    assert receipt.via == again.via == "log"
    assert again.repeated
    assert receipt.detail.endswith("answered 400; written to the log")
    assert len(web.requests) == 1


async def test_the_log_is_a_line_for_people_and_a_line_for_programs(tmp_path: Path) -> None:
    console = io.StringIO()
    await Courier(settings(tmp_path), None, console, now=lambda: NOW).send(message())
    assert console.getvalue() == (
        "2031-07-11 23:30+00:00 escalation incident/desk/4711: 30 min left for response on 4711 (to Dana; X01)\n"
    )
    [line] = log_lines(tmp_path)
    assert line == {
        **message().model_dump(mode="json", exclude={"to"}),
        "to": [{"id": "dana", "name": "Dana"}],
        "sent_at": "2031-07-12T00:00:00+00:00",
        "detail": "",
    }
    assert (tmp_path / "notices.jsonl").stat().st_mode & 0o077 == 0


async def test_no_text_moves_the_cursor_or_forges_a_line(tmp_path: Path) -> None:
    console = io.StringIO()
    said = message(subject="4711\x1b[2J\r\n2031-07-11 forged\u2028line\u202e", key="two\u2028lines")
    await Courier(settings(tmp_path), None, console).send(said)
    assert console.getvalue().count("\n") == 1
    assert console.getvalue()[:-1].isprintable()
    assert (tmp_path / "notices.jsonl").read_bytes().isascii()
    assert len(log_lines(tmp_path)) == 1


async def test_a_line_that_a_crash_tore_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "notices.jsonl"
    await Courier(settings(tmp_path), None, io.StringIO()).send(message(key="one"))
    whole = file.read_bytes()
    file.write_bytes(whole + whole.replace(b'"one"', b'"two"')[:25])
    for key in ("one", "two", "three"):
        await Courier(settings(tmp_path), None, io.StringIO()).send(message(key=key))
    keys = [json.loads(line)["key"] for line in file.read_bytes().splitlines() if line.endswith(b"}")]
    assert keys == ["one", "two", "three"]


async def test_two_workers_on_one_log_write_a_key_once(tmp_path: Path) -> None:
    one, other = (Courier(settings(tmp_path), None, io.StringIO()) for _ in range(2))
    receipts = [await one.send(message()), await other.send(message()), await one.send(message())]
    await asyncio.gather(*(c.send(message(key=f"k{i}")) for i in range(20) for c in (one, other)))
    assert [r.repeated for r in receipts] == [False, True, True]
    assert len(log_lines(tmp_path)) == 21


async def test_a_log_that_was_rotated_away_starts_anew(tmp_path: Path) -> None:
    courier = Courier(settings(tmp_path), None, io.StringIO())
    await courier.send(message(key="one"))
    (tmp_path / "notices.jsonl").rename(tmp_path / "notices.jsonl.1")
    await courier.send(message(key="two"))
    assert [line["key"] for line in log_lines(tmp_path)] == ["two"]
    assert (await courier.send(message(key="two"))).repeated
    (tmp_path / "notices.jsonl").rename(tmp_path / "notices.jsonl.2")
    await Courier(settings(tmp_path), None, io.StringIO()).send(message(key="three", text="longer " * 200))
    assert (await courier.send(message(key="three"))).repeated, "another worker's new file, longer than the old one"


async def test_a_log_that_cannot_be_written_is_unavailable_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notices.jsonl").mkdir()
    with pytest.raises(ChannelUnavailable, match=r"notices\.jsonl cannot be written: Is a directory$"):
        await Courier(settings(tmp_path), None, io.StringIO()).send(message())


async def test_a_console_that_is_gone_loses_nothing(tmp_path: Path) -> None:
    console = io.StringIO()
    console.close()
    receipt = await Courier(settings(tmp_path), None, console).send(message())
    assert receipt.via == "log"
    assert len(log_lines(tmp_path)) == 1


@pytest.mark.parametrize("fault", [{"key": ""}, {"key": "a\nb"}, {"to": ()}, {"at": "2031-07-11T16:00:00"}])
def test_a_message_without_key_recipient_or_offset_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Message.model_validate(message().model_dump() | fault)
