"""What Alertmanager's webhooks mean: groups as it sends them, told again, in other orders, and mangled."""

import base64
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sla.entries import Entry
from sla.evaluate import evaluate
from sla.events import Delivery
from sla.intake import Read, Told, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.alertmanager import ADAPTER
from tests.cases import pinned

DELIVERIES = Path(__file__).parent / "deliveries" / "alertmanager"
HEARD = datetime(2031, 7, 9, 10, tzinfo=UTC)
SOURCE = Source(name="prom", kind="alertmanager", product_field="product")
TOKEN = "a-token-of-at-least-twenty-characters"


def delivery(name: str) -> dict[str, Any]:
    return dict(json.loads((DELIVERIES / f"{name}.json").read_text()))


def told(body: dict[str, Any], source: Source = SOURCE, heard: datetime = HEARD) -> Told:
    (one,) = ADAPTER.read(body, source, heard).told
    return one


def said(one: Told) -> list[tuple[str, str]]:
    return [(word.event.event, f"{word.occurred_at.astimezone(UTC):%H:%M}") for word in one.words]


def by_key(*given: Told) -> dict[str, Delivery]:
    """Each word once: the first of a key counts."""
    kept: dict[str, Delivery] = {}
    for one in given:
        for word in one.words:
            kept.setdefault(word.key, word)
    return kept


def standing(*given: Told) -> Any:
    """How the incident stands that the words make, whatever their order."""
    log = [
        Entry(key=w.key, occurred_at=w.occurred_at, received_at=HEARD, event=w.event) for w in by_key(*given).values()
    ]
    return evaluate(pinned("tromzo"), log, HEARD)


def test_a_firing_group_opens_an_incident_of_the_labelled_customer_at_the_alerts_own_time():
    one = told(delivery("firing"))
    opening = one.words[0]
    assert opening.event.event == "opened"
    assert opening.occurred_at == datetime.fromisoformat("2031-07-09T08:00:12.266739Z")
    assert (opening.event.priority, opening.event.product, opening.event.channel) == ("P3", "shop", "api")
    assert opening.event.subject == "CheckoutDown: Checkout of acme answers slowly"
    assert "Runbook: https://runbooks.example/checkout" in opening.event.body
    assert (one.customer, one.organisation) == ("acme", "acme")
    assert opening.key == f"prom:{one.ticket}:opened"
    assert one.ticket.startswith("CheckoutDown-")


def test_a_worse_alert_that_joins_raises_the_priority_from_when_it_fires():
    one = told(delivery("joined"))
    assert ("priority_changed", "08:20") in said(one)
    assert [w.event.to for w in one.words if w.event.event == "priority_changed"] == ["P1"]
    assert standing(told(delivery("firing")), one).priority == "P1"


def test_a_group_is_resolved_when_its_last_alert_ends_and_reopened_when_it_fires_again():
    first, over, again = (told(delivery(name)) for name in ("firing", "resolved", "again"))
    assert said(over)[-1] == ("resolved", "08:55")
    assert standing(first, over).phase == "resolved"
    assert ("reopened", "09:30") in said(again)
    assert standing(first, over, again).phase not in ("resolved", "closed")


def test_that_it_fires_changes_nothing_while_it_was_never_resolved():
    one = told(delivery("firing"))
    without = Told(one.ticket, tuple(word for word in one.words if word.event.event != "reopened"))
    assert len(without.words) == len(one.words) - 1
    assert standing(one).clocks == standing(without).clocks


def test_delivered_twice_and_shuffled_it_is_the_same_incident():
    names = ("firing", "joined", "resolved")
    wanted = standing(*(told(delivery(name)) for name in (*names, "again")))
    for seed in range(12):
        order = [*names, *names]
        random.Random(seed).shuffle(order)
        # A group's notifications are sent one after the other, so it can't fire again before it was heard of at all.
        order.insert(random.Random(seed).randint(1, len(order)), "again")
        mixed = [told(delivery(name), heard=HEARD.replace(minute=i)) for i, name in enumerate(order)]
        assert standing(*mixed) == wanted


def test_what_a_real_one_sent_opens_raises_resolves_and_reopens_at_the_alerts_own_times():
    """Captured from Alertmanager 0.25.0: fires, a worse alert joins, repeated, one ends, all end, fires again, ends again."""
    bodies = json.loads((DELIVERIES / "captured.json").read_text())
    assert bodies[1] == bodies[2], "what is repeated is the same"
    stories = [told(body, heard=datetime(2026, 11, 22, 14, 30, tzinfo=UTC)) for body in bodies]
    assert {one.ticket for one in stories} == {stories[0].ticket}
    words = sorted(by_key(*stories).values(), key=lambda word: word.occurred_at)
    assert [(word.event.event, f"{word.occurred_at:%M:%S.%f}"[:9]) for word in words] == [
        ("opened", "18:10.198"), ("reopened", "18:10.198"), ("priority_changed", "18:11.303"), ("reopened", "18:11.303"),
        ("resolved", "19:11.346"), ("reopened", "19:21.277"), ("resolved", "19:31.299"),
    ]  # fmt: skip
    opening, _, raised, *_ = (word.event for word in words)
    assert (opening.priority, raised.to) == ("P2", "P1")
    assert opening.subject == "CheckoutDown: Checkout of acme answers slowly"
    assert [said(one)[-1][0] for one in stories] == ["reopened"] * 4 + ["resolved", "reopened", "resolved"]


