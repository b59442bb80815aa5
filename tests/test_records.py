"""The database: SQLite and PostgreSQL give the same answers, and the migrations make exactly what the models say."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine

from records import database
from records.models import Base
from records.sent import Sent, SentStore

ROOT = Path(__file__).parent.parent
AT = datetime(2031, 7, 11, 16, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-7)))
SENT = Sent(
    key="incident/desk/4711/escalation/response/75%/1/dana", incident="incident/desk/4711", kind="escalation",
    clock="response", step="75%", clause="X01", channel="email", recipients=("dana", "ann@acme.example"), via="log",
    sent_at=AT, detail="email is not set up here; written to the log",
)  # fmt: skip


@pytest.fixture
def store(engine: AsyncEngine) -> SentStore:
    return SentStore(engine)


async def on(engine: AsyncEngine, ask: object) -> object:
    """What a synchronous question gives over a connection of the engine."""
    assert callable(ask)
    async with engine.connect() as connection:
        return await connection.run_sync(ask)


async def test_migrations_and_models_agree(engine: AsyncEngine) -> None:
    """Alembic, comparing the upgraded database to the models, finds nothing to change."""

    def differences(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, Base.metadata)

    assert await on(engine, differences) == []


async def test_an_upgrade_of_what_is_up_to_date_changes_nothing(url: str, store: SentStore) -> None:
    await store.put(SENT)
    await asyncio.to_thread(database.upgrade, url)
    assert await store.get(SENT.key) is not None


async def test_several_processes_that_start_at_once_all_find_an_upgraded_database(url: str) -> None:
    script = f"from records import database; print(flush=True); input(); database.upgrade({url!r})"
    start = partial(asyncio.create_subprocess_exec, sys.executable, "-c", script, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    runs = [await start() for _ in range(4)]
    for run in runs:
        assert run.stdout is not None
        await run.stdout.readline()
    await asyncio.gather(*(run.communicate(b"go\n") for run in runs))
    assert [run.returncode for run in runs] == [0, 0, 0, 0]
    made = database.engine(url)
    assert await SentStore(made).recent() == []
    await made.dispose()


async def test_an_upgrade_that_fails_half_way_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(op, "create_index", fail)
    with pytest.raises(RuntimeError, match="disk is full"):
        await asyncio.to_thread(database.upgrade, url)
    monkeypatch.undo()
    made = database.engine(url)
    assert await on(made, lambda c: inspect(c).get_table_names()) == []
    await made.dispose()
    await asyncio.to_thread(database.upgrade, url)


async def test_every_revision_can_be_taken_back(engine: AsyncEngine) -> None:
    def back_and_forth(connection: Connection) -> list[str]:
        command.downgrade(database.alembic_config(connection), "base")
        bare = inspect(connection).get_table_names()
        command.upgrade(database.alembic_config(connection), "head")
        return bare

    assert await on(engine, back_and_forth) == ["alembic_version"]


def test_the_revisions_are_one_chain() -> None:
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


async def test_what_was_sent_is_given_back_as_it_was(store: SentStore) -> None:
    assert await store.get(SENT.key) is None
    assert await store.put(SENT)
    kept = await store.get(SENT.key)
    assert kept == SENT
    assert kept.sent_at.tzinfo is UTC, "to the microsecond, in UTC"


async def test_a_second_put_of_a_key_keeps_the_first(store: SentStore) -> None:
    assert await store.put(SENT)
    assert not await store.put(replace(SENT, via="email", detail="another"))
    assert await store.get(SENT.key) == SENT


async def test_of_puts_at_the_same_time_one_is_kept(store: SentStore) -> None:
    kept = await asyncio.gather(*(store.put(replace(SENT, detail=str(n))) for n in range(8)))
    assert sorted(kept) == [False] * 7 + [True]
    assert len(await store.recent()) == 1


async def test_the_newest_come_first_and_no_more_than_asked_for(store: SentStore) -> None:
    for n in (2, 0, 3, 1):
        await store.put(replace(SENT, key=str(n), sent_at=AT + timedelta(seconds=n)))
    assert [sent.key for sent in await store.recent(3)] == ["3", "2", "1"]


@pytest.mark.parametrize("odd", ["'; DROP TABLE notices_sent; --", "ünïcode \N{WARNING SIGN}", "x" * 1000, "100%"])
async def test_any_text_is_only_text(store: SentStore, odd: str) -> None:
    sent = replace(SENT, key=odd, recipients=(odd, "a,b"), detail=odd, clock=None, step=None, clause=None)
    await store.put(sent)
    assert await store.get(odd) == sent


async def test_a_time_without_an_offset_is_refused(store: SentStore) -> None:
    with pytest.raises(StatementError, match="has no offset; the database keeps aware times only"):
        await store.put(replace(SENT, sent_at=AT.replace(tzinfo=None)))


async def test_sqlite_runs_with_a_write_ahead_log_and_full_sync(tmp_path: Path) -> None:
    url = database.default_url(tmp_path)
    await asyncio.to_thread(database.upgrade, url)
    made = database.engine(url)
    async with made.connect() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar_one() for name in ("journal_mode", "synchronous")
        ]
    await made.dispose()
    assert found == ["wal", 2]


async def test_a_database_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    made = database.engine(f"sqlite:///{tmp_path / 'no' / 'records.db'}")
    with pytest.raises(OperationalError):
        await SentStore(made).get("x")
    await made.dispose()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u:hunter2@h/db", "the database URL starts with 'mysql'; write sqlite:///FILE or postgresql://"),
        ("postgresql+asyncpg://u:hunter2@h/db", "the database URL starts with 'postgresql+asyncpg'; write"),
        ("sqlite://", "the database URL names no file; write"),
        ("sqlite:///:memory:", "the database URL names no file; write"),
        ("hunter2", "the database URL cannot be read; write"),
        ("postgresql://u:hunter2@h:port/db", "the database URL cannot be read; write"),
        ("", "the database URL cannot be read; write"),
    ],
)
def test_a_database_of_another_kind_is_refused_in_a_sentence_without_the_password(url: str, sentence: str) -> None:
    for use in (database.engine, database.upgrade):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}") as caught:
            use(url)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgres://u@h/db", "postgresql://u@h/db", "postgresql+psycopg://u@h/db"])
def test_postgresql_goes_by_each_of_its_names(url: str) -> None:
    assert database.engine(url).url.drivername == "postgresql+psycopg"
