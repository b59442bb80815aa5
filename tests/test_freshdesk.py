"""Freshdesk: what its rules send and what its API tells become words; the API as it is documented."""

import base64
import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities.helpdesks import freshdesk as api
from activities.helpdesks.client import Account, HelpdeskRefused, Writing
from activities.helpdesks.freshdesk import Freshdesk
from sla.entries import entry
from sla.evaluate import evaluate
from sla.intake import Told, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.freshdesk import ADAPTER
from tests.cases import CONTRACTS
from tests.desks import MARK, StandIn, answers, losing, page, said, told_to_write
from tests.stage import SHELF

NOW = datetime(2031, 7, 11, 19, 10, tzinfo=UTC)
SOURCE = Source(
    name="fresh", kind="freshdesk", url="https://acme.freshdesk.com", organisations={"acme": "acme-inc"},
    priorities={"Urgent": "P1", "3": "P2"}, agents={"43022": "dana"}, ours=("43099",), product_field="cf_product",
)  # fmt: skip
BLIND = SOURCE.model_copy(update={"url": None})
UPDATES = ("customer_reply", "agent_reply", "priority", "pending", "open_again", "resolved")


def fresh(server: HTTPServer, **more: Any) -> Freshdesk:
    """A client for it."""
    return Freshdesk(Account(url=server.url_for("").rstrip("/"), token="t0k3n", **more))


def loses(server: HTTPServer) -> list[Any]:
    """Its ticket takes every note, and the answer never comes through."""
    kept: list[Any] = []
    server.expect_request("/api/v2/tickets/6541", "GET").respond_with_json(delivery("ticket")["ticket"])
    server.expect_request("/api/v2/tickets/6541/notes", "POST").respond_with_handler(losing(kept))
    server.expect_request("/api/v2/tickets/6541/conversations").respond_with_handler(
        lambda _: answers([{"id": 1, "body": one["body"], "private": True} for one in kept])
    )
    return kept


DESK = StandIn(
    ADAPTER, (SOURCE, BLIND), NOW, ("created", *UPDATES, "zulip_priority", "simple_replied"), lambda: delivery("ticket"), fresh,
    "/api/v2/tickets/{id}", "6541", loses,
)  # fmt: skip
delivery, story = DESK.delivery, DESK.story


def told(body: Any, source: Source = BLIND, received: datetime = NOW) -> Told:
    """What it tells of the one ticket that it is about."""
    (one,) = ADAPTER.read(delivery(body) if isinstance(body, str) else body, source, received).told
    return one


def names(told: Told) -> list[str]:
    """The events of some words."""
    return [one.event.event for one in told.words]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer s3cret"},
        {"authorization": "Basic " + base64.b64encode(b"pactkeeper:s3cret").decode()},
        {"authorization": "Basic " + base64.b64encode(b"s3cret:X").decode()},
        {"x-pactkeeper-token": "s3cret"},
    ],
)
def test_a_rule_shows_the_secret_in_a_header_of_either_kind(headers: dict[str, str]) -> None:
    ADAPTER.verify(Hook(headers, b"{}", NOW), ["old", "s3cret"])
    with pytest.raises(BadSignature):
        ADAPTER.verify(Hook(headers, b"{}", NOW), ["other"])
    with pytest.raises(BadSignature):
        ADAPTER.verify(Hook({}, b"{}", NOW), ["s3cret"])


def test_two_changes_that_send_the_same_body_are_two_deliveries() -> None:
    """Else the second would pass for a repetition, and nobody would look."""
    first, second = (Hook({}, b'{"ticket_id": "1"}', NOW + timedelta(seconds=n)) for n in (0, 40))
    assert ADAPTER.delivery_id(first) == ADAPTER.delivery_id(first) != ADAPTER.delivery_id(second)


# With an API


@pytest.mark.parametrize("name", ["created", *UPDATES, "zulip_created", "zulip_priority"])
def test_with_an_api_every_delivery_is_a_nudge_to_look(name: str) -> None:
    one = told(name, SOURCE)
    assert (one.ticket, one.look, one.requester) == ("6541", True, "ann@acme.example")
    assert names(one) == (["priority_changed"] if "priority" in name else [])


def test_a_body_with_nothing_but_the_ticket_is_enough_to_look() -> None:
    assert told(
        {"pactkeeper": "freshdesk", "ticket_id": 6541, "triggered_event": "{priority:{from:1,to:4}}"}, SOURCE
    ) == Told("6541", look=True)