def test_a_repeated_notification_has_the_same_words_though_another_zone_writes_its_times():
    body, other = delivery("firing"), delivery("firing")
    other["alerts"][0]["startsAt"] = "2031-07-09T08:00:12.266739266Z"
    assert by_key(told(body)) == by_key(told(other))


@given(
    chosen=st.permutations(range(2)), many=st.integers(1, 2), labels=st.sampled_from([{}, {"grafana_folder": "Shop"}])
)
def test_a_group_is_one_ticket_whichever_of_its_alerts_a_delivery_tells_of_and_in_whatever_order(
    chosen: list[int], many: int, labels: dict[str, str]
):
    """Grouped without `alertname`, as Grafana's `{}/{test="true"}:{}`, its alerts have several names, and come and go."""
    whole = delivery("grafana") | {"groupLabels": labels}
    some = whole | {"alerts": [whole["alerts"][i] for i in chosen[:many]]}
    assert told(some).ticket == told(whole).ticket
    assert told(some).words[0].event.subject.startswith(("LoginSlow: ", "DiskFull: "))
    named = whole | {"groupLabels": {"alertname": "DiskFull"}}
    assert told(named).ticket == f"DiskFull-{told(whole).ticket}"


def test_a_group_without_a_name_is_resolved_on_the_ticket_that_it_opened():
    body = delivery("grafana")
    last = body["alerts"][1] | {"status": "resolved", "endsAt": "2031-07-09T09:00:10Z"}
    first, over = told(body | {"alerts": body["alerts"][:1]}), told(body | {"status": "resolved", "alerts": [last]})
    assert first.ticket == over.ticket
    assert standing(first, over).phase == "resolved"


def test_a_group_of_several_customers_is_an_incident_for_each():
    body = delivery("joined")
    body["alerts"][1]["labels"]["customer"] = "globex"
    one, other = ADAPTER.read(body, SOURCE, HEARD).told
    assert (one.customer, other.customer) == ("acme", "globex")
    assert one.ticket != other.ticket
    assert one.ticket == told(delivery("firing")).ticket
    body["alerts"][1] |= {"status": "resolved", "endsAt": "2031-07-09T08:40:00Z"}
    one, other = ADAPTER.read(body, SOURCE, HEARD).told
    assert said(one)[-1][0] != "resolved"
    assert said(other)[-1] == ("resolved", "08:40")


def test_a_group_cut_short_is_not_resolved_by_what_was_left_out():
    body = delivery("joined") | {"truncatedAlerts": 3}
    for alert in body["alerts"]:
        alert |= {"status": "resolved", "endsAt": "2031-07-09T08:40:00Z"}
    assert "resolved" not in [event for event, _ in said(told(body))]


def test_a_label_that_the_source_maps_is_left_to_the_map_and_none_to_triage():
    source = SOURCE.model_copy(update={"organisations": {"ACME": "acme-corp"}})
    assert (told(delivery("firing"), source).customer, told(delivery("firing"), source).organisation) == (None, "acme")
    body = delivery("firing")
    del body["alerts"][0]["labels"]["customer"]
    assert (told(body).customer, told(body).organisation) == (None, None)


@pytest.mark.parametrize(
    ("severity", "priority"), [("Critical", "P1"), ("info", "P4"), ("sev-x", "sev-x"), (None, None)]
)
def test_a_severity_nobody_knows_goes_on_as_it_is(severity: str | None, priority: str | None):
    body = delivery("firing")
    body["alerts"][0]["labels"]["severity"] = severity
    assert told(body).words[0].event.priority == priority


def test_alerts_that_fire_always_and_other_receivers_are_nothing():
    assert ADAPTER.read(delivery("watchdog"), SOURCE, HEARD).ignored
    source = SOURCE.model_copy(update={"channels": ("support (eu)",)})
    assert "pactkeeper" in (ADAPTER.read(delivery("firing"), source, HEARD).ignored or "")
    body = delivery("firing") | {"receiver": r"support \(eu\)"}
    assert told(body, source).words


def test_without_a_group_key_or_an_alert_it_is_unusable():
    for name in ("groupKey", "alerts"):
        body = delivery("firing")
        del body[name]
        with pytest.raises(Unusable, match=name):
            ADAPTER.read(body, SOURCE, HEARD)


@pytest.mark.parametrize("scheme", ["bearer", "basic"])
def test_it_is_authentic_by_the_token_alone(scheme: str):
    basic = base64.b64encode(f"pactkeeper:{TOKEN}".encode()).decode()
    right = {"authorization": f"Bearer {TOKEN}" if scheme == "bearer" else f"Basic {basic}"}
    ADAPTER.verify(Hook(right, b"{}", HEARD), ["another-token-of-the-rotation", TOKEN])
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic %%%"}):
        with pytest.raises(BadSignature):
            ADAPTER.verify(Hook(headers, b"{}", HEARD), [TOKEN])


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([]), st.just({}), st.just([[1]])
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_comes_is_read_or_unusable(data: st.DataObject):
    body = delivery(data.draw(st.sampled_from(["firing", "joined", "resolved"])))
    places = [body, *body["alerts"], *(alert["labels"] for alert in body["alerts"])]
    for place in places:
        for name in data.draw(st.lists(st.sampled_from(sorted(place)), max_size=3)):
            place[name] = data.draw(odd)
    try:
        read: Read = ADAPTER.read(body, SOURCE, HEARD)
    except Unusable:
        return
    assert read.told or read.ignored
    assert all(len(one.ticket) <= 200 and one.words for one in read.told)
