"""`trainer autoencoder`: train, pack, eval. Parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.usage import Command

app = typer.Typer(no_args_is_help=True)

Photos = Annotated[list[Path] | None, typer.Option(help="A folder of photographs. Repeatable.")]
Pairs = Annotated[
    list[Path] | None, typer.Option(help="A folder of pairs, <task>/<dataset>-<scene>/{a,b[,gt]}.*. Repeatable.")
]
Shards = Annotated[
    list[str] | None, typer.Option(help="A tar or dataset folder with sidecars, or a URL: degraded pictures.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU where there is one.")]


@app.callback()
def autoencoder() -> None:
    """Trains the autoencoder that ships with the trainer, and measures any."""


@app.command(cls=Command)
def train(
    out: Annotated[Path, typer.Option(help="The run's folder; its weights are in OUT/weights.")],
    photos: Photos = None,
    pairs: Pairs = None,
    shards: Shards = None,
    packed: Annotated[Path | None, typer.Option(help="A folder that `trainer autoencoder pack` wrote.")] = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1, help="Crops to train on in all; may change on resumption: over the last 0.4 the rate falls."
        ),
    ] = 1_000_000,
    channels: Annotated[int, typer.Option(min=1, max=192, help="Latent channels.")] = 32,
    width: Annotated[int, typer.Option(min=8, max=4096, help="Channels of the network.")] = 160,
    encoder_blocks: Annotated[int, typer.Option(min=0, max=100)] = 4,
    decoder_blocks: Annotated[int, typer.Option(min=0, max=100)] = 3,
    edge_blocks: Annotated[int, typer.Option(min=0, max=100, help="At half resolution.")] = 3,
    edge_width: Annotated[int, typer.Option(min=1, max=1024, help="Channels there.")] = 20,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Crops of 192 px in a step, about.")] = 1,
    lapped_steps: Annotated[
        int, typer.Option(min=0, max=10**6, help="Steps by which the linear path is fitted before all else.")
    ] = 900,
    lr: Annotated[float, typer.Option(min=1e-7, max=1.0, help="Peak learning rate.")] = 3e-3,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of weights, crops and noise.")] = 0,
    precision: Annotated[
        str, typer.Option(help="fp32 or bf16; bf16 is twice as fast where a CPU has avx512_bf16.")
    ] = "fp32",
    for_: Annotated[
        str | None, typer.Option("--for", help="End after this time instead, with weights: 90s, 8m, 1.5h.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=1024, help="Processes that cut crops.")] = 0,
    log_every: Annotated[int, typer.Option(min=1, help="Crops between lines of the log.")] = 400,
    device: Device = None,
    stop_after: Annotated[int | None, typer.Option(min=1, help="Pause after this many crops of the run.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew if the folder holds another run.")] = False,
) -> None:
    """Train on photographs, pairs and degraded pictures. To resume, run the same command again."""
    from trainer.autoencoder.config import AutoencoderRun
    from trainer.autoencoder.pictures import read_pictures
    from trainer.autoencoder.training import train as run
    from trainer.config import minutes_of
    from trainer.device import choose_device
    from trainer.errors import UserError
    from trainer.schema import parse

    if precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {precision}: fp32 or bf16")
    options = {
        "samples": samples,
        "channels": channels,
        "width": width,
        "encoder_blocks": encoder_blocks,
        "decoder_blocks": decoder_blocks,
        "edge_blocks": edge_blocks,
        "edge_width": edge_width,
        "batch_pixels": batch * 192 * 192,
        "lapped_steps": lapped_steps,
        "lr": lr,
        "seed": seed,
        "precision": precision,
        "minutes": None if for_ is None else minutes_of(for_),
        "workers": workers,
        "log_every": log_every,
    }
    settings = parse(AutoencoderRun, options, "autoencoder train")
    where = choose_device(device)
    pictures = read_pictures(photos or (), pairs or (), shards or (), packed)
    typer.echo(f"{len(pictures)} pictures in {len(pictures.groups)} groups")
    weights = run(pictures, settings, out, where, stop_after=stop_after, restart=restart)
    if weights is not None:
        typer.echo(f"weights: {weights}")


@app.command(cls=Command)
def pack(
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    photos: Photos = None,
    pairs: Pairs = None,
    shards: Shards = None,
    limit_mib: Annotated[
        float, typer.Option(min=0.1, help="MiB of the files at most; folders and a tar of them take a little more.")
    ] = 23.5,
) -> None:
    """Pack a small folder of pictures for `train --packed`, on a machine that is lent for a short time."""
    from trainer.autoencoder.pack import pack as write
    from trainer.autoencoder.pictures import read_pictures

    count, size = write(read_pictures(photos or (), pairs or (), shards or ()), out, limit_mib)
    typer.echo(f"{out}: {count} pictures, {size / 2**20:.2f} MiB")


@app.command("eval", cls=Command)
def evaluate(
    model: Annotated[str, typer.Argument(help="The folder of an autoencoder, 'mmaif', or a hub name.")],
    images: Annotated[list[Path] | None, typer.Option(help="A folder of images, a set. Repeatable.")] = None,
    pairs: Pairs = None,
    shards: Shards = None,
    sheet: Annotated[Path | None, typer.Option(help="A picture to write: originals, round trips, differences.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Of the sheet and of the list of the worst, for each set.")] = 4,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    device: Device = None,
) -> None:
    """Measure the round trip: PSNR and SSIM a set, the worst pictures, and a sheet of them."""
    from trainer.autoencoder import report
    from trainer.autoencoder.evaluation import evaluate as measure
    from trainer.data.images import check_writable, write_image
    from trainer.device import choose_device
    from trainer.errors import UserError
    from trainer.evaluation.sets import read_sets
    from trainer.evaluation.sheets import sheet as sheet_of
    from trainer.frozen.loading import load_autoencoder

    if precision not in ("auto", "fp32", "bf16", "fp16"):
        raise UserError(f"--precision {precision}: auto, fp32, bf16 or fp16")
    if not (images or pairs or shards):
        raise UserError("nothing to measure on; give --images, --pairs or --shards")
    if sheet is not None:
        check_writable(sheet)
    autoencoder = load_autoencoder(model, choose_device(device), precision)  # type: ignore[arg-type]
    scores = measure(autoencoder, read_sets(images or (), pairs or (), shards or ()))
    typer.echo(report.table(scores))
    typer.echo(f"the worst:\n{report.worst(scores, rows)}")
    if sheet is not None:
        write_image(sheet, sheet_of(report.spread(scores, rows)))
        typer.echo(f"wrote {sheet}")