def test_a_ticket_read_over_the_api_tells_its_life_with_its_own_times() -> None:
    assert sorted(said(story()), key=lambda one: one[1]) == [
        ("opened", "16:00:05"),
        ("agent_replied", "16:10:00"),
        ("agent_replied", "16:20:00"),
        ("waiting_on_customer", "16:20:00"),
        ("customer_replied", "17:05:10"),
        ("agent_replied", "17:30:00"),
        ("priority_changed", "18:00:00"),
        ("assigned", "18:00:00"),
        ("resolved", "18:00:00"),
    ]
    replies = {w.key.rpartition(":")[2]: w.event.public for w in story().words if w.event.event == "agent_replied"}
    assert replies == {"43000000001": False, "43000000003": True, "43000000006": False}


def test_the_opening_has_who_what_and_how_urgent() -> None:
    one = story()
    assert one.words[0].event.model_dump(include={"by", "priority", "product", "channel", "subject", "body"}) == {
        "by": "ann@acme.example", "priority": "P1", "product": "shop", "channel": "email", "subject": "Nothing loads",
        "body": "Nothing loads since 15:50.",
    }  # fmt: skip
    assert (one.requester, one.organisation) == ("ann@acme.example", "Acme")


def test_an_automatic_answer_a_rule_s_reply_a_survey_and_our_own_note_tell_nothing() -> None:
    keys = " ".join(w.key for w in story().words)
    assert not [n for n in (2, 5, 7, 8, 9) if f"4300000000{n}" in keys]
    ours = delivery("ticket")
    ours["conversations"][0]["user_id"] = 43099
    assert "43000000001" not in str([w.key for w in story(ours).words])


def test_what_is_read_again_later_has_the_same_keys_and_what_happened_since_has_its_own() -> None:
    """Also where somebody decided otherwise here meanwhile: the helpdesk's old priority is not told anew with every reply."""
    later = delivery("ticket")
    later["ticket"] |= {"status": 5, "updated_at": "2031-07-11T18:40:00Z"}
    later["ticket"]["stats"] |= {"closed_at": "2031-07-11T18:40:00Z", "status_updated_at": "2031-07-11T18:40:00Z"}
    before, after = ({w.key for w in story(one).words} for one in (None, later))
    assert before <= after
    assert [w.event.event for w in story(later).words if w.key not in before] == ["closed"]


def test_a_ticket_that_waits_no_more_or_comes_back_is_reopened() -> None:
    ticket = delivery("ticket")
    ticket["ticket"] |= {"status": 2}
    ticket["ticket"]["stats"] |= {"resolved_at": None, "status_updated_at": "2031-07-11T17:05:10Z"}
    assert ("reopened", "17:05:10") in said(story(ticket))
    ticket["ticket"]["stats"] |= {"reopened_at": "2031-07-11T17:05:10Z"}
    assert names(story(ticket)).count("reopened") == 1
    ticket["ticket"]["stats"] = {"status_updated_at": "2031-07-11T16:00:05Z"}
    assert "reopened" not in names(story(ticket))


def test_a_status_and_a_priority_are_known_by_code_and_by_name_and_an_unknown_status_is_a_doubt() -> None:
    ticket = delivery("ticket")
    ticket["ticket"] |= {"status": 12, "stats": {"status_updated_at": "2031-07-11T17:00:00Z"}, "priority": 9}
    one = story(ticket)
    assert "'12'" in one.doubts[0]
    assert one.words[0].event.priority == "9"  # type: ignore[union-attr]
    for statuses in ({"12": "waiting"}, {12: "waiting"}):
        known = Source.model_validate({**SOURCE.model_dump(), "statuses": statuses})
        assert ("waiting_on_customer", "17:00:00") in said(story(ticket, known))
    ticket["ticket"] |= {"status": 6, "priority": 3}
    assert story(ticket).words[0].event.priority == "P2"  # type: ignore[union-attr]
    assert ("waiting_on_customer", "17:00:00") in said(story(ticket))
    by_name = SOURCE.model_copy(update={"statuses": {"Waiting on Customer": "open"}})
    assert "waiting_on_customer" not in names(story(ticket, by_name))


def test_spam_and_deleted_tickets_are_over_and_other_groups_are_not_ours() -> None:
    ticket = delivery("ticket")
    ticket["ticket"]["spam"] = True
    assert names(story(ticket))[-1] == "closed"
    elsewhere = SOURCE.model_copy(update={"channels": ("43002", "Billing")})
    assert ADAPTER.story is not None
    assert ADAPTER.story(ticket, elsewhere, NOW) is None
    assert ADAPTER.read(delivery("created"), elsewhere, NOW).ignored
    assert ADAPTER.read(delivery("created"), SOURCE.model_copy(update={"channels": ("support",)}), NOW).told


