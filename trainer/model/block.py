"""The block that the network repeats."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.attention import CrossAttention, SelfAttention
from trainer.model.inputs import Context, Passed
from trainer.model.modulation import Around, Modulation, modulate, normalise


class Block(nn.Module):
    """Attention among positions, attention to the text, gated convolutional MLP; the first and last modulated by c."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.modulation = Modulation(width, Around)
        self.attention = SelfAttention(width, heads)
        self.cross = CrossAttention(width, heads)
        self.mlp = ConvGLU(width, hidden)

    def forward(self, x: Tensor, context: Context) -> Passed:
        """x: (B, N, D) → the same shape."""
        by = self.modulation(context.c)
        x = x + (1 + by.attention_gate) * self.attention(
            modulate(x, by.attention_scale, by.attention_shift), context.rotary
        )
        x = x + self.cross(normalise(x), context.text, context.mask)
        return Passed(x + (1 + by.mlp_gate) * self.mlp(modulate(x, by.mlp_scale, by.mlp_shift), context.height))


class ConvGLU(nn.Module):
    """GELU(conv(W₁ x)) ⊙ W₂ x, then W₃: the depthwise 3x3 convolution gives the transformer its local prior.

    Shi, "TransNeXt", CVPR 2024 (the gate sees its neighbours).
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.rise = nn.Linear(width, 2 * hidden)
        self.conv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fall = nn.Linear(hidden, width)

    def forward(self, x: Tensor, height: int) -> Tensor:
        """x: (B, N, D), N = height · width → (B, N, D)."""
        gate, value = self.rise(x).chunk(2, dim=-1)  # (B, N, hidden) each
        gate = self.conv(gate.mT.unflatten(-1, (height, -1))).flatten(2).mT
        return self.fall(F.gelu(gate) * value)
