"""What a benchmark is known by: a small file that says of each sample what was drawn, what was measured, and how its
pictures look from afar (docs/benchmark.md has its format).

`synth sign` writes one; `synth verify --against` holds a dataset to it (against.py). Equal datasets give equal bytes,
wherever they stand.
"""

import base64
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from synth.audit.shown import Shown, read_sample
from synth.audit.verify import find_faults
from synth.dataset.description import DATASET, is_shard, read_dataset
from synth.dataset.shards import read_rows
from synth.errors import UnreadableError, UserError, in_one_line, listed
from synth.images import codecs
from synth.images.pixels import Bytes
from synth.paths import ADDRESS, FILE, home
from synth.recipe.file import SIGNATURE as SUFFIX
from synth.recipe.file import nearest, shipped
from synth.recipe.schema import hash_resolved
from synth.sample.parts import drawn_and_measured
from synth.sample.plan import Plan
from synth.sample.record import MALFORMED
from synth.scene.capture import IMAGES
from synth.storage import Storage

VERSION = 1
KEPT = ("name", "recipe", "recipe_sha256", "sources", "source_fingerprint", "libraries")  # of dataset.json
GRID, LEAST = 8, 32  # blocks along each side of a picture, at most; and pixels along each side of one, at least
MOST_BYTES = 1 << 28  # of a signature, unpacked
OF_A_GROUP = (*IMAGES, *(f"clean_{name}" for name in IMAGES))  # pictures that all samples of a group share


class Signed(NamedTuple):
    """What a signature says of a sample.

    drawn, measured: its record in two parts (synth/sample/parts.py). files: the beginning of a hash of the files that
    it was made of. pictures: by member, `blocks` of it as bytes in base 64; a, b and the clean pair stand with the
    first of a group alone.
    """

    drawn: dict[str, Any]
    measured: dict[str, float]
    files: str
    pictures: dict[str, str]

    @property
    def key(self) -> str:
        return str(self.drawn["key"])


@dataclass(frozen=True)
class Signature:
    """A signature: what dataset.json said of the dataset (`KEPT`), the versions of the `effects` that fell, perhaps the
    names of all `scenes` of the sets; and of each sample what it is known by. drawn: the one hash of all that was.
    """

    about: dict[str, Any]
    samples: tuple[Signed, ...]
    drawn: str

    @property
    def name(self) -> str:
        return str(self.about["name"])


def sign(storage: Storage, plan: Plan | None = None, progress: Callable[[int, int], None] | None = None) -> Signature:
    """The signature of a dataset, every file of which is looked at first. plan: what it was made by; with it, the
    signature names all scenes of the sets, those too that no sample shows.

    Raises UserError where it has a fault, is not finished, or lacks a sample: nobody could render that again.
    """
    verdict = find_faults(storage, 0, 1, progress)
    if verdict.count:
        raise UserError(f"{storage.url}: not sound, so not to be signed: {verdict.faults[0]}; run synth verify")
    if verdict.failed:
        raise UserError(
            f"{storage.url}: {verdict.failed} samples failed; a benchmark has them all: mend the pictures, then synth "
            "retry"
        )
    described = read_dataset(storage) or {}
    samples = []
    effects = set()
    first = ""
    for stem, row in rows_of(storage):
        shown = read_sample(storage, stem, row)
        signed = signed_of(shown)
        effects |= {entry["effect"] for entry in signed.drawn["degradations"]}
        group = signed.drawn["group"]
        pictures = {name: text for name, text in signed.pictures.items() if name not in OF_A_GROUP or group != first}
        samples.append(signed._replace(pictures=pictures))
        first = group
    versions = {name: version for name, version in described["effects"].items() if name in effects}
    about = {key: described[key] for key in KEPT} | {"effects": versions}
    if plan is not None:
        about["scenes"] = all_scenes(plan)
    return Signature(about, tuple(samples), drawn_hash(samples))


def all_scenes(plan: Plan) -> list[str]:
    """The names of all scenes that a recipe has to draw from."""
    return sorted({pair.scene for pool in plan.pools for pair in pool.pairs})


