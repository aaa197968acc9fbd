"""From samples to batches of latents and prompt embeddings, encoded on the way and kept in memory."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.data.images import Image, to_tensor
from trainer.data.shards import Shards
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import fuse_base
from trainer.frozen.text import Prompts, TextEncoder


class Inputs(NamedTuple):
    """What the network is given: normalised latents (B, C, h, w) and the encoded instructions."""

    z_a: Tensor
    z_b: Tensor
    base: Tensor
    prompts: Prompts


class Batch(NamedTuple):
    inputs: Inputs
    target: Tensor
    """(B, C, h, w), normalised."""


def encode_pair(autoencoder: Autoencoder, a: Image, b: Image) -> Tensor:
    """Two images (H, W, 3) of one size → raw latents of a, b and their closed-form fusion, (3, C, h, w)."""
    inputs = to_tensor([a, b], autoencoder.device)
    return autoencoder.encode(torch.cat([inputs, fuse_base(inputs[:1], inputs[1:])]))


def network_inputs(autoencoder: Autoencoder, latents: Tensor, prompts: Prompts) -> Inputs:
    """Raw latents (B, 3, C, h, w) as `encode_pair` gives them, and their prompts → what the network is given."""
    z_a, z_b, base = autoencoder.normalise(latents).unbind(1)
    return Inputs(z_a, z_b, base, prompts)


class Batches:
    """Batches by position in the run; each sample's raw latents are kept until `cache_mb` are full.

    Samples are encoded one by one: a latent does not depend on its neighbours in a batch, nor on what the cache
    holds, so a resumed run sees the same bits.
    """

    def __init__(self, shards: Shards, autoencoder: Autoencoder, text: TextEncoder, cache_mb: int) -> None:
        self.shards, self.autoencoder, self.text = shards, autoencoder, text
        self._room = cache_mb << 20
        self._cache: dict[int, tuple[Tensor, str]] = {}

    def run(self, start: int, stop: int, size: int) -> Generator[Batch, None, None]:
        """Batches for positions start … stop - 1, made one ahead in a thread of their own; the last may be smaller."""
        with ThreadPoolExecutor(1, "encoder") as pool:
            ahead = pool.submit(self.batch, start, min(size, stop - start))
            for position in range(start, stop, size):
                batch, following = ahead.result(), position + size
                if following < stop:
                    ahead = pool.submit(self.batch, following, min(size, stop - following))
                yield batch

    def batch(self, position: int, count: int) -> Batch:
        """The samples at `count` positions. Raises UserError."""
        numbers = [self.shards.at(position + i) for i in range(count)]
        known = {number: self._cache[number] for number in numbers if number in self._cache}
        missing = sorted(set(numbers) - set(known))
        for number, sample in zip(missing, self.shards.load(missing), strict=True):
            pair = encode_pair(self.autoencoder, sample.a, sample.b)
            target = self.autoencoder.encode(to_tensor([sample.target], self.autoencoder.device))
            known[number] = torch.cat([pair, target]).cpu(), sample.instruction
            self._keep(number, known[number])
        if len({known[number][0].shape for number in numbers}) > 1:
            raise UserError("--shards: samples of different sizes meet in a batch; train on shards of one size of crop")
        latents = torch.stack([known[number][0] for number in numbers]).to(self.autoencoder.device)  # (B, 4, C, h, w)
        prompts = self.text([known[number][1] for number in numbers])
        inputs = network_inputs(self.autoencoder, latents[:, :3], prompts)
        return Batch(inputs, self.autoencoder.normalise(latents[:, 3]))

    def _keep(self, number: int, entry: tuple[Tensor, str]) -> None:
        # what came first stays: under a permuted order this hits as often as any rule, and costs nothing
        size = entry[0].nbytes
        if size <= self._room:
            self._room -= size
            self._cache[number] = entry
