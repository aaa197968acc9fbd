"""A real browser for pages: the system's Chromium, headless, and no way out of this machine."""

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
WITHIN = ("file", "data", "blob", "about")  # schemes that ask nobody
NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP = (1280, 900)
PHONE = (390, 844)


def chromium() -> str:
    """Where the browser is; the test is skipped where there is none, or nothing to drive it."""
    pytest.importorskip("playwright", reason="pages are tested with playwright (pip install 'mmaif[dev]')")
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip("no browser: pages are tested in Chromium (apt-get install chromium)")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium, one for all tests."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[Callable[..., "Page"]]:
    """`open_page(url, size=DESKTOP, **context)`: a page in a window of its own.

    The test fails where a page asks for anything beyond loopback (the request is stopped), or throws.
    """
    left: list[str] = []
    thrown: list[str] = []
    contexts: list[Any] = []

    def stays(url: str) -> bool:
        parts = urlsplit(url)
        if parts.scheme in WITHIN or parts.hostname in LOOPBACK:
            return True
        left.append(url)
        return False

    def guard(route: "Route") -> None:
        if stays(route.request.url):
            route.continue_()
        else:
            route.abort()

    def opened(url: str, size: tuple[int, int] = DESKTOP, **context: Any) -> "Page":
        window = browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
        contexts.append(window)
        window.route("**/*", guard)
        page = window.new_page()
        page.on("websocket", lambda socket: stays(socket.url))
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.goto(url)
        return page

    yield opened
    for window in contexts:
        window.close()
    assert not left, f"requests that leave this machine: {left}"
    assert not thrown, f"errors of the page's script: {thrown}"
