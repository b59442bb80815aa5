"""Slack both ways: signed events and buttons as words, and notices as one message an incident that is brought up to date."""

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sdk.signature import Clock, SignatureVerifier

from activities.message import ChannelRefused, ChannelUnavailable
from activities.slack import SlackSettings, send
from activities.slack_card import merged, rendered, reply, said
from records import database
from records.threads import ThreadStore
from sla.intake import Read, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.slack import ADAPTER, plain
from tests.mutations import DELIVERIES, bent, payloads
from tests.peers.slack import BEGINS, HANGS, LIMITED, LOST, TOKEN, SlackPeer, slack_server, unfit
from tests.receivers import message

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
HEARD = datetime(2031, 7, 12, 0, 0, tzinfo=UTC)
NOW = datetime.fromtimestamp(BEGINS, UTC)
SOURCE = Source(name="acme-slack", kind="slack", agents={"U0DANA": "dana"}, channels=("C0SUPPORT",))
TICKET = "C0SUPPORT-1941579000.000200"
BODIES = payloads("slack")


# The signature


class Stopped(Clock):
    """The vendor's clock, at one second."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> float:
        return self.at.timestamp()


def hook(raw: bytes, secret: str = SECRET, at: datetime = HEARD, received: datetime = HEARD) -> Hook:
    """A request as Slack's own library signs it."""
    stamp = str(int(at.timestamp()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=raw)
    assert signature is not None
    return Hook({"x-slack-request-timestamp": stamp, "x-slack-signature": signature}, raw, received)


@pytest.mark.parametrize("raw", [(DELIVERIES / "slack" / "message.json").read_bytes(), b"payload=%7B%7D", b""])
def test_what_slacks_own_library_signs_is_taken_within_five_minutes(raw: bytes) -> None:
    for seconds in (-300, 0, 300):
        ADAPTER.verify(hook(raw, received=HEARD + timedelta(seconds=seconds)), ["a newer secret", SECRET])
    for seconds in (-301, 301):
        with pytest.raises(BadSignature):
            ADAPTER.verify(hook(raw, received=HEARD + timedelta(seconds=seconds)), [SECRET])


@settings(max_examples=60)
@given(st.text(max_size=80).map(str.encode), st.sampled_from([0, 299, 301, -299, -301]), st.booleans())
def test_we_and_slacks_own_library_agree(raw: bytes, seconds: int, right: bool) -> None:
    asked = hook(raw, SECRET if right else "foreign", received=HEARD + timedelta(seconds=seconds))
    theirs = SignatureVerifier(SECRET, Stopped(asked.received)).is_valid(
        raw, asked.header("x-slack-request-timestamp"), asked.header("x-slack-signature")
    )
    with contextlib.nullcontext() if theirs else pytest.raises(BadSignature):
        ADAPTER.verify(asked, [SECRET])


def test_a_foreign_a_cut_and_a_missing_signature_and_absurd_stamps_are_refused() -> None:
    good = hook(b"{}")
    stamp, signature = good.header("x-slack-request-timestamp"), good.header("x-slack-signature")
    for headers in (
        {}, {"x-slack-request-timestamp": stamp}, {"x-slack-signature": signature},
        {"x-slack-request-timestamp": stamp, "x-slack-signature": signature[:-1]},
        {"x-slack-request-timestamp": stamp, "x-slack-signature": signature.upper()},
        *({"x-slack-request-timestamp": odd, "x-slack-signature": signature} for odd in ("", "NaN", "-5", f"{stamp}000", "٣")),
    ):  # fmt: skip
        with pytest.raises(BadSignature):
            ADAPTER.verify(Hook(headers, b"{}", HEARD), [SECRET])
    with pytest.raises(BadSignature):
        ADAPTER.verify(Hook(good.headers, b"{ }", HEARD), [SECRET])


# What is told


def told(name: str, source: Source = SOURCE, body: Any = None) -> dict[str, Any]:
    """The one word that a delivery tells, with its key, its time and whose it is."""
    [one] = ADAPTER.read(body or BODIES[name], source, HEARD).told
    [word] = one.words
    event = word.event.model_dump(exclude_none=True, exclude_defaults=True) | {"event": word.event.event}
    return {"ticket": one.ticket, "of": one.organisation, "key": word.key, "at": word.occurred_at, **event}


def inner(name: str, **more: Any) -> dict[str, Any]:
    """A delivery whose inner event says something else."""
    return dict(BODIES[name]) | {"event": BODIES[name]["event"] | more}


def test_the_challenge_at_set_up_is_answered() -> None:
    read = ADAPTER.read(BODIES["url_verification"], SOURCE, HEARD)
    assert (read.answer, read.told) == (BODIES["url_verification"]["challenge"], ())


def test_a_customers_message_in_the_channel_opens_a_ticket_at_its_own_time() -> None:
    assert told("message") == {
        "ticket": TICKET,
        "of": "C0SUPPORT",
        "key": f"acme-slack:{TICKET}:opened",
        "at": datetime(2031, 7, 11, 23, 30, 0, 200, tzinfo=UTC),
        "event": "opened",
        "by": "U0ANN",
        "channel": "slack",
        "subject": "Nothing loads since 15:50 <prod> & staging",
        "body": "Nothing loads since 15:50 <prod> & staging\nSee the status page (https://status.acme.example), @U0DANA",
    }


@pytest.mark.parametrize(
    ("name", "ts", "said"),
    [
        ("reply_agent", "1941579120.000300", {"event": "agent_replied", "by": "dana", "body": "We are on it."}),
        ("reply_customer", "1941579240.000400", {"event": "customer_replied", "by": "U0BOB", "body": "Still blank."}),
        (
            "thread_broadcast",
            "1941579300.000500",
            {"event": "customer_replied", "by": "U0ANN", "body": "It loads again."},
        ),
    ],
)
def test_what_is_said_in_the_thread_belongs_to_the_ticket(name: str, ts: str, said: dict[str, str]) -> None:
    word = told(name)
    assert (word["ticket"], word["key"]) == (TICKET, f"acme-slack:{TICKET}:message:{ts}")
    assert {k: v for k, v in word.items() if k in ("event", "by", "body", "public")} == said


def test_a_file_without_a_word_opens_a_ticket_with_its_name() -> None:
    opened = told("file_share")
    assert (opened["event"], opened["subject"], opened["body"]) == ("opened", "blank.png", "blank.png")
    files = [
        {"id": "F0123", "name": "blank.png", "title": "The blank page"},
        {"id": "F0124", "file_access": "check_file_info"},
    ]
    opened = told("file_share", body=inner("file_share", files=files))
    assert opened["body"] == "The blank page\na file without a name"


def test_a_forwarded_message_says_what_was_forwarded() -> None:
    text = "Checkout > payment answers 500\nsince 15:50 (https://status.acme.example)"
    opened = told("forwarded")
    assert (opened["subject"], opened["body"]) == ("Checkout > payment answers 500", text)
    (shared,) = BODIES["forwarded"]["event"]["attachments"]
    commented = told("forwarded", body=inner("forwarded", text="Is this ours?"))
    assert (commented["subject"], commented["body"]) == ("Is this ours?", f"Is this ours?\n\n{text}")
    short = told("forwarded", body=inner("forwarded", attachments=[shared | {"text": None}]))
    assert short["subject"] == "[July 11th, 2031 4:28 PM] bob: Checkout > payment answers 500"
    files = [shared | {"text": "", "fallback": "", "files": [{"id": "F0125", "name": "trace.log"}]}]
    assert told("forwarded", body=inner("forwarded", attachments=files))["subject"] == "trace.log"


def test_the_preview_of_a_link_is_no_part_of_a_message() -> None:
    """It comes after the message, so the event has it not, and the thread that is read has it."""
    preview = [
        {"from_url": "https://status.acme.example", "title": "Status", "text": "All is well", "fallback": "Status"}
    ]
    assert told("message", body=inner("message", attachments=preview)) == told("message")


@pytest.mark.parametrize("name", ["bot_message", "message_changed", "channel_join", "app_mention"])
def test_programs_edits_and_joins_are_nobodys_word(name: str) -> None:
    read = ADAPTER.read(BODIES[name], SOURCE, HEARD)
    assert read.told == ()
    assert read.ignored


@pytest.mark.parametrize(
    "body",
    [
        inner("message", user="U0DANA"),
        inner("message", user="U0PACT"),
        inner("message", channel="C0ELSEWHERE"),
        inner("message", channel_type="im", channel="D0DANA"),
        inner("reply_customer", parent_user_id="U0DANA"),
        inner("reply_customer", parent_user_id="U0PACT"),
        inner("reply_agent", user="U0PACT", bot_id="B0PACT"),
        inner("thread_broadcast", root={"user": "U0PACT", "bot_id": "B0PACT"}),
    ],
)
def test_our_own_messages_threads_and_other_channels_are_no_tickets(body: dict[str, Any]) -> None:
    """Our people's own messages, what the app itself wrote (each delivery tells as whom it is installed), and what hangs below."""
    assert ADAPTER.read(body, SOURCE, HEARD).told == ()


def test_without_a_list_of_channels_every_channel_counts_but_never_what_is_written_to_the_app() -> None:
    everywhere = SOURCE.model_copy(update={"channels": ()})
    assert told("message", everywhere, inner("message", channel="C0ELSEWHERE"))["of"] == "C0ELSEWHERE"
    assert ADAPTER.read(inner("message", channel="D0ANN", channel_type="im"), everywhere, HEARD).told == ()


def test_an_agent_who_counts_as_a_customer_is_one() -> None:
    source = SOURCE.model_copy(update={"customers": frozenset({"u0dana"})})
    assert told("message", source, inner("message", user="U0DANA"))["event"] == "opened"


def test_the_button_acknowledges_its_incident_as_who_pressed_it() -> None:
    [one] = ADAPTER.read(BODIES["block_actions"], SOURCE, HEARD).told
    [word] = one.words
    assert (one.incident, one.ticket) == ("incident/desk/4711", "")
    assert word.key == "acme-slack:incident/desk/4711:acknowledged:1941579060.868122"
    assert word.occurred_at == datetime(2031, 7, 11, 23, 31, 0, 868122, tzinfo=UTC)
    assert word.event.model_dump(exclude_none=True) == {"event": "acknowledged", "by": "dana"}


def test_somebody_who_is_not_listed_acknowledges_by_the_name_that_slack_gives_and_a_customer_not_at_all() -> None:
    body = BODIES["block_actions"] | {"user": {"id": "U0NEW", "username": "newcomer"}}
    [one] = ADAPTER.read(body, SOURCE, HEARD).told
    assert one.words[0].event.by == "newcomer"
    source = SOURCE.model_copy(update={"customers": frozenset({"U0NEW"})})
    assert ADAPTER.read(body, source, HEARD).ignored == "a customer can't acknowledge for us"


def test_another_button_tells_nothing_and_ours_without_an_incident_is_kept_for_a_person() -> None:
    body = json.loads(json.dumps(BODIES["block_actions"]))
    body["actions"][0]["value"] = "account/acme"
    with pytest.raises(Unusable, match="names no incident"):
        ADAPTER.read(body, SOURCE, HEARD)
    body["actions"][0]["action_id"] = "another"
    assert ADAPTER.read(body, SOURCE, HEARD) == Read(ignored="a button that tells us nothing", kind="block_actions")


def test_deliveries_twice_retried_and_in_any_order_tell_the_same_words() -> None:
    once = {
        w.key: w.event for body in BODIES.values() for one in ADAPTER.read(body, SOURCE, HEARD).told for w in one.words
    }
    shuffled = [*BODIES.values(), *BODIES.values()]
    random.Random(7).shuffle(shuffled)
    later = HEARD + timedelta(minutes=5)
    again = {w.key: w.event for body in shuffled for one in ADAPTER.read(body, SOURCE, later).told for w in one.words}
    assert once == again
    assert len(once) == 7


@settings(max_examples=200)
@given(bent("slack"))
def test_whatever_comes_is_read_or_unusable(body: Any) -> None:
    read = None
    with contextlib.suppress(Unusable):
        read = ADAPTER.read(body, SOURCE, HEARD)
    assert read is None or bool(read.told) != bool(read.ignored)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a &lt;b&gt; &amp;amp; &quot;", "a <b> &amp; &quot;"),
        ("<https://x.example/?a=1&amp;b=2>", "https://x.example/?a=1&b=2"),
        ("<mailto:ann@acme.example|ann@acme.example>", "ann@acme.example"),
        ("<@U0ANN|ann> <@U0ANN> <#C0S|support> <!here> <!subteam^S0|@oncall>", "@ann @U0ANN #support @here @oncall"),
        (None, ""),
    ],
)
def test_slacks_markup_becomes_plain_text(markup: Any, text: str) -> None:
    assert plain(markup) == text


