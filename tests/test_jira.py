"""Jira Service Management: the same words by webhook, by its automation and over REST; notes written once, and never to the customer."""

import base64
import hashlib
import hmac
import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from pytest_httpserver.httpserver import Request, Response

from activities.helpdesks.client import Account, HelpdeskRefused, Writing
from activities.helpdesks.jira import Jira
from sla.intake import Unusable
from sla.signing import Hook, nudge_id
from sla.source import Source
from starter.intake.jira import ADAPTER, read, story
from tests import desks
from tests.desks import MARK, StandIn, answers, losing, page

NOW = datetime(2031, 7, 8, 9, 0, tzinfo=UTC)
OURS = "5b10ac8d82e05b22cc7d4ef5"
DANA = "557058:c9ebf848-dfac-4c49-9408-dc34bd0e2d85"
EVE = "712020:1f4c8d90-5b73-42ae-9c61-08d7e3b5a2f4"
SOURCE = Source(
    name="sd", kind="jira", agents={DANA: "dana"}, ours=(OURS,), product_field="customfield_10010",
    organisations={"7": "acme"}, products={"Report an outage": "gateway"},
)  # fmt: skip
WITH_API = SOURCE.model_copy(update={"url": "https://acme-support.atlassian.net"})
WEBHOOKS = (
    "issue_created", "comment_of_an_app", "taken", "internal_note", "priority_raised", "comment_of_an_agent", "waiting",
    "automatic_reply", "comment_of_the_customer", "waits_no_more", "our_own_note", "given_to_eve", "resolved", "our_own_change",
)  # fmt: skip


def jira(server: HTTPServer, **given: Any) -> Jira:
    return Jira(Account(server.url_for("").rstrip("/"), "bot@acme.example", "t0k3n", **given))


def whole() -> dict[str, Any]:
    """The issue as the API client hands it over."""
    parts = {"changes": delivery("rest_changelog")["values"], "comments": delivery("rest_comments")["comments"]}
    return {"_changed": "2031-07-07T18:30:00.000+0000", "issue": delivery("rest_issue"), **parts}


def loses(server: HTTPServer) -> list[Any]:
    """Its issue takes every note, and the answer never comes through."""
    kept: list[Any] = []

    def comments(_: Request) -> Response:
        texts = [{"type": "doc", "content": [{"type": "text", "text": one["body"]}]} for one in kept]
        found = [{"id": str(i), "body": text} for i, text in enumerate(texts)]
        return answers({"comments": found, "total": len(found)})

    server.expect_request("/rest/api/3/issue/SD-12", method="GET").respond_with_json(delivery("rest_issue"))
    server.expect_request("/rest/api/3/issue/SD-12/comment").respond_with_handler(comments)
    server.expect_request("/rest/servicedeskapi/request/SD-12/comment", method="POST").respond_with_handler(
        losing(kept)
    )
    return kept


DESK = StandIn(
    ADAPTER, (WITH_API, SOURCE), NOW,
    (*WEBHOOKS, "issue_deleted", "automation_commented", "automation_issue_data", "server_commented"), whole, jira,
    "/rest/api/3/issue/{id}", "SD-12", loses, {"errorMessages": ["no"]},
)  # fmt: skip
delivery = DESK.delivery


def told(name: str, source: Source = SOURCE) -> list[tuple[str, dict[str, Any]]]:
    """What a delivery tells, without its opening: the last parts of the keys, and the events."""
    found = read(delivery(name), source, NOW).told
    words = [one for single in found for one in single.words if not one.key.endswith(":opened")]
    return [(one.key.removeprefix("sd:SD-12:"), one.event.model_dump(exclude_defaults=True)) for one in words]


def by_webhook(names: tuple[str, ...], source: Source = SOURCE) -> set[str]:
    return {word.key for name in names for one in read(delivery(name), source, NOW).told for word in one.words}


