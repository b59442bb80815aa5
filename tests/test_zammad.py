"""Zammad: the same words by webhook and over REST; without its API what a webhook pictures; notes written once, and internal."""

import hashlib
import hmac
import json
import random
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from pytest_httpserver.httpserver import Request, Response

from activities.helpdesks.client import Account, HelpdeskUnavailable, Writing
from activities.helpdesks.zammad import Zammad
from sla.entries import entry
from sla.evaluate import evaluate
from sla.intake import Unusable, word
from sla.signing import Hook
from sla.source import Source
from starter.intake.zammad import ADAPTER, delivery_id, read, story
from tests import desks
from tests.cases import pinned
from tests.desks import MARK, StandIn, answers, losing

NOW = datetime(2031, 7, 8, 9, 0, tzinfo=UTC)
WITH_API = Source(
    name="desk", kind="zammad", url="https://desk.example", agents={"emma@desk.example": "emma", "4": "jacob"},
    ours=("pactkeeper@desk.example",), organisations={"7": "acme"},
)  # fmt: skip
ALONE = WITH_API.model_copy(update={"url": None})
WEBHOOKS = (
    "created", "systems_own_mail", "taken", "internal_note", "agents_reply", "out_of_office", "customers_reply", "priority_raised",
    "our_own_note", "our_own_change", "by_phone", "closed",
)  # fmt: skip


def whole() -> dict[str, Any]:
    """The ticket as the API client hands it over."""
    past = delivery("rest_history")
    parts = {"history": past["history"], "users": past["assets"]["User"], "articles": delivery("rest_articles")}
    return {"_changed": "2031-07-07T18:00:00.000Z", "ticket": delivery("rest_ticket"), **parts}


def zammad(server: HTTPServer, due_field: str | None = None) -> Zammad:
    return Zammad(Account(server.url_for("").rstrip("/"), token="t0k3n", due_field=due_field))


def loses(server: HTTPServer) -> list[Any]:
    """Its ticket takes every article, and the answer never comes through."""
    kept: list[Any] = []
    without_note = [one for one in delivery("rest_articles") if MARK not in one["body"]]
    server.expect_request("/api/v1/tickets/81", method="GET").respond_with_json(delivery("rest_ticket"))
    server.expect_request("/api/v1/ticket_articles/by_ticket/81").respond_with_handler(
        lambda _: answers([*without_note, *kept])
    )
    server.expect_request("/api/v1/ticket_history/81").respond_with_json(delivery("rest_history"))
    server.expect_request("/api/v1/ticket_articles", method="POST").respond_with_handler(losing(kept))
    return kept


DESK = StandIn(
    ADAPTER, (WITH_API, ALONE), NOW, WEBHOOKS, whole, zammad, "/api/v1/tickets/{id}", "81", loses,
    {"error": "Couldn't find Ticket with 'id'=1"},
)  # fmt: skip
delivery = DESK.delivery


def told(name: str, source: Source = WITH_API) -> list[tuple[str, str, dict[str, Any]]]:
    """What a delivery tells: the last parts of the keys, and the events."""
    words = [one for single in read(delivery(name), source, NOW).told for one in single.words]
    return [
        (one.key.removeprefix("desk:81:"), one.event.event, one.event.model_dump(exclude_defaults=True))
        for one in words
    ]


def by_webhook(names: tuple[str, ...], source: Source = WITH_API) -> set[str]:
    return {word.key for name in names for one in read(delivery(name), source, NOW).told for word in one.words}


