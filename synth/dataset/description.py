"""What a dataset says of itself: `dataset.json`, the metadata of its sidecars, and whether a place holds this one."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from synth.dataset import pictures
from synth.dataset.shards import SidecarFacts, read_facts, rows_in
from synth.degradations import effects
from synth.errors import UserError
from synth.sample.plan import Plan, Shard
from synth.storage import Storage

LIBRARIES = ("numpy", "scipy", "opencv-python", "simplejpeg", "pillow", "deflate")  # those that decide pixels or bytes
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
"""Packages of the same library; a machine has one of them."""
DATASET = "dataset.json"
CHUNK = 1 << 22  # bytes that are hashed at once
AT_ONCE = {True: 2, False: 32}  # requests under way together, to a disk and to a server
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Summary:
    """What stands in a finished dataset."""

    samples: int
    shards: int
    made: int
    bytes: int
    reasons: Counter[str]

    @property
    def failed(self) -> int:
        return self.reasons.total()


@dataclass(frozen=True)
class Standing:
    """What a place holds of a plan: all its files, and the footers of the sidecars that can be read, by stem."""

    sizes: Mapping[str, int]
    facts: Mapping[str, SidecarFacts]

    def holds(self, shard: Shard) -> bool:
        """Whether a shard is there: its sidecar with all its rows, and its tar in the size that the sidecar names."""
        facts = self.facts.get(shard.stem)
        if facts is None or facts.rows != shard.stop - shard.start:
            return False
        return facts.metadata.get("tar_bytes") == str(self.sizes.get(f"{shard.stem}.tar"))


def metadata(plan: Plan) -> dict[str, str]:
    """What every sidecar says of the dataset it belongs to; equal metadata and equal indices give equal bytes."""
    return {
        "version": str(plan.recipe.format_version),
        "kind": "images",
        "recipe": plan.recipe.hash(),
        "source": plan.fingerprint,
        "effects": json.dumps(_versions(plan), sort_keys=True),
        "libraries": json.dumps({name: version_of(name) for name in LIBRARIES}, sort_keys=True),
    }


def _versions(plan: Plan) -> dict[str, int]:
    """Of all effects, and of those that are in no registry where the recipe has any."""
    used = (spec for part in plan.recipe.tasks.values() for spec in part.degradations.specs if spec.variant is not None)
    return {name: effect.version for name, effect in effects().items()} | {
        s.effect: s.degradation.version for s in used
    }


def version_of(name: str) -> str:
    """Of an installed package; of OpenCV that of whichever of its packages is there."""
    for package in OPENCV if name in OPENCV else ():
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return version(name)


def survey(storage: Storage, shards: Iterable[Shard]) -> Standing:
    """What stands of these shards."""
    sizes = storage.sizes()
    stems = [shard.stem for shard in shards if f"{shard.stem}.parquet" in sizes]

    def facts_of(stem: str) -> SidecarFacts | None:
        return read_facts(storage, f"{stem}.parquet", sizes[f"{stem}.parquet"])

    found = at_once(storage, facts_of, stems)
    return Standing(sizes, {stem: facts for stem, facts in zip(stems, found, strict=True) if facts is not None})


def read_dataset(storage: Storage) -> dict[str, Any] | None:
    """`dataset.json`; None where there is none. Raises UserError where it is not the description of a dataset."""
    try:
        described = json.loads(storage.read(DATASET))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UserError(f"{storage.shown(DATASET)} is not JSON") from None
    if not isinstance(described, dict):
        raise UserError(f"{storage.shown(DATASET)} describes no dataset")
    return described


def without_sidecars(storage: Storage) -> str:
    """What to do about tars that stand somewhere without their sidecars, for the end of a line; "" where none do."""
    sizes = storage.sizes()
    tars = [name for name in sizes if name.endswith(".tar") and f"{name.removesuffix('.tar')}.parquet" not in sizes]
    if not tars:
        return ""
    sidecar = f"{min(tars).removesuffix('.tar')}.parquet"
    names = "" if is_shard(sidecar) else ", both under the names that synth gave them (six digits)"
    if len(tars) == 1:
        return f"; here is a tar without its sidecar, which tells what is in it: copy {sidecar} too{names}"
    there = f"{len(tars):,} tars without their sidecars (.parquet)"
    return f"; here are {there}, which tell what is in them: copy {sidecar} and the others too{names}"


def another(plan: Plan, storage: Storage, standing: Standing, extend: bool) -> str | None:
    """What a place holds that is not this dataset, and how it differs; None where it holds this one or nothing.

    extend: fewer samples are no difference.
    """
    try:
        there = read_dataset(storage)
    except UserError as error:
        return str(error)
    if there is not None:
        here = json.loads(json.dumps(describe(plan)))
        inner = there.get("recipe")
        samples = inner.get("samples") if isinstance(inner, dict) else None
        fewer = isinstance(samples, int) and samples < plan.recipe.samples
        if extend and fewer:
            here["recipe"]["samples"] = samples
        if (found := difference(there, here)) is not None:
            way_out = " (--extend makes it larger)" if fewer and found.startswith("recipe.samples ") else ""
            return f"{storage.url} holds another dataset: {found}{way_out}"
    elif strays := sorted(name for name in standing.sizes if is_shard(name) and name.endswith(".tar")):
        return f"{storage.url} holds shards ({strays[0]}) but no {DATASET}"
    expected = metadata(plan)
    for stem, facts in standing.facts.items():
        if (found := difference(facts.metadata, expected)) is not None:
            return f"{storage.shown(f'{stem}.parquet')} is of another dataset: {found}"
    return None


def is_ours(storage: Storage, standing: Standing) -> bool:
    """Whether `dataset.json` is of a dataset of images, or there is none and shards stand beside their sidecars."""
    try:
        there = read_dataset(storage)
    except UserError:
        return False
    if there is None:
        return any(facts.metadata for facts in standing.facts.values())
    return there.get("kind") == "images" and "recipe_sha256" in there


def is_shard(name: str) -> bool:
    """Whether a file is a tar or a sidecar: six digits, and the kind."""
    stem, _, kind = name.partition(".")
    return len(stem) == 6 and stem.isascii() and stem.isdigit() and kind in ("tar", "parquet")


def seal(plan: Plan, storage: Storage, made: Collection[str]) -> Summary:
    """Write `dataset.json` anew, complete, with the shards and their hashes, and count what is in them.

    made: stems of the shards that were written in this run. Of the others on a local disk the bytes are checked
    against the hash that was written with them; in object storage only their sizes (`synth verify` reads them).
    Raises UserError where a shard is missing or changed, or a scene has other pictures in one than in another.
    """
    standing = survey(storage, plan.shards)
    missing = [shard.number for shard in plan.shards if not standing.holds(shard)]
    if missing:
        raise UserError(
            f"{storage.url}: {len(missing)} of {len(plan.shards)} shards are missing: {ranges(missing)} "
            "(as --shard-range takes them)"
        )

    def entry(shard: Shard) -> tuple[dict[str, Any], Counter[str], dict[int, tuple[int, str]]]:
        tar, side = f"{shard.stem}.tar", f"{shard.stem}.parquet"
        sidecar = storage.read(side, 0, standing.sizes[side])
        rows = rows_in(io.BytesIO(sidecar), storage.shown(side), ["reason", *pictures.COLUMNS])
        sha256 = standing.facts[shard.stem].metadata["tar_sha256"]
        if storage.local and shard.stem not in made and hashed(storage, tar)[1] != sha256:
            raise UserError(
                f"{storage.shown(tar)}: not the bytes that were written; remove it and run the same command again"
            )
        described = {
            "name": tar,
            "samples": sum(row["status"] == "ok" for row in rows),
            "failed": sum(row["status"] == "failed" for row in rows),
            "tar_bytes": standing.sizes[tar],
            "tar_sha256": sha256,
            "parquet_bytes": standing.sizes[side],
            "parquet_sha256": hashlib.sha256(sidecar).hexdigest(),
        }
        reasons = Counter(row["reason"] for row in rows if row["status"] == "failed")
        return described, reasons, pictures.shown_in(rows)

    entries, reasons, shown = [], Counter[str](), pictures.Shown()
    for shard, (described, why, found) in zip(plan.shards, at_once(storage, entry, plan.shards), strict=True):
        entries.append(described)
        reasons += why
        other = shown.add(shard.stem, {scene: of for scene, (of, _) in found.items()})
        pictures.refuse(shard.stem, other, found)
    write_dataset(plan, storage, entries, complete=True)
    total = sum(item["tar_bytes"] + item["parquet_bytes"] for item in entries)
    return Summary(sum(item["samples"] for item in entries), len(entries), len(made), total, reasons)


def write_dataset(plan: Plan, storage: Storage, shards: Sequence[dict[str, Any]], complete: bool) -> None:
    """`dataset.json`, with an entry for each shard that is known."""
    described = describe(plan) | {
        "complete": complete,
        "counts": {"samples": sum(s["samples"] for s in shards), "failed": sum(s["failed"] for s in shards)},
        "shards": list(shards),
    }
    storage.write(DATASET, (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode())


def describe(plan: Plan) -> dict[str, Any]:
    """All of `dataset.json` that is known before the first sample."""
    facts = metadata(plan)
    return {
        "version": plan.recipe.format_version,
        "kind": facts["kind"],
        "name": plan.recipe.name,
        "recipe": plan.recipe.resolved(),
        "recipe_sha256": facts["recipe"],
        "sources": [
            {"task": pool.task, "dataset": pool.dataset, "pairs": len(pool.pairs), "weight": pool.weight}
            for pool in plan.pools
        ],
        "source_fingerprint": facts["source"],
        "effects": json.loads(facts["effects"]),
        "libraries": json.loads(facts["libraries"]),
    }


def difference(there: Any, here: Any, where: str = "") -> str | None:
    """The first place where what is asked for differs from what is there, in words."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key, value in here.items():
            if key in ("recipe_sha256", "source_fingerprint"):
                continue  # these only say that something differs; what does stands beside them
            found = difference(there.get(key), value, f"{where}.{key}".lstrip("."))
            if found is not None:
                return found
        for key in there if where else ():  # around all, what stands there says more: what is in the shards
            if key not in here:
                return f"{where}.{key} is {json.dumps(there[key])[:100]} there, and is not here"
        for key in ("recipe_sha256", "source_fingerprint"):
            if there.get(key) != here.get(key):
                return f"{key} differs"
        return None
    if there == here:
        return None
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = enumerate(zip(there, here, strict=True))
        return next(filter(None, (difference(*pair, f"{where}[{number}]") for number, pair in pairs)), None)
    shown = [text if len(text) < 120 else f"{text[:100]}…" for text in (json.dumps(there), json.dumps(here))]
    return f"{where} is {shown[0]} there, {shown[1]} here"


def ranges(numbers: Sequence[int], most: int = 5) -> str:
    """Ascending numbers as FIRST:END (without END), the first `most` of them."""
    starts = [n for i, n in enumerate(numbers) if i == 0 or numbers[i - 1] != n - 1]
    ends = [n + 1 for i, n in enumerate(numbers) if i + 1 == len(numbers) or numbers[i + 1] != n + 1]
    shown = [f"{start}:{end}" for start, end in zip(starts, ends, strict=True)]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def hashed(storage: Storage, name: str) -> tuple[int, str]:
    """The bytes of a file and their sha256, read piece by piece."""
    digest, size = hashlib.sha256(), 0
    with storage.open(name) as file:
        while data := file.read(CHUNK):
            digest.update(data)
            size += len(data)
    return size, digest.hexdigest()


def at_once(storage: Storage, do: Callable[[Item], Result], items: Sequence[Item]) -> Iterable[Result]:
    """`do` of each item, in order, several under way together."""
    with ThreadPoolExecutor(AT_ONCE[storage.local]) as threads:
        yield from threads.map(do, items)
