"""A user's own sentences: paraphrases of a language model, another language. A JSON-lines file (UTF-8, or UTF-16 with a
byte-order mark), each line

    {"text": "entferne den Regen", "kind": "full", "remove": ["rain"], "keep": [], "source": "translated by hand"}

`remove` and `keep` are what the sentence names, and `lessen` what it weakens, with the factor of its strength
(`{"haze": 0.5}`; 0.7, 0.5 or 0.25); a sentence is used where exactly that is to be named, and where what it keeps is
all that is kept, or goes unsaid. `kind` may be left out: lessen where it weakens something, partial where it keeps
something, else full.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from synth.errors import UserError, hint
from synth.instructions.grammar import FACTORS, KINDS, Kind
from synth.instructions.phrases import PHRASED
from synth.text import lines_of, text_of

MOST_BYTES = 256 << 20  # of the file
LONGEST, MOST_LINES = 500, 1_000_000
KEYS = ["text", "kind", "remove", "keep", "lessen"]
Lessened = frozenset[tuple[str, float]]
Key = tuple[Kind, frozenset[str], frozenset[str], Lessened]


@dataclass(frozen=True, eq=False)
class Sentences:
    """Sentences by what they name: (line number, text), in the order of the file."""

    by_content: dict[Key, list[tuple[int, str]]]
    sha256: str

    def fitting(
        self, kind: Kind, remove: frozenset[str], kept: frozenset[str], lessened: Lessened = frozenset()
    ) -> list[tuple[int, str]]:
        """The sentences that say just this; of those that keep something also those that leave unsaid what stays."""
        if kind in ("keep", "general") or (kind == "clean" and not remove):
            remove = kept = frozenset()
        found = list(self.by_content.get((kind, remove, kept, lessened), []))
        if kept:
            found += self.by_content.get((kind, remove, frozenset(), lessened), [])
        return found


@lru_cache(maxsize=4)
def load_sentences(path: Path) -> Sentences:
    """Read and check a file. Raises UserError with its line."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise UserError(f"{path}: over {MOST_BYTES >> 20} MB")
    try:
        lines = lines_of(text_of(data))
    except ValueError as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if len(lines) > MOST_LINES:
        raise UserError(f"{path}: {len(lines)} lines; {MOST_LINES} at most")
    by_content: dict[Key, list[tuple[int, str]]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            key, text = _checked(line, f"{path.name}:{number}")
            by_content.setdefault(key, []).append((number, text))
    if not by_content:
        raise UserError(f"{path}: no sentence in it")
    return Sentences(by_content, hashlib.sha256(data).hexdigest())


def _checked(line: str, where: str) -> tuple[Key, str]:
    try:
        entry: Any = json.loads(line, object_pairs_hook=_each_once)
    except _TwiceError as error:
        raise UserError(f"{where}: {error} stands twice; leave one of them") from None
    except (ValueError, RecursionError):
        raise UserError(f"{where}: not JSON{_why(line.strip())}") from None
    if isinstance(entry, list):
        raise UserError(f"{where}: not JSON lines{_why(line.strip())}")
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise UserError(f'{where}: an object with "text" is needed')
    unknown = sorted(set(entry) - {"text", "kind", "remove", "keep", "lessen", "source", "language"})
    if unknown:
        raise UserError(f"{where}: {unknown[0]}: unknown key{hint(unknown[0], KEYS)}")
    if not 0 < len(entry["text"].strip()) <= LONGEST:
        raise UserError(f"{where}: text: 1 to {LONGEST} characters")
    if not entry["text"].isprintable() and any("\ud800" <= letter <= "\udfff" for letter in entry["text"]):
        raise UserError(f"{where}: text: half of a character (\\ud800 to \\udfff alone); write the whole one")
    named: dict[str, frozenset[str]] = {}
    for key in ("remove", "keep"):
        names = entry.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{where}: {key}: a list of effects")
        wrong = [name for name in names if name not in PHRASED]
        if wrong:
            raise UserError(f"{where}: {key}: unknown effect {wrong[0]!r}{hint(wrong[0], PHRASED)}")
        named[key] = frozenset(names)
    lessened = entry.get("lessen", {})
    if not isinstance(lessened, dict) or not all(name in PHRASED and f in FACTORS for name, f in lessened.items()):
        raise UserError(f"{where}: lessen: effects, each with one of {', '.join(map(str, FACTORS))}")
    kind = entry.get("kind", "lessen" if lessened else "partial" if named["keep"] else "full")
    if kind not in KINDS:
        raise UserError(f"{where}: kind: {kind!r}{hint(str(kind), KINDS)}")
    names_something = kind in ("full", "partial")
    if kind == "lessen":
        if not lessened:
            raise UserError(f"{where}: a lessen sentence names what it lessens")
    elif names_something != bool(named["remove"]) or lessened or (named["keep"] and kind != "partial"):
        raise UserError(f"{where}: a {kind} sentence names {'what it removes' if names_something else 'nothing'}")
    return (kind, named["remove"], named["keep"], frozenset(lessened.items())), entry["text"].strip()


def _why(line: str) -> str:
    """What is likely wrong with a line that is not JSON."""
    if line in ("[", "]", "{", "}") or line.startswith("["):
        return "; each line is an object of its own, {…}, with no brackets around them"
    if line.endswith("},"):
        return "; lines have no comma between them"
    if line.startswith("{'"):
        return "; JSON has double quotes"
    return ""


class _TwiceError(ValueError):
    """Names a key that stands twice."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _TwiceError(twice)
    return dict(pairs)
