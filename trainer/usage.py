"""How a command line is read: several values after an option that takes many, and one line for what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from os.path import expanduser
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from trainer.addresses import of_this_machine
from trainer.errors import UserError

TRAIN, FUSE, MEASURE, ABOUT = "Train", "Fuse", "Measure", "Find out"
"""Groups of commands."""


def examples(*lines: str) -> str:
    """Command lines, for the epilog of a command."""
    return "\n".join(lines)


class Command(TyperCommand):
    """`--shards a.tar b.tar` is `--shards a.tar --shards b.tar`, in commands without arguments of their own.

    An option where the value of another should stand is refused, and not taken for the value. `~/` at the beginning of
    a value is the home folder, also where no shell saw it, as in `--out=~/run`. A URL where a path is needed is
    refused: pathlib would take it for a folder that is called `s3:`. The epilog is examples, a line each, which stand
    as they are at the end of the help.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        lines, self.epilog = self.epilog, None
        super().format_help(ctx, formatter)
        self.epilog = lines
        if lines:
            typer.echo("\n".join([" Examples:", *(f"   {line}" for line in lines.splitlines())]))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(map(_at_home, _each_with_its_option(self.get_params(ctx), args)))
        rest = super().parse_args(ctx, list(given))
        names = {param.name: param.opts[0] for param in self.get_params(ctx)}
        texts = [text for arg in given for text in (arg, arg.partition("=")[2])]
        for key, value in ctx.params.items():
            option = f"{names[key]} " if names[key].startswith("-") else ""
            if isinstance(value, Path):
                ctx.params[key] = _here(value, option, texts)
            elif isinstance(value, list | tuple):
                ctx.params[key] = type(value)(
                    _here(one, option, texts) if isinstance(one, Path) else one for one in value
                )
        return rest


def _here(path: Path, option: str, texts: list[str]) -> Path:
    try:
        return Path(of_this_machine(str(path), texts))
    except ValueError as error:
        raise UserError(f"{option}{error}") from None


def _each_with_its_option(params: list[Any], args: list[str]) -> Iterator[str]:
    named = [param for param in params if param.param_type_name == "option"]
    options = {name: param for param in named for name in (*param.opts, *param.secondary_opts)}
    takes_more = not any(param.param_type_name == "argument" for param in params)
    option, waiting = "", False  # the one whose values follow, and whether its first is still to come
    rest = iter(args)
    for arg in rest:
        name, separator, _ = arg.partition("=")
        if arg == "--":
            yield arg
            yield from rest
        elif waiting:
            if arg in options:
                raise UserError(f"{option}: a value is needed, and {arg} stands there, an option of its own")
            yield arg
            waiting = False
        elif name in options:
            option = name
            waiting = not separator and not getattr(options[name], "is_flag", False)
            yield arg
        elif takes_more and not arg.startswith("-") and getattr(options.get(option), "multiple", False):
            yield from (option, arg)
        else:
            option = ""
            yield arg


def _at_home(arg: str) -> str:
    found = re.fullmatch(r"(--[\w-]+=|-\w|)(~/.*)", arg, re.DOTALL)
    return arg if found is None else found[1] + expanduser(found[2])  # noqa: PTH111 (the rest stays as it is)


def show_version(asked: bool) -> None:
    """`--version`: the version, and where the program lies, which tells one installation from another."""
    if asked:
        try:
            number = version("mmaif")
        except PackageNotFoundError:  # a folder on sys.path, never installed
            number = "(not installed)"
        typer.echo(f"trainer {number} from {Path(__file__).parent}")
        raise typer.Exit


def told(error: Any, program: str) -> str:
    """What is wrong with a command line, by one of typer's errors: one line with the nearest name and the way to help.

    program: what is named where the error does not know the command.
    """
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    wrong = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and context is not None:
        known = [name for param in context.command.get_params(context) for name in param.opts if name.startswith("--")]
        near = get_close_matches(wrong, known, n=1, cutoff=0.5)
        message = f"No such option: {wrong}" + (f"; did you mean {near[0]}?" if near else "")
    return f"{message}; see {context.command_path if context is not None else program} --help"
