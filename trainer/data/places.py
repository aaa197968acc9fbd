"""Where bytes lie: files of this machine, and http(s), s3 and whatever else fsspec opens, all by their URLs.

fsspec carries the requests. Around it stand here: another try where a server or a line fails, one line where that is
of no use, one connection a process for all threads, and whole files for servers that answer no ranges. Of fsspec's
http three ways are left out, with what is done in their place: `exists` and `info` call every failure "not there" (the
first byte is then asked for), `cat_file` takes a whole shard for a range where a server ignores the header (an opened
file tells), and its limit of five minutes a request would end a long stream (a minute without a byte does).
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from trainer.addresses import shown, split
from trainer.data.cache import ShardCache, pread
from trainer.errors import UserError
from trainer.files import one_line

T = TypeVar("T")

TIMEOUT_S = 60
"""Without a byte from an http server."""
PAUSES_S = (0.0, 1.0, 2.0, 4.0)
"""Before each try of a request."""
SPOOL_LIMIT = 16 << 30
"""Bytes of whole shards kept in temporary files, where a server does not answer ranges."""
HEAD_BYTES = 1 << 16
"""Of a tar without a sidecar, that name it besides its size."""
AT_ONCE = 16
"""Requests that are under way together, where many shards are asked for one by one."""
STREAM_BYTES = 1 << 20
EXTRAS = {"s3": "mmaif[s3]", "s3a": "mmaif[s3]"}
"""What brings the client of a kind of URL; other kinds name fsspec's own package."""


def is_pipe(url: str) -> bool:
    """Whether it is a command whose output is the file, as webdataset writes it: pipe:COMMAND."""
    return url.startswith("pipe:")


def is_remote(url: str) -> bool:
    return "://" in url and not is_pipe(url)


def exists(url: str) -> bool:
    """Whether there is such a file; of a pipe only running it tells. Raises UserError where that cannot be told."""
    if is_pipe(url):
        return True
    if not is_remote(url):
        try:
            return Path(url).is_file()
        except OSError:  # no file can have such a name
            return False

    def found(fs: Any, path: str) -> None:
        try:
            fs.info(path)
        except FileNotFoundError:
            if not _is_http(fs):
                raise
            _range(fs, path, 0, 1, whole=False)  # says whether it is the file that is missing

    try:
        _again(url, found)
        return True
    except FileNotFoundError:
        return False


def can_be_had(url: str) -> bool:
    """`exists`; a file that a signed address does not give is not there, as it may be signed for another alone."""
    try:
        return exists(url)
    except UserError:
        if not split(url)[1]:
            raise
        return False


def names_in(folder: str) -> list[str]:
    """The names of what stands in a folder, sorted; none on http, which lists nothing that can be relied on.

    Raises UserError.
    """
    if is_remote(folder):
        found = _again(folder, lambda fs, path: [] if _is_http(fs) else fs.ls(path, detail=False))
        return sorted(name.rpartition("/")[2] for name in found)
    try:
        return sorted(path.name for path in Path(folder).iterdir())
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror or error})") from None


def matching(pattern: str) -> list[str]:
    """The URLs that fit a pattern with * or ?, sorted; http lists nothing. Raises UserError."""
    kind = pattern.partition("://")[0]

    def fitting(fs: Any, path: str) -> list[str]:
        if _is_http(fs):
            raise UserError(f"{pattern}: a web server does not list its files; name a range, {{000000..000003}}.tar")
        return sorted(fs.glob(path))

    return [f"{kind}://{name.lstrip('/')}" for name in _again(pattern, fitting)]


def read(url: str) -> bytes:
    """All bytes of a file. Raises FileNotFoundError, UserError."""
    if is_remote(url):
        return _again(url, lambda fs, path: cast(bytes, fs.cat_file(path)))
    try:
        return Path(url).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{url}: cannot be read ({error.strerror or error})") from None


