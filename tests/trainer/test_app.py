"""`trainer app` in a real browser: what a visitor does, on one server for all of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tests.browser import PHONE, chromium
from tests.conftest import ROOT
from tests.trainer.helpers import png

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
SLOW = 60_000
"""Milliseconds that a fusion may take here, on a machine that does other things too."""
RIGHT = "#slider img >> nth=1"
LEFT = "#slider img >> nth=0"
RESULTS = "#strip .thumbnail-item"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address; at the end it is interrupted, and must leave nothing behind."""
    chromium()
    temporary = tmp_path_factory.mktemp("temporary")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "trainer", "app", "--port", "0", "--max-megapixels", "0.3"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            address = re.fullmatch(r"the page: (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", said)
            assert address is not None, said + process.stderr.read()
            yield address[1]
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stderr.read() == "ended\n"
            assert list(temporary.glob("mmaif-app-*")) == []
        finally:
            process.kill()


@pytest.fixture
def page(server: str, open_page: Callable[..., Page]) -> Page:
    opened = open_page(server)
    opened.wait_for_selector("#fuse")
    return opened


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    """Two noisy exposures of a photograph, the first of 16 bits."""
    from skimage import data

    image = cv2.resize(data.astronaut()[:240, 100:420], (128, 96), interpolation=cv2.INTER_AREA).astype(float)
    image = np.clip(image + np.random.default_rng(0).normal(0, 20, image.shape), 0, 255)
    (tmp_path / "dark.png").write_bytes(png(np.rint(image * 100).astype(np.uint16)))
    (tmp_path / "bright.png").write_bytes(png(np.clip(image * 1.6, 0, 255).astype(np.uint8)))
    return [str(tmp_path / "dark.png"), str(tmp_path / "bright.png")]


def upload(page: Page, files: list[str], where: str = "#files") -> None:
    page.click(f"{where} [aria-label=Clear]")
    page.set_input_files(f"{where} input[type=file]", files)


def opened(page: Page, files: list[str]) -> None:
    """Uploads them, and waits until they are seen."""
    upload(page, files)
    page.wait_for_selector(f"#inputs .caption-label:has-text('{Path(files[-1]).name}')")


def fuse(page: Page, sentence: str, results: int, button: str = "#fuse") -> None:
    page.fill("#sentence textarea", sentence)
    page.click(button)
    page.wait_for_function(f"document.querySelectorAll('{RESULTS}').length == {results}", timeout=SLOW)
    page.wait_for_selector("#fuse:not([disabled])")


def pixels(page: Page, which: str) -> np.ndarray:
    """Of a picture on the page."""
    address = page.locator(which).get_attribute("src")
    return cv2.imdecode(np.frombuffer(page.request.get(address).body(), np.uint8), cv2.IMREAD_COLOR)


def problem(page: Page, where: str = "#message") -> str:
    return page.locator(f"{where} .problem").inner_text()


def test_one_press_fuses_the_example_that_is_there(page):
    before = [pixels(page, LEFT), pixels(page, RIGHT)]
    page.click("#fuse")
    page.wait_for_selector(RESULTS, timeout=SLOW)
    made = pixels(page, RIGHT)
    assert made.shape == before[0].shape
    assert all(np.abs(made.astype(int) - other).mean() > 5 for other in before)
    np.testing.assert_array_equal(pixels(page, LEFT), before[0])


def test_another_sentence_makes_another_picture_and_both_are_compared_and_kept(page, pair, tmp_path):
    opened(page, pair)
    fuse(page, "remove the noise and fuse the images", 1)
    first = pixels(page, RIGHT)
    fuse(page, "keep the noise and fuse the images", 2)
    second = pixels(page, RIGHT)
    assert np.abs(first.astype(int) - second).mean() > 2
    page.get_by_label("former result").check()
    page.wait_for_selector("#caption :text('remove the noise')")
    np.testing.assert_array_equal(pixels(page, LEFT), first)

    captions = page.locator("#strip .caption-label").all_inner_texts()
    assert captions == ["keep the noise and fuse the images", "remove the noise and fuse the images"]
    page.click(f"{RESULTS} >> nth=1")
    page.wait_for_selector("#caption span:last-child:has-text('remove the noise')")
    np.testing.assert_array_equal(pixels(page, RIGHT), first)
    with page.expect_download() as waited:
        page.click("#download")
    waited.value.save_as(tmp_path / "got.png")
    assert waited.value.suggested_filename == "dark-fused.png"
    got = cv2.imread(str(tmp_path / "got.png"), cv2.IMREAD_UNCHANGED)
    assert (got.dtype, got.shape) == (np.uint16, (96, 128, 3))
    np.testing.assert_array_equal(np.rint(got / 257), first)


