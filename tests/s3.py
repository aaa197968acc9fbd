"""A real S3 server on loopback (moto's), and a proxy before it that fails as networks and servers do."""

import http.client
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Proxy(ThreadingHTTPServer):
    """Passes requests on. Every `refused`-th is answered 503; of every `cut`-th the body breaks off in the middle.

    faults: how many of either kind were made, and of which method.
    """

    daemon_threads = True

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.refused, self.cut = behind, 0, 0
        self.faults = Counter[str]()
        self._count = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self) -> str | None:
        """What is to happen to the next request."""
        number = next(self._count)
        if self.refused and number % self.refused == 0:
            return "refused"
        return "cut" if self.cut and number % self.cut == 0 else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass(self) -> None:
        fault, length = self.server.fault(), int(self.headers.get("Content-Length") or 0)
        if fault == "cut" and length > 1:
            self.rfile.read(length // 2)
            return self._break_off("cut PUT")
        body = self._chunked() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        if fault == "refused":
            self.server.faults["refused"] += 1
            return self._answer(503, {"Content-Type": "application/xml"}, b"" if self.command == "HEAD" else BUSY)
        behind = http.client.HTTPConnection(*self.server.behind)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("transfer-encoding", "expect")}
        behind.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
        answer = behind.getresponse()
        data = answer.read()
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding")}
        if fault == "cut" and len(data) > 1:
            self.send_response(answer.status)
            for key, value in (kept | {"Content-Length": str(len(data))}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            return self._break_off("cut GET")
        self._answer(answer.status, kept, data)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass

    def _chunked(self) -> bytes:
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        for key, value in (headers | {"Content-Length": length or str(len(data))}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def _break_off(self, kind: str) -> None:
        self.server.faults[kind] += 1
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def s3_server() -> Iterator[tuple[Proxy, dict[str, str]]]:
    """A server with the bucket `data` behind a proxy, which passes all on at first; the environment that names it."""
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    proxy = Proxy(moto.get_host_and_port())
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.url,
    }
    client = boto3.client(
        "s3",
        endpoint_url=proxy.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="data")
    try:
        yield proxy, environment
    finally:
        proxy.shutdown()
        moto.stop()
