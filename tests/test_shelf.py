"""The shelf: what the files say, with the line of whatever is wrong in them."""

import json
import os
import shutil
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from records.policy_schemas import schema, stale, write
from records.shelf import MODELS, PolicyFileError, Shelf, default_root
from records.yaml_lines import YamlError, read
from sla.playbook import Playbook
from sla.policy import Contract
from sla.roster import Team

POLICIES = Path(__file__).resolve().parent.parent / "policies"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the shipped shelf, to be spoilt."""
    return Path(shutil.copytree(POLICIES, tmp_path / "policies"))


def spoil(path: Path, old: str, new: str) -> int:
    """Puts `new` for the first `old` of a file; gives the line on which that stood."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def refusal(shelf: Shelf, contract: str = "tromzo", base: Path | None = None) -> list[str]:
    """What is wrong with a contract: `line: sentence`."""
    with pytest.raises(PolicyFileError) as caught:
        shelf.contract(contract, base)
    return [f"{fault.line}: {fault.sentence}" for fault in caught.value.faults]


# YAML


def test_times_dates_and_words_are_what_stands_there() -> None:
    """In YAML 1.1 these are 1080, a date, true, false and 420."""
    value = read("a: 18:00\nb: 2031-12-24\nc: on\nd: NO\ne: 0644\nf: 06:00-18:00\n1: x\n").value
    assert value == {"a": "18:00", "b": "2031-12-24", "c": "on", "d": "NO", "e": "0644", "f": "06:00-18:00", "1": "x"}


def test_numbers_truth_and_nothing_are_themselves() -> None:
    assert read("a: 5\nb: -1.5\nc: true\nd: ~\ne:\nf: [1, x]\n").value == {
        "a": 5,
        "b": -1.5,
        "c": True,
        "d": None,
        "e": None,
        "f": [1, "x"],
    }


def test_a_value_is_found_on_its_keys_line() -> None:
    document = read("a:\n  b:\n    - x\n    - y: >-\n        long\n        text\n")
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "b", 1, "y")) == 4
    assert document.line(("a", "b", "x")) == 3
    assert document.line(("a", "no", "such")) == 1


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, "b.c stands twice, first on line 3; keep one of them"),
        ("a:\n\tb: 1\n", 2, "a tab stands where only spaces may; indent with spaces"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here; keep one document a file"),
        ("a: &x [*x]\n", 1, "a.0 holds itself by an alias; write the value out"),
        (
            "a: 1\n<<: {b: 1}\n",
            2,
            "`<<` merges nothing here; write the values out, or name them with `&name` and `*name`",
        ),
        ("a: 1\nb: *x\n", 2, "found undefined alias 'x'; name the value with `&` before"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tag:yaml.org,2002:python/object:os.system; write plain values"),
        ("a: b: c\n", 1, "a `:` stands where no value may begin"),
        ("a: 1\nb: 'x\nc: 2\n", 2, "this is no YAML: found unexpected end of stream"),
        ("a: [1\nb: 2\n", 2, "this is no YAML: expected ',' or ']'"),
        ("a: \x01\n", 1, r"the character '\x01' can't stand in YAML; take it out"),
        ("? [a]\n: 1\n", 1, "the file has a key that is no word; write `name: value`"),
        ("[" * 5000, 1, "the values are nested too deeply to be read; flatten them"),
    ],
)
def test_what_is_no_yaml_of_ours_is_refused_with_its_line(text: str, line: int, sentence: str) -> None:
    with pytest.raises(YamlError) as caught:
        read(text)
    assert sentence in str(caught.value)
    assert caught.value.line == line


def test_an_alias_that_multiplies_is_refused_before_it_fills_the_memory() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    with pytest.raises(YamlError, match="at most that many are read"):
        read(bomb)


