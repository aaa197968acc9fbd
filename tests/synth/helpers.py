"""Pictures, views and folders of pairs for the tests of synth."""

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from skimage import data

from synth.dataset.description import Summary, survey
from synth.dataset.generate import FailureLimit, Progress, Run
from synth.dataset.generate import generate as make
from synth.dataset.shards import read_rows
from synth.engines.local import LocalEngine
from synth.images import codecs
from synth.images.pixels import Bytes, to_bytes, to_linear
from synth.recipe.schema import Recipe
from synth.sample.plan import Plan, make_plan
from synth.sample.shot import Shot
from synth.scene.scene import ImageName, Modality, Scene, View
from synth.storage import Folder, open_storage
from synth.streams import Streams
from synth.tasks import TASKS

DATA = {
    "name": "t",
    "task": "mef",
    "seed": 3,
    "samples": 22,
    "samples_per_shard": 5,
    "sources": [{"builtin": "bracketed"}],
    "crop": {"size": 48},
    "degradations": {
        "always": ["haze"],
        "some": {"count": {1: 1}, "of": ["noise", "jpeg", "blur"]},
        "indoor": "as_outdoor",  # scikit-image's photographs are of rooms, most of them
    },
    "store": ["clean"],
}


def plan(**changes) -> Plan:
    return make_plan(Recipe.model_validate({**DATA, **changes}))


def missing_shards(chosen: Plan, out: Path) -> list[int]:
    standing = survey(Folder(out), chosen.shards)
    return [shard.number for shard in chosen.shards if not standing.holds(shard)]


def rows_of(folder: Path) -> list[dict]:
    sides = sorted(path.name for path in folder.glob("*.parquet"))
    return [row for side in sides for row in read_rows(Folder(folder), side)]


NO_LIMIT = FailureLimit(10**9)


def quiet(done: int, total: int) -> None:
    """No bar."""


def run_of(workers: int = 1, progress: Progress = quiet, limit: FailureLimit = NO_LIMIT) -> Run:
    """A run on this machine."""
    return Run(LocalEngine(workers), progress, limit)


def generate(chosen: Plan, out: Path | str, workers: int = 1, **how) -> Summary:
    """A dataset, finished (`part`: None)."""
    storage = open_storage(out)
    storage.prepare()
    return make(chosen, storage, run_of(workers), **how)


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def photograph(height: int = 96, width: int = 130, colour: bool = True) -> Bytes:
    """A part of a real photograph: textures, edges and flat parts, bright and dark."""
    image = data.astronaut()[40 : 40 + height, 150 : 150 + width]
    return np.ascontiguousarray(image if colour else image[:, :, 1])


def scene(height: int, width: int, gain: dict[ImageName, float] | None = None) -> Scene:
    """Depth from 20 m at the lower edge to 200 m at the upper one, of a picture that reaches to 250 m: no sky."""
    depth = np.linspace(200, 20, height, dtype=np.float32)[:, None].repeat(width, 1)
    gains: dict[ImageName, float] = gain or {"a": 1.0, "b": 1.0}
    return Scene(depth, "proxy", 250.0, (0.71, 0.70, 0.69), (1.0, 0.5), 1.1 * width, 0.01, True, gains, "equal")


def view(image: Bytes, name: ImageName = "a", modality: Modality = "visible", of: Scene | None = None) -> View:
    """How one image sees a scene."""
    height, width = image.shape[:2]
    shared = of or scene(height, width)
    return View(shared, name, modality, (height, width), image.ndim == 3, image)


def write_pair(folder: Path, a: Bytes, b: Bytes, **others: Bytes) -> Path:
    """A folder with a.png, b.png and whatever else is named."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in {"a": a, "b": b, **others}.items():
        (folder / f"{name}.png").write_bytes(codecs.encode_png(image))
    return folder


def bracket_folder(root: Path, count: int = 3) -> Path:
    """A folder of small brackets of different photographs."""
    for number, name in enumerate(["astronaut", "coffee", "chelsea"][:count]):
        image = getattr(data, name)()[60:220, 100:300]
        linear = to_linear(image)
        write_pair(root / f"shots-{number}", to_bytes(linear / 8), to_bytes(linear * 4))
    return root


def shot(task: str, a: Bytes, b: Bytes, seed: int = 0, group: int = 0) -> Shot:
    """A pair of a task before a plain scene."""
    capture = TASKS[task].capture
    before = replace(scene(*a.shape[:2]), simultaneous=capture.simultaneous)
    return Shot(capture, {"a": a, "b": b}, before, Streams(seed, group))


@lru_cache(maxsize=3)
def small_pair(task: str) -> tuple[Bytes, Bytes]:
    return photograph(32, 32), photograph(32, 32, colour=task != "vif")


def drawn_for(drawn, seed: int):
    """What falls on a sample, drawn for a small scene that stands in for its pair: with the same severities."""
    return shot(drawn.task, *small_pair(drawn.task), seed, drawn.group).draw(drawn.effects)
