"""Attention: what it sums, that its positions are relative, and what it takes over from the layer before."""

from __future__ import annotations

from typing import Any

import torch

from trainer.model.attention import SelfAttention
from trainer.model.config import NetworkConfig
from trainer.model.inputs import Context
from trainer.model.positions import rotary_2d, rotate

CPU = torch.device("cpu")


def layer(heads: int = 1, **network: Any) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(NetworkConfig(width=16, depth=1, heads=heads, **network))


def context(height: int, width: int, head_dim: int = 16, rotary: bool = True) -> Context:
    words, mask = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(2)), torch.tensor([[True, True, False]])
    angles = rotary_2d(height, width, head_dim, CPU) if rotary else None
    return Context(torch.zeros(1, 16), words, mask, angles, height)


def test_rotary_products_depend_on_the_offset_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(16, generator=generator).expand(1, 1, 8 * 9, 16) for _ in range(2))
    rotary = rotary_2d(8, 9, 16, torch.device("cpu"))
    products = (rotate(q, rotary) @ rotate(k, rotary).mT).view(8, 9, 8, 9)
    torch.testing.assert_close(products[1, 2, 4, 3], products[3, 5, 6, 6])  # (+3, +1) from two places
    assert (products[1, 2, 4, 3] - products[1, 2, 3, 4]).abs() > 1e-2, "rows and columns differ"
    torch.testing.assert_close(rotate(q, rotary).norm(dim=-1), q.norm(dim=-1))


def test_attention_is_softmax_attention_with_positions() -> None:
    attention, seen = layer(), context(2, 3)
    x = torch.randn(1, 6, 16)
    assert seen.rotary is not None
    q, k, v = attention.qkv(x).chunk(3, dim=-1)
    q, k = rotate(attention.norm_q(q)[None], seen.rotary)[0], rotate(attention.norm_k(k)[None], seen.rotary)[0]
    expected = attention.out(torch.softmax(q @ k.mT / 16**0.5, dim=-1) @ v)
    torch.testing.assert_close(attention(x, seen)[0], expected)
    order = [1, 0, 2, 3, 4, 5]
    shuffled = attention(x[:, order], seen)[0][:, order]
    assert not torch.allclose(shuffled, expected), "without positions attention would not notice"
    still = attention(x[:, order], context(2, 3, rotary=False))[0][:, order]
    torch.testing.assert_close(still, attention(x, context(2, 3, rotary=False))[0])


def test_values_of_the_layer_before_are_mixed_in_by_eta_and_an_eta_of_zero_is_plain_attention() -> None:
    attention, plain, seen = layer(), layer(value_residual=False), context(2, 3)
    plain.load_state_dict({name: value for name, value in attention.state_dict().items() if name != "eta"})
    x, before = torch.randn(1, 6, 16), torch.randn(1, 1, 6, 16)
    assert attention.eta is not None
    with torch.no_grad():
        attention.eta.zero_()
        torch.testing.assert_close(attention(x, seen, before)[0], plain(x, seen)[0])
        attention.eta.fill_(1.0)
        torch.testing.assert_close(attention(x, seen, before)[1], before)  # and they go on as they were mixed
        attention.eta.fill_(0.25)
        mixed = 0.75 * plain(x, seen)[1] + 0.25 * before
        torch.testing.assert_close(attention(x, seen, before)[1], mixed)


def test_joint_attention_sees_the_words_beside_the_positions() -> None:
    attention, seen = layer(text="joint", rotary=False, qk_norm=False), context(2, 3, rotary=False)
    x = torch.randn(1, 6, 16)
    assert attention.words is not None
    q, k, v = attention.qkv(x).chunk(3, dim=-1)
    k_words, v_words = attention.words(seen.text[:, :2]).chunk(2, dim=-1)  # the third word is masked
    weights = torch.softmax(q @ torch.cat([k, k_words], dim=1).mT / 4, dim=-1)
    torch.testing.assert_close(attention(x, seen)[0], attention.out(weights @ torch.cat([v, v_words], dim=1)))
