"""Whether a connected source works: its file, its secrets, the way in with a signed sample, its API, when it was heard."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable
from activities.helpdesks.kinds import CLIENTS, helpdesk
from records.shelf import Shelf
from records.sources import SourceStore, quiet
from sla.source import Source
from starter.asking_web import Silent, ask
from starter.commands.customers_here import prepared
from starter.commands.terminal import from_now, moment
from starter.connecting import SETUPS
from starter.doctor_clock import compared
from starter.findings import Finding, State, tried
from starter.home import Home
from starter.hook_settings import HookSettingError, SourceSecrets, read
from starter.kept import recorded
from starter.secrets_file import file_of
from starter.sources import KINDS
from starter.way_in import way_in

BROKEN = ("broke off", "refused")
"""How the sentence about a round begins that did not come to its end."""
LONG_ENOUGH = 24
"""Characters of a secret that nobody guesses."""

ALIKE: Final = frozenset({"mail", "slack"})
"""Kinds whose deliveries do not tell a customer from one of the team."""


async def source(home: Home, shelf: Shelf, path: Path, web: str) -> list[Finding]:
    """What is found of the source of that file; little more than the first lines where they fail."""
    told = shelf.sheet(Source, "source", path).model
    line = partial(Finding, told.name)
    if told.kind not in KINDS:
        return [line("file", "failure", f"kind is {told.kind!r}", f"write one of: {', '.join(KINDS)}")]
    kept, found = _secrets(home, told)
    found.insert(0, line("file", "ok", f"{SETUPS[told.kind].title}, as {path.parent.name}/{path.name} says"))
    if kept.secrets:
        found += await tried(told.name, "way in", partial(way_in, home, told, kept, web))
    found += await tried(told.name, "API", partial(api, told, kept))
    found += unnamed(told)
    found += await tried(told.name, "customers", partial(customers, home, told))
    found += await tried(told.name, "last heard", partial(_heard, home, told))
    return found


async def strays(home: Home, names: Collection[str]) -> list[Finding]:
    """The secrets of sources that have no file: nothing of theirs is taken."""
    file = file_of(home.state)
    if not file.exists():
        return []
    says, do = (
        "it has secrets, and no file",
        "write policies/sources/{0}.yaml, or take sources.{0} out of hook-secrets.yaml",
    )
    found = [name for name in read(file).sources if name not in names]
    return [Finding(name, "file", "warning", says, do.format(name)) for name in found]


def _secrets(home: Home, told: Source) -> tuple[SourceSecrets, list[Finding]]:
    line, file = partial(Finding, told.name, "secrets"), file_of(home.state)
    how = f"`pactkeeper connect rotate {told.name}` adds one"
    if not file.exists():
        put = "put that file back, with all its secrets; what runs goes on with what it read before"
        return SourceSecrets(), [line("failure", f"there is no {file}", put)]
    try:
        kept = read(file).sources.get(told.name) or SourceSecrets()
    except HookSettingError as error:
        return SourceSecrets(), [
            line("failure", str(error), "mend that file; what runs goes on with what it read before")
        ]
    number = len(kept.secrets)
    if not number:
        return kept, [line("failure", f"{file} has none under sources.{told.name}", how)]
    found = []
    if short := sum(len(one) < LONG_ENOUGH for one in kept.secrets):
        found.append(line("warning", f"{short} of {number} are shorter than {LONG_ENOUGH} characters", how))
    if file.stat().st_mode & 0o077:
        found.append(line("warning", f"others than the owner may read {file}", f"chmod 600 {file}"))
    if number > 1:
        done = f"once the newest is in use: `pactkeeper connect drop-secret {told.name}`"
        found.append(line("ok", f"{number} are active; {done}"))
    return kept, found or [line("ok", "one is active")]


async def api(told: Source, kept: SourceSecrets) -> list[Finding]:
    """Whether its API lets us in, and what time it is there."""
    line, setup = partial(Finding, told.name, "API"), SETUPS[told.kind]
    if told.kind not in CLIENTS or setup.api is None:
        return []
    if told.url is None:
        do = f"add `url:` to its file, such as {setup.api.url}, and its {setup.api.token} to hook-secrets.yaml"
        if setup.api.needed:
            return [line("failure", "none is set up: its webhooks name a ticket and no more, so nothing is heard", do)]
        lost = "what a webhook misses stays missed" + (", and nothing is written back" if setup.api.writes else "")
        return [line("warning", f"none is set up: {lost}", do)]
    account = Account(told.url.rstrip("/"), kept.user, kept.token, told.due_field, told.channels)
    if not kept.token:
        do = f"`pactkeeper connect rotate {told.name} --token-file FILE{' --user USER' if setup.api.user else ''}` puts it in"
        return [line("failure", f"its {setup.api.token} is missing", do)]
    client = helpdesk(told.kind, account)
    assert client is not None
    try:
        found = [line("ok", await client.check())]
    except HelpdeskUnavailable as error:
        found = [line("failure", str(error), "is its address right, and can it be reached from here?")]
    except HelpdeskRefused as error:
        found = [
            line("failure", str(error), f"check user, {setup.api.token} and rights; {_page(told.kind)} names them")
        ]
    try:
        there = await ask("HEAD", account.url)
    except Silent:
        return found
    return (
        found if there.ahead is None else [*found, compared(told.name, setup.title, there.ahead, _give(there.seconds))]
    )


def unnamed(told: Source) -> list[Finding]:
    """What its file should name and does not: whom and what to write back, and who is one of us where nothing else tells."""
    found = []
    do = f"list the team's members under `agents` in its file, as {_page(told.kind)} shows"
    if not told.agents and "assignee" in told.writes:
        says = "`writes` names assignees, and `agents` nobody, so that none is ever written"
        found.append(Finding(told.name, "agents", "warning", says, do))
    elif not told.agents and told.kind in ALIKE:
        says = "`agents` names nobody, so that whoever writes counts as a customer, your own people too"
        found.append(Finding(told.name, "agents", "warning", says, do))
    if not told.priorities and "priority" in told.writes:
        says = "`writes` names priorities, and `priorities` none, so that none is ever written"
        do = f"list its priorities under `priorities` in its file, as {_page(told.kind)} shows"
        found.append(Finding(told.name, "writes", "warning", says, do))
    return found


def _give(seconds: float) -> timedelta:
    """A header tells whole seconds, and the way there and back takes its time."""
    return timedelta(seconds=0.5 + seconds / 2)


def _page(kind: str) -> str:
    return f"docs/sources/{kind}.md"


async def customers(home: Home, told: Source) -> list[Finding]:
    """Whether the customers that its file names are there."""
    if not prepared(home):
        return []
    named = {told.customer, *told.organisations.values(), *told.domains.values()} - {None}
    async with recorded(home) as kept:
        there = kept.policies.customers() if await kept.policies.readable() else named
    do = "`pactkeeper customer set NAME --new` makes one; until then its tickets go to the triage queue"
    return [
        Finding(told.name, "customers", "warning", f"its file names {name}, and there is no such customer", do)
        for name in sorted(str(one) for one in named if one not in there)
    ]


async def _heard(home: Home, told: Source) -> list[Finding]:
    """When a delivery came last, and how its API was read last."""
    line = partial(Finding, told.name, "last heard")
    if not prepared(home):
        return []
    try:
        async with recorded(home) as kept:
            state = await SourceStore(kept.engine).get(told.name)
    except SQLAlchemyError as error:
        return [line("warning", f"the database of records can't tell ({type(error).__name__})")]
    now = datetime.now(UTC)
    if state is None or state.heard_at is None:
        found = [
            line("warning", "nothing has come from it yet", f"send a test from there: {_page(told.kind)} says how")
        ]
    else:
        long: State = "warning" if quiet({told.name: told}, {told.name: state}, now) else "ok"
        do = (
            ""
            if long == "ok"
            else f"look at its webhooks; `quiet_hours: {told.quiet_hours}` in its file says how long it may be quiet"
        )
        found = [line(long, f"{moment(state.heard_at)} UTC, {from_now(state.heard_at, now)}", do)]
    if state is not None and state.read_at is not None:
        how = f"; {state.read_how}" if state.read_how else ""
        good: State = "warning" if state.read_how.startswith(BROKEN) else "ok"
        said = f"{moment(state.read_at)} UTC, {from_now(state.read_at, now)}{how}"
        found.append(Finding(told.name, "last read", good, said))
    return found
