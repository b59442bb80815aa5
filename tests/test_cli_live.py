"""The command line on a running installation: what `up` prints leads to everything else."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from standardwebhooks.webhooks import Webhook

from starter.state_dir import StateDir
from tests.installation import OPEN, PROGRAM, Say, Up, command, environment, soon
from tests.terminal import ROOT

__all__ = ["command"]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up") / "var")
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def say(command: Say, up: Up) -> Say:
    """Carry out a command on the running installation."""
    return partial(command, up.folder)


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def test_up_says_where_everything_is_and_how_to_begin(up: Up) -> None:
    said = (up.folder / "said").read_text()
    assert re.search(r"Temporal UI +http://127\.0\.0\.1:\d+", said)
    assert "pactkeeper open 4711 --customer acme --priority P1 --by ann@acme.example" in said
    assert "Traceback" not in said


def web(up: Up) -> str:
    """The address of the web intake, as it was printed."""
    found = re.search(r"Web intake +(http://127\.0\.0\.1:\d+)/hooks/generic/", (up.folder / "said").read_text())
    assert found
    return found[1]


def signed(up: Up, id: str, body: str) -> dict[str, str]:
    """The headers of a delivery, with the secret that `up` made."""
    secret = yaml.safe_load((up.folder / "hook-secrets.yaml").read_text())["generic"]["acme"][0]
    now = datetime.now(UTC)
    stamp = {"webhook-id": id, "webhook-timestamp": str(int(now.timestamp()))}
    return {**stamp, "webhook-signature": Webhook(secret).sign(id, now, body)}


def test_a_signed_hook_opens_a_ticket_with_the_secret_that_up_made(up: Up, say: Say) -> None:
    secrets = up.folder / "hook-secrets.yaml"
    assert secrets.stat().st_mode & 0o077 == 0
    body = json.dumps({"ticket": "h1", "event": "opened", "priority": "P1", "by": "ann@acme.example"})
    came = httpx.post(f"{web(up)}/hooks/generic/acme", content=body, headers=signed(up, "d1", body))
    assert (came.status_code, came.json()["workflow"]) == (202, "incident/acme/h1")
    assert httpx.post(f"{web(up)}/hooks/generic/acme", content=body).status_code == 401
    assert httpx.get(f"{web(up)}/readyz").json() == {"ready": True}
    assert "acme/h1: open, P1, dana" in say("ack", "acme/h1", "--by", "dana")


def test_a_priority_that_nobody_knows_waits_in_the_triage_queue_until_it_is_named(up: Up, say: Say) -> None:
    body = json.dumps({"ticket": "odd", "event": "opened", "priority": "dire", "by": "ann@acme.example"})
    httpx.post(f"{web(up)}/hooks/generic/acme", content=body, headers=signed(up, "odd", body)).raise_for_status()
    soon(lambda: "! 1 waits in the triage queue: `pactkeeper status --triage`" in say("status"), 10)
    assert "acme/odd: open, P1" in say("settle", "acme/odd", "--by", "dana")
    assert "acme/odd" in say("status", "--triage"), "somebody still has to say how urgent it is"
    say("reclassify", "acme/odd", "P2", "--by", "dana")
    soon(lambda: say("status", "--triage") == "Nothing waits in the triage queue.\n", 10)


def test_a_ticket_is_opened_by_a_short_program_that_ends_cleanly_and_gives_a_receipt(up: Up, say: Say) -> None:
    words = [*PROGRAM, "open", "100", *OPEN, "--priority", "P1", "--json", "--body", "-"]
    came = subprocess.run(
        words,
        check=False,
        cwd=ROOT,
        env=environment(up.folder),
        input=b"\xffIt is blank",
        capture_output=True,
        timeout=30,
    )
    assert (came.returncode, came.stderr) == (0, b"")
    receipt = json.loads(came.stdout)
    assert receipt["incident"] == "incident/cli/100"
    assert receipt["contract"] == "tromzo"
    told = json.loads(say("status", "100", "--json"))
    assert (told["phase"], told["priority"], told["customer"]) == ("open", "P1", "acme")


def test_an_incident_lives_through_the_command_line(say: Say) -> None:
    opened = say("open", "4711", *OPEN, "--priority", "P1", "--subject", "Nothing loads", "--at", ago(minutes=1))
    assert "Opened 4711 for acme under tromzo, as incident/cli/4711" in opened
    assert "response running, due" in opened
    assert "open already" in say("open", "4711", *OPEN, fails=1)
    assert "4711: open, P1, dana; response running" in say("ack", "4711", "--by", "dana")
    assert "write one of: P1, P2, P3, P4" in say("reclassify", "4711", "S1", "--by", "dana", fails=1)
    assert "4711: open, P2, dana" in say("reclassify", "4711", "P2", "--by", "dana", "--why", "a workaround helps")
    assert "response running" in say("reply", "4711", "--by", "dana", "--internal")
    assert "response met" in say("reply", "4711", "--by", "dana")
    assert "resolution paused" in say("wait", "4711", "--by", "dana")
    page = say("status", "4711")
    assert "Why the clocks stand still: we wait for the customer's answer" in page
    assert "✔ met" in page
    assert "resolution running" in say("reply", "4711", "--as", "customer", "--by", "ann@acme.example")
    assert "eli has it" in (say("assign", "4711", "eli", "--by", "dana"), say("status", "4711"))[1]
    assert "resolution  75%" in say("plan", "4711")
    assert "wall-clock time" in say("proof", "4711", "--clock", "resolution")
    assert "--clock is 'nix'; 4711 has: response, resolution" in say("proof", "4711", "--clock", "nix", fails=2)
    assert "dispositioned" in say("dispose", "4711", "excluded", "--ground", "third_parties", "--by", "dana")
    assert "write one of: third_parties" in say("dispose", "4711", "excluded", "--ground", "x", "--by", "dana", fails=1)
    assert "4711: open" in say("restore", "4711", "--by", "dana")
    assert "nothing to restore" in say("restore", "4711", "--by", "dana", fails=1)
    assert "4711: resolved" in say("resolve", "4711", "--by", "dana", "--kind", "workaround")
    log = say("log", "4711")
    for what in ("opened", "acknowledged", "customer replied", "resolved", "step begun", "pinned"):
        assert what in log


def test_after_the_closing_a_ticket_is_reopened_or_followed_up(say: Say) -> None:
    say("open", "12", *OPEN)
    assert "12: closed" in say("close", "12", "--by", "dana")
    assert "12 is closed; `pactkeeper reopen 12 --by YOU` opens it again" in say("ack", "12", "--by", "dana", fails=1)
    assert "12: closed" in say("reply", "12", "--by", "dana", "--at", ago(seconds=0.1))
    assert "12: open" in say("reopen", "12", "--by", "dana")
    say("close", "12", "--by", "dana")
    went = say("reply", "12", "--as", "customer", "--by", "ann@acme.example")
    assert "12 was closed; the word went on to incident/cli/12/" in went
    assert json.loads(say("status", "12", "--json"))["number"] == 2


def test_the_list_is_by_urgency_and_by_customer(say: Say) -> None:
    umbrella = ("--customer", "umbrella", "--by", "eve@umbrella.example")
    say("open", "late", *umbrella, "--contract", "reciprocity", "--priority", "S1", "--at", ago(hours=5))
    say("open", "calm", *umbrella, "--priority", "P4", "--source", "desk")

    def listed() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(say("status", "--customer", "umbrella", "--json"))["incidents"]
        return rows

    soon(lambda: [row["clocks"] for row in listed()] == ["missed", "running"], 10)
    assert [row["ticket"] for row in listed()] == ["late", "desk/calm"]
    page = say("status", "--customer", "umbrella")
    assert "umbrella is current; 2 incidents enrolled" in page
    assert page.index("late") < page.index("desk/calm")
    assert "calm: open" in say("ack", "calm", "--by", "dana"), "a ticket is found without its source"
    assert "desk/calm: open" in say("ack", "desk/calm", "--by", "dana")
    say("open", "calm", *umbrella, "--source", "shop")
    soon(lambda: len(listed()) == 3, 10)
    assert "write one of: desk/calm, shop/calm" in say("status", "calm", fails=1)
    assert "no incident is known for 'nix'" in say("status", "nix", fails=1)


def test_a_lapse_suspends_and_a_payment_resumes(say: Say) -> None:
    say("open", "s1", "--customer", "initech", "--by", "bill@initech.example", "--priority", "P1")
    assert "initech is suspended since" in say("suspend", "initech")
    page = say("status", "s1")
    assert "Why the clocks stand still: support is suspended" in page
    assert "suspension" in page
    assert "initech is current" in say("resume", "initech")
    assert "resumption" in say("status", "s1")

    def sent() -> set[str]:
        return {notice["kind"] for notice in json.loads(say("notices", "--incident", "s1", "--json"))}

    soon(lambda: {"suspension", "resumption"} <= sent())


def test_a_key_makes_a_word_count_once(say: Say) -> None:
    for _ in "12":
        say("open", "once", *OPEN, "--key", "mail-7", "--at", "2026-01-05T10:00Z")
    assert [entry["event"] for entry in json.loads(say("status", "once", "--json"))["log"]] == ["opened"]


def test_the_parts_run_alone_against_a_named_server(up: Up, tmp_path: Path, say: Say) -> None:
    running = StateDir(up.folder).running()
    assert running is not None
    env = environment(tmp_path) | {"TEMPORAL_ADDRESS": running.target}
    started = [
        subprocess.Popen([*PROGRAM, *words], cwd=ROOT, env=env, stderr=subprocess.PIPE, start_new_session=True)
        for words in (["worker"], ["web"])
    ]
    assert f"{running.target} knows the search attributes" in say("setup")
    said = []
    for part in started:
        assert part.stderr is not None
        said.append(part.stderr.readline().decode())
    assert said[0] == f"The worker asks {running.target} for tasks of pactkeeper.\n"
    address = re.search(r"http://127\.0\.0\.1:\d+", said[1])
    assert address, said
    assert httpx.get(f"{address[0]}/readyz").json() == {"ready": True}
    for part in started:
        part.send_signal(signal.SIGTERM)
    for part in started:
        _, left = part.communicate(timeout=20)
        assert part.returncode == 0, left


def test_nothing_listens_elsewhere_than_on_loopback(up: Up) -> None:
    found = {address for pid in up.pids for address in listening(pid)}
    assert found
    assert found <= {"127.0.0.1"}


def listening(pid: int) -> set[str]:
    """The addresses, without ports, on which a process listens."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for family, file in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/{pid}/net/{file}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and f"socket:[{columns[9]}]" in sockets:
                raw = bytes.fromhex(columns[1].split(":")[0])
                words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
                found.add(socket.inet_ntop(family, words))
    return found
