"""Zendesk: events, a trigger's body and tickets read over the API become the same words; the API as it is documented."""

import base64
import hashlib
import hmac
import json
import random
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.helpdesks.zendesk import Zendesk
from sla.intake import Told, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.zendesk import ADAPTER
from tests.desks import MARK, StandIn, answers, losing, page, said, told_to_write

HERE = Path(__file__).parent / "deliveries" / "zendesk"
NOW = datetime(2031, 7, 11, 19, tzinfo=UTC)
SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3RpbmdfMTIz"
SOURCE = Source(
    name="desk", kind="zendesk", url="https://acme.zendesk.com", organisations={"8447346622462": "acme"},
    priorities={"urgent": "P1", "high": "P2"}, agents={"8447388090495": "dana"}, ours=("8447388090499",), product_field="360011",
)  # fmt: skip
BLIND = SOURCE.model_copy(update={"url": None})
LIFE = ("created", "comment_first", "assigned", "note", "priority", "our_note", "our_priority", "reply", "pending", "answer",
        "open_again", "solved", "out_of_office")  # fmt: skip


def zendesk(server: HTTPServer, **more: Any) -> Zendesk:
    """A client for it."""
    return Zendesk(Account(url=server.url_for("").rstrip("/"), user="bot@desk.example", token="t0k3n", **more))


def loses(server: HTTPServer) -> list[Any]:
    """Its ticket takes every update, and the answer never comes through."""
    kept: list[Any] = []

    def comments(_: Request) -> Response:
        notes = [{"id": 1, "body": one["ticket"]["comment"]["body"], "public": False} for one in kept]
        return answers({"comments": notes, "meta": {"has_more": False}})

    whole = delivery("ticket")
    server.expect_request("/api/v2/tickets/5158", "GET").respond_with_json({"ticket": whole["ticket"]})
    server.expect_request("/api/v2/users/show_many").respond_with_json({"users": whole["users"]})
    server.expect_request("/api/v2/tickets/5158", "PUT").respond_with_handler(losing(kept))
    server.expect_request("/api/v2/tickets/5158/comments").respond_with_handler(comments)
    return kept


DESK = StandIn(
    ADAPTER, (SOURCE, BLIND), NOW, (*LIFE, "merged", "trigger"), lambda: delivery("ticket"), zendesk,
    "/api/v2/tickets/{id}", "5158", loses, {"error": "RecordNotFound"},
)  # fmt: skip
delivery, story = DESK.delivery, DESK.story


def told(name: str, source: Source = BLIND, received: datetime = NOW) -> Told:
    """What it tells of the one ticket that it is about."""
    (one,) = ADAPTER.read(delivery(name), source, received).told
    return one


def hook(raw: bytes, stamp: str, secret: str = SECRET, **more: str) -> Hook:
    """A request, signed as Zendesk's documentation says."""
    digest = hmac.new(secret.encode(), stamp.encode() + raw, hashlib.sha256).digest()
    headers = {
        "x-zendesk-webhook-signature": base64.b64encode(digest).decode(),
        "x-zendesk-webhook-signature-timestamp": stamp,
    }
    return Hook({**headers, **more}, raw, NOW)


# Signatures


def test_a_signature_made_by_openssl_is_known() -> None:
    raw, stamp = (HERE / "created.json").read_bytes(), NOW.isoformat()
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET, "-binary"],
        input=stamp.encode() + raw, capture_output=True, check=True,
    ).stdout  # fmt: skip
    ADAPTER.verify(
        hook(raw, stamp, **{"x-zendesk-webhook-signature": base64.b64encode(made).decode()}), ["old", SECRET]
    )


def test_a_signature_of_another_secret_body_or_timestamp_is_refused() -> None:
    raw, stamp = b'{"a":1}', NOW.isoformat()
    fair = hook(raw, stamp)
    ADAPTER.verify(fair, [SECRET])
    given = fair.headers["x-zendesk-webhook-signature"]
    hidden = {"x-zendesk-webhook-signature": ""}
    for bad in (
        hook(raw, stamp, "other"), Hook(fair.headers, b'{"a": 1}', NOW), hook(raw, stamp, **hidden), Hook({}, raw, NOW),
        hook(raw, stamp, **{"x-zendesk-webhook-signature": given[:-4]}), hook(raw, stamp, **{"x-zendesk-webhook-signature": "é"}),
        hook(raw, stamp, **{"x-zendesk-webhook-signature-timestamp": (NOW + timedelta(seconds=1)).isoformat()}),
    ):  # fmt: skip
        with pytest.raises(BadSignature):
            ADAPTER.verify(bad, [SECRET])
    with pytest.raises(BadSignature):
        ADAPTER.verify(fair, [])


