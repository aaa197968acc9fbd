"""The configurations of runs: frozen, unknown keys refused, resolved and saved beside every output.

Those of the loop that trains the autoencoder stand in autoencoder/config.py.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from trainer import plain_yaml
from trainer.addresses import of_this_machine, shown
from trainer.data.choice import DatasetConfig
from trainer.data.pool import PoolConfig
from trainer.errors import UserError
from trainer.files import one_line, read_yaml
from trainer.frozen.text import MAX_TOKENS, PADDED
from trainer.model.config import NetworkConfig
from trainer.objectives import STANDARD, AnyObjective, CouplesConfig
from trainer.schema import Section, parse

PRESETS = Path(__file__).parent / "configs"


def _here(path: str) -> str:
    try:
        return of_this_machine(path)
    except ValueError:
        raise ValueError("a URL, and a file or a folder of this machine is needed; copy it yourself") from None


Here: TypeAlias = Annotated[str, AfterValidator(_here)]
"""A file or a folder of this machine, or a name; no URL."""
Sharding: TypeAlias = Literal["ddp", "fsdp2"]
MOST = 10**12 - 1
"""Samples that a run can count: checkpoints are named by twelve digits."""


class Pace(NamedTuple):
    """How long a run is, and what it does on the way, in samples and minutes."""

    samples: int
    log_every: int
    checkpoint_every: int | None = None
    checkpoint_minutes: float | None = None
    minutes: float | None = None
    """In which the whole run has to end, should it not have seen all samples by then."""
    tensorboard: bool = False


class Resumable(Section, ABC):
    """A whole config: what a run is. One that goes on must have the same but for the keys that begin with MAY_CHANGE.

    RATE: the key, or the option, of the learning rate, for messages.
    """

    MAY_CHANGE: ClassVar[tuple[str, ...]] = ()
    RATE: ClassVar[str] = "lr"

    @property
    @abstractmethod
    def pace(self) -> Pace:
        """How long the run is, and what it does on the way."""

    def to_yaml(self) -> str:
        """The resolved configuration, every field written out; of an address not what signs it."""
        return plain_yaml.dump(self.as_saved())

    def as_saved(self) -> Any:
        """The fields as `to_yaml` writes them."""
        return _shown(self.model_dump())

    def differences(self, there: Resumable) -> str:
        """What keeps a run of config `there` from going on with this one, by key; empty where nothing does."""
        ours, theirs = (_flat(config.as_saved()) for config in (self, there))
        keys = [key for key in ours | theirs if not key.startswith(self.MAY_CHANGE)]
        return "; ".join(
            f"{key} is {theirs.get(key)!r} there, {ours.get(key)!r} here"
            for key in keys
            if ours.get(key) != theirs.get(key)
        )


class AutoencoderConfig(Section):
    path: Here = "klt"
    """'klt' (fitted to the shards as the run starts), 'mmaif' (ours, trained), a folder, a file or a hub name of
    diffusers."""
    channels: int = Field(default=32, ge=1, le=192)
    """Latent channels of the KLT; an autoencoder from a folder has its own number."""
    fit_samples: int = Field(default=64, ge=1, le=10**5)
    """Samples of the shards to which the KLT, or another autoencoder's mean and scale per channel, is fitted."""


class TextConfig(Section):
    encoder: str = "all-MiniLM-L6-v2"
    """all-MiniLM-L6-v2 (comes with the package), or a folder or hub name of a sentence-transformers model."""
    max_tokens: int = Field(default=MAX_TOKENS, ge=4, le=512)
    """Prompts are cut at this many tokens, which is told and counted, or where the encoder ends."""

    @property
    def words(self) -> int:
        """Tokens that the network is given of all but the longest prompts."""
        return min(PADDED, self.max_tokens)


class Snapshots(Section):
    """The `snapshots:` of `training:`."""

    stds: tuple[float, ...] = Field(default=(0.05, 0.1), min_length=1)
    """Widths of the averages, as a share of the samples seen: from 0.01 to 0.25."""
    count: int = Field(default=16, ge=1, le=1000)
    """Snapshots of the whole run, evenly."""

    @model_validator(mode="after")
    def _widths(self) -> Snapshots:
        if not all(0.01 <= std <= 0.25 for std in self.stds) or len(set(self.stds)) < len(self.stds):
            raise ValueError(f"training.snapshots.stds {list(self.stds)}: each from 0.01 to 0.25, and none twice")
        return self


