"""A record in two parts: what was drawn, chosen and said, and what was measured in pictures.

The first is equal wherever the same recipe meets the same pairs; the second agrees to its sixth digit, since the
processor's vector units add in another order (shards/FORMAT.md). Which parameters of an effect are measured the effect
says itself (`Degradation.measured`), and the scene what of it is (`synth.scene.scene.MEASURED`).
"""

from collections.abc import Mapping
from typing import Any

from synth.degradations.base import REGISTRY
from synth.sample.record import Record
from synth.scene.scene import MEASURED

DIGITS = 9  # of a drawn number: those after it are the processor's, which may fuse multiply and add
UNTOLD = ("version", "licence", "files", "sha256", "notes", "stretch")  # of the format, and of the files alone


def drawn_and_measured(record: Record | Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """What a record says was drawn, floats to `DIGITS` digits; and what was measured, by the path of each number.

    Of the source the first part has the names of data set and scene, not the files: two people may hold one picture in
    two files. Raises what `synth.sample.record.MALFORMED` lists where the record is none.
    """
    measured: dict[str, float] = {}
    drawn = {key: value for key, value in record.items() if key not in UNTOLD}
    drawn["scene"] = _without(record["scene"], MEASURED, "scene", measured)
    drawn["degradations"] = [
        {**entry, "params": _without(entry["params"], _measured_of(entry["effect"]), f"{path}.params", measured)}
        for path, entry in ((f"degradations[{n}]", entry) for n, entry in enumerate(record["degradations"]))
    ]
    source = record["source"]
    drawn["source"] = {key: value for key, value in source.items() if key not in UNTOLD}
    _without(source, ("stretch",), "source", measured)
    return _steadied(drawn), measured


def _measured_of(effect: str) -> tuple[str, ...]:
    """The measured parameters of an effect; none of an augmenter, which is in no registry."""
    return REGISTRY[effect].measured if effect in REGISTRY else ()


def _without(values: Mapping[str, Any], names: tuple[str, ...], where: str, measured: dict[str, float]) -> Any:
    """The values that are not measured; those that are go into `measured`. One that is missing (None) was a choice."""
    left = {}
    for name, value in values.items():
        if name in names and value is not None:
            _gather(value, f"{where}.{name}", measured)
        else:
            left[name] = value
    return left


def _gather(value: Any, path: str, into: dict[str, float]) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _gather(inner, f"{path}.{key}", into)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            _gather(inner, f"{path}[{number}]", into)
    else:
        into[path] = float(value)


def _steadied(value: Any) -> Any:
    """Plain data with its floats to `DIGITS` digits, and no negative nought."""
    if isinstance(value, Mapping):
        return {key: _steadied(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_steadied(inner) for inner in value]
    return float(f"{value:.{DIGITS}g}") + 0.0 if isinstance(value, float) else value
