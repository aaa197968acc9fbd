"""Tables of the reference, made when the site is built from what the programs say of themselves.

A function a page: its name stands in the page, in `<!-- made at build: NAME -->`. What it gives is Markdown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
NOTHING = "none"


def recipe() -> str:
    """The keys of a recipe, a table a section."""
    from synth.pairs.source import sources
    from synth.recipe.json_schema import recipe_schema

    schema = recipe_schema()
    parts = schema["$defs"]
    of_a_task = {key: parts["task-mef"]["properties"][key] for key in ("sources", "photos", "target", "degradations")}
    top = {key: of_a_task.get(key, value) for key, value in schema["properties"].items()}
    kinds = {"sources": "list of [sources](#sources)", "tasks": "by name, [a task each](#a-task)"}
    links = {"Degradations": "`degradations`", "Some": "`degradations.some`", "effect": "an effect", "Crop": "`crop`"}
    links |= {"Instructions": "`instructions`", "Emphasis": "`instructions.emphasis`", "Given": "`data`"}
    links |= {"DepthNetwork": "`depth_network`", "TargetNetwork": "`target_network`"}
    pages = [
        ("At the top", {"properties": top, "required": schema["required"]}),
        ("`crop`", parts["Crop"]),
        ("`degradations`", parts["Degradations"]),
        ("`degradations.some`", parts["Some"]),
        ("`instructions`", parts["Instructions"]),
        ("`instructions.emphasis`", parts["Emphasis"]),
        ("`data`", parts["Given"]),
        ("`depth_network`", parts["DepthNetwork"]),
        ("`target_network`", parts["TargetNetwork"]),
        ("A task", parts["task-mef"] | {"description": "Of a dataset that has several, below `tasks`."}),
    ]
    text = "".join(_section(title, part, links, kinds, parts) for title, part in pages)
    text += (
        "## An effect\n\nIts name alone (`haze`: any severity from 0.1 to 1), a severity (`haze: 0.6`, "
        "`haze: [0.2, 0.9]`), or settings (`noise: {sigma: [5, 25], images: a}`): [all effects](effects.md).\n\n"
        "## Sources\n\nEach is named by its first key.\n\n"
    )
    of_sources = {kind: parts[f"source-{kind}"] for kind in sources()}
    return text + "".join(_section(f"`{kind}`", part, links, {}, parts, level=3) for kind, part in of_sources.items())


def effects() -> str:
    """The effects with their settings, in the order of physics."""
    from synth.degradations.listing import as_data

    known = as_data()
    text = ""
    from synth.degradations import effects as registered

    for name, effect in registered().items():
        told = known["effects"][name]
        images = told["images"] + (f" ({told['in_one_shot']} in one shot)" if told["in_one_shot"] else "")
        rows = [("severity", "0 to 1", "from 0.1 to 1", "0 leaves every byte")]
        for key, quantity in told["quantities"].items():
            span = ", ".join(map(str, quantity.get("choices", []))) or f"{quantity['low']:g} to {quantity['high']:g}"
            rows.append((key, span, NOTHING, _of_quantity(quantity)))
        text += f"## {name}\n\n{_first(type(effect).__doc__)}\n\n"
        text += f"Stage: {told['stage']} · falls on: {images}{' · outside alone' if told['outdoors'] else ''}\n\n"
        text += _table(("setting", "range", "where it is not set", "what"), rows)
    names = ", ".join(f"`{name}`" for name in known["imgaug"]["augmenters"])
    return f"{text}## imgaug\n\nOne of imgaug's augmenters, by name and arguments: " + (
        "`imgaug: {name: Rain, args: {speed: [0.1, 0.3]}, as: rain, stage: scene}`. Those that keep every pixel in its "
        f"place and touch no file are taken: {names}.\n"
    )


def _of_quantity(quantity: Mapping[str, Any]) -> str:
    if not quantity.get("strength"):
        return quantity["unit"]
    neutral = quantity["neutral"]
    return f"{quantity['unit']}, in place of the severity" + ("" if neutral is None else f"; {neutral:g} does nothing")


def config() -> str:
    """The keys of a config, a table a section."""
    from trainer.config import Config

    schema = Config.model_json_schema()
    names = {
        "Config": "At the top",
        "AutoencoderConfig": "`autoencoder`",
        "TextConfig": "`text`",
        "NetworkConfig": "`model`",
        "DetailConfig": "`model.detail`",
        "RegressionConfig": "`objective`, `kind: regression`",
        "PictureStage": "`objective.pictures`",
        "FlowConfig": "`objective`, `kind: flow`",
        "DatasetConfig": "`data`, an entry",
        "OrderConfig": "`order`",
        "PoolConfig": "`pool`",
        "Stage": "`pool.stages`, an entry",
        "TrainingConfig": "`training`",
        "Snapshots": "`training.snapshots`",
        "RunConfig": "`run`",
    }
    parts = {"Config": schema, **schema["$defs"]}
    left = [name for name in parts if name not in names]
    links = names | {name: f"`{name}`" for name in left}
    del schema["description"]
    told = [name for name in links if name in parts]
    return "".join(_section(links[name], parts[name], links, {}, parts) for name in told)


def _anchor(title: str) -> str:
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def synth() -> str:
    """The commands of `synth`."""
    from synth.cli import app

    return "".join(_commands(app, "synth"))


def trainer() -> str:
    """The commands of `trainer`."""
    from trainer.cli import app

    return "".join(_commands(app, "trainer"))


def _commands(app: Any, program: str) -> Iterator[str]:
    from typer.main import get_command

    def below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        for word, each in (inner or {}).items():
            yield from below(each, f"{name} {word}")

    for name, command in below(get_command(app), program):
        context = command.make_context(name, [], resilient_parsing=True)
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        shown = " ".join(f"{param.name.upper()}{'...' if param.nargs == -1 else ''}" for param in arguments)
        yield f"## {name}\n\n{' '.join((command.help or '').split())}\n\n"
        yield f"```\n{' '.join(filter(None, (name, shown, '[OPTIONS]')))}\n```\n\n"
        rows = []
        for param in command.params:
            if not param.hidden and (record := param.get_help_record(context)):
                called, _, kind = record[0].partition(" <")
                called = called.upper() if param in arguments else called
                rows.append((f"{called} <{kind}" if kind else called, record[1]))
        if rows:
            yield _table(("argument or option", "what"), rows)


def _section(
    title: str,
    part: Schema,
    links: Mapping[str, str],
    kinds: Mapping[str, str],
    parts: Mapping[str, Schema],
    level: int = 2,
) -> str:
    """A heading, what is said of the section, and a table of its keys.

    links: by the names of parts of the schema, the headings of their sections. kinds: by key, what is said of its value
    in place of what the schema says.
    """
    required = part.get("required", [])
    rows = [
        (
            key,
            kinds.get(key) or _kind(value, links),
            "none: it is needed" if key in required else _default(value),
            value.get("description") or parts.get(value.get("$ref", "").rpartition("/")[2], {}).get("description", ""),
        )
        for key, value in part.get("properties", {}).items()
    ]
    said = " ".join(part.get("description", "").split())
    table = _table(("key", "value", "default", "what"), rows)
    return f"{'#' * level} {title}\n\n" + (f"{said}\n\n" if said else "") + table


def _kind(value: Schema, links: Mapping[str, str]) -> str:
    """What may stand there, in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{links[name]}](#{_anchor(links[name])})" if name in links else "a section"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"] if each is not None)
    if "anyOf" in value or "oneOf" in value:
        choices = value.get("anyOf", value.get("oneOf", []))
        kinds = [_kind(choice, links) for choice in choices if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if value.get("type") == "array":
        items = value.get("items") or (value.get("prefixItems") or [{}])[0]
        inner = _kind(items, links)
        inner = f"some of {inner}" if "enum" in items else inner
        two = value.get("maxItems") == 2 and value.get("minItems") == 2
        return f"[from, to], each a {inner}" if two else f"list of {inner}"
    if value.get("type") == "object":
        names = value.get("propertyNames", {}).get("enum") or list(value.get("properties", {}))
        inner = value.get("additionalProperties") or next(iter(value.get("properties", {}).values()), {})
        told = f" ({', '.join(f'`{name}`' for name in names)})" if names else ""
        return f"by name{told}: {_kind(inner, links)}" if isinstance(inner, Mapping) else f"by name{told}"
    words = {"boolean": "true, false", "integer": "whole number", "string": "text", "number": "number"}
    limits = [f"{sign} {_told(value[key])}" for key, sign in SIGNS.items() if key in value and abs(value[key]) < 1e12]
    return " ".join((words.get(value.get("type", ""), "anything"), ", ".join(limits))).strip()


def _told(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def _default(value: Schema) -> str:
    default = value.get("default")
    if default is None or default in ([], {}, ""):
        return NOTHING
    if isinstance(default, Mapping) and "$ref" in value:
        return NOTHING  # its own section tells it
    text = json.dumps(default, ensure_ascii=False).replace('"', "")
    return f"`{text}`" if len(text) < 60 else NOTHING


def _first(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table; its first column as code."""
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for first, *rest in rows:
        cells = [f"`{first}`", *rest]
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n\n"


def _cell(text: str) -> str:
    """In one line; outside of code < begins no tag, and nowhere does | end the cell."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part if at % 2 else part.replace("<", "&lt;") for at, part in enumerate(parts))
