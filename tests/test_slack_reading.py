"""Slack read over its Web API: what changed in the channels that count, threads whole, and the same words as by webhook."""

import contextlib
import re
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from activities.helpdesks.client import REFUSED, Account, HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.helpdesks.client import TICKET as TICKET_ID
from activities.helpdesks.kinds import helpdesk
from activities.helpdesks.slack import HORIZON, Slack
from records.shelf import Shelf
from sla.events import Delivery
from sla.intake import Unusable
from sla.source import Source
from starter import doctor_sources
from starter.connecting import SETUPS
from starter.front import desk
from starter.hook_settings import IntakeSettings, Secrets, SourceSecrets
from starter.intake.slack import ADAPTER, story
from starter.policy_check import check_files
from tests.mutations import bent, payloads
from tests.peers.slack import BEGINS, LIMITED, LOST, TOKEN, SlackPeer, slack_server

NOW = datetime(2031, 7, 12, 0, 0, tzinfo=UTC)
SINCE = datetime.fromtimestamp(BEGINS, UTC)
SOURCE = Source(name="acme-slack", kind="slack", agents={"U0DANA": "dana"}, channels=("C0SUPPORT",))
TICKET = "C0SUPPORT-1941579000.000200"
THREAD: dict[str, Any] = payloads("slack-api")["thread"]
EVENTS = payloads("slack")
DAY = 86_400.0


# The story of a thread


def words(ticket: dict[str, Any], source: Source = SOURCE) -> tuple[Delivery, ...]:
    told = story(ticket, source, NOW)
    return () if told is None else told.words


def changed(which: int, **more: Any) -> dict[str, Any]:
    """The thread, in which one message says something else."""
    messages = [dict(one) for one in THREAD["messages"]]
    messages[which] |= more
    return THREAD | {"messages": messages}


def test_a_thread_that_is_read_has_the_words_that_its_webhooks_had() -> None:
    names = ("message", "reply_agent", "reply_customer", "thread_broadcast")
    heard = [one for name in names for one in ADAPTER.read(EVENTS[name], SOURCE, NOW).told]
    told = story(THREAD, SOURCE, NOW)
    assert told is not None
    assert told.words == tuple(word for one in heard for word in one.words)
    assert {(one.ticket, one.organisation) for one in heard} == {(told.ticket, told.organisation)}
    assert [word.key for word in told.words] == [
        f"acme-slack:{TICKET}:opened",
        f"acme-slack:{TICKET}:message:1941579120.000300",
        f"acme-slack:{TICKET}:message:1941579240.000400",
        f"acme-slack:{TICKET}:message:1941579300.000500",
    ]


@pytest.mark.parametrize("name", ["forwarded", "file_share"])
def test_a_message_without_a_text_that_is_read_has_the_word_that_its_webhook_had(name: str) -> None:
    """A message forwarded, or files: at the top, and in a thread."""
    event = EVENTS[name]["event"]
    [heard] = ADAPTER.read(EVENTS[name], SOURCE, NOW).told
    assert words(THREAD | {"ts": event["ts"], "messages": [event]}) == heard.words
    below = event | {"thread_ts": THREAD["ts"], "parent_user_id": "U0ANN"}
    [replied] = ADAPTER.read(EVENTS[name] | {"event": below}, SOURCE, NOW).told
    assert replied.words[0].event.body
    assert words(THREAD | {"messages": [THREAD["messages"][0], below]})[1:] == replied.words


def test_pages_that_repeat_the_first_message_tell_it_once() -> None:
    assert words(THREAD | {"messages": [*THREAD["messages"], THREAD["messages"][0]]}) == words(THREAD)


def test_what_programs_wrote_what_was_deleted_and_what_hangs_elsewhere_tells_nothing() -> None:
    """Our own messages are known by `bot_id` too, so what counts as our user alone is taken for ours as well."""
    whole = {word.key for word in words(THREAD)}
    reply = f"acme-slack:{TICKET}:message:1941579240.000400"
    for more in (
        {"user": "U0PACT"}, {"bot_id": "B0OTHER"}, {"subtype": "tombstone"}, {"subtype": "channel_join"},
        {"thread_ts": "1941570000.000100"}, {"user": None}, {"ts": "yesterday"}, {"type": "event"},
    ):  # fmt: skip
        assert {word.key for word in words(changed(3, **more))} == whole - {reply}


