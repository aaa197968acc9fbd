"""`synth verify --render`: what another processor rounds is told from what someone changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from synth.audit.again import LOSSLESS, THROUGH_JPEG, record_differences
from synth.cli import app
from synth.images import codecs
from synth.scene.scene import steady
from tests.synth.forging import Forger
from tests.synth.sound import DATA

WITHOUT_UNITS = {
    "OPENCV_CPU_DISABLE": "AVX2,AVX512-SKX,AVX512-ICL,FMA3,AVX",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3",
}


@pytest.fixture
def recipe(tmp_path) -> Path:
    file = tmp_path / "t.yaml"
    file.write_text(json.dumps(DATA))
    return file


def verify(dataset: Path, recipe: Path, *words: str):
    return CliRunner().invoke(
        app, ["verify", str(dataset), "--render", "--recipe", str(recipe), "--workers", "1", *words]
    )


def test_on_the_same_machine_all_is_equal(dataset, recipe):
    done = verify(dataset, recipe)
    assert done.exit_code == 0, done.output
    assert "made again: 22 samples equal to the byte\n" in done.output
    assert "sound" in done.output
    assert "made again: 5 samples equal" in verify(dataset, recipe, "--sample", "5").output


def test_with_the_vector_units_switched_off_it_is_roundings(dataset, recipe):
    """As on another processor; what there is no unit of is passed over in a line on stderr."""
    words = ["verify", str(dataset), "--render", "--recipe", str(recipe), "--sample", "8", "--workers", "1"]
    command = [sys.executable, "-m", "synth", *words]
    environment = {**os.environ, **WITHOUT_UNITS}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "cannot be disabled" in done.stderr:  # numpy that was built for a processor like this one
        del environment["NPY_DISABLE_CPU_FEATURES"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made again" in done.stdout
    assert done.stdout.strip().endswith("sound")


def changed(dataset: Path, number: int, member: str, change) -> None:
    """A picture of a sample, in image a of both samples of its group, and all that names its bytes."""
    forger = Forger(dataset)
    for other in {number, number ^ 1} if member == "a" else {number}:
        image = codecs.decode(forger.members[other][member]).copy()
        change(image)
        forger.members[other][member] = codecs.encode_png(image)
    forger.save()


def lossless(dataset: Path) -> int:
    """A sample whose image a is stored as PNG and went through no JPEG."""
    records = [json.loads(row["record"]) for row in Forger(dataset).rows]
    fell = [{entry["effect"] for entry in record["degradations"] if entry["image"] == "a"} for record in records]
    return next(number for number, names in enumerate(fell) if names and "jpeg" not in names)


def test_a_few_values_by_a_level_are_a_rounding(dataset, recipe):
    def round_otherwise(image):
        few = image.reshape(-1)[:: image.size // 10]
        few += np.where(few < 255, 1, 255).astype(np.uint8)  # white goes down

    changed(dataset, lossless(dataset), "a", round_otherwise)
    done = verify(dataset, recipe)
    assert done.exit_code == 0, done.output
    assert (
        "20 samples equal to the byte, 2 but for roundings, as of another kind of processor (at most 1 levels"
        in done.output
    )


def brighter(image):
    image[...] = np.where(image < 255, image + 1, 255)


def painted(image):
    image[4:12, 4:12] ^= 128


def noisier(image):
    image[::7] = np.clip(image[::7].astype(int) + 2, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "member"), [(painted, "a"), (noisier, "a"), (brighter, "target"), (painted, "clean_b")]
)
def test_a_changed_picture_is_a_fault(dataset, recipe, change, member):
    changed(dataset, lossless(dataset), member, change)
    done = verify(dataset, recipe)
    assert done.exit_code == 1
    assert f"{member}: not what the recipe makes" in done.output


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("degradations", 0, "severity"), lambda x: x + 1e-4, "the record says degradations[0].severity"),
        (
            ("degradations", 0, "params", "visibility_m"),
            lambda x: x * 1.01,
            "the record says degradations[0].params.visibility_m",
        ),
        (("crop", "x"), lambda x: x + 1, "the record says crop.x"),
        (("crop", "flip"), lambda x: not x, "the record says crop.flip"),
        (("source", "sha256", 0), lambda x: x[::-1], "has other pictures than in"),
        (("scene", "gain_kind"), lambda x: x[::-1], "the record says scene.gain_kind"),
    ],
)
def test_a_changed_record_is_a_fault(dataset, recipe, path, value, told):
    def change(record):
        for step in path[:-1]:
            record = record[step]
        record[path[-1]] = value(record[path[-1]])

    forger = Forger(dataset)
    with_haze = [n for n, row in enumerate(forger.rows) if '"haze"' in row["record"]][:2]
    for number in with_haze:  # a group of two, which must agree
        forger.record(number, change)
    forger.save()
    done = verify(dataset, recipe)
    assert done.exit_code == 1
    assert told in done.output


def test_another_sentence_that_would_be_true_too_is_a_fault(dataset, recipe):
    forger = Forger(dataset)
    texts = {row["instruction"] for row in forger.rows}

    def change(record):
        record["instruction"] = next(text for text in texts if text != record["instruction"])

    forger.record(0, change)
    forger.rows[0]["instruction"] = json.loads(forger.rows[0]["record"])["instruction"]
    forger.save()
    done = verify(dataset, recipe)
    assert done.exit_code == 1
    assert done.output.count("\n") < 8


def test_another_recipe_is_refused(dataset, recipe):
    recipe.write_text(json.dumps({**DATA, "seed": 6}))
    assert "holds another dataset: recipe.seed is 5 there, 6 here" in str(verify(dataset, recipe).exception)


def test_other_libraries_are_told_and_no_reason_to_refuse(dataset, recipe):
    file = dataset / "dataset.json"
    described = json.loads(file.read_text())
    described["libraries"]["scipy"] = "0.1"
    file.write_text(json.dumps(described))
    assert 'libraries.scipy is "0.1" there' in verify(dataset, recipe).output


def test_measures_agree_to_their_last_digit_and_draws_exactly():
    def differ(key, one, two):
        return list(record_differences({key: one}, {key: two}))

    assert differ("airlight", [0.337671], [0.33767]) == []
    assert differ("airlight", [0.337671], [0.33768]) != []
    assert differ("severity", 0.5, 0.5000001) != []
    assert differ("seed", 5, 5.0) == []
    assert differ("x", 5, 6) != []
    assert differ("x", [1], [1, 2]) != []
    assert list(record_differences({"x": 1}, {"y": 1})) == ["x besides", "y nowhere"]


def test_measured_quantities_have_six_digits(dataset):
    for row in Forger(dataset).rows:
        record = json.loads(row["record"])
        measures = [*record["scene"]["airlight"], *record["scene"]["gain"].values(), record["scene"]["night"]]
        for entry in record["degradations"]:
            params = entry["params"]
            names = ("visibility_m", "layer_m", "layer_thickness_m", "horizon", "lamp_gain", "veil_gain")
            measures += [params[name] for name in names if name in params] + list(params.get("airlight", []))
        assert all(float(f"{value:.6g}") == value for value in measures)
    assert steady(1 / 3) == 0.333333


def test_the_tolerances_are_those_of_the_document():
    """FORMAT.md names them."""
    text = " ".join(Path("shards/FORMAT.md").read_text(encoding="utf-8").split())
    assert f"{100 * LOSSLESS.share:g}% of a picture's values by {LOSSLESS.levels} levels" in text
    assert f"{100 * THROUGH_JPEG.share:g}% (or {THROUGH_JPEG.values} values) by {THROUGH_JPEG.levels}" in text
