"""A test set whose damage comes from other code than ours: how a model does on strangers' pictures. `make foreign`.

`python -m bench.foreign make --pairs ROOT` writes out/foreign/HALF/NNN/ with a.png, b.png, clean_a.png, clean_b.png,
target.png and sample.json, 60 pairs of 320 px for each of two halves (bench/foreign_plan.py says which): `choices`, to
decide by, and `table`, to be read once. `python -m bench.foreign score --weights DIR` prints how weights do on choices,
beside the average of both inputs and the closed-form start. imgaug and albumentations make choices: what trains on
damage by imgaug is not judged by its pairs.

The truth is the pair's own where it has one, else our target of the clean pair. Other code: nothing of
synth.degradations is used but the shim that lets imgaug start.

    from bench.foreign import score, mean_of
    rows = score(lambda a, b, prompt, task: fuser(a, b, prompt), "choices")
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, get_args

import cv2
import numpy as np

from bench import foreign_damage
from bench.command import parsed, parser
from bench.document import table
from bench.foreign_effects import KINDS
from bench.foreign_plan import CODES, PAIRS, SEED, SIZE, Half, Sample, candidates, counts, plan, scene_of
from synth.images import codecs
from synth.images.crop import Window, cut, draw_window
from synth.images.pixels import Bytes, in_colour, luma
from synth.pairs.base import CleanPair, PairRef
from synth.streams import stream
from synth.targets.target import kind_for, make_target
from synth.tasks import TASKS
from trainer.evaluation import metrics
from trainer.evaluation.scoring import HIGHEST

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers/bin/python"
OUT = Path("out/foreign")
IN_PEERS = ("albumentations", "imagecorruptions")
TARGETS = ("given", "gradient")
SCALE = (0.5, 1.0)  # of a window: pixels of the set for one of the picture
RESAMPLED = 2000  # times, for an interval
COLUMNS = ("PSNR", "SSIM", "Qabf", "VIF")
QUICK = {"PAIRS": 1, "SIZE": 64, "RESAMPLED": 20}

Row: TypeAlias = dict[str, Any]
Fuse: TypeAlias = Callable[[Bytes, Bytes, str, str], Bytes]
"""Of (a, b, prompt, task): (H, W) or (H, W, 3) bytes, RGB, of one size, to their fusion."""


def window_of(half: Half, pair: PairRef, repeat: int) -> Window:
    """A square of a picture, no larger than twice the set's size; another one for each repeat of its scene."""
    header = pair.headers()[0]
    assert header is not None  # candidates have one
    rng = stream(SEED, repeat, f"{half} window {pair.scene}")
    return draw_window(header.height, header.width, SIZE, SCALE, False, rng)


def clean_pair(half: Half, pair: PairRef, repeat: int) -> tuple[CleanPair, dict[str, Bytes], Bytes | None]:
    """A pair, its pictures in the window, and its truth there if it has one."""
    loaded, window = _load(pair), window_of(half, pair, repeat)
    gt = None if loaded.gt is None else cut(loaded.gt, window, SIZE)
    return loaded, {name: cut(picture, window, SIZE) for name, picture in loaded.pictures.items()}, gt


@lru_cache(maxsize=4)
def _load(pair: PairRef) -> CleanPair:
    return pair.load()


def level_of(half: Half, pair: PairRef, repeat: int) -> float:
    """The mean grey level of the visible image, or of both shots."""
    pictures = clean_pair(half, pair, repeat)[1]
    seen = [p for name, p in pictures.items() if not TASKS[pair.task].capture.is_infrared(name)]
    return float(np.mean([luma(picture).mean() for picture in seen]))


