"""The command line: parses, calls, prints. Heavy imports wait inside the commands, so that `--help` is quick."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from trainer.errors import UserError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def trainer() -> None:
    """Trains the fusion network on shards, and fuses pairs of images with what it learned."""


@app.command()
def train(
    shards: Annotated[
        list[str],
        typer.Option(help="A tar, a dataset folder, or an http(s) URL of either; {000000..000003} counts. Repeatable."),
    ],
    config: Annotated[str, typer.Option(help="A preset (tiny, small) or the path of a YAML file.")] = "tiny",
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/NAME of the config.")] = None,
    samples: Annotated[int | None, typer.Option(help="Samples to train on in all.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples in a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the weights and of the order of samples.")] = None,
    autoencoder: Annotated[str | None, typer.Option(help="'klt' or the folder of a diffusers autoencoder.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU where there is one.")] = None,
    stop_after: Annotated[int | None, typer.Option(min=1, help="Pause after this many samples of the run.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print counts, sizes and costs, and stop.")] = False,
) -> None:
    """Train on shards. To resume, run the same command again."""
    from trainer.config import load_config

    resolved = load_config(
        config,
        {
            "seed": seed,
            "training.samples": samples,
            "training.batch_size": batch_size,
            "autoencoder.path": autoencoder,
        },
    )
    if dry_run:
        from trainer.training.plan import describe

        typer.echo(describe(resolved, shards))
        return
    from trainer.training.loop import train as run

    weights = run(resolved, shards, out or Path("runs") / resolved.name, device=device, stop_after=stop_after)
    if weights is not None:
        typer.echo(f"weights: {weights}")


@app.command()
def fuse(
    a: Annotated[Path, typer.Argument(help="Visible, under-exposed or near focus.")],
    b: Annotated[Path, typer.Argument(help="Infrared, over-exposed or far focus; the same size.")],
    prompt: Annotated[str, typer.Option(help="What to put right, in words.")],
    weights: Annotated[Path, typer.Option(help="The folder that `trainer train` wrote: RUN/weights.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write: .png, .jpg, …")],
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU where there is one.")] = None,
) -> None:
    """Fuse two registered images of one scene, as the prompt says."""
    from trainer.data.images import write_image
    from trainer.fuse import Fuser

    write_image(out, Fuser.from_pretrained(weights, device=device)(a, b, prompt))
    typer.echo(f"wrote {out}")


def main() -> None:
    """The entry point: a UserError becomes one line on stderr and exit code 2."""
    # where cores are shared, threads that spin while they wait make torch many times slower (bench/bench_trainer.py)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except UserError as error:
        print(f"trainer: {error}", file=sys.stderr)
        sys.exit(2)
