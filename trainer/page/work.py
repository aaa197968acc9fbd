"""What the page does with images, without a browser: looking at them, fusing them, remembering what was made."""

from __future__ import annotations

import html
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import cv2
import numpy as np

from trainer.data.images import Image, read_pair, read_together, write_image
from trainer.data.kinds import header_of
from trainer.errors import UserError
from trainer.inference.auto import Clauses
from trainer.inference.folder import REGRESSION
from trainer.inference.fuser import Fuser
from trainer.inference.fusing import Asked, fuse_one
from trainer.inference.jobs import Job
from trainer.stopping import unless

SHOWN, OPENED, THUMB = 2048, 1024, 320
"""Pixels of the longer side of results and of images that were opened, as they are shown, and of small pictures in a
strip; files are of full size."""
MOST_IMAGES = 16
KEPT = 12
"""Results of one visitor."""
BESIDE_PIXELS = 8 << 20
"""Bytes of a file besides its pixels."""
BYTES_A_PIXEL = 12
"""Of a colour picture of 32-bit numbers, the largest that is read."""


class Seen(NamedTuple):
    """What the header of an image file says."""

    path: Path
    width: int
    height: int
    bits: int

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6

    @property
    def told(self) -> str:
        return f"{self.width}×{self.height}, {self.bits} bit"


class Result(NamedTuple):
    """A fused picture. Of the files the first is what is downloaded; the others are as the page shows them."""

    picture: Path
    shown: Path
    thumb: Path
    inputs: tuple[Path, ...]
    """As they are shown, in the order in which they were given."""
    names: tuple[str, ...]
    sentence: str
    told: str
    """Size, depth, time."""
    notes: tuple[str, ...]
    """What was done to a file, or ignored of it, and what was not read of the sentence."""
    options: str = ""
    """Those that are not as they are unless set, in words."""

    @property
    def title(self) -> str:
        """What was asked, for the strip; options first, since the end of a long sentence is cut off."""
        return " · ".join(filter(None, (self.options, self.sentence)))

    @property
    def quoted(self) -> str:
        """What was asked, beside the slider."""
        return " · ".join(filter(None, (self.options, f"“{self.sentence}”")))


@dataclass
class Visit:
    """What one visitor has made, the newest last, and which of it is seen (-1: none)."""

    results: list[Result] = field(default_factory=list)
    at: int = -1

    def add(self, result: Result, see: bool = True) -> None:
        """Keeps it; what is too old goes. see: it is seen from now on; else what was seen still is, if kept."""
        self.results.append(result)
        gone = self.results[:-KEPT]
        for old in gone:
            shutil.rmtree(old.picture.parent, ignore_errors=True)
        del self.results[:-KEPT]
        self.at = len(self.results) - 1 if see else max(-1, self.at - len(gone))

    @property
    def seen(self) -> Result | None:
        return self.results[self.at] if 0 <= self.at < len(self.results) else None

    @property
    def former(self) -> Result | None:
        """The one before the one that is seen, if it is of pictures of the same size."""
        if self.at < 1:
            return None
        before, now = self.results[self.at - 1], self.results[self.at]
        return before if _size(before.shown) == _size(now.shown) else None

    def forget(self) -> None:
        """Removes the files."""
        for result in self.results:
            shutil.rmtree(result.picture.parent, ignore_errors=True)
        self.results.clear()


