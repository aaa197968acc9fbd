"""What an instruction asks for, before it is put into words: its kind, what it removes, keeps and names for nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from numpy.random import Generator

from synth.degradations.engine import Applied, EffectSpec
from synth.errors import listed
from synth.instructions.fitting import COLOUR, Mention
from synth.instructions.grammar import FACTORS, MOST_NAMED, Kind
from synth.instructions.phrases import EVERYWHERE, PHRASED, PLACES, WHO
from synth.scene.capture import ImageName
from synth.tasks import Task

ABSENT = 0.03  # share of sentences that name an effect that is not there
BOTH_LESSENED = 0.25  # share of the sentences that lessen two effects, where there are two
ALSO_KEPT = 0.4  # share of what could stay that stays, where something else is lessened
TRIES = 60  # at an intent that no other of its group has
ALIKE = ({"blur", "defocus", "motion", "resolution"}, {"exposure", "contrast"}, {"noise", "stripes", "jpeg"})
MOST_SUBSETS = 200_000  # that are counted to fit the shares of kinds


@dataclass(frozen=True)
class Intent:
    """kind: of the instruction. kept: the effects that its target shows, by the names that instructions use.

    absent: an effect that the sentence names although it is not there. lessened: what the target shows of others, with
    the factor of their strength. emphasis: of the target, in [−1, 1].
    """

    kind: Kind
    kept: frozenset[str] = frozenset()
    absent: str | None = None
    lessened: frozenset[tuple[str, float]] = frozenset()
    emphasis: float = 0.0

    @property
    def shown(self) -> bool:
        """Whether the target shows any effect."""
        return bool(self.kept or self.lessened)


class Chances(NamedTuple):
    """How likely a sample that allows it is `partial`, and one that allows that and is not partial `lessen`."""

    partial: float
    lessen: float


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


def fit_chances(
    always: Sequence[EffectSpec], of: Sequence[EffectSpec], count: Mapping[int, float], kinds: Mapping[Kind, float]
) -> Chances:
    """How likely a sample that allows it is `partial`, and `lessen`, so that the quotas of all samples hold.

    The kinds depend on the effects in nothing else, so with these two numbers all quotas hold. Raises ValueError where
    too few samples allow it.
    """
    partial, lessen = kinds.get("partial", 0.0), kinds.get("lessen", 0.0)
    if partial == lessen == 0:
        return Chances(0.0, 0.0)
    if sum(math.comb(len(of), number) for number in count) > MOST_SUBSETS:
        raise ValueError(f"some.of lists {len(of)} effects: too many to fit the share of partial instructions")
    two, one = 0.0, 0.0  # shares of samples that allow `partial`, and that have something to lessen
    for number, share in count.items():
        drawn = [[*always, *chosen] for chosen in itertools.combinations(of, number)]
        share *= (1 - kinds.get("clean", 0.0)) / sum(count.values()) / max(1, len(drawn))
        two += share * sum(map(allows_partial, drawn))
        one += share * sum(bool(keepable(specs)) for specs in drawn)
    known = listed(sorted(keepable([*always, *of])) or ["none"])
    if partial > two + 1e-9:
        raise ValueError(
            f"kinds.partial: {partial:g} of the samples, but only {two:.3g} have two effects of which one can be "
            f"kept ({known}); ask for less, or for more effects a sample"
        )
    if lessen > one - partial + 1e-9:
        raise ValueError(
            f"kinds.lessen: {lessen:g} of the samples, but only {one - partial:.3g} have an effect that can be "
            f"lessened ({known}) and are not partial; ask for less, or for more effects a sample"
        )
    return Chances(partial / two if partial else 0.0, lessen / (one - partial) if lessen else 0.0)


def draw_intent(
    specs: Sequence[EffectSpec],
    kinds: Mapping[Kind, float],
    chances: Chances,
    first: bool,
    rng: Generator,
    taken: Collection[Intent] = (),
) -> Intent:
    """What an instruction asks for, of a sample with these effects.

    chances: from `fit_chances`. first: of a group of several, which is `full`. taken: what others of the group ask;
    as long as the kinds leave anything else, no two ask the same.
    """
    for _ in range(TRIES):
        intent = _drawn(specs, kinds, chances, first, rng)
        if intent not in taken:
            return intent
    names = names_of(specs)
    far = _far(names) if len(names) < MOST_NAMED else []
    left = [Intent("keep", frozenset(names)), Intent("general"), *(Intent("full", absent=name) for name in far)]
    free = [other for other in left if other not in taken and kinds.get(other.kind, 0) > 0]
    return free[int(rng.integers(len(free)))] if free else intent


def draw_clean(rng: Generator, taken: Collection[Intent] = ()) -> Intent:
    """What an instruction asks for of a clean pair: nothing, or after the first of a group what is not there."""
    far = [intent for name in _far([]) if (intent := Intent("clean", absent=name)) not in taken]
    return far[int(rng.integers(len(far)))] if taken and far else Intent("clean")


def _drawn(
    specs: Sequence[EffectSpec], kinds: Mapping[Kind, float], chances: Chances, first: bool, rng: Generator
) -> Intent:
    names, free = names_of(specs), keepable(specs)
    others: list[Kind] = ["full", "keep", "general"]
    weights = [kinds.get(kind, 0.0) for kind in others]
    kind: Kind | None = None
    if allows_partial(specs) and rng.random() < chances.partial:
        kind = "partial"
    elif chances.lessen and free and rng.random() < chances.lessen:
        kind = "lessen"
    if first or (kind is None and sum(weights) == 0):
        kind = "full"
    elif kind is None:
        kind = others[int(rng.choice(3, p=[weight / math.fsum(weights) for weight in weights]))]
    kept: frozenset[str] = frozenset()
    if kind == "keep":
        kept = frozenset(names)
    elif kind == "partial":
        most = min(len(free), len(names) - 1)
        number = int(rng.integers(1, most + 1))
        kept = frozenset(free[i] for i in rng.permutation(len(free))[:number])
    elif kind == "lessen":
        order = [free[i] for i in rng.permutation(len(free))]
        number = 2 if len(free) > 1 and rng.random() < BOTH_LESSENED else 1
        lessened = frozenset((name, FACTORS[int(rng.integers(len(FACTORS)))]) for name in order[:number])
        return Intent(kind, frozenset(name for name in order[number:] if rng.random() < ALSO_KEPT), None, lessened)
    return Intent(kind, kept, _absent(names, kind, len(names) - len(kept), rng))


def _absent(names: Sequence[str], kind: Kind, named: int, rng: Generator) -> str | None:
    if kind not in ("full", "partial") or named >= MOST_NAMED or rng.random() >= ABSENT:
        return None
    far = _far(names)
    return far[int(rng.integers(len(far)))] if far else None


def _far(names: Sequence[str]) -> list[str]:
    """Effects that are not among some and not easily taken for one of them."""
    near = set(names).union(*(group for group in ALIKE if group & set(names)))
    return sorted(PHRASED - near)


def places(
    images: Collection[ImageName], task: Task, colour: Collection[ImageName]
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Words for where something is that is in some images of a pair, for that image itself, and whether it is all.

    colour: the images that have any; no other is called a colour photo.
    """
    names = list(task.capture.modalities)
    if len(images) == len(names):
        return EVERYWHERE, (), True
    if len(images) > 1:
        return (), (), False
    (only,) = images
    own = tuple(word for word in task.words.get(only, ()) if only in colour or not COLOUR.search(word))
    where = own + PLACES[names.index(only)]
    return where, tuple(word.removeprefix("in ") for word in where) + WHO[names.index(only)], False


