"""What a run would cost, told before it starts."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from math import prod
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from trainer.config import Config
from trainer.data.shards import StreamedShards
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.text import Prompts
from trainer.model.cost import Given, layer_grid, learned, table, total
from trainer.model.inputs import Inputs, Whole
from trainer.objectives import OBJECTIVES
from trainer.training.feed import open_data
from trainer.training.loop import train
from trainer.training.parts import build_model, unfitted_autoencoder
from trainer.training.plot import curve, read_log

TEXT_DIM = 384
"""Of the default text encoder; another's width hardly changes the sums."""
ASSUMED_SIZE = (256, 256)
PROBED, STEPS = 16, 4
"""Samples of a step at most, and steps, by which speed is measured; the first is not counted."""


def describe(config: Config, urls: list[str]) -> str:
    """Counts, parameters, operations and memory of a run, as lines of text. Raises UserError."""
    shards = open_data(config, urls)
    if not isinstance(shards, StreamedShards):
        sizes = ", ".join(f"{width}x{height}" for height, width in sorted(shards.sizes))
        height, width = max(shards.sizes)
        left_out = f", {shards.failed} failed rows left out" if shards.failed else ""
        data = (
            f"{len(shards)} samples of {sizes} px in {len(shards.tars)} shards, {shards.bytes / 1e6:.1f} MB{left_out}"
        )
        cycles = f" ({config.training.samples / len(shards):.1f} times each)"
    else:
        height, width = ASSUMED_SIZE
        data = f"{len(shards.tars)} tars without sidecars: streamed, not counted; {width}x{height} px assumed"
        cycles = ""
    autoencoder = unfitted_autoencoder(config)
    given = given_of(config, autoencoder, (height, width))
    channels, grid = autoencoder.channels, given.grid
    cost, activations = total(config.model, given), activations_of(config, autoencoder, given)
    batch = config.training.batch_size
    steps = -(-config.training.samples // batch)
    learning = learned(config.model, given, config.training.learns)
    # gradient, two moments and the average besides the weights, fp32 each
    weights, flops = 4 * cost.parameters + 16 * learning, batch * cost.step
    memory = f"{weights / 1e6:.0f} weights and optimizer, {activations / 1e6:.0f} activations (fp32)"
    latents = 4 * 4 * channels * grid[0] * grid[1]
    lines = [
        f"data         {data}",
        f"latents      {channels} x {grid[0]} x {grid[1]}, {latents / 1e3:.0f} kB a sample; "
        f"cache {config.run.cache_mb} MB",
        f"network      {cost.parameters / 1e6:.2f} M parameters, {learning / 1e6:.2f} M of them learn, "
        f"{grid[0] * grid[1]} positions",
        f"run          {config.training.samples} samples{cycles}, {steps} steps of {batch}",
        f"a step       {flops / 1e9:.1f} GFLOP, forward and backward; {flops * steps / 1e12:.2f} TFLOP in all",
        f"memory       about {(weights + activations) / 1e6:.0f} MB for the network: {memory}, "
        "besides latents and text encoder",
    ]
    return "\n".join(lines)


def probe(config: Config, urls: list[str], device: str | None) -> str:
    """How fast the first steps are, measured, and how long the run takes at that, as a line of text. Raises UserError.

    Samples of the first cycle are encoded on the way; later ones that the cache holds are faster. Steps are of at most
    PROBED samples.
    """
    if config.pool is not None:
        return "speed        of a run by pool: as fast as samples are rendered; not measured"
    batch = min(config.training.batch_size, PROBED)
    changes = {"batch_size": batch, "samples": max(config.training.samples, (STEPS + 1) * batch), "minutes": None}
    short = config.model_copy(
        update={
            "training": config.training.model_copy(update=changes),
            "run": config.run.model_copy(update={"log_every": batch, "tensorboard": False}),
        }
    )
    with TemporaryDirectory() as folder, redirect_stderr(StringIO()):  # what that run says of itself
        train(short, urls, Path(folder) / "probe", device=device, stop_after=STEPS * batch)
        log = read_log(Path(folder) / "probe")
        _, speeds = curve(log, "samples_per_s")
        _, encoding = curve(log, "encode_ms")
    speed = median(speeds[1:])
    minutes = config.training.samples / speed / 60
    told = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
    if config.training.minutes:
        told = f"{min(minutes, config.training.minutes):.0f} minutes, by the time that it is given"
    if not len(encoding):
        return f"speed        about {speed:.1f} samples/s, of latents: {told}"
    return (
        f"speed        about {speed:.1f} samples/s while samples are encoded: {told} at most\n"
        f"encoding     {encoding[-1]:.0f} ms of the {1000 / speed:.0f} ms of a sample; `trainer encode` does it once"
    )


def describe_network(config: Config, size: tuple[int, int]) -> str:
    """What the network of a config costs on a picture of that height and width, as lines of text. Raises UserError."""
    given = given_of(config, unfitted_autoencoder(config), size)
    (down, across), layers = given.grid, layer_grid(config.model, given.grid)
    return (
        f"{config.name} at {size[1]}x{size[0]}: {across}x{down} positions of {given.channels} channels, "
        f"layers at {layers[1]}x{layers[0]}; {given.words} words of {given.text_dim}; one sample\n\n"
        f"{table(config.model, given)}"
    )


def given_of(config: Config, autoencoder: Autoencoder, size: tuple[int, int]) -> Given:
    """What the network of a config is given of a picture of that height and width."""
    height, width = (-(-side // autoencoder.factor) for side in size)
    time, words = OBJECTIVES[config.objective.kind].needs_time, config.text.words
    return Given(autoencoder.channels, autoencoder.factor, TEXT_DIM, (height, width), words, time)


def activations_of(config: Config, autoencoder: Autoencoder, given: Given) -> int:
    """Bytes kept for the backward pass of a step, each storage once and no weights, by tensors that hold nothing.

    Experts (torch has no such tensors for grouped_mm in fp32) count as their dense control, and two copies of each
    position for each expert that it is sent to: what the expert is given, and what it returns.
    """
    batch, network, kept = config.training.batch_size, config.model, dict[int, torch.UntypedStorage]()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with FakeTensorMode(allow_non_fake_inputs=True):
        model = build_model(config.model_copy(update={"model": network.dense()}), autoencoder, given.text_dim)
        z = torch.empty(batch, given.channels, *given.grid)
        pixels = torch.empty(batch, 3, 3, *(side * given.factor for side in given.grid))
        text = Prompts(
            torch.empty(batch, given.words, given.text_dim),
            torch.empty(batch, given.words, dtype=torch.bool),
            torch.empty(batch, given.text_dim),
        )
        state = (z, torch.empty(batch)) if given.time else ()
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            model(Inputs(z, z, z, text, pixels, Whole.of(pixels)), *state)
    for weight in model.parameters():
        kept.pop(weight.untyped_storage()._cdata, None)
    slots = bool(network.experts) * batch * network.active * prod(layer_grid(network, given.grid))
    return sum(storage.nbytes() for storage in kept.values()) + network.depth * 2 * slots * network.width * 4
