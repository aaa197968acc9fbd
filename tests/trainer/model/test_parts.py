"""The parts of a layer, each by what it claims."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from trainer.model.grids import Hourglass
from trainer.model.modulation import Around, Modulation
from trainer.model.nafblock import NAFBlock
from trainer.model.positions import LEARNED, AbsolutePosition


def test_a_naf_block_changes_nothing_until_it_is_trained_and_then_is_what_the_paper_says() -> None:
    torch.manual_seed(0)
    block, x = NAFBlock(8), torch.randn(2, 12, 8)
    assert torch.equal(block(x, 3), x)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    grid = x.mT.unflatten(-1, (3, 4))
    y = F.conv2d(
        F.layer_norm(x, (8,), block.norm_space.weight, block.norm_space.bias).mT.unflatten(-1, (3, 4)),
        block.rise_space.weight[..., None, None],
        block.rise_space.bias,
    )
    y = F.conv2d(y, block.conv.weight, block.conv.bias, padding=1, groups=16)
    y = y[:, :8] * y[:, 8:]
    pooled = F.conv2d(y.mean((2, 3), keepdim=True), block.channels.weight[..., None, None], block.channels.bias)
    y = F.conv2d(y * pooled, block.fall_space.weight[..., None, None], block.fall_space.bias)
    grid = grid + block.beta[:, None, None] * y
    tokens = grid.flatten(2).mT
    y = block.rise_mix(F.layer_norm(tokens, (8,), block.norm_mix.weight, block.norm_mix.bias))
    expected = tokens + block.gamma * block.fall_mix(y[..., :8] * y[..., 8:])
    torch.testing.assert_close(block(x, 3), expected, atol=1e-5, rtol=1e-5)


def test_learned_positions_are_those_of_the_picture_whatever_the_grid() -> None:
    position = AbsolutePosition(4)
    ramp = torch.linspace(-1, 1, LEARNED)[:, None].expand(LEARNED, LEARNED)
    with torch.no_grad():
        position.places.copy_(ramp.expand(1, 4, -1, -1))
    for height, width in ((16, 16), (5, 9), (64, 40)):
        added = position(torch.zeros(1, height * width, 4), height).unflatten(1, (height, width))
        middle = torch.linspace(-1 + 1 / height, 1 - 1 / height, height) * LEARNED / (LEARNED - 1)
        inner = slice(height // 4, height - height // 4)
        torch.testing.assert_close(added[0, inner, width // 2, 0], middle[inner], atol=0.02, rtol=0)


def test_modulation_is_two_thin_matrices_of_c_and_says_nothing_at_first() -> None:
    torch.manual_seed(0)
    modulation, c = Modulation(16, 8, Around, 3), torch.randn(5, 16)
    assert all(torch.equal(vector, torch.zeros(5, 1, 8)) for vector in modulation(c))
    torch.nn.init.normal_(modulation.up.weight)
    vectors = torch.cat(modulation(c), dim=-1)[:, 0]
    assert torch.linalg.matrix_rank(vectors - vectors.mean(0)) <= 3
    assert modulation(c)._fields == Around._fields


def test_an_hourglass_brings_every_position_to_the_layers_and_back() -> None:
    """Odd sides too: the layers see ⌈h / 2⌉ x ⌈w / 2⌉ positions, and what they change comes back to its place."""
    torch.manual_seed(0)
    hourglass = Hourglass(4, 16, 1)
    with torch.no_grad():
        hourglass.merge.weight.copy_(torch.eye(16))
        hourglass.split.weight.copy_(torch.eye(16))
        hourglass.merge.bias.zero_()
        hourglass.split.bias.zero_()
    x, seen = torch.randn(2, 5 * 7, 4), []

    def layers(tokens: torch.Tensor, height: int) -> torch.Tensor:
        seen.append((height, tokens.shape[1] // height))
        return tokens

    torch.testing.assert_close(hourglass(x, 5, layers), 2 * x)  # itself, and itself by way of the layers
    assert seen == [(3, 4)]
