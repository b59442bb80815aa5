"""`connect`: set up a source, step by step; add a secret beside the old one; take the old one away."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starter.commands import terminal
from starter.commands.asking import address, asked, secret_in
from starter.commands.connect_secrets import DROP, ROTATE, after, credentials, drop, generic, keep, paste, rotate
from starter.commands.failures import RefusalError
from starter.commands.options import Json, argument, option
from starter.home import Home

if TYPE_CHECKING:
    from sla.source import Source
    from starter.connecting import Api

What = Annotated[
    str | None, argument("[KIND|rotate|drop-secret]", "The kind of source, such as zendesk; left out: list them.")
]
Named = Annotated[str | None, argument("[NAME]", "The source's name, part of its address; left out: as its kind.")]
SecretFile = Annotated[
    Path | None, option("FILE", "The secret that the source made, in a file; `-`: standard input.", "--secret-file")
]


def connect(
    what: What = None,
    place: Named = None,
    name: Annotated[str | None, option("NAME", "The same as NAME after the kind.")] = None,
    url: Annotated[str | None, option("URL", "Where its API is, such as https://acme.zendesk.com.")] = None,
    customer: Annotated[str | None, option("CUSTOMER", "Whose a ticket is when nothing else tells.")] = None,
    hook_base: Annotated[
        str | None, option("URL", "Where the web intake is from outside; left out: $PACTKEEPER_URL.", "--hook-base")
    ] = None,
    write: Annotated[
        str | None, option("PARTS", "What is written back: notes, assignee, priority, due, tags; with commas.")
    ] = None,
    user: Annotated[str | None, option("USER", "As whom its API is used, where it asks for that.")] = None,
    secret_file: SecretFile = None,
    token_file: Annotated[
        Path | None, option("FILE", "The token or password of its API, in a file.", "--token-file")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    json: Json = False,
) -> None:
    """Connect a helpdesk or another source: write its file and its secret, and print the clicks in their order.

    At a terminal it asks for what is missing. `rotate NAME` adds a secret beside those that there are, or puts in the
    API's token (`--token-file`, `--user`); `drop-secret NAME` takes the oldest secret away.

    Example: pactkeeper connect

    Example: pactkeeper connect zendesk --url https://acme.zendesk.com --customer acme --write notes,assignee

    Example: pactkeeper connect rotate zendesk
    """
    from starter.connecting import GENERIC, SETUPS

    if place and name and place != name:
        raise RefusalError(f"NAME is {place!r} and --name is {name!r}; write one of them", 2)
    called, hook_base = place or name, address(hook_base, "--hook-base")
    if what is None:
        _list(json)
    elif what in (ROTATE, DROP):
        if called is None:
            raise RefusalError(
                f"NAME is missing; write pactkeeper connect {what} NAME, as `pactkeeper sources` lists it", 2
            )
        said = {"--url": url, "--customer": customer, "--write": write}
        if extra := next((option for option, value in said.items() if value is not None), None):
            where = f"write that into policies/sources/{called}.yaml"
            raise RefusalError(f"{extra} is nothing that connect {what} changes; {where}", 2)
        if what == ROTATE and (token_file or user):
            credentials(called, user, token_file, json=json)
        if what == ROTATE and (secret_file or not (token_file or user)):
            rotate(called, secret_file, hook_base, json=json)
        elif what == DROP:
            drop(called, json=json)
    elif what not in SETUPS:
        raise RefusalError(f"{what!r} is no kind of source; write one of: {', '.join(SETUPS)}", 2)
    elif what == GENERIC:
        generic(customer or called, secret_file, hook_base, force=force, json=json)
    else:
        given = _Given(
            what, called or what, url, customer, hook_base, write, user, secret_file, token_file, force, json
        )
        _connect(given)


@dataclass(frozen=True)
class _Given:
    kind: str
    name: str
    url: str | None
    customer: str | None
    base: str | None
    write: str | None
    user: str | None
    secret_file: Path | None
    token_file: Path | None
    force: bool
    json: bool


def _list(json: bool) -> None:
    from starter.connecting import SETUPS

    if json:
        terminal.as_json([{"kind": kind, "title": one.title, "brings": one.brings} for kind, one in SETUPS.items()])
        return
    made = terminal.table("kind", "what it is", "what comes from it")
    for kind, one in SETUPS.items():
        terminal.row(made, (kind, one.title, one.brings))
    terminal.show(made)
    terminal.note("`pactkeeper connect KIND` sets one up; docs/connect.md is the way in ten minutes.")


def _connect(given: _Given) -> None:
    from records.shelf import Shelf, shown
    from starter import secrets_file
    from starter.commands.customers_here import known, policies_here
    from starter.connecting import SETUPS, example, fresh_secret, written
    from starter.kept import setting

    home, setup = Home.here(), SETUPS[given.kind]
    file = Shelf().root / "sources" / f"{given.name}.yaml"
    if file.exists() and not given.force and not example(file):
        raise RefusalError(
            f"{shown(file)} is there already; `pactkeeper connect {ROTATE} {given.name}` adds a secret, "
            f"`pactkeeper connect {given.kind} OTHER` connects another account, --force writes the file anew"
        )
    policies = policies_here(home)
    customer = given.customer or asked(
        f"Whose tickets are they, where nothing else tells (there are: {known(policies)}; Enter: nobody's)"
    )
    if customer and customer not in policies.customers():
        terminal.note(f"there is no customer {customer!r} yet; `pactkeeper customer set {customer} --new` makes one")
    url = address(given.url or (asked(f"Address of its API, such as {setup.api.url}") if setup.api else None), "--url")
    source = _source(given, url, customer)
    user, token = _credentials(given, setup.api if url else None)
    secret = secret_in(given.secret_file, "--secret-file") or (None if setup.theirs else fresh_secret(given.kind))
    place = ("sources", source.name)
    puts = [((*place, part), value) for part, value in (("user", user), ("token", token)) if value]
    with setting():
        kept = secrets_file.made(home.state, list(policies.customers()))
        secrets_file.change(kept, [*puts, *([((*place, "secrets"), [secret])] if secret else [])])
    said = _put(file, written(source))
    terminal.note(f"{said} Its secrets stand in {kept}, for their owner's eyes alone.")
    paste(given.kind, source.name, customer, None if setup.theirs else secret, given.base, json=given.json)
    if setup.theirs and not secret:
        secret = asked(f"The secret ({setup.theirs}); Enter leaves it for later", hide=True)
        if secret:
            keep(kept, (*place, "secrets"), secret)
        else:
            how = f"`pactkeeper connect {ROTATE} {source.name} --secret-file FILE` takes it"
            terminal.note(f"{setup.title} makes the secret ({setup.theirs}); once you have it, {how}.")
    after(source.name, given.kind)


def _source(given: _Given, url: str | None, customer: str | None) -> "Source":
    from sla.source import Source
    from starter.commands.options import made
    from starter.connecting import SETUPS

    setup = SETUPS[given.kind]
    writes = tuple(part.strip() for part in (given.write or "").split(",") if part.strip())
    if writes and (setup.api is None or not setup.api.writes):
        raise RefusalError(
            f"--write names what to write back, and nothing is written into {setup.title}; leave it out", 2
        )
    if writes and url is None:
        raise RefusalError("--write names what to write back, and there is no address to write to; add --url", 2)
    return made(
        Source, {"name": "NAME", "writes": "--write"}, name=given.name, kind=given.kind, url=url,
        customer=customer or None, writes=writes,
    )  # fmt: skip


def _credentials(given: _Given, api: "Api | None") -> tuple[str | None, str | None]:
    token = secret_in(given.token_file, "--token-file")
    if api is None:
        return given.user, token
    user = given.user or (asked(f"Its {api.user}") if api.user else None)
    token = token or asked(f"Its {api.token}; Enter leaves it for later", hide=True)
    if not token:
        how = f"`pactkeeper connect {ROTATE} {given.name} --token-file FILE{' --user USER' if api.user else ''}` puts it in"
        terminal.note(f"Without its {api.token} its API can't be used; once you have it, {how}.")
    elif api.user and not user:
        terminal.note(f"Its {api.user} is left out, so the token must be one that stands for itself; --user names it.")
    return user, token


def _put(file: Path, text: str) -> str:
    """Write the source's file; where its folder can't be written, the text is shown, to be put there by hand."""
    from records.shelf import shown

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        why = f"{shown(file)} can't be written here ({error.strerror})"
        terminal.note(f"{why}; where policies are kept, put this into it:\n\n{text}")
        return f"{shown(file)} is still to be written."
    return f"{shown(file)} says what it is."
