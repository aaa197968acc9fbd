"""Paths that a user names: those in the home folder, and results that would be written over what they are made of."""

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from synth.errors import UserError

Named = TypeVar("Named", str, Path)


def home(path: Named) -> Named:
    """A path whose leading `~/` is the home folder, which no shell puts there in `--out=~/x`, and YAML does not either.

    Anything else, a URL too, is left as it is; a folder that is called ~ is `./~`.
    """
    text = str(path)
    if text != "~" and not text.startswith("~/"):
        return path
    try:
        return type(path)(Path(text).expanduser())
    except RuntimeError:  # of a user without a home
        return path


def in_a_circle(path: Path) -> bool:
    """Whether its links, or those of a folder above it, lead round in a circle, so that it is nowhere."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def keep_inputs(written: Iterable[Path], read: Iterable[Path]) -> None:
    """Raises UserError where a file that is to be written is one that is read, by whatever name, link or case."""
    there = {found: path for path in written if (found := _identity(path)) is not None}
    if not there:
        return
    for path in read:
        found = _identity(path)
        if found in there:
            raise UserError(
                f"{there[found]}: is what this is made of ({path}), and would be written over; name another place"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """What a file is on its disk; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
