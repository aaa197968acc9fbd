"""Images behind URLs, with a bounded cache on this machine's disk."""

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from synth.bucket import Bucket
from synth.errors import StoppedError, UnreadableError
from synth.headers import MOST_BYTES

CACHE_GB = 10.0  # unless MMAIF_CACHE_GB says otherwise
LOOKED_AFTER = 16  # the cache is trimmed each time that this part of it has been written anew


@dataclass(frozen=True)
class Remote:
    """A file behind a URL, with what a path has of it: a name, and a way to read it."""

    url: str

    @property
    def name(self) -> str:
        return self.url.partition("?")[0].rpartition("/")[2]

    def open(self, mode: str = "rb") -> BinaryIO:
        """To read, from the cache where it holds this version of the file.

        Raises UnreadableError, which names no place, where there is no such file, or a web server does not give it;
        StoppedError where object storage is away: that says nothing of the file.
        """
        parent, _, name = self.url.rpartition("/")
        try:
            bucket = _bucket(parent)
            size, version = bucket.facts(name)
            if size is not None and size > MOST_BYTES:
                raise UnreadableError(f"a file of over {MOST_BYTES >> 30} GB")
            return io.BytesIO(_cache().get(f"{self.url} {size} {version}", lambda: bucket.read(name)))
        except FileNotFoundError:
            raise UnreadableError("no such file") from None
        except PermissionError:
            raise UnreadableError("access is refused") from None
        except OSError as error:
            if self.url.startswith(("http://", "https://")):
                raise UnreadableError("the web server does not give it") from None
            raise StoppedError(str(error)) from None


@lru_cache(maxsize=256)
def _bucket(parent: str) -> Bucket:
    return Bucket(parent)


class DiskCache:
    """Files of a folder that stay within a number of bytes: what was asked for last stays longest.

    Several processes may share it. A file is written under another name first, so none is ever half there.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most, self._written = folder, most_bytes, 0
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a key, made where they are not held."""
        path = self._folder / hashlib.sha256(key.encode()).hexdigest()
        try:
            data = path.read_bytes()
            os.utime(path)
            return data
        except FileNotFoundError:
            data = make()
        if len(data) <= self._most:
            self._keep(path, data)
        return data

    def _keep(self, path: Path, data: bytes) -> None:
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".part-", delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
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
    folder = os.environ.get("MMAIF_CACHE") or Path.home() / ".cache" / "mmaif" / "sources"
    return DiskCache(Path(folder), int(float(os.environ.get("MMAIF_CACHE_GB") or CACHE_GB) * 1e9))
