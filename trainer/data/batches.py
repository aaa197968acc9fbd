"""From samples to batches of latents and prompt embeddings, encoded on the way and kept in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainer.data.images import Image, to_bytes, to_tensor
from trainer.data.labels import labels_of
from trainer.data.latents import Encoded
from trainer.data.shards import Sample, Shards
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import fuse_base
from trainer.frozen.text import Prompts
from trainer.model.inputs import Inputs, Whole, in_range

DIFFERENT = 0.02
"""Distance of latents, as a share of their length, beyond which they are not of the same pictures."""


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
    couples: bool = False
    """Whether its samples 2k and 2k + 1 show one pair, and one window of it, under two instructions."""

    @property
    def draws(self) -> Sequence[int]:
        """The position by which each sample draws: the two of a couple draw alike."""
        first = self.positions.start
        return [p - (p - first) % 2 for p in self.positions] if self.couples else self.positions


class Step(NamedTuple):
    """What is planned of a step of one rank."""

    parts: list[range]
    """Positions, in pieces whose gradients are added up."""
    couples: bool = False
    """Whether its batches are (Batch.couples)."""
    window: int | None = None
    """Side in pixels of the windows of a pool; None: all of a sample."""


class Needs(NamedTuple):
    """What a batch carries besides latents."""

    pixels: bool = False
    """The pixels of a, b and base, for the network (Inputs.pixels)."""
    crops: bool = False
    """The pictures as the shards hold them, for the objective."""
    effects: tuple[str, ...] = ()
    """Those that an effect head is to find (Batch.labels)."""

    @property
    def planes(self) -> int:
        """How many of Encoded.pixels that takes."""
        return 4 if self.crops else 3 if self.pixels else 0


class Pair(NamedTuple):
    """Two inputs and their closed-form fusion, encoded."""

    latents: Tensor
    """(3, C, h, w), raw: a, b, base."""
    pixels: Tensor
    """(3, 3, f h, f w) uint8: the same, filled up to whole positions."""


def encode_pair(autoencoder: Autoencoder, a: Image, b: Image) -> Pair:
    """Two images (H, W, 3) of one size, encoded with their closed-form fusion, one after the other."""
    inputs = [to_tensor([image], autoencoder.device) for image in (a, b)]
    latents, pixels = [], []
    for picture in (*inputs, fuse_base(*inputs)):
        filled = autoencoder.filled(picture)
        latents.append(autoencoder.encode(filled))
        pixels.append(to_bytes(filled))
    return Pair(torch.cat(latents), torch.cat(pixels))


def encode_sample(autoencoder: Autoencoder, sample: Sample, needs: Needs) -> Encoded:
    """A whole sample, its pictures encoded one after the other, on the CPU."""
    pair = encode_pair(autoencoder, sample.a, sample.b)
    target = autoencoder.filled(to_tensor([sample.target], autoencoder.device))
    latents = torch.cat([pair.latents, autoencoder.encode(target)]).cpu()
    planes = [pair.pixels, *([to_bytes(target)] if needs.crops else [])]
    pixels = torch.cat(planes).cpu() if needs.planes else None
    height, width = sample.target.shape[:2]
    return Encoded(sample.key, sample.instruction, sample.record, latents, (height, width), pixels)


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
        self,
        shards: Shards[Sample | Encoded],
        autoencoder: Autoencoder,
        text: Callable[[list[str]], Prompts],
        cache_mb: int,
        needs: Needs,
    ) -> None:
        self.shards, self.autoencoder, self.text, self.needs = shards, autoencoder, text, needs
        self.encoded = 0
        """Samples that were encoded on the way."""
        self.seconds = 0.0
        """That this took."""
        self._room = cache_mb << 20
        self._cache: dict[int, Encoded] = {}

    def run(self, steps: Iterable[Step]) -> Generator[list[Batch], None, None]:
        """Batches for the positions of each step's parts, made one step ahead in a thread of their own."""
        with ThreadPoolExecutor(1, "encoder") as pool:
            ahead = None
            for step in steps:
                made, ahead = ahead, pool.submit(self._step, step)
                if made:
                    yield made.result()
            if ahead:
                yield ahead.result()

    def _step(self, step: Step) -> list[Batch]:
        return [self.batch(positions, step.couples) for positions in step.parts]

    def batch(self, positions: range, couples: bool = False) -> Batch:
        """The samples at these positions; couples: every other one of them, with one of its mates. Raises UserError."""
        if couples:
            firsts = positions[::2]
            numbers = [n for position in firsts for n in self.shards.couple(self.shards.at(position), position // 2)]
        else:
            numbers = [self.shards.at(position) for position in positions]
        known = {number: self._cache[number] for number in numbers if number in self._cache}
        missing = sorted(set(numbers) - set(known))
        for number, sample in zip(missing, self.shards.load(missing), strict=True):
            if isinstance(sample, Encoded):
                known[number] = sample
            else:
                begun = time.perf_counter()
                known[number] = encode_sample(self.autoencoder, sample, self.needs)
                self.encoded, self.seconds = self.encoded + 1, self.seconds + time.perf_counter() - begun
                self._keep(number, known[number])
        samples = [known[number] for number in numbers]
        return self._together(coupled(samples) if couples else samples, positions)._replace(couples=couples)

    def _together(self, samples: list[Encoded], positions: range) -> Batch:
        needs, device = self.needs, self.autoencoder.device
        planes = min(0 if sample.pixels is None else len(sample.pixels) for sample in samples)
        if planes < needs.planes:
            raise UserError(
                "--shards: latents without the pixels that this config looks at; encode the shards by this config"
            )
        if len({(sample.latents.shape, needs.crops and sample.size) for sample in samples}) > 1:
            raise UserError("--shards: samples of different sizes meet in a batch; train on shards of one size of crop")
        latents = torch.stack([sample.latents for sample in samples]).to(device).float()  # (B, 4, C, h, w)
        kept = [sample.pixels[: needs.planes] for sample in samples if sample.pixels is not None and needs.planes]
        pixels = torch.stack(kept).to(device) if kept else None
        prompts = self.text([sample.instruction for sample in samples])
        seen = pixels[:, :3] if pixels is not None and needs.pixels else None
        inputs = network_inputs(self.autoencoder, latents[:, :3], seen, prompts)
        if inputs.whole is not None and any(sample.whole for sample in samples):
            rows = zip(samples, *inputs.whole, strict=True)
            each = [Whole(*own) if sample.whole is None else _first(sample.whole, device) for sample, *own in rows]
            inputs = inputs._replace(whole=Whole(*(torch.stack(parts) for parts in zip(*each, strict=True))))
        target, keys = self.autoencoder.normalise(latents[:, 3]), tuple(sample.key for sample in samples)
        crops = labels = None
        if pixels is not None and needs.crops:
            height, width = samples[0].size
            crops = Crops(*(in_range(pixels[:, plane, :, :height, :width]) for plane in (0, 1, 3)))
        if needs.effects:
            labels = torch.stack([labels_of(sample.record, needs.effects) for sample in samples]).to(device)
        return Batch(inputs, target, keys, positions, crops, labels)

    def _keep(self, number: int, sample: Encoded) -> None:
        # what came first stays: under a permuted order this hits as often as any rule, and costs nothing
        if sample.bytes <= self._room:
            self._room -= sample.bytes
            self._cache[number] = sample


def coupled(samples: Sequence[Encoded]) -> list[Encoded]:
    """Couples, as they are; one whose mate was broken, and so is another sample, with itself. Raises UserError where
    two do not show the same.
    """
    couples = []
    for first, second in zip(samples[::2], samples[1::2], strict=True):
        same = group_of(first.record, first.key) == group_of(second.record, second.key)
        if same and not _alike(first.latents, second.latents):
            raise UserError(
                f"--shards: {first.key} and {second.key} are of one pair, and show other windows of it; encode the "
                "shards anew, by this version of the trainer, or leave out training.couples"
            )
        couples += [first, second if same else first]
    return couples


def group_of(record: Mapping[str, Any], key: str) -> str:
    """Of a sample with this record; its own key where there are no groups."""
    return str(record.get("group", key))


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether latents (4, C, h, w) are of equal inputs, to within rounding."""
    if one.shape != other.shape:
        return False
    seen, there = one[:3].float(), other[:3].float()
    return float((seen - there).norm()) <= DIFFERENT * float(there.norm())


def _first(whole: Whole, device: torch.device) -> Whole:
    return Whole(*(part[0].to(device) for part in whole))
