"""Print an env file with its gaps filled: each name that has no value gets a fresh random secret, safe in a URL and a shell."""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path


def filled(text: str, secret: Callable[[], str]) -> str:
    """The same lines, with `secret()` after each `NAME=` that ends there."""
    lines = (line.rstrip() for line in text.splitlines())
    return "".join(
        f"{line}{secret()}\n" if line.endswith("=") and not line.startswith("#") else f"{line}\n" for line in lines
    )


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("fill_env.py takes one argument, the env file to fill, such as .env.example")
    sys.stdout.write(filled(Path(sys.argv[1]).read_text(encoding="utf-8"), lambda: secrets.token_hex(24)))
