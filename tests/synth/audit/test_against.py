"""`synth sign` and `synth verify --against`: who renders a benchmark again has the same pictures, or is told."""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from synth.audit.again import through_jpeg
from synth.audit.against import JPEG_LEVELS, LEVELS, MEASURED
from synth.audit.signature import SUFFIX, Signature, as_bytes, blocks, drawn_hash, find_signature, read_signature, sign
from synth.cli import app
from synth.dataset.description import LIBRARIES, version_of
from synth.degradations.base import REGISTRY
from synth.degradations.contrast import Contrast
from synth.degradations.noise import Noise
from synth.errors import UserError
from synth.images import codecs
from synth.pairs.public_sets import LAYOUTS
from synth.recipe.file import find_recipe, load_recipe, shipped
from synth.sample import inputs
from synth.sample.parts import drawn_and_measured
from synth.sample.plan import make_plan
from synth.storage import Folder
from tests.conftest import ROOT
from tests.synth.audit.test_again import WITHOUT_UNITS
from tests.synth.forging import Forger, describe, seal
from tests.synth.helpers import generate

BENCHMARKS = sorted(name for name in shipped(".yaml") if name.startswith("benchmark/"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """The demo benchmark, rendered here; to be looked at and not to be changed."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    generate(make_plan(load_recipe(find_recipe("benchmark/demo"))), out)
    return out


@pytest.fixture(scope="module")
def signature(demo) -> Signature:
    return sign(Folder(demo))


@pytest.fixture(scope="module")
def signed(signature, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("signed") / f"demo{SUFFIX}"
    file.write_bytes(as_bytes(signature))
    return file


@pytest.fixture
def spoiled(demo, tmp_path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copytree(demo, tmp_path / "demo"))


def verify(dataset: Path, signature: Path | str, *words: str):
    return CliRunner().invoke(app, ["verify", str(dataset), "--against", str(signature), "--workers", "1", *words])


def accepted(dataset: Path, signature: Path | str) -> str:
    done = verify(dataset, signature)
    assert done.exit_code == 0, done.output
    assert "the demo of the signature: 48 samples" in done.output
    return done.output


def refused(dataset: Path, signature: Path | str, *words: str) -> str:
    done = verify(dataset, signature)
    assert done.exit_code == 1, done.output
    assert "not the demo of the signature" in done.output
    for word in words:
        assert word in done.output
    return done.stdout


def test_what_is_rendered_here_is_what_the_shipped_signature_says(demo):
    made_by = read_signature(find_signature("benchmark/demo")).about["libraries"]
    others = [f"{name} {version_of(name)}, signed with {made_by[name]}" for name in LIBRARIES]
    others = [told for name, told in zip(LIBRARIES, others, strict=True) if version_of(name) != made_by[name]]
    if others:
        pytest.skip(f"other libraries decide pixels here: {'; '.join(others)}")
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


def lines(file: Path) -> list[str]:
    return gzip.decompress(file.read_bytes()).decode().split("\n")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: text.replace('"signature":1', '"signature":2'), "a signature of version 2; this tool knows 1"),
        (lambda text: text.replace('"signature":1', '"signature":true'), "no signature of a dataset"),
        (lambda text: text[:0] + "[1, 2]\n", "no signature of a dataset"),
        (lambda text: text[:0] + "[" * 100_000, "no signature of a dataset"),
        (lambda text: text[:0], "no signature of a dataset"),
        (lambda text: text.replace('"flip":true', '"flip":false', 1), "its recipe is not what its hash names"),
        (lambda text: text.replace('"y":', '"yy":', 1), "what it says was drawn is not what its hash names"),
        (lambda text: text.rstrip("\n").rpartition("\n")[0] + "\n", "47 samples, of 48"),
        (lambda text: text.replace('"sources":', '"sauces":'), "a damaged signature"),
        (lambda text: text.replace('"measured":{', '"measured":[{', 1), "a damaged signature"),
        (lambda text: text.replace('"pairs":6', '"pairs":null', 1), "a damaged signature"),
    ],
)
def test_what_is_no_signature_or_damaged_or_newer_is_refused_in_one_line(signed, tmp_path, spoil, told):
    file = tmp_path / f"x{SUFFIX}"
    text = gzip.decompress(signed.read_bytes()).decode()
    assert spoil(text) != text
    file.write_bytes(gzip.compress(spoil(text).encode()))
    with pytest.raises(UserError, match=told) as caught:
        read_signature(file)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_signature_are_refused_in_one_line(signed, tmp_path):
    data = signed.read_bytes()
    for spoiled, told in (
        (b"x", "no signature of a dataset"),
        (b"", "no signature of a dataset"),
        (data[:-40], "damaged signature"),
        (data[:200] + bytes([data[200] ^ 255]) + data[201:], "damaged signature|no signature"),
    ):
        (tmp_path / "x").write_bytes(spoiled)
        with pytest.raises(UserError, match=told):
            read_signature(tmp_path / "x")
    with pytest.raises(UserError, match="is a folder"):
        find_signature(str(tmp_path))
    with pytest.raises(UserError, match=r"benchmark/demmo: no such signature; did you mean 'benchmark/demo'\?"):
        find_signature("benchmark/demmo")
    with pytest.raises(UserError, match="benchmark/vif_msrs: ships without a signature; give the file that was publ"):
        find_signature("benchmark/vif_msrs")


def test_only_a_whole_dataset_is_signed(spoiled, tmp_path):
    out = ["--out", str(tmp_path / f"x{SUFFIX}")]
    done = CliRunner().invoke(app, ["sign", str(spoiled), "--out", str(tmp_path / "x.json")])
    assert f"a signature is called NAME{SUFFIX}" in str(done.exception)
    (spoiled / "000001.tar").unlink()
    done = CliRunner().invoke(app, ["sign", str(spoiled), *out])
    assert "not sound, so not to be signed: 000001: 000001.tar missing" in str(done.exception)
    assert not (tmp_path / f"x{SUFFIX}").exists()


def test_blocks_are_the_means_and_the_grain_of_a_picture():
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (70, 131, 3), dtype=np.uint8)
    found = blocks(image)
    assert found.shape == (2, 4, 4)
    assert np.abs(found[0, 0, :3] - image[:35, :32].mean((0, 1))).max() <= 0.5
    assert np.abs(found[1, 3, :3] - image[35:, 98:].mean((0, 1))).max() <= 0.5
    flat = np.full((64, 64), 77, np.uint8)
    assert blocks(flat).tolist() == [[[77, 0], [77, 0]], [[77, 0], [77, 0]]]
    assert blocks(np.full((9, 9), 255, np.uint8)).tolist() == [[[255, 0]]]
    assert (blocks(cv2.GaussianBlur(image, (0, 0), 2))[..., 3] < found[..., 3]).all()


def test_what_is_measured_the_effect_says_itself(monkeypatch, demo):
    record = json.loads(next(row for row in Forger(demo).rows if '"effect":"haze"' in row["record"])["record"])
    drawn, measured = drawn_and_measured(record)
    at = next(n for n, entry in enumerate(record["degradations"]) if entry["effect"] == "haze")
    assert {f"degradations[{at}].params.{name}" for name in ("visibility_m", "horizon", "layer_m")} <= set(measured)
    assert "visibility_m" not in drawn["degradations"][at]["params"]
    assert {"scene.night", "scene.gain.a", "scene.airlight[2]"} <= set(measured)
    assert "sha256" not in drawn["source"]
    monkeypatch.setitem(REGISTRY, "new", SimpleNamespace(measured=("glow",)))  # type: ignore[arg-type]
    record["degradations"] = [{**record["degradations"][0], "effect": "new", "params": {"glow": [1.5, 2], "x": None}}]
    drawn, measured = drawn_and_measured(record)
    assert drawn["degradations"][0]["params"] == {"x": None}
    assert measured["degradations[0].params.glow[1]"] == 2


def test_the_last_bit_of_a_drawn_number_is_the_processors(demo):
    record = json.loads(Forger(demo).rows[0]["record"])
    before = drawn_and_measured(record)[0]
    record["scene"]["focal_px"] = float(np.nextafter(record["scene"]["focal_px"], 1e9))
    assert drawn_and_measured(record)[0] == before
    record["scene"]["focal_px"] *= 1 + 1e-7
    assert drawn_and_measured(record)[0] != before


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_recipes_of_benchmarks_ask_for_what_a_benchmark_has(name):
    recipe = load_recipe(find_recipe(name))
    assert f"benchmark/{recipe.name}" == name
    assert recipe.store == ("clean",)
    assert recipe.instructions.phrases == "test"
    assert recipe.instructions.per_pair > 1
    assert recipe.samples % recipe.instructions.per_pair == 0
    for part in recipe.tasks.values():
        for source in part.sources:
            if source.kind == "layout":
                assert source.way in {layout.name for layout in LAYOUTS}  # type: ignore[attr-defined]
                assert source.dataset is not None  # type: ignore[attr-defined]


def test_no_two_benchmarks_draw_alike():
    seeds = [load_recipe(find_recipe(name)).seed for name in BENCHMARKS]
    assert len(BENCHMARKS) == 9
    assert len(set(seeds)) == len(seeds)


def test_a_benchmark_is_found_by_its_name_and_by_no_other():
    assert find_recipe("benchmark/vif_msrs.yaml") == find_recipe("benchmark/vif_msrs")
    with pytest.raises(UserError, match=r"vif_msrs: no such recipe; did you mean 'benchmark/vif_msrs'\?"):
        find_recipe("vif_msrs")
    with pytest.raises(UserError, match="no such recipe"):
        find_recipe("benchmark/../mef_haze")


def road_set(root: Path, names: list[str]) -> Path:
    rng = np.random.default_rng(7)
    for number, name in enumerate(names):
        base = cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (400, 300), interpolation=cv2.INTER_CUBIC)
        for folder, picture in (("crop_LR_visible", base), ("cropinfrared", base[:, :, number % 3])):
            (root / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / folder / f"{name}.png"), picture)
    return root


def test_a_set_is_the_same_by_any_folders_name_and_one_with_other_files_is_told(tmp_path):
    names = [f"FLIR_{n:05d}" for n in range(5)]
    road_set(tmp_path / "one", names)
    road_set(tmp_path / "RoadScene-master", names[::-1])  # another order of the file system
    for name in names:  # the same pictures
        for folder in ("crop_LR_visible", "cropinfrared"):
            shutil.copy(tmp_path / "one" / folder / f"{name}.png", tmp_path / "RoadScene-master" / folder)

    def rendered(root: Path, out: str) -> Path:
        recipe = load_recipe(find_recipe("benchmark/vif_roadscene"), {"samples": 6, "crop": {"size": 64}})
        generate(make_plan(recipe, root), tmp_path / out)
        return tmp_path / out

    file, full = tmp_path / f"road{SUFFIX}", tmp_path / f"full{SUFFIX}"
    made = Folder(rendered(tmp_path / "one", "a"))
    plan = make_plan(load_recipe(find_recipe("benchmark/vif_roadscene")), tmp_path / "one")
    file.write_bytes(as_bytes(sign(made)))
    full.write_bytes(as_bytes(sign(made, plan)))
    done = verify(rendered(tmp_path / "RoadScene-master", "b"), file)
    assert done.exit_code == 0, done.output
    assert '"scene":"roadscene-FLIR_0000' in lines(file)[1]
    for folder in ("crop_LR_visible", "cropinfrared"):
        (tmp_path / "one" / folder / "FLIR_00002.png").unlink()
    fewer = rendered(tmp_path / "one", "c")
    assert "roadscene: 4 pairs of vif here, 5 in the signature: files are missing" in verify(fewer, file).output
    words = ["--recipe", "benchmark/vif_roadscene", "--data", str(tmp_path / "one")]
    told = verify(fewer, full, *words).output
    assert "files are missing, so that other pairs are drawn: roadscene-FLIR_00002 in the signature alone" in told
    road_set(tmp_path / "one", [*names[:2], "FLIR_99999"])
    done = verify(other := rendered(tmp_path / "one", "d"), file)
    assert "its pairs have other names or marks than the signature's" in done.output
    told = verify(other, full, *words).output
    assert "signature's: roadscene-FLIR_00002 in the signature alone; roadscene-FLIR_99999 here alone" in told
    with pytest.raises(UserError, match="no pair laid out as msrs"):
        make_plan(load_recipe(find_recipe("benchmark/vif_msrs")), tmp_path / "one")


SETS = {  # as they unpack: images of two pairs, and what is not of the benchmark
    "vif_msrs": ("MSRS-main", "{split}/{role}/0000{n}D.png", ("vi", "ir"), ("test", "train")),
    "vif_llvip": ("LLVIP", "{role}/{split}/19000{n}.jpg", ("visible", "infrared"), ("test", "train")),
    "vif_roadscene": ("RoadScene", "{role}/FLIR_0000{n}.jpg", ("crop_LR_visible", "cropinfrared"), ("",)),
    "vif_tno": ("TNO_Image_Fusion_Dataset", "scene_{n}/{role}.bmp", ("VIS", "IR"), ("",)),
    "mef_mefb": ("MEFB", "Arno{n}/Arno{n}_{role}.jpg", ("A", "B"), ("",)),
    "mef_sice": ("Dataset_Part1", "{n}/{role}.JPG", ("1", "2"), ("",)),
    "mff_lytro": ("LytroDataset", "lytro-0{n}-{role}.jpg", ("A", "B"), ("",)),
    "mff_mffw": ("MFFW2", "{n}_{role}.jpg", ("A", "B"), ("",)),
}


@pytest.mark.parametrize("name", SETS)
def test_each_benchmark_takes_its_set_as_it_unpacks(name, tmp_path):
    folder, tree, roles, splits = SETS[name]
    for split in splits:
        for n in (1, 2):
            for light, role in enumerate(roles):
                file = tmp_path / folder / tree.format(split=split, role=role, n=n)
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), np.full((256, 300, 3), 60 + 100 * light, np.uint8))
    plan = make_plan(load_recipe(find_recipe(f"benchmark/{name}")), tmp_path / folder)
    (pool,) = plan.pools
    assert (pool.task, pool.dataset, len(pool.pairs)) == (name[:3], name[4:], 2)
    assert not plan.left_out


def test_every_set_of_the_document_is_one_of_the_recipes():
    text = (ROOT / "docs/benchmark.md").read_text(encoding="utf-8")
    assert {f"benchmark/{name}" for name in SETS} | {"benchmark/demo"} == set(BENCHMARKS)
    for name in SETS:
        assert f"| `benchmark/{name}` |" in text


def test_repair_and_a_signature_do_not_go_together(demo, signed):
    words = ["verify", str(demo), "--against", str(signed), "--repair", "--recipe", "benchmark/demo"]
    assert "--repair mends by a recipe" in str(CliRunner().invoke(app, words).exception)