@pytest.mark.parametrize(
    "stamp", ["2031-07-11T18:54:59Z", "2031-07-11T19:05:01Z", "", "NaN", "1941556200", "2031-07-11T19:00:00"]
)
def test_a_signed_timestamp_that_is_old_early_or_none_is_refused(stamp: str) -> None:
    assert ADAPTER.window
    with pytest.raises(BadSignature):
        ADAPTER.verify(hook(b"{}", stamp), [SECRET])


def test_an_empty_body_is_signed_by_its_timestamp_alone() -> None:
    ADAPTER.verify(hook(b"", "2031-07-11T18:55:01Z"), [SECRET])


# Words


def test_a_ticket_s_life_told_by_events() -> None:
    found = [
        (name, word) for name in LIFE for one in ADAPTER.read(delivery(name), BLIND, NOW).told for word in said(one)
    ]
    assert found == [
        ("created", ("opened", "16:00:05")),
        ("assigned", ("acknowledged", "16:04:00")),
        ("note", ("agent_replied", "16:10:00")),
        ("priority", ("priority_changed", "16:11:30")),
        ("reply", ("agent_replied", "16:20:00")),
        ("pending", ("waiting_on_customer", "16:20:00")),
        ("answer", ("customer_replied", "17:05:10")),
        ("open_again", ("reopened", "17:05:10")),
        ("solved", ("resolved", "18:00:00")),
    ]


def test_the_api_tells_the_same_words_under_the_same_keys_as_the_events() -> None:
    by_event = {
        w.key: (w.event.event, w.occurred_at)
        for name in LIFE
        for t in ADAPTER.read(delivery(name), BLIND, NOW).told
        for w in t.words
    }
    assert {w.key: (w.event.event, w.occurred_at) for w in story().words} == by_event
    assert "desk:5158:opened" in by_event
    assert "desk:5158:comment:8447388100004" in by_event


def test_deliveries_that_come_twice_late_and_shuffled_tell_the_same_set() -> None:
    names = list(LIFE) * 2
    random.Random(4).shuffle(names)
    later = NOW + timedelta(hours=1)
    shuffled = {
        (w.key, w.occurred_at)
        for name in names
        for t in ADAPTER.read(delivery(name), BLIND, later).told
        for w in t.words
    }
    assert shuffled == {(w.key, w.occurred_at) for w in story().words}


def test_a_reply_a_note_and_an_answer_are_told_apart() -> None:
    (note,), (reply,), (answer,) = (told(name).words for name in ("note", "reply", "answer"))
    assert (note.event.event, note.event.public, note.event.by) == ("agent_replied", False, "dana")  # type: ignore[union-attr]
    assert (reply.event.event, reply.event.public) == ("agent_replied", True)  # type: ignore[union-attr]
    assert answer.event.event == "customer_replied"


@pytest.mark.parametrize("name", ["our_note", "our_priority", "out_of_office", "comment_first", "tags"])
def test_an_echo_an_automatic_answer_the_first_text_and_tags_tell_nothing(name: str) -> None:
    read = ADAPTER.read(delivery(name), BLIND, NOW)
    assert not read.told
    assert read.ignored


def test_a_comment_that_zendesk_flags_as_generated_tells_nothing_whatever_its_language() -> None:
    ticket = delivery("ticket")
    assert "comment:8447388100006" not in str([w.key for w in story().words])
    ticket["audits"][-1]["metadata"]["flags"] = [0]
    assert story(ticket).words[-1].event.event == "customer_replied"


