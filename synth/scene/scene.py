"""What both images of a pair share, drawn once a sample, and how each image sees it."""

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NotRequired, TypeAlias, TypedDict

import numpy as np
from numpy.random import Generator

from synth.images.borders import Mask
from synth.images.curves import SRGB
from synth.images.pixels import Bytes, Floats, to_linear
from synth.scene.capture import INFRARED, Capture, Focus, ImageName, Modality
from synth.scene.land import LEVEL
from synth.streams import Streams, field_seed

DepthKind: TypeAlias = Literal["distance", "inverse", "proxy", "network", "flat"]
GainKind: TypeAlias = Literal["measured", "assumed", "equal"]

DEPTH_RANGE_M = (60.0, 600.0)  # how far the farthest thing of a picture may be
CLOSE_RANGE_M = (10.0, 60.0)  # and of one in which a lens shows what it is not focused on
FOCUS_PERCENTILE: dict[Focus, float] = {"near": 10, "far": 90}  # of distance, where a lens is focused
AIRLIGHT_SHARE = (0.75, 1.0)  # of the scene's white or its sky: fog is seldom brighter than what it is lit by
SKY_APART = 0.15  # of that range, where a sky is seen: at the horizon both are one
AIRLIGHT_COLOUR = 0.3  # how far haze takes the warmth of what is bright: most of it is the colour of things
TINT_SPREAD = 0.025  # of red against blue: from bluish mist to dust; most airlight is close to grey
WIND_SPREAD_M_S = 2.0
FOCAL_SHARE = (0.8, 1.6)  # focal length in widths: from wide (64°) to long (35°)
EXPOSURE_S = (1 / 500, 1 / 30)
SKY_FROM = 0.95  # of the farthest distance, from which on there is sky
LEAST_LAND = 0.05  # of a crop, by which a distance can be told
DIGITS = 6  # of what is measured in pictures


def steady(value: float) -> float:
    """A quantity that was measured in pictures, to six significant digits.

    The digits after these are the processor's: its vector units add in another order and round in another way.
    """
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True, eq=False)
class Scene:
    """The scene in front of both cameras. Radiance 1 is the white of the brighter image of the pair.

    depth_map: (H, W) float32, metres along the line of sight, the same for both images; or what makes it, asked for
        only where an effect looks at the depth.
    depth_kind: what the depth was made from: a map beside the pair (`distance`, `inverse`), a user's `network`, or the
        `proxy`; `flat`: everything is equally far, so that haze is an even veil.
    depth_range_m: the distance of the farthest point of the whole picture, which may lie outside the crop.
    airlight: radiance of the light scattered into the path, per channel (red, green, blue).
    wind: metres a second, to the right and away from the camera.
    focal_px: focal length in pixels of the crop: a thing of s metres at d metres covers focal_px · s / d pixels.
    exposure_s: how long the shutter is open, in seconds.
    simultaneous: both images are one shot, so that rain and snow stand in the same places in both.
    gain: relative exposure of each image in linear light, 1 for the brighter one.
    horizon: where a level ground would end, as a share of the crop's height from its top; it may lie outside.
    night: how far the scene is lit by lamps in it, in [0, 1].
    curve: of the camera that recorded it (synth/images/curves.py).
    focus: at which end of the scene an image is sharp, where its lens is known to focus.
    """

    depth_map: Floats | Callable[[], Floats]
    depth_kind: DepthKind
    depth_range_m: float
    airlight: tuple[float, float, float]
    wind: tuple[float, float]
    focal_px: float
    exposure_s: float
    simultaneous: bool
    gain: dict[ImageName, float]
    gain_kind: GainKind
    horizon: float = LEVEL
    night: float = 0.0
    curve: str = SRGB
    focus: Mapping[ImageName, Focus] = field(default_factory=dict)
    _made: dict[Hashable, Floats] = field(default_factory=dict, init=False, repr=False)

    def once(self, key: Hashable, make: Callable[[], Floats]) -> Floats:
        """A field that both images of one shot share, made for the first of them; it is not to be written to."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @cached_property
    def depth(self) -> Floats:
        """Metres along the line of sight, (H, W)."""
        return self.depth_map() if callable(self.depth_map) else self.depth_map

    @cached_property
    def far_m(self) -> float:
        """The 90th percentile of the crop's distances in metres, the sky left out: what the severity of haze, and the
        veils of rain and snow, count for."""
        return self._percentile(90)

    def focus_m(self, name: ImageName) -> float | None:
        """The distance at which an image is sharpest, in metres; None where no lens is known to focus on a part."""
        percentile = FOCUS_PERCENTILE.get(self.focus.get(name, "everywhere"))
        return None if percentile is None else self._percentile(percentile)

    def _percentile(self, percentile: float) -> float:
        """Of the distances without the sky, from every so many rows and columns."""
        step = max(1, min(self.depth.shape) // 64)
        some = self.depth[::step, ::step]
        land = some[some < SKY_FROM * self.depth_range_m]
        return float(np.percentile(land if land.size >= LEAST_LAND * some.size else some, percentile))


@dataclass(frozen=True, eq=False)
class View:
    """How one image sees the scene.

    size: (height, width) in pixels. colour: three channels, else one.
    clean: this image's clean crop, (H, W) or (H, W, 3). seen: which of its pixels the camera saw, (H, W), of an image
    with padding, under which `clean` goes on (synth/images/borders.py); None where that is all of them.
    """

    scene: Scene
    name: ImageName
    modality: Modality
    size: tuple[int, int]
    colour: bool
    clean: Bytes
    seen: Mask | None = None

    @cached_property
    def ambient(self) -> float:
        """The mean in linear light of what was seen in the clean crop; infrared fades toward it."""
        linear = to_linear(self.clean)
        return steady(float((linear if self.seen is None or not self.seen.any() else linear[self.seen]).mean()))

    @property
    def gain(self) -> float:
        return self.scene.gain[self.name]

    @property
    def infrared(self) -> bool:
        return self.modality == INFRARED

    @property
    def curve(self) -> str:
        """Between the light and the bytes of this image: the camera's; sRGB's of infrared, which has none."""
        return SRGB if self.infrared else self.scene.curve

    @property
    def focus_m(self) -> float | None:
        """The distance at which this image is sharpest, in metres."""
        return self.scene.focus_m(self.name)

    def field_seed(self, rng: Generator) -> int:
        """The seed of what falls through the scene: one for all images of one shot, else each image's own."""
        seeds = {name: field_seed(rng) for name in self.scene.gain}
        return next(iter(seeds.values())) if self.scene.simultaneous else seeds[self.name]


