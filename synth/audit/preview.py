"""Samples for the eye, as a sheet or as a page: what goes in, what is asked, what should come out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from synth.audit.chart import as_png
from synth.audit.page import page, pairs
from synth.audit.shown import Shown
from synth.audit.text import INK, TEXT_PX, Colour, written
from synth.audit.told import briefly, by_fate, extras, modality, seen_on, task_title
from synth.errors import UnreadableError, UserError, in_one_line
from synth.images import codecs
from synth.images.pixels import Bytes, in_colour
from synth.sample.record import MALFORMED, Record
from synth.scene.capture import IMAGES
from synth.storage.whole import write_files

PAGES = (".html", ".htm")
COLUMNS = 2  # samples side by side
LEAST_PX = 200  # smaller images are shown enlarged by a whole factor, pixel for pixel
GAP = 6  # pixels between the images
MARGIN = 20  # and around a sample
HEAD_PX = 15  # of what was asked
MUTED, REMOVED, LESSENED, KEPT = (98, 106, 116), (168, 50, 42), (138, 90, 0), (23, 112, 63)
WHITE: Any = {"constant_values": 255}


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
    """Samples in two columns: the sentence, a, b and target with their names, and what became of what fell on them.

    A pair under several sentences stands once, its targets side by side. (H, W, 3).
    """
    try:
        strips = [_strip(siblings) for siblings in pairs(samples)]
    except (UnreadableError, *MALFORMED) as error:
        raise UserError(f"a sample is damaged ({in_one_line(error)}); run synth verify") from None
    columns = COLUMNS if len(strips) == len(samples) else 1
    rows = [strips[i : i + columns] for i in range(0, len(strips), columns)]
    width = max(strip.shape[1] for strip in strips)
    return np.pad(np.vstack([_row(row, width, columns) for row in rows]), ((MARGIN,), (MARGIN,), (0,)), **WHITE)


def _row(strips: Sequence[Bytes], width: int, columns: int) -> Bytes:
    """Strips side by side, the row as high as the highest of them, with blank ones where the samples end before."""
    height = max(strip.shape[0] for strip in strips)
    gap = np.full((height + MARGIN, MARGIN, 3), 255, np.uint8)
    cells = [
        np.pad(strip, ((0, gap.shape[0] - strip.shape[0]), (0, width - strip.shape[1]), (0, 0)), **WHITE)
        for strip in strips
    ]
    cells += [np.full((gap.shape[0], width, 3), 255, np.uint8)] * (columns - len(strips))
    return np.hstack([part for cell in cells for part in (cell, gap)][:-1])


def _strip(siblings: Sequence[Shown]) -> Bytes:
    """One pair: above its pictures what was asked, below them their names and what became of what fell on the pair."""
    record = siblings[0].record
    images = [_picture(siblings[0], name) for name in IMAGES]
    targets = [_picture(sample, "target") for sample in siblings]
    cells = [_cell(image, [_name(name, record)]) for name, image in zip(IMAGES, images, strict=True)]
    source = f"{task_title(record)}, {record['source']['scene']}"
    if len(siblings) == 1:
        pictures = _beside([*cells, _cell(targets[0], [Line("target", INK)])])
        told = [Line(f"“{record['instruction']}”", INK, HEAD_PX), Line(f"{record['key']}, {record['kind']}, {source}")]
        return np.vstack([*_lines(told, pictures.shape[1]), pictures, *_lines(_fates(record), pictures.shape[1])])
    for number, (sample, target) in enumerate(zip(siblings, targets, strict=True), 1):
        asked = Line(f"“{sample.record['instruction']}”", INK)
        cells.append(_cell(target, [Line(f"target {number}"), asked, *_fates(sample.record, brief=True)]))
    pictures = _beside(cells)
    told = [
        Line(f"One pair, {len(siblings)} sentences: {seen_on(record) or 'undamaged'}", INK, HEAD_PX),
        Line(f"{record['key']} to {siblings[-1].record['key']}, {source}"),
    ]
    return np.vstack([*_lines(told, pictures.shape[1]), pictures])


class Line(NamedTuple):
    """A line of text on a sheet."""

    text: str
    colour: Colour = MUTED
    size: int = TEXT_PX


def _picture(sample: Shown, name: str) -> Bytes:
    image = in_colour(codecs.decode(sample.pictures[name]))
    factor = -(-LEAST_PX // image.shape[1])
    return image.repeat(factor, 0).repeat(factor, 1)


def _name(image: str, record: Record) -> Line:
    return Line(f"{image}: {modality(record, image)}")


def _fates(record: Record, brief: bool = False) -> list[Line]:
    """What was removed, lessened and kept; what was kept is said of every sample. brief: without parameters."""
    found = {fate: "; ".join(map(str, some)) for fate, some in by_fate(record).items()}
    if brief:
        found = {fate: "; ".join(briefly(record)[fate]) for fate in found}
    if not found:
        return [Line("nothing fell on this pair")]
    colours = {"removed": REMOVED, "lessened": LESSENED, "kept": KEPT}
    lines = [Line(f"{fate}: {what}", colours.get(fate, INK)) for fate, what in found.items()]
    lines += [] if "kept" in found else [Line("kept: nothing")]
    return lines + [Line(f"{what}: {which}") for what, which in extras(record)]


def _lines(lines: Sequence[Line], width: int) -> list[Bytes]:
    return [written([line.text], width, line.colour, line.size, 0) for line in lines]


def _cell(image: Bytes, below: Sequence[Line]) -> Bytes:
    return np.vstack([image, *_lines(below, image.shape[1])])


def _beside(cells: Sequence[Bytes]) -> Bytes:
    height = max(cell.shape[0] for cell in cells)
    gap = np.full((height, GAP, 3), 255, np.uint8)
    padded = [np.pad(cell, ((0, height - cell.shape[0]), (0, 0), (0, 0)), **WHITE) for cell in cells]
    return np.hstack([part for cell in padded for part in (cell, gap)][:-1])
