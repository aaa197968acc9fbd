"""A lattice is taken out of a picture, and what is no lattice is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from trainer.inference import lattice
from trainer.inference.lattice import without_lattice

LEVEL = 1 / 127.5


def tiled_pattern(height: int, width: int, period: int, seed: int = 0) -> torch.Tensor:
    """A pattern of a period, (1, 3, H, W), of 1.5 levels, without a mean."""
    cell = torch.randn(1, 3, period, period, generator=torch.Generator().manual_seed(seed))
    cell -= cell.mean(dim=(2, 3), keepdim=True)
    cell *= 1.5 * LEVEL / cell.std()
    return cell.repeat(1, 1, -(-height // period), -(-width // period))[..., :height, :width]


def ramp(height: int, width: int) -> torch.Tensor:
    """A smooth sky, (1, 3, H, W)."""
    down, across = torch.meshgrid(torch.linspace(-0.8, 0.3, height), torch.linspace(0, 0.4, width), indexing="ij")
    return (down + across**2).expand(1, 3, -1, -1)


@pytest.mark.parametrize(("height", "width", "period"), [(160, 208, 16), (200, 131, 16), (96, 96, 8), (16, 16, 16)])
def test_a_lattice_in_a_smooth_picture_goes_and_the_picture_stays(height, width, period):
    sky, pattern = ramp(height, width), tiled_pattern(height, width, period)
    alone = without_lattice(sky.clone(), period)
    assert (alone - sky).abs().max() < 0.3 * LEVEL
    left = without_lattice(sky + pattern, period) - sky
    if min(height, width) > 5 * period:
        assert left.std() < 0.15 * pattern.std()
    assert left.std() <= pattern.std()


def test_a_photograph_is_left_as_it_is():
    photograph = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None] / 127.5 - 1
    moved = (without_lattice(photograph.clone(), 16) - photograph).abs() / LEVEL
    assert moved.mean() < 0.1
    assert moved.quantile(0.99) < 1


def test_noise_is_not_taken_for_a_lattice():
    noise = 3 * LEVEL * torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    moved = without_lattice(noise.clone(), 16) - noise
    assert moved.std() < 0.15 * noise.std()


def test_a_stripe_that_repeats_with_something_else_stays():
    waves = (8 * LEVEL * torch.sin(torch.arange(320) * 2 * np.pi / 13)).expand(1, 3, 320, -1)
    assert (without_lattice(waves.clone(), 16) - waves).abs().max() < 0.5 * LEVEL


def test_bands_make_the_same_as_the_whole(monkeypatch):
    picture = ramp(1300, 112) + tiled_pattern(1300, 112, 16) + 0.01 * torch.randn(1, 3, 1300, 112)
    whole = without_lattice(picture.clone(), 16)
    assert not torch.equal(whole, picture)
    for band in (160, 512, 1296):
        monkeypatch.setattr(lattice, "BAND", band)
        assert torch.allclose(without_lattice(picture.clone(), 16), whole, atol=1e-6)


def test_what_the_closed_form_shows_too_is_of_the_scene_and_stays():
    """A faint texture of the grid's own period in the inputs is left; that of the network on top of it goes."""
    texture, pattern = tiled_pattern(192, 208, 16, seed=3), tiled_pattern(192, 208, 16, seed=4)
    base = ramp(192, 208) + texture
    kept = without_lattice(base.clone(), 16, base)
    assert (kept - base).abs().max() < 0.02 * LEVEL
    left = without_lattice(base + pattern, 16, base) - base
    assert left.std() < 0.35 * pattern.std()
    as_bytes = (base + 1).mul(127.5).round().to(torch.uint8)
    assert (without_lattice(base.clone(), 16, as_bytes) - base).abs().max() < 0.7 * LEVEL


def test_what_the_network_took_out_of_the_inputs_does_not_come_back():
    sky = ramp(192, 208)
    assert (without_lattice(sky.clone(), 16, sky + tiled_pattern(192, 208, 16)) - sky).abs().max() < 0.1 * LEVEL