def test_a_ticket_is_opened_with_its_own_time_requester_company_and_priority() -> None:
    (single,) = read(delivery("created"), WITH_API, NOW).told
    assert (single.ticket, single.requester, single.organisation, single.look) == (
        "81",
        "emily@acme.example",
        "7",
        True,
    )
    (opened,) = single.words
    assert opened.occurred_at == datetime(2031, 7, 7, 15, 50, 12, 282000, UTC)
    assert opened.event.model_dump(exclude_defaults=True) == {
        "by": "emily@acme.example", "priority": "P2", "channel": "email", "subject": "Nothing loads", "body": "Blank since 15:45.",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("internal_note", [("article:106", "agent_replied", {"by": "emma", "public": False, "body": "Looks like the CDN."})]),
        ("agents_reply", [("article:107", "agent_replied", {"by": "emma", "body": "Which browser is it?"})]),
        ("customers_reply", [("article:109", "customer_replied", {"by": "emily@acme.example", "body": "Firefox, and Chrome too."})]),
        ("by_phone", [("article:111", "customer_replied", {"by": "emily@acme.example", "body": "She calls: Safari as well."})]),
        ("systems_own_mail", []), ("out_of_office", []), ("taken", []), ("priority_raised", []), ("closed", []),
    ],
)  # fmt: skip
def test_with_an_api_a_webhook_tells_its_article_and_the_ticket_is_read(name: str, expected: list[Any]) -> None:
    assert told(name) == expected
    assert [one.look for one in read(delivery(name), WITH_API, NOW).told] == [True]


@pytest.mark.parametrize("source", [WITH_API, ALONE])
@pytest.mark.parametrize("name", ["our_own_note", "our_own_change"])
def test_our_own_echo_tells_nothing_and_reads_nothing(name: str, source: Source) -> None:
    assert read(delivery(name), source, NOW).ignored
    unmarked = delivery("our_own_note")
    unmarked["article"]["created_by"] = unmarked["ticket"]["owner"]
    unmarked["article"]["created_by_id"] = 5
    assert read(unmarked, source, NOW).ignored == "it is our own note", "the mark alone tells it"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("taken", ("owner:5:2031-07-07T15:58:00.100Z", "acknowledged", {"by": "emma"})),
        ("agents_reply", ("state:3:2031-07-07T16:20:00.100Z", "waiting_on_customer", {"by": "emma"})),
        (
            "priority_raised",
            ("priority:3:2031-07-07T17:02:00.000Z", "priority_changed", {"to": "P1", "by": "emma", "stands": True}),
        ),
        ("closed", ("state:4:2031-07-07T18:00:00.000Z", "closed", {"by": "jacob"})),
    ],
)
def test_without_an_api_the_picture_counts_under_the_keys_of_the_history(name: str, expected: Any) -> None:
    assert expected in told(name, ALONE)
    key = f"desk:81:{expected[0]}"
    assert key in {one.key for one in story(whole(), WITH_API, NOW).words}  # type: ignore[union-attr]


def test_without_an_api_a_customers_reply_undoes_no_priority_and_no_owner_that_was_decided_here() -> None:
    """A webhook tells the whole ticket anew with each article, and not what of it changed."""
    decided = [
        word("us:1", datetime(2031, 7, 7, 16, 40, tzinfo=UTC), NOW, event="priority_changed", to="P1", by="dana"),
        word("us:2", datetime(2031, 7, 7, 16, 41, tzinfo=UTC), NOW, event="assigned", to="dana", by="eli"),
    ]

    def stands(*names: str) -> tuple[str, str | None, int]:
        told = [one for name in names for single in read(delivery(name), ALONE, NOW).told for one in single.words]
        view = evaluate(pinned("tromzo"), [entry(one) for one in (*told, *decided)], NOW)
        return view.priority, view.assignee, [one.event.event for one in told].count("assigned")

    assert stands("created", "taken") == ("P1", "dana", 0)
    assert stands("created", "taken", "customers_reply") == ("P1", "dana", 0)
    # What is changed there after that counts: emma, who has it there, lowers the priority.
    lowered = delivery("priority_raised")
    lowered["ticket"] |= {"priority": {"id": 1, "name": "1 low"}, "priority_id": 1}
    [single] = read(lowered, ALONE, NOW).told
    log = [entry(one) for one in (*read(delivery("created"), ALONE, NOW).told[0].words, *decided, *single.words)]
    view = evaluate(pinned("tromzo"), log, NOW)
    assert (view.priority, view.assignee) == ("P3", "emma")