# What goes out


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[], SlackPeer]]:
    with slack_server() as fresh:
        yield fresh


@pytest.fixture
def peer(server: Callable[[], SlackPeer]) -> SlackPeer:
    return server()


@pytest_asyncio.fixture
async def threads(tmp_path: Path) -> AsyncIterator[ThreadStore]:
    url = database.default_url(tmp_path)
    await asyncio.to_thread(database.upgrade, url)
    made = database.engine(url)
    yield ThreadStore(made)
    await made.dispose()


FACTS = {
    "customer": "Acme",
    "priority": "P1",
    "left": "30 min",
    "due": "Sat 12 Jul 2031 00:00 (UTC)",
    "assignee": "Dana",
}
LINKS = {"acknowledge": "https://pact.example/a?x=1&y=2", "incident": "https://pact.example/i/4711"}


class Channel:
    """The Slack channel, with one incident's messages at their times."""

    def __init__(self, peer: SlackPeer, threads: ThreadStore | None, seconds: float = 10) -> None:
        self.settings = SlackSettings(TOKEN, peer.base, seconds, seconds)
        self.threads = threads
        self.now = NOW

    async def notice(self, step: str = "75%", address: str = "C0123ABCD", **more: Any) -> str:
        key = f"incident/desk/4711/escalation/response/{step}/1/dana"
        given: dict[str, Any] = {"step": step, "data": FACTS, "links": LINKS} | more
        return await send(self.settings, message("slack", key, **given), address, self.threads, self.now)

    async def update(self, at: str, address: str = "C0123ABCD", subject: str = "", **data: str) -> str:
        key = f"incident/desk/4711/update/{at}"
        told = message("slack", key, kind="update", at=at, data=data, subject=subject, text="", links={})
        return await send(self.settings, told, address, self.threads, self.now)