def identity(url: str) -> str:
    """What tells a file from another without reading it whole: its size, and the sha256 of its first 64 KiB.

    Of a pipe the command alone, without what signs its addresses. Raises FileNotFoundError, UserError.
    """
    if is_pipe(url):
        return shown(url)

    def size_of(fs: Any, path: str) -> Any:
        try:
            return fs.info(path)["size"]
        except FileNotFoundError as error:  # its bytes came: fsspec calls every failure so
            raise ConnectionError("its size is not told") from error

    if is_remote(url):
        head = _again(url, lambda fs, path: _range(fs, path, 0, HEAD_BYTES, whole=False))
        size = _again(url, size_of)
    else:
        with Path(url).open("rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(HEAD_BYTES)
    return f"{'' if size is None else size}:{hashlib.sha256(head).hexdigest()}"


def open_stream(url: str) -> IO[bytes]:
    """A file, or the output of a pipe, opened for one pass. Raises FileNotFoundError, UserError; its reads raise
    OSError.
    """
    if is_pipe(url):
        from webdataset.gopen import gopen

        return cast(IO[bytes], gopen(url, "rb", bufsize=STREAM_BYTES))
    if not is_remote(url):
        return Path(url).open("rb")

    def opened(fs: Any, path: str) -> Any:
        # a size, whichever, spares the request for it; blocks of 0 bytes are a plain GET from front to back
        return fs.open(path, "rb", **({"block_size": 0, "size": 1} if _is_http(fs) else {}))

    return io.BufferedReader(_Stream(_again(url, opened)), STREAM_BYTES)


def at_once(function: Callable[[str], T], urls: list[str]) -> list[T]:
    """`function` of each URL, in order: several requests at a time, since each only waits; files, one a core."""
    with ThreadPoolExecutor(AT_ONCE if any(map(is_remote, urls)) else os.cpu_count()) as pool:
        return list(pool.map(function, urls))


class Ranges:
    """Bytes at an offset of files, from any thread, and in processes that are forked or get a pickled copy.

    A server that ignores the Range header sends the whole shard: it is then kept in a temporary file for as long
    as this object lives, so that it is sent once. cache: where whole shards are kept, whatever the server can.
    """

    def __init__(self, cache: ShardCache | None = None) -> None:
        self._cache = cache
        self._asking: dict[str, threading.Lock] = {}
        self._keeping = threading.Lock()
        self._ranged: set[str] = set()
        self._spooled: dict[str, Path] = {}
        self._folder: Path | None = None

    def __reduce__(self) -> tuple[type[Ranges], tuple[ShardCache | None]]:
        return Ranges, (self._cache,)

    def read(self, url: str, offset: int, size: int) -> bytes | bytearray:
        """`size` bytes from `offset`; fewer where a file of this machine ends. Raises OSError, UserError."""
        if not is_remote(url):
            return pread(Path(url), offset, size)
        if self._cache is not None:
            return self._cache.read(url, offset, size, partial(_length, url), partial(_fetch, url))
        data = self._ask(url, offset, size) if url in self._ranged else None
        if data is None:
            with self._asking.setdefault(url, threading.Lock()):  # one thread finds out how the server answers
                if url not in self._spooled:
                    data = self._ask(url, offset, size)
                if data is None and url not in self._spooled:
                    with self._keeping:
                        self._spooled[url] = self._spool(url)
        if data is None:
            return pread(self._spooled[url], offset, size)
        self._ranged.add(url)
        return data

    def _ask(self, url: str, offset: int, size: int) -> bytes | None:
        """None where the server sends the whole file."""

        def ask(fs: Any, path: str) -> bytes | None:
            try:
                return _range(fs, path, offset, size)
            except ValueError:  # with which fsspec tells it
                return None

        return _again(url, ask)

    def _spool(self, url: str) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="mmaif-shards-"))
            weakref.finalize(self, _remove, self._folder, os.getpid())
        kept = sum(path.stat().st_size for path in self._spooled.values())
        if kept + _length(url) > SPOOL_LIMIT:
            raise UserError(
                f"{url}: its server answers no byte ranges, and the shards read so far fill "
                f"{SPOOL_LIMIT >> 30} GiB of temporary files; copy them to disk and name the folder"
            )
        handle, name = tempfile.mkstemp(".tar", dir=self._folder)
        os.close(handle)
        _fetch(url, Path(name))
        return Path(name)


