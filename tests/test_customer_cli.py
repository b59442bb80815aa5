"""`pactkeeper customer`: what it changes is in the records, what it refuses it says in a sentence, and accounts are told."""

import asyncio
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client
from typer.main import get_command

from records.customer_files import Seeded, written
from records.shelf import Shelf
from sla import names
from sla.customer import Customer
from starter import cli
from starter.commands.serve import news
from starter.state_dir import StateDir
from tests.customers import ACME, BOLT
from tests.installation import OPEN, Say, Up, command
from tests.terminal import ROOT, Run, run

__all__ = ["command", "run"]

LATER = (
    "the change stands, but running accounts can't be told of it now, and hear of it later: no Temporal server answers"
)


def shown(run: Run, id: str) -> Customer:
    code, out, err = run("customer", "show", id, "--json")
    assert code == 0, err
    return Customer.model_validate(json.loads(out))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for customer in (ACME, BOLT):
        (folder / f"{customer.id}.yaml").write_text(written(customer))
    return folder


def test_the_first_question_finds_the_customers_of_the_files(run: Run, tmp_path: Path) -> None:
    code, out, err = run("customer", "list")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["acme", "Acme", "tromzo", "support", "–", "ann@acme.example"]
    assert (tmp_path / "var" / "records.db").exists()
    assert shown(run, "acme") == Shelf(ROOT / "policies").customer("acme")


def test_customers_are_brought_in_and_written_out_as_they_were(run: Run, files: Path, tmp_path: Path) -> None:
    code, out, err = run("customer", "import", str(files))
    assert (code, out.strip()) == (0, "Brought in: acme, bolt.")
    assert LATER in err
    assert run("customer", "import", str(files))[1:] == ("Brought in: nothing that is new. As before: 2.\n", "")
    assert run("customer", "export", "acme")[1] == written(ACME)
    assert run("customer", "export")[1] == written(ACME) + "---\n" + written(BOLT)

    (files / "acme.yaml").write_text("# by hand\n" + written(ACME))
    (files / "bolt.yaml").write_text("id: [")
    code, out, err = run("customer", "export", "--to", str(files))
    assert (code, out) == (0, "")
    assert err.splitlines() == [f"{files}/acme.yaml says so already", f"wrote {files}/bolt.yaml"]
    assert (files / "acme.yaml").read_text().startswith("# by hand"), "a person's comments are left alone"
    assert (files / "bolt.yaml").read_text() == written(BOLT)
    code, _, err = run("customer", "export", "--to", str(tmp_path / "new" / "customers"), "bolt")
    assert (code, (tmp_path / "new" / "customers" / "bolt.yaml").read_text()) == (0, written(BOLT))


def test_an_import_of_which_one_file_is_wrong_changes_nothing(run: Run, files: Path) -> None:
    (files / "zed.yaml").write_text("id: zed\ndomains: [acme.example]\ncontract: nope\n")
    code, out, err = run("customer", "import", str(files))
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"{files}/zed.yaml:2: the domain 'acme.example' belongs to the customer 'acme' too, in {files}/acme.yaml; take one out",
        f"{files}/zed.yaml:3: contract is 'nope'; write one of: bugzero, reciprocity, tromzo",
    ]
    assert json.loads(run("customer", "list", "--json")[1]) == [shown(run, "acme").model_dump(mode="json")]


def test_a_customer_is_made_and_changed_piece_by_piece(run: Run) -> None:
    done = [
        ("set bolt --new --name Bolt --domain bolt.example", "bolt is made."),
        ("set bolt --contract reciprocity", "bolt is changed."),
        ("set bolt --contract reciprocity", "bolt is so already."),
        ("line bolt hardware --title Gateways --product gateway --prepaid-until 2031-12-31", "bolt is changed."),
        ("line bolt training --contract bugzero --prepaid", "bolt is changed."),
        ("link bolt --customer cus_1", "bolt is changed."),
        ("link bolt --line hardware --account eu --customer cus_2 --subscription sub_2", "bolt is changed."),
        ("contact bolt Eve@bolt.example --name Eve --role billing --role support --prefers phone", "bolt is changed."),
        ("contact bolt eve@bolt.example --no-role", "bolt is changed."),
    ]
    for words, said in done:
        code, out, err = run("customer", *words.split())
        assert (code, out.strip()) == (0, said), (words, err)
    assert shown(run, "bolt") == Customer.model_validate(
        {
            "id": "bolt",
            "name": "Bolt",
            "contract": "reciprocity",
            "domains": ("bolt.example",),
            "contacts": ({"email": "eve@bolt.example", "name": "Eve", "prefers": "phone"},),
            "lines": (
                {"id": "support"},
                {
                    "id": "hardware",
                    "title": "Gateways",
                    "products": ("gateway",),
                    "prepaid_until": "2031-12-31",
                    "billing": {"account": "eu", "customer": "cus_2", "subscription": "sub_2"},
                },
                {"id": "training", "contract": "bugzero", "prepaid": True},
            ),
            "billing": {"customer": "cus_1"},
        }
    )
    undone = [
        "line bolt hardware --not-prepaid --no-product --title ''",
        "link bolt --line hardware --unlink",
        "line bolt hardware --remove",
        "line bolt training --remove",
        "link bolt --unlink",
        "contact bolt EVE@bolt.example --remove",
        "set bolt --contract '' --no-domain --name ''",
    ]
    for words in undone:
        code, out, err = run("customer", *shlex.split(words))
        assert (code, out.strip()) == (0, "bolt is changed."), (words, err)
    assert shown(run, "bolt") == Customer.model_validate({"id": "bolt", "lines": ({"id": "support"},)})


