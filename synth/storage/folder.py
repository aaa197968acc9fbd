"""A dataset in a folder of this machine."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from synth.errors import UserError
from synth.storage.base import Storage
from synth.storage.whole import PART, whole

LOCKLESS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # what file systems of clusters say that know no locks


class Folder(Storage):
    """A folder of this machine's file system."""

    local = True

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, str(path)

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        try:
            entries = os.scandir(self.path)
        except FileNotFoundError:
            return found
        except NotADirectoryError:
            raise UserError(
                f"{self.path}: is a file; a dataset is a folder: name the one that holds its shards"
            ) from None
        with entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # the unfinished file of another run, which has its own name by now
                    if entry.is_file():
                        found[entry.name] = entry.stat().st_size
        return found

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        with (self.path / name).open("rb") as file:
            file.seek(start)
            return file.read(-1 if size is None else size)

    def open(self, name: str, size: int | None = None, ahead: bool = False) -> BinaryIO:
        return (self.path / name).open("rb")

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        with whole(self.path / name) as file:
            yield file

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def prepare(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; --out names a folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be made: {error.strerror}") from None

    @contextmanager
    def claimed(self, shared: bool = False) -> Iterator[None]:
        try:
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            raise UserError(f"{self.path}: no such folder") from None
        except NotADirectoryError:
            raise UserError(f"{self.path}: is a file; --out names a folder") from None
        try:
            self._lock(folder, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _lock(self, folder: int, kind: int) -> None:
        """Where the file system knows no locks, two runs do the same work twice, as in object storage."""
        try:
            fcntl.flock(folder, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.path}: another run is writing there; wait for it, or choose another --out"
            ) from None
        except OSError as error:
            if error.errno not in LOCKLESS:
                raise

    def sweep(self) -> None:
        for part in self.path.glob(f"{PART}*"):
            part.unlink(missing_ok=True)
