"""JPEG compression."""

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.random import Generator

from synth.codecs import SUBSAMPLING, decode_jpeg, encode_jpeg
from synth.degradations.base import Degradation, Quantity, Stage
from synth.pixels import Bytes
from synth.scene import View

BEST, WORST = 95, 10  # quality just above severity 0, and at severity 1
BEND = 0.5  # of the severity: quality hardly shows above 60


@dataclass(frozen=True)
class JpegParams:
    """quality: as in libjpeg, 1 to 100, None where the codec is passed by. subsampling: 420, 422 or 444."""

    quality: int | None
    subsampling: str


class Jpeg(Degradation[JpegParams]):
    """The image encoded and decoded again by libjpeg-turbo (ITU-T T.81, quality as in libjpeg)."""

    name = "jpeg"
    stage = Stage.CODEC
    order = 9
    quantities = {
        "quality": Quantity(1, 100, "libjpeg quality", strength=True),
        "subsampling": Quantity(420, 444, "chroma", choices=(420, 422, 444)),
    }

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> JpegParams:
        drawn = SUBSAMPLING[int(rng.integers(len(SUBSAMPLING)))]
        subsampling = str(int(fixed["subsampling"])) if "subsampling" in fixed else drawn
        if severity is None:
            return JpegParams(round(fixed["quality"]), subsampling)
        if severity == 0:
            return JpegParams(None, subsampling)
        return JpegParams(round(BEST + (WORST - BEST) * severity**BEND), subsampling)

    def apply(self, image: Bytes, params: JpegParams, view: View) -> Bytes:
        if params.quality is None:
            return image.copy()
        return decode_jpeg(encode_jpeg(image, params.quality, params.subsampling))
