"""`trainer app`: the page, served until it is interrupted; what was sent to it goes with it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.console import say
from trainer.errors import UserError

INSTALL = "pip install 'mmaif[app]'"
PIXELS_MOST = 134.0
"""Megapixels: files that claim more are not read (shards/FILES.md)."""
WORDS = {"en": {"common.upload": "Upload"}}
"""By language, what gradio's own translations lack: its page shows the key instead."""


@dataclass(frozen=True)
class Served:
    """What `trainer app` is told. port: 0 takes any that is free. max_megapixels: of an image, from above 0."""

    weights: Path = Path("release")
    host: str = "127.0.0.1"
    port: int = 7860
    max_megapixels: float = 16.0
    device: str | None = None
    browse: bool = False


def serve(told: Served) -> None:
    """Serves the page until Ctrl-C or a TERM. Raises UserError where it cannot begin."""
    stop = threading.Event()
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with running(told) as address:
            say(f"the page: {address} (Ctrl-C ends it)")
            stop.wait()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    say("ended")


@contextmanager
def running(told: Served) -> Iterator[str]:
    """The page on this machine, by its address; nothing is left when it ends. Raises UserError."""
    if find_spec("gradio") is None:
        raise UserError(f"app: gradio is not installed, which makes the page; {INSTALL}")
    if not 0 < told.max_megapixels <= PIXELS_MOST:
        raise UserError(f"--max-megapixels {told.max_megapixels:g}: above 0 and at most {PIXELS_MOST:g}")
    told = replace(told, host=told.host.strip("[]"))
    port = _free(told.host, told.port)
    with TemporaryDirectory(prefix="mmaif-app-", ignore_cleanup_errors=True) as root:
        sent = Path(root, "sent")
        sent.mkdir(mode=0o700)
        _settle(told.host, sent)
        yield from _running(told, port, Path(root), sent)


def _running(told: Served, port: int, root: Path, sent: Path) -> Iterator[str]:
    from trainer.inference.fuser import PromptCut
    from trainer.page.work import Studio

    warnings.simplefilter("ignore", PromptCut)  # the page says it
    studio = Studio(told.weights, sent, told.device, told.max_megapixels)
    import gradio as gr

    from trainer.page.damage import Synth
    from trainer.page.examples import clean_pair, make_examples
    from trainer.page.layout import CSS, page, theme

    try:
        synth: Synth | str = Synth()
    except UserError as error:
        synth = str(error)
    made = page(studio, make_examples(root / "examples"), synth, clean_pair(root / "clean"))
    made.queue(max_size=64, default_concurrency_limit=1)
    options: dict[str, Any] = {"share": False, "ssr_mode": False, "mcp_server": False, "pwa": False}
    options |= {"enable_monitoring": False, "run_history": False, "footer_links": [], "show_error": False}
    try:
        made.launch(
            server_name=_bracketed(told.host),
            server_port=port,
            inbrowser=told.browse,
            prevent_thread_lock=True,
            quiet=True,
            max_file_size=studio.most_bytes,
            theme=theme(),
            css_paths=[CSS],
            i18n=gr.I18n(**WORDS),
            **options,
        )
    except (OSError, gr.exceptions.ServerFailedToStartError) as error:
        raise UserError(f"--port {port}: the page cannot be served there ({error}); take another port") from None
    try:
        yield f"http://{_named(told.host)}:{port}/"
    finally:
        studio.close()
        made.close(verbose=False)


def _settle(host: str, sent: Path) -> None:
    """What gradio reads from the environment as it is imported: where files go, and that nothing is told to anyone."""
    os.environ["GRADIO_TEMP_DIR"] = str(sent)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    for name in ("no_proxy", "NO_PROXY"):  # it asks itself whether it is there, and not by way of a proxy
        there = [each for each in os.environ.get(name, "").split(",") if each]
        os.environ[name] = ",".join(dict.fromkeys([*there, "127.0.0.1", "localhost", "::1", host]))


def _free(host: str, port: int) -> int:
    """The port, or one that is free for 0. Raises UserError where it is taken, or the host is none of this machine."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: from 1 to 65535, or 0 for any that is free")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            return int(tried.getsockname()[1])
    except socket.gaierror:
        raise UserError(
            f"--host {host}: no such host; 127.0.0.1 is this machine alone, 0.0.0.0 all who reach it"
        ) from None
    except PermissionError:
        raise UserError(f"--port {port}: this user may not serve there; take one from 1024 on") from None
    except OverflowError:
        raise UserError(f"--port {port}: from 1 to 65535") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UserError(f"--host {host}: not an address of this machine; 0.0.0.0 is all of them") from None
        raise UserError(f"--port {port}: is taken; give another, such as --port {port + 1}, or 0 for any") from None


def _named(host: str) -> str:
    """A host as an address names it."""
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return _bracketed(host)


def _bracketed(host: str) -> str:
    """A host, one of IPv6 between the brackets that an address needs."""
    return f"[{host}]" if ":" in host else host
