"""What `trainer export` writes, in other hands: the document's example without torch, and synth's target `network`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from synth.targets.network import fuse
from synth.tasks import TASKS
from tests.conftest import ROOT
from tests.test_documents import blocks
from trainer import Fuser
from trainer.config import load_config
from trainer.data.images import to_tensor
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference import export
from trainer.model.dit import FusionDiT
from trainer.objectives import OBJECTIVES, make_objective

for package in export.PACKAGES:
    pytest.importorskip(package)
import onnxruntime  # noqa: E402

PROMPT = "remove the haze and fuse the images"
pytestmark = pytest.mark.slow


def picture(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    return export._made(seed, height, width)


def run(*words: object, cwd: Path | None = None) -> str:
    """What a module prints, in a process of its own: pytest collects all that torch's exporter notes, which is much."""
    command = [sys.executable, "-m", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small flow with adapters over a regression, both of chance."""
    images = to_tensor([picture(seed, 64, 64) for seed in range(40)], torch.device("cpu"))
    autoencoder = Autoencoder(KLTAutoencoder.fit(list(images), 32))
    network = {"width": 32, "depth": 1, "heads": 2, "fine": 1, "naf": False, "tone": True, "adapters": 2}
    model = FusionDiT(32, 8, 384, network, time=True)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) / 8)
    objective = make_objective(OBJECTIVES["flow"].Config(kind="flow", start="regression"), autoencoder)
    folder = tmp_path_factory.mktemp("run") / "weights"
    Fuser(model, autoencoder, TextEncoder(max_tokens=16), objective).save(folder, load_config("tiny"))
    return folder


@pytest.fixture(scope="module")
def fuser(weights: Path) -> Fuser:
    return Fuser.from_pretrained(weights, "cpu", "regression")


@pytest.fixture(scope="module")
def baked(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "fuse.onnx"
    told = run("trainer", "export", "--weights", weights, "--onnx", path, "--prompt", PROMPT)
    assert "takes a, b, sides multiples of 16 px" in told
    return path


def test_the_example_fuses_without_torch(baked: Path, fuser: Fuser, tmp_path: Path) -> None:
    """A picture of any size, filled up to what the file takes."""
    a, b = picture(1, 150, 203), picture(2, 150, 203)
    for name, image in (("a", a), ("b", b)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image[:, :, ::-1])
    for package in ("torch", "trainer", "synth"):
        (tmp_path / f"{package}.py").write_text("raise ImportError")
    (tmp_path / "example.py").write_text(blocks("docs/export.md", "python")[0])
    command = [sys.executable, "example.py", str(baked), "a.png", "b.png", "out.png"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = cv2.imread(str(tmp_path / "out.png"))[:, :, ::-1].astype(int)
    filled = (np.pad(image, ((0, 10), (0, 5), (0, 0)), "reflect") for image in (a, b))
    assert np.abs(found - fuser(*filled, PROMPT)[:150, :203]).max() <= 1


@pytest.mark.parametrize("size", [(16, 16), (16, 400), (336, 48), (480, 640)])
def test_any_size_is_fused(baked: Path, fuser: Fuser, size: tuple[int, int]) -> None:
    a, b = picture(3, *size), picture(4, *size)
    session = onnxruntime.InferenceSession(baked)
    found = session.run(None, dict(export.fed_with(a, b, None)))[0][0].transpose(1, 2, 0)
    assert np.abs(found - fuser.picture(a, b, PROMPT)).max() * 255 < export.MOST_APART


def test_synth_takes_it_for_a_target(baked: Path, fuser: Fuser, tmp_path: Path) -> None:
    a, b = picture(5), picture(6)
    assert np.abs(fuse(TASKS["mef"], {"a": a, "b": b}, baked).astype(int) - fuser(a, b, PROMPT)).max() <= 1
    (tmp_path / "r.yaml").write_text(
        "{name: r, task: mef, samples: 2, sources: [{builtin: bracketed}], crop: {size: 80}, target: network, "
        f"target_network: {{onnx: {baked}}}, degradations: {{always: [haze]}}}}"
    )
    run("synth", "generate", "--recipe", "r.yaml", "--out", "made", "--workers", "1", cwd=tmp_path)
    assert "sound" in run("synth", "verify", "made", "--all", cwd=tmp_path)


def test_without_a_sentence_it_takes_any(weights: Path, fuser: Fuser, tmp_path: Path) -> None:
    told = run("trainer", "export", "--weights", weights, "--onnx", tmp_path / "open.onnx", "--half")
    assert "takes a, b, base, tokens, mask, pooled, sides" in told
    session = onnxruntime.InferenceSession(tmp_path / "open.onnx")
    a, b = picture(7), picture(8)
    seen = []
    for prompt in ("denoise", "take away the fog, the rain and the noise, and then fuse both of the images" * 3):
        fed: Any = export.fed_with(a, b, fuser.text([prompt]))
        seen.append(session.run(None, fed)[0][0].transpose(1, 2, 0))
        assert np.abs(seen[-1] - fuser.picture(a, b, prompt)).max() * 255 < 2 * export.MOST_APART
    assert np.abs(seen[0] - seen[1]).max() * 255 > 4 * export.MOST_APART, "words count"