def test_without_an_api_a_colleague_of_the_requester_gives_the_ticket_to_nobody_either() -> None:
    body = delivery("customers_reply")
    body["ticket"]["updated_by_id"] = 9
    body["ticket"]["updated_by"] |= {"id": 9, "email": "joan@acme.example", "login": "joan@acme.example"}
    words = {one.event.event: one.event for one in read(body, ALONE, NOW).told[0].words}
    assert "assigned" not in words
    assert words["priority_changed"].by is None, "nobody knows who set it"
    body["ticket"]["updated_by"]["roles"] = ["Agent"]
    assert "assigned" in {one.event.event for one in read(body, ALONE, NOW).told[0].words}


def test_an_article_in_html_is_told_as_text_by_webhook_and_over_rest() -> None:
    page = "<style>p {}</style><div>Firefox, and <b>Chrome</b> too.</div><p>See &lt;status&gt;<br>Emily</p>"
    body, whole_ticket = delivery("customers_reply"), whole()
    article = next(one for one in whole_ticket["articles"] if one["id"] == 109)
    for one in (body["article"], article):
        one |= {"body": page, "content_type": "text/html"}
    (heard,) = read(body, WITH_API, NOW).told[0].words
    assert heard.event.body == "Firefox, and Chrome too.\n\nSee <status>\nEmily"  # type: ignore[union-attr]
    single = story(whole_ticket, WITH_API, NOW)
    assert single is not None
    assert heard in single.words
    first = delivery("created")
    first["article"] |= {"body": page, "content_type": "text/html; charset=utf-8"}
    assert read(first, WITH_API, NOW).told[0].words[0].event.body == heard.event.body  # type: ignore[union-attr]
    plain = delivery("customers_reply")
    plain["article"]["body"] = "if a < b and c > d"
    assert read(plain, WITH_API, NOW).told[0].words[0].event.body == "if a < b and c > d"  # type: ignore[union-attr]


def test_our_mark_in_html_is_known_too() -> None:
    body = delivery("our_own_note")
    body["article"] |= {"body": f"<div>Response is due.</div><div>{MARK}</div>", "content_type": "text/html"}
    body["article"] |= {"created_by": body["ticket"]["owner"], "created_by_id": 5}
    assert read(body, WITH_API, NOW).ignored == "it is our own note"


def test_without_an_api_a_ticket_that_was_closed_and_is_open_was_opened_again() -> None:
    body = delivery("customers_reply")
    body["ticket"]["close_at"] = "2031-07-07T16:30:00.000Z"
    assert "reopened" in {one.event.event for one in read(body, ALONE, NOW).told[0].words}
    assert "reopened" not in {kind for _, kind, _ in told("customers_reply", ALONE)}


def test_a_ticket_read_over_rest_tells_every_word_with_its_own_time() -> None:
    single = story(whole(), WITH_API, NOW)
    assert single is not None
    assert [(one.key.removeprefix("desk:81:").split(":2031")[0], one.event.event) for one in single.words] == [
        ("opened", "opened"), ("owner:5", "acknowledged"), ("article:106", "agent_replied"), ("state:3", "waiting_on_customer"),
        ("article:107", "agent_replied"), ("article:109", "customer_replied"), ("state:2", "reopened"),
        ("priority:3", "priority_changed"), ("article:111", "customer_replied"), ("state:4", "closed"),
    ]  # fmt: skip
    assert (single.requester, single.organisation) == ("emily@acme.example", "7")
    opened = single.words[0].event.model_dump()
    assert (opened["priority"], opened["body"]) == ("P2", "Blank since 15:45."), "the priority that it had at first"
    assert by_webhook(WEBHOOKS) <= {one.key for one in single.words}


