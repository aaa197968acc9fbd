"""imgaug's augmenters as effects, for those who want them: by name and arguments, from an allow-list.

They follow little of the contract: no physics, no severity, uint8 alone. So `Imgaug` is no entry of the registry; a
recipe's parser asks `check_augmenter` first, and each mention in a recipe is an effect of its own.
"""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.random import SFC64, Generator

from synth.degradations import words
from synth.degradations.base import REGISTRY, Degradation, Domain, Stage
from synth.degradations.imgaug_shim import load_imgaug
from synth.errors import hint, in_one_line
from synth.images.pixels import Bytes, in_colour
from synth.scene.scene import View

Value: TypeAlias = bool | float | tuple[float, float]

# What touches no file, moves no pixel, keeps the size and calls nobody's code. JpegCompression writes a temporary file,
# KMeansColorQuantization draws from OpenCV's global generator, and Emboss adds a slope, which moves edges by 1 to 3 px.
_ANY = """
    Add AddElementwise AdditiveGaussianNoise AdditiveLaplaceNoise AdditivePoissonNoise AllChannelsCLAHE
    AllChannelsHistogramEqualization AverageBlur AveragePooling CLAHE Clouds CoarseDropout CoarsePepper CoarseSalt
    CoarseSaltAndPepper Dropout Fog GammaContrast GaussianBlur HistogramEqualization ImpulseNoise Invert
    LinearContrast LogContrast MedianBlur MotionBlur Multiply MultiplyElementwise Pepper Posterize Rain Salt
    SaltAndPepper Sharpen SigmoidContrast Snowflakes Solarize UniformColorQuantization"""
_COLOUR_ALONE = """
    AddToBrightness AddToHue AddToHueAndSaturation AddToSaturation BilateralBlur ChangeColorTemperature
    Grayscale MultiplyBrightness MultiplyHue MultiplyHueAndSaturation MultiplySaturation
    RemoveSaturation"""
_OURS = "deterministic from_colorspace interpolation keep_size max_size name random_state seed to_colorspace"
COLOUR = frozenset(_COLOUR_ALONE.split())  # these want three channels
ALLOWED = COLOUR | frozenset(_ANY.split())
NOT_FOR_RECIPES = frozenset(_OURS.split())  # arguments
LARGEST: Mapping[str, float] = {
    "k": 99,
    "d": 25,
    "kernel_size": 64,
    "nb_iterations": 8,
    "drop_size": 1,
    "flake_size": 1,
}
LARGEST_OF_ALL = 100_000  # of any other argument: a colour temperature is one of the largest that make sense
CENTRED = frozenset({"AverageBlur", "MotionBlur"})
"""Their kernels have their weight beside their middle: MotionBlur's grows from one end to the other, AverageBlur's of
an even side has no middle. So half of the blur is made of the picture turned by 180°: the kernel is symmetrical."""
WITHOUT_MEANING = {
    ("MotionBlur", "direction"): "the blur lies evenly to both sides, so that the picture stays in its place"
}
POOLS = (1, 5)  # pixels: imgaug's own default of AveragePooling's kernel_size
TRIAL = (48, 64, 3)  # pixels of the picture on which arguments are tried


@dataclass(frozen=True)
class ImgaugParams:
    """name: of the augmenter. arguments: numbers, or (low, high), from which imgaug draws. seed: 31 bits."""

    name: str
    arguments: dict[str, Value]
    seed: int


@dataclass(frozen=True)
class Imgaug(Degradation[ImgaugParams], register=False):
    """One of imgaug's augmenters on sRGB bytes (Jung et al., https://github.com/aleju/imgaug, MIT).

    augmenter, arguments: as `check_augmenter` passed them. said_as: the effect whose phrases name it, if not `imgaug`.
    """

    name = "imgaug"
    version = 2

    augmenter: str
    arguments: dict[str, Value]
    stage: Stage = Stage.PROCESSING
    said_as: str = name

    @property
    def domain(self) -> Domain:
        return Domain.BYTES

    @property
    def outdoors(self) -> bool:  # type: ignore[override]
        return any(effect.outdoors for effect in REGISTRY.values() if effect.said_as == self.said_as)

    def __str__(self) -> str:
        return f"{self.name}.{self.augmenter}"

    @classmethod
    def in_words(cls, params: Mapping[str, Any]) -> str:
        """By the augmenter's name; of its arguments, those that are one value."""
        arguments = params.get("arguments")
        parts = [words.of_any(str(k), v) for k, v in arguments.items()] if isinstance(arguments, Mapping) else []
        return ", ".join([f"{str(params.get('name', 'an augmenter'))[: words.MOST]} (imgaug)", *filter(None, parts)])

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> ImgaugParams:
        return ImgaugParams(self.augmenter, dict(self.arguments), int(rng.integers(2**31)))

    def apply(self, image: Bytes, params: ImgaugParams, view: View) -> Bytes:
        return augment(image, params)


