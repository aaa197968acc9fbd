"""Damage by other code than ours, for bench/foreign.py: nothing of this project is imported here.

Four codes: imgaug, albumentations 2.0.8 and imagecorruptions as they come, and TEXTBOOK below, each damage in its
simplest form. `python foreign_damage.py JOB.json` runs a job in the peers' environment (`make peers`); imgaug, which
needs numpy 1 or a shim (synth.degradations.imgaug_shim), must have been imported by who calls.

A job is a list of items: source and out (PNG files), code, curve, and steps of kind, effect, settings and seed.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator, default_rng

WEATHER = {"haze": (95, 0.08), "rain": (97, 0.25), "snow": (97, 0.25)}
"""How bright it is: as this percentile of a picture's values, and at least so much."""
LIGHT = (*WEATHER, "blur", "motion", "dark", "bright", "contrast")  # what is done in the values of the camera's curve

Values = Any  # (H, W) or (H, W, 3) float32, 0 to 1
Step = Mapping[str, Any]


def haze(x: Values, far: float, near: float, light: float) -> Values:
    """x t + A (1 − t); t goes from the top row (far) to the bottom row (near), or is one number."""
    t = np.linspace(far, near, x.shape[0], dtype=np.float32).reshape(-1, *[1] * (x.ndim - 1))
    return x * t + light * (1 - t)


def rain(x: Values, rng: Generator, count: int, length: float, angle: float, strength: float) -> Values:
    """Bright lines of one angle (degrees from the vertical), one or two pixels wide, a little soft."""
    height, width = x.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for _ in range(count):
        at = np.array([rng.uniform(-0.2, 1.2) * width, rng.uniform(-0.2, 1.1) * height])
        step = length * rng.uniform(0.6, 1.2) * np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])
        ends = [tuple(int(v) for v in np.rint(point)) for point in (at, at + step)]
        cv2.line(mask, *ends, float(rng.uniform(0.4, 1)), int(rng.integers(1, 3)), cv2.LINE_AA)
    return _over(x, cv2.GaussianBlur(mask, (3, 3), 0.6) * strength, 0.9)


def snow(x: Values, rng: Generator, count: int, radius: float, strength: float) -> Values:
    """White dots of many sizes, the small ones sharp."""
    height, width = x.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for _ in range(count):
        size = radius * rng.uniform(0.2, 1) ** 2
        centre = (int(rng.integers(0, 8 * width)), int(rng.integers(0, 8 * height)))  # in eighths of a pixel
        cv2.circle(mask, centre, max(4, int(8 * size)), float(rng.uniform(0.5, 1)), -1, cv2.LINE_AA, 3)
    return _over(x, cv2.GaussianBlur(mask, (0, 0), 0.7) * strength, 1.0)


def _over(x: Values, mask: Values, light: float) -> Values:
    return x + (light - x) * (mask if x.ndim == 2 else mask[:, :, None])


def gaussian_blur(x: Values, sigma: float) -> Values:
    return cv2.GaussianBlur(x, (0, 0), sigma)


def box_blur(x: Values, size: int) -> Values:
    return cv2.blur(x, (size, size))


