"""Tiles against the whole."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from trainer.frozen.tiles import _weights, spans, tiled
from trainer.stopping import Stopped, go_on, unless


@pytest.mark.parametrize("side", [8, 64, 72, 100 * 8, 1000, 1003, 4096, 4097])
def test_tiles_cover_a_side_and_overlap_as_asked(side: int) -> None:
    found = spans(side, 64, 24, 8)
    assert found[0][0] == 0
    assert found[-1][1] == side
    assert all(end - start <= 64 and start % 8 == 0 for start, end in found)
    assert all(before[1] - after[0] >= 24 for before, after in pairwise(found))


@pytest.mark.parametrize(("scale", "side"), [((1, 1), 1000), ((1, 8), 1000), ((8, 1), 125)])
def test_weights_sum_to_one_everywhere(scale: tuple[int, int], side: int) -> None:
    found = spans(side, 64, 24, 8 if scale[1] == 8 else 1)
    total = torch.zeros(side * scale[0] // scale[1], dtype=torch.float64)
    for (start, end), weight in zip(found, _weights(found, scale), strict=True):
        total[start * scale[0] // scale[1] : end * scale[0] // scale[1]] += weight
        assert float(weight.min()) >= 0
    torch.testing.assert_close(total, torch.ones_like(total))


def test_work_that_looks_no_further_than_the_overlap_is_exact() -> None:
    x = torch.rand(2, 3, 200, 136, dtype=torch.float64)
    kernel = torch.rand(3, 3, 9, 9, dtype=torch.float64)

    def blur(part: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(part, kernel, padding=4)

    torch.testing.assert_close(tiled(blur, (x,), 64, 32, 8, (1, 1)), blur(x))


def test_no_tile_is_larger_than_asked() -> None:
    seen = []

    def work(part: torch.Tensor) -> torch.Tensor:
        seen.append(part.shape[-2:])
        return part

    x = torch.rand(1, 1, 96, 296)
    torch.testing.assert_close(tiled(work, (x,), 64, 16, 4, (1, 1)), x)
    assert max(max(size) for size in seen) == 64


def test_a_picture_in_tiles_is_that_without() -> None:
    from skimage import data

    from trainer.autoencoder.network import ResidualKLTAutoencoder
    from trainer.frozen.autoencoder import OVERLAP, Autoencoder

    torch.manual_seed(0)
    model = ResidualKLTAutoencoder(latent_channels=8, width=16, encoder_blocks=2, decoder_blocks=4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    x = torch.from_numpy(data.astronaut()[:509, :500].copy()).permute(2, 0, 1)[None] / 127.5 - 1
    tiles = []
    whole, parts = Autoencoder(model, tile=None), Autoencoder(model, tile=2 * OVERLAP)
    for name in ("encode", "decode"):
        work = getattr(model, name)
        setattr(model, name, lambda part, work=work: tiles.append(part.shape[-1]) or work(part))
    z = parts.encode(x)
    y = parts.decode(z, (509, 500))
    assert len(tiles) == 8, "two by two, there and back"
    assert max(tiles) <= 2 * OVERLAP
    expected = whole.decode(whole.encode(x), (509, 500))
    assert y.shape == expected.shape == x.shape
    spread = float(expected.square().mean())
    blocks = torch.nn.functional.avg_pool2d((y - expected).square().mean(1, keepdim=True), 64, ceil_mode=True)
    assert float(blocks.max()) < spread * 10**-4.5


def test_work_that_is_to_end_ends_before_the_next_tile() -> None:
    x, seen = torch.rand(1, 1, 96, 96), []

    def work(part: torch.Tensor) -> torch.Tensor:
        seen.append(part)
        return part

    with pytest.raises(Stopped), unless(lambda: len(seen) == 2):
        tiled(work, (x,), 32, 8, 8, (1, 1))
    assert len(seen) == 2
    go_on()
    torch.testing.assert_close(tiled(work, (x,), 32, 8, 8, (1, 1)), x)
