"""What the autoencoder is trained on: crops, their shares, and the packed folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.trainer.autoencoder.helpers import pictures
from tests.trainer.helpers import Command
from trainer.autoencoder.pictures import Pictures, crop_size, read_pictures
from trainer.errors import UserError


def test_crops_are_a_function_of_seed_and_number() -> None:
    made = pictures()
    crops = made.crops(5, 10, 6, 64)
    assert crops.shape == (6, 64, 64, 3)
    assert crops.dtype == np.uint8
    np.testing.assert_array_equal(crops[3:], made.crops(5, 13, 3, 64))
    assert not np.array_equal(crops, made.crops(6, 10, 6, 64))
    sizes = {crop_size(0, first, (128, 256)) for first in range(200)}
    assert sizes == {128, 160, 192, 224, 256}


def test_groups_come_in_their_shares_and_grey_is_held_once() -> None:
    made = Pictures()
    for _ in range(3):
        made.add("photos", np.full((64, 64, 3), (200, 0, 0), np.uint8))
    for group, count, level in (("pairs/vif-x", 16, 60), ("pairs/vif-y", 4, 120)):
        for _ in range(count):
            made.add(group, np.full((64, 64, 3), level, np.uint8))
    made.add("photos", np.zeros((40, 200, 3), np.uint8))  # too small
    assert len(made) == 23
    assert {image.ndim for image in made.groups["pairs/vif-x"]} == {2}
    shares = made.shares()
    assert shares["photos"] == pytest.approx(0.5 / 0.85)
    assert shares["pairs/vif-x"] == pytest.approx(2 * shares["pairs/vif-y"])
    red = np.mean([crop[..., 0].mean() > 2 * crop[..., 1].mean() for crop in made.crops(0, 0, 800, 64)])
    assert red == pytest.approx(shares["photos"], abs=0.06)


def test_folders_pairs_and_shards_are_read_by_group(data: Path, dataset: Path) -> None:
    (data / "pairs" / "vif" / "x-1" / "depth.png").write_bytes(b"not read")
    made = read_pictures([data / "photos"], [data / "pairs"])
    assert {group: len(images) for group, images in made.groups.items()} == {
        "photos": 6,
        "pairs/vif-x": 2,
        "pairs/mef-y": 2,
    }
    with pytest.raises(UserError, match="no picture of 64 px"):
        read_pictures(shards=[str(dataset)])  # its samples have 32 px


def test_a_pack_keeps_the_limit_and_trains_alike(data: Path, tmp_path: Path, trainer_main: Command) -> None:
    sources = ("--photos", data / "photos", "--pairs", data / "pairs")
    code, out, err = trainer_main("autoencoder", "pack", *sources, "--out", tmp_path / "packed", "--limit-mib", 0.1)
    assert (code, err) == (0, "")
    files = [path for path in (tmp_path / "packed").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    assert f"{len(files)} pictures" in out
    assert len(files) == 10 or size > 0.08 * 2**20
    assert size <= 0.1 * 2**20
    packed = read_pictures(packed=tmp_path / "packed")
    whole = read_pictures([data / "photos"], [data / "pairs"])
    assert set(packed.groups) <= set(whole.groups)
    for group, images in packed.groups.items():
        for image in images:
            errors = [np.abs(image.astype(int) - w).mean() for w in whole.groups[group] if w.shape == image.shape]
            assert min(errors) < 3
    code, _, err = trainer_main("autoencoder", "pack", *sources, "--out", tmp_path / "packed")
    assert code == 2
    assert "is there already" in err
