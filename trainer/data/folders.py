"""Pictures in folders and in shards, one by one: what the autoencoder is trained on, and what it is measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from trainer.data.images import Image, read_together
from trainer.data.kinds import SUFFIXES as SUFFIXES
from trainer.data.shards import IndexedShards, Sample, open_shards
from trainer.errors import UserError

OF_A_PAIR = ("a", "b", "gt")


class OfPair(NamedTuple):
    """A picture of a folder of pairs, <task>/<dataset>-<scene>/{a,b[,gt]}.*."""

    task: str
    scene: str
    """<dataset>-<scene>."""
    name: str
    """a, b or gt."""
    image: Image


def images_of(folder: Path, option: str) -> list[Path]:
    """The image files under a folder, sorted by path. Raises UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"{option} {folder}: no such folder")
    found = sorted(path for path in folder.rglob("*") if is_image(path))
    if not found:
        raise UserError(f"{option} {folder}: no image in it ({', '.join(SUFFIXES)})")
    return found


def is_image(path: Path) -> bool:
    """Whether it is a file with the name of an image; none are those of a system's own, as ._NAME.jpg of macOS."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def pictures_of_pairs(folder: Path) -> Iterator[OfPair]:
    """All pictures of a folder of pairs; other files there, such as depth, are passed over. Raises UserError."""
    found = (path for path in images_of(folder, "--pairs") if path.stem in OF_A_PAIR)
    for place, paths in groupby(found, lambda path: path.parent):
        named: dict[str, Path] = {}
        for path in paths:
            named.setdefault(path.stem, path)
        task = place.parent.name
        for name, image in read_together(named, ("b",) if task == "vif" else ()).items():
            yield OfPair(task, place.name, name, image)


def samples_of(shards: Sequence[str]) -> Iterator[Sample]:
    """Each sample of shards with sidecars once, in their order. Raises UserError."""
    reader = open_shards(list(shards), 0)
    if not isinstance(reader, IndexedShards):
        raise UserError(f"--shards {reader.tars[0]}: no sidecar (.parquet) beside it, which is needed here")
    for number in range(len(reader)):
        yield reader.load([number])[0]
    reader.close()