def rows_of(storage: Storage, broken: Collection[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of all samples of a dataset that were made, in order, each with the stem of its shard; but for those of
    broken shards."""
    sides = sorted(name for name in storage.sizes() if is_shard(name) and name.endswith(".parquet"))
    for stem in (stem for side in sides if (stem := side.removesuffix(".parquet")) not in broken):
        yield from ((stem, row) for row in read_rows(storage, f"{stem}.parquet") if row["status"] == "ok")


def signed_of(shown: Shown) -> Signed:
    """What a sample is known by. Raises UserError where its record or a picture is damaged."""
    try:
        drawn, measured = drawn_and_measured(shown.record)
        files = hashlib.sha256(" ".join(shown.record["source"]["sha256"]).encode()).hexdigest()[:12]
        pictures = {name: packed(codecs.decode(data)) for name, data in shown.pictures.items()}
        return Signed(drawn, measured, files, pictures)
    except (*MALFORMED, UnreadableError) as error:
        raise UserError(
            f"sample {shown.record.get('key')} is damaged ({in_one_line(error)}); run synth verify"
        ) from None


def blocks(picture: Bytes) -> NDArray[np.uint8]:
    """How a picture looks from afar: (rows, columns, channels + 1), of each block the mean of each channel, and last
    its grain, the mean difference of neighbours, which blur lowers and noise raises. In grey levels, to whole ones.

    Up to 8 × 8 blocks, none with sides under 32 pixels. Sums are of integers, so that no machine rounds otherwise.
    """
    image = picture.astype(np.int64).reshape(*picture.shape[:2], -1)
    down, across = (np.abs(np.diff(image, axis=axis, append=np.take(image, [-1], axis))) for axis in (0, 1))
    values = np.concatenate([image, (down + across).sum(2, keepdims=True)], 2)
    starts = [np.arange(count) * side // count for side in image.shape[:2] for count in [_count(side)]]
    sums = np.add.reduceat(np.add.reduceat(values, starts[0], 0), starts[1], 1)
    heights, widths = (np.diff(edges, append=side) for edges, side in zip(starts, image.shape[:2], strict=True))
    pixels = heights[:, None, None] * widths[None, :, None]
    parts = np.array([1] * image.shape[2] + [2 * image.shape[2]])  # two differences of each channel
    return np.minimum((2 * sums + pixels * parts) // (2 * pixels * parts), 255).astype(np.uint8)


def _count(side: int) -> int:
    return max(1, min(GRID, side // LEAST))


def packed(picture: Bytes) -> str:
    return base64.b64encode(blocks(picture).tobytes()).decode()


def drawn_hash(samples: list[Signed] | tuple[Signed, ...]) -> str:
    """The sha256 of all that was drawn: of one line of JSON a sample, keys in order."""
    return hashlib.sha256("".join(f"{_line(signed.drawn)}\n" for signed in samples).encode()).hexdigest()


def _line(data: Any) -> str:
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def as_bytes(signature: Signature) -> bytes:
    """The file: lines of JSON, compressed; the first is about all, each other of a sample."""
    about = {key: value for key, value in signature.about.items() if value is not None}
    head = {"signature": VERSION, "drawn": signature.drawn, "samples": len(signature.samples), **about}
    lines = [_line(head), *(_line(signed._asdict()) for signed in signature.samples)]
    file = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, file, mtime=0) as packer:
        packer.write("".join(f"{line}\n" for line in lines).encode())
    return file.getvalue()


def find_signature(name: str) -> Path:
    """A signature by its path, or, where it ships beside a recipe, by that recipe's name. Raises UserError, which says
    what else it is that was named, and what to give instead.
    """
    if not name.strip():
        raise UserError(f"--against: nothing is named; a file that synth sign wrote (…{SUFFIX}), or what ships")
    path = home(Path(FILE.sub("/", name, count=1)))
    if path.exists() and not path.is_dir():  # a pipe of the shell's, too
        return path
    if path.is_dir():
        known = next((known for known in shipped(SUFFIX) if known.endswith(f"/{path.name}")), None)
        raise UserError(f"{name}: {_instead(path)}" + (f"; the one that ships is {known!r}" if known else ""))
    if ADDRESS.match(name):
        raise UserError(f"{name}: a URL, and a signature is a file of this machine; fetch it, and name that")
    there = shipped(SUFFIX)
    asked = path.as_posix().removesuffix(SUFFIX)
    if (found := there.get(asked)) is not None:
        return found
    plain = asked.removesuffix(".yaml")
    recipe = nearest(plain, shipped(".yaml"))
    if recipe is not None and recipe not in there:
        exact = plain in (recipe, recipe.rpartition("/")[2])
        which = "" if exact else f"no such signature, and the recipe {recipe!r} "
        raise UserError(
            f"{name}: {which}ships without a signature; give the file that was published with it (…{SUFFIX})"
        )
    said = "" if recipe is None else f"; did you mean {recipe!r}?"
    raise UserError(
        f"{name}: no such signature{said}; a path of a file that synth sign wrote (…{SUFFIX}), or what ships: "
        f"{listed(there)}"
    )


def _instead(path: Path) -> str:
    """What a folder or a file is that is no signature, by its name, and what to give instead."""
    write = f"synth sign DATASET --out NAME{SUFFIX} writes one"
    if path.is_dir():
        inside = sorted(file.name for file in path.glob(f"*{SUFFIX}"))
        if inside:
            return f"is a folder; a signature in it is {path / inside[0]}"
        if (path / DATASET).is_file():
            return f"is a folder, of a dataset; its signature is a file, as {write.replace('DATASET', str(path))}"
        return f"is a folder; a signature is a file (…{SUFFIX}); {write}"
    ending = path.suffix.lower()
    if ending in (".yaml", ".yml"):
        near = [name for name, file in shipped(".yaml").items() if name in shipped(SUFFIX) and file.samefile(path)]
        way_out = f"its signature ships, and is called {near[0]}" if near else f"{write}, of what was made of it"
        return f"no signature of a dataset but a recipe; {way_out}"
    if is_shard(path.name) or path.name == DATASET or ending in (".tar", ".parquet"):
        return f"no signature of a dataset but a part of one; {write}"
    return f"no signature of a dataset; {write}"


def read_signature(path: Path) -> Signature:
    """A signature from its file, which may be a stranger's. Raises UserError where it is none, damaged or newer."""
    lines = _lines(path)
    try:
        head = json.loads(lines[0])
        version = head["signature"]
        if type(version) is not int or version < 1:
            raise ValueError(f"signature: {version!r}")
    except (*MALFORMED, RecursionError):
        raise UserError(f"{path}: {_instead(path)}") from None
    if version > VERSION:
        raise UserError(f"{path}: a signature of version {version}; this tool knows {VERSION}: install a newer one")
    try:
        samples = tuple(_signed(json.loads(line)) for line in lines[1:])
        about = {key: head[key] for key in (*KEPT, "effects")}
        about["scenes"] = None if head.get("scenes") is None else list(map(str, head["scenes"]))
        if not all(isinstance(about[key], dict) for key in ("recipe", "effects", "libraries")):
            raise ValueError("no recipe, effects and libraries in it")
        for source in about["sources"]:
            str(source["task"]), str(source["dataset"]), int(source["pairs"])
        if head["recipe_sha256"] != hash_resolved(about["recipe"]):
            raise ValueError("its recipe is not what its hash names")
        if head["samples"] != len(samples):
            raise ValueError(f"{len(samples)} samples, of {head['samples']}")
        if head["drawn"] != drawn_hash(samples):
            raise ValueError("what it says was drawn is not what its hash names")
    except (*MALFORMED, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: a damaged signature ({in_one_line(error)}); get it again") from None
    return Signature(about, samples, str(head["drawn"]))


def _lines(path: Path) -> list[str]:
    try:
        with gzip.open(path) as file:
            data = file.read(MOST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        if isinstance(error, EOFError | zlib.error):
            raise UserError(f"{path}: a damaged signature ({in_one_line(error)}); get it again") from None
        raise UserError(f"{path}: {_instead(path)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise UserError(f"{path}: over {MOST_BYTES >> 20} MB unpacked; no signature is as large")
    try:
        return data.decode().rstrip("\n").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{path}: {_instead(path)}") from None


def _signed(data: Mapping[str, Any]) -> Signed:
    """A line of a sample. Raises what `MALFORMED` lists."""
    drawn, files = data["drawn"], data["files"]
    measured = {str(name): float(value) for name, value in data["measured"].items()}
    pictures = {str(name): str(text) for name, text in data["pictures"].items()}
    names = (drawn["key"], drawn["group"], drawn["source"]["scene"])
    if not all(isinstance(name, str) for name in names) or not isinstance(drawn["degradations"], list):
        raise ValueError("a sample without a key, group, scene or effects")
    return Signed(drawn, measured, str(files), pictures)
