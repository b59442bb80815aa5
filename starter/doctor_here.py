"""Whether what lies on this machine is as it should be: the database, the policies, the web intake."""

import os
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from activities.settings import TEMPLATES
from activities.template_check import check_templates
from records import database as records
from records.shelf import Shelf
from starter.asking_web import Silent, ask
from starter.commands.customers_here import prepared
from starter.connecting import BASE_VARIABLE
from starter.findings import INSTALLATION, Finding, State
from starter.home import Home
from starter.kept import recorded
from starter.policy_check import check_files

SHOWN = 5
SETUP = "run `pactkeeper setup` (or `pactkeeper up`)"


async def database(home: Home) -> list[Finding]:
    """Whether the database of records answers, with the tables of this version."""
    if not prepared(home):
        return [_line("database", "failure", f"there is none yet in {home.state}", SETUP)]
    script = Config()
    script.set_main_option("script_location", str(records.MIGRATIONS).replace("%", "%%"))
    newest = ScriptDirectory.from_config(script).get_current_head()
    async with recorded(home) as kept:
        kind = kept.engine.dialect.name
        try:
            async with kept.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                try:
                    has = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
                except (OperationalError, ProgrammingError):
                    has = None
        except OperationalError:
            return [_line("database", "failure", f"{kind} can't be reached", "check PACTKEEPER_DATABASE")]
    if has == newest:
        return [_line("database", "ok", f"{kind} answers, and its tables are of this version")]
    return [_line("database", "failure", f"its tables are at {has or 'nothing'}; this version needs {newest}", SETUP)]


async def policies(shelf: Shelf) -> list[Finding]:
    """Whether contracts, playbooks, teams, customers and sources can be read, and make sense together."""
    found = check_files([], shelf)
    wrong = [one for one in found if one.severity == "error"]
    if not found:
        return [_line("policies", "ok", f"nothing is wrong in {shelf.root.name}/")]
    state: State = "failure" if wrong else "warning"
    shown = (wrong or found)[:SHOWN]
    more = len(wrong or found) - len(shown)
    fields = tuple((f"{one.file}:{one.line}", one.message) for one in shown)
    says = f"{len(wrong)} errors, {len(found) - len(wrong)} warnings" + (f"; {more} more of them" if more else "")
    return [Finding(INSTALLATION, "policies", state, says, "`pactkeeper policy check` lists them all", fields)]


async def templates() -> list[Finding]:
    """Whether a team's own templates, where it has some, can be used."""
    folder = os.environ.get(TEMPLATES, "").strip()
    if not folder:
        return []
    wrong = check_templates(Path(folder))
    if not wrong:
        return [_line("templates", "ok", f"those in {folder} can be used")]
    more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return [_line("templates", "failure", f"{wrong[0]}{more}", "mend them; until then our own words go out")]


async def web_intake(where: str) -> list[Finding]:
    """Whether our own web intake answers, and has Temporal behind it."""
    remedy = "start it with `pactkeeper up` or `pactkeeper web`, or say where it is: --web http://127.0.0.1:8400"
    try:
        alive, ready = await ask("GET", f"{where}/healthz"), await ask("GET", f"{where}/readyz")
    except Silent as silence:
        return [_line("web intake", "failure", f"{where} {silence}", remedy)]
    if alive.status != 200 or alive.body.strip() != b"ok":
        return [_line("web intake", "failure", f"something else answers at {where}", remedy)]
    if ready.status == 200:
        return [_line("web intake", "ok", f"{where} answers, with Temporal behind it"), *await _from_outside()]
    return [_alone(where)]


async def without_temporal(where: str) -> list[Finding]:
    """A line where our own web intake answers, and Temporal does not."""
    try:
        alive, ready = await ask("GET", f"{where}/healthz"), await ask("GET", f"{where}/readyz")
    except Silent:
        return []
    return [_alone(where)] if alive.status == 200 and ready.status == 503 else []


def _alone(where: str) -> Finding:
    says = f"{where} answers, without Temporal: what the sources send waits in the records, all else is put off"
    return _line("web intake", "failure", says, "see to Temporal first")


async def _from_outside() -> list[Finding]:
    """Whether the address that people and helpdesks are given leads here, as far as that can be told from here."""
    url = os.environ.get(BASE_VARIABLE, "").strip().rstrip("/")
    if not url:
        return []
    try:
        there = await ask("GET", f"{url}/healthz")
        why = (
            "" if there.status == 200 and there.body.strip() == b"ok" else f"answered {there.status}, and not as we do"
        )
    except Silent as silence:
        why = str(silence)
    if not why:
        return [_line("address", "ok", f"{url} leads to our web intake")]
    do = f"look at the proxy before it; where it can be reached only from outside, that is no fault: {BASE_VARIABLE}"
    return [_line("address", "warning", f"{url} {why}, as seen from here", do)]


def _line(what: str, state: State, says: str, do: str = "") -> Finding:
    return Finding(INSTALLATION, what, state, says, do)
