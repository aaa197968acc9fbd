"""Measured tables in documents: each stands between two marks and is written anew by the command named in the first."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
README = "README.md"
QUICK = Path("out/quick")
"""Where documents and their pictures go in a rehearsal."""
_folder = DOCS


def rehearse() -> None:
    """From now on docs/ stays as it is."""
    global _folder
    _folder = QUICK
    QUICK.mkdir(parents=True, exist_ok=True)


def place(name: str) -> Path:
    """Where a document or a picture of one is written: in docs/, but for README.md."""
    return _folder.parent / name if name == README and _folder == DOCS else _folder / name


def put(document: str, section: str, command: str, text: str) -> None:
    """Replace a section of a document, or append it: `<!-- section: command -->` … `<!-- end section -->`.

    document: the name of a file in docs/, or README.md.
    """
    path = place(document)
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    body = f"<!-- {section}: {command} -->\n{text.strip()}\n<!-- end {section} -->"
    pattern = re.compile(rf"<!-- {section}: .*?<!-- end {section} -->", re.DOTALL)
    new = pattern.sub(lambda _: body, old) if pattern.search(old) else f"{old.rstrip()}\n\n{body}\n"
    path.write_text(new, encoding="utf-8")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
