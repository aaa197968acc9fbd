"""The training loop, top to bottom. Everything is counted in samples seen."""

from __future__ import annotations

import math
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path

import torch
from torch import nn

from trainer.config import Config, TrainingConfig
from trainer.data.batches import Batches
from trainer.data.images import Image, to_tensor
from trainer.data.shards import IndexedShards, Sample, Shards, open_shards
from trainer.device import choose_device
from trainer.errors import UserError
from trainer.files import atomically
from trainer.frozen.autoencoder import STATISTICS, Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.fuser import Fuser
from trainer.model.dit import FusionDiT
from trainer.objectives.regression import Regression
from trainer.training.checkpoint import (
    WAY_OUT,
    OtherRun,
    check_folder,
    check_identity,
    claim_folder,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from trainer.training.ema import EMA
from trainer.training.interrupt import Interruption
from trainer.training.log import RunLog, say

GATE_DB = 32.0
"""Under this round trip PSNR of the targets the autoencoder, not the network, decides the result."""


def train(
    config: Config,
    urls: list[str],
    out: Path,
    *,
    device: str | None = None,
    stop_after: int | None = None,
    restart: bool = False,
) -> Path | None:
    """Trains, or goes on where an earlier call with the same config and folder stopped; returns the weights folder.

    stop_after: pause at the first step that reaches so many samples of the run; None is returned then, as after
    Ctrl-C or SIGTERM, and the same call goes on from the checkpoint. restart: where the folder holds another run (of
    another config, or of other shards), begin anew in its place; without it that is refused. Raises UserError.

    What is wrong with config, shards, frozen parts or folder shows before anything is written.
    """
    where = choose_device(device)
    try:
        return _train(config, urls, out, where, stop_after)
    except OtherRun:
        if not restart:
            raise
        say(f"{out}: holds another run; beginning anew in its place")
        return _train(config, urls, out, where, stop_after, anew=True)


def _train(
    config: Config, urls: list[str], out: Path, where: torch.device, stop_after: int | None, anew: bool = False
) -> Path | None:
    """`train` on a device. Nothing is written, nor removed, until the first batch is there."""
    check_folder(out, None if anew else config)
    fresh = anew or not has_checkpoint(out)
    shards = open_shards(urls, config.seed, config.run.workers)
    stack = ExitStack()
    stack.callback(shards.close)
    with stack:
        identity = {"shards": shards.fingerprint}
        if not fresh:
            check_identity(out, identity)
        text = TextEncoder(config.text.encoder, config.text.max_tokens, where)
        autoencoder = prepare_autoencoder(config, shards, None if fresh else out / "autoencoder", where)
        identity |= {"autoencoder": autoencoder.hash, "text encoder": text.hash}
        cache_mb = config.run.cache_mb if isinstance(shards, IndexedShards) else 0  # a stream does not know its repeats
        batches = Batches(shards, autoencoder, text, cache_mb)

        torch.manual_seed(config.seed)
        model = build_model(config, autoencoder.channels, text.dim)
        model.to(where)  # type: ignore[arg-type]  # as diffusers wraps it
        ema = EMA(model, config.training.ema_half_life)
        optimizer = build_optimizer(model, config.training)
        objective = Regression(autoencoder.latent_std)
        seen = 0 if fresh else load_checkpoint(out, model, ema.model, optimizer, identity)
        saved = seen

        total, size = config.training.samples, config.training.batch_size
        bf16 = config.training.precision == "bf16" or (config.training.precision == "auto" and where.type == "cuda")
        parameters = sum(p.numel() for p in model.parameters())
        say(f"{out}: {parameters / 1e6:.2f} M parameters on {where}, samples {seen} to {total}")

        loss_sum, loss_count = torch.zeros((), device=where), 0
        made = batches.run(seen, total, size)
        stack.callback(made.close)
        stream = chain(list(islice(made, 1)), made)  # what is wrong with the first batch shows here
        claim_folder(out, config, anew)
        if not (out / "autoencoder").is_dir() or fresh:
            atomically(out / "autoencoder", autoencoder.save)
        with RunLog(out / "log.jsonl", seen, total) as log, Interruption() as interruption:
            while seen < min(total, stop_after or total) and not interruption.asked:
                try:
                    batch = next(stream)
                except UserError:
                    if seen > saved:
                        save_checkpoint(out, seen, model, ema.model, optimizer, identity)
                    raise
                count, before = len(batch.target), seen
                seen += count
                lr = learning_rate(seen, config.training)
                for group in optimizer.param_groups:
                    group["lr"] = lr

                with torch.autocast(where.type, torch.bfloat16, enabled=bf16):
                    losses = objective.loss(model, batch)
                losses.mean().backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), config.training.grad_clip)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                ema.update(model, seen, count)

                loss_sum, loss_count = loss_sum + losses.detach().sum(), loss_count + count
                if crossed(before, seen, config.run.log_every) or seen == total:
                    log.write(seen, float(loss_sum) / loss_count, lr, float(norm))
                    loss_sum, loss_count = torch.zeros_like(loss_sum), 0
                if crossed(before, seen, config.run.checkpoint_every):
                    save_checkpoint(out, seen, model, ema.model, optimizer, identity)
                    saved = seen
        if seen > saved:
            save_checkpoint(out, seen, model, ema.model, optimizer, identity)
        if seen < total:
            say(f"{out}: stands at {seen} of {total} samples; run the same command again to go on")
            return None
        fuser = Fuser(ema.model, autoencoder, text)
        atomically(out / "weights", lambda folder: fuser.save(folder, config))
        return out / "weights"


