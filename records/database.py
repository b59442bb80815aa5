"""How to reach the database: SQLite by default, PostgreSQL in production; one URL for the migrations and the engine."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

MIGRATIONS = Path(__file__).parent / "migrations"
_CONNECT_SECONDS = 5
_PATIENCE_SECONDS = 5
_UPGRADE_LOCK = 0x9AC7_4EE9
_ALLOWED = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"


def default_url(state: Path) -> str:
    """The database of an installation that names none: a SQLite file in the state folder."""
    return f"sqlite:///{state / 'records.db'}"


def engine(url: str) -> AsyncEngine:
    """The engine that the stores share. Whoever makes it disposes of it (`await engine.dispose()`).

    SQLite: full sync, five seconds' patience with another writer; the write-ahead log is laid by `upgrade`.

    Raises:
        ValueError: `url` is none of the two kinds; the sentence never repeats the URL.
    """
    target = _parse(url)
    if target.get_backend_name() == "sqlite":
        made = create_async_engine(target.set(drivername="sqlite+aiosqlite"))
        event.listen(made.sync_engine, "connect", _pragmas)
        return made
    return create_async_engine(target, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_SECONDS})


def upgrade(url: str) -> None:
    """Bring the database to the newest schema, creating what is not there. Blocks: call it in a thread.

    Several processes may start at once: one migrates, the others wait. An upgrade is done wholly or not at all.

    Raises:
        ValueError: as for `engine`.
    """
    parsed = _parse(url)
    _for_its_owner_alone(parsed)
    made = _sync_engine(parsed)
    try:
        with made.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
            command.upgrade(alembic_config(connection), "head")
    finally:
        made.dispose()


def _for_its_owner_alone(url: URL) -> None:
    """A new file of SQLite is for nobody else's eyes: names, addresses and dead letters stand in it."""
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        with contextlib.suppress(FileExistsError, FileNotFoundError, PermissionError):  # the engine says what is wrong
            os.close(os.open(url.database, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def alembic_config(connection: Connection) -> Config:
    """What Alembic's commands need to work over this connection, within its transaction."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _parse(url: str) -> URL:
    try:
        target = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(f"the database URL cannot be read; {_ALLOWED}") from None
    match target.drivername:
        case "sqlite" | "sqlite+aiosqlite":
            if not target.database or target.database == ":memory:":
                raise ValueError(f"the database URL names no file; {_ALLOWED}")
            return target.set(drivername="sqlite")
        case "postgres" | "postgresql" | "postgresql+psycopg":
            return target.set(drivername="postgresql+psycopg")
        case other:
            raise ValueError(f"the database URL starts with {other!r}; {_ALLOWED}")


def _sync_engine(target: URL) -> Engine:
    if target.get_backend_name() != "sqlite":
        return create_engine(target, connect_args={"connect_timeout": _CONNECT_SECONDS})
    assert target.database is not None
    Path(target.database).parent.mkdir(parents=True, exist_ok=True)
    made = create_engine(target)
    event.listen(made, "connect", _pragmas)
    event.listen(made, "connect", _write_ahead)
    event.listen(made, "connect", _no_hidden_transactions)
    event.listen(made, "begin", _begin_as_writer)
    return made


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for setting in (f"busy_timeout={_PATIENCE_SECONDS * 1000}", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _write_ahead(connection: Any, _record: Any) -> None:
    """Switch the file to its write-ahead log, for good. SQLite does not wait here for another who is just doing it."""
    ends = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= ends:
                raise
            time.sleep(0.02)
        else:
            return


def _no_hidden_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin_as_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
