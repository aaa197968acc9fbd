"""The foreign test set (bench/foreign.py) without the peers: that its halves are apart, and what it makes."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from bench import foreign_damage
from bench.foreign import HIGHEST, average, groups, interval, make, report, samples_of, score
from bench.foreign_effects import EFFECTS, KINDS
from bench.foreign_plan import CODES, HELD_OUT, IMAGES, NOUNS, SIZE, candidates, plan, scene_of
from synth.images import codecs
from synth.pairs.builtin import BUILTINS, BuiltinSource
from synth.pairs.folder import FolderSource
from synth.tasks import TASKS

HALVES = tuple(CODES)
GREY = 100.0


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """A folder of pairs, train and test, all of one grey picture."""
    root = tmp_path_factory.mktemp("pairs")
    picture = codecs.encode_png(np.full((SIZE, SIZE), 100, np.uint8))
    for side, dataset in (("train", "one"), ("test", "two")):
        for task in TASKS:
            for scene in range(60):
                folder = root / side / task / f"{dataset}{scene % 3}-{scene}"
                folder.mkdir(parents=True)
                for name in "ab":
                    (folder / f"{name}.png").write_bytes(picture)
    return root


def planned(half, pairs):
    return plan(half, candidates(half, pairs), lambda _pair, _repeat: GREY)


def test_planning_is_a_function_of_its_arguments(pairs):
    assert all(planned(half, pairs) == planned(half, pairs) for half in HALVES)


def test_every_kind_occurs_in_every_task_that_may_have_it(pairs):
    for half in HALVES:
        samples = planned(half, pairs)
        assert [sum(sample.task == task for sample in samples) for task in TASKS] == [20] * len(TASKS)
        found = {(sample.task, damage.kind) for sample in samples for damage in sample.damages}
        assert found == {(task, kind) for task in TASKS for kind in KINDS if kind in IMAGES[task]}
        assert {sample.code for sample in samples} == set(CODES[half])


def test_the_halves_share_no_code_and_no_scene(pairs):
    assert not set(CODES["choices"]) & set(CODES["table"])
    first, second = ({(s.task, scene_of(s.scene)) for s in planned(half, pairs)} for half in HALVES)
    assert not first & second


@pytest.mark.parametrize("real", [False, True])
def test_training_on_the_other_side_sees_no_scene_of_choices(real, pairs, request):
    root = request.getfixturevalue("research_data") / "pairs" if real else pairs
    chosen = candidates("choices", root)
    for task in TASKS:
        trained = FolderSource(folder=root / "train" / task, split="train", held_out=HELD_OUT).pairs(task)
        seen = {scene_of(pair.scene) for pair in trained}
        assert not seen & {scene_of(pair.scene) for pair in chosen[task]}
        assert not seen & {scene_of(pair.scene) for pair in candidates("table", root)[task]}


def test_a_sentence_names_all_that_was_done(pairs):
    for sample in planned("choices", pairs):
        assert sample.damages
        assert all(NOUNS[damage.kind] in sample.prompt for damage in sample.damages)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("kind", EFFECTS["textbook"])
def test_each_damage_by_hand_changes_a_picture_and_keeps_its_size(kind, grey):
    image = data.astronaut()[:200, :240]
    image = np.ascontiguousarray(image[:, :, 0] if grey else image)
    for effect, draw in EFFECTS["textbook"][kind]:
        settings = draw(np.random.default_rng(3))
        step = {"kind": kind, "effect": effect, "settings": settings, "seed": 5}
        for curve in (1.0, 2.2):
            once, again = (foreign_damage.damaged(image, "textbook", curve, [step]) for _ in range(2))
            assert once.shape == image.shape
            assert once.dtype == np.uint8
            assert np.array_equal(once, again)
            assert np.abs(once.astype(int) - image).mean() > 0.5


def test_the_damage_knows_nothing_of_the_project():
    for node in ast.walk(ast.parse(Path(foreign_damage.__file__).read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & {"synth", "trainer", "bench"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Two pairs of each task from built-in photographs, damaged by hand."""
    root = tmp_path_factory.mktemp("foreign")
    photographs = {of.task: list(BuiltinSource(builtin=name).pairs(of.task)) for name, of in BUILTINS.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CODES, "table", ("textbook", "textbook"))
        make("table", photographs, root / "once", count=2)
        make("table", photographs, root / "again", count=2)
    return root


def test_a_sample_has_all_its_files_and_the_same_bytes_again(made):
    folders = sorted((made / "once/table").iterdir())
    assert len(folders) == 2 * len(TASKS)
    for folder in folders:
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        pictures = {"a.png", "b.png", "clean_a.png", "clean_b.png", "target.png"}
        assert set(files) == pictures | {"sample.json"}
        assert all(codecs.decode(files[name]).shape[:2] == (SIZE, SIZE) for name in pictures)
        record = json.loads(files["sample.json"])
        assert {"task", "scene", "damages", "prompt", "target"} <= set(record)
        for name in "ab":
            touched = any(name in damage["images"] for damage in record["damages"])
            assert (files[f"{name}.png"] != files[f"clean_{name}.png"]) >= touched
        assert files == {path.name: path.read_bytes() for path in (made / "again/table" / folder.name).iterdir()}


def test_the_truth_scores_highest(made):
    truths = iter([pictures["target"] for _, pictures in samples_of("table", made / "once")])
    rows = score(lambda *_: next(truths), "table", made / "once")
    assert [row["PSNR"] for row in rows] == [HIGHEST] * len(rows)
    assert all(row["SSIM"] == pytest.approx(1) for row in rows)
    assert interval(rows) == (HIGHEST, HIGHEST)
    plain = score(average, "table", made / "once")
    assert all(row["PSNR"] < HIGHEST for row in plain)
    low, high = interval(plain)
    assert low < np.mean([row["PSNR"] for row in plain]) < high
    assert {*TASKS} <= set(groups(plain))
    assert "| truth | 60.00 (60.00 to 60.00) |" in report({"truth": rows, "average": plain})
