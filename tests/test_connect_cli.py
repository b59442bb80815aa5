"""`connect` on a folder of policies of its own: what it writes, what it prints, what it refuses."""

import json
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from records.shelf import Shelf
from starter.commands import asking, terminal
from starter.connecting import GENERIC, PAGES, SETUPS, example, steps
from starter.home import Home
from starter.hook_settings import read
from starter.web_note import leave
from tests.terminal import ROOT, Run, run

__all__ = ["run"]
BASE = ("--hook-base", "https://support.example.com")
OLD, NEW = "an-old-secret-of-thirty-letters", "a-new-secret-of-thirty-letters"


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shelf that may be written."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    monkeypatch.setenv("PACTKEEPER_POLICIES", str(tmp_path / "policies"))
    monkeypatch.delenv("PACTKEEPER_HOOK_SECRETS_FILE", raising=False)
    monkeypatch.delenv("PACTKEEPER_URL", raising=False)
    return tmp_path / "policies"


def kept(tmp_path: Path) -> Path:
    return tmp_path / "var" / "hook-secrets.yaml"


def secrets(tmp_path: Path, name: str) -> tuple[str, ...]:
    return read(kept(tmp_path)).sources[name].secrets


def test_connect_alone_lists_every_kind(run: Run, policies: Path) -> None:
    code, out, _ = run("connect")
    assert code == 0
    assert all(kind in out and one.title in out for kind, one in SETUPS.items())
    assert [one["kind"] for one in json.loads(run("connect", "--json")[1])] == list(SETUPS)


@pytest.mark.parametrize("kind", [kind for kind in SETUPS if kind != GENERIC])
def test_a_connected_source_has_a_file_a_secret_and_its_clicks(
    run: Run, policies: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "secret").write_text(f"{OLD}\n")
    theirs = ("--secret-file", str(tmp_path / "secret")) if SETUPS[kind].theirs else ()
    code, out, err = run("connect", kind, "ours", "--customer", "acme", *BASE, *theirs)
    assert code == 0, err
    source = Shelf(policies).sources()["ours"]
    assert (source.kind, source.customer, source.url, source.writes) == (kind, "acme", None, ())
    (secret,) = secrets(tmp_path, "ours")
    assert len(secret) >= 24
    last = secret if SETUPS[kind].in_path else "ours"
    assert f"Address  https://support.example.com/hooks/{kind}/{last}\n" in out
    assert stat.S_IMODE(kept(tmp_path).stat().st_mode) == 0o600
    assert (secret == OLD) == bool(theirs)
    assert (secret in out) != bool(theirs), "ours is shown, for it is to be pasted; theirs is not"
    assert "`pactkeeper doctor ours`" in err
    # The clicks are those of the page, and nothing in them is left to be filled in.
    assert re.search(r"^1\. ", out, re.MULTILINE)
    assert not re.search(r"(?<!\{)\{(HOOK|SECRET|NAME|BASE)\}(?!\})", out)
    assert run("policy", "check")[0] == 0


