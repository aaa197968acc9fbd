"""A clean pair whose images are files, of this machine or behind URLs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import pyarrow as pa

from synth.errors import UnreadableError
from synth.images import codecs
from synth.images.headers import Header, read_header
from synth.images.pixels import Floats, channels
from synth.pairs.align import align
from synth.pairs.base import CleanPair, PairRef, without_idle_channels
from synth.pairs.remote import Remote
from synth.pairs.roles import as_roles, depth_values
from synth.scene.depth import distance_share
from synth.scene.scene import DepthKind
from synth.tasks import TASKS

File: TypeAlias = Path | Remote
ROLES = ("gt", "depth")  # of files beside the images


@dataclass(frozen=True)
class FilePair(PairRef):
    """A pair whose images are files.

    images: one for each that the task has, in its order. align: the second is to be moved onto the first. size:
    (height, width) of the images where the source tells; it is taken at its word until they are read.
    """

    images: tuple[File, ...]
    gt: File | None = None
    depth: File | None = None
    depth_kind: DepthKind = "distance"
    align: bool = False
    size: tuple[int, int] | None = None

    @property
    def has_gt(self) -> bool:
        return self.gt is not None

    def headers(self) -> tuple[Header | None, ...]:
        return tuple(_header(file) if self.size is None else Header(*self.size) for file in self.images)

    def local_files(self) -> tuple[Path, ...]:
        return tuple(file for file in (*self.images, self.gt, self.depth) if isinstance(file, Path))

    def load(self) -> CleanPair:
        capture = TASKS[self.task].capture
        named = dict(zip(capture.modalities, self.images, strict=True))
        files_of: dict[Any, File] = {**named} if self.gt is None else {**named, "gt": self.gt}
        read = codecs.read_together(files_of, [name for name in named if capture.is_infrared(name)])
        gt = read.pop("gt", None)
        pictures = [(file.name, read[name]) for name, file in named.items()]
        pictures += [] if self.gt is None or gt is None else [(self.gt.name, gt)]
        files, hashes = [name for name, _ in pictures], [picture.sha256 for _, picture in pictures]
        depth: Floats | None = None
        doubts: list[str] = []
        if self.depth is not None:
            stored, hash_depth = codecs.read_depth(self.depth)
            values, doubt = depth_values(stored, self.depth_kind, self.depth.name)
            doubts += [] if doubt is None else [doubt]
            try:
                depth = distance_share(values, self.depth_kind)
            except ValueError as error:
                raise UnreadableError(f"{self.depth.name}: {error}") from None
            files.append(self.depth.name)
            hashes.append(hash_depth)
        images = {name: picture.image for name, picture in read.items()}
        first, *others = images
        sized = [(named[name].name, images[name]) for name in others]
        for name, other in (*sized, ("gt", gt.image if gt else None), ("depth", depth)):
            if other is not None and other.shape[:2] != images[first].shape[:2]:
                raise UnreadableError(
                    f"{name} is {_shown(other)}, {named[first].name} is {_shown(images[first])}; a pair has one size"
                )
        roles = as_roles(images, {name: file.name for name, file in named.items()}, capture)
        shown, doubts, shift = dict(roles.pictures), [*roles.doubts, *doubts], None
        if self.align:
            shown["b"], shift = align(shown["a"], shown["b"])
        return CleanPair(
            without_idle_channels(shown, capture),
            *(gt.image if gt else None, depth, self.depth_kind),
            source_channels={name: channels(image) for name, image in images.items()},
            files=tuple(files),
            sha256=tuple(hashes),
            shift=shift,
            notes=(*(f"{name}: {note}" for name, picture in pictures for note in picture.notes), *doubts),
            stretch={name: picture.stretch for name, picture in read.items() if picture.stretch},
            doubts=tuple(doubts),
        )


class FilePairs(Sequence[FilePair]):
    """Pairs of one task and dataset as columns, made into objects one by one: a million of them are 0.1 GB, not 2."""

    def __init__(self, pairs: Sequence[FilePair]) -> None:
        self._same = {key: getattr(pairs[0], key) for key in ("task", "dataset")}
        self._names = tuple(TASKS[pairs[0].task].capture.modalities)
        values: dict[str, list[Any]] = {
            "scene": [pair.scene for pair in pairs],
            "licence": [pair.licence for pair in pairs],
            "depth_kind": [pair.depth_kind for pair in pairs],
            "align": [pair.align for pair in pairs],
            "indoor": [pair.indoor for pair in pairs],
            "height": [None if pair.size is None else pair.size[0] for pair in pairs],
            "width": [None if pair.size is None else pair.size[1] for pair in pairs],
        }
        values |= {name: [_name(pair.images[at]) for pair in pairs] for at, name in enumerate(self._names)}
        values |= {role: [_name(getattr(pair, role)) for pair in pairs] for role in ROLES}
        self._columns = {name: pa.array(column) for name, column in values.items()}
        for name in ("licence", "depth_kind"):
            self._columns[name] = self._columns[name].dictionary_encode()

    def __len__(self) -> int:
        return len(self._columns["scene"])

    @overload
    def __getitem__(self, at: int) -> FilePair: ...
    @overload
    def __getitem__(self, at: slice) -> list[FilePair]: ...
    def __getitem__(self, at: int | slice) -> FilePair | list[FilePair]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        row: dict[str, Any] = {name: column[at].as_py() for name, column in self._columns.items()}
        height, width = row.pop("height"), row.pop("width")
        size = None if height is None else (height, width)
        images: Any = tuple(_file(row.pop(name)) for name in self._names)
        beside: dict[str, Any] = {role: _file(row.pop(role)) for role in ROLES}
        return FilePair(**self._same, **row, **beside, images=images, size=size)


def as_columns(pairs: Sequence[PairRef]) -> Sequence[PairRef]:
    """Pairs of one task and dataset as a plan, which goes to every worker, holds them: as columns where all are files.

    A kind of pair that builds on FilePair is no FilePair here: columns would forget what it adds.
    """
    files = [pair for pair in pairs if type(pair) is FilePair]
    return FilePairs(files) if len(files) == len(pairs) else tuple(pairs)


def _name(file: File | None) -> bytes | None:
    """Bytes: a path of this machine need not be UTF-8."""
    return file.url.encode() if isinstance(file, Remote) else None if file is None else os.fsencode(file)


def _file(name: bytes | None) -> File | None:
    if name is None:
        return None
    text = os.fsdecode(name)
    return Remote(text) if "://" in text else Path(text)


def _header(file: File) -> Header | None:
    """None where it cannot be read, or only from far away."""
    if isinstance(file, Remote):
        return None
    try:
        return read_header(file)
    except UnreadableError:
        return None


def _shown(image: np.ndarray) -> str:
    return f"{image.shape[1]}×{image.shape[0]}"
