"""Customers in the records: what is put is got, nothing belongs to two, and those who keep a copy hear of changes."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from records import database
from records.customer_cache import CustomerCache
from records.customers import CustomerRefused, CustomerStore, _Change
from records.models import BillingLinkRow, ContactRow, ContractLineRow, CustomerClaim, CustomerRow
from sla.customer import BillingLink, Contact, ContractLine, Customer
from tests.customers import ACME, BOLT, CUSTOMERS

ROOT = Path(__file__).parent.parent


@pytest.fixture
def store(engine: AsyncEngine) -> CustomerStore:
    return CustomerStore(engine)


async def test_what_is_put_is_got_whole(store: CustomerStore) -> None:
    assert await store.all() == {}
    assert await store.put(BOLT)
    assert await store.put(ACME)
    assert await store.get("acme") == ACME
    assert await store.get("nobody") is None
    assert await store.all() == {"acme": ACME, "bolt": BOLT}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(customer=CUSTOMERS)
async def test_any_customer_comes_back_as_it_was(store: CustomerStore, customer: Customer) -> None:
    await store.put(customer)
    assert await store.get(customer.id) == customer
    assert await store.remove(customer.id)


async def test_a_put_replaces_wholly_and_only_a_change_counts(store: CustomerStore) -> None:
    await store.put(ACME)
    first = await store.revision()
    assert not await store.put(ACME)
    assert await store.revision() == first, "nothing changed, so no copy has to be read again"
    bare = Customer(id="acme", name="Acme")
    assert await store.put(bare)
    assert await store.get("acme") == bare
    assert await store.revision() == first + 1


async def test_what_is_removed_leaves_nothing_behind(engine: AsyncEngine, store: CustomerStore) -> None:
    await store.put(ACME)
    before = await store.revision()
    assert await store.remove("acme")
    assert not await store.remove("acme")
    assert await store.revision() == before + 1
    async with engine.connect() as connection:
        for table in (CustomerRow, CustomerClaim, ContactRow, ContractLineRow, BillingLinkRow):
            assert (await connection.execute(select(table.__table__))).all() == [], table
    assert await store.put(Customer(id="heir", domains=ACME.domains, contacts=ACME.contacts, billing=ACME.billing))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (Customer(id="x", domains=("ok.example", "ACME.example")), "the domain 'ACME.example' belongs to the customer 'acme' already"),
        (Customer(id="x", contacts=(Contact(email="ANN@ACME.EXAMPLE"),)), "the contact 'ANN@ACME.EXAMPLE' belongs to"),
        (Customer(id="x", billing=BillingLink(customer="cus_p")), "the link to stripe/main/cus_p belongs to"),
        (
            Customer(id="x", lines=(ContractLine(id="a", billing=BillingLink(customer="cus_a", subscription="sub_a")),)),
            "the link to stripe/main/cus_a/sub_a belongs to",
        ),
    ],
)  # fmt: skip
async def test_what_belongs_to_one_customer_is_refused_to_another(
    store: CustomerStore, other: Customer, sentence: str
) -> None:
    await store.put(ACME)
    before = await store.revision()
    with pytest.raises(CustomerRefused, match=sentence) as caught:
        await store.put(other)
    assert caught.value.taken
    assert caught.value.customer == "x"
    assert await store.all() == {"acme": ACME}
    assert await store.revision() == before


async def test_two_ids_of_one_and_the_same_account_are_refused(store: CustomerStore) -> None:
    composed, decomposed = "Caf\u00e9", "Cafe\u0301"
    await store.put(Customer(id=composed))
    with pytest.raises(CustomerRefused, match=r"the id '.*' belongs to the customer"):
        await store.put(Customer(id=decomposed))


async def test_the_same_stripe_customer_may_pay_for_two_by_two_subscriptions(store: CustomerStore) -> None:
    one = Customer(id="one", billing=BillingLink(customer="cus_r", subscription="sub_1"))
    two = Customer(id="two", billing=BillingLink(customer="cus_r", subscription="sub_2"))
    await store.put_all([one, two])
    assert [(c.id, line.id) for c, line in await store.linked("stripe", "main", "cus_r")] == [
        ("one", "support"),
        ("two", "support"),
    ]


async def test_of_several_all_are_kept_or_none(store: CustomerStore) -> None:
    await store.put(ACME)
    with pytest.raises(CustomerRefused):
        await store.put_all([BOLT, Customer(id="x", domains=("acme.example",))])
    assert await store.all() == {"acme": ACME}


async def test_several_may_swap_what_belongs_to_them(store: CustomerStore) -> None:
    one, two = Customer(id="one", domains=("1.example",)), Customer(id="two", domains=("2.example",))
    await store.put_all([one, two])
    swapped = [one.model_copy(update={"domains": two.domains}), two.model_copy(update={"domains": one.domains})]
    assert await store.put_all(swapped) == ["one", "two"]
    assert [c.domains for c in (await store.all()).values()] == [("2.example",), ("1.example",)]


@pytest.mark.parametrize(
    ("customer", "sentence"),
    [
        (Customer(id="x", name="a\0b"), r"^name holds the character U\+0000, which no database keeps; take it out$"),
        (Customer.model_construct(id="x", name="a\ud800"), r"^name holds the character U\+D800"),
        (Customer(id="x", lines=(ContractLine(id="a", title="\0"),)), r"^lines\.0\.title holds the character"),
        (Customer(id="a\nb"), r"^id holds the character U\+000A, which no address can hold; take it out$"),
        (
            Customer(id="x", lines=(ContractLine(id="a", prepaid_until=date(9999, 12, 31)),)),
            r"^lines\.0\.prepaid_until is 9999-12-31; write a day from 2000-01-01 to 2199-12-31, or `prepaid: true` where",
        ),
        (Customer(id="x", domains=("a" * 254,)), "^domains.0 has 254 characters; a domain has at most 253$"),
        (
            Customer(id="x", contacts=(Contact(email="a@b"), Contact(email="A@b"))),
            "^contacts names 'A@b' twice; name it once$",
        ),
    ],
)
async def test_what_no_database_keeps_is_refused_in_a_sentence(
    store: CustomerStore, customer: Customer, sentence: str
) -> None:
    with pytest.raises(CustomerRefused, match=sentence) as caught:
        await store.put(customer)
    assert not caught.value.taken
    assert await store.all() == {}


@pytest.mark.parametrize("id", ["a\0", "\ud800", "", "'; DROP TABLE customers; --", "x" * 5000])
async def test_any_id_may_be_asked_for(store: CustomerStore, id: str) -> None:
    assert await store.get(id) is None
    assert not await store.remove(id)
    assert await store.edit(id, lambda customer: customer) is None
    assert await store.linked("stripe", "main", id) == []


async def test_the_longest_that_fits_is_kept(store: CustomerStore) -> None:
    long = "\U0001d7d8\u0390" * 60
    customer = Customer(
        id=long, domains=("\u0390" * 253,), contacts=(Contact(email="\u0390" * 318 + "@\u0390"),), name="n" * 200_000
    )
    await store.put(customer)
    assert await store.get(long) == customer


async def test_payments_are_found_by_the_id_of_the_payer(store: CustomerStore) -> None:
    await store.put_all([ACME, BOLT])
    assert [(c.id, line.id) for c, line in await store.linked("stripe", "main", "cus_p")] == [("acme", "portal")]
    own = [(c.id, line.id) for c, line in await store.linked("stripe", "main", "cus_a")]
    assert own == [("acme", "hardware"), ("acme", "care")], "the lines without a link of their own"
    assert [(c.id, line.id) for c, line in await store.linked("stripe", "main", "cus_b")] == [("bolt", "support")]
    assert await store.linked("stripe", "eu", "cus_b") == []
    assert await store.linked("stripe", "main", "cus_x") == []


async def test_edits_at_the_same_time_are_all_kept(store: CustomerStore) -> None:
    await store.put(BOLT)

    def with_line(n: int, customer: Customer) -> Customer:
        return customer.model_copy(update={"lines": (*customer.lines, ContractLine(id=f"line{n}"))})

    await asyncio.gather(*(store.edit("bolt", partial(with_line, n)) for n in range(8)))
    kept = await store.get("bolt")
    assert kept is not None
    assert {line.id for line in kept.lines} == {f"line{n}" for n in range(8)}


async def test_an_edit_that_is_given_up_leaves_all_as_it_was(store: CustomerStore) -> None:
    await store.put(BOLT)
    before = await store.revision()

    def change(customer: Customer) -> Customer:
        raise KeyError(customer.id)

    with pytest.raises(KeyError):
        await store.edit("bolt", change)
    edited = await store.edit("bolt", lambda customer: customer)
    assert edited is not None
    assert not edited.changed
    assert await store.revision() == before


async def test_of_processes_that_want_the_same_domain_at_once_one_gets_it(url: str, store: CustomerStore) -> None:
    script = (
        "import asyncio, sys\n"
        "from records import database\n"
        "from records.customers import CustomerRefused, CustomerStore\n"
        "from sla.customer import Customer\n"
        "async def put():\n"
        f"    engine = database.engine({url!r})\n"
        "    try:\n"
        "        await CustomerStore(engine).put(Customer(id=sys.argv[1], domains=('wanted.example',)))\n"
        "        print('kept')\n"
        "    except CustomerRefused as error:\n"
        "        print(error)\n"
        "    await engine.dispose()\n"
        "print(flush=True); input(); asyncio.run(put())"
    )
    start = partial(asyncio.create_subprocess_exec, sys.executable, "-c", script, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    runs = [await start(f"c{n}") for n in range(4)]
    for run in runs:
        assert run.stdout is not None
        await run.stdout.readline()
    said = sorted(
        [out.decode().strip() for out, _ in await asyncio.gather(*(run.communicate(b"go\n") for run in runs))]
    )
    assert said.count("kept") == 1, said
    assert all("the domain 'wanted.example' belongs to the customer" in one for one in said if one != "kept"), said
    assert len(await store.all()) == 1


async def test_the_constraint_holds_where_the_check_does_not(
    store: CustomerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is claimed by another program after we looked is refused by the table itself."""

    async def nothing_seen(*_: object) -> None:
        return None

    await store.put(ACME)
    monkeypatch.setattr(_Change, "_unclaimed", nothing_seen)
    with pytest.raises(CustomerRefused, match=r"^another program changed the customers at the same time; try again$"):
        await store.put(Customer(id="x", domains=("acme.example",)))
    assert await store.all() == {"acme": ACME}


