"""Weights that nothing has trained: what they fuse is the closed-form start."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainer.helpers import picture
from trainer import Fuser
from trainer.config import load_config
from trainer.data.images import to_tensor
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.model.dit import FusionDiT
from trainer.objectives import STANDARD, make_objective

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network with a lossless KLT of 192 channels: its picture is the base."""
    torch.manual_seed(0)
    images = to_tensor([picture(i, 64) for i in range(40)], CPU)
    autoencoder = Autoencoder(KLTAutoencoder.fit(list(images), 192))
    objective = make_objective(STANDARD, autoencoder)
    fuser = Fuser(
        FusionDiT(192, 8, 384, {"width": 32, "depth": 1, "heads": 2}),
        autoencoder,
        TextEncoder(max_tokens=16),
        objective,
    )
    folder = tmp_path_factory.mktemp("run") / "weights"
    fuser.save(folder, load_config("tiny"))
    return folder


@pytest.fixture(scope="session")
def fuser(weights: Path) -> Fuser:
    return Fuser.from_pretrained(weights, device="cpu")
