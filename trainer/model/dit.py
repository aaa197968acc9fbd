"""The whole network on one page.

    ẑ = base + α z_a + β z_b + γ base + δ,    (α, β, γ, δ) = net(z_a, z_b, base, instruction)

Everything is a latent: two degraded inputs, their closed-form fusion, and the fused picture that comes out.
B batch, C latent channels, h x w latent positions, N = h w, D width, L tokens of text.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from trainer.frozen import fusion
from trainer.model.block import Block
from trainer.model.inputs import Context, Estimate, Inputs, added
from trainer.model.modulation import Before, Modulation, modulate, time_features
from trainer.model.positions import rotary_2d


class FusionDiT(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers types config_name twice
    """A diffusion transformer that predicts the fused picture's latent; it returns the base until it is trained.

    latent_channels: C. text_dim: width of the token embeddings. time: whether it takes a state z_t at a time t.
    base: the fixed fusion that it was trained on. (Eight arguments: diffusers makes config.json of them.)
    """

    @register_to_config
    def __init__(  # noqa: PLR0913
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
        self.modulation = Modulation(width, Before)
        self.out = nn.Linear(width, 4 * latent_channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None) -> Estimate:
        """The estimate ẑ of the target's latent, with what the blocks hand up to the loss.

        z_t: (B, C, h, w), and t: (B,) in [0, 1], for a network built with time, and no other.
        """
        z_a, z_b, base, (tokens, mask, pooled) = inputs
        latents = [z_a, z_b, base]
        c = self.embed_pooled(pooled)  # (B, D)
        if (self.embed_time is None) != (z_t is None) or (z_t is None) != (t is None):
            raise ValueError("z_t and t go together, with a network that was built with time=True, and with no other")
        if self.embed_time is not None and z_t is not None and t is not None:
            latents.append(z_t)
            c = c + self.embed_time(time_features(t, c.shape[-1]))

        height, width = base.shape[-2:]
        rotary = rotary_2d(height, width, self.head_dim, base.device)
        context = Context(c, self.embed_tokens(tokens), mask, rotary, height)
        x, terms = self.embed(torch.cat(latents, dim=1).flatten(2).mT), []  # (B, N, D)
        for block in self.blocks:
            x, more = block(x, context)
            terms.append(more)
        x = self.out(modulate(x, *self.modulation(c)))
        net = x.float().mT.unflatten(-1, (height, width))  # (B, 4C, h, w)
        gain_a, gain_b, gain_base, shift = net.chunk(4, dim=1)
        return Estimate(base + gain_a * z_a + gain_b * z_b + gain_base * base + shift, added(terms))
