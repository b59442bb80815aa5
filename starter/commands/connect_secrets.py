"""The secrets of connected sources: one more, one less; and what to paste where."""

import os
from pathlib import Path

from starter.commands import terminal
from starter.commands.asking import address, asked, secret_in
from starter.commands.failures import RefusalError
from starter.home import Home

ROTATE, DROP = "rotate", "drop-secret"
AT_ONCE = "What runs goes by that within a second."


def generic(customer: str | None, secret_file: Path | None, base: str | None, *, force: bool, json: bool) -> None:
    """Make a customer's secret of the generic hook, which needs no file."""
    from starter import secrets_file
    from starter.connecting import GENERIC, fresh_secret
    from starter.hook_settings import read
    from starter.kept import setting

    if not customer:
        raise RefusalError("--customer is missing; the generic hook is one customer's, such as --customer acme", 2)
    secret: str | None = None
    with setting():
        first = not secrets_file.file_of(Home.here().state).exists()
        kept = secrets_file.made(Home.here().state, [customer])
        if first and not secret_file:
            (secret,) = secrets_file.at(kept, (GENERIC, customer)) or (None,)
        if not secret and (has := len(read(kept).generic.get(customer, ()))) and not force:
            raise RefusalError(
                f"{customer} has {has} active secret{'s' * (has > 1)} of the generic hook already, in {kept}; "
                f"`pactkeeper connect {ROTATE} {customer}` adds one beside"
            )
        if not secret:
            secret = secret_in(secret_file, "--secret-file") or fresh_secret(GENERIC)
            secrets_file.change(kept, [((GENERIC, customer), [secret])])
    paste(GENERIC, customer, customer, secret, base, json=json)
    terminal.note(f"The secret stands in {kept}, for its owner's eyes alone. {AT_ONCE}")


def rotate(name: str, secret_file: Path | None, base: str | None, *, json: bool) -> None:
    """Add a secret beside those that a source has."""
    from starter import secrets_file
    from starter.connecting import SETUPS, fresh_secret

    kept, place, kind = _kept(name)
    setup = SETUPS[kind]
    secret = secret_in(secret_file, "--secret-file")
    if setup.theirs and not secret:
        secret = asked(f"The new secret ({setup.theirs})", hide=True)
        if not secret:
            raise RefusalError(f"{setup.title} makes the secret ({setup.theirs}); give it with --secret-file FILE", 2)
    secret = secret or fresh_secret(kind)
    first = not secrets_file.at(kept, place)
    keep(kept, place, secret)
    paste(kind, name, None, None if setup.theirs else secret, base, json=json, guide=False)
    old = f", and the old ones still; once the new one is in use: `pactkeeper connect {DROP} {name}`"
    terminal.note(f"{name} takes {'this secret' if first else f'the new secret{old}'}.")
    after(name, kind)


def credentials(name: str, user: str | None, token_file: Path | None, *, json: bool) -> None:
    """Put in as whom a source's API is used, and with what token; what is left out stays."""
    from starter import secrets_file
    from starter.connecting import SETUPS
    from starter.kept import setting

    kept, place, kind = _kept(name)
    api, token = SETUPS[kind].api, secret_in(token_file, "--token-file")
    if api is None:
        raise RefusalError(f"{SETUPS[kind].title} has no API that is used here; leave out --token-file and --user", 2)
    puts = {part: value for part, value in (("user", user), ("token", token)) if value}
    with setting():
        secrets_file.change(kept, [((*place[:-1], part), value) for part, value in puts.items()])
    if json:
        terminal.as_json({"name": name, "changed": list(puts)})
    terminal.note(f"{kept} has the {' and the '.join(puts)} of {name}. {AT_ONCE}")


def drop(name: str, *, json: bool) -> None:
    """Take the oldest secret of a source away; the last one stays."""
    from starter import secrets_file
    from starter.kept import setting

    kept, place, _ = _kept(name)
    with setting():
        left = secrets_file.drop_last(kept, place)
    if json:
        terminal.as_json({"name": name, "secrets": left})
    else:
        terminal.show(f"The oldest secret of {name} is gone; {left} {'is' if left == 1 else 'are'} active. {AT_ONCE}")


def keep(kept: Path, place: tuple[str, ...], secret: str) -> None:
    """Put one more secret into the file."""
    from starter import secrets_file
    from starter.kept import setting

    with setting():
        secrets_file.change(kept, [(place, [secret])])


def paste(
    kind: str, name: str, customer: str | None, secret: str | None, base: str | None, *, json: bool, guide: bool = True
) -> None:
    """Print what is to be pasted where: the address, the secret (None: theirs), and the clicks in their order."""
    from starter.connecting import BASE_VARIABLE, SETUPS, hook, steps
    from starter.web_note import found

    where = base or address(os.environ.get(BASE_VARIABLE, "").strip(), BASE_VARIABLE)
    if where is None:
        where = address(asked("Where the web intake is from outside, such as https://support.example.com"), "It")
    if where is None:
        where = found(Home.here())
        terminal.note(
            f"--hook-base says where the web intake is from outside; the address below is this machine's own, {where}."
        )
    theirs = f"the one that {SETUPS[kind].title} shows ({SETUPS[kind].theirs})"
    values = {"HOOK": hook(where, kind, name, secret), "SECRET": secret or theirs, "NAME": name, "BASE": where}
    values |= {"CUSTOMER": customer} if customer else {}
    way = steps(kind, values, bold=("", "") if json else terminal.bold()) if guide else ""
    if json:
        terminal.as_json({"name": name, "kind": kind, "hook": values["HOOK"], "secret": secret, "steps": way})
        return
    print(f"Address  {values['HOOK']}\nSecret   {values['SECRET']}")
    if way:
        print(f"\n{way}\n")


def after(name: str, kind: str) -> None:
    """What to do next."""
    from starter.connecting import GENERIC

    proof = (
        "" if kind == GENERIC else f" Then `pactkeeper doctor {name}` proves the way in, and shows what is made of it."
    )
    terminal.note(f"{AT_ONCE}{proof}")


def _kept(name: str) -> tuple[Path, tuple[str, ...], str]:
    """The file of secrets, where in it this source's are, and the source's kind."""
    from records.shelf import Shelf
    from starter import secrets_file
    from starter.connecting import GENERIC, SETUPS
    from starter.hook_settings import read
    from starter.kept import setting

    sources = Shelf().sources()
    with setting():
        kept = secrets_file.made(Home.here().state, [])
        hooks = read(kept).generic
    if (source := sources.get(name)) is not None and source.kind in SETUPS:
        return kept, ("sources", name, "secrets"), source.kind
    if name in hooks:
        return kept, (GENERIC, name), GENERIC
    there = ", ".join(sorted({*sources, *hooks})) or "none yet"
    raise RefusalError(f"there is no source {name!r}; there are: {there}")
