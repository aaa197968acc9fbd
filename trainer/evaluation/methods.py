"""What is evaluated: a sample in, a fused picture out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from trainer.data.images import Image, to_images, to_tensor
from trainer.data.samples import Sample
from trainer.evaluation.references.classical import restore

if TYPE_CHECKING:
    from trainer.frozen.autoencoder import Autoencoder
    from trainer.inference.fuser import Fuser

Method: TypeAlias = Callable[[Sample], Image]
"""A sample to (H, W, 3) uint8."""

AVERAGE, CLOSED, ORACLE, CEILING = "average", "closed form", "oracle", "round trip of the target"
SHUFFLED = ", sentences shuffled"


def average(sample: Sample) -> Image:
    """The mean of both inputs as they came."""
    return np.asarray(cv2.addWeighted(sample.a, 0.5, sample.b, 0.5, 0))


def closed_form(sample: Sample) -> Image:
    """The network's start, `fuse_base`, of the inputs as they came."""
    return fused(sample.a, sample.b)


def oracle(sample: Sample) -> Image:
    """Classical restoration of each input, told the truth by the record, then the closed form."""
    damages = sample.record.get("degradations", ())
    by_image = {name: [each for each in damages if each["image"] == name] for name in ("a", "b")}
    return fused(restore(sample.a, by_image["a"]), restore(sample.b, by_image["b"]))


def ceiling(autoencoder: Autoencoder) -> Method:
    """The target through the autoencoder and back: what no network in these latents passes."""
    import torch

    def method(sample: Sample) -> Image:
        height, width = sample.target.shape[:2]
        with torch.no_grad():
            z = autoencoder.encode(autoencoder.filled(to_tensor([sample.target], autoencoder.device)))
            return to_images(autoencoder.decode(z)[..., :height, :width])[0]

    return method


def fused(a: Image, b: Image) -> Image:
    """The closed-form fusion of two images."""
    import torch

    from trainer.frozen.fusion import fuse_base

    device = torch.device("cpu")
    return to_images(fuse_base(to_tensor([a], device), to_tensor([b], device)))[0]


def of(fuser: Fuser, sentences: Mapping[str, str] | None = None) -> Method:
    """A network with each sample's sentence, or with that which `sentences` has for its key."""

    def method(sample: Sample) -> Image:
        return fuser(sample.a, sample.b, sentences[sample.key] if sentences else sample.instruction)

    return method


def shuffled(samples: Sequence[tuple[str, str, str, str]]) -> dict[str, str]:
    """For each key the sentence of another sample of its task, and of another group.

    samples: (key, group, task, sentence). The same for the same samples: each takes the sentence of the one that stands
    a third of its task's samples later, or the next after that whose group and sentence differ. Where a task has no
    such sample, its own.
    """
    found: dict[str, str] = {}
    for task in {each[2] for each in samples}:
        of_task = [each for each in samples if each[2] == task]
        for number, (key, group, _, sentence) in enumerate(of_task):
            start = number + max(1, len(of_task) // 3)
            around = (of_task[(start + step) % len(of_task)] for step in range(len(of_task)))
            found[key] = next((other[3] for other in around if other[1] != group and other[3] != sentence), sentence)
    return found


def methods_for(weights: Sequence[Path], device: str | None) -> tuple[dict[str, Method], dict[str, Fuser]]:
    """The references, and the networks by the name of their folder, in the order of a table. Raises UserError.

    The ceiling is that of the first network's autoencoder; without a network there is none.
    """
    from trainer.inference.fuser import Fuser

    fusers = {name_of(folder, weights): Fuser.from_pretrained(folder, device) for folder in weights}
    methods: dict[str, Method] = {AVERAGE: average, CLOSED: closed_form, ORACLE: oracle}
    methods |= {name: of(fuser) for name, fuser in fusers.items()}
    for fuser in list(fusers.values())[:1]:
        methods[CEILING] = ceiling(fuser.autoencoder)
    return methods, fusers


def name_of(folder: Path, among: Sequence[Path]) -> str:
    """The last part of a weights folder's path (the run's, of RUN/weights), where that tells it from the others."""

    def short(path: Path) -> str:
        return path.parent.name if path.name == "weights" and path.parent.name else path.name or str(path)

    return short(folder) if sum(short(folder) == short(other) for other in among) == 1 else str(folder)
