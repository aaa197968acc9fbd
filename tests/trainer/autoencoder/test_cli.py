"""`trainer autoencoder`: train, eval, and mistakes in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.trainer.autoencoder.helpers import CPU
from tests.trainer.helpers import Command
from trainer import load_autoencoder
from trainer.data.images import to_tensor

NETWORK = ("--width", 16, "--encoder-blocks", 0, "--decoder-blocks", 1, "--channels", 8)
TINY = (*NETWORK, "--batch", 1, "--lapped-steps", 4)


@pytest.mark.usefixtures("few_crops")
def test_train_and_eval_by_command(data: Path, tmp_path: Path, trainer_main: Command, dataset: Path) -> None:
    run = ("autoencoder", "train", "--photos", data / "photos", "--samples", 8, *TINY, "--out", tmp_path / "run")
    code, out, err = trainer_main(*run, "--stop-after", 4)
    assert code == 0, err
    assert "weights" not in out
    code, out, err = trainer_main(*run)
    assert code == 0, err
    assert f"weights: {tmp_path / 'run' / 'weights'}" in out
    shutil.copy(data / "photos" / "0.png", tmp_path / "single.png")
    code, out, err = trainer_main(
        *("autoencoder", "eval", tmp_path / "run" / "weights", "--images", data / "photos", "--pairs", data / "pairs"),
        *("--shards", dataset, "--sheet", tmp_path / "sheet.png", "--rows", 2),
    )
    assert code == 0, err
    lines = out[: out.index("the worst:")].splitlines()[1:]
    sets = {" ".join(line.split()[:-4]): line.split()[-4:] for line in lines}
    assert set(sets) == {
        *(str(data / "photos"), "pairs mef", "pairs vif visible", "pairs vif infrared"),
        *("shards, degraded inputs", "shards, targets"),
    }
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] == 3 * 128

    autoencoder = load_autoencoder(tmp_path / "run" / "weights")
    values = []
    for path in sorted((data / "photos").iterdir()):
        image = cv2.imread(str(path))[:, :, ::-1].copy()
        x = to_tensor([image], CPU)
        back = ((autoencoder.decode(autoencoder.encode(x)) + 1) * 127.5).round().clamp(0, 255)[0].permute(1, 2, 0)
        values.append(10 * np.log10(255**2 / np.mean((back.numpy().astype(float) - image) ** 2)))
    assert sets[str(data / "photos")][1] == f"{np.mean(values):.2f}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--out", "{tmp}/x"), "give --photos, --pairs, --shards or --packed"),
        (("train", "--out", "{tmp}/x", "--photos", "{tmp}/none"), "no such folder"),
        (("train", "--out", "{tmp}/x", "--photos", "{tmp}", "--precision", "fp8"), "fp32 or bf16"),
        (("train", "--out", "{tmp}/x", "--photos", "{tmp}", "--samples", f"{10**12}"), "samples: Input should be"),
        (("eval", "mmaif"), "nothing to measure on"),
        (("eval", "{tmp}/none", "--images", "{tmp}"), "no config.json"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path, trainer_main: Command) -> None:
    code, _, err = trainer_main("autoencoder", *(a.format(tmp=tmp_path) for a in arguments))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