def shown(posted: dict[str, Any]) -> str:
    """All that a message shows, in its own markup."""
    blocks = posted["blocks"]
    texts = [b["text"]["text"] for b in blocks if "text" in b]
    texts += [one["text"] for b in blocks for one in b.get("fields", [])]
    texts += [one["text"] for b in blocks if b["type"] == "context" for one in b["elements"]]
    return "\n".join(texts)


def button(posted: dict[str, Any]) -> dict[str, Any] | None:
    """Its button."""
    return next((b["elements"][0] for b in posted["blocks"] if b["type"] == "actions"), None)


async def test_the_first_notice_says_what_whose_by_which_clause_how_long_who_has_it_and_what_to_do(
    peer: SlackPeer, threads: ThreadStore
) -> None:
    assert await Channel(peer, threads).notice() == "posted to C0123ABCD"
    [posted] = peer.all()
    assert shown(posted).splitlines()[0] == "*30 min left for response on 4711*"
    for part in (
        "*Customer*\nAcme", "*Clause*\nX01", "*Time left*\n30 min", "*Has it*\nDana", "pactkeeper ack 4711 --by dana",
        "Nobody has acknowledged it yet", "<https://pact.example/a?x=1&amp;y=2|Acknowledge by link>",
        "<https://pact.example/i/4711|Open the incident>",
    ):  # fmt: skip
        assert part in shown(posted)
    assert posted["text"].startswith("30 min left for response on 4711 | Customer: Acme")
    pressed = button(posted)
    assert pressed is not None
    assert (pressed["action_id"], pressed["value"]) == ("pactkeeper_acknowledge", "incident/desk/4711")
    assert posted["metadata"]["event_payload"]["key"] == "incident/desk/4711/escalation/response/75%/1/dana"
    assert peer.calls[0][1]["unfurl_links"] is False, "a link that acknowledges must not be fetched for a preview"


