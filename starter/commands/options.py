"""What several commands take alike: times, people, texts; each read with one sentence for what can't be."""

import sys
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from records.policy_faults import HINTS
from starter.commands.failures import RefusalError
from starter.commands.terminal import note


def option(metavar: str, tells: str, *names: str) -> Any:
    """An option that takes a value; its default, if any, is told in words."""
    return typer.Option(*names, metavar=metavar, show_default=False, help=tells)


def argument(metavar: str, tells: str) -> Any:
    """An argument, taken by its place."""
    return typer.Argument(metavar=metavar, show_default=False, help=tells)


EARLIEST = 1971
"""What happened before that year has no place in any account or contract."""
AT_HELP = (
    "When it happened, if not now: 2031-07-11T16:00-07:00 or 2031-07-11T23:00Z; "
    "without an offset it is this machine's local time, and you are told so."
)
TICKET_HELP = "The ticket, such as 4711; SOURCE/TICKET, such as acme/4711, where another source has it."
Ticket = Annotated[str, argument("TICKET", TICKET_HELP)]
CustomerId = Annotated[str, argument("CUSTOMER", "The customer's id, such as acme.")]
By = Annotated[str, option("WHO", "Who does it, such as dana.", "--by")]
At = Annotated[str | None, option("TIME", AT_HELP, "--at")]
Source = Annotated[str | None, option("SOURCE", "Take TICKET as it stands, in this source.", "--source")]
Key = Annotated[str | None, option("KEY", "A name for this word: sent twice, it counts once.", "--key")]
Body = Annotated[str, option("TEXT", "The message; `-` reads it from standard input.", "--body")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]

E = TypeVar("E", bound=BaseModel)


def moment(text: str | None, option: str = "--at") -> datetime:
    """The time an option gives, in UTC; now where it is left out.

    Raises:
        RefusalError: it is no time, or has not come yet.
    """
    now = datetime.now(UTC)
    if text is None:
        return now
    at = read_time(text, option)
    if at.tzinfo is None:
        try:
            at = at.astimezone()
        except (OverflowError, ValueError, OSError):
            raise RefusalError(
                f"{option} is {text!r}, which no calendar here reaches; write a time of our days", 2
            ) from None
        note(f"{option} {text} is taken as {at.isoformat()}, by this machine's time zone")
    if at.year < EARLIEST:
        raise RefusalError(f"{option} is {text}, which lies before {EARLIEST}; write a time of our days", 2)
    if at > now:
        raise RefusalError(f"{option} is {text}, which lies ahead; write when it happened, or leave it out for now", 2)
    return at.astimezone(UTC)


def read_time(text: str, option: str) -> datetime:
    """A time as written, with or without an offset."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        allowed = "write a time such as 2031-07-11T16:00, 2031-07-11T16:00-07:00 or 2031-07-11T23:00Z"
        raise RefusalError(f"{option} is {text!r}; {allowed}", 2) from None


def word_key(key: str | None) -> str:
    """The key of a word: the one that was given, else a new one."""
    return f"cli:{uuid.uuid4()}" if key is None else key


def text_of(body: str) -> str:
    """A text; `-` reads it from standard input."""
    return sys.stdin.buffer.read().decode("utf-8", "replace") if body == "-" else body


def fields_of(pairs: list[str]) -> dict[str, str]:
    """`NAME=VALUE` pairs as a map."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise RefusalError(f"--field is {pair!r}; write NAME=VALUE, such as impact='nobody can log in'", 2)
        found[name.strip()] = value
    return found


def made(what: type[E], options: dict[str, str] | None = None, /, **values: Any) -> E:
    """A model from what the options gave; `options` says how the command line calls a field, where not `--field`.

    Raises:
        RefusalError: a value is too long, empty, or none of those allowed.
    """
    try:
        return what(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else what.__name__
        name = (options or {}).get(field, f"--{field.replace('_', '-')}")
        given = str(first["input"])
        shown = repr(given if len(given) <= 60 else given[:57] + "…")
        said = first["msg"].removeprefix("Value error, ").replace("String should", "it should")
        if first["type"] == "string_pattern_mismatch" and (hint := HINTS.get(str(first["ctx"]["pattern"]))):
            said = f"write {hint}"
        if first["type"] == "literal_error":
            said = "write one of: " + str(first["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        raise RefusalError(f"{name} is {shown}; {said[0].lower()}{said[1:]}", 2) from None