def test_a_request_is_opened_with_its_own_time_requester_company_priority_and_request_type() -> None:
    (single,) = read(delivery("issue_created"), SOURCE, NOW).told
    (opened,) = single.words
    assert (single.ticket, single.requester, single.organisation) == ("SD-12", "ann@acme.example", "7")
    assert opened.key == "sd:SD-12:opened"
    assert opened.occurred_at == datetime(2031, 7, 7, 15, 50, 12, 345000, UTC)
    event = opened.event.model_dump()
    assert (event["priority"], event["product"], event["by"]) == ("P3", "gateway", "ann@acme.example")
    assert event["subject"] == "Nothing loads"
    assert event["body"].startswith("Blank since")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("taken", [("change:20001:assignee", {"by": "dana"})]),
        ("given_to_eve", [("change:20005:assignee", {"by": "dana", "to": "Eve Stone"})]),
        ("priority_raised", [("change:20002:priority", {"by": "dana", "to": "P1"})]),
        ("waiting", [("change:20003:status", {"by": "dana"})]),
        ("waits_no_more", [("change:20004:status", {"by": "Automation for Jira"})]),
        ("resolved", [("change:20006:status", {"by": "Eve Stone", "kind": "workaround"})]),
        ("internal_note", [("comment:30002", {"by": "dana", "public": False, "body": "Looks like the CDN."})]),
        ("comment_of_an_agent", [("comment:30003", {"by": "dana", "body": "Which browser is it?"})]),
        ("comment_of_the_customer", [("comment:30005", {"by": "ann@acme.example", "body": "Firefox, and Chrome too."})]),
        ("issue_deleted", [("deleted", {"by": "dana"})]),
        ("comment_of_an_app", []), ("automatic_reply", []), ("our_own_note", []), ("our_own_change", []),
    ],
)  # fmt: skip
def test_each_webhook_tells_what_happened(name: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    assert told(name) == expected


def test_the_events_are_those_that_their_names_say() -> None:
    kinds = {
        name: [one.event.event for single in read(delivery(name), SOURCE, NOW).told for one in single.words][-1]
        for name in (
            "taken",
            "given_to_eve",
            "priority_raised",
            "waiting",
            "waits_no_more",
            "resolved",
            "issue_deleted",
        )
    }
    assert list(kinds.values()) == [
        "acknowledged", "assigned", "priority_changed", "waiting_on_customer", "reopened", "resolved", "closed",
    ]  # fmt: skip


def test_a_ticket_read_over_rest_has_the_keys_that_its_webhooks_had() -> None:
    single = story(whole(), SOURCE, NOW)
    assert single is not None
    assert {one.key for one in single.words} == by_webhook(WEBHOOKS)
    assert (single.ticket, single.requester, single.organisation) == ("SD-12", "ann@acme.example", "7")
    assert single.words[0].event.model_dump()["priority"] == "P3", "the priority that it had at first, not today's"
    assert [one.occurred_at for one in single.words] == sorted(one.occurred_at for one in single.words)


def test_twice_and_shuffled_the_words_are_the_same() -> None:
    names = [*WEBHOOKS, *WEBHOOKS]
    random.Random(7).shuffle(names)
    assert by_webhook(tuple(names)) == by_webhook(WEBHOOKS)


def test_a_restricted_comment_and_one_with_the_service_desks_own_property_are_internal() -> None:
    for extra in (
        {"visibility": {"type": "role", "value": "Service Desk Team"}},
        {"properties": [{"key": "sd.public.comment", "value": {"internal": True}}]},
    ):
        body = delivery("comment_of_an_agent")
        body["comment"].update(extra)
        (word,) = read(body, SOURCE, NOW).told[0].words
        assert word.event.model_dump()["public"] is False


def test_an_agents_comment_of_which_nobody_says_whether_it_is_public_stops_no_clock() -> None:
    body = delivery("comment_of_an_agent")
    del body["comment"]["jsdPublic"]
    assert read(body, SOURCE, NOW).told[0].words[0].event.model_dump()["public"] is False


def test_a_comment_that_does_not_tell_whose_ticket_it_is_is_read_over_rest() -> None:
    (single,) = read(delivery("comment_of_an_agent"), WITH_API, NOW).told
    assert (single.look, single.words) == (True, ())
    (customers,) = read(delivery("comment_of_the_customer"), WITH_API, NOW).told
    assert (customers.look, customers.requester, len(customers.words)) == (False, "ann@acme.example", 1)
    assert read(delivery("our_own_note"), WITH_API, NOW).ignored


def test_a_colleague_who_reported_it_is_the_customer_and_an_agent_by_our_word_is_none() -> None:
    ticket = whole()
    ticket["issue"]["fields"]["reporter"] = delivery("taken")["user"]
    unlisted = SOURCE.model_copy(update={"agents": {}})
    replied = {one.key for one in story(ticket, unlisted, NOW).words if one.event.event == "customer_replied"}  # type: ignore[union-attr]
    assert "sd:SD-12:comment:30003" in replied
    still = {one.key for one in story(ticket, SOURCE, NOW).words if one.event.event == "customer_replied"}  # type: ignore[union-attr]
    assert "sd:SD-12:comment:30003" not in still


def test_a_status_that_nobody_knows_is_put_in_the_triage_queue_unless_it_came_with_a_solution() -> None:
    body = delivery("waiting")
    body["changelog"]["items"][0]["toString"] = "Pending"
    (single,) = read(body, SOURCE, NOW).told
    assert "'Pending'" in single.doubts[0]
    assert [one.event.event for one in single.words] == ["opened"]
    named = SOURCE.model_copy(update={"statuses": {"pending": "waiting"}})
    assert read(body, named, NOW).told[0].words[-1].event.event == "waiting_on_customer"
    solved = delivery("resolved")
    solved["changelog"]["items"][1]["toString"] = "Shipped"
    assert read(solved, SOURCE, NOW).told[0].words[-1].event.event == "resolved"


def test_a_priority_that_nobody_knows_goes_on_as_it_is() -> None:
    body = delivery("priority_raised")
    body["changelog"]["items"][0]["toString"] = "Burning"
    assert read(body, SOURCE, NOW).told[0].words[-1].event.model_dump()["to"] == "Burning"


def test_what_an_issue_is_created_with_is_no_change_of_it_but_for_who_has_it() -> None:
    body = delivery("issue_created")
    given = (("priority", "3", "Medium"), ("status", "1", "Waiting for support"), ("assignee", EVE, "Eve Stone"))
    body["changelog"]["items"] = [
        {"field": field, "fieldId": field, "from": None, "fromString": None, "to": id, "toString": name} for field, id, name in given
    ]  # fmt: skip
    (single,) = read(body, SOURCE, NOW).told
    assert [one.event.event for one in single.words] == ["opened", "assigned"]
    assert single.words[0].event.model_dump()["priority"] == "P3"
    assert single.words[1].key == "sd:SD-12:change:20000:assignee"
    assert single.doubts == ()


def within_an_update(name: str, kind: str = "issue_commented") -> dict[str, Any]:
    """A comment as an update of its issue tells it."""
    body: dict[str, Any] = delivery("waiting") | {"comment": delivery(name)["comment"], "issue_event_type_name": kind}
    return body


@pytest.mark.parametrize("name", ["comment_of_an_agent", "internal_note", "comment_of_the_customer"])
def test_a_comment_within_an_update_is_the_one_that_its_own_webhook_tells(name: str) -> None:
    words = {one.key: one for one in read(within_an_update(name), SOURCE, NOW).told[0].words}
    assert set(words) == by_webhook((name, "waiting"))
    (own,) = [one for single in read(delivery(name), SOURCE, NOW).told for one in single.words]
    assert words[own.key].event.event == own.event.event
    assert words[own.key].occurred_at == own.occurred_at


def test_our_own_note_and_a_deleted_comment_within_an_update_are_not_told() -> None:
    for body in (within_an_update("our_own_note"), within_an_update("comment_of_an_agent", "issue_comment_deleted")):
        assert "comment:" not in str([one.key for one in read(body, SOURCE, NOW).told[0].words])


@pytest.mark.parametrize("name", ["comment_of_an_agent", "automation_commented", "update"])
def test_an_agents_comment_that_does_not_say_who_sees_it_is_read_over_rest(name: str) -> None:
    """Told as internal it would stay so: what the API says later has the same key."""
    body = within_an_update("comment_of_an_agent") if name == "update" else delivery(name)
    body["comment"].pop("jsdPublic", body["comment"].pop("internal", None))
    (single,) = read(body, WITH_API, NOW).told
    assert single.look
    assert "comment:" not in str([one.key for one in single.words])


@pytest.mark.parametrize(
    ("extra", "public"),
    [
        ({"properties": [{"key": "sd.public.comment", "value": {"internal": False}}]}, True),
        ({"properties": [{"key": "sd.public.comment", "value": {"internal": "false"}}]}, True),
        ({"properties": [{"key": "sd.public.comment", "value": {"internal": "true"}}]}, False),
        ({"properties": [{"key": "sd.public.comment", "value": {}}]}, False),
        ({"properties": [{"key": "sd.public.comment", "value": {"internal": False}}], "visibility": {"type": "role", "value": "Team"}}, False),
    ],
)  # fmt: skip
def test_the_service_desks_own_property_tells_both_ways_and_a_restriction_comes_first(
    extra: dict[str, Any], public: bool
) -> None:
    ticket = whole()
    (comment,) = [one for one in ticket["comments"] if one["id"] == "30003"]
    del comment["jsdPublic"]
    comment.update(extra)
    (word,) = [one for one in story(ticket, SOURCE, NOW).words if one.key.endswith("30003")]  # type: ignore[union-attr]
    assert word.event.model_dump()["public"] is public


def test_a_status_of_ones_own_that_is_done_resolves_and_leaving_it_opens_again() -> None:
    body = delivery("resolved")
    body["changelog"]["items"] = [{"field": "status", "fromString": "In Arbeit", "toString": "Erledigt"}]
    body["issue"]["fields"]["status"] = {"name": "erledigt", "statusCategory": {"key": "done"}}
    (single,) = read(body, SOURCE, NOW).told
    assert ([one.event.event for one in single.words], single.doubts) == (["opened", "resolved"], ())
    ticket = whole()
    ticket["changes"][-2]["items"] = body["changelog"]["items"]
    ticket["issue"]["fields"]["status"] = body["issue"]["fields"]["status"]
    assert single.words[1].key in {one.key for one in story(ticket, SOURCE, NOW).words}  # type: ignore[union-attr]
    for category, sure in (("new", True), ("indeterminate", False)):
        body["changelog"]["items"] = [{"field": "status", "fromString": "Erledigt", "toString": "Wartet"}]
        body["issue"]["fields"]["status"] = {"name": "Wartet", "statusCategory": {"key": category}}
        (single,) = read(body, SOURCE, NOW).told
        assert [one.event.event for one in single.words] == ["opened", "reopened"]
        assert (single.doubts == ()) is sure, "what is in progress may wait on the customer: only the team can say"
    body["changelog"]["items"][0]["toString"] = "In Progress"
    assert read(body, SOURCE, NOW).told[0].words[-1].event.event == "reopened"


def test_a_status_that_the_issue_has_left_again_is_not_known_by_its_category() -> None:
    body = delivery("resolved")
    body["changelog"]["items"] = [{"field": "status", "fromString": "In Arbeit", "toString": "Erledigt"}]
    body["issue"]["fields"]["status"] = {"name": "Zu", "statusCategory": {"key": "done"}}
    (single,) = read(body, SOURCE, NOW).told
    assert ([one.event.event for one in single.words], len(single.doubts)) == (["opened"], 1)


@pytest.mark.parametrize(
    ("name", "ours"),
    [("Blocker", "P1"), ("Critical", "P1"), ("Major", "P3"), ("Minor", "P4"), ("trivial", "P4"), ("Highest", "P1"), ("Lowest", "P4")],
)  # fmt: skip
def test_jiras_own_priorities_old_and_new_are_known(name: str, ours: str) -> None:
    body = delivery("priority_raised")
    body["changelog"]["items"][0]["toString"] = name
    assert read(body, SOURCE, NOW).told[0].words[-1].event.model_dump()["to"] == ours


def test_a_rules_own_issue_data_is_an_opening_without_an_api_and_a_nudge_with_one() -> None:
    (single,) = read(delivery("automation_issue_data"), SOURCE, NOW).told
    assert (single.ticket, single.requester) == ("SD-14", "ann@acme.example")
    assert [(one.key, one.event.model_dump()["priority"]) for one in single.words] == [("sd:SD-14:opened", "P2")]
    (nudge,) = read(delivery("automation_issue_data"), WITH_API, NOW).told
    assert (nudge.ticket, nudge.look) == ("SD-14", True)


def test_at_a_jira_of_ones_own_people_are_known_by_key_name_and_address() -> None:
    (single,) = read(delivery("server_commented"), SOURCE, NOW).told
    assert [one.event.event for one in single.words] == ["opened", "customer_replied"]
    assert "jira:issue_updated" in (read(delivery("server_comment_created"), SOURCE, NOW).ignored or "")
    dana = {"name": "dana", "key": "JIRAUSER10101", "emailAddress": "dana@desk.example", "displayName": "Dana Fox"}
    body = delivery("server_commented") | {"user": dana, "changelog": {"id": "7", "items": [
        {"field": "assignee", "fromString": None, "to": "JIRAUSER10101", "toString": "Dana Fox"},
    ]}}  # fmt: skip
    for known in ("JIRAUSER10101", "dana", "dana@desk.example"):
        body["comment"]["author"] = dana
        words = read(body, SOURCE.model_copy(update={"agents": {known: "d"}}), NOW).told[0].words
        assert [(one.event.event, one.event.by) for one in words[1:]][1] == ("agent_replied", "d")
        assert words[1].event.event == "acknowledged"
        ours = SOURCE.model_copy(update={"ours": (known,)})
        assert [one.event.event for one in read(body, ours, NOW).told[0].words] == ["opened"]


def test_what_does_not_matter_is_ignored_with_a_reason() -> None:
    for body in ({"webhookEvent": "worklog_created"}, {"webhookEvent": "comment_updated", "issue": {"key": "SD-12"}}):
        assert "no event that matters" in (read(body, SOURCE, NOW).ignored or "")
    elsewhere = SOURCE.model_copy(update={"channels": ("OPS",)})
    assert read(delivery("issue_created"), elsewhere, NOW).ignored
    assert story(whole(), elsewhere, NOW) is None
    assert not read(delivery("comment_of_the_customer"), SOURCE.model_copy(update={"channels": ("sd",)}), NOW).ignored


def test_the_automations_bodies_are_mapped_without_an_api_and_read_over_rest_with_one() -> None:
    assert by_webhook(("automation_created", "automation_commented")) == {"sd:SD-12:opened", "sd:SD-12:comment:30003"}
    assert told("automation_commented")[0][1] == {"by": "dana", "body": "Which browser is it?"}
    (single,) = read(delivery("automation_changed"), WITH_API, NOW).told
    assert (single.ticket, single.look) == ("SD-12", True)
    assert read(delivery("automation_changed"), SOURCE, NOW).ignored


def test_the_bodies_that_the_page_tells_to_paste_are_read() -> None:
    bodies = re.findall(r"```json\n(.+?)```", page("jira"), re.DOTALL)
    smart = [re.sub(r"{{[^{}]+\.asJsonString}}", '"a text"', body) for body in bodies]
    filled = [json.loads(re.sub(r"{{.+?}}", "SD-12", body)) for body in smart]
    assert len(filled) == 3
    project = SOURCE.model_copy(update={"channels": ("SD-12",)})
    keys = [[one.key for single in read(body, project, NOW).told for one in single.words] for body in filled]
    assert keys == [["sd:SD-12:opened"], ["sd:SD-12:comment:SD-12"], []]


def test_our_mark_is_known_when_jiras_markup_escapes_it() -> None:
    body = delivery("our_own_note")
    body["comment"]["body"] = "Escalated.\n\n\\[pactkeeper:0123456789abcdef\\]"
    assert read(body, SOURCE, NOW).ignored == "it is our own note"


# Signatures

RAW = json.dumps(delivery("issue_created"), indent=2).encode()


def hook(raw: bytes = RAW, **headers: str) -> Hook:
    return desks.hook(raw, NOW, **headers)


def taken(given: Hook, *secrets: str) -> bool:
    return desks.opens(ADAPTER, given, secrets or ("a secret of ours", "an old one"))


def test_the_signature_is_the_one_of_atlassians_documentation() -> None:
    """The test vector of Atlassian's page on securing admin webhooks; `openssl dgst -sha256 -hmac` says the same."""
    secret, body = "It's a Secret to Everybody", b"Hello World!"
    signature = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    assert taken(hook(body, x_hub_signature=signature), secret)


def test_only_a_right_signature_over_the_raw_body_is_taken() -> None:
    def signed(secret: str, raw: bytes = RAW) -> str:
        return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()

    assert taken(hook(x_hub_signature=signed("a secret of ours")))
    assert taken(hook(x_hub_signature=signed("an old one")))
    rewritten = json.dumps(json.loads(RAW)).encode()
    for bad in (
        hook(x_hub_signature=signed("another")), hook(x_hub_signature=signed("a secret of ours")[:-1]),
        hook(x_hub_signature=signed("a secret of ours").upper()), hook(x_hub_signature="sha256="), hook(x_hub_signature="é"),
        hook(rewritten, x_hub_signature=signed("a secret of ours")), hook(),
        hook(x_hub_signature="sha1=" + hmac.new(b"a secret of ours", RAW, hashlib.sha1).hexdigest()),
        hook(x_hub_signature="sha256=" + "0" * 64, authorization="Bearer a secret of ours"),
    ):  # fmt: skip
        assert not taken(bad)


def test_the_automation_shows_its_secret_in_a_header_and_the_delivery_has_jiras_id() -> None:
    assert taken(hook(authorization="Bearer a secret of ours"))
    assert taken(hook(x_pactkeeper_token="an old one"))
    assert not taken(hook(authorization="Bearer a secret"))
    assert ADAPTER.delivery_id(hook(x_atlassian_webhook_identifier="3ab5")) == "3ab5"
    assert ADAPTER.delivery_id(hook()) == nudge_id(hook())  # a rule of the automation names none


# Whatever comes


@pytest.mark.parametrize(
    "body", [None, [], "x", 3, {}, {"issue": None}, {"issue": {"key": "x" * 201}}, {"issue": {"key": ""}}]
)
def test_a_body_without_an_issues_key_is_unusable(body: Any) -> None:
    with pytest.raises(Unusable):
        read(body, SOURCE, NOW)


# The API

WRITING = Writing(
    key="k", note="Response is due at 18:00.", mark=MARK, priority="Highest", assignee=DANA, tags=("vip", "sla risk"),
    due=datetime(2031, 7, 7, 18, 0, tzinfo=UTC),
)  # fmt: skip


def serve(server: HTTPServer, comments: list[Any] | None = None) -> None:
    """The issue with its changelog and comments, as documented."""
    server.expect_request("/rest/api/3/issue/SD-12", method="GET").respond_with_json(delivery("rest_issue"))
    server.expect_request("/rest/api/3/issue/SD-12/changelog").respond_with_json(delivery("rest_changelog"))
    found = delivery("rest_comments")
    if comments is not None:
        found.update(comments=comments, total=len(comments))
    server.expect_request("/rest/api/3/issue/SD-12/comment", method="GET").respond_with_json(found)


async def test_what_changed_is_read_page_by_page_and_tells_the_story_that_the_webhooks_told(
    httpserver: HTTPServer,
) -> None:
    asked: list[Any] = []

    def search(request: Request) -> Response:
        asked.append(dict(request.args))
        page = (
            {"issues": [delivery("rest_issue")], "nextPageToken": "CAEaAggB"}
            if len(asked) == 1
            else {"issues": [], "isLast": True}
        )
        return Response(json.dumps(page), content_type="application/json")

    httpserver.expect_request("/rest/api/3/search/jql").respond_with_handler(search)
    serve(httpserver)
    found = [one async for one in jira(httpserver).changed(datetime.now(UTC) - timedelta(minutes=10))]
    assert len(found) == 1
    assert found[0]["_changed"] == "2031-07-07T18:30:00.000+0000"
    assert {one.key for one in story(found[0], SOURCE, NOW).words} == by_webhook(WEBHOOKS)  # type: ignore[union-attr]
    assert asked[0]["jql"] in ('updated >= "-12m" ORDER BY updated ASC', 'updated >= "-13m" ORDER BY updated ASC')
    assert asked[1]["nextPageToken"] == "CAEaAggB"
    authorization = httpserver.log[0][0].headers["authorization"]
    assert authorization == f"Basic {base64.b64encode(b'bot@acme.example:t0k3n').decode()}"


async def test_a_note_is_internal_and_fields_are_written_where_they_differ(httpserver: HTTPServer) -> None:
    serve(httpserver, comments=[])
    httpserver.expect_request("/rest/api/3/issue/SD-12", method="PUT").respond_with_data(status=204)
    httpserver.expect_request("/rest/servicedeskapi/request/SD-12/comment", method="POST").respond_with_json(
        {}, status=201
    )
    done = await jira(httpserver, due_field="customfield_10050").write("SD-12", WRITING)
    sent = {request.method: request.get_json() for request, _ in httpserver.log if request.method != "GET"}
    assert sent["PUT"] == {
        "fields": {
            "priority": {"name": "Highest"}, "assignee": {"accountId": DANA}, "customfield_10050": "2031-07-07T18:00:00.000+0000",
        },
        "update": {"labels": [{"add": "sla-risk"}]},
    }  # fmt: skip
    assert sent["POST"] == {"body": f"Response is due at 18:00.\n\n{{noformat}}{MARK}{{noformat}}", "public": False}
    assert done == "priority, assignee, customfield_10050, labels, an internal comment"


async def test_what_stands_there_already_is_not_written_again(httpserver: HTTPServer) -> None:
    serve(httpserver)
    same = Writing(key="k", note="Escalated to Eve.", mark=MARK, priority="High", assignee=EVE, tags=("vip",))
    assert await jira(httpserver).write("SD-12", same) == "nothing that was not there"
    assert {request.method for request, _ in httpserver.log} == {"GET"}


async def test_an_address_is_looked_up_and_jiras_own_due_date_has_no_time_of_day(httpserver: HTTPServer) -> None:
    serve(httpserver)
    users = [{"accountId": DANA, "displayName": "Dana Fox", "accountType": "atlassian"}]
    httpserver.expect_request("/rest/api/3/user/search", query_string="query=dana%40desk.example").respond_with_json(
        users
    )
    httpserver.expect_request("/rest/api/3/issue/SD-12", method="PUT").respond_with_data(status=204)
    await jira(httpserver).write("SD-12", Writing(key="k", assignee="dana@desk.example", due=WRITING.due))
    (put,) = [request.get_json() for request, _ in httpserver.log if request.method == "PUT"]
    assert put == {"fields": {"assignee": {"accountId": DANA}, "duedate": "2031-07-07"}}


@pytest.mark.parametrize("may_edit", [True, False])
async def test_check_says_as_whom_and_names_the_rights_that_are_missing(httpserver: HTTPServer, may_edit: bool) -> None:
    httpserver.expect_request("/rest/api/3/myself").respond_with_json({"accountId": OURS, "displayName": "Pactkeeper"})
    rights = {name: {"havePermission": True} for name in ("BROWSE_PROJECTS", "ADD_COMMENTS")}
    rights["EDIT_ISSUES"] = {"havePermission": may_edit}
    httpserver.expect_request("/rest/api/3/mypermissions").respond_with_json({"permissions": rights})
    if may_edit:
        assert await jira(httpserver).check() == f"Jira lets us read and write as Pactkeeper ({OURS})"
    else:
        with pytest.raises(HelpdeskRefused, match="may not edit work items"):
            await jira(httpserver).check()
