"""Attention among latent positions, and from them to the words of the instruction."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.positions import rotate


class SelfAttention(nn.Module):
    """Softmax attention over the N positions of a picture, with rotary positions.

    Queries and keys are normalised, in fp32 (Dehghani et al., "Scaling vision transformers to 22 billion parameters",
    2023).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.norm_q = nn.RMSNorm(width // heads)
        self.norm_k = nn.RMSNorm(width // heads)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, rotary: Tensor) -> Tensor:
        """x: (B, N, D) · rotary: (N, D / heads / 2) → (B, N, D)."""
        q, k, v = (_split(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))  # (B, heads, N, d) each
        q = rotate(self.norm_q(q.float()), rotary).to(v.dtype)
        k = rotate(self.norm_k(k.float()), rotary).to(v.dtype)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Softmax attention from N positions to the L tokens of the instruction; masked tokens are not seen."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.norm_q = nn.RMSNorm(width // heads)
        self.norm_k = nn.RMSNorm(width // heads)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """x: (B, N, D) · text: (B, L, D) · mask: (B, L) bool → (B, N, D)."""
        q = _split(self.q(x), self.heads)
        k, v = (_split(part, self.heads) for part in self.kv(text).chunk(2, dim=-1))
        q, k = self.norm_q(q.float()).to(v.dtype), self.norm_k(k.float()).to(v.dtype)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
        return self.out(attended.transpose(1, 2).flatten(2))


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, N, D) → (B, heads, N, D / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
