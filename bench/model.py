"""The network's time beside a plain stack of equal operations: `python -m bench.model`, one CPU thread.

Size S on 256 positions, with everything on, and its dense control, each against blocks of a plain DiT (LayerNorm,
AdaLN, attention, MLP of GELU) of the same width and heads, whose MLPs are as wide as makes its operations equal
(trainer/model/cost.py). A forward without gradients, and a step of training: forward, backward, AdamW. In seconds of
CPU time, so that what else the machine does counts little; medians of rounds in which each of them has its turn, and
ratios within rounds.

    --profile: where a step's time goes, by torch.profiler
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.command import parsed, parser
from trainer.config import load_config
from trainer.frozen.text import Prompts
from trainer.model.config import NetworkConfig
from trainer.model.cost import Given, linear, products, total
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Inputs

GIVEN = Given(channels=32, factor=8, text_dim=384, grid=(16, 16), words=40)
MLP_RATIO = 4
"""About which the plain blocks have: their number is rounded, and their MLPs' width makes up for it."""
QUICK = {"config": "tiny", "batch": 1, "rounds": 1}


class PlainBlock(nn.Module):
    """AdaLN, attention, AdaLN, MLP: Peebles and Xie, "Scalable diffusion models with transformers", 2023."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = nn.Linear(width, 6 * width)
        self.norm_attention = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x: (B, N, D) · c: (B, D)."""
        scale, shift, gate, scale_mlp, shift_mlp, gate_mlp = self.modulation(F.silu(c))[:, None].chunk(6, dim=-1)
        qkv = self.qkv(self.norm_attention(x) * (1 + scale) + shift)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, N, d) each
        x = x + gate * self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + gate_mlp * self.mlp(self.norm_mlp(x) * (1 + scale_mlp) + shift_mlp)


class Plain(nn.Module):
    """A stack of them whose forward has `flops` operations on N positions."""

    def __init__(self, width: int, heads: int, positions: int, flops: int) -> None:
        super().__init__()
        D, N = width, positions
        rest = (linear(N, D, 4 * D) + linear(1, D, 6 * D) + products(N, N, D)).flops
        depth = max(1, round(flops / (rest + 2 * linear(N, D, MLP_RATIO * D).flops)))
        hidden = round((flops / depth - rest) / (2 * linear(N, D, 1).flops))
        self.flops = depth * (rest + 2 * linear(N, D, hidden).flops)
        self.blocks = nn.ModuleList(PlainBlock(width, heads, hidden) for _ in range(depth))
        self.named = f"{depth} blocks, MLP of {hidden}"

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, c)
        return x


class Contender:
    """A network with its inputs and its optimizer."""

    def __init__(self, name: str, model: nn.Module, call: Callable[[], Tensor], flops: int) -> None:
        self.name, self.model, self.call, self.flops = name, model, call, flops
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
        self.parameters = sum(parameter.numel() for parameter in model.parameters())

    @torch.no_grad()
    def forward(self) -> None:
        self.call()

    def step(self) -> None:
        self.call().square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def ours(name: str, config: NetworkConfig, batch: int) -> Contender:
    shape = (batch, GIVEN.channels, *GIVEN.grid)
    model = FusionDiT(GIVEN.channels, GIVEN.factor, GIVEN.text_dim, config.model_dump()).train()
    words, pooled = torch.randn(batch, GIVEN.words, GIVEN.text_dim), torch.randn(batch, GIVEN.text_dim)
    prompts = Prompts(words, torch.ones(batch, GIVEN.words, dtype=torch.bool), pooled)
    pixels = torch.randn(batch, 3, 3, *(GIVEN.factor * side for side in GIVEN.grid))
    inputs = Inputs(torch.randn(shape), torch.randn(shape), torch.randn(shape), prompts, pixels)
    return Contender(name, model, lambda: model(inputs).z, total(config, GIVEN).flops)


def plain(config: NetworkConfig, batch: int) -> Contender:
    positions = GIVEN.grid[0] * GIVEN.grid[1]
    model = Plain(config.width, config.heads, positions, total(config, GIVEN).flops).train()
    x, c = torch.randn(batch, positions, config.width), torch.randn(batch, config.width)
    return Contender(f"plain DiT, {model.named}", model, lambda: model(x, c), model.flops)


def timed(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def profile(contender: Contender, rows: int) -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        contender.step()
    print(f"\n{contender.name}\n{profiler.key_averages().table('self_cpu_time_total', row_limit=rows)}")


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--config", default="s")
    wanted.add_argument("--batch", type=int, default=4, help="samples (4)")
    wanted.add_argument("--rounds", type=int, default=9, help="in which each has a forward and a step (9)")
    wanted.add_argument("--profile", action="store_true")
    options = parsed(wanted, globals(), QUICK)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = load_config(options.config).model
    contenders = [plain(config, options.batch), ours("everything on", config, options.batch)]
    if config.experts:
        contenders.append(ours("dense control", config.dense(), options.batch))
    for contender in contenders:  # the optimizer's moments are made in the first step
        contender.step()
    works = [work for contender in contenders for work in (contender.forward, contender.step)]
    times = np.array([[timed(work) for work in works] for _ in range(options.rounds)])  # (rounds, 2 x contenders)
    seconds, ratios = np.median(times, axis=0), np.median(times / np.tile(times[:, :2], len(contenders)), axis=0)
    print(f"{options.config}, {options.batch} samples of {GIVEN.grid[0] * GIVEN.grid[1]} positions, one thread, fp32")
    print(f"{'':36}{'M':>8}{'GFLOP':>8}{'forward':>16}{'step':>16}")
    for i, contender in enumerate(contenders):
        cells = "".join(f"{seconds[j]:8.3f} s {ratios[j]:4.2f} x" for j in (2 * i, 2 * i + 1))
        print(f"{contender.name:36}{contender.parameters / 1e6:8.1f}{contender.flops / 1e9:8.1f}{cells}")
    if options.profile:
        for contender in contenders:
            profile(contender, 24)


if __name__ == "__main__":
    main()
