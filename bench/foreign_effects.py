"""What the codes of bench/foreign.py can do, and how strong it is drawn: their effects by our names, with settings.

Strengths are for pictures of 320 px, and such that a person would still call the result a photograph.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
from numpy.random import Generator

KINDS = (
    *("haze", "rain", "snow", "blur", "motion", "dark", "bright", "noise", "stripes"),
    *("contrast", "resolution", "jpeg"),
)
"""In the order in which they fall."""
UP = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)

FOG = {
    **{"intensity_mean": 235, "intensity_freq_exponent": -1.8, "intensity_coarse_scale": 2},
    **{"alpha_multiplier": 0.3, "alpha_size_px_max": 6, "alpha_freq_exponent": -3.0},
    **{"sparsity": 0.9, "density_multiplier": 0.7},
}
"""imgaug's own Fog but for its alpha_min, which hides all that is behind it."""

Draw: TypeAlias = Callable[[Generator], dict[str, Any]]


def _number(name: str, low: float, high: float) -> Draw:
    return lambda rng: {name: _between(rng, low, high)}


def _severity(most: int) -> Draw:
    return lambda rng: {"severity": int(rng.integers(1, most + 1))}


def _between(rng: Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


def _whole(rng: Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def _twice(value: float) -> list[float]:
    return [value, value]


EFFECTS: dict[str, dict[str, tuple[tuple[str, Draw], ...]]] = {
    "imgaug": {
        "haze": (("CloudLayer", lambda r: FOG | {"alpha_min": _between(r, 0.25, 0.6)}),),
        "rain": (
            (
                "Rain",
                lambda r: {"nb_iterations": 2, "drop_size": _between(r, 0.01, 0.02), "speed": _between(r, 0.1, 0.2)},
            ),
        ),
        "snow": (
            (
                "Snowflakes",
                lambda r: {
                    "density": _between(r, 0.02, 0.07),
                    "density_uniformity": _between(r, 0.4, 0.8),
                    "flake_size": _between(r, 0.3, 0.6),
                    "angle": _between(r, -30, 30),
                    "speed": _between(r, 0.01, 0.03),
                },
            ),
        ),
        "blur": (("GaussianBlur", _number("sigma", 1.2, 2.6)), ("AverageBlur", lambda r: {"k": _whole(r, 3, 6)})),
        "motion": (
            ("MotionBlur", lambda r: {"k": 2 * _whole(r, 3, 7) + 1, "angle": _between(r, 0, 360), "direction": 0.0}),
        ),
        "dark": (("GammaContrast", _number("gamma", 1.6, 2.6)), ("MultiplyBrightness", _number("mul", 0.3, 0.55))),
        "bright": (("GammaContrast", _number("gamma", 0.4, 0.65)), ("MultiplyBrightness", _number("mul", 1.4, 1.9))),
        "contrast": (("LinearContrast", _number("alpha", 0.35, 0.65)),),
        "noise": (
            ("AdditiveGaussianNoise", lambda r: {"scale": _between(r, 10, 28), "per_channel": True}),
            ("AdditiveLaplaceNoise", lambda r: {"scale": _between(r, 8, 18), "per_channel": True}),
        ),
        "stripes": (("Columns", lambda r: {"most": _whole(r, 8, 20), "columns": _whole(r, 60, 160)}),),
        "resolution": (
            ("DownUp", lambda r: {"scale": _between(r, 0.33, 0.6), "up": str(r.choice(["linear", "cubic"]))}),
        ),
        "jpeg": (("JpegCompression", lambda r: {"compression": _whole(r, 72, 92)}),),
    },
    "albumentations": {
        # RandomFog and RandomSnow are left out: the one blurs and paints discs, the other turns hues
        "rain": (
            (
                "RandomRain",
                lambda r: {
                    "slant_range": _twice(_between(r, -12, 12)),
                    "drop_length": _whole(r, 14, 30),
                    "drop_color": [(grey := _whole(r, 130, 190)), grey, grey],
                    "rain_type": str(r.choice(["drizzle", "default"])),
                    "blur_value": 3,
                    "brightness_coefficient": _between(r, 0.8, 1),
                },
            ),
        ),
        "blur": (
            ("GaussianBlur", lambda r: {"sigma_limit": _twice(_between(r, 1.2, 2.6))}),
            ("Defocus", lambda _: {"radius": [2, 4]}),
        ),
        "motion": (("MotionBlur", lambda r: {"blur_limit": _twice(2 * _whole(r, 3, 7) + 1)}),),
        "dark": (("RandomGamma", lambda r: {"gamma_limit": _twice(_between(r, 160, 260))}),),
        "bright": (
            (
                "RandomBrightnessContrast",
                lambda r: {"brightness_limit": _twice(_between(r, 0.2, 0.4)), "contrast_limit": [0, 0]},
            ),
        ),
        "contrast": (
            (
                "RandomBrightnessContrast",
                lambda r: {  # its contrast is about black: brightness brings the middle back
                    "brightness_limit": _twice(-(limit := _between(r, -0.65, -0.35)) / 2),
                    "contrast_limit": _twice(limit),
                },
            ),
        ),
        "noise": (
            ("GaussNoise", lambda r: {"std_range": _twice(_between(r, 0.04, 0.12))}),
            ("ShotNoise", lambda r: {"scale_range": _twice(_between(r, 0.01, 0.06))}),
        ),
        "resolution": (
            (
                "Downscale",
                lambda r: {
                    "scale_range": _twice(_between(r, 0.33, 0.6)),
                    "interpolation_pair": {"downscale": cv2.INTER_AREA, "upscale": int(r.choice(UP))},
                },
            ),
        ),
        "jpeg": (("ImageCompression", lambda r: {"quality_range": _twice(_whole(r, 12, 30))}),),
    },
    "imagecorruptions": {  # its severities are for pictures of 224 px that a classifier should fail on
        "haze": (("fog", _severity(1)),),
        "snow": (("snow", _severity(1)),),
        "blur": (("defocus_blur", _severity(1)),),
        "motion": (("motion_blur", _severity(1)),),
        "bright": (("brightness", _severity(2)),),
        "contrast": (("contrast", _severity(1)),),
        "noise": (("gaussian_noise", _severity(1)), ("shot_noise", _severity(1)), ("speckle_noise", _severity(1))),
        "resolution": (("pixelate", _severity(2)),),
        "jpeg": (("jpeg_compression", _severity(2)),),
    },
    "textbook": {
        "haze": (
            ("haze", lambda r: {"far": (t := _between(r, 0.35, 0.7)), "near": t, "light": _between(r, 0.75, 0.95)}),
            (
                "haze",
                lambda r: {
                    "far": _between(r, 0.15, 0.4),
                    "near": _between(r, 0.6, 0.9),
                    "light": _between(r, 0.75, 0.95),
                },
            ),
        ),
        "rain": (
            (
                "rain",
                lambda r: {
                    "count": _whole(r, 150, 500),
                    "length": _between(r, 10, 28),
                    "angle": _between(r, -25, 25),
                    "strength": _between(r, 0.3, 0.7),
                },
            ),
        ),
        "snow": (
            (
                "snow",
                lambda r: {
                    "count": _whole(r, 200, 900),
                    "radius": _between(r, 1.5, 3.5),
                    "strength": _between(r, 0.6, 0.95),
                },
            ),
        ),
        "blur": (("gaussian_blur", _number("sigma", 1.2, 2.6)), ("box_blur", lambda r: {"size": _whole(r, 3, 7)})),
        "motion": (("motion", lambda r: {"length": _whole(r, 7, 17), "angle": _between(r, 0, 180)}),),
        "dark": (("gamma", _number("power", 1.6, 2.6)), ("gain", _number("factor", 0.25, 0.5))),
        "bright": (("gamma", _number("power", 0.4, 0.65)), ("gain", _number("factor", 1.4, 1.9))),
        "noise": (("noise", _number("sigma", 0.04, 0.12)), ("noise_in_light", _number("sigma", 0.008, 0.03))),
        "stripes": (("stripes", _number("sigma", 0.02, 0.06)),),
        "contrast": (("contrast", _number("factor", 0.35, 0.65)),),
        "resolution": (("resolution", _number("factor", 2, 3.6)),),
        "jpeg": (("jpeg", lambda r: {"quality": _whole(r, 12, 30)}),),
    },
}
"""By code and kind: effects of that code, and how their settings are drawn."""
