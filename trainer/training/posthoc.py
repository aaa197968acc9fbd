"""Averaged weights of any width, after a run: from snapshots of a few averages that were kept on the way.

Karras et al., "Analyzing and improving the training dynamics of diffusion models", CVPR 2024, section 3.2: a profile is
approximated, in the sense of least squares, by a sum of those of the snapshots; the weights are summed alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainer.config import Config, Snapshots
from trainer.errors import UserError
from trainer.files import atomically, one_line, read_yaml
from trainer.inference.fuser import Fuser
from trainer.schema import parse
from trainer.training.ema import PowerEMA, exponent_of
from trainer.training.sharding import whole

FOLDER = "snapshots"
"""Of a run."""


class Snapshot(NamedTuple):
    """An average as it stood after so many samples."""

    samples: int
    std: float
    path: Path


class Album:
    """The snapshots of a run: averages by name for `Run.resume`, written at even shares of the run. What does not learn
    is in none. Of several ranks all must call the same, and the one that leads writes.
    """

    def __init__(self, model: nn.Module, config: Snapshots | None, out: Path, leads: bool = True) -> None:
        stds = () if config is None else config.stds
        self.averages: dict[str, PowerEMA[Any]] = {f"power-{std:.4f}": PowerEMA(model, std) for std in stds}
        self._stds, self._count, self._folder = stds, 0 if config is None else config.count, out / FOLDER
        self._behind, self._leads = 0, leads
        self._kept = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._kept |= {name for name, _ in model.named_buffers()}

    def begin(self, share: float, samples: int) -> None:
        """Where the run begins or goes on: snapshots beyond that are of steps that are lost."""
        self._behind = self._number(share)
        for path in self._folder.glob("*.safetensors") if self._leads else ():
            if path.name[:12].isdigit() and int(path.name[:12]) > samples:
                path.unlink()

    def see(self, share: float, samples: int) -> None:
        """After a step: the share of the run that is behind it, and its samples."""
        before, self._behind = self._behind, self._number(share)
        if self._behind > before:
            for std, average in zip(self._stds, self.averages.values(), strict=True):
                state = average.model.state_dict()
                kept = whole({name: tensor for name, tensor in state.items() if name in self._kept}, self._leads)
                if self._leads:
                    tensors = {name: _small(tensor) for name, tensor in kept.items()}
                    atomically(self._folder / f"{samples:012d}-{std:.4f}.safetensors", partial(save_file, tensors))

    def _number(self, share: float) -> int:
        return int(share * self._count + 1e-9)


def average(run: Path, std: float, out: Path) -> list[Snapshot]:
    """Writes a weights folder with the average of width `std` at the end of a run, from its snapshots, which it
    returns. What does not learn stays as it is. Raises UserError where the run is not complete, or kept none.
    """
    if not 0.01 <= std <= 0.25:
        raise UserError(f"--std {std}: give a width from 0.01 to 0.25 of the samples of the run")
    if out.exists():
        raise UserError(f"--out {out}: is there already; name a new folder")
    if not (run / "weights").is_dir():
        raise UserError(f"{run}: no weights in it; give the folder of a run of `trainer train` that is complete")
    found = snapshots_of(run)
    fuser = Fuser.from_pretrained(run / "weights", "cpu")
    weights = dict(fuser.model.state_dict())
    parameters = {name for name, _ in fuser.model.named_parameters()}  # the rest are states, of the run's end
    last = max(snapshot.samples for snapshot in found)
    sums: dict[str, Tensor] = {}
    for snapshot, share in zip(found, coefficients(found, last, std), strict=True):
        for name, tensor in _read(snapshot.path, weights).items():
            if name in parameters:
                sums[name] = sums.get(name, torch.zeros((), dtype=torch.float64)) + share * tensor.double()
    fuser.model.load_state_dict(weights | {name: total.to(weights[name].dtype) for name, total in sums.items()})
    config = parse(Config, read_yaml(run / "config.yaml"), str(run / "config.yaml"))
    atomically(out, lambda folder: fuser.save(folder, config))
    return found


def snapshots_of(run: Path) -> list[Snapshot]:
    """Those that a run kept, by samples and width. Raises UserError where there is none."""
    found = []
    for path in sorted((run / FOLDER).glob("*.safetensors")):
        if match := re.fullmatch(r"(\d{12})-(0\.\d{4})\.safetensors", path.name):
            found.append(Snapshot(int(match[1]), float(match[2]), path))
    if not found:
        raise UserError(f"{run}: kept no snapshots; a run does with `training: {{snapshots: {{}}}}` in its config")
    return found


def coefficients(snapshots: Sequence[Snapshot], samples: int, std: float) -> np.ndarray:
    """By which snapshots are summed to the average of width `std` after so many samples, (N,) float64."""
    times = np.array([snapshot.samples for snapshot in snapshots]) / samples
    exponents = np.array([exponent_of(snapshot.std) for snapshot in snapshots])
    products = _product(times[:, None], exponents[:, None], times[None], exponents[None])
    wanted = _product(times, exponents, np.ones(1), np.full(1, exponent_of(std)))
    return np.linalg.lstsq(products, wanted, rcond=None)[0]


def _product(t: np.ndarray, g: np.ndarray, u: np.ndarray, h: np.ndarray) -> np.ndarray:
    """∫ p_{t,g} p_{u,h} dτ of profiles p_{t,g}(τ) = (g + 1) τ^g / t^{g + 1} on [0, t]."""
    least = np.minimum(t, u)
    return (g + 1) * (h + 1) / (g + h + 1) * (least / t) ** g * (least / u) ** h * least / (t * u)


def _small(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if tensor.is_floating_point() else tensor.clone()


def _read(path: Path, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Raises UserError."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path}: damaged ({one_line(error)}); remove it, the others may do") from None
    different = [name for name in tensors if name not in like or tensors[name].shape != like[name].shape]
    if different:
        raise UserError(f"{path}: {different[0]}: not that of the run's weights; remove it")
    return tensors
