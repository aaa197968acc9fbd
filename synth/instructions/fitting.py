"""Which phrases are true of what a sentence speaks of: how strong it is, how many images have it, what it is."""

import re
from dataclasses import dataclass
from typing import Literal

from synth.instructions.phrases import (
    APART,
    BARE,
    CLAIMS,
    IN_LOOKS,
    IN_WEATHER,
    ONLY,
    RETIRED,
    WEATHER,
    severities,
    words,
)

WEAK, STRONG = 0.35, 0.65  # severities under and over which a sentence may say so
ONE = re.compile(r"\b(?:picture|image|shot|photo)\b")
MANY = re.compile(r"\b(?:pictures|images|shots|photos)\b")
COLOUR = re.compile(r"\b(?:colour|RGB)\b")


@dataclass(frozen=True)
class Mention:
    """An effect as a sentence may speak of it.

    effect: the name that phrases.yaml knows. severity: the least and the most of all images it is in, where known.
    where: words for the images it is in, as "in the infrared image"; subjects: likewise as "the infrared image", of one
    alone. images: in how many it is; 0 of an effect that is not there. everywhere: it is in all of them. way: in which
    it went wrong, such as dark, where it is one for all of them. drawn: the names of the effects that fell. factor:
    what is to be left of its strength, where it is to be lessened.
    """

    effect: str
    severity: tuple[float, float] | None = None
    where: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    images: int = 0
    everywhere: bool = False
    way: str | None = None
    drawn: frozenset[str] = frozenset()
    factor: float | None = None

    @property
    def strength(self) -> Literal["weak", "strong"] | None:
        """Where its severity is one word for all images it is in."""
        if self.severity is None:
            return None
        return "weak" if self.severity[1] < WEAK else "strong" if self.severity[0] > STRONG else None


def fits(name: str, text: str, mention: Mention, whole: bool) -> bool:
    """Whether a clause may be said of an effect. whole: nothing is left of any effect when all is done."""
    return (
        name not in RETIRED
        and (whole or name not in CLAIMS)
        and is_true(mention, text)
        and (mention.images == 1 or not (ONE.search(text) or "{i}" in text))
        and (mention.everywhere or not MANY.search(text))
        and all(mention.drawn and mention.drawn <= set(only) for said, only in ONLY.items() if said in _bare(text))
    )


def is_true(mention: Mention, text: str) -> bool:
    """Whether what a text says of an effect is true at its severity."""
    low, high = severities(mention.effect, text)
    if mention.severity is None:
        return (low, high) == (0, 1)
    return low <= mention.severity[0] and mention.severity[1] <= high


def may_stay(name: str, effect: str) -> bool:
    """Whether a clause that asks for an effect to stay may be said of this one."""
    return name not in RETIRED and name not in (IN_LOOKS if effect in WEATHER else IN_WEATHER)


def strengths(mention: Mention, text: str) -> list[str]:
    """The words for its strength that stand well in a clause; none where none does, or none fits."""
    if mention.strength is None or re.search(rf"\{{s\}}(?:{'|'.join(BARE)})\b", text):
        return []
    known = words(mention.effect, mention.strength)
    said = {word: _bare(text.replace("{s}", f"{word} ")) for word in known}
    return [word for word, sentence in said.items() if not any(pair in sentence for pair in APART)]


def says_where(text: str) -> bool:
    """Whether words for where stand well in a clause: not beside a picture that it names itself."""
    return "{w}" in text and not ONE.search(text) and not MANY.search(text)


def _bare(text: str) -> str:
    return re.sub(r"\{\w\}", "", text)
