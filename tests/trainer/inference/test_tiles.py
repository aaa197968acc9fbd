"""The network in tiles: equal to the whole where it looks nearby, without seams, and through the objectives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.frozen.text import Prompts
from trainer.inference.tiles import InTiles
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Decode, Estimate, Inputs, Whole


def inputs(height: int, width: int) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    z_a, z_b, base = (torch.randn(1, 2, height, width, generator=generator) for _ in range(3))
    prompts = Prompts(torch.zeros(1, 3, 8), torch.ones(1, 3, dtype=torch.bool), torch.zeros(1, 8))
    pixels = torch.rand(1, 3, 3, 4 * height, 4 * width, generator=generator)
    return Inputs(z_a, z_b, base, prompts, pixels, Whole.of(pixels))


class Near:
    """A network that looks three positions far, at everything that it is given."""

    def __init__(self) -> None:
        self.grids: list[tuple[int, ...]] = []

    def __call__(
        self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
    ) -> Estimate:
        assert inputs.pixels is not None
        self.grids.append(tuple(inputs.base.shape[-2:]))
        means = F.avg_pool2d(inputs.pixels.flatten(1, 2), 4)[:, :2]
        total = inputs.z_a + 2 * inputs.z_b + 3 * inputs.base + 4 * means + (0 if z_t is None else 5 * z_t)
        for _ in range(3):
            total = F.avg_pool2d(F.pad(total, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return Estimate(total)


@pytest.mark.parametrize("size", [(40, 40), (33, 70), (64, 21)])
@pytest.mark.parametrize("time", [False, True])
def test_a_network_that_looks_nearby_sees_the_same_in_tiles(size: tuple[int, int], time: bool) -> None:
    given, network = inputs(*size), Near()
    state = torch.randn_like(given.base) if time else None
    t = torch.tensor([0.5]) if time else None
    whole = network(given, state, t).z
    network.grids.clear()
    in_tiles = InTiles(network, side=24, overlap=12)(given, state, t).z
    assert len(network.grids) > 1
    assert max(side for grid in network.grids for side in grid) <= 24
    near = tuple(slice(0, side - 4 * (side % 2)) for side in size)  # an odd side is continued by one, which is seen
    torch.testing.assert_close(in_tiles[..., *near], whole[..., *near], atol=1e-3, rtol=0)


def test_tiles_of_next_to_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="tiles of 4 positions: at least 8"):
        InTiles(Near(), side=4)


@pytest.mark.parametrize("side", [8, 9, 16, 24])
def test_small_tiles_overlap_by_half_at_most(side: int) -> None:
    given, network = inputs(40, 33), Near()
    assert InTiles(network, side=side)(given).z.shape == given.base.shape
    assert max(edge for grid in network.grids for edge in grid) <= side


def test_a_grid_that_fits_goes_through_whole() -> None:
    given, network = inputs(20, 28), Near()
    assert torch.equal(InTiles(network, side=24)(given).z, network(given).z)
    assert network.grids == [(20, 28)] * 2


@pytest.mark.parametrize("size", [(40, 40), (32, 70)])
def test_the_tone_head_corrects_tiles_as_it_corrects_the_whole(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = FusionDiT(2, 4, 8, {"width": 16, "depth": 1, "heads": 1, "lora_rank": 4, "tone": True}).eval()
    with torch.no_grad():  # `out` is zero: what is corrected, the tone head corrects
        torch.nn.init.normal_(model.tone.field.weight, std=0.5)
        torch.nn.init.normal_(model.tone.all_over.weight, std=0.5)
        given = inputs(*size)
        in_tiles, whole = InTiles(model, side=24, overlap=12)(given).z, model(given).z
    assert (whole - given.base).abs().mean() > 0.02
    torch.testing.assert_close(in_tiles, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("fine", [0, 1])
def test_the_network_itself_takes_tiles_of_any_size(fine: int) -> None:
    torch.manual_seed(0)
    small = {"width": 16, "depth": 1, "heads": 1, "lora_rank": 4, "fine": fine}
    model = FusionDiT(2, 4, 8, small).eval()
    with torch.no_grad():
        torch.nn.init.normal_(model.out.weight, std=0.02)
        given = inputs(37, 51)
        in_tiles, whole = InTiles(model, side=24, overlap=12)(given).z, model(given).z
    assert in_tiles.shape == whole.shape
    assert (in_tiles - whole).abs().mean() < 0.2 * (whole - given.base).abs().mean()