async def test_a_copy_is_of_one_moment(engine: AsyncEngine, store: CustomerStore) -> None:
    """A domain that moves from one customer to another while all are read is seen with exactly one of them."""
    one, two = Customer(id="one", domains=("d.example",)), Customer(id="two")
    await store.put_all([one, two])
    done = asyncio.Event()

    async def move() -> None:
        for _ in range(15):
            for first, second in ((two, one), (one, two)):
                await store.put_all(
                    [x.model_copy(update={"domains": d}) for x, d in ((first, ()), (second, one.domains))]
                )
                await store.put_all(
                    [x.model_copy(update={"domains": d}) for x, d in ((second, ()), (first, one.domains))]
                )
        done.set()

    async def look() -> int:
        looked = 0
        while not done.is_set():
            found = await store.all()
            assert sorted(len(c.domains) for c in found.values()) == [0, 1]
            looked += 1
        return looked

    _, looked = await asyncio.gather(move(), look())
    assert looked > 3


async def test_added_are_only_those_that_are_not_known(store: CustomerStore) -> None:
    await store.put(ACME)
    thief = Customer(id="thief", domains=("acme.example",))
    added, refused = await store.add([Customer(id="acme", name="other"), thief, BOLT])
    assert added == ["bolt"]
    assert [error.customer for error in refused] == ["thief"]
    assert await store.all() == {"acme": ACME, "bolt": BOLT}


