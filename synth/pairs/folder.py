"""Clean pairs in folders: `<dataset>-<scene>/{a,b[,gt][,depth]}.<png or jpg …>`, one folder a pair."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synth import codecs
from synth.depth import distance_share
from synth.errors import UnreadableError, UserError
from synth.headers import Header, read_header
from synth.pairs.base import CleanPair, PairRef, without_idle_channels
from synth.pixels import Floats, channels
from synth.scene import DepthKind, Task
from synth.targets.align import align

ROLES = ("a", "b", "gt", "depth")
OUTSIDE = "a link in it leads out of the source's folder"


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

    def headers(self) -> tuple[Header | None, Header | None]:
        return _header(self.a), _header(self.b)

    def load(self) -> CleanPair:
        a, b = codecs.read(self.a), codecs.read(self.b, infrared=self.task == "vif")
        gt = None if self.gt is None else codecs.read(self.gt)
        pictures = {
            path.name: picture for path, picture in ((self.a, a), (self.b, b), (self.gt, gt)) if path and picture
        }
        files, hashes = list(pictures), [picture.sha256 for picture in pictures.values()]
        depth: Floats | None = None
        if self.depth is not None:
            values, hash_depth = codecs.read_depth(self.depth)
            try:
                depth = distance_share(values, self.depth_kind)
            except ValueError as error:
                raise UnreadableError(f"{self.depth.name}: {error}") from None
            files.append(self.depth.name)
            hashes.append(hash_depth)
        for name, other in ((self.b.name, b.image), ("gt", gt.image if gt else None), ("depth", depth)):
            if other is not None and other.shape[:2] != a.image.shape[:2]:
                raise UnreadableError(
                    f"{name} is {_size(other)}, {self.a.name} is {_size(a.image)}; a pair has one size"
                )
        moved, shift = align(a.image, b.image) if self.align else (b.image, None)
        pair = CleanPair(
            *(a.image, moved, gt.image if gt else None, depth, self.depth_kind),
            source_channels=(channels(a.image), channels(b.image)),
            files=tuple(files),
            sha256=tuple(hashes),
            shift=shift,
            notes=tuple(f"{name}: {note}" for name, picture in pictures.items() for note in picture.notes),
            stretch={} if b.stretch is None else {"b": b.stretch},
        )
        return without_idle_channels(self.task, pair)


def _header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except UnreadableError:
        return None


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}×{image.shape[0]}"


def list_folder(
    root: Path, task: Task, licence: str, depth_kind: DepthKind, moved: bool = False
) -> Iterator[FolderPair | tuple[str, str]]:
    """The pairs below a folder by name; for a folder that is no pair, its name and why.

    moved: b is to be moved onto a. A link that leads out of the root is not followed. Raises UserError where the folder
    is missing or holds no folders.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of pairs")
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    if not folders:
        raise UserError(f"{root}: no pairs in it; a pair is a folder <dataset>-<scene>/ with a.png and b.png (or jpg)")
    for folder in folders:
        roles: dict[str, Path] = {}
        if _leads_out(folder, root):
            yield folder.name, OUTSIDE
            continue
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in codecs.SUFFIXES and path.is_file():
                roles.setdefault(path.stem, path)
        missing = [name for name in ("a", "b") if name not in roles]
        if missing:
            yield folder.name, f"no image {' and no image '.join(missing)}"
            continue
        if any(_leads_out(path, root) for role, path in roles.items() if role in ROLES):
            yield folder.name, OUTSIDE
            continue
        dataset = folder.name.split("-", 1)[0]
        files = roles["a"], roles["b"], roles.get("gt"), roles.get("depth")
        yield FolderPair(task, dataset, folder.name, licence, *files, depth_kind, moved)


def _leads_out(path: Path, root: Path) -> bool:
    return path.is_symlink() and not path.resolve().is_relative_to(root.resolve())
