"""Request Tracker: its transactions by our scrip and over REST 2, told alike, and what is written into it."""

import base64
import hashlib
import hmac
import json
import random
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.helpdesks.request_tracker import RequestTracker
from sla.entries import Entry
from sla.evaluate import evaluate
from sla.events import Delivery
from sla.intake import Told, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.request_tracker import ADAPTER
from tests.cases import pinned

ROOT = Path(__file__).resolve().parent.parent
CREATE: dict[str, Any] = json.loads((ROOT / "tests/deliveries/request-tracker/create.json").read_text())
BEGAN = datetime(2031, 7, 9, 8, tzinfo=UTC)
HEARD = BEGAN + timedelta(hours=4)
SOURCE = Source(
    name="rt", kind="request-tracker", ours=("pactkeeper",), agents={"dana": "dana.d"}, product_field="Product"
)
SECRET = "a-secret-of-at-least-twenty-characters"
MARK = "[pactkeeper:0123456789abcdef]"
ANN: dict[str, Any] = CREATE["transaction"]["creator"]
DANA = {"name": "dana", "email": "dana@vendor.example", "organization": None, "privileged": 1}
BOB = {"name": "bob@acme.example", "email": "bob@acme.example", "organization": None, "privileged": 0}
RT_SYSTEM = {"name": "RT_System", "email": None, "organization": None, "privileged": 0}
US = {"name": "pactkeeper", "email": None, "organization": None, "privileged": 1}


def transaction(number: int, kind: str, creator: Any = DANA, **fields: Any) -> dict[str, Any]:
    """One as the scrip tells it, `number` minutes after the opening."""
    at = (BEGAN + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    plain = {"field": None, "old": None, "new": None, "owner": None, "mail": 0, "automatic": 0, "content": ""}
    return {**plain, "id": 140 + number, "ticket": 17, "type": kind, "created": at, "creator": creator, **fields}


HISTORY = [
    CREATE["transaction"],
    transaction(5, "Set", field="Owner", old="6", new="22", owner=DANA),
    transaction(10, "Correspond", content="We are looking."),
    transaction(10, "Status", RT_SYSTEM, field="Status", old="new", new="open") | {"id": 151},
    transaction(12, "Comment", content="The cache again."),
    transaction(15, "Set", field="Priority", old="100", new="60"),
    transaction(20, "Status", field="Status", old="open", new="resolved"),
    transaction(30, "Correspond", ANN, content="Still blank."),
    transaction(30, "Status", RT_SYSTEM, field="Status", old="resolved", new="open") | {"id": 171},
]


def delivery(one: dict[str, Any], **ticket: Any) -> dict[str, Any]:
    return {"ticket": {**CREATE["ticket"], **ticket}, "transaction": one}


def told(one: dict[str, Any], source: Source = SOURCE, **ticket: Any) -> Told:
    (found,) = ADAPTER.read(delivery(one, **ticket), source, HEARD).told
    return found


def event(one: dict[str, Any], source: Source = SOURCE) -> dict[str, Any]:
    """The one event that a transaction makes, without what is not said."""
    (word,) = told(one, source).words
    return {"event": word.event.event, **word.event.model_dump(exclude_defaults=True, exclude={"body"})}


def by_key(given: list[Told]) -> dict[str, Delivery]:
    kept: dict[str, Delivery] = {}
    for one in given:
        for word in one.words:
            kept.setdefault(word.key, word)
    return kept


def ignored(one: dict[str, Any]) -> str:
    return ADAPTER.read(delivery(one), SOURCE, HEARD).ignored or ""


def test_the_creation_opens_the_incident_of_the_first_requestor():
    one = told(CREATE["transaction"])
    (opening,) = one.words
    assert (one.ticket, one.requester, one.organisation) == ("17", "ann@acme.example", "Acme Inc.")
    assert (opening.key, opening.occurred_at) == ("rt:17:opened", BEGAN)
    assert (opening.event.priority, opening.event.product, opening.event.channel) == ("P1", "Shop", "email")
    assert opening.event.body == "Blank since 7:50."


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (transaction(1, "Correspond"), {"event": "agent_replied", "by": "dana.d"}),
        (transaction(1, "Comment"), {"event": "agent_replied", "by": "dana.d", "public": False}),
        (transaction(1, "Correspond", ANN), {"event": "customer_replied", "by": "ann@acme.example"}),
        (transaction(1, "Correspond", BOB), {"event": "customer_replied", "by": "bob@acme.example"}),
        (transaction(1, "Set", field="Owner", owner=DANA), {"event": "acknowledged", "by": "dana.d"}),
        (transaction(1, "Take", owner=DANA), {"event": "acknowledged", "by": "dana.d"}),
        (transaction(1, "Give", owner={"name": "alex"}), {"event": "assigned", "to": "alex", "by": "dana.d"}),
        (transaction(1, "Set", field="Priority", new="75"), {"event": "priority_changed", "to": "P2", "by": "dana.d"}),
        (transaction(1, "Status", old="open", new="stalled"), {"event": "waiting_on_customer", "by": "dana.d"}),
        (transaction(1, "Status", old="stalled", new="open"), {"event": "reopened", "by": "dana.d"}),
        (transaction(1, "Status", old="open", new="Rejected"), {"event": "closed", "by": "dana.d"}),
        (
            transaction(1, "AddLink", field="MergedInto", new="fsck.com-rt://x/ticket/3"),
            {"event": "closed", "by": "dana.d"},
        ),
    ],
)
def test_each_transaction_is_one_event(one: dict[str, Any], said: dict[str, Any]):
    assert event(one) == said