class TestCache:
    """`CustomerCache`: asks at most once a second, reads again only what changed, outlives the database."""

    async def test_it_follows_the_records_and_asks_no_more_than_it_must(self, engine: AsyncEngine) -> None:
        now = [100.0]
        store, asked = CustomerStore(engine), list[str]()
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
        cache = CustomerCache(store, lambda: now[0])
        with pytest.raises(LookupError, match="have not been read yet"):
            cache.customers()
        await cache.fresh()
        assert cache.customers() == {}
        await store.put(ACME)
        asked.clear()
        await cache.fresh()
        assert asked == [], "within the same second nobody is asked"
        assert cache.customer("acme") is None
        now[0] += 1
        await asyncio.gather(*(cache.fresh() for _ in range(20)))
        assert cache.customer("acme") == ACME
        asked.clear()
        now[0] += 1
        await cache.fresh()
        assert len([one for one in asked if one.startswith("SELECT")]) == 1, "unchanged: the number alone"

    async def test_a_database_that_hangs_holds_nobody_but_the_one_who_asks_it(
        self, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now, goes_on = [0.0], asyncio.Event()
        cache = CustomerCache(CustomerStore(engine), lambda: now[0])
        await cache.store.put(ACME)
        await cache.fresh()

        async def hangs() -> int:
            await goes_on.wait()
            return 0

        monkeypatch.setattr(cache.store, "revision", hangs)
        now[0] += 1
        first = asyncio.create_task(cache.fresh())
        await asyncio.sleep(0)
        now[0] += 60
        await cache.fresh()
        assert cache.customer("acme") == ACME
        assert not first.done()
        goes_on.set()
        await first

    async def test_a_sender_is_known_by_contact_then_by_domain(self, engine: AsyncEngine) -> None:
        store = CustomerStore(engine)
        await store.put_all([ACME, BOLT, Customer(id="in", contacts=(Contact(email="guest@acme.example"),))])
        cache = CustomerCache(store)
        await cache.fresh()
        asked = (
            " ANN@acme.example",
            "guest@acme.example",
            "eve@ACME.example.net",
            "eve@bolt.example",
            "eve@x",
            "eve",
            "",
        )
        assert [cache.customer_of(email) for email in asked] == ["acme", "in", "acme", "bolt", None, None, None]

    async def test_what_was_read_holds_while_the_database_is_down(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = database.default_url(tmp_path)
        await asyncio.to_thread(database.upgrade, url)
        engine = database.engine(url)
        now = [0.0]
        cache = CustomerCache(CustomerStore(engine), lambda: now[0])
        await cache.store.put(ACME)
        await cache.fresh()
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE revisions RENAME TO gone"))
        now[0] += 1
        await cache.fresh()
        assert cache.customer("acme") == ACME
        assert "the customers can't be read (OperationalError); those read before hold" in caplog.text
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE gone RENAME TO revisions"))
        await cache.store.put(BOLT)
        now[0] += 1
        await cache.fresh()
        assert cache.customer("bolt") == BOLT, "it is back"
        await engine.dispose()

    async def test_a_database_that_was_never_there_is_an_error_each_time(self, tmp_path: Path) -> None:
        engine = database.engine(f"sqlite:///{tmp_path / 'no' / 'records.db'}")
        cache = CustomerCache(CustomerStore(engine))
        for _ in range(2):
            with pytest.raises(OperationalError):
                await cache.fresh()
        await engine.dispose()
