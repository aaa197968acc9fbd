"""Trains our autoencoder: counted in samples (crops) seen, resumed bit for bit by the same command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from trainer.autoencoder.config import AutoencoderRun
from trainer.autoencoder.network import ResidualKLTAutoencoder
from trainer.autoencoder.pictures import Pictures, crop_size
from trainer.autoencoder.weights import write_weights
from trainer.console import say
from trainer.data.images import from_bytes, to_tensor
from trainer.frozen.klt import DIM, KLTAutoencoder
from trainer.similarity import decibels, ssim
from trainer.training.ema import EMA
from trainer.training.run import Run, or_anew

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
GRAD_CLIP = 0.5
"""Largest norm of the gradient of a step."""
TINY = 1e-6
"""Mean squared error under which a picture counts as exact: an eighth of a grey level."""


def train(
    pictures: Pictures,
    settings: AutoencoderRun,
    out: Path,
    device: torch.device,
    *,
    stop_after: int | None = None,
    restart: bool = False,
) -> Path | None:
    """Trains, or goes on where an earlier call with the same pictures and settings stopped; returns the weights folder.

    stop_after: pause at the first step that reaches so many samples of the run; None is returned then, as after Ctrl-C
    or SIGTERM, and the same call goes on. restart: begin anew where the folder holds another run. Raises UserError.
    """
    return or_anew(out, restart, lambda anew: _train(pictures, settings, Run(out, settings, stop_after, anew), device))


def _train(pictures: Pictures, settings: AutoencoderRun, run: Run, device: torch.device) -> Path | None:
    run.identify({"pictures": pictures.fingerprint()})
    model = start(pictures, settings, device, untrained=run.fresh)
    if device.type == "cuda" and settings.minutes:  # such a run does not promise the same bits
        torch.backends.cudnn.benchmark = True
    average = EMA(model, settings.ema_half_life)
    optimizer = build_optimizer(model, settings.lr)
    run.resume(model, {"ema": average}, {"optimizer": optimizer})
    run.claim()
    with run:
        for x in run.each(batches(pictures, settings, run, device)):
            lr = learning_rate(settings, run.seen, run.share())
            for group in optimizer.param_groups:
                group["lr"] = lr * group["share"]
            torch.manual_seed(settings.seed + run.seen)  # of the noise: a function of the samples seen
            value = loss(model, x, settings)
            value.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            run.stepped(len(x), {"loss": value, "grad_norm": norm}, {"lr": lr})
    return run.finish(lambda folder: write_weights(average.model, pictures, settings.crops[1], folder, device))


class Drawn(NamedTuple):
    """Crops to cut: number `first` and on, of a seed."""

    seed: int
    first: int
    number: int
    size: int


class Crops(Dataset[Tensor]):
    """Pictures as torch's DataLoader takes them."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def __getitem__(self, drawn: Drawn) -> Tensor:
        """(number, size, size, 3) uint8."""
        return torch.from_numpy(self.pictures.crops(*drawn))


def batches(pictures: Pictures, settings: AutoencoderRun, run: Run, device: torch.device) -> Iterator[Tensor]:
    """Crops from the step at which the run stands on, (B, 3, size, size) in [-1, 1], of a size drawn for each step."""

    def steps() -> Iterator[Drawn]:
        seen = run.seen
        while seen < settings.samples:
            size = crop_size(settings.seed, seen, settings.crops)
            count = min(max(1, round(settings.batch_pixels / size**2)), settings.samples - seen)
            yield Drawn(settings.seed, seen, count, size)
            seen += count

    return cut(pictures, steps(), settings, device)


def cut(pictures: Pictures, steps: Iterable[Drawn], settings: AutoencoderRun, device: torch.device) -> Iterator[Tensor]:
    """The crops of each step, (B, 3, size, size) in [-1, 1], in their order, cut ahead by `settings.workers`."""
    workers: dict[str, Any] = {"multiprocessing_context": "fork", "prefetch_factor": 8} if settings.workers else {}
    loader = DataLoader(
        Crops(pictures),
        batch_size=None,
        sampler=steps,
        num_workers=settings.workers,
        pin_memory=device.type == "cuda",
        **workers,
    )
    for crops in loader:
        yield from_bytes(crops.to(device, non_blocking=True))


def start(
    pictures: Pictures, settings: AutoencoderRun, device: torch.device, untrained: bool
) -> ResidualKLTAutoencoder:
    """The model before its first step; of a run that goes on it need not be fitted.

    The KLT of the pictures, and on it the lapped transform of least squared error, by gradient descent.
    """
    torch.manual_seed(settings.seed)
    model = ResidualKLTAutoencoder(
        latent_channels=settings.channels,
        width=settings.width,
        encoder_blocks=settings.encoder_blocks,
        decoder_blocks=settings.decoder_blocks,
        edge_width=settings.edge_width,
        edge_blocks=settings.edge_blocks,
    )
    if untrained:
        crops = pictures.crops(FIT_SEED, 0, FIT, settings.crops[1])
        model.start_from(KLTAutoencoder.fit(list(to_tensor(list(crops), torch.device("cpu"))), DIM))
    model.to(device)
    if untrained and settings.lapped_steps:
        fit_lapped(model, pictures, settings, device)
    return model


def fit_lapped(
    model: ResidualKLTAutoencoder, pictures: Pictures, settings: AutoencoderRun, device: torch.device
) -> None:
    """Fits the linear path alone, which costs a small part of the whole."""
    linear = [p for name, p in model.named_parameters() if name.split(".")[0] in LAPPED]
    optimizer = torch.optim.Adam(linear, lr=LAPPED_LR, betas=(0.9, 0.99))
    steps = [
        Drawn(FIT_SEED, FIT + step * LAPPED_BATCH, LAPPED_BATCH, settings.crops[0])
        for step in range(settings.lapped_steps)
    ]
    for step, crops in enumerate(cut(pictures, steps, settings, device)):
        for group in optimizer.param_groups:
            group["lr"] = LAPPED_LR * min(1.0, 2 * (1 - step / settings.lapped_steps))
        error = model.lapped_error(crops)
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        optimizer.step()
        if not step or not (step + 1) % 400:
            say(f"linear path: step {step + 1}, {decibels(float(error.detach())):.2f} dB")


def learning_rate(settings: AutoencoderRun, seen: int, share: float) -> float:
    """That of the step that begins after `seen` samples and a share of the run: warm-up, constant, linear to zero."""
    rise = min(1.0, (seen + 1) / settings.warmup)
    fall = min(1.0, (1 - share) / settings.decay)
    return settings.lr * rise * fall


def build_optimizer(model: nn.Module, lr: float) -> torch.optim.AdamW:
    """AdamW without decay of weights; the linear path, which starts at its best, learns LINEAR times as fast."""
    linear = [p for name, p in model.named_parameters() if name.split(".")[0] in LAPPED]
    rest = [p for name, p in model.named_parameters() if name.split(".")[0] not in LAPPED]
    groups = [{"params": rest, "share": 1.0}, {"params": linear, "share": LINEAR}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99), weight_decay=0.0)


def loss(model: Any, x: Tensor, settings: AutoencoderRun) -> Tensor:
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
