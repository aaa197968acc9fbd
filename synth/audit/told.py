"""A record in words: what fell on a pair, and what became of it in the target.

All of it may be a stranger's, of another version, or of effects and tasks that nobody here knows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from synth.degradations import effects
from synth.degradations.base import Degradation
from synth.degradations.imgaug_effect import Imgaug
from synth.degradations.words import as_number, number, of_any, spoken
from synth.sample.record import MALFORMED, Entry, Record
from synth.tasks import TASKS

FATES = {"remove": "removed", "lessen": "lessened", "keep": "kept"}
"""What an entry asks for, and what people read of it, in the order in which that is told."""
MOST_PARAMS = 4  # of an effect that nobody here knows
KINDS = {
    "full": "all is named, and removed",
    "partial": "some is named and removed, the rest stays",
    "lessen": "some is to be weakened",
    "keep": "fusion alone is asked for, all stays",
    "general": "nothing is named, all is removed",
    "clean": "nothing fell on it that is seen",
}
"""What the kinds of instruction mean (shards/FORMAT.md)."""
LOOKS = {"under": "under-exposed", "over": "over-exposed", "near": "near focus", "far": "far focus"}
"""What modalities are called that are no words by themselves."""
STRESSED = {
    "visible": "the visible look",
    "warm": "what is warm",
    "dark": "a darker picture",
    "bright": "a brighter picture",
}


@dataclass(frozen=True)
class Fate:
    """One effect and what became of it.

    what: the effect with its parameters. where: the image it fell on, if not on all of them. how: what is left of one
    that was lessened.
    """

    what: str
    where: str
    fate: str
    how: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.what, self.where, self.how)))

    @property
    def short(self) -> str:
        """Beside a line that tells the parameters: "haze", "rain, to 50% of its severity"."""
        return ", ".join(filter(None, (self.what.partition(", ")[0], self.how)))


def fates(record: Record) -> list[Fate]:
    """All that fell on a pair, in order, once where it says the same of several images.

    Raises one of MALFORMED where the record is none.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for entry in record["degradations"]:
        asked = str(entry["asked"])
        key = in_words(entry), FATES.get(asked, asked), _left(entry)
        found.setdefault(key, []).append(str(entry["image"]))
    return [Fate(what, _where(record, images), fate, how) for (what, fate, how), images in found.items()]


def told_of(entry: Entry) -> str:
    """One entry, and what becomes of it: "removed: haze, visibility 1.1 km"."""
    asked = str(entry["asked"])
    return f"{FATES.get(asked, asked)}: {', '.join(filter(None, (in_words(entry), _left(entry))))}"


def by_fate(record: Record) -> dict[str, list[Fate]]:
    """The same by what became of it: removed, lessened and kept, in that order, then what else a record may ask."""
    order = list(FATES.values())
    rank = lambda fate: order.index(fate.fate) if fate.fate in order else len(order)  # noqa: E731
    ranked = sorted(fates(record), key=lambda fate: (rank(fate), fate.fate if rank(fate) == len(order) else ""))
    return {name: list(some) for name, some in groupby(ranked, key=lambda fate: fate.fate)}


def briefly(record: Record) -> dict[str, list[str]]:
    """The same without parameters, each effect once; what is kept first, and what is removed last."""
    found = {fate: list(dict.fromkeys(one.short for one in some)) for fate, some in by_fate(record).items()}
    return {fate: found[fate] for fate in reversed(found)}


def in_words(entry: Entry) -> str:
    """An effect for people: "haze, visibility 1.1 km". Where no quantity says how strong, its severity does."""
    name, params = str(entry["effect"]), entry["params"]
    known: type[Degradation[Any]] | None = Imgaug if name == Imgaug.name else _known(name)
    try:
        said = _plain(name, params) if known is None else known.in_words(params)
    except MALFORMED:  # of an effect's own words about a stranger's parameters
        said = _plain(name, params)
    severity = as_number(entry["severity"])
    return said if severity is None or any(map(str.isdigit, said)) else f"{said}, severity {number(severity)}"


def _known(name: str) -> type[Degradation[Any]] | None:
    effect = effects().get(name)
    return None if effect is None else type(effect)


def _plain(name: str, params: Mapping[str, Any]) -> str:
    parts = filter(None, (of_any(str(key), value) for key, value in params.items()))
    return ", ".join([spoken(name), *list(parts)[:MOST_PARAMS]])


def _left(entry: Entry) -> str:
    """What an effect was lessened to: "becomes rain, 15 mm/h", or "to 50% of its severity"."""
    factor, params = as_number(entry.get("factor")), entry["params"]
    if factor is None:
        return ""
    if as_number(entry["severity"]) is not None:
        return f"to {number(100 * factor)}% of its severity"
    known = _known(str(entry["effect"]))
    for key, quantity in known.quantities.items() if known is not None else ():
        value = as_number(params.get(key))
        if quantity.strength and value is not None and factor > 0:
            less: Entry = {**entry, "params": {**params, key: quantity.lessened(value, factor)}}
            return f"becomes {in_words(less)}"
    return f"to {number(100 * factor)}%"


def _where(record: Record, images: Sequence[str]) -> str:
    """In which image, unless it is in all of them."""
    if {*record["images"]} <= {*images}:
        return ""
    task = TASKS.get(str(record["task"]))
    said = []
    for image in dict.fromkeys(images):
        words = [w for name, w in task.words.items() if name == image] if task is not None else []
        said.append(words[0][0] if words and words[0] else f"in {image}{_of(record, image)}")
    return " and ".join(said)


def _of(record: Record, image: str) -> str:
    of = modality(record, image)
    return f" ({of})" if of else ""


def modality(record: Record, image: str) -> str:
    """What an image is of: "visible", "under-exposed"."""
    of = next((str(of["modality"]) for name, of in record["images"].items() if name == image), "")
    return LOOKS.get(of, of)


def task_title(record: Record) -> str:
    """The task for people."""
    task = TASKS.get(str(record["task"]))
    return str(record["task"]) if task is None else task.title


def extras(record: Record) -> Iterator[tuple[str, str]]:
    """What else the target or the sentence has that is no effect: what is stressed, what is named and not there."""
    amount = as_number(record["target"].get("emphasis"))
    if amount:
        task = TASKS.get(str(record["task"]))
        names = task.emphasis.names if task is not None and task.emphasis is not None else ("less", "more")
        name = names[amount > 0]
        yield "stressed", f"{STRESSED.get(name, name)}, by {number(abs(amount))} of 1"
    if record["absent"]:
        yield "not there", ", ".join(named(name) for name in record["absent"])


def named(name: Any) -> str:
    """What people call an effect."""
    known = _known(str(name))
    return spoken(str(name)) if known is None else known.title


def seen_on(record: Record) -> str:
    """All that fell on a pair as one line, whatever became of it."""
    return "; ".join(dict.fromkeys(", ".join(filter(None, (f.what, f.where))) for f in fates(record)))


def as_text(value: Any) -> str:
    """A value of a record in short."""
    if isinstance(value, bool) or value is None:
        return "–" if value is None else "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(as_text, value)) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {as_text(item)}" for name, item in value.items())
    return str(value)
