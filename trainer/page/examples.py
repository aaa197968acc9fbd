"""Pairs to begin with, made of photographs that scikit-image brings, by a few lines of arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.images import Image, write_image

SIDE = 480
"""Pixels of the longer side at most: a picture takes two seconds or so on a CPU."""
Light = NDArray[np.float32]
"""(H, W, 3), linear, 1 is white."""


class Example(NamedTuple):
    """Two files of one scene, and sentences to try on them, the first of which is asked to begin with."""

    name: str
    files: tuple[Path, Path]
    sentences: tuple[str, ...]


def make_examples(folder: Path) -> list[Example]:
    """Writes the pairs as PNG files, each into a folder of its own below `folder`."""
    made = []
    for name, (make, names, sentences) in EXAMPLES.items():
        files = [folder / name.lower().replace(" ", "-") / f"{file}.png" for file in names]
        for path, picture in zip(files, make(), strict=True):
            write_image(path, picture)
        made.append(Example(name, (files[0], files[1]), sentences))
    return made


def clean_pair(folder: Path) -> tuple[Path, Path]:
    """Two exposures of a launch site without damage, for what damages them."""
    light = _light(_photograph("rocket"))
    files = folder / "under-exposed.png", folder / "over-exposed.png"
    for path, gain in zip(files, (0.35, 2.2), strict=True):
        write_image(path, _image(light * gain))
    return files


def _photograph(name: str) -> Image:
    from skimage import data

    image = getattr(data, name)()
    image = np.asarray(image[0] if isinstance(image, tuple) else image)
    scale = SIDE / max(image.shape[:2])
    height, width = (round(side * scale) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _hazy_bracket() -> tuple[Image, Image]:
    """A launch site in haze that thickens with the distance, here the height in the picture, and two exposures."""
    light = _light(_photograph("rocket"))
    through = np.exp(np.linspace(-1.15, -0.35, light.shape[0], dtype=np.float32))[:, None, None]
    hazy = light * through + 0.5 * (1 - through)  # Koschmieder
    return _image(hazy * 0.35), _image(hazy * 2.2)


def _noisy_focus() -> tuple[Image, Image]:
    """A cup and what is around it, each sharp in one picture, in the noise of a small sensor."""
    light = _light(_photograph("coffee"))
    height, width = light.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot((x / width - 0.5) / 0.34, (y / height - 0.48) / 0.42)
    near = cv2.GaussianBlur((away < 1).astype(np.float32), (0, 0), 4)[:, :, None]
    soft = cv2.GaussianBlur(light, (0, 0), 3.5)
    noise = np.random.default_rng(1)
    pictures = [near * light + (1 - near) * soft, near * soft + (1 - near) * light]
    first, second = (_image(picture) + noise.normal(0, 14, light.shape) for picture in pictures)
    return _bytes(first), _bytes(second)


def _dark_and_warm() -> tuple[Image, Image]:
    """A cat at night, and a thermal picture that is made up: warm is what is light and reddish."""
    photograph = _photograph("chelsea")
    light = _light(photograph)
    dark = _image(light * 0.12) + np.random.default_rng(2).normal(0, 6, light.shape)
    red, green, blue = cv2.split(light)
    warm = cv2.GaussianBlur(1.4 * red - 0.5 * blue + 0.1 * green, (0, 0), 1.2)
    low, high = np.percentile(warm, (1, 99))
    thermal = cv2.cvtColor(_bytes(255 * (warm - low) / (high - low)), cv2.COLOR_GRAY2RGB)
    return _bytes(dark), thermal


EXAMPLES: dict[str, tuple[Callable[[], tuple[Image, Image]], tuple[str, str], tuple[str, ...]]] = {
    "Two exposures in haze": (
        _hazy_bracket,
        ("under-exposed", "over-exposed"),
        (
            "remove the haze and fuse the images",
            "keep the haze and fuse the images",
            "fuse the two images",
        ),
    ),
    "Two focus planes with noise": (
        _noisy_focus,
        ("near", "far"),
        (
            "remove the noise and fuse the images",
            "keep the noise and fuse the images",
            "fuse the two images",
        ),
    ),
    "Visible by night and infrared": (
        _dark_and_warm,
        ("visible", "synthetic-infrared"),
        (
            "remove the darkness in the first image and fuse the images",
            "remove the noise in the first image and fuse the images",
            "fuse the two images",
        ),
    ),
}
"""By name: what makes the pair, what its files are called, and sentences."""


def _light(image: Image) -> Light:
    return np.asarray((image / np.float32(255)) ** 2.2, np.float32)


def _image(light: NDArray[np.floating]) -> Image:
    return _bytes(255 * np.clip(light, 0, 1) ** (1 / 2.2))


def _bytes(values: NDArray[np.floating]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