def prepare_autoencoder(config: Config, shards: Shards, folder: Path | None, device: torch.device) -> Autoencoder:
    """The run's autoencoder: from the folder of the run that goes on, else fitted, or loaded and measured.

    Warns where it would cap the result.
    """
    if folder is not None and folder.is_dir():
        try:
            if not (folder / STATISTICS).is_file():
                raise UserError(f"autoencoder {folder}: no {STATISTICS} in it")
            return load_autoencoder(folder, device)
        except UserError as error:
            raise OtherRun(f"{error}; the run cannot go on: {WAY_OUT}") from None
    samples = first_samples(shards, config.autoencoder.fit_samples)
    images = [
        image for sample in samples for image in to_tensor([sample.a, sample.b, sample.target], torch.device("cpu"))
    ]
    if config.autoencoder.path == "klt":
        autoencoder = Autoencoder(KLTAutoencoder.fit(images, config.autoencoder.channels)).to(device)
    else:
        autoencoder = load_autoencoder(config.autoencoder.path, device)
        if not autoencoder.measured:
            autoencoder.measure(images)
    quality = round_trip_psnr(autoencoder, [sample.target for sample in samples[:8]])
    say(
        f"autoencoder: {autoencoder.channels} channels at 1/{autoencoder.factor}, "
        f"round trip of the targets {quality:.2f} dB"
    )
    if quality < GATE_DB:
        say(
            f"warning: under {GATE_DB:.0f} dB the autoencoder caps the result; "
            "give it more channels, or another with --autoencoder"
        )
    return autoencoder


def first_samples(shards: Shards, count: int) -> list[Sample]:
    """The samples of the first `count` positions, each once."""
    return shards.load(list(dict.fromkeys(shards.at(position) for position in range(count))))


def round_trip_psnr(autoencoder: Autoencoder, images: list[Image]) -> float:
    """Mean PSNR in dB of images against their decoded latents, clipped to [-1, 1]."""
    psnr = []
    for image in images:
        x = to_tensor([image], autoencoder.device)
        decoded = autoencoder.decode(autoencoder.encode(x), image.shape[:2]).clamp(-1, 1)
        psnr.append(10 * math.log10(4 / max(float(((decoded - x) ** 2).mean()), 1e-12)))
    return sum(psnr) / len(psnr)


def build_model(config: Config, channels: int, text_dim: int) -> FusionDiT:
    return FusionDiT(latent_channels=channels, text_dim=text_dim, **config.model.model_dump())


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; weights of one dimension (biases, norms) are not decayed."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.99))


def learning_rate(seen: int, config: TrainingConfig) -> float:
    """Linear warm-up, then half a cosine to zero, by samples seen at the end of the step."""
    warmup = config.warmup * config.samples
    if seen < warmup:
        return config.lr * seen / warmup
    progress = (seen - warmup) / (config.samples - warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * progress))


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` was reached on the way from `before` to `after`."""
    return after // every > before // every
