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
from trainer.model.adapters import OwnHead, State, adapt, without_adapters
from trainer.model.block import Block
from trainer.model.config import NetworkConfig
from trainer.model.detail import Detail
from trainer.model.grids import Flat, Hourglass
from trainer.model.guess import Guess, Unguessed
from trainer.model.inputs import Context, Decode, Estimate, Inputs, Terms, added
from trainer.model.modulation import Before, Modulation, modulate
from trainer.model.positions import rotary_2d
from trainer.model.tone import Blind, Glance, Tone


class FusionDiT(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers types config_name twice
    """A diffusion transformer that predicts the fused picture's latent; it returns the base until it is trained.

    latent_channels: C. factor: pixels along a latent position's side. text_dim: width of the token embeddings. network:
    the fields of NetworkConfig. time: whether it takes a state z_t at a time t. base: the fixed fusion that it was
    trained on. With adapters it is a flow beside a frozen regression: `forward` without z_t and t is that regression.
    Raises ValueError where it has adapters and no time.
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
        self.embed = nn.Linear(3 * latent_channels, fine)
        self.embed_pixels = nn.Linear(9 * factor**2, fine, bias=False) if config.patches else None
        self.embed_words = nn.Linear(text_dim, width)
        self.nothing_said = nn.Parameter(torch.randn(1, 1, width) / width**0.5)  # a word that is always there
        self.embed_pooled = nn.Sequential(nn.Linear(text_dim, width), nn.SiLU(), nn.Linear(width, width))
        self.tone = Tone(config, latent_channels) if config.tone else Blind()
        self.grid = Hourglass(fine, width, config.fine) if config.fine else Flat()
        self.effects = Guess(width, config.effects) if config.effects else Unguessed()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.modulation = Modulation(width, fine, Before, config.lora_rank)
        self.out = nn.Linear(fine, 4 * latent_channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.detail = Detail(config.detail, fine) if config.detail else None
        if config.adapters:
            if not time:
                raise ValueError("adapters make a flow of a regression: they need time=True")
            self.requires_grad_(False)
            for part in (self.grid, self.blocks, self.modulation):
                adapt(part, config.adapters)
        self.state = State(latent_channels, fine, width, silent=bool(config.adapters)) if time else None
        self.head = OwnHead(fine, latent_channels) if config.adapters else None

    @property
    def regression(self) -> FusionDiT:
        """The frozen network of one with adapters, of the same tensors."""
        shell = without_adapters(self)
        shell._modules |= {"state": None, "head": None}
        return shell

    def forward(
        self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
    ) -> Estimate:
        """The estimate ẑ of the target's latent, with what the blocks hand up to the loss.

        z_t: (B, C, h, w), and t: (B,) in [0, 1], for a network built with time, and no other; one with adapters may do
        without them, and is the regression then. decode: for the picture too, with the detail stage over it.
        """
        if self.head is not None and z_t is None and t is None:
            return self.regression(inputs, decode=decode)
        z_a, z_b, base, prompts, pixels, whole = inputs
        c = self.embed_pooled(prompts.pooled)  # (B, D)
        x = self.embed(torch.cat([z_a, z_b, base], dim=1).flatten(2).mT)  # (B, N, D')
        if (self.state is None) != (z_t is None) or (z_t is None) != (t is None):
            raise ValueError("z_t and t go together, with a network that was built with time=True, and with no other")
        if self.state is not None and z_t is not None and t is not None:
            at, now = self.state(z_t, t)
            x, c = x + at, c + now
        if self.embed_pixels is not None:
            if pixels is None:
                raise ValueError("the network was built with patches: it needs pixels")
            patches = F.pixel_unshuffle(pixels.flatten(1, 2), pixels.shape[-1] // base.shape[-1])  # (B, 9 f², h, w)
            x = x + self.embed_pixels(patches.flatten(2).mT)

        nothing = base.new_zeros(())
        c, words, mask, corrections = self.tone(Glance(c, *self._words(prompts), nothing), whole, base.shape[-2:])
        terms: list[Terms] = []
        guesses: list[Tensor | None] = []

        def layers(x: Tensor, height: int) -> Tensor:
            guesses.append(self.effects(x))
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
        x = modulate(x, *self.modulation(c))
        net = self.out(x).float().mT.unflatten(-1, base.shape[-2:]) + corrections  # (B, 4C, h, w)
        if self.head is None or z_t is None:
            z = _applied(net, inputs)
        else:
            changes, lean = self.head(x, base.shape[-2:])
            z = _applied(net + changes, inputs)
            z = z + lean * (z_t - z)
        hints = None if self.detail is None else self.detail.hints(x, (base.shape[-2], base.shape[-1]))
        picture = None if decode is None else decode(z)
        if self.detail is not None and picture is not None:
            picture = self.detail(picture, pixels, hints)
        return Estimate(z, added(terms), hints, picture, guesses[0])

    def _words(self, prompts: Prompts) -> tuple[Tensor, Tensor]:
        """The instruction's words (B, L + 1, D) and which of them are there; the last always is."""
        words, silence = self.embed_words(prompts.tokens), self.nothing_said.expand(len(prompts.tokens), -1, -1)
        there = prompts.mask.new_ones(len(prompts.mask), 1)
        return torch.cat([words, silence.to(words.dtype)], dim=1), torch.cat([prompts.mask, there], dim=1)


def _applied(net: Tensor, inputs: Inputs) -> Tensor:
    """ẑ of (α, β, γ, δ), (B, 4C, h, w)."""
    gain_a, gain_b, gain_base, shift = net.chunk(4, dim=1)
    return inputs.base + gain_a * inputs.z_a + gain_b * inputs.z_b + gain_base * inputs.base + shift
