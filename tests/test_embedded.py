"""The embedded server: on loopback alone, one to a folder, and none the worse for a kill."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from starter.embedded import DYNAMIC_CONFIG, EmbeddedServer, temporal_executable
from starter.search_attributes import register
from starter.state_dir import ServerError, StateDir

PHASE = SearchAttributeKey.for_keyword("PactPhase")
DUE = SearchAttributeKey.for_datetime("PactNextDue")

PARENT = """
import asyncio, json, sys
from pathlib import Path
from temporalio.client import Client
from starter.embedded import EmbeddedServer

async def main():
    server = EmbeddedServer(Path(sys.argv[1]))
    await server.start()
    client = await Client.connect(server.target)
    await client.start_workflow("Untouched", id="kept", task_queue="nobody")
    print(json.dumps({"server": server.pid}), flush=True)
    await asyncio.sleep(60)  # until it is killed

asyncio.run(main())
"""


@pytest.fixture(scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded") / "not" / "there" / "yet"


@pytest.fixture(scope="module")
async def server(folder: Path) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer(folder, search_attributes=[PHASE, DUE]) as running:
        yield running


def program(folder: Path, text: str) -> Path:
    """A program that stands in for the server's."""
    path = folder / "temporal"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def listening(pid: int) -> set[str]:
    """The addresses, without ports, on which a process listens, over IPv4 and IPv6."""
    sockets = set()
    for opened in Path(f"/proc/{pid}/fd").iterdir():
        if found := re.fullmatch(r"socket:\[(\d+)\]", str(opened.readlink())):
            sockets.add(found[1])
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in sockets:
                raw = bytes.fromhex(columns[1].split(":")[0])
                words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
                addresses.add(socket.inet_ntop(socket.AF_INET if table == "tcp" else socket.AF_INET6, words))
    return addresses


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


async def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