@pytest.mark.parametrize(
    "ticket",
    [
        changed(0, user="U0DANA"),
        changed(0, user="U0PACT"),
        changed(0, bot_id="B0PACT", user="U0OTHER"),
        changed(0, subtype="tombstone", user="USLACKBOT"),
        changed(0, subtype="channel_join"),
        THREAD | {"messages": THREAD["messages"][1:]},
        THREAD | {"messages": []},
    ],
)
def test_a_thread_that_no_customer_began_or_whose_first_message_was_deleted_is_no_ticket(
    ticket: dict[str, Any],
) -> None:
    assert story(ticket, SOURCE, NOW) is None


def test_a_channel_that_does_not_count_is_no_tickets_and_an_agent_who_counts_as_a_customer_is_one() -> None:
    assert story(THREAD, SOURCE.model_copy(update={"channels": ("C0ELSEWHERE",)}), NOW) is None
    listed = SOURCE.model_copy(update={"customers": frozenset({"U0DANA"})})
    assert [word.event.event for word in words(THREAD, listed)] == ["opened", *["customer_replied"] * 3]
    ours = SOURCE.model_copy(update={"ours": ("U0BOB",)})
    assert len(words(THREAD, ours)) == len(words(THREAD)) - 1


@pytest.mark.parametrize("lacks", [{"channel": None}, {"channel": "#support"}, {"ts": 1941579000.0002}])
def test_what_names_no_thread_is_unusable(lacks: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        story(THREAD | lacks, SOURCE, NOW)


@settings(max_examples=200)
@given(bent("slack-api"))
def test_whatever_comes_over_the_api_is_a_story_or_unusable(body: Any) -> None:
    told = None
    with contextlib.suppress(Unusable):
        told = story(body if isinstance(body, dict) else {}, SOURCE, NOW)
    assert told is None or (told.words and len({word.key for word in told.words}) == len(told.words))


# The API


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[], SlackPeer]]:
    with slack_server() as fresh:
        yield fresh


@pytest.fixture
def peer(server: Callable[[], SlackPeer]) -> SlackPeer:
    made = server()
    made.channels = {"C0SUPPORT": [], "C0OTHER": []}
    return made


def slack(peer: SlackPeer, *channels: str, token: str = TOKEN) -> Slack:
    made = helpdesk("slack", Account(peer.base.removesuffix("/api"), token=token, channels=channels or ("C0SUPPORT",)))
    assert isinstance(made, Slack)
    return made


async def since(desk: Slack, at: datetime = SINCE) -> list[dict[str, Any]]:
    return [one async for one in desk.changed(at)]


def asked(peer: SlackPeer, method: str) -> list[dict[str, Any]]:
    return [said for name, said in peer.calls if name == method]


def texts(tickets: list[dict[str, Any]]) -> list[list[str]]:
    return [[message["text"] for message in one["messages"]] for one in tickets]


async def test_what_changed_is_told_whole_the_first_change_first_over_all_channels(peer: SlackPeer) -> None:
    """A thread that began before, and was answered since; single messages; what did not change is not read."""
    older = peer.says("C0SUPPORT", "U0ANN", "slow", BEGINS - 3 * DAY)
    quiet = peer.says("C0SUPPORT", "U0ANN", "quiet", BEGINS - 2 * DAY)
    peer.says("C0SUPPORT", "U0DANA", "looking", BEGINS - 2 * DAY + 60, quiet)
    first = peer.says("C0SUPPORT", "U0BOB", "blank", BEGINS + 60)
    peer.says("C0OTHER", "U0CAT", "stuck", BEGINS + 120)
    peer.says("C0SUPPORT", "U0ANN", "still slow", BEGINS + 180, older)
    found = await since(slack(peer, "C0SUPPORT", "c0other"))
    assert texts(found) == [["blank"], ["stuck"], ["slow", "still slow"]]
    assert [one["_changed"][:19] for one in found] == [
        "2031-07-11T23:31:00", "2031-07-11T23:32:00", "2031-07-11T23:33:00",
    ]  # fmt: skip
    assert [word.key.removeprefix("acme-slack:C0SUPPORT-") for one in found for word in words(one)] == [
        f"{first}:opened", f"{older}:opened", f"{older}:message:{found[2]['messages'][1]['ts']}",
    ]  # fmt: skip
    assert asked(peer, "conversations.replies") == [{"channel": "C0SUPPORT", "ts": older, "limit": "200"}]
    assert len(asked(peer, "auth.test")) == 1


