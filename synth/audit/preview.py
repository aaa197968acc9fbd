"""Samples for the eye, as a sheet or as a page: what goes in, what is asked, what should come out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synth.audit.chart import as_png
from synth.audit.page import page
from synth.audit.shown import Shown
from synth.audit.text import written
from synth.errors import UnreadableError, UserError, in_one_line
from synth.images import codecs
from synth.images.pixels import Bytes, in_colour
from synth.sample.record import Record
from synth.scene.capture import IMAGES
from synth.storage.whole import write_files

PAGES = (".html", ".htm")
COLUMNS = 2  # samples side by side
LEAST_PX = 200  # smaller images are shown enlarged by a whole factor, pixel for pixel
GAP = 6  # pixels between the images


def write_preview(samples: Sequence[Shown], title: str, about: str, out: Path) -> None:
    """Write samples as a sheet (a PNG file) or as a page (an HTML file).

    title, about: of the page. Raises UserError where the name says neither, or a picture cannot be decoded,
    StoppedError where the disk is full.
    """
    check_name(out)
    data = page(title, about, samples).encode() if out.suffix.lower() in PAGES else as_png(sheet(samples))
    write_files({out: data})


def check_name(out: Path) -> None:
    """Raises UserError where a file's name is not that of a sheet or a page."""
    if out.suffix.lower() not in (".png", *PAGES):
        raise UserError(f"{out}: a sheet is a .png file, a page an .html file; name it so")


def sheet(samples: Sequence[Shown]) -> Bytes:
    """Samples in two columns: a, b, target, the instruction and what was drawn. (H, W, 3)."""
    try:
        strips = [_strip(sample) for sample in samples]
    except (UnreadableError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"a sample is damaged ({in_one_line(error)}); run synth verify") from None
    rows_of_strips = [strips[i : i + COLUMNS] for i in range(0, len(strips), COLUMNS)]
    height, width = (max(strip.shape[axis] for strip in strips) for axis in (0, 1))
    return np.vstack([np.hstack([_padded(s, height, width) for s in row]) for row in map(_filled, rows_of_strips)])


def _filled(row: list[Bytes]) -> list[Bytes]:
    """A row with blank strips where the samples end before it does."""
    return row + [np.full_like(row[0], 255)] * (COLUMNS - len(row))


def _padded(strip: Bytes, height: int, width: int) -> Bytes:
    below, right = height - strip.shape[0], width - strip.shape[1]
    return np.pad(strip, ((0, below + 2 * GAP), (0, right + GAP), (0, 0)), constant_values=255)


def _strip(sample: Shown) -> Bytes:
    """One sample: its images side by side, above them two lines of text."""
    images = [in_colour(codecs.decode(sample.pictures[name])) for name in (*IMAGES, "target")]
    factor = -(-LEAST_PX // images[0].shape[1])
    images = [image.repeat(factor, 0).repeat(factor, 1) for image in images]
    height = images[0].shape[0]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    picture = np.hstack([part for image in images for part in (image, gap)])
    return np.vstack([written(caption(sample.record), picture.shape[1]), picture])


def caption(record: Record) -> list[str]:
    """The instruction, and one line of what was drawn."""
    drawn: dict[str, list[str]] = {}
    for item in record["degradations"]:
        shown = [
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in item["params"].items()
            if isinstance(value, int | float | str) and key != "seed"
        ]
        drawn.setdefault(f"{item['effect']} {', '.join(shown)}", []).append(item["image"])
    told = [f"{'+'.join(images)}: {effect}" for effect, images in drawn.items()]
    source = f"{record['key']} {record['task']} {record['source']['scene']}"
    return [f"“{record['instruction']}” ({record['kind']})", f"{source}: {'; '.join(told) or 'undamaged'}"]
