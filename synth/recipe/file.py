"""The file of a recipe: found by path or name, read by YAML's safe loader, and its mistakes in one line.

A recipe from a stranger is data. It runs no code, and its size is bounded, with all its aliases written out. It reads
the folders and the files that it names, which are those of whoever runs it, and nothing beside them; it writes nowhere.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from synth.errors import UserError, hint, in_one_line, listed
from synth.paths import ADDRESS, home
from synth.recipe.schema import (
    OF_A_TASK,
    Crop,
    Degradations,
    DepthNetwork,
    Emphasis,
    Given,
    Instructions,
    Recipe,
    Some,
    TargetNetwork,
    TaskRecipe,
)
from synth.text import YamlLoader, text_of

SIGNATURE = ".sign.json.gz"  # how files of `synth sign` end, which may ship beside a recipe
MOST_BYTES = 1 << 16  # of the file
MOST_VALUES = 20_000  # of the document, its aliases written out
MOST_DEPTH = 24  # of values in one another; recipes need eight


def find_recipe(name: str) -> Path:
    """A recipe by its path, or by its name among the recipes that ship with the tool. Raises UserError."""
    path = home(Path(name))
    if path.is_file():
        return path
    if path.is_dir():
        raise UserError(f"{name}: is a folder; a recipe is a YAML file")
    there = shipped(".yaml")
    asked = path.as_posix().removesuffix(".yaml")
    if asked in there:
        return there[asked]
    if ADDRESS.match(name):
        raise UserError(f"{name}: a URL, and a recipe is a file of this machine; fetch it, and name that")
    near = nearest(asked, there)
    said = "" if near is None else f"; did you mean {near!r}?"
    raise UserError(f"{name}: no such recipe{said}; a path, or one of {listed(there)}")


def nearest(asked: str, there: Iterable[str]) -> str | None:
    """What ships that a user may have meant: named without its folder, or misspelt; None where nothing is near."""
    known = {name.rpartition("/")[2]: name for name in there} | {name: name for name in there}
    return next((known[near] for near in difflib.get_close_matches(asked, known, n=1, cutoff=0.5)), None)


def shipped(suffix: str) -> dict[str, Path]:
    """What ships in `recipes/`, by its name there without the suffix: mef_haze, benchmark/vif_msrs."""
    package = Path(__file__).parents[1]
    root = package / "recipes"  # where it was installed from a wheel; in a checkout it stands beside the package
    root = root if root.is_dir() else package.parent / "recipes"
    files = sorted(root.rglob(f"*{suffix}"))
    return {file.relative_to(root).as_posix().removesuffix(suffix): file for file in files}


class _Loader(YamlLoader):
    """The loader, which refuses a key that stands twice in one mapping, and documents that grow."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _check_size(node)
        return node


def _check_keys(mapping: yaml.MappingNode) -> None:
    """Before any value is made: to make one of a merge (<<) PyYAML writes the merged keys into the node."""
    keys = [key.value for key, _ in mapping.value if isinstance(key, yaml.ScalarNode)]
    twice = [key for key, times in Counter(keys).items() if times > 1]
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands twice", mapping.start_mark)


def _check_size(root: yaml.Node) -> None:
    """Raises ValueError where a document has too many values, each alias counted as what it stands for, or is too deep;
    YAMLError where a key stands twice in a mapping.

    Counted from the inside out, each node once: an alias of an alias of … would take for ever to write out.
    """
    counts: dict[int, int] = {}
    above: set[int] = set()

    def count(node: yaml.Node, depth: int) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in above:
            raise ValueError("an alias stands inside of what it names")
        if depth > MOST_DEPTH:
            raise ValueError(f"values stand in one another more than {MOST_DEPTH} deep")
        if id(node) not in counts:
            above.add(id(node))
            pairs = isinstance(node, yaml.MappingNode)
            if isinstance(node, yaml.MappingNode):
                _check_keys(node)
            children = [child for pair in node.value for child in pair] if pairs else node.value
            counts[id(node)] = 1 + sum(count(child, depth + 1) for child in children)
            above.remove(id(node))
            if counts[id(node)] > MOST_VALUES:
                raise ValueError(f"more than {MOST_VALUES} values, its aliases written out")
        return counts[id(node)]

    count(root, 1)


def _read(path: Path) -> str:
    """The text of a recipe. Raises UserError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) <= MOST_BYTES:
            return text_of(data)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    raise UserError(f"{path}: over {MOST_BYTES >> 10} KB; a recipe is a page or two")


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe in a YAML file, with top-level keys replaced by `overrides`. Relative folders are the caller's.

    Raises UserError with the file, the key, the value and the rule.
    """
    text = _read(path)
    try:
        data = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML: {in_one_line(error, 300)}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys to values")
    try:
        return Recipe.model_validate({**data, **(overrides or {})})
    except ValidationError as error:
        raise UserError(f"{path}: {_mistake(error.errors()[0], single_task='task' in data)}") from None


def _mistake(error: ErrorDetails, single_task: bool) -> str:
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


_TOP = ("task", *OF_A_TASK)
_MODELS: dict[str, type[BaseModel]] = {
    "crop": Crop,
    "depth_network": DepthNetwork,
    "target_network": TargetNetwork,
    "some": Some,
    "degradations": Degradations,
    "instructions": Instructions,
    "emphasis": Emphasis,
    "data": Given,
}


def _keys_at(steps: list[int | str]) -> list[str]:
    names = [step for step in steps if isinstance(step, str)]
    if not names:
        return list(Recipe.model_fields)
    return list(_MODELS.get(names[-1], TaskRecipe).model_fields)
