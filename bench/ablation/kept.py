"""Samples with everything that a run needs of them, in one file: a run is then the network alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from bench.foreign import samples_of
from synth.images.pixels import in_colour
from trainer.data.batches import encode_pair, network_inputs
from trainer.data.images import Image, to_tensor
from trainer.data.shards import open_shards
from trainer.evaluation.scoring import HIGHEST
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.text import Prompts, TextEncoder
from trainer.model.inputs import Inputs
from trainer.similarity import psnr

FOREIGN = "foreign"
"""The set of pairs that other code has damaged: the half of bench/foreign.py for choices."""


class Item(NamedTuple):
    """A sample: pictures (H, W, 3) uint8, the sentence, and what it is: task, scene, kind of sentence, effects."""

    a: Image
    b: Image
    target: Image
    prompt: str
    facts: dict[str, Any]


def of_shards(shards: str) -> Iterator[Item]:
    """All samples of a dataset; of shards by URL without their facts."""
    known = _facts(Path(shards)) if Path(shards).is_dir() else {}
    reader = open_shards([shards], seed=0)
    for number in range(len(reader)):  # type: ignore[arg-type]
        sample = reader.load([number])[0]
        yield Item(sample.a, sample.b, sample.target, sample.instruction, known.get(sample.key, {}))
    reader.close()


def of_foreign(root: Path) -> Iterator[Item]:
    """The pairs of other code for choices, in `root`."""
    for record, pictures in samples_of("choices", root):
        facts = {name: record[name] for name in ("task", "scene")}
        facts |= {"kind": "foreign", "effects": sorted({damage["kind"] for damage in record["damages"]})}
        a, b, target = (in_colour(pictures[name]) for name in ("a", "b", "target"))
        yield Item(a, b, target, record["prompt"], facts)


def _facts(folder: Path) -> dict[str, dict[str, Any]]:
    """What each sample is, by its key, from the sidecars in a folder."""
    columns = ["key", "task", "scene", "kind", "effects"]
    rows = [row for side in folder.glob("*.parquet") for row in pq.read_table(side, columns=columns).to_pylist()]
    return {row.pop("key"): row for row in rows}


@torch.no_grad()
def encode(items: Iterator[Item], autoencoder: Autoencoder, text: TextEncoder) -> dict[str, Any]:
    """Latents of a, b, base and target (fp16), pixels (uint8), prompts; what each is, with the PSNR of its base and of
    its target's round trip."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for item in items:
        pair = encode_pair(autoencoder, item.a, item.b)
        target = to_tensor([item.target], autoencoder.device)
        latents = torch.cat([pair.latents, autoencoder.encode(target)]).half()
        prompt = text([item.prompt])
        facts = dict(item.facts)
        if facts:
            size = (target.shape[-2], target.shape[-1])
            for name, number in (("base", 2), ("round trip", 3)):
                facts[name] = capped(
                    autoencoder.decode(latents[number : number + 1].float(), size).clamp(-1, 1), target
                )
        for name, value in zip(
            COLUMNS,
            (latents, pair.pixels, torch.from_numpy(item.target), *_prompt(prompt), facts),
            strict=True,
        ):
            columns[name].append(value)
    return {name: values if name == "facts" else torch.stack(values) for name, values in columns.items()}


COLUMNS = ("latents", "pixels", "targets", "tokens", "mask", "pooled", "facts")


def _prompt(prompt: Prompts) -> tuple[Tensor, Tensor, Tensor]:
    return prompt.tokens[0].half(), prompt.mask[0], prompt.pooled[0]


def inputs_of(data: dict[str, Any], numbers: list[int], autoencoder: Autoencoder, prompts_of: list[int]) -> Inputs:
    """Samples as the network is given them, the prompts of `prompts_of`."""
    prompts = Prompts(data["tokens"][prompts_of].float(), data["mask"][prompts_of], data["pooled"][prompts_of])
    return network_inputs(autoencoder, data["latents"][numbers][:, :3].float(), data["pixels"][numbers], prompts)


def sets(out: Path) -> list[Path]:
    """The files to measure on."""
    return sorted(path for path in out.glob("*.pt") if path.stem != "train")


def capped(picture: Tensor, target: Tensor) -> float:
    """PSNR in dB, at most HIGHEST."""
    return min(HIGHEST, float(psnr(picture, target)))


def shuffled(count: int) -> list[int]:
    """Whose prompt each of them is given instead of its own; the same for all runs."""
    return np.random.default_rng(0).permutation(count).tolist()
