"""The whole network on one page.

    ẑ = base + α z_a + β z_b + γ base + δ,    (α, β, γ, δ) = net(z_a, z_b, base, pixels, instruction)

Everything is a latent: two degraded inputs, their closed-form fusion, and the fused picture that comes out; the pixels
of the three go in beside their latents. α, β, γ and δ are zero at the start.
B batch, C latent channels, h x w latent positions, N = h w, D width, L words of the instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from trainer.frozen import fusion
from trainer.frozen.text import Prompts
from trainer.model.block import Block
from trainer.model.config import NetworkConfig
from trainer.model.grids import Flat, Hourglass
from trainer.model.inputs import Context, Estimate, Inputs, Terms, added
from trainer.model.modulation import Before, Modulation, modulate, time_features
from trainer.model.positions import rotary_2d
from trainer.model.tone import Blind, Glance, Tone


class FusionDiT(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers types config_name twice
    """A diffusion transformer that predicts the fused picture's latent; it returns the base until it is trained.

    latent_channels: C. factor: pixels along a latent position's side. text_dim: width of the token embeddings. network:
    the fields of NetworkConfig. time: whether it takes a state z_t at a time t. base: the fixed fusion that it was
    trained on.
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        latent_channels: int,
        factor: int,
        text_dim: int,
        network: Mapping[str, Any],
        time: bool = False,
        base: str = fusion.NAME,  # read by nothing here: kept in config.json, where Fuser checks it
    ) -> None:
        super().__init__()
        self.network = config = NetworkConfig.model_validate(network)
        width, fine = config.width, config.fine_width
        self.embed = nn.Linear((4 if time else 3) * latent_channels, fine)
        self.embed_pixels = nn.Linear(9 * factor**2, fine, bias=False) if config.patches else None
        self.embed_words = nn.Linear(text_dim, width)
        self.nothing_said = nn.Parameter(torch.randn(1, 1, width) / width**0.5)  # a word that is always there
        self.embed_pooled = nn.Sequential(nn.Linear(text_dim, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) if time else None
        self.tone = Tone(config, latent_channels) if config.tone else Blind()
        self.grid = Hourglass(fine, width, config.fine) if config.fine else Flat()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.modulation = Modulation(width, fine, Before, config.lora_rank)
        self.out = nn.Linear(fine, 4 * latent_channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None) -> Estimate:
        """The estimate ẑ of the target's latent, with what the blocks hand up to the loss.

        z_t: (B, C, h, w), and t: (B,) in [0, 1], for a network built with time, and no other.
        """
        z_a, z_b, base, prompts, pixels, whole = inputs
        c = self.embed_pooled(prompts.pooled)  # (B, D)
        latents = [z_a, z_b, base]
        if (self.embed_time is None) != (z_t is None) or (z_t is None) != (t is None):
            raise ValueError("z_t and t go together, with a network that was built with time=True, and with no other")
        if self.embed_time is not None and z_t is not None and t is not None:
            latents.append(z_t)
            c = c + self.embed_time(time_features(t, c.shape[-1]))
        x = self.embed(torch.cat(latents, dim=1).flatten(2).mT)  # (B, N, D')
        if self.embed_pixels is not None:
            if pixels is None:
                raise ValueError("the network was built with patches: it needs pixels")
            patches = F.pixel_unshuffle(pixels.flatten(1, 2), pixels.shape[-1] // base.shape[-1])  # (B, 9 f², h, w)
            x = x + self.embed_pixels(patches.flatten(2).mT)

        nothing = base.new_zeros(())
        c, words, mask, corrections = self.tone(Glance(c, *self._words(prompts), nothing), whole, base.shape[-2:])
        terms: list[Terms] = []

        def layers(x: Tensor, height: int) -> Tensor:
            rotary = None
            if self.network.rotary:
                head_dim = self.network.width // self.network.heads
                rotary = rotary_2d(height, x.shape[1] // height, head_dim, x.device)
            context = Context(c, words, mask, rotary, height)
            for block in self.blocks:
                x, more, values = block(x, context)
                context = context._replace(values=values)
                terms.append(more)
            return x

        x = self.grid(x, base.shape[-2], layers)
        net = self.out(modulate(x, *self.modulation(c))).float().mT.unflatten(-1, base.shape[-2:])  # (B, 4C, h, w)
        gain_a, gain_b, gain_base, shift = (net + corrections).chunk(4, dim=1)
        return Estimate(base + gain_a * z_a + gain_b * z_b + gain_base * base + shift, added(terms))

    def _words(self, prompts: Prompts) -> tuple[Tensor, Tensor]:
        """The instruction's words (B, L + 1, D) and which of them are there; the last always is."""
        words, silence = self.embed_words(prompts.tokens), self.nothing_said.expand(len(prompts.tokens), -1, -1)
        there = prompts.mask.new_ones(len(prompts.mask), 1)
        return torch.cat([words, silence.to(words.dtype)], dim=1), torch.cat([prompts.mask, there], dim=1)
