"""A clean pair in front of its scene: the one way through the effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from synth.degradations.engine import Applied, Change, Damaged, EffectSpec, damage_into_file, damage_with, draw
from synth.images.borders import Mask, beneath, without_padding
from synth.images.pixels import Bytes, Floats
from synth.scene.backdrop import Backdrop, light_of
from synth.scene.capture import Capture, ImageName
from synth.scene.land import look
from synth.scene.light import unclip
from synth.scene.scene import Distances, Scene, View, draw_scene
from synth.streams import Streams


@dataclass(frozen=True, eq=False)
class Shot:
    """What samples, kept targets, `degrade` and `synth render` let effects fall on.

    pictures: the clean pair by name, (H, W) or (H, W, 3) of one size. streams: by which effects are drawn. contents:
    which pixels a camera saw, (H, W), of the images that have padding.
    """

    capture: Capture
    pictures: Mapping[ImageName, Bytes]
    scene: Scene
    streams: Streams
    contents: Mapping[ImageName, Mask] = field(default_factory=dict)

    @classmethod
    def of_whole(cls, backdrop: Backdrop, streams: Streams) -> "Shot":
        """A whole pair, not a window of it, before a scene that is drawn for it."""
        width = backdrop.size[1]
        distances = Distances(backdrop.whole, backdrop.depth_kind, backdrop.horizon)
        scene = draw_scene(backdrop.capture, streams, width, distances, backdrop.light)
        return cls(backdrop.capture, backdrop.pictures, scene, streams, backdrop.contents)

    @cached_property
    def views(self) -> dict[ImageName, View]:
        """How each image sees the scene."""
        seen, modalities = self.contents, self.capture.modalities
        return {
            name: View(self.scene, name, modalities[name], clean.shape[:2], clean.ndim == 3, clean, seen.get(name))
            for name, clean in self._bare.items()
        }

    @cached_property
    def _bare(self) -> Mapping[ImageName, Bytes]:
        """The pictures as they were before padding was laid over them."""
        return without_padding(self.pictures, self.contents)

    def draw(self, specs: Sequence[EffectSpec], factors: Mapping[str, float] | None = None) -> list[Applied]:
        """Draw a list of effects; one that is listed twice falls twice, with draws of its own.

        factors: what is left of the strength of some, by the names that instructions have for them.
        """
        turns: dict[str, int] = {}
        applied: list[Applied] = []
        for spec in specs:
            turns[spec.label] = turn = turns.get(spec.label, -1) + 1
            applied += draw(spec, self.views, self.streams, turn, (factors or {}).get(spec.degradation.said_as, 1.0))
        return applied

    def damage(self, applied: Sequence[Applied]) -> dict[ImageName, Damaged]:
        """Every image with what was drawn for it, in the order given."""
        return {
            name: damage_into_file(picture, applied, self.views[name], self._unclipped(name))
            for name, picture in self.pictures.items()
        }

    def damage_with(self, applied: Sequence[Applied], least: Change) -> tuple[dict[ImageName, Damaged], list[Applied]]:
        """The same by those effects alone that change an image by so much, and which these are, in the order given."""
        images: dict[ImageName, Damaged] = {}
        fell: list[Applied] = []
        for name, picture in self.pictures.items():
            images[name], there = damage_with(picture, applied, self.views[name], self._unclipped(name), least)
            fell += there
        kept = {id(item) for item in fell}
        return images, [item for item in applied if id(item) in kept]

    def _unclipped(self, name: ImageName) -> partial[Floats] | None:
        """What makes an image of a bracket in linear light, its clipped pixels refilled from the other."""
        if not self.capture.bracketed:
            return None
        other = next(there for there in self.pictures if there != name)
        gain = self.scene.gain
        shots = (self._bare[name], self._bare[other], gain[name], gain[other])
        return partial(unclip, *shots, self.scene.curve)

    def of_fusion(self, fused: Bytes) -> "Shot":
        """The same scene and streams before a fusion of the pair: with its own light, one exposure and no infrared."""
        capture, scene = self.capture.of_fusion, self.scene
        pictures = dict.fromkeys(self.pictures, fused)
        contents: dict[ImageName, Mask] = {}
        if len(self.contents) == len(self.pictures):  # else no place is padding in all of them
            seen: Mask = np.logical_or.reduce(list(self.contents.values()))
            contents = dict.fromkeys(self.pictures, seen)

        def depth() -> Floats:
            return scene.depth / np.float32(scene.depth_range_m)

        bare = beneath(fused, next(iter(contents.values()))) if contents else fused
        distances = Distances(depth, scene.depth_kind, scene.horizon)
        light = light_of(capture, dict.fromkeys(self.pictures, bare), look(bare), scene.curve)
        light = replace(light, night=scene.night)
        return Shot(
            capture,
            pictures,
            draw_scene(capture, self.streams, fused.shape[1], distances, light),
            self.streams,
            contents,
        )
