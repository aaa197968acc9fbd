"""The training loop, top to bottom. Everything is counted in samples seen."""

from __future__ import annotations

from contextlib import ExitStack, closing
from itertools import chain, islice
from pathlib import Path

import torch
from torch import nn

from trainer.config import Config
from trainer.data.batches import Batches, Needs
from trainer.data.shards import IndexedShards, open_shards
from trainer.device import choose_device
from trainer.frozen.text import TextEncoder
from trainer.inference.fuser import Fuser
from trainer.objectives import Noise, make_objective
from trainer.training.ema import EMA
from trainer.training.optimizers import build_optimizer, learning_rate
from trainer.training.parts import build_model, prepare_autoencoder, reopen_autoencoder
from trainer.training.run import Run, or_anew


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
    return or_anew(out, restart, lambda anew: _train(config, urls, Run(out, config, stop_after, anew), where))


def _train(config: Config, urls: list[str], run: Run, where: torch.device) -> Path | None:
    """`train` on a device. Nothing is written, nor removed, until the first batch is there."""
    with ExitStack() as stack:
        shards = stack.enter_context(closing(open_shards(urls, config.seed, config.run.workers)))
        run.identify({"shards": shards.fingerprint})
        text = TextEncoder(config.text.encoder, config.text.max_tokens, where)
        kept = run.out / "autoencoder"
        begun = not run.fresh and kept.is_dir()
        autoencoder = reopen_autoencoder(kept, where) if begun else prepare_autoencoder(config, shards, where)
        run.identify({"autoencoder": autoencoder.hash, "text encoder": text.hash})
        objective = make_objective(config.objective, autoencoder)

        torch.manual_seed(config.seed)
        model = build_model(config, autoencoder, text.dim)
        model.to(where)  # type: ignore[arg-type]  # as diffusers wraps it
        average = EMA(model, config.training.ema_half_life)
        optimizer = build_optimizer(model, config.training)
        run.resume(model, {"ema": average}, {"optimizer": optimizer})

        cache_mb = config.run.cache_mb if isinstance(shards, IndexedShards) else 0  # a stream does not know its repeats
        needs = Needs(pixels=config.model.sees_pixels, crops=objective.needs_pictures)
        batches = Batches(shards, autoencoder, text, cache_mb, needs)
        made = batches.run(run.seen, config.training.samples, config.training.batch_size)
        stack.enter_context(closing(made))
        stream = chain(list(islice(made, 1)), made)  # what is wrong with the first batch shows here
        run.claim(autoencoder=autoencoder.save)
        bf16 = config.training.precision == "bf16" or (config.training.precision == "auto" and where.type == "cuda")
        with run:
            for batch in run.each(stream):
                lr = learning_rate(run.seen + len(batch.positions), config.training)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                with torch.autocast(where.type, torch.bfloat16, enabled=bf16):
                    losses = objective.loss(model, batch, Noise(config.seed, batch.positions, where))
                losses.per_sample.mean().backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), config.training.grad_clip)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                run.stepped(len(batch.positions), losses.shown(), {"lr": lr, "grad_norm": norm})
        return run.finish(lambda folder: Fuser(average.model, autoencoder, text, objective).save(folder, config))
