"""Checkpoints of a run: OUT/checkpoints/<samples seen>/. Safetensors and JSON, no pickle; whole or not there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainer.console import say
from trainer.errors import UserError
from trainer.files import atomically, one_line, read_json, remove
from trainer.training.ema import EMA
from trainer.training.sharding import spread, whole
from trainer.training.tree import load_tree, save_tree

VERSION = 2
KEEP = 2
"""Checkpoints that are kept: should the newest be damaged, the run goes on from the one before."""
WAY_OUT = "name another folder, or begin anew here with --restart"
OF_THE_MACHINE = ("foreach", "fused", "capturable", "differentiable")
"""Fields of an optimizer's groups that say how it computes: a run that goes on elsewhere has its own."""


class OtherRun(UserError):
    """The folder holds a run that this command does not go on with."""


@dataclass(frozen=True)
class Learned:
    """What training changes, and a checkpoint holds."""

    model: nn.Module
    averages: Mapping[str, EMA[Any]]
    """By the names of their files, as are the optimizers."""
    optimizers: Mapping[str, torch.optim.Optimizer]

    def __post_init__(self) -> None:
        names = ["model", *self.averages, *self.optimizers]
        if len(set(names)) < len(names):
            raise ValueError(f"each needs a file of its own, and these names come twice: {', '.join(names)}")

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {"model": self.model} | {name: average.model for name, average in self.averages.items()}


def has_checkpoint(out: Path) -> bool:
    return bool(_checkpoints(out))


def newest(out: Path) -> int:
    """Samples of the newest checkpoint; 0 where there is none."""
    return max((int(path.name) for path in _checkpoints(out)), default=0)


def check_identity(out: Path, identity: Mapping[str, str | None]) -> dict[str, str]:
    """The identity of the run that is there, of the same names; None stands for whatever it has, or for nothing.

    Raises OtherRun where the run was made of other shards, say, or other frozen parts than `identity` names.
    """
    filled = dict(identity)
    for folder in reversed(_checkpoints(out)):
        try:
            state = _read_state(folder)
        except OtherRun:
            raise
        except UserError:
            continue  # load_checkpoint says so
        for name, value in identity.items():
            filled[name] = state.get(name)
            if value not in (None, filled[name]):
                raise OtherRun(
                    f"--out {out}: its run has other {name} than this command; take the same {name}, {WAY_OUT}"
                )
        break
    return {name: value for name, value in filled.items() if value is not None}


class Stand(NamedTuple):
    """Where a run stands."""

    samples: int = 0
    """Seen."""
    seconds: float = 0.0
    """Of wall-clock time that it took, in all processes that went on with it one after the other."""


def save_checkpoint(out: Path, stand: Stand, learned: Learned, identity: Mapping[str, str], leads: bool = True) -> None:
    """Writes OUT/checkpoints/<samples seen>/, then drops all but the newest two.

    The same files for any number of ranks, and however they share the weights. Where these are spread all ranks must
    call it, and the one that leads writes.
    """
    modules = {name: whole(module.state_dict(), leads) for name, module in learned.modules.items()}
    optimizers = {name: whole(_of_optimizer(optimizer), leads) for name, optimizer in learned.optimizers.items()}
    if not leads:
        return

    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, state in modules.items():
            tensors = {key: tensor.detach().contiguous() for key, tensor in state.items()}
            save_file(tensors, folder / f"{name}.safetensors")
        for name, state in optimizers.items():
            save_tree(folder / f"{name}.safetensors", state)
        state = {"version": VERSION, **stand._asdict(), **identity}
        (folder / "state.json").write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")

    atomically(out / "checkpoints" / f"{stand.samples:012d}", write)
    for old in _checkpoints(out)[:-KEEP]:
        remove(old)


