"""Whether the guess of `synth.scene.rooms` tells rooms from streets, held against a person.

`python -m bench.rooms --pairs ROOT` (ROOT/{train,test}/{vif,mef,mff}) puts tables into docs/effects.md. The labels
stand in rooms.yaml. The weights of the guess follow from one half of the train pairs, by a hash of their names, which
`--fit` prints; the other half and the test pairs are what it is judged by. The second table says how much of what the
recipes of rain let fall on labelled pairs falls in rooms, with `indoor: as_outdoor` and as they stand.
"""

import hashlib
import time
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from bench.command import parsed, parser
from bench.document import put, table
from synth.pairs.folder import FolderSource
from synth.pairs.split import PAIR
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.draft import draft
from synth.sample.plan import make_plan
from synth.scene.rooms import LOOKED_AT, WEIGHTS, room_odds, signs, thumbnail
from synth.tasks import TASKS

LABELS = Path(__file__).parent / "rooms.yaml"
SAMPLES = 1500  # of a recipe
OF_EACH: int | None = None  # pairs of a label at a place; None: all
RIDGE = 2.0  # of the logistic regression, over standardised signs
CHANGED: dict[str, object] = {}  # in those recipes
WARINESS = 0.6  # added to the offset: a street without rain costs less than a room with it
QUICK = {"SAMPLES": 30, "OF_EACH": 1, "CHANGED": {"crop": {"size": 64}}}


def part_of(place: str, name: str) -> str:
    """tune, held or test."""
    if place.startswith("test"):
        return "test"
    task = place.partition("/")[2]
    digest = hashlib.sha1(PAIR.sub("", f"train/{task}/{name}").encode(), usedforsecurity=False).digest()
    return "held" if digest[0] % 2 else "tune"


def fit(values: NDArray[np.float64], rooms: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Weights and offset of a ridge logistic regression, by Newton's method."""
    mean, spread = values.mean(0), values.std(0)
    design = np.column_stack([(values - mean) / spread, np.ones(len(values))])
    penalty = RIDGE * np.diag([1.0] * values.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (chance - rooms) + penalty @ weights
        weights -= np.linalg.solve(design.T @ (design * (chance * (1 - chance))[:, None]) + penalty, slope)
    scaled = weights[:-1] / spread
    return scaled, float(weights[-1] - (scaled * mean).sum())


def rained_on(pairs: Path, split: str, task: str, indoor: str, rooms: dict[str, bool]) -> float:
    """Of the samples of a recipe that it rains on, and whose pair is labelled, the share that are rooms."""
    recipe = load_recipe(find_recipe(f"{task}_rain"), CHANGED)
    rules = recipe.tasks[task].degradations.model_copy(update={"indoor": indoor})
    part = recipe.tasks[task].model_copy(update={"degradations": rules})
    plan = make_plan(recipe.model_copy(update={"tasks": {task: part}}), pairs / split)
    drawn = [draft(plan, index) for index in range(SAMPLES)]
    return float(np.mean([rooms[item.pair.scene] for item in drawn if item.effects and item.pair.scene in rooms]))


def main() -> None:
    """Measure, print, and put the table into the document."""
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, required=True)
    wanted.add_argument("--fit", action="store_true", help="print the weights, in place of the table")
    options = parsed(wanted, globals(), QUICK)
    found: list[tuple[str, str, bool, float, list[float]]] = []
    seconds = 0.0
    labelled = {
        place: {label: names[:OF_EACH] for label, names in labels.items()}
        for place, labels in yaml.safe_load(LABELS.read_text(encoding="utf-8")).items()
    }
    for place, labels in labelled.items():
        task = place.partition("/")[2]
        pairs = {item.scene: item for item in FolderSource(folder=options.pairs / place).pairs(task)}
        for name, room in [(name, word == "indoor") for word, names in labels.items() for name in names]:
            pictures, capture = pairs[name].load().pictures, TASKS[task].capture  # type: ignore[union-attr]
            begun = time.perf_counter()
            odds = room_odds(capture, pictures)
            seconds += time.perf_counter() - begun
            looked = list(signs(thumbnail(capture, pictures)).values())
            found.append((part_of(place, name), task, room, odds, looked))
    if options.fit:
        tune = [item for item in found if item[0] == "tune"]
        weights, offset = fit(np.array([item[4] for item in tune]), np.array([item[2] for item in tune]))
        print({name: round(float(w), 1) for name, w in zip(WEIGHTS, weights, strict=True)}, round(offset + WARINESS, 1))
        return
    rows = []
    for part in ("tune", "held", "test"):
        for task in ("mef and mff", "vif", "all"):
            some = [item for item in found if item[0] == part and (task == "all" or item[1] in task.split())]
            rooms, said = sum(item[2] for item in some), sum(item[3] > 0 for item in some)
            right = sum(item[2] and item[3] > 0 for item in some)
            recall, precision = (f"{right / n:.2f}" if n else "–" for n in (rooms, said))
            rows.append([part, task, str(len(some)), str(rooms), str(said), recall, precision])
    head = ["pairs", "task", "number", "rooms", "taken for rooms", "recall", "precision"]
    cost = f"{1000 * seconds / len(found):.1f} ms a pair, at {LOOKED_AT} px, once it is read."
    wet = []
    for place, labels in labelled.items():
        split, _, task = place.partition("/")
        rooms = {name: word == "indoor" for word, names in labels.items() for name in names}
        shares = [rained_on(options.pairs, split, task, indoor, rooms) for indoor in ("as_outdoor", "guess")]
        wet.append([split, task, *(f"{share:.0%}" for share in shares)])
    falls = table(["pairs", "task", "rain that falls in rooms, as_outdoor", "with the guess"], sorted(wet)[::-1])
    print(text := f"{table(head, rows)}\n\n{cost}\n\n{falls}")
    put("effects.md", "rooms", "make bench-rooms", text)


if __name__ == "__main__":
    main()
