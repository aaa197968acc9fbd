"""Paths that a user names: those in the home folder, and results that would be written over what they are made of."""

import errno
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from synth.errors import UserError

Named = TypeVar("Named", str, Path)
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # how a URL begins, also after pathlib took a slash of it
FILE = re.compile(r"file:/+")


def of_this_machine(path: Path, given: Iterable[str] = ()) -> Path:
    """A path that is read or written here; of `file:///folder/x` the path in it, and `~/` written out.

    given: the texts that the user wrote, of which the path was made. Raises ValueError, which ends a message that
    begins with them, where it is a URL of elsewhere: pathlib takes that for a folder that is called `s3:`.
    """
    text = str(path)
    if FILE.match(text):
        return Path(FILE.sub("/", text, count=1))
    if ADDRESS.match(text):
        said = next((one for one in given if "://" in one and Path(one) == path), text)
        raise ValueError(f"{said}: a URL, and here a file or a folder of this machine is needed; copy it yourself")
    return home(path)


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
