"""An autoencoder in one file without a config, as Stable Diffusion, Flux and their tools keep it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.errors import UserError
from trainer.files import one_line

PREFIXES = ("first_stage_model.", "vae.")
"""Under which the whole of a model holds its autoencoder."""
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
SUFFIXES = (".safetensors", ".sft", *PICKLES)
OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Of attention, in files of diffusers before 0.18."""


def load_single_file(path: Path, config: Mapping[str, Any] | None = None) -> nn.Module:
    """An AutoencoderKL with exactly the weights of a file; those of a whole model by their prefix. No code in it runs.

    config: of diffusers, where it is known. Otherwise the shapes of the weights tell it, all but the scale of latents,
    which is then measured. Raises UserError.
    """
    where = f"autoencoder {path}"
    if path.suffix not in SUFFIXES:
        raise UserError(f"{where}: a file, and no {', '.join(SUFFIXES)}; give the folder of a diffusers autoencoder")
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    weights = _without_prefix(_read(path, where))
    layout = next((name for name in ("down", "down_blocks") if f"encoder.{name}.0" in _beginnings(weights)), None)
    if layout is None:
        raise UserError(
            f"{where}: no weights of an AutoencoderKL in it (it begins with {one_line(next(iter(weights), 'none'))}); "
            "others are read from their folder in diffusers layout, with config.json"
        )
    try:
        model = AutoencoderKL.from_config(dict(config or _config_of(weights, layout)))
        if layout == "down":
            weights = convert_ldm_vae_checkpoint(weights, model.config)
        model.load_state_dict({_renamed(name): tensor.float() for name, tensor in weights.items()})
    except Exception as error:  # each shape that does not fit fails in its own way
        raise UserError(f"{where}: its weights do not load as AutoencoderKL ({one_line(error)})") from None
    return model


def read_pickle(path: Path, where: str) -> dict[str, Tensor]:
    """Tensors by name of a file of torch.save; whatever would run code is refused. Raises UserError."""
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of zip, of pickle, of torch
        raise UserError(
            f"{where}: holds more than weights, or is damaged ({one_line(error)[:80]}); give it as .safetensors"
        ) from None
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise UserError(f"{where}: holds no weights by name; give it as .safetensors")
    return found


def _read(path: Path, where: str) -> dict[str, Tensor]:
    """The tensors of a file; of a whole model in safetensors those of its autoencoder alone."""
    if path.suffix in PICKLES:
        return read_pickle(path, where)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            prefix = _prefix(names)
            return {name: file.get_tensor(name) for name in names if name.startswith(prefix)}
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{where}: cannot be read ({one_line(error)}); copy it again") from None


def _prefix(names: Iterable[str]) -> str:
    return next((prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in names)), "")


def _without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = _prefix(weights)
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(prefix) and not re.search(r"(^|\.)(loss|model_ema)\.", name)
    }


def _beginnings(weights: Mapping[str, Tensor]) -> set[str]:
    return {".".join(name.split(".")[:3]) for name in weights}


def _config_of(weights: Mapping[str, Tensor], layout: str) -> dict[str, Any]:
    """What the names and shapes of the weights say of an AutoencoderKL. Raises KeyError where they are of another."""
    inner, middle = ("block", "mid.attn_1") if layout == "down" else ("resnets", "mid_block.attentions.0")
    channels: list[int] = []
    while (name := f"encoder.{layout}.{len(channels)}.{inner}.0.conv1.weight") in weights:
        channels.append(len(weights[name]))
    layers = 0
    while f"encoder.{layout}.0.{inner}.{layers}.conv1.weight" in weights:
        layers += 1
    return {
        "in_channels": weights["encoder.conv_in.weight"].shape[1],
        "out_channels": len(weights["decoder.conv_out.weight"]),
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "block_out_channels": channels,
        "layers_per_block": layers,
        "latent_channels": weights["decoder.conv_in.weight"].shape[1],
        "scaling_factor": 1.0,  # none: the file does not tell it
        "use_quant_conv": "quant_conv.weight" in weights,
        "use_post_quant_conv": "post_quant_conv.weight" in weights,
        "mid_block_add_attention": any(name.startswith(f"encoder.{middle}.") for name in weights),
    }


def _renamed(name: str) -> str:
    return re.sub(
        r"(mid_block\.attentions\.0\.)(query|key|value|proj_attn)\.",
        lambda found: f"{found[1]}{OLD_NAMES[found[2]]}.",
        name,
    )