async def test_a_button_that_we_post_is_one_that_we_read(peer: SlackPeer, threads: ThreadStore) -> None:
    await Channel(peer, threads).notice()
    pressed = button(peer.all()[0])
    body = BODIES["block_actions"] | {"actions": [dict(pressed or {}) | {"action_ts": "1941579060.868122"}]}
    [one] = ADAPTER.read(body, SOURCE, HEARD).told
    assert one.incident == "incident/desk/4711"


async def test_further_notices_go_below_the_first_which_says_the_newest(peer: SlackPeer, threads: ThreadStore) -> None:
    channel = Channel(peer, threads)
    await channel.notice()
    assert await channel.notice("100%", subject="Missed target: response on 4711", at="2031-07-12T00:00:00Z") == (
        "told in its thread, C0123ABCD"
    )
    [parent] = peer.parents()
    assert shown(parent).startswith("*Missed target: response on 4711*")
    [below] = peer.below(parent)
    assert shown(below).startswith("*Missed target: response on 4711*")
    assert below["subtype"] == "thread_broadcast", "who follows no thread must see an escalation"


async def test_what_is_to_wake_nobody_stays_in_the_thread(peer: SlackPeer, threads: ThreadStore) -> None:
    channel = Channel(peer, threads)
    await channel.notice()
    await channel.notice("quiet", quiet=True)
    await channel.notice("withdrawn", kind="withdrawal")
    assert ["subtype" in one for one in peer.below(peer.parents()[0])] == [False, False]


