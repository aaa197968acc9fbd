"""A sample as its visits: windows of it, turned and mirrored, each encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from trainer.data.batches import Needs, group_of
from trainer.data.images import to_bytes, to_tensor
from trainer.data.samples import Sample
from trainer.data.windows import Windows
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import fuse_base
from trainer.model.inputs import Whole, in_range
from trainer.schema import Section

WHOLE = [0.0, 0.0, 1.0, 1.0]
"""Top, left, bottom and right of a visit that sees all of its sample."""


class Visits(Section):
    """What is kept of each sample."""

    count: int = Field(default=1, ge=1, le=99)
    """Entries, each with a window and a symmetry of its own."""
    window: int | None = Field(default=None, ge=16)
    """Side in pixels; none: the whole sample."""
    symmetries: bool = False
    """Whether they are turned and mirrored."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of what is drawn, together with a sample's group."""

    def of(self, group: str, size: tuple[int, int]) -> Windows:
        """The windows of the samples of a group, of this height and width. Symmetries come again once all have come."""
        number = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "little")
        generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, number], dtype=np.uint64)))
        window = size if self.window is None else (self.window, self.window)
        return Windows.draw(generator, self.count, size, window, self.symmetries, again=False)


class Visit(NamedTuple):
    """What is written of one."""

    record: Mapping[str, Any]
    size: tuple[int, int]
    """Height and width in pixels."""
    arrays: dict[str, np.ndarray]
    """By member: latents, and pixels and glance where they are kept."""


class Seen(NamedTuple):
    """The V visits of a sample before they are encoded."""

    sample: Sample
    pictures: Tensor
    """(V, 4, 3, h, w) in [-1, 1]: a, b, base, target."""
    windows: Windows
    whole: Whole | None
    """The glance of the sample, where a visit sees but a part of it and the network is to look."""

    @classmethod
    @torch.no_grad()
    def of(cls, sample: Sample, visits: Visits, needs: Needs, device: torch.device) -> Seen:
        a, b, target = (to_tensor([image], device) for image in (sample.a, sample.b, sample.target))
        four = torch.cat([a, b, fuse_base(a, b), target])  # the base is that of the whole sample
        windows = visits.of(group_of(sample.record, sample.key), (four.shape[2], four.shape[3])).to(device)
        channels_last = four.flatten(0, 1).movedim(0, 2).expand(visits.count, -1, -1, -1)
        pictures = windows.cut(channels_last).movedim(3, 1).unflatten(1, (4, 3))
        whole = None
        if needs.pixels and not windows.is_whole:
            whole = windows.glance(Whole.of(in_range(to_bytes(four[None, :3])).expand(visits.count, -1, -1, -1, -1)))
        return cls(sample, pictures, windows, whole)

    def visit(self, number: int, key: str, latents: Tensor, filled: Tensor, planes: int) -> Visit:
        """Number `number`, of its latents (4, C, h, w) and its pictures, filled up to whole positions."""
        height, width = self.pictures.shape[-2:]
        told = {
            "of": self.sample.key,
            "size": [height, width],
            "turn": int(self.windows.turns[number]),
            "window": WHOLE,
        }
        arrays = {"latents": latents.half().cpu().numpy()}
        if planes:
            arrays["pixels"] = to_bytes(filled[:planes]).cpu().numpy()
        if self.whole is not None:
            arrays["glance"] = self.whole.thumbnails[number].half().cpu().numpy()
            told["window"] = [round(edge, 6) for edge in self.whole.window[number].tolist()]
        return Visit({**self.sample.record, "key": key, "encoded": told}, (height, width), arrays)


@torch.no_grad()
def encode_visits(
    autoencoder: Autoencoder, samples: Sequence[Sample], visits: Visits, needs: Needs, together: bool
) -> Iterator[Visit]:
    """The visits of each sample in turn. together: pictures of one size are encoded at once, to within rounding."""
    seen = [Seen.of(sample, visits, needs, autoencoder.device) for sample in samples]
    filled = [autoencoder.filled(each.pictures.flatten(0, 1)) for each in seen]  # (4 V, 3, f h, f w)
    if together and len({pictures.shape for pictures in filled}) == 1:
        latents = autoencoder.encode(torch.cat(filled)).split(len(filled[0]))
    else:
        latents = [torch.cat([autoencoder.encode(one[None]) for one in pictures]) for pictures in filled]
    for each, pictures, z in zip(seen, filled, latents, strict=True):
        for number in range(visits.count):
            four = slice(4 * number, 4 * number + 4)
            key = each.sample.key + (f"-{number:02d}" if visits.count > 1 else "")
            yield each.visit(number, key, z[four], pictures[four], needs.planes)
