"""Folders of pictures, and fewer crops than a real run looks at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.trainer.helpers import picture


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """photos/ with 6 pictures, pairs/ with a pair of each of two tasks."""
    root = tmp_path / "data"
    for seed in range(6):
        _write(root / "photos" / f"{seed}.png", picture(seed, 128))
    for task, scene in (("vif", "x-1"), ("mef", "y-1")):
        for number, name in enumerate(("a", "b")):
            _write(root / "pairs" / task / scene / f"{name}.png", picture(20 + number, 128, 1 if name == "b" else 3))
    return root


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def few_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured before and after the training, on few crops."""
    monkeypatch.setattr("trainer.autoencoder.training.FIT", 12)
    monkeypatch.setattr("trainer.autoencoder.weights.COUNT", 6)
