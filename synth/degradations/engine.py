"""Which effects fall on which image, with what strength, and the way of an image through them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

import cv2
from numpy.random import Generator
from numpy.typing import NDArray

from synth.degradations.base import REGISTRY, Degradation, Domain, Images, Quantity, Stage
from synth.images import curves, pixels
from synth.images.borders import Mask, beneath
from synth.images.codecs import decode_jpeg
from synth.images.pixels import Bytes, Floats
from synth.scene.capture import ImageName
from synth.scene.scene import View, steady
from synth.streams import Streams

Asked = Literal["remove", "keep", "lessen"]
LEAST_SEVERITY = 1e-4  # under it no byte would show a thing: it counts as 0
FEW_ROWS = 8  # one row of so many is looked at first: where that is enough, the others need not be


Change: TypeAlias = Mapping[int, float]
"""How much of an image an effect must change: by so many grey levels at least, which share of its values (the channels
of each pixel); one of several will do."""
SEEN: Change = {3: 0.01, 8: 0.001}
"""What counts as seen. JPEG of quality 100 without subsampling, whose rounding alone costs that, moves at most 0.6% of
the values of a photograph by 3 levels; noise of σ 1 moves 1.2%."""
ANY: Change = {1: 0.0}
"""A byte."""


@dataclass(frozen=True)
class EffectSpec:
    """One effect of a recipe: its name, and how strong on which images.

    severity: the range to draw from, None where `quantities` hold one that takes its place.
    quantities: by name, the range to draw from, or the values to choose from.
    """

    effect: str
    severity: tuple[float, float] | None
    quantities: tuple[tuple[str, tuple[float, ...]], ...] = ()
    images: Images | None = None
    variant: Degradation[Any] | None = None  # in place of the registry's: an imgaug augmenter with its arguments

    @property
    def degradation(self) -> Degradation[Any]:
        return self.variant or REGISTRY[self.effect]

    @property
    def label(self) -> str:
        """What tells it from the other effects of a recipe: its name, and an augmenter's."""
        return str(self.variant) if self.variant else self.effect


class Entry(TypedDict):
    """One effect on one image in the record (shards/FORMAT.md). factor: of one that is to be lessened."""

    effect: str
    image: ImageName
    stage: str
    severity: float | None
    asked: Asked
    factor: NotRequired[float]
    params: dict[str, Any]
    way: NotRequired[str]


@dataclass(frozen=True)
class Applied:
    """One effect on one image, as the record keeps it. factor: what is left of its strength where it is lessened.

    turn: 1 where the effect falls a second time.
    """

    effect: str
    image: ImageName
    severity: float | None
    params: Any
    asked: Asked = "remove"
    variant: Degradation[Any] | None = None
    factor: float | None = None
    turn: int = 0

    @property
    def degradation(self) -> Degradation[Any]:
        return self.variant or REGISTRY[self.effect]

    @property
    def label(self) -> tuple[str, int]:
        """What tells it from the other effects on its image."""
        return str(self.variant) if self.variant else self.effect, self.turn

    def to_record(self) -> Entry:
        """The entry in the record."""
        way = self.degradation.way(self.params)
        entry: Entry = {
            "effect": self.effect,
            "image": self.image,
            "stage": self.degradation.stage.name.lower(),
            "severity": self.severity,
            "asked": self.asked,
            "params": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in dataclasses.asdict(self.params).items()
            },
        }
        if self.factor is not None:
            entry["factor"] = self.factor
        return entry if way is None else {**entry, "way": way}


def in_order(specs: Sequence[EffectSpec]) -> list[EffectSpec]:
    """The specs in the order of physics: stage, place within the stage, name."""
    return sorted(specs, key=lambda spec: (spec.degradation.stage, spec.degradation.order, spec.label))


def draw(
    spec: EffectSpec, views: Mapping[ImageName, View], streams: Streams, turn: int = 0, factor: float = 1.0
) -> list[Applied]:
    """Draw one effect for the images it falls on.

    Each image has streams of its own, so that what one of them is drawn does not move the other; `shared` gives both
    the same streams, and with them equal draws. turn: 1 where the effect falls a second time, with draws of its own.
    factor: of the drawn severity, or of the distance of the strength from what leaves the image as it is; nothing else
    that is drawn depends on it.
    """
    effect = f"{spec.label}{turn + 1}" if turn else spec.label
    names = list(views)
    images = spec.images or spec.degradation.images_of(views[names[0]].scene.simultaneous)
    if spec.images is None and spec.degradation.infrared_first:
        names = [name for name in names if views[name].infrared] or names
    if images == "any":
        names = [names[int(streams(f"{effect}.which").integers(len(names)))]]
    elif images in views:
        names = [name for name in names if name == images]
    applied = []
    for name in names:
        scope = f"{effect}.{'shared' if images == 'shared' else name}"
        severity = None if spec.severity is None else float(streams(f"{scope}.strength").uniform(*spec.severity))
        if severity is not None:
            severity = severity * factor if severity * factor >= LEAST_SEVERITY else 0.0
        fixed = {
            key: _draw_quantity(spec.degradation.quantities[key], values, streams(f"{scope}.{key}"), factor)
            for key, values in spec.quantities
        }
        params = spec.degradation.draw(severity, views[name], streams(f"{scope}.draw"), fixed)
        params = _steady(spec.degradation, params, fixed) if spec.degradation.measured else params
        applied.append(Applied(spec.effect, name, severity, params, variant=spec.variant, turn=turn))
    return applied