@dataclass(frozen=True)
class Light:
    """What is known of a whole picture's light before anything is drawn.

    white: of the scene's radiance (luma), what is lit by the whole sky, as the brighter image records it, so 1 at most:
        fog as bright as a sky far beyond its white would leave that image white all over, and a camera that meters the
        fog would not.
    p50: the median, likewise. sky: the mean of a sky that is seen, likewise. warmth: of the sky, or of what is bright
        but not clipped, the root of its red over its blue. night: how far the scene is lit by lamps in it, in [0, 1]:
        fog is then as dark as the scene's middle, and what glows are the lamps. curve: of the camera, by which all
        of it was measured.
    """

    white: float
    p50: float
    sky: float | None
    warmth: float
    night: float
    gain: dict[ImageName, float]
    gain_kind: GainKind
    curve: str = SRGB


@dataclass(frozen=True)
class Distances:
    """How far the things of a crop are.

    make: gives (H, W) float32, a share of the farthest in (0, 1]; asked for only where an effect looks at the depth.
    kind: what they were made from. horizon: as in the scene.
    """

    make: Callable[[], Floats]
    kind: DepthKind
    horizon: float = LEVEL


def draw_scene(capture: Capture, streams: Streams, width: int, distances: Distances, light: Light) -> Scene:
    """Draw the scene of a sample. width: of the crop in pixels."""
    depth_range = _log_uniform(streams("scene.depth"), CLOSE_RANGE_M if capture.focus else DEPTH_RANGE_M)
    rng = streams("scene.airlight")
    by_day = light.white if light.sky is None else light.sky
    share = rng.uniform(*AIRLIGHT_SHARE)
    if light.sky is not None:
        share = 1 - (1 - share) * SKY_APART
    level = share * by_day ** (1 - light.night) * light.p50**light.night
    tint = float(np.clip(rng.normal(0.0, TINT_SPREAD), -3 * TINT_SPREAD, 3 * TINT_SPREAD))
    warmth = light.warmth**AIRLIGHT_COLOUR
    wind = streams("scene.wind").normal(0.0, WIND_SPREAD_M_S, 2)
    camera = streams("scene.camera")
    return Scene(
        depth_map=lambda: distances.make() * np.float32(depth_range),
        depth_kind=distances.kind,
        depth_range_m=depth_range,
        airlight=(steady(level * warmth * (1 + tint)), steady(level), steady(level / warmth * (1 - tint))),
        wind=(float(wind[0]), float(wind[1])),
        focal_px=_log_uniform(camera, FOCAL_SHARE) * width,
        exposure_s=_log_uniform(camera, EXPOSURE_S),
        simultaneous=capture.simultaneous,
        gain={name: steady(gain) for name, gain in light.gain.items()},
        gain_kind=light.gain_kind,
        horizon=steady(distances.horizon),
        night=steady(light.night),
        curve=light.curve,
        focus=capture.focus,
    )


MEASURED = ("airlight", "night", "gain")
"""What of a scene's record follows from measures of pictures; all else of it is drawn or chosen."""


class SceneRecord(TypedDict):
    """The scene in the record (shards/FORMAT.md)."""

    depth: DepthKind
    depth_range_m: float
    airlight: list[float]
    wind: list[float]
    focal_px: float
    exposure_s: float
    simultaneous: bool
    night: float
    gain: dict[ImageName, float]
    gain_kind: GainKind
    curve: NotRequired[str]


def scene_record(scene: Scene) -> SceneRecord:
    """The scene in the record; its curve where it is not sRGB's."""
    record: SceneRecord = {
        "depth": scene.depth_kind,
        "depth_range_m": scene.depth_range_m,
        "airlight": list(scene.airlight),
        "wind": list(scene.wind),
        "focal_px": scene.focal_px,
        "exposure_s": scene.exposure_s,
        "simultaneous": scene.simultaneous,
        "night": scene.night,
        "gain": dict(scene.gain),
        "gain_kind": scene.gain_kind,
    }
    return record if scene.curve == SRGB else {**record, "curve": scene.curve}


def _log_uniform(rng: Generator, span: tuple[float, float]) -> float:
    return math.exp(rng.uniform(math.log(span[0]), math.log(span[1])))
