"""One picture of 8K through the whole command: in bounded memory, and without seams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from tests.trainer.helpers import picture
from trainer import Fuser
from trainer.config import load_config
from trainer.data.images import read_image, to_tensor
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.model.dit import FusionDiT
from trainer.objectives import STANDARD, make_objective

WIDTH, HEIGHT = 7680, 4320
MOST_MIB = 3500
PERIOD = 16
"""Pixels after which the grids of network and autoencoder repeat."""
SEAM = 1.18
"""How much steeper a line may be than those around it that stand alike in the grids."""


def small_weights(folder: Path) -> Path:
    """A small network that looks at all that one can look at, and changes what it is given."""
    torch.manual_seed(0)
    autoencoder = Autoencoder(KLTAutoencoder.fit(list(to_tensor([picture(i, 64) for i in range(8)], CPU)), 16))
    network = {"width": 32, "depth": 1, "heads": 2, "lora_rank": 4, "patches": True, "tone": True, "fine": 1}
    model = FusionDiT(16, 8, 384, network)
    torch.nn.init.normal_(model.out.weight, std=0.02)
    Fuser(model, autoencoder, TextEncoder(max_tokens=16), make_objective(STANDARD, autoencoder)).save(
        folder, load_config("tiny")
    )
    return folder


CPU = torch.device("cpu")


def steepest(image: np.ndarray) -> float:
    """Of all lines along both axes, how steep the steepest is over its like on either side (their median)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    found = []
    for axis in (0, 1):
        steep = np.abs(np.diff(grey, axis=axis)).mean(1 - axis)
        around = np.stack([np.roll(steep, PERIOD * step) for step in (-3, -2, -1, 1, 2, 3)])
        found.append(float((steep / np.median(around, axis=0))[4 * PERIOD : -4 * PERIOD].max()))
    return max(found)


@pytest.mark.slow
def test_a_picture_of_8k_takes_bounded_memory_and_has_no_seams(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "ab":
        image = cv2.resize(rng.integers(40, 216, (9, 16, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        image += rng.integers(0, 24, (HEIGHT, WIDTH, 1), np.uint8)
        cv2.imwrite(str(tmp_path / f"{name}.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    files = [str(tmp_path / name) for name in ("a.png", "b.png")]
    weights, out = small_weights(tmp_path / "weights"), tmp_path / "out.png"
    command = [sys.executable, "-m", "trainer", "fuse", *files, "--prompt", "remove the haze", "--device", "cpu"]
    command += ["--weights", str(weights), "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    peak = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"{used.ru_utime + used.ru_stime:.1f} s, {peak:.0f} MiB")
    assert peak < MOST_MIB
    fused = read_image(out)
    assert fused.shape == (HEIGHT, WIDTH, 3)
    assert steepest(fused) < SEAM
    corner = (slice(0, 512), slice(0, 512))
    a, b = (read_image(file)[corner] for file in files)
    assert np.abs(fused[corner].astype(int) - cv2.addWeighted(a, 0.5, b, 0.5, 0)).mean() > 2  # the network had its say
    broken = fused.copy()
    broken[2048:] = np.clip(broken[2048:].astype(int) + 3, 0, 255)
    assert steepest(broken) > SEAM, "a step of three grey levels would be seen"