def make(
    half: Half, pairs: Mapping[str, Sequence[PairRef]], out: Path = OUT, count: int = PAIRS, peers: Path = PEERS
) -> list[Sample]:
    """Write a half anew, `count` pairs of each task. pairs: by task, what it may take. peers: a Python with the peers.

    Raises SystemExit where that is needed and missing.
    """
    samples = plan(half, pairs, lambda pair, repeat: level_of(half, pair, repeat), count)
    if any(sample.code in IN_PEERS for sample in samples) and not peers.exists():
        raise SystemExit(f"{peers}: no such program; `make peers` makes it")
    known = {(task, pair.scene): pair for task, refs in pairs.items() for pair in refs}
    shutil.rmtree(out / half, ignore_errors=True)
    jobs: list[dict[str, Any]] = []
    for sample in samples:
        folder = out / half / f"{sample.number:03d}"
        folder.mkdir(parents=True)
        pair = known[sample.task, sample.scene]
        _, pictures, gt = clean_pair(half, pair, sample.repeat)
        kind = kind_for(TARGETS, gt is not None)
        assert kind is not None
        target, record = make_target(kind, TASKS[sample.task], pictures, gt)
        for name, picture in {"target": target, **{f"clean_{name}": p for name, p in pictures.items()}}.items():
            (folder / f"{name}.png").write_bytes(codecs.encode_png(picture))
        window = window_of(half, pair, sample.repeat)
        found = sample.to_record() | {"target": record, "window": [window.x, window.y, window.w]}
        (folder / "sample.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        jobs += _jobs(sample, folder)
    _damage(jobs, out / half, peers)
    return samples


def _jobs(sample: Sample, folder: Path) -> Iterator[dict[str, Any]]:
    for name in TASKS[sample.task].capture.modalities:
        files = {"source": str(folder / f"clean_{name}.png"), "out": str(folder / f"{name}.png")}
        yield files | {"code": sample.code, "curve": sample.curve, "steps": sample.steps(name)}


def _damage(jobs: Sequence[dict[str, Any]], folder: Path, peers: Path) -> None:
    here = [job for job in jobs if job["code"] not in IN_PEERS]
    if any(job["code"] == "imgaug" for job in here):
        from synth.degradations.imgaug_shim import load_imgaug

        load_imgaug()
    foreign_damage.run(here)
    if there := [job for job in jobs if job["code"] in IN_PEERS]:
        file = folder / "job.json"
        file.write_text(json.dumps(there), encoding="utf-8")
        subprocess.run([peers, Path(foreign_damage.__file__), file], check=True)
        file.unlink()


def samples_of(half: Half, root: Path = OUT) -> Iterator[tuple[Row, dict[str, Bytes]]]:
    """The record and the pictures (a, b, clean_a, clean_b, target) of each sample. Raises SystemExit without any."""
    folders = sorted(path.parent for path in (root / half).glob("*/sample.json"))
    if not folders:
        raise SystemExit(f"{root / half}: no samples; `make foreign` makes them")
    for folder in folders:
        record = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
        yield record, {path.stem: codecs.read(path).image for path in sorted(folder.glob("*.png"))}


def score(fuse: Fuse, half: Half, root: Path = OUT) -> list[Row]:
    """One row a sample: what it is (number, task, scene, dataset, code, target, kinds) and the values of `COLUMNS`.

    PSNR (at most `HIGHEST`) and SSIM to the target; Qabf and VIF against both clean sources.
    """
    rows = []
    for record, pictures in samples_of(half, root):
        fused = fuse(pictures["a"], pictures["b"], record["prompt"], record["task"])
        clean, target = (pictures["clean_a"], pictures["clean_b"]), pictures["target"]
        row = {key: record[key] for key in ("half", "number", "task", "dataset", "code")}
        row |= {"scene": scene_of(record["scene"]), "target": record["target"]["kind"]}
        row |= {"kinds": [damage["kind"] for damage in record["damages"]]}
        row |= {"PSNR": min(metrics.psnr(fused, target), HIGHEST), "SSIM": metrics.ssim(fused, target)}
        row |= {"Qabf": metrics.qabf(*clean, fused), "VIF": metrics.vif_sources(*clean, fused)}
        rows.append(row)
    return rows


def mean_of(rows: Sequence[Row], column: str) -> float:
    """Of a column of `score`."""
    return float(np.mean([row[column] for row in rows]))


def interval(rows: Sequence[Row], column: str = "PSNR") -> tuple[float, float]:
    """95% of the means of a column where scenes are drawn anew, with replacement; all pairs of a scene go together."""
    by_scene: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        by_scene.setdefault((row["task"], row["scene"]), []).append(row[column])
    sums, sizes = (np.array([f(values) for values in by_scene.values()], float) for f in (sum, len))
    drawn = stream(SEED, 0, "bootstrap").integers(len(sums), size=(RESAMPLED, len(sums)))
    low, high = np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), (2.5, 97.5))
    return float(low), float(high)


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each task, kind of damage, code and kind of target."""
    found = {task: [row for row in rows if row["task"] == task] for task in TASKS}
    found |= {kind: [row for row in rows if kind in row["kinds"]] for kind in KINDS}
    found |= {f"by {code}": [r for r in rows if r["code"] == code] for code in sorted({r["code"] for r in rows})}
    found |= {f"target {kind}": [row for row in rows if row["target"] == kind] for kind in TARGETS}
    return {name: group for name, group in found.items() if group}


def report(scored: Mapping[str, Sequence[Row]]) -> str:
    """Two Markdown tables of what was scored, by name: over all pairs, and by group."""
    whole = []
    for name, rows in scored.items():
        low, high = interval(rows)
        whole.append([name, f"{mean_of(rows, 'PSNR'):.2f} ({low:.2f} to {high:.2f})"])
        whole[-1] += [f"{mean_of(rows, column):.3f}" for column in COLUMNS[1:]]
    parts = {name: groups(rows) for name, rows in scored.items()}
    first = next(iter(parts.values()))
    by_group = [
        [group, str(len(rows)), *(_short(parts[name][group]) for name in scored)] for group, rows in first.items()
    ]
    legend = " / ".join(COLUMNS)
    return "\n\n".join(
        [
            table(["", "PSNR (95% by scene)", *COLUMNS[1:]], whole),
            f"{legend}:",
            table(["", "pairs", *scored], by_group),
        ]
    )


def _short(rows: Sequence[Row]) -> str:
    shown = [f"{mean_of(rows, column):.3f}".lstrip("0") for column in COLUMNS[1:]]
    return " / ".join([f"{mean_of(rows, 'PSNR'):.2f}", *shown])


def average(a: Bytes, b: Bytes, _prompt: str, _task: str) -> Bytes:
    """The mean of both images."""
    return cv2.addWeighted(in_colour(a), 0.5, in_colour(b), 0.5, 0)


def base(a: Bytes, b: Bytes, _prompt: str, _task: str) -> Bytes:
    """The closed-form start of the network, on the damaged inputs."""
    import torch

    from trainer.frozen.fusion import fuse_base

    first, second = (torch.from_numpy(in_colour(x).copy()).permute(2, 0, 1)[None] / 127.5 - 1 for x in (a, b))
    levels = (fuse_base(first, second)[0].permute(1, 2, 0) + 1) * 127.5
    return levels.round().clamp(0, 255).to(torch.uint8).numpy()


def fuser_at(weights: Path, passes: int = 1) -> Fuse:
    """A model from its weights folder. passes: of `Fuser.picture`."""
    from trainer.inference.fuser import Fuser

    fuser = Fuser.from_pretrained(weights)
    return lambda a, b, prompt, _task: fuser(a, b, prompt, passes=passes)


def main() -> None:
    """Make the set, or print what is reached on it."""
    wanted = parser(__doc__)
    commands = wanted.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write the set anew")
    making.add_argument("--half", choices=get_args(Half), help="one of them alone")
    making.add_argument("--pairs", type=Path, required=True, help="research pairs, a folder with train/ and test/")
    making.add_argument("--out", type=Path, default=OUT)
    scoring = commands.add_parser("score", help="print a table")
    scoring.add_argument("--half", choices=get_args(Half), default="choices")
    scoring.add_argument("--weights", type=Path, action="append", default=[], help="a weights folder; may come again")
    scoring.add_argument("--passes", type=int, default=1, help="of each pair through the network: 1, 2 or 4")
    scoring.add_argument("--out", type=Path, default=OUT, help="where the set is")
    arguments = parsed(wanted, globals(), QUICK)
    if arguments.quick and not PEERS.exists():
        CODES.update({half: tuple(c for c in codes if c not in IN_PEERS) * 2 for half, codes in CODES.items()})
    if arguments.command == "score":
        fusions = {"average": average, "base": base} | {
            str(path): fuser_at(path, arguments.passes) for path in arguments.weights
        }
        print(report({name: score(fuse, arguments.half, arguments.out) for name, fuse in fusions.items()}))
        return
    for half in [arguments.half] if arguments.half else get_args(Half):
        samples = make(half, candidates(half, arguments.pairs), arguments.out, PAIRS)
        scenes = len({(sample.task, scene_of(sample.scene)) for sample in samples})
        head = [half, *TASKS, *CODES[half], "one image"]
        print(f"{len(samples)} pairs of {scenes} scenes\n\n{table(head, counts(samples))}\n", flush=True)


if __name__ == "__main__":
    main()
