"""The settings of the loop that trains the autoencoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config import MOST, Pace, Resumable


class AutoencoderRun(Resumable):
    """`trainer autoencoder train`; its fields are the command's options and what is not worth one."""

    MAY_CHANGE = ("samples", "minutes", "lr", "batch_pixels", "workers", "log_every")
    """The schedule is then that of the new ones."""
    RATE = "--lr"

    samples: int = Field(ge=1, le=MOST)
    """Crops seen in the whole run; the learning rate reaches zero there."""
    minutes: float | None = Field(default=None, gt=0, le=10**6)
    """Wall-clock time in which the run ends, as in `TrainingConfig`."""
    channels: int = Field(default=32, ge=1, le=192)
    """Of the latents."""
    width: int = Field(default=160, ge=8, le=4096)
    """Channels of the network."""
    encoder_blocks: int = Field(default=4, ge=0, le=100)
    """At 1/8 resolution, before the latents."""
    decoder_blocks: int = Field(default=3, ge=0, le=100)
    """At 1/8 resolution, after the latents."""
    edge_blocks: int = Field(default=3, ge=0, le=100)
    """At half resolution."""
    edge_width: int = Field(default=20, ge=1, le=1024)
    """Channels there, beside those of the picture."""
    crops: tuple[int, int] = (128, 256)
    """Smallest and largest side of the crops in pixels, multiples of 32; each step draws one."""
    batch_pixels: int = Field(default=192 * 192, ge=1)
    """Pixels of a step, about: smaller crops come in larger batches."""
    lapped_steps: int = Field(default=900, ge=0, le=10**6)
    """Steps by which the linear path is fitted before all else."""
    lr: float = Field(default=3e-3, gt=0)
    """Peak learning rate of AdamW."""
    warmup: int = Field(default=1000, ge=1)
    """Samples over which the learning rate rises."""
    decay: float = Field(default=0.4, gt=0, le=1)
    """Share of the samples, at the end, over which it falls to zero, linearly."""
    noise: float = Field(default=0.01, gt=0)
    """Standard deviation of the noise on latents, in units of the picture's range [-1, 1]."""
    kl: float = Field(default=1e-4, ge=0)
    """Weight of the KL term, in nats a channel."""
    ssim: float = Field(default=0.02, ge=0)
    """Weight of 1 - SSIM beside the error; 0.1 gains 0.003 in SSIM on Kodak and costs 0.14 dB."""
    ema_half_life: int = Field(default=3000, ge=1, le=MOST)
    """Half-life of the averaged weights in samples."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the matrix products; weights and loss are fp32."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Of weights, crops and noise."""
    workers: int = Field(default=0, ge=0, le=1024)
    """Processes that cut crops; 0 works in the training process. The crops are the same for any number."""
    log_every: int = Field(default=400, ge=1, le=MOST)
    """Crops between lines of the log."""

    @property
    def pace(self) -> Pace:
        return Pace(self.samples, self.log_every, checkpoint_minutes=3.0, minutes=self.minutes)