def test_what_covered_everything_goes_on_beside_the_first_line_that_is_added(run: Run) -> None:
    run("customer", "line", "acme", "hardware", "--prepaid", "--product", "gateway")
    acme = shown(run, "acme")
    assert [line.id for line in acme.lines] == ["support", "hardware"]
    assert acme.line(None).id == "support", "what is not the gateway is not prepaid all at once"
    assert acme.line("gateway").id == "hardware"


def test_the_account_is_told_only_of_what_it_goes_by(run: Run) -> None:
    assert LATER not in run("customer", "contact", "acme", "eve@acme.example")[2]
    assert LATER not in run("customer", "set", "acme", "--name", "Acme Corporation")[2]
    for words in ("set acme --contract bugzero", "line acme hardware --product x", "link acme --customer cus_1"):
        code, _, err = run("customer", *words.split())
        assert code == 0
        assert LATER in err


def test_a_customer_is_forgotten_when_it_is_meant(run: Run) -> None:
    assert run("customer", "remove", "acme")[0] == 2
    code, out, err = run("customer", "remove", "acme", "--yes")
    assert (code, out.strip()) == (0, "acme is forgotten.")
    assert "policies/customers/acme.yaml still tells of it: the next `pactkeeper up` takes the customer up again" in err
    assert run("customer", "list")[1] == "There is no customer yet; `pactkeeper customer import PATH` brings some in.\n"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ("show bolt", 1, "no customer 'bolt' is known; write one of: acme"),
        ("set bolt --name x", 1, "no customer 'bolt' is known; write one of: acme"),
        ("set acme --new", 1, "there is a customer 'acme' already; leave --new out to change it"),
        ("set bolt --new --domain ACME.example", 1, "the domain 'ACME.example' belongs to the customer 'acme' already"),
        ("set ' ' --new", 2, "CUSTOMER is ' '; it should have at least 1 character"),
        ("set acme --contract trozmo", 2, "--contract is 'trozmo'; write one of: bugzero, reciprocity, tromzo"),
        ("set acme --domain x --no-domain", 2, "--domain and --no-domain say two things"),
        ("line acme 'a b'", 2, "LINE is 'a b'; write letters, digits"),
        ("line acme x --product a --product a", 2, "acme can't be so: lines names the product 'a' twice; name it once"),
        ("line acme x --product ''", 2, "--product is ''; it should have at least 1 character"),
        ("line acme x --prepaid-until soon", 2, "--prepaid-until is 'soon'; write a day such as 2031-12-31"),
        (
            "line acme x --prepaid-until 9999-12-31",
            1,
            "lines.1.prepaid_until is 9999-12-31; write a day from 2000-01-01",
        ),
        ("line acme x --prepaid --not-prepaid", 2, "--prepaid, --prepaid-until and --not-prepaid say different things"),
        ("line acme x --prepaid --remove", 2, "--remove takes the line out"),
        ("line acme x --remove", 2, "acme has no line 'x' to take out; it has: only support, which is there by itself"),
        ("link acme", 2, "give either --customer, who it is in the billing system, or --unlink"),
        ("link acme --customer c --unlink", 2, "give either --customer"),
        ("link acme --customer 'c d'", 2, "--customer is 'c d'; write letters, digits, `_`"),
        ("link acme --customer c --source paypal", 2, "--source is 'paypal'; write one of: stripe"),
        ("link acme --customer c --line x", 2, "--line is 'x'; acme has: support"),
        ("contact acme nobody", 2, "EMAIL is 'nobody'; write an e-mail address, such as ann@acme.example"),
        ("contact acme a@b --prefers fax", 2, "--prefers is 'fax'; write one of: email, phone, portal, log"),
        ("contact acme a@b --remove", 2, "acme has no contact 'a@b' to take out; it has: ann@acme.example"),
        ("remove acme", 2, "acme and all its lines, links and contacts would be forgotten; say --yes to do it"),
        ("remove bolt --yes", 1, "no customer 'bolt' is known; `pactkeeper customer list` lists them"),
        ("export bolt", 1, "no customer 'bolt' is known; write one of: acme"),
        ("import nowhere.yaml", 1, "nowhere.yaml:1: there is no such file; write the path of a customer's file"),
        ("lnie acme", 2, "no such command 'lnie'"),
        ("line acme", 2, "missing argument 'LINE'; `pactkeeper customer line --help` shows what it takes"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence_and_changes_nothing(
    run: Run, words: str, code: int, sentence: str
) -> None:
    before = run("customer", "export")[1]
    came, out, err = run("customer", *shlex.split(words))
    assert (came, out) == (code, ""), err
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert run("customer", "export")[1] == before


def test_a_database_that_is_away_is_told_of_and_a_ticket_does_not_wait_for_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACTKEEPER_DATABASE", "postgresql://nobody@127.0.0.1:1/none")
    code, _, err = run("customer", "list")
    assert code == 1
    assert err == "the database of records can't be used (OperationalError); check PACTKEEPER_DATABASE\n"
    _, _, err = run("open", "1", "--by", "ann@acme.example")
    assert "so those of the files are taken; check PACTKEEPER_DATABASE" in err
    assert "no Temporal server answers" in err


def test_a_start_names_what_the_files_brought_and_what_they_say_otherwise() -> None:
    seeded = Seeded(("acme", "bolt"), ("my customers/acme.yaml",), ("x.yaml:1: broken",), ("y.yaml:2: refused",))
    assert news(seeded) == [
        "y.yaml:2: refused",
        "Customers taken up from their files: acme, bolt.",
        (
            "my customers/acme.yaml says something else than the records, which hold; "
            "`pactkeeper customer import 'my customers/acme.yaml'` takes it up"
        ),
    ]
    assert news(Seeded()) == []


def test_the_page_about_customers_shows_what_is_printed(run: Run) -> None:
    """Each command of docs/customers.md, in its order on a fresh installation; what stands below the last one is its answer."""
    page = (ROOT / "docs" / "customers.md").read_text()
    told = re.findall(r"```sh\n(.*?)```\n\n```(?:text|yaml)\n(.*?)```", page, re.DOTALL)
    assert len(told) == page.count("```sh")
    for commands, shown in told:
        for line in commands.splitlines():
            program, *words = shlex.split(line)
            assert program == "pactkeeper"
            code, out, err = run(*words)
        printed = out if code == 0 else err
        assert [one.rstrip() for one in printed.splitlines()] == shown.splitlines()
    for name in cli.OF_CUSTOMERS:
        assert f"`customer {name}" in page


@pytest.mark.parametrize("name", cli.OF_CUSTOMERS)
def test_every_command_explains_itself_with_an_example_that_it_understands(run: Run, name: str) -> None:
    code, out, _ = run("customer", name, "--help")
    assert code == 0
    assert "Example: " in out
    known = get_command(cli.app).commands["customer"].commands[name]  # type: ignore[attr-defined]
    examples = re.findall(r"Example: pactkeeper customer (.+)", known.help)
    assert examples
    for example in examples:
        first, *words = shlex.split(example)
        assert first == name
        assert known.make_context(name, words)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path / "var")
    yield running
    running.stop()


async def _heard(folder: Path, account: str) -> list[str]:
    running = StateDir(folder).running()
    assert running is not None
    client = await Client.connect(running.target)
    history = await client.get_workflow_handle(account).fetch_history()
    signals = (event.workflow_execution_signaled_event_attributes.signal_name for event in history.events)
    return [name for name in signals if name]


def test_a_running_installation_goes_by_the_records_at_once(up: Up, command: Say) -> None:
    folder = up.folder
    command(folder, "customer", "set", "bolt", "--new", "--contract", "bugzero", "--domain", "bolt.example")
    assert "Opened 4711 for bolt under bugzero" in command(folder, "open", "4711", "--by", "eve@bolt.example")
    command(folder, "open", "4712", *OPEN)
    said = command(folder, "customer", "line", "bolt", "hardware", "--product", "gateway", "--prepaid")
    assert said == "bolt is changed.\n", "Temporal answers, so nothing is to be said of it"
    assert asyncio.run(_heard(folder, names.account_id("bolt"))).count(names.REVISE) == 1
    assert names.REVISE not in asyncio.run(_heard(folder, names.account_id("acme")))
