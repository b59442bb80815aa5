"""`notices`: what was sent to people lately."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from starter.commands import terminal
from starter.commands.failures import RefusalError
from starter.commands.options import Json, option
from starter.home import Home


def notices(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 20,
    incident: Annotated[
        str | None, option("TEXT", "Only those about an incident with this in its id, such as 4711.")
    ] = None,
    json: Json = False,
) -> None:
    """List the notices that went out lately: to whom, how, and by which clause.

    Example: pactkeeper notices --limit 5
    """
    found, bundled = asyncio.run(_recent(Home.here(), 10_000 if incident else limit, incident))
    wanted = [one for one in found if incident is None or incident in one["incident"] or one["key"] in bundled][:limit]
    if json:
        terminal.as_json(wanted)
        return
    if not wanted:
        terminal.show("No notice has gone out yet.")
        return
    made = terminal.table("sent (UTC)", "incident", "what", "to", "by", "clause", "detail")
    for sent in wanted:
        what = f"{sent['kind']} {sent['step'] or ''} {sent['clock'] or ''}".replace("_", " ")
        to = ", ".join(sent["recipients"])
        terminal.row(
            made,
            [
                terminal.moment(sent["sent_at"]),
                sent["incident"],
                what,
                to,
                sent["via"],
                sent["clause"] or "–",
                sent["detail"],
            ],
        )
    terminal.show(made)


async def _recent(home: Home, limit: int, incident: str | None) -> tuple[list[dict[str, Any]], set[str]]:
    """The newest, and the keys of those by which an account spoke of the incident, too."""
    from sqlalchemy.exc import SQLAlchemyError

    from records import database
    from records.bundles import BundleStore
    from records.sent import SentStore

    if not home.named_database and not (home.state / "records.db").exists():
        return [], set()
    try:
        engine = database.engine(home.database)
    except ValueError as error:
        raise RefusalError(f"PACTKEEPER_DATABASE: {error}", 2) from None
    try:
        bundled = await BundleStore(engine).said_for(incident) if incident else set()
        return [asdict(sent) for sent in await SentStore(engine).recent(limit)], bundled
    except (SQLAlchemyError, OSError) as error:
        said = "the database of records can't be read"
        raise RefusalError(
            f"{said} ({type(error).__name__}); `pactkeeper setup` (or `up`) brings it up to date"
        ) from None
    finally:
        await engine.dispose()
