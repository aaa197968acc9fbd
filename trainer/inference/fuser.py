"""Fuser: the public Python API for inference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trainer.data.batches import encode_pair, network_inputs
from trainer.data.images import Image, as_rgb, read_image, to_images
from trainer.device import choose_device
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.folder import Weights, load_weights, save_weights
from trainer.inference.tiles import InTiles
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Whole
from trainer.objectives import Noise, Objective

if TYPE_CHECKING:
    from trainer.config import Config


class Fuser:
    """Fuses two registered images of one scene as a sentence says.

    >>> fuser = Fuser.from_pretrained("runs/tiny/weights")
    >>> picture = fuser("dark.png", "bright.png", "remove the haze")  # (H, W, 3) uint8 RGB
    """

    def __init__(
        self, model: FusionDiT, autoencoder: Autoencoder, text: TextEncoder, objective: Objective[Any]
    ) -> None:
        self.model, self.autoencoder, self.text, self.objective = model.eval(), autoencoder, text, objective

    @torch.no_grad()
    def __call__(
        self,
        a: np.ndarray | str | Path,
        b: np.ndarray | str | Path,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
    ) -> Image:
        """a, b: paths, or uint8 arrays (H, W), (H, W, 1) or (H, W, 3) in RGB, of one size, any size.

        seed, steps: of the objective's sampler; a regression draws nothing and takes one. Returns (H, W, 3) uint8
        RGB. Raises UserError.
        """
        first, second = _as_image(a, "a"), _as_image(b, "b")
        if first.shape != second.shape:
            raise UserError(
                f"images of different sizes: a is {first.shape[1]}x{first.shape[0]}, "
                f"b is {second.shape[1]}x{second.shape[0]}; register them and bring them to one size"
            )
        pair = encode_pair(self.autoencoder, first, second)
        inputs = network_inputs(self.autoencoder, pair.latents[None], None, self.text([prompt]))
        if self.model.network.sees_pixels:  # as bytes, a quarter of what numbers take: InTiles knows both
            inputs = inputs._replace(pixels=pair.pixels[None], whole=Whole.of(pair.pixels[None]))
        noise = Noise(seed, [0], pair.latents.device)
        picture = self.objective.sample(InTiles(self.model), inputs, noise, steps, self.decoded).picture
        assert picture is not None
        return to_images(picture[..., : first.shape[0], : first.shape[1]])[0]

    def decoded(self, z: torch.Tensor) -> torch.Tensor:
        """The picture of a normalised latent."""
        return self.autoencoder.decode(self.autoencoder.denormalise(z))

    def save(self, folder: Path, config: Config) -> None:
        """Writes a weights folder."""
        save_weights(Weights(self.model, self.autoencoder, self.text, self.objective), folder, config)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str | None = None) -> Fuser:
        """Loads a weights folder (`trainer train` writes RUN/weights). Raises UserError where it is none, or newer."""
        return cls(*load_weights(Path(folder), choose_device(device)))


def _as_image(image: np.ndarray | str | Path, name: str) -> Image:
    return as_rgb(image, name) if isinstance(image, np.ndarray) else read_image(image)
