"""A small autoencoder, and pictures for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.trainer.helpers import picture
from trainer.autoencoder.config import AutoencoderRun
from trainer.autoencoder.pictures import Pictures
from trainer.data.images import to_tensor
from trainer.frozen.klt import DIM, KLTAutoencoder

CPU = torch.device("cpu")
MINI = AutoencoderRun(
    samples=96, channels=16, width=16, encoder_blocks=1, decoder_blocks=2, crops=(64, 96), batch_pixels=4 * 96 * 96,
    warmup=16, lapped_steps=10, ema_half_life=20,
)  # fmt: skip


def changed(settings: AutoencoderRun, **changes: Any) -> AutoencoderRun:
    return AutoencoderRun(**{**settings.model_dump(), **changes})


def pictures(count: int = 6, size: int = 128) -> Pictures:
    made = Pictures()
    for seed in range(count):
        made.add("photos", picture(seed, size))
        made.add("pairs/vif-x", np.repeat(picture(100 + seed, size, 1)[:, :, None], 3, axis=2))
    return made


def klt(made: Pictures) -> KLTAutoencoder:
    return KLTAutoencoder.fit(list(to_tensor(list(made.crops(0, 0, 16, 128)), CPU)), DIM)
