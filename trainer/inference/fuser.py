"""Fuser: the public Python API for inference."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trainer.data.batches import encode_pair, network_inputs
from trainer.data.images import Image, Infrared, read_pair, to_images
from trainer.device import choose_device
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.auto import AUTO, Clauses, Found, found_in, sentence, standard_clauses
from trainer.inference.folder import Weights, load_weights, save_weights
from trainer.inference.tiles import SIDE, InTiles
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Inputs, Whole
from trainer.objectives import Noise, Objective

if TYPE_CHECKING:
    from trainer.config import Config


class PromptCut(UserWarning):
    """The end of a prompt is not read."""


class Fuser:
    """Fuses two registered images of one scene as a sentence says.

    >>> fuser = Fuser.from_pretrained("runs/tiny/weights")
    >>> picture = fuser("dark.png", "bright.png", "remove the haze")  # (H, W, 3) uint8 RGB
    """

    def __init__(
        self,
        model: FusionDiT,
        autoencoder: Autoencoder,
        text: TextEncoder,
        objective: Objective[Any],
        clauses: Clauses | None = None,
    ) -> None:
        self.model, self.autoencoder, self.text, self.objective = model.eval(), autoencoder, text, objective
        self.clauses = clauses or standard_clauses()
        self.tile = SIDE
        """Latent positions along a side of the tiles in which a larger picture goes through the network: less takes
        less memory."""

    @torch.no_grad()
    def __call__(
        self,
        a: np.ndarray | str | Path,
        b: np.ndarray | str | Path,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        infrared: Infrared = "auto",
    ) -> Image:
        """a, b: paths, or uint8 arrays (H, W), (H, W, 1) or (H, W, 3) in RGB, of one size, any size.

        infrared: which file is a thermal camera's, whose more than 8 bits are stretched; "auto": by shards/FILES.md.
        prompt: what to put right, in words; "auto" for what `describe` says. seed, steps: of the objective's sampler;
        a regression draws nothing and takes one. Returns (H, W, 3) uint8 RGB. Warns (PromptCut) where a prompt is
        longer than the text encoder reads. Raises UserError.
        """
        first, second = _pair(a, b, infrared)
        inputs = self._inputs(first, second)
        said = self._described(inputs) if prompt == AUTO else prompt
        told = self.cut(said)
        if told:
            warnings.warn(told, PromptCut, stacklevel=3)  # of whoever called, above no_grad
        inputs = inputs._replace(prompts=self.text([said]))
        noise = Noise(seed, [0], inputs.base.device)
        picture = self.objective.sample(InTiles(self.model, self.tile), inputs, noise, steps, self.decoded).picture
        assert picture is not None
        return to_images(picture[..., : first.shape[0], : first.shape[1]])[0]

    def cut(self, prompt: str) -> str:
        """What is not read of a prompt, in a sentence; empty where all is."""
        return self.text.told(prompt) if self.text.length(prompt) > self.text.max_tokens else ""

    def decoded(self, z: torch.Tensor) -> torch.Tensor:
        """The picture of a normalised latent."""
        return self.autoencoder.decode(self.autoencoder.denormalise(z))

    @torch.no_grad()
    def describe(self, a: np.ndarray | str | Path, b: np.ndarray | str | Path, *, infrared: Infrared = "auto") -> str:
        """The sentence that asks for all damage to go that the effect head finds in a pair; a, b: as for fusing.

        Raises UserError, also where the weights have no effect head.
        """
        return self._described(self._inputs(*_pair(a, b, infrared)))

    @torch.no_grad()
    def found(
        self, a: np.ndarray | str | Path, b: np.ndarray | str | Path, *, infrared: Infrared = "auto"
    ) -> list[Found]:
        """What the effect head finds in a pair, the surest first. Raises UserError as `describe`."""
        return self._found(self._inputs(*_pair(a, b, infrared)))

    @torch.no_grad()
    def guess(
        self, a: np.ndarray | str | Path, b: np.ndarray | str | Path, *, infrared: Infrared = "auto"
    ) -> torch.Tensor:
        """What the effect head says of a pair, (2, E, 2): of a and b and each of `model.network.effects` the logits of
        its presence and its severity. Raises UserError as `describe`.
        """
        return self._guess(self._inputs(*_pair(a, b, infrared)))

    def _described(self, inputs: Inputs) -> str:
        return sentence(self._found(inputs), self.clauses)

    def _found(self, inputs: Inputs) -> list[Found]:
        return found_in(self._guess(inputs), self.model.network.effects)

    def _guess(self, inputs: Inputs) -> torch.Tensor:
        if not self.model.network.effects:
            raise UserError("--prompt auto: these weights have no effect head; say in words what to put right")
        beneath = self.model if self.model.state is None else self.model.regression
        guess = InTiles(beneath, self.tile)(inputs).guess
        assert guess is not None
        return guess[0]

    def _inputs(self, first: Image, second: Image) -> Inputs:
        """Two images (H, W, 3) of one size, and no words."""
        pair = encode_pair(self.autoencoder, first, second)
        inputs = network_inputs(self.autoencoder, pair.latents[None], None, self.text([""]))
        if self.model.network.sees_pixels:  # as bytes, a quarter of what numbers take: InTiles knows both
            inputs = inputs._replace(pixels=pair.pixels[None], whole=Whole.of(pair.pixels[None]))
        return inputs

    def save(self, folder: Path, config: Config) -> None:
        """Writes a weights folder."""
        save_weights(Weights(self.model, self.autoencoder, self.text, self.objective, self.clauses), folder, config)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str | None = None) -> Fuser:
        """Loads a weights folder (`trainer train` writes RUN/weights). Raises UserError where it is none, or newer."""
        return cls(*load_weights(Path(folder), choose_device(device)))


def _pair(a: np.ndarray | str | Path, b: np.ndarray | str | Path, infrared: Infrared) -> tuple[Image, Image]:
    """Two pictures of one size."""
    first, second, _ = read_pair(a, b, infrared)
    if first.shape != second.shape:
        raise UserError(
            f"images of different sizes: a is {first.shape[1]}x{first.shape[0]}, "
            f"b is {second.shape[1]}x{second.shape[0]}; register them and bring them to one size"
        )
    return first, second
