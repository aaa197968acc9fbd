"""Where a dataset stands: a folder, or a prefix in object storage (bucket.py). Nothing else tells them apart."""

import errno
import fcntl
import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from synth.errors import UserError

PART = ".part-"  # how unfinished files in a folder begin; what a killed run leaves is swept away by the next
LOCKLESS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # what file systems of clusters say that know no locks
ALMOST_URL = re.compile(r"[A-Za-z0-9+.-]{2,}:/(?!/)")  # s3:/bucket: one slash is missing
PLACE = re.compile(r"[^/]+://+[^/]")


class Storage(ABC):
    """Files of one dataset, by name, none in a deeper folder. A file appears whole or not at all.

    url: the place as the user gave it, for messages. local: whether reading costs no network.
    Methods raise FileNotFoundError for a file that is not there, and OSError where the disk or the server fails.
    """

    url: str
    local: bool

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """The files that are there and their bytes, by name; nothing where the place does not exist."""

    @abstractmethod
    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """The bytes of a file from `start`; `size` of them, or all that follow."""

    @abstractmethod
    def open(self, name: str, size: int | None = None, ahead: bool = False) -> BinaryIO:
        """A file to read and to seek in. size: its bytes, where they are known: that spares a request.

        ahead: it is read from front to back in small pieces: a request then brings megabytes, not one piece.
        """

    @abstractmethod
    def create(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file to write; it appears under its name once the context is left without an exception."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Take a file away; one that is not there is no error."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the place where it is missing. Raises UserError where it cannot be made."""

    @abstractmethod
    def claimed(self, shared: bool = False) -> AbstractContextManager[None]:
        """Hold the place for one run, or for several that make parts of it (shared). Raises UserError where it is held.

        Object storage knows no locks: there two runs do the same work twice and write the same bytes.
        """

    @abstractmethod
    def sweep(self) -> None:
        """Take away what killed runs left unfinished."""

    def write(self, name: str, data: bytes) -> None:
        """A whole file at once."""
        with self.create(name) as file:
            file.write(data)

    def shown(self, name: str) -> str:
        """A file's place, for messages."""
        return f"{self.url.rstrip('/')}/{name}"


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
        """A temporary name, no other process's on any machine; fsync, rename, fsync of the folder."""
        path = self.path / name
        part = path.with_name(f"{PART}{secrets.token_hex(8)}-{name}")
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

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


def open_storage(where: str | Path) -> Storage:
    """The storage at a path or a URL (`s3://bucket/prefix`, `memory://x`, … as fsspec has them).

    Raises UserError where a URL names no place, or its kind is not known, or what it needs is not installed.
    """
    text = str(where)
    if isinstance(where, Path) or "://" not in text:
        if ALMOST_URL.match(text):
            raise UserError(f"{text}: neither a path nor a URL; a URL has two slashes: {text.replace(':/', '://', 1)}")
        return Folder(Path(where))
    if not PLACE.match(text):
        raise UserError(f"{text}: names no place; a URL is like s3://bucket/prefix")
    if (path := local_path(text)) is not None:
        return Folder(path)
    from synth.storage.bucket import Bucket

    return Bucket(text)


def local_path(text: str) -> Path | None:
    """The path that a text names; None where it is a URL of elsewhere. `file:///folder` is a path."""
    if "://" not in text:
        return Path(text)
    return Path(text.removeprefix("file://")) if text.startswith("file://") else None
