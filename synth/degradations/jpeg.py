"""JPEG compression, once or twice."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from synth.degradations.base import Degradation, Quantity, Stage
from synth.images.codecs import SUBSAMPLING, decode_jpeg, encode_jpeg
from synth.images.pixels import Bytes
from synth.scene.scene import View

BEST, WORST = 95, 10  # quality just above severity 0, and at severity 1
BEND = 0.5  # of the severity: quality hardly shows above 60
TWICE_CHANCE = 0.3  # how many pictures of the web were compressed before
FINER = (0.15, 0.7)  # steps of quantisation of the first compression, as a share of the last one's
ALIGNED_CHANCE = 0.5  # saved again as it was; else cropped in between
BLOCK = 8  # pixels: the grid of JPEG


@dataclass(frozen=True)
class JpegParams:
    """quality: as in libjpeg, 1 to 100, None where the codec is passed by. subsampling: 420, 422 or 444.
    times: 1 or 2. finer: the first one's steps of quantisation as a share of the last one's, 1 where there is but one.
    shift: pixels (x, y) by which the first one's grid of blocks lies off.
    """

    quality: int | None
    subsampling: str
    times: int = 1
    finer: float = 1.0
    shift: tuple[int, int] = (0, 0)


class Jpeg(Degradation[JpegParams]):
    """The image encoded and decoded again by libjpeg-turbo (ITU-T T.81, quality as in libjpeg).

    Twice, as a picture that was saved, cropped and saved again: the first time finer, on a grid of blocks that lies
    elsewhere where the picture was cropped in between.
    """

    name = "jpeg"
    title = "JPEG"
    stage = Stage.CODEC
    version = 3  # the pixels of 2; a recipe of `encoding: png` no longer stores its file
    order = 9
    quantities = {
        "quality": Quantity(1, 100, "libjpeg quality", strength=True, words="quality {number}"),
        "subsampling": Quantity(420, 444, "chroma", choices=(420, 422, 444), words=None),
        "times": Quantity(1, 2, "compressions", choices=(1, 2), neutral=1, words="saved twice"),
    }

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> JpegParams:
        drawn = SUBSAMPLING[int(rng.integers(len(SUBSAMPLING)))]
        subsampling = str(int(fixed["subsampling"])) if "subsampling" in fixed else drawn
        times = int(fixed.get("times", 2 if rng.random() < TWICE_CHANCE else 1))
        finer, aligned, (x, y) = rng.uniform(*FINER), rng.random() < ALIGNED_CHANCE, rng.integers(0, BLOCK, 2)
        before = (finer, (0, 0) if aligned else (int(x), int(y))) if times == 2 else (1.0, (0, 0))
        if severity is None:
            quality: int | None = round(fixed["quality"])
        else:
            quality = round(BEST + (WORST - BEST) * severity**BEND) if severity else None
        return JpegParams(quality, subsampling, times, *before)

    def apply(self, image: Bytes, params: JpegParams, view: View) -> Bytes:
        data = self.file(image, params, view)
        return image.copy() if data is None else decode_jpeg(data)

    def file(self, image: Bytes, params: JpegParams, view: View) -> bytes | None:
        if params.quality is None:
            return None
        if params.times == 2:
            x, y = params.shift
            height, width = image.shape[:2]
            larger = cv2.copyMakeBorder(image, y, 0, x, 0, cv2.BORDER_REFLECT_101) if x or y else image
            first = decode_jpeg(encode_jpeg(larger, finer_quality(params.quality, params.finer), params.subsampling))
            image = np.ascontiguousarray(first[y : y + height, x : x + width])
        return encode_jpeg(image, params.quality, params.subsampling)


def finer_quality(quality: int, share: float) -> int:
    """The quality at which libjpeg's steps of quantisation are that share of those at `quality`.

    libjpeg scales its tables by 5000 / q percent below a quality of 50 and by 200 - 2q above.
    """
    percent = share * (5000 / quality if quality < 50 else 200 - 2 * quality)
    return round(5000 / percent if percent > 100 else 100 - percent / 2)
