"""A dataset in object storage, through fsspec: every file is written here first, then put as a whole."""

import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar, cast

from synth.errors import UserError, in_one_line
from synth.storage.base import Storage

AHEAD = 4 << 20  # bytes of a file that is read from front to back, a request
TRIES = 6
FIRST_WAIT_S = 0.2  # before the second try, doubled before each that follows
LOCAL = "synth-put-"  # how the folders of files on their way begin: then the process's number
EXTRAS = {"s3": "mmaif[s3]", "s3a": "mmaif[s3]"}  # by kind of URL; other kinds name fsspec's own package
# of what stores tell of a file, what differs once it has changed
VERSIONS = ("ETag", "etag", "LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created")
Result = TypeVar("Result")


class Bucket(Storage):
    """A prefix of a store that fsspec knows. Requests that fail are made again, with growing pauses.

    What is read has the length that was asked for, and what was put the length of the file, or it is done again.
    ConnectionError says that a store is away.
    """

    local = False

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs, self._root = _open(self.url)

    def __getstate__(self) -> str:
        if self.url.startswith("memory://"):
            raise UserError(f"{self.url}: no other process sees this one's memory; give --workers 1, or another place")
        return self.url  # the connection belongs to a process

    def __setstate__(self, url: str) -> None:
        self.__init__(url)  # type: ignore[misc]

    def sizes(self) -> dict[str, int]:
        def listed() -> dict[str, int]:
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._root, detail=True)
            except FileNotFoundError:
                return {}
            return {Path(item["name"]).name: item["size"] for item in found if item["type"] == "file"}

        return self._again(listed)

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        def got() -> bytes:
            whole = self._fs.info(self._at(name))["size"] if size is None else start + size
            data: bytes = self._fs.cat_file(self._at(name), start=start, end=whole)
            expected = len(data) if whole is None else whole - start  # a web server may not know its file's size
            if len(data) != expected:
                raise ConnectionError(f"{len(data)} bytes came of {expected}")
            return data

        return self._again(got, name)

    def facts(self, name: str) -> tuple[int | None, str]:
        """The bytes of a file, where the store tells, and a word that differs once it has changed, where it does."""
        info = self._again(lambda: self._fs.info(self._at(name)), name)
        told = (str(info[key]) for key in VERSIONS if info.get(key))
        return info.get("size"), next(told, "")

    def exists(self) -> bool:
        """Whether anything stands at or below this URL."""
        return self._again(lambda: bool(self._fs.exists(self._root)))

    def find(self) -> dict[str, int | None]:
        """All files below, by their path from here, and their bytes where the store tells."""

        def found() -> dict[str, int | None]:
            below = self._fs.find(self._root, detail=True)
            return {path.removeprefix(f"{self._root}/"): item.get("size") for path, item in below.items()}

        return self._again(found)

    def open(self, name: str, size: int | None = None, ahead: bool = False) -> BinaryIO:
        known = self._again(lambda: self._fs.info(self._at(name))["size"], name) if size is None else size
        file = _Reader(self, name, known)
        return cast(BinaryIO, io.BufferedReader(file, AHEAD) if ahead else file)

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        folder = Path(tempfile.mkdtemp(prefix=f"{LOCAL}{os.getpid()}-"))
        try:
            file = folder / name
            with file.open("wb") as written:
                yield written
            self._put(file, name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _put(self, file: Path, name: str) -> None:
        def put() -> None:
            self._fs.put_file(str(file), self._at(name))
            self._fs.invalidate_cache()
            there = self._fs.info(self._at(name))["size"]
            if there != file.stat().st_size:
                raise ConnectionError(f"{there} bytes arrived of {file.stat().st_size}")

        try:
            self._again(put, name)
        except FileNotFoundError as error:  # of the bucket: a listing does not tell that from an empty place in one
            raise UserError(f"{self.url}: {in_one_line(error)}") from None

    def remove(self, name: str) -> None:
        def gone() -> None:
            try:
                self._fs.rm_file(self._at(name))
            except FileNotFoundError:
                return

        self._again(gone, name)

    def prepare(self) -> None:
        """A prefix comes to be with its first file; a bucket that cannot be listed is told before work begins."""
        try:
            self.sizes()
        except OSError as error:
            raise UserError(f"{self.url}: cannot be listed: {error}") from None

    @contextmanager
    def claimed(self, shared: bool = False) -> Iterator[None]:
        yield

    def sweep(self) -> None:
        """Removes the local files of processes that were killed while they put them."""
        for folder in Path(tempfile.gettempdir()).glob(f"{LOCAL}*-*"):
            number = folder.name.removeprefix(LOCAL).partition("-")[0]
            if number.isdigit() and not _lives(int(number)):
                shutil.rmtree(folder, ignore_errors=True)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _again(self, ask: Callable[[], Result], name: str = "") -> Result:
        """What a request gives, made anew where it fails; FileNotFoundError and refused access are answers."""
        for attempt in range(TRIES):
            try:
                return ask()
            except (FileNotFoundError, PermissionError):
                raise
            except Exception as error:  # each store has its own: of sockets, of HTTP, of its client
                if attempt == TRIES - 1:
                    where = self.shown(name) if name else self.url
                    raise ConnectionError(f"{where}: failed {TRIES} times, at last: {in_one_line(error)}") from error
                time.sleep(FIRST_WAIT_S * 2**attempt)
        raise AssertionError("unreachable")


class _Reader(io.RawIOBase):
    """A file in a bucket as one to read and seek in; it fetches just what is read, each read in one request."""

    def __init__(self, bucket: Bucket, name: str, size: int) -> None:
        self._bucket, self._name, self._size, self._at = bucket, name, size, 0

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        buffer[:wanted] = self._bucket.read(self._name, self._at, wanted)
        self._at += wanted
        return wanted

    def readall(self) -> bytes:
        return self.read(max(0, self._size - self._at)) or b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@lru_cache
def is_known(kind: str) -> bool:
    """Whether there are URLs of a kind (`s3`). Raises UserError where what it needs is not installed."""
    with _installed(f"{kind}://"):
        import fsspec

        try:
            fsspec.get_filesystem_class(kind)
        except ValueError:
            return False
    return True


def _open(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, without its cache of listings, and the path in it."""
    with _installed(url):
        import fsspec

        try:
            fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ValueError as error:
            raise UserError(f"{url}: {in_one_line(error)}") from None
    return fs, root.rstrip("/")


@contextmanager
def _installed(url: str) -> Iterator[None]:
    """Raises UserError, which says what to install, where something is not."""
    extra = EXTRAS.get(url.partition("://")[0], "mmaif[cloud]")
    try:
        yield
    except ImportError as error:
        why = "object storage needs fsspec" if error.name == "fsspec" else in_one_line(error)
        raise UserError(f"{url}: {why}; pip install '{extra}'") from None


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
