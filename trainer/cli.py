"""The command line: parses, calls, prints. Heavy imports wait inside the commands, so that `--help` is quick."""

import io
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from trainer import usage
from trainer.addresses import shown
from trainer.autoencoder.cli import app as autoencoder_app
from trainer.errors import NAMED_WRONGLY, UserError
from trainer.evaluation import commands as measuring
from trainer.inference import commands as fusing

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _presets(incomplete: str) -> list[str]:
    """For a shell that completes: configs that ship."""
    names = sorted(path.stem for path in (Path(__file__).parent / "configs").glob("*.yaml"))
    return [name for name in names if name.startswith(incomplete)]


@app.callback()
def trainer(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=usage.show_version, help="The version, and where it lies."),
    ] = False,
) -> None:
    """Trains the fusion network on shards, and fuses pairs of images with what it learned."""


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.TRAIN,
    epilog=usage.examples(
        "trainer train --shards shards/mef_haze --config tiny --out runs/demo",
        "trainer train --shards shards/mine --val-shards shards/held --config release --init release --out runs/mine",
        "trainer train --shards shards/mine --config b --set training.lr=1e-4 --out runs/b --dry-run",
    ),
)
def train(
    shards: Annotated[
        list[str] | None,
        typer.Option(
            help="Tars, dataset folders, or http(s) or s3 URLs of either, one or several; globs, and {000000..000003} "
            "counts. Repeatable. Several by weight: `data` in the config."
        ),
    ] = None,
    config: Annotated[
        str,
        typer.Option(
            help="A preset (tiny, release, gpu, release-cpu, release-cpu-days, ti, s, b, l) or a YAML file.",
            autocompletion=_presets,
        ),
    ] = "tiny",
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/NAME of the config.")] = None,
    samples: Annotated[int | None, typer.Option(help="Samples to train on in all; a run goes on to more.")] = None,
    for_: Annotated[
        str | None, typer.Option("--for", help="End after this time instead, with weights: 90s, 8m, 1.5h.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples in a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the weights and of the order of samples.")] = None,
    autoencoder: Annotated[
        str | None, typer.Option(help="'klt', 'mmaif' (ours), or a folder, file or hub name of diffusers.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="A weights folder to begin from: of the same network, or of the regression that a flow with adapters "
            "leaves as it is. To resume, the folder is not needed, and the option may be left out; other weights are "
            "refused."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the config, such as model.depth=6. Repeatable."),
    ] = None,
    val_shards: Annotated[
        list[str] | None,
        typer.Option(help="Held-out shards, as --shards: scores and a sheet of them on the way. Repeatable."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU where there is one.")] = None,
    stop_after: Annotated[int | None, typer.Option(min=1, help="Pause after this many samples of the run.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew if the folder holds another run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print counts, sizes, costs and the speed of a few steps, and stop.")
    ] = False,
) -> None:
    """Train on shards. To resume, run the same command again."""
    from trainer.config import load_config, minutes_of, settings_of

    resolved = load_config(
        config,
        {
            "seed": seed,
            "training.samples": samples,
            "training.minutes": None if for_ is None else minutes_of(for_),
            "training.batch_size": batch_size,
            "autoencoder.path": autoencoder,
            "init": init,
        },
        settings_of(set_ or []),
    )
    if dry_run:
        from trainer.training.dry_run import describe, probe

        typer.echo(describe(resolved, shards or []))
        typer.echo(probe(resolved, shards or [], device))
        return
    from trainer.training.loop import train as run

    folder = out or Path("runs") / resolved.name
    weights = run(
        resolved,
        shards or [],
        folder,
        device=device,
        stop_after=stop_after,
        restart=restart,
        held_out=val_shards or [],
    )
    if weights is not None and os.environ.get("RANK", "0") == "0":
        typer.echo(f"weights: {weights}")


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.TRAIN,
    epilog=usage.examples("trainer encode --shards shards/mef_haze --config tiny --out shards/mef_haze-latents"),
)
def encode(
    shards: Annotated[list[str], typer.Option(help="Shards of pictures, as for `train`. Repeatable.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    config: Annotated[
        str, typer.Option(help="Of the runs that are to train on it: a preset or a YAML file.", autocompletion=_presets)
    ] = "release",
    visits: Annotated[int, typer.Option(min=1, max=99, help="Entries of each sample, each drawn anew.")] = 1,
    window: Annotated[
        int | None, typer.Option(min=16, help="Side in pixels of the window that an entry sees; default: all.")
    ] = None,
    symmetries: Annotated[bool, typer.Option(help="Whether entries are turned and mirrored.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of windows and symmetries.")] = 0,
    autoencoder: Annotated[
        str | None, typer.Option(help="'klt', 'mmaif' (ours), or a folder, file or hub name of diffusers.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the config, such as model.patches=false. Repeatable."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes of one thread each; 0: this one, with all threads.")
    ] = 0,
    together: Annotated[
        int | None, typer.Option(min=1, help="Samples whose pictures are encoded at once; default 1, on a GPU 16.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU where there is one.")] = None,
) -> None:
    """Encode shards once, so that training reads latents. To go on, run the same command again."""
    from trainer.config import load_config, settings_of
    from trainer.encoding.run import encode as run
    from trainer.encoding.visits import Visits

    resolved = load_config(config, {"autoencoder.path": autoencoder}, settings_of(set_ or []))
    drawn = Visits(count=visits, window=window, symmetries=symmetries, seed=seed)
    typer.echo(run(resolved, shards, out, drawn, workers=workers, together=together, device=device))


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.TRAIN,
    epilog=usage.examples("trainer plot runs/demo runs/mine --out curves.png"),
)
def plot(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `trainer train` wrote; several are compared.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write: .png, .svg, .pdf.")] = Path(
        "curves.png"
    ),
) -> None:
    """Draw the curves of one run or several."""
    from trainer.training.plot import plot as draw

    draw(runs, out)
    typer.echo(f"wrote {out}")


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.TRAIN,
    epilog=usage.examples(
        "trainer average runs/mine --std 0.1 --out averaged",
        "trainer average runs/mine/weights release --out mean",
    ),
)
def average(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="The folder of a complete run that kept snapshots (training.snapshots), with --std; or weights "
            "folders of runs that began from the same weights."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The weights folder to write.")],
    std: Annotated[
        float | None, typer.Option(help="Width of a run's average, as a share of its samples: 0.01 to 0.25.")
    ] = None,
) -> None:
    """Make averaged weights: of another width from the snapshots of a run, or the mean of several weights folders."""
    if std is None:
        if len(folders) < 2:
            raise UserError("average: give --std for the snapshots of a run, or two weights folders or more")
        from trainer.training.soup import mean_of

        mean_of(folders, out)
        typer.echo(f"weights: {out} (the mean of {len(folders)})")
        return
    if len(folders) > 1:
        raise UserError("--std: is of the snapshots of one run; leave it out for the mean of weights folders")
    from trainer.training.posthoc import average as put_together

    found = put_together(folders[0], std, out)
    typer.echo(f"weights: {out} (std {std} of {len(found)} snapshots)")


app.add_typer(autoencoder_app, name="autoencoder", rich_help_panel=usage.TRAIN)
fusing.register(app)


@app.command(
    "app",
    cls=usage.Command,
    rich_help_panel=usage.FUSE,
    epilog=usage.examples("trainer app", "trainer app --weights runs/mine/weights --port 7861 --browse"),
)
def app_(
    weights: Annotated[
        Path, typer.Option(help="The folder that `trainer train` wrote, RUN/weights; default: what ships.")
    ] = Path("release"),
    host: Annotated[
        str, typer.Option(help="Address to serve on: this machine alone; 0.0.0.0 for all who can reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve on; 0 for any that is free.")] = 7860,
    max_megapixels: Annotated[float, typer.Option(help="Of an image; larger ones are refused.")] = 16.0,
    browse: Annotated[bool, typer.Option("--browse", help="Open the page in a browser.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
) -> None:
    """Fuse on a page in a browser, at http://127.0.0.1:7860/ by default."""
    from trainer.page.serve import Served, serve

    serve(Served(weights, host, port, max_megapixels, device, browse))


measuring.register(app)


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.ABOUT,
    epilog=usage.examples("trainer schema > config.schema.json"),
)
def schema() -> None:
    """Print the JSON schema of a config, by which editors complete and check the YAML file."""
    import json

    from trainer.config import Config

    typer.echo(json.dumps(Config.model_json_schema(), indent=1))


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.ABOUT,
    epilog=usage.examples("trainer model --config release --size 640x480"),
)
def model(
    config: Annotated[
        str,
        typer.Option(
            help="A preset (tiny, release, gpu, release-cpu, release-cpu-days, ti, s, b, l) or a YAML file.",
            autocompletion=_presets,
        ),
    ] = "release",
    size: Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT in pixels.")] = "640x480",
) -> None:
    """Print the network's parameters and operations by part, without building it."""
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", size, re.ASCII)
    if match is None:
        raise UserError(f"--size {size}: give WIDTHxHEIGHT in pixels, each from 1 to 999999, such as 640x480")
    from trainer.config import load_config
    from trainer.training.dry_run import describe_network

    typer.echo(describe_network(load_config(config), (int(match[2]), int(match[1]))))


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.ABOUT,
    epilog=usage.examples("trainer doctor"),
)
def doctor() -> None:
    """Look at this machine, try to fuse, say what is missing and how to install it. Exit code 1: a fault."""
    from trainer.doctor import findings

    faults = 0
    for finding in findings():
        typer.echo(str(finding))
        faults += finding.level == "fault"
    if faults:
        raise typer.Exit(1)


def main() -> None:
    """The entry point: a mistake is one line on stderr and exit code 2, a failing disk 1, an interruption 130."""
    # where cores are shared, threads that spin while they wait make torch many times slower (bench/trainer.py)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or file of few letters shows ? for the rest
            stream.reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")
    try:
        code = app(standalone_mode=False, prog_name="trainer")
        if code == 130:  # typer makes this of KeyboardInterrupt
            raise KeyboardInterrupt
        if code:  # of typer.Exit
            sys.exit(code)
    except UserError as error:
        _stop(str(error), 2)
    except KeyboardInterrupt:
        _stop("interrupted; what was written stays, and the same command goes on", 130)
    except OSError as error:
        path = f"{error.filename}: " if error.filename else ""
        _stop(f"{path}{error.strerror or error}", 2 if error.errno in NAMED_WRONGLY else 1)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own: what was wrong with the command line
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
            sys.exit(2)
        _stop(usage.told(error, "trainer"), 2)


def _stop(message: str, code: int) -> None:
    print(f"trainer: {shown(' '.join(message.splitlines()))}", file=sys.stderr)
    sys.exit(code)
