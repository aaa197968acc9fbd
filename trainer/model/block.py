"""The layer that the network repeats."""

from __future__ import annotations

from torch import Tensor, nn

from trainer.model.attention import CrossAttention, SelfAttention
from trainer.model.config import NetworkConfig
from trainer.model.inputs import Context, Passed
from trainer.model.modulation import Around, Modulation, modulate, normalise
from trainer.model.moe import MoE, SwiGLU
from trainer.model.nafblock import NAFBlock
from trainer.model.positions import AbsolutePosition
from trainer.model.recompute import Recomputing


class Block(Recomputing):
    """One layer of the paper, in its order; what the config leaves out is a part that changes nothing.

    Position → NAF block → scale and shift → value-residual attention → gate → words → scale and shift → gated MLP, or
    a mixture of them → gate. All six modulation vectors come from c through two thin matrices.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.position = AbsolutePosition(config.width) if config.absolute else Unchanged()
        self.naf = NAFBlock(config.width) if config.naf else Unchanged()
        self.modulation = Modulation(config.width, config.width, Around, config.lora_rank)
        self.attention = SelfAttention(config)
        self.words = CrossAttention(config) if config.text == "cross" else Silent()
        self.mlp = (
            MoE(config.width, config.hidden, config.experts, config.active, config.balance)
            if config.experts
            else Dense(config.width, config.hidden)
        )

    def forward(self, x: Tensor, context: Context) -> Passed:
        """x: (B, N, D) → the same shape."""
        by = self.modulation(context.c)
        x, values = self.again(self._looked, x, context, by)
        mixed = self.mlp(modulate(x, by.mlp_scale, by.mlp_shift))
        return Passed(x + (1 + by.mlp_gate) * mixed.x, mixed.terms, values)

    def _looked(self, x: Tensor, context: Context, by: Around) -> tuple[Tensor, Tensor]:
        """All but the MLP: x, and the values of its attention."""
        x = self.naf(self.position(x, context.height), context.height)
        attended, values = self.attention(modulate(x, by.attention_scale, by.attention_shift), context, context.values)
        x = x + (1 + by.attention_gate) * attended
        return x + self.words(normalise(x), context), values


class Dense(Recomputing):
    """One gated MLP for all positions, which has nothing to tell."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.glu = SwiGLU(width, hidden)

    def forward(self, x: Tensor) -> Passed:
        return Passed(self.again(self.glu, x))


class Unchanged(nn.Module):
    """In place of a part on the grid that is left out."""

    def forward(self, x: Tensor, height: int) -> Tensor:
        return x


class Silent(nn.Module):
    """In place of attention to words where they stand in another."""

    def forward(self, x: Tensor, context: Context) -> Tensor:
        return x.new_zeros(())
