"""An effect as a recipe writes it: `haze`, `haze: {severity: [0.2, 0.9]}`, `noise: {sigma: [5, 40], images: any}`."""

from typing import Any

from synth.degradations.base import Images, Quantity, effects
from synth.degradations.engine import EffectSpec
from synth.errors import hint, listed

DEFAULT_SEVERITY = (0.1, 1.0)


def parse_effect(value: Any) -> EffectSpec:
    """The spec of an effect, checked against the effect itself. Raises ValueError with key, value and rule."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("an effect is its name, or its name with its settings: `haze: {severity: [0.2, 0.9]}`")
    [(name, settings)] = value.items()
    known = effects()
    if name not in known:
        raise ValueError(f"unknown effect {name!r}{hint(name, known)}; `synth effects` lists them")
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        raise ValueError(f"{name}: settings are `key: value`, not {settings!r}")
    quantities = known[name].quantities
    unknown = [key for key in settings if key not in {"severity", "images", *quantities}]
    if unknown:
        raise ValueError(
            f"{name}.{unknown[0]}: unknown key{hint(str(unknown[0]), ['severity', 'images', *quantities])}"
        )
    given = {key: _quantity(name, key, settings[key], q) for key, q in quantities.items() if key in settings}
    strengths = [key for key in given if quantities[key].strength]
    if "severity" in settings and strengths:
        raise ValueError(f"{name}: severity and {strengths[0]} both set the strength; give one of them")
    severity = None
    if not strengths:
        severity = _range(f"{name}.severity", settings.get("severity", DEFAULT_SEVERITY), 0, 1, "")
    images = settings.get("images")
    if images not in (None, "a", "b", "any", "both", "shared"):
        raise ValueError(f"{name}.images: {images!r} must be one of a, b, any, both, shared")
    chosen: Images | None = images
    return EffectSpec(name, severity, tuple(given.items()), chosen)


def _quantity(effect: str, key: str, value: Any, quantity: Quantity) -> tuple[float, ...]:
    if not quantity.choices:
        return _range(f"{effect}.{key}", value, quantity.low, quantity.high, f" {quantity.unit}")
    values = value if isinstance(value, list) else [value]
    wrong = [item for item in values if item not in quantity.choices]
    if wrong or not values:
        raise ValueError(f"{effect}.{key}: {value!r} must be of {listed(quantity.choices)}")
    return tuple(values)


def _range(where: str, value: Any, low: float, high: float, unit: str) -> tuple[float, float]:
    pair = value if isinstance(value, list | tuple) else [value, value]
    numbers = [x for x in pair if isinstance(x, int | float) and not isinstance(x, bool)]
    if len(pair) != 2 or len(numbers) != 2:
        raise ValueError(f"{where}: {value!r} must be a number or [low, high]")
    if not low <= pair[0] <= pair[1] <= high:
        raise ValueError(f"{where}: {value!r} must lie in [{low:g}, {high:g}]{unit}, low first")
    return float(pair[0]), float(pair[1])


def as_written(spec: EffectSpec) -> dict[str, Any]:
    """The same again as plain data, so that a resolved recipe is a recipe."""
    settings: dict[str, Any] = {key: list(values) for key, values in spec.quantities}
    if spec.severity is not None:
        settings["severity"] = list(spec.severity)
    if spec.images is not None:
        settings["images"] = spec.images
    return {spec.effect: settings}
