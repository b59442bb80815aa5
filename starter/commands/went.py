"""By which way each notice of an incident really went. Its log says by which it was meant to; the records, what came of that."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sla import names
from starter.commands.customers_here import prepared
from starter.home import Home

if TYPE_CHECKING:
    from records.sent import Went


async def went(home: Home, incident: str) -> "Sequence[Went]":
    """What the records have of that incident's notices; nothing where they can't be read."""
    from sqlalchemy.exc import SQLAlchemyError

    from records.sent import SentStore
    from starter.kept import recorded

    if not prepared(home):
        return []
    try:
        async with recorded(home) as kept:
            return await SentStore(kept.engine).went(incident)
    except (SQLAlchemyError, OSError, ValueError):
        return []


def with_ways(
    notices: Sequence[Mapping[str, Any]], log: Sequence[Mapping[str, Any]], known: "Sequence[Went]"
) -> list[dict[str, Any]]:
    """The notices of an incident's page, each with `via`: the ways it went by, as far as is known. `log` is the whole log."""
    steps = {
        _name(notice): line["event"]["step_key"]
        for line in log
        if line["event"]["event"] == "step_done"
        for notice in line["event"]["notices"]
    }
    return [{**notice, "via": ways(steps.get(_name(notice), ""), notice["to"], known)} for notice in notices]


def ways(step: str, to: Sequence[str], known: "Sequence[Went]") -> list[str]:
    """The ways by which what that step says went to these people."""
    found = [one.via for who in map(names.canonical, to) for one in known if one.to == who and step in one.steps]
    return list(dict.fromkeys(found))


def by(notice: Mapping[str, Any]) -> str:
    """How a notice went; where that is not as it was meant, both."""
    meant, via = str(notice["channel"]), [str(way) for way in notice.get("via", ())]
    return meant if via in ([], [meant]) else f"{', '.join(via)} (meant: {meant})"


def _name(notice: Mapping[str, Any]) -> tuple[object, ...]:
    at = datetime.fromisoformat(notice["at"])
    return at, notice["kind"], notice["clock"], notice["step"], tuple(notice["to"]), notice["channel"]
