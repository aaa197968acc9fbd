"""Which pairs a recipe has to draw from, and which samples stand in which shard: all that is known before rendering."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from synth.errors import UserError
from synth.images.crop import too_small
from synth.images.headers import Header
from synth.instructions.intent import Chances, fit_chances
from synth.pairs.base import PairRef
from synth.pairs.files import as_columns
from synth.pairs.folder import NO_IMAGE
from synth.pairs.given import photographs_at, source_at
from synth.pairs.source import FileSource, LeftOut, Remark, Source
from synth.recipe.schema import Recipe, TaskRecipe
from synth.targets.target import kind_for
from synth.tasks import TASKS


@dataclass(frozen=True)
class Pool:
    """The pairs of one dataset of one task, and how often they are drawn.

    outdoor: places of those that are not flagged as rooms; None where that is all of them.
    """

    task: str
    dataset: str
    weight: float
    pairs: Sequence[PairRef]
    outdoor: NDArray[np.int64] | None = None

    def among(self, outdoor: bool) -> Sequence[int] | NDArray[np.int64]:
        """The places of its pairs, of all or of those alone on which weather may fall."""
        return range(len(self.pairs)) if not outdoor or self.outdoor is None else self.outdoor


@dataclass(frozen=True)
class Shard:
    """The samples `start` to `stop` (without it) in one tar."""

    number: int
    start: int
    stop: int

    @property
    def stem(self) -> str:
        return f"{self.number:06d}"


@dataclass(frozen=True)
class Plan:
    """A recipe and the pairs it draws from."""

    recipe: Recipe
    pools: tuple[Pool, ...]
    left_out: tuple[LeftOut, ...]
    profiles: int = 0  # pairs with a colour profile other than sRGB, which is ignored
    remarks: tuple[str, ...] = ()  # what sources say of how they were read
    deep: int = 0  # pairs whose images that are not infrared have more than 8 bits

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        step, total = self.recipe.samples_per_shard, self.recipe.samples
        return tuple(Shard(k, k * step, min((k + 1) * step, total)) for k in range(math.ceil(total / step)))

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the names and datasets of all pairs, and of what is flagged, in order: of this set of sources."""
        lines = [
            f"{pool.task} {pool.dataset} {pool.weight!r} {pair.scene} {pair.has_gt}{_flag(pair)}"
            for pool in self.pools
            for pair in pool.pairs
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def local_files(self) -> Iterator[Path]:
        """The files of this machine that its pairs are made of."""
        return (file for pool in self.pools for pair in pool.pairs for file in pair.local_files())

    @cached_property
    def chances(self) -> dict[str, Chances]:
        """By task, how likely a sample that allows it is `partial` or `lessen`, so that the recipe's quotas hold."""
        kinds = self.recipe.instructions.kinds
        return {
            task: fit_chances(*part.degradations.choices, kinds) if kinds.get("clean", 0) < 1 else Chances(0.0, 0.0)
            for task, part in self.recipe.tasks.items()
        }

    @cached_property
    def _draws(self) -> "dict[tuple[str, bool], _Draw]":
        """By task, and whether from outside alone, what a pair is drawn by: made once, so that a draw costs the
        logarithm of the number of datasets."""
        return {
            (task, outdoor): _Draw.of(self.pools, task, outdoor)
            for task in self.recipe.tasks
            for outdoor in (False, True)
        }

    def draw_task(self, rng: Generator) -> str:
        """A task by the recipe's weights."""
        tasks = sorted(self.recipe.tasks)
        return tasks[_choose([self.recipe.tasks[task].weight for task in tasks], rng)]

    def draw_pair(self, task: str, rng: Generator, outdoor: bool = False) -> tuple[int, PairRef]:
        """A dataset by its weight, then one of its pairs, and its number among all pairs of the plan.

        outdoor: none that is flagged as a room, the others as likely, one against another, as without this.
        """
        draw = self._draws[task, outdoor]
        chosen = draw.pools[draw.choose(rng)]
        places = self.pools[chosen].among(outdoor)
        place = int(places[int(rng.integers(len(places)))])
        return int(self._firsts[chosen]) + place, self.pools[chosen].pairs[place]

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        """Of each pool, how many pairs stand in those before it."""
        return np.cumsum([0, *(len(pool.pairs) for pool in self.pools)])


@dataclass(frozen=True, eq=False)
class _Draw:
    """The pools of one task by number, and the share of all draws that goes to each and those before it."""

    pools: tuple[int, ...]
    upto: NDArray[np.float64]

    @classmethod
    def of(cls, pools: Sequence[Pool], task: str, outdoor: bool) -> "_Draw":
        """outdoor: of each pool the pairs alone that are not flagged as rooms."""
        numbers = tuple(n for n, pool in enumerate(pools) if pool.task == task)
        shares = (len(pools[n].among(outdoor)) / len(pools[n].pairs) for n in numbers)
        weights = [pools[n].weight * share for n, share in zip(numbers, shares, strict=True)]
        total = math.fsum(weights) or 1.0  # where no pair is from outside, which no draw asks for
        upto = np.cumsum([weight / total for weight in weights])
        return cls(numbers, upto / upto[-1] if upto[-1] else upto)

    def choose(self, rng: Generator) -> int:
        """Just as `rng.choice` with the probabilities of all, which sums them up anew each time."""
        return int(self.upto.searchsorted(rng.random(), side="right"))


def _flag(pair: PairRef) -> str:
    return {None: "", True: " indoor", False: " outdoor"}[pair.indoor]


def _choose(weights: list[float], rng: Generator) -> int:
    probabilities = [weight / math.fsum(weights) for weight in weights]
    return int(rng.choice(len(weights), p=probabilities))


def make_plan(recipe: Recipe, data: Path | str | None = None, follow_links: bool | None = None) -> Plan:
    """List the pairs of a recipe and sort out those that cannot be used.

    data: a folder or a URL whose `<task>/<stem>/` or `<stem>/` replace the recipe's sources, or a manifest.
    follow_links: whether links may lead out of the sources' folders, whatever the recipe says; None: as it says, and
    those of `data`, which the user named himself, may. A pair whose two sizes differ, or whose short side is under the
    crop by more than 1.15, is left out; one that cannot be read stays, and its samples say so. Raises UserError where a
    source is missing or empty, where no pair of a task is left, or where a recipe says which of `data` it wants
    and there is none.
    """
    if data is None and recipe.data is not None:
        raise UserError(
            f"{recipe.name}: data says which scenes of --data are used, and there is no --data; give it, or take data "
            "out of the recipe and give split and held_out to its sources"
        )
    if data is not None:
        recipe = _with_data(recipe, data, follow_links is not False)
    elif follow_links is not None:
        parts = recipe.tasks.items()
        recipe = _with_sources(recipe, {task: _following(part.sources, follow_links) for task, part in parts})
    pools: list[Pool] = []
    left_out: list[LeftOut] = []
    profiles = deep = 0
    remarks: list[str] = []
    for task, part in sorted(recipe.tasks.items()):
        usable = _usable(task, part, recipe.crop.size)
        found = usable.pairs
        left_out += (out := usable.left_out)
        profiles += usable.profiles
        deep += usable.deep
        remarks += usable.remarks
        if not found:
            reasons = Counter(item.reason for item in out).most_common(1)
            splits = sorted({source.split for source in part.sources} - {"all"})
            none = f"; none stands in the split {splits[0]}" if splits else ""
            if splits == ["val"]:
                none += " (held_out_val of a source gives it a share of the scenes)"
            why = f"; of {len(out)} left out, the first: {out[0].scene}: {reasons[0][0]}" if out else none
            if out and all(item.reason.startswith(NO_IMAGE) for item in out):
                why += "; `synth manifest` makes a table of folders that are laid out otherwise"
            raise UserError(f"{recipe.name}: no usable pair for {task}{why}")
        weights = {name: weight for source in part.sources for name, weight in source.weights.items()}
        unknown = sorted(set(weights) - {pair.dataset for pair in found})
        if unknown and data is None:
            known = ", ".join(sorted({pair.dataset for pair in found}))
            raise UserError(f"{recipe.name}: sources.weights.{unknown[0]}: no such dataset; there are: {known}")
        datasets = sorted(_by_dataset(found).items())
        weights = _weights({dataset: len(pairs) for dataset, pairs in datasets}, weights, part.sources)
        for dataset, pairs in datasets:
            outdoor = np.flatnonzero([not pair.indoor for pair in pairs])
            some_indoor = outdoor.size < len(pairs)
            pools.append(Pool(task, dataset, weights[dataset], as_columns(pairs), outdoor if some_indoor else None))
        _check_outdoor(recipe.name, task, part, found)
    return Plan(recipe, tuple(pools), tuple(left_out), profiles, tuple(dict.fromkeys(remarks)), deep)


def _check_outdoor(name: str, task: str, part: TaskRecipe, pairs: Sequence[PairRef]) -> None:
    """Raises UserError where weather may fall and all pairs are flagged as rooms."""
    weather = [spec.label for spec in part.degradations.specs if spec.degradation.outdoors]
    if weather and part.degradations.indoor != "as_outdoor" and all(pair.indoor for pair in pairs):
        raise UserError(
            f"{name}: {weather[0]} falls outside, and all {len(pairs)} pairs of {task} are flagged indoor; take it out "
            "of the recipe, add pairs from outside, or let it fall in rooms too with `degradations.indoor: as_outdoor`"
        )


def _by_dataset(pairs: Sequence[PairRef]) -> dict[str, list[PairRef]]:
    datasets: dict[str, list[PairRef]] = {}
    for pair in pairs:
        datasets.setdefault(pair.dataset, []).append(pair)
    return datasets


def _weights(sizes: Mapping[str, int], given: Mapping[str, float], sources: Sequence[Source]) -> dict[str, float]:
    """The weight of each dataset, by its number of pairs, the weights that a recipe gives, and what is to be drawn
    beside all others."""
    beside = {name: times for source in sources for name, times in source.beside_others().items() if name not in given}
    weights = {name: given.get(name, math.sqrt(size)) for name, size in sizes.items() if name not in beside}
    others = math.fsum(weights.values()) or 1.0  # of a recipe without any
    return weights | {name: times * others for name, times in beside.items() if name in sizes}


def _with_data(recipe: Recipe, root: Path | str, follow_links: bool) -> Recipe:
    """The recipe with one source for each task, which keeps the settings of those that it replaces, and another of the
    photographs where the recipe asks for pairs made of them."""
    sources = {task: _sources_at(root, task, part, follow_links) for task, part in recipe.tasks.items()}
    if recipe.data is not None:
        asked = recipe.data.model_dump()
        sources = {task: tuple(one.model_copy(update=asked) for one in found) for task, found in sources.items()}
        for task, found in sources.items():
            for one in found:
                _check_given(recipe.name, task, one)
    return _with_sources(recipe, sources)


def _check_given(name: str, task: str, source: Source) -> None:
    """Raises UserError where a source of --data cannot have what the recipe asks of it."""
    try:
        source.check(task)
    except ValueError as error:
        raise UserError(f"{name}: data: {error}") from None


def _with_sources(recipe: Recipe, sources: Mapping[str, tuple[Source, ...]]) -> Recipe:
    """The recipe with other sources for each task."""
    tasks = {task: part.model_copy(update={"sources": sources[task]}) for task, part in recipe.tasks.items()}
    return recipe.model_copy(update={"tasks": tasks})


def _sources_at(root: Path | str, task: str, part: TaskRecipe, follow_links: bool) -> tuple[Source, ...]:
    replaced = _following(part.sources, follow_links)
    found = [
        source_at(root, task, replaced),
        photographs_at(root, task, part.photos, replaced) if part.photos else None,
    ]
    sources = [source for source in found if source is not None]
    return _following(sources, follow_links)


def _following(sources: Sequence[Source], follow_links: bool) -> tuple[Source, ...]:
    """Sources whose links may lead out of their folders, or may not."""
    return tuple(
        source.model_copy(update={"follow_links": follow_links}) if isinstance(source, FileSource) else source
        for source in sources
    )


class _Usable(NamedTuple):
    """The pairs of a task and what is left out; how many pairs have a colour profile that is ignored, how many more
    than 8 bits in an image that is no infrared; and what sources remark.
    """

    pairs: list[PairRef]
    left_out: list[LeftOut]
    profiles: int
    deep: int
    remarks: list[str]


def _usable(task: str, part: TaskRecipe, crop: int) -> _Usable:
    found: dict[str, PairRef] = {}
    left_out: list[LeftOut] = []
    profiles, deep, remarks = 0, 0, list[str]()
    capture = TASKS[task].capture
    light = [not capture.is_infrared(name) for name in capture.modalities]
    for item in chain.from_iterable(source.pairs(task) for source in part.sources):
        if isinstance(item, LeftOut):
            left_out.append(item)
            continue
        if isinstance(item, Remark):
            remarks.append(item.text)
            continue
        headers = item.headers()
        if (reason := _why_not(item, headers, part, crop)) is not None:
            left_out.append(LeftOut(item.scene, reason))
        elif item.scene in found:
            left_out.append(LeftOut(item.scene, "a scene of this name stands in another source"))
        else:
            found[item.scene] = item
            profiles += any(header is not None and header.profile for header in headers)
            seen = [header for header, is_light in zip(headers, light, strict=False) if is_light and header is not None]
            deep += any(header.bits > 8 for header in seen)
    return _Usable([found[scene] for scene in sorted(found)], left_out, profiles, deep, remarks)


def _why_not(pair: PairRef, headers: Sequence[Header | None], part: TaskRecipe, crop: int) -> str | None:
    """Why a pair cannot be used; None where it can, or where only reading it will tell."""
    if kind_for(part.target, pair.has_gt) is None:
        return "no gt, and the recipe's target is given"
    sizes = [header.size for header in headers if header is not None]
    if len(sizes) < len(headers):
        return None
    if len(set(sizes)) > 1:
        names = TASKS[pair.task].capture.modalities
        return ", ".join(f"{name} is {width}×{height}" for name, (height, width) in zip(names, sizes, strict=True))
    return too_small(sizes[0], crop)