def _length(url: str) -> int:
    """Of a file, in bytes; 0 where its server does not tell. Raises FileNotFoundError, UserError."""
    return _again(url, lambda fs, path: fs.info(path)["size"]) or 0


def _fetch(url: str, to: Path) -> None:
    """Raises FileNotFoundError, UserError."""
    _again(url, lambda fs, path: fs.get_file(path, str(to)))


class _Stream(io.RawIOBase):
    """A file of fsspec's; what goes wrong in it is an OSError, whatever library it comes from."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(len(buffer))
        except Exception as error:
            raise OSError(errno.EIO, one_line(error)) from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _range(fs: Any, path: str, start: int, size: int, whole: bool = True) -> bytes:
    """`size` bytes from `start`; not whole: fewer where the file ends.

    Raises ValueError where an http server sends all of a file in the place of a part that is not its beginning.
    """
    if _is_http(fs):
        with fs.open(path, "rb", block_size=size, cache_type="none", size=start + size) as file:
            file.seek(start)
            data: bytes = file.read(size)
    else:
        data = fs.cat_file(path, start=start, end=start + size)
    if whole and len(data) != size:
        raise ConnectionError(f"{len(data)} bytes came of {size}")
    return data


def _again(url: str, ask: Callable[[Any, str], T]) -> T:
    """What `ask` makes of the file system and the path in it; asked again after a pause where server or line fail.

    Raises FileNotFoundError, UserError.
    """
    fs = _file_system(url)
    reason = ""
    for pause in PAUSES_S:
        if pause:
            time.sleep(pause)
        try:
            return ask(fs, fs._strip_protocol(url))
        except UserError:
            raise
        except FileNotFoundError:
            raise FileNotFoundError(url) from None
        except (PermissionError, ValueError) as error:  # what the store forbids; what no address can be
            raise UserError(f"{url}: cannot be read ({one_line(error)}); check the address") from None
        except Exception as error:  # each store has its own: of sockets, of http, of its client
            status = getattr(error, "status", None)
            if status in (404, 410):
                raise FileNotFoundError(url) from None
            reason = f"HTTP {status}" if status else one_line(error)
            if status and status < 500 and status != 429:
                ended = (
                    ", or its signature, which may have ended" if status in (400, 401, 403) and split(url)[1] else ""
                )
                raise UserError(f"{url}: cannot be read ({reason}); check the address{ended}") from None
            if getattr(error, "errno", None) == errno.ECONNREFUSED:
                break
    raise UserError(f"{url}: cannot be read ({reason}); check the address and run the command again")


_CONNECTING = threading.Lock()


def _file_system(url: str) -> Any:
    """fsspec's file system for a URL, one for each host or bucket. Raises UserError."""
    kind, _, rest = url.partition("://")
    with _CONNECTING:
        return _connect(kind, rest.partition("/")[0], os.getpid())


@lru_cache
def _connect(kind: str, host: str, process: int) -> Any:  # noqa: ARG001 (a connection belongs to one process)
    try:
        import fsspec

        options = {}
        if kind in ("http", "https"):
            from aiohttp import ClientTimeout

            options["client_kwargs"] = {
                "headers": {"Accept-Encoding": "identity"},  # a range is one of the file's own bytes
                "timeout": ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=TIMEOUT_S),
                "trust_env": True,  # proxies, as curl finds them
            }
        return fsspec.core.url_to_fs(f"{kind}://{host}", use_listings_cache=False, skip_instance_cache=True, **options)[
            0
        ]
    except ImportError as error:
        extra = EXTRAS.get(kind, "mmaif[cloud]")
        raise UserError(f"{kind}://{host}: {one_line(error)}; pip install '{extra}'") from None
    except ValueError as error:
        raise UserError(f"{kind}://{host}: {one_line(error)}; give a path, or an http(s):// or s3:// URL") from None


def _is_http(fs: Any) -> bool:
    return "http" in fs.protocol


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not a forked one's
        shutil.rmtree(folder, ignore_errors=True)
