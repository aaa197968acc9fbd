"""Samples that are encoded already: shards of kind `latents`, which `trainer encode` writes."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainer.data.cache import ShardCache
from trainer.data.choice import ALL, Only
from trainer.data.format import LATENTS, sidecar_of
from trainer.data.index import Index, schema_of
from trainer.data.samples import WAY_OUT, Stored, record_of
from trainer.errors import UserError
from trainer.files import one_line
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import NAME as BASE
from trainer.model.inputs import THUMBNAIL, Whole

ALWAYS, SOMETIMES = ("json", "latents"), ("glance", "pixels")
"""Members of a sample; the second as its dataset was made."""
AUTOENCODER, FUSION = "mmaif.autoencoder", "mmaif.base"
"""What a sidecar's metadata tell of the frozen parts: the autoencoder's hash, the name of the fixed fusion."""


class Encoded(NamedTuple):
    """A sample, encoded."""

    key: str
    instruction: str
    record: Mapping[str, Any]
    latents: Tensor
    """(4, C, h, w), raw, fp32 or fp16: a, b, base, target."""
    size: tuple[int, int]
    """Height and width of the pictures, in pixels."""
    pixels: Tensor | None = None
    """(3 or 4, 3, f h, f w) uint8: a, b, base and, where it was asked for, target, filled up to whole positions."""
    whole: Whole | None = None
    """The glance, (1, …), of a picture of which this is a window."""

    @property
    def bytes(self) -> int:
        return self.latents.nbytes + (0 if self.pixels is None else self.pixels.nbytes)


class Latents(Stored[Encoded]):
    """Encoded samples. only: which are taken. cache: for shards of elsewhere. Raises UserError."""

    def __init__(self, tars: list[str], only: Only = ALL, cache: ShardCache | None = None) -> None:
        columns, _ = schema_of(tars[0])
        there = [name for name in SOMETIMES if f"{name}_name" in columns]
        super().__init__(Index(tars, (*ALWAYS, *there), only, LATENTS), cache)

    def decode(self, key: str, found: Mapping[str, memoryview], tar: str) -> Encoded:
        where = f"{tar}: {key}"
        record, instruction = record_of(found["json"], f"{where}.json")
        latents = _array(found["latents.npy"], f"{where}.latents.npy", np.float16, (4, None, None, None))
        height, width = latents.shape[2:]
        pixels = whole = None
        if "pixels.npy" in found:
            pixels = _array(found["pixels.npy"], f"{where}.pixels.npy", np.uint8, (None, 3, None, None))
            if len(pixels) not in (3, 4) or pixels.shape[2] % height or pixels.shape[3] % width:
                raise UserError(f"{where}: pixels {pixels.shape} beside latents {latents.shape}; {WAY_OUT}")
        encoded = record.get("encoded")
        try:
            size = tuple(int(side) for side in encoded["size"])  # type: ignore[index]
            if "glance.npy" in found:
                window = torch.tensor([float(edge) for edge in encoded["window"]])[None]  # type: ignore[index]
                side = (9, THUMBNAIL, THUMBNAIL)
                glance = _array(found["glance.npy"], f"{where}.glance.npy", np.float16, side)
                whole = Whole(glance[None].float(), window)
        except (TypeError, ValueError, KeyError) as error:
            raise UserError(f"{where}.json: encoded: {one_line(error)}; {WAY_OUT}") from None
        if len(size) != 2 or min(size) < 1:
            raise UserError(f"{where}.json: encoded.size: {one_line(size)} is no height and width; {WAY_OUT}")
        return Encoded(key, instruction, record, latents, (size[0], size[1]), pixels, whole)

    def check(self, autoencoder: Autoencoder) -> None:
        """Raises UserError where they were made with another autoencoder, or another fixed fusion."""
        where = sidecar_of(self.index.tars[0])
        made = self.index.told(AUTOENCODER)
        if made != autoencoder.hash:
            raise UserError(
                f"{where}: latents of the autoencoder {str(made)[:12]}…, and the run has {autoencoder.hash[:12]}…; "
                "give --autoencoder FOLDER/autoencoder, of the folder that `trainer encode` wrote, or encode anew"
            )
        if self.index.told(FUSION) != BASE:
            raise UserError(
                f"{where}: its base is {self.index.told(FUSION)}, and this trainer's is {BASE}; encode the shards anew"
            )


def _array(data: memoryview, where: str, kind: type, shape: tuple[int | None, ...]) -> Tensor:
    """The array of a .npy file, which shares the bytes where they can be written to. None: any length.

    Raises UserError where it is of another kind or shape.
    """
    try:
        start = 10 + int.from_bytes(data[8:10], "little")
        dtype, found = _header(bytes(data[:start]))
        if dtype != np.dtype(kind) or len(found) != len(shape):
            raise ValueError(f"{dtype} of {found}")
        if any(length not in (None, there) for length, there in zip(shape, found, strict=True)):
            raise ValueError(f"shape {found}")
        array = np.frombuffer(data[start:], dtype).reshape(found)
    except (ValueError, TypeError, KeyError, SyntaxError) as error:
        raise UserError(f"{where}: not the array that it should be ({one_line(error)}); {WAY_OUT}") from None
    return torch.from_numpy(array if array.flags.writeable else array.copy())


@lru_cache
def _header(head: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    """Of a .npy file, version 1.0, in C order: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.

    numpy reads one from a file alone, at fifty times the cost.
    """
    if head[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("no .npy of version 1.0")
    told = ast.literal_eval(head[10:].decode("latin1"))
    if told["fortran_order"]:
        raise ValueError("an array in Fortran order")
    return np.dtype(told["descr"]), tuple(int(side) for side in told["shape"])
