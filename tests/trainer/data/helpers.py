"""Samples and servers that the tests of the reader share."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from tests.trainer.helpers import picture, png
from trainer.data.shards import IndexedShards, StreamedShards

GOOD = [0, 1, 2, 4, 5, 6, 7, 8, 9]  # of the fixture: 3 failed


def keys(shards: IndexedShards | StreamedShards, positions: range) -> list[int]:
    return [int(sample.key) for sample in shards.load([shards.at(position) for position in positions])]


def write_members(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def good_members(key: str = "000000007") -> dict[str, bytes]:
    record = json.dumps({"version": 1, "instruction": "fuse"}).encode()
    images = {f"{key}.{name}.png": png(picture(i)) for i, name in enumerate(("a", "b", "target"))}
    return {f"{key}.a.png": images[f"{key}.a.png"], f"{key}.json": record, **images}


def bomb(side: int = 60000) -> bytes:
    """A PNG whose header asks for side x side pixels, and that holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b"\0" * 64), b"IEND"]
    packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


class RangeHandler(SimpleHTTPRequestHandler):
    """Answers ranges, which Python's own server does not, and counts the bytes that it sends of tars."""

    ranges = True
    sent = 0

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        asked = self.headers.get("Range")
        if path.suffix == ".tar" and path.is_file():
            data = path.read_bytes()
            if self.ranges and asked:
                start, end = (int(number) for number in asked.removeprefix("bytes=").split("-"))
                data = data[start : end + 1]
            type(self).sent += len(data)
            self.send_response(206 if self.ranges and asked else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


class NoHead(RangeHandler):
    """A server that answers GET alone, as addresses signed for it do."""

    def do_HEAD(self) -> None:
        self.send_error(405)


class Signed(RangeHandler):
    """A store that answers only addresses whose query is its secret, and, if it signs each, the name of the file."""

    each = True
    secret = "c2VjcmV0/w=="

    @classmethod
    def sign(cls, url: str) -> str:
        return f"{url}?sig={cls.secret}{url.rsplit('/', 1)[-1] if cls.each else ''}"

    def do_HEAD(self) -> None:
        if self._may():
            super().do_HEAD()

    def do_GET(self) -> None:
        if self._may():
            super().do_GET()

    def _may(self) -> bool:
        if unquote(self.path) == self.sign(self.path.partition("?")[0]):
            return True
        self.send_error(403)
        return False


@contextmanager
def serving(folder: Path, handler: type[SimpleHTTPRequestHandler]) -> Iterator[str]:
    """The address of an http server for a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
