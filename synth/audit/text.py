"""Words on pictures."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synth.images.pixels import Bytes

Colour = tuple[int, int, int]
INK, PAPER = (20, 20, 20), (255, 255, 255)
TEXT_PX = 13
LONGEST = 1000  # characters of a line, which then is broken
LEADING = 5  # pixels between the lines


def one_line(text: str, most: int = 120) -> str:
    """A text from a dataset as one line for a picture: no control characters, not too long, and no sign of
    multiplication, which Pillow's font has not."""
    line = "".join(c if c.isprintable() else " " for c in str(text)).replace("×", "x")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def written(lines: Sequence[str], width: int, colour: Colour = INK, size: int = TEXT_PX, indent: int = 4) -> Bytes:
    """Lines of text, broken where they are too long for it, as a picture (H, width, 3)."""
    font = ImageFont.load_default(size)
    rows = [part for line in lines for part in _wrapped(one_line(line, LONGEST), font, width - 2 * indent)]
    page = Image.new("RGB", (width, (size + LEADING) * len(rows) + 6), PAPER)
    pen = ImageDraw.Draw(page)
    for number, row in enumerate(rows):
        pen.text((indent, 4 + (size + LEADING) * number), row, fill=colour, font=font)
    return np.asarray(page)


def _wrapped(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    rows = [""]
    for word in line.split(" "):
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and font.getlength(longer) > width:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows
