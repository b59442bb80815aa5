"""`policy check`: what is wrong and what is suspicious in policy files."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from starter.commands import terminal
from starter.commands.options import Json, argument


def check(
    files: Annotated[
        list[Path] | None, argument("[FILE]...", "Files or folders of policies; left out: all that are installed.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let what is only suspicious fail, too.")] = False,
    json: Json = False,
) -> None:
    """Find what is wrong or suspicious in contracts, playbooks, teams and customers, with file and line.

    The exit status is 1 when something is wrong.

    Example: pactkeeper policy check policies/contracts/tromzo.yaml
    """
    from records.shelf import Shelf
    from starter.policy_check import check_files, exit_status

    found = check_files(files or [], Shelf())
    if json:
        terminal.as_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            print(finding)
        if not found:
            terminal.show("Nothing is wrong.")
    raise typer.Exit(exit_status(found, strict=strict))
