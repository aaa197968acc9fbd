"""Pages of the repository that stand beyond docs/, and the links between all of them, as MkDocs wants them.

The documents link to each other as they lie in the repository, so that they work where that is browsed. Here the pages
of BEYOND are put into the site, a link between two pages becomes the one between their places there, and of a link to a
file that is no page (a program, a test, a folder) the words stay.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import tables  # noqa: E402

BEYOND = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "shards/FORMAT.md": "shards/FORMAT.md",
    "shards/FILES.md": "shards/FILES.md",
    "trainer/weights/release/README.md": "weights/release.md",
    "trainer/weights/autoencoder/README.md": "weights/autoencoder.md",
    "LICENSE": "licence.txt",
    "CITATION.cff": "citation.txt",
    "trainer/weights/LICENSE": "weights/licence.txt",
}
"""By their paths in the repository, where they stand in the site."""
AT = {place: path for path, place in BEYOND.items()}
CODE = re.compile(r"^(```|~~~).*?^\1[ \t]*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
MADE = re.compile(r"^.*<!-- made at build: (\w+) -->$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z]+:|#")


def on_config(config: Any) -> Any:
    """Without the page for addresses that are none: a server shows it at any of them, so that its links would have to
    begin at the root of a site whose address nobody knows yet."""
    config.theme.static_templates.discard("404.html")
    return config


def on_files(files: Files, config: Any) -> Files:
    """With the pages of BEYOND."""
    for path, place in BEYOND.items():
        if (ROOT / path).is_file():
            files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page with its tables made, its links where they lead in the site, and lists as MkDocs knows them."""
    place = page.file.src_uri
    path = AT.get(place, f"docs/{place}")
    if place == "index.md":
        page.meta["hide"] = ["navigation", "toc"]
    markdown = MADE.sub(lambda found: f'<div class="made" markdown>\n\n{getattr(tables, found[1])()}\n</div>', markdown)
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        held.append(found[0])
        return f"\0{len(held) - 1}\0"

    text = LINK.sub(lambda found: linked(found, path, place), CODE.sub(hold, markdown))
    text = apart(text)
    return re.sub(r"\0(\d+)\0", lambda found: held[int(found[1])], text)


def linked(found: re.Match[str], path: str, place: str) -> str:
    """A link of the document at `path` of the repository as the page at `place` has it."""
    image, words, target = found.groups()
    if ELSEWHERE.match(target):
        return found[0]
    file, mark, anchor = target.partition("#")
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
    if not (ROOT / wanted).exists():
        return found[0]  # which MkDocs tells
    there = BEYOND.get(wanted) or (wanted.removeprefix("docs/") if wanted.startswith("docs/") else None)
    if there is None or (ROOT / wanted).is_dir():
        return words
    inner = LINK.sub(lambda inside: linked(inside, path, place), words)
    return f"{image}[{inner}]({posixpath.relpath(there, posixpath.dirname(place) or '.')}{mark}{anchor})"


def apart(text: str) -> str:
    """Lists as GitHub knows them: one that follows a line of text begins after an empty line."""
    lines: list[str] = []
    for line in text.split("\n"):
        bullet = re.match(r"( *)([-*+]|\d+\.) +\S", line)
        before = lines[-1] if lines else ""
        if bullet and not bullet[1] and before.strip() and not re.match(r" *([-*+]|\d+\.) |  ", before):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
