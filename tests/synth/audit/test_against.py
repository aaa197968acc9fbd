"""`synth verify --against`: who renders a benchmark again has the same pictures, or is told."""

import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from synth.audit.again import through_jpeg
from synth.audit.against import JPEG_LEVELS, LEVELS, MEASURED
from synth.audit.signature import SUFFIX, Signature, as_bytes, drawn_hash
from synth.cli import app
from synth.degradations.contrast import Contrast
from synth.degradations.noise import Noise
from synth.images import codecs
from synth.recipe.file import find_recipe, load_recipe
from synth.sample import inputs
from synth.sample.plan import make_plan
from tests.synth.audit.holding import accepted, refused, verify
from tests.synth.audit.test_again import WITHOUT_UNITS
from tests.synth.forging import Forger, describe, seal
from tests.synth.helpers import generate


def test_what_is_rendered_here_is_what_the_shipped_signature_says(demo):
    """By whatever versions of libraries are installed; `make test-release` tries the oldest and the newest."""
    accepted(demo, "benchmark/demo")


def test_rendered_twice_it_is_the_same_to_the_byte_of_its_signature(signature, signed, tmp_path):
    generate(make_plan(load_recipe(find_recipe("benchmark/demo"))), tmp_path / "again")
    again = tmp_path / f"again{SUFFIX}"
    done = CliRunner().invoke(app, ["sign", str(tmp_path / "again"), "--out", str(again)])
    assert f"drawn {signature.drawn} → {again}" in done.output
    assert again.read_bytes() == signed.read_bytes()
    assert "measured within 0, blocks within 0 levels" in accepted(tmp_path / "again", signed)
    assert len(signed.read_bytes()) < 48 * 1024


def test_with_the_vector_units_switched_off_it_is_accepted(signed, tmp_path):
    """As on another processor; what there is no unit of is passed over in a line on stderr."""
    out = tmp_path / "d"
    words = ["generate", "--recipe", "benchmark/demo", "--out", str(out), "--workers", "1"]
    environment = {**os.environ, **WITHOUT_UNITS}
    done = None
    for _ in range(2):
        done = subprocess.run([sys.executable, "-m", "synth", *words], env=environment, capture_output=True, text=True)
        if "cannot be disabled" not in done.stderr:
            break
        environment.pop("NPY_DISABLE_CPU_FEATURES", None)  # numpy that was built for a processor like this one
    assert done is not None
    assert done.returncode == 0, done.stderr
    accepted(out, signed)


@pytest.mark.parametrize(("effect", "strength"), [(Noise, "sigma"), (Contrast, "gain")])
def test_an_effect_a_tenth_stronger_is_refused_though_the_records_say_nothing(
    signed, tmp_path, monkeypatch, effect, strength
):
    apply = effect.apply

    def stronger(self, image, params, view):
        value = getattr(params, strength)
        more = 1 + (value - 1) * 1.1 if strength == "gain" else value * 1.1
        return apply(self, image, replace(params, **{strength: more}), view)

    monkeypatch.setattr(effect, "apply", stronger)
    generate(make_plan(load_recipe(find_recipe("benchmark/demo"))), tmp_path / "d")
    refused(tmp_path / "d", signed, "means of blocks are more than 1 level off")


def test_a_crop_that_is_moved_by_a_pixel_is_refused_though_the_records_say_nothing(signed, tmp_path, monkeypatch):
    cut = inputs.cut

    def beside(image, window, size):
        return cut(image, replace(window, x=window.x - 1 if window.x else 1), size)

    monkeypatch.setattr(inputs, "cut", beside)
    generate(make_plan(load_recipe(find_recipe("benchmark/demo"))), tmp_path / "d")
    refused(tmp_path / "d", signed, "means of blocks are more than 1 level off")


