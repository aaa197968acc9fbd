"""What a stored instruction says, read back from its phrases, against what its record says was drawn and asked.

A sentence is matched with the patterns of all sentences that its phrase ids can make for this record: another word, a
place where the effect is not, a strength that it has not, or a clause too many and the pattern does not fit.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import Formatter
from types import SimpleNamespace

from synth.degradations.base import REGISTRY
from synth.instructions.fitting import Mention, fits, is_true, may_stay, says_where, strengths
from synth.instructions.grammar import DEGREES, KINDS, PARTS, WHOLE, WRAPS
from synth.instructions.intent import places, stressed
from synth.instructions.phrases import CLAIMS, FIRST_NUMBERS, PHRASED, RETIRED, Split, phrase, split_of, under, words
from synth.sample.record import Entry, Record
from synth.scene.capture import IMAGES, ImageName
from synth.tasks import TASKS, Task

STYLES = {
    "request": "order",
    "expert": "order",
    "complaint": "complaint",
    "placed": "complaint",
    "terse": "keywords",
}  # of sentences by the register of their clauses
SPLIT = ("keep", *WHOLE.values(), "mend", "merge", "asis", "fine")  # roots whose phrases are held out, besides effects
LESSENED = {("lessen", factor) for factor in DEGREES}
ASKED = {("remove", None), ("keep", None), *LESSENED}
OWN = re.compile(r"file\.[1-9]\d*")
FREE = "imgaug"  # its augmenters may be spoken of by the name of any effect, which the record does not hold

Entries = dict[str, list[Entry]]


def faults_of(record: Record, rules: bool = True) -> list[str]:
    """What disagrees between a record's kind, marks, phrases and sentence; nothing where it is sound.

    rules: whether its phrases are also held to the severity, the number of images and the effect of which they are
    true; before format 2 was known, `blizzard` could be said of a few flakes.
    Raises KeyError, TypeError or ValueError where the record is not made as shards/FORMAT.md has it.
    """
    named = _by_name(record["degradations"])
    kind, absent = record["kind"], list(record["absent"])
    found = _marks(kind, named)
    may_be = kind in ("full", "partial") or (kind == "clean" and not named)
    if absent and (not may_be or not set(absent) <= PHRASED - set(named) or len(absent) > 1):
        found.append(f"absent {absent[0]} does not go with a {kind} instruction and what was drawn")
    return found or _sentence(record, named, absent, rules)


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
    asked = {name: {(entry["asked"], entry.get("factor")) for entry in entries} for name, entries in named.items()}
    for name, marks in asked.items():
        if len(marks) > 1 or not marks <= ASKED:
            said = " and ".join(sorted(str(mark) if factor is None else f"{mark} {factor}" for mark, factor in marks))
            return [f"{name} is asked to {said}"]
    kept = [name for name, marks in asked.items() if marks == {("keep", None)}]
    lessened = [name for name, marks in asked.items() if marks <= LESSENED]
    wanted = {"full": 0, "general": 0, "clean": 0, "keep": len(named)}.get(kind)
    if wanted is not None and len(kept) != wanted:
        return [f"kind {kind}, and {len(kept)} of {len(named)} effects are marked keep"]
    if (kind == "lessen") != bool(lessened):
        return [f"kind {kind}, and {len(lessened)} of {len(named)} effects are marked lessen"]
    if kind == "partial" and not 0 < len(kept) < len(named):
        return [f"kind partial, and {len(kept)} of {len(named)} effects are marked keep"]
    if kind in ("partial", "lessen"):
        for name in (*kept, *lessened):
            if any(not _keepable(entry, named[name]) for entry in named[name]):
                return [f"kind {kind}, and {name} is kept, which no instruction wants while others go"]
    return []


def _keepable(entry: Entry, entries: Sequence[Entry]) -> bool:
    effect = REGISTRY.get(entry["effect"])
    if effect is None or effect.may_stay == "always":
        return effect is not None
    return effect.may_stay == "shared" and {other["image"] for other in entries} == set(IMAGES)


def _sentence(record: Record, named: Entries, absent: Sequence[str], rules: bool) -> list[str]:
    kind, text, ids = record["kind"], record["instruction"], list(record["phrases"])
    if len(ids) == 1 and OWN.fullmatch(ids[0]):
        return []  # the user's own sentence: no pattern of ours says what it means
    unknown = [name for name in ids if phrase(name) is None]
    if not ids or unknown:
        return [f"phrase {unknown[0]!r} is not in phrases.yaml" if unknown else "no phrases"]
    split = record["phrase_split"]
    strange = [name for name in ids if not _in_split(name, split, rules)]
    if strange:
        return [f"phrase {strange[0]} is of {split_of(strange[0])}, the record says {split}"]
    stress = stressed(record.get("target", {}), TASKS[record["task"]])
    if (ids[-1].startswith("emphasis.") or stress is not None) and not ids[-1].startswith(f"emphasis.{stress}."):
        return [f"the target stresses {stress or 'nothing'}, the sentence {ids[-1]}"]
    spoken_ids = ids if stress is None else ids[:-2]
    if kind in WHOLE and not absent:
        pattern = _unnamed(kind, spoken_ids)
        if pattern is None:
            return [f"kind {kind}, and its phrases are {', '.join(ids)}"]
    else:
        spoken = [name.split(".")[0] for name in ids if name.split(".")[0] in PHRASED]
        removed = [name for name, entries in named.items() if entries[0]["asked"] != "keep"]
        if FREE in removed:
            spoken = [name for name in spoken if name in (*removed, *absent)]
            removed = [name for name in removed if name != FREE]
        if sorted(spoken) != sorted([*removed, *absent]):
            return [f"it names {_list(spoken)}; to be removed are {_list([*removed, *absent])}"]
        facts = Facts(record, named, rules)
        untrue = [name for name in spoken_ids if not facts.allow(name, spoken_ids)]
        if untrue:
            return [f"phrase {untrue[0]} is not true of what was drawn"]
        pattern = _pattern(spoken_ids, named, facts)
    if pattern is not None and stress is not None:
        pattern = _stressed(ids[-2:], pattern)
    if pattern is None:
        return [f"no {kind} sentence is made of the phrases {', '.join(ids)}"]
    return [] if _fits(pattern, text) else [f"the phrases {', '.join(ids)} do not make {text!r}"]


def _stressed(ids: Sequence[str], pattern: str) -> str | None:
    """A sentence's pattern with a clause that stresses something; its question mark comes after that."""
    if len(ids) != 2 or not ids[0].startswith("stress."):
        return None
    asked = pattern.removesuffix(re.escape("?"))
    around = _filled(str(phrase(ids[0])), {"0": asked, "1": re.escape(str(phrase(ids[1])))})
    return around + re.escape("?") * (asked != pattern)


