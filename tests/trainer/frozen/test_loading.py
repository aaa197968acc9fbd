"""Autoencoders as people have them: variants, parts, pickles, pipelines, and single files with names of other tools."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer import load_autoencoder
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder, hash_of

X = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)


def made(**settings: Any) -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(32, 64),
        layers_per_block=1,
        latent_channels=settings.pop("latent_channels", 16),
        **settings,
    ).eval()


def of_ldm(model: AutoencoderKL) -> dict[str, Tensor]:
    """Its weights by the names of latent-diffusion, in which Stable Diffusion and Flux are given away."""
    renamed = {}
    for name, tensor in model.state_dict().items():
        new = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", name)
        new = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{1 - int(m[1])}.block.{m[2]}", new)
        new = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", new)
        new = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{1 - int(m[1])}.upsample", new)
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", new)
        new = new.replace("mid_block.attentions.0.group_norm", "mid.attn_1.norm").replace("conv_norm_out", "norm_out")
        new = re.sub(r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1", new)
        new = new.replace("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out")
        new = new.replace("conv_shortcut", "nin_shortcut")
        is_matrix = "attn_1" in new and new.endswith("weight") and tensor.ndim == 2
        renamed[new] = (tensor[:, :, None, None] if is_matrix else tensor).clone()
    return renamed


@pytest.mark.parametrize(
    ("how", "folder"),
    [
        ({}, "ae"),
        ({"variant": "fp16"}, "ae"),
        ({"max_shard_size": "200KB"}, "ae"),
        ({"variant": "fp16", "max_shard_size": "200KB"}, "ae"),
        ({"safe_serialization": False}, "ae"),
        ({}, "pipeline/vae"),
        ({}, "weights/autoencoder"),
    ],
)
def test_every_way_in_which_diffusers_saves_is_read(how: dict[str, Any], folder: str, tmp_path: Path) -> None:
    model = made(scaling_factor=0.36, shift_factor=0.11)
    model = model.half() if "variant" in how else model
    model.save_pretrained(tmp_path / folder, **how)
    found = load_autoencoder(tmp_path / folder.split("/")[0])
    assert found.hash == hash_of(model.float())
    assert {tensor.dtype for tensor in found.model.state_dict().values()} == {torch.float32}
    assert (found.channels, found.factor, found.measured) == (16, 2, True)
    torch.testing.assert_close(found.latent_std, torch.full((16,), 1 / 0.36))
    torch.testing.assert_close(found.latent_mean, torch.full((16,), 0.11))


@pytest.mark.parametrize("plain", [True, False])
def test_the_whole_weights_come_before_a_variant(plain: bool, tmp_path: Path) -> None:
    model = made()
    model.half().save_pretrained(tmp_path, variant="fp16")
    model.float().save_pretrained(tmp_path, variant=None if plain else "ema")
    name = "diffusion_pytorch_model.safetensors" if plain else "diffusion_pytorch_model.fp16.safetensors"
    wanted = load_file(tmp_path / name)["encoder.conv_in.weight"].float()
    assert torch.equal(load_autoencoder(tmp_path).model.state_dict()["encoder.conv_in.weight"], wanted)


@pytest.mark.parametrize("names", ["diffusers", "ldm", "old"])
@pytest.mark.parametrize(
    "settings", [{}, {"latent_channels": 4, "use_quant_conv": False, "use_post_quant_conv": False}]
)
def test_a_single_file_is_read_without_a_config(names: str, settings: dict[str, Any], tmp_path: Path) -> None:
    model = made(**settings)
    weights = of_ldm(model) if names == "ldm" else model.state_dict()
    if names == "old":
        pairs = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))
        for new, old in pairs:
            weights = {name.replace(new, old): tensor for name, tensor in weights.items()}
    save_file(weights, tmp_path / "ae.safetensors")
    beside = {"first_stage_model." + name: tensor for name, tensor in weights.items()}
    whole = {"state_dict": beside | {"model.diffusion_model.out.weight": torch.zeros(2)}}
    torch.save(whole, tmp_path / "whole.ckpt")
    for path in (tmp_path / "ae.safetensors", tmp_path / "whole.ckpt"):
        found = load_autoencoder(path)
        assert found.hash == hash_of(model)
        assert not found.measured, "the file does not tell the scale"
        assert torch.equal(found.encode(X), Autoencoder(made(**settings)).encode(X))
    (tmp_path / "whole.ckpt").unlink()
    assert load_autoencoder(tmp_path).hash == hash_of(model), "the one file of a folder"
    found.save(tmp_path / "saved")
    assert load_autoencoder(tmp_path / "saved").hash == hash_of(model)


def test_a_config_beside_a_single_file_tells_the_scale(tmp_path: Path) -> None:
    made(scaling_factor=0.5).save_pretrained(tmp_path)
    (tmp_path / "diffusion_pytorch_model.safetensors").rename(tmp_path / "ae.safetensors")
    for path in (tmp_path, tmp_path / "ae.safetensors"):
        assert float(load_autoencoder(path).latent_std[0]) == 2.0


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"encoder.conv_in.weight": torch.zeros(1), "evil": Evil()}, tmp_path / "ae.pt")
    made().save_pretrained(tmp_path / "folder", safe_serialization=False)
    shutil.copy(tmp_path / "ae.pt", tmp_path / "folder" / "diffusion_pytorch_model.bin")
    for path in (tmp_path / "ae.pt", tmp_path / "folder"):
        with pytest.raises(UserError) as error:
            load_autoencoder(path)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("decoder.conv_out.bias"), "do not load as AutoencoderKL"),
        (lambda weights: weights.update(more=torch.zeros(1)), "do not load as AutoencoderKL"),
        (lambda weights: weights.pop("decoder.conv_in.weight"), "do not load as AutoencoderKL"),
        (lambda weights: [weights.pop(name) for name in list(weights) if "down_blocks" in name], "no weights of an Au"),
    ],
)
def test_a_single_file_of_something_else_is_one_line(change: Any, said: str, tmp_path: Path) -> None:
    weights = dict(made().state_dict())
    change(weights)
    save_file(weights, tmp_path / "ae.safetensors")
    with pytest.raises(UserError, match=said) as error:
        load_autoencoder(tmp_path / "ae.safetensors")
    assert "\n" not in str(error.value)


def test_what_is_no_autoencoder_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "cut.safetensors").write_bytes(b"1234")
    for path, said in (
        (tmp_path / "notes.txt", r"a file, and no \.safetensors"),
        (tmp_path / "cut.safetensors", "cannot be read"),
        (tmp_path / "none", "not there, and no config.json"),
    ):
        with pytest.raises(UserError, match=said):
            load_autoencoder(path)
    (tmp_path / "b.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"several files \(b\.safetensors, cut\.safetensors\); name one of them"):
        load_autoencoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "AutoencoderTiny"}))
    with pytest.raises(UserError, match=r"b\.safetensors is not a name by which diffusers finds weights"):
        load_autoencoder(tmp_path)
