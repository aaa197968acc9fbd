"""Docstrings of the reference: each parameter begins a paragraph, and examples of a session are code.

In the source a docstring is text that flows ("a, b: paths or arrays. prompt: what to put right. Raises UserError."),
short where the code is read; in a page one looks for a name.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

SESSION = re.compile(r"^(?:>>> |\.\.\. ).*(?:\n(?:>>> |\.\.\. ).*)*", re.MULTILINE)
OUTCOME = re.compile(r"(?<=\. )(?=(?:Returns|Raises|Warns) )")


class Docstrings(griffe.Extension):
    """Of functions, methods and classes, as MkDocs is given them."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Once for each."""
        if obj.docstring is not None:
            names = [parameter.name for parameter in obj.parameters] if isinstance(obj, griffe.Function) else []
            obj.docstring.value = apart(obj.docstring.value, names)


def apart(text: str, names: list[str]) -> str:
    """The text with a paragraph for each of the names that it tells, and for what comes out."""
    parts = text.split("\n\n")
    if names:
        name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        told = re.compile(rf"(?:^|(?<=\. ))((?:{name})(?:, (?:{name}))*): ")
        parts = [part if part.startswith((" ", ">>>")) else _split(part, told) for part in parts]
    return SESSION.sub(_as_code, "\n\n".join(parts))


def _as_code(session: re.Match[str]) -> str:
    return "\n".join(("```python", *(line[4:] for line in session[0].split("\n")), "```"))


def _split(part: str, told: re.Pattern[str]) -> str:
    flowing = " ".join(part.split())
    if not told.search(flowing):
        return part
    return OUTCOME.sub("\n\n", told.sub(lambda found: f"\n\n**{found[1]}**: ", flowing)).strip()