def _steady(effect: Degradation[Any], params: Any, fixed: Mapping[str, float]) -> Any:
    """The parameters, those that were measured and not set to six digits."""
    values = {name: getattr(params, name) for name in effect.measured if name not in fixed}
    return dataclasses.replace(
        params,
        **{
            name: tuple(map(steady, value)) if isinstance(value, tuple) else steady(value)
            for name, value in values.items()
            if value is not None
        },
    )


def _draw_quantity(quantity: Quantity, values: tuple[float, ...], rng: Generator, factor: float) -> float:
    if quantity.choices:
        return values[int(rng.integers(len(values)))]
    low, high = values
    drawn = float(rng.uniform(low, high))
    return quantity.lessened(drawn, factor) if quantity.strength and factor != 1 else drawn


@dataclass(frozen=True, eq=False)
class Damaged:
    """An image after its effects. file: the JPEG that it is decoded from, where its last effect is a way through that
    codec; whoever stores the file need not ask for the image.
    """

    pixels: Bytes | None
    file: bytes | None = None

    @cached_property
    def image(self) -> Bytes:
        """(H, W) or (H, W, 3)."""
        if self.pixels is not None:
            return self.pixels
        assert self.file is not None  # one of the two is there
        return decode_jpeg(self.file)


def damage(image: Bytes, applied: Sequence[Applied], view: View, unclipped: Callable[[], Floats] | None) -> Bytes:
    """One image through its effects, in the order given, from bytes to bytes.

    Padding was laid around an image after it left its sensor. So it is lifted off for all that happens up to there, as
    if the camera had seen on beneath it, and laid back, as it was, before what happens to the file.

    unclipped: the image in linear light with its clipped pixels refilled, asked for only where an effect mixes light;
    None where there is nothing to refill from. Between effects of one domain nothing is converted or rounded.
    """
    return damage_into_file(image, applied, view, unclipped).image


def damage_into_file(
    image: Bytes, applied: Sequence[Applied], view: View, unclipped: Callable[[], Floats] | None
) -> Damaged:
    """The same, with the file that it ends in."""
    return _fall(image, applied, view, unclipped, None)[0]


def damage_with(
    image: Bytes, applied: Sequence[Applied], view: View, unclipped: Callable[[], Floats] | None, least: Change
) -> tuple[Damaged, list[Applied]]:
    """The same by the effects alone that change the image, as it comes to them, by so much; and which these are.

    Of the others nothing is left: what comes back is what `damage_into_file` makes of those that fell.
    """
    return _fall(image, applied, view, unclipped, least)


def _fall(
    image: Bytes,
    applied: Sequence[Applied],
    view: View,
    unclipped: Callable[[], Floats] | None,
    least: Change | None,
) -> tuple[Damaged, list[Applied]]:
    """least: what an effect must change to fall; None: all fall, and the last one's file need not be decoded."""
    array: NDArray[Any] = image
    domain = Domain.BYTES
    lifted: Bytes | None = None  # the picture with its padding, as long as that is off
    file: bytes | None = None
    fell: list[Applied] = []
    steps = [step for step in applied if step.image == view.name and step.severity != 0]
    for step in steps:
        before = array, domain, lifted
        effect, wanted = step.degradation, step.degradation.domain
        if view.seen is not None and (effect.stage <= Stage.SENSOR) is (lifted is None):
            array, domain = _convert(array, domain, Domain.BYTES, view.curve), Domain.BYTES
            array, lifted = (
                (beneath(array, view.seen), array) if lifted is None else (_laid(array, lifted, view.seen), None)
            )
        if not fell and wanted is Domain.LINEAR and unclipped is not None:
            array, domain = unclipped(), wanted
        array = _convert(array, domain, wanted, view.curve)
        made = effect.file(array, step.params, view)
        if least is None and step is steps[-1] and made is not None:
            return Damaged(None, made), steps
        after = effect.apply(array, step.params, view) if made is None else decode_jpeg(made)
        if least is not None and not _changes(array, after, wanted, view.curve, least):
            array, domain, lifted = before
            continue
        fell.append(step)
        array, domain, file = after, wanted, made
    done = _convert(array, domain, Domain.BYTES, view.curve)
    return Damaged(done if lifted is None or view.seen is None else _laid(done, lifted, view.seen), file), fell


def _changes(before: NDArray[Any], after: NDArray[Any], domain: Domain, curve: str, least: Change) -> bool:
    def enough(step: int) -> bool:
        one, two = (_convert(array[::step], domain, Domain.BYTES, curve) for array in (before, after))
        moved = cv2.absdiff(one, two).reshape(len(one), -1)
        return any(
            cv2.countNonZero(cv2.compare(moved, levels, cv2.CMP_GE)) >= max(1.0, share * before.size)
            for levels, share in least.items()
        )

    return enough(FEW_ROWS) or enough(1)


def _laid(image: Bytes, padded: Bytes, seen: Mask) -> Bytes:
    """An image with the padding of another around what was seen."""
    out = padded.copy()
    out[seen] = image[seen]
    return out


def _convert(array: NDArray[Any], source: Domain, wanted: Domain, curve: str) -> NDArray[Any]:
    """curve: of the camera, between light and grey levels."""
    light = pixels if curve == curves.SRGB else curves.curve(curve)
    match source, wanted:
        case _ if source is wanted:
            return array
        case Domain.BYTES, Domain.LINEAR:
            return light.to_linear(array)
        case Domain.BYTES, Domain.SRGB:
            return array.astype("float32")
        case Domain.LINEAR, Domain.SRGB:
            return light.to_srgb(array)
        case Domain.LINEAR, Domain.BYTES:
            return light.to_bytes(array)
        case Domain.SRGB, Domain.LINEAR:
            return light.to_linear(pixels.round_to_bytes(array))
        case _:
            return pixels.round_to_bytes(array)
