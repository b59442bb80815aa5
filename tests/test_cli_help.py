"""The help texts and the page about the command line say only what is so."""

import re
import shlex

import pytest
from typer.main import get_command

from starter import cli
from tests.terminal import ROOT, Run, run

__all__ = ["run"]


def commands() -> list[str]:
    return [name for _, group in cli.COMMANDS for name in group]


@pytest.mark.parametrize("command", commands())
def test_every_command_explains_itself_with_an_example_that_it_understands(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "Example: " in out
    known = get_command(cli.app).commands[command]  # type: ignore[attr-defined]
    examples = re.findall(r"Example: (?:\S+=\S+ )?pactkeeper (.+)", known.help)
    assert examples
    for example in examples:
        name, *words = shlex.split(example)
        assert name == command
        assert known.make_context(command, words)
        assert all((ROOT / word).exists() for word in words if word.startswith(("stories/", "policies/")))


def test_the_first_help_names_every_command_by_what_it_is_for(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "Begin with pactkeeper up" in out
    for command in [*commands(), "customer", "policy"]:
        assert f" {command} " in out


def test_the_page_shows_only_what_the_commands_understand_and_print(run: Run) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    known = get_command(cli.app).commands  # type: ignore[attr-defined]
    lines = re.findall(r"^pactkeeper (.+)$", page, re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        name, *words = shlex.split(line)
        assert known[name].make_context(name, words)
        assert all((ROOT / word).exists() for word in words if word.startswith(("stories/", "policies/")))
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    (asked,) = [shlex.split(line) for line in lines if line.startswith("explain")]
    printed = "\n".join(line.rstrip() for line in run(*asked)[1].splitlines())
    assert shown.strip() in printed
    for name in cli_commands():
        assert f"`{name}" in page


def cli_commands() -> list[str]:
    return [*commands(), *(f"customer {name}" for name in cli.OF_CUSTOMERS), "policy check"]
