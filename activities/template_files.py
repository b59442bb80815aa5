"""The files that notices are made from: ours under `templates/`, and before them a team's own (`PACTKEEPER_TEMPLATES`).

All are sandboxed; in a text every value is one line without control characters, in a page (`.html.j2`) it is escaped too.
A file of a team's that fails says so in the log, and ours is taken: a notice goes out whatever somebody wrote there.
"""

import logging
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import FileSystemLoader, StrictUndefined, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from activities.message import one_line

TEMPLATES: Final = Path(__file__).parent / "templates"
OURS: Final = "PACTKEEPER_TEMPLATES"
_log = logging.getLogger(__name__)


class Line(str):
    """A line that a template has made: its values are clean, and it may be longer than any of them."""

    __slots__ = ()


def render(name: str, values: Mapping[str, Any]) -> tuple[str, str]:
    """The template's first line, and the rest with no more than one empty line in a row."""
    subject, _, text = rendered(name, values).strip().partition("\n")
    return subject.strip(), re.sub(r"\n{3,}", "\n\n", text).strip()


def rendered(name: str, values: Mapping[str, Any]) -> str:
    """All that the template makes of the values: the team's own, where there is one and it works, else ours."""
    folder = os.environ.get(OURS, "").strip()
    if folder:
        try:
            return made_by(folder, name, values)
        except Exception as error:  # noqa: BLE001 - whatever a team's file raises, the notice goes out in our words
            if isinstance(error, TemplateNotFound) and error.name == name:
                return made_by(str(TEMPLATES), name, values)
            _log.warning("%s can't be used, and our own is: %s", Path(folder) / name, fault(error))
    return made_by(str(TEMPLATES), name, values)


def made_by(folder: str, name: str, values: Mapping[str, Any]) -> str:
    """What the file of that name in a folder makes of the values. Raises what Jinja, or the file itself, raises.

    Raises:
        TemplateNotFound: there is none.
    """
    made: str = _environment(folder, name.endswith(".html.j2")).get_template(name).render(values)
    if not made.strip():
        raise ValueError("it makes nothing")
    return made


def fault(error: Exception) -> str:
    """What is wrong with a template, in a line."""
    line = getattr(error, "lineno", None)
    return one_line(f"{f'line {line}: ' if line else ''}{str(error) or type(error).__name__}", 300)


@lru_cache(maxsize=8)
def _environment(folder: str, page: bool) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=page,
        undefined=StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    return made


def _cleaned(value: Any) -> Any:
    if isinstance(value, Line) or hasattr(value, "__html__"):
        return value
    return one_line(str(value))