# Without an API


def test_without_an_api_the_bodies_alone_tell_what_they_can() -> None:
    assert names(told("created")) == names(told("zulip_created")) == ["opened"]
    assert told("created").words[0].event.model_dump(include={"by", "priority", "subject", "body", "channel"}) == {
        "by": "ann@acme.example", "priority": "P2", "subject": "Nothing loads", "body": "Nothing loads since 15:50.", "channel": "email",
    }  # fmt: skip
    assert names(told("customer_reply")) == ["opened", "customer_replied"]
    assert told("customer_reply").words[1].event.body == "Frankfurt, since 16:40."  # type: ignore[union-attr]
    assert names(told("agent_reply")) == ["opened", "agent_replied"]
    assert names(told("pending")) == ["opened", "waiting_on_customer"]
    assert "reopened" in names(told("open_again"))
    assert "resolved" in names(told("resolved"))
    assert told("zulip_priority").words[0].event.to == "P4"  # type: ignore[union-attr]


def test_without_an_api_what_comes_twice_and_shuffled_is_one_set() -> None:
    bodies = ["created", *UPDATES] * 2
    random.Random(4).shuffle(bodies)
    once = {w.key for name in ("created", *UPDATES) for w in told(name).words}
    again = NOW + timedelta(minutes=35)
    assert {w.key for name in bodies for received in (NOW, again) for w in told(name, BLIND, received).words} == once
    unstamped = delivery("pending") | {"updated_at": ""}
    assert (
        keys(unstamped, NOW + timedelta(minutes=35))
        == keys(unstamped, NOW)
        != keys(unstamped, NOW + timedelta(hours=3))
    )


def keys(body: Any, received: datetime = NOW) -> set[str]:
    """The keys of what a body tells, without an API."""
    return {w.key for w in told(body, BLIND, received).words}


MIDNIGHT = datetime(2031, 7, 11, 23, 50, tzinfo=UTC)


@pytest.mark.parametrize("when", ["2031-07-14 09:00:12 UTC", "2031-07-14 02:00:12 -0700", "2031-07-14T09:00:12Z"])
def test_the_same_words_days_later_are_another_reply_and_a_body_that_is_sent_again_is_the_same(when: str) -> None:
    """Freshdesk sends three times more, 5, 35 and 95 minutes later."""
    first = delivery("customer_reply") | {"comment": "Ann Ortiz : <div>Any news?</div>"}
    again = first | {"updated_at": when}
    assert len(keys(first) | keys(again)) == 3
    for body in (first, again):
        assert {key for n in (0, 5, 35, 95) for key in keys(body, MIDNIGHT + timedelta(minutes=n))} == keys(body)


@pytest.mark.parametrize("stamp", [None, "", "{{ticket.modified_on}}", "11 July", 7])
def test_the_same_words_whose_time_nothing_tells_are_one_reply_a_day(stamp: Any) -> None:
    body = delivery("customer_reply") | {"updated_at": stamp}
    assert keys(body, NOW) == keys(body, NOW + timedelta(hours=1)) != keys(body, NOW + timedelta(days=1))


@pytest.mark.parametrize(
    "happened",
    ["{status:{from:2,to:3}}", "{priority:{from:1,to:4}}", "{note_type:private}", '{"note_type":"private"}', "{responder_id:{from:,to:7}}"],
)  # fmt: skip
def test_an_old_comment_that_another_change_carries_along_is_not_told_again(happened: str) -> None:
    body = delivery("customer_reply") | {"triggered_event": happened, "updated_at": "2031-07-14 09:00:12 UTC"}
    assert "customer_replied" not in names(told(body))
    assert "customer_replied" not in names(told(body | {"event": "updated"}))


