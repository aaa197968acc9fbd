"""The contract of a source of pairs: its settings as a recipe writes them, and the pairs that it lists.

A new source is a new file in this folder with one subclass of `Source`; it registers itself by its kind, which is the
key that names it in a recipe: `folder: data/pairs`. Recipes, plans and cards know it then.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import isabstract
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from synth.errors import hint, listed
from synth.pairs.base import PairRef
from synth.pairs.split import Split, side_of
from synth.paths import ADDRESS, of_this_machine
from synth.tasks import TASKS


def _local(value: Any) -> Any:
    return of_this_machine(Path(value), [str(value)]) if isinstance(value, str | Path) else value


LocalPath = Annotated[
    Path,
    BeforeValidator(_local),
    Field(json_schema_extra={"not": {"pattern": f"^(?!file:/){ADDRESS.pattern}"}}),
]
"""A file or a folder of this machine, `~/` written out, and no URL."""
MOST = 1e6  # of any weight or share in a recipe: they are compared, so none needs to be larger


NO_TEXT = "its name is no text in UTF-8"
SURROGATES = range(0xDC80, 0xDD00)  # what Python makes of the bytes of a name that are not UTF-8


def is_hidden(name: str) -> bool:
    """Whether a file or a folder is none that a person put there: `._x.jpg` of macOS, `.ipynb_checkpoints`."""
    return name.startswith(".")


def is_text(name: str) -> bool:
    """Whether a name is UTF-8, so that a record can hold it."""
    return not any(ord(letter) in SURROGATES for letter in name)


@dataclass(frozen=True)
class LeftOut:
    """A pair that is not used, and why."""

    scene: str
    reason: str


@dataclass(frozen=True)
class Remark:
    """What a user should know of how a source was read, in one line."""

    text: str


class Source(BaseModel, ABC):
    """Where clean pairs come from, as an entry of `sources` in a recipe. Unknown keys are refused.

    kind: the key that names the source, one of its fields. Its value is a place, which no output tells: a recipe's hash
    does not depend on it, and in a dataset's card a placeholder stands for it. No other setting may be a place.
    placeholder: None where the value is no place but a name, which is told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
    kind: ClassVar[str]
    placeholder: ClassVar[str | None] = "pairs"
    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that are not told at their default, so that recipes from before them keep their hash."""
    untold: ClassVar[frozenset[str]] = frozenset()
    """Fields that no output tells: they say how a place may be read, not what of it is drawn."""

    split: Split = "all"
    """Which scenes: those of train, of val or of test, which share none, or all."""
    weights: dict[str, float] = Field(default_factory=dict)
    """By dataset, how often its pairs are drawn, as weights; where it is not named, the square root of its pairs."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if isabstract(cls):
            return
        if cls.kind not in cls.model_fields:
            raise TypeError(f"{cls.__name__} has no field {cls.kind!r}, which is its kind")
        if cls.kind in REGISTRY:
            raise TypeError(f"two sources are called {cls.kind!r}")
        REGISTRY[cls.kind] = cls

    @model_validator(mode="after")
    def _weights_in_range(self) -> "Source":
        if any(not 0 < weight <= MOST for weight in self.weights.values()):
            raise ValueError(f"weights must be above 0 and {MOST:g} at most; leave a dataset out by its folder")
        return self

    def check(self, task: str) -> None:
        """Raises ValueError where this is no source for a task."""
        return

    def beside_others(self) -> dict[str, float]:
        """By dataset, how often its pairs are drawn for each pair of all other sources, unless `weights` says."""
        return {}

    @abstractmethod
    def pairs(self, task: str) -> Iterator[PairRef | LeftOut | Remark]:
        """The pairs of a task in the split, in an order that is always the same, and what is none, with its reason.
        What is to be said of the source may stand among them.

        Raises UserError where the source is missing or none.
        """

    def resolved(self) -> dict[str, Any]:
        """All settings as plain data for JSON, with the kind, and without the place of a source that has one."""
        place = set() if self.placeholder is None else {self.kind}
        told = self.model_dump(mode="json", exclude=place | self.untold)
        fields = type(self).model_fields
        usual = {key for key in self.later if getattr(self, key) == fields[key].get_default(call_default_factory=True)}
        return {**{key: value for key, value in told.items() if key not in usual}, "kind": self.kind}


REGISTRY: dict[str, type[Source]] = {}


class FileSource(Source):
    """What sources of files have in common.

    own_splits: whether it may say itself which scenes are for val.
    """

    later: ClassVar[frozenset[str]] = frozenset({"held_out_val"})
    untold: ClassVar[frozenset[str]] = frozenset({"follow_links"})
    own_splits: ClassVar[bool] = False

    held_out: float = Field(default=0.1, gt=0, lt=1)
    """The share of scenes that are for test, where the source has no splits of its own. A scene's side follows from its
    name alone."""
    held_out_val: float = Field(default=0.0, ge=0, lt=1)
    """The share that is for val, likewise; it is taken from train."""
    follow_links: bool = False
    """Whether links, and paths of a table, may lead out of the source's folder. Only for what you have put there
    yourself: a stranger's links would read any file of yours into the shards."""
    depth_kind: Literal["distance", "inverse"] = "distance"
    """What the values of a `depth` image beside a pair stand for; depth networks give the inverse."""
    align: bool = False
    """Of brackets: b is moved onto a by whole pixels, as a hand moves a camera between two shots."""
    licence: str = "unknown"
    """Of the pictures, for the record."""

    @model_validator(mode="after")
    def _shares_in_range(self) -> "FileSource":
        if self.held_out + self.held_out_val >= 1:
            raise ValueError(
                f"held_out {self.held_out:g} and held_out_val {self.held_out_val:g} leave nothing for train; "
                "together they must be below 1"
            )
        return self

    def check(self, task: str) -> None:
        if self.split == "val" and self.held_out_val == 0 and not self.own_splits:
            raise ValueError("split: val of a source without splits of its own; held_out_val says its share, as 0.1")
        if self.align and not TASKS[task].capture.bracketed:
            brackets = listed(name for name, known in TASKS.items() if known.capture.bracketed)
            raise ValueError(f"align is for the two shots of a bracket ({brackets}), not for {task}")

    def takes(self, scene: str) -> bool:
        """Whether a scene stands in the split, by the hash of its name."""
        return self.split in ("all", side_of(scene, self.held_out, self.held_out_val))


def sources() -> dict[str, type[Source]]:
    """All sources by kind."""
    return dict(sorted(REGISTRY.items()))


def parse_source(value: Any) -> Source:
    """A source as a recipe writes it: a mapping with the key of one kind, and settings of that kind.

    Raises ValueError with the key, the value and the rule; pydantic's own says where.
    """
    if isinstance(value, Source):
        return value
    known = sources()
    kinds = [kind for kind in known if kind in value] if isinstance(value, dict) else []
    if len(kinds) != 1:
        raise ValueError(f"a source is one of {listed(known)}: name just one of them")
    chosen = known[kinds[0]]
    unknown = [key for key in value if key not in chosen.model_fields]
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown key{hint(unknown[0], chosen.model_fields)}")
    return chosen.model_validate(value)


def with_placeholder(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved source as a recipe writes it, with a word for its place, which is not known."""
    settings = dict(resolved)
    kind = settings.pop("kind")
    known = REGISTRY.get(kind)  # none where the dataset was made with a source that this installation lacks
    return {kind: (known and known.placeholder) or kind} | settings