def test_auto_says_what_it_saw(page):
    page.click("text=Two exposures in haze")
    page.fill("#sentence textarea", "")
    page.click("#auto")
    page.wait_for_selector(RESULTS, timeout=SLOW)
    assert page.input_value("#sentence textarea") == "remove the haze and fuse the images"


def test_a_fusion_is_stopped_and_the_page_goes_on(page):
    page.click("#more button")
    page.get_by_label("4", exact=True).check()
    page.click("#fuse")
    page.click("#stop")
    page.wait_for_selector("#message :text('Stopped')", timeout=SLOW)
    page.wait_for_selector("#fuse:not([disabled]):has-text('Fuse')")
    page.wait_for_selector("#stop", state="hidden")
    assert page.locator(RESULTS).count() == 0
    page.get_by_label("1", exact=True).check()
    fuse(page, "keep the haze and fuse the images", 1)
    assert page.locator("#message .note").count() == 0


def test_no_word_of_the_page_is_a_key_of_a_translation(server, open_page):
    every = """[...document.querySelectorAll("body *")].flatMap(each => [each.title, each.ariaLabel, each.placeholder,
      ...(["SCRIPT", "STYLE"].includes(each.tagName) ? [] : [...each.childNodes].map(node => node.nodeValue || ""))])"""
    for locale in ("en-US", "de-DE"):
        page = open_page(server, locale=locale)
        page.wait_for_selector("#files [aria-label=Upload]")
        page.get_by_role("tab", name="Damage a pair").click()
        page.wait_for_selector("#clean [aria-label=Upload]")
        said = [text.strip() for text in page.evaluate(every) if text]
        assert len(said) > 50
        assert [text for text in said if re.fullmatch(r"[a-z0-9_]+\.[a-z_]+", text)] == []


def test_two_visitors_wait_for_each_other_and_see_their_own(server, open_page):
    pages = [open_page(server) for _ in range(2)]
    sentences = ["remove the haze and fuse the images", "keep the haze and fuse the images"]
    for page, sentence in zip(pages, sentences, strict=True):
        page.fill("#sentence textarea", sentence)
        page.click("#fuse")
    for page, sentence in zip(pages, sentences, strict=True):
        page.wait_for_selector(RESULTS, timeout=SLOW)
        assert page.locator("#strip .caption-label").all_inner_texts() == [sentence]


def test_what_fails_is_said_on_the_page(page, pair, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    upload(page, [pair[0], str(tmp_path / "notes.txt")])
    assert "notes.txt cannot be used: no image that can be read" in problem(page, "#files-message")
    assert page.locator("#slider img").count() == 0
    assert page.inner_text("#caption").strip() == ""
    page.click("#fuse")
    page.wait_for_selector("#message :text('see under the images')")
    assert page.locator(".problem").count() == 1

    (tmp_path / "small.png").write_bytes(png(np.zeros((50, 60, 3), np.uint8)))
    (tmp_path / "large.png").write_bytes(png(np.zeros((600, 800, 3), np.uint8)))
    for name, told in (("small.png", "Images of different sizes"), ("large.png", "0.5 megapixels")):
        upload(page, [pair[0], str(tmp_path / name)])
        page.wait_for_selector(f"#files-message :text('{told}')")
    opened(page, pair)
    assert page.locator(".problem").count() == 0
    page.fill("#sentence textarea", "  ")
    page.click("#fuse")
    assert problem(page).startswith("The sentence is empty")

    heavy = tmp_path / "heavy <img src=x onerror=window.ran=1>.png"
    heavy.write_bytes(bytes(14 << 20))
    upload(page, [str(heavy)])
    page.wait_for_selector(":text('exceed the maximum allowed size')")
    assert page.evaluate("window.ran") is None


def test_the_name_of_a_file_is_text(page, pair, tmp_path):
    """In the list, under the small picture, beside the slider and in a message."""
    name = "<img src=x onerror=window.ran=1>"
    for suffix, data in ((".png", Path(pair[1]).read_bytes()), (".txt", b"no picture")):
        (tmp_path / f"{name}{suffix}").write_bytes(data)
    opened(page, [str(tmp_path / f"{name}.png"), pair[0]])
    fuse(page, "<img src=x onerror=window.ran=1>", 1)
    assert name in page.inner_text("#caption")
    upload(page, [str(tmp_path / f"{name}.txt"), pair[0]])
    assert problem(page, "#files-message").startswith(f"{name[1:-1]}.txt cannot be used")  # as it was received
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None


def test_a_phone_shows_it_without_scrolling_aside(server, open_page):
    page = open_page(server, PHONE, has_touch=True, is_mobile=True)
    page.tap("#fuse")
    page.wait_for_selector(RESULTS, timeout=SLOW)
    page.wait_for_function("document.querySelector('#slider').getBoundingClientRect().top < 300")
    for tab in ("Damage a pair", "Fuse"):
        page.get_by_role("tab", name=tab).tap()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]