@pytest.mark.parametrize(
    "one",
    [
        transaction(1, "Correspond", ANN, automatic=1),
        transaction(1, "Correspond", RT_SYSTEM),
        transaction(1, "Comment", US, content="A note"),
        transaction(1, "Comment", content=f"A note\n\n{MARK}"),
        transaction(1, "Set", US, field="Priority", new="100"),
        transaction(1, "Set", field="Owner", owner={"name": "Nobody"}),
        transaction(1, "Status", RT_SYSTEM, old="new", new="open"),
        transaction(1, "Set", field="Subject", new="x"),
        transaction(1, "EmailRecord"),
        transaction(1, "SetWatcher", field="Owner", owner=DANA),
    ],
)
def test_automatic_answers_our_own_echo_and_what_does_not_matter_are_nothing(one: dict[str, Any]):
    assert ignored(one)


def test_a_status_nobody_knows_is_a_doubt_and_a_known_one_of_the_file_is_none():
    odd = transaction(1, "Status", old="open", new="on-hold")
    assert told(odd).words == ()
    assert "on-hold" in told(odd).doubts[0]
    source = SOURCE.model_copy(update={"statuses": {"On-Hold": "waiting"}})
    assert told(odd, source).words[0].event.event == "waiting_on_customer"


@pytest.mark.parametrize(
    ("number", "priority"), [(0, "P3"), (49, "P3"), (50, "P2"), ("100", "P1"), ("Medium", "P2"), ("Odd", "Odd")]
)
def test_a_priority_counts_from_its_number_up_to_the_next(number: Any, priority: str):
    assert told(CREATE["transaction"], priority=number).words[0].event.priority == priority
    source = SOURCE.model_copy(update={"priorities": {"80": "P1", "10": "P2"}})
    levels = [told(CREATE["transaction"], source, priority=n).words[0].event.priority for n in (5, 79, 80)]
    assert levels == ["5", "P2", "P1"]


def test_a_queue_that_does_not_count_is_nothing_by_either_door():
    source = SOURCE.model_copy(update={"channels": ("Sales",)})
    assert ADAPTER.read(CREATE, source, HEARD).ignored
    assert ADAPTER.story is not None
    assert ADAPTER.story({"ticket": CREATE["ticket"], "transactions": HISTORY}, source, HEARD) is None


def test_the_history_and_the_scrip_tell_the_same_words():
    assert ADAPTER.story is not None
    whole = ADAPTER.story({"ticket": CREATE["ticket"] | {"priority": 60}, "transactions": HISTORY}, SOURCE, HEARD)
    assert whole is not None
    given = [one for raw in HISTORY for one in ADAPTER.read(delivery(raw), SOURCE, HEARD).told]
    assert by_key([whole]) == by_key(given)


