"""Sentences from phrases. What a sentence names and keeps is decided before (intent.py); here it is put in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from numpy.random import Generator

from synth.instructions.phrases import Split, clauses, under, words

Kind: TypeAlias = Literal["full", "partial", "keep", "general", "clean"]
KINDS: tuple[Kind, ...] = get_args(Kind)

CAPITALISED = 0.5  # share of sentences with a capital and a full stop, as people write or do not
STYLES = {"order": 0.64, "complaint": 0.2, "keywords": 0.16}  # how a sentence names what is to go
EXPERT = 0.25  # share of orders in the words of the field
SAID_SEVERITY = 0.5  # share of clauses with a slot for it that say how strong an effect is
SAID_ONE, SAID_BOTH = 0.6, 0.2  # likewise where it is, if it is in one image, or in both
SAID_WAY = 0.6  # share of clauses that say in which way an effect went wrong, where it has ways
SAID_KEPT = 0.7  # share of partial instructions that say what is to stay; the others just do not name it


@dataclass(frozen=True)
class Mention:
    """An effect as a sentence may speak of it.

    effect: the name that phrases.yaml knows. strength: where its severity is one word for all images it is in.
    where: words for the images it is in, as "in the infrared image". everywhere: it is in all of them. way: in which it
    went wrong, such as dark, where it is one for all of them.
    """

    effect: str
    strength: Literal["weak", "strong"] | None = None
    where: tuple[str, ...] = ()
    everywhere: bool = False
    way: str | None = None


@dataclass(frozen=True)
class Instruction:
    """A sentence, its kind, and the ids of the phrases it is made of."""

    text: str
    kind: Kind
    phrases: tuple[str, ...]


MOST_NAMED = 3
"""How many effects one sentence can name."""


def compose(
    kind: Kind, remove: Sequence[Mention], keep: Sequence[Mention], split: Split, rng: Generator
) -> Instruction:
    """A sentence of a kind.

    remove: what `full` and `partial` name to be removed, 1 to `MOST_NAMED` of them. keep: what a `partial` one may say
    is to stay. Raises ValueError where there is nothing to name or too much.
    """
    if kind in ("general", "clean", "keep"):
        root = "all_kept" if kind == "keep" else kind
        name, text = _pick(clauses(root, split), rng)
        return Instruction(_as_written(text, rng), kind, (name,))
    if not 1 <= len(remove) <= MOST_NAMED:
        raise ValueError(f"a {kind} instruction names 1 to {MOST_NAMED} effects, not {len(remove)}")
    style = list(STYLES)[int(rng.choice(len(STYLES), p=list(STYLES.values())))]
    ids: list[str] = []
    order = [remove[i] for i in rng.permutation(len(remove))]
    work = _joined([_clause(mention, style, split, rng, ids) for mention in order], style, rng, ids)
    wrapped = {"order": "wrap", "complaint": "complain", "keywords": "keywords"}[style]
    stays = keep[int(rng.integers(len(keep)))] if keep and rng.random() < SAID_KEPT else None
    if stays is None:
        text = _fixed(wrapped, rng, ids).format(work=work)
    elif style == "keywords":
        text = f"{work}, {_kept(stays, split, rng, ids)}"
    elif style == "complaint":
        text = f"{_fixed(wrapped, rng, ids).format(work=work)}, but {_kept(stays, split, rng, ids)}"
    else:
        text = _fixed("but", rng, ids).format(work=work, keep=_kept(stays, split, rng, ids))
    return Instruction(_as_written(text, rng), kind, tuple(ids))


def _clause(mention: Mention, style: str, split: Split, rng: Generator, ids: list[str]) -> str:
    register = {"order": "request", "complaint": "complaint", "keywords": "terse"}[style]
    if style == "order" and rng.random() < EXPERT:
        register = "expert"
    root = mention.effect
    if mention.way is not None and rng.random() < SAID_WAY:
        root += f".ways.{mention.way}"
    name, text = _pick(clauses(f"{root}.{register}", split), rng)
    ids.append(name)
    return text.format(s=_strength(mention, rng), w=_where(mention, rng))


def _strength(mention: Mention, rng: Generator) -> str:
    said = rng.random() < SAID_SEVERITY
    fitting = words(mention.effect, mention.strength) if mention.strength else [""]
    word = fitting[int(rng.integers(len(fitting)))]
    return f"{word} " if said and word else ""


def _where(mention: Mention, rng: Generator) -> str:
    said = rng.random() < (SAID_BOTH if mention.everywhere else SAID_ONE)
    word = mention.where[int(rng.integers(len(mention.where)))] if mention.where else ""
    return f" {word}" if said and word else ""


def _kept(mention: Mention, split: Split, rng: Generator, ids: list[str]) -> str:
    name, text = _pick(clauses("keep", split), rng)
    ids.append(name)
    nouns = words(mention.effect, "nouns")
    return text.format(n=nouns[int(rng.integers(len(nouns)))])


def _joined(parts: list[str], style: str, rng: Generator, ids: list[str]) -> str:
    if len(parts) == 1 or style == "keywords":
        return ", ".join(parts)
    root = f"join.{len(parts)}" if style == "order" else "join.statements"
    name, text = _pick({name: text for name, text in under(root).items() if text.count("{") == len(parts)}, rng)
    ids.append(name)
    return text.format(*parts)


def _fixed(root: str, rng: Generator, ids: list[str]) -> str:
    """A pattern that belongs to no split."""
    name, text = _pick(under(root), rng)
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
