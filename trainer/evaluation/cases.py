"""What is fused and measured, one by one: the samples of shards, or a folder of pairs as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from trainer.console import say
from trainer.data.folders import pictures_of_pairs
from trainer.data.format import CLEAN
from trainer.data.images import Image
from trainer.data.index import schema_of
from trainer.data.samples import Sample
from trainer.data.shards import IndexedShards, open_shards
from trainer.errors import UserError

AS_THEY_ARE = "pair"
"""The kind of a case that is no sample of shards."""


@dataclass(frozen=True, eq=False)
class Case:
    """Two images with a sentence; the truth and the clean pair, where they are known. All (H, W, 3) uint8, one size."""

    key: str
    a: Image
    b: Image
    instruction: str
    record: Mapping[str, Any]
    target: Image | None = None
    clean: tuple[Image, Image] | None = None

    @property
    def group(self) -> str:
        return str(self.record.get("group", self.key))

    @property
    def task(self) -> str:
        return str(self.record.get("task", ""))

    @property
    def kind(self) -> str:
        return str(self.record.get("kind", ""))


class OfShards:
    """Samples of shards with sidecars, in their order; whole groups, `limit` samples at most. Raises UserError."""

    def __init__(self, urls: Sequence[str], limit: int | None = None) -> None:
        self._reader, self._limit = _open(urls), limit
        self.count = min(len(self._reader), limit or len(self._reader))

    def __iter__(self) -> Iterator[Case]:
        done = 0
        for _, members in groupby(self._each(), key=lambda case: case.group):
            group = list(members)
            done += len(group)
            if self._limit is not None and done > self._limit:
                if done == len(group):
                    raise UserError(f"--limit {self._limit}: whole groups are taken, and the first has {done} samples")
                return
            yield from group

    def _each(self) -> Iterator[Case]:
        for number in range(len(self._reader)):
            yield _case(self._reader.load([number])[0])


class OfPairs:
    """[<task>/]<dataset>-<scene>/{a,b[,gt]}.* of a folder, each with one sentence; measured against its own images, and
    against gt where there is one. Says of which scenes an image is missing. Raises UserError.
    """

    def __init__(self, folder: Path, sentence: str, limit: int | None = None) -> None:
        self._folder, self._sentence, self._limit = folder, sentence, limit
        left_out: list[str] = []
        self.count = sum(1 for _ in self._each(left_out))
        if not self.count:
            hint = f" ({left_out[0]})" if left_out else ""
            raise UserError(
                f"--pairs {folder}: no pair in it; TASK/SCENE or SCENE, a folder each with a.png and b.png, is looked "
                f"for{hint}"
            )
        for line in left_out:
            say(f"left out: {line}")

    def __iter__(self) -> Iterator[Case]:
        return self._each([])

    def _each(self, left_out: list[str]) -> Iterator[Case]:
        """left_out: filled with a line for each scene that is no pair."""
        done = 0
        for place, members in groupby(pictures_of_pairs(self._folder), key=lambda picture: picture.place):
            if done == self._limit:
                return
            pictures = {picture.name: picture for picture in members}
            if missing := [name for name in ("a", "b") if name not in pictures]:
                left_out.append(f"{place}: no image {' and no image '.join(missing)}")
                continue
            done += 1
            a, b, gt = (pictures[name].image if name in pictures else None for name in ("a", "b", "gt"))
            assert a is not None
            assert b is not None
            if other := next((name for name, x in (("b", b), ("gt", gt)) if x is not None and x.shape != a.shape), ""):
                raise UserError(_of_two_sizes(place, a, other, pictures[other].image))
            task, scene = pictures["a"].task, pictures["a"].scene
            record = {"task": task, "kind": AS_THEY_ARE, "source": {"scene": scene, "dataset": scene.split("-")[0]}}
            yield Case(place, a, b, self._sentence, record, gt, (a, b))


def _of_two_sizes(place: str, a: Image, name: str, other: Image) -> str:
    sizes = f"a is {a.shape[1]}x{a.shape[0]}, {name} is {other.shape[1]}x{other.shape[0]}"
    return f"--pairs: {place}: images of different sizes: {sizes}; bring them to one size, or take the scene out"


def _open(urls: Sequence[str]) -> IndexedShards[Sample]:
    """With the clean pair where the shards have it."""
    reader = open_shards(list(urls), 0)
    if not isinstance(reader, IndexedShards):
        raise UserError(f"--shards {reader.tars[0]}: no sidecar (.parquet) beside it, which is needed here")
    if all(f"{member}_name" in schema_of(tar)[0] for tar in reader.tars for member in CLEAN):
        reader = open_shards(list(urls), 0, clean=True)
        assert isinstance(reader, IndexedShards)
    if not len(reader):
        raise UserError(f"--shards {' '.join(urls)}: no sample in them")
    return reader


def _case(sample: Sample) -> Case:
    clean = None
    if sample.clean_a is not None and sample.clean_b is not None:
        clean = (sample.clean_a, sample.clean_b)
    return Case(sample.key, sample.a, sample.b, sample.instruction, sample.record, sample.target, clean)
