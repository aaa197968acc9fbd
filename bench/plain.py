"""A dataset made the way a plain script makes it: cv2, an augmentation library, webdataset's ShardWriter.

It gets the pairs, the windows and the names of the effects that our own samples have, and draws its own strengths.
`plain.py imgaug` and `plain.py albumentations` (in an environment of its own: make peers) are contenders of
bench/synth.py: the path of a job a line in, seconds out.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import webdataset

Augment = Callable[[Any], Any]  # an image (H, W, 3) uint8 to another

QUALITY = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


def run(job: Mapping[str, Any], augmenters: Mapping[str, Augment]) -> float:
    """Seconds for the samples of a job: two inputs and a text each, on one thread.

    job: size, encoding, and items of a, b (paths), window (x, y, side), flip, effects (by image, in order), text.
    """
    cv2.setNumThreads(1)
    size, as_png = job["size"], job["encoding"] == "png"
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with webdataset.ShardWriter(f"{folder}/%06d.tar", maxcount=256, verbose=0) as sink:
            for number, item in enumerate(job["items"]):
                sample = {"__key__": f"{number:09d}", "json": item["text"].encode()}
                x, y, side = item["window"]
                for name in ("a", "b"):
                    image = cv2.imread(item[name], cv2.IMREAD_UNCHANGED)[y : y + side, x : x + side]
                    image = cv2.resize(image, (size, size))
                    if item["flip"]:
                        image = cv2.flip(image, 1)
                    for effect in item["effects"][name]:
                        image = _applied(augmenters[effect], image)
                    kind, settings = ("png", []) if as_png else ("jpg", QUALITY)
                    sample[f"{name}.{kind}"] = cv2.imencode(f".{kind}", image, settings)[1].tobytes()
                sink.write(sample)
        return time.perf_counter() - start


def _applied(augment: Augment, image: Any) -> Any:
    """These libraries want three channels: a grey image gets them, and loses them again."""
    if image.ndim == 3:
        return augment(image)
    return cv2.cvtColor(augment(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)), cv2.COLOR_BGR2GRAY)


def imgaug_augmenters(iaa: Any) -> dict[str, Augment]:
    """By our names; strengths near those of all_in_one. Stripes have no counterpart: noise stands in."""
    known = {
        "haze": iaa.Fog(),
        "rain": iaa.Rain(),
        "snow": iaa.Snowflakes(),
        "motion": iaa.MotionBlur(k=(3, 15)),
        "defocus": iaa.GaussianBlur((0.3, 3.0)),
        "blur": iaa.GaussianBlur((0.3, 3.0)),
        "exposure": iaa.MultiplyBrightness((0.4, 1.6)),
        "contrast": iaa.LinearContrast((0.3, 1.7)),
        "noise": iaa.AdditiveGaussianNoise(scale=(5, 50), per_channel=True),
        "sensor_noise": iaa.AdditivePoissonNoise((5, 40), per_channel=True),
        "stripes": iaa.AdditiveGaussianNoise(scale=(2, 20)),
        "resolution": iaa.KeepSizeByResize(iaa.Resize((0.25, 1.0), interpolation="area"), interpolation="linear"),
        "jpeg": iaa.JpegCompression(compression=(10, 90)),
    }
    return {name: lambda image, augmenter=augmenter: augmenter(image=image) for name, augmenter in known.items()}


def albumentations_augmenters() -> dict[str, Augment]:
    """The same with albumentations 2.0.8, which is under the MIT licence."""
    import albumentations as alb

    known = {
        "haze": alb.RandomFog(p=1),
        "rain": alb.RandomRain(p=1),
        "snow": alb.RandomSnow(p=1),
        "motion": alb.MotionBlur(blur_limit=(3, 15), p=1),
        "defocus": alb.Defocus(radius=(1, 4), p=1),
        "blur": alb.GaussianBlur(sigma_limit=(0.3, 3.0), p=1),
        "exposure": alb.RandomBrightnessContrast(contrast_limit=0, p=1),
        "contrast": alb.RandomBrightnessContrast(brightness_limit=0, p=1),
        "noise": alb.GaussNoise(std_range=(0.02, 0.2), p=1),
        "sensor_noise": alb.ShotNoise(p=1),
        "stripes": alb.GaussNoise(std_range=(0.01, 0.08), p=1),
        "resolution": alb.Downscale(scale_range=(0.25, 0.9), p=1),
        "jpeg": alb.ImageCompression(quality_range=(10, 90), p=1),
    }
    return {name: lambda image, effect=effect: effect(image=image)["image"] for name, effect in known.items()}


def main() -> None:
    """Serve jobs with one of the two libraries."""
    if sys.argv[1] == "imgaug":
        from synth.degradations.imgaug_shim import load_imgaug

        load_imgaug()
        import imgaug.augmenters as iaa  # noqa: TID251

        augmenters = imgaug_augmenters(iaa)
    else:
        augmenters = albumentations_augmenters()
    for line in sys.stdin:
        print(run(json.loads(Path(line.strip()).read_text()), augmenters), flush=True)


if __name__ == "__main__":
    main()