def test_where_zendesk_flags_comments_its_flag_decides_and_the_words_only_where_none_is_told() -> None:
    away = "I am out of the office until Monday."
    ticket, event = delivery("ticket"), delivery("answer")
    ticket["audits"][-1]["metadata"]["flags"] = []
    next(one for one in ticket["audits"][-1]["events"] if one["type"] == "Comment")["body"] = away
    assert story(ticket).words[-1].event.body == away  # type: ignore[union-attr]
    del ticket["audits"][-1]["metadata"]
    assert away not in [getattr(w.event, "body", None) for w in story(ticket).words]
    event["event"]["comment"]["body"] = away
    assert ADAPTER.read(event, BLIND, NOW).ignored == "it is an automatic answer"
    event["event"]["comment"]["body"] = "Auto-reply is broken since this morning"
    assert ADAPTER.read(event, BLIND, NOW).told[0].words[0].event.event == "customer_replied"


def test_a_public_reply_as_our_user_counts_also_one_that_quotes_our_note() -> None:
    """We write internal notes alone: an answer that was dropped would page people for a response that was given."""
    body = delivery("reply")
    body["event"]["comment"]["author"]["id"] = "8447388090499"
    assert ADAPTER.read(body, BLIND, NOW).told
    body["event"]["comment"]["body"] = f"Hello\n\n> Half is used.\n> {MARK}"
    assert ADAPTER.read(body, BLIND, NOW).told


def test_an_agent_of_the_source_that_we_call_a_customer_is_one() -> None:
    source = BLIND.model_copy(update={"customers": frozenset({"8447388090495"})})
    assert told("reply", source).words[0].event.event == "customer_replied"


def test_an_end_user_is_named_by_address_and_opens_with_product_priority_and_text() -> None:
    opening = story().words[0]
    assert opening.event.model_dump(include={"by", "priority", "product", "channel", "subject"}) == {
        "by": "ann@acme.example", "priority": "P2", "product": "shop", "channel": "email", "subject": "Nothing loads",
    }  # fmt: skip
    assert opening.event.body.startswith("Nothing loads since")  # type: ignore[union-attr]
    assert (story().requester, story().organisation) == ("ann@acme.example", "8447346622462")


def test_a_priority_that_nobody_knows_goes_on_as_it_is_and_an_unknown_status_is_a_doubt() -> None:
    body = delivery("priority")
    body["event"]["current"] = "MELTDOWN"
    assert ADAPTER.read(body, BLIND, NOW).told[0].words[0].event.to == "MELTDOWN"  # type: ignore[union-attr]
    body = delivery("pending")
    body["event"]["current"] = "SNOOZED"
    (one,) = ADAPTER.read(body, BLIND, NOW).told
    assert not one.words
    assert "'SNOOZED'" in one.doubts[0]
    source = BLIND.model_copy(update={"statuses": {"snoozed": "waiting"}})
    assert ADAPTER.read(body, source, NOW).told[0].words[0].event.event == "waiting_on_customer"


def test_somebody_who_gives_it_to_another_assigns_and_an_emptied_field_says_nothing() -> None:
    body = delivery("assigned")
    body["detail"]["actor_id"] = "8447388090999"
    event = ADAPTER.read(body, BLIND, NOW).told[0].words[0].event
    assert (event.event, event.to, event.by) == ("assigned", "dana", "8447388090999")  # type: ignore[union-attr]
    for empty in (None, "0", ""):
        body["event"]["current"] = empty
        assert ADAPTER.read(body, BLIND, NOW).ignored


def test_merged_deleted_and_spam_are_over_and_undeleted_is_open_again() -> None:
    assert said(told("merged")) == said(told("spam")) == [("closed", "18:30:00")]
    for kind, event in (("soft_deleted", "closed"), ("permanently_deleted", "closed"), ("undeleted", "reopened")):
        body = {**delivery("spam"), "type": f"zen:event-type:ticket.{kind}"}
        assert said(ADAPTER.read(body, BLIND, NOW).told[0]) == [(event, "18:30:00")]


def test_a_merge_and_a_status_of_closed_are_one_word() -> None:
    body = {
        **delivery("merged"),
        "type": "zen:event-type:ticket.status_changed",
        "event": {"current": "CLOSED", "previous": "OPEN"},
    }
    assert [w.key for w in ADAPTER.read(body, BLIND, NOW).told[0].words] == [w.key for w in told("merged").words]


@pytest.mark.parametrize(
    "text",
    [
        "This request was closed and merged into request #5150.",
        'Request #5160 "Nothing loads" was closed and merged into this request.',
    ],
)
def test_what_zendesk_writes_into_merged_tickets_is_no_agent_s_reply(text: str) -> None:
    body = delivery("reply")
    body["event"]["comment"]["body"] = text
    assert ADAPTER.read(body, BLIND, NOW).ignored


