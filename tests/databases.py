"""The databases that tests ask: a fresh one of each kind for every test that takes `url` or `engine`."""

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from records import database


def postgresql_tool(name: str) -> str | None:
    """A program of a PostgreSQL server, where this machine has one."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((found for place in [*map(str, places), None] if (found := shutil.which(name, path=place))), None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A throw-away PostgreSQL server on a free port of 127.0.0.1; the URL of it, without a database's name."""
    initdb, pg_ctl = postgresql_tool("initdb"), postgresql_tool("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("this machine has no PostgreSQL server (initdb, pg_ctl), so only SQLite was tested")
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()  # the server refuses to run as root
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = Path(tempfile.mkdtemp(prefix="pg"))
    shutil.chown(home, user)
    data, log = home / "data", home / "log"

    def run(*words: str) -> None:
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        subprocess.run(words, user=user, cwd=home, env=env, check=True, stdout=subprocess.DEVNULL, timeout=60)

    run(initdb, "--pgdata", str(data), "--auth=trust", "--username=pactkeeper", "--encoding=UTF8", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {home} -c fsync=off"
    run(pg_ctl, "start", "--wait", "--pgdata", str(data), "--log", str(log), "--options", options)
    try:
        yield f"postgresql://pactkeeper@127.0.0.1:{port}"
    finally:
        run(pg_ctl, "stop", "--wait", "--pgdata", str(data), "--mode=immediate")
        shutil.rmtree(home)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return database.default_url(tmp_path / "not" / "yet" / "there")
    server: str = request.getfixturevalue("postgresql")
    name = f"test_{os.urandom(6).hex()}"
    made = database._sync_engine(database._parse(f"{server}/postgres"))
    with made.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    made.dispose()
    return f"{server}/{name}"


@pytest_asyncio.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    await asyncio.to_thread(database.upgrade, url)
    made = database.engine(url)
    yield made
    await made.dispose()
