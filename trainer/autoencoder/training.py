"""Trains our autoencoder: counted in samples (crops) seen, resumed bit for bit by the same command."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.autoencoder.network import ResidualKLTAutoencoder
from trainer.autoencoder.pictures import Pictures, crop_size
from trainer.autoencoder.weights import write_weights
from trainer.data.images import to_tensor
from trainer.errors import UserError
from trainer.files import atomically, remove
from trainer.frozen.klt import DIM, KLTAutoencoder
from trainer.training.checkpoint import WAY_OUT, OtherRun, has_checkpoint, load_checkpoint, save_checkpoint
from trainer.training.ema import EMA
from trainer.training.interrupt import Interruption
from trainer.training.log import RunLog, say

FIT = 400
"""Crops to which the KLT is fitted."""
FIT_SEED = 2**31
"""Of those crops, so that they are not those of the training."""
LAPPED_BATCH, LAPPED_LR = 16, 3e-3
"""Crops of the smallest size in a step, and learning rate, by which the linear path is fitted before all else."""
LAPPED = ("analysis", "synthesis")
"""The parts of the linear path."""
LINEAR = 0.15
"""Learning rate of the linear path afterwards, in that of the rest."""
TINY = 1e-6
"""Mean squared error under which a picture counts as exact: an eighth of a grey level."""
LOG_EVERY = 400
"""Samples between lines of the log, at least."""
WRITES = ("weights", "checkpoints", "log.jsonl")
"""What a run writes into its folder."""


MAY_CHANGE = ("samples", "lr", "batch_pixels")
"""Settings that may differ between a run and its resumption: the schedule is then that of the new ones."""


@dataclass(frozen=True)
class Settings:
    """What a run is. All but MAY_CHANGE must stay the same when it is resumed."""

    samples: int
    """Crops seen in the whole run; the learning rate reaches zero there."""
    channels: int = 32
    """Of the latents."""
    width: int = 160
    encoder_blocks: int = 4
    decoder_blocks: int = 3
    edge_blocks: int = 3
    crops: tuple[int, int] = (128, 256)
    """Smallest and largest side of the crops in pixels, multiples of 32; each step draws one."""
    batch_pixels: int = 192 * 192
    """Pixels of a step, about: smaller crops come in larger batches."""
    lapped_steps: int = 900
    """Steps by which the linear path is fitted before all else."""
    lr: float = 3e-3
    """Peak learning rate of AdamW."""
    warmup: int = 1000
    """Samples over which the learning rate rises."""
    decay: float = 0.4
    """Share of the samples, at the end, over which it falls to zero, linearly."""
    noise: float = 0.01
    """Standard deviation of the noise on latents, in units of the picture's range [-1, 1]."""
    kl: float = 1e-4
    """Weight of the KL term, in nats a channel."""
    ssim: float = 0.02
    """Weight of 1 - SSIM beside the error; 0.1 gains 0.003 in SSIM on Kodak and costs 0.14 dB."""
    ema_half_life: int = 3000
    """Half-life of the averaged weights in samples."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the matrix products; weights and loss are fp32."""
    seed: int = 0

    def lr_at(self, seen: int) -> float:
        """The learning rate of the step that begins after `seen` samples: warm-up, constant, linear to zero."""
        rise = min(1.0, (seen + 1) / self.warmup)
        fall = min(1.0, (self.samples - seen) / (self.decay * self.samples))
        return self.lr * rise * fall

    def identity(self) -> str:
        values = {name: value for name, value in asdict(self).items() if name not in MAY_CHANGE}
        return json.dumps(values, sort_keys=True)


