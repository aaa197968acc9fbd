"""The whole network on one page.

    ẑ = base + α z_a + β z_b + γ base + δ,    (α, β, γ, δ) = net(z_a, z_b, base, instruction)

Everything is a latent: two degraded inputs, their closed-form fusion, and the fused picture that comes out.
B batch, C latent channels, h x w latent positions, N = h w, D width, L tokens of text.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from trainer.frozen import fusion
from trainer.model.attention import CrossAttention, SelfAttention
from trainer.model.modulation import Modulation, modulate, time_features
from trainer.model.positions import rotary_2d


class FusionDiT(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers types config_name twice
    """A diffusion transformer that predicts the fused picture's latent; it returns the base until it is trained.

    latent_channels: C. text_dim: width of the token embeddings. time: whether it takes a state z_t at a time t.
    base: the fixed fusion that it was trained on.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 2.0,
        text_dim: int = 384,
        time: bool = False,
        base: str = fusion.NAME,  # read by nothing here: kept in config.json, where Fuser checks it
    ) -> None:
        super().__init__()
        self.embed_time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) if time else None
        self.head_dim = width // heads
        self.embed = nn.Linear((4 if time else 3) * latent_channels, width)
        self.embed_tokens = nn.Linear(text_dim, width)
        self.embed_pooled = nn.Sequential(nn.Linear(text_dim, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width, heads, int(mlp_ratio * width)) for _ in range(depth))
        self.modulation = Modulation(width, 2)
        self.out = nn.Linear(width, 4 * latent_channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        z_a: Tensor,
        z_b: Tensor,
        base: Tensor,
        tokens: Tensor,
        mask: Tensor,
        pooled: Tensor,
        z_t: Tensor | None = None,
        t: Tensor | None = None,
    ) -> Tensor:
        """The estimate ẑ of the target's latent, (B, C, h, w) float32.

        z_a, z_b, base: normalised latents (B, C, h, w) · tokens (B, L, text_dim), mask (B, L) bool,
        pooled (B, text_dim) · z_t (B, C, h, w) and t (B,) in [0, 1]: for a network built with time, and no other.
        """
        inputs = [z_a, z_b, base]
        c = self.embed_pooled(pooled)  # (B, D)
        if (self.embed_time is None) != (z_t is None) or (z_t is None) != (t is None):
            raise ValueError("z_t and t go together, with a network that was built with time=True, and with no other")
        if self.embed_time is not None and z_t is not None and t is not None:
            inputs.append(z_t)
            c = c + self.embed_time(time_features(t, c.shape[-1]))

        height, width = base.shape[-2:]
        rotary = rotary_2d(height, width, self.head_dim, base.device)
        text = self.embed_tokens(tokens)  # (B, L, D)
        x = self.embed(torch.cat(inputs, dim=1).flatten(2).mT)  # (B, N, D)
        for block in self.blocks:
            x = block(x, c, text, mask, rotary, height)
        x = modulate(_norm(x), *self.modulation(c))
        net = self.out(x).float().mT.unflatten(-1, (height, width))  # (B, 4C, h, w)
        gain_a, gain_b, gain_base, shift = net.chunk(4, dim=1)
        return base + gain_a * z_a + gain_b * z_b + gain_base * base + shift


class Block(nn.Module):
    """Attention among positions, attention to the text, gated convolutional MLP; the first and last modulated by c."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.modulation = Modulation(width, 6)
        self.attention = SelfAttention(width, heads)
        self.cross = CrossAttention(width, heads)
        self.mlp = ConvGLU(width, hidden)

    def forward(self, x: Tensor, c: Tensor, text: Tensor, mask: Tensor, rotary: Tensor, height: int) -> Tensor:
        """x: (B, N, D) · c: (B, D) · text: (B, L, D) · mask: (B, L) → (B, N, D)."""
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(c)
        x = x + (1 + gate1) * self.attention(modulate(_norm(x), scale1, shift1), rotary)
        x = x + self.cross(_norm(x), text, mask)
        return x + (1 + gate2) * self.mlp(modulate(_norm(x), scale2, shift2), height)


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


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])
