"""The memory of what a channel calls an incident's message, on each kind of database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from records.threads import Thread, ThreadStore

AT = datetime(2031, 7, 11, 23, 30, tzinfo=UTC)
BEGUN = Thread("incident/desk/4711", "slack:C0123", "", AT, {"begun": ["a key"]})
POSTED = replace(
    BEGUN, reference="1941579000.000100", put_at=AT + timedelta(seconds=2), state={"card": {"left": "1 h"}}
)


@pytest.fixture
def threads(engine: AsyncEngine) -> ThreadStore:
    return ThreadStore(engine)


async def test_of_two_who_begin_the_same_message_one_does(threads: ThreadStore) -> None:
    assert await threads.get(BEGUN.incident, BEGUN.channel) is None
    assert await threads.begin(BEGUN)
    assert not await threads.begin(replace(BEGUN, state={"begun": ["another"]}))
    assert await threads.get(BEGUN.incident, BEGUN.channel) == BEGUN


async def test_what_is_put_stands_instead_of_what_stood_there(threads: ThreadStore) -> None:
    await threads.put(BEGUN)
    await threads.put(POSTED)
    assert await threads.get(POSTED.incident, POSTED.channel) == POSTED


async def test_an_incident_has_one_message_an_address_and_no_other_sees_it(threads: ThreadStore) -> None:
    elsewhere = replace(POSTED, channel="pagerduty:", reference="incident/desk/4711")
    other = replace(POSTED, incident="incident/desk/4712")
    for thread in (POSTED, elsewhere, other):
        await threads.put(thread)
    assert await threads.of("incident/desk/4711") == [elsewhere, POSTED]
    await threads.drop(POSTED.incident, POSTED.channel)
    assert await threads.of("incident/desk/4711") == [elsewhere]
    assert await threads.of("incident/desk/4712") == [other]


async def test_what_was_dropped_can_be_begun_anew(threads: ThreadStore) -> None:
    await threads.begin(BEGUN)
    await threads.drop(BEGUN.incident, BEGUN.channel)
    await threads.drop(BEGUN.incident, BEGUN.channel)
    assert await threads.begin(BEGUN)