class Studio:
    """The networks of a weights folder, each loaded once it is asked for, and bounds of what they are given.

    megapixels: the most that an image may have. Several threads may use one, one after the other. Raises UserError
    where the weights cannot be used.
    """

    def __init__(self, weights: Path, folder: Path, device: str | None = None, megapixels: float = 16.0) -> None:
        self.weights, self.folder, self.device, self.megapixels = weights, folder, device, megapixels
        first = Fuser.from_pretrained(weights, device)
        config = first.objective.config
        self.variants: tuple[str, ...] = (config.kind, *([REGRESSION] if config.needs_regression else []))
        """By name, the first is what the weights were trained for."""
        self._fusers = {config.kind: first}
        self._pace: dict[str, float] = {}
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Ends what is being fused, within the time of a tile."""
        self._closed = True

    @property
    def most_bytes(self) -> int:
        """Of a file that is sent here."""
        return BESIDE_PIXELS + int(BYTES_A_PIXEL * self.megapixels * 1e6)

    @property
    def sees(self) -> bool:
        """Whether the weights can say what is wrong with a pair (`auto`)."""
        return bool(self._fusers[self.variants[0]].model.network.effects)

    @property
    def clauses(self) -> Clauses:
        """How damage is asked away."""
        return self._fusers[self.variants[0]].clauses

    def steps(self, variant: str) -> int | None:
        """Of its sampler as it was trained; None of one that knows no steps."""
        objective = self.fuser(variant).objective
        return int(objective.config.steps) if objective.takes_steps else None

    def fuser(self, variant: str) -> Fuser:
        """Raises UserError where the weights hold no such variant."""
        with self._lock:
            if variant not in self._fusers:
                self._fusers[variant] = Fuser.from_pretrained(self.weights, self.device, variant)
            return self._fusers[variant]

    def look(self, paths: Sequence[str | Path]) -> list[Seen]:
        """Two or more images of one scene, by their headers. Raises UserError that says which is wrong."""
        return look_at(paths, self.megapixels)

    def seconds(self, seen: Sequence[Seen], variant: str, asked: Asked) -> float | None:
        """About how long the images take, by how long others took; None before the first."""
        pace = self._pace.get(variant)
        return None if pace is None else pace * _effort(seen, asked)

    def fuse(
        self, paths: Sequence[str | Path], variant: str, asked: Asked, ended: Callable[[], bool] = lambda: False
    ) -> Result:
        """Makes the picture of images, in a folder of its own.

        ended: is asked before each tile. Raises UserError, without the places of files; Stopped once `ended` says so,
        or the studio is closed.
        """
        seen = self.look(paths)
        folder = Path(mkdtemp(dir=self.folder))
        try:
            with unless(lambda: self._closed or ended()):
                return self._fused(seen, folder, variant, asked)
        except UserError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise UserError(worded(str(error), [each.path for each in seen])) from None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _fused(self, seen: Sequence[Seen], folder: Path, variant: str, asked: Asked) -> Result:
        fuser, begun = self.fuser(variant), time.monotonic()
        fuser.check(asked.seed, asked.steps, asked.prompt)
        paths = [each.path for each in seen]
        notes: list[str] = []
        job = Job("", tuple(paths), folder / f"{_stem(paths[0])}-fused.png")
        sentence = fuse_one(fuser, job, asked, tell=notes.append)
        took = time.monotonic() - begun
        self._pace[variant] = took / _effort(seen, asked)
        if unread := fuser.cut(sentence):
            notes.append(unread)
        made = _bytes_of(job.out)
        inputs = tuple(show(image, folder / f"input-{number}.png") for number, image in enumerate(pictures(seen), 1))
        bits = 16 if any(each.bits > 8 for each in seen) else 8
        return Result(
            picture=job.out,
            shown=show(made, folder / "shown.png"),
            thumb=show(made, folder / "thumb.png", THUMB),
            inputs=inputs,
            names=tuple(path.name for path in paths),
            sentence=sentence,
            told=f"{seen[0].width}×{seen[0].height}, {bits} bit, in {took:.1f} s",
            notes=tuple(worded(note, paths) for note in notes),
            options=self.options(variant, asked),
        )

    def options(self, variant: str, asked: Asked) -> str:
        """Those that are not as they are unless set, in the words of the page."""
        other = {
            variant: variant != self.variants[0],
            f"{asked.steps} steps": asked.steps not in (None, self.steps(variant)),
            f"strength {asked.strength:g}": asked.strength != 1,
            f"{asked.passes} passes": asked.passes != 1,
            f"infrared: {CALLED[asked.infrared]}": asked.infrared != "auto",
            f"aligned {ALIGNED[asked.align or '']}": asked.align is not None,
        }
        return ", ".join(words for words, named in other.items() if named)


def look_at(paths: Sequence[str | Path], megapixels: float) -> list[Seen]:
    """Two or more images of one scene, by their headers. Raises UserError that says which is wrong."""
    if len(paths) < 2:
        raise UserError(
            "Give two images of one scene, or more."
            if not paths
            else f"{Path(paths[0]).name} is one image: give two or more of one scene."
        )
    if len(paths) > MOST_IMAGES:
        raise UserError(f"{len(paths)} images: {MOST_IMAGES} are the most.")
    seen = [see(Path(path), megapixels) for path in paths]
    if len({(each.width, each.height) for each in seen}) > 1:
        sizes = ", ".join(f"{each.path.name} is {each.width}×{each.height}" for each in seen)
        raise UserError(f"Images of different sizes: {sizes}. Register them and bring them to one size.")
    return seen


def see(path: Path, megapixels: float) -> Seen:
    """An image file by its header. Raises UserError where it is none, or larger."""
    try:
        with path.open("rb") as file:
            header = header_of(file)
    except OSError as error:
        raise UserError(f"{path.name} cannot be read ({error.strerror or error}).") from None
    except ValueError as error:
        raise UserError(f"{path.name} cannot be used: {error}.") from None
    found = Seen(path, header.width, header.height, header.bits)
    if found.megapixels > megapixels:
        raise UserError(
            f"{path.name} has {found.megapixels:.1f} megapixels, and {megapixels:g} are the most here. Make it "
            "smaller, or start the page with a larger --max-megapixels."
        )
    return found


def pictures(seen: Sequence[Seen]) -> list[Image]:
    """What is fused of two files or more, (H, W, 3) uint8 each. Raises UserError, without the places of files."""
    paths = [each.path for each in seen]
    try:
        if len(paths) == 2:
            return list(read_pair(paths[0], paths[1])[:2])
        return list(read_together({str(number): path for number, path in enumerate(paths)}).values())
    except UserError as error:
        raise UserError(worded(str(error), paths)) from None


def small(image: Image, side: int) -> Image:
    """Not larger than `side`."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def show(image: Image, path: Path, side: int = SHOWN) -> Path:
    """Writes a picture as the page shows it: not larger than `side`."""
    write_image(path, small(image, side))
    return path


