"""Pairs made of single photographs: brackets (bracketing.py) and focus pairs (refocusing.py)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
from numpy.random import Generator
from pydantic import Field

from synth.errors import UnreadableError, UserError, listed
from synth.images import codecs
from synth.images.headers import Header, read_header
from synth.images.pixels import Bytes, Floats, channels, luma, shrink
from synth.pairs.base import CleanPair, PairRef, without_idle_channels
from synth.pairs.bracketing import bracket, clipped_share, draw_bracket
from synth.pairs.folder import OUTSIDE, leads_out
from synth.pairs.layers import layers_of
from synth.pairs.refocusing import draw_refocus, refocus
from synth.pairs.roles import depth_values
from synth.pairs.source import MOST, NO_TEXT, FileSource, LeftOut, LocalPath, is_hidden, is_text
from synth.scene.capture import Capture
from synth.scene.depth import distance_share
from synth.scene.scene import DepthKind
from synth.streams import stream
from synth.tasks import TASKS

Make = Literal["bracketed", "refocused"]
MOST_CLIPPED = 0.08  # of the pixels: more would be flat grey in the dark frame
MOST_VARIANTS = 1000
GLANCED = ("PNG", "JPEG", "WEBP", "BMP")  # that OpenCV reads at a quarter of their size


@dataclass(frozen=True)
class Maker:
    """What is made of a photograph. make: of it, its depth where that is known, and a generator: two images, and what
    was drawn, for the record. truth: the photograph shows all that both images show. looks: why a photograph is none
    to make it of, by its picture at a low resolution."""

    suits: Callable[[Capture], bool]
    make: Callable[[Bytes, Floats | None, Generator], tuple[tuple[Bytes, Bytes], str]]
    truth: bool
    looks: Callable[[Bytes], str | None] | None = None


def bracketed(photograph: Bytes, _depth: Floats | None, rng: Generator) -> tuple[tuple[Bytes, Bytes], str]:
    """Under- and over-exposed."""
    drawn = draw_bracket(photograph, rng)
    told = f"bracketed by {drawn.under:.2f} and {drawn.over:+.2f} stops, curve {drawn.curve}"
    return bracket(photograph, drawn), told


def refocused(photograph: Bytes, depth: Floats | None, rng: Generator) -> tuple[tuple[Bytes, Bytes], str]:
    """Near and far focus."""
    layers = layers_of(photograph, depth, rng)
    drawn = draw_refocus(photograph, layers, rng)
    told = f"refocused in {len(layers.masks)} layers of {'regions' if depth is None else 'depth'}, radius"
    return refocus(photograph, layers, drawn), f"{told} {drawn.radius:.1f} px"


def _too_bright(small: Bytes) -> str | None:
    share = clipped_share(small)
    return None if share <= MOST_CLIPPED else f"{share:.0%} of it is clipped, and {MOST_CLIPPED:.0%} may be"


MAKERS: dict[Make, Maker] = {
    "bracketed": Maker(lambda capture: capture.bracketed, bracketed, False, _too_bright),
    "refocused": Maker(lambda capture: [*capture.modalities.values()] == ["near", "far"], refocused, True),
}


def maker_for(capture: Capture) -> Make | None:
    """What is made of photographs where pairs are taken so; None where nothing can be."""
    return next((name for name, maker in MAKERS.items() if maker.suits(capture)), None)


@dataclass(frozen=True)
class PhotoPair(PairRef):
    """A pair made of a photograph when it is asked for: what is drawn follows from its scene's name alone."""

    make: Make
    photograph: Path
    depth: Path | None
    depth_kind: DepthKind

    @property
    def has_gt(self) -> bool:
        return MAKERS[self.make].truth

    def headers(self) -> tuple[Header | None, ...]:
        try:
            header = read_header(self.photograph)
        except (UnreadableError, OSError):
            return None, None
        return header, header

    def local_files(self) -> tuple[Path, ...]:
        return (self.photograph,) if self.depth is None else (self.photograph, self.depth)

    def load(self) -> CleanPair:
        picture = codecs.read(self.photograph)
        image, maker = picture.image, MAKERS[self.make]
        files, hashes, depth = [self.photograph.name], [picture.sha256], None
        doubts: tuple[str, ...] = ()
        if self.depth is not None:
            stored, of_depth = codecs.read_depth(self.depth)
            values, doubt = depth_values(stored, self.depth_kind, self.depth.name)
            doubts = () if doubt is None else (doubt,)
            if values.shape != image.shape[:2]:
                raise UnreadableError(f"{self.depth.name} is not of the size of {self.photograph.name}")
            try:
                depth = distance_share(values, self.depth_kind)
            except ValueError as error:
                raise UnreadableError(f"{self.depth.name}: {error}") from None
            files.append(self.depth.name)
            hashes.append(of_depth)
        (a, b), told = maker.make(image, depth, stream(0, 0, f"{self.make}/{self.scene}"))
        pictures = without_idle_channels({"a": a, "b": b}, TASKS[self.task].capture)
        return CleanPair(
            pictures,
            *(image if maker.truth else None, depth, self.depth_kind),
            source_channels=dict.fromkeys(pictures, channels(image)),
            files=tuple(files),
            sha256=tuple(hashes),
            notes=(*(f"{self.photograph.name}: {note}" for note in picture.notes), *doubts, told),
            doubts=doubts,
        )


