"""How fast training steps and fusions are on the machine at hand, and where the time of a step goes.

A step is the real one: the objective on cached latents, pixels and prompts (random numbers), blocks compiled, bf16 on a
GPU, gradients clipped, the config's optimizer, averages. Each measurement is one line, printed as it is made, so that a
machine that is taken away has told what it knew.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from bench.gpu.fuse_time import fuse_times
from trainer.config import Config, load_config
from trainer.data.batches import Batch, Crops
from trainer.device import choose_device
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.text import Prompts, TextEncoder
from trainer.inference.fuser import Fuser
from trainer.model.compiled import compile_blocks
from trainer.model.cost import total
from trainer.model.inputs import Inputs, Whole
from trainer.objectives import Noise, make_objective
from trainer.training.dry_run import given_of
from trainer.training.ema import EMA
from trainer.training.gauges import gauges_of
from trainer.training.optimizers import build_optimizers
from trainer.training.parts import build_model, unfitted_autoencoder

WARM, PROFILED, SHOWN = 4, 10, 18
"""Steps before the clock runs; steps that are profiled; rows of that table."""


class Trial(NamedTuple):
    """A preset on pictures of a side in pixels."""

    preset: str
    side: int
    batch: int


ON_A_GPU = (
    Trial("release", 128, 128),
    Trial("release", 256, 64),
    Trial("b", 128, 64),
    Trial("b", 256, 16),
    Trial("l", 128, 32),
    Trial("l", 256, 8),
)
ON_A_CPU = (Trial("release-cpu", 128, 2), Trial("ti", 128, 2))
"""To rehearse."""


def rehearse() -> None:
    """From now on one small trial."""
    global ON_A_GPU, ON_A_CPU
    ON_A_GPU = ON_A_CPU = (Trial("tiny", 32, 1),)


def speed(given: argparse.Namespace) -> int:
    """Prints a line a trial, a profile of the first, and fusions; nothing new begins after `given.seconds`."""
    device, begun = choose_device(None), time.monotonic()
    on_gpu = device.type == "cuda"
    for number, trial in enumerate(ON_A_GPU if on_gpu else ON_A_CPU):
        if time.monotonic() - begun > given.seconds:
            print("out of time", flush=True)
            return 0
        config = load_config(trial.preset)
        autoencoder = unfitted_autoencoder(config).to(device)
        step, samples = _step(config, autoencoder, trial, device), 0
        try:
            compiling = time.monotonic()
            for _ in range(WARM):
                step()
            _wait(device)
            timed = time.monotonic()
            while time.monotonic() - timed < given.each or samples == 0:
                step()
                samples += trial.batch
                _wait(device)
        except torch.OutOfMemoryError:
            print(f"{trial.preset} {trial.side} px, batch {trial.batch}: out of memory", flush=True)
            continue
        rate = samples / (time.monotonic() - timed)
        flops = total(config.model, given_of(config, autoencoder, (trial.side, trial.side))).step
        told = " ".join(f"{name} {value}" for name, value in gauges_of(device, flops)(rate).items())
        print(
            f"{trial.preset} {trial.side} px, batch {trial.batch}: {rate:.1f} samples/s, {told}; "
            f"first {WARM} steps {timed - compiling:.1f} s",
            flush=True,
        )
        if number == 0:
            print(where_it_goes(step, device), flush=True)
            text = TextEncoder(config.text.encoder, config.text.max_tokens, device)
            model = build_model(config, autoencoder, text.dim).to(device)  # type: ignore[arg-type]
            fuse_times(Fuser(model, autoencoder, text, make_objective(config.objective, autoencoder)), on_gpu)
    return 0


def where_it_goes(step: Callable[[], None], device: torch.device) -> str:
    """A table of the operations that take the most time in a few steps."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=kinds) as found:
        for _ in range(PROFILED):
            step()
        _wait(device)
    by = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    return str(found.key_averages().table(sort_by=by, row_limit=SHOWN, max_name_column_width=60))


def _step(config: Config, autoencoder: Autoencoder, trial: Trial, device: torch.device) -> Callable[[], None]:
    """A step of training on one batch, again and again."""
    objective, dim = make_objective(config.objective, autoencoder), 384
    torch.manual_seed(0)
    model = build_model(config, autoencoder, dim).to(device)  # type: ignore[arg-type]
    average, optimizers = EMA(model, 1000), build_optimizers(model, config.training)
    if device.type == "cuda":
        compile_blocks(model)
    batch, count = _batch(config, autoencoder, trial, dim, device), 0

    def step() -> None:
        nonlocal count
        count += 1
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            losses = objective.loss(model, batch, Noise(0, batch.positions, device))
        losses.per_sample.mean().backward()
        optimizers.step(config.training.lr, config.training.grad_clip)
        average.update(model, count * trial.batch, trial.batch)

    return step


def _batch(config: Config, autoencoder: Autoencoder, trial: Trial, dim: int, device: torch.device) -> Batch:
    grid, words = trial.side // autoencoder.factor, config.text.words
    latents = torch.randn(4, trial.batch, autoencoder.channels, grid, grid, device=device)
    pixels = torch.rand(trial.batch, 3, 3, trial.side, trial.side, device=device) * 2 - 1
    mask = torch.arange(words, device=device).expand(trial.batch, words) < words // 2
    prompts = Prompts(torch.randn(trial.batch, words, dim, device=device), mask, pixels.new_zeros(trial.batch, dim))
    labels = pixels.new_zeros(trial.batch, 2, len(config.model.effects)) if config.model.effects else None
    inputs = Inputs(*latents[:3], prompts, *((pixels, Whole.of(pixels)) if config.model.sees_pixels else ()))
    crops = Crops(*pixels.unbind(1))
    return Batch(inputs, latents[3], ("",) * trial.batch, range(trial.batch), crops, labels)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
