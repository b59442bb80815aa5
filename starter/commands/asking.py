"""What a set-up is given: a secret out of a file, an address, an answer of somebody who sits at the terminal."""

import sys
from collections.abc import Callable
from pathlib import Path

import typer

from starter.commands.failures import RefusalError

MOST = 300
"""Characters that a secret or a token has at most."""


def somebody() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def asked(question: str, *, hide: bool = False) -> str | None:
    """The answer, where somebody sits there; asked on standard error. None: nobody, or nothing was said."""
    if not somebody():
        return None
    ask: Callable[..., str] = typer.prompt
    return ask(question, default="", show_default=False, hide_input=hide, err=True).strip() or None


def secret_in(file: Path | None, name: str) -> str | None:
    """The secret that stands alone in a file; `-` is standard input.

    Raises:
        RefusalError: it can't be read, or holds something else.
    """
    if file is None:
        return None
    try:
        text = (sys.stdin.buffer.read(65536) if str(file) == "-" else file.read_bytes()).decode().strip()
    except OSError as error:
        raise RefusalError(f"{name} names {file}, which can't be read: {error.strerror}", 2) from None
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > MOST or not text.isascii() or not text.isprintable():
        raise RefusalError(f"{name} names {file}, which holds no secret; write it alone into the file, on one line", 2)
    return text


def address(url: str | None, name: str) -> str | None:
    """A web address without a slash at its end.

    Raises:
        RefusalError: it is none, or is not encrypted though it leads elsewhere.
    """
    from activities.settings import web_address

    if not url:
        return None
    try:
        return web_address(url.strip().rstrip("/"), name)
    except ValueError as error:
        raise RefusalError(str(error), 2) from None
