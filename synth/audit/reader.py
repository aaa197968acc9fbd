"""What a stored instruction says, read back from its phrases, against what its record says was drawn and asked.

A sentence is matched with the patterns of all sentences that its phrase ids can make for this record: another word, a
place where the effect is not, a strength that it has not, or a clause too many and the pattern does not fit.
"""

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from types import SimpleNamespace

from synth.degradations.base import REGISTRY
from synth.instructions.grammar import KINDS
from synth.instructions.intent import STRONG, WEAK, places
from synth.instructions.phrases import PHRASED, Split, clauses, phrase, split_of, words
from synth.sample.record import Entry, Record
from synth.scene.capture import IMAGES
from synth.tasks import TASKS

WHOLE = {"general": "general", "keep": "all_kept", "clean": "clean"}  # kinds whose sentence is one phrase: its root
STYLES = {"request": "order", "expert": "order", "complaint": "complaint", "terse": "keywords"}
WRAPS = {"order": "wrap", "complaint": "complain", "keywords": "keywords"}
OWN = re.compile(r"file\.[1-9]\d*")
FREE = "imgaug"  # its augmenters may be spoken of by the name of any effect, which the record does not hold

Entries = dict[str, list[Entry]]


def faults_of(record: Record) -> list[str]:
    """What disagrees between a record's kind, marks, phrases and sentence; nothing where it is sound.

    Raises KeyError, TypeError or ValueError where the record is not made as shards/FORMAT.md has it.
    """
    named = _by_name(record["degradations"])
    kind, absent = record["kind"], list(record["absent"])
    found = _marks(kind, named)
    if absent and (kind not in ("full", "partial") or not set(absent) <= PHRASED - set(named) or len(absent) > 1):
        found.append(f"absent {absent[0]} does not go with a {kind} instruction and what was drawn")
    return found or _sentence(record, named, absent)


def _by_name(entries: Sequence[Entry]) -> Entries:
    """The entries of a record by the name that instructions have for their effect."""
    named: Entries = {}
    for entry in entries:
        effect = REGISTRY.get(entry["effect"])
        named.setdefault(entry["effect"] if effect is None else effect.said_as, []).append(entry)
    return named


def _marks(kind: str, named: Entries) -> list[str]:
    """What is wrong with what is to be removed and kept, for an instruction of this kind."""
    if kind not in KINDS:
        return [f"kind {kind!r} is none of {', '.join(KINDS)}"]
    if (kind == "clean") != (not named):
        return [f"kind {kind}, and {len(named)} effects in the record"]
    asked = {name: {entry["asked"] for entry in entries} for name, entries in named.items()}
    for name, marks in asked.items():
        if len(marks) > 1 or not marks <= {"remove", "keep"}:
            return [f"{name} is asked to {' and '.join(sorted(map(str, marks)))}"]
    kept = [name for name, marks in asked.items() if marks == {"keep"}]
    wanted = {"full": 0, "general": 0, "clean": 0, "keep": len(named)}.get(kind)
    if wanted is not None and len(kept) != wanted:
        return [f"kind {kind}, and {len(kept)} of {len(named)} effects are marked keep"]
    if kind == "partial":
        if not 0 < len(kept) < len(named):
            return [f"kind partial, and {len(kept)} of {len(named)} effects are marked keep"]
        for name in kept:
            if any(not _keepable(entry, named[name]) for entry in named[name]):
                return [f"kind partial, and {name} is kept, which no instruction wants while others go"]
    return []


def _keepable(entry: Entry, entries: Sequence[Entry]) -> bool:
    effect = REGISTRY.get(entry["effect"])
    if effect is None or effect.may_stay == "always":
        return effect is not None
    return effect.may_stay == "shared" and {other["image"] for other in entries} == set(IMAGES)


def _sentence(record: Record, named: Entries, absent: Sequence[str]) -> list[str]:
    kind, text, ids = record["kind"], record["instruction"], list(record["phrases"])
    if len(ids) == 1 and OWN.fullmatch(ids[0]):
        return []  # the user's own sentence: no pattern of ours says what it means
    unknown = [name for name in ids if phrase(name) is None]
    if not ids or unknown:
        return [f"phrase {unknown[0]!r} is not in phrases.yaml" if unknown else "no phrases"]
    split = record["phrase_split"]
    strange = [name for name in ids if not _in_split(name, split)]
    if strange:
        return [f"phrase {strange[0]} is of {split_of(strange[0])}, the record says {split}"]
    if kind in WHOLE:
        if len(ids) != 1 or not ids[0].startswith(f"{WHOLE[kind]}."):
            return [f"kind {kind}, and its phrases are {', '.join(ids)}"]
        pattern: str | None = re.escape(str(phrase(ids[0])))
    else:
        spoken = [name.split(".")[0] for name in ids if name.split(".")[0] in PHRASED]
        removed = [name for name, entries in named.items() if entries[0]["asked"] == "remove"]
        if FREE in removed:
            spoken = [name for name in spoken if name in (*removed, *absent)]
            removed = [name for name in removed if name != FREE]
        if sorted(spoken) != sorted([*removed, *absent]):
            return [f"it names {_list(spoken)}; to be removed are {_list([*removed, *absent])}"]
        pattern = _pattern(ids, named, record["task"])
    if pattern is None:
        return [f"no {kind} sentence is made of the phrases {', '.join(ids)}"]
    return [] if _fits(pattern, text) else [f"the phrases {', '.join(ids)} do not make {text!r}"]


