"""`doctor` on a running installation and on a broken one: what it proves, what it shows, what it never shows."""

import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from starter.home import Home
from starter.web_note import found, leave
from tests.installation import Say, Up, command
from tests.terminal import ROOT, Run, run

__all__ = ["command", "run"]
SECRET = "a-secret-of-slack-that-nobody-guesses"
FILES = {
    "support": "name: support\nkind: jira\ncustomer: acme\npriorities: {Medium: P2}\n",
    "portal": "name: portal\nkind: django-helpdesk\nchannels: [vip]\n",
    "chat": "name: chat\nkind: slack\ncustomer: acme\nagents: {U0PACTTEST: dana}\n",
    "alarms": "name: alarms\nkind: alertmanager\ncustomer: acme\npriorities: {warning: urgent}\n",
    "quiet": "name: quiet\nkind: zammad\n",
}
"""One with nothing to find; one that is nobody's; one whose sample is ignored; one whose priorities are wrong; one without a secret."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    shutil.copytree(ROOT / "policies", folder / "policies")
    shutil.rmtree(folder / "policies" / "sources")
    (folder / "policies" / "sources").mkdir()
    for name, text in FILES.items():
        (folder / "policies" / "sources" / f"{name}.yaml").write_text(text)
    (folder / "var").mkdir()
    kept = folder / "var" / "hook-secrets.yaml"
    kept.touch(0o600)
    secrets = "\n".join(f"  {name}: {{secrets: [{SECRET}-{name}]}}" for name in FILES if name != "quiet")
    kept.write_text(f"sources:\n{secrets}\n")
    running = Up(folder / "var", {"PACTKEEPER_POLICIES": str(folder / "policies")})
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def say(command: Say, up: Up, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("PACTKEEPER_POLICIES", str(up.folder.parent / "policies"))
    return partial(command, up.folder, "doctor")


def lines(said: str, about: str) -> list[dict[str, Any]]:
    return [one for one in json.loads(said) if one["about"] == about]


def states(said: str, about: str) -> dict[str, str]:
    return {one["what"]: one["state"] for one in lines(said, about)}


def test_a_running_installation_is_well_and_its_source_that_lacks_a_secret_is_not(say: Say) -> None:
    said = say("--json", fails=1)
    here = states(said, "This installation")
    assert here.pop("channels") == "warning"  # nothing but the log is set up
    assert here.pop("policies") == "warning"  # `urgent` of the alarms is a priority of no contract
    assert here == dict.fromkeys(
        ("Temporal", "namespace", "search attributes", "worker", "clock", "database", "web intake"), "ok"
    )
    assert states(said, "quiet")["secrets"] == "failure"
    assert SECRET not in said


def test_the_address_for_the_world_is_tried_too(say: Say, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACTKEEPER_URL", found(Home(up.folder)))
    assert states(say("--json", fails=1), "This installation")["address"] == "ok"
    monkeypatch.setenv("PACTKEEPER_URL", "http://127.0.0.1:1/")
    shown = say(fails=1)
    assert re.search(
        r"! address +http://127\.0\.0\.1:1 cannot be reached, as seen from here\n  → look at the proxy", shown
    )


def test_a_signed_sample_goes_in_and_shows_what_is_made_of_it(say: Say) -> None:
    said = say("support", "--json")
    (line,) = [one for one in lines(said, "support") if one["what"] == "way in"]
    assert (line["state"], line["do"]) == ("ok", "")
    fields = dict(map(tuple, line["fields"]))
    assert (fields["ticket"], fields["customer"]) == ("TEST-999999999", "acme")
    assert "priority P2, channel ticket, subject A test by pactkeeper doctor" in fields["opened"]
    assert states(said, "support") == {
        "file": "ok", "secrets": "ok", "way in": "ok", "API": "warning", "last heard": "warning"
    }  # fmt: skip
    assert {one["about"] for one in json.loads(said)} == {"support"}


def test_a_sample_leaves_no_trace(say: Say, command: Say, up: Up) -> None:
    say("support")
    assert json.loads(command(up.folder, "status", "--closed", "--json")) == {"incidents": []}


def test_it_says_what_is_nobodys_what_is_ignored_and_which_priority_nobody_knows(say: Say) -> None:
    shown = say("portal")
    assert re.search(r"✓ way in .*/hooks/django-helpdesk/… in \d+ ms, and nobody was told of it", shown)
    assert re.search(r"customer +nobody's: into the triage queue", shown)
    assert SECRET not in shown
    shown = say("chat")
    assert re.search(
        r"! way in .* is ignored: a message of our own people opens no ticket\n  → look at `channels`", shown
    )
    shown = say("alarms")
    assert "! priorities" in shown
    assert "urgent is no priority of tromzo (P1, P2, P3, P4); it counts as the most urgent" in shown
    assert "`priorities: {urgent: P4}`" in shown


def test_a_source_and_a_secret_that_came_since_are_taken_by_what_runs_already(say: Say, up: Up) -> None:
    kept, files = up.folder / "hook-secrets.yaml", up.folder.parent / "policies" / "sources"
    before = kept.read_text()
    kept.write_text(
        before.replace(f"[{SECRET}-support]", "[another-secret-that-came-since]")
        + "  late: {secrets: [a-secret-of-a-source-that-came-since]}\n"
    )
    (files / "late.yaml").write_text("name: late\nkind: jira\ncustomer: acme\n")
    try:
        assert "✓ way in" in say("support")
        assert "✓ way in" in say("late")
    finally:
        (files / "late.yaml").unlink()
        kept.write_text(before)


def test_a_secret_that_the_intake_does_not_know_is_told_of(
    say: Say, up: Up, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "secrets.yaml"
    other.write_text("sources: {support: {secrets: [another-secret-of-another-file]}}\n")
    monkeypatch.setenv("PACTKEEPER_HOOK_SECRETS_FILE", str(other))
    shown = say("support", fails=1)
    assert "✗ way in" in shown
    assert "/hooks/jira/support (401)\n  → is it this installation's, with the same policies and secrets?" in shown
    assert "another-secret" not in shown


def test_where_nothing_runs_each_line_says_what_to_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    monkeypatch.setenv("PACTKEEPER_POLICIES", str(tmp_path / "policies"))
    (tmp_path / "policies" / "contracts" / "tromzo.yaml").write_text("name: tromzo\n")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "hook-secrets.yaml").write_text(
        "sources: {django-helpdesk: {secrets: [a-short-secret-of-22-ch]}, gone: {}}"
    )
    (tmp_path / "var" / "hook-secrets.yaml").chmod(0o644)
    code, out, err = run("doctor", "--web", "http://127.0.0.1:1")
    assert (code, err) == (1, "")
    for line in (
        r"✗ Temporal +no Temporal server answers at 127\.0\.0\.1:1; start one with `pactkeeper up`",
        r"✗ database +there is none yet in .*\n  → run `pactkeeper setup`",
        r"✗ policies +\d+ errors, \d+ warnings",
        r"✗ web intake +http://127\.0\.0\.1:1 cannot be reached\n  → start it",
        r"\ngone\n! file +it has secrets, and no file\n  → write policies/sources/gone\.yaml, or take sources\.gone out",
        r"! secrets +1 of 1 are shorter than 24 characters",
        r"! secrets +others than the owner may read .*\n  → chmod 600 ",
        r"✗ way in +our web intake at http://127\.0\.0\.1:1 cannot be reached\n    ticket +999999999\n",
    ):
        assert re.search(line, out), line
    assert "a-short-secret" not in out
    assert run("doctor", "nobody")[2] == "there is no source 'nobody'; there are: django-helpdesk\n"


def test_a_file_of_a_source_that_cannot_be_read_hides_no_other(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "policies" / "sources"
    sources.mkdir(parents=True)
    (sources / "broken.yaml").write_text("name: other\nkind: jira\n")
    (sources / "odd.yaml").write_text("name: odd\nkind: telex\n")
    monkeypatch.setenv("PACTKEEPER_POLICIES", str(tmp_path / "policies"))
    code, out, _ = run("doctor", "--json", "--web", "http://127.0.0.1:1")
    assert code == 1
    assert 'name is "other"; write broken' in lines(out, "broken")[0]["says"]
    assert lines(out, "odd")[0]["says"] == "kind is 'telex'"


def test_the_web_intake_leaves_word_where_it_is(tmp_path: Path) -> None:
    home = Home(tmp_path / "var")
    assert found(home) == "http://127.0.0.1:8400"
    leave(home, "http://0.0.0.0:8000")
    assert found(home) == "http://127.0.0.1:8000"
    (tmp_path / "var" / "web.json").write_text("[]")
    assert found(home) == "http://127.0.0.1:8400"