@pytest.mark.parametrize("happened", ["{reply_sent:sent}", '{"note_type":"public"}', "{note_type:public}", "", None])
def test_a_comment_is_told_by_the_change_that_it_is(happened: str | None) -> None:
    assert names(told(delivery("customer_reply") | {"triggered_event": happened})) == ["opened", "customer_replied"]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_reply_that_the_bodies_and_then_the_api_tell_counts_once(contract: str) -> None:
    """A source that gets its `url` later: the same reply under two keys, its body some seconds after its own time."""
    lived = list(story().words)
    seen = next(w for w in lived if w.event.event == "customer_replied").occurred_at + timedelta(seconds=9)
    twice = [*lived, *(w for w in told("customer_reply", BLIND, seen).words if w.event.event == "customer_replied")]
    assert len({w.key for w in twice}) == len({w.key for w in lived}) + 1
    pinned = SHELF.pin(contract, None, NOW.date() - timedelta(days=30), NOW.date() + timedelta(days=400))
    for after in (0, 1, 600, 60_000):
        once, both = (
            evaluate(pinned, [entry(w) for w in words], NOW + timedelta(minutes=after)) for words in (lived, twice)
        )
        assert (both.clocks, both.phase, both.attention) == (once.clocks, once.phase, once.attention)


PLAIN = Source(name="fresh", kind="freshdesk")


@pytest.mark.parametrize(
    ("told_as", "ours"),
    [("Low", "P4"), ("Medium", "P3"), ("High", "P2"), ("Urgent", "P1"), (1, "P4"), ("2", "P3"), (3, "P2"), (4, "P1"), ("Burning", "Burning")],
)  # fmt: skip
def test_freshdesks_own_priorities_are_known_by_name_and_code_where_the_file_says_nothing(
    told_as: Any, ours: str
) -> None:
    ticket = delivery("ticket")
    ticket["ticket"]["priority"] = told_as
    assert story(ticket, PLAIN).words[0].event.priority == ours  # type: ignore[union-attr]
    assert told(delivery("created") | {"priority": told_as}, PLAIN).words[0].event.priority == ours  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["High", "high", "3", 3])
def test_the_file_s_word_on_a_priority_holds_also_where_it_leaves_the_name_as_it_is(name: Any) -> None:
    source = Source.model_validate(PLAIN.model_dump() | {"priorities": {name: "High"}})
    for told_as in ("High", "3"):
        opened = told(delivery("created") | {"priority": told_as}, source).words[0]
        assert opened.event.priority == "High"  # type: ignore[union-attr]


def simple(**other: Any) -> Any:
    """The body that Freshdesk makes of fields that are ticked."""
    body = delivery("simple_replied")["freshdesk_webhook"] | other
    return {"freshdesk_webhook": {name: value for name, value in body.items() if value is not None}}


def test_the_body_of_ticked_fields_tells_whose_it_is_and_what_was_written() -> None:
    one = told(simple())
    assert (one.ticket, one.requester, one.organisation) == ("6542", "ann@acme.example", "Acme")
    assert names(one) == ["opened", "customer_replied"]
    assert one.words[0].event.model_dump(include={"by", "priority", "channel", "subject"}) == {
        "by": "ann@acme.example", "priority": "P2", "channel": "email", "subject": "Nothing loads",
    }  # fmt: skip
    assert one.words[1].event.body == "Frankfurt, since 16:40."  # type: ignore[union-attr]
    nudge = told(simple(), SOURCE)
    assert (nudge.look, nudge.requester, nudge.organisation) == (True, "ann@acme.example", "Acme")
    older = simple(
        ticket_contact_email=None, ticket_contact_name=None, ticket_company_name=None, ticket_requester_name="Ann Ortiz",
        ticket_requester_email="ann@acme.example", ticket_requester_company_name="Acme",
    )  # fmt: skip
    assert (told(older).requester, told(older).organisation, names(told(older))) == (one.requester, "Acme", names(one))
    for group, counts in (("support", True), ("billing", False)):
        assert bool(ADAPTER.read(simple(), BLIND.model_copy(update={"channels": (group,)}), NOW).told) is counts


def test_where_nothing_says_what_happened_the_same_words_count_once_and_nobody_s_words_never() -> None:
    silent = simple(triggered_event=None)
    assert names(told(silent)) == ["opened", "customer_replied"]
    assert keys(silent, NOW) == keys(silent, NOW + timedelta(days=3))
    agents = simple(triggered_event=None, ticket_latest_public_comment="Dana Fox : <div>Which region?</div>")
    assert names(told(agents)) == ["opened", "agent_replied"]
    nameless = simple(ticket_contact_name=None)
    assert names(told(nameless)) == ["opened"], "the customer's words must not pass for an agent's"


