"""A sheet of samples, for the eye: what goes in, what is asked, what should come out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synth import codecs
from synth.dataset import is_shard
from synth.errors import UnreadableError, UserError
from synth.pixels import Bytes, in_colour
from synth.shards import read_rows
from synth.storage import Storage, open_storage

COLUMNS = 2  # samples side by side
LEAST_PX = 200  # smaller images are shown enlarged by a whole factor, pixel for pixel
GAP = 6  # pixels between the images
TEXT_PX = 13
LINE_PX = 18
INK, PAPER = (20, 20, 20), (255, 255, 255)


def write_sheet(dataset: Path, out: Path, count: int) -> int:
    """A PNG of `count` samples spread over a dataset: a, b, target, the instruction and what was drawn.

    Returns how many it shows. Raises UserError where the folder holds no finished shard with a sample.
    """
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: a sheet is a PNG file; name it .png")
    storage = open_storage(dataset)
    sidecars = sorted(name for name in storage.sizes() if is_shard(name) and name.endswith(".parquet"))
    rows = [(side, row) for side in sidecars for row in read_rows(storage, side) if row["status"] == "ok"]
    if not rows:
        raise UserError(f"{dataset}: no finished shard with a sample in it")
    chosen = [rows[int(i)] for i in np.unique(np.linspace(0, len(rows) - 1, count).round())]
    try:
        strips = [_strip(storage, side.replace(".parquet", ".tar"), row) for side, row in chosen]
    except (UnreadableError, KeyError, ValueError) as error:
        raise UserError(f"{dataset}: a shard is damaged: {error}; remove it and generate again") from None
    rows_of_strips = [strips[i : i + COLUMNS] for i in range(0, len(strips), COLUMNS)]
    height, width = (max(strip.shape[axis] for strip in strips) for axis in (0, 1))
    sheet = np.vstack([np.hstack([_padded(s, height, width) for s in row]) for row in map(_filled, rows_of_strips)])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(codecs.encode_png(sheet))
    return len(strips)


def _filled(row: list[Bytes]) -> list[Bytes]:
    """A row with blank strips where the samples end before it does."""
    return row + [np.full_like(row[0], 255)] * (COLUMNS - len(row))


def _padded(strip: Bytes, height: int, width: int) -> Bytes:
    below, right = height - strip.shape[0], width - strip.shape[1]
    return np.pad(strip, ((0, below + 2 * GAP), (0, right + GAP), (0, 0)), constant_values=255)


def _strip(storage: Storage, tar: str, row: dict[str, Any]) -> Bytes:
    """One sample: its images side by side, above them two lines of text."""
    with storage.open(tar) as file:
        images = [_member(file, row, name) for name in ("a", "b", "target")]
    factor = -(-LEAST_PX // images[0].shape[1])
    images = [image.repeat(factor, 0).repeat(factor, 1) for image in images]
    height = images[0].shape[0]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    picture = np.hstack([part for image in images for part in (image, gap)])
    record = json.loads(row["record"])
    return np.vstack([_text(caption(record), picture.shape[1]), picture])


def _member(file: Any, row: dict[str, Any], name: str) -> Bytes:
    file.seek(row[f"{name}_offset"])
    return in_colour(codecs.decode(file.read(row[f"{name}_size"])))


def caption(record: dict[str, Any]) -> list[str]:
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


def _text(lines: list[str], width: int) -> Bytes:
    font = ImageFont.load_default(TEXT_PX)
    rows = [part for line in lines for part in _wrapped(line, font, width - 8)]
    page = Image.new("RGB", (width, LINE_PX * len(rows) + 6), PAPER)
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(rows):
        pen.text((4, 4 + LINE_PX * number), line, fill=INK, font=font)
    return np.asarray(page)


def _wrapped(line: str, font: Any, width: int) -> list[str]:
    rows = [""]
    for word in line.split(" "):
        longer = f"{rows[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows
