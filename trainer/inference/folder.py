"""A weights folder: dit/, autoencoder/, config.yaml, and fuser.json, which names what belongs together."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ConfigDict, Field

from trainer.config import Config
from trainer.errors import UserError
from trainer.files import read_json
from trainer.frozen import fusion
from trainer.frozen.autoencoder import STATISTICS, Autoencoder, hash_of
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import MAX_TOKENS, PADDED, TextEncoder
from trainer.inference.auto import Clauses, standard_clauses
from trainer.model.dit import FusionDiT
from trainer.objectives import OBJECTIVES, STANDARD, AnyObjective, Objective, ObjectiveConfig, make_objective
from trainer.pretrained import load_model
from trainer.schema import Section, parse

VERSION = 2
MANIFEST = "fuser.json"
SHIPPED = {"release": Path(__file__).parents[1] / "weights" / "release"}
"""Weights that come with the trainer, by name."""
REGRESSION = STANDARD.kind
"""The variant that lies beneath a flow with adapters."""
LARGEST_FILE = "15MB"
"""Of weights in fp16."""


class _Part(Section):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Hashed(_Part):
    hash: str


class _Text(_Part):
    encoder: str
    hash: str
    max_tokens: int = Field(ge=1, le=512)


class Manifest(_Part):
    """fuser.json: what a weights folder was trained with. Its hashes show files that do not belong together."""

    version: int
    objective: AnyObjective
    dit: _Hashed
    autoencoder: _Hashed
    latents: _Hashed
    """Of the mean and scale of each latent channel."""
    text: _Text
    clauses: Clauses | None = None
    """How effects are asked away that the network guesses."""


class Weights(NamedTuple):
    """What a fused picture is made with."""

    model: FusionDiT
    autoencoder: Autoencoder
    text: TextEncoder
    objective: Objective[Any]
    clauses: Clauses | None = None
    """For `--prompt auto`; None: those of this trainer."""


def save_weights(weights: Weights, folder: Path, config: Config) -> None:
    """Writes dit/, autoencoder/, config.yaml and fuser.json (objective, text encoder's name, token length; hashes)."""
    model, autoencoder, text, objective, clauses = weights
    if config.run.half_weights:
        model = copy.deepcopy(model).half()
        model.save_pretrained(folder / "dit", max_shard_size=LARGEST_FILE)
        model = model.float()  # so that its hash is that of what loads
    else:
        model.save_pretrained(folder / "dit")
    autoencoder.save(folder / "autoencoder")
    (folder / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    manifest = Manifest(
        version=VERSION,
        objective=objective.config,
        dit=_Hashed(hash=hash_of_network(model)),
        autoencoder=_Hashed(hash=autoencoder.hash),
        latents=_Hashed(hash=autoencoder.statistics_hash),
        text=_Text(encoder=text.name, hash=text.hash, max_tokens=text.max_tokens),
        clauses=(clauses or standard_clauses()) if model.network.effects else None,
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def load_weights(folder: Path, where: torch.device, variant: str | None = None) -> Weights:
    """What `save_weights` wrote, or what ships by that name.

    variant: by the kind of an objective, which of the networks that it holds: that which it was trained for (as None),
    or of a flow with adapters the regression beneath. Raises UserError where the folder is no such folder, is of
    another version, does not fit, or has no such variant.
    """
    folder = named(folder)
    manifest = _read_manifest(folder)
    kind = manifest.objective.kind
    if variant not in (None, kind) and not (variant == REGRESSION and manifest.objective.needs_regression):
        raise UserError(_no_variant(folder, variant, manifest.objective))
    told = manifest.text.max_tokens  # the network attends to any number of words: a prompt is read beyond those of old
    text = TextEncoder(manifest.text.encoder, max(told, MAX_TOKENS), where, padded=min(told, PADDED))
    if text.hash != manifest.text.hash:
        raise UserError(
            f"--weights {folder}: trained with another text encoder than {text.name} is here (its sha256 differs)"
        )
    autoencoder = load_autoencoder(folder / "autoencoder", where)
    if autoencoder.hash != manifest.autoencoder.hash:
        raise UserError(
            f"--weights {folder}: its autoencoder is not the one it was trained with; copy the folder again"
        )
    if not (folder / "autoencoder" / STATISTICS).is_file():
        raise UserError(f"--weights {folder}: no autoencoder/{STATISTICS} in it; copy the folder again")
    if autoencoder.statistics_hash != manifest.latents.hash:
        raise UserError(
            f"--weights {folder}/autoencoder: mean and scale of the latents ({STATISTICS}) are not those it "
            "was trained with; copy the folder again"
        )
    if not (folder / "dit" / "config.json").is_file():
        raise UserError(f"--weights {folder}: no dit/config.json in it; copy the folder again")
    try:
        model = load_model(FusionDiT, folder / "dit")
    except ValueError as error:
        raise UserError(f"--weights {folder}/dit: does not load ({error}); copy the folder again") from None
    if model.config["base"] != fusion.NAME:
        raise UserError(
            f"--weights {folder}/dit: trained on the base '{model.config['base']}', and this trainer "
            f"makes '{fusion.NAME}'; use the trainer that they came with"
        )
    if hash_of_network(model) != manifest.dit.hash:
        raise UserError(f"--weights {folder}/dit: not the network that {MANIFEST} names; copy the folder again")
    settings = manifest.objective
    if variant not in (None, kind):
        model, settings = regression_beneath(model), STANDARD
    return Weights(model.to(where), autoencoder, text, make_objective(settings, autoencoder), manifest.clauses)


def regression_beneath(model: FusionDiT) -> FusionDiT:
    """The frozen regression of a network with adapters as a network of its own, of the same tensors."""
    config = {name: value for name, value in model.config.items() if not name.startswith("_")}
    made = FusionDiT(**{**config, "network": {**config["network"], "adapters": 0}, "time": False})
    made.load_state_dict(model.regression.state_dict(), assign=True)
    return made


def named(folder: Path) -> Path:
    """The folder of weights that ship, by their name; any other as it is."""
    return SHIPPED.get(str(folder), folder)


def network_hash(folder: Path) -> str:
    """What names the network of a weights folder. Raises UserError."""
    return _read_manifest(named(folder)).dit.hash


def _no_variant(folder: Path, variant: str | None, objective: ObjectiveConfig) -> str:
    beneath = f" and the {REGRESSION} beneath it" if objective.needs_regression else ""
    way_out = f"--variant {objective.kind}" + (f" or {REGRESSION}" if beneath else "")
    return f"--variant {variant}: {folder} holds a {objective.kind}{beneath}; {way_out}, or other weights"


def hash_of_network(model: FusionDiT) -> str:
    """sha256 over the weights and the config: another number of heads, say, leaves every weight its shape."""
    config = {name: value for name, value in model.config.items() if not name.startswith("_")}
    return hashlib.sha256(f"{hash_of(model)}{json.dumps(config, sort_keys=True)}".encode()).hexdigest()


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    again = "copy the folder again, or run the training command again, which writes it anew"
    try:
        values = read_json(path, f"--weights {path}", "copy the folder again")
    except FileNotFoundError:
        raise UserError(
            f"--weights {folder}: no {MANIFEST} in it; give the folder that training wrote, RUN/weights"
        ) from None
    version = values.get("version")
    if not isinstance(version, int):
        raise UserError(f"--weights {path}: not a manifest of weights (version {version!r}); copy the folder again")
    if version != VERSION:
        way_out = "update the trainer" if version > VERSION else "train them again, or use the trainer they came with"
        raise UserError(f"--weights {folder}: version {version}, and this trainer reads {VERSION}; {way_out}")
    objective = values.get("objective")
    kind = objective.get("kind") if isinstance(objective, dict) else objective
    if not isinstance(kind, str) or kind not in OBJECTIVES:
        known = ", ".join(f"'{name}'" for name in OBJECTIVES)
        raise UserError(f"--weights {folder}: objective {kind!r}; this trainer has {known}")
    try:
        return parse(Manifest, values, f"--weights {path}")
    except UserError as error:
        raise UserError(f"{error}; {again}") from None
