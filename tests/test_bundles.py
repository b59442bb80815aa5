"""Bundles: a part is in its bundle or goes out by itself, never both and never neither, whoever comes first."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.beating import beating
from records import database
from records.bundles import BundleStore, Part, Pile
from worker.bundling import Depositor, Patience, settled

AT = datetime(2031, 7, 9, 19, 0, tzinfo=UTC)
BUNDLE = "account/acme/support/suspension/2031-07-09T19:00:00+00:00"
SOON = Patience(quiet=0.05, at_most=5, look=0.01, beat=0.01)


def part(number: int = 1, to: str = "ann@acme.example", bundle: str = BUNDLE, **more: Any) -> Part:
    said = {"ticket": str(number), "rank": f"S2 {number:05}"}
    made = {
        "bundle": bundle, "customer": "acme", "incident": f"incident/desk/{number}", "step_key": "suspension/-/-/1",
        "channel": "log", "recipient_id": to, "recipient": {"id": to, "channel": "log"}, "message": said,
    }  # fmt: skip
    return Part(**{**made, **more})


@pytest.fixture
def store(engine: AsyncEngine) -> BundleStore:
    return BundleStore(engine)


async def tickets(store: BundleStore, piles: Sequence[Pile], limit: int = 10_000) -> dict[str, list[str]]:
    """The tickets that are still to be told, by recipient."""
    found = await store.first(piles, limit)
    return {pile.recipient_id: [message["ticket"] for _, message in parts] for pile, parts in found.items()}


async def test_what_is_put_by_is_there_once_however_often_it_is_put_by(store: BundleStore) -> None:
    for _ in range(2):
        assert await store.put([part(1), part(1), part(2)], AT) == [True, True, True]
    assert await store.gathered([BUNDLE]) == (2, False)
    (pile,) = await store.close(BUNDLE, "acme", AT)
    assert pile == Pile(BUNDLE, "log", "ann@acme.example", 2)
    assert await store.first([pile], 50) == {
        pile: [({"id": "ann@acme.example", "channel": "log"}, {"ticket": n, "rank": f"S2 0000{n}"}) for n in ("1", "2")]
    }


async def test_what_comes_after_the_closing_is_refused_and_what_came_before_stays_held(store: BundleStore) -> None:
    await store.put([part(1)], AT)
    await store.close(BUNDLE, "acme", AT)
    assert await store.put([part(1), part(2), part(3, bundle="another")], AT) == [True, False, True]
    assert await store.gathered([BUNDLE]) == (1, True)
    assert await store.gathered([BUNDLE, "another"]) == (2, False)
    assert await store.put([part(2)], AT) == [False]


async def test_a_bundle_that_nobody_put_anything_into_is_closed_too(store: BundleStore) -> None:
    assert await store.close(BUNDLE, "acme", AT) == []
    assert await store.put([part(1)], AT) == [False]


async def test_closing_again_tells_how_far_it_was_said(store: BundleStore) -> None:
    await store.put([part(1), part(1, "gwen"), part(2, "gwen")], AT)
    ann, gwen = await store.close(BUNDLE, "acme", AT)
    await store.sent([ann], AT)
    assert await store.close(BUNDLE, "acme", AT + timedelta(hours=1)) == [
        Pile(BUNDLE, "log", ann.recipient_id, 0),
        gwen,
    ]
    assert await tickets(store, [ann, gwen]) == {"ann@acme.example": [], "gwen": ["1", "2"]}


async def test_of_many_parts_the_first_by_rank_are_given_of_each_recipient(store: BundleStore) -> None:
    await store.put([part(n, to) for n in range(300, 0, -1) for to in ("ann@acme.example", "gwen")], AT)
    piles = await store.close(BUNDLE, "acme", AT)
    assert [pile.parts for pile in piles] == [300, 300]
    first = [str(n) for n in range(1, 51)]
    assert await tickets(store, piles, 50) == {"ann@acme.example": first, "gwen": first}


async def test_forgotten_is_what_is_unsent_and_to_which_nothing_came_for_so_long(store: BundleStore) -> None:
    hour = timedelta(hours=1)
    await store.put([part(1, bundle="old")], AT)
    await store.put([part(1, bundle="growing")], AT)
    await store.put([part(2, bundle="growing")], AT + 3 * hour)
    await store.put([part(1, bundle="another's", customer="birch")], AT + hour)
    await store.put([part(1, bundle="said")], AT)
    await store.sent(await store.close("said", "acme", AT), AT)
    await store.close("old", "acme", AT)
    assert await store.forgotten(AT + 2 * hour) == [("old", "acme"), ("another's", "birch")]
    assert await store.forgotten(AT + 2 * hour, "birch") == [("another's", "birch")]
    assert await store.forgotten(AT) == []


async def test_what_was_sent_long_ago_is_dropped_and_nothing_else(store: BundleStore) -> None:
    await store.put([part(1, bundle="said")], AT)
    await store.put([part(1, bundle="unsent")], AT)
    await store.sent(await store.close("said", "acme", AT), AT)
    assert await store.purge(AT) == 0
    assert await store.purge(AT + timedelta(days=1)) == 1
    assert await store.forgotten(AT + timedelta(days=1)) == [("unsent", "acme")]
    assert await store.put([part(2, bundle="said")], AT) == [False]  # it stays closed


@pytest.mark.parametrize(
    "odd", ["'; DROP TABLE bundles; --", "ünïcode \N{WARNING SIGN}", 'quo"te', "100%", "a\\u0000b"]
)
async def test_any_text_is_only_text(store: BundleStore, odd: str) -> None:
    one = part(1, odd, bundle=odd, message={"rank": odd, "ticket": odd, "more": {"deep": odd}})
    assert await store.put([one], AT) == [True]
    (pile,) = await store.close(odd, "acme", AT)
    assert await store.first([pile], 1) == {pile: [(one.recipient, one.message)]}


async def test_each_part_is_held_or_refused_while_others_put_by_and_one_closes(url: str, engine: AsyncEngine) -> None:
    """Three processes' worth of engines: what was held stands in the bundle as it was closed, what was refused does not."""
    others = [database.engine(url) for _ in range(2)]
    stores = [BundleStore(one) for one in (engine, *others)]
    try:
        begun = asyncio.Event()

        async def put(number: int) -> list[bool]:
            if number == 20:
                begun.set()
            return await stores[number % 3].put([part(number), part(number, "gwen")], AT)

        async def close() -> list[Pile]:
            await begun.wait()
            return await stores[1].close(BUNDLE, "acme", AT)

        closing = asyncio.create_task(close())
        came = [await asyncio.gather(*map(put, range(start, start + 6))) for start in range(0, 60, 6)]
        held = [number for number, (ann, gwen) in enumerate(kept for some in came for kept in some) if ann and gwen]
        refused = sum(kept == [False, False] for some in came for kept in some)
        piles = await closing
        assert len(held) + refused == 60
        assert held
        assert refused
        assert {name: sorted(map(int, told)) for name, told in (await tickets(stores[2], piles)).items()} == {
            "ann@acme.example": held,
            "gwen": held,
        }
    finally:
        for one in others:
            await one.dispose()


