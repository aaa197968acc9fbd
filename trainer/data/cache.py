"""Shards of elsewhere, kept whole on a disk of this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from trainer.addresses import path_of
from trainer.errors import UserError


class ShardCache:
    """A folder of whole files by their URLs; those used longest ago go where it would grow beyond `limit` bytes.

    Any threads and processes may share one: a file is fetched under another name and then put in place. A process
    fetches one file at a time, and may be over the limit by the files that others fetch meanwhile. A file stays what it
    was when it was fetched.
    Raises UserError where the folder cannot be made.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._locks: dict[str, Lock] = {}
        self._making = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"run.shard_cache {folder}: cannot be made ({error.strerror or error})") from None

    def __reduce__(self) -> tuple[type[ShardCache], tuple[Path, int]]:
        return ShardCache, (self.folder, self.limit)

    def read(
        self, url: str, offset: int, size: int, bytes_of: Callable[[], int], fetch: Callable[[Path], object]
    ) -> bytearray:
        """`size` bytes from `offset` of a file. Where it is not here, `bytes_of` tells its length, `fetch` writes it.

        Raises OSError, UserError.
        """
        path = self.folder / f"{hashlib.sha256(path_of(url).encode()).hexdigest()[:32]}.tar"
        while True:
            try:
                data = pread(path, offset, size)
                os.utime(path)  # so that it goes last
                return data
            except FileNotFoundError:
                with self._locks.setdefault(url, Lock()):
                    if not path.exists():
                        self._fetch(url, path, bytes_of(), fetch)

    def _fetch(self, url: str, path: Path, length: int, fetch: Callable[[Path], object]) -> None:
        if length > self.limit:
            raise UserError(
                f"{url}: has {length / 2**30:.2f} GiB, and the cache of shards holds {self.limit / 2**30:.2f}; "
                "raise run.shard_cache_gib"
            )
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        with self._making:
            self._make_room(length)
            try:
                fetch(part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

    def _make_room(self, length: int) -> None:
        found = []
        for path in self.folder.glob("*.tar"):
            try:
                told = path.stat()
            except FileNotFoundError:  # another process was quicker
                continue
            found.append((told.st_mtime_ns, told.st_size, path))
        over = sum(size for _, size, _ in found) + length - self.limit
        for _, size, path in sorted(found):
            if over <= 0:
                return
            path.unlink(missing_ok=True)
            over -= size


def pread(file: Path, offset: int, size: int) -> bytearray:
    """Bytes of a file of this machine; fewer where it ends. Raises OSError."""
    data = bytearray(size)  # and no bytes, so that arrays can share them
    with file.open("rb") as opened:
        del data[os.preadv(opened.fileno(), [data], offset) :]
    return data
