"""Image files and arrays: bytes in, (H, W, 3) uint8 RGB out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from trainer.data.decoding import read_values
from trainer.data.levels import STRETCHED, Levels, Values, bits_of, bits_together, to_levels
from trainer.errors import UserError
from trainer.files import one_line, write_whole

Image = np.ndarray
"""(H, W, 3) uint8, sRGB."""
Infrared = Literal["auto", "a", "b", "none"]
"""Which picture of a pair is infrared; `auto`: what the files show (shards/FILES.md)."""
MOST_BYTES, USUAL_BYTES = 1 << 30, 4 << 20  # of a file
WRITTEN = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
"""Suffixes of pictures that are written: OpenCV knows more, of palettes (.gif), of radiance (.hdr), of one channel."""
PEDESTAL, FULL = 0.5, 0.95  # of the brighter percentile, and of the most that its bits hold


def decode_member(data: bytes | memoryview, name: str) -> Image:
    """A PNG or JPEG member of a shard; grey becomes three equal channels. JPEG by simplejpeg, the codec that wrote it.

    Raises ValueError where the bytes are no image.
    """
    if name.endswith((".jpg", ".jpeg")):
        import simplejpeg

        try:
            return simplejpeg.decode_jpeg(data, colorspace="RGB")
        except MemoryError:
            raise ValueError("its header asks for more memory than there is") from None
    return _decode(data)


def read_image(path: str | Path, infrared: bool = False) -> Image:
    """The picture in a file, by shards/FILES.md, as if it stood alone; infrared: it is. Raises UserError."""
    return read_together({"a": path}, ("a",) if infrared else ())["a"]


def read_together(paths: Mapping[str, str | Path], infrared: Collection[str] = ()) -> dict[str, Image]:
    """The pictures of one pair, by name; infrared: the names of those that are. Raises UserError."""
    values = {name: _values_of(path) for name, path in paths.items()}
    levels = _together(values, {name: str(path) for name, path in paths.items()}, infrared)
    return {name: _in_colour(found.image) for name, found in levels.items()}


def read_pair(
    a: np.ndarray | str | Path, b: np.ndarray | str | Path, infrared: Infrared = "auto"
) -> tuple[Image, Image, list[str]]:
    """Two pictures to fuse, from files or arrays as `as_rgb` takes them, and a line for each of which there is
    something to tell: which was taken for infrared, and what was done to a file or ignored of it. Raises UserError.
    """
    if infrared not in ("auto", "a", "b", "none"):
        raise UserError(f"infrared {infrared!r}: say which picture is, a, b or none, or auto")
    given = {"a": a, "b": b}
    values = {
        name: Values(as_rgb(image, name)) if isinstance(image, np.ndarray) else _values_of(image)
        for name, image in given.items()
    }
    paths = {name: name if isinstance(image, np.ndarray) else str(image) for name, image in given.items()}
    if infrared == "auto":
        found = [name for name, other in (("a", "b"), ("b", "a")) if _is_infrared(name, values[name], values[other])]
    else:
        found = [infrared] if infrared != "none" else []
    levels = _together(values, paths, found)
    lines = []
    for name, level in levels.items():
        told = list(level.notes)
        if level.stretch is not None:
            told.append("infrared: {:.6g} to {:.6g} became black to white".format(*level.stretch))
            told[-1] += "" if infrared != "auto" else "; --infrared none where it is not"
        elif infrared == "auto" and not found and values[name].deep and is_grey(values[name].array):
            told.append(f"not taken for infrared; --infrared {name} where it is")
        if told:
            lines.append(f"{paths[name]}: {'; '.join(told)}")
    return _in_colour(levels["a"].image), _in_colour(levels["b"].image), lines


def is_grey(array: np.ndarray) -> bool:
    """Whether values (H, W) or (H, W, 3) have no colour."""
    if array.ndim == 2:
        return True
    return bool((array[:, :, 0] == array[:, :, 1]).all() and (array[:, :, 1] == array[:, :, 2]).all())


def _is_infrared(name: str, values: Values, other: Values) -> bool:
    """Whether a picture that is grey and has more than 8 bits is a thermal camera's, by itself and its partner."""
    if not values.deep or not is_grey(values.array):
        return False
    whole = values.array.dtype == np.uint16
    if not whole and (values.array.dtype.kind != "f" or not _in_unit(values.array)):
        return True  # numbers that no visible picture has
    if not is_grey(other.array):
        return True
    if not other.deep:
        return name == "b"
    return _stands_high(values) and not _stands_high(other)


def _in_unit(array: np.ndarray) -> bool:
    return bool(array.min(initial=0) >= 0 and array.max(initial=0) <= 1)