def test_what_zendesk_itself_writes_is_neither_the_customer_s_nor_an_agent_s() -> None:
    for name in ("answer", "note"):
        body = delivery(name)
        body["event"]["comment"]["author"] = {"id": "-1", "is_staff": False, "name": "Zendesk"}
        assert ADAPTER.read(body, BLIND, NOW).ignored == "Zendesk wrote it itself"
    ticket = delivery("ticket")
    audit = next(one for one in ticket["audits"] if "8447388100004" in str(one))
    audit["author_id"] = -1
    for own in (-1, None):
        next(one for one in audit["events"] if one["type"] == "Comment")["author_id"] = own
        assert "comment:8447388100004" not in str([w.key for w in story(ticket).words])


def test_the_record_of_a_chat_as_a_customer_s_private_comment_tells_nothing() -> None:
    body, ticket = delivery("answer"), delivery("ticket")
    body["event"]["comment"]["is_public"] = False
    assert "private" in (ADAPTER.read(body, BLIND, NOW).ignored or "")
    audit = next(one for one in ticket["audits"] if "8447388100004" in str(one))
    next(one for one in audit["events"] if one["type"] == "Comment")["public"] = False
    assert "comment:8447388100004" not in str([w.key for w in story(ticket).words])


@pytest.mark.parametrize(("name", "ours"), [("LOW", "P4"), ("NORMAL", "P3"), ("high", "P2"), ("Urgent", "P1")])
def test_zendesk_s_own_priorities_are_known_where_the_file_says_nothing(name: str, ours: str) -> None:
    plain, raised, made = Source(name="desk", kind="zendesk"), delivery("priority"), delivery("created")
    raised["event"]["current"] = made["detail"]["priority"] = name
    assert ADAPTER.read(raised, plain, NOW).told[0].words[0].event.to == ours  # type: ignore[union-attr]
    assert ADAPTER.read(made, plain, NOW).told[0].words[0].event.priority == ours  # type: ignore[union-attr]


def test_other_events_and_other_channels_are_ignored() -> None:
    for kind in (
        "zen:event-type:user.created",
        "zen:event-type:ticket.csat_received",
        "zen:event-type:messaging_ticket.message_added",
        "x",
    ):
        read = ADAPTER.read({**delivery("created"), "type": kind}, BLIND, NOW)
        assert not read.told
        assert read.ignored
    elsewhere = BLIND.model_copy(update={"channels": ("8447320466431",)})
    assert not ADAPTER.read(delivery("created"), elsewhere, NOW).told
    assert ADAPTER.story is not None
    assert ADAPTER.story(delivery("ticket"), elsewhere, NOW) is None
    here = BLIND.model_copy(update={"channels": ("8447320466430",)})
    assert ADAPTER.read(delivery("created"), here, NOW).told


def test_with_an_api_the_opening_and_what_comes_from_an_unknown_company_is_looked_up() -> None:
    opening = told("created", SOURCE)
    assert (opening.look, opening.words, opening.ticket) == (True, (), "5158")
    assert told("answer", SOURCE).words
    stranger = SOURCE.model_copy(update={"organisations": {}})
    assert (told("answer", stranger).look, told("answer", stranger).words) == (True, ())


def test_a_trigger_s_body_is_a_nudge_where_there_is_an_api_and_tells_what_it_can_where_not() -> None:
    nudge = told("trigger", SOURCE)
    assert (nudge.look, nudge.words, nudge.requester) == (True, (), "ann@acme.example")
    blind = told("trigger")
    assert said(blind) == [("opened", "16:00:05"), ("agent_replied", "16:20:00"), ("waiting_on_customer", "16:20:00")]
    assert {w.key for w in blind.words} <= {w.key for w in story().words}
    body = delivery("trigger")
    body["comment"] |= {"role": "End user", "author_id": "8447388090494", "id": "7"}
    assert ADAPTER.read(body, BLIND, NOW).told[0].words[1].event.event == "customer_replied"