class TrainingConfig(Section):
    samples: int = Field(ge=1, le=MOST)
    """Samples seen in the whole run; the learning rate reaches zero there. A run, complete or not, goes on to more: by
    the schedule of the new length, from where that stands at what was seen."""
    minutes: float | None = Field(default=None, gt=0, le=10**6)
    """Wall-clock time in which the run ends, with weights, however many samples that are; `samples` is then the most.
    The rate falls by the time that has passed. What resumes such a run has the rest of the time, not the same bits."""
    batch_size: int = Field(ge=1, le=2**20)
    """Samples in a step."""
    couples: float = Field(default=0.0, ge=0, le=1)
    """Share of the steps whose samples come two by two: each pair under two of its instructions, in one window, with
    `objective.difference` in the loss. For shards of a recipe with instructions.per_pair: 2 or more."""
    learns: tuple[Literal["detail", "effects"], ...] = ()
    """Parts that learn alone, of a run that begins from weights (--init): the rest stays as it is. None: all learn."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon: for the matrices inside, with AdamW for the rest."""
    lr: float = Field(gt=0)
    """Peak learning rate, of either."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the samples over which the learning rate rises to its peak."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """What follows: half a cosine to zero; or the peak, and a linear fall to zero at the end."""
    cooldown: float = Field(default=0.2, gt=0, le=1)
    """Share of the samples over which a constant rate falls at the end."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay, on matrices and kernels alone."""
    grad_clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient of a step."""
    ema_half_life: int = Field(ge=1, le=MOST)
    """Half-life of the averaged weights in samples; shorter near the start (a tenth of the samples seen)."""
    snapshots: Snapshots | None = None
    """Averages by the power of time that are kept on the way, so that `trainer average` makes one of any width."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the network's matrix products: auto is bf16 on a GPU and fp32 on a CPU. Weights and loss are fp32 always."""


class OrderConfig(Section):
    """In which order samples come."""

    kind: Literal["global", "window"] = "global"
    """global: over all samples. window: shards in a drawn order, and samples within a window of them: for shards in
    stores that answer slowly."""
    window: int = Field(default=4096, ge=1, le=2**31)
    """Samples of a window."""


class RunConfig(Section):
    """How the work is done, not what comes out: may change between a run and its resumption."""

    workers: int = Field(default=1, ge=0, le=1024)
    """Threads that read and decode samples; 0 works in the training thread. The order is the same for any number."""
    checkpoint_every: int = Field(ge=1, le=MOST)
    """Samples between checkpoints."""
    checkpoint_minutes: float | None = Field(default=None, gt=0)
    """Minutes between checkpoints, besides those by samples."""
    log_every: int = Field(ge=1, le=MOST)
    """Samples between lines of the log."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Most samples at once: a step of more adds up the gradients of several parts."""
    sharding: Sharding = "ddp"
    """What several processes (torchrun) share: ddp, each step; fsdp2, the weights, their gradients, averages and
    optimizers too, of which each holds its part: for a network that does not fit beside these, at a price in speed."""
    checkpointing: bool = False
    """Activation checkpointing: half the memory of a step or less, for a third more time."""
    val_every: int | None = Field(default=None, ge=1, le=MOST)
    """Samples between looks at the held-out shards (--val-shards); none: ten looks, and one at the end."""
    val_samples: int = Field(default=48, ge=1, le=10**6)
    """Held-out samples that are fused at each look."""
    sheet: int = Field(default=6, ge=0, le=1000)
    """Of these so many are shown, in OUT/sheets."""
    tensorboard: bool = False
    """Whether the log is written for TensorBoard too, into OUT/tensorboard (the package `tensorboard`)."""
    cache_mb: int = Field(default=1024, ge=0, le=2**30)
    """Latents kept in memory once encoded, so that a later cycle does not encode again."""
    shard_cache: Here | None = None
    """A folder of this machine in which shards of elsewhere are kept whole."""
    shard_cache_gib: float = Field(default=50.0, gt=0)
    """That they fill at most: those used longest ago make room."""
    compile: bool = False
    """Whether torch.compile makes code of the network's blocks: faster steps after a minute or so."""
    half_weights: bool = False
    """Whether the weights folder is written in fp16, in files of at most 15 MB, as for a repository."""