def mentions(
    intent: Intent, applied: Sequence[Applied], task: Task, colour: Collection[ImageName]
) -> tuple[list[Mention], list[Mention]]:
    """What the sentence names to be removed or lessened, and what it may say is to stay. colour: as `places` has it."""
    all_of = {name: [item for item in applied if item.degradation.said_as == name] for name in names_of(applied)}
    every = {name: _mention(name, items, task, colour) for name, items in all_of.items()}
    factors = dict(intent.lessened)
    named = [replace(mention, factor=factors.get(name)) for name, mention in every.items() if name not in intent.kept]
    if intent.absent is not None:
        named.append(Mention(intent.absent))
    return named, [mention for name, mention in every.items() if name in intent.kept]


def _mention(name: str, items: Sequence[Applied], task: Task, colour: Collection[ImageName]) -> Mention:
    severities = [item.severity for item in items if item.severity is not None]
    images = {item.image for item in items}
    where, subjects, everywhere = places(images, task, colour)
    ways = {item.degradation.way(item.params) for item in items}
    return Mention(
        name,
        (min(severities), max(severities)) if len(severities) == len(items) else None,
        where,
        subjects,
        len(images),
        everywhere,
        ways.pop() if len(ways) == 1 else None,
        frozenset(item.effect for item in items),
    )


def may_stress(intent: Intent) -> bool:
    """Whether a sentence with this intent may ask for emphasis: not where all is to be left, or nothing is needed."""
    return intent.kind in ("full", "partial", "lessen", "general")


def stressed(target: Mapping[str, object], task: Task) -> str | None:
    """What a target stresses, from its record, by the name that phrases.yaml has for it; None: nothing."""
    amount = target.get("emphasis", 0)
    if task.emphasis is None or not isinstance(amount, float | int) or amount == 0:
        return None
    return task.emphasis.names[amount > 0]