def test_a_pair_is_damaged_and_part_of_it_asked_away(page, pair):
    page.get_by_role("tab", name="Damage a pair").click()
    upload(page, pair, "#clean")
    page.wait_for_selector("#damage-message :text('These are the images')")
    clean = pixels(page, "#damaged-1 img >> nth=1")
    for effect, severity in {"haze": "0", "noise": "0.5", "jpeg": "0.6"}.items():
        page.fill(f"#effect-{effect} input[type=number]", severity)
    page.click("#fall")
    page.wait_for_selector("#damage-message :text('jpeg: first 0.60')", timeout=SLOW)
    damaged = pixels(page, "#damaged-1 img >> nth=1")
    assert np.abs(damaged.astype(int) - clean).mean() > 5
    page.click("#use")
    page.wait_for_selector("#inputs .caption-label:has-text('damaged-2.png')")
    np.testing.assert_array_equal(pixels(page, LEFT), damaged)
    page.click("#sentences :text('remove the JPEG artefacts and fuse the images')")
    page.click("#fuse")
    page.wait_for_selector(RESULTS, timeout=SLOW)
    assert page.inner_text("#caption").strip().endswith("“remove the JPEG artefacts and fuse the images” ▶")


def test_a_result_of_images_that_have_gone_goes_into_the_strip_alone(page):
    page.click("#fuse")
    page.wait_for_selector("#fuse[disabled]")
    page.click("text=Two focus planes with noise")
    page.wait_for_selector("#inputs .caption-label:has-text('near.png')")
    images = [pixels(page, LEFT), pixels(page, RIGHT)]
    page.wait_for_selector(RESULTS, timeout=SLOW)
    page.wait_for_selector("#fuse:not([disabled])")
    page.wait_for_selector("#message :text('here before')")
    for which, image in zip((LEFT, RIGHT), images, strict=True):
        np.testing.assert_array_equal(pixels(page, which), image)
    assert page.input_value("#sentence textarea") == "remove the noise and fuse the images"
    page.click(RESULTS)
    page.wait_for_selector("#caption :text('remove the haze')")


def test_what_cannot_be_damaged_is_said_once_where_it_is(page, pair):
    page.get_by_role("tab", name="Damage a pair").click()
    caption = page.locator("#damaged-1-caption")
    assert caption.inner_text().strip() == ""
    page.set_input_files("#clean input[type=file]", pair[:1])
    page.wait_for_selector("#clean-message :text('here are 3')")
    assert page.locator("#damaged-1 img").count() == 0
    page.click("#fall")
    page.wait_for_selector("#damage-message :text('see under the images')", timeout=SLOW)
    assert page.locator(".problem").count() == 1
    upload(page, pair, "#clean")
    page.wait_for_selector("#damage-message :text('of dark.png it drops')")
    for seed, told in (("-5", "is -5"), ("99999999999", "is 99999999999"), ("1.5", "is 1.5"), ("", "is empty")):
        page.fill("#seed input", seed)
        page.click("#fall")
        page.wait_for_selector(f"#damage-message .problem:has-text('The seed {told}')", timeout=SLOW)
        page.wait_for_selector("#fall:not([disabled])")
    page.fill("#seed input", "3")
    page.click("#fall")
    page.wait_for_selector("#fall[disabled]:has-text('Damaging')")
    page.wait_for_selector("#damaged-1-caption :text('damaged')", timeout=SLOW)
    page.wait_for_selector("#fall:not([disabled])")