async def test_threads_older_than_the_horizon_are_found_only_by_a_reply_that_the_channel_shows(peer: SlackPeer) -> None:
    long = HORIZON.total_seconds()
    within = peer.says("C0SUPPORT", "U0ANN", "within", BEGINS - long + 60)
    old = peer.says("C0SUPPORT", "U0ANN", "old", BEGINS - long - 60)
    older = peer.says("C0SUPPORT", "U0ANN", "older", BEGINS - long - 120)
    peer.channels["C0SUPPORT"].sort(key=lambda one: float(one["ts"]))
    for number, thread in enumerate((within, old, older)):
        shown = {"subtype": "thread_broadcast"} if thread == older else {}
        peer.says("C0SUPPORT", "U0ANN", "more", BEGINS + number, thread, **shown)
    assert texts(await since(slack(peer))) == [["within", "more"], ["older", "more"]]
    assert asked(peer, "conversations.history")[0]["oldest"] == f"{BEGINS - long:.6f}"


async def test_channels_and_threads_are_read_page_by_page(peer: SlackPeer) -> None:
    peer.page = 2
    thread = peer.says("C0SUPPORT", "U0ANN", "first", BEGINS + 1)
    for number in range(4):
        peer.says("C0SUPPORT", "U0ANN", f"single {number}", BEGINS + 10 + number)
    for number in range(4):
        peer.says("C0SUPPORT", "U0BOB", f"reply {number}", BEGINS + 20 + number, thread)
    found = await since(slack(peer))
    assert texts(found) == [*([f"single {n}"] for n in range(4)), ["first", *(f"reply {n}" for n in range(4))]]
    assert [one.get("cursor") for one in asked(peer, "conversations.history")] == [None, "2", "4"]
    assert [one.get("cursor") for one in asked(peer, "conversations.replies")] == [None, "2", "4"]


async def test_what_hangs_below_a_programs_message_is_not_even_read(peer: SlackPeer) -> None:
    notice = peer.says("C0SUPPORT", "U0PACT", "30 min left", BEGINS + 1, bot_id="B0PACT")
    peer.says("C0SUPPORT", "U0ANN", "thanks", BEGINS + 2, notice)
    assert await since(slack(peer)) == []
    assert asked(peer, "conversations.replies") == []


async def test_where_no_channel_is_named_those_that_the_app_is_in_are_read(peer: SlackPeer) -> None:
    peer.page = 1
    for channel in ("C0SUPPORT", "C0OTHER", "C0FOREIGN"):
        peer.says(channel, "U0ANN", channel, BEGINS + 1)
    peer.absent = {"C0FOREIGN"}
    desk = Slack(Account(f"{peer.base}", token=TOKEN))
    assert texts(await since(desk)) == [["C0SUPPORT"], ["C0OTHER"]]
    [first, *_] = asked(peer, "users.conversations")
    assert (first["types"], first["exclude_archived"]) == ("public_channel,private_channel", "true")


async def test_a_channel_that_alone_is_refused_keeps_no_other_back(peer: SlackPeer) -> None:
    peer.says("C0SUPPORT", "U0ANN", "blank", BEGINS + 1)
    peer.absent = {"C0OTHER"}
    refused, read = await since(slack(peer, "C0OTHER", "C0SUPPORT"))
    assert set(refused) == {REFUSED}
    assert isinstance(refused[REFUSED], HelpdeskRefused)
    assert str(refused[REFUSED]).startswith("channel C0OTHER: Slack at http")
    assert str(refused[REFUSED]).endswith(
        "said not_in_channel to conversations.history; invite the app into the channel"
    )
    assert texts([read]) == [["blank"]]


async def test_a_token_that_is_nobodys_is_told_of_the_account_and_where_it_stands(peer: SlackPeer) -> None:
    with pytest.raises(HelpdeskRefused, match=r"invalid_auth to auth\.test; look at its token in the file") as caught:
        await since(slack(peer, "C0SUPPORT", "C0OTHER", token="xoxb-of-another"))
    assert caught.value.status == 401


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (LIMITED, HelpdeskUnavailable), (LOST, HelpdeskUnavailable), ("ratelimited", HelpdeskUnavailable),
        ("internal_error", HelpdeskUnavailable), ("fatal_error", HelpdeskUnavailable), ("service_unavailable", HelpdeskUnavailable),
        ("token_revoked", HelpdeskRefused), ("account_inactive", HelpdeskRefused),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["conversations.history", "auth.test"])