def load_checkpoint(out: Path, learned: Learned) -> Stand:
    """Loads the newest checkpoint that is whole and returns where it stands; at the start where there is none at all.

    Raises OtherRun where none of several is whole, or where they are of another version.
    """
    checkpoints = _checkpoints(out)
    for folder in reversed(checkpoints):
        try:
            state = _read_state(folder)
            weights = {
                name: _read_tensors(folder / f"{name}.safetensors", module) for name, module in learned.modules.items()
            }
            for name, optimizer in learned.optimizers.items():
                _into_optimizer(optimizer, folder / f"{name}.safetensors")
        except OtherRun:
            raise
        except UserError as error:
            if folder == checkpoints[0]:
                raise OtherRun(f"{error}; no checkpoint of this run is whole: {WAY_OUT}") from None
            say(f"{error}; going on from the checkpoint before it")
            continue
        for name, module in learned.modules.items():
            held = module.state_dict()
            module.load_state_dict({key: spread(tensor, held[key]) for key, tensor in weights[name].items()})
        for damaged in checkpoints[checkpoints.index(folder) + 1 :]:
            with suppress(FileNotFoundError):  # another rank was first
                damaged.rename(damaged.with_name(f"damaged-{damaged.name}"))
        return Stand(int(state["samples"]), float(state.get("seconds", 0)))
    return Stand()


def _checkpoints(out: Path) -> list[Path]:
    """Oldest first; whatever else lies there is passed over."""
    folder = out / "checkpoints"
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in found if re.fullmatch(r"[0-9]{12}", path.name) and path.is_dir())


def _read_state(folder: Path) -> dict[str, Any]:
    where = f"{folder}/state.json"
    try:
        state = read_json(folder / "state.json", where, "the checkpoint is damaged")
    except FileNotFoundError:
        raise UserError(f"{where}: not there, the checkpoint is damaged") from None
    if state.get("samples") != int(folder.name):
        raise UserError(f"{where}: samples is {state.get('samples')!r}, not {int(folder.name)}: damaged")
    if state.get("version") != VERSION:
        raise OtherRun(f"{where}: version {state.get('version')!r}, and this trainer reads {VERSION}; {WAY_OUT}")
    return state


def _read_tensors(path: Path, module: nn.Module) -> dict[str, Tensor]:
    """A file of all that the module holds, with its shapes. Raises UserError."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path}: damaged ({one_line(error)})") from None
    there, here = ({name: tuple(t.shape) for name, t in held.items()} for held in (tensors, module.state_dict()))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise UserError(f"{path}: {name}: shape {there.get(name)}, not {here.get(name)}: damaged")
    return tensors


def _of_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its state, whatever that is, parameters numbered in the order of the groups; and what else its groups hold."""
    state = optimizer.state_dict()
    ours = ("params", *OF_THE_MACHINE)
    groups = [{key: value for key, value in group.items() if key not in ours} for group in state["param_groups"]]
    return {"state": state["state"], "groups": groups}


def _into_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """The inverse of `_of_optimizer`. Raises UserError, and leaves the optimizer as it was, where it does not fit."""
    tree, saved = load_tree(path), optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    try:
        groups = [ours | theirs for ours, theirs in zip(saved["param_groups"], tree["groups"], strict=True)]
        of_parameters = {
            key: spread(value, parameters[key]) for key, value in tree["state"].items() if isinstance(key, int)
        }
        optimizer.load_state_dict({"state": tree["state"] | of_parameters, "param_groups": groups})
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: does not fit the optimizer ({one_line(error)}): damaged") from None
    for key, value in of_parameters.items():
        optimizer.state[parameters[key]] = _exactly(optimizer.state[parameters[key]], value)


def _exactly(loaded: Any, saved: Any) -> Any:
    """What an optimizer loaded, where torch chose to put it, but of the type that was saved: torch makes the type of a
    state that of its parameter, and a count of int64 or a moment of bf16 is another number then.
    """
    if isinstance(saved, Tensor):
        return loaded if loaded.dtype == saved.dtype else saved.to(loaded.device)
    if isinstance(saved, dict):
        return {key: _exactly(loaded[key], value) for key, value in saved.items()}
    if isinstance(saved, (list, tuple)):
        return type(saved)(_exactly(part, value) for part, value in zip(loaded, saved, strict=True))
    return saved