def motion(x: Values, length: int, angle: float) -> Values:
    """The mean along a line (degrees from the horizontal)."""
    kernel = np.zeros((length + 2, length + 2), np.float32)
    middle = (length + 1) / 2
    reach = length / 2 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    ends = [tuple(int(v) for v in np.rint(middle + sign * reach)) for sign in (-1, 1)]
    cv2.line(kernel, *ends, 1.0, 1)
    return cv2.filter2D(x, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def gamma(x: Values, power: float) -> Values:
    """Darker above 1, brighter below."""
    return np.clip(x, 0, 1) ** np.float32(power)


def gain(x: Values, factor: float) -> Values:
    """All values times a number, clipped."""
    return np.clip(x * np.float32(factor), 0, 1)


def contrast(x: Values, factor: float) -> Values:
    return (x - x.mean()) * np.float32(factor) + x.mean()


def noise(x: Values, rng: Generator, sigma: float) -> Values:
    """Normal, in the stored values, each channel its own."""
    return x + rng.normal(0, sigma, x.shape).astype(np.float32)


def noise_in_light(x: Values, rng: Generator, sigma: float) -> Values:
    """Normal, in light by the curve of 2.2: more of it in the shadows."""
    light = np.clip(x, 0, 1) ** 2.2 + rng.normal(0, sigma, x.shape)
    return (np.clip(light, 0, 1) ** (1 / 2.2)).astype(np.float32)


def stripes(x: Values, rng: Generator, sigma: float) -> Values:
    """An offset for each column."""
    offsets = rng.normal(0, sigma, x.shape[1]).astype(np.float32)
    return x + (offsets if x.ndim == 2 else offsets[:, None])


def resolution(x: Values, factor: float) -> Values:
    """Down by averaging areas, and up again by cubic interpolation."""
    height, width = x.shape[:2]
    small = cv2.resize(x, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def jpeg(x: Values, quality: int) -> Values:
    coded = cv2.imencode(".jpg", _swapped(_bytes(x)), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return _values(_swapped(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)))


PLAIN: tuple[Callable[..., Values], ...] = (
    *(haze, gaussian_blur, box_blur, motion, gamma),
    *(gain, contrast, resolution, jpeg),
)
DRAWN: tuple[Callable[..., Values], ...] = (rain, snow, noise, noise_in_light, stripes)
TEXTBOOK = {function.__name__: function for function in (*PLAIN, *DRAWN)}
"""Of (values, settings), those of DRAWN of (values, generator, settings); the result may pass 0 and 1 a little."""


def _textbook(x: Values, step: Step) -> Values:
    function = TEXTBOOK[step["effect"]]
    drawn = (default_rng(step["seed"]),) if function in DRAWN else ()
    return function(x, *drawn, **step["settings"])


def _imgaug(image: Any, step: Step) -> Any:
    import imgaug.augmenters as iaa  # noqa: TID251 (who calls has mended it)

    settings, seed = step["settings"], step["seed"]
    if step["effect"] == "DownUp":
        small = iaa.Resize(settings["scale"], interpolation="area", seed=seed)
        effect = iaa.KeepSizeByResize(small, interpolation=settings["up"], seed=seed + 1)
    elif step["effect"] == "Columns":  # a grid of one row, each cell with a share of its own
        children = [iaa.Add(sign * settings["most"], seed=seed + at) for at, sign in enumerate((1, -1))]
        grid = {"nb_rows": 1, "nb_cols": settings["columns"], "alpha": [0.0, 0.25, 0.5, 0.75, 1.0], "seed": seed + 2}
        effect = iaa.BlendAlphaRegularGrid(foreground=children[0], background=children[1], **grid)
    else:
        effect = getattr(iaa, step["effect"])(**settings, seed=seed)
    return effect(image=image)


def _albumentations(image: Any, step: Step) -> Any:
    import albumentations

    settings = {key: tuple(v) if isinstance(v, list) else v for key, v in step["settings"].items()}
    effect = getattr(albumentations, step["effect"])(**settings, p=1)
    effect.set_random_seed(step["seed"])
    return effect(image=image)["image"]


def _imagecorruptions(image: Any, step: Step) -> Any:
    if not hasattr(np, "float_"):
        np.float_ = np.float64  # noqa: NPY201 (its fog was written for numpy 1)
    import imagecorruptions

    np.random.seed(step["seed"])  # noqa: NPY002 (it draws from the global state)
    return imagecorruptions.corrupt(image, corruption_name=step["effect"], severity=step["settings"]["severity"])


LIBRARIES: dict[str, Callable[[Any, Step], Any]] = {
    "imgaug": _imgaug,
    "albumentations": _albumentations,
    "imagecorruptions": _imagecorruptions,
}
"""Of ((H, W, 3) bytes, step)."""


def damaged(image: Any, code: str, curve: float, steps: Sequence[Step]) -> Any:
    """An image, (H, W) or (H, W, 3) bytes, RGB, after all steps; the same shape.

    curve: of the camera; weather, blur and exposure see the picture's values to this power (1: the stored values, 2.2:
    light, below 1: flat as in a logarithmic profile), noise and codec see the stored values. Weather is no brighter
    than the picture's bright parts, so that fog in a dark exposure does not glow; lamps beyond that stay.
    """
    x = _values(image)
    for step in steps:
        in_light = step["kind"] in LIGHT
        seen = np.clip(x, 0, 1) ** np.float32(curve) if in_light and curve != 1 else x
        share, least = WEATHER.get(step["kind"], (100, 1.0))
        white = max(float(np.percentile(seen, share)), least)
        seen, beyond = np.clip(seen / white, 0, 1), np.maximum(seen / white - 1, 0)
        seen = _textbook(seen, step) if code == "textbook" else _by_library(seen, LIBRARIES[code], step)
        seen = (seen + beyond) * np.float32(white)
        x = np.clip(seen, 0, 1) ** np.float32(1 / curve) if in_light and curve != 1 else seen
    return _bytes(x)


def _by_library(x: Values, effect: Callable[[Any, Step], Any], step: Step) -> Values:
    """These take bytes and want three channels: a grey image gets them, and loses them again."""
    image = _bytes(x)
    if image.ndim == 3:
        return _values(effect(image, step))
    return _values(effect(np.dstack([image] * 3), step)[:, :, 0])


def _bytes(x: Values) -> Any:
    return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)


def _values(image: Any) -> Values:
    return image.astype(np.float32) / 255


def _swapped(image: Any) -> Any:
    """RGB to BGR and back."""
    return image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1])


def run(items: Sequence[Mapping[str, Any]]) -> None:
    """Read, damage and write each item."""
    cv2.setNumThreads(1)
    for item in items:
        image = _swapped(cv2.imread(item["source"], cv2.IMREAD_UNCHANGED))
        cv2.imwrite(item["out"], _swapped(damaged(image, item["code"], item["curve"], item["steps"])))


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
