"""The JSON schema of a recipe, by which editors complete and check the YAML file.

It says what each key is, and refuses unknown keys, effects, sources and tasks, and values out of their range, sources
and targets of another task too. What draft 07, whose words all editors read, cannot say, `synth generate --dry-run`
alone knows: which of two numbers is the larger, what several sum to, and what must fit together across keys.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, get_args

from synth.degradations.base import Degradation, Images, Quantity, Stage, effects
from synth.degradations.imgaug_effect import ALLOWED, Imgaug
from synth.images import curves
from synth.instructions.phrases import PHRASED
from synth.pairs.builtin import BUILTINS
from synth.pairs.photos import MAKERS, PhotoSource, maker_for
from synth.pairs.public_sets import LAYOUTS
from synth.pairs.source import MOST, FileSource, Source, sources
from synth.recipe.schema import OF_A_TASK, Recipe
from synth.tasks import TASKS

Schema: TypeAlias = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
NUMBER: Schema = {"type": "number"}
WEIGHT: Schema = {"type": "number", "minimum": 0, "maximum": MOST}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
RATIO: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
NOT_ALL_0: Schema = {"not": {"additionalProperties": {"type": "number", "maximum": 0}}}  # which refuses {} too
FROM_NETWORK: Schema = {
    "required": ["target"],
    "properties": {
        "target": {"anyOf": [{"const": "network"}, {"type": "array", "contains": {"const": "network"}}]},
    },
}


def recipe_schema() -> Schema:
    """The schema, as plain data for JSON."""
    schema = _plain(Recipe.model_json_schema())
    parts: dict[str, Schema] = schema["$defs"]
    every_task = parts.pop("TaskRecipe")
    parts |= {f"task-{name}": _of_task(every_task, name) for name in TASKS}
    parts |= {f"effect-{name}": _effect(effect) for name, effect in effects().items()}
    parts |= {"effect": _any_effect(), "effect-imgaug": _imgaug()}
    parts |= {f"source-{kind}": _source(source) for kind, source in sources().items()}
    parts["source"] = {"anyOf": [_ref(f"source-{kind}") for kind in sources()], "description": "Where pairs come from."}
    fall = parts["Degradations"]["properties"]
    fall["always"] |= {"items": _ref("effect"), "uniqueItems": True}
    fall["curves"] |= {"properties": dict.fromkeys(curves.names(), WEIGHT), "additionalProperties": False}
    fall["curves"] |= {"anyOf": [{"maxProperties": 0}, NOT_ALL_0]}
    for way in fall["order"]["anyOf"]:
        if way.get("type") == "object":
            way |= {"additionalProperties": WEIGHT} | NOT_ALL_0
    some = parts["Some"]["properties"]
    some["of"] |= {"items": _ref("effect"), "uniqueItems": True}
    some["count"] |= {"propertyNames": {"pattern": "^[0-9]+$"}, "additionalProperties": WEIGHT} | NOT_ALL_0
    parts["Instructions"]["properties"]["kinds"] |= {"additionalProperties": SHARE} | NOT_ALL_0
    for part, key in (("Crop", "scale"), ("Emphasis", "amount")):
        parts[part]["properties"][key]["items"] = RATIO
    schema["properties"]["tasks"] = {
        "description": "The tasks of a dataset that has several; of one, `task` and its keys stand at the top.",
        "type": "object",
        "properties": {name: _ref(f"task-{name}") for name in TASKS},
        "additionalProperties": False,
        "minProperties": 1,
    }
    of_one = {key: {"description": every_task["properties"][key].get("description", "")} for key in OF_A_TASK}
    task = {"description": _tasks_told(), "enum": list(TASKS)}
    first = {"name": schema["properties"].pop("name"), "task": task}
    schema["properties"] = first | of_one | schema["properties"]
    schema["required"] = [name for name in schema["required"] if name != "tasks"]
    schema["if"] = {"required": ["task"]}
    schema["then"] = {"required": ["sources"], "properties": {"tasks": False}}
    schema["else"] = {"required": ["tasks"], "properties": dict.fromkeys(OF_A_TASK, False)}
    schema["allOf"] = [
        {
            "if": {"required": ["task"], "properties": {"task": {"const": name}}},
            "then": {"properties": {key: parts[f"task-{name}"]["properties"][key] for key in OF_A_TASK}},
        }
        for name in TASKS
    ]
    of_several = {"not": {"additionalProperties": {"not": FROM_NETWORK}}}
    asks = {"anyOf": [FROM_NETWORK, {"required": ["tasks"], "properties": {"tasks": of_several}}]}
    file = {"required": ["target_network"], "properties": {"target_network": {"type": "object"}}}
    schema["allOf"].append({"if": asks, "then": file})
    return {"$schema": DRAFT, "title": "A recipe of synth"} | schema


def _of_task(every: Schema, name: str) -> Schema:
    """What one task is made of: its own kinds of target, and sources of any kind."""
    kinds = {"enum": list(TASKS[name].targets)}
    target = every["properties"]["target"]
    told = {key: target[key] for key in ("description", "default")}
    own = {
        "sources": every["properties"]["sources"] | {"items": {"allOf": [_ref("source"), _fitting(name)]}},
        "target": told | {"anyOf": [kinds, {"type": "array", "items": kinds, "minItems": 1}]},
    }
    if maker_for(TASKS[name].capture) is None:
        own["photos"] = every["properties"]["photos"] | {"maximum": 0}
    return every | {"description": f"{TASKS[name].title}.", "properties": every["properties"] | own}


def _fitting(task: str) -> Schema:
    """What of a source is not for every task."""
    capture = TASKS[task].capture
    of_photos = [name for name, maker in MAKERS.items() if maker.suits(capture)]
    fitting: dict[str, Any] = {
        "builtin": [name for name, builtin in BUILTINS.items() if builtin.task == task],
        "way": [*(layout.name for layout in LAYOUTS if layout.task == task), None],
        "make": [*of_photos, None],
        "align": [False, True] if capture.bracketed else [False],
    }
    properties = {key: {"enum": names} if names else False for key, names in fitting.items()}
    return {"properties": properties if of_photos else properties | {"photos": False}}


def _tasks_told() -> str:
    return "; ".join(f"{name}: {task.title}" for name, task in TASKS.items()) + "."


def _any_effect() -> Schema:
    """An effect by its name, or by its name with its settings."""
    by_name = {"enum": list(effects()), "description": "An effect, of any severity from 0.1 to 1."}
    settings = {name: _ref(f"effect-{name}") for name in (*effects(), Imgaug.name)}
    with_settings = {
        "type": "object",
        "properties": settings,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [by_name, with_settings]}


def _effect(effect: Degradation[Any]) -> Schema:
    """The settings of an effect: a severity, or its quantities by name."""
    severity = _severity()
    quantities = {key: _quantity(quantity) for key, quantity in effect.quantities.items()}
    strengths = [key for key, quantity in effect.quantities.items() if quantity.strength]
    settings = {
        "type": "object",
        "properties": {"severity": severity, "images": _images(effect), **quantities},
        "additionalProperties": False,
        "not": {"required": ["severity"], "anyOf": [{"required": [key]} for key in strengths]},
    }
    if not strengths:
        del settings["not"]
    return {"description": _first(type(effect).__doc__), "anyOf": [settings, severity, {"type": "null"}]}


def _images(effect: Degradation[Any] | type[Imgaug]) -> Schema:
    told = (
        "On which images it falls: a, b, any (one of them, drawn), both (a draw each), shared (one draw). "
        f"Without it: {effect.images}."
    )
    return {"description": told, "enum": list(get_args(Images))}


def _quantity(quantity: Quantity) -> Schema:
    instead = ", in place of the severity" if quantity.strength else ""
    if quantity.choices:
        one = {"enum": list(quantity.choices)}
        told = f"In {quantity.unit}{instead}: one, or several to draw from."
        return {"description": told, "anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    span = f"{quantity.low:g} to {quantity.high:g} {quantity.unit}"
    return _range(quantity.low, quantity.high, f"{span}{instead}: a number, or [from, to].")


def _range(low: float, high: float, told: str) -> Schema:
    number = NUMBER | {"minimum": low, "maximum": high}
    pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    return {"description": told, "anyOf": [number, pair]}


def _severity() -> Schema:
    """Above 0 at one end at least: what changes nothing is refused."""
    ends = [SHARE, RATIO]
    pair = {"type": "array", "items": ends, "minItems": 2, "maxItems": 2}
    told = "How strong, from 0 (nothing) to 1: a number, or [from, to]."
    return {"description": told, "anyOf": [RATIO, pair]}


def _imgaug() -> Schema:
    value = {"anyOf": [NUMBER, {"type": "boolean"}, {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}]}
    properties = {
        "name": {"description": "Of the augmenter.", "enum": sorted(ALLOWED)},
        "args": {
            "description": "Its arguments, as imgaug has them; [from, to] is drawn from.",
            "anyOf": [{"type": "object", "additionalProperties": value}, {"type": "null"}],
        },
        "as": {
            "description": "The effect whose phrases name it in sentences.",
            "enum": [Imgaug.name, *sorted(PHRASED)],
        },
        "stage": {"description": "When it falls.", "enum": [stage.name.lower() for stage in Stage]},
        "images": _images(Imgaug),
    }
    return {
        "description": _first(Imgaug.__doc__),
        "type": "object",
        "properties": properties,
        "required": ["name"],
        "additionalProperties": False,
    }


def _source(source: type[Source]) -> Schema:
    """A source of one kind: the key that names it is needed."""
    schema = _plain(source.model_json_schema())
    properties = schema["properties"]
    kind = {source.kind: properties.pop(source.kind)}
    schema["properties"] = kind | properties
    known: dict[str, Iterable[str | None]] = {"builtin": BUILTINS, "way": (*(known.name for known in LAYOUTS), None)}
    for key, names in known.items():
        if key in schema["properties"]:
            told = schema["properties"][key].get("description", "")
            schema["properties"][key] = {"description": told, "enum": list(names)}
    schema["properties"]["weights"]["additionalProperties"] = {"exclusiveMinimum": 0} | NUMBER | {"maximum": MOST}
    if issubclass(source, PhotoSource):
        schema["properties"]["align"] |= {"enum": [False]}
    if not (issubclass(source, FileSource) and source.own_splits):
        share = {"required": ["held_out_val"], "properties": {"held_out_val": {"exclusiveMinimum": 0}}}
        schema["if"] = {"required": ["split"], "properties": {"split": {"const": "val"}}}
        schema["then"] = share if issubclass(source, FileSource) else False
    return schema


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _first(docstring: str | None) -> str:
    """The first paragraph in one line."""
    return " ".join((docstring or "").partition("\n\n")[0].split())


def _plain(value: Any) -> Any:
    """pydantic's schema in the words of draft 07, each text in one line, without the titles that it makes of names."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, Mapping):
        return value
    plain = {key: _plain(part) for key, part in value.items() if not (key == "title" and isinstance(part, str))}
    if isinstance(plain.get("description"), str):
        plain["description"] = " ".join(plain["description"].split())
    if items := plain.pop("prefixItems", None):
        plain["items"] = items[0] if all(item == items[0] for item in items) else {"anyOf": items}
    if plain.get("default", "") is None:
        del plain["default"]
    return plain