async def test_its_failures_break_the_round_off_and_its_refusals_are_told_apart(
    peer: SlackPeer, method: str, said: str, error: type[Exception]
) -> None:
    thread = peer.says("C0SUPPORT", "U0ANN", "first", BEGINS + 1)
    peer.says("C0SUPPORT", "U0ANN", "more", BEGINS + 2, thread)
    peer.reading = {method: [said]}
    with pytest.raises(error) as caught:
        await since(slack(peer))
    assert isinstance(caught.value, HelpdeskRefused) or caught.value.retry_after == (7 if said == LIMITED else None)  # type: ignore[attr-defined]
    assert texts(await since(slack(peer))) == [["first", "more"]]


async def test_a_thread_that_alone_fails_keeps_no_other_back_and_the_limit_holds_for_all(peer: SlackPeer) -> None:
    threads = [peer.says("C0SUPPORT", "U0ANN", f"thread {n}", BEGINS + 1 + n) for n in range(2)]
    for number, thread in enumerate(threads):
        peer.says("C0SUPPORT", "U0ANN", "more", BEGINS + 10 + number, thread)
    for fails in (LOST, "internal_error", "fatal_error", "something_new"):
        peer.reading = {"conversations.replies": [fails]}
        failed, read = await since(slack(peer))
        assert failed[TICKET_ID] == f"C0SUPPORT-{threads[0]}"
        assert isinstance(failed[REFUSED], HelpdeskRefused if fails == "something_new" else HelpdeskUnavailable)
        assert texts([read]) == [["thread 1", "more"]]
    for fails in (LIMITED, "ratelimited"):
        peer.reading = {"conversations.replies": [fails]}
        with pytest.raises(HelpdeskUnavailable) as caught:
            await since(slack(peer))
        assert (caught.value.retry_after, caught.value.of_one) == (7 if fails == LIMITED else None, False)


