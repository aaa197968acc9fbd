"""The contract of an effect: a draw, where everything random happens, and a pure function of what was drawn.

A new effect is a new file in this folder with one subclass of `Degradation`; it registers itself by its name, and
the contract test in tests/synth walks the registry.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from numpy.random import Generator
from numpy.typing import NDArray

from synth.degradations import words
from synth.scene.capture import ImageName
from synth.scene.scene import View


class Stage(IntEnum):
    """Where on its way from the scene to the file an image is damaged, in that order."""

    SCENE = 0
    OPTICS = 1
    SENSOR = 2
    PROCESSING = 3
    CODEC = 4


class Domain(Enum):
    """What the values of an image stand for while an effect is applied."""

    LINEAR = "linear light, float32, unclipped"
    SRGB = "sRGB grey levels, float32 in [0, 255]"
    BYTES = "sRGB bytes, uint8"


Images: TypeAlias = Literal[ImageName, "any", "both", "shared"]
Params = TypeVar("Params")


@dataclass(frozen=True)
class Quantity:
    """A physical parameter that a recipe may set: its unit and the range in which the effect makes sense.

    neutral: the value that leaves the image as it is, or as it would be without it; infinite where damage falls as the
    value rises. words: how people read it, in which {value} is the number and its unit, {number} the number alone; by
    default its name, the number and the unit; None: not said in short.
    """

    low: float
    high: float
    unit: str
    strength: bool = False  # it takes the place of the severity
    choices: tuple[int, ...] = ()  # where it is one of a few values, not a range
    neutral: float = 0.0
    words: str | None = ""

    def in_words(self, key: str, value: float) -> str:
        """A value of it, called `key`, for people; nothing where it says nothing: at its neutral value."""
        if self.words is None or value == self.neutral:
            return ""
        if self.words:
            return self.words.format(value=words.amount(value, self.unit), number=words.number(value))
        return words.of_quantity(key, value, self.unit, self.choices)

    def lessened(self, value: float, factor: float) -> float:
        """The value at `factor` times its distance from the neutral one; of an infinite one, its inverse times that."""
        return value / factor if math.isinf(self.neutral) else self.neutral + factor * (value - self.neutral)


class Degradation(ABC, Generic[Params]):
    """An effect.

    name: as in recipes and records. version: raised whenever the same parameters give other pixels.
    order: place within the stage. images: which images it falls on where the recipe does not say. in_one_shot: the same
    for a pair that is one shot, where that differs. outdoors: it falls through the air outside, so not in a room.
    infrared_first: where the recipe does not say, it falls on the infrared images alone of a pair that has any.
    quantities: the physical parameters that a recipe may set. said_as: what instructions call it; default: its name.
    measured: parameters that follow from what is measured in pictures; they are kept to six digits (`steady`).
    may_stay: whether a person may want it kept while others go: weather always, a look where both images share it.
    title: what people who look at samples read; default: its name.
    """

    name: ClassVar[str]
    stage: Stage
    version: ClassVar[int] = 1
    order: ClassVar[int] = 0
    images: ClassVar[Images] = "both"
    in_one_shot: ClassVar[Images | None] = None
    outdoors: bool = False
    infrared_first: ClassVar[bool] = False
    quantities: ClassVar[Mapping[str, Quantity]] = {}
    said_as: str
    title: str
    measured: ClassVar[tuple[str, ...]] = ()
    may_stay: ClassVar[Literal["always", "shared", "never"]] = "never"

    def __init_subclass__(cls, register: bool = True) -> None:
        if hasattr(cls, "name") and not hasattr(cls, "said_as"):
            cls.said_as = cls.name
        if hasattr(cls, "name") and not hasattr(cls, "title"):
            cls.title = words.spoken(cls.name)
        if not register:
            return
        if cls.name in REGISTRY:
            raise TypeError(f"two effects are called {cls.name!r}")
        REGISTRY[cls.name] = cls()

    @property
    def domain(self) -> Domain:
        """The domain of the stage; an effect that the field defines elsewhere overrides it."""
        return Domain.LINEAR if self.stage <= Stage.SENSOR else Domain.BYTES

    def images_of(self, simultaneous: bool) -> Images:
        """Which images it falls on where the recipe does not say. simultaneous: of a pair that is one shot."""
        return (self.in_one_shot if simultaneous else None) or self.images

    @abstractmethod
    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> Params:
        """Draw the parameters, a small frozen dataclass in physical units.

        severity: in [0, 1], 0 leaving the image as it is; None where `fixed` holds a quantity that takes its place.
        fixed: the quantities that the recipe sets. With an equal generator only the strength varies with severity.
        """

    @abstractmethod
    def apply(self, image: NDArray[Any], params: Params, view: View) -> NDArray[Any]:
        """The damaged image, of the same shape and dtype, in `domain`; `image` itself is not written to."""

    @classmethod
    def in_words(cls, params: Mapping[str, Any]) -> str:
        """The effect for people: "haze, visibility 1.1 km".

        params: as in a record, which may be a stranger's or of another version: what is missing there, or no number, is
        passed over.
        """
        known = {key: words.as_number(params.get(key)) for key in cls.quantities}
        parts = [cls.quantities[key].in_words(key, value) for key, value in known.items() if value is not None]
        return ", ".join([cls.title, *filter(None, parts)])

    def way(self, params: Params) -> str | None:
        """In which of its `ways` in phrases.yaml it goes wrong; None for an effect that goes wrong in one."""
        return None

    def file(self, image: NDArray[Any], params: Params, view: View) -> bytes | None:
        """The file that `apply` decodes its image from, of an effect that is a way through a codec; else None."""
        return None


REGISTRY: dict[str, Degradation[Any]] = {}


def effects() -> dict[str, Degradation[Any]]:
    """All effects by name, in the order of physics: stage, then place within the stage, then name."""
    return dict(sorted(REGISTRY.items(), key=lambda item: (item[1].stage, item[1].order, item[0])))
