"""Where shards lie: brace ranges, folders, files and http(s) URLs, and bytes from any of them."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

from trainer.errors import UserError
from trainer.files import one_line, parse_json

T = TypeVar("T")

VERSION = 1
TIMEOUT_S = 60
ATTEMPTS = 4
SPOOL_LIMIT = 16 << 30
"""Bytes of whole shards kept in temporary files, where a server does not answer ranges."""
HEAD_BYTES = 1 << 16
"""Of a tar without a sidecar, that name it besides its size."""
AT_ONCE = 16
"""Requests that are under way together, where many shards are asked for one by one."""


def is_remote(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def expand(urls: list[str]) -> list[str]:
    """Tars in order: braces expanded, dataset folders (local or http) replaced by their shards. Raises UserError."""
    from braceexpand import braceexpand

    tars: list[str] = []
    for pattern in urls:
        try:
            names = list(braceexpand(pattern))
        except ValueError:
            raise UserError(f"--shards {pattern}: braces do not match; write {{000000..000003}}.tar") from None
        for url in names:
            tars += [url] if url.endswith(".tar") else _shards_of_folder(url)
    url, times = max(Counter(tars).items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise UserError(f"--shards: {url} is named {'twice' if times == 2 else f'{times} times'}; name each shard once")
    return tars


def sidecar_of(url: str) -> str:
    return url.removesuffix(".tar") + ".parquet"


def exists(url: str) -> bool:
    """Whether there is such a file. Raises UserError where that cannot be told."""
    if not is_remote(url):
        try:
            return Path(url).is_file()
        except OSError:  # no file can have such a name
            return False
    try:
        try:
            _request(url, lambda answer: answer.close(), method="HEAD")
        except Refused:  # some servers, and addresses signed for GET alone, know no HEAD
            _request(url, lambda answer: answer.close(), {"Range": "bytes=0-0"})
        return True
    except FileNotFoundError:
        return False


def at_once(function: Callable[[str], T], urls: list[str]) -> list[T]:
    """`function` of each URL, in order: several requests at a time, since each only waits."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, urls))


def identity(url: str) -> str:
    """What tells a file from another without reading it whole: its size, and the sha256 of its first 64 KiB.

    Raises FileNotFoundError, UserError.
    """

    def use(answer: Any) -> tuple[str, bytes]:
        with answer:
            if answer.status == 206:
                return answer.headers.get("Content-Range", "").rpartition("/")[2], answer.read(HEAD_BYTES)
            return answer.headers.get("Content-Length", ""), answer.read(HEAD_BYTES)

    if is_remote(url):
        size, head = _request(url, use, {"Range": f"bytes=0-{HEAD_BYTES - 1}"})
    else:
        with Path(url).open("rb") as file:
            size, head = str(os.fstat(file.fileno()).st_size), file.read(HEAD_BYTES)
    return f"{size}:{hashlib.sha256(head).hexdigest()}"


def read(url: str) -> bytes:
    """All bytes of a file or URL. Raises FileNotFoundError, UserError."""

    def whole(answer: Any) -> bytes:
        with answer:
            return answer.read()

    if is_remote(url):
        return _request(url, whole)
    try:
        return Path(url).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{url}: cannot be read ({error.strerror or error})") from None


def open_stream(url: str) -> IO[bytes]:
    """A file or URL opened for one pass. Raises FileNotFoundError, UserError."""
    return _request(url, lambda answer: answer) if is_remote(url) else Path(url).open("rb")