def augment(image: Bytes, params: ImgaugParams) -> Bytes:
    """An image through an augmenter, a function of the parameters' seed, that leaves every pixel in its place."""
    if params.name == "AveragePooling":
        return _pooled(image, params)
    out = _augmented(image, params)
    if params.name in CENTRED:
        turned = _augmented(np.ascontiguousarray(image[::-1, ::-1]), params)
        out = cv2.addWeighted(out, 0.5, np.ascontiguousarray(turned[::-1, ::-1]), 0.5, 0)
    return out


def _augmented(image: Bytes, params: ImgaugParams) -> Bytes:
    augmenter = getattr(load_imgaug().augmenters, params.name)(**params.arguments)
    augmenter.seed_(params.seed)  # the argument `seed` does not reach all that an augmenter holds
    if image.ndim == 2 and params.name in COLOUR:
        return cv2.cvtColor(augmenter(image=in_colour(image)), cv2.COLOR_RGB2GRAY)
    return np.ascontiguousarray(augmenter(image=image.copy()))


def _pooled(image: Bytes, params: ImgaugParams) -> Bytes:
    """AveragePooling, of an image continued to whole pools: imgaug squeezes those that it adds into the image."""
    given = params.arguments.get("kernel_size", POOLS)
    low, high = given if isinstance(given, tuple) else (given, given)
    side = max(1, int(Generator(SFC64(params.seed)).integers(int(low), int(high) + 1)))
    height, width = image.shape[:2]
    more_y, more_x = -height % side, -width % side
    up, left = more_y // 2, more_x // 2
    whole = cv2.copyMakeBorder(image, up, more_y - up, left, more_x - left, cv2.BORDER_REFLECT_101)
    pooled = _augmented(whole, replace(params, arguments={**params.arguments, "kernel_size": side}))
    return np.ascontiguousarray(pooled[up : up + height, left : left + width])


def check_augmenter(name: str, arguments: Mapping[str, Any]) -> dict[str, Value]:
    """The arguments as imgaug takes them: [low, high] becomes a range. Raises ValueError with one line."""
    if name not in ALLOWED:
        raise ValueError(
            f"imgaug.name: {name!r} is not on the list of augmenters that keep every pixel in its place and touch no "
            f"file (synth effects names them){hint(str(name), ALLOWED)}"
        )
    taken = inspect.signature(getattr(load_imgaug().augmenters, name).__init__).parameters
    known = [key for key in taken if key != "self" and key not in NOT_FOR_RECIPES]
    unknown = [key for key in arguments if key not in known]
    if unknown:
        raise ValueError(f"imgaug.args.{unknown[0]}: {name} has no such argument{hint(str(unknown[0]), known)}")
    for key in arguments:
        if (name, key) in WITHOUT_MEANING:
            raise ValueError(f"imgaug.args.{key}: {WITHOUT_MEANING[name, key]}; leave it out")
    checked = {key: _value(key, value) for key, value in arguments.items()}
    trial = np.random.default_rng(0).integers(0, 256, TRIAL, dtype=np.uint8)
    try:
        out = augment(trial, ImgaugParams(name, checked, 0))
    except Exception as error:  # imgaug raises what it likes, from assertions to OpenCV's errors
        raise ValueError(f"imgaug.args: {name} refuses {dict(arguments)!r}: {in_one_line(error, 120)}") from None
    if out.shape != trial.shape or out.dtype != np.uint8:
        raise ValueError(f"imgaug.args: {name} with {dict(arguments)!r} changes the size or the type of a picture")
    return checked


def _value(key: str, value: Any) -> Value:
    if isinstance(value, bool):
        return value
    numbers = value if isinstance(value, list | tuple) else [value]
    largest = LARGEST.get(key, LARGEST_OF_ALL)
    plain = all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in numbers)
    if not plain or len(numbers) != (2 if numbers is value else 1):
        raise ValueError(f"imgaug.args.{key}: {value!r} must be a number, true or false, or [low, high]")
    if max(abs(x) for x in numbers) > largest or (numbers is value and numbers[0] > numbers[1]):
        raise ValueError(f"imgaug.args.{key}: {value!r} must lie in [-{largest:g}, {largest:g}], low first")
    return (numbers[0], numbers[1]) if numbers is value else numbers[0]
