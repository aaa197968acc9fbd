"""What is fused and measured, one by one: the samples of shards, or a folder of pairs as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

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
    """<task>/<dataset>-<scene>/{a,b[,gt]}.* of a folder, each with one sentence; measured against its own images, and
    against gt where there is one. Raises UserError.
    """

    def __init__(self, folder: Path, sentence: str, limit: int | None = None) -> None:
        self._folder, self._sentence, self._limit = folder, sentence, limit
        self.count = sum(1 for _ in self)
        if not self.count:
            raise UserError(f"--pairs {folder}: no pair in it; <task>/<scene>/a.png and b.png are looked for")

    def __iter__(self) -> Iterator[Case]:
        done = 0
        pictures = pictures_of_pairs(self._folder)
        for (task, scene), members in groupby(pictures, key=lambda picture: (picture.task, picture.scene)):
            if done == self._limit:
                return
            found = {picture.name: picture.image for picture in members}
            if not {"a", "b"} <= found.keys():
                continue
            done += 1
            record = {"task": task, "kind": AS_THEY_ARE, "source": {"scene": scene, "dataset": scene.split("-")[0]}}
            a, b = found["a"], found["b"]
            yield Case(f"{task}/{scene}", a, b, self._sentence, record, found.get("gt"), (a, b))


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
