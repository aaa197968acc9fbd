"""A small folder of training pictures, for a machine that is lent for a short time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from trainer.autoencoder.pictures import Pictures
from trainer.errors import UserError
from trainer.files import atomically

LONGEST, SHORTEST = 480, 320
"""Pixels of a packed picture's sides at most; the larger ones are reduced to the shorter, then cut to the longer."""
QUALITY = 92
"""Of the JPEGs, with full colour."""


Group = TypeVar("Group", bound=Hashable)
Item = TypeVar("Item")


def pack(pictures: Pictures, out: Path, limit_mib: float) -> tuple[int, int]:
    """Writes pictures into OUT/<group>/<number>.jpg until the limit, each group in its share of the training.

    Returns their number and bytes. The choice is the same each time. Raises UserError.
    """
    if out.exists():
        raise UserError(f"--out {out}: is there already; name a new folder")
    count, total = 0, 0

    def write(folder: Path) -> None:
        nonlocal count, total
        for group, number, image in _in_order(pictures):
            data = _encode(image)
            if total + len(data) > limit_mib * 2**20:
                break
            path = folder / group / f"{number:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            count, total = count + 1, total + len(data)
        if not count:
            raise UserError(f"--limit-mib {limit_mib}: not one picture fits")

    atomically(out, write)
    return count, total


def _in_order(pictures: Pictures) -> Iterator[tuple[str, int, np.ndarray]]:
    """(group, number, picture): at each step from the group that is the furthest behind its share."""
    shares = pictures.shares()
    orders = {
        group: list(np.random.Generator(np.random.Philox(i)).permutation(len(pictures.groups[group])))
        for i, group in enumerate(sorted(shares))
    }
    for group, number in by_share(orders, shares):
        yield group, int(number), pictures.groups[group][number]


def by_share(orders: Mapping[Group, list[Item]], shares: Mapping[Group, float]) -> Iterator[tuple[Group, Item]]:
    """(group, item): each time the last item of the group that is the furthest behind its share, until none is left.

    orders: is emptied. shares: above zero, of the same groups; where two are alike, the first of them comes first.
    """
    taken = dict.fromkeys(shares, 0)
    while any(orders.values()):
        group = min((g for g in shares if orders[g]), key=lambda g: (taken[g] + 1) / shares[g])
        taken[group] += 1
        yield group, orders[group].pop()


def _encode(image: np.ndarray) -> bytes:
    import cv2
    import simplejpeg

    height, width = image.shape[:2]
    scale = min(1.0, SHORTEST / min(height, width))
    if scale < 1:
        image = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    top, left = (max(0, side - LONGEST) // 2 for side in image.shape[:2])
    image = np.ascontiguousarray(image[top : top + LONGEST, left : left + LONGEST])
    if image.ndim == 2:
        return simplejpeg.encode_jpeg(image[:, :, None], quality=QUALITY, colorspace="GRAY", colorsubsampling="Gray")
    return simplejpeg.encode_jpeg(image, quality=QUALITY, colorspace="RGB", colorsubsampling="444")