def test_twice_and_shuffled_the_words_are_the_same_and_those_of_a_later_picture_add_nothing_that_is_not_so() -> None:
    names = [*WEBHOOKS, *WEBHOOKS]
    random.Random(7).shuffle(names)
    assert by_webhook(tuple(names)) == by_webhook(WEBHOOKS)
    late = delivery("agents_reply") | {"ticket": delivery("closed")["ticket"]}
    keys = {one.key for one in read(late, ALONE, NOW).told[0].words}
    assert "desk:81:article:107" in keys
    assert "desk:81:state:4:2031-07-07T18:00:00.000Z" in keys


def test_somebody_who_counts_as_a_customer_by_our_word_replies_as_one() -> None:
    listed = WITH_API.model_copy(update={"customers": frozenset({"emma@desk.example"})})
    assert told("agents_reply", listed)[0][1] == "customer_replied"
    assert told("internal_note", listed)[0][1] == "agent_replied"


def test_a_state_that_nobody_knows_is_put_in_the_triage_queue_and_a_priority_goes_on_as_it_is() -> None:
    ticket = whole()
    ticket["history"][-2]["value_to"] = "waiting for parts"
    ticket["history"][-4]["value_to"] = "4 burning"
    single = story(ticket, WITH_API, NOW)
    assert single is not None
    assert [doubt for doubt in single.doubts if "waiting for parts" in doubt]
    assert "4 burning" in {one.event.model_dump().get("to") for one in single.words}
    named = WITH_API.model_copy(update={"statuses": {"Waiting for parts": "waiting"}})
    assert not story(ticket, named, NOW).doubts  # type: ignore[union-attr]


def test_a_group_that_does_not_count_is_ignored() -> None:
    elsewhere = WITH_API.model_copy(update={"channels": ("Sales",)})
    assert read(delivery("created"), elsewhere, NOW).ignored
    assert story(whole(), elsewhere, NOW) is None
    assert read(delivery("created"), WITH_API.model_copy(update={"channels": ("service desk",)}), NOW).told


# Signatures

RAW = json.dumps(delivery("created"), indent=2).encode()


def hook(raw: bytes = RAW, **headers: str) -> Hook:
    return desks.hook(raw, NOW, **headers)


def taken(given: Hook, *secrets: str) -> bool:
    return desks.opens(ADAPTER, given, secrets or ("a token of ours", "an old one"))


def test_the_signature_is_the_one_of_rfc_2202() -> None:
    """Test case 2 of RFC 2202 for HMAC-SHA1."""
    signature = "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    assert taken(hook(b"what do ya want for nothing?", x_hub_signature=signature), "Jefe")


def test_only_a_right_signature_over_the_raw_body_is_taken() -> None:
    def signed(secret: str, method: Any = hashlib.sha1) -> str:
        return hmac.new(secret.encode(), RAW, method).hexdigest()

    assert taken(hook(x_hub_signature="sha1=" + signed("a token of ours")))
    assert taken(hook(x_hub_signature="sha1=" + signed("an old one")))
    for bad in (
        hook(), hook(x_hub_signature="sha1=" + signed("another")), hook(x_hub_signature=signed("a token of ours")),
        hook(x_hub_signature="sha1=" + signed("a token of ours")[:-2]), hook(x_hub_signature="sha1=" + signed("a token of ours").upper()),
        hook(json.dumps(json.loads(RAW)).encode(), x_hub_signature="sha1=" + signed("a token of ours")),
        hook(x_hub_signature="sha256=" + signed("a token of ours", hashlib.sha256)), hook(x_hub_signature="sha1=é"),
        hook(authorization="Bearer a token of ours"),
    ):  # fmt: skip
        assert not taken(bad)


def test_a_later_try_that_tells_a_newer_state_is_a_delivery_of_its_own() -> None:
    job = "9e3ad4a9-8e0f-4d0b-a1b9-7f2a4b3b5a10"
    first, again, later = (hook(raw, x_zammad_delivery=job) for raw in (RAW, RAW, RAW + b" "))
    assert delivery_id(first) == delivery_id(again) != delivery_id(later)
    assert delivery_id(first).startswith(job)
    assert delivery_id(hook()) == ""


