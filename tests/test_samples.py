"""Each sample is what its source would send: its adapter lets it in, and makes of it what `doctor` shows."""

import json
from datetime import UTC, datetime

import pytest

from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.connecting import GENERIC, SETUPS
from starter.samples import SUBJECT, sample
from starter.sources import KINDS, adapter

NOW = datetime(2031, 7, 11, 23, 0, tzinfo=UTC)
SECRET = "a-secret-that-is-long-enough-for-all"


def test_every_kind_that_can_be_connected_has_an_adapter_a_setup_and_a_sample() -> None:
    assert set(SETUPS) == {*KINDS, GENERIC}
    assert all(sample(Source(name="here", kind=kind), SECRET, NOW).raw for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_let_in_by_its_secret_alone(kind: str) -> None:
    made, how = sample(Source(name="here", kind=kind), SECRET, NOW), adapter(kind)
    how.verify(Hook(made.headers, made.raw, NOW), ["another-secret-of-those-that-count", SECRET])
    with pytest.raises(BadSignature):
        how.verify(Hook(made.headers, made.raw, NOW), ["another-secret-of-those-that-count"])


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_read_as_one_fresh_ticket_of_a_channel_that_counts(kind: str, limited: bool) -> None:
    channel = None if not limited else "box@acme.example" if kind == "mail" else "CHANNEL01"
    source = Source(name="here", kind=kind, channels=(channel,) if channel else (), customer="acme")
    made, how = sample(source, SECRET, NOW), adapter(kind)
    read = how.read(made.raw if how.body == "mail" else json.loads(made.raw), source, NOW)
    assert read.ignored is None
    (told,) = read.told
    if kind == "pagerduty":
        assert [word.event.event for word in told.words] == ["acknowledged"]
        return
    if kind == "escalated-django":
        assert told.look  # it tells a number and no more
        return
    opened = told.words[0].event
    assert opened.event == "opened"
    assert (opened.subject or "").endswith(SUBJECT) or kind in ("slack", "alertmanager")
    assert told.doubts == ()
    assert abs((told.words[0].occurred_at - NOW).total_seconds()) < 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_taken_too_where_tickets_are_read_over_the_api(kind: str) -> None:
    source = Source(name="here", kind=kind, url="https://desk.example", domains={"bolt.example": "bolt"})
    made, how = sample(source, SECRET, NOW), adapter(kind)
    read = how.read(made.raw if how.body == "mail" else json.loads(made.raw), source, NOW)
    (told,) = read.told
    assert told.look or told.words
    assert told.requester in (None, "test@bolt.example")
