"""A record against its row, against the recipe in dataset.json, and against the other samples of its group."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synth.degradations.base import REGISTRY, Stage
from synth.errors import listed
from synth.sample.draft import key_of
from synth.sample.record import FORMAT_VERSION, Entry, Record
from synth.scene.capture import IMAGES
from synth.tasks import TASKS

ENCODINGS = {
    "png": frozenset({"png"}),
    "jpeg95": frozenset({"jpeg95", "jpeg"}),
    "mixed": frozenset({"png", "jpeg"}),
}
"""Of the inputs, by what the recipe says."""
PNG_SINCE = 3
"""Version of jpeg before which its own file was stored whatever the recipe said."""


@dataclass(frozen=True)
class Expected:
    """What the recipe in dataset.json says of every sample.

    effects: by task, the effects that may fall, each with its range of severity (None where there is none).
    dry: the tasks whose weather stays outside. targets: by task. kinds: of instruction, that it asks for. own: whether
    sentences may be the user's. version: of its records. rules: whether its sentences are held to what fits
    (reader.py), as they are since recipes know `emphasis`. encodings: of inputs. sources: (task, dataset); None where
    dataset.json says none.
    """

    seed: int
    size: int
    split: str
    per_pair: int
    effects: dict[str, dict[str, tuple[float, float] | None]]
    dry: frozenset[str]
    targets: dict[str, tuple[str, ...]]
    stored: tuple[str, ...]
    kinds: frozenset[str]
    own: bool
    version: int
    rules: bool
    encodings: frozenset[str]
    sources: frozenset[tuple[str, str]] | None

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any], sources: Any = None, versions: Any = None) -> "Expected":
        """From a resolved recipe, and the sources and the versions of the effects beside it.

        Raises KeyError, TypeError, ValueError or AttributeError where it is no resolved recipe.
        """
        effects: dict[str, dict[str, tuple[float, float] | None]] = {}
        for task, part in recipe["tasks"].items():
            some = part["degradations"]["some"]
            listed = [*part["degradations"]["always"], *(some["of"] if some else [])]
            effects[task] = {}
            for name, settings in (item for entry in listed for item in entry.items()):
                span = settings.get("severity")
                again = name in effects[task]  # an augmenter each: their settings are theirs
                effects[task][name] = None if span is None or again else (float(span[0]), float(span[1]))
        instructions = recipe["instructions"]
        newer = instructions["kinds"].get("lessen", 0) > 0 or instructions.get("emphasis", {}).get("share", 0) > 0
        return cls(
            int(recipe["seed"]),
            int(recipe["crop"]["size"]),
            str(recipe["instructions"]["phrases"]),
            int(recipe["instructions"]["per_pair"]),
            effects,
            frozenset(
                task for task, part in recipe["tasks"].items() if part["degradations"].get("indoor") != "as_outdoor"
            ),
            {task: tuple(part["target"]) for task, part in recipe["tasks"].items()},
            tuple(recipe["store"]),
            frozenset(kind for kind, share in recipe["instructions"]["kinds"].items() if share > 0) | {"full"},
            recipe["instructions"]["file"] is not None,
            2 if newer else 1,
            "emphasis" in recipe["instructions"],
            ENCODINGS[str(recipe["encoding"])] | ({"jpeg"} if (versions or {}).get("jpeg", 0) < PNG_SINCE else set()),
            None if sources is None else frozenset((str(item["task"]), str(item["dataset"])) for item in sources),
        )


def row_faults(row: Mapping[str, Any], index: int, per_pair: int | None) -> list[str]:
    """What is wrong with a row at its place in the dataset, failed or not. index: what its place says it is."""
    found = []
    if row["index"] != index or row["key"] != key_of(index):
        found.append(f"index {row['index']}, key {row['key']} where {key_of(index)} should stand")
    elif per_pair is not None and row["group"] != key_of(index - index % per_pair):
        found.append(f"group {row['group']}, for {per_pair} instructions a pair {key_of(index - index % per_pair)}")
    if row["status"] not in ("ok", "failed"):
        found.append(f"status {row['status']!r} is neither ok nor failed")
    if row["status"] == "failed" and not row["reason"]:
        found.append("failed without a reason")
    if row["status"] == "failed" and any(row.get(f"{name}_offset") is not None for name in (*IMAGES, "target")):
        found.append("failed, and yet it names bytes in the tar")
    return found


def record_faults(record: Record, row: Mapping[str, Any], expected: Expected | None) -> list[str]:
    """What of a record disagrees with its row or with the recipe.

    Raises KeyError, TypeError, ValueError or AttributeError where it is not made as shards/FORMAT.md has it.
    """
    if record["version"] not in range(1, FORMAT_VERSION + 1):
        return [f"record of version {record['version']}; this tool knows 1 to {FORMAT_VERSION}"]
    said = {  # in the row as in the record
        "key": record["key"],
        "index": record["index"],
        "group": record["group"],
        "task": record["task"],
        "kind": record["kind"],
        "instruction": record["instruction"],
        "phrase_split": record["phrase_split"],
        "dataset": record["source"]["dataset"],
        "scene": record["source"]["scene"],
        "licence": record["source"]["licence"],
        "height": record["size"][0],
        "width": record["size"][1],
        "effects": list(dict.fromkeys(entry["effect"] for entry in record["degradations"])),
    }
    found = [f"{k}: the record says {said[k]!r}, the row {row[k]!r}" for k in said if said[k] != row[k]]
    task = record["task"]
    if task not in TASKS:
        return [*found, f"task {task!r} is none of {', '.join(TASKS)}"]
    for name, modality in TASKS[task].capture.modalities.items():
        if record["images"][name]["modality"] != modality:
            found.append(f"image {name} is {record['images'][name]['modality']!r}; of {task} {modality}")
    found += [fault for entry in record["degradations"] for fault in _entry_faults(entry)]
    emphasis = record["target"].get("emphasis", 0)
    if not isinstance(emphasis, float | int) or not -1 <= emphasis <= 1:
        found.append(f"target of emphasis {emphasis!r}, which must lie in [-1, 1]")
    newer = emphasis != 0 or any(entry["asked"] == "lessen" for entry in record["degradations"])
    if newer and record["version"] == 1:
        found.append("record of version 1, which knows neither lessen nor emphasis")
    return found + ([] if expected is None else _against_recipe(record, expected))


def _entry_faults(entry: Entry) -> list[str]:
    name, severity, effect = entry["effect"], entry["severity"], REGISTRY.get(entry["effect"])
    found = []
    if entry["image"] not in IMAGES:
        found.append(f"{name} on image {entry['image']!r}")
    if entry["stage"].upper() not in Stage.__members__ or (effect and effect.stage.name.lower() != entry["stage"]):
        found.append(f"{name} at stage {entry['stage']!r}")
    if severity is not None and not 0 <= severity <= 1:
        found.append(f"{name} of severity {severity}, which must lie in [0, 1]")
    return found if isinstance(entry["params"], Mapping) else [*found, f"{name} without params"]


def _against_recipe(record: Record, expected: Expected) -> list[str]:
    found = []
    if record["version"] != expected.version:
        found.append(f"version {record['version']}, the recipe's is {expected.version}")
    if record["seed"] != expected.seed:
        found.append(f"seed {record['seed']}, the recipe's is {expected.seed}")
    if record["size"] != [expected.size, expected.size]:
        found.append(f"size {record['size']}, the recipe's is {expected.size}")
    for member, image in record["images"].items():
        if "encoding" in image and image["encoding"] not in expected.encodings:
            found.append(
                f"image {member} is stored as {image['encoding']}, the recipe's are {listed(expected.encodings)}"
            )
    if record["phrase_split"] != expected.split:
        found.append(f"phrase_split {record['phrase_split']}, the recipe's is {expected.split}")
    task = record["task"]
    if task not in expected.effects:
        return [*found, f"task {task} is not in the recipe"]
    if record["target"]["kind"] not in expected.targets[task]:
        found.append(f"target {record['target']['kind']}, the recipe has {', '.join(expected.targets[task])}")
    if expected.sources is not None and (task, record["source"]["dataset"]) not in expected.sources:
        found.append(f"dataset {record['source']['dataset']!r} is not among the sources of {task}")
    by_itself = record["kind"] == "clean" and record.get("unseen")
    if record["kind"] not in expected.kinds and not by_itself:
        found.append(f"kind {record['kind']}, which the recipe does not ask for")
    if not expected.own and any(str(name).startswith("file.") for name in record["phrases"]):
        found.append(f"phrases {record['phrases']}, and the recipe has no file of sentences")
    whole = ("full", "clean")
    if (first := record["group"]) == record["key"] and expected.per_pair > 1 and record["kind"] not in whole:
        found.append(f"the first of group {first} is {record['kind']}, not full")
    known, dry = expected.effects[task], task in expected.dry and record["source"].get("indoor") is True
    for entry in record["degradations"]:
        name, severity = entry["effect"], entry["severity"]
        if dry and name in REGISTRY and REGISTRY[name].outdoors:
            found.append(f"{name} in a room: its pair is flagged indoor")
        if name not in known:
            found.append(f"{name} is not in the recipe of {task}")
        elif (span := known[name]) is not None and severity and not span[0] <= severity <= span[1]:
            found.append(f"{name} of severity {severity:.4g}, the recipe's range is {span[0]:g} to {span[1]:g}")
    return found


class Groups:
    """Samples of one group show one degraded pair; those that keep the same things share their target."""

    def __init__(self) -> None:
        self._group = ""
        self._first: dict[str, Any] = {}
        self._targets: dict[tuple[Any, ...], Any] = {}

    def faults_of(self, record: Record, row: Mapping[str, Any]) -> list[str]:
        """What differs from the samples of this group that came before."""
        asked = ("asked", "factor")
        entries = [{k: value for k, value in entry.items() if k not in asked} for entry in record["degradations"]]
        pair = {
            **{f"image {name}": row[f"{name}_sha256"] for name in IMAGES},
            "task": record["task"],
            "degradations": entries,
            "scene": record["scene"],
            "images": record["images"],
            "crop": record["crop"],
            "source": record["source"],
            "seed": record["seed"],
        }
        marks = ((entry["asked"], entry.get("factor")) for entry in record["degradations"])
        kept = (*marks, record["target"].get("emphasis"))
        if record["group"] != self._group:
            self._group, self._first, self._targets = record["group"], pair, {}
        found = []
        if pair != self._first:
            other = [name for name, value in pair.items() if value != self._first[name]]
            found.append(f"differs from its group {self._group} in {', '.join(other)}")
        if self._targets.setdefault(kept, row["target_sha256"]) != row["target_sha256"]:
            found.append(f"asks the same as another of group {self._group}, and has another target")
        return found