def train(
    pictures: Pictures,
    settings: Settings,
    out: Path,
    device: torch.device,
    *,
    stop_after: int | None = None,
    restart: bool = False,
    checkpoint_minutes: float = 3.0,
) -> Path | None:
    """Trains, or goes on where an earlier call with the same pictures and settings stopped; returns the weights folder.

    stop_after: pause at the first step that reaches so many samples of the run; None is returned then, as after Ctrl-C
    or SIGTERM, and the same call goes on. restart: begin anew where the folder holds another run. Raises UserError.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not has_checkpoint(out) and not restart)):
        raise UserError(f"--out {out}: holds something else (no checkpoints of a run); name an empty or new folder")
    if restart:
        for name in WRITES:
            remove(out / name)
    identity = {"pictures": pictures.fingerprint(), "settings": settings.identity()}
    model = start(pictures, settings, device, untrained=not has_checkpoint(out))
    ema = EMA(model, settings.ema_half_life)
    optimizer = build_optimizer(model, settings.lr)
    try:
        seen = load_checkpoint(out, model, ema.model, optimizer, identity)
    except OtherRun as error:
        raise UserError(str(error) if WAY_OUT in str(error) else f"{error}; {WAY_OUT}") from None
    out.mkdir(parents=True, exist_ok=True)
    parameters = sum(p.numel() for p in model.parameters())
    say(f"{out}: {parameters / 1e6:.2f} M parameters on {device}, samples {seen} to {settings.samples}")

    saved, since, logged = seen, time.monotonic(), seen
    sums = torch.zeros(2, device=device)  # of loss and norm of the gradient, times samples
    with RunLog(out / "log.jsonl", seen, settings.samples) as log, Interruption() as interruption:
        while seen < min(settings.samples, stop_after or settings.samples) and not interruption.asked:
            size = crop_size(settings.seed, seen, settings.crops)
            count = min(max(1, round(settings.batch_pixels / size**2)), settings.samples - seen)
            x = to_tensor(list(pictures.crops(settings.seed, seen, count, size)), device)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr_at(seen) * group["share"]
            torch.manual_seed(settings.seed + seen)  # of the noise: a function of the samples seen
            value = loss(model, x, settings)
            value.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            seen += count
            ema.update(model, seen, count)

            sums += torch.stack([value.detach(), norm]) * count
            if seen - logged >= LOG_EVERY or seen == settings.samples:
                mean = (sums / (seen - logged)).tolist()
                log.write(seen, mean[0], settings.lr_at(seen - count), mean[1])
                logged, sums = seen, torch.zeros_like(sums)
            if time.monotonic() - since > 60 * checkpoint_minutes:
                save_checkpoint(out, seen, model, ema.model, optimizer, identity)
                saved, since = seen, time.monotonic()
    if seen > saved:
        save_checkpoint(out, seen, model, ema.model, optimizer, identity)
    if seen < settings.samples:
        say(f"{out}: stands at {seen} of {settings.samples} samples; run the same command again to go on")
        return None
    atomically(out / "weights", lambda folder: write_weights(ema.model, pictures, settings.crops[1], folder, device))
    return out / "weights"


def start(pictures: Pictures, settings: Settings, device: torch.device, untrained: bool) -> ResidualKLTAutoencoder:
    """The model before its first step; of a run that goes on it need not be fitted.

    The KLT of the pictures, and on it the lapped transform of least squared error, by gradient descent.
    """
    torch.manual_seed(settings.seed)
    model = ResidualKLTAutoencoder(
        latent_channels=settings.channels,
        width=settings.width,
        encoder_blocks=settings.encoder_blocks,
        decoder_blocks=settings.decoder_blocks,
        edge_blocks=settings.edge_blocks,
    )
    if untrained:
        crops = pictures.crops(FIT_SEED, 0, FIT, settings.crops[1])
        model.start_from(KLTAutoencoder.fit(list(to_tensor(list(crops), torch.device("cpu"))), DIM))
    model.to(device)
    if untrained and settings.lapped_steps:
        fit_lapped(model, pictures, settings, device)
    return model


def fit_lapped(model: ResidualKLTAutoencoder, pictures: Pictures, settings: Settings, device: torch.device) -> None:
    """Fits the linear path alone, which costs a small part of the whole."""
    linear = [p for name, p in model.named_parameters() if name.split(".")[0] in LAPPED]
    optimizer = torch.optim.Adam(linear, lr=LAPPED_LR, betas=(0.9, 0.99))
    for step in range(settings.lapped_steps):
        crops = pictures.crops(FIT_SEED, FIT + step * LAPPED_BATCH, LAPPED_BATCH, settings.crops[0])
        for group in optimizer.param_groups:
            group["lr"] = LAPPED_LR * min(1.0, 2 * (1 - step / settings.lapped_steps))
        error = model.lapped_error(to_tensor(list(crops), device))
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        optimizer.step()
        if not step or not (step + 1) % 400:
            say(f"linear path: step {step + 1}, {-10 * math.log10(float(error.detach()) / 4):.2f} dB")


def build_optimizer(model: nn.Module, lr: float) -> torch.optim.AdamW:
    """AdamW without decay of weights; the linear path, which starts at its best, learns LINEAR times as fast."""
    linear = [p for name, p in model.named_parameters() if name.split(".")[0] in LAPPED]
    rest = [p for name, p in model.named_parameters() if name.split(".")[0] not in LAPPED]
    groups = [{"params": rest, "share": 1.0}, {"params": linear, "share": LINEAR}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99), weight_decay=0.0)


def loss(model: Any, x: Tensor, settings: Settings) -> Tensor:
    """Error, SSIM and the KL of the latents, of pictures x (B, 3, H, W) in [-1, 1].

    The error is the root mean square of each picture, averaged: as robust to hard pictures as L1, and what PSNR counts.
    The posterior of a latent is N(z, s²) with the fixed s of `noise`. Its KL from N(m, v), at the m and v that are best
    for a channel, is ½ log(v / s²) with v = var(z) + s² (Kingma, Welling, "Auto-Encoding Variational Bayes", 2014).
    """
    with torch.autocast(x.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        z = model.encode(x.contiguous(memory_format=torch.channels_last))
        y = model.decode(z + settings.noise * torch.randn_like(z)).float()
    nats = 0.5 * torch.log1p(z.float().var(dim=(0, 2, 3), correction=0) / settings.noise**2)
    error = ((y - x).square().mean(dim=(1, 2, 3)) + TINY).sqrt().mean()
    return error + settings.ssim * (1 - ssim(x, y)) + settings.kl * nats.mean()


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of the channels of pictures in [-1, 1] (Wang et al., 2004), in every fourth flat window of 7x7."""
    x, y = x + 1, y + 1
    mean = [F.avg_pool2d(t, 7, 4) for t in (x, y, x * x, y * y, x * y)]
    xx, yy, xy = mean[0] ** 2, mean[1] ** 2, mean[0] * mean[1]
    light = (2 * xy + 0.02**2) / (xx + yy + 0.02**2)
    structure = (2 * (mean[4] - xy) + 0.06**2) / (mean[2] - xx + mean[3] - yy + 0.06**2)
    return (light * structure).mean()