def test_what_is_no_event_of_zendesk_or_names_no_ticket_is_unusable() -> None:
    nameless = delivery("created")
    nameless["detail"]["id"], nameless["subject"] = None, "zen:ticket:"
    endless = delivery("created")
    endless["detail"]["id"] = "9" * 201
    for body in (None, [], "x", {}, {"pactkeeper": "x"}, {"pactkeeper": "zendesk-trigger"}, nameless, endless):
        with pytest.raises(Unusable):
            ADAPTER.read(body, BLIND, NOW)


def test_the_page_s_own_file_and_body_are_what_we_take() -> None:
    source = Source.model_validate(told_to_write("zendesk")[0])
    (body,) = re.findall(r"^```json\n(.*?)^```", page("zendesk"), re.DOTALL | re.MULTILINE)
    assert {name for name, _ in PLACES.findall(body)} == set(FILLED)
    filled = json.loads(PLACES.sub(lambda found: FILLED[found[1]], body))
    assert filled == delivery("trigger")
    assert told("trigger", source).look


PLACES = re.compile(r"\{\{([\w.]+)((?: \| \w+)*)\}\}")
FILLED = {
    "ticket.id": "5158", "ticket.title": "Nothing loads", "ticket.status": "Pending", "ticket.priority": "Urgent",
    "ticket.via": "Mail", "ticket.group.name": "Support", "ticket.brand.name": "Acme",
    "ticket.created_at_with_timestamp": "2031-07-11T16:00:05Z", "ticket.updated_at_with_timestamp": "2031-07-11T16:20:00Z",
    "ticket.organization.id": "8447346622462", "ticket.requester.email": "ann@acme.example", "ticket.requester.id": "8447388090494",
    "ticket.latest_comment.id": "8447388100003", "ticket.latest_comment.is_public": "true",
    "ticket.latest_comment.author.id": "8447388090495", "ticket.latest_comment.author.email": "dana@desk.example",
    "ticket.latest_comment.author.role": "Agent", "current_user.id": "8447388090495",
}  # fmt: skip


# The API, as it is documented


