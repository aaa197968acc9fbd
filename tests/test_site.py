"""The documentation as a site: it builds without a word, its links lead somewhere, its pages fit their windows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import DESKTOP, PHONE
from tests.conftest import ROOT

pytestmark = pytest.mark.slow
OPENED = ("index", "tutorial", "howto/recipe", "reference/recipe", "reference/trainer", "reference/python-trainer")
OPENED += ("readme", "results", "model", "decisions", "shards/FORMAT")
"""Pages that are looked at in a browser; all are read."""


class Page(HTMLParser):
    """What a page has: its marks, its links and pictures, and how many of some tags in its article."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.marks, self.links = path, set[str](), list[str]()
        self.article, self.counts, self.text = False, Counter[str](), ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.article = self.article or tag == "article"
        self.marks |= {value for key in ("id", "name") if (value := given.get(key))}
        self.links += [value for key in ("href", "src") if (value := given.get(key))]
        if self.article:
            self.counts[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        self.article = self.article and tag != "article"

    def handle_data(self, data: str) -> None:
        self.text += data if self.article else ""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built strictly: a warning is a failure."""
    pytest.importorskip("mkdocs", reason="the site is made by MkDocs (pip install 'mmaif[docs]')")
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout + done.stderr == ""
    return out


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_and_picture_leads_somewhere(site, pages):
    astray = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            if there.is_dir():
                there = there / "index.html"
            known = pages.get(there)
            if not there.is_file() or (parts.fragment and known and unquote(parts.fragment) not in known.marks):
                astray.append(f"{path.relative_to(site)}: {link}")
    assert astray == []


def test_every_document_is_a_page_with_all_that_it_has(site, pages):
    """By the numbers of headings, tables, rows, items and blocks that a browser of the repository shows of it."""
    from markdown_it import MarkdownIt

    places = {"README.md": "readme", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}
    places |= {f"shards/{name}.md": f"shards/{name}" for name in ("FORMAT", "FILES")}
    places |= {f"trainer/weights/{name}/README.md": f"weights/{name}" for name in ("release", "autoencoder")}
    documents = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    places |= {name: name.removeprefix("docs/").removesuffix(".md") for name in documents}
    reader = MarkdownIt("commonmark").enable("table")
    for name, place in places.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        if "<!-- made at build" in text or "\n::: " in text or "<div" in text:
            continue  # has more than it says
        tokens = reader.parse(text)
        inner = [child for token in tokens for child in token.children or []]
        expected = Counter(token.tag for token in tokens if token.type.endswith("_open"))
        expected["pre"] = sum(token.type == "fence" for token in tokens)
        html = "".join(token.content for token in (*tokens, *inner) if token.type.startswith("html_"))
        expected["img"] = sum(token.type == "image" for token in inner) + html.count("<img ")
        found = pages[site / f"{place}.html"].counts
        tags = ("h1", "h2", "h3", "table", "tr", "td", "ul", "ol", "li", "pre", "img")
        assert {tag: found[tag] for tag in tags} == {tag: expected[tag] for tag in tags}, name


def test_the_reference_is_what_the_programs_say(pages, site):
    from synth.degradations import effects

    recipe, synth = (pages[site / f"reference/{name}.html"] for name in ("recipe", "synth"))
    assert {"samples_per_shard", "held_out_val", "per_pair", "second_pass"} <= set(re.findall(r"\w+", recipe.text))
    assert "--shard-range" in synth.text
    assert set(effects()) <= pages[site / "reference/effects.html"].marks
    assert "ema_half_life" in pages[site / "reference/config.html"].text
    assert "PSNR" not in recipe.text
    assert "Peak signal to noise" in pages[site / "reference/python-trainer.html"].text
    python = [pages[site / f"reference/python-{name}.html"] for name in ("synth", "trainer")]
    assert [page.counts["blockquote"] for page in python] == [0, 0], "examples of a session are code"
    assert [page.counts["strong"] > 5 for page in python] == [True, True], "parameters are found by their names"


def test_nothing_is_asked_of_other_machines(site, pages):
    """Links may lead elsewhere; scripts, styles, pictures and letters may not come from there."""
    for path in pages:
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?(https?:[^\"' >]+)", text)
        assert [url for url in loaded if "canonical" not in url] == [], path.relative_to(site)
    for sheet in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?https?:", sheet.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_fit_their_window(site, open_page, size):
    page = open_page((site / "index.html").as_uri(), size)
    for name in OPENED:
        page.goto((site / f"{name}.html").as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size[0], f"{name}: {wide} px"
        assert page.locator("article h1").count() == 1, name
        broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
        assert broken == [], name


def test_search_finds_from_a_file(site, open_page):
    page = open_page((site / "index.html").as_uri())
    page.locator("input.md-search__input").click()
    page.locator("input.md-search__input").press_sequentially("visibility_m")
    page.locator(".md-search-result__item a").first.wait_for(timeout=20_000)
    found = page.locator(".md-search-result__item a").evaluate_all("links => links.map(link => link.href)")
    assert any("/reference/effects.html" in link for link in found), found