def test_what_a_real_one_sent_is_what_happened_there():
    """Captured from RT 5.0.3 with the scrip of the documentation: mails in, an agent's page, and at the end our own writing."""
    heard = datetime(2026, 11, 22, 13, tzinfo=UTC)
    captured = json.loads((ROOT / "tests/deliveries/request-tracker/captured.json").read_text())
    given = [one for body in captured for one in ADAPTER.read(body, SOURCE, heard).told]
    assert {one.ticket for one in given} == {"2"}
    words = sorted(by_key(given).values(), key=lambda word: int(word.key.replace("opened", "0").rpartition(":")[2]))
    said = [(word.event.event, word.event.by) for word in words]
    ann, dana = "ann@acme.example", "dana.d"
    assert said == [
        ("opened", ann), ("acknowledged", dana), ("priority_changed", dana), ("agent_replied", dana), ("agent_replied", dana),
        ("resolved", dana), ("customer_replied", ann), ("reopened", None), ("assigned", dana),
    ]  # fmt: skip
    assert [word.event.public for word in words if word.event.event == "agent_replied"] == [True, False]
    assert "grüße" in words[0].event.body


def test_a_reply_to_a_resolved_ticket_starts_its_clocks_once():
    given = [one for raw in HISTORY for one in ADAPTER.read(delivery(raw), SOURCE, HEARD).told]
    words = by_key(given).values()
    assert [word.event.event for word in words].count("reopened") == 1
    log = [Entry(key=w.key, occurred_at=w.occurred_at, received_at=HEARD, event=w.event) for w in words]
    view = evaluate(pinned("tromzo"), log, HEARD)
    assert view.phase not in ("resolved", "closed")
    assert all(clock.started == BEGAN for clock in view.clocks if clock.name == "response")


def test_delivered_twice_and_shuffled_it_is_the_same_set_of_words():
    wanted = by_key([one for raw in HISTORY for one in ADAPTER.read(delivery(raw), SOURCE, HEARD).told])
    for seed in range(8):
        order = [*HISTORY, *HISTORY]
        random.Random(seed).shuffle(order)
        assert by_key([one for raw in order for one in ADAPTER.read(delivery(raw), SOURCE, HEARD).told]) == wanted


def test_what_was_merged_in_is_another_tickets_story():
    assert ADAPTER.story is not None
    history = [*HISTORY, transaction(40, "Correspond", ticket=99)]
    one = ADAPTER.story({"ticket": CREATE["ticket"], "transactions": history}, SOURCE, HEARD)
    assert one is not None
    assert not any(key.endswith(":180") for key in by_key([one]))


def test_a_delivery_with_no_more_than_a_ticket_is_read_over_rest_and_without_one_unusable():
    (one,) = ADAPTER.read({"ticket": {"id": "17"}}, SOURCE, HEARD).told
    assert (one.ticket, one.look, one.words) == ("17", True, ())
    with pytest.raises(Unusable, match=r"ticket\.id"):
        ADAPTER.read({"transaction": {"id": 1}}, SOURCE, HEARD)


def signed(raw: bytes, secret: str = SECRET, at: int | None = None) -> Hook:
    stamp = int(HEARD.timestamp()) if at is None else at
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return Hook({"x-pactkeeper-signature": f"t={stamp},v1={mac}"}, raw, HEARD)


def test_a_signature_is_good_within_five_minutes_and_with_any_active_secret():
    now = int(HEARD.timestamp())
    for at in (now, now - 299, now + 299):
        ADAPTER.verify(signed(b"{}", at=at), ["the-new-one-of-the-rotation", SECRET])
    bad = [
        signed(b"{}", at=now - 301),
        signed(b"{}", at=now + 301),
        signed(b"{}", "another"),
        signed(b"{}", at=-1),
        signed(b"{}", at=10**15),
    ]
    good = signed(b"{}")
    bad += [
        Hook({}, b"{}", HEARD),
        Hook(good.headers, b"{ }", HEARD),
        Hook({"x-pactkeeper-signature": "t=,v1="}, b"{}", HEARD),
    ]
    bad.append(Hook({"x-pactkeeper-signature": good.headers["x-pactkeeper-signature"].upper()}, b"{}", HEARD))
    for hook in bad:
        with pytest.raises(BadSignature):
            ADAPTER.verify(hook, [SECRET])