class Ranges:
    """Bytes at an offset of files and URLs, from any thread.

    A server that ignores the Range header sends the whole shard: it is then kept in a temporary file for as long
    as this object lives, so that it is sent once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ranged: set[str] = set()
        self._spooled: dict[str, Path] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def read(self, url: str, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`. Raises FileNotFoundError, UserError."""
        if url in self._ranged:
            return self._fetch(url, offset, size)
        if is_remote(url) and url not in self._spooled:
            with self._lock:  # one thread finds out how the server answers
                if url not in self._ranged and url not in self._spooled:
                    return self._fetch(url, offset, size)
            return self.read(url, offset, size)
        with self._spooled.get(url, Path(url)).open("rb") as file:
            return os.pread(file.fileno(), size, offset)

    def _fetch(self, url: str, offset: int, size: int) -> bytes:
        def use(answer: Any) -> bytes | None:
            with answer:
                if answer.status == 206:
                    self._ranged.add(url)
                    return answer.read()
                self._ranged.discard(url)
                self._spooled[url] = self._spool(answer, url)
                return None

        data = _request(url, use, {"Range": f"bytes={offset}-{offset + size - 1}"})
        return self.read(url, offset, size) if data is None else data

    def _spool(self, answer: Any, url: str) -> Path:
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="mmaif-shards-")
        kept = sum(path.stat().st_size for path in self._spooled.values())
        path = Path(self._folder.name) / f"{len(self._spooled):06d}.tar"
        with path.open("wb") as file:
            while block := answer.read(1 << 20):
                kept += file.write(block)
                if kept > SPOOL_LIMIT:
                    raise UserError(
                        f"{url}: its server answers no byte ranges, and the shards read so far fill "
                        f"{SPOOL_LIMIT >> 30} GiB of temporary files; copy them to disk and name the folder"
                    )
        return path


def check_format(version: Any, kind: Any, where: str) -> None:
    """Refuses a version or kind of the shard format that this reader does not know. Raises UserError."""
    try:
        number = int(version)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{where}: no format version; not written as shards/FORMAT.md says") from None
    if number > VERSION:
        raise UserError(f"{where}: format version {number}, and this trainer reads up to {VERSION}; update the trainer")
    if kind != "images":
        raise UserError(f"{where}: shards of kind '{one_line(kind)}'; this trainer reads 'images'")


def _shards_of_folder(folder: str) -> list[str]:
    folder = folder.rstrip("/") if folder.strip("/") else folder[:1]
    if not is_remote(folder) and not _is_dir(folder):
        raise UserError(f"--shards {folder}: not there; give a .tar, a dataset folder, or an http(s) URL of either")
    path = f"{folder}/dataset.json"
    try:
        dataset = parse_json(read(path), path, "write the dataset again, or name the tars")
    except FileNotFoundError:
        raise UserError(
            f"--shards {folder}: no dataset.json in it; name the tars ({folder}/{{000000..000003}}.tar)"
        ) from None
    check_format(dataset.get("version"), dataset.get("kind"), path)
    if is_remote(folder):
        tars = [f"{folder}/{name}" for name in _shard_names(dataset, path)]
    else:
        tars = [str(path.with_suffix(".tar")) for path in sorted(Path(folder).glob("*.parquet"))]
    if not tars:
        raise UserError(f"--shards {folder}: no finished shard in it (a tar counts once its .parquet is there)")
    return tars


def _is_dir(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_dir()
    except OSError:  # no file can have such a name
        return False


def _shard_names(dataset: dict[str, Any], path: str) -> list[str]:
    shards = dataset.get("shards", [])
    if not isinstance(shards, list) or not all(
        isinstance(shard, dict) and isinstance(shard.get("name"), str) for shard in shards
    ):
        raise UserError(f"{path}: shards: a list of shards with their names is needed; name the tars")
    return [shard["name"] for shard in shards]


class Refused(UserError):
    """The server answers, and will not do this: trying again is of no use."""


def _request(url: str, use: Callable[[Any], T], headers: dict[str, str] | None = None, method: str = "GET") -> T:
    """`use` of the open answer; tried again after a pause where server or line fail.

    Raises FileNotFoundError, UserError.
    """
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(0.5 * 2**attempt)
        try:
            request = urllib.request.Request(url, headers=headers or {}, method=method)
            return use(urllib.request.urlopen(request, timeout=TIMEOUT_S))
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise FileNotFoundError(url) from None
            reason = f"HTTP {error.code}"
            error.close()
            if error.code in (405, 501) or (error.code < 500 and error.code != 429):
                raise Refused(f"{url}: cannot be read ({reason}); check the address") from None
        except ValueError as error:  # of the address
            reason = one_line(error)
            break
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            reason = str(cause) or type(cause).__name__
            if isinstance(cause, ConnectionRefusedError):
                break
    raise UserError(f"{url}: cannot be read ({reason}); check the address and run the command again")
