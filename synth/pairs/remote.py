"""Images behind URLs, with a bounded cache on this machine's disk."""

import hashlib
import io
import math
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from synth.errors import StoppedError, UnreadableError, UserError
from synth.images.headers import MOST_BYTES
from synth.storage.bucket import Bucket

CACHE_GB = 10.0  # unless MMAIF_CACHE_GB says otherwise
LOOKED_AFTER = 16  # the cache is trimmed each time that this part of it has been written anew


@dataclass(frozen=True)
class Remote:
    """A file behind a URL, with what a path has of it: a name, and a way to read it."""

    url: str

    @property
    def name(self) -> str:
        return (self.url.partition("?")[0] if self._on_the_web else self.url).rpartition("/")[2]

    @property
    def _on_the_web(self) -> bool:
        return self.url.startswith(("http://", "https://"))

    def open(self, mode: str = "rb") -> BinaryIO:
        """To read, from the cache where it holds this version of the file.

        Raises UnreadableError, which names no place, where there is no such file, or a web server does not give it;
        StoppedError where object storage is away: that says nothing of the file.
        """
        parent = self.url.rpartition("/")[0].rstrip("/")
        name = self.url.removeprefix(f"{parent}/")  # a key of object storage may have several slashes in a row
        try:
            bucket = _bucket(parent)
            size, version = bucket.facts(name)
            if size is not None and size > MOST_BYTES:
                raise UnreadableError(f"a file of over {MOST_BYTES >> 30} GB")
            return io.BytesIO(_cache().get(f"{self.url} {size} {version}", lambda: bucket.read(name), size))
        except FileNotFoundError:
            raise UnreadableError("no such file") from None
        except PermissionError:
            raise UnreadableError("access is refused") from None
        except OSError as error:
            if self._on_the_web:
                raise UnreadableError("the web server does not give it") from None
            raise StoppedError(str(error)) from None


@lru_cache(maxsize=256)
def _bucket(parent: str) -> Bucket:
    return Bucket(parent)


class DiskCache:
    """Files of a folder that stay within a number of bytes: what was asked for last stays longest.

    Several processes may share it. A file is written under another name first, so none is ever half there.
    StoppedError says that its disk fails: that says nothing of the files that it is to hold.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most, self._written = folder, most_bytes, 0
        with self._disk():
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, make: Callable[[], bytes], size: int | None = None) -> bytes:
        """The bytes of a key, made where they are not held. size: how many they are, where that is known."""
        path = self._folder / hashlib.sha256(key.encode()).hexdigest()
        with self._disk():
            held = self._held(path)
        if held is not None and size in (None, len(held)):  # else the machine went down while it was written
            return held
        data = make()
        if len(data) <= self._most:
            with self._disk():
                self._keep(path, data)
        return data

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoppedError(
                f"the cache of sources {self._folder} cannot be used: {error.strerror or error}; MMAIF_CACHE names "
                "another folder, MMAIF_CACHE_GB its gigabytes"
            ) from None

    @staticmethod
    def _held(path: Path) -> bytes | None:
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        return data

    def _keep(self, path: Path, data: bytes) -> None:
        part = self._folder / f".part-{secrets.token_hex(8)}"
        try:
            part.write_bytes(data)
            with suppress(FileNotFoundError):  # another process found the cache full
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self._written += len(data)
        if self._written >= self._most / LOOKED_AFTER:
            self._trim()
            self._written = 0

    def _trim(self) -> None:
        """Takes away what was not asked for the longest, until the rest fits."""
        held = []
        for path in self._folder.iterdir():
            try:
                facts = path.stat()
            except FileNotFoundError:  # another process was quicker
                continue
            held.append((facts.st_mtime_ns, facts.st_size, path))
        total = sum(size for _, size, _ in held)
        for _, size, path in sorted(held):
            if total <= self._most:
                return
            path.unlink(missing_ok=True)
            total -= size


@lru_cache(maxsize=1)
def _cache() -> DiskCache:
    try:
        folder = Path(os.environ.get("MMAIF_CACHE") or "~/.cache/mmaif/sources").expanduser()
    except RuntimeError:
        raise UserError("no home folder to hold the cache of sources; MMAIF_CACHE names another") from None
    text = os.environ.get("MMAIF_CACHE_GB") or str(CACHE_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = math.nan
    if not 0 <= gigabytes < math.inf:
        raise UserError(f"MMAIF_CACHE_GB={text}: must be a number of gigabytes, as {CACHE_GB:g}")
    return DiskCache(folder, int(gigabytes * 1e9))
