"""`synth verify --against`: whether a dataset shows the pictures that a signature was made of (signature.py).

What was drawn, chosen and said must be equal; what was measured agrees to `MEASURED`, and the pictures block by block
to a grey level, since no two kinds of processor round alike. Where a picture went through JPEG, a coefficient that is
rounded the other way moves a block of 16 × 16 pixels: two blocks of it may differ by more.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synth.audit.again import through_jpeg
from synth.audit.faults import Fault
from synth.audit.shown import read_sample
from synth.audit.signature import OF_A_GROUP, Signature, Signed, all_scenes, rows_of, signed_of
from synth.audit.verify import Verdict
from synth.dataset.description import DATASET, difference, read_dataset
from synth.errors import UserError, with_kind
from synth.sample.plan import Plan
from synth.sample.record import MALFORMED
from synth.storage import Storage

MEASURED, NOUGHT = 1e-4, 1e-6  # by how much a measured number may differ: relative, and of one that is nearly nought
LEVELS = 1  # by how many grey levels a block may
JPEG_NUMBERS, JPEG_LEVELS = 8, 6  # of a picture that went through JPEG: so many numbers, as two blocks have, by so many
UNSEEN = ("samples", "samples_per_shard")  # of a recipe: they change no picture
TOLD = 4  # differences of one sample that are told
NAMED = 3  # scenes that are
WAY_OUT = "; synth generate --dry-run says what is left out and why, and --recipe and --data here, which scenes differ"
ENTRY = re.compile(r"^degradations\[(\d+)\]\.(?:params\.)?")


@dataclass
class Against:
    """What came of it. apart: keys of the samples that differ. measured, levels: the most by which those that do not
    are apart, relative and in grey levels. off: how many of all `numbers` of their blocks are not equal.
    libraries: those that are of another version.
    """

    signature: Signature
    samples: int = 0
    apart: set[str] = field(default_factory=set)
    measured: float = 0.0
    levels: int = 0
    off: int = 0
    numbers: int = 0
    libraries: str | None = None
    refused: bool = False

    def __str__(self) -> str:
        name, drawn = self.signature.name, self.signature.drawn[:12]
        if self.refused or self.apart:
            told = f": {len(self.apart)} of {self.samples} samples differ"
            if self.refused:
                told = f"; the {self.samples} samples of both are equal" if self.samples and not self.apart else ""
            return f"not the {name} of the signature{told}" + self._notes()
        return (
            f"the {name} of the signature: {self.samples} samples, drawn {drawn}, measured within {self.measured:.2g}, "
            f"blocks within {self.levels} levels ({self.off} of {self.numbers} numbers off)" + self._notes()
        )

    def _notes(self) -> str:
        return "" if self.libraries is None else f"; made by other libraries: {self.libraries}"


def compare(
    storage: Storage,
    signature: Signature,
    verdict: Verdict,
    plan: Plan | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Against:
    """Hold a dataset to a signature; each difference becomes a fault of the verdict. plan: of the recipe and the pairs
    that it was made from, where the user gave them, so that scenes can be named that are missing or besides.

    Samples of shards in which there is a fault already are passed over. Where recipe, effects or pairs are others, all
    samples would differ, and that alone is told.
    """
    try:
        described = read_dataset(storage) or {}
    except UserError:
        described = {}
    found = Against(signature, libraries=difference(signature.about["libraries"], described.get("libraries")))
    scenes: list[str] = []
    rows = []
    for stem, row in rows_of(storage, verdict.broken):
        rows.append((stem, row))
        scenes.append(str(row["scene"]))
    try:
        other = _other(signature, described, scenes, plan)
    except MALFORMED as error:
        other = f"{DATASET} is not that of a dataset ({with_kind(error)})"
    if other is not None:
        found.refused = True
        verdict.add(Fault("", "", other))
        return found
    there = {signed.key: signed for signed in signature.samples}
    if (told := _number(there, [str(row["key"]) for _, row in rows], described, verdict)) is not None:
        found.refused = True
        if told:
            verdict.add(Fault("", "", told))
    groups = {signed.drawn["group"]: signed.pictures for signed in reversed(signature.samples)}
    for done, (stem, row) in enumerate(rows, 1):
        key = str(row["key"])
        if key in there:
            found.samples += 1
            here = signed_of(shown := read_sample(storage, stem, row))
            pictures = {n: t for n, t in groups.get(there[key].drawn["group"], {}).items() if n in OF_A_GROUP}
            signed = there[key]._replace(pictures=pictures | there[key].pictures)
            whats = list(_differences(signed, here, shown.record, found))
            if whats:
                found.apart.add(key)
            for what in [*whats[:TOLD], *([f"and {len(whats) - TOLD} more"] if len(whats) > TOLD else [])]:
                verdict.add(Fault("", key, what))
        if progress is not None:
            progress(done, len(rows))
    return found


def _number(there: Mapping[str, Signed], keys: list[str], described: Mapping[str, Any], verdict: Verdict) -> str | None:
    """That a dataset has fewer samples than its signature, or more, in words, and how it has as many; None where it has
    the same, nothing in words where faults of its shards say more."""
    lacking, besides = there.keys() - set(keys), set(keys) - there.keys()
    if not lacking and not besides:
        return None
    samples = (described.get("recipe") or {}).get("samples")
    first = list(there)[: len(keys)] == keys or keys[: len(there)] == list(there)
    if lacking and verdict.broken:
        return ""
    asked = isinstance(samples, int) and samples == len(keys) and first
    told = [f"{len(lacking)} of the signature's {len(there)} samples are missing"] if lacking else []
    told += [f"{len(besides)} samples are none of the signature's {len(there)}"] if besides else []
    if lacking and verdict.failed:
        told.append(f"{verdict.failed} could not be made: mend the pictures, then synth retry")
    elif asked and lacking:
        told.append(
            f"the dataset was made with the first {samples} alone, as by --limit {samples}: synth generate --extend "
            f"{len(there)} makes the others"
        )
    elif asked:
        told.append(
            f"the dataset was made with {samples}, as by --limit {samples}: synth generate --limit {len(there)} into "
            "another folder makes those of the signature alone"
        )
    return "; ".join(told)


def _other(signature: Signature, described: Mapping[str, Any], scenes: list[str], plan: Plan | None) -> str | None:
    """What makes all samples differ, in words: the first thing alone; None where nothing does."""
    versions = described.get("effects") or {}
    for name, version in signature.about["effects"].items():
        if versions.get(name) != version:
            return (
                f"the effect {name} is of version {versions.get(name)} here, {version} in the signature: its pixels "
                "are others; render with the version of this tool that the signature was made with"
            )
    both = (signature.about, described)
    wants, has = ({k: v for k, v in (one.get("recipe") or {}).items() if k not in UNSEEN} for one in both)
    if (told := difference(wants, has, "recipe")) is not None:
        return f"made by another recipe than the signature's (there): {told}"
    there, here = ({(s["task"], s["dataset"]): s["pairs"] for s in one.get("sources") or ()} for one in both)
    for task, dataset in sorted(there.keys() | here.keys()):
        wanted, found = there.get((task, dataset), 0), here.get((task, dataset), 0)
        if wanted != found:
            what = "missing" if found < wanted else "besides"
            return (
                f"{dataset}: {found} pairs of {task} here, {wanted} in the signature: files are {what}, so that other "
                f"pairs are drawn{_scenes(signature, plan) or WAY_OUT}"
            )
    if signature.about["source_fingerprint"] != described.get("source_fingerprint"):
        shown = {str(signed.drawn["source"]["scene"]) for signed in signature.samples}
        told = _scenes(signature, plan) or _named_scenes(shown, set(scenes))
        return f"its pairs have other names or marks than the signature's{told}"
    return None


def _scenes(signature: Signature, plan: Plan | None) -> str:
    """The scenes that one of both alone has, where both say all of theirs; else nothing."""
    if plan is None or signature.about.get("scenes") is None:
        return ""
    return _named_scenes(set(signature.about["scenes"]), set(all_scenes(plan)))


def _named_scenes(there: set[str], here: set[str]) -> str:
    if there != here and {name.casefold() for name in there} == {name.casefold() for name in here}:
        one = min(there - here)
        other = next(name for name in here if name.casefold() == one.casefold())
        return f" by upper and lower case alone, as {other} here and {one} there: name the files as they are published"
    parts = [
        f"{', '.join(sorted(names)[:NAMED])}{', …' if len(names) > NAMED else ''} {where}"
        for names, where in ((there - here, "in the signature alone"), (here - there, "here alone"))
        if names
    ]
    return f": {'; '.join(parts)}" if parts else ""


def _differences(there: Signed, here: Signed, record: Any, found: Against) -> Iterator[str]:
    """In what a sample is not what its signature says, in words; `found` learns how far apart they are besides."""
    for path, one, other in _apart(there.drawn, here.drawn):
        yield f"{_named(path, here.drawn)} {_short(other)}, the signature has {_short(one)}"
    for path in sorted({*there.measured, *here.measured}):
        one, other = there.measured.get(path), here.measured.get(path)
        if one is None or other is None:
            yield f"{_named(path, here.drawn)} {_short(other)}, the signature has {_short(one)} (measured)"
        elif not math.isclose(one, other, rel_tol=MEASURED, abs_tol=NOUGHT):
            told = f"{other:g}, the signature has {one:g} (measured; {MEASURED:g} apart at most)"
            yield f"{_named(path, here.drawn)} {told}"
        else:
            found.measured = max(found.measured, abs(one - other) / max(abs(one), abs(other), NOUGHT))
    pictures = list(_pictures(there, here, record, found))
    files = " (it was made of other files than the signature's)" if pictures and there.files != here.files else ""
    yield from (f"{what}{files}" for what in pictures)


def _pictures(there: Signed, here: Signed, record: Any, found: Against) -> Iterator[str]:
    if there.pictures.keys() != here.pictures.keys():
        stored, signed = (", ".join(sorted(one.pictures)) for one in (here, there))
        yield f"{stored} are stored, the signature has {signed}"
    for name in sorted(there.pictures.keys() & here.pictures.keys()):
        one, other = (_blocks(signed.pictures[name]) for signed in (there, here))
        if len(one) != len(other):
            yield f"{name}: of another size or kind than the signature's"
            continue
        moved = np.abs(one - other)
        jpeg = through_jpeg(record, name)
        most, beyond = int(moved.max(initial=0)), int(np.count_nonzero(moved > LEVELS))
        if beyond > (JPEG_NUMBERS if jpeg else 0) or most > (JPEG_LEVELS if jpeg else LEVELS):
            yield (
                f"{name}: {beyond} of {moved.size} means of blocks are more than {LEVELS} level off, by up to {most} "
                f"(number {int(moved.argmax())}: {other[moved.argmax()]}, the signature has {one[moved.argmax()]})"
            )
        else:
            found.levels = max(found.levels, most)
            found.off += int(np.count_nonzero(moved))
            found.numbers += moved.size


def _blocks(text: str) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The numbers of a picture's blocks; none where they are damaged."""
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), np.uint8).astype(np.int16)
    except (binascii.Error, ValueError):
        return np.zeros(0, np.int16)


def _apart(there: Any, here: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two pieces of plain data differ: the path, and both values, None for one that is missing."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in [*there, *(key for key in here if key not in there)]:
            yield from _apart(there.get(key), here.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, pair in enumerate(zip(there, here, strict=True)):
            yield from _apart(*pair, f"{path}[{number}]")
    elif there != here:
        yield path, there, here


def _named(path: str, drawn: Mapping[str, Any]) -> str:
    """A path in words: `haze of a: severity` for that of an effect, `the sentence` for the instruction."""
    if path == "instruction":
        return "the sentence is"
    entries = drawn["degradations"]
    if (found := ENTRY.match(path)) and int(found[1]) < len(entries):
        entry = entries[int(found[1])]
        return f"{entry['effect']} of {entry['image']}: {path[found.end() :]}"
    return path


def _short(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "effect" in item for item in value):
        value = [f"{item['effect']} of {item.get('image')}" for item in value]
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) < 160 else f"{text[:150]}…"
