"""`doctor`: whether this installation and its sources work, shown by trying them."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from activities.message import one_line
from starter.commands import terminal
from starter.commands.asking import address
from starter.commands.failures import RefusalError
from starter.commands.options import Json, argument, option
from starter.home import Home

if TYPE_CHECKING:
    from starter.findings import Finding, State

SIGNS: Final[dict["State", tuple[str, str]]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failure": ("✗", "bold red"),
}


def doctor(
    name: Annotated[
        str | None, argument("[NAME]", "One source alone; left out: the installation and all sources.")
    ] = None,
    web: Annotated[
        str | None, option("URL", "Where our web intake is from here; left out: where `pactkeeper up` has it.")
    ] = None,
    json: Json = False,
) -> None:
    """Examine this installation and its sources: a signed sample goes in, credentials are tried, clocks compared.

    Nobody is told anything and nothing is changed. The exit status is 1 where something fails.

    Example: pactkeeper doctor

    Example: pactkeeper doctor zendesk
    """
    from starter.doctor import examine, unknown

    home = Home.here()
    if name is not None and (said := unknown(name)):
        raise RefusalError(said)
    found = asyncio.run(examine(home, name, address(web, "--web")))
    if json:
        terminal.as_json([asdict(finding) for finding in found])
    else:
        show(found)
    raise typer.Exit(int(any(finding.state == "failure" for finding in found)))


def show(found: Sequence["Finding"]) -> None:
    """Print findings under the names of what they are about, and how many of them ask for something."""
    out, about = terminal.console(), None
    for finding in found:
        if finding.about != about:
            out.print(Text(("" if about is None else "\n") + finding.about, style="bold"))
            about = finding.about
        sign, style = SIGNS[finding.state]
        line = Text.assemble((f"{sign} ", style), (f"{finding.what:<18} ", ""), one_line(finding.says, 600))
        out.print(line, soft_wrap=True)
        for label, value in finding.fields:
            out.print(Text.assemble((f"    {label:<16} ", "dim"), one_line(value, 300)), soft_wrap=True)
        if finding.do:
            out.print(Text.assemble(("  → ", style), one_line(finding.do, 400)), soft_wrap=True)
    failures = sum(finding.state == "failure" for finding in found)
    warnings = sum(finding.state == "warning" for finding in found)
    if failures or warnings:
        out.print(f"\n{_counted(failures, 'failure')}, {_counted(warnings, 'warning')}.")
    else:
        out.print("\nAll is well.")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