STUBS = r"""
package Thing; our $AUTOLOAD;
sub new { my ($class, %is) = @_; bless {%is}, $class }
sub AUTOLOAD { my $self = shift; my $n = $AUTOLOAD; $n =~ s/.*:://; return if $n eq 'DESTROY';
  my $v = $self->{$n}; ref $v eq 'CODE' ? $v->(@_) : $v }
package LWP::UserAgent; BEGIN { $INC{'LWP/UserAgent.pm'} = 1 }
sub new { bless {}, shift } sub post { my ($self, $url, %sent) = @_;
  print JSON::PP->new->utf8->canonical->encode({url => $url, body => $sent{Content}, signature => $sent{'X-Pactkeeper-Signature'}});
  return Thing->new(is_success => 1) }
package main;
my $date = Thing->new(W3CDTF => sub { '2031-07-09T08:00:00Z' });
my $ann  = Thing->new(Name => 'ann@acme.example', EmailAddress => 'ann@acme.example', Organization => 'Acme Inc.', Privileged => 0);
my $head = Thing->new(GetHeader => sub { $_[0] eq 'Received' ? 'from x' : undef });
my $self = Thing->new(
  TicketObj => Thing->new(id => 17, QueueObj => Thing->new(Name => 'Support'), Status => 'new', Priority => 100, CreatedObj => $date,
    Subject => "Gr\x{fc}\x{df}e \x{1f600}", Requestors => Thing->new(UserMembersObj => Thing->new(ItemsArrayRef => [$ann])),
    CustomFields => Thing->new(Next => do { my @f = (Thing->new(Name => 'Product')); sub { shift @f } }),
    FirstCustomFieldValue => sub { 'Shop' }),
  TransactionObj => Thing->new(id => 140, ObjectId => 17, Type => 'Create', CreatedObj => $date, CreatorObj => $ann,
    Content => 'Blank since 7:50.', Attachments => Thing->new(First => $head)));
sub commit {
"""


def test_the_scrip_of_the_documentation_signs_what_the_adapter_reads():
    """The page's own Perl, on stand-ins for RT's objects; Perl's HMAC is the other implementation of the signature."""
    page = (ROOT / "docs/sources/request-tracker.md").read_text()
    (scrip,) = re.findall(r"```perl\n(.*?)```", page, re.DOTALL)
    perl = shutil.which("perl")
    assert perl is not None
    ran = subprocess.run(
        [perl, "-"],
        input=STUBS + scrip.replace("{SECRET}", SECRET) + "\n}\ncommit();",
        capture_output=True,
        text=True,
        check=True,
    )
    sent = json.loads(ran.stdout)
    raw = sent["body"].encode("latin-1") if isinstance(sent["body"], str) else b""
    stamp = int(sent["signature"].partition(",")[0].removeprefix("t="))
    hook = Hook({"x-pactkeeper-signature": sent["signature"]}, raw, datetime.fromtimestamp(stamp, UTC))
    ADAPTER.verify(hook, [SECRET])
    (one,) = ADAPTER.read(json.loads(raw), SOURCE, HEARD).told
    assert one.words[0].event.subject == "Grüße 😀"
    assert one.words[0].model_dump(exclude={"event": {"subject"}}) == told(CREATE["transaction"]).words[0].model_dump(
        exclude={"event": {"subject"}}
    )


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([]), st.just({}), st.just([[1]])
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_comes_is_read_or_unusable(data: st.DataObject):
    body = json.loads(json.dumps(delivery(data.draw(st.sampled_from(HISTORY)))))
    places = [body["ticket"], body["transaction"], body["transaction"]["creator"], body]
    for place in places:
        for name in data.draw(st.lists(st.sampled_from(sorted(place)), max_size=3)):
            place[name] = data.draw(odd)
    for how in (
        lambda: ADAPTER.read(body, SOURCE, HEARD),
        lambda: ADAPTER.story and ADAPTER.story(body | {"transactions": [body.get("transaction")]}, SOURCE, HEARD),
    ):
        try:
            found = how()
        except Unusable:
            continue
        assert not hasattr(found, "kind") or found.told or found.ignored