def worded(text: str, paths: Sequence[Path]) -> str:
    """A message for the page: files by their names alone, and a control of the page for an option of the command."""
    for path in paths:
        text = text.replace(str(path), path.name)
    text = re.sub(r"--infrared (\w+):", lambda found: f"Infrared “{CALLED[found[1]]}”:", text.lstrip(": "))
    text = re.sub(r"--infrared (\w+)", lambda found: f"set Infrared to “{CALLED[found[1]]}”", text)
    return re.sub(r"--align (\w+)", "Alignment", text)


CALLED = {"auto": "find out", "none": "none", "a": "first image", "b": "second image"}
"""Values of --infrared as the page calls them."""
ALIGNED = {"": "as they are", "mtb": "by whole pixels", "ecc": "turned and scaled too"}
"""Values of --align as the page calls them."""


def safe(text: str) -> str:
    """Text of a stranger's, such as the name of a file, for HTML."""
    return html.escape(text, quote=True)


def _effort(seen: Sequence[Seen], asked: Asked) -> float:
    """Megapixels that go through the network, as often as they do."""
    return (len(seen) - 1) * max(seen[0].megapixels, 0.02) * asked.passes * (asked.steps or 1)


def _bytes_of(path: Path) -> Image:
    """A PNG file of 8 or 16 bits as bytes."""
    levels = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    return levels if levels.dtype == np.uint8 else np.rint(levels / 257).astype(np.uint8)


def _size(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        header = header_of(file)
    return header.width, header.height


def _stem(path: Path) -> str:
    """Of a name that any system can hold."""
    return re.sub(r"[^\w.-]+", "_", path.stem).strip("._")[:60] or "picture"
