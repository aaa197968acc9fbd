"""The configuration of a run: frozen, unknown keys refused, resolved and saved beside every output."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainer.errors import UserError
from trainer.files import one_line, read_yaml

PRESETS = Path(__file__).parent / "configs"
MOST = 10**12 - 1
"""Samples that a run can count: checkpoints are named by twelve digits."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class AutoencoderConfig(Section):
    path: str = "klt"
    """'klt' (fitted to the shards as the run starts), 'mmaif' (ours, trained), a folder, or a hub name of diffusers."""
    channels: int = Field(default=32, ge=1, le=192)
    """Latent channels of the KLT; an autoencoder from a folder has its own number."""
    fit_samples: int = Field(default=64, ge=1, le=10**5)
    """Samples of the shards to which the KLT, or another autoencoder's mean and scale per channel, is fitted."""


class TextConfig(Section):
    encoder: str = "all-MiniLM-L6-v2"
    """all-MiniLM-L6-v2 (comes with the package), or a folder or hub name of a sentence-transformers model."""
    max_tokens: int = Field(default=40, ge=4, le=512)
    """Prompts are cut and padded to this many tokens."""


class NetworkConfig(Section):
    width: int = Field(ge=16, le=2**16)
    """Channels of the transformer."""
    depth: int = Field(ge=1, le=1000)
    """Number of blocks."""
    heads: int = Field(ge=1, le=2**14)
    """Attention heads; width / heads must be a multiple of 4 (two axes of rotary pairs)."""
    mlp_ratio: float = Field(default=2.0, gt=0, le=64)
    """Hidden channels of a block's gated convolutional MLP, in widths."""

    @model_validator(mode="after")
    def _heads_fit(self) -> NetworkConfig:
        if self.width % (4 * self.heads):
            raise ValueError(
                f"width {self.width} with {self.heads} heads: width must be a multiple of 4 x heads; "
                f"take width {-(-self.width // (4 * self.heads)) * 4 * self.heads}"
            )
        if int(self.mlp_ratio * self.width) < 1:
            raise ValueError(
                f"mlp_ratio {self.mlp_ratio} of width {self.width} leaves the MLP no channel; "
                f"take at least {1 / self.width:.4f}, better 1 to 4"
            )
        return self


class TrainingConfig(Section):
    samples: int = Field(ge=1, le=MOST)
    """Samples seen in the whole run; the learning rate reaches zero there."""
    batch_size: int = Field(ge=1, le=2**20)
    """Samples in a step."""
    lr: float = Field(gt=0)
    """Peak learning rate of AdamW."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the samples over which the learning rate rises to its peak; a cosine to zero follows."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay, on matrices and kernels alone."""
    grad_clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient of a step."""
    ema_half_life: int = Field(ge=1, le=MOST)
    """Half-life of the averaged weights in samples; shorter near the start (a tenth of the samples seen)."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the network's matrix products: auto is bf16 on a GPU and fp32 on a CPU. Weights and loss are fp32 always."""


class RunConfig(Section):
    """How the work is done, not what comes out: may change between a run and its resumption."""

    workers: int = Field(default=1, ge=0, le=1024)
    """Threads that read and decode samples; 0 works in the training thread. The order is the same for any number."""
    checkpoint_every: int = Field(ge=1, le=MOST)
    """Samples between checkpoints."""
    log_every: int = Field(ge=1, le=MOST)
    """Samples between lines of the log."""
    cache_mb: int = Field(default=1024, ge=0, le=2**30)
    """Latents kept in memory once encoded, so that a later cycle does not encode again."""


class Config(Section):
    name: str = Field(pattern=r"^\w[\w.-]*$", max_length=100)
    """Names the run's folder: letters, digits, _ . - and neither . nor - first."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the initial weights and of the order of samples."""
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    text: TextConfig = TextConfig()
    model: NetworkConfig
    training: TrainingConfig
    run: RunConfig

    def to_yaml(self) -> str:
        """The resolved configuration, every field written out."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False)


def load_config(name: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """A preset's name or the path of a YAML file, with `overrides` ("training.samples": 500; None leaves as it is).

    Raises UserError with one line: file, key, value, rule.
    """
    path = _find(name)
    values = read_yaml(path)
    values.setdefault("name", path.stem)
    for key, value in (overrides or {}).items():
        if value is not None:
            _set(values, key, value)
    return parse_config(values, str(path))


def parse_config(values: Mapping[str, Any], where: str) -> Config:
    """Checked values, or a UserError that begins with `where`."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error)}") from None


def _find(name: str) -> Path:
    for path in (Path(name), PRESETS / f"{name}.yaml"):
        try:
            if path.is_file():
                return path
        except OSError:  # no file can have such a name
            continue
    presets = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    raise UserError(f"--config {name}: no such file or preset; presets are {', '.join(presets)}")


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        inner = values.get(section)
        values[section] = values = dict(inner) if isinstance(inner, dict) else {}
    values[last] = value


def _explain(error: ValidationError) -> str:
    """The first fault in one line; the nearest name for an unknown key."""
    faults = error.errors(include_url=False)
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])  # the cause comes first
    where = one_line(".".join(str(part) for part in fault["loc"]))
    if fault["type"] == "extra_forbidden":
        known = _fields_at(fault["loc"][:-1])
        near = get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.6)
        return f"{where}: unknown key; " + (f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}")
    if fault["type"] == "missing":
        return f"{where}: missing; every config must give it"
    message = fault["msg"].removeprefix("Value error, ")
    value = fault["input"]
    if fault["type"] == "string_pattern_mismatch":
        message = "letters, digits, _ . - alone, and neither . nor - first"
    elif fault["type"] in ("model_type", "model_attributes_type"):
        message = f"a section, with {', '.join(_fields_at(fault['loc']))}, is needed"
    return f"{where}: {message}" if isinstance(value, dict) else f"{where}: {message}, got {_short.repr(value)}"


_short = Repr()  # of a value of the user's: one line, bounded in length and depth
_short.maxstring = _short.maxother = _short.maxlong = 80


def _fields_at(loc: tuple[Any, ...]) -> list[str]:
    section: type[BaseModel] = Config
    for part in loc:
        inner = section.model_fields[part].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        section = inner
    return list(section.model_fields)
