"""What the network costs, by arithmetic: parameters, and floating point operations of a forward on one sample.

A multiplication and an addition are two operations, as torch's FlopCounterMode has it; only matrix products and
convolutions count. Nothing is built.

N positions of the latent grid, d wide; M positions of the layers, D wide (N and d, where there is no hourglass);
L words, and one more that is always there; C latent channels, f pixels a position's side, T width of the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trainer.model.config import NetworkConfig

DETAIL = (16, 2, 4)
"""Channels of the hints, pixels along a place, pictures seen (detail.HINTS, STEP, PICTURES)."""
GUESS = 32
"""Channels that the effect head looks at (guess.THIN)."""
TONE = (4, 2, 32)
"""Tokens along a side of the tone head, its layers (tone.GRID, DEPTH), pixels along a thumbnail (inputs.THUMBNAIL)."""
LEARNED = 16
"""Side of the grid of absolute positions (positions.LEARNED, which wants torch)."""


class Given(NamedTuple):
    """What the network is built for, and one sample that it is given."""

    channels: int
    """C."""
    factor: int
    """f."""
    text_dim: int
    """T."""
    grid: tuple[int, int]
    """Latent positions, down and across: N is their product."""
    words: int
    """L."""
    time: bool = False
    """Whether it takes a state at a time."""


@dataclass(frozen=True)
class Cost:
    """Of a part, or of several."""

    parameters: int = 0
    flops: int = 0
    """Of a forward on one sample."""
    thin: tuple[int, int] = (0, 0)
    """Parameters and operations of adapters of rank 1 beside its linear maps."""

    def __add__(self, other: Cost) -> Cost:
        thin = (self.thin[0] + other.thin[0], self.thin[1] + other.thin[1])
        return Cost(self.parameters + other.parameters, self.flops + other.flops, thin)

    def __rmul__(self, times: int) -> Cost:
        return Cost(times * self.parameters, times * self.flops, (times * self.thin[0], times * self.thin[1]))

    def adapters(self, rank: int) -> Cost:
        """Those of that rank beside its linear maps, alone."""
        return Cost(rank * self.thin[0], rank * self.thin[1])

    @property
    def step(self) -> int:
        """Operations of forward and backward: each product has two more, for its two gradients."""
        return 3 * self.flops


def total(config: NetworkConfig, given: Given) -> Cost:
    """The whole network."""
    return sum(parts(config, given).values(), Cost())


LEARNS = {"detail": "detail", "effects": "effect head"}
"""How the rows of parts that may learn alone (training.learns) begin."""


def learned(config: NetworkConfig, given: Given, alone: Sequence[str] = ()) -> int:
    """Parameters that training moves: beside a frozen regression what the flow adds to it; of the named parts alone,
    where some are named.
    """
    if alone:
        begin = tuple(LEARNS[name] for name in alone)
        return sum(cost.parameters for name, cost in parts(config, given).items() if name.startswith(begin))
    beneath = config.model_copy(update={"adapters": 0}), given._replace(time=False)
    return total(config, given).parameters - bool(config.adapters) * total(*beneath).parameters


def layer_grid(config: NetworkConfig, grid: tuple[int, int]) -> tuple[int, int]:
    """On which the layers work: M is the product."""
    return ((grid[0] + 1) // 2, (grid[1] + 1) // 2) if config.fine else grid


def parts(config: NetworkConfig, given: Given) -> Mapping[str, Cost]:
    """By part, in the order of the forward; what the config leaves out is not there."""
    d, D, C, f, T, L = config.fine_width, config.width, given.channels, given.factor, given.text_dim, given.words
    N, M = (down * across for down, across in (given.grid, layer_grid(config, given.grid)))
    seen = L + 1 + config.tone * TONE[0] ** 2
    inside = {
        "fine NAF blocks": 2 * config.fine * naf(N, d),
        "merge and split": bool(config.fine) * (linear(M, 4 * d, D) + linear(M, D, 4 * d)),
        **{f"layers: {name}": config.depth * cost for name, cost in layer(config, M, seen).items()},
        "last modulation": modulation(D, config.lora_rank, 2 * d),
    }
    every = {
        "latents": linear(N, (4 if given.time else 3) * C, d),
        "pixels": config.patches * linear(N, 9 * f**2, d, bias=False),
        "words": linear(L, T, D) + Cost(D),
        "condition": linear(1, T, D) + (3 if given.time else 1) * linear(1, D, D),
        **{f"tone: {name}": cost for name, cost in tone(config, C, L + 1).items()},
        **inside,
        "output": linear(N, d, 4 * C),
        "effect head": bool(config.effects) * (linear(M, D, GUESS) + linear(1, 2 * GUESS, 4 * len(config.effects))),
        **{f"detail: {name}": cost for name, cost in detail(config, N, f).items()},
        "adapters": sum(inside.values(), Cost()).adapters(config.adapters),
        "own output": bool(config.adapters) * linear(N, d, 5 * C),
    }
    return {name: cost for name, cost in every.items() if cost.parameters or cost.flops}


def layer(config: NetworkConfig, M: int, L: int) -> Mapping[str, Cost]:
    """One layer on M positions and L words."""
    D, H, E, joint = config.width, config.hidden, config.experts, config.text == "joint"
    norms = config.qk_norm * Cost(2 * D // config.heads)  # of queries and keys, over the channels of a head
    return {
        "positions": config.absolute * Cost(LEARNED**2 * D),
        "NAF": config.naf * naf(M, D),
        "modulation": modulation(D, config.lora_rank, 6 * D),
        "attention projections": linear(M, D, 3 * D) + linear(M, D, D) + norms + Cost(config.value_residual),
        "attention products": products(M, M + joint * L, D),
        "words": linear(L, D, 2 * D) + (not joint) * (linear(M, D, D) + products(M, L, D) + linear(M, D, D) + norms),
        "MLP": (not E) * swiglu(M, D, H),
        "router": Cost(D * E, 2 * M * D * E),
        "shared expert": bool(E) * swiglu(M, D, H),
        "routed experts": Cost(E * swiglu(M, D, H).parameters, config.active * swiglu(M, D, H).flops * bool(E)),
    }


def tone(config: NetworkConfig, C: int, L: int) -> Mapping[str, Cost]:
    """The tone head, which sees L words."""
    side, depth, thumbnail = TONE
    plain, D = config.dense().model_copy(update={"naf": False, "fine": 0}), config.width
    heads = linear(1, D, D) + linear(1, D, 4 * C) + linear(side**2, D, 4 * C)
    layers = sum((depth * cost for cost in layer(plain, side**2, L).values()), Cost())
    return {"thumbnails": config.tone * linear(side**2, 9 * (thumbnail // side) ** 2, D)} | {
        "layers": config.tone * layers,
        "corrections": config.tone * heads,
    }


def detail(config: NetworkConfig, N: int, f: int) -> Mapping[str, Cost]:
    """The detail stage, at (f / STEP)² places for each position."""
    if config.detail is None:
        return {}
    hints, step, pictures = DETAIL
    places, width = N * (f // step) ** 2, config.detail.width
    ends = linear(places, pictures * 3 * step**2 + hints, width) + linear(places, width, 3 * step**2)
    return {
        "hints": linear(N, config.fine_width, hints),
        "ends": ends,
        "NAF blocks": config.detail.blocks * naf(places, width),
    }


def linear(rows: int, inside: int, outside: int, bias: bool = True) -> Cost:
    """(rows, inside) → (rows, outside)."""
    sides = inside + outside
    return Cost(inside * outside + bias * outside, 2 * rows * inside * outside, (sides, 2 * rows * sides))


def products(queries: int, keys: int, D: int) -> Cost:
    """Of attention: (queries, D) · (D, keys), heads together, and (queries, keys) · (keys, D)."""
    return Cost(0, 2 * 2 * queries * keys * D)


def swiglu(M: int, D: int, H: int) -> Cost:
    """(M, D) → (M, 2H) → (M, H) → (M, D)."""
    return linear(M, D, 2 * H, bias=False) + linear(M, H, D, bias=False)


def modulation(D: int, rank: int, vectors: int) -> Cost:
    """(1, D) → (1, rank) → (1, vectors), all their channels together."""
    return linear(1, D, rank, bias=False) + linear(1, rank, vectors)


def naf(N: int, D: int) -> Cost:
    """A NAF block: twice (N, D) → (N, 2D) → (N, D); a 3x3 convolution of 2D channels each; D of their mean; 2 norms."""
    mixing = 2 * (linear(N, D, 2 * D) + linear(N, D, D))
    convolution = Cost(9 * 2 * D + 2 * D, 2 * N * 9 * 2 * D)
    return mixing + convolution + linear(1, D, D) + Cost(2 * 2 * D + 2 * D)  # norms, and what β and γ weigh


def table(config: NetworkConfig, given: Given) -> str:
    """Parameters, GFLOP of a forward and their share, by part; the total, a step of training, and the dense control."""
    whole = total(config, given)
    lines = [f"{'part':30}{'parameters':>12}{'GFLOP':>10}{'share':>8}"]
    lines += [_row(name, cost, whole) for name, cost in parts(config, given).items()]
    lines += ["", _row("total", whole, whole), _step(whole)]
    if config.experts:
        dense = total(config.dense(), given)
        lines += ["", _row("dense control", dense, whole), _step(dense)]
    return "\n".join(lines)


def _row(name: str, cost: Cost, whole: Cost) -> str:
    return f"{name:30}{cost.parameters:12,}{cost.flops / 1e9:10.3f}{cost.flops / whole.flops:8.1%}"


def _step(cost: Cost) -> str:
    return f"{'  training step (3 forwards)':30}{'':12}{cost.step / 1e9:10.3f}"