@pytest.fixture
def desk(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """A Zendesk with one ticket."""
    whole = delivery("ticket")
    httpserver.expect_request("/api/v2/tickets/5158", "GET").respond_with_json({"ticket": whole["ticket"]})
    httpserver.expect_request("/api/v2/users/show_many").respond_with_json({"users": whole["users"]})
    yield httpserver
    httpserver.check_assertions()


def audits(server: HTTPServer) -> None:
    """Its audits, in two pages by cursor."""
    found = delivery("ticket")["audits"]
    first = {"audits": found[:4], "meta": {"has_more": True, "after_cursor": "abc"}}
    server.expect_request("/api/v2/tickets/5158/audits", query_string={"page[size]": "100"}).respond_with_json(first)
    server.expect_request(
        "/api/v2/tickets/5158/audits", query_string={"page[size]": "100", "page[after]": "abc"}
    ).respond_with_json({"audits": found[4:], "meta": {"has_more": False, "after_cursor": None}})


async def test_a_ticket_read_with_all_pages_of_its_audits_tells_its_whole_story(desk: HTTPServer) -> None:
    audits(desk)
    found = await zendesk(desk).ticket("5158")
    assert found is not None
    assert said(story(found)) == said(story())
    assert found["_changed"] == "2031-07-11T18:00:25+00:00"
    asked = desk.log[0][0].headers["authorization"]
    assert base64.b64decode(asked.removeprefix("Basic ")) == b"bot@desk.example/token:t0k3n"


async def test_what_changed_is_read_page_by_page_from_a_second_on_and_never_from_the_last_minute(
    desk: HTTPServer,
) -> None:
    audits(desk)
    ticket = delivery("ticket")["ticket"]
    since = datetime(2026, 7, 11, 16, tzinfo=UTC)
    first = {"tickets": [ticket], "after_cursor": "MTU3", "end_of_stream": False}
    gone = {**ticket, "id": 5159, "status": "deleted"}
    path = "/api/v2/incremental/tickets/cursor"
    desk.expect_oneshot_request(path, query_string={"start_time": str(int(since.timestamp()))}).respond_with_json(first)
    desk.expect_oneshot_request(path, query_string={"cursor": "MTU3"}).respond_with_json(
        {"tickets": [gone], "end_of_stream": True}
    )
    desk.expect_request("/api/v2/tickets/5159/audits").respond_with_json({"error": "RecordNotFound"}, 404)
    found = [one async for one in zendesk(desk).changed(since)]
    assert [one["ticket"]["id"] for one in found] == [5158, 5159]
    assert said(story(found[1]))[-1] == ("closed", "18:00:20")
    desk.expect_oneshot_request(path).respond_with_json({"tickets": [], "end_of_stream": True})
    assert [one async for one in zendesk(desk).changed(datetime.now(UTC))] == []
    assert int(desk.log[-1][0].args["start_time"]) <= datetime.now(UTC).timestamp() - 60


async def test_more_pages_than_one_round_reads_end_it_where_it_is_and_not_at_now(
    desk: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that looked like the last page's would move the next round past what was not read."""
    audits(desk)
    page = {"tickets": [delivery("ticket")["ticket"]], "after_cursor": "MTU3", "end_of_stream": False}
    desk.expect_request("/api/v2/incremental/tickets/cursor").respond_with_json(page)
    monkeypatch.setattr("activities.helpdesks.zendesk.MOST_PAGES", 2)
    changed = zendesk(desk).changed(datetime(2026, 7, 11, 16, tzinfo=UTC))
    assert [(await anext(changed))["ticket"]["id"] for _ in range(2)] == [5158, 5158]
    with pytest.raises(HelpdeskUnavailable, match="more than 2 pages"):
        await anext(changed)


WRITING = Writing(
    "k",
    "Half of the time is used.",
    MARK,
    "8447388090499",
    "Low",
    datetime(2031, 7, 12, 9, tzinfo=UTC),
    ("promise missed",),
)


async def test_a_note_and_fields_are_one_update_that_yields_to_anybody_else_s(desk: HTTPServer) -> None:
    desk.expect_request("/api/v2/tickets/5158/comments").respond_with_json(
        {"comments": [], "meta": {"has_more": False}}
    )
    desk.expect_oneshot_request("/api/v2/tickets/5158", "PUT").respond_with_json({})
    wrote = await zendesk(desk, due_field="360012").write("5158", WRITING)
    assert wrote == "the assignee, the priority, the due date, the tags, an internal note"
    put = desk.log[-1][0].get_json()["ticket"]
    assert put == {
        "comment": {"body": f"Half of the time is used.\n\n{MARK}", "public": False},
        "assignee_id": 8447388090499, "priority": "low", "custom_fields": [{"id": 360012, "value": "2031-07-12T09:00:00Z"}],
        "tags": ["checkout", "at_risk", "promise_missed"], "safe_update": True, "updated_stamp": "2031-07-11T18:00:20Z",
    }  # fmt: skip
    desk.expect_oneshot_request("/api/v2/tickets/5158", "PUT").respond_with_json({"error": "UpdateConflict"}, 409)
    with pytest.raises(HelpdeskUnavailable):
        await zendesk(desk).write("5158", WRITING)


async def test_what_stands_there_already_is_not_written(desk: HTTPServer) -> None:
    same = Writing("k", assignee="Dana@desk.example", priority="URGENT", tags=("At risk", "checkout"))
    desk.clear()
    whole = delivery("ticket")
    desk.expect_request("/api/v2/tickets/5158", "GET").respond_with_json({"ticket": whole["ticket"]})
    desk.expect_request("/api/v2/users/show_many", query_string={"ids": "8447388090495"}).respond_with_json(
        {"users": [whole["users"][1]]}
    )
    assert await zendesk(desk).write("5158", same) == "nothing that was not there"


async def test_a_closed_ticket_is_left_alone(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v2/tickets/1").respond_with_json({"ticket": {"id": 1, "status": "closed"}})
    assert (await zendesk(httpserver).write("1", WRITING)).startswith("nothing")


async def test_check_says_as_whom_and_knows_that_nobody_is_nobody(httpserver: HTTPServer) -> None:
    me = {"id": 7, "name": "Pactkeeper", "email": "bot@desk.example", "role": "agent"}
    for user, allowed in (
        (me, True),
        ({"id": None, "name": "Anonymous user", "role": "end-user"}, False),
        ({**me, "role": "end-user"}, False),
    ):
        httpserver.clear()
        httpserver.expect_request("/api/v2/users/me").respond_with_json({"user": user})
        if allowed:
            assert await zendesk(httpserver).check() == "Zendesk lets us read and write as Pactkeeper (7), agent"
        else:
            with pytest.raises(HelpdeskRefused):
                await zendesk(httpserver).check()
