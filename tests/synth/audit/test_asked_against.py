"""What may stand beside `--against`, and what is said of a name, a file or a number of samples that is none of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synth.audit.against import _named_scenes
from synth.audit.signature import SUFFIX, as_bytes, drawn_hash, find_signature, read_signature
from synth.cli import app
from synth.errors import UserError
from synth.options import recipe_names, signature_names
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.plan import make_plan
from tests.synth.audit.holding import refused, verify
from tests.synth.helpers import generate

OTHER = 'holds another dataset: name is "demo" there, "mef_haze" here; give the recipe and the pairs it was made from'


def sign(dataset: Path, out: Path, *words: str):
    return CliRunner().invoke(app, ["sign", str(dataset), "--out", str(out / f"x{SUFFIX}"), *words])


def said(done) -> str:
    assert isinstance(done.exception, UserError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_a_recipe_that_did_not_make_the_dataset_is_refused_by_both(demo, signed, tmp_path):
    words = ("--recipe", "mef_haze")
    assert OTHER in said(verify(demo, signed, *words))
    assert OTHER in said(sign(demo, tmp_path, *words))
    text = find_recipe("benchmark/demo").read_text(encoding="utf-8")
    (tmp_path / "r.yaml").write_text(text.replace("seed: 1634", "seed: 1635"))
    assert "recipe.seed is 1634 there, 1635 here" in said(verify(demo, signed, "--recipe", str(tmp_path / "r.yaml")))
    assert not (tmp_path / f"x{SUFFIX}").exists()


def test_data_that_no_recipe_stands_beside_is_refused_by_both(demo, signed, tmp_path):
    for words in (("--data", str(tmp_path)), ("--follow-links",)):
        told = f"{words[0]} goes with --recipe: the pairs of a dataset are those it was made from"
        assert said(verify(demo, signed, *words)) == told
        assert said(sign(demo, tmp_path, *words)) == told
        assert said(CliRunner().invoke(app, ["verify", str(demo), *words])) == told


def test_the_recipe_that_made_it_is_taken(demo, signed, tmp_path):
    assert verify(demo, signed, "--recipe", "benchmark/demo").exit_code == 0
    assert sign(demo, tmp_path, "--recipe", "benchmark/demo").exit_code == 0
    assert read_signature(tmp_path / f"x{SUFFIX}").about["scenes"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("demo", "demo: no such signature; did you mean 'benchmark/demo'?"),
        ("dmeo", "dmeo: no such signature; did you mean 'benchmark/demo'?"),
        ("benchmark/demo.yaml", "did you mean 'benchmark/demo'?"),
        ("vif_msrs", "vif_msrs: ships without a signature; give the file that was published"),
        ("vif_mrs", "no such signature, and the recipe 'benchmark/vif_msrs' ships without a signature"),
        ("nowhere/at/all", f"a path of a file that synth sign wrote (…{SUFFIX}), or what ships: benchmark/demo"),
        ("", "--against: nothing is named"),
        ("s3://bucket/x.sign.json.gz", "s3://bucket/x.sign.json.gz: a URL, and a signature is a file of this machine"),
        (str(find_recipe("benchmark/demo")), "but a recipe; its signature ships, and is called benchmark/demo"),
        (str(find_recipe("mef_haze")), f"but a recipe; synth sign DATASET --out NAME{SUFFIX} writes one"),
        (
            str(find_recipe("benchmark/demo").parent),
            f"is a folder; a signature in it is {find_recipe('benchmark/demo').parent}/demo",
        ),
    ],
)
def test_what_is_no_signature_is_said_to_be_what_it_is(name, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        read_signature(find_signature(name))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dataset_and_its_parts_are_said_to_be_that(demo, monkeypatch):
    for name in ("000000.tar", "000000.parquet", "dataset.json"):
        assert "no signature of a dataset but a part of one; synth sign" in said(verify(demo, demo / name))
    assert f"is a folder, of a dataset; its signature is a file, as synth sign {demo}" in said(verify(demo, demo))
    monkeypatch.chdir(demo.parent)
    assert said(verify(demo, "demo")).endswith("; the one that ships is 'benchmark/demo'")


def test_a_signature_by_its_address_of_this_machine(signed):
    assert find_signature(f"file://{signed}") == signed


def test_a_shell_completes_what_ships_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.sign.json.gz").touch()
    (tmp_path / "bench.json").touch()
    (tmp_path / "be").mkdir()
    (tmp_path / "be/mine.yaml").touch()
    (tmp_path / ".hidden.yaml").touch()
    assert signature_names("be") == ["benchmark/demo", "be/", "bench.sign.json.gz"]
    assert signature_names("be/") == []
    assert recipe_names("be/") == ["be/mine.yaml"]
    assert recipe_names("mef_ha") == ["mef_haze", "mef_haze_test"]
    assert signature_names("nowhere/x") == []
    assert signature_names("")[0] == "benchmark/demo"


def test_a_dataset_of_another_number_is_told_how_it_has_as_many(signed, tmp_path):
    fewer = tmp_path / "fewer"
    recipe = load_recipe(find_recipe("benchmark/demo"), {"samples": 3})
    generate(make_plan(recipe), fewer)
    told = (
        "45 of the signature's 48 samples are missing; the dataset was made with the first 3 alone, as by --limit 3: "
    )
    refused(fewer, signed, "; the 3 samples of both are equal", f"{told}synth generate --extend 48 makes the others")


def test_a_dataset_of_more_is_told_the_limit(demo, signature, tmp_path):
    first = signature.samples[:45]
    (tmp_path / f"y{SUFFIX}").write_bytes(as_bytes(replace(signature, samples=first, drawn=drawn_hash(first))))
    told = "3 samples are none of the signature's 45; the dataset was made with 48, as by --limit 48: synth generate"
    refused(
        demo, tmp_path / f"y{SUFFIX}", "; the 45 samples of both are equal", f"{told} --limit 45 into another folder"
    )


def test_names_that_differ_in_case_alone_are_told():
    told = _named_scenes({"msrs-00001D", "msrs-2"}, {"msrs-00001d", "msrs-2"})
    assert (
        told
        == " by upper and lower case alone, as msrs-00001d here and msrs-00001D there: name the files as they "
        + ("are published")
    )
