"""albumentations and imagecorruptions, each effect timed or drawn: runs in an environment of their own (`make peers`).

`python peers.py time SIZES` prints megapixels a second as JSON; `python peers.py draw IN OUT` writes PNG files. Their
licences: albumentations 2.0.8 MIT, imagecorruptions Apache-2.0. Nothing of this project is imported here.
"""

import json
import sys
import warnings
from pathlib import Path

import albumentations as alb
import cv2
import imagecorruptions
import numpy as np
from timing import rate  # beside this file

warnings.filterwarnings("ignore")


def albumentations_effects() -> dict[str, alb.BasicTransform]:
    """By our names; each with the library's default strength."""
    return {
        "haze": alb.RandomFog(p=1),
        "rain": alb.RandomRain(p=1),
        "snow": alb.RandomSnow(p=1),
        "motion": alb.MotionBlur(blur_limit=(15, 15), p=1),
        "defocus": alb.Defocus(radius=(5, 5), p=1),
        "blur": alb.GaussianBlur(sigma_limit=(3, 3), p=1),
        "noise": alb.GaussNoise(p=1),
        "sensor_noise": alb.ShotNoise(p=1),
        "exposure": alb.RandomBrightnessContrast(contrast_limit=0, p=1),
        "contrast": alb.RandomBrightnessContrast(brightness_limit=0, p=1),
        "resolution": alb.Downscale(scale_range=(0.5, 0.5), p=1),
        "jpeg": alb.ImageCompression(quality_range=(40, 40), p=1),
    }


CORRUPTIONS = {
    "snow": "snow",
    "motion": "motion_blur",
    "defocus": "defocus_blur",
    "noise": "gaussian_noise",
    "sensor_noise": "shot_noise",
    "contrast": "contrast",
    "resolution": "pixelate",
    "jpeg": "jpeg_compression",
}


def measure(sizes: list[tuple[int, int]]) -> dict[str, dict[str, dict[str, float]]]:
    """library → effect → "WxH" → MP/s, on one thread."""
    cv2.setNumThreads(1)
    found: dict[str, dict[str, dict[str, float]]] = {"albumentations": {}, "imagecorruptions": {}}
    for width, height in sizes:
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = cv2.GaussianBlur(image, (0, 0), 3)
        key, pixels = f"{width}x{height}", width * height
        for name, effect in albumentations_effects().items():
            found["albumentations"].setdefault(name, {})[key] = rate(lambda e=effect, x=image: e(image=x), pixels)
        for name, corruption in CORRUPTIONS.items():
            found["imagecorruptions"].setdefault(name, {})[key] = rate(
                lambda c=corruption, x=image: imagecorruptions.corrupt(x, corruption_name=c, severity=3), pixels
            )
    return found


def draw(source: Path, folder: Path) -> None:
    """The weather of albumentations on one picture, as `albumentations-EFFECT.png`."""
    image = cv2.cvtColor(cv2.imread(str(source)), cv2.COLOR_BGR2RGB)
    for name in ("haze", "rain", "snow"):
        effect = albumentations_effects()[name]
        effect.set_random_seed(7)
        out = effect(image=image)["image"]
        cv2.imwrite(str(folder / f"albumentations-{name}.png"), cv2.cvtColor(out, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    if sys.argv[1] == "time":
        print(json.dumps(measure([tuple(map(int, size.split("x"))) for size in sys.argv[2:]])))
    else:
        draw(Path(sys.argv[2]), Path(sys.argv[3]))
