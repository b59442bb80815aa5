"""The command line: what it prints for people and scripts, and one sentence for everything that can't be."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sla.names import incident_id
from starter.commands import explain, failures
from starter.commands.find import _base, parts
from starter.commands.terminal import from_now
from tests.terminal import NOBODY, ROOT, Run, run
from worker.reference import OWN_SOURCE, reference

__all__ = ["run"]


# What can't be


TICKET_COMMANDS = [
    "reply",
    "ack",
    "wait",
    "plan-given",
    "resolve",
    "reopen",
    "close",
    "restore",
    "authorize",
    "decline",
]
EXPLAIN = ("explain", "--contract", "tromzo", "--priority", "P1", "--received", "2031-07-11T17:00")


def but(name: str, value: str) -> tuple[str, ...]:
    """`EXPLAIN` with another value for an option."""
    words = list(EXPLAIN)
    words[words.index(name) + 1] = value
    return tuple(words)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (but("--contract", "trozmo"), 1, "there is no contract 'trozmo'; write one of: bugzero, reciprocity, tromzo"),
        (but("--contract", "no/such.yaml"), 1, "there is no such file"),
        (but("--priority", "S1"), 2, "--priority is 'S1'; tromzo knows P1, P2, P3, P4"),
        (but("--received", "tomorrow"), 2, "--received is 'tomorrow'; write a time such as 2031-07-11T16:00"),
        (but("--received", "0001-01-01T00:00"), 2, "for which no calendar can be made"),
        (but("--received", "9999-12-31T23:59Z"), 2, "for which no calendar can be made"),
        ((*EXPLAIN, "--clock", "reply"), 2, "--clock is 'reply'; tromzo has: response, resolution"),
        (("explain",), 2, "missing option '--contract'; `pactkeeper explain --help` shows what it takes"),
        (("opn",), 2, "pactkeeper: no such command 'opn'"),
        (("open", "1", "--bye", "x"), 2, "no such option: --bye"),
        (("open", "1", "--by", "ann@nowhere.example"), 2, "write --customer and one of: acme"),
        (("open", " ", "--by", "ann@acme.example"), 2, "TICKET is empty"),
        (("open", "1", "--by", "ann@acme.example", "--priority", "S1"), 2, "--priority is 'S1'; tromzo knows P1"),
        (("open", "1", "--by", "ann@acme.example", "--contract", "x"), 1, "there is no contract 'x'"),
        (
            ("open", "1", "--by", "ann@acme.example", "--contract", "../x.yaml"),
            1,
            "is a path; write the name of a contract",
        ),
        (
            ("open", "1", "--by", "ann@acme.example", "--channel", "fax"),
            2,
            "--channel is 'fax'; write one of: email, ticket",
        ),
        (
            ("open", "1", "--by", "ann@acme.example", "--language", "English"),
            2,
            "--language is 'english'; write the code of a language, such as en",
        ),
        (("open", "1", "--by", "ann@acme.example", "--product", "x" * 321), 2, "at most 320 characters"),
        (("open", "1", "--by", "ann@acme.example", "--field", "impact"), 2, "--field is 'impact'; write NAME=VALUE"),
        (("open", "1", "--by", "ann@acme.example", "--at", "9000-01-01"), 2, "which lies ahead"),
        (("open", "1", "--by", "ann@acme.example", "--key", ""), 2, "--key is ''; write 1 to 500 characters"),
        (("reply", "1", "--by", ""), 2, "--by is ''; it should have at least 1 character"),
        (("reply", "1", "--by", "x", "--as", "boss"), 2, "--as is 'boss'; write agent or customer"),
        (("reply", "1", "--by", "x", "--as", "customer", "--internal"), 2, "a customer's words are never internal"),
        (("ack", "1", "--by", "dana", "--at", "noon"), 2, "--at is 'noon'; write a time such as"),
        (("reclassify", "1", "--by", "dana"), 2, "missing argument 'PRIORITY'"),
        (
            ("resolve", "1", "--by", "dana", "--kind", "magic"),
            2,
            "--kind is 'magic'; write one of: fix, workaround, other_relief",
        ),
        (("dispose", "1", "spam", "--by", "dana"), 2, "AS is 'spam'; write one of: feature_request, out_of_scope"),
        (("move-policy", "1", "nix", "--by", "dana"), 1, "there is no contract 'nix'"),
        (("suspend", " "), 2, "CUSTOMER is empty"),
        (
            ("play", "stories/hard/pause-over-a-weekend.yaml", "--engine", "java"),
            2,
            "--engine is 'java'; write temporal or core",
        ),
        (("policy", "check", "no/such.yaml"), 1, "no/such.yaml:1: there is no such file"),
        *((("status", "1"), 1, f"no Temporal server answers at {NOBODY}; start one with `pactkeeper up`") for _ in "1"),
        *(
            ((command, "1", "--by", "dana"), 1, f"no Temporal server answers at {NOBODY}")
            for command in TICKET_COMMANDS
        ),
        *(((command, "1"), 1, f"no Temporal server answers at {NOBODY}") for command in ("plan", "proof", "log")),
        *(((command, "acme"), 1, f"no Temporal server answers at {NOBODY}") for command in ("suspend", "resume")),
        (("open", "1", "--by", "ann@acme.example"), 1, f"no Temporal server answers at {NOBODY}"),
        (("up", "--state", "/dev/null/var"), 1, "the folder /dev/null/var cannot be written: Not a directory"),
        (("up", "--port", "99999999"), 2, "should be less than or equal to 65535"),
        (("worker",), 1, f"no Temporal server answers at {NOBODY}"),
        (("setup",), 1, f"no Temporal server answers at {NOBODY}"),
    ],
)
def test_whatever_is_wrong_is_one_sentence(run: Run, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    came, out, err = run(*arguments)
    said = [line for line in err.splitlines() if "is taken as" not in line]
    assert sentence in err + out
    assert len(said) <= 1
    assert came == code
    assert "Traceback" not in err


def test_a_word_of_the_temporal_client_is_a_sentence_too(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "http://127.0.0.1:7233")
    assert run("status")[2] == "TEMPORAL_ADDRESS is 'http://127.0.0.1:7233'; write HOST:PORT, such as 127.0.0.1:7233\n"
    monkeypatch.setenv("TEMPORAL_PROFILE", "nosuch")
    code, _, err = run("status")
    assert code == 1
    assert err.startswith("the settings of the Temporal client can't be read (Profile 'nosuch' not found)")


def test_a_time_without_an_offset_is_this_machines_and_said_so(run: Run) -> None:
    here = datetime(2026, 3, 1, 12, 0).astimezone()
    _, _, err = run("suspend", "acme", "--at", "2026-03-01 12:00")
    assert f"--at 2026-03-01 12:00 is taken as {here.isoformat()}, by this machine's time zone" in err
    _, _, err = run("suspend", "acme", "--at", "2026-03-01T12:00Z")
    assert "taken" not in err


def test_what_nobody_foresaw_is_a_sentence_and_its_place_is_in_the_log(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("left out")

    monkeypatch.setattr(explain, "explained", breaks)
    log = tmp_path / "var" / "pactkeeper.log"
    code, out, err = run(*EXPLAIN)
    assert (code, out) == (1, "")
    assert err == f"something unexpected went wrong (KeyError: 'left out'); where, is in {log}\n"
    assert "test_cli.py" in log.read_text()
    monkeypatch.setenv("PACTKEEPER_DEBUG", "1")
    assert "Traceback" in run(*EXPLAIN)[2]


def test_every_known_error_has_its_sentence() -> None:
    from sqlalchemy.exc import OperationalError
    from temporalio.client import WorkflowUpdateFailedError
    from temporalio.exceptions import ApplicationError
    from temporalio.service import RPCError, RPCStatusCode

    refused = WorkflowUpdateFailedError(ApplicationError("the incident is closed; reopen it first"))
    assert failures.sentences(refused) == ["the incident is closed; reopen it first"]
    for status in RPCStatusCode:
        assert failures.sentences(RPCError("why", status, b""))
    assert failures.sentences(OperationalError("select", {}, Exception("x")))
    assert failures.sentences(KeyError("x")) is None


def test_stray_bytes_in_an_argument_do_no_harm() -> None:
    code = [sys.executable, "-c", "from starter.cli import main; main()", "explain", "--contract", b"\xff\xfe"]
    came = subprocess.run(
        [*code, "--priority", "P1", "--received", "2031-07-11T17:00"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        timeout=30,
    )
    assert came.returncode == 1
    assert b"Traceback" not in came.stderr
    assert b"there is no contract" in came.stderr


# policy check


def test_policy_check_gives_1_for_an_error_and_as_json_its_place(run: Run, tmp_path: Path) -> None:
    text = (ROOT / "policies/contracts/tromzo.yaml").read_text()
    path = tmp_path / "tromzo.yaml"
    path.write_text(text.replace("P2: 4 business hours", "P2: 4 busines hours"))
    code, out, _ = run("policy", "check", "--json", str(path))
    assert code == 1
    found = [finding for finding in json.loads(out) if finding["severity"] == "error"]
    assert [finding["line"] for finding in found] == [text.splitlines().index("      P2: 4 business hours") + 1]
    assert "4 busines hours" in found[0]["message"]


def test_policy_check_of_what_is_shipped_finds_nothing_wrong(run: Run) -> None:
    assert run("policy", "check")[0] == 0


# notices


def test_notices_of_an_installation_that_has_sent_none(run: Run) -> None:
    assert run("notices") == (0, "No notice has gone out yet.\n", "")
    assert json.loads(run("notices", "--json")[1]) == []


def test_notices_with_a_database_that_cannot_be(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACTKEEPER_DATABASE", "mysql://user:hunter2@host/db")
    code, _, err = run("notices")
    assert code == 2
    assert "sqlite:///FILE or postgresql://" in err
    assert "hunter2" not in err


# Settings


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PACTKEEPER_SMTP_URL", "smtp//secret@mail", "PACTKEEPER_SMTP_URL is no address of a mail server"),
        ("PACTKEEPER_WEBHOOK_URL", "http://elsewhere.example/?token=secret", "PACTKEEPER_WEBHOOK_URL is not encrypted"),
    ],
)
def test_up_refuses_a_setting_before_it_starts_anything(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    code, _, err = run("up")
    assert code == 1
    assert sentence in err
    assert "secret" not in err
    assert not (tmp_path / "var" / "temporal.db").exists()


def test_up_says_at_once_what_is_wrong_in_the_policies(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", policies)
    (policies / "customers" / "acme.yaml").write_text("id: acme\ncontacts: 7\n")
    monkeypatch.setenv("PACTKEEPER_POLICIES", str(policies))
    monkeypatch.setenv("PACTKEEPER_SMTP_URL", "smtp//mail")
    _, _, err = run("up")
    assert "acme.yaml:2: contacts is 7; write a list" in err


# Names


@pytest.mark.parametrize(
    ("source", "ticket"), [("cli", "4711"), ("generic", "4711"), ("cli", "a/b"), ("a/b", "7"), ("cli", "ü 1")]
)
def test_a_reference_leads_back_to_its_incident(source: str, ticket: str) -> None:
    assert _base(reference(source, ticket), None) == incident_id(source, ticket)


def test_an_id_falls_into_its_parts() -> None:
    assert parts(incident_id(OWN_SOURCE, "4711", 3)) == (OWN_SOURCE, "4711", 3)
    assert parts(incident_id("generic", "4711")) == ("generic", "4711", 1)


def test_times_are_told_as_people_wait() -> None:
    now = datetime(2031, 7, 11, 12, tzinfo=UTC)
    told = {
        timedelta(seconds=20): "in less than a minute",
        timedelta(minutes=5): "in 5 min",
        timedelta(hours=2, minutes=10): "in 2 h 10 min",
        timedelta(days=3): "in 3 d",
        timedelta(days=-3, hours=-4): "3 d 4 h ago",
    }
    assert {span: from_now(now + span, now) for span in told} == told
