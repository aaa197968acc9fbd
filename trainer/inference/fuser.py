"""Fuser: the public Python API for inference."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.data.batches import encode_pair, network_inputs
from trainer.data.images import Image, Infrared, as_rgb, read_pair, read_together, to_tensor
from trainer.device import choose_device
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import fuse_base
from trainer.frozen.text import TextEncoder
from trainer.inference.auto import AUTO, Clauses, Found, found_in, sentence, standard_clauses
from trainer.inference.folder import Weights, load_weights, save_weights
from trainer.inference.lattice import without_lattice
from trainer.inference.stacks import By, order
from trainer.inference.tiles import SIDE, InTiles
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Inputs, Whole
from trainer.objectives import Noise, Objective

if TYPE_CHECKING:
    from trainer.config import Config


SHIFTS = ((0, 0), (8, 8), (4, 12), (12, 4))
"""Pixels down and to the right by which pictures are moved in one pass after the other: halves and quarters of the 16
px that two latent positions are. "Cycle spinning", Coifman and Donoho, "Translation-invariant de-noising", 1995."""
PASSES = (1, 2, 4)


class PromptCut(UserWarning):
    """Not all of a prompt is read: its end, or words that the text encoder does not know."""


class Fuser:
    """Fuses two registered images of one scene as a sentence says.

    >>> fuser = Fuser.from_pretrained("runs/tiny/weights")
    >>> picture = fuser("dark.png", "bright.png", "remove the haze")  # (H, W, 3) uint8 RGB

    Several threads may use one: nothing of it changes.
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
    def __call__(  # noqa: PLR0913
        self,
        a: np.ndarray | str | Path,
        b: np.ndarray | str | Path,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        strength: float = 1.0,
        passes: int = 1,
        infrared: Infrared = "auto",
    ) -> Image:
        """a, b: paths, or uint8 arrays (H, W), (H, W, 1) or (H, W, 3) in RGB, of one size, any size.

        infrared: which file is a thermal camera's, whose more than 8 bits are stretched; "auto": by shards/FILES.md.
        prompt: what to put right, in words; "auto" for what `describe` says. seed, steps: of the objective's sampler; a
        regression draws nothing and takes one look (None). strength: from 0, the closed-form fusion of both as they
        are, to 1, the network's picture. passes: 1, 2 or 4, each with the pictures elsewhere on the latent grid, whose
        mean is taken: squares of that grid become less, for so many times the time. Returns (H, W, 3) uint8 RGB. Warns
        (PromptCut) where a prompt is longer than the text encoder reads, or most of its words are unknown. Raises
        UserError.
        """
        picture = self.picture(
            a, b, prompt, seed=seed, steps=steps, strength=strength, passes=passes, infrared=infrared
        )
        return np.rint(picture * 255).astype(np.uint8)

    @torch.no_grad()
    def picture(  # noqa: PLR0913
        self,
        a: np.ndarray | str | Path,
        b: np.ndarray | str | Path,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        strength: float = 1.0,
        passes: int = 1,
        infrared: Infrared = "auto",
    ) -> NDArray[np.float32]:
        """The same, before it is rounded to bytes: (H, W, 3) float32 RGB in [0, 1]. Raises UserError."""
        if not 0 <= strength <= 1:
            raise UserError(f"strength {strength}: from 0 (the closed-form fusion) to 1 (the network's picture)")
        if passes not in PASSES:
            raise UserError(f"passes {passes}: {', '.join(map(str, PASSES))}")
        self.check(seed, steps, prompt)
        first, second = _pair(a, b, infrared)
        inputs = self._inputs(first, second)
        said = self._described(inputs) if _is_auto(prompt) else prompt
        told = self.cut(said)
        if told:
            warnings.warn(told, PromptCut, stacklevel=2)
        prompts, noise = self.text([said]), Noise(seed, [0], inputs.base.device)
        height, width = first.shape[:2]
        found = self._fused(inputs._replace(prompts=prompts), noise, steps)[..., :height, :width]
        for dy, dx in SHIFTS[1:passes]:
            moved = self._inputs(*(_moved(image, dy, dx) for image in (first, second)))
            again = self._fused(moved._replace(prompts=prompts), noise, steps)
            found = found + again[..., dy : dy + height, dx : dx + width]
        found = found / passes
        if strength < 1:
            base = fuse_base(*(to_tensor([image], found.device) for image in (first, second)))
            found = torch.lerp(base, found, strength)
        picture: NDArray[np.float32] = found[0].float().add(1).div(2).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        return picture

    def _fused(self, inputs: Inputs, noise: Noise, steps: int | None) -> torch.Tensor:
        """The network's picture, (1, 3, H, W), its sides those of whole latent positions."""
        found = self.objective.sample(InTiles(self.model, self.tile), inputs, noise, steps, self.decoded).picture
        assert found is not None
        base = None if inputs.pixels is None else inputs.pixels[:, 2]
        return without_lattice(found, 2 * self.autoencoder.factor, base)

    def check(self, seed: int = 0, steps: int | None = None, prompt: str = "") -> None:
        """Raises UserError where these weights cannot be asked for that, whatever the pair."""
        if not 0 <= seed < 1 << 64:
            raise UserError(f"seed {seed}: from 0 to 2^64 - 1")
        if _is_auto(prompt) and not self.model.network.effects:
            raise UserError("--prompt auto: these weights have no effect head; say in words what to put right")
        if steps is None:
            return
        if not self.objective.takes_steps:
            raise UserError(
                f"steps {steps}: these weights fuse by a {self.objective.config.kind}, which knows no steps; "
                "leave them out, or take a flow"
            )
        if steps < 1:
            raise UserError(f"steps {steps}: at least 1")

    def stack(
        self, images: Sequence[np.ndarray | str | Path], prompt: str, *, by: By = "auto", **options: Any
    ) -> NDArray[np.float32]:
        """Two images or more of one scene, folded one after the other in the order that `by` says (stacks.order), each
        time with the prompt. options: those of `picture`, as is what comes out. Raises UserError.
        """
        if len(images) < 2:
            raise UserError(f"{len(images)} image: two or more are fused")
        pictures = _stack(images)
        *earlier, last = order(pictures, by)
        so_far = pictures[earlier[0]]
        for number in earlier[1:]:
            so_far = self(so_far, pictures[number], prompt, **options)
        return self.picture(so_far, pictures[last], prompt, **options)

    def many(
        self,
        pairs: Iterable[tuple[np.ndarray | str | Path, np.ndarray | str | Path]],
        prompts: str | Iterable[str],
        *,
        progress: Callable[[int], None] | None = None,
        **options: Any,
    ) -> Iterator[Image]:
        """The picture of one pair after the other, as `fuser(a, b, prompt)` makes it: one prompt for all, or one each.

        progress: called with the number of pictures after each. options: those of a single call. Raises UserError.
        """
        said = repeat(prompts) if isinstance(prompts, str) else prompts
        for number, ((a, b), prompt) in enumerate(zip(pairs, said, strict=False), 1):
            yield self(a, b, prompt, **options)
            if progress is not None:
                progress(number)

    def cut(self, prompt: str) -> str:
        """What is not read of a prompt, in a sentence; empty where all is."""
        return self.text.told(prompt)

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
        self.check(prompt=AUTO)
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
    def from_pretrained(cls, folder: str | Path, device: str | None = None, variant: str | None = None) -> Fuser:
        """Loads a weights folder (`trainer train` writes RUN/weights).

        variant: "regression" or "flow", of weights that hold both, a flow with adapters beside a regression; None: what
        they were trained for. Raises UserError where the folder is none, is newer, or has no such variant.
        """
        return cls(*load_weights(Path(folder), choose_device(device), variant))


def _is_auto(prompt: str) -> bool:
    return prompt.strip().lower() == AUTO


def _pair(a: np.ndarray | str | Path, b: np.ndarray | str | Path, infrared: Infrared) -> tuple[Image, Image]:
    """Two pictures of one size."""
    first, second, _ = read_pair(a, b, infrared)
    if first.shape != second.shape:
        raise UserError(
            f"images of different sizes: a is {first.shape[1]}x{first.shape[0]}, "
            f"b is {second.shape[1]}x{second.shape[0]}; register them and bring them to one size"
        )
    return first, second


def _moved(image: Image, dy: int, dx: int) -> Image:
    """(H + dy, W + dx, 3): down and to the right, mirrored there."""
    return np.pad(image, ((dy, 0), (dx, 0), (0, 0)), mode="symmetric")


def _stack(images: Sequence[np.ndarray | str | Path]) -> list[Image]:
    """Pictures of one scene; files of more than 8 bits are divided alike (shards/FILES.md)."""
    read = read_together({str(n): image for n, image in enumerate(images) if not isinstance(image, np.ndarray)})
    return [
        as_rgb(image, f"image {n + 1}") if isinstance(image, np.ndarray) else read[str(n)]
        for n, image in enumerate(images)
    ]
