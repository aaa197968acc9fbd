"""Words over pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from trainer.data.images import Image

SIZE = 13
"""Pixels of a letter's height, about."""
GAP = 4
"""White pixels between pictures."""


def labelled_row(pictures: Sequence[tuple[str, Image]], caption: str) -> Image:
    """Pictures (H, W, 3) of one size beside each other at full size, each under its label, below a caption."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    height, width = pictures[0][1].shape[:2]
    font, line = ImageFont.load_default(SIZE), SIZE + 4
    across = len(pictures) * (width + GAP)
    lines = textwrap.wrap(caption, max(20, across * 2 // SIZE)) or [""]
    page = Pillow.new("RGB", (across, line * (len(lines) + 1) + height), "white")
    pen = ImageDraw.Draw(page)
    for number, text in enumerate(lines):
        pen.text((2, number * line), text, fill="black", font=font)
    for number, (label, picture) in enumerate(pictures):
        left, top = number * (width + GAP), line * len(lines)
        pen.text((left + 2, top), label, fill="black", font=font)
        page.paste(Pillow.fromarray(np.ascontiguousarray(picture)), (left, top + line))
    return np.asarray(page)
