"""Whether a file shows what its name says, told by its pixels: infrared and depth have one value a pixel.

Cameras and viewers save both in false colours, simulators save depth as a number spread over three channels, and
people exchange a and b. What can be undone is undone, what cannot be read is refused, and what is in doubt is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.errors import UnreadableError
from synth.images import depth_code
from synth.images.colour_maps import COLOURED, Undone, look, may_be_painted, spread, undo
from synth.images.pixels import Bytes, Floats, luma
from synth.scene.capture import Capture, ImageName
from synth.scene.scene import DepthKind

SPECKS = 0.001  # of the pixels may have a colour in a grey picture
MARKS = 0.1  # and in one with coloured text, bars and marks on it
IDLE, SAYS = 12, 40  # levels that nearly all of an idle channel is below, and that nearly all of another spans
CHANNELS = ("red", "green", "blue")
RED_IS_NEAR = ("Spectral", "RdYlBu", "RdYlGn", "RdBu")
"""Maps from red to blue, which depth networks paint near to far with, whether distances or their inverse."""
ENDS = "whose two ends are one colour"


@dataclass(frozen=True)
class Roles:
    """The images of a pair as what they are said to be, and what was done to their files or is in doubt of them."""

    pictures: Mapping[ImageName, Bytes]
    doubts: tuple[str, ...]


def as_roles(pictures: Mapping[ImageName, Bytes], files: Mapping[ImageName, str], capture: Capture) -> Roles:
    """Infrared in colours as one value a pixel; all other images as they are.

    files: the names of their files, for messages. Raises UnreadableError.
    """
    done, doubts = dict(pictures), []
    infrared = [name for name in pictures if capture.is_infrared(name)]
    others = [name for name in pictures if infrared and name not in infrared]
    for name in others:
        if (doubt := _painted(pictures[name])) is not None:
            doubts.append(f"{files[name]}: {doubt}")
    for name in infrared:
        if _is_grey(pictures[name]):
            continue
        beside_grey = all(_is_grey(pictures[other]) for other in others)
        try:
            done[name], doubt = _one_channel(pictures[name], beside_grey)
        except UnreadableError as error:
            raise UnreadableError(f"{files[name]}: {error}") from None
        doubts.append(f"{files[name]}: {doubt}")
    return Roles(done, tuple(doubts))


def _is_grey(picture: Bytes) -> bool:
    return picture.ndim == 2 or float((spread(picture) > COLOURED).mean()) <= SPECKS


def _painted(picture: Bytes) -> str | None:
    """What is wrong with an image that is no infrared, if it is in false colours."""
    if picture.ndim == 2 or not may_be_painted(picture) or (name := look(picture).map) is None:
        return None
    return f"in false colours (map {name}), as infrared may be: are the images exchanged?"


def _one_channel(picture: Bytes, beside_grey: bool) -> tuple[Bytes, str]:
    """Infrared in colours as one channel, and what was done to it. beside_grey: the other image of the pair is grey."""
    seen = look(picture)
    if seen.cyclic:
        raise UnreadableError(
            f"infrared in false colours (map {seen.map}), {ENDS}: hot and cold cannot be told apart; give the grey file"
        )
    if (channel := _only_channel(picture)) is not None:
        return np.ascontiguousarray(picture[:, :, channel]), f"infrared in its {CHANNELS[channel]} channel alone"
    if seen.map is not None and (undone := undo(picture, seen.map)) is not None:
        return undone.values, f"infrared in false colours (map {seen.map}), which were undone{_filled(undone)}"
    share, taken = _percent(seen.coloured), "its brightness was taken"
    if seen.one_colour:
        told = f"tinted infrared: {taken}"
    elif beside_grey:
        marks = "coloured marks, or are they exchanged" if seen.coloured <= MARKS else "are they exchanged"
        told = f"infrared with colours ({share} of it) beside a grey image: {marks}? {taken}"
    elif seen.coloured <= MARKS:
        told = f"infrared with coloured marks ({share} of it): {taken}"
    else:
        told = f"infrared in colours of no known map, as a photograph has: {taken}; give a grey file"
    return luma(picture), told


def _only_channel(picture: Bytes) -> int | None:
    """The channel that alone says anything, the others being black."""
    low, high = np.percentile(picture.reshape(-1, 3), (1, 99), axis=0)
    says = int(np.argmax(high - low))
    return says if np.delete(high, says).max() <= IDLE and high[says] - low[says] >= SAYS else None


def _filled(undone: Undone) -> str:
    return (
        f"; {_percent(undone.other.mean())} of it, of other colours, filled from around" if undone.other.any() else ""
    )


def _percent(share: Any) -> str:
    return f"{100 * float(share):.2g}%"


def depth_values(values: Any, kind: DepthKind, name: str) -> tuple[Floats, str | None]:
    """A depth map as one value a pixel, (H, W) float32, and what was done to it.

    values: as its file has them, (H, W) or (H, W, 3) of any type. kind: what they are. name: of the file, for messages.
    Raises UnreadableError.
    """
    if values.ndim == 2:
        return values.astype(np.float32), None
    first = values[:, :, 0]
    if all(np.array_equal(first, values[:, :, channel], equal_nan=values.dtype.kind == "f") for channel in (1, 2)):
        return first.astype(np.float32), None
    if values.dtype.kind not in "u":
        raise UnreadableError(f"{name}: three channels that differ, of {values.dtype}; a depth map has one")
    image = values if values.dtype == np.uint8 else np.rint(values / 257).astype(np.uint8)
    if values.dtype == np.uint8 and (share := depth_code.decode(image)) is not None:
        return share, f"{name}: a number of 24 bits in three channels, which was put together"
    seen = look(image)
    if seen.coloured <= SPECKS:
        return luma(values.astype(np.float32)), None
    undone = None if seen.map is None or seen.cyclic else undo(image, seen.map)
    if seen.map is None or undone is None:
        what = f"false colours (map {seen.map}), {ENDS}" if seen.cyclic else "colours of no known map"
        raise UnreadableError(
            f"{name}: a depth map in {what}; give the values themselves: one channel, of 16 bits or floats at best"
        )
    index = 255 - undone.values if kind == "inverse" and seen.map in RED_IS_NEAR else undone.values
    distances = np.where(undone.blank, np.float32(0), index.astype(np.float32) + 1)  # 0 says that none was measured
    told = f"{name}: depth in false colours (map {seen.map}), which were undone{_filled(undone)}"
    return (
        distances,
        f"{told}; none at the {_percent(undone.blank.mean())} that is blank" if undone.blank.any() else told,
    )
