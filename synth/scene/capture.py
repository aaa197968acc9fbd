"""How the images of a pair were taken: all that a scene must know of the pair's task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

ImageName: TypeAlias = Literal["a", "b"]
Modality: TypeAlias = str
Focus: TypeAlias = Literal["near", "far", "everywhere"]

IMAGES: tuple[ImageName, ...] = get_args(ImageName)
"""The names that images of a pair have (shards/FORMAT.md), in order."""
INFRARED: Modality = "infrared"
FUSED: Modality = "fused"


@dataclass(frozen=True)
class Capture:
    """The shots of a pair.

    modalities: what each image is of, by its name, in order (visible, infrared, under, …). simultaneous: they are one
    shot, so that rain and snow stand in the same places in all of them. bracketed: their exposures differ, so that one
    may know what another clipped. focus: of images in which a wide aperture shows by what it blurs, at which end of the
    scene they are sharp; empty for other lenses.
    """

    modalities: Mapping[ImageName, Modality]
    simultaneous: bool
    bracketed: bool = False
    focus: Mapping[ImageName, Focus] = field(default_factory=dict)

    def is_infrared(self, name: ImageName) -> bool:
        return self.modalities[name] == INFRARED

    @property
    def guide(self) -> ImageName:
        """The image that tells of the scene's light and depth where one is enough: the first that is not infrared."""
        seen = [name for name in self.modalities if not self.is_infrared(name)]
        return (seen or list(self.modalities))[0]

    @property
    def near_and_far(self) -> tuple[ImageName, ImageName] | None:
        """The shots focused on either end of the scene, of a pair that has both: together they tell what is near."""
        ends = {focus: name for name, focus in self.focus.items()}
        return (ends["near"], ends["far"]) if {"near", "far"} <= set(ends) else None

    @property
    def of_fusion(self) -> "Capture":
        """The same scene in one fused picture that stands for each image: one exposure, all sharp, and no infrared."""
        focus: Mapping[ImageName, Focus] = dict.fromkeys(self.focus, "everywhere")
        return Capture(dict.fromkeys(self.modalities, FUSED), self.simultaneous, focus=focus)
