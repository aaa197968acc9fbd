"""Sets of pictures to measure on, from folders, pairs and shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.data.folders import images_of, pictures_of_pairs, samples_of
from trainer.data.images import Image, read_image


def read_sets(images: Sequence[Path], pairs: Sequence[Path], shards: Sequence[str]) -> Iterator[tuple[str, str, Image]]:
    """(set, name, picture): a set for each folder of images; of pairs, one a task, infrared apart; of shards, the
    degraded inputs, infrared apart, and the targets. Raises UserError.
    """
    for folder in images:
        for path in images_of(folder, "--images"):
            yield str(folder), path.relative_to(folder).as_posix(), read_image(path)
    for folder in pairs:
        for found in pictures_of_pairs(folder):
            kind = "" if found.task != "vif" else " infrared" if found.name == "b" else " visible"
            yield f"pairs {found.task}{kind}".strip(), f"{found.scene}/{found.name}", found.image
    for sample in samples_of(shards) if shards else ():
        task = sample.record.get("task", "")
        for member, image in (("a", sample.a), ("b", sample.b), ("target", sample.target)):
            kind = "targets" if member == "target" else "degraded inputs"
            infrared = ", infrared" if task == "vif" and member == "b" else ""
            yield f"shards, {kind}{infrared}", f"{sample.key}.{member}", image