def test_what_it_is_told_stands_in_the_files_and_nothing_secret_in_the_policies(
    run: Run, policies: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t0ps3cret: # 'quoted'\n")
    asked = ("--url", "https://acme.zendesk.com/", "--write", "notes, assignee", "--user", "bot@acme.example/token")
    code, out, err = run("connect", "zendesk", "--customer", "acme", *asked, "--token-file", str(tmp_path / "token"))
    assert code == 0, err
    source = Shelf(policies).sources()["zendesk"]
    assert (source.url, source.writes) == ("https://acme.zendesk.com", ("notes", "assignee"))
    found = read(kept(tmp_path)).sources["zendesk"]
    assert (found.secrets, found.user, found.token) == ((), "bot@acme.example/token", "t0ps3cret: # 'quoted'")
    assert "t0ps3cret" not in (policies / "sources" / "zendesk.yaml").read_text() + out
    assert "`pactkeeper connect rotate zendesk --secret-file FILE` takes it" in err
    assert "--hook-base says where the web intake is from outside" in err


def test_a_secret_is_changed_without_a_gap(run: Run, policies: Path, tmp_path: Path) -> None:
    run("connect", "jira", "--customer", "acme")
    (first,) = secrets(tmp_path, "jira")
    assert run("connect", "rotate", "jira")[0] == 0
    second, old = secrets(tmp_path, "jira")
    assert old == first
    assert run("connect", "drop-secret", "jira", "--json")[1].strip() == '{\n  "name": "jira",\n  "secrets": 1\n}'
    assert secrets(tmp_path, "jira") == (second,)
    code, _, err = run("connect", "drop-secret", "jira")
    assert code == 1
    assert "has no secret to spare" in err
    assert secrets(tmp_path, "jira") == (second,)


def test_the_example_that_came_along_is_written_over_and_a_teams_own_file_is_not(run: Run, policies: Path) -> None:
    file = policies / "sources" / "django-helpdesk.yaml"
    assert example(file)
    assert run("connect", "django-helpdesk", "--url", "https://helpdesk.example.com", "--customer", "acme")[0] == 0
    assert Shelf(policies).sources()["django-helpdesk"].url == "https://helpdesk.example.com"
    assert not example(file)
    assert "is there already" in run("connect", "django-helpdesk", "--customer", "acme")[2]


def test_what_comes_later_is_put_in_and_nothing_else_is_changed(run: Run, policies: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(OLD)
    (tmp_path / "token").write_text("t0ps3cret")
    said = run("connect", "zendesk", "--customer", "acme", "--url", "https://acme.zendesk.com")[2]
    assert "`pactkeeper connect rotate zendesk --token-file FILE --user USER` puts it in" in said
    code, out, err = run("connect", "rotate", "zendesk", "--token-file", str(tmp_path / "token"), "--user", "bot")
    assert (code, out, "the user and the token of zendesk" in err) == (0, "", True)
    found = read(kept(tmp_path)).sources["zendesk"]
    assert (found.secrets, found.user, found.token) == ((), "bot", "t0ps3cret")
    # The first secret replaces none, so there is none to take away.
    code, _, err = run("connect", "rotate", "zendesk", "--secret-file", str(tmp_path / "secret"))
    assert (code, "takes this secret." in err, "drop-secret" in err) == (0, True, False)
    assert read(kept(tmp_path)).sources["zendesk"].token == "t0ps3cret"
    run("connect", "mail", "--customer", "acme")
    assert "has no API that is used here" in run("connect", "rotate", "mail", "--user", "bot")[2]
    assert (
        "--url is nothing that connect rotate changes"
        in run("connect", "rotate", "pagerduty", "--url", "https://x.example")[2]
    )


@pytest.mark.parametrize(("kind", "title"), [("slack", "Slack"), ("mail", "E-mail")])
def test_what_takes_nothing_back_is_not_set_up_to_be_written_to(
    run: Run, policies: Path, kind: str, title: str
) -> None:
    code, _, err = run("connect", kind, "--customer", "acme", "--url", "https://slack.com", "--write", "notes")
    assert (code, f"nothing is written into {title}; leave it out" in err) == (2, True)
    assert not (policies / "sources" / f"{kind}.yaml").exists()


def test_the_address_is_where_the_web_intake_was_started_last(run: Run, policies: Path, tmp_path: Path) -> None:
    leave(Home(tmp_path / "var"), "http://127.0.0.1:8499")
    _, out, err = run("connect", "mail", "--customer", "acme")
    assert "http://127.0.0.1:8499/hooks/mail/mail" in out
    assert "8499" in err


def test_a_secret_that_the_source_makes_is_never_made_by_us_nor_shown(run: Run, policies: Path, tmp_path: Path) -> None:
    run("connect", "slack", "--customer", "acme")
    code, _, err = run("connect", "rotate", "slack")
    assert (code, "give it with --secret-file FILE" in err) == (2, True)
    (tmp_path / "secret").write_text(NEW)
    code, out, err = run("connect", "rotate", "slack", "--secret-file", str(tmp_path / "secret"))
    assert code == 0
    assert NEW not in out + err
    assert secrets(tmp_path, "slack") == (NEW,)


def test_the_generic_hook_is_a_customers_and_needs_no_file(run: Run, policies: Path, tmp_path: Path) -> None:
    code, out, err = run("connect", "generic", "--customer", "bolt", *BASE)
    assert code == 0, err
    assert "https://support.example.com/hooks/generic/bolt" in out
    assert len(read(kept(tmp_path)).generic["bolt"]) == 1
    assert not (policies / "sources" / "generic.yaml").exists()
    assert "has 1 active secret of the generic hook already" in run("connect", "generic", "--customer", "bolt")[2]
    assert run("connect", "rotate", "bolt")[0] == 0
    assert len(read(kept(tmp_path)).generic["bolt"]) == 2
    assert "--customer is missing" in run("connect", "generic")[2]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("zendsk",), 2, "is no kind of source; write one of: zendesk, freshdesk"),
        (("jira", "a/b"), 2, "NAME is 'a/b'; write letters, digits"),
        (("jira", "a", "--name", "b"), 2, "write one of them"),
        (("jira", "--url", "http://jira.example.com"), 2, "--url is not encrypted"),
        (("jira", "--url", "https://user:pass@jira.example.com"), 2, "holds a user name"),
        (("jira", "--write", "notes"), 2, "add --url"),
        (("jira", "--url", "https://a.example", "--write", "notes,prices"), 2, "write one of: notes, assignee"),
        (("jira", "--hook-base", "support.example.com"), 2, "--hook-base is no web address"),
        (("jira", "--token-file", "no-such-file"), 2, "can't be read"),
        (("rotate",), 2, "NAME is missing"),
        (("rotate", "nobody"), 1, "there is no source 'nobody'; there are:"),
        (("drop-secret", "nobody"), 1, "there is no source 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    run: Run, policies: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    got, out, err = run("connect", *words)
    assert (got, out) == (code, "")
    assert said in err
    assert not (policies / "sources" / "jira.yaml").exists()


def test_a_file_that_is_there_is_not_written_over_unasked(run: Run, policies: Path) -> None:
    run("connect", "jira", "--customer", "acme")
    file = policies / "sources" / "jira.yaml"
    file.write_text(file.read_text() + "# a remark of the team's\n")
    before = file.read_text()
    code, _, err = run("connect", "jira", "--customer", "bolt")
    assert code == 1
    assert "is there already" in err
    assert file.read_text() == before
    assert run("connect", "jira", "--customer", "bolt", "--force")[0] == 0
    assert Shelf(policies).sources()["jira"].customer == "bolt"


def test_a_folder_of_policies_that_cannot_be_written_is_told_what_to_put_there(
    run: Run, policies: Path, tmp_path: Path
) -> None:
    shutil.rmtree(policies / "sources")
    (policies / "sources").write_text("a file where a folder should be")
    code, _, err = run("connect", "mail", "--customer", "acme")
    assert code == 0
    assert "put this into it:\n\n" in err
    assert "kind: mail\n" in err
    assert len(secrets(tmp_path, "mail")) == 1


def test_it_asks_for_what_is_missing_where_somebody_sits_there(
    run: Run, policies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []
    answers = iter(
        ["acme", "https://acme.zendesk.com", "bot@acme.example", "the-token", "https://support.example.com", NEW]
    )

    def answer(question: str, *, hide_input: bool, **_: Any) -> str:
        asked.append((question, hide_input))
        return next(answers)

    monkeypatch.setattr(asking, "somebody", lambda: True)
    monkeypatch.setattr(asking.typer, "prompt", answer)
    code, out, err = run("connect", "zendesk")
    assert code == 0, err
    assert [hidden for _, hidden in asked] == [False, False, False, True, False, True]
    found = read(kept(tmp_path)).sources["zendesk"]
    assert (found.secrets, found.user, found.token) == ((NEW,), "bot@acme.example", "the-token")
    assert "https://support.example.com/hooks/zendesk/zendesk" in out
    assert NEW not in out + err
    assert "the-token" not in out + err


def test_the_steps_are_for_a_terminal_and_what_is_to_be_pasted_stays_as_it_is(tmp_path: Path) -> None:
    page = "## Set it up\nHow [it](#x) is done.\n\n1. As [said](../connect.md#y), [see](#z):\n   ```\n   [a](b) {HOOK}\n   ```\n2. Done.\n"
    (tmp_path / "x.md").write_text(page)
    wanted = "1. As said (docs/connect.md), see:\n   ```\n   [a](b) here\n   ```\n2. Done."
    assert steps("x", {"HOOK": "here"}, tmp_path) == wanted


def test_no_stars_of_markdown_are_shown_and_code_and_values_keep_theirs(tmp_path: Path) -> None:
    page = "## Set it up\n1. **Admin,\n   Hooks**: tick *Notes (all)*, 2 * 3, `*.example **x**` {SECRET}\n   ```\n   **a** *b*\n   ```\n"
    (tmp_path / "x.md").write_text(page)
    values = {"SECRET": "a*b*c**d**"}
    plain = "1. Admin,\n   Hooks: tick Notes (all), 2 * 3, `*.example **x**` a*b*c**d**\n   ```\n   **a** *b*\n   ```"
    assert steps("x", values, tmp_path) == plain
    lively = steps("x", values, tmp_path, bold=("<", ">"))
    assert lively == plain.replace("Admin,\n   Hooks", "<Admin,\n   Hooks>").replace("Notes (all)", "<Notes (all)>")


@pytest.mark.parametrize("kind", SETUPS)
def test_what_is_printed_of_a_page_has_no_stars(kind: str) -> None:
    code = re.compile(r"^ *```.*?^ *```$|`+[^`]+`+", re.MULTILINE | re.DOTALL)
    assert "*" not in code.sub("", steps(kind, {}))


@pytest.mark.parametrize(
    ("terminal_is", "wanted"),
    [
        ({"FORCE_COLOR": "1", "TERM": "xterm-256color"}, ("\x1b[1m", "\x1b[22m")),
        ({"FORCE_COLOR": "1", "TERM": "xterm-256color", "NO_COLOR": "1"}, ("", "")),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, ("", "")),
        ({}, ("", "")),
    ],
)
def test_bold_is_for_a_terminal_with_colour_alone(
    terminal_is: dict[str, str], wanted: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in terminal_is.items():
        monkeypatch.setenv(name, value)
    assert terminal.bold() == wanted


def test_a_value_that_looks_like_a_placeholder_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text(
        "# X\n\n## Set it up\n1. `{HOOK}` `{{ticket.id}}` `{{HOOK}}` {OTHER}\n\n## More\n{HOOK}\n"
    )
    assert (
        steps("x", {"HOOK": "a{SECRET}b", "SECRET": "s"}, tmp_path)
        == "1. `a{SECRET}b` `{{ticket.id}}` `{{HOOK}}` {OTHER}"
    )


@pytest.mark.parametrize("kind", SETUPS)
def test_every_page_of_a_source_has_one_shape(kind: str) -> None:
    page = (PAGES / f"{kind}.md").read_text()
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    wanted = ["What you need", "Set it up", "What is mapped", "What it cannot tell", "When a webhook is lost"]
    assert [one for one in headings if one in wanted] == wanted
    assert "{HOOK}" in steps(kind, {})
    assert f"pactkeeper connect {kind}" in page


def test_an_image_has_the_pages_that_connect_prints() -> None:
    assert "!docs/sources" in (ROOT / ".dockerignore").read_text().splitlines()
    assert PAGES == ROOT / "docs" / "sources"