# Sentences


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "P2: 4 business hours",
            "P2: 4 busines hours",
            'clocks.response.targets.P2 is "4 busines hours"; write a whole number and one of: business hours, ',
        ),
        ("P2: 4 business hours", "P2: 4", "clocks.response.targets.P2 is 4; write a whole number and one of"),
        ("commitment: target", "commitment: promise", 'clocks.response.commitment is "promise"; write one of: '),
        ("reading: >-", "readnig: >-", "hours.readnig is no known field; did you mean reading? write one of: "),
        ("edition: undated edition", "edition: 2031", 'edition is 2031; put it in quotes: "2031"'),
        ("edition: undated edition", "edition:", "edition is empty; write a text"),
        ("America/Los_Angeles", "America/Los_Angelos", 'hours.timezone is "America/Los_Angelos", which'),
        ("country: US", "country: USS", 'hours.holidays.country is "USS", which'),
        ('mon: ["06:00-18:00"]', 'mon: ["6-18"]', 'hours.hours.mon has "6-18"; write a range such as 06:00-18:00'),
        ('mon: ["06:00-18:00"]', 'mo: ["06:00-18:00"]', 'hours.hours names "mo"; write one of: mon, tue'),
        ("default_priority: P3", "default_priority: P5", "default_priority is 'P5'; write one of: P1, P2, P3, P4"),
        ("P4: 4 calendar weeks", "P5: 4 calendar weeks", "clocks.resolution.targets names 'P5'; write one of: P1, P2"),
        (
            "stops: [resolved, closed]",
            "stops: resolved",
            'clocks.resolution.stops is "resolved"; write a list, such as ["resolved"]',
        ),
        ("stops: [resolved, closed]", "stops: []", "clocks.resolution.stops is empty; name at least one event"),
        (
            "stops: [resolved, closed]",
            "stops: [resolved, resolvd]",
            'clocks.resolution.stops.1 is "resolvd"; did you mean resolved? write one of: agent_replied',
        ),
        ("clause: T06", "clause: six", 'clocks.response.clause is "six"; write the id of a clause, such as T06'),
        (
            "feature_request:",
            "feature_requests:",
            "dispositions.feature_requests is no known name; did you mean feature_",
        ),
        ("email: T01", "fax: T01", "channels.fax is no known name; write one of: email, ticket, slack"),
        ("voids: true", "voids: maybe", 'dispositions.feature_request.voids is "maybe"; write true or false'),
        (
            "  # closures: [",
            "  closures: [2031-02-30]  # [",
            'hours.closures has "2031-02-30"; write a date such as 2031-12-24',
        ),
        ("name: tromzo", "name: trumzo", 'name is "trumzo"; write tromzo, as the file is called'),
        ("playbook: default", "horizon_days: 5", "horizon_days is 5; write 30 or more"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(root: Path, old: str, new: str, sentence: str) -> None:
    line = spoil(root / "contracts/tromzo.yaml", old, new)
    (told,) = refusal(Shelf(root))
    assert told.startswith(f"{line}: {sentence}")
    assert "\n" not in told


def test_what_is_missing_is_named_where_it_belongs(root: Path) -> None:
    spoil(root / "contracts/tromzo.yaml", "    commitment: target", "    # commitment: target")
    (told,) = refusal(Shelf(root))
    assert told.endswith("clocks.response.commitment is missing; write `commitment:` in clocks.response")


def test_every_fault_of_a_file_is_told_at_once_in_the_order_of_its_lines(root: Path) -> None:
    path = root / "contracts/tromzo.yaml"
    first = spoil(path, "clause: T02", "clause: two")
    last = spoil(path, "mode: automatic", "mode: sometimes")
    told = refusal(Shelf(root))
    assert [line.partition(":")[0] for line in told] == [str(first), str(last)]


def test_a_teams_fault_names_the_member(root: Path) -> None:
    line = spoil(root / "teams/default.yaml", "members: [dana, eli]", "members: [dana, elli]")
    with pytest.raises(PolicyFileError) as caught:
        Shelf(root).team("default")
    assert str(caught.value).endswith(f"default.yaml:{line}: tiers.0.members names 'elli'; "
                                      "write one of the team's members: dana, eli, farid, gwen, hana")  # fmt: skip


def test_a_playbooks_moment_is_explained(root: Path) -> None:
    line = spoil(root / "playbooks/default.yaml", "at: 75%", "at: 75")
    with pytest.raises(PolicyFileError) as caught:
        Shelf(root).playbook("default")
    assert f':{line}: steps.1.at is "75", no moment of a ladder; write `75%`, `100%`' in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty; a contract has: name, title, edition"),
        ("- a\n", "the file holds no `name: value` lines; a contract has: name"),
    ],
)
def test_a_file_that_says_nothing_is_told_what_it_needs(root: Path, text: str, sentence: str) -> None:
    (root / "contracts/tromzo.yaml").write_text(text)
    (told,) = refusal(Shelf(root))
    assert told.startswith(f"1: {sentence}")


