"""How every bench is called: its options, and `--quick`, which runs all of it in seconds."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from bench import document


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Options of a bench whose head is `doc`; all have --quick, before or after a subcommand."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--quick",
        action="store_true",
        help=f"a rehearsal in seconds, whatever else is given: few and small samples; documents go to {document.QUICK}",
    )
    return made


def parsed(of: argparse.ArgumentParser, module: dict[str, Any], quick: Mapping[str, Any]) -> argparse.Namespace:
    """What the command line says.

    module: `globals()` of the bench. quick: what --quick changes, constants of that module and options by their names.
    Raises KeyError where the bench has no such constant, and none of its subcommands such an option.
    """
    words = [word for word in sys.argv[1:] if word != "--quick"]
    given = of.parse_args(words)
    given.quick = len(words) < len(sys.argv) - 1
    for name, value in quick.items():
        if name.isupper() and name not in module:
            raise KeyError(name)
        if given.quick and name.isupper():
            module[name] = value
        elif given.quick and hasattr(given, name):
            setattr(given, name, value)
    if given.quick:
        document.rehearse()
    return given
