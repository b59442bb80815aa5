"""The command line, carried out within a test's own process."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from starter import cli

ROOT = Path(__file__).resolve().parent.parent
NOBODY = "127.0.0.1:1"
"""An address at which nothing answers."""

Run = Callable[..., tuple[int, str, str]]


@contextlib.contextmanager
def own_logging() -> Iterator[None]:
    """What a command does to the logging of its process is undone."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Carry out a command line in this process: exit status, standard output, standard error."""
    monkeypatch.setenv("PACTKEEPER_STATE", str(tmp_path / "var"))
    monkeypatch.setenv("TEMPORAL_ADDRESS", NOBODY)
    monkeypatch.delenv("PACTKEEPER_DATABASE", raising=False)
    monkeypatch.delenv("PACTKEEPER_DEBUG", raising=False)
    monkeypatch.chdir(ROOT)

    def carry_out(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with own_logging():
            code = cli.run(arguments)
        said = capfd.readouterr()
        return code, said.out, said.err

    return carry_out
