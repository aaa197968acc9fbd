"""The contract of a task: what the images of its pairs are, how they are fused, and what they are called.

A new task is a new file in this folder with one subclass of `Task`; it registers itself by its name. Nothing outside
this folder branches on a task's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from synth.errors import hint
from synth.images.exposure_fusion import mertens
from synth.images.pixels import Bytes, Floats
from synth.scene.capture import IMAGES, Capture, ImageName
from synth.targets.emphasis import Emphasis, Stressed
from synth.targets.gradient import Choices, Lumas, Pictures, Rules, clipped
from synth.targets.target import TargetKind


class Task(ABC):
    """A task; it is also the rules (synth/targets/gradient.py) by which its pairs are fused.

    name: as in recipes, folders and records. title: what its pairs are, for people. colour: (red, green, blue) of its
    bars in charts. capture: how its images were taken. words: by image, how sentences say where something is, besides
    "in the first image" and the like.
    targets: the kinds of ground truth that its pairs may have. screening: λ of the gradient target. emphasis: what an
    instruction may ask of that besides; None: nothing.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    colour: ClassVar[tuple[int, int, int]] = (86, 104, 150)
    capture: ClassVar[Capture]
    words: ClassVar[Mapping[ImageName, tuple[str, ...]]] = {}
    targets: ClassVar[tuple[TargetKind, ...]] = ("given", "gradient", "network")
    screening: float
    emphasis: ClassVar[Emphasis | None] = None

    def stressing(self, amount: float) -> Rules:
        """The rules of a target with some emphasis, in [−1, 1]: at 0 these."""
        return self if amount == 0 or self.emphasis is None else Stressed(self, self.emphasis, amount)

    def __init_subclass__(cls) -> None:
        if cls.name in TASKS:
            raise TypeError(f"two tasks are called {cls.name!r}")
        images = tuple(cls.capture.modalities)
        if len(images) < 2 or images != IMAGES[: len(images)]:
            raise TypeError(f"task {cls.name!r} has the images {', '.join(images)}; shards hold {', '.join(IMAGES)}")
        TASKS[cls.name] = cls()

    @abstractmethod
    def choose(self, pictures: Pictures) -> Choices:
        """What is decided on the clean pair, each picture (H, W) or (H, W, 3) of one size."""

    @abstractmethod
    def intensity(self, pictures: Pictures, lumas: Lumas, lean: Floats) -> tuple[Floats, Floats]:
        """The picture that gives its colours, (H, W) or (H, W, 3), and the intensity, (H, W), in [0, 1]."""

    def in_range(self, fused: Floats, colours: Floats, pictures: Pictures, lumas: Lumas) -> Floats:
        """Clipped to the range of its sources."""
        return clipped(fused, list(lumas.values()))

    def colours(self, pictures: Pictures) -> Bytes:
        """The picture whose colours a luma gets that a network made: exposure fusion."""
        return mertens(*pictures.values())


TASKS: dict[str, Task] = {}
DEFAULT = "vif"
"""The task of a pair of which nothing else is said."""


def task_named(name: str) -> Task:
    """A task by its name. Raises ValueError with the names that there are."""
    if name not in TASKS:
        raise ValueError(f"no task {name!r}{hint(name, TASKS)}")
    return TASKS[name]