async def test_more_pages_than_are_read_are_told_and_not_cut_off(
    peer: SlackPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.helpdesks.slack.MOST_PAGES", 2)
    peer.page = 1
    for number in range(2):
        peer.says("C0SUPPORT", "U0ANN", f"single {number}", BEGINS + 1 + number)
    assert len(await since(slack(peer))) == 2
    peer.says("C0SUPPORT", "U0ANN", "one more", BEGINS + 9)
    (refused,) = await since(slack(peer))
    assert str(refused[REFUSED]) == "channel C0SUPPORT: Slack has more than 2 pages for conversations.history"


async def test_one_thread_is_read_by_its_name_and_one_that_is_gone_is_none(peer: SlackPeer) -> None:
    peer.channels["C0SUPPORT"] = THREAD["messages"]
    ticket = await slack(peer).ticket(TICKET)
    assert ticket is not None
    assert story(ticket, SOURCE, NOW) == story(THREAD, SOURCE, NOW)
    assert ticket["ours"] == ["U0PACT", "B0PACT"]
    for gone in ("C0SUPPORT-1941570000.000100", "4711", "C0SUPPORT-", "C0SUPPORT-1941579000.000200x"):
        assert await slack(peer).ticket(gone) is None
    with pytest.raises(HelpdeskRefused, match="channel_not_found"):
        await slack(peer).ticket("C0GONE-1941579000.000200")


async def test_half_a_character_is_mended_for_no_event_could_hold_it(peer: SlackPeer) -> None:
    peer.says("C0SUPPORT", "U0ANN", "blank \ud83d", BEGINS + 1)
    [ticket] = await since(slack(peer))
    [opened] = words(ticket)
    assert opened.event.model_dump()["subject"] == "blank ?"


async def test_nothing_is_written(peer: SlackPeer) -> None:
    with pytest.raises(HelpdeskRefused, match="no internal notes, so nothing is written there"):
        await slack(peer).write(TICKET, Writing(key="k", note="Response is due."))
    assert peer.calls == []


async def test_the_check_says_as_whom_each_channel_is_read(peer: SlackPeer) -> None:
    assert await slack(peer, "C0SUPPORT", "C0OTHER").check() == (
        "Slack lets us read C0SUPPORT, C0OTHER as pactkeeper (U0PACT) of Acme"
    )
    assert {said["limit"] for said in asked(peer, "conversations.history")} == {"1"}


async def test_the_check_names_what_is_lacking(peer: SlackPeer) -> None:
    peer.without_scope = {"conversations.history"}
    with pytest.raises(HelpdeskRefused, match="which needs channels:history,groups:history; give the app the scopes"):
        await slack(peer).check()
    peer.without_scope = set()
    peer.absent = {"C0OTHER", "C0SUPPORT"}
    with pytest.raises(HelpdeskRefused, match=r"^channel C0OTHER: .* invite the app into the channel$"):
        await slack(peer, "C0OTHER").check()
    with pytest.raises(HelpdeskRefused, match="member of no channel; invite the app"):
        await Slack(Account(peer.base, token=TOKEN)).check()
    del peer.me["bot_id"]
    with pytest.raises(HelpdeskRefused, match="the app's bot token is needed"):
        await slack(peer).check()


async def test_nothing_that_was_read_before_the_round_counts_again(peer: SlackPeer) -> None:
    peer.says("C0SUPPORT", "U0ANN", "blank", BEGINS + 60)
    [one] = await since(slack(peer))
    assert await since(slack(peer), datetime.fromisoformat(one["_changed"]) + timedelta(seconds=1)) == []
    assert texts(await since(slack(peer), datetime.fromisoformat(one["_changed"]))) == [["blank"]]


# Where it is set up


async def test_the_doctor_says_what_its_api_is_for_and_asks_for_each_channel_of_the_file(peer: SlackPeer) -> None:
    unset = Source(name="acme-slack", kind="slack", channels=("C0SUPPORT",))
    (line,) = await doctor_sources.api(unset, SourceSecrets())
    assert (line.state, line.says) == ("warning", "none is set up: what a webhook misses stays missed")
    assert "such as https://slack.com, and its bot token" in line.do
    source = unset.model_copy(update={"url": peer.base.removesuffix("/api")})
    assert (await doctor_sources.api(source, SourceSecrets()))[0].says == "its bot token is missing"
    found = await doctor_sources.api(source, SourceSecrets(token=TOKEN))
    assert found[0].says == "Slack lets us read C0SUPPORT as pactkeeper (U0PACT) of Acme"


async def test_what_reads_the_sources_reads_the_channels_of_the_file(peer: SlackPeer) -> None:
    peer.says("C0SUPPORT", "U0ANN", "blank", BEGINS + 1)
    peer.says("C0OTHER", "U0ANN", "elsewhere", BEGINS + 1)
    source = SOURCE.model_copy(update={"url": f"{peer.base.removesuffix('/api')}/"})
    client = desk(IntakeSettings(Secrets(sources={source.name: SourceSecrets(token=TOKEN)})), source)
    assert isinstance(client, Slack)
    assert texts(await since(client)) == [["blank"]]


@pytest.mark.parametrize("url", ["", "url: https://slack.com\n"])
def test_a_file_that_would_write_into_slack_is_at_fault(tmp_path: Path, url: str) -> None:
    file = tmp_path / "sources" / "chat.yaml"
    file.parent.mkdir()
    file.write_text(f"name: chat\nkind: slack\n{url}writes: [notes]\n", encoding="utf-8")
    (found,) = (one for one in check_files([file], Shelf(tmp_path), NOW.date()) if one.file.endswith(file.name))
    assert (found.severity, found.line) == ("error", 4 if url else 3)
    assert found.message == "writes names what to write back, and nothing is written into Slack; take writes out"


def test_the_files_that_the_page_tells_to_write_are_right() -> None:
    page = (Path(__file__).parents[1] / "docs" / "sources" / "slack.md").read_text(encoding="utf-8")
    fences = [yaml.safe_load(textwrap.dedent(one)) for one in re.findall(r"```yaml\n(.+?)```", page, re.DOTALL)]
    manifest = next(one for one in fences if "oauth_config" in one)
    assert {"channels:history", "groups:history", "chat:write"} <= set(manifest["oauth_config"]["scopes"]["bot"])
    source = Source.model_validate(next(one for one in fences if one.get("kind") == ADAPTER.kind))
    assert (source.url, source.writes) == (SETUPS["slack"].api.url, ())  # type: ignore[union-attr]
    secrets = next(one for one in fences if "sources" in one)["sources"][source.name]
    assert SourceSecrets.model_validate({"secrets": ["x" * 32], "token": secrets["token"]}).token.startswith("xoxb-")
