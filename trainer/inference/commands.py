"""The commands that make pictures: fuse and export. They parse, call and print."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from trainer.console import say
from trainer.errors import UserError
from trainer.usage import FUSE, Command, examples


def register(app: typer.Typer) -> None:
    """Add these to the commands of `trainer`."""
    for command, lines in EXAMPLES.items():
        app.command(cls=Command, rich_help_panel=FUSE, epilog=examples(*lines))(command)


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


EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    fuse: (
        'trainer fuse visible.png infrared.png --prompt "remove the noise and fuse them" -o fused.png',
        "trainer fuse 1.jpg 2.jpg 3.jpg --prompt auto --align mtb -o fused.tif",
        'trainer fuse PAIRS --prompt "lessen the haze a little, and fuse the images" -o FUSED --compare',
    ),
    export: (
        'trainer export --onnx fuse.onnx --prompt "remove the haze and fuse the images"',
        "trainer export --onnx any.onnx --half",
    ),
}
