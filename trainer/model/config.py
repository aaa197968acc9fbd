"""The network's section of a config: its size, and which of the paper's ingredients it is made of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trainer.schema import Section


class DetailConfig(Section):
    """The `detail:` of a network: a stage over the decoded picture, at half its resolution."""

    width: int = Field(default=32, ge=4, le=1024)
    """Channels."""
    blocks: int = Field(default=3, ge=1, le=100)
    """NAF blocks."""


class NetworkConfig(Section):
    width: int = Field(ge=16, le=2**16)
    """Channels of the layers."""
    depth: int = Field(ge=1, le=1000)
    """Number of layers."""
    heads: int = Field(ge=1, le=2**14)
    """Attention heads; width / heads must be a multiple of 4 (two axes of rotary pairs)."""
    fine: int = Field(default=0, ge=0, le=100)
    """NAF blocks of half the width at the latent grid, so many before and after the layers, which then work at half its
    resolution: an hourglass. 0: the layers work at the latent grid (the paper's flat form)."""
    mlp_ratio: float = Field(default=2.0, gt=0, le=64)
    """Hidden channels of a layer's gated MLP, in widths; of each expert, where there are experts."""
    experts: int = Field(default=0, ge=0, le=256)
    """Routed experts of each layer's MLP beside one that all share (the paper has 4); 0: one MLP for all."""
    active: int = Field(default=2, ge=1, le=256)
    """Routed experts that a position is sent to."""
    balance: Literal["bias", "loss"] = "bias"
    """How routers are kept even: by a bias that no gradient moves, or by the paper's load-balancing loss."""
    lora_rank: int = Field(default=32, ge=1, le=2**16)
    """Width between the two thin matrices of each layer's modulation."""
    patches: bool = True
    """Whether the network sees the pixels of a, b and base beside their latents."""
    tone: bool = False
    """Whether a tone head looks at thumbnails of the whole pictures and corrects brightness."""
    naf: bool = True
    """Whether each layer begins with a NAF block."""
    absolute: bool = True
    """Whether each layer adds a learned position embedding, interpolated to any grid."""
    rotary: bool = True
    """Whether attention has two-dimensional rotary positions."""
    value_residual: bool = True
    """Whether attention mixes its values with those of the layer before."""
    qk_norm: bool = True
    """Whether attention normalises queries and keys."""
    text: Literal["cross", "joint"] = "cross"
    """How positions see the words of the instruction: by attention of their own, or beside the positions in one."""

    detail: DetailConfig | None = None
    """A stage over the decoded picture, which gives back what the autoencoder loses; trained by a loss of pictures
    (objective.pictures)."""
    effects: tuple[str, ...] = Field(default=(), max_length=1000)
    """Effects that a small head guesses in a and b, by the names of shards, or with the way in which they go wrong
    (exposure.dark): what `--prompt auto` is made of."""
    adapters: int = Field(default=0, ge=0, le=2**12)
    """Rank of the thin matrices beside each linear map of the layers, by which a flow is trained from a regression that
    stays as it is (objective: {kind: flow, start: regression}); 0: none."""

    @model_validator(mode="after")
    def _fits(self) -> NetworkConfig:
        unit = 4 * self.heads
        if self.width % unit:
            raise ValueError(
                f"width {self.width} with {self.heads} heads: width must be a multiple of 4 x heads; "
                f"take width {-(-self.width // unit) * unit}"
            )
        if int(self.mlp_ratio * self.width) < 1:
            raise ValueError(
                f"mlp_ratio {self.mlp_ratio} of width {self.width} leaves the MLP no channel; "
                f"take at least {1 / self.width:.4f}, better 1 to 4"
            )
        if self.experts and self.active > self.experts:
            raise ValueError(f"active {self.active} of {self.experts} experts: no more than there are")
        return self

    def dense(self) -> NetworkConfig:
        """The control without experts: one MLP of as many operations as all that a position is sent to."""
        ratio = self.mlp_ratio * (1 + self.active) if self.experts else self.mlp_ratio
        return self.model_copy(update={"experts": 0, "mlp_ratio": ratio})

    @property
    def sees_pixels(self) -> bool:
        """Whether it is given pixels beside latents."""
        return self.patches or self.tone or self.detail is not None

    @property
    def hidden(self) -> int:
        """Hidden channels of an MLP."""
        return int(self.mlp_ratio * self.width)

    @property
    def fine_width(self) -> int:
        """Channels at the latent grid."""
        return self.width // 2 if self.fine else self.width
