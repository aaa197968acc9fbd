"""Fusing with a weights folder: size, colour, the same picture from paths and arrays, and clear refusals."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from tests.trainer.helpers import Command, picture, png
from trainer import Fuser
from trainer.data.images import to_images, to_tensor
from trainer.errors import UserError
from trainer.frozen.fusion import fuse_base
from trainer.inference.fuser import PromptCut
from trainer.objectives import STANDARD

CPU = torch.device("cpu")


def test_a_prompt_is_read_beyond_the_tokens_of_training_and_what_is_cut_is_told(
    trainer_main: Command, weights: Path, fuser: Fuser, tmp_path: Path
) -> None:
    assert (fuser.text.padded, fuser.text.max_tokens) == (16, 256)
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.png").write_bytes(png(picture(seed)))
    arguments = ("fuse", tmp_path / "a.png", tmp_path / "b.png", "--weights", weights, "-o", tmp_path / "f.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fuser(picture(1), picture(2), "clear the fog " * 84)  # 254 tokens
    with pytest.warns(
        PromptCut, match=r'of 302 tokens is cut at 256: what stands after "fog clear the fog clear the" is'
    ):
        fuser(picture(1), picture(2), "clear the fog " * 100)
    code, _, err = trainer_main(*arguments, "--prompt", "clear the fog " * 100, "--device", "cpu")
    assert code == 0
    assert [line for line in err.splitlines() if "token" in line] == [f"warning: {fuser.cut('clear the fog ' * 100)}"]


@pytest.mark.parametrize("size", [(64, 64), (37, 51), (9, 64)])
def test_the_picture_has_the_size_of_the_inputs_and_is_the_base_untrained(fuser: Fuser, size: tuple[int, int]) -> None:
    a, b = (np.ascontiguousarray(picture(i, 64)[: size[0], : size[1]]) for i in (1, 2))
    fused = fuser(a, b, "remove the haze")
    assert fused.shape == (*size, 3)
    assert fused.dtype == np.uint8
    expected = to_images(fuse_base(to_tensor([a], CPU), to_tensor([b], CPU)))[0]
    assert np.abs(fused.astype(int) - expected).max() <= 2


def test_grey_inputs_give_colour_and_any_layout_is_the_same(fuser: Fuser, tmp_path: Path) -> None:
    a, b = picture(1, 32, 1), picture(2, 32)
    fused = fuser(a, b, "fuse")
    assert fused.shape == (32, 32, 3)
    assert not (fused == fused[:, :, :1]).all(), "the colour of b stays"
    (tmp_path / "a.png").write_bytes(png(a))
    (tmp_path / "b.png").write_bytes(png(b))
    np.testing.assert_array_equal(fuser(a[:, :, None], np.asfortranarray(b), "fuse"), fused)
    np.testing.assert_array_equal(fuser(tmp_path / "a.png", str(tmp_path / "b.png"), "fuse"), fused)


def test_unfit_inputs_are_refused(fuser: Fuser) -> None:
    with pytest.raises(UserError, match="a is 32x32, b is 64x64"):
        fuser(picture(0), picture(0, 64), "fuse")
    with pytest.raises(UserError, match="image b: shape"):
        fuser(picture(0), picture(0).astype(np.float32), "fuse")


def test_the_command_writes_the_picture(trainer_main: Command, weights: Path, fuser: Fuser, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.png").write_bytes(png(picture(seed)))
    out = tmp_path / "new" / "fused.png"
    arguments = ("fuse", tmp_path / "a.png", tmp_path / "b.png", "--prompt", "clear the fog", "--weights", weights)
    code, said, _ = trainer_main(*arguments, "-o", out, "--device", "cpu")
    assert (code, said.strip()) == (0, f"wrote {out}")
    written = cv2.cvtColor(cv2.imread(str(out)), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(written, fuser(picture(1), picture(2), "clear the fog"))
    code, _, err = trainer_main(*arguments, "-o", tmp_path / "fused.docx", "--device", "cpu")
    assert code == 2
    assert len(err.strip().splitlines()) == 1


def test_a_weights_folder_says_what_it_needs(weights: Path) -> None:
    assert sorted(path.name for path in weights.iterdir()) == ["autoencoder", "config.yaml", "dit", "fuser.json"]
    manifest = json.loads((weights / "fuser.json").read_text())
    assert manifest["objective"] == STANDARD.model_dump()
    assert manifest["text"] == {"encoder": "all-MiniLM-L6-v2", "hash": manifest["text"]["hash"], "max_tokens": 16}
    assert yaml.safe_load((weights / "config.yaml").read_text())["name"] == "tiny"
    assert not list(weights.rglob("*.bin"))


MANIFEST_CHANGES = {
    "version 3, and this trainer reads 2; update": {"version": 3},
    "version 1, and this trainer reads 2; train them again": {"version": 1},
    "objective 'dream'": {"objective": {"kind": "dream"}},
    "objective 'gan'": {"objective": "gan"},
    "another text encoder": {"text": {"encoder": "all-MiniLM-L6-v2", "hash": "0" * 64, "max_tokens": 16}},
    "its autoencoder is not the one": {"autoencoder": {"hash": "0" * 64}},
    "not a manifest": {"version": None},
}


@pytest.mark.parametrize("said", [*MANIFEST_CHANGES, "no fuser.json", "trained on the base 'mean-9'", "does not load"])
def test_weights_of_another_format_are_one_line(
    trainer_main: Command, weights: Path, tmp_path: Path, said: str
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights, folder)
    manifest, model = folder / "fuser.json", folder / "dit" / "config.json"
    if said in MANIFEST_CHANGES:
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | MANIFEST_CHANGES[said]))
    elif said == "no fuser.json":
        manifest.unlink()
    elif said == "does not load":
        (folder / "dit" / "diffusion_pytorch_model.safetensors").write_bytes(b"not weights")
    else:
        model.write_text(json.dumps(json.loads(model.read_text()) | {"base": "mean-9"}))
    (tmp_path / "a.png").write_bytes(png(picture(0)))
    images = (tmp_path / "a.png", tmp_path / "a.png")
    code, _, err = trainer_main("fuse", *images, "--prompt", "x", "--weights", folder, "-o", tmp_path / "o.png")
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1, err


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_network(folder: Path, **changes: object) -> None:
    path = folder / "dit/config.json"
    change_json(path, network=json.loads(path.read_text())["network"] | changes)


def drop(*path_parts: str) -> Callable[[Path], None]:
    return lambda folder: folder.joinpath(*path_parts).unlink()


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "deeper": (lambda f: change_network(f, depth=2), "missing weights, such as blocks.1."),
    "simpler": (lambda f: change_network(f, rotary=False, patches=False), "unexpected weights, such as embed_pixels."),
    "wider": (lambda f: change_network(f, width=64), "dit: does not load"),
    "same shapes": (lambda f: change_network(f, mlp_ratio=2.001), "dit: not the network"),
    "no dit": (lambda f: shutil.rmtree(f / "dit"), "no dit/config.json in it"),
    "no dit config": (drop("dit", "config.json"), "no dit/config.json in it"),
    "no dit weights": (drop("dit", "diffusion_pytorch_model.safetensors"), "dit: does not load"),
    "no autoencoder": (lambda f: shutil.rmtree(f / "autoencoder"), "no config.json"),
    "other channels": (lambda f: change_json(f / "autoencoder/config.json", latent_channels=8), "do not load as"),
    "no statistics": (drop("autoencoder", "latents.json"), "no autoencoder/latents.json"),
    "other statistics": (lambda f: change_json(f / "autoencoder/latents.json", mean=[0.5] * 192), "are not those"),
    "short": (lambda f: change_json(f / "autoencoder/latents.json", std=[1.0] * 3), "std: 3 numbers"),
    "zero": (lambda f: change_json(f / "autoencoder/latents.json", std=[0.0] * 192), "std: holds 0.0"),
    "text": (lambda f: change_json(f / "autoencoder/latents.json", mean=["x"] * 192), "mean: holds 'x'"),
    "none": (lambda f: change_json(f / "autoencoder/latents.json", mean=None), "mean: NoneType"),
    "list": (lambda f: (f / "autoencoder/latents.json").write_text("[1]"), "latents.json: holds a list"),
    "broken": (lambda f: (f / "autoencoder/latents.json").write_text('{"mean": ['), "latents.json: not JSON"),
    "manifest list": (lambda f: (f / "fuser.json").write_text("[1]"), "fuser.json: holds a list"),
    "manifest bytes": (lambda f: (f / "fuser.json").write_bytes(b"\xff\x00"), "fuser.json: not JSON"),
    "manifest text": (lambda f: change_json(f / "fuser.json", text=3), "fuser.json: text: "),
    "manifest tokens": (lambda f: change_json(f / "fuser.json", text={"encoder": "x", "hash": "x"}), "text.max_tokens"),
    "manifest dit": (lambda f: change_json(f / "fuser.json", dit={"hash": 4}), "fuser.json: dit.hash: "),
    "hub": (
        lambda f: change_json(f / "fuser.json", text={"encoder": "./gone", "hash": "x", "max_tokens": 9}),
        "no such folder",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_files_that_do_not_belong_together_are_refused(
    weights: Path, tmp_path: Path, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights, folder)
    change, said = UNFIT[case]
    change(folder)
    with pytest.raises(UserError) as error:
        Fuser.from_pretrained(folder, device="cpu")
    assert said in str(error.value)
    assert str(tmp_path) in str(error.value) or case == "hub"
    assert "\n" not in str(error.value)
    assert "huggingface.co" not in str(error.value)
    assert capfd.readouterr().err == "", "nothing but the one line"


def test_many_pairs_are_fused_as_each_alone(fuser: Fuser) -> None:
    pairs = [(picture(n, 32), picture(n + 1, 32)) for n in range(3)]
    seen: list[int] = []
    found = list(fuser.many(pairs, ["fuse", "remove the haze", "auto-focus"], progress=seen.append))
    assert seen == [1, 2, 3]
    for image, pair, prompt in zip(found, pairs, ["fuse", "remove the haze", "auto-focus"], strict=True):
        np.testing.assert_array_equal(image, fuser(*pair, prompt))
    assert len(list(fuser.many(pairs[:2], "fuse"))) == 2


def test_threads_share_a_fuser(fuser: Fuser) -> None:
    pairs = [(picture(n, 64), picture(n + 9, 64)) for n in range(8)]
    prompts = [f"remove the {what}" for what in ("haze", "rain", "snow", "noise")] * 2
    alone = [fuser(*pair, prompt) for pair, prompt in zip(pairs, prompts, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: fuser(*job[0], job[1]), zip(pairs, prompts, strict=True)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
