"""An effect as a recipe writes it: `haze`, `haze: 0.6`, `haze: {severity: [0.2, 0.9]}`, `noise: {sigma: [5, 40]}`."""

from numbers import Real
from typing import Any, get_args

from synth.degradations.base import Images, Quantity, Stage, effects
from synth.degradations.engine import EffectSpec
from synth.degradations.imgaug_effect import Imgaug, check_augmenter
from synth.errors import hint, listed

DEFAULT_SEVERITY = (0.1, 1.0)


def parse_effect(value: Any) -> EffectSpec:
    """The spec of an effect, checked against the effect itself. Raises ValueError with key, value and rule."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("an effect is its name, or its name with its settings: `haze: {severity: [0.2, 0.9]}`")
    [(name, settings)] = value.items()
    if name == Imgaug.name:
        return _parse_imgaug(settings)
    known = effects()
    if name not in known:
        raise ValueError(f"unknown effect {name!r}{hint(name, known)}; `synth effects` lists them")
    if settings is None:
        settings = {}
    elif isinstance(settings, Real | list | tuple):
        settings = {"severity": settings}
    if not isinstance(settings, dict):
        raise ValueError(f"{name}: a severity or settings `key: value`, not {settings!r}")
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
    return EffectSpec(name, severity, tuple(given.items()), _images(name, settings))


def _images(name: str, settings: dict[str, Any]) -> Images | None:
    images = settings.get("images")
    if images is not None and images not in get_args(Images):
        raise ValueError(f"{name}.images: {images!r} must be one of {', '.join(get_args(Images))}")
    chosen: Images | None = images
    return chosen


def _parse_imgaug(settings: Any) -> EffectSpec:
    """`imgaug: {name: Rain, args: {speed: [0.1, 0.3]}, as: rain, stage: scene, images: both}`."""
    keys = ("name", "args", "as", "stage", "images")
    if not isinstance(settings, dict) or "name" not in settings:
        raise ValueError("imgaug.name: missing; `imgaug: {name: Rain, args: {speed: [0.1, 0.3]}}`")
    unknown = [str(key) for key in settings if key not in keys]
    if unknown:
        raise ValueError(f"imgaug.{unknown[0]}: unknown key{hint(unknown[0], keys)}")
    arguments = settings.get("args") or {}
    if not isinstance(arguments, dict):
        raise ValueError(f"imgaug.args: {arguments!r} must be `argument: value`")
    stages = {stage.name.lower(): stage for stage in Stage}
    stage = settings.get("stage", "processing")
    if stage not in stages:
        raise ValueError(f"imgaug.stage: {stage!r} must be one of {listed(stages)}")
    name, said_as = str(settings["name"]), str(settings.get("as", Imgaug.name))
    variant = Imgaug(name, check_augmenter(name, arguments), stages[stage], said_as)
    return EffectSpec(Imgaug.name, None, (), _images(Imgaug.name, settings), variant)


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
    numbers = [x for x in pair if isinstance(x, Real) and not isinstance(x, bool)]
    if len(pair) != 2 or len(numbers) != 2:
        raise ValueError(f"{where}: {value!r} must be a number or [low, high]")
    if not low <= pair[0] <= pair[1] <= high:
        raise ValueError(f"{where}: {value!r} must lie in [{low:g}, {high:g}]{unit}, low first")
    return float(pair[0]), float(pair[1])


def as_written(spec: EffectSpec) -> dict[str, Any]:
    """The same again as plain data, so that a resolved recipe is a recipe."""
    settings: dict[str, Any] = {key: list(values) for key, values in spec.quantities}
    if isinstance(spec.variant, Imgaug):
        settings |= {
            "name": spec.variant.augmenter,
            "args": spec.variant.arguments,
            "stage": spec.variant.stage.name.lower(),
        }
        settings |= {} if spec.variant.said_as == Imgaug.name else {"as": spec.variant.said_as}
    if spec.severity is not None:
        settings["severity"] = list(spec.severity)
    if spec.images is not None:
        settings["images"] = spec.images
    return {spec.effect: settings}


def told_strength(spec: EffectSpec) -> str:
    """How strong it is, in words: `severity 0 to 0.5`, `stops 0`, or the arguments of an augmenter."""
    if isinstance(spec.variant, Imgaug):
        return f"arguments {spec.variant.arguments}"
    strengths = {key: span for key, span in spec.quantities if spec.degradation.quantities[key].strength}
    [(name, (low, high))] = strengths.items() if spec.severity is None else [("severity", spec.severity)]
    return f"{name} {low:g}" if low == high else f"{name} {low:g} to {high:g}"
