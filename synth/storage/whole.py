"""Files that appear whole or not at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from synth.errors import StoppedError, UserError

PART = ".part-"  # how unfinished files begin; what a killed run leaves in a dataset is swept away by the next
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write under a temporary name, no other process's on any machine; fsync, rename, fsync of the folder."""
    part = path.with_name(f"{PART}{secrets.token_hex(8)}")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files into folders that are made: none takes its place before all of them are on the disk.

    A link is followed; what is no file, as /dev/stdout, is written to. Raises UserError where a path cannot be
    written, StoppedError where the disk is full; both name it.
    """
    path = Path()
    try:
        with ExitStack() as stack:
            for path, data in files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(_opened(path))
                file.write(data)
                file.flush()
    except OSError as error:
        what = f"{path}: cannot be written: {error.strerror or error}"
        if error.errno in FULL:
            raise StoppedError(f"{what}; what stood there is as it was: make room, or name another place") from None
        raise UserError(f"{what}; name another place") from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file as `whole` has it, with the rights of the one that it takes the place of."""
    if path.parts[:2] == ("/", "dev") or (path.exists() and not path.is_file()):
        with path.open("wb") as file:
            yield file
        return
    there = path.resolve()
    if not there.exists():
        with whole(there) as file:
            yield file
        return
    if not os.access(there, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    with whole(there) as file:
        shutil.copymode(there, Path(file.name))
        yield file
