"""A sheet of samples, for the eye: what goes in, what is asked, what should come out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synth import codecs
from synth.errors import UserError
from synth.pixels import Bytes, in_colour
from synth.shards import read_rows

GAP = 6  # pixels between the images
TEXT_PX = 13
LINE_PX = 18
INK, PAPER = (20, 20, 20), (255, 255, 255)


def write_sheet(dataset: Path, out: Path, count: int) -> int:
    """A PNG of `count` samples spread over a dataset: a, b, target, the instruction and what was drawn.

    Returns how many it shows. Raises UserError where the folder holds no finished shard with a sample.
    """
    sidecars = sorted(dataset.glob("*.parquet"))
    rows = [(side, row) for side in sidecars for row in read_rows(side) if row["status"] == "ok"]
    if not rows:
        raise UserError(f"{dataset}: no finished shard with a sample in it")
    chosen = [rows[int(i)] for i in np.unique(np.linspace(0, len(rows) - 1, count).round())]
    strips = [_strip(side.with_suffix(".tar"), row) for side, row in chosen]
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in strips]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(codecs.encode_png(np.vstack(padded)))
    return len(strips)


def _strip(tar: Path, row: dict[str, Any]) -> Bytes:
    """One sample: its images side by side, above them two lines of text."""
    with tar.open("rb") as file:
        images = [_member(file, row, name) for name in ("a", "b", "target")]
    height = max(image.shape[0] for image in images)
    gap = np.full((height, GAP, 3), 255, np.uint8)
    picture = np.hstack([part for image in images for part in (image, gap)])
    record = json.loads(row["record"])
    return np.vstack([_text(caption(record), picture.shape[1]), picture])


def _member(file: Any, row: dict[str, Any], name: str) -> Bytes:
    file.seek(row[f"{name}_offset"])
    return in_colour(codecs.decode(file.read(row[f"{name}_size"])))


def caption(record: dict[str, Any]) -> list[str]:
    """The instruction, and one line of what was drawn."""
    drawn = []
    for item in record["degradations"]:
        shown = [
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in item["params"].items()
            if isinstance(value, int | float | str) and key != "seed"
        ]
        drawn.append(f"{item['effect']}.{item['image']} {', '.join(shown)}")
    source = f"{record['key']} {record['task']} {record['source']['scene']}"
    return [f"“{record['instruction']}” ({record['kind']})", f"{source}: {'; '.join(drawn) or 'nothing'}"]


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