class Peer:
    """RT's REST 2 as its documentation has it, over the history above."""

    def __init__(self, server: HTTPServer) -> None:
        self.comments: list[str] = []
        self.puts: list[dict[str, Any]] = []
        self.queries: list[str] = []
        self.lost = False
        self.tickets = [
            {"id": "9", "LastUpdated": "2031-07-08T23:00:00Z"},
            {"id": "17", "LastUpdated": "2031-07-09T08:30:00Z"},
        ]
        self.fields = {"Owner": {"id": "Nobody", "type": "user"}, "Priority": 60, "Due": "1970-01-01T00:00:00Z"}
        server.expect_request(re.compile(r"/REST/2\.0/.*")).respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        assert request.headers["authorization"] == "token 1-14-abc"
        path = request.path.removeprefix("/REST/2.0")
        if request.method == "POST" and path == "/ticket/17/comment":
            self.comments.append(json.loads(request.data)["Content"])
            return Response("gone", 504) if self.lost else self._json(["Comments added"], 201)
        if request.method == "PUT":
            self.puts.append(json.loads(request.data))
            return self._json(
                ["Ticket 17: Permission Denied"] if self.puts[-1].get("Owner") == "root" else ["Ticket 17: changed"]
            )
        return self._json(*self._read(path, request))

    def _read(self, path: str, request: Request) -> tuple[Any, int]:
        if path == "/tickets":
            self.queries.append(request.args["query"])
            after = int(request.args["query"].partition(" AND id > ")[2] or 0)
            return self._page([one for one in self.tickets if int(one["id"]) > after], request), 200
        if path == "/ticket/17":
            own = {
                "Status": "open",
                "Subject": "Nothing loads",
                "Created": "2031-07-09T08:00:00Z",
                "Queue": {"id": "1", "type": "queue"},
            }
            custom = [{"name": "Product", "values": ["Shop"]}]
            return {
                "id": 17,
                **own,
                **self.fields,
                "Requestor": [{"id": "ann@acme.example"}],
                "CustomFields": custom,
            }, 200
        if path == "/ticket/17/history":
            past = [self._transaction(one) for one in HISTORY]
            past += [
                {
                    "id": str(900 + i),
                    "Type": "Comment",
                    "Creator": {"id": "pactkeeper"},
                    "ObjectId": 17,
                    "Created": "2031-07-09T09:00:00Z",
                }
                for i in range(len(self.comments))
            ]
            return self._page(past, request), 200
        if path == "/ticket/17/attachments":
            parts = [
                {
                    "id": str(one["id"] * 10),
                    "TransactionId": one["id"],
                    "ContentType": "text/plain",
                    "Headers": "From: x\n",
                }
                for one in HISTORY
            ]
            parts += [
                {"id": str(9000 + i), "TransactionId": 900 + i, "ContentType": "text/plain"}
                for i in range(len(self.comments))
            ]
            return self._page(parts, request), 200
        if found := re.fullmatch(r"/attachment/(\d+)", path):
            number = int(found[1])
            text = (
                self.comments[number - 9000]
                if number >= 9000
                else next(o["content"] for o in HISTORY if o["id"] * 10 == number)
            )
            return {"Content": base64.b64encode(text.encode()).decode()}, 200
        if path == "/queue/1":
            return {"id": 1, "Name": "Support"}, 200
        if path == "/rt":
            return {"Version": "5.0.3"}, 200
        people = {"/user/22": DANA, "/user/dana": DANA, "/user/ann@acme.example": ANN, "/user/pactkeeper": US}
        if one := people.get(path):
            link = {"ref": "self", "type": "user", "id": one["name"]}
            return {
                "_hyperlinks": [link],
                "EmailAddress": one["email"],
                "Privileged": one["privileged"],
                "Organization": one["organization"],
            }, 200
        return {"message": "Not Found"}, 404

    @staticmethod
    def _transaction(one: dict[str, Any]) -> dict[str, Any]:
        said = {
            "Type": one["type"],
            "Field": one["field"] or "",
            "OldValue": one["old"] or "",
            "NewValue": one["new"] or "",
        }
        return {
            "id": str(one["id"]),
            **said,
            "Created": one["created"],
            "Creator": {"id": one["creator"]["name"]},
            "ObjectId": 17,
        }

    @staticmethod
    def _page(items: list[Any], request: Request) -> dict[str, Any]:
        """RT tells no total where it checks each entry's rights; a page has at most 100."""
        page, size = int(request.args.get("page", 1)), min(int(request.args["per_page"]), 100)
        cut = items[(page - 1) * size : page * size]
        return {"items": cut, "count": len(cut), "page": page, "per_page": size, "total": None}

    @staticmethod
    def _json(value: Any, status: int = 200) -> Response:
        return Response(json.dumps(value), status, content_type="application/json")


@pytest.fixture
def peer(httpserver: HTTPServer) -> Peer:
    return Peer(httpserver)


@pytest.fixture
def client(httpserver: HTTPServer) -> RequestTracker:
    return RequestTracker(Account(httpserver.url_for("").rstrip("/"), token="1-14-abc"))


