"""What a whole pair tells of its scene before any crop: its light and its depth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2

from synth.images.borders import Mask, content, without_padding
from synth.images.curves import SRGB, as_srgb
from synth.images.exposure_fusion import mertens
from synth.images.pixels import Bytes, Floats, shrink
from synth.scene.capture import Capture, ImageName
from synth.scene.depth import WORKED_AT, coarse_proxy, distance_share, from_focus
from synth.scene.depth_network import depth_of
from synth.scene.land import LEVEL, Land, look
from synth.scene.light import measure
from synth.scene.scene import DepthKind, Light


def light_of(capture: Capture, pictures: Mapping[ImageName, Bytes], land: Land, curve: str) -> Light:
    """The light of pictures that a camera of some curve took."""
    seen = {name: as_srgb(picture, curve) for name, picture in pictures.items()}
    return replace(measure(capture, seen, land), curve=curve)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """Each thing found out when it is asked for. Padding tells of no scene: content is mirrored over it first.

    pictures: the clean pair. given: (H, W) float32, the distance as a share of the farthest, where a map stands beside
    it, and given_kind what that map held. network: of the user's own, with what its values stand for. curve: of the
    camera, by which light is measured.
    """

    capture: Capture
    pictures: Mapping[ImageName, Bytes]
    given: Floats | None = None
    given_kind: DepthKind = "distance"
    network: tuple[Path, DepthKind] | None = None
    curve: str = SRGB

    @property
    def depth_kind(self) -> DepthKind:
        if self.given is not None:
            return self.given_kind
        return "proxy" if self.network is None else "network"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.pictures["a"].shape[:2]
        return height, width

    @cached_property
    def contents(self) -> Mapping[ImageName, Mask]:
        """Which pixels a camera saw, (H, W), of the images that have padding."""
        found = {name: content(picture) for name, picture in self.pictures.items()}
        return {name: seen for name, seen in found.items() if not seen.all()}

    @cached_property
    def _bare(self) -> Mapping[ImageName, Bytes]:
        """The pictures, without padding."""
        return without_padding(self.pictures, self.contents)

    @cached_property
    def _small(self) -> Mapping[ImageName, Bytes]:
        """The pictures that tell of the scene at a low resolution: both of a bracket, else one for all."""
        if self.capture.bracketed:
            return {name: shrink(picture, WORKED_AT) for name, picture in self._bare.items()}
        return dict.fromkeys(self.pictures, shrink(self._bare[self.capture.guide], WORKED_AT))

    @cached_property
    def land(self) -> Land:
        """Sky and ground."""
        return look(self._seen(self._small))

    @property
    def horizon(self) -> float:
        """As a share of the height from the top; that of a level camera where nothing tells."""
        return LEVEL if self.land.horizon is None else self.land.horizon

    @cached_property
    def light(self) -> Light:
        return light_of(self.capture, self._small, self.land, self.curve)

    @cached_property
    def depth(self) -> Floats:
        """The distance as a share of the farthest, float32, over the whole picture in any resolution."""
        if self.given is not None:
            return self.given
        if self.network is None:
            if self.capture.near_and_far is not None:
                return from_focus(*(self._bare[name] for name in self.capture.near_and_far))
            return coarse_proxy(self._seen(self._small), self.land)
        path, kind = self.network
        return distance_share(depth_of(self._seen(self._bare), path), kind)

    def _seen(self, pictures: Mapping[ImageName, Bytes]) -> Bytes:
        """The scene in one picture."""
        return mertens(*pictures.values()) if self.capture.bracketed else pictures[self.capture.guide]

    def whole(self) -> Floats:
        """The depth in the size of the picture, (H, W)."""
        height, width = self.size
        return cv2.resize(self.depth, (width, height), interpolation=cv2.INTER_LINEAR)
