"""Any nested state in one safetensors file: its tensors as they are, all else as JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainer.errors import UserError
from trainer.files import one_line

KEY = "tree"
"""Of the file's metadata, under which the JSON stands."""


def save_tree(path: Path, tree: Any) -> None:
    """Writes dicts, lists, tuples, tensors, numbers, strings and None, nested in any way; keys are strings or numbers.

    Raises TypeError where something else is met.
    """
    tensors: dict[str, Tensor] = {}
    rest = _without_tensors(tree, "", tensors)
    save_file(tensors, path, metadata={KEY: json.dumps(rest)})


def load_tree(path: Path) -> Any:
    """What `save_tree` wrote, bit for bit, on the CPU. Raises UserError where the file is damaged."""
    try:
        with safe_open(path, "pt") as file:
            rest = json.loads((file.metadata() or {})[KEY])
            return _with_tensors(rest, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({one_line(error)})") from None


def _without_tensors(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """JSON of a tree: containers as {kind: members}, tensors as {"tensor": name}; they are put into `tensors`."""
    if isinstance(value, Tensor):
        tensors[where] = value.detach().contiguous()
        return {"tensor": where}
    if isinstance(value, Mapping):
        return {"dict": [[key, _without_tensors(inner, f"{where}/{key}", tensors)] for key, inner in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_without_tensors(inner, f"{where}/{i}", tensors) for i, inner in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{where}: a {type(value).__name__} has no place in a checkpoint")


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, members),) = value.items()
    if kind == "tensor":
        return tensors[members]
    if kind == "dict":
        return {key: _with_tensors(inner, tensors) for key, inner in members}
    inner = [_with_tensors(member, tensors) for member in members]
    return inner if kind == "list" else tuple(inner)