class Slow(BundleStore):
    """Stops where it holds the bundle, until it is let go."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.holds, self.go = asyncio.Event(), asyncio.Event()

    async def _hold(self, connection: AsyncConnection, customers: Mapping[str, str]) -> set[str]:
        closed = await super()._hold(connection, customers)
        self.holds.set()
        await self.go.wait()
        return closed


async def test_who_closes_waits_for_a_part_that_is_just_being_put_by(engine: AsyncEngine, store: BundleStore) -> None:
    await store.put([part(1)], AT)
    slow = Slow(engine)
    putting = asyncio.create_task(slow.put([part(2)], AT))
    await slow.holds.wait()
    closing = asyncio.create_task(store.close(BUNDLE, "acme", AT))
    await asyncio.wait([closing], timeout=0.2)
    assert not closing.done()
    slow.go.set()
    assert await putting == [True]
    assert [pile.parts for pile in await closing] == [2]


async def test_a_part_that_comes_while_the_bundle_is_being_closed_is_refused(
    engine: AsyncEngine, store: BundleStore
) -> None:
    await store.put([part(1)], AT)
    slow = Slow(engine)
    closing = asyncio.create_task(slow.close(BUNDLE, "acme", AT))
    await slow.holds.wait()
    putting = asyncio.create_task(store.put([part(2)], AT))
    await asyncio.wait([putting], timeout=0.2)
    assert not putting.done()
    slow.go.set()
    assert [pile.parts for pile in await closing] == [1]
    assert await putting == [False]


class Counting(BundleStore):
    """Counts the transactions, and fails as it is told."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.sizes: list[int] = []
        self.fails_after: list[bool] = []
        """For each transaction to come: True: it is done, and its answer lost; False: it is not done."""

    async def put(self, parts: Sequence[Part], at: datetime) -> list[bool]:
        self.sizes.append(len(parts))
        if self.fails_after:
            if self.fails_after.pop(0):
                await super().put(parts, at)
            raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))
        return await super().put(parts, at)


async def test_what_many_put_by_at_once_is_few_transactions(engine: AsyncEngine) -> None:
    store = Counting(engine)
    depositor = Depositor(store)
    came = await asyncio.gather(*(depositor.put([part(n), part(n, "gwen")]) for n in range(1000)))
    assert came == [[True, True]] * 1000
    assert len(store.sizes) <= 6
    assert max(store.sizes) <= 501
    assert await store.gathered([BUNDLE]) == (1000, False)


