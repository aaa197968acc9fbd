"""What travels to a lent GPU: every word that instructions can hold, pairs that are not held out, pieces that join."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from transformers import AutoTokenizer

import bench.gpu.speed as speed_of
from bench.gpu import fuse_time, work
from bench.gpu.pack import HELD_OUT, _pairs
from bench.gpu.words import sentences
from bench.gpu.work import PIECE
from bench.instructions import composed
from synth.instructions.grammar import KINDS
from synth.instructions.phrases import Split
from synth.pairs.split import side_of
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.plan import make_plan
from tests.conftest import ROOT
from tests.trainer.helpers import picture
from trainer.inference.fuser import Fuser


@pytest.fixture(scope="module")
def known() -> tuple[object, set[int]]:
    from trainer.frozen.text import PACKAGED, folder_of

    tokenizer = AutoTokenizer.from_pretrained(str(folder_of(PACKAGED)), local_files_only=True)
    return tokenizer, {number for sentence in sentences() for number in tokenizer(sentence)["input_ids"]}


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_sentence_is_made_of_words_that_travel(known: tuple[object, set[int]], split: Split) -> None:
    """Of all tasks, kinds, effects and places, as a recipe with everything in it has them said."""
    tokenizer, numbers = known
    kinds = set()
    for kind, said, _ in composed(make_plan(load_recipe(find_recipe("all_in_one"))), split, 1500):
        kinds.add(kind)
        assert set(tokenizer(said.text)["input_ids"]) <= numbers, said.text  # type: ignore[operator]
    assert kinds == set(KINDS)


def test_pairs_are_taken_by_the_roots_of_their_data_sets_and_none_that_is_held_out(tmp_path: Path) -> None:
    for task, name, count in (("vif", "large", 400), ("vif", "small", 16), ("mef", "only", 40)):
        for number in range(count):
            folder = tmp_path / task / f"{name}-{number:03d}"
            folder.mkdir(parents=True)
            for image in "ab":
                (folder / f"{image}.png").touch()
    order = [place for place, _ in _pairs(tmp_path)]
    assert len(set(order)) == len(order)
    assert all(side_of(place.name, HELD_OUT) == "train" for place in order)
    first = [place.as_posix().split("-")[0] for place in order[:40]]
    assert abs(first.count("mef/only") - 20) <= 2
    assert 2 <= first.count("vif/small") <= 5  # 4 of 24 roots
    assert len(order) == sum(side_of(f.name, HELD_OUT) == "train" for t in tmp_path.iterdir() for f in t.iterdir())


def whole_sets(out: Path) -> list[bytes]:
    """The tars of which all pieces are there, oldest first."""
    sets: dict[str, list[Path]] = {}
    for piece in sorted(out.iterdir()):
        sets.setdefault(piece.name.partition(".tar.")[0], []).append(piece)
    return [
        b"".join(piece.read_bytes() for piece in pieces)
        for pieces in sets.values()
        if len(pieces) == int(pieces[0].name[-2:])
    ]


def held(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened if member.isfile()}  # type: ignore[union-attr]


def test_pieces_are_small_and_join_to_the_whole(tmp_path: Path) -> None:
    data, out = np.random.default_rng(0).bytes(2 * PIECE + 5), tmp_path / "out"
    out.mkdir()
    (tmp_path / "x").write_bytes(data)
    work._give(out, "weights", [tmp_path / "x", tmp_path / "missing"])
    assert len(list(out.iterdir())) == 3
    assert max(piece.stat().st_size for piece in out.iterdir()) == PIECE
    (whole,) = whole_sets(out)
    assert held(whole) == {"x": data}


def test_a_kill_at_any_point_of_a_copy_leaves_the_one_before_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, file, given = tmp_path / "out", tmp_path / "x", [b"first" * 9000]
    out.mkdir()
    file.write_bytes(given[0])
    work._give(out, "weights", [file])
    monkeypatch.setattr(work, "PIECE", 20_000)
    left = 0  # operations before the kill

    def counted(operation: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return operation(*arguments)

        return run

    for name in ("write_bytes", "rename", "unlink", "mkdir", "rmdir"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    for limit in range(1, 100):
        left = 1000
        file.write_bytes(str(limit).encode() * 30_000)
        given.append(file.read_bytes())
        left = limit
        killed = False
        try:
            work._give(out, "weights", [file])
        except KeyboardInterrupt:
            killed = True
        sets = whole_sets(out)
        assert sets
        assert held(sets[-1])["x"] in given
        if not killed:
            break
    assert limit > 10
    assert held(sets[-1])["x"] == given[-1]
    assert len(sets) == 1


MINI = """
model: {width: 32, depth: 1, heads: 2, naf: false}
autoencoder: {path: mmaif}
pool: {at_least: 8, workers: 0, stages: [{until: 1, window: 32, batch_size: 4}]}
training: {samples: 4000000, batch_size: 4, lr: 1.0e-3, ema_half_life: 100}
run: {workers: 0, checkpoint_every: 4000000, checkpoint_minutes: 0.02, log_every: 64, half_weights: true}
"""


class Rehearsal:
    """`gpu-train`, small, on the CPU; its folder holds the pack, the work and what comes back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.beside = folder, folder / "out", folder / ".out-weights"
        photograph = data.astronaut()
        for number, task in enumerate(("vif", "mef", "mff") * 2):
            scene = folder / ".gpu" / "pairs" / task / f"some-{number}"
            scene.mkdir(parents=True)
            a = photograph[40 * number :][:288, :288]
            for name, image in {"a": a, "b": 255 - a if task == "vif" else a // 2}.items():
                Image.fromarray(image).save(scene / f"{name}.avif")
        (folder / "mini.yaml").write_text(MINI)
        (folder / "recipes").symlink_to(ROOT / "recipes")

    def given(self) -> set[str]:
        return {piece.name for piece in self.out.glob("*")}

    def start(self) -> None:
        options = ["--minutes", "30", "--config", "mini.yaml", "--render", "64", "--workers", "1", "--look", "0.3"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with (self.folder / "told.txt").open("a") as told:
            command = [sys.executable, "-m", "bench.gpu", "train", *options, "--work", "work", "--out", "out"]
            self.running = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=told, stderr=told)

    def kill(self) -> None:
        """The command first, then what it has started, each by its id."""
        pid = self.running.pid
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        self.running.kill()
        self.running.wait()
        for child in children:
            with suppress(ProcessLookupError):  # `synth` leads a group of its own
                (os.killpg if os.getpgid(child) == child else os.kill)(child, signal.SIGKILL)

    def until(self, reached: Callable[[], bool]) -> None:
        begun = time.monotonic()
        while not reached():
            assert self.running.poll() is None, (self.folder / "told.txt").read_text()[-2000:]
            assert time.monotonic() - begun < 240, (self.folder / "told.txt").read_text()[-2000:]
            time.sleep(0.0005)


def made(path: Path) -> int | None:
    """When it was, if it is there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


@pytest.mark.slow
def test_a_kill_of_the_training_leaves_weights_that_fuse(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path)
    written, beside = tmp_path / "work" / "average" / "weights" / "dit", rehearsal.beside
    moments: dict[str, tuple[Callable[[], object], float]] = {
        "after the first copy": (rehearsal.given, 0.5),
        "while a folder is written": (lambda: made(written), 0),
        "while it is packed": (lambda: made(beside), 0),
        "while it is moved": (lambda: made(beside), 0.005),
        "after another copy": (rehearsal.given, 0.5),
    }
    for number, (moment, (what, delay)) in enumerate(moments.items()):
        before = what()
        rehearsal.start()
        try:
            rehearsal.until(lambda what=what, before=before: what() not in (None, set(), before))
            time.sleep(delay)
        finally:
            rehearsal.kill()
        whole = whole_sets(rehearsal.out)
        assert whole, moment
        with tarfile.open(fileobj=io.BytesIO(whole[-1])) as tar:
            tar.extractall(tmp_path / f"{number}", filter="data")
        fused = Fuser.from_pretrained(tmp_path / f"{number}" / "weights", "cpu")(picture(1), picture(2), "fuse the two")
        assert fused.shape == (32, 32, 3)


def test_the_speed_of_steps_is_told_line_by_line_with_a_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed_of, "ON_A_CPU", (speed_of.Trial("tiny", 64, 2), speed_of.Trial("tiny", 32, 1)))
    monkeypatch.setattr(fuse_time, "SIZES", ((40, 56),))
    monkeypatch.setattr(speed_of, "PROFILED", 2)
    assert speed_of.speed(Namespace(seconds=600, each=0.05)) == 0
    told = capsys.readouterr().out
    lines = re.findall(
        r"^tiny (\d+) px, batch (\d): ([\d.]+) samples/s, tflop_per_s ([\d.]+) memory", told, re.MULTILINE
    )
    assert [line[:2] for line in lines] == [("64", "2"), ("32", "1")]
    assert all(float(line[2]) > 0 for line in lines)
    assert "aten::" in told
    assert re.search(r"fuse 56x40: [\d.]+ s", told)
    assert speed_of.speed(Namespace(seconds=-1, each=0.05)) == 0
    assert capsys.readouterr().out == "out of time\n"