# Whatever comes


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"ticket": []}, {"ticket": {"id": None}}, {"ticket": {"id": "x" * 201}}]
)
def test_a_body_without_a_tickets_id_is_unusable(body: Any) -> None:
    with pytest.raises(Unusable):
        read(body, WITH_API, NOW)


# The API


def serve(server: HTTPServer) -> list[Any]:
    """The ticket with its articles and history; what is posted as an article is there from then on."""
    articles = delivery("rest_articles")

    def post(request: Request) -> Response:
        articles.append(request.json)
        return Response("{}", status=201, content_type="application/json")

    def listing(_: Request) -> Response:
        return Response(json.dumps(articles), content_type="application/json")

    server.expect_request("/api/v1/tickets/81", method="GET", query_string="expand=true").respond_with_json(
        delivery("rest_ticket")
    )
    server.expect_request("/api/v1/ticket_articles/by_ticket/81").respond_with_handler(listing)
    server.expect_request("/api/v1/ticket_history/81").respond_with_json(delivery("rest_history"))
    server.expect_request("/api/v1/ticket_articles", method="POST").respond_with_handler(post)
    return articles


async def test_what_changed_is_searched_from_the_newest_back_and_told_from_the_oldest_on(
    httpserver: HTTPServer,
) -> None:
    serve(httpserver)
    older = delivery("rest_ticket") | {"id": 80, "updated_at": "2031-07-07T17:30:00.000Z"}
    httpserver.expect_request("/api/v1/tickets/80").respond_with_json(older)
    httpserver.expect_request("/api/v1/ticket_articles/by_ticket/80").respond_with_json([])
    httpserver.expect_request("/api/v1/ticket_history/80").respond_with_json({"history": [], "assets": {}})
    rows = {
        "81": delivery("rest_ticket"),
        "80": older,
        "79": older | {"id": 79, "updated_at": "2031-07-07T16:57:59.000Z"},
    }
    answer = {"tickets": [81, 80, 79], "tickets_count": 3, "assets": {"Ticket": rows}}
    httpserver.expect_request("/api/v1/tickets/search").respond_with_json(answer)
    since = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
    found = [one async for one in zammad(httpserver).changed(since)]
    assert [(one["ticket"]["id"], one["_changed"][:19]) for one in found] == [
        (80, "2031-07-07T17:30:00"),
        (81, "2031-07-07T18:00:00"),
    ]
    assert story(found[1], WITH_API, NOW) == story(whole(), WITH_API, NOW)
    request = httpserver.log[0][0]
    assert dict(request.args) == {
        "query": "updated_at:>=2031-07-07", "sort_by": "updated_at", "order_by": "desc", "page": "1", "per_page": "100",
    }  # fmt: skip
    assert request.headers["authorization"] == "Token token=t0k3n"


def searched(server: HTTPServer, ids: list[int], most: int) -> list[str]:
    """A search that hands over `most` tickets at most, and beyond that, as Zammad does, an empty list; what it was asked."""
    asked: list[str] = []

    def search(request: Request) -> Response:
        query, page, size = (request.args[name] for name in ("query", "page", "per_page"))
        asked.append(f"{query.partition(' AND ')[2]} {page}".strip())
        fits = [id for id in ids if query == "*" or within(id, query)]
        begin, end = (int(page) - 1) * int(size), int(page) * int(size)
        rows = {str(n): {"id": n, "updated_at": "2031-07-07T18:00:00.000Z"} for n in fits[begin:end] if end <= most}
        return Response(
            json.dumps({"tickets": [int(n) for n in rows], "assets": {"Ticket": rows}}), content_type="application/json"
        )

    server.expect_request("/api/v1/tickets/search").respond_with_handler(search)
    return asked


def within(id: int, query: str) -> bool:
    """Whether the query's bounds of the number, if it has any, leave it in."""
    if bounds := re.search(r"id:\[(\d+) TO (\d+)\]", query):
        return int(bounds[1]) <= id <= int(bounds[2])
    least = re.search(r"id:>=(\d+)", query)
    return least is None or id >= int(least[1])


