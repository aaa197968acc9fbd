"""From samples to batches of latents and prompt embeddings, encoded on the way and kept in memory."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.data.images import Image, to_bytes, to_tensor
from trainer.data.labels import labels_of
from trainer.data.shards import Sample, Shards
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import fuse_base
from trainer.frozen.text import Prompts, TextEncoder
from trainer.model.inputs import Inputs, Whole, in_range


class Crops(NamedTuple):
    """The pictures of a batch as their samples hold them, each (B, 3, H, W) float32 in [-1, 1]."""

    a: Tensor
    b: Tensor
    target: Tensor


class Batch(NamedTuple):
    """B samples, ready for an objective."""

    inputs: Inputs
    target: Tensor
    """(B, C, h, w), normalised."""
    keys: tuple[str, ...]
    """Of the samples, as their shards name them."""
    positions: range
    """Of the samples in the run, by which what is drawn for them is keyed."""
    crops: Crops | None = None
    """Where the objective asks for them."""
    labels: Tensor | None = None
    """(B, 2, E), for an effect head (data/labels.py)."""
    share: float = 0.0
    """Of the run that lies behind it, for what changes on the way."""


class Needs(NamedTuple):
    """What a batch carries besides latents."""

    pixels: bool = False
    """The pixels of a, b and base, for the network (Inputs.pixels)."""
    crops: bool = False
    """The pictures as the shards hold them, for the objective."""
    effects: tuple[str, ...] = ()
    """Those that an effect head is to find (Batch.labels)."""


class Pair(NamedTuple):
    """Two inputs and their closed-form fusion, encoded."""

    latents: Tensor
    """(3, C, h, w), raw: a, b, base."""
    pixels: Tensor
    """(3, 3, f h, f w) uint8: the same, filled up to whole positions."""


class _Kept(NamedTuple):
    """A sample, encoded."""

    key: str
    instruction: str
    latents: Tensor
    """(4, C, h, w), raw: a, b, base, target."""
    pixels: Tensor | None
    """(3, 3, f h, f w) uint8: a, b, base."""
    pictures: tuple[Image, ...]
    """a, b, target, or none."""
    labels: Tensor
    """(2, E)."""

    @property
    def bytes(self) -> int:
        pixels = 0 if self.pixels is None else self.pixels.nbytes
        return self.latents.nbytes + pixels + sum(picture.nbytes for picture in self.pictures)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self.latents.shape), *(picture.shape for picture in self.pictures)


def encode_pair(autoencoder: Autoencoder, a: Image, b: Image) -> Pair:
    """Two images (H, W, 3) of one size, encoded with their closed-form fusion, one after the other."""
    inputs = [to_tensor([image], autoencoder.device) for image in (a, b)]
    latents, pixels = [], []
    for picture in (*inputs, fuse_base(*inputs)):
        filled = autoencoder.filled(picture)
        latents.append(autoencoder.encode(filled))
        pixels.append(to_bytes(filled))
    return Pair(torch.cat(latents), torch.cat(pixels))


def network_inputs(autoencoder: Autoencoder, latents: Tensor, pixels: Tensor | None, prompts: Prompts) -> Inputs:
    """What the network is given of pairs, (B, …) each, as `encode_pair` makes them, and of their prompts.

    pixels: for a network that looks at them.
    """
    z_a, z_b, base = autoencoder.normalise(latents).unbind(1)
    if pixels is None:
        return Inputs(z_a, z_b, base, prompts)
    seen = in_range(pixels)
    return Inputs(z_a, z_b, base, prompts, seen, Whole.of(seen))


class Batches:
    """Batches by position in the run; each sample's raw latents are kept until `cache_mb` are full.

    Samples are encoded one by one: a latent does not depend on its neighbours in a batch, nor on what the cache
    holds, so a resumed run sees the same bits.
    """

    def __init__(
        self, shards: Shards, autoencoder: Autoencoder, text: TextEncoder, cache_mb: int, needs: Needs
    ) -> None:
        self.shards, self.autoencoder, self.text, self.needs = shards, autoencoder, text, needs
        self._room = cache_mb << 20
        self._cache: dict[int, _Kept] = {}

    def run(self, steps: Iterable[list[range]]) -> Generator[list[Batch], None, None]:
        """Batches for the positions of each step's parts, made one step ahead in a thread of their own."""
        with ThreadPoolExecutor(1, "encoder") as pool:
            ahead = None
            for step in steps:
                made, ahead = ahead, pool.submit(self._step, step)
                if made:
                    yield made.result()
            if ahead:
                yield ahead.result()

    def _step(self, step: list[range]) -> list[Batch]:
        return [self.batch(positions) for positions in step]

    def batch(self, positions: range) -> Batch:
        """The samples at these positions. Raises UserError."""
        numbers = [self.shards.at(position) for position in positions]
        known = {number: self._cache[number] for number in numbers if number in self._cache}
        missing = sorted(set(numbers) - set(known))
        for number, sample in zip(missing, self.shards.load(missing), strict=True):
            known[number] = self._encode(sample)
            self._keep(number, known[number])
        samples = [known[number] for number in numbers]
        if len({sample.shapes for sample in samples}) > 1:
            raise UserError("--shards: samples of different sizes meet in a batch; train on shards of one size of crop")
        device = self.autoencoder.device
        latents = torch.stack([sample.latents for sample in samples]).to(device)  # (B, 4, C, h, w)
        kept = [sample.pixels for sample in samples if sample.pixels is not None]
        pixels = torch.stack(kept).to(device) if kept else None
        prompts = self.text([sample.instruction for sample in samples])
        inputs = network_inputs(self.autoencoder, latents[:, :3], pixels, prompts)
        target, keys = self.autoencoder.normalise(latents[:, 3]), tuple(sample.key for sample in samples)
        crops = None
        if self.needs.crops:
            pictures = zip(*(sample.pictures for sample in samples), strict=True)
            crops = Crops(*(to_tensor(list(images), device) for images in pictures))
        labels = torch.stack([sample.labels for sample in samples]).to(device) if self.needs.effects else None
        return Batch(inputs, target, keys, positions, crops, labels)

    def _encode(self, sample: Sample) -> _Kept:
        pair = encode_pair(self.autoencoder, sample.a, sample.b)
        target = self.autoencoder.encode(to_tensor([sample.target], self.autoencoder.device))
        pixels = pair.pixels.cpu() if self.needs.pixels else None
        pictures = (sample.a, sample.b, sample.target) if self.needs.crops else ()
        latents, labels = torch.cat([pair.latents, target]).cpu(), labels_of(sample.record, self.needs.effects)
        return _Kept(sample.key, sample.instruction, latents, pixels, pictures, labels)

    def _keep(self, number: int, sample: _Kept) -> None:
        # what came first stays: under a permuted order this hits as often as any rule, and costs nothing
        if sample.bytes <= self._room:
            self._room -= sample.bytes
            self._cache[number] = sample