def ended(pid: int) -> bool:
    """Whether a process is gone, or only its exit status is left of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_starts_in_a_folder_that_is_not_there_and_serves_its_api_ui_and_metrics(server: EmbeddedServer) -> None:
    assert re.fullmatch(r"127\.0\.0\.1:\d+", server.target)
    async with httpx.AsyncClient(trust_env=False) as http:
        page, metrics = await http.get(server.ui_url), await http.get(server.metrics_url)
    assert page.status_code == 200
    assert "_app/immutable" in page.text
    assert "service_requests" in metrics.text


async def test_its_database_is_for_its_owner_alone(server: EmbeddedServer, folder: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("temporal.db*")}  # noqa: ASYNC240
    assert set(modes.values()) == {0o600}, modes


async def test_keeps_closed_workflows_for_ninety_days(server: EmbeddedServer) -> None:
    client = await Client.connect(server.target)
    told = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert told.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=90)


async def test_knows_the_search_attributes_and_lets_them_be_registered_again(server: EmbeddedServer) -> None:
    client = await Client.connect(server.target)
    await register(client, [PHASE, DUE])
    late = SearchAttributeKey.for_int("PactLate")
    await register(client, [PHASE, late])
    given = TypedSearchAttributes([SearchAttributePair(PHASE, "open"), SearchAttributePair(late, 3)])
    await client.start_workflow("Untouched", id="attributed", task_queue="nobody", search_attributes=given)
    told = await client.get_workflow_handle("attributed").describe()
    assert told.typed_search_attributes[PHASE] == "open"
    assert told.typed_search_attributes[late] == 3


async def test_a_search_attribute_of_another_type_is_told_in_a_sentence(server: EmbeddedServer) -> None:
    client = await Client.connect(server.target)
    with pytest.raises(
        ServerError, match="attribute PactPhase must be int; the server has it as keyword: remove it there"
    ):
        await register(client, [SearchAttributeKey.for_int("PactPhase")])


async def test_listens_on_loopback_alone(server: EmbeddedServer) -> None:
    assert listening(server.pid) == {"127.0.0.1"}


async def test_asks_nobody_outside_for_a_newer_version(server: EmbeddedServer) -> None:
    assert DYNAMIC_CONFIG["frontend.enableServerVersionCheck"] == "false"
    words = command_line(server.pid)
    assert "frontend.enableServerVersionCheck=false" in words
    assert "--ui-disable-news-fetch" in words


async def test_the_terminals_interrupt_does_not_reach_it(server: EmbeddedServer) -> None:
    assert os.getsid(server.pid) == server.pid
    assert os.getpgid(server.pid) != os.getpgid(0)


async def test_a_second_server_in_the_folder_is_refused_in_a_sentence_that_names_the_first(
    server: EmbeddedServer, folder: Path
) -> None:
    second = EmbeddedServer(folder)
    with pytest.raises(ServerError) as refused:
        await second.start()
    assert str(refused.value) == (
        f"{folder} is in use by the pactkeeper with process id {os.getpid()}, "
        f"whose Temporal server is at {server.target}; stop that one or choose another folder"
    )
    assert StateDir(folder).running() == server.addresses


async def test_a_port_that_is_taken_is_refused_in_a_sentence(server: EmbeddedServer, tmp_path: Path) -> None:
    port = int(server.target.rpartition(":")[2])
    with pytest.raises(ServerError, match=f"port {port} for the Temporal server is taken; choose another"):
        await EmbeddedServer(tmp_path, port=port).start()
    assert StateDir(tmp_path).running() is None


async def test_a_port_that_is_lost_to_another_at_the_last_moment_is_given_up_for_another(tmp_path: Path) -> None:
    # Fails once as the real one does when somebody was quicker, and else is the real one.
    loser = program(
        tmp_path,
        f"""mkdir "${{0%/*}}/lost" && echo "Error: listen tcp 127.0.0.1:1: bind: address already in use" >&2 && exit 1
        exec {temporal_executable()} "$@" """,
    )
    async with EmbeddedServer(tmp_path / "state", executable=loser) as server:
        await Client.connect(server.target)
    assert (tmp_path / "lost").is_dir()


async def test_servers_that_start_in_the_same_moment_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    servers = [EmbeddedServer(tmp_path / name) for name in "ab"]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        for server in servers:
            client = await Client.connect(server.target)
            await client.start_workflow("Untouched", id="the same", task_queue="nobody")
        assert len({server.ui_url for server in servers}) == 2
    finally:
        await asyncio.gather(*(server.stop() for server in servers))


async def test_a_started_workflow_outlives_a_killed_server_and_the_port_is_taken_up_again(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with EmbeddedServer(tmp_path, port=port) as killed:
        client = await Client.connect(killed.target)
        await client.start_workflow("Untouched", id="kept", task_queue="nobody")
        os.kill(killed.pid, signal.SIGKILL)
        assert await killed.wait() == -signal.SIGKILL
    async with EmbeddedServer(tmp_path, port=port) as again:
        assert again.target == f"127.0.0.1:{port}"
        client = await Client.connect(again.target)
        told = await client.get_workflow_handle("kept").describe()
        assert told.status == WorkflowExecutionStatus.RUNNING
        pid = again.pid
    assert ended(pid)
    assert StateDir(tmp_path).running() is None
    with pytest.raises(ServerError, match="not running"):
        _ = again.target


async def test_dies_with_a_killed_parent_and_the_next_one_takes_over_the_folder(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, tmp_path, cwd=root, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = json.loads(await parent.stdout.readline())["server"]
    parent.kill()
    await parent.communicate()
    await eventually(lambda: ended(pid))
    async with EmbeddedServer(tmp_path) as again:
        client = await Client.connect(again.target)
        assert (await client.get_workflow_handle("kept").describe()).status == WorkflowExecutionStatus.RUNNING


async def test_a_lock_file_left_behind_means_nothing_and_a_server_left_behind_is_named(tmp_path: Path) -> None:
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    folder = StateDir(tmp_path)
    await folder.claim()
    (tmp_path / "temporal.json").write_text(
        json.dumps({"target": "t", "ui_url": "u", "metrics_url": "m", "pid": gone.pid, "server_pid": 4711})
    )
    with pytest.raises(ServerError, match="is in use by a Temporal server left behind, process id 4711; end that one"):
        await StateDir(tmp_path, patience=0.2).claim()
    folder.release()
    assert (tmp_path / "temporal.lock").exists()
    await folder.claim()
    folder.release()


async def test_a_server_that_cannot_start_is_told_in_its_own_last_words(tmp_path: Path) -> None:
    broken = program(tmp_path, 'echo "Error: the disk is made of cheese" >&2; exit 1')
    with pytest.raises(
        ServerError, match=r"^the embedded server ended before it answered: the disk is made of cheese$"
    ):
        await EmbeddedServer(tmp_path / "state", executable=broken).start()
    assert StateDir(tmp_path / "state").running() is None


async def test_a_server_that_never_answers_is_given_up_and_not_left_running(tmp_path: Path) -> None:
    dumb = program(tmp_path, 'echo $$ > "${0%/*}/pid"; exec sleep 60')
    with pytest.raises(ServerError, match=r"did not answer within 1 s; see .*temporal\.log$"):
        await EmbeddedServer(tmp_path / "state", executable=dumb, patience=timedelta(seconds=1)).start()
    assert ended(int((tmp_path / "pid").read_text()))


async def test_a_missing_program_and_a_folder_that_cannot_be_are_told_in_a_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "nothing-here"
    with pytest.raises(ServerError, match="nothing-here cannot be run: No such file or directory"):
        await EmbeddedServer(tmp_path / "state", executable=missing).start()
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="file/state cannot be written: Not a directory"):
        await EmbeddedServer(tmp_path / "file" / "state").start()


def test_the_program_comes_from_the_wheel() -> None:
    assert temporal_executable().is_file()
    assert os.access(temporal_executable(), os.X_OK)
