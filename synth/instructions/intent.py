"""What an instruction asks for, before it is put into words: its kind, what it removes, keeps and names for nothing."""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from numpy.random import Generator

from synth.degradations.engine import Applied, EffectSpec
from synth.errors import listed
from synth.instructions.grammar import MOST_NAMED, Kind, Mention
from synth.instructions.phrases import EVERYWHERE, PHRASED, PLACES
from synth.scene.capture import ImageName
from synth.tasks import Task

WEAK, STRONG = 0.35, 0.65  # severities under and over which a sentence may say so
ABSENT = 0.03  # share of sentences that name an effect that is not there
ALIKE = ({"blur", "defocus", "motion", "resolution"}, {"exposure", "contrast"}, {"noise", "stripes", "jpeg"})
MOST_SUBSETS = 200_000  # that are counted to fit the shares of kinds


@dataclass(frozen=True)
class Intent:
    """kind: of the instruction. kept: the effects that its target shows, by the names that instructions use.

    absent: an effect that the sentence names although it is not there.
    """

    kind: Kind
    kept: frozenset[str] = frozenset()
    absent: str | None = None


def names_of(specs: Sequence[EffectSpec | Applied]) -> list[str]:
    """The names that instructions have for some effects, each once, in order."""
    return list(dict.fromkeys(spec.degradation.said_as for spec in specs))


def keepable(specs: Sequence[EffectSpec]) -> list[str]:
    """Of some effects, those that a person might want kept while others go: weather, and a look both images share."""
    fits = {"always": True, "shared": False, "never": False}
    free: dict[str, bool] = {}
    for spec in specs:
        shared = spec.degradation.may_stay == "shared" and spec.images == "shared"
        name = spec.degradation.said_as
        free[name] = free.get(name, True) and (fits[spec.degradation.may_stay] or shared)
    return [name for name in names_of(specs) if free[name]]


def allows_partial(specs: Sequence[EffectSpec]) -> bool:
    """Whether something can be kept while something else goes."""
    return len(names_of(specs)) >= 2 and len(keepable(specs)) >= 1


def partial_chance(
    always: Sequence[EffectSpec], of: Sequence[EffectSpec], count: Mapping[int, float], kinds: Mapping[Kind, float]
) -> float:
    """How likely a sample that allows it is `partial`, so that the quota of all samples holds.

    The kinds depend on the effects in nothing else, so with this one number all quotas hold. Raises ValueError where
    too few samples allow it.
    """
    wanted = kinds.get("partial", 0.0)
    if wanted == 0:
        return 0.0
    if sum(math.comb(len(of), number) for number in count) > MOST_SUBSETS:
        raise ValueError(f"some.of lists {len(of)} effects: too many to fit the share of partial instructions")
    allowing = 0.0
    for number, share in count.items():
        subsets = Counter(allows_partial([*always, *chosen]) for chosen in itertools.combinations(of, number))
        allowing += share / sum(count.values()) * subsets[True] / max(1, subsets.total())
    allowing *= 1 - kinds.get("clean", 0.0)
    if wanted > allowing + 1e-9:
        raise ValueError(
            f"kinds.partial: {wanted:g} of the samples, but only {allowing:.3g} have two effects of which one can be "
            f"kept ({listed(sorted(keepable([*always, *of])) or ['none'])}); ask for less, or for more effects a sample"
        )
    return wanted / allowing


def draw_intent(
    specs: Sequence[EffectSpec], kinds: Mapping[Kind, float], chance: float, first: bool, rng: Generator
) -> Intent:
    """What an instruction asks for, of a sample with these effects.

    chance: from `partial_chance`. first: of a group of several, which is `full`.
    """
    names = names_of(specs)
    partial = allows_partial(specs) and rng.random() < chance
    others: list[Kind] = ["full", "keep", "general"]
    weights = [kinds.get(kind, 0.0) for kind in others]
    kind: Kind = "partial"
    if first or (not partial and sum(weights) == 0):
        kind = "full"
    elif not partial:
        kind = others[int(rng.choice(3, p=[weight / math.fsum(weights) for weight in weights]))]
    kept: frozenset[str] = frozenset()
    if kind == "keep":
        kept = frozenset(names)
    elif kind == "partial":
        free = keepable(specs)
        most = min(len(free), len(names) - 1)
        number = int(rng.integers(1, most + 1))
        kept = frozenset(free[i] for i in rng.permutation(len(free))[:number])
    return Intent(kind, kept, _absent(names, kind, len(names) - len(kept), rng))


def _absent(names: Sequence[str], kind: Kind, named: int, rng: Generator) -> str | None:
    if kind not in ("full", "partial") or named >= MOST_NAMED or rng.random() >= ABSENT:
        return None
    near = set(names).union(*(group for group in ALIKE if group & set(names)))
    far = sorted(PHRASED - near)
    return far[int(rng.integers(len(far)))] if far else None


def places(images: Collection[ImageName], task: Task) -> tuple[tuple[str, ...], bool]:
    """Words for where something is that is in some images of a pair, and whether that is everywhere."""
    names = list(task.capture.modalities)
    if len(images) == len(names):
        return EVERYWHERE, True
    if len(images) > 1:
        return (), False
    (only,) = images
    return task.words.get(only, ()) + PLACES[names.index(only)], False


def mentions(intent: Intent, applied: Sequence[Applied], task: Task) -> tuple[list[Mention], list[Mention]]:
    """What the sentence names to be removed, and what it may say is to stay."""
    all_of = {name: [item for item in applied if item.degradation.said_as == name] for name in names_of(applied)}
    remove = [_mention(name, items, task) for name, items in all_of.items() if name not in intent.kept]
    if intent.absent is not None:
        remove.append(Mention(intent.absent))
    return remove, [Mention(name) for name in all_of if name in intent.kept]


def _mention(name: str, items: Sequence[Applied], task: Task) -> Mention:
    severities = [item.severity for item in items if item.severity is not None]
    strength: Literal["weak", "strong"] | None = None
    if len(severities) == len(items):
        weak, strong = max(severities) < WEAK, min(severities) > STRONG
        strength = "weak" if weak else "strong" if strong else None
    images = {item.image for item in items}
    ways = {item.degradation.way(item.params) for item in items}
    return Mention(name, strength, *places(images, task), way=ways.pop() if len(ways) == 1 else None)