async def found(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    desk = zammad(server)

    async def ticket(id: str) -> dict[str, Any]:
        return {"id": int(id)}

    monkeypatch.setattr(desk, "ticket", ticket)
    return [one["id"] async for one in desk.changed(datetime(2031, 7, 7, 17, 0, tzinfo=UTC))]


async def test_the_search_goes_on_until_a_page_is_empty(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = searched(httpserver, list(range(101)), 10_000)
    assert await found(httpserver, monkeypatch) == list(range(101))
    assert asked == ["1", "2", "3", "1"]  # The last one asks whether the search works at all.


async def test_more_changes_than_a_search_hands_over_are_read_by_their_numbers(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its bound Zammad answers with an empty list, as if that were all."""
    monkeypatch.setattr("activities.helpdesks.zammad.WINDOW", 200)
    ids = [*range(150), *range(330, 520), 1234]
    asked = searched(httpserver, ids, 200)
    assert sorted(await found(httpserver, monkeypatch)) == ids
    assert asked[:3] == ["1", "2", "id:[0 TO 199] 1"]


async def test_a_search_that_fails_is_not_taken_for_a_desk_at_which_nothing_changed(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zammad answers with an empty list where its Elasticsearch is away."""
    searched(httpserver, [1, 2, 3], 0)
    with pytest.raises(HelpdeskUnavailable, match="Elasticsearch"):
        await found(httpserver, monkeypatch)


async def test_a_note_is_internal_and_fields_and_tags_are_written_where_they_differ(httpserver: HTTPServer) -> None:
    articles = serve(httpserver)
    del articles[6]
    httpserver.expect_request("/api/v1/tags", query_string="object=Ticket&o_id=81").respond_with_json({"tags": ["vip"]})
    httpserver.expect_request("/api/v1/tags/add", method="POST").respond_with_json(True, status=201)
    httpserver.expect_request("/api/v1/tickets/81", method="PUT").respond_with_json({})
    writing = Writing(
        key="k", note="Response is due at 18:00.", mark=MARK, priority="2 normal", assignee="emma@desk.example",
        due=datetime(2031, 7, 7, 18, 0, tzinfo=UTC), tags=("vip", "sla"),
    )  # fmt: skip
    done = await zammad(httpserver, due_field="sla_due").write("81", writing)
    sent = [
        (request.method, request.path, request.get_json()) for request, _ in httpserver.log if request.method != "GET"
    ]
    assert sent == [
        ("PUT", "/api/v1/tickets/81", {"priority": "2 normal", "owner": "emma@desk.example", "sla_due": "2031-07-07T18:00:00.000Z"}),
        ("POST", "/api/v1/tags/add", {"item": "sla", "object": "Ticket", "o_id": 81}),
        (
            "POST", "/api/v1/ticket_articles",
            {
                "ticket_id": 81, "subject": "Pactkeeper", "body": f"Response is due at 18:00.\n\n{MARK}",
                "content_type": "text/plain", "type": "note", "internal": True,
            },
        ),
    ]  # fmt: skip
    assert done == "priority, owner, sla_due, tag sla, an internal note"


async def test_what_stands_there_already_is_not_written_again(httpserver: HTTPServer) -> None:
    serve(httpserver)
    httpserver.expect_request("/api/v1/tags").respond_with_json({"tags": ["sla"]})
    same = Writing(
        key="k", note="Response is due at 18:00.", mark=MARK, priority="3", assignee="jacob@desk.example", tags=("sla",)
    )
    assert await zammad(httpserver).write("81", same) == "nothing that was not there"
    assert {request.method for request, _ in httpserver.log} == {"GET"}


async def test_check_says_as_whom(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v1/users/me").respond_with_json({"id": 20, "email": "pactkeeper@desk.example"})
    httpserver.expect_request("/api/v1/tickets/search").respond_with_json(
        {"tickets": [], "tickets_count": 0, "assets": {}}
    )
    assert (await zammad(httpserver).check()).startswith("Zammad lets us read as pactkeeper@desk.example (20)")
