"""How often a day is taken for a night lit by lamps, and a night missed: `python -m bench.nights --pairs DIR ...`.

Each DIR holds vif/, mef/ and mff/ as folder sources do; bench/nights.yaml says what each pair shows. False: the share
of days with a `night` over .02. Missed: the share of nights with one of .02 or less. Writes docs/effects.md. `--fit`
prints the weights of synth/scene/night.py, fitted on the first DIR, and what eight-fold cross-validation by scene says
of them. scikit-learn fits them (it comes with sentence-transformers).
"""

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import yaml

from bench.command import parsed, parser
from bench.document import put, table
from synth.images.pixels import luma, shrink, to_linear
from synth.pairs.source import LeftOut, parse_source
from synth.scene.backdrop import Backdrop
from synth.scene.light import MEASURED_AT
from synth.scene.night import DAY_SKY, signs
from synth.tasks import TASKS

LABELS = Path(__file__).with_name("nights.yaml")
TOLD = 0.02
CHOSEN = {
    "single": ("upper 75", "spread", "rank 97", "upper 50", "lamps", "rank 90", "upper 25"),
    "bracket": ("upper 75", "upper 25", "lamps"),
}
FOLDS = 8  # of cross-validation
MANY = 0.4  # weight of a pair of msrs by night, of which there are more than of all other nights
QUICK = {"FOLDS": 2}


class Seen(NamedTuple):
    """A pair. night: what synth says. label: whether it is one; None where nobody can say. signs: of its pictures.
    day: whether its sky says so."""

    split: str
    task: str
    scene: str
    night: float
    label: bool | None
    signs: dict[str, float]
    day: bool


def labels() -> dict[str, list[str]]:
    return yaml.safe_load(LABELS.read_text(encoding="utf-8"))


def look_at(root: Path) -> Iterator[Seen]:
    known = labels()

    def told(scene: str, key: str) -> bool:
        return any(fnmatch.fnmatchcase(scene, pattern) for pattern in known[key])

    for task in ("vif", "mef", "mff"):
        capture = TASKS[task].capture
        for ref in parse_source({"folder": str(root / task)}).pairs(task):
            if isinstance(ref, LeftOut):
                continue
            pictures = ref.load().pictures
            if len({picture.shape[:2] for picture in pictures.values()}) > 1:
                continue
            light = Backdrop(capture, pictures).light
            brightest = max(light.gain, key=lambda name: light.gain[name]) if capture.bracketed else capture.guide
            found = signs(luma(to_linear(shrink(pictures[brightest], MEASURED_AT))))
            label = None if told(ref.scene, "unsure") else told(ref.scene, "nights")
            day = light.sky is not None and light.sky > DAY_SKY
            yield Seen(root.name, task, ref.scene, light.night, label, found, day)


def fit(pairs: list[Seen]) -> None:
    """Print weights, and their errors under cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    for kind, names in CHOSEN.items():
        chosen = [p for p in pairs if p.label is not None and TASKS[p.task].capture.bracketed == (kind == "bracket")]
        values = np.array([[p.signs[name] for name in names] for p in chosen])
        answers = np.array([bool(p.label) for p in chosen])
        weights = np.array([MANY if p.label and p.scene.startswith("msrs-") else 1.0 for p in chosen])
        day = np.array([p.day for p in chosen])
        scenes = [re.sub(r"(-p\d+|_v?\d{4})$", "", p.scene) for p in chosen]
        middle, spread = values[~day].mean(axis=0), np.maximum(values[~day].std(axis=0), 1e-9)
        scaled = (values - middle) / spread

        def fitted(rows: np.ndarray, x=scaled, y=answers, w=weights, by_sky=day) -> LogisticRegression:
            rows = rows[~by_sky[rows]]
            return LogisticRegression(max_iter=10_000).fit(x[rows], y[rows], sample_weight=w[rows])

        odds = np.zeros(len(chosen))
        for known, held in GroupKFold(FOLDS).split(scaled, groups=scenes):
            odds[held] = fitted(known).decision_function(scaled[held])
        odds[day] = -99
        threshold = float(np.quantile(odds[~answers], 0.982))
        false, missed = np.mean(odds[~answers] > threshold), np.mean(odds[answers] < threshold)
        print(f"# {kind}: false {false:.1%}, missed {missed:.1%}")
        model = fitted(np.arange(len(chosen)))
        slopes = model.coef_[0] / spread
        bias = float(model.intercept_[0] - slopes @ middle) - threshold
        print({"bias": round(bias, 2), **{n: round(float(s), 2) for n, s in zip(names, slopes, strict=True)}})


def errors(pairs: list[Seen]) -> list[str]:
    days = [p.night for p in pairs if p.label is False]
    nights = [p.night for p in pairs if p.label]

    def share(wrong: list[bool]) -> str:
        return f"{np.mean(wrong):.1%} of {len(wrong)}" if wrong else "–"

    return [share([night > TOLD for night in days]), share([night <= TOLD for night in nights])]


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, action="append", required=True)
    wanted.add_argument("--fit", action="store_true")
    given = parsed(wanted, globals(), QUICK)
    cv2.setNumThreads(1)
    seen = [pair for root in given.pairs for pair in look_at(root)]
    if given.fit:
        fit([pair for pair in seen if pair.split == given.pairs[0].name])
        return
    rows = []
    for root in given.pairs:
        here = [pair for pair in seen if pair.split == root.name]
        rows.append([root.name, *errors(here)])
        rows += [
            [f"{root.name}, {task}", *errors([p for p in here if p.task == task])] for task in ("vif", "mef", "mff")
        ]
    text = table(["", "days taken for nights", "nights missed"], rows)
    print(text)
    put("effects.md", "nights", "make bench-nights", text)


if __name__ == "__main__":
    main()