def test_a_recipe_with_an_effect_a_tenth_stronger_is_refused(signed, tmp_path):
    text = find_recipe("benchmark/demo").read_text(encoding="utf-8")
    (tmp_path / "r.yaml").write_text(text.replace("noise: {sigma: [5, 50]}", "noise: {sigma: [5.5, 55]}"))
    plan = make_plan(load_recipe(tmp_path / "r.yaml", {"samples": 24}))
    generate(plan, tmp_path / "d")
    told = refused(tmp_path / "d", signed, "made by another recipe than the signature's (there): recipe.tasks.")
    assert told.count("\n") == 3, told


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("degradations", 0, "severity"), lambda x: 1.1 * x, ": severity "),
        (("crop", "x"), lambda x: x + 1, "crop.x "),
        (("crop", "y"), lambda x: x + 1, "crop.y "),
        (("source", "scene"), lambda x: x[::-1], "source.scene "),
        (("scene", "wind", 0), lambda x: x * 1.001, "scene.wind[0] "),
        (("scene", "airlight", 0), lambda x: x * 1.001, "scene.airlight[0] "),
        (("target", "lambda"), lambda x: x + 0.01, "target.lambda 0.06, the signature has 0.05"),
    ],
)
def test_what_was_drawn_otherwise_is_named(spoiled, signed, path, value, told):
    def change(record):
        for step in path[:-1]:
            record = record[step]
        record[path[-1]] = value(record[path[-1]])

    forger = Forger(spoiled)
    for number in range(3):  # a group, which must agree
        forger.record(number, change)
        forger.rows[number]["scene"] = json.loads(forger.rows[number]["record"])["source"]["scene"]
    forger.save()
    refused(spoiled, signed, told, "000000000: ", ": 3 of 48 samples differ")


def test_one_sentence_that_would_be_true_too_is_named_with_the_one_that_is_signed(spoiled, signed):
    forger = Forger(spoiled)
    alike = [row for row in forger.rows if (row["kind"], row["task"]) == ("general", "mff")]
    was, other = (alike[number]["instruction"] for number in (0, 1))
    number, texts = alike[0]["index"], {other: alike[1]["record"]}

    def change(record):
        record["instruction"], record["phrases"] = other, json.loads(texts[other])["phrases"]

    forger.record(number, change)
    forger.rows[number]["instruction"] = other
    forger.save()
    refused(spoiled, signed, "1 of 48 samples differ", f'the sentence is "{other}", the signature has "{was}"')


def test_another_picture_is_named_and_so_is_the_block(spoiled, signed):
    forger = Forger(spoiled)
    number = next(row["index"] for row in forger.rows if row["kind"] == "partial")  # none of its group asks the same
    image = codecs.decode(forger.members[number]["target"]).copy()
    image[:32, :32] ^= 128
    forger.members[number]["target"] = codecs.encode_png(image)
    forger.save()
    told = refused(spoiled, signed, "1 of 48 samples differ", f"{number:09d}: target: ")
    assert re.search(r"\(number [0-3]: \d+, the signature has \d+\)", told), told
    assert "other files" not in told


def test_a_sample_that_is_missing_or_besides_is_told(signature, spoiled, tmp_path, signed):
    samples = signature.samples[:-3]
    fewer = replace(signature, samples=samples, drawn=drawn_hash(samples))
    (tmp_path / f"fewer{SUFFIX}").write_bytes(as_bytes(fewer))
    refused(spoiled, tmp_path / f"fewer{SUFFIX}", "3 samples are none of the signature's 45")
    plan = make_plan(load_recipe(find_recipe("benchmark/demo"), {"samples": 45, "samples_per_shard": 45}))
    generate(plan, tmp_path / "d")
    refused(tmp_path / "d", signed, "3 of the signature's 48 samples are missing")


def test_damaged_shards_are_never_accepted(spoiled, signed):
    tar = bytearray((spoiled / "000001.tar").read_bytes())
    tar[5000] ^= 1
    (spoiled / "000001.tar").write_bytes(tar)
    refused(spoiled, signed, "000001.tar is not the bytes")
    (spoiled / "dataset.json").write_text("{")
    refused(spoiled, signed, "dataset.json is not JSON")