async def test_an_acknowledgement_takes_the_button_away_and_a_resolution_strikes_the_title(
    peer: SlackPeer, threads: ThreadStore
) -> None:
    channel = Channel(peer, threads)
    await channel.notice()
    await channel.update("2031-07-11T23:40:00Z", acknowledged_by="dana", assignee="Dana")
    [parent] = peer.parents()
    assert button(parent) is None
    assert "Acknowledged by dana" in shown(parent)
    assert "Acknowledge by link" not in shown(parent)
    await channel.update("2031-07-12T01:00:00Z", phase="resolved", subject="Resolved by dana")
    assert shown(parent).startswith("~30 min left for response on 4711~")
    assert parent["text"].startswith("Resolved: 30 min left")
    assert "Time left" not in shown(parent)
    assert [shown(one) for one in peer.below(parent)] == ["Acknowledged by dana; Dana has it", "Resolved by dana"]


async def test_what_is_opened_again_can_be_acknowledged_again(peer: SlackPeer, threads: ThreadStore) -> None:
    channel = Channel(peer, threads)
    await channel.notice()
    await channel.update("2031-07-12T01:00:00Z", phase="resolved", acknowledged_by="dana")
    await channel.update("2031-07-12T02:00:00Z", phase="open")
    [parent] = peer.parents()
    assert button(parent) is not None
    assert shown(parent).startswith("*30 min left")


async def test_a_notice_that_comes_late_goes_below_and_leaves_the_newer_standing(
    peer: SlackPeer, threads: ThreadStore
) -> None:
    channel = Channel(peer, threads)
    await channel.notice("100%", subject="Missed target: response on 4711", at="2031-07-12T00:00:00Z")
    await channel.notice("75%", at="2031-07-11T23:30:00Z")
    [parent] = peer.parents()
    assert shown(parent).startswith("*Missed target")
    assert len(peer.below(parent)) == 1
    assert "chat.update" not in [method for method, _ in peer.calls]


async def test_an_update_of_what_slack_was_never_told_says_nothing(peer: SlackPeer, threads: ThreadStore) -> None:
    assert (await Channel(peer, threads).update("2031-07-12T01:00:00Z", phase="resolved")).startswith(
        "nothing to bring"
    )
    assert peer.calls == []


async def test_a_person_is_told_in_the_conversation_with_them(peer: SlackPeer, threads: ThreadStore) -> None:
    channel = Channel(peer, threads)
    assert await channel.notice(address="U0DANA") == "posted to D0DANA"
    await channel.update("2031-07-11T23:40:00Z", address="U0DANA", acknowledged_by="dana")
    assert [m for m, _ in peer.calls] == ["chat.postMessage", "chat.update", "chat.postMessage"]
    assert len(peer.channels["D0DANA"]) == 2


async def test_each_message_of_an_account_stands_by_itself(peer: SlackPeer, threads: ThreadStore) -> None:
    """An account lives for ever, and nobody looks below a message of last year."""
    channel = Channel(peer, threads)
    for step in ("a", "b", "b"):
        await channel.notice(step, kind="approval", incident="account/acme", subject="Shall support be suspended?")
    assert len(peer.parents()) == len(peer.all()) == 2
    assert [button(one) for one in peer.all()] == [None, None]


@pytest.mark.parametrize("remembers", [True, False])
async def test_two_notices_at_once_make_one_message(peer: SlackPeer, threads: ThreadStore, remembers: bool) -> None:
    channel = Channel(peer, threads if remembers else None)
    await asyncio.gather(channel.notice("75%"), channel.notice("90%"), channel.notice("100%"))
    [parent] = peer.parents()
    assert len(peer.below(parent)) == 2


