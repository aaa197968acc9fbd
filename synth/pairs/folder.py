"""Clean pairs in folders: `<dataset>-<scene>/{a,b[,gt][,depth]}.<png or jpg …>`, one folder a pair."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synth import codecs
from synth.depth import distance_share
from synth.errors import UnreadableError, UserError
from synth.pairs.base import CleanPair, PairRef, without_idle_channels
from synth.pixels import Bytes, Floats, channels
from synth.scene import DepthKind, Task
from synth.targets.align import align


@dataclass(frozen=True)
class FolderPair(PairRef):
    """A pair whose images are files."""

    a: Path
    b: Path
    gt: Path | None
    depth: Path | None
    depth_kind: DepthKind
    align: bool

    @property
    def has_gt(self) -> bool:
        return self.gt is not None

    def sizes(self) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        return codecs.size_of(self.a), codecs.size_of(self.b)

    def load(self) -> CleanPair:
        a, hash_a = codecs.read(self.a)
        b, hash_b = codecs.read(self.b)
        files, hashes = [self.a.name, self.b.name], [hash_a, hash_b]
        gt: Bytes | None = None
        depth: Floats | None = None
        if self.gt is not None:
            gt, hash_gt = codecs.read(self.gt)
            files.append(self.gt.name)
            hashes.append(hash_gt)
        if self.depth is not None:
            values, hash_depth = codecs.read_depth(self.depth)
            try:
                depth = distance_share(values, self.depth_kind)
            except ValueError as error:
                raise UnreadableError(f"{self.depth.name}: {error}") from None
            files.append(self.depth.name)
            hashes.append(hash_depth)
        for name, other in ((self.b.name, b), ("gt", gt), ("depth", depth)):
            if other is not None and other.shape[:2] != a.shape[:2]:
                raise UnreadableError(f"{name} is {_size(other)}, {self.a.name} is {_size(a)}; a pair has one size")
        source_channels = (channels(a), channels(b))
        b, shift = align(a, b) if self.align else (b, None)
        pair = CleanPair(a, b, gt, depth, self.depth_kind, source_channels, tuple(files), tuple(hashes), shift)
        return without_idle_channels(self.task, pair)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}×{image.shape[0]}"


def list_folder(
    root: Path, task: Task, licence: str, depth_kind: DepthKind, moved: bool = False
) -> Iterator[FolderPair | tuple[str, str]]:
    """The pairs below a folder by name; for a folder that is no pair, its name and why.

    moved: b is to be moved onto a. Raises UserError where the folder is missing or holds no folders.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of pairs")
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    if not folders:
        raise UserError(f"{root}: no pairs in it; a pair is a folder <dataset>-<scene>/ with a.png and b.png (or jpg)")
    for folder in folders:
        roles: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in codecs.SUFFIXES and path.is_file():
                roles.setdefault(path.stem, path)
        missing = [name for name in ("a", "b") if name not in roles]
        if missing:
            yield folder.name, f"no image {' and no image '.join(missing)}"
            continue
        dataset = folder.name.split("-", 1)[0]
        files = roles["a"], roles["b"], roles.get("gt"), roles.get("depth")
        yield FolderPair(task, dataset, folder.name, licence, *files, depth_kind, moved)