async def test_what_changed_is_read_whole_and_tells_the_same_words_as_the_scrip(peer: Peer, client: RequestTracker):
    found = [one async for one in client.changed(BEGAN)]
    assert [one["_changed"] for one in found] == ["2031-07-09T08:30:00+00:00"]
    assert peer.queries == [f"LastUpdated >= '2031-07-08 20:00:00'{since}" for since in ("", " AND id > 17")]
    assert ADAPTER.story is not None
    whole = ADAPTER.story(found[0], SOURCE, HEARD)
    assert whole is not None
    given = by_key([one for raw in HISTORY for one in ADAPTER.read(delivery(raw), SOURCE, HEARD).told])
    read = by_key([whole])
    assert read.keys() == given.keys()
    # REST does not tell whether a ticket came by mail.
    same = {"event": {"channel"}}
    assert {k: w.model_dump(exclude=same) for k, w in read.items()} == {
        k: w.model_dump(exclude=same) for k, w in given.items()
    }
    assert await client.ticket("404") is None


async def test_none_is_left_out_however_many_changed_and_whatever_moves_or_is_hidden_meanwhile(
    peer: Peer, client: RequestTracker, monkeypatch: pytest.MonkeyPatch
):
    """More than any bound of pages; a page lacks those that we may not see; and one that is read is deleted at once."""
    peer.tickets = [{"id": str(i), "LastUpdated": "2031-07-09T08:30:00Z"} for i in range(1, 351)]
    monkeypatch.setattr("activities.helpdesks.request_tracker.MOST_PAGES", 1)

    async def ticket(id: str) -> dict[str, Any]:
        return {"ticket": {"id": id}}

    def page(items: list[Any], request: Request) -> dict[str, Any]:
        shown = [one for one in items[:100] if int(one["id"]) % 2]
        peer.tickets = [one for one in peer.tickets if one["id"] != "1"]
        return {"items": shown}

    monkeypatch.setattr(client, "ticket", ticket)
    monkeypatch.setattr(peer, "_page", page)
    found = [int(one["ticket"]["id"]) async for one in client.changed(BEGAN)]
    assert sorted(found) == list(range(1, 351, 2))


async def test_a_tracker_that_hands_over_the_same_tickets_for_ever_is_not_read_for_ever(
    peer: Peer, client: RequestTracker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(peer, "_page", lambda items, request: {"items": peer.tickets})
    with pytest.raises(HelpdeskUnavailable, match="the same tickets again"):
        _ = [one async for one in client.changed(BEGAN)]


async def test_a_note_is_written_once_though_the_answer_to_it_was_lost(peer: Peer, client: RequestTracker):
    writing = Writing("k", note="Escalated to Alex.", mark=MARK)
    peer.lost = True
    with pytest.raises(HelpdeskUnavailable):
        await client.write("17", writing)
    peer.lost = False
    assert "already" in await client.write("17", writing)
    assert peer.comments == [f"Escalated to Alex.\n\n{MARK}"]


async def test_only_the_fields_that_differ_are_written(peer: Peer, client: RequestTracker):
    writing = Writing("k", assignee="Dana", priority="High", due=BEGAN)
    await client.write("17", writing)
    assert peer.puts == [{"Owner": "Dana", "Priority": "100", "Due": "2031-07-09 08:00:00"}]
    peer.fields = {"Owner": {"id": "dana"}, "Priority": 100, "Due": "2031-07-09T08:00:00Z"}
    assert "already" in await client.write("17", writing)
    with pytest.raises(HelpdeskRefused, match="Permission Denied"):
        await client.write("17", Writing("k", assignee="root"))
    with pytest.raises(HelpdeskRefused, match="404"):
        await client.write("404", writing)


async def test_it_is_asked_again_when_it_says_and_not_when_it_refuses(httpserver: HTTPServer, client: RequestTracker):
    assert "1-14-abc" not in repr(client._account)
    for status, error in ((429, HelpdeskUnavailable), (503, HelpdeskUnavailable), (401, HelpdeskRefused)):
        httpserver.expect_oneshot_request("/REST/2.0/ticket/17").respond_with_response(
            Response("", status, {"Retry-After": "30"})
        )
        with pytest.raises(error) as caught:
            await client.ticket("17")
        assert getattr(caught.value, "retry_after", 30) == 30


async def test_the_check_names_the_version(peer: Peer, client: RequestTracker):
    assert "5.0.3" in await client.check()
