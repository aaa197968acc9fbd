"""What is evaluated: a case in, a fused picture out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np

from trainer.data.images import Image, to_images, to_tensor
from trainer.evaluation.cases import Case
from trainer.evaluation.references import openfocus
from trainer.evaluation.references.classical import restore

if TYPE_CHECKING:
    from trainer.frozen.autoencoder import Autoencoder
    from trainer.inference.fuser import Fuser

Method: TypeAlias = Callable[[Case], Image]
"""A case to (H, W, 3) uint8."""

AVERAGE, CLOSED, ORACLE, CEILING = "average", "closed form", "oracle", "round trip of the target"
OPENFOCUS = "OpenFocus (mff alone)"
REFERENCES = (AVERAGE, CLOSED, ORACLE, OPENFOCUS)
"""What a network has to beat: they learn nothing here."""
TASKS = {OPENFOCUS: openfocus.TASK}
"""Of methods that are for one task alone."""
SHUFFLED = ", sentences shuffled"


def average(case: Case) -> Image:
    """The mean of both inputs as they came."""
    return np.asarray(cv2.addWeighted(case.a, 0.5, case.b, 0.5, 0))


def closed_form(case: Case) -> Image:
    """The network's start, `fuse_base`, of the inputs as they came."""
    return fused(case.a, case.b)


def oracle(case: Case) -> Image:
    """Classical restoration of each input, told the truth by the record, then the closed form."""
    damages = case.record.get("degradations", ())
    by_image = {name: [each for each in damages if each["image"] == name] for name in ("a", "b")}
    return fused(restore(case.a, by_image["a"]), restore(case.b, by_image["b"]))


def ceiling(autoencoder: Autoencoder) -> Method:
    """The target through the autoencoder and back: what no network in these latents passes."""
    import torch

    def method(case: Case) -> Image:
        if case.target is None:
            raise ValueError(f"{case.key}: no target to send through the autoencoder")
        height, width = case.target.shape[:2]
        with torch.no_grad():
            z = autoencoder.encode(autoencoder.filled(to_tensor([case.target], autoencoder.device)))
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

    def method(case: Case) -> Image:
        return fuser(case.a, case.b, sentences[case.key] if sentences else case.instruction)

    return method


class Said(NamedTuple):
    """What a case is asked, without its pictures."""

    key: str
    group: str
    task: str
    sentence: str


def shuffled(said: Sequence[Said]) -> dict[str, str]:
    """For each key the sentence of another case of its task, and of another group.

    The same for the same cases: each takes the sentence of the one that stands a third of its task's cases later, or
    the next after that whose group and sentence differ. Where a task has no such case, its own.
    """
    found: dict[str, str] = {}
    for task in {each.task for each in said}:
        of_task = [each for each in said if each.task == task]
        for number, own in enumerate(of_task):
            start = number + max(1, len(of_task) // 3)
            around = (of_task[(start + step) % len(of_task)] for step in range(len(of_task)))
            others = (each.sentence for each in around if each.group != own.group and each.sentence != own.sentence)
            found[own.key] = next(others, own.sentence)
    return found


class Networks(NamedTuple):
    """Which networks are measured."""

    weights: Sequence[Path] = ()
    """Weights folders."""
    variants: Sequence[str] = ()
    """Of each of them (Fuser.from_pretrained); none: what it was trained for."""
    shuffled: bool = False
    """Each once more, with the sentences of other samples."""
    device: str | None = None


def methods_for(
    networks: Networks, truth: bool, others: Mapping[str, Callable[[], Method]] | None = None
) -> tuple[dict[str, Method], dict[str, Fuser]]:
    """The references, and the networks by the name of their folder, in the order of a table. Raises UserError.

    truth: every case has a target and says what was done to it; the oracle and the ceiling stand for these alone. The
    ceiling is that of the first network's autoencoder; without a network there is none. others: more references,
    made once the networks are there, since that may take long.
    """
    from trainer.inference.fuser import Fuser

    fusers = {
        name_of(folder, networks.weights) + (f", {variant}" if variant else ""): Fuser.from_pretrained(
            folder, networks.device, variant
        )
        for folder in networks.weights
        for variant in networks.variants or (None,)
    }
    methods: dict[str, Method] = {AVERAGE: average, CLOSED: closed_form, **({ORACLE: oracle} if truth else {})}
    methods |= {name: made() for name, made in (others or {}).items()}
    methods |= {name: of(fuser) for name, fuser in fusers.items()}
    for fuser in list(fusers.values())[: 1 if truth else 0]:
        methods[CEILING] = ceiling(fuser.autoencoder)
    return methods, fusers


def name_of(folder: Path, among: Sequence[Path]) -> str:
    """The last part of a weights folder's path (the run's, of RUN/weights), where that tells it from the others and
    from the references."""

    def short(path: Path) -> str:
        return path.parent.name if path.name == "weights" and path.parent.name else path.name or str(path)

    known = (*REFERENCES, CEILING, *(short(other) for other in among if other != folder))
    return str(folder) if short(folder) in known else short(folder)


def takes(method: str, task: str) -> bool:
    """Whether a method is for that task."""
    return TASKS.get(method, task) == task
