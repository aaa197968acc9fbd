"""A run's folder: what it was made from, and its checkpoints. Safetensors and JSON, no pickle; whole or not there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainer.config import Config, parse_config
from trainer.errors import UserError

KEEP = 2
MAY_CHANGE = ("run.", "training.batch_size")
"""What may differ between a run and its resumption: it does not belong to what the run is."""


def claim_folder(out: Path, config: Config) -> None:
    """Makes the folder and saves the resolved config in it, or checks that it holds a run of this config.

    Raises UserError that shows what differs.
    """
    path = out / "config.yaml"
    if not path.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise UserError(f"--out {out}: holds something else (no config.yaml of a run); name an empty or new folder")
        out.mkdir(parents=True, exist_ok=True)
    elif (out / "autoencoder").is_dir():  # before that nothing was done
        there, here = _flat(_read_config(path).model_dump()), _flat(config.model_dump())
        changed = [key for key in here if here[key] != there.get(key) and not key.startswith(MAY_CHANGE)]
        if changed:
            listed = "; ".join(f"{key} is {there.get(key)!r} there, {here[key]!r} here" for key in changed)
            raise UserError(f"--out {out}: holds a run of another config: {listed}; name another folder")
    atomically(path, lambda temporary: temporary.write_text(config.to_yaml(), encoding="utf-8"))


def save_checkpoint(
    out: Path, seen: int, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer, identity: dict[str, str]
) -> None:
    """Writes OUT/checkpoints/<samples seen>/, then drops all but the newest two.

    Raises UserError, and writes nothing, where a weight is not finite.
    """
    broken = next((name for name, tensor in model.named_parameters() if not bool(tensor.isfinite().all())), None)
    if broken is not None:
        raise UserError(
            f"--out {out}: {broken} is not finite after {seen} samples; lower training.lr, name another folder"
        )

    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        save_file(_tensors(model), folder / "model.safetensors")
        save_file(_tensors(ema), folder / "ema.safetensors")
        save_file(_optimizer_tensors(model, optimizer), folder / "optimizer.safetensors")
        state = {"version": 1, "samples": seen, **identity}
        (folder / "state.json").write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")

    atomically(out / "checkpoints" / f"{seen:012d}", write)
    for old in _checkpoints(out)[:-KEEP]:
        shutil.rmtree(old)


def load_checkpoint(
    out: Path, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer, identity: dict[str, str]
) -> int:
    """Loads the newest checkpoint and returns the samples seen; 0 where there is none.

    Raises UserError where it was made with other shards or other frozen parts than `identity` says.
    """
    checkpoints = _checkpoints(out)
    if not checkpoints:
        return 0
    state = json.loads((checkpoints[-1] / "state.json").read_text(encoding="utf-8"))
    for name, value in identity.items():
        if state.get(name) != value:
            raise UserError(
                f"--out {out}: its run has other {name} than this command; name another folder, or the same {name}"
            )
    model.load_state_dict(load_file(checkpoints[-1] / "model.safetensors"))
    ema.load_state_dict(load_file(checkpoints[-1] / "ema.safetensors"))
    tensors = load_file(checkpoints[-1] / "optimizer.safetensors")
    saved = optimizer.state_dict()
    for index, name in enumerate(_names_in_order(model, optimizer)):
        saved["state"][index] = {
            key.rsplit("/", 1)[1]: tensors[key] for key in tensors if key.rsplit("/", 1)[0] == name
        }
    optimizer.load_state_dict(saved)
    return int(state["samples"])


def atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Lets `write` make a file or folder under a temporary name beside `path`, then puts it in place of it."""
    temporary = path.with_name(f".{path.name}.part")
    _remove(temporary)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    write(temporary)
    for file in [temporary] if temporary.is_file() else [file for file in temporary.rglob("*") if file.is_file()]:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    if path.is_dir():
        shutil.rmtree(path)
    temporary.replace(path)


def _checkpoints(out: Path) -> list[Path]:
    return sorted((out / "checkpoints").glob("[0-9]*"))


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


def _read_config(path: Path) -> Config:
    try:
        return parse_config(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
    except yaml.YAMLError:
        raise UserError(f"{path}: cannot be read as YAML; name another folder") from None


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