def _stands_high(values: Values) -> bool:
    """Whether its dark pixels too are far from nothing, and the bright ones not at the end: of counts, not of light."""
    low, high = np.percentile(values.array, STRETCHED)
    top = (1 << bits_of(values)) - 1 if values.array.dtype == np.uint16 else 1
    return bool(PEDESTAL * high < low and high < FULL * top)


def _values_of(path: str | Path) -> Values:
    try:
        with Path(path).open("rb") as file:
            data = file.read(USUAL_BYTES)
            if len(data) == USUAL_BYTES:
                data += file.read(MOST_BYTES + 1 - USUAL_BYTES)  # Python sets this much memory aside, whatever is there
        if len(data) > MOST_BYTES:
            raise ValueError(f"a file of over {MOST_BYTES >> 30} GB")
        return read_values(data)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise UserError(f"{path}: not an image that can be used ({error})") from None


def _together(values: Mapping[str, Values], paths: Mapping[str, str], infrared: Collection[str]) -> dict[str, Levels]:
    bits = bits_together(found for name, found in values.items() if name not in infrared)
    levels = {}
    for name, found in values.items():
        try:
            levels[name] = to_levels(found, name in infrared, bits)
        except ValueError as error:
            raise UserError(f"{paths[name]}: not an image that can be used ({error})") from None
    return levels


def _in_colour(image: np.ndarray) -> Image:
    return image if image.ndim == 3 else np.ascontiguousarray(np.broadcast_to(image[:, :, None], (*image.shape, 3)))


def write_image(path: Path, image: Image) -> None:
    """Writes (H, W, 3) RGB, whole or not at all; the folder is made where it is missing. Raises UserError, OSError of a
    full disk.
    """
    import cv2

    check_writable(path)
    ok, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not ok:
        raise UserError(f"{path}: {image.shape[1]}x{image.shape[0]} px cannot be written as {path.suffix}; take .png")
    write_whole(path, data.tobytes())


def check_writable(path: Path) -> None:
    """Raises UserError where `write_image` would refuse the name, so that it shows before any work."""
    check_suffix(path)
    try:
        taken = path.is_dir()
        above = next((parent for parent in path.parents if parent.exists()), None)
    except (OSError, ValueError) as error:
        raise UserError(f"--out {path}: no file can have this name ({one_line(error)})") from None
    if taken:
        raise UserError(f"--out {path}: is a folder; name a file in it")
    if above is not None and not above.is_dir():
        raise UserError(f"--out {path}: {above} is a file, not a folder; name another place")


def check_suffix(path: Path) -> None:
    """Raises UserError where the name does not end as that of a picture that is written."""
    if path.suffix.lower() not in WRITTEN:
        raise UserError(
            f"{path}: no picture format that is written; end the name with {', '.join(WRITTEN[:-1])} or {WRITTEN[-1]}"
        )


def as_rgb(image: np.ndarray, name: str) -> Image:
    """(H, W), (H, W, 1) or (H, W, 3) uint8 as (H, W, 3). Raises UserError that calls the image `name`."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise UserError(
            f"image {name}: shape {image.shape} of {image.dtype}; give uint8 of shape (H, W), (H, W, 1) or (H, W, 3)"
        )
    if not image.size:
        raise UserError(f"image {name}: shape {image.shape}, without a pixel; give an image that has some")
    if image.ndim == 2:
        image = image[:, :, None]
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def to_tensor(images: list[Image], device: torch.device) -> torch.Tensor:
    """B images of one size as (B, 3, H, W) float32 in [-1, 1]."""
    return from_bytes(torch.from_numpy(np.stack(images)).to(device))


def from_bytes(images: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 3) uint8 as (B, 3, H, W) float32 in [-1, 1]."""
    first = images.permute(0, 3, 1, 2)
    return first.to(torch.float32, memory_format=torch.contiguous_format).div_(127.5).sub_(1)


def to_bytes(x: torch.Tensor) -> torch.Tensor:
    """Any shape in [-1, 1] as uint8, rounded and clipped."""
    return (x.float() + 1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_images(x: torch.Tensor) -> list[Image]:
    """(B, 3, H, W) in [-1, 1] as B images, rounded and clipped: the inverse of `to_tensor`."""
    return list(to_bytes(x).permute(0, 2, 3, 1).cpu().numpy())


def _decode(data: bytes | memoryview) -> Image:
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    except (cv2.error, MemoryError) as error:  # a header may ask for any size
        raise ValueError(f"not an image that can be held ({one_line(getattr(error, 'err', error))})") from None
    if image is None:
        raise ValueError("not an image")
    return image
