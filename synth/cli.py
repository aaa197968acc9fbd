"""The commands of `synth`. They parse, call and print; what is heavy is imported where it is used."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.errors import UserError

if TYPE_CHECKING:
    from synth.generate import Summary
    from synth.plan import Plan
    from synth.scene import DepthKind, Task

app = typer.Typer(
    name="synth",
    help="Clean image pairs and a recipe in; degraded pairs, instructions and fused targets out, as WebDataset shards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

LISTED = 10  # pairs left out that are named one by one


@app.command()
def generate(
    recipe: Annotated[str, typer.Option(help="A recipe: a YAML file, or the name of one that ships with the tool.")],
    out: Annotated[Path | None, typer.Option(help="The dataset's folder. Default: shards/NAME.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Pairs to use instead of the recipe's: ROOT/<task>/<stem>/ or ROOT/<stem>/.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="The number of samples, instead of the recipe's.")] = None,
    samples_per_shard: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one for each core.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove another recipe's shards from the folder first.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, say what is left out and why, and stop.")] = False,
) -> None:
    """Make a dataset from a recipe. To go on after an interruption, run the same command again."""
    from synth.engines import local
    from synth.generate import check_folder, claimed, finish, missing_shards
    from synth.plan import make_plan
    from synth.recipe_file import find_recipe, load_recipe

    overrides = {"samples": limit, "samples_per_shard": samples_per_shard}
    loaded = load_recipe(find_recipe(recipe), {key: value for key, value in overrides.items() if value is not None})
    plan = make_plan(loaded, data)
    out = out or Path("shards") / loaded.name
    _say_plan(plan, listed=len(plan.left_out) if dry_run else LISTED)
    if dry_run:
        return
    check_folder(out)
    with claimed(out):
        missing = missing_shards(plan, out, overwrite)
        try:
            if missing:
                samples = sum(shard.stop - shard.start for shard in missing)
                with _progress(loaded.name, samples) as advance:
                    local.run(plan, missing, out, workers or local.default_workers(), advance)
            summary = finish(plan, out, made=len(missing))
        except KeyboardInterrupt:
            typer.echo("synth: interrupted; finished shards stay: run the same command to go on", err=True)
            raise typer.Exit(130) from None
        except OSError as error:
            typer.echo(f"synth: {error}; finished shards stay: mend it and run the same command to go on", err=True)
            raise typer.Exit(1) from None
    _say_summary(summary, out)


@app.command()
def preview(
    dataset: Annotated[Path, typer.Argument(help="A dataset's folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG file.")] = Path("out/preview.png"),
    count: Annotated[int, typer.Option(min=1, max=200, help="How many samples, spread over the dataset.")] = 12,
) -> None:
    """A sheet of samples: a, b, what the instruction asks for, and what was drawn."""
    from synth.audit.preview import write_sheet

    shown = write_sheet(dataset, out, count)
    typer.echo(f"{shown} samples of {dataset} → {out}")


@app.command()
def degrade(
    a: Annotated[Path, typer.Argument(help="The first image: visible, under-exposed or near focus.")],
    b: Annotated[Path, typer.Argument(help="The second: infrared, over-exposed or far focus.")],
    effect: Annotated[
        list[str], typer.Option(help="haze=0.6 (a severity), rain=rate:30, noise=sigma:25,images:a. Repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for a.png, b.png and record.json.")],
    task: Annotated[str, typer.Option(help="What the pair is: vif, mef or mff.")] = "vif",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    depth: Annotated[Path | None, typer.Option(help="A depth map of the scene, in any unit.")] = None,
    inverse_depth: Annotated[bool, typer.Option("--inverse-depth", help="Its values are 1 / distance.")] = False,
) -> None:
    """Let effects fall on one pair, without a recipe."""
    from synth.apply import degrade_files

    kind: DepthKind = "inverse" if inverse_depth else "distance"
    degrade_files(a, b, effect, out, task=_task(task), seed=seed, depth=depth, kind=kind)
    typer.echo(f"{out / 'a.png'}, {out / 'b.png'}, {out / 'record.json'}")


@app.command()
def effects() -> None:
    """List the effects: stage, images, severity, and the quantities that a recipe may set."""
    from synth.degradations import effects as known

    for name, effect in known().items():
        typer.echo(f"{name}: {effect.stage.name.lower()}, falls on {effect.images}; severity 0 to 1")
        for key, quantity in effect.quantities.items():
            span = ", ".join(map(str, quantity.choices)) or f"{quantity.low:g} to {quantity.high:g}"
            instead = " (in place of the severity)" if quantity.strength else ""
            typer.echo(f"    {key}: {span} {quantity.unit}{instead}")


def _task(name: str) -> "Task":
    tasks: dict[str, Task] = {"vif": "vif", "mef": "mef", "mff": "mff"}
    if name not in tasks:
        raise UserError(f"--task {name}: must be one of vif, mef, mff")
    return tasks[name]


def _say_plan(plan: "Plan", listed: int) -> None:
    recipe = plan.recipe
    typer.echo(f"{recipe.name}: {recipe.samples} samples of {recipe.crop.size} px in {len(plan.shards)} shards")
    for pool in plan.pools:
        typer.echo(f"  {pool.task}  {pool.dataset}: {len(pool.pairs)} pairs, weight {pool.weight:.3g}")
    for item in plan.left_out[:listed]:
        typer.echo(f"  left out: {item.scene}: {item.reason}")
    if len(plan.left_out) > listed:
        typer.echo(f"  left out: {len(plan.left_out) - listed} more; --dry-run lists them all")


def _say_summary(summary: "Summary", out: Path) -> None:
    typer.echo(
        f"{out}: {summary.samples} samples in {summary.shards} shards ({summary.made} made now), "
        f"{summary.bytes / 1e6:.1f} MB"
    )
    for reason, times in summary.reasons.most_common():
        typer.echo(f"  failed: {times} samples: {reason}", err=True)
    if summary.samples == 0:
        raise UserError(f"{out}: every sample failed; mend the sources, then remove the folder and run again")


class _progress:
    """A bar with samples a second; as a context it gives the function that sets how many are done."""

    def __init__(self, name: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(name, total=total, rate="")

    def __enter__(self) -> "_progress":
        self._bar.start()
        return self

    def __call__(self, done: int) -> None:
        elapsed = self._bar.tasks[0].elapsed or 0
        rate = f"{done / elapsed:.1f} samples/s" if elapsed > 0 else ""
        self._bar.update(self._task, completed=done, rate=rate)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def main() -> None:
    """The console script: a user's mistake is one line and exit code 2, a path that cannot be used likewise."""
    try:
        app()
    except UserError as error:
        typer.echo(f"synth: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        typer.echo(f"synth: {error.filename or ''}: {error.strerror or error}; name another path", err=True)
        sys.exit(2)
