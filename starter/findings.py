"""What an examination finds: one line each, what it means, and what to do about it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failure"]
INSTALLATION = "This installation"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Nothing in it is secret."""

    about: str
    """A source's name, or the installation."""
    what: str
    """Two or three words: what was looked at."""
    state: State
    says: str
    do: str = ""
    """What to do about it; empty where nothing needs to be done."""
    fields: tuple[tuple[str, str], ...] = ()
    """What a delivery was made of: label and value."""


async def tried(about: str, what: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """What a check finds; whatever it runs into is a finding, too, and the others go on."""
    from starter.commands.failures import sentences

    try:
        return await check()
    except Exception as error:  # noqa: BLE001 - one check that falls over must not hide what the others find
        said = sentences(error) or [f"could not be looked at ({type(error).__name__})"]
        return [Finding(about, what, "failure", said[0])]
