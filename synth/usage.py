"""How a command line is read, and one line for what is wrong with it."""

from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from synth.errors import UserError
from synth.paths import of_this_machine

MAKE, LOOK, ABOUT = "Make data", "Look at data", "Find out"
"""Groups of commands."""
RUN = "How it runs"
"""A group of options."""


def examples(*lines: str) -> str:
    """Command lines, for the epilog of a command."""
    return "\n".join(lines)


class Command(TyperCommand):
    """An option where the value of another should stand is refused, and not taken for the value; so is a URL where a
    path is needed; `~/` is home. The epilog is examples, a line each, which stand as they are at the end of the help.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        lines, self.epilog = self.epilog, None
        super().format_help(ctx, formatter)
        self.epilog = lines
        if lines:
            typer.echo("\n".join([" Examples:", *(f"   {line}" for line in lines.splitlines())]))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        params = [param for param in self.get_params(ctx) if param.param_type_name == "option"]
        options = {name: param for param in params for name in (*param.opts, *param.secondary_opts)}
        waiting = ""  # the option whose value comes next
        for arg in args:
            if arg == "--":
                break
            if waiting and arg in options:
                raise UserError(f"{waiting}: a value is needed, and {arg} stands there, an option of its own")
            waiting = arg if not waiting and arg in options and not getattr(options[arg], "is_flag", False) else ""
        given = list(args)  # which is used up
        rest = super().parse_args(ctx, args)
        names = {param.name: param.opts[0] for param in self.get_params(ctx)}
        texts = [text for arg in given for text in (arg, arg.partition("=")[2])]
        for key, value in ctx.params.items():
            if isinstance(value, Path):
                try:
                    ctx.params[key] = of_this_machine(value, texts)
                except ValueError as error:
                    option = f"{names[key]} " if names[key].startswith("-") else ""
                    raise UserError(f"{option}{error}") from None
        return rest


def show_version(asked: bool) -> None:
    """`--version`: the version, and where the program lies, which tells one installation from another."""
    if asked:
        try:
            number = version("mmaif")
        except PackageNotFoundError:  # a folder on sys.path, never installed
            number = "(not installed)"
        typer.echo(f"synth {number} from {Path(__file__).parent}")
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