@pytest.mark.parametrize(
    ("from_email", "by"),
    [
        ("Bo <bo@acme.example>", "bo@acme.example"), ('"Bo, at <Acme>" <bo@acme.example>', "bo@acme.example"),
        ("bo@acme.example", "bo@acme.example"), ("Bo <", "Bo <"),
    ],
)  # fmt: skip
def test_who_replied_is_told_by_the_address_alone(from_email: str, by: str) -> None:
    ticket = delivery("ticket")
    reply = next(one for one in ticket["conversations"] if one["incoming"])
    reply |= {"user_id": 43077, "from_email": from_email}
    assert [w.event.by for w in story(ticket).words if w.key.endswith(f"comment:{reply['id']}")] == [by]


def test_without_an_api_an_automatic_answer_tells_nothing() -> None:
    text = "Ann Ortiz : <p>I am out of the office until Monday.</p>"
    assert names(told({**delivery("customer_reply"), "comment": text})) == ["opened"]
    heard = {**delivery("customer_reply"), "comment": "Ann Ortiz : <p>Auto-reply is broken since this morning</p>"}
    assert names(told(heard)) == ["opened", "customer_replied"]


@pytest.mark.parametrize("body", [None, [], {}, {"ticket_id": "1"}, {"freshdesk_webhook": {}}, {"pactkeeper": "freshdesk"},
                                  {"pactkeeper": "freshdesk", "ticket_id": ""}, {"freshdesk_webhook": {"ticket_id": "9" * 201}}])  # fmt: skip
def test_what_is_none_of_our_bodies_or_names_no_ticket_is_unusable(body: Any) -> None:
    with pytest.raises(Unusable):
        ADAPTER.read(body, SOURCE, NOW)


def test_the_page_s_own_file_and_bodies_are_what_we_take() -> None:
    source = Source.model_validate(told_to_write("freshdesk")[0])
    bodies = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", page("freshdesk"), re.DOTALL)]
    assert [one["event"] for one in bodies] == ["created", "updated", "replied"]
    for body, name in zip(bodies, ("created", "pending", "customer_reply"), strict=True):
        known = delivery(name)
        filled = {field: value if "{{" not in value else known[field] for field, value in body.items()}
        assert told(filled, source).look
        assert names(told(filled)) == names(told(name))


# The API, as it is documented


