"""How well an autoencoder brings pictures back."""

from __future__ import annotations

import time
from collections.abc import Iterable

from trainer.autoencoder.report import Score
from trainer.console import say
from trainer.data.images import Image, to_images, to_tensor
from trainer.evaluation.metrics import SSIM_RADIUS, psnr, ssim
from trainer.evaluation.sheets import where_they_differ
from trainer.frozen.autoencoder import Autoencoder

CAP = 100.0
"""dB that an exact round trip counts as, so that a mean exists."""


def score(autoencoder: Autoencoder, name: str, image: Image) -> Score:
    """Encodes and decodes a picture, (H, W, 3) uint8: PSNR in dB over all pixels and channels of the rounded and
    clipped picture, SSIM of luma.
    """
    latents = autoencoder.encode(to_tensor([image], autoencoder.device))
    back = to_images(autoencoder.decode(latents, image.shape[:2]))[0]
    small = min(image.shape[:2]) <= 2 * SSIM_RADIUS
    values = {"PSNR": min(psnr(back, image), CAP), "SSIM": float("nan") if small else ssim(back, image)}
    return Score(name, values, where_they_differ(image, back))


def evaluate(autoencoder: Autoencoder, sets: Iterable[tuple[str, str, Image]]) -> dict[str, list[Score]]:
    """The scores of (set, name, picture), by set; tells every half minute how many there are."""
    scores: dict[str, list[Score]] = {}
    begun = time.monotonic()
    for number, (group, name, image) in enumerate(sets, 1):
        scores.setdefault(group, []).append(score(autoencoder, name, image))
        if time.monotonic() - begun > 30:
            begun = time.monotonic()
            say(f"{number} pictures")
    return scores
