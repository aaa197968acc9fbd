"""`synth verify --render`: samples made once more from the recipe, and held against those that stand.

On the same kind of processor and with the same libraries they are equal to the byte. On another, vector units add in
another order: a value of a picture lies on the other side of a rounding here and there, and of a measured quantity the
sixth digit. That is told from damage by how much differs (`LOSSLESS`, `THROUGH_JPEG`); whatever was drawn, chosen or
said is equal on any machine.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from synth.audit.check_shard import among
from synth.audit.faults import Fault
from synth.audit.shown import Shown, one_of, read_sample
from synth.audit.verify import Verdict
from synth.dataset.description import describe, difference, is_shard, read_dataset
from synth.dataset.shards import read_rows
from synth.errors import UnreadableError, UserError
from synth.images import codecs
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.plan import Plan, make_plan
from synth.sample.record import Record
from synth.scene.capture import IMAGES
from synth.storage import Storage

DRAWN = ("severity", "factor", "seed", "scale")  # numbers of a record that no rounding reaches
DIGITS = 1.5e-5  # of a measured quantity: a step of its sixth digit, relative, and a half


class Tolerance(NamedTuple):
    """By how much a picture may differ and be a rounding: in at most this share of its values, or so many of them, by
    so many grey levels."""

    share: float
    values: int
    levels: int


LOSSLESS = Tolerance(0.002, 16, 8)
"""Measured: at most 0.06% of the values of a picture, 7 levels (docs/effects.md)."""
THROUGH_JPEG = Tolerance(0.005, 768, 100)
"""Where a coefficient is rounded the other way, a block of 16 × 16 pixels differs, and more of it in a second
compression. Measured: 0.2% and 66 levels."""


@dataclass
class Again:
    """What came of it: how many samples are equal to the byte, and how many but for roundings, and how far apart.

    levels: the most by which a value differs. share: of the values of one picture, the most that do. libraries: those
    that are of another version here.
    """

    libraries: str | None
    equal: int = 0
    rounded: int = 0
    levels: int = 0
    share: float = 0.0

    def __str__(self) -> str:
        text = f"made again: {self.equal} samples equal to the byte"
        if self.rounded:
            text += (
                f", {self.rounded} but for roundings, as of another kind of processor (at most {self.levels} levels "
                f"in {100 * self.share:.2g}% of a picture's values)"
            )
        return text + ("" if self.libraries is None else f"; {self.libraries}")


def plan_of(
    storage: Storage, recipe: str, data: str | None, follow_links: bool | None = None
) -> tuple[Plan, str | None]:
    """The plan that a dataset was made by, and which libraries are of another version here.

    recipe, data, follow_links: as the options of these names have them. Raises UserError where the recipe or its pairs
    are not those of the dataset, or an effect is of another version.
    """
    described = read_dataset(storage)
    if described is None or not isinstance(described.get("recipe"), dict):
        raise UserError(f"{storage.url}: no dataset.json that says what it was made from; nothing to compare with")
    there = described["recipe"]
    sizes = {key: there[key] for key in ("samples", "samples_per_shard") if isinstance(there.get(key), int)}
    plan = make_plan(load_recipe(find_recipe(recipe), sizes), data, follow_links)
    here = json.loads(json.dumps(describe(plan)))
    libraries = difference(described.get("libraries"), here.pop("libraries"), "libraries")
    here = {key: here[key] for key in ("name", "recipe", "sources")} | here  # what says most comes first
    if (other := difference(described, here)) is not None:
        if other.startswith("source_fingerprint"):
            other = "its pairs have other names or marks"
        raise UserError(f"{storage.url} holds another dataset: {other}; give the recipe and the pairs it was made from")
    return plan, libraries


def make_again(
    storage: Storage,
    plan: Plan,
    verdict: Verdict,
    few: int | None,
    libraries: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Again:
    """Make `few` samples of the shards in which no fault was found, spread evenly, or all (None); what differs by more
    than roundings becomes a fault of the verdict.
    """
    total = plan.recipe.samples
    sides = sorted(name for name in storage.sizes() if is_shard(name) and name.endswith(".parquet"))
    stems = [name.removesuffix(".parquet") for name in sides if name.removesuffix(".parquet") not in verdict.broken]
    again = Again(libraries)
    for done, stem in enumerate(stems, 1):
        for row in read_rows(storage, f"{stem}.parquet"):
            if row["status"] == "ok" and among(int(row["index"]), few, total):
                for what in _compared(storage, plan, stem, row, again):
                    verdict.add(Fault(stem, str(row["key"]), what))
        if progress is not None:
            progress(done, len(stems))
    return again


def _compared(storage: Storage, plan: Plan, stem: str, row: Mapping[str, Any], again: Again) -> list[str]:
    there = read_sample(storage, stem, row)
    try:
        here = one_of(plan, int(row["index"]))
    except UnreadableError as error:
        return [f"cannot be made again: {error}"]
    if there == here:
        again.equal += 1
        return []
    found = [f"the record says {what}" for what in record_differences(dict(there.record), dict(here.record))]
    levels, share = 0, 0.0
    if there.pictures.keys() != here.pictures.keys():
        found.append(f"{', '.join(there.pictures)} are stored, the recipe makes {', '.join(here.pictures)}")
    for name in (name for name in there.pictures if name in here.pictures):
        moved = _moved(there.pictures[name], here.pictures[name])
        if moved is None:
            found.append(f"{name}: of another size or kind than the recipe makes")
            continue
        apart, most = int(np.count_nonzero(moved)), int(moved.max())
        allowed = _tolerance(here, name)
        levels, share = max(levels, most), max(share, apart / moved.size)
        if most > allowed.levels or apart > max(allowed.values, allowed.share * moved.size):
            found.append(
                f"{name}: not what the recipe makes: {100 * apart / moved.size:.2g}% of its values differ, by up to "
                f"{most} levels"
            )
    if not found:
        again.rounded += 1
        again.levels, again.share = max(again.levels, levels), max(again.share, share)
    return found


def _moved(there: bytes, here: bytes) -> np.ndarray[Any, np.dtype[np.int16]] | None:
    """By how many levels each value differs; None where the pictures are not of one shape."""
    try:
        one, two = (codecs.decode(data) for data in (there, here))
    except UnreadableError:
        return None
    return None if one.shape != two.shape else np.abs(one.astype(np.int16) - two)


def _tolerance(sample: Shown, name: str) -> Tolerance:
    """Of a picture: what it went through decides how far a rounding goes."""
    return THROUGH_JPEG if through_jpeg(sample.record, name) else LOSSLESS


def through_jpeg(record: Record | Mapping[str, Any], name: str) -> bool:
    """Whether a picture (a, b, target or one of the clean pair) was compressed, by an effect or as it is stored."""
    encodings = {image: record["images"][image]["encoding"] for image in IMAGES}
    entries = [entry for entry in record["degradations"] if entry["effect"] == "jpeg"]
    shown = [e for e in entries if e["image"] == name or (name == "target" and e["asked"] != "remove")]
    return bool(shown) or encodings.get(name, "png") != "png"  # type: ignore[call-overload]


def record_differences(there: Any, here: Any, where: str = "") -> Iterator[str]:
    """Where a record is not what is made here, but for the last digit of what is measured."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}):
            path = f"{where}.{key}".lstrip(".")
            if key not in there or key not in here:
                yield f"{path} {'nowhere' if key not in there else 'besides'}"
            elif key in DRAWN and there[key] != here[key]:
                yield f"{path} {json.dumps(there[key])}, the recipe makes {json.dumps(here[key])}"
            else:
                yield from record_differences(there[key], here[key], path)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, pair in enumerate(zip(there, here, strict=True)):
            yield from record_differences(*pair, f"{where}[{number}]")
    elif there != here:
        floats = isinstance(there, float) and isinstance(here, float)
        if not (floats and math.isclose(there, here, rel_tol=DIGITS, abs_tol=1e-12)):
            shown = [text if len(text) < 80 else f"{text[:70]}…" for text in map(json.dumps, (there, here))]
            yield f"{where} {shown[0]}, the recipe makes {shown[1]}"
