"""What a run would cost, told before it starts."""

from __future__ import annotations

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from trainer.config import Config
from trainer.data.shards import IndexedShards, open_shards
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import Prompts
from trainer.model.inputs import Inputs
from trainer.objectives import Noise, make_objective
from trainer.training.parts import build_model

TEXT_DIM = 384
"""Of the default text encoder; another's width hardly changes the sums."""
ASSUMED_SIZE = (256, 256)


def describe(config: Config, urls: list[str]) -> str:
    """Counts, parameters, operations and memory of a run, as lines of text. Raises UserError."""
    shards = open_shards(urls, config.seed)
    if isinstance(shards, IndexedShards):
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
    path, channels = config.autoencoder.path, config.autoencoder.channels
    autoencoder = Autoencoder(KLTAutoencoder(channels)) if path == "klt" else load_autoencoder(path)
    channels, factor = autoencoder.channels, autoencoder.factor
    grid = (-(-height // factor), -(-width // factor))
    parameters, flops, activations = _measure(config, autoencoder, grid)
    batch = config.training.batch_size
    steps = -(-config.training.samples // batch)
    memory = 20 * parameters + activations  # weights, gradient, two moments and the average, fp32 each
    latents = 4 * 4 * channels * grid[0] * grid[1]
    lines = [
        f"data         {data}",
        f"latents      {channels} x {grid[0]} x {grid[1]}, {latents / 1e3:.0f} kB a sample; "
        f"cache {config.run.cache_mb} MB",
        f"network      {parameters / 1e6:.2f} M parameters, {grid[0] * grid[1]} positions",
        f"run          {config.training.samples} samples{cycles}, {steps} steps of {batch}",
        f"a step       {flops / 1e9:.1f} GFLOP, forward and backward; {flops * steps / 1e12:.2f} TFLOP in all",
        f"memory       about {memory / 1e6:.0f} MB for the network: {20 * parameters / 1e6:.0f} weights and optimizer, "
        f"{activations / 1e6:.0f} activations (fp32), besides latents and text encoder",
    ]
    return "\n".join(lines)


def _measure(config: Config, autoencoder: Autoencoder, grid: tuple[int, int]) -> tuple[int, int, int]:
    """Parameters, operations of a step, bytes kept for its backward pass; on the meta device nothing is computed."""
    batch, length, kept = config.training.batch_size, config.text.max_tokens, 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    objective = make_objective(config.objective, autoencoder)
    with torch.device("meta"):
        model = build_model(config, autoencoder, TEXT_DIM)
        z = torch.empty(batch, autoencoder.channels, *grid)
        pixels = torch.empty(batch, 3, 3, *(side * autoencoder.factor for side in grid))
        text = Prompts(
            torch.empty(batch, length, TEXT_DIM),
            torch.empty(batch, length, dtype=torch.bool),
            torch.empty(batch, TEXT_DIM),
        )
        noise = Noise(config.seed, range(batch), "meta")
        with FlopCounterMode(display=False) as counter, saved_tensors_hooks(count, lambda tensor: tensor):
            objective.sample(model, Inputs(z, z, z, text, pixels), noise, 1)
    return sum(p.numel() for p in model.parameters()), 3 * counter.get_total_flops(), kept
