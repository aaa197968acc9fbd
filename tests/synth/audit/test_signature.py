"""What a signature file holds, and what is none."""

import gzip
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from synth.audit.signature import SUFFIX, blocks, find_signature, read_signature
from synth.cli import app
from synth.degradations.base import REGISTRY
from synth.errors import UserError
from synth.sample.parts import drawn_and_measured
from tests.synth.forging import Forger


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