async def test_the_same_message_again_is_said_once(peer: SlackPeer, threads: ThreadStore) -> None:
    channel = Channel(peer, threads)
    for _ in range(2):
        await channel.notice("75%")
        await channel.notice("90%")
    assert len(peer.all()) == 2


@pytest.mark.parametrize("address", ["C0123ABCD", "U0DANA"])
async def test_a_message_that_was_taken_but_not_answered_is_found_and_not_posted_again(
    peer: SlackPeer, threads: ThreadStore, address: str
) -> None:
    peer.next = [HANGS]
    peer.page = 1
    with pytest.raises(ChannelUnavailable, match="did not answer within"):
        await Channel(peer, threads, seconds=0.3).notice(address=address)
    peer.released.set()
    channel = Channel(peer, threads)
    await channel.notice(address=address)
    await channel.notice("100%", address=address)
    [parent] = peer.parents()
    assert [one["metadata"]["event_payload"]["key"].split("/")[5] for one in peer.below(parent)] == ["100%"]


async def test_a_reply_that_was_taken_but_not_answered_is_found_in_the_thread(
    peer: SlackPeer, threads: ThreadStore
) -> None:
    await Channel(peer, threads).notice()
    peer.next = ["", HANGS]
    peer.page = 1
    with pytest.raises(ChannelUnavailable):
        await Channel(peer, threads, seconds=0.3).notice("100%", at="2031-07-12T00:00:00Z")
    peer.released.set()
    assert await Channel(peer, threads).notice("100%", at="2031-07-12T00:00:00Z") == "found in its thread, C0123ABCD"
    assert len(peer.below(peer.parents()[0])) == 1


async def test_a_message_that_never_arrived_is_posted_once_it_can_no_longer_be_on_its_way(
    peer: SlackPeer, threads: ThreadStore
) -> None:
    """Another process may be posting the incident's first message at this very moment."""
    peer.next = [LOST]
    channel = Channel(peer, threads)
    with pytest.raises(ChannelUnavailable):
        await channel.notice()
    with pytest.raises(ChannelUnavailable, match="just being posted") as caught:
        await channel.notice()
    assert caught.value.retry_after == 12
    channel.now += timedelta(seconds=12)
    assert await channel.notice() == "posted to C0123ABCD"
    assert len(peer.all()) == 1


async def test_where_the_history_may_not_be_read_a_message_too_many_is_better_than_none(
    peer: SlackPeer, threads: ThreadStore
) -> None:
    peer.next = [HANGS]
    peer.without_scope = {"conversations.history"}
    with pytest.raises(ChannelUnavailable):
        await Channel(peer, threads, seconds=0.3).notice()
    peer.released.set()
    channel = Channel(peer, threads)
    channel.now += timedelta(minutes=1)
    await channel.notice()
    assert len(peer.parents()) == 2


async def test_without_a_database_the_message_is_found_in_slack_itself(peer: SlackPeer, tmp_path: Path) -> None:
    made = database.engine(database.default_url(tmp_path))  # no tables in it
    try:
        for store in (None, ThreadStore(made)):
            channel = Channel(peer, store)
            for step in ("75%", "100%", "100%"):
                await channel.notice(step)
            await channel.update("2031-07-11T23:40:00Z", acknowledged_by="dana")
    finally:
        await made.dispose()
    [parent] = peer.parents()
    assert len(peer.below(parent)) == 2
    assert shown(parent).startswith("*30 min left for response on 4711*")
    assert button(parent) is None


async def test_a_message_that_somebody_deleted_is_posted_anew(peer: SlackPeer, threads: ThreadStore) -> None:
    channel = Channel(peer, threads)
    await channel.notice()
    peer.channels["C0123ABCD"].clear()
    assert await channel.update("2031-07-11T23:40:00Z", acknowledged_by="dana") == "the message was deleted in Slack"
    assert await channel.notice("100%") == "posted to C0123ABCD"
    assert len(peer.parents()) == 1


async def test_a_message_that_may_not_be_edited_any_more_keeps_no_notice_back(
    peer: SlackPeer, threads: ThreadStore
) -> None:
    channel = Channel(peer, threads)
    await channel.notice()
    peer.next = ["edit_window_closed"]
    await channel.notice("100%", at="2031-07-12T00:00:00Z")
    assert len(peer.below(peer.parents()[0])) == 1