async def test_each_who_puts_by_gets_the_answer_to_their_own_parts(engine: AsyncEngine) -> None:
    store = Counting(engine)
    await store.close("closed", "acme", AT)
    depositor = Depositor(store)
    asked = [[part(1)], [part(2, bundle="closed"), part(3)], [part(4, bundle="closed")], [part(1)]]
    assert await asyncio.gather(*map(depositor.put, asked)) == [[True], [False, True], [False], [True]]
    assert len(store.sizes) == 1


@pytest.mark.parametrize("done", [True, False])
async def test_a_connection_lost_on_the_commit_is_settled_by_doing_it_again(engine: AsyncEngine, done: bool) -> None:
    store = Counting(engine)
    store.fails_after = [done]
    assert await Depositor(store).put([part(1)]) == [True]
    assert await store.gathered([BUNDLE]) == (1, False)


async def test_where_the_database_stays_away_all_who_wait_are_told_and_the_next_may_try(engine: AsyncEngine) -> None:
    store = Counting(engine)
    store.fails_after = [False, False]
    depositor = Depositor(store)
    came = await asyncio.gather(*(depositor.put([part(n)]) for n in range(3)), return_exceptions=True)
    assert [type(error) for error in came] == [OperationalError] * 3
    assert await depositor.put([part(1)]) == [True]


async def test_who_gives_up_waiting_keeps_nobody_else_waiting_and_takes_nothing_back(engine: AsyncEngine) -> None:
    store = Counting(engine)
    depositor = Depositor(store)
    gives_up, stays = asyncio.create_task(depositor.put([part(1)])), asyncio.create_task(depositor.put([part(2)]))
    await asyncio.sleep(0)
    gives_up.cancel()
    assert await stays == [True]
    assert await store.gathered([BUNDLE]) == (2, False)


async def test_an_account_waits_until_all_it_told_have_put_by(store: BundleStore) -> None:
    waiting = asyncio.create_task(settled(store, [BUNDLE], 3, Patience(quiet=60, look=0.01)))
    await store.put([part(1), part(1, "gwen")], AT)
    await store.put([part(2)], AT)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await store.put([part(3)], AT)
    await asyncio.wait_for(waiting, 5)


async def test_an_account_waits_no_longer_than_parts_come(store: BundleStore) -> None:
    await store.put([part(1)], AT)
    await asyncio.wait_for(settled(store, [BUNDLE], 3, SOON), 5)


async def test_an_account_waits_longer_while_very_many_are_missing(store: BundleStore) -> None:
    patience = Patience(quiet=0, quiet_of_many=60, many=2, look=0.01)
    await store.put([part(1)], AT)
    waiting = asyncio.create_task(settled(store, [BUNDLE], 4, patience))
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    await store.put([part(2)], AT)
    await asyncio.wait_for(waiting, 5)


async def test_an_account_waits_no_longer_than_its_patience_though_parts_come(store: BundleStore) -> None:
    async def trickle() -> None:
        for number in range(10_000):
            await store.put([part(number)], AT)

    coming = asyncio.create_task(trickle())
    await asyncio.wait_for(settled(store, [BUNDLE], 10_000, Patience(quiet=60, at_most=0.2, look=0.01)), 10)
    coming.cancel()
    await asyncio.wait([coming])


async def test_an_account_does_not_wait_for_a_bundle_that_is_closed(store: BundleStore) -> None:
    await store.close(BUNDLE, "acme", AT)
    await asyncio.wait_for(settled(store, [BUNDLE], 3, Patience(quiet=60, look=60)), 5)


async def test_a_sign_of_life_is_given_all_the_while_and_then_no_more() -> None:
    beats: list[int] = []
    async with beating(lambda: beats.append(1), 0.01):
        while len(beats) < 3:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    given = len(beats)
    await asyncio.sleep(0.03)
    assert len(beats) == given


async def test_an_incident_s_own_messages_are_found_by_what_it_put_by_once_it_was_sent(store: BundleStore) -> None:
    """`pactkeeper notices --incident` lists them by these keys."""
    await store.put([part(1), part(1, "gwen"), part(12), part(7, "eli")], AT)
    piles = {pile.recipient_id: pile for pile in await store.close(BUNDLE, "acme", AT)}
    assert await store.said_for("desk/1") == set()
    await store.sent([piles["ann@acme.example"]], AT)
    assert await store.said_for("desk/1") == {f"{BUNDLE}/log-ann@acme.example"}
    assert await store.said_for("desk/7") == set()
    assert await store.said_for("%") == set(), "what a person types is no pattern"