class PhotoSource(FileSource):
    """A folder of single photographs, of which brackets or focus pairs are made, as the task is."""

    kind = "photos"
    placeholder = "photos"

    photos: LocalPath
    """NAME.jpg (or .png …) in it, and NAME.depth.png where a depth map stands beside it. Folders in it are not looked
    into, a link that leads out of it is not followed unless `follow_links` says so."""
    make: Make | None = None
    """`bracketed` or `refocused`; where it is not said, what the pairs of the task are."""
    variants: int = Field(default=4, ge=1, le=MOST_VARIANTS)
    """Pairs of each photograph, each with draws of its own: they end in `-p0`, `-p1`, … and stand on one side of a
    split."""
    dataset: str = Field(default="photos", pattern=r"^[^-/]+$")
    """What its pairs are called in records and weights."""
    beside: float = Field(default=0.5, gt=0, le=MOST)
    """How often its pairs are drawn for each pair of the other sources, where `weights` does not say."""

    def check(self, task: str) -> None:
        capture = TASKS[task].capture
        if self.align:
            raise ValueError("photos: what is made of one photograph needs no align")
        if self._make(task) is None:
            raise ValueError(f"photos: no pair of {task} can be made of one photograph")
        if self.make is not None and not MAKERS[self.make].suits(capture):
            raise ValueError(f"photos: make {self.make} is not for {task}")
        super().check(task)

    def beside_others(self) -> dict[str, float]:
        return {self.dataset: self.beside}

    def pairs(self, task: str) -> Iterator[PhotoPair | LeftOut]:
        """By the names of the photographs, then by variant. Brackets are made of none that is clipped too far: each is
        looked at, at a quarter of its size."""
        make = self._make(task)
        assert make is not None  # checked with the recipe
        root = self.photos
        if not root.is_dir():
            raise UserError(f"{root}: no such folder of photographs")
        photographs, depths = _by_stem(root)
        if not photographs:
            raise UserError(f"{root}: no photographs in it; NAME.png or NAME.jpg are")
        looks = MAKERS[make].looks
        for stem, (path, *others) in photographs.items():
            if not is_text(stem):
                yield LeftOut(repr(path.name), NO_TEXT)
                continue
            name, of_depth = f"{self.dataset}-{stem}", depths.get(stem, [])
            depth = of_depth[0] if of_depth else None
            if not self.takes(name):
                continue
            alike = [path, *others] if others else of_depth
            if len(alike) > 1:
                yield LeftOut(name, f"{len(alike)} files of one name: {listed(file.name for file in alike)}")
            elif not self.follow_links and any(leads_out(file, root) for file in (path, depth) if file is not None):
                yield LeftOut(name, OUTSIDE)
            elif looks is not None and (reason := _glanced(path, looks)) is not None:
                yield LeftOut(name, reason)
            else:
                for number in range(self.variants):
                    scene = f"{name}-p{number}"
                    yield PhotoPair(task, self.dataset, scene, self.licence, make, path, depth, self.depth_kind)

    def _make(self, task: str) -> Make | None:
        return self.make or maker_for(TASKS[task].capture)


def _by_stem(root: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """The photographs of a folder and the depth maps, by the names of the photographs, in order."""
    photographs: dict[str, list[Path]] = {}
    depths: dict[str, list[Path]] = {}
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in codecs.SUFFIXES and not is_hidden(path.name) and path.is_file():
            of = depths if path.stem.endswith(".depth") else photographs
            of.setdefault(path.stem.removesuffix(".depth"), []).append(path)
    return photographs, depths


def _glanced(path: Path, looks: Callable[[Bytes], str | None]) -> str | None:
    """What a look at a photograph says; nothing of one that cannot be read, since loading it tells why."""
    try:
        header = read_header(path)
        if header.bits > 8 or header.format not in GLANCED:
            return looks(luma(shrink(codecs.read(path).image, max(header.size) // 4 or 1)))
    except UnreadableError:
        return None
    logged = codecs.log_level(0)
    try:
        small = cv2.imread(str(path), cv2.IMREAD_REDUCED_GRAYSCALE_4)
    finally:
        codecs.log_level(logged)
    return None if small is None else looks(small)