def test_another_version_of_an_effect_is_told_first_and_alone(spoiled, signed):
    describe(spoiled, lambda there: there["effects"].update(noise=1))
    for stem in ("000000", "000001"):
        forger = Forger(spoiled, stem)
        metadata = {**forger.metadata, "effects": json.dumps({**json.loads(forger.metadata["effects"]), "noise": 1})}
        seal(spoiled, stem, None, metadata)
    told = refused(spoiled, signed, "the effect noise is of version 1 here, 2 in the signature")
    assert told.count("\n") == 3, told


def test_effects_that_did_not_fall_may_change(spoiled, signed):
    describe(spoiled, lambda there: there["effects"].update(unheard_of=7))
    for stem in ("000000", "000001"):
        forger = Forger(spoiled, stem)
        metadata = {
            **forger.metadata,
            "effects": json.dumps({**json.loads(forger.metadata["effects"]), "unheard_of": 7}),
        }
        seal(spoiled, stem, None, metadata)
    accepted(spoiled, signed)


def moved(signature: Signature, picture: str, by: int, number: int = 0) -> Signature:
    """The same, but for a mean of a block of the first sample's picture."""
    first = signature.samples[0]
    values = np.frombuffer(base64.b64decode(first.pictures[picture]), np.uint8).astype(int)
    values[number] += by if values[number] < 128 else -by
    text = base64.b64encode(values.astype(np.uint8).tobytes()).decode()
    first = first._replace(pictures={**first.pictures, picture: text})
    return replace(signature, samples=(first, *signature.samples[1:]))


def test_a_block_may_be_a_level_off_and_a_measure_a_ten_thousandth(demo, signature, tmp_path):
    record = json.loads(Forger(demo).rows[0]["record"])
    assert not through_jpeg(record, "clean_a")
    file = tmp_path / f"x{SUFFIX}"
    file.write_bytes(as_bytes(moved(signature, "clean_a", LEVELS)))
    assert "blocks within 1 levels" in accepted(demo, file)
    file.write_bytes(as_bytes(moved(signature, "clean_a", LEVELS + 1)))
    told = refused(demo, file, "3 of 48 samples differ", "clean_a: 1 of ")  # it stands with the first of its group
    assert told.count("clean_a: 1 of") == 3
    for factor, hold in ((1 + 0.5 * MEASURED, accepted), (1 + 2 * MEASURED, refused)):
        first = signature.samples[0]
        name = "scene.airlight[1]"
        other = first._replace(measured={**first.measured, name: factor * first.measured[name]})
        file.write_bytes(as_bytes(replace(signature, samples=(other, *signature.samples[1:]))))
        hold(demo, file)
    assert f"{name} " in verify(demo, file).output


def test_where_jpeg_was_a_block_may_be_rounded_the_other_way(demo, signature, tmp_path):
    rows = Forger(demo).rows
    number = next(n for n, row in enumerate(rows) if n % 3 == 0 and through_jpeg(json.loads(row["record"]), "a"))
    turned = replace(signature, samples=(signature.samples[number],))
    file = tmp_path / f"x{SUFFIX}"
    for by, hold in ((JPEG_LEVELS, accepted), (JPEG_LEVELS + 1, refused)):
        first = moved(turned, "a", by).samples[0]
        samples = (*signature.samples[:number], first, *signature.samples[number + 1 :])
        file.write_bytes(as_bytes(replace(signature, samples=samples)))
        hold(demo, file)


def test_repair_and_a_signature_do_not_go_together(demo, signed):
    words = ["verify", str(demo), "--against", str(signed), "--repair", "--recipe", "benchmark/demo"]
    assert "--repair mends by a recipe" in str(CliRunner().invoke(app, words).exception)
