"""Customers as YAML: what is exported is imported as it was, all or none; the seed adds and never overwrites."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy.ext.asyncio import AsyncEngine

from records.customer_files import Seeded, bring, file_name, seed, sheets, written
from records.customers import CustomerStore
from records.shelf import PolicyFileError, Shelf
from sla.customer import Customer
from tests.customers import ACME, BOLT, CUSTOMERS

ROOT = Path(__file__).parent.parent


@pytest.fixture
def store(engine: AsyncEngine) -> CustomerStore:
    return CustomerStore(engine)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A shelf with the shipped contracts and no customer."""
    shutil.copytree(ROOT / "policies" / "contracts", tmp_path / "policies" / "contracts")
    (tmp_path / "policies" / "customers").mkdir()
    return Shelf(tmp_path / "policies")


def put(folder: Path, *customers: Customer) -> None:
    for customer in customers:
        (folder / file_name(customer.id)).write_text(written(customer), encoding="utf-8")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(customer=CUSTOMERS)
def test_what_is_written_is_read_as_it_was(tmp_path: Path, customer: Customer) -> None:
    file = tmp_path / "customer.yaml"
    file.write_text(written(customer), encoding="utf-8")
    assert Shelf(tmp_path).sheet(Customer, "customer", file).model == customer


def test_a_file_says_no_more_than_it_must() -> None:
    assert written(ACME) == (
        "id: acme\n"
        "name: Acme\n"
        "contract: tromzo\n"
        "domains:\n"
        "  - acme.example\n"
        "  - Acme.Example.Net\n"
        "contacts:\n"
        "  - email: Ann@acme.example\n"
        "    name: Ann\n"
        "    roles:\n"
        "      - technical\n"
        "      - support\n"
        "  - email: bo@acme.example\n"
        "    prefers: phone\n"
        "lines:\n"
        "  - id: portal\n"
        "    title: The portal\n"
        "    products:\n"
        "      - portal\n"
        "      - app\n"
        "    billing:\n"
        "      customer: cus_p\n"
        "  - id: hardware\n"
        "    contract: bugzero\n"
        "    prepaid_until: 2031-12-31\n"
        "  - id: care\n"
        "    prepaid: true\n"
        "billing:\n"
        "  customer: cus_a\n"
        "  subscription: sub_a\n"
    )


@pytest.mark.parametrize(
    ("id", "name"),
    [("acme", "acme.yaml"), ("../../etc/passwd", "x-"), ("a/b", "x-"), ("Süd AG", "x-"), ("..", "...yaml")],
)
def test_a_file_lies_in_its_folder_whatever_the_customer_is_called(tmp_path: Path, id: str, name: str) -> None:
    made = file_name(id)
    assert made.startswith(name)
    assert (tmp_path / made).parent == tmp_path
    assert made == Path(made).name