def _unnamed(kind: str, ids: Sequence[str]) -> str | None:
    """The pattern of a sentence that names no effect; None where its phrases make none."""
    roots, texts = [name.rpartition(".")[0] for name in ids], [str(phrase(name)) for name in ids]
    if roots == [WHOLE[kind]]:
        return re.escape(texts[0])
    first, second, join = PARTS[kind]
    if kind == "clean" and roots[:2] == [first, "ask"]:
        asked = texts[1].format(work=texts[0])
        if len(ids) == 2:
            return re.escape(asked)
        if roots[2:] == [second, join]:
            bare = asked.removesuffix("?")
            return re.escape(texts[3].format(bare, texts[2]) + "?" * (bare != asked))
    if roots == [first, second, join, "ask"]:
        return re.escape(texts[3].format(work=texts[2].format(texts[0], texts[1])))
    return None


def _list(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _fits(pattern: str, text: str) -> bool:
    """Whether a sentence is one of a pattern's, with or without a capital and a full stop."""
    if re.fullmatch(pattern, text):
        return True
    bare = text if text.endswith("?") else text.removesuffix(".")
    return any(re.fullmatch(pattern, first + bare[1:]) for first in {bare[:1], bare[:1].lower()})


def _in_split(name: str, split: Split, rules: bool) -> bool:
    """Whether a phrase may stand in a sentence of a split: only clauses, and sentences that are one, have any.

    Before the rules, a split took all clauses of a root of which it had none.
    """
    root = name.rpartition(".")[0]
    if split == "all" or (root.split(".")[0] not in (*PHRASED, "emphasis") and root not in SPLIT):
        return True
    if split_of(name) == split or rules:
        return split_of(name) == split
    first = [other for other in under(root) if int(other.rpartition(".")[2]) <= FIRST_NUMBERS]
    return all(split_of(other) != split for other in first)


class Facts:
    """What a record knows of each effect that its sentence speaks of."""

    def __init__(self, record: Record, named: Entries, rules: bool) -> None:
        task, images = TASKS[record["task"]], record.get("images", {})
        self.named, self.rules = named, rules
        coloured = [name for name in IMAGES if not images or images[name]["channels"] == 3]
        self.mentions = {name: _mention(name, entries, task, coloured) for name, entries in named.items()}
        self.kept = [name for name, entries in named.items() if entries[0]["asked"] == "keep"]
        self.whole = all(entry["asked"] == "remove" for entries in named.values() for entry in entries)

    def of(self, effect: str) -> Mention:
        """An effect; of one that is not there nothing is known, and an augmenter may be called by any name."""
        free = self.mentions.get(FREE)
        return self.mentions.get(effect) or (Mention(effect) if free is None else replace(free, effect=effect))

    def allow(self, name: str, ids: Sequence[str]) -> bool:
        """Whether a phrase among others is true: of how strong, how many and what; and claims no more than is asked."""
        if not self.rules:
            return True
        effect = name.split(".")[0]
        if effect in PHRASED:
            return fits(name, str(phrase(name)), self.of(effect), self.whole)
        says_all = len(self.kept) == 1 and any(other.startswith("keep.") for other in ids)
        return name not in RETIRED and (name not in CLAIMS or self.whole or says_all)


def _mention(name: str, entries: Sequence[Entry], task: Task, coloured: Sequence[ImageName]) -> Mention:
    strengths = [entry["severity"] for entry in entries if entry["severity"] is not None]
    images = {entry["image"] for entry in entries}
    where, subjects, everywhere = places(images, task, coloured)
    known = (min(strengths), max(strengths)) if len(strengths) == len(entries) else None
    drawn = frozenset(entry["effect"] for entry in entries)
    return Mention(name, known, where, subjects, len(images), everywhere, None, drawn)


def _pattern(ids: Sequence[str], named: Entries, facts: Facts) -> str | None:
    """The regular expression of the sentences that some phrases make for a record; None where they make none."""
    spoken = [name for name in ids if name.split(".")[0] in PHRASED]
    rest = ids[len(spoken) :]
    styles = {_style(name) for name in spoken}
    if list(ids[: len(spoken)]) != spoken or len(styles) != 1 or not all(_says_so(name, named) for name in spoken):
        return None
    style = styles.pop()
    parts = [_clause(name, facts) for name in spoken]
    if len(parts) > 1 and style != "keywords":
        root = f"join.{len(parts)}" if style == "order" else "join.statements"
        if not rest or rest[0].rpartition(".")[0] != root:
            return None
        work = _filled(str(phrase(rest[0])), {str(n): part for n, part in enumerate(parts)})
        rest = rest[1:]
    else:
        work = ", ".join(parts)
    roots = [name.rpartition(".")[0] for name in rest]
    stays = [_stays(name, facts) for name in rest if name.startswith("keep.")]
    if None in stays:
        return None
    match roots:
        case [wrap] if wrap == WRAPS.get(style):
            return _filled(str(phrase(rest[0])), {"work": work})
        case ["keep"] if style == "keywords":
            return f"{work}, {stays[0]}"
        case ["complain", "keep"] if style == "complaint":
            return f"{_filled(str(phrase(rest[0])), {'work': work})}, but {stays[0]}"
        case ["but", "keep"] if style == "order":
            return _filled(str(phrase(rest[0])), {"work": work, "keep": str(stays[0])})
    return None


def _style(clause: str) -> str:
    """Of the sentences that a clause may stand in."""
    register, part = clause.split(".")[-2], clause.split(".")[1]
    return "order" if part == "less" else STYLES.get(register, "")


def _stays(clause: str, facts: Facts) -> str | None:
    """A clause that asks for one of the kept effects to stay; None where it can be said of none of them."""
    nouns = [
        noun
        for name in facts.kept
        if name in PHRASED and (not facts.rules or may_stay(clause, name))
        for noun in words(name, "nouns")
        if not facts.rules or is_true(facts.of(name), noun)
    ]
    return _filled(str(phrase(clause)), {"n": _one_of(nouns)}) if nouns else None


def _says_so(clause: str, named: Entries) -> bool:
    """Whether a clause says no way in which its effect went wrong, or the one in which it did wherever it fell; and by
    how much it is to be lessened, where it is.
    """
    name, *steps = clause.split(".")
    factors = {entry.get("factor") for entry in named.get(name, [])}
    if steps[0] == "less" or factors - {None}:
        return steps[0] == "less" and {DEGREES.get(factor) for factor in factors if factor} == {steps[1]}
    if steps[0] != "ways" or name not in named:  # of an effect that is absent none was drawn, and none is said
        return steps[0] != "ways"
    params = [(REGISTRY[entry["effect"]], SimpleNamespace(**entry["params"])) for entry in named[name]]
    return {effect.way(drawn) for effect, drawn in params} == {steps[1]}


def _clause(clause: str, facts: Facts) -> str:
    """A clause, with the words for strength and place that go with what was drawn."""
    mention, text = facts.of(clause.split(".")[0]), str(phrase(clause))
    said: Sequence[str] = words(mention.effect, mention.strength) if mention.strength else []
    where: Sequence[str] = mention.where
    if facts.rules:
        said, where = strengths(mention, text), where if says_where(text) else ()
    strength = f"(?:{_one_of(said)} )?" if said else ""
    place = f"(?: {_one_of(where)})?" if where else ""
    return _filled(text, {"s": strength, "w": place, "i": _one_of(mention.subjects)})


def _filled(template: str, patterns: Mapping[str, str]) -> str:
    """A phrase as a pattern: what is in braces by name, the rest as it stands. Raises KeyError."""
    return "".join(
        re.escape(literal) + (patterns[field] if field is not None else "")
        for literal, field, _, _ in Formatter().parse(template)
    )


def _one_of(texts: Sequence[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, texts))})"