def _list(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _fits(pattern: str, text: str) -> bool:
    """Whether a sentence is one of a pattern's, with or without a capital and a full stop."""
    if re.fullmatch(pattern, text):
        return True
    bare = text if text.endswith("?") else text.removesuffix(".")
    return any(re.fullmatch(pattern, first + bare[1:]) for first in {bare[:1], bare[:1].lower()})


def _in_split(name: str, split: Split) -> bool:
    """Whether a phrase may stand in a sentence of a split: only clauses, and sentences that are one, have any."""
    root = name.rpartition(".")[0]
    if root.split(".")[0] not in PHRASED and root not in (*WHOLE.values(), "keep"):
        return True
    return name in clauses(root, split)


def _pattern(ids: Sequence[str], named: Entries, task: str) -> str | None:
    """The regular expression of the sentences that some phrases make for a record; None where they make none."""
    spoken = [name for name in ids if name.split(".")[0] in PHRASED]
    rest = ids[len(spoken) :]
    styles = {STYLES.get(name.split(".")[-2], "") for name in spoken}
    if list(ids[: len(spoken)]) != spoken or len(styles) != 1 or not all(_says_the_way(name, named) for name in spoken):
        return None
    style = styles.pop()
    parts = [_clause(name, named, task) for name in spoken]
    if len(parts) > 1 and style != "keywords":
        root = f"join.{len(parts)}" if style == "order" else "join.statements"
        if not rest or rest[0].rpartition(".")[0] != root:
            return None
        work = _filled(str(phrase(rest[0])), {str(n): part for n, part in enumerate(parts)})
        rest = rest[1:]
    else:
        work = ", ".join(parts)
    roots = [name.rpartition(".")[0] for name in rest]
    kept = [name for name, entries in named.items() if entries[0]["asked"] == "keep"]
    nouns = [noun for name in kept if name in PHRASED for noun in words(name, "nouns")]
    stays = [_filled(str(phrase(name)), {"n": _one_of(nouns)}) for name in rest if name.startswith("keep.")]
    if stays and not nouns:
        return None
    match roots:
        case [wrap] if wrap == WRAPS[style]:
            return _filled(str(phrase(rest[0])), {"work": work})
        case ["keep"] if style == "keywords":
            return f"{work}, {stays[0]}"
        case ["complain", "keep"] if style == "complaint":
            return f"{_filled(str(phrase(rest[0])), {'work': work})}, but {stays[0]}"
        case ["but", "keep"] if style == "order":
            return _filled(str(phrase(rest[0])), {"work": work, "keep": stays[0]})
    return None


def _says_the_way(clause: str, named: Entries) -> bool:
    """Whether a clause says no way in which its effect went wrong, or the one in which it did wherever it fell."""
    name, *steps = clause.split(".")
    if steps[0] != "ways" or name not in named:  # of an effect that is absent none was drawn, and none is said
        return steps[0] != "ways"
    params = [(REGISTRY[entry["effect"]], SimpleNamespace(**entry["params"])) for entry in named[name]]
    return {effect.way(drawn) for effect, drawn in params} == {steps[1]}


def _clause(clause: str, named: Entries, task: str) -> str:
    """A clause, with the words for strength and place that go with what was drawn."""
    name = clause.split(".")[0]
    entries = named.get(name) or named.get(FREE, [])
    strengths = [entry["severity"] for entry in entries if entry["severity"] is not None]
    said: list[str] = []
    if strengths and len(strengths) == len(entries):
        weak, strong = max(strengths) < WEAK, min(strengths) > STRONG
        said = words(name, "weak" if weak else "strong") if weak or strong else []
    images = {entry["image"] for entry in entries}
    where = places(images, TASKS[task])[0] if images else ()
    strength = f"(?:{_one_of(said)} )?" if said else ""
    return _filled(str(phrase(clause)), {"s": strength, "w": f"(?: {_one_of(where)})?" if where else ""})


def _filled(template: str, patterns: Mapping[str, str]) -> str:
    """A phrase as a pattern: what is in braces by name, the rest as it stands. Raises KeyError."""
    return "".join(
        re.escape(literal) + (patterns[field] if field is not None else "")
        for literal, field, _, _ in Formatter().parse(template)
    )


def _one_of(texts: Sequence[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, texts))})"