@pytest.fixture
def desk(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """A Freshdesk with one ticket."""
    whole = delivery("ticket")
    httpserver.expect_request("/api/v2/tickets/6541", "GET").respond_with_json(whole["ticket"])
    httpserver.expect_request("/api/v2/tickets/6541/conversations", "GET").respond_with_json(whole["conversations"])
    yield httpserver
    httpserver.check_assertions()


async def test_a_ticket_is_read_whole_with_the_key_as_the_user(desk: HTTPServer) -> None:
    found = await fresh(desk).ticket("6541")
    assert found is not None
    assert said(story(found)) == said(story())
    assert found["_changed"] == "2031-07-11T18:00:00Z"
    assert desk.log[0][0].args["include"] == "requester,stats,company"
    assert base64.b64decode(desk.log[0][0].headers["authorization"].removeprefix("Basic ")) == b"t0k3n:X"


async def test_long_conversations_are_read_page_by_page(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PAGE", 4)
    whole = delivery("ticket")
    httpserver.expect_request("/api/v2/tickets/6541").respond_with_json(whole["ticket"])
    for number in (1, 2, 3):
        part = whole["conversations"][4 * number - 4 : 4 * number]
        httpserver.expect_request(
            "/api/v2/tickets/6541/conversations", query_string={"per_page": "4", "page": str(number)}
        ).respond_with_json(part)
    found = await fresh(httpserver).ticket("6541")
    assert found is not None
    assert found["conversations"] == whole["conversations"]


async def test_what_changed_is_read_though_a_ticket_moves_to_the_end_meanwhile(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By numbered pages the third ticket would be left out: the first one's new reply moves it up into a page that was read."""
    monkeypatch.setattr(api, "PAGE", 2)
    tickets = {n: {"id": n, "updated_at": f"2031-07-11T16:00:{n:02}Z"} for n in (10, 20, 30, 40)}
    asked: list[str] = []

    def listing(request: Request) -> Response:
        assert (request.args["order_by"], request.args["order_type"]) == ("updated_at", "asc")
        since, page = request.args["updated_since"], int(request.args["page"])
        asked.append(since)
        rows = sorted((t for t in tickets.values() if t["updated_at"] >= since), key=lambda t: t["updated_at"])
        if len(asked) == 1:
            tickets[10] = {"id": 10, "updated_at": "2031-07-11T16:00:50Z"}
        return Response(json.dumps(rows[2 * page - 2 : 2 * page]), content_type="application/json")

    httpserver.expect_request("/api/v2/tickets").respond_with_handler(listing)
    for id in tickets:
        httpserver.expect_request(f"/api/v2/tickets/{id}").respond_with_handler(
            lambda request: Response(json.dumps(tickets[int(request.path[-2:])]), content_type="application/json")
        )
        httpserver.expect_request(f"/api/v2/tickets/{id}/conversations").respond_with_json([])
    found = [one async for one in fresh(httpserver).changed(datetime(2031, 7, 11, 16, tzinfo=UTC))]
    assert [one["ticket"]["id"] for one in found] == [10, 20, 30, 40, 10]
    assert [one["_changed"][-3:-1] for one in found] == ["10", "20", "30", "40", "50"]
    assert asked[0] == "2031-07-11T16:00:00Z"
    assert len(asked) < 12


async def test_many_tickets_of_one_second_are_all_read(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 2)
    rows = [{"id": n, "updated_at": "2031-07-11T16:00:05Z"} for n in range(1, 6)]

    def listing(request: Request) -> Response:
        page = int(request.args["page"])
        return Response(json.dumps(rows[2 * page - 2 : 2 * page]), content_type="application/json")

    httpserver.expect_request("/api/v2/tickets").respond_with_handler(listing)
    for row in rows:
        httpserver.expect_request(f"/api/v2/tickets/{row['id']}").respond_with_json(row)
        httpserver.expect_request(f"/api/v2/tickets/{row['id']}/conversations").respond_with_json([])
    found = [one["ticket"]["id"] async for one in fresh(httpserver).changed(datetime(2031, 7, 11, 16, tzinfo=UTC))]
    assert found == [1, 2, 3, 4, 5]


async def test_a_note_is_private_and_escaped_and_fields_are_written_where_they_differ(desk: HTTPServer) -> None:
    desk.expect_request("/api/v2/agents", query_string={"email": "eve@desk.example"}).respond_with_json([{"id": 43033}])
    desk.expect_oneshot_request("/api/v2/tickets/6541", "PUT").respond_with_json({})
    desk.expect_oneshot_request("/api/v2/tickets/6541/notes", "POST").respond_with_json({"id": 1}, 201)
    mark = "[pactkeeper:fedcba9876543210]"
    due = datetime(2031, 7, 12, 9, tzinfo=UTC)
    wrote = await fresh(desk).write(
        "6541", Writing("k", "<b>50 %</b>\nused", mark, "eve@desk.example", "high", due, ("late", "Checkout"))
    )
    assert wrote == "the priority, the agent, the due date, the tags, a private note"
    put, post = (one[0].get_json() for one in desk.log if one[0].method != "GET")
    assert put == {"priority": 3, "responder_id": 43033, "due_by": "2031-07-12T09:00:00Z", "tags": ["checkout", "late"]}
    assert post == {"body": f"<div>&lt;b&gt;50 %&lt;/b&gt;<br>used<br><br>{mark}</div>", "private": True}


async def test_what_stands_there_already_is_not_written(desk: HTTPServer) -> None:
    due = datetime(2031, 7, 14, 16, tzinfo=UTC)
    same = Writing("k", "Half of the response time is used.", MARK, "43022", "4", due, ("CHECKOUT",))
    assert await fresh(desk).write("6541", same) == "nothing that was not there"


async def test_a_due_date_goes_into_a_field_of_one_s_own(desk: HTTPServer) -> None:
    desk.expect_oneshot_request("/api/v2/tickets/6541", "PUT").respond_with_json({})
    assert await fresh(desk, due_field="cf_due").write("6541", Writing("k", due=NOW)) == "the due date"
    assert desk.log[-1][0].get_json() == {"custom_fields": {"cf_due": "2031-07-11T19:10:00Z"}}


async def test_an_agent_that_nobody_knows_is_refused(desk: HTTPServer) -> None:
    desk.expect_request("/api/v2/agents").respond_with_json([])
    with pytest.raises(HelpdeskRefused, match="knows no agent"):
        await fresh(desk).write("6541", Writing("k", assignee="nobody@desk.example"))


async def test_check_says_as_whom(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v2/agents/me").respond_with_json({"id": 43099, "contact": {"name": "Pactkeeper"}})
    httpserver.expect_request("/api/v2/tickets").respond_with_json([])
    assert await fresh(httpserver).check() == "Freshdesk lets us read and write as Pactkeeper (43099)"