class Config(Resumable):
    """`trainer train`."""

    MAY_CHANGE = ("run.", "training.batch_size", "training.samples", "training.minutes", "init")
    RATE = "training.lr"

    name: str = Field(pattern=r"^\w[\w.-]*$", max_length=100)
    """Names the run's folder: letters, digits, _ . - and neither . nor - first."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the initial weights, of the order of samples and of what an objective draws."""
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    text: TextConfig = TextConfig()
    model: NetworkConfig
    objective: AnyObjective = STANDARD
    init: Here | None = None
    """A weights folder that the run begins from, with its autoencoder: of the same network, or of the regression that a
    flow with adapters leaves as it is. One that goes on does not need it; other weights there are refused."""
    data: tuple[DatasetConfig, ...] = ()
    """Datasets to train on by weight, in place of --shards; of each, if asked, some of its samples alone."""
    order: OrderConfig = OrderConfig()
    pool: PoolConfig | None = None
    """A pool of samples on the device, from shards that may still be in the making, in place of each sample once a
    cycle. Such a run does not repeat bit for bit; the size of its steps is that of the pool's stages."""
    training: TrainingConfig
    run: RunConfig

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.objective.needs_regression != bool(self.model.adapters):
            raise ValueError(
                f"model.adapters {self.model.adapters} with this objective: a flow from a frozen regression needs both "
                "a rank, such as model.adapters: 16, and objective: {kind: flow, start: regression}, and all else 0"
            )
        if self.model.detail and not self.model.adapters and getattr(self.objective, "pictures", None) is None:
            raise ValueError(
                "model.detail with an objective that looks at no picture: nothing would train it; "
                "give objective: {kind: regression, pictures: {start: 0.667}}, or leave out model.detail"
            )
        if self.run.sharding == "fsdp2" and self.model.adapters:
            raise ValueError(
                f"run.sharding fsdp2 with model.adapters {self.model.adapters}: the regression beneath them runs in a "
                "shell of its own around the same weights, and would find parts of them; take run.sharding: ddp"
            )
        if self.training.couples:
            self._takes_couples()
        for part in self.training.learns:
            if not getattr(self.model, part):
                raise ValueError(f"training.learns {part}: the network has none; give model.{part}")
        return self

    def _takes_couples(self) -> None:
        """Raises ValueError where the objective knows no couples, or steps, or parts of them, would cut one in two."""
        if not isinstance(self.objective, CouplesConfig):
            raise ValueError(
                f"training.couples with objective {self.objective.kind}, which looks at no difference of outputs; take "
                "regression or flow, or leave out training.couples"
            )
        sizes = {"training.batch_size": self.training.batch_size}
        if self.pool is not None:
            sizes |= {f"pool.stages[{n}].batch_size": stage.batch_size for n, stage in enumerate(self.pool.stages)}
        for name, size in sizes.items():
            if size % 2:
                raise ValueError(f"{name} {size} with training.couples: samples come two by two; give an even number")
        if self.run.micro_batch == 1:
            raise ValueError("run.micro_batch 1 with training.couples: a couple stays together; give 2 or more")

    @property
    def pace(self) -> Pace:
        training, run = self.training, self.run
        return Pace(
            training.samples,
            run.log_every,
            run.checkpoint_every,
            run.checkpoint_minutes,
            training.minutes,
            run.tensorboard,
        )


def load_config(
    name: str, overrides: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> Config:
    """A preset's name or the path of a YAML file, with `overrides` ("training.samples": 500; None leaves as it is) and
    the settings of `settings_of`, whose None is the value null.

    Raises UserError with one line: file, key, value, rule; also where both have one key.
    """
    path = _find(name)
    values = read_yaml(path)
    values.setdefault("name", path.stem)
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    for key, value in (settings or {}).items():
        if key in given:
            raise UserError(f"--set {key}={value}: an option sets the same to {given[key]}; leave one of them")
        given[key] = value
    for key, value in given.items():
        _set(values, key, value)
    return parse(Config, values, str(path))


def settings_of(texts: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE as overrides for `load_config`; values are YAML. Raises UserError."""
    settings: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not re.fullmatch(r"\w+(\.\w+)*", key):
            raise UserError(f"--set {text}: give KEY=VALUE, such as model.depth=6")
        if key in settings:
            raise UserError(f"--set {text}: {key} is set twice; leave one of them")
        lost = next((before for before in settings if before.startswith(f"{key}.")), None)
        if lost is not None:
            raise UserError(f"--set {one_line(text)}: would undo --set {lost}, which stands before it; give it first")
        try:
            settings[key] = plain_yaml.load(value)
        except ValueError as error:
            reason = one_line(error).removeprefix("line 1: ")
            raise UserError(f"--set {one_line(text)}: what stands after = is no value of YAML ({reason})") from None
    return settings


def minutes_of(text: str) -> float:
    """Of a time such as 90s, 8m or 1.5h. Raises UserError."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([smh])", text, re.ASCII)
    if match is None or not float(match[1]):
        raise UserError(f"--for {text}: give a time above zero, such as 90s, 8m or 1.5h")
    return float(match[1]) * {"s": 1 / 60, "m": 1, "h": 60}[match[2]]


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


def _shown(value: Any) -> Any:
    """The same, whose addresses have no signature."""
    if isinstance(value, dict):
        return {key: _shown(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_shown, value))
    return shown(value) if isinstance(value, str) else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
