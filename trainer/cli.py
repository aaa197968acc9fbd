"""The command line: parses, calls, prints. Heavy imports wait inside the commands, so that `--help` is quick."""

import io
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from trainer import usage
from trainer.addresses import shown
from trainer.autoencoder.cli import app as autoencoder_app
from trainer.console import say
from trainer.errors import NAMED_WRONGLY, UserError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(autoencoder_app, name="autoencoder")


@app.callback()
def trainer(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=usage.show_version, help="The version, and where it lies."),
    ] = False,
) -> None:
    """Trains the fusion network on shards, and fuses pairs of images with what it learned."""


@app.command(cls=usage.Command)
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
            help="A preset (tiny, release, gpu, release-cpu, release-cpu-days, ti, s, b, l) or the path of a YAML file."
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


@app.command(cls=usage.Command)
def encode(
    shards: Annotated[list[str], typer.Option(help="Shards of pictures, as for `train`. Repeatable.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    config: Annotated[
        str, typer.Option(help="Of the runs that are to train on it: a preset or the path of a YAML file.")
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


@app.command(cls=usage.Command)
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


@app.command(cls=usage.Command)
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


@app.command(cls=usage.Command)
def schema() -> None:
    """Print the JSON schema of a config, by which editors complete and check the YAML file."""
    import json

    from trainer.config import Config

    typer.echo(json.dumps(Config.model_json_schema(), indent=1))


@app.command(cls=usage.Command)
def evaluate(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write: report, rows, pictures.")],
    shards: Annotated[
        list[str] | None,
        typer.Option(help="Held-out shards with sidecars, as for `train`; best with clean pairs in them. Repeatable."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Or pairs as they are: a folder with [TASK/]DATASET-SCENE/{a,b[,gt]}.png."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="What all of --pairs are asked; default: 'fuse the images'.")
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Weights folders to measure, RUN/weights; `none` for the references alone. Repeatable."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Of weights that hold both, regression or flow; default: what they were trained for. Repeatable."
        ),
    ] = None,
    openfocus: Annotated[
        Path | None,
        typer.Option(help="The program bin/openfocus of an environment that has it: a reference for focused pairs."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Samples at most; whole groups of them.")] = None,
    shuffled: Annotated[
        bool, typer.Option("--shuffled", help="Each network once more, with the sentences of other samples.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU where there is one.")] = None,
) -> None:
    """Measure weights on held-out data, beside references that learn nothing: quality and obedience."""
    if (pairs is None) == (not shards):
        raise UserError("evaluate: give either --shards or --pairs")
    if prompt is not None and not prompt.strip():
        raise UserError("--prompt: nothing is asked; say in words what to put right, such as 'fuse the images'")
    if shards and prompt is not None:
        raise UserError("--prompt: is for --pairs; samples of shards bring their own sentences")
    chosen = weights or [Path("release")]
    if Path("none") in chosen:
        if len(chosen) > 1:
            raise UserError("--weights none: the references alone, and other weights beside it; give one or the other")
        idle = {"--shuffled": shuffled, "--variant": variant}
        if said := [name for name, value in idle.items() if value]:
            raise UserError(f"{said[0]}: is of a network, and --weights none measures none")
        chosen = []
    if shuffled and not shards:
        raise UserError("--shuffled: is for --shards; all of --pairs are asked the same")
    from trainer.evaluation.cases import OfPairs, OfShards
    from trainer.evaluation.methods import Networks
    from trainer.evaluation.run import evaluate as run

    cases = OfPairs(pairs, prompt or "fuse the images", limit) if pairs else OfShards(shards or [], limit)
    typer.echo(run(cases, Networks(chosen, variant or (), shuffled, device), out, openfocus))


@app.command(cls=usage.Command)
def fuse(
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Two images of one scene: visible and infrared, under- and over-exposed, near and far focus; more, of "
            "a bracket or a focus stack; folders with images of equal names; or one folder, in it one a scene with "
            "a.png, b.png."
        ),
    ],
    prompt: Annotated[
        str, typer.Option(help="What to put right, in words; `auto`: what the network sees itself, which is printed.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The picture to write: .png, .jpg, .webp, .tif or .bmp; of folders a folder."),
    ],
    weights: Annotated[
        Path, typer.Option(help="The folder that `trainer train` wrote, RUN/weights; default: what ships.")
    ] = Path("release"),
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="From the closed-form fusion (0) to the network's picture (1).")
    ] = 1.0,
    passes: Annotated[
        int,
        typer.Option(
            help="1, 2 or 4: the mean of so many pictures, each elsewhere on the network's grid: fewer squares, for as "
            "many times the time."
        ),
    ] = 1,
    order: Annotated[
        str, typer.Option(help="Of more than two images: exposure, sharpness, given, or auto, which sees which it is.")
    ] = "auto",
    align: Annotated[
        str | None,
        typer.Option(help="Lay the images onto the first: mtb (whole pixels) or ecc (turns and scales too)."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write a sheet of inputs and picture too: OUT.compare.png.")
    ] = False,
    suffix: Annotated[str | None, typer.Option(help="Of the pictures of a folder; default .png.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make pictures of a folder anew that are there already.")
    ] = False,
    infrared: Annotated[
        str,
        typer.Option(
            help="Which picture is a thermal camera's, a, b or none: its more than 8 bits are stretched. "
            "`auto`: what the files show, which is printed."
        ),
    ] = "auto",
    variant: Annotated[
        str | None,
        typer.Option(
            help="Of weights that hold both: regression (one look) or flow (several); default: what they were "
            "trained for."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what a flow draws.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Of a flow; default: its own number.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU where there is one.")] = None,
) -> None:
    """Fuse registered images of one scene, as the prompt says; or folders of them."""
    from trainer.data.images import check_suffix
    from trainer.inference.jobs import jobs_of

    if of_folders := images[0].is_dir():
        check_suffix(Path(f"--suffix {'.png' if suffix is None else suffix}"))
    elif suffix is not None:
        raise UserError(f"--suffix {suffix}: of a folder's pictures; --out names this one as a whole")
    jobs = jobs_of(images, out, ".png" if suffix is None else suffix)
    from trainer.inference.fusing import Asked, check_job, fuse_folder, fuse_one
    from trainer.schema import parse

    settings = {"prompt": prompt, "seed": seed, "steps": steps, "strength": strength, "passes": passes}
    asked = parse(Asked, settings | {"order": order, "align": align, "infrared": infrared}, "fuse")
    if not of_folders:
        check_job(jobs.jobs[0])
    from trainer.inference.fuser import Fuser, PromptCut

    fuser = Fuser.from_pretrained(weights, device, variant)
    fuser.check(seed, steps, asked.prompt)
    if unread := fuser.cut(asked.prompt):
        say(f"warning: {unread}")
    warnings.simplefilter("ignore", PromptCut)
    if not of_folders:
        said = fuse_one(fuser, jobs.jobs[0], asked, compare)
        if said != asked.prompt:
            typer.echo(f"auto: {said}")
        typer.echo(f"wrote {out}")
        return
    from trainer.inference.folder import hash_of_network

    asked = asked.model_copy(update={"weights": hash_of_network(fuser.model)})
    failed = fuse_folder(fuser, jobs, out, asked, compare=compare, overwrite=overwrite)
    typer.echo(f"{out}: {len(jobs.jobs) - failed} pictures" + (f", {failed} could not be made" if failed else ""))
    if failed:
        raise typer.Exit(1)


@app.command("app", cls=usage.Command)
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
    """Fuse on a page in a browser: trainer app --port 7861, then open http://127.0.0.1:7861/."""
    from trainer.page.serve import Served, serve

    serve(Served(weights, host, port, max_megapixels, device, browse))


@app.command(cls=usage.Command)
def export(
    onnx: Annotated[Path, typer.Option(help="The file to write, .onnx.")],
    weights: Annotated[
        Path, typer.Option(help="The folder that `trainer train` wrote, RUN/weights; default: what ships.")
    ] = Path("release"),
    prompt: Annotated[
        str | None,
        typer.Option(
            help="A sentence to bake in, so that the file takes two pictures alone; without it, it takes their "
            "closed-form fusion and an encoded sentence too."
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights in fp16: half the file.")] = False,
) -> None:
    """Write the regression as an ONNX file for use without torch, once onnxruntime makes the same pictures of it."""
    from trainer.inference.export import export as write

    typer.echo(write(weights, onnx, prompt, half=half))


@app.command(cls=usage.Command)
def model(
    config: Annotated[
        str,
        typer.Option(
            help="A preset (tiny, release, gpu, release-cpu, release-cpu-days, ti, s, b, l) or the path of a YAML file."
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


@app.command(cls=usage.Command)
def doctor() -> None:
    """Look at this machine: versions, cores, GPU, disk, a self-test of some seconds, and what is missing with the
    command that installs it. Exit code 1 where something keeps the trainer from working."""
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
