"""When: the learning rate, and which samples a step has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from trainer.config import TrainingConfig
from trainer.data.batches import Step


def learning_rate(share: float, config: TrainingConfig) -> float:
    """That of the step that ends at this share of the run: a linear warm-up to `lr`, then by `schedule` to zero.

    cosine: half a cosine. constant: `lr`, and a linear fall over the last `cooldown` of the samples (Hägele et al.,
    "Scaling laws and compute-optimal training beyond fixed training durations", 2024).
    """
    if share < config.warmup:
        return config.lr * share / config.warmup
    if config.schedule == "constant":
        return config.lr * min(1.0, (1 - share) / config.cooldown)
    return config.lr * 0.5 * (1 + math.cos(math.pi * (share - config.warmup) / (1 - config.warmup)))


def steps(seen: int, config: TrainingConfig) -> Iterator[range]:
    """The positions of each step from `seen` on, until the run's samples are used up; the last may be smaller."""
    while seen < config.samples:
        stop = min(seen + config.batch_size, config.samples)
        yield range(seen, stop)
        seen = stop


def of_couples(step: range, size: int, share: float) -> bool:
    """Whether a step holds couples: each pair in it under two instructions. size: of the run's steps.

    Such steps are spread evenly, and which they are follows from their positions alone. One of an odd number of
    samples, as the last of a run may be, is none.
    """
    number = step.start // size
    return len(step) % 2 == 0 and int(share * (number + 1)) > int(share * number)


def planned(positions: range, most: int | None, couples: bool, window: int | None = None) -> Step:
    """A step on a rank's positions of it, in parts of at most `most`, none of which ends within a couple."""
    return Step(parts(positions, most, 2 if couples else 1), couples, window)


def parts(step: range, most: int | None, whole: int = 1) -> list[range]:
    """A step's positions in pieces of at most `most`, as even as can be, each a multiple of `whole`; in one without."""
    units = len(step) // whole
    count = 1 if most is None else -(-units // (most // whole))
    edges = [whole * (units * number // count) for number in range(count + 1)]
    return [step[first:last] for first, last in pairwise(edges)]
