"""The training loop, top to bottom. Everything is counted in samples seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.config import Config
from trainer.data.batches import Batch, Needs
from trainer.device import choose_device
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.fuser import Fuser
from trainer.model.compiled import compile_blocks
from trainer.model.cost import Given, total
from trainer.objectives import OBJECTIVES, Losses, Noise, make_objective
from trainer.training.ema import EMA
from trainer.training.feed import open_feed
from trainer.training.gauges import gauges_of
from trainer.training.guard import Guard
from trainer.training.initial import let_learn, read_initial
from trainer.training.optimizers import build_optimizers
from trainer.training.parts import build_model, prepare_autoencoder, reopen_autoencoder
from trainer.training.posthoc import Album
from trainer.training.ranks import joined
from trainer.training.run import Run, or_anew
from trainer.training.schedule import learning_rate
from trainer.training.sharding import Blank
from trainer.training.watch import Watch


def train(  # noqa: PLR0913
    config: Config,
    urls: list[str],
    out: Path,
    *,
    device: str | None = None,
    stop_after: int | None = None,
    restart: bool = False,
    held_out: Sequence[str] = (),
) -> Path | None:
    """Trains, or goes on where an earlier call with the same config and folder stopped; returns the weights folder.

    stop_after: pause at the first step that reaches so many samples of the run; None is returned then, as after
    Ctrl-C or SIGTERM, and the same call goes on from the checkpoint. restart: where the folder holds another run (of
    another config, or of other shards), begin anew in its place; without it that is refused. held_out: shards by which
    the averaged weights are looked at on the way. Raises UserError.

    What is wrong with config, shards, frozen parts or folder shows before anything is written. (Seven arguments: what
    `trainer train` is given besides its config.)
    """
    with joined(choose_device(device), config.run.sharding) as (ranks, where):
        ranks.check(config.training, config.pool)
        return or_anew(
            out,
            restart,
            lambda anew: _train(config, urls, Run(out, config, stop_after, anew, ranks), where, list(held_out)),
        )


def _train(config: Config, urls: list[str], run: Run, where: torch.device, held_out: list[str]) -> Path | None:
    """`train` on a device. Nothing is written, nor removed, until the first batch is there."""
    with ExitStack() as stack:
        feed = stack.enter_context(closing(open_feed(config, urls)))
        run.identify({"shards": feed.fingerprint})
        text = TextEncoder(config.text.encoder, config.text.max_tokens, where)
        initial = read_initial(config, text, run.fresh, where)
        kept = run.out / "autoencoder"
        begun = not run.fresh and kept.is_dir()
        autoencoder = initial.autoencoder if not begun else reopen_autoencoder(kept, where)
        autoencoder = autoencoder or prepare_autoencoder(config, feed.shards, where)
        run.identify({"autoencoder": autoencoder.hash, "text encoder": text.hash, "init": initial.hash})
        objective = make_objective(config.objective, autoencoder)

        torch.manual_seed(config.seed)
        model = build_model(config, autoencoder, text.dim)
        initial.into(model)
        let_learn(model, config.training.learns)
        if config.run.checkpointing:
            model.enable_gradient_checkpointing()
        album = Album(model, config.training.snapshots, run.out, run.ranks.leads)
        averages = {"ema": EMA(model, config.training.ema_half_life), **album.averages}
        blank = Blank(averages["ema"].model) if run.ranks.sharded else None
        for module in (model, *(average.model for average in averages.values())):
            run.ranks.place(module, where)
        optimizers = build_optimizers(model, config.training)
        run.resume(model, averages, optimizers.named)
        if config.run.compile:
            compile_blocks(model)
        if where.type == "cuda" and config.training.minutes:  # such a run does not promise the same bits
            torch.backends.cudnn.benchmark = True

        watch = Watch(held_out, config.run, run.out, feed.shards if run.ranks.leads else None) if held_out else None
        needs = Needs(config.model.sees_pixels, objective.needs_pictures, config.model.effects)
        made = stack.enter_context(closing(feed.batches(run, autoencoder, text, needs)))
        first = list(islice(made, 1))  # what is wrong with it shows here; none of a run that is complete
        stream = chain(first, made)
        run.claim(autoencoder=autoencoder.save)
        album.begin(run.share(), run.seen)
        run.gauges = gauges_of(where, step_flops(config, autoencoder, text, first[0])) if first else None
        bf16 = config.training.precision == "bf16" or (config.training.precision == "auto" and where.type == "cuda")
        network, guard = run.ranks.together(model), Guard(run.out, config.RATE)

        def fuser() -> Fuser:
            shown = averages["ema"].model
            shown = shown if blank is None else blank.filled(shown, where, run.ranks.leads)
            return Fuser(shown, autoencoder, text, objective)

        def loss(batch: Batch) -> Losses:
            keep = not run.ranks.sharded  # a cache of weights in bf16 would be all of them
            with torch.autocast(where.type, torch.bfloat16, enabled=bf16, cache_enabled=keep):
                return objective.loss(network, batch, Noise(config.seed, batch.draws, where))

        with run:
            for step in run.each(stream):
                count = run.ranks.count * sum(len(batch.positions) for batch in step)
                rate = learning_rate(run.share(count), config.training)
                here = run.share()
                means = add_gradients(loss, [b._replace(share=here) for b in step], run.ranks.apart(network))
                norm = optimizers.step(rate, config.training.grad_clip)
                guard.see(norm, step)
                now = {"lr": rate, "skipped": guard.skipped, **feed.shown()}
                run.stepped(count, *(({}, now) if norm is None else (means, now | {"grad_norm": norm})))
                album.see(run.share(), run.seen)
                if watch is not None and run.looks(config.run.val_every):
                    looking = fuser()
                    if run.ranks.leads:
                        run.note(watch.look(looking, run.seen))
        learned = fuser()
        return run.finish(lambda folder: learned.save(folder, config))


def step_flops(config: Config, autoencoder: Autoencoder, text: TextEncoder, step: list[Batch]) -> int:
    """Operations of a step on one sample like those of the first, forward and backward."""
    height, width = step[0].target.shape[-2:]
    time = OBJECTIVES[config.objective.kind].needs_time
    given = Given(autoencoder.channels, autoencoder.factor, text.dim, (height, width), text.padded, time)
    return total(config.model, given).step


def add_gradients(
    loss: Callable[[Batch], Losses], step: list[Batch], apart: AbstractContextManager[Any]
) -> dict[str, Tensor]:
    """Those of the mean loss of a step's samples, part by part; within `apart` ranks do not add theirs up yet.

    Returns what the log shows of it: means over the step's samples, () each.
    """
    count = sum(len(batch.positions) for batch in step)
    shown: dict[str, Tensor] = {}
    for number, batch in enumerate(step):
        with apart if number + 1 < len(step) else nullcontext():
            losses = loss(batch)
            (losses.per_sample.sum() / count).backward()
        for name, value in losses.shown().items():
            share = value.detach().sum() / count if value.ndim else value.detach() * len(batch.positions) / count
            shown[name] = shown.get(name, torch.zeros_like(share)) + share
    return shown
