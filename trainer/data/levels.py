"""The values of picture files as bytes: which bits count, and what a thermal camera's range is (shards/FILES.md)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRETCHED = (0.1, 99.9)  # percentiles of an infrared image of more than 8 bits that become black and white
BITS = (8, 10, 12, 14, 16)  # that cameras write into 16


@dataclass(frozen=True, eq=False)
class Values:
    """What a file holds: (H, W) or (H, W, 3), upright; uint8 is sRGB as it stands, any other type is not yet.

    bits: how many of 16 count, where the file says so. missing: the value that stands for none. notes: what was done to
    the file or ignored of it.
    """

    array: NDArray[Any]
    bits: int | None = None
    missing: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def deep(self) -> bool:
        """Whether it has more than 8 bits."""
        return self.array.dtype != np.uint8


@dataclass(frozen=True, eq=False)
class Levels:
    """image: (H, W) or (H, W, 3) uint8. notes: of the values, and of how they became bytes. stretch: of an infrared
    image of more than 8 bits, the values that became 0 and 255."""

    image: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    stretch: tuple[float, float] | None = None


def bits_together(pictures: Iterable[Values]) -> int:
    """How many of 16 bits count in the pictures of a pair that are not infrared: they are divided alike, so that an
    exposure stays darker than the other. 16 where none has so many."""
    return max((bits_of(values) for values in pictures if values.array.dtype == np.uint16), default=16)


def bits_of(values: Values) -> int:
    """How many of its 16 bits count: as the file says, else the fewest of 8, 10, 12, 14 and 16 that hold its values."""
    needed = int(values.array.max(initial=0)).bit_length()
    if values.bits is not None and values.bits >= needed:
        return values.bits
    return next(bits for bits in BITS if bits >= needed)


def to_levels(values: Values, infrared: bool, bits: int) -> Levels:
    """A picture as bytes. infrared: more than 8 bits are stretched between percentiles; bits: of 16, that count where
    they are not. Raises ValueError where neither rule is for such numbers.
    """
    array, notes = values.array, list(values.notes)
    if array.dtype == np.uint8:
        return Levels(array, values.notes)
    if infrared:
        return _stretched(values)
    if array.dtype == np.uint16:
        top = (1 << bits) - 1
        table = np.minimum((np.arange(1 << 16, dtype=np.uint32) * 510 + top) // (2 * top), 255).astype(np.uint8)
        notes.append("16 bits divided by 257" if bits == 16 else f"{bits} bits in 16 divided by {top / 255:.4g}")
        return Levels(table[array], tuple(notes))
    if array.dtype.kind != "f":
        kind = "signed" if array.dtype.kind == "i" else "whole"
        width = 8 * array.dtype.itemsize
        raise ValueError(
            f"{kind} numbers of {width} bits, which infrared alone may have; save it with 8 or 16, unsigned"
        )
    low, high = float(array.min(initial=0)), float(array.max(initial=0))  # not a number, where one is none
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"floating-point numbers from {low:.4g} to {high:.4g}; where it is not infrared they go from 0 to 1"
        )
    notes.append("floating-point numbers times 255")
    return Levels(np.rint(array.astype(np.float64) * 255).astype(np.uint8), tuple(notes))


def _stretched(values: Values) -> Levels:
    """Any numbers between two percentiles of those that are any as bytes, and those percentiles."""
    array, notes = values.array, values.notes
    here = np.isfinite(array) if array.dtype.kind == "f" else None
    if values.missing is not None and (absent := array == values.missing).any():
        here = ~absent if here is None else here & ~absent
    if here is not None and here.all():
        here = None
    known = array if here is None else array[here]
    if not known.size:
        raise ValueError("no pixel of it has a value")
    wide = known.astype(np.float64) if array.dtype.kind == "f" else known
    low, high = (float(value) for value in np.percentile(wide, STRETCHED))
    span = max(high - low, 1.0) if array.dtype.kind != "f" else high - low or 1.0
    if array.dtype == np.uint16:
        image = _between(np.arange(1 << 16), low, span)[array]
    else:
        image = _between(array if here is None else np.where(here, array, low), low, span)
    if here is not None:
        image = np.where(here, image, np.uint8(0))
        notes = (*notes, f"{here.size - int(here.sum())} pixels without a value are black")
    return Levels(image, notes, (low, high))


def _between(values: NDArray[Any], low: float, span: float) -> NDArray[np.uint8]:
    return np.clip(np.rint((values.astype(np.float64) - low) * (255 / span)), 0, 255).astype(np.uint8)
