"""The examination of an installation: each of its parts is tried, and each of its sources."""

from collections.abc import Awaitable, Callable
from functools import partial

from records.shelf import Shelf
from starter.doctor_channels import channels
from starter.doctor_here import database, policies, templates, web_intake, without_temporal
from starter.doctor_sources import source, strays
from starter.doctor_temporal import temporal
from starter.findings import INSTALLATION, Finding, tried
from starter.home import Home
from starter.web_note import found


async def examine(home: Home, name: str | None = None, web: str | None = None) -> list[Finding]:
    """What is found; `name`: of one source alone. `web` is where our own web intake is, if not where it left word."""
    where, shelf = web or found(home), Shelf()
    told: list[Finding] = []
    if name is None:
        checks: dict[str, Callable[[], Awaitable[list[Finding]]]] = {
            "Temporal": partial(temporal, home),
            "database": partial(database, home),
            "policies": partial(policies, shelf),
            "templates": templates,
            "channels": partial(channels, home),
            "web intake": partial(web_intake, where),
        }
        for what, check in checks.items():
            told += await tried(INSTALLATION, what, check)
    else:
        told += await tried(INSTALLATION, "web intake", partial(without_temporal, where))
    for path in shelf.paths("source"):
        if name in (None, path.stem):
            told += await tried(path.stem, "source", partial(source, home, shelf, path, where))
    if name is None:
        told += await tried(
            INSTALLATION, "secrets", partial(strays, home, [path.stem for path in shelf.paths("source")])
        )
    return told


def unknown(name: str) -> str | None:
    """One sentence where there is no source of that name; None where there is."""
    names = [path.stem for path in Shelf().paths("source")]
    if name in names:
        return None
    return f"there is no source {name!r}; there are: {', '.join(names) or 'none yet, `pactkeeper connect` makes one'}"
