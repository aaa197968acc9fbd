"""Pictures of the page of `trainer app` for docs/app.md, of photographs that scikit-image brings, by the system's
Chromium: docs/screens/*.jpg. `python -m bench.screens`
"""

import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from bench.command import parsed, parser
from bench.document import place

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT = 120_000
"""Milliseconds for a fusion."""
DESKTOP, PHONE = (1280, 900), (390, 844)
QUALITY = 90
"""Of the JPEG files, without subsampling: text stays sharp, and photographs do not take half a megabyte."""


class Screen(NamedTuple):
    """One picture: the window, and what is done in it before."""

    act: Callable[[Any], None]
    size: tuple[int, int] = DESKTOP
    scale: int = 1
    scheme: str = "light"


def fused(page: Any) -> None:
    page.click("#fuse")
    page.wait_for_selector("#strip .thumbnail-item", timeout=WAIT)
    page.wait_for_selector("#fuse:not([disabled])")


def start(page: Any) -> None:
    page.wait_for_selector("#inputs img")


def result(page: Any) -> None:
    """Two sentences beside each other."""
    fused(page)
    page.click("#sentences :text('keep the haze and fuse the images')")
    page.click("#fuse")
    page.wait_for_function("document.querySelectorAll('#strip .thumbnail-item').length == 2", timeout=WAIT)
    page.get_by_label("former result").check()
    page.wait_for_selector("#caption :text('remove the haze')")


def error(page: Any) -> None:
    """A file that is no picture."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "left.jpg"), Path(folder, "notes.txt")]
        Image.new("RGB", (480, 320), (90, 120, 160)).save(files[0])
        files[1].write_text("no picture")
        page.click("#files [aria-label=Clear]")
        page.set_input_files("#files input[type=file]", files)
        page.wait_for_selector("#files-message .problem")


def dark(page: Any) -> None:
    page.click("#examples :text('Visible by night and infrared')")
    page.wait_for_selector("#inputs :text('infrared.png')")
    fused(page)


def damage(page: Any) -> None:
    page.get_by_role("tab", name="Damage a pair").click()
    page.click("#fall")
    page.wait_for_selector("#use:not([disabled])", timeout=WAIT)


def phone(page: Any) -> None:
    fused(page)
    page.wait_for_function("document.querySelector('#slider').getBoundingClientRect().top < 300")


SCREENS = {
    "app-start": Screen(start),
    "app-result": Screen(result),
    "app-error": Screen(error),
    "app-damage": Screen(damage),
    "app-dark": Screen(dark, scheme="dark"),
    "app-phone": Screen(phone, PHONE, 2),
}
"""By the name of the file."""


def shoot(browser: Any, address: str, screen: Screen) -> Image.Image:
    """The picture of a window of its own."""
    width, height = screen.size
    small = {"is_mobile": True, "has_touch": True} if screen.size == PHONE else {}
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=screen.scale,
        color_scheme=screen.scheme,
        reduced_motion="reduce",
        **small,
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#fuse")
    screen.act(page)
    page.mouse.move(2, 2)
    page.wait_for_timeout(1500)  # pictures that are still being loaded, and a window that still scrolls
    made = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    return made.convert("RGB")


def write(name: str, picture: Image.Image) -> str:
    """Into docs/screens, with a line that says how large it is."""
    path = place(f"screens/{name}.jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=QUALITY, subsampling=0, optimize=True)
    return f"{path}: {picture.width}x{picture.height}, {path.stat().st_size / 1e3:.0f} kB"


def main() -> None:
    """Start a page, take the pictures, end it."""
    parsed(parser(__doc__), globals(), {"SCREENS": {"app-start": Screen(start)}})
    program = next((path for path in map(shutil.which, BROWSERS) if path), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        print("skipped: no Chromium here, or no playwright that drives it")
        return
    from trainer.page.serve import Served, running

    with running(Served(port=0)) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        for name, screen in SCREENS.items():
            print(write(name, shoot(browser, address, screen)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