async def test_a_rate_limit_is_waited_for_as_long_as_slack_says(peer: SlackPeer, threads: ThreadStore) -> None:
    peer.next = [LIMITED, "ratelimited"]
    channel = Channel(peer, threads)
    with pytest.raises(ChannelUnavailable) as caught:
        await channel.notice()
    assert caught.value.retry_after == 7
    with pytest.raises(ChannelUnavailable):
        await channel.notice()
    assert await channel.notice() == "posted to C0123ABCD", "nothing was on its way, so nothing is waited for"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("channel_not_found", "invite the app"), ("not_in_channel", "invite the app"), ("invalid_auth", "PACTKEEPER_SLACK_TOKEN"),
        ("msg_too_long", "said msg_too_long"), ("missing_scope", "scopes"), ("something_new", "said something_new"),
    ],
)  # fmt: skip
async def test_ok_false_is_refused_with_what_to_do_about_it(
    peer: SlackPeer, threads: ThreadStore, error: str, advice: str
) -> None:
    peer.next = [error]
    channel = Channel(peer, threads)
    with pytest.raises(ChannelRefused, match=advice) as caught:
        await channel.notice()
    assert TOKEN not in str(caught.value)
    assert await channel.notice() == "posted to C0123ABCD"


@pytest.mark.parametrize("error", ["fatal_error", "internal_error"])
async def test_after_an_error_that_may_have_half_happened_slack_is_looked_at_first(
    peer: SlackPeer, threads: ThreadStore, error: str
) -> None:
    peer.next = [error]
    channel = Channel(peer, threads)
    with pytest.raises(ChannelUnavailable):
        await channel.notice()
    channel.now += timedelta(seconds=30)
    await channel.notice()
    assert [m for m, _ in peer.calls] == ["chat.postMessage", "conversations.history", "chat.postMessage"]


@pytest.mark.parametrize("address", ["#ops", "ops", "", "c0123", "C0123ABCD C0999ZZZZ", "C" * 40])
async def test_an_address_that_is_no_id_is_refused(peer: SlackPeer, address: str) -> None:
    with pytest.raises(ChannelRefused, match="such as C0123ABCD"):
        await Channel(peer, None).notice(address=address)
    assert peer.calls == []


@example("<!channel> <@U0DANA> & *bold* ~x~ `y`", "<!here>", 'https://x.example/|<@U0>">')
@settings(max_examples=100)
@given(st.text(max_size=4000), st.text(max_size=600), st.text(max_size=300))
def test_whatever_a_notice_says_wakes_nobody_by_its_text_and_fits_slacks_limits(
    text: str, name: str, tail: str
) -> None:
    told = message(
        subject=name, text=text, clause=name[:50], data={"customer": text, "assignee": name, "left": tail, "due": name},
        links={"incident": f"https://x.example/{tail}", "acknowledge": tail},
    )  # fmt: skip
    for words, blocks in (rendered(merged({}, told), told.incident), reply(told)):
        assert unfit({"text": words, "blocks": blocks}) in ("", "no_text")
        for block in Block.parse_all(blocks):
            block.validate_json()
        marks = re.findall(r"<[^>]*>?", words + shown({"blocks": blocks}))
        assert all(
            re.fullmatch(r"<https://x\.example/[^<>| ]*\|(Open the incident|Acknowledge by link)>", mark)
            for mark in marks
        )


def test_a_text_is_never_cut_within_an_escape() -> None:
    assert said("a<b", 6) == "a&lt;…"
    assert said("a<b", 5) == "a…"
    assert said("abcde", 4) == "abc…"


def test_settings_are_read_and_a_wrong_token_is_named_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert SlackSettings.from_env({}) is None
    known = SlackSettings.from_env(
        {"PACTKEEPER_SLACK_TOKEN_FILE": str(file), "PACTKEEPER_SLACK_URL": "http://127.0.0.1:1/api/"}
    )
    assert known == SlackSettings(TOKEN, "http://127.0.0.1:1/api")
    assert TOKEN not in repr(known)
    with pytest.raises(ValueError, match="no bot token") as caught:
        SlackSettings.from_env({"PACTKEEPER_SLACK_TOKEN": "xoxp-of-a-person"})
    assert "xoxp" not in str(caught.value)
