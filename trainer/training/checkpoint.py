"""A run's folder: what it was made from, and its checkpoints. Safetensors and JSON, no pickle; whole or not there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainer.config import Config, parse_config
from trainer.errors import UserError
from trainer.files import atomically, one_line, read_json, read_yaml, remove
from trainer.training.log import say

VERSION = 1
KEEP = 2
"""Checkpoints that are kept: should the newest be damaged, the run goes on from the one before."""
MAY_CHANGE = ("run.", "training.batch_size")
"""What may differ between a run and its resumption: it does not belong to what the run is."""
WAY_OUT = "name another folder, or begin anew here with --restart"


class OtherRun(UserError):
    """The folder holds a run that this command does not go on with."""


def check_folder(out: Path, config: Config | None) -> None:
    """Whether a run of this config (None: of any) can be, or go on, in `out`; writes nothing.

    Raises UserError where `out` cannot be a run's folder, OtherRun that says what differs.
    """
    path = out / "config.yaml"
    try:
        if out.exists() and not out.is_dir():
            raise UserError(f"--out {out}: is a file; name a folder")
        above = next((parent for parent in out.parents if parent.exists()), Path())
        if not above.is_dir():
            raise UserError(f"--out {out}: {above} is a file, not a folder; name another place")
        if not path.is_file():
            if out.is_dir() and any(out.iterdir()):
                raise UserError(
                    f"--out {out}: holds something else (no config.yaml of a run); name an empty or new folder"
                )
            return
    except OSError as error:
        raise UserError(f"--out {out}: cannot be used ({error.strerror or error}); name another folder") from None
    if config is None or (not _checkpoints(out) and not (out / "weights").is_dir()):
        return  # nothing was done under that config
    try:
        there, here = _flat(parse_config(read_yaml(path), str(path)).model_dump()), _flat(config.model_dump())
    except UserError as error:
        raise OtherRun(f"{error}; {WAY_OUT}") from None
    changed = [key for key in here if here[key] != there.get(key) and not key.startswith(MAY_CHANGE)]
    if changed:
        listed = "; ".join(f"{key} is {there.get(key)!r} there, {here[key]!r} here" for key in changed)
        raise OtherRun(f"--out {out}: holds a run of another config: {listed}; {WAY_OUT}")


def claim_folder(out: Path, config: Config, anew: bool = False) -> None:
    """Makes the folder and saves the resolved config in it. `anew`: first removes what another run left there.

    Only what a run writes is removed. Raises UserError.
    """
    try:
        if anew:
            for name in ("weights", "checkpoints", "autoencoder", "log.jsonl"):
                for path in (out / name, out / f".{name}.part", out / f".{name}.old"):
                    remove(path)
        out.mkdir(parents=True, exist_ok=True)
        atomically(out / "config.yaml", lambda path: path.write_text(config.to_yaml(), encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror or error}); name another folder") from None


def has_checkpoint(out: Path) -> bool:
    return bool(_checkpoints(out))


def check_identity(out: Path, identity: dict[str, str]) -> None:
    """Raises OtherRun where the run was made with other shards or other frozen parts than `identity` says."""
    for folder in reversed(_checkpoints(out)):
        try:
            state = _read_state(folder)
        except UserError:
            continue  # load_checkpoint says so
        for name, value in identity.items():
            if state.get(name) != value:
                raise OtherRun(
                    f"--out {out}: its run has other {name} than this command; take the same {name}, {WAY_OUT}"
                )
        return


def save_checkpoint(
    out: Path, seen: int, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer, identity: dict[str, str]
) -> None:
    """Writes OUT/checkpoints/<samples seen>/, then drops all but the newest two.

    Raises UserError, and writes nothing, where a weight is not finite.
    """
    broken = next((name for name, tensor in model.named_parameters() if not bool(tensor.isfinite().all())), None)
    if broken is not None:
        raise UserError(f"--out {out}: {broken} is not finite after {seen} samples; lower training.lr, {WAY_OUT}")

    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        save_file(_tensors(model), folder / "model.safetensors")
        save_file(_tensors(ema), folder / "ema.safetensors")
        save_file(_optimizer_tensors(model, optimizer), folder / "optimizer.safetensors")
        state = {"version": VERSION, "samples": seen, **identity}
        (folder / "state.json").write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")

    atomically(out / "checkpoints" / f"{seen:012d}", write)
    for old in _checkpoints(out)[:-KEEP]:
        remove(old)


def load_checkpoint(
    out: Path, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer, identity: dict[str, str]
) -> int:
    """Loads the newest checkpoint that is whole and returns the samples seen; 0 where there is none at all.

    Raises OtherRun where it was made with other shards or other frozen parts than `identity` says, or where none of
    several is whole.
    """
    check_identity(out, identity)
    checkpoints = _checkpoints(out)
    for folder in reversed(checkpoints):
        try:
            state = _read_state(folder)
            weights, averaged, moments = (
                _read_tensors(folder / f"{name}.safetensors", _shapes(model, name, optimizer))
                for name in ("model", "ema", "optimizer")
            )
        except UserError as error:
            if folder == checkpoints[0]:
                raise OtherRun(f"{error}; no checkpoint of this run is whole: {WAY_OUT}") from None
            say(f"{error}; going on from the checkpoint before it")
            continue
        model.load_state_dict(weights)
        ema.load_state_dict(averaged)
        saved = optimizer.state_dict()
        for index, name in enumerate(_names_in_order(model, optimizer)):
            saved["state"][index] = {key: moments[f"{name}/{key}"] for key in MOMENTS}
        optimizer.load_state_dict(saved)
        for damaged in checkpoints[checkpoints.index(folder) + 1 :]:
            damaged.rename(damaged.with_name(f"damaged-{damaged.name}"))
        return int(state["samples"])
    return 0


MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps of each parameter."""


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
    version = state.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise UserError(f"{where}: version {version!r}, and this trainer reads up to {VERSION}")
    return state


def _read_tensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Tensors with these names and shapes. Raises UserError."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path}: damaged ({one_line(error)})") from None
    there = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(there.keys() | shapes.keys()):
        if there.get(name) != shapes.get(name):
            raise UserError(f"{path}: {name}: shape {there.get(name)}, not {shapes.get(name)}: damaged")
    return tensors


def _shapes(model: nn.Module, name: str, optimizer: torch.optim.Optimizer) -> dict[str, tuple[int, ...]]:
    """What one file of a checkpoint must hold."""
    if name != "optimizer":
        return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    parameters = {key: tuple(parameter.shape) for key, parameter in model.named_parameters()}
    names = _names_in_order(model, optimizer)
    return {f"{key}/{part}": () if part == "step" else parameters[key] for key in names for part in MOMENTS}


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    names = _names_in_order(model, optimizer)
    state = optimizer.state_dict()["state"]
    return {f"{names[i]}/{key}": value for i, values in state.items() for key, value in values.items()}


def _names_in_order(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Parameter names in the order in which the optimizer's state counts them."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
