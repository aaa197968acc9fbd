"""`--help` teaches: commands stand in groups, and each ends in examples that can be typed."""

import shlex
from importlib import import_module
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

PROGRAMS = ("synth", "trainer")


def app_of(program: str) -> Any:
    return import_module(f"{program}.cli").app


def commands(program: str) -> list[tuple[str, Any]]:
    return sorted(get_command(app_of(program)).commands.items())


COMMANDS = [(program, name) for program in PROGRAMS for name, one in commands(program) if not hasattr(one, "commands")]


@pytest.mark.parametrize(("program", "name"), COMMANDS)
def test_every_command_stands_in_a_group_and_ends_in_examples_that_parse(program, name):
    command = dict(commands(program))[name]
    assert command.rich_help_panel is not None
    lines = (command.epilog or "").splitlines()
    assert any(line.startswith(f"{program} {name}") for line in lines)
    known = dict(commands(program))
    for line in lines:
        words = shlex.split(line.partition(" > ")[0])
        assert words[0] == program
        known[words[1]].make_context(words[1], words[2:])
    told = CliRunner().invoke(app_of(program), [name, "--help"]).stdout
    assert told.rstrip().endswith("\n".join([" Examples:", *(f"   {line}" for line in lines)]))


@pytest.mark.parametrize("program", PROGRAMS)
def test_groups_stand_in_the_order_of_work(program):
    told = CliRunner().invoke(app_of(program), ["--help"]).stdout
    panels = dict.fromkeys(command.rich_help_panel for command in get_command(app_of(program)).commands.values())
    places = [told.index(f"─ {panel} ─") for panel in panels]
    assert places == sorted(places)
    assert next(reversed(panels)) == "Find out"


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("synth doc", "doctor"),
        ("trainer doc", "doctor"),
        ("synth generate --recipe mef_haze", "mef_haze mef_haze_test"),
        ("synth degrade --effect ha", "haze="),
        ("trainer train --config release-cpu", "release-cpu release-cpu-days"),
    ],
)
def test_a_shell_can_complete(line, completed):
    program, *rest = line.split()
    environment = {f"_{program.upper()}_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(rest))}
    told = CliRunner(env=environment).invoke(app_of(program), prog_name=program).stdout
    assert told.split() == completed.split()