def test_a_file_that_is_no_utf8_is_told_on_its_line(root: Path) -> None:
    (root / "contracts/tromzo.yaml").write_bytes(b"name: tromzo\ntitle: caf\xe9\n")
    assert refusal(Shelf(root)) == ["2: the file is not in UTF-8; save it as UTF-8"]


# Names, paths, changes


def test_an_unknown_name_lists_those_that_are_there(root: Path) -> None:
    assert refusal(Shelf(root), "tromso") == [
        "1: there is no contract 'tromso'; write one of: bugzero, reciprocity, tromzo"
    ]


def test_a_path_is_taken_relative_to_a_base_and_never_without(root: Path, tmp_path: Path) -> None:
    """A name may come from outside, in a message; it opens no file of the machine."""
    shutil.copy(root / "contracts/bugzero.yaml", tmp_path / "mine.yaml")
    shelf = Shelf(root)
    assert shelf.contract("mine.yaml", tmp_path).name == "bugzero"
    assert shelf.contract("./mine.yaml", tmp_path).name == "bugzero"
    for name in ("../mine.yaml", "/etc/passwd", "mine.yaml", "..", "a\x00b"):
        with pytest.raises(PolicyFileError):
            shelf.contract(name)


def test_a_path_that_leads_nowhere_says_so(root: Path, tmp_path: Path) -> None:
    assert refusal(Shelf(root), "no.yaml", tmp_path) == [
        "1: there is no such file; write the path of a contract's file"
    ]


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(root: Path) -> None:
    shelf = Shelf(root)
    before = shelf.contract("tromzo")
    assert shelf.contract("tromzo") is before
    path = root / "contracts/tromzo.yaml"
    spoil(path, "title: Tromzo", "title: Our")
    os.utime(path, ns=(1, 1))
    assert shelf.contract("tromzo").title.startswith("Our")
    assert shelf.contract("tromzo").version != before.version


def test_a_mended_file_is_taken_again(root: Path) -> None:
    shelf, path = Shelf(root), root / "contracts/tromzo.yaml"
    good = path.read_text()
    spoil(path, "clause: T06", "clause: six")
    refusal(shelf)
    path.write_text(good)
    assert shelf.contract("tromzo").clocks["response"].clause == "T06"


def test_the_root_is_the_checkouts_unless_the_environment_names_another(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PACTKEEPER_POLICIES", raising=False)
    assert default_root() == POLICIES
    monkeypatch.setenv("PACTKEEPER_POLICIES", str(root))
    assert Shelf().root == root


# Customers


def test_a_customer_is_found_by_contact_then_by_domain(root: Path) -> None:
    (root / "customers/beta.yaml").write_text(
        "id: beta\ndomains: [beta.example]\ncontacts: [{email: Consultant@acme.example}]\n"
    )
    shelf = Shelf(root)
    assert set(shelf.customers()) == {"acme", "beta"}
    assert shelf.customer_of("ANN@acme.example") == "acme"
    assert shelf.customer_of("somebody@Acme.Example") == "acme"
    assert shelf.customer_of("consultant@acme.example") == "beta"
    assert shelf.customer_of("x@elsewhere.example") is None
    assert shelf.customer_of("") is None
    assert shelf.customer("nobody") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id: acme\n", "1: the id 'acme' belongs to the customer 'acme' already, in "),
        ("id: b\ndomains:\n  - ACME.example\n", "3: the domain 'ACME.example' belongs to the customer 'acme' already"),
        (
            "id: b\ncontacts:\n  - email: Ann@acme.example\n",
            "3: the contact 'Ann@acme.example' belongs to the customer",
        ),
    ],
)
def test_nothing_belongs_to_two_customers(root: Path, text: str, sentence: str) -> None:
    (root / "customers/beta.yaml").write_text(text)
    with pytest.raises(PolicyFileError) as caught:
        Shelf(root).customers()
    assert sentence in str(caught.value)


