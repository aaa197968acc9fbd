"""Attention among positions, and from them to the words of the instruction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.config import NetworkConfig
from trainer.model.inputs import Context
from trainer.model.positions import rotate


class SelfAttention(nn.Module):
    """Softmax attention over the N positions of a picture.

    By the config: with rotary positions; with values V = (1 - η) W_V x + η V' of the layer before, V', η learned
    (value residual: Zhou et al., "Value residual learning", 2024); with queries and keys normalised, in fp32 (Dehghani
    et al., "Scaling vision transformers to 22 billion parameters", 2023); with the words of the instruction as further
    keys and values (joint).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.words = nn.Linear(config.width, 2 * config.width) if config.text == "joint" else None
        self.norm_q, self.norm_k = _norms(config)
        self.eta = nn.Parameter(torch.tensor(0.5)) if config.value_residual else None
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, context: Context, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x: (B, N, D) · before: (B, heads, N, d), the values of the layer before, none in the first.

        Returns what is to be added, (B, N, D), and the values for the layer after.
        """
        q, k, v = (_split(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))  # (B, heads, N, d) each
        if self.eta is not None and before is not None:
            v = v + self.eta.to(v.dtype) * (before - v)
        q, k = self.norm_q(q.float()), self.norm_k(k.float())
        if context.rotary is not None:
            q, k = rotate(q, context.rotary), rotate(k, context.rotary)
        values, mask = v, None
        if self.words is not None:
            k_words, v_words = (_split(part, self.heads) for part in self.words(context.text).chunk(2, dim=-1))
            k, values = torch.cat([k, self.norm_k(k_words.float())], dim=2), torch.cat([v, v_words], dim=2)
            mask = torch.cat([context.mask.new_ones(x.shape[:2]), context.mask], dim=1)[:, None, None]
        attended = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), values, attn_mask=mask)
        return self.out(attended.transpose(1, 2).flatten(2)), v


class CrossAttention(nn.Module):
    """Softmax attention from N positions to the L words of the instruction; masked ones are not seen."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = nn.Linear(config.width, config.width)
        self.kv = nn.Linear(config.width, 2 * config.width)
        self.norm_q, self.norm_k = _norms(config)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """x: (B, N, D) → what is to be added, of the same shape."""
        q = _split(self.q(x), self.heads)
        k, v = (_split(part, self.heads) for part in self.kv(context.text).chunk(2, dim=-1))
        q, k = self.norm_q(q.float()).to(v.dtype), self.norm_k(k.float()).to(v.dtype)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=context.mask[:, None, None])
        return self.out(attended.transpose(1, 2).flatten(2))


def _norms(config: NetworkConfig) -> tuple[nn.Module, nn.Module]:
    """Of queries and of keys, over the channels of a head."""
    if not config.qk_norm:
        return nn.Identity(), nn.Identity()
    return nn.RMSNorm(config.width // config.heads), nn.RMSNorm(config.width // config.heads)


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, N, D) → (B, heads, N, D / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