async def test_folders_and_files_are_imported_and_say_what_changed(
    store: CustomerStore, shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    put(shelf.root / "customers", ACME)
    put(tmp_path / "more", BOLT)
    found = sheets([shelf.root / "customers", tmp_path / "more" / "bolt.yaml", tmp_path / "more"], shelf)
    assert await bring(store, found) == ["acme", "bolt"]
    assert await store.all() == {"acme": ACME, "bolt": BOLT}
    assert await bring(store, found) == []


async def test_of_files_of_which_one_is_wrong_none_is_imported_and_all_is_told(
    store: CustomerStore, shelf: Shelf, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    put(folder, BOLT)
    (folder / "a.yaml").write_text("id: a\ncontacts:\n  - email: nobody\nlimes: []\n")
    (folder / "b.yaml").write_text("id: b\ncontract: tromso\nlines:\n  - id: x\n    contract: nope\n")
    (folder / "c.yaml").write_text("id: c\n\ndomains:\n  - c.example\n  - BOLT.example\n")
    (folder / "d.yaml").write_text('id: d\nlines:\n  - id: one\n    title: "\\0"\n')
    (folder / "e.yaml").write_text(
        "id: e\nlines:\n  - id: one\n    products: [app]\n  - id: two\n    products: [app]\n"
    )
    with pytest.raises(PolicyFileError) as caught:
        sheets([folder], shelf)
    assert [one.removeprefix(f"{folder}/") for one in caught.value.sentences] == [
        'a.yaml:3: contacts.0.email is "nobody"; write an e-mail address, such as ann@acme.example',
        "a.yaml:4: limes is no known field; did you mean lines? write one of: id, name, contract, domains, contacts, lines, billing",
        "b.yaml:2: contract is 'tromso'; write one of: bugzero, reciprocity, tromzo",
        f"c.yaml:5: the domain 'BOLT.example' belongs to the customer 'bolt' too, in {folder}/bolt.yaml; take one out",
        "d.yaml:4: lines.0.title holds the character U+0000, which no database keeps; take it out",
        "e.yaml:2: lines names the product 'app' twice; name it once",
    ]


async def test_what_belongs_to_a_customer_of_the_records_is_told_with_file_and_line(
    store: CustomerStore, shelf: Shelf, tmp_path: Path
) -> None:
    await store.put(ACME)
    file = tmp_path / "x.yaml"
    file.write_text("id: x\nlines:\n  - id: one\n    billing: {customer: cus_p}\n")
    put(tmp_path, BOLT)
    with pytest.raises(PolicyFileError) as caught:
        await bring(store, sheets([tmp_path / "bolt.yaml", file], shelf))
    said = "the link to stripe/main/cus_p belongs to the customer 'acme' already; take it out of one of them"
    assert caught.value.sentences == [f"{file}:4: {said}"]
    assert await store.all() == {"acme": ACME}


@pytest.mark.parametrize("made", ["folder", "nothing"])
def test_a_path_that_holds_no_customer_is_refused(shelf: Shelf, tmp_path: Path, made: str) -> None:
    path = tmp_path / "there"
    if made == "folder":
        path.mkdir()
    with pytest.raises(PolicyFileError, match=r"no \.yaml file; name another|no such file; write the path"):
        sheets([path], shelf)


async def test_the_seed_adds_whom_nobody_knows_and_overwrites_nobody(store: CustomerStore, shelf: Shelf) -> None:
    folder = shelf.root / "customers"
    put(folder, ACME, BOLT)
    assert await seed(store, shelf) == Seeded(added=("acme", "bolt"))
    first = await store.revision()
    assert await seed(store, shelf) == Seeded()
    edited = ACME.model_copy(update={"name": "Acme Corporation"})
    await store.put(edited)
    put(folder, Customer(id="new"))
    assert await seed(store, shelf) == Seeded(added=("new",), differ=(str(folder / "acme.yaml"),))
    assert await store.get("acme") == edited
    assert await store.revision() == first + 2


async def test_a_broken_file_keeps_no_other_from_being_seeded(store: CustomerStore, shelf: Shelf) -> None:
    folder = shelf.root / "customers"
    put(folder, BOLT)
    (folder / "acme.yaml").write_text("id: acme\ncontacts: 7\n")
    (folder / "zed.yaml").write_text("id: zed\ndomains: [bolt.example]\n")
    came = await seed(store, shelf)
    assert came.added == ("bolt",)
    assert [one.removeprefix(f"{folder}/") for one in (*came.broken, *came.refused)] == [
        "acme.yaml:2: contacts is 7; write a list, such as [7]",
        "zed.yaml:2: the domain 'bolt.example' belongs to the customer 'bolt' already; take it out of one of them",
    ]


async def test_the_shipped_customer_is_seeded(store: CustomerStore) -> None:
    shelf = Shelf(ROOT / "policies")
    assert (await seed(store, shelf)).added == ("acme",)
    assert await store.get("acme") == shelf.customer("acme")
