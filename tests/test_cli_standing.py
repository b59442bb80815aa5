"""What operators see and decide of a customer's payments, on a running installation with contracts that wait and that ask."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sla import names
from tests.installation import PROGRAM, Say, Up, command, environment, soon
from tests.terminal import ROOT

__all__ = ["command"]

LATE = """\
id: {id}
contract: {contract}
contacts: [{{email: ann@{id}.example, roles: [technical, support], prefers: log}}]
"""
LINES = """\
lines:
  - {id: hardware, title: Hardware, products: [router]}
  - {id: software, title: Software, products: [app], contract: tromzo, prepaid: true}
"""
CUSTOMERS = ("asks", "declines", "prompted", "keyed", "ends", "graced", "valve", "glass", "guessed", "late", "program")


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped policies, two contracts of the stories, and customers under them."""
    made = tmp_path_factory.mktemp("policies") / "policies"
    shutil.copytree(ROOT / "policies", made)
    for name in ("asking", "patient"):
        shutil.copy(ROOT / "stories" / "policies" / f"{name}.yaml", made / "contracts" / f"{name}.yaml")
    patient = ("graced", "valve", "glass")
    for id in CUSTOMERS:
        said = LATE.format(id=id, contract="patient" if id in patient else "asking")
        (made / "customers" / f"{id}.yaml").write_text(said)
    lines = LATE.format(id="lined", contract="reciprocity") + LINES
    (made / "customers" / "lined.yaml").write_text(lines)
    return made


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, policies: Path) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up") / "var", {"PACTKEEPER_POLICIES": str(policies)})
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def say(command: Say, up: Up, policies: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Carry out a command on the running installation."""
    monkeypatch.setenv("PACTKEEPER_POLICIES", str(policies))
    monkeypatch.setenv("COLUMNS", "400")  # nothing is folded
    return partial(command, up.folder)


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def account(say: Say, customer: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(say("standing", customer, "--json"))
    return found


def asked(say: Say, customer: str) -> None:
    """A payment so long outstanding that somebody is asked, and one incident each that would stand still."""
    say("open", f"{customer}-1", "--customer", customer, "--by", f"ann@{customer}.example", "--priority", "S2")
    say("suspend", customer, "--reference", "INV-1", "--at", ago(days=4))
    soon(lambda: account(say, customer)["lines"]["support"]["awaits_approval"])


def test_who_waits_for_an_approval_is_shown_with_what_it_would_do_and_is_suspended_by_it(say: Say) -> None:
    asked(say, "asks")
    page = say("standing", "asks")
    assert re.search(r"support +lapsed +.*payment outstanding \(INV-1\) +as billed +asking \(R12\)", page)
    assert "waits for an approval, asked on" in page
    assert "pactkeeper approve asks --by YOU  |  pactkeeper decline-suspension asks --by YOU" in page
    assert "Enrolled incidents (1)" in page
    assert re.search(r"asks-1 +asks +S2 +open", page)
    said = say("approve", "asks", "--by", "gwen", fails=2)
    assert "INV-1, outstanding since" in said
    assert "Support would be suspended from now on, until it is paid." in said
    assert re.search(r"asks-1 +S2 .*stands still: response \(.* left\), reply", said)
    assert "nothing is done: nobody is there to be asked; say --yes to do it" in said
    assert account(say, "asks")["standing"] == "lapsed"
    assert "asks is suspended since" in say("approve", "asks", "--by", "gwen", "--why", "no answer", "--yes")
    found = account(say, "asks")
    answer = found["of_line"]["support"]["answer"]
    assert (answer["approved"], answer["by"], answer["why"]) == (True, "gwen", "no answer")
    assert [row["ticket"] for row in found["incidents"]] == ["asks-1"]
    soon(lambda: "suspension" in {told["kind"] for told in account(say, "asks")["notices"]})
    page = say("status", "asks-1")
    assert re.search(r"Why the clocks stand still: support is suspended since .* \(INV-1\)", page)
    assert "asks is current since" in say("resume", "asks", "--reference", "INV-1")
    said = say("approve", "asks", "--by", "gwen", "--yes", fails=1)
    assert said == "nothing is outstanding, so there is no suspension to approve\n"


def test_a_declined_suspension_lets_support_go_on_and_is_asked_no_more(say: Say) -> None:
    asked(say, "declines")
    said = say("decline-suspension", "declines", "--by", "gwen", "--why", "the cheque is on its way")
    assert "declines is lapsed since" in said
    assert "support goes on: gwen declined the suspension on" in said
    page = say("standing", "declines")
    assert re.search(r"gwen declined the suspension on .*: the cheque is on its way", page)
    assert "Somebody is asked" not in page
    assert "Payments: payment outstanding since" in say("status", "declines-1")


def test_a_decision_under_one_key_counts_once(say: Say, up: Up) -> None:
    asked(say, "keyed")
    approve = ("approve", "keyed", "--by", "gwen", "--yes", "--key")

    def events() -> int:
        soon(lambda: account(say, "keyed")["in_flight"] == 0)
        return int(account(say, "keyed")["events"])

    say(*approve, "case-9")
    before = events()
    for _ in "12":
        say(*approve, "case-9")
    assert events() == before
    say(*approve, "case-10")
    assert events() == before + 1
    assert "write 1 to 500 characters" in say("approve", "keyed", "--by", "gwen", "--key", "", "--yes", fails=2)


@pytest.mark.parametrize(("typed", "standing"), [(b"\n", "lapsed"), (b"y\n", "suspended")])
def test_in_a_terminal_it_asks_and_only_a_yes_does_it(
    say: Say, up: Up, policies: Path, typed: bytes, standing: str
) -> None:
    if account(say, "prompted")["standing"] == "current":
        asked(say, "prompted")
    ours, theirs = pty.openpty()
    env = environment(up.folder) | {"PACTKEEPER_POLICIES": str(policies), "TERM": "dumb"}
    words = [*PROGRAM, "approve", "prompted", "--by", "gwen"]
    with subprocess.Popen(words, cwd=ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = read_until(ours, b"[y/N] ")
        assert "Support would be suspended from now on" in said
        os.write(ours, typed)
        assert process.wait(30) == (0 if standing == "suspended" else 1)
    os.close(ours)
    assert account(say, "prompted")["standing"] == standing


def read_until(terminal: int, end: bytes) -> str:
    heard, until = b"", time.monotonic() + 30
    while not heard.endswith(end):
        assert time.monotonic() < until, heard
        if select.select([terminal], [], [], 1)[0]:
            heard += os.read(terminal, 4096)
    return heard.decode()


def test_within_the_grace_it_says_when_support_will_be_suspended(say: Say) -> None:
    open_ = ("--customer", "graced", "--by", "ann@graced.example", "--priority", "S3")
    said = say("suspend", "graced", "--reference", "INV-3")
    assert "graced is lapsed since" in said
    assert re.search(r"suspended from \w{3} .* unless it is paid", said)
    told = say("open", "g1", *open_)
    assert re.search(
        r"Payments: payment outstanding since .*; support will be suspended from .* unless it is paid", told
    )
    page = say("status", "g1")
    assert "standing lapsed" in page
    assert "support will be suspended from" in page
    support = json.loads(say("status", "g1", "--json"))["support"]
    assert support["suspends_at"] is not None
    assert support["exception"] is None
    said = say("decline-suspension", "graced", "--by", "gwen", fails=1)
    assert said == "the contract suspends by itself; grant an exception with a date instead\n"
    assert "graced is current" in say("resume", "graced")


def test_a_ticket_under_suspension_is_taken_in_and_one_of_a_served_priority_is_served(say: Say) -> None:
    by = ("--customer", "valve", "--by", "ann@valve.example")
    assert "valve is suspended since" in say("suspend", "valve", "--at", ago(days=14))
    told = say("open", "v3", *by, "--priority", "S3")
    assert re.search(
        r"Support is suspended since .*: it is taken in, and its clocks start when support goes on\.", told
    )
    told = say("open", "v1", *by, "--priority", "S1")
    assert "Payments: served in spite of the suspension (contract: S1)" in told
    assert "standing suspended" in say("status", "v1")
    assert json.loads(say("status", "v1", "--json"))["phase"] == "open"


def test_an_exception_gives_support_until_it_ends_and_is_on_the_record(say: Say) -> None:
    say("suspend", "glass", "--at", ago(days=14))
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    grant = ("except", "glass", "--by", "gwen", "--why", "their launch", "--until", until)
    assert "glass is lapsed since" in say(*grant)
    page = say("standing", "glass")
    assert re.search(r"exception by gwen until .*; then suspended unless it is paid", page)
    assert "The exception's reason: their launch" in page
    assert "end-exception" in page
    told = say("open", "e1", "--customer", "glass", "--by", "ann@glass.example", "--priority", "S3")
    assert re.search(r"Payments: served by an exception of gwen until .*: their launch", told)
    assert "glass is suspended since" in say("end-exception", "glass", "--by", "gwen")
    assert say("end-exception", "glass", "--by", "gwen", fails=1) == "no exception is in force\n"
    assert "which is over; write a time that lies ahead" in say(*grant[:-1], ago(days=1), fails=2)
    assert "write a time such as" in say(*grant[:-1], "tomorrow", fails=2)
    assert "--why is ''" in say(*grant[:5], "", *grant[6:], fails=2)


def test_only_the_unpaid_line_is_suspended_and_a_line_that_is_not_there_is_refused(say: Say) -> None:
    by = ("--customer", "lined", "--by", "ann@lined.example")
    said = say("suspend", "lined", "--reference", "INV-8")
    assert "lined is suspended since" in said
    assert "hardware: suspended; goes on when it is paid" in said
    assert "software" not in said
    assert "soft: open, P2" in say("open", "soft", *by, "--product", "app", "--priority", "P2")
    assert json.loads(say("status", "soft", "--json"))["support"]["line"] == "software"
    page = say("standing", "lined")
    assert re.search(r"Software \(software\) +current .*in advance +tromzo", page)
    assert "--line is 'x'; lined has: hardware, software" in say("suspend", "lined", "--line", "x", fails=2)
    said = say("approve", "lined", "--by", "gwen", "--line", "x", "--yes", fails=1)
    assert said == "there is no contract line 'x'; there are: hardware, software\n"
    assert "lined is terminated" in say("suspend", "lined", "--line", "software", "--terminated", "--why", "cancelled")
    assert "standing terminated" in say("status", "soft")
    assert "Support has ended since" in say("open", "soft2", *by, "--product", "app")
    assert "--why goes with --terminated" in say("suspend", "lined", "--why", "x", fails=2)


def test_a_program_tells_of_payments_and_decides_with_a_token(say: Say, up: Up) -> None:
    said = (up.folder / "said").read_text()
    web = re.search(r"Web intake +(http://127\.0\.0\.1:\d+)/", said)
    assert web
    (token,) = yaml.safe_load((up.folder / "hook-secrets.yaml").read_text())["api"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{web[1]}/api/customers/program", headers=headers, timeout=30) as pages:
        _by_program(say, pages)


def _by_program(say: Say, pages: httpx.Client) -> None:
    assert pages.get("/standing").json()["standing"] == "current"
    lapse = {"event": "payment_lapsed", "occurred_at": ago(days=5), "reference": "INV-4", "key": "e1"}
    for _ in "12":
        came = pages.post("/events", json=lapse)
        assert (came.status_code, came.json()["key"]) == (202, "api:e1")
    soon(lambda: pages.get("/standing").json()["lines"]["support"]["awaits_approval"])
    decision = {"action": "approve_suspension", "by": "gwen", "key": "d1"}
    for _ in "12":
        came = pages.post("/decisions", json=decision)
        assert (came.status_code, came.json()["account"]["standing"]) == (200, "suspended")
    assert account(say, "program")["of_line"]["support"]["answer"]["by"] == "gwen"
    came = pages.post("/decisions", json={"action": "end_exception", "by": "gwen"})
    assert (came.status_code, came.json()) == (409, {"error": "no exception is in force"})
    extreme = {"action": "grant_exception", "by": "gwen", "why": "x", "until": "9999-12-31T23:59:59-12:00"}
    came = pages.post("/decisions", json=extreme)
    assert (came.status_code, "lasts 400 days at most" in came.text) == (409, True)
    came = pages.post("/decisions", json=decision | {"at": "0001-01-01T00:00:00Z", "key": "d2"})
    assert (came.status_code, "more than 400 days ago" in came.text) == (409, True)
    assert pages.post("/events", json={"event": "payment_current"}).status_code == 202
    soon(lambda: pages.get("/standing").json()["standing"] == "current")
    assert pages.get("/standing").json()["dead_letters"] == []


def test_all_who_are_not_current_are_listed_and_those_who_wait_for_an_answer_first(say: Say) -> None:
    asked(say, "late")
    say("suspend", "guessed", "--at", ago(hours=1))
    say("suspend", "valve", "--at", ago(days=15))

    def listed() -> list[str]:
        return [told["customer"] for told in json.loads(say("standing", "--json"))]

    soon(lambda: {"late", "guessed", "valve"} <= set(listed()))
    order = listed()
    assert order.index("late") < order.index("valve") < order.index("guessed")
    page = say("standing")
    first = page.splitlines()[1]
    assert "approval?" in page
    assert "waits for an approval" in first
    assert re.search(r"guessed +support +lapsed .*an approval of the suspension is asked on", page)
    assert "\x1b" not in page
    say("resume", "late")
    soon(lambda: "late" not in listed())


def test_whom_nobody_knows_is_refused_and_who_never_lapsed_is_current(say: Say) -> None:
    assert "no customer 'nix' is known" in say("standing", "nix", fails=1)
    assert "no customer 'nix' is known" in say(
        "except", "nix", "--by", "gwen", "--why", "x", "--until", "2099-01-01T00:00Z", fails=1
    )
    assert say("standing", "ends") == "ends has had no incident and no payment event yet\n"
    assert account(say, "ends")["standing"] == "current"
    assert "ends has had no incident and no payment event yet" in say("approve", "ends", "--by", "gwen", fails=1)
    ahead = ("except", "ends", "--by", "gwen", "--why", "migration", "--until")
    said = say(*ahead, "2099-01-01T00:00Z", fails=1)
    assert said == "an exception lasts 400 days at most: say an earlier end, and grant another one then\n"
    assert "ends is current" in say(*ahead, (datetime.now(UTC) + timedelta(days=3)).isoformat())
    assert names.account_id("ends") == "account/ends"
    assert "ends is lapsed since" in say("suspend", "ends", "--at", ago(minutes=1))
