"""What the autoencoder is trained on: single pictures, held decoded in memory, cut into crops by their number."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainer.data.folders import images_of, pictures_of_pairs, samples_of
from trainer.data.images import Image, read_image
from trainer.errors import UserError

SHARES = {"photos": 0.5, "pairs": 0.35, "degraded": 0.15}
"""Of the crops, by kind of picture; what is not there leaves its share to the others."""
SMALLEST = 64
"""Pixels of the short side below which a picture is left out."""
SCALE = (0.5, 1.2)
"""Pixels of the crop per pixel of the picture, log-uniform; more only where a picture is smaller than the crop."""
EXPOSED, GAMMA = 0.2, (0.5, 2.0)
"""Share of the crops whose exposure is changed, and the range of the exponent, log-uniform."""
GREY = 6.0
"""Grey levels: a picture whose red and blue nowhere differ from green by more is kept as one channel."""


@dataclass
class Pictures:
    """Pictures by group, such as "pairs/vif-msrs"; the first part of a group's name is its kind (SHARES).

    Each is uint8 RGB (H, W, 3), or (H, W) where it is grey. A crop is a pure function of (seed, number, size).
    """

    groups: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, group: str, image: Image) -> None:
        """Keeps an image (H, W, 3); too small a one is passed over."""
        import cv2

        if min(image.shape[:2]) < SMALLEST:
            return
        red, green, blue = (np.ascontiguousarray(image[:, :, channel]) for channel in range(3))
        spread = max(float(cv2.norm(green, other, cv2.NORM_INF)) for other in (red, blue))
        self.groups.setdefault(group, []).append(green if spread <= GREY else image)

    def __len__(self) -> int:
        return sum(len(images) for images in self.groups.values())

    def shares(self) -> dict[str, float]:
        """The share of each group: that of its kind, divided by the square roots of the numbers of pictures."""
        kinds = {name: share for name, share in SHARES.items() if any(g.split("/")[0] == name for g in self.groups)}
        weights: dict[str, float] = {}
        for kind, share in kinds.items():
            roots = {g: math.sqrt(len(images)) for g, images in self.groups.items() if g.split("/")[0] == kind}
            weights |= {g: share / sum(kinds.values()) * root / sum(roots.values()) for g, root in roots.items()}
        return weights

    def fingerprint(self) -> str:
        """sha256 over the groups and the pixels."""
        digest = hashlib.sha256()
        for group in sorted(self.groups):
            for image in self.groups[group]:
                digest.update(f"{group}{image.shape}".encode())
                digest.update(image.tobytes())
        return digest.hexdigest()

    def crops(self, seed: int, first: int, count: int, size: int) -> np.ndarray:
        """Crops number `first` and on: (count, size, size, 3) uint8."""
        shares = self.shares()
        return np.stack([self._crop(_generator(seed, first + i), shares, size) for i in range(count)])

    def _crop(self, rng: np.random.Generator, shares: dict[str, float], size: int) -> Image:
        import cv2

        group = list(shares)[rng.choice(len(shares), p=np.array(list(shares.values())) / sum(shares.values()))]
        image = self.groups[group][rng.integers(len(self.groups[group]))]
        height, width = image.shape[:2]
        scale = math.exp(rng.uniform(*np.log(SCALE)))
        window = min(round(size / scale), height, width)
        y, x = rng.integers(height - window + 1), rng.integers(width - window + 1)
        crop = image[y : y + window, x : x + window]
        if window != size:
            how = cv2.INTER_AREA if window > size else cv2.INTER_CUBIC
            crop = cv2.resize(crop, (size, size), interpolation=how)
        crop = np.rot90(crop, int(rng.integers(4)))
        crop = crop[:, ::-1] if rng.random() < 0.5 else crop
        if rng.random() < EXPOSED:
            gamma = math.exp(rng.uniform(*np.log(GAMMA)))
            crop = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)[crop]
        return np.broadcast_to(crop[:, :, None], (size, size, 3)) if crop.ndim == 2 else crop


def crop_size(seed: int, first: int, sizes: tuple[int, int]) -> int:
    """The side of the crops of the step that begins with number `first`: a multiple of 32 in the range."""
    low, high = (size // 32 for size in sizes)
    return 32 * int(_generator(seed, first, 1).integers(low, high + 1))


def _generator(seed: int, number: int, stream: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, 4 * number + stream], dtype=np.uint64)))


def read_pictures(
    photos: Sequence[Path] = (), pairs: Sequence[Path] = (), shards: Sequence[str] = (), packed: Path | None = None
) -> Pictures:
    """All pictures of folders of photographs, folders of pairs, shards, and a folder that `pack` wrote.

    pairs: [<task>/]<dataset>-<scene>/{a,b[,gt]}.*; of shards a, b and target are taken. Raises UserError.
    """
    pictures = Pictures()
    for folder in photos:
        for path in images_of(folder, "--photos"):
            pictures.add("photos", read_image(path))
    for folder in pairs:
        for picture in pictures_of_pairs(folder):
            group = "-".join(filter(None, (picture.task, picture.scene.split("-")[0])))
            pictures.add(f"pairs/{group}", picture.image)
    for sample in samples_of(shards) if shards else ():
        for image in (sample.a, sample.b, sample.target):
            pictures.add("degraded", image)
    if packed is not None:
        for path in images_of(packed, "--packed"):
            group = path.relative_to(packed).parent.as_posix()
            pictures.add(group, read_image(path))
    strange = [group for group in pictures.groups if group.split("/")[0] not in SHARES]
    if strange:
        raise UserError(f"--packed {packed}: holds '{strange[0]}', not a folder that `trainer autoencoder pack` wrote")
    if not len(pictures):
        raise UserError(
            f"no picture of {SMALLEST} px or more to train on; give --photos, --pairs, --shards or --packed"
        )
    return pictures
