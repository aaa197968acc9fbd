"""What the trainer costs here: `OMP_WAIT_POLICY=PASSIVE python -m bench.trainer SHARDS` (as the command does).

Prints one line a measurement: starting the command line, reading, encoding, a step of `tiny`, and a fused picture.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from bench.command import parsed, parser
from trainer.config import load_config
from trainer.data.batches import Batches, Needs, encode_pair
from trainer.data.images import to_tensor
from trainer.data.shards import open_shards
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import fuse_base
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.fuser import Fuser
from trainer.objectives import Noise, make_objective
from trainer.training.optimizers import build_optimizers
from trainer.training.parts import build_model

REPEAT, SAMPLES, SIZE = 5, 64, (480, 640)
QUICK = {"REPEAT": 1, "SAMPLES": 2, "SIZE": (48, 64)}


def seconds(work: Callable[[], object], repeat: int | None = None) -> float:
    """Median wall time of a call, the first one left out."""
    times = []
    for _ in range((repeat or REPEAT) + 1):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return float(np.median(times[1:]))


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("shards", metavar="SHARDS")
    url = parsed(wanted, globals(), QUICK).shards
    command = [sys.executable, "-c", "import sys; sys.argv[1:] = ['--help']; from trainer.cli import main; main()"]
    print(
        f"trainer --help           {seconds(lambda: subprocess.run(command, capture_output=True, check=True)):8.3f} s"
    )

    config = load_config("tiny")
    shards = open_shards([url], config.seed)
    numbers = list(range(SAMPLES))
    print(f"read and decode          {len(numbers) / seconds(lambda: shards.load(numbers)):8.1f} samples/s")
    samples = shards.load(numbers)
    images = list(
        to_tensor([image for sample in samples for image in (sample.a, sample.b, sample.target)], torch.device("cpu"))
    )
    print(f"fit the KLT, {len(images)} images  {seconds(lambda: KLTAutoencoder.fit(images), 2):8.3f} s")
    autoencoder = Autoencoder(KLTAutoencoder.fit(images, config.autoencoder.channels))
    size = "x".join(map(str, samples[0].a.shape[1::-1]))
    pair = seconds(lambda: encode_pair(autoencoder, samples[0].a, samples[0].b))
    print(f"base and latents         {1 / pair:8.1f} pairs/s of {size}")

    text = TextEncoder(config.text.encoder, config.text.max_tokens)
    model = build_model(config, autoencoder, text.dim)
    optimizers, objective = build_optimizers(model, config.training), make_objective(config.objective, autoencoder)
    batches = Batches(shards, autoencoder, text, 0, Needs(pixels=config.model.sees_pixels))
    batch = batches.batch(range(config.training.batch_size))

    def step() -> None:
        objective.loss(model, batch, Noise(config.seed, batch.positions)).per_sample.mean().backward()
        optimizers.step(config.training.lr, config.training.grad_clip)

    print(f"train, tiny, cached      {config.training.batch_size / seconds(step):8.1f} samples/s of {size}")
    wide = [np.random.default_rng(i).integers(0, 256, (*SIZE, 3), dtype=np.uint8) for i in range(2)]
    x = [to_tensor([image], torch.device("cpu")) for image in wide]
    print(f"base of {SIZE[1]}x{SIZE[0]}          {seconds(lambda: fuse_base(*x)):8.3f} s")
    fuser = Fuser(model, autoencoder, text, objective)
    print(f"fuse {SIZE[1]}x{SIZE[0]}, tiny       {seconds(lambda: fuser(*wide, 'remove the haze')):8.3f} s")


if __name__ == "__main__":
    main()
