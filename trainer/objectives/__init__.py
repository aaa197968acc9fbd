"""Objectives: a loss and a sampler each. Importing this package fills the registry from the files beside this one."""

import importlib
import pkgutil
from typing import Annotated, Any, TypeAlias

from trainer.frozen.autoencoder import Autoencoder
from trainer.objectives.base import CouplesConfig, Losses, Noise, Objective, ObjectiveConfig
from trainer.schema import OneOf

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

OBJECTIVES = Objective.known
"""By kind."""
AnyObjective: TypeAlias = Annotated[
    ObjectiveConfig, OneOf({kind: objective.Config for kind, objective in OBJECTIVES.items()})
]
"""The `objective:` section, of any kind."""
STANDARD = OBJECTIVES["regression"].Config(kind="regression")
"""Where a config names none."""


def make_objective(config: ObjectiveConfig, autoencoder: Autoencoder) -> Objective[Any]:
    """The objective that a section names, for the latents of an autoencoder."""
    return OBJECTIVES[config.kind](config, autoencoder)


__all__ = [
    "OBJECTIVES",
    "STANDARD",
    "AnyObjective",
    "CouplesConfig",
    "Losses",
    "Noise",
    "Objective",
    "ObjectiveConfig",
    "make_objective",
]
