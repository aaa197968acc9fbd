"""Pictures in folders and in shards, one by one: what the autoencoder is trained on, and what it is measured on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from trainer.data.images import Image, read_pair, read_together
from trainer.data.kinds import SUFFIXES as SUFFIXES
from trainer.data.shards import IndexedShards, Sample, open_shards
from trainer.errors import UserError

OF_A_PAIR = ("a", "b", "gt")
TASKS = ("vif", "mef", "mff")
"""Names by which the folder itself that is given says of what task its pairs are; one in it says so by any name."""


class OfPair(NamedTuple):
    """A picture of a folder of pairs, [<task>/]<dataset>-<scene>/{a,b[,gt]}.*."""

    task: str
    """Empty where no folder names it."""
    scene: str
    """<dataset>-<scene>."""
    name: str
    """a, b or gt."""
    image: Image
    place: str
    """Of the scene in the folder that was given; the name of that itself, where it is the scene."""


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
    """All pictures of a folder of pairs; other files there, such as depth, are passed over.

    The folder may be one of tasks, one of scenes, or a scene itself. Where nothing names the task, which picture is
    infrared is seen as `trainer fuse` sees it. Raises UserError.
    """
    found = (path for path in images_of(folder, "--pairs") if path.stem in OF_A_PAIR)
    for place, paths in groupby(found, lambda path: path.parent):
        named: dict[str, Path] = {}
        for path in paths:
            named.setdefault(path.stem, path)
        parts = place.relative_to(folder).parts
        scene = parts[-1] if parts else folder.resolve().name
        task = _task_of(folder, parts)
        for name, image in _read(named, task).items():
            yield OfPair(task, scene, name, image, "/".join(parts) or scene)


def _task_of(folder: Path, parts: Sequence[str]) -> str:
    """parts: of the scene's place in the folder."""
    if len(parts) > 1:
        return parts[-2]
    name = (folder.resolve() if parts else folder.resolve().parent).name
    return name if name in TASKS else ""


def _read(named: Mapping[str, Path], task: str) -> dict[str, Image]:
    if task or not {"a", "b"} <= named.keys():
        return read_together(named, ("b",) if task == "vif" else ())
    a, b, _ = read_pair(named["a"], named["b"])
    return {"a": a, "b": b, **read_together({name: path for name, path in named.items() if name not in ("a", "b")})}


def samples_of(shards: Sequence[str]) -> Iterator[Sample]:
    """Each sample of shards with sidecars once, in their order. Raises UserError."""
    reader = open_shards(list(shards), 0)
    if not isinstance(reader, IndexedShards):
        raise UserError(f"--shards {reader.tars[0]}: no sidecar (.parquet) beside it, which is needed here")
    for number in range(len(reader)):
        yield reader.load([number])[0]
    reader.close()