# Pinning


def test_X05_pinning_gives_the_contract_its_version_calendar_and_ladder_as_data(root: Path) -> None:
    shelf = Shelf(root)
    pinned = shelf.pin("tromzo", None, date(2031, 7, 1), date(2031, 7, 31))
    assert pinned.version == shelf.contract("tromzo").version
    assert pinned.playbook == shelf.playbook("default")
    assert (pinned.calendar.first, pinned.calendar.last) == (date(2031, 7, 1), date(2031, 7, 31))
    assert date(2031, 7, 4) in {closed.day for closed in pinned.calendar.closed}
    assert type(pinned).model_validate_json(pinned.model_dump_json()) == pinned


def test_a_playbook_may_be_named_at_pinning(root: Path) -> None:
    (root / "playbooks/quiet.yaml").write_text("name: quiet\nsteps: []\n")
    assert Shelf(root).pin("tromzo", "quiet", date(2031, 7, 1), date(2031, 7, 2)).playbook.steps == ()


# Schemas


def test_the_published_schemas_are_what_the_models_say() -> None:
    """Mend with `python -m records.policy_schemas`."""
    assert stale(POLICIES) == []


def test_stale_schemas_are_written_anew(root: Path) -> None:
    (root / "schemas/team.schema.json").write_text("{}")
    (root / "schemas/customer.schema.json").unlink()
    assert {path.name for path in write(root)} == {"team.schema.json", "customer.schema.json"}
    assert write(root) == []


@pytest.mark.parametrize("kind", MODELS)
def test_every_shipped_file_fits_its_schema_and_names_it_to_the_editor(kind: str) -> None:
    made = json.loads(schema(kind))  # type: ignore[arg-type]
    jsonschema.Draft202012Validator.check_schema(made)
    paths = sorted((POLICIES / f"{kind}s").glob("*.yaml"))
    assert paths
    for path in paths:
        text = path.read_text()
        assert text.startswith(f"# yaml-language-server: $schema=../schemas/{kind}.schema.json\n")
        jsonschema.validate(read(text).value, made, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("P2: 4 business hours", "P2: 4 busines hours"),
        ("commitment: target", "commitment: promise"),
        ("edition:", "editoin:"),
        ("clause: T06", "clause: six"),
    ],
)
def test_the_schema_refuses_what_the_model_refuses(old: str, new: str) -> None:
    text = (POLICIES / "contracts/tromzo.yaml").read_text().replace(old, new, 1)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read(text).value, json.loads(schema("contract")))


# Documentation


@pytest.mark.parametrize("page", ["contracts.md", "playbooks.md"])
def test_what_the_pages_show_is_valid(page: str) -> None:
    """Every YAML block: a playbook, a team, or part of a contract."""
    text = (POLICIES.parent / "docs" / page).read_text()
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    assert blocks
    for block in blocks:
        value = read(block).value
        if "steps" in value:
            assert Playbook.model_validate(value).steps
        elif "tiers" in value:
            assert Team.model_validate(value).members
        else:
            tromzo = read((POLICIES / "contracts/tromzo.yaml").read_text()).value
            assert Contract.model_validate({**tromzo, **value}).name == "tromzo"


def test_a_file_of_a_source_that_could_not_be_read_for_a_moment_is_read_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the file changes when its rights are put right."""
    (tmp_path / "sources").mkdir()
    file = tmp_path / "sources" / "desk.yaml"
    file.write_text("name: desk\nkind: zendesk\n")
    shelf, barred, as_it_is = Shelf(tmp_path), [True], Path.read_text

    def read_text(path: Path, **how: str) -> str:
        if barred[0]:
            raise PermissionError(13, "Permission denied")
        return as_it_is(path, **how)

    monkeypatch.setattr(Path, "read_text", read_text)
    there, broken = shelf.usable_sources()
    assert (list(there), list(broken)) == ([], ["desk"])
    assert "check its rights" in broken["desk"].sentences[0]
    barred[0] = False
    assert [list(found) for found in shelf.usable_sources()] == [["desk"], []]
