"""The commands of `synth`. They parse, call and print; what is heavy is imported where it is used."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth import console, options, usage
from synth.audit import commands as audit
from synth.errors import StoppedError, UserError

if TYPE_CHECKING:
    from synth.pairs.public_sets import Role
    from synth.sample.plan import Plan
    from synth.scene.scene import DepthKind
    from synth.storage import Storage

app = typer.Typer(
    name="synth",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

LISTED = 10  # pairs left out that are named one by one


@app.callback()
def synth(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=usage.show_version, help="The version, and where it lies."),
    ] = False,
) -> None:
    """Clean image pairs and a recipe in; degraded pairs, instructions and fused targets out, as WebDataset shards."""


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.MAKE,
    epilog=usage.examples(
        "synth generate --recipe mef_haze.yaml",
        "synth generate --recipe all_in_one --data data/pairs/train --samples-per-shard 512 --workers 8",
        "synth generate --recipe all_in_one --data data/pairs/train --extend 20000",
        "synth generate --recipe my.yaml --out s3://bucket/my --dry-run",
    ),
)
def generate(
    recipe: options.Recipe,
    out: options.Out = None,
    data: options.Data = None,
    follow_links: options.Links = None,
    limit: options.Limit = None,
    samples_per_shard: options.PerShard = None,
    workers: options.Workers = None,
    engine: options.Engine = "local",
    address: options.Address = None,
    extend: Annotated[int | None, typer.Option(min=1, help="Make a dataset larger: samples in all.")] = None,
    shard_range: Annotated[
        str | None,
        typer.Option(
            help="Make these shards alone, FIRST:END (without END); `synth finish` closes.", rich_help_panel=usage.RUN
        ),
    ] = None,
    max_failed_pairs: options.PairsLimit = 10,
    max_failed_share: options.ShareLimit = 0.05,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove another recipe's shards from the folder first.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, say what is left out and why, and stop.")] = False,
) -> None:
    """Make a dataset from a recipe. To go on after an interruption, run the same command again."""
    from synth.dataset.generate import FailureLimit, Run
    from synth.dataset.generate import generate as make
    from synth.engines import engine_of

    if limit is not None and extend is not None:
        raise UserError("--limit and --extend both name the number of samples: give one of them")
    plan, storage = _dataset(recipe, out, (data, follow_links), extend or limit, samples_per_shard)
    console.say_plan(plan, listed=len(plan.left_out) if dry_run else LISTED)
    part = None if shard_range is None else _part(shard_range, len(plan.shards))
    if part is not None and (overwrite or extend is not None):
        raise UserError("--shard-range makes a part of one dataset: --overwrite and --extend are for the whole of it")
    if dry_run:
        return
    chosen = engine_of(engine, workers, address)
    storage.prepare()
    stop = FailureLimit(max_failed_pairs, max_failed_share)
    with storage.claimed(shared=part is not None), console.run(plan, storage) as progress:
        run = Run(chosen, progress, stop)
        summary = make(plan, storage, run, overwrite, extend is not None, part)
    if summary is None:
        typer.echo(f"{storage.url}: shards {shard_range} stand; once all parts do: synth finish")
    else:
        console.say_summary(summary, storage)


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.MAKE,
    epilog=usage.examples("synth retry --recipe mef_haze.yaml"),
)
def retry(
    recipe: options.Recipe,
    out: options.Out = None,
    data: options.Data = None,
    follow_links: options.Links = None,
    limit: options.Limit = None,
    samples_per_shard: options.PerShard = None,
    workers: options.Workers = None,
    engine: options.Engine = "local",
    address: options.Address = None,
    max_failed_pairs: options.PairsLimit = 10,
    max_failed_share: options.ShareLimit = 0.05,
) -> None:
    """Make the failed samples of a dataset again, once their sources are mended; all others stay as they are."""
    from synth.dataset.generate import FailureLimit, Run
    from synth.dataset.generate import retry as mend
    from synth.engines import engine_of

    plan, storage = _dataset(recipe, out, (data, follow_links), limit, samples_per_shard)
    chosen = engine_of(engine, workers, address)
    with storage.claimed(), console.run(plan, storage) as progress:
        stop = FailureLimit(max_failed_pairs, max_failed_share)
        summary = mend(plan, storage, Run(chosen, progress, stop))
    console.say_summary(summary, storage)


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.MAKE,
    epilog=usage.examples("synth generate --recipe all_in_one --shard-range 0:50", "synth finish --recipe all_in_one"),
)
def finish(
    recipe: options.Recipe,
    out: options.Out = None,
    data: options.Data = None,
    follow_links: options.Links = None,
    limit: options.Limit = None,
    samples_per_shard: options.PerShard = None,
) -> None:
    """Close a dataset whose shards several runs made (--shard-range): check that all stand, and describe it."""
    from synth.dataset.generate import close

    plan, storage = _dataset(recipe, out, (data, follow_links), limit, samples_per_shard)
    with storage.claimed(), console.run(plan, storage):
        summary = close(plan, storage)
    console.say_summary(summary, storage)


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.MAKE,
    epilog=usage.examples(
        "synth manifest LLVIP --out LLVIP/pairs.parquet",
        "synth manifest DIR --out DIR/pairs.csv --task vif --a '{split}/vi/{scene}.png' --b '{split}/ir/{scene}.png'",
    ),
)
def manifest(
    root: Annotated[
        Path,
        typer.Argument(help="A public data set as it unpacks; or <task>/<stem>/ below, or the folder of one task."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .parquet, .csv or .jsonl file, in a folder that holds ROOT.")
    ],
    layout: Annotated[
        str | None, typer.Option(help="How ROOT is laid out (docs/datasets.md), in place of finding it out.")
    ] = None,
    a: Annotated[str | None, typer.Option("--a", help="Which images are a: 'vi/{scene}.png', from ROOT.")] = None,
    b: Annotated[str | None, typer.Option("--b", help="Which are b: the same fields, as 'ir/{scene}.png'.")] = None,
    gt: Annotated[str | None, typer.Option("--gt", help="Which are the fused truth, where there is one.")] = None,
    depth: Annotated[str | None, typer.Option("--depth", help="Which are depth maps, where there are any.")] = None,
    task: Annotated[str | None, typer.Option(help="Of the pairs, where their names do not tell it.")] = None,
    split: Annotated[str | None, typer.Option(help="Of all of them: train, val or test.")] = None,
    dataset: Annotated[str | None, typer.Option(help="What they are called. Default: as the folder is.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of all of them, for the records.")] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Links of the folder may lead out of it.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over a table that stands there and says something else.")
    ] = False,
) -> None:
    """Write the pairs of a folder as a table, which a recipe can name as its source."""
    from synth.pairs.writing import Wanted, write_manifest

    given: dict[Role, str | None] = {"a": a, "b": b, "gt": gt, "depth": depth}
    patterns = {role: pattern for role, pattern in given.items() if pattern is not None}
    wanted = Wanted(task, layout, patterns or None, dataset, split, licence, follow_links)
    count = write_manifest(root, out, wanted, lambda line: typer.echo(f"  {line}"), overwrite)
    typer.echo(f"{count} pairs of {root} → {out}")


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.MAKE,
    epilog=usage.examples(
        "synth degrade a.png b.png --effect haze=0.6 --effect rain=rate:30 --out degraded",
        "synth degrade under.jpg over.jpg --task mef --effect noise=sigma:25,images:a --seed 7 --out degraded",
    ),
)
def degrade(
    a: Annotated[Path, typer.Argument(help="The first image: visible, under-exposed or near focus.")],
    b: Annotated[Path, typer.Argument(help="The second: infrared, over-exposed or far focus.")],
    effect: Annotated[
        list[str],
        typer.Option(
            help="haze=0.6 (a severity), rain=rate:30, noise=sigma:25,images:a. Repeatable.",
            autocompletion=options.effect_names,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for a.png, b.png and record.json.")],
    task: Annotated[
        str | None, typer.Option(help="What the pair is; `synth tasks` lists them. Default: visible and infrared.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    depth: Annotated[Path | None, typer.Option(help="A depth map of the scene, in any unit.")] = None,
    inverse_depth: Annotated[bool, typer.Option("--inverse-depth", help="Its values are 1 / distance.")] = False,
) -> None:
    """Let effects fall on one pair, without a recipe."""
    from synth.sample.degrade import degrade_files
    from synth.tasks import DEFAULT

    kind: DepthKind = "inverse" if inverse_depth else "distance"
    given = None if depth is None else (depth, kind)
    asked = DEFAULT if task is None else task
    for note in degrade_files({"a": a, "b": b}, effect, out, task=asked, seed=seed, depth=given):
        typer.echo(f"note: {note}")
    typer.echo(f"{out / 'a.png'}, {out / 'b.png'}, {out / 'record.json'}")


audit.register(app)


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.ABOUT,
    epilog=usage.examples("synth effects", "synth effects --json"),
)
def effects(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the effects: stage, images, severity, and the quantities that a recipe may set; and imgaug's augmenters."""
    import json

    from synth.degradations.listing import as_data, as_text

    if as_json:
        typer.echo(json.dumps(as_data(), indent=1))
        return
    for line in as_text():
        typer.echo(line)


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.ABOUT,
    epilog=usage.examples("synth schema > recipe.schema.json"),
)
def schema() -> None:
    """Print the JSON schema of a recipe, by which editors complete and check the YAML file."""
    import json

    from synth.recipe.json_schema import recipe_schema

    typer.echo(json.dumps(recipe_schema(), indent=1))


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.ABOUT,
    epilog=usage.examples("synth tasks"),
)
def tasks(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the tasks of fusion: what the images of their pairs are, and which targets they may have."""
    from synth.tasks import TASKS

    if as_json:
        import json

        told = {}
        for name, task in TASKS.items():
            images = {str(image): modality for image, modality in task.capture.modalities.items()}
            told[name] = {"title": task.title, "images": images, "targets": list(task.targets)}
        typer.echo(json.dumps(told, indent=1))
        return
    for name, task in TASKS.items():
        typer.echo(f"{name}: {task.title}; targets: {', '.join(task.targets)}")
        for image, modality in task.capture.modalities.items():
            typer.echo(f"    {image}: {modality}")


def _dataset(
    recipe: str,
    out: str | None,
    pairs: tuple[str | None, bool | None],
    samples: int | None,
    samples_per_shard: int | None,
) -> "tuple[Plan, Storage]":
    """What a recipe plans, with a user's numbers in place of its own, and where it stands.

    pairs: what `--data` names, and whether links are followed.
    """
    from synth.recipe.file import find_recipe, load_recipe
    from synth.sample.plan import make_plan
    from synth.storage import open_storage

    given = {"samples": samples, "samples_per_shard": samples_per_shard}
    overrides = {key: value for key, value in given.items() if value is not None}
    plan = make_plan(load_recipe(find_recipe(recipe), overrides), *pairs)
    return plan, open_storage(out or Path("shards") / plan.recipe.name)


def _part(text: str, shards: int) -> slice:
    first, colon, end = text.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and int(first) < int(end) and int(first) < shards):
        raise UserError(f"--shard-range {text}: must be FIRST:END, FIRST below END and below {shards}, as 0:100")
    return slice(int(first), int(end))


@app.command(
    cls=usage.Command,
    rich_help_panel=usage.ABOUT,
    epilog=usage.examples("synth doctor"),
)
def doctor() -> None:
    """Look at this machine, try the tool, say what is missing and how to install it. Exit code 1: a fault."""
    from synth.doctor import findings

    faults = 0
    for finding in findings():
        typer.echo(str(finding))
        faults += finding.level == "fault"
    if faults:
        raise typer.Exit(1)


def main() -> None:
    """The console script: a user's mistake is one line and exit code 2, a path that cannot be used likewise.

    What the encoding of a terminal or a pipe cannot say is a question mark there.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        code = app(standalone_mode=False, prog_name="synth")  # of typer.Exit, and of Ctrl-C
        sys.exit(code if isinstance(code, int) else 0)
    except UserError as error:
        typer.echo(f"synth: {error}", err=True)
        sys.exit(2)
    except StoppedError as error:
        typer.echo(f"synth: {error}", err=True)
        sys.exit(error.code)
    except OSError as error:
        what = str(error) if error.filename is None else f"{error.filename}: {error.strerror}; name another path"
        typer.echo(f"synth: {what}", err=True)
        sys.exit(2)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own: what is wrong with the command line
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
        else:
            typer.echo(f"synth: {' '.join(usage.told(error, 'synth').split())}", err=True)
        sys.exit(2)
