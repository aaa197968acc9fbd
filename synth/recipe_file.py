"""The file of a recipe: found by path or name, read by YAML's safe loader, and its mistakes in one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from synth.errors import UserError, hint, listed
from synth.recipe import (
    Crop,
    Degradations,
    DepthNetwork,
    Instructions,
    Recipe,
    Some,
    Source,
    TargetNetwork,
    TaskRecipe,
)


def find_recipe(name: str) -> Path:
    """A recipe by its path, or by its name among the recipes that ship with the tool. Raises UserError."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = _shipped()
    file = f"{path.name.removesuffix('.yaml')}.yaml"
    if path.parent == Path() and (shipped / file).is_file():
        return shipped / file
    names = sorted(p.stem for p in shipped.glob("*.yaml"))
    raise UserError(f"{name}: no such recipe{hint(path.stem, names)}; a path, or one of {listed(names)}")


def _shipped() -> Path:
    """`recipes/`: inside the package where it was installed from a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    return package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = [key for key in keys if isinstance(key, str) and keys.count(key) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe in a YAML file, with top-level keys replaced by `overrides`. Relative folders are the caller's.

    Raises UserError with the file, the key, the value and the rule.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys to values")
    try:
        return Recipe.model_validate({**data, **(overrides or {})})
    except ValidationError as error:
        raise UserError(f"{path}: {_one_line(error.errors()[0], single_task='task' in data)}") from None


def _one_line(error: ErrorDetails, single_task: bool) -> str:
    """`degradations.always[0]: haze.betta: unknown key; did you mean 'severity'?`"""
    steps = [step for step in error["loc"] if step != "[key]"]
    if single_task and steps[:1] == ["tasks"]:
        steps = steps[2:] or ["task"]
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    if error["type"] == "extra_forbidden":
        known = _keys_at(steps[:-1]) if not single_task or len(steps) > 1 else [*Recipe.model_fields, *_TOP]
        return f"{where}: unknown key{hint(str(steps[-1]), known)}"
    if error["type"] == "missing":
        return f"{where}: missing; every recipe needs it"
    message = error["msg"].removeprefix("Value error, ")
    joint = "." if where.endswith("]") and message.split(":")[0].count(" ") == 0 and ":" in message else ": "
    shown = "" if error["type"] == "value_error" else f" (it is {error['input']!r})"
    return f"{where}{joint}{message}{shown}" if where else f"{message}{shown}"


_TOP = ("task", "sources", "target", "degradations")
_MODELS: dict[str, type[BaseModel]] = {
    "sources": Source,
    "crop": Crop,
    "depth_network": DepthNetwork,
    "target_network": TargetNetwork,
    "some": Some,
    "degradations": Degradations,
    "instructions": Instructions,
}


def _keys_at(steps: list[int | str]) -> list[str]:
    names = [step for step in steps if isinstance(step, str)]
    if not names:
        return list(Recipe.model_fields)
    return list(_MODELS.get(names[-1], TaskRecipe).model_fields)
