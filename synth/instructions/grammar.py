"""Sentences from phrases. What a sentence names and keeps is decided before (intent.py); here it is put in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from numpy.random import Generator

from synth.instructions.fitting import Mention as Mention
from synth.instructions.fitting import fits, is_true, may_stay, says_where, strengths
from synth.instructions.phrases import CLAIMS, Split, clauses, under, words

Kind: TypeAlias = Literal["full", "partial", "lessen", "keep", "general", "clean"]
KINDS: tuple[Kind, ...] = get_args(Kind)

CAPITALISED = 0.5  # share of sentences with a capital and a full stop, as people write or do not
STYLES = {"order": 0.64, "complaint": 0.2, "keywords": 0.16}  # how a sentence names what is to go
REGISTERS = {"order": ("request",), "complaint": ("complaint",), "keywords": ("terse",)}  # of clauses
EXPERT = 0.25  # share of orders in the words of the field
PLACED = 0.5  # share of statements about one image that have it for their subject
SAID_SEVERITY = 0.5  # share of clauses with a slot for it that say how strong an effect is
SAID_ONE, SAID_BOTH = 0.6, 0.2  # likewise where it is, if it is in one image, or in both
SAID_WAY = 0.6  # share of clauses that say in which way an effect went wrong, where it has ways
SAID_KEPT = 0.7  # share of partial instructions that say what is to stay; the others just do not name it
IN_ONE = 0.1  # share of sentences without names that are one phrase
NOTED = 0.5  # share of sentences about clean pairs that say so

DEGREES = {0.7: "little", 0.5: "half", 0.25: "most"}
"""What is left of the strength of an effect that is lessened, and which words say so."""
FACTORS = tuple(DEGREES)
WHOLE = {"general": "general", "keep": "all_kept", "clean": "clean"}
"""Kinds whose sentence may be one phrase, and its root."""
PARTS = {"general": ("mend", "merge", "mended"), "keep": ("merge", "asis", "kept"), "clean": ("merge", "fine", "noted")}
"""And otherwise two clauses and what joins them; a clean pair may do with the first."""
WRAPS = {"order": "wrap", "complaint": "complain", "keywords": "keywords"}


@dataclass(frozen=True)
class Instruction:
    """A sentence, its kind, and the ids of the phrases it is made of."""

    text: str
    kind: Kind
    phrases: tuple[str, ...]


MOST_NAMED = 3
"""How many effects one sentence can name."""


def compose(
    kind: Kind,
    named: Sequence[Mention],
    keep: Sequence[Mention],
    split: Split,
    rng: Generator,
    stress: str | None = None,
) -> Instruction:
    """A sentence of a kind.

    named: what `full`, `partial` and `lessen` name to be removed or lessened, 1 to `MOST_NAMED` of them; `clean` may
    name what is not there. keep: what a `partial` or `lessen` one may say is to stay. stress: what the target is to
    stress (`emphasis` in phrases.yaml). Raises ValueError where there is nothing to name or too much.
    """
    ids: list[str] = []
    if kind in ("general", "keep") or (kind == "clean" and not named):
        text = _unnamed(kind, split, rng, ids)
    else:
        if not 1 <= len(named) <= MOST_NAMED:
            raise ValueError(f"a {kind} instruction names 1 to {MOST_NAMED} effects, not {len(named)}")
        text = _naming(named, keep, split, rng, ids)
    if stress is not None:
        asked = text.removesuffix("?")
        around, clause = _fixed("stress", rng, ids), _part(f"emphasis.{stress}", split, rng, ids)
        text = around.format(asked, clause) + "?" * (asked != text)
    return Instruction(_as_written(text, rng), kind, tuple(ids))


def _unnamed(kind: Kind, split: Split, rng: Generator, ids: list[str]) -> str:
    if rng.random() < IN_ONE:
        return _part(WHOLE[kind], split, rng, ids)
    first, second, join = PARTS[kind]
    if kind == "clean":
        work = _part(first, split, rng, ids)
        ask = _fixed("ask", rng, ids).format(work=work)
        if rng.random() >= NOTED:
            return ask
        bare = ask.removesuffix("?")
        note = _part(second, split, rng, ids)
        return _fixed(join, rng, ids).format(bare, note) + "?" * (bare != ask)
    parts = [_part(root, split, rng, ids) for root in (first, second)]
    work = _fixed(join, rng, ids).format(*parts)
    return _fixed("ask", rng, ids).format(work=work)


def _naming(named: Sequence[Mention], keep: Sequence[Mention], split: Split, rng: Generator, ids: list[str]) -> str:
    style = list(STYLES)[int(rng.choice(len(STYLES), p=list(STYLES.values())))]
    if any(mention.factor is not None for mention in named):
        style = "order"
    whole = not keep and all(mention.factor is None for mention in named)
    order = [named[i] for i in rng.permutation(len(named))]
    work = _joined([_clause(mention, style, split, whole, rng, ids) for mention in order], style, rng, ids)
    stays = keep[int(rng.integers(len(keep)))] if keep and rng.random() < SAID_KEPT else None
    all_said = whole or (stays is not None and len(keep) == 1)
    if stays is None:
        return _fixed(WRAPS[style], rng, ids, all_said).format(work=work)
    if style == "keywords":
        return f"{work}, {_kept(stays, split, rng, ids)}"
    if style == "complaint":
        wrapped = _fixed(WRAPS[style], rng, ids, all_said).format(work=work)
        return f"{wrapped}, but {_kept(stays, split, rng, ids)}"
    return _fixed("but", rng, ids).format(work=work, keep=_kept(stays, split, rng, ids))


def _clause(mention: Mention, style: str, split: Split, whole: bool, rng: Generator, ids: list[str]) -> str:
    for root in _roots(mention, style, rng):
        true = {name: text for name, text in clauses(root, split).items() if fits(name, text, mention, whole)}
        if true:
            name, text = _pick(true, rng)
            ids.append(name)
            subject = mention.subjects[int(rng.integers(len(mention.subjects)))] if "{i}" in text else ""
            return text.format(s=_strength(mention, text, rng), w=_where(mention, text, rng), i=subject)
    raise ValueError(f"no clause of {split} for {mention.effect}")


def _roots(mention: Mention, style: str, rng: Generator) -> list[str]:
    """Where a clause may come from, the first that has one that fits."""
    if mention.factor is not None:
        return [f"{mention.effect}.less.{DEGREES[mention.factor]}"]
    registers = list(REGISTERS[style])
    if style == "order" and rng.random() < EXPERT:
        registers.insert(0, "expert")
    if style == "complaint" and mention.subjects and rng.random() < PLACED:
        registers.insert(0, "placed")
    bases = [mention.effect]
    if mention.way is not None and rng.random() < SAID_WAY:
        bases.insert(0, f"{mention.effect}.ways.{mention.way}")
    return [f"{base}.{register}" for base in bases for register in registers]


def _strength(mention: Mention, text: str, rng: Generator) -> str:
    said = rng.random() < SAID_SEVERITY
    fitting = strengths(mention, text) or [""]
    word = fitting[int(rng.integers(len(fitting)))]
    return f"{word} " if said and word else ""


def _where(mention: Mention, text: str, rng: Generator) -> str:
    said = rng.random() < (SAID_BOTH if mention.everywhere else SAID_ONE)
    word = mention.where[int(rng.integers(len(mention.where)))] if mention.where else ""
    return f" {word}" if said and word and says_where(text) else ""


def _kept(mention: Mention, split: Split, rng: Generator, ids: list[str]) -> str:
    fitting = {name: text for name, text in clauses("keep", split).items() if may_stay(name, mention.effect)}
    name, text = _pick(fitting, rng)
    ids.append(name)
    nouns = [noun for noun in words(mention.effect, "nouns") if is_true(mention, noun)]
    return text.format(n=nouns[int(rng.integers(len(nouns)))])


def _joined(parts: list[str], style: str, rng: Generator, ids: list[str]) -> str:
    if len(parts) == 1 or style == "keywords":
        return ", ".join(parts)
    root = f"join.{len(parts)}" if style == "order" else "join.statements"
    name, text = _pick({name: text for name, text in under(root).items() if text.count("{") == len(parts)}, rng)
    ids.append(name)
    return text.format(*parts)


def _part(root: str, split: Split, rng: Generator, ids: list[str]) -> str:
    """A clause that names no effect."""
    name, text = _pick(clauses(root, split), rng)
    ids.append(name)
    return text


def _fixed(root: str, rng: Generator, ids: list[str], whole: bool = True) -> str:
    """A pattern that belongs to no split."""
    name, text = _pick({name: text for name, text in under(root).items() if whole or name not in CLAIMS}, rng)
    ids.append(name)
    return text


def _pick(named: Mapping[str, str], rng: Generator) -> tuple[str, str]:
    names = sorted(named)
    name = names[int(rng.integers(len(names)))]
    return name, named[name]


def _as_written(text: str, rng: Generator) -> str:
    if rng.random() >= CAPITALISED:
        return text
    return text[0].upper() + text[1:] + ("" if text.endswith("?") else ".")
