"""What the log tells of the machine: how much of it the training uses."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40": 181e12, "4090": 165e12}
"""Operations a second in bf16 with fp32 sums, dense, by a part of the GPU's name: NVIDIA's data sheets (SXM)."""

Gauges: TypeAlias = Callable[[float], Mapping[str, float]]
"""Of samples a second."""


def gauges_of(where: torch.device, flops: int) -> Gauges:
    """TFLOP/s, the share of the GPU's peak that this is (where the peak is known), and the largest memory in MiB: of
    the GPU, or of this process. flops: of a step on one sample.
    """
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else ""
    peak = next((rate for part, rate in PEAKS.items() if part in name), None)

    def shown(samples_per_s: float) -> dict[str, float]:
        rate = samples_per_s * flops
        used = {} if peak is None else {"mfu": round(rate / peak, 4)}
        return {"tflop_per_s": round(rate / 1e12, 4), **used, "memory_mib": round(_memory(where))}

    return shown


def _memory(where: torch.device) -> float:
    if where.type == "cuda":
        return torch.cuda.max_memory_allocated(where) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
