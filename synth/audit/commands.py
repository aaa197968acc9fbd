"""The commands that look at datasets: verify, stats, preview and render. They parse, call and print."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth import console
from synth.errors import UserError
from synth.options import Links, recipe_names, signature_names
from synth.paths import keep_inputs
from synth.usage import LOOK, Command, examples

if TYPE_CHECKING:
    from synth.audit.verify import Verdict
    from synth.dataset.stats import Histogram, Stats
    from synth.sample.plan import Plan
    from synth.storage import Storage

LISTED = 50  # faults that are printed
LONGEST = 500  # characters of such a line
SMALL = 100_000_000  # bytes of a dataset that is through before more processes have begun
WIDTH = 120  # of tables that go to a file
Dataset = Annotated[str, typer.Argument(help="A dataset's folder, or its URL (s3://bucket/prefix).")]
Recipe = Annotated[
    str | None,
    typer.Option(
        help="A recipe: a YAML file, or the name of one that ships with the tool.", autocompletion=recipe_names
    ),
]
Data = Annotated[str | None, typer.Option(help="Pairs to use instead of the recipe's: a folder, a URL or a manifest.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes. Default: one for each core.")]


def register(app: typer.Typer) -> None:
    """Add these commands to those of `synth`."""
    for command, lines in EXAMPLES.items():
        app.command(cls=Command, rich_help_panel=LOOK, epilog=examples(*lines))(command)


def verify(
    dataset: Dataset,
    sample: Annotated[
        int, typer.Option(min=0, help="Decode the pictures of so many samples, spread over the dataset.")
    ] = 256,
    everything: Annotated[bool, typer.Option("--all", help="Decode all pictures.")] = False,
    workers: Workers = None,
    repair: Annotated[bool, typer.Option("--repair", help="Make broken shards again, from --recipe.")] = False,
    again: Annotated[
        bool, typer.Option("--render", help="Make these samples once more, from --recipe, and compare.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            help="Hold it to a signature: a file of synth sign, or the name of one that ships.",
            autocompletion=signature_names,
        ),
    ] = None,
    recipe: Recipe = None,
    data: Data = None,
    follow_links: Links = None,
) -> None:
    """Check a dataset: hashes, counts, keys, headers, rows, records, sentences and pictures. Exit code 1: faults."""
    from synth.audit.again import make_again, plan_of
    from synth.audit.against import compare
    from synth.audit.repair import repair as mend
    from synth.audit.signature import find_signature, read_signature
    from synth.audit.text import one_line
    from synth.audit.verify import find_faults
    from synth.engines.local import default_workers
    from synth.storage import open_storage

    if repair and against is not None:
        raise UserError(
            "--repair mends by a recipe, --against holds to a signature: repair first, then hold it to that"
        )
    if (repair or again) and recipe is None:
        raise UserError(
            f"{'--repair' if repair else '--render'} and --recipe go together: what is broken, or compared, is made "
            "again from the recipe"
        )
    if recipe is not None and not (repair or again or against is not None):
        raise UserError(
            "--repair and --recipe go together: what is broken is made again from the recipe; so do --render and "
            "--recipe, which compares what it makes, and --against and --recipe, which names scenes missing or besides"
        )
    _check_beside_recipe(recipe, data, follow_links)
    signature = None if against is None else read_signature(find_signature(against))
    storage = open_storage(dataset)
    plan, libraries = (None, None)
    if recipe is not None and not repair:
        plan, libraries = plan_of(storage, recipe, data, follow_links)
    small = sum(storage.sizes().values()) < SMALL
    decode, processes = None if everything else sample, workers or (1 if small else default_workers())
    with console.bar("verify", "shards") as progress:
        verdict = find_faults(storage, decode, processes, progress)
    if again and plan is not None:
        with console.bar("render", "shards") as progress:
            compared = make_again(storage, plan, verdict, decode, libraries, progress)
        typer.echo(f"{storage.url}: {compared}")
    if signature is not None:
        with console.bar("compare", "samples") as progress:
            held = compare(storage, signature, verdict, plan, progress)
        typer.echo(one_line(f"{storage.url}: {held}", LONGEST))
    _say_verdict(storage, verdict)
    if repair and recipe is not None and verdict.count:
        mend(storage, verdict, recipe, data, processes, follow_links)
        with console.bar("verify", "shards") as progress:
            verdict = find_faults(storage, decode, processes, progress)
        typer.echo(f"{storage.url}: repaired")
        _say_verdict(storage, verdict)
    if verdict.count:
        raise typer.Exit(1)


def sign(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, NAME.sign.json.gz.")],
    recipe: Recipe = None,
    data: Data = None,
    follow_links: Links = None,
) -> None:
    """Write what a benchmark is known by: all that was drawn, and means of blocks of its pictures, under 1 KB a sample.

    Whoever renders it again holds it to that: synth verify DATASET --against FILE. With --recipe and --data, which it
    was made from, all scenes of the set are named, so that who lacks one is told which.
    """
    from synth.audit.again import plan_of
    from synth.audit.signature import SUFFIX, as_bytes
    from synth.audit.signature import sign as make
    from synth.storage import open_storage
    from synth.storage.whole import write_files

    if not out.name.endswith(SUFFIX) or out.name == SUFFIX:
        raise UserError(f"{out}: a signature is called NAME{SUFFIX}")
    _check_beside_recipe(recipe, data, follow_links)
    storage = open_storage(dataset)
    keep_inputs([out], _own_files(storage))
    plan = None if recipe is None else plan_of(storage, recipe, data, follow_links)[0]
    with console.bar("sign", "shards") as progress:
        signature = make(storage, plan, progress)
    written = as_bytes(signature)
    write_files({out: written})
    count = len(signature.samples)
    typer.echo(f"{signature.name}: {count} samples, drawn {signature.drawn} → {out} ({len(written):,} bytes)")


def stats(
    dataset: Dataset,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all counts into this file too.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw them into this PNG file too.")] = None,
) -> None:
    """Count what a dataset is made of: effects, strengths, kinds, sources, failures. Reads the sidecars alone."""
    import json

    from synth.audit.chart import as_png, draw
    from synth.dataset.stats import gather
    from synth.storage import open_storage
    from synth.storage.whole import write_files

    if picture is not None and picture.suffix.lower() != ".png":
        raise UserError(f"{picture}: the picture is a PNG file; name it .png")
    storage = open_storage(dataset)
    asked = [path for path in (json_file, picture) if path is not None]
    if len(asked) > 1 and asked[0].absolute() == asked[1].absolute():
        raise UserError(f"{asked[0]}: --json and --picture name one file; each needs its own")
    keep_inputs(asked, _own_files(storage))
    with console.bar("stats", "shards") as progress:
        found = gather(storage, progress=progress)
    _say_stats(found)
    written = []
    if json_file is not None:
        text = json.dumps(found.as_json(), indent=1, ensure_ascii=False) + "\n"
        written.append((json_file, text.encode()))
    if picture is not None:
        written.append((picture, as_png(draw(found))))
    write_files(dict(written))
    for path, _ in written:
        typer.echo(f"→ {path}")


def preview(
    dataset: Annotated[str | None, typer.Argument(help="A dataset's folder, or its URL; or --recipe.")] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A PNG file for a sheet, an HTML file for a page with filters.")
    ] = Path("out/preview.png"),
    count: Annotated[
        int,
        typer.Option(min=1, max=1000, help="How many samples, spread over the dataset; those of one pair together."),
    ] = 12,
    recipe: Recipe = None,
    data: Data = None,
    follow_links: Links = None,
) -> None:
    """Show samples: a, b, and what each sentence removes, lessens and keeps. From shards, or rendered from a recipe."""
    from synth.audit.preview import check_name, write_preview
    from synth.audit.shown import failed_in, from_recipe, from_shards
    from synth.dataset.stats import in_bytes
    from synth.storage import open_storage

    if (dataset is None) == (recipe is None):
        raise UserError("preview shows a dataset, or a recipe (--recipe): name one of them")
    _check_beside_recipe(recipe, data, follow_links)
    check_name(out)
    if recipe is not None:
        plan = _plan(recipe, data, follow_links)
        keep_inputs([out], plan.local_files())
        samples, name = from_recipe(plan, count), plan.recipe.name
        about = f"{len(samples)} of the {plan.recipe.samples:,} samples of the recipe, rendered for this page"
    else:
        storage = open_storage(str(dataset))
        samples, name = from_shards(storage, count), storage.url.rstrip("/").rpartition("/")[2]
        about, failed = f"{len(samples)} samples of the dataset", failed_in(storage)
        about += f" · {failed:,} of its samples could not be made" if failed else ""
    write_preview(samples, name, about, out)
    typer.echo(f"{len(samples)} samples of {recipe or dataset} → {out} ({in_bytes(out.stat().st_size)})")


def render(
    recipe: Annotated[str, typer.Option(help="A recipe: a YAML file, or the name of one that ships with the tool.")],
    index: Annotated[int, typer.Option(min=0, help="Of the sample, as its key has it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the pictures.")],
    data: Data = None,
    follow_links: Links = None,
) -> None:
    """Make one sample again, every stage of it as a picture: clean, depth, after each effect, inputs, targets."""
    from synth.audit.stages import SHEET, render_files

    files = render_files(_plan(recipe, data, follow_links), index, out)
    typer.echo(f"{len(files)} files → {out}; all at a glance: {out / SHEET}")


def _plan(recipe: str, data: str | None, follow_links: bool | None) -> "Plan":
    from synth.recipe.file import find_recipe, load_recipe
    from synth.sample.plan import make_plan

    return make_plan(load_recipe(find_recipe(recipe)), data, follow_links)


def _check_beside_recipe(recipe: str | None, data: str | None, follow_links: bool | None) -> None:
    """Raises UserError where options of a recipe's pairs stand without one."""
    for option, value in (("--data", data), ("--follow-links", follow_links)):
        if recipe is None and value is not None:
            raise UserError(f"{option} goes with --recipe: the pairs of a dataset are those it was made from")


def _own_files(storage: "Storage") -> list[Path]:
    """The files of a dataset itself, where it stands in a folder of this machine."""
    from synth.dataset.card import CARD
    from synth.dataset.description import DATASET, is_shard
    from synth.storage import Folder

    if not isinstance(storage, Folder):
        return []
    return [storage.path / name for name in storage.sizes() if is_shard(name) or name in (DATASET, CARD)]


def _say_verdict(storage: "Storage", verdict: "Verdict") -> None:
    from synth.audit.text import one_line

    for fault in verdict.faults[:LISTED]:
        typer.echo(one_line(str(fault), LONGEST))
    if verdict.count > LISTED:
        typer.echo(f"… and {verdict.count - LISTED} more")
    failed = f", {verdict.failed} failed" if verdict.failed else ""
    there = f"{verdict.samples} samples{failed} in {console.shards(verdict.shards)}, {verdict.bytes / 1e6:.1f} MB"
    typer.echo(
        f"{storage.url}: {there}, "
        f"pictures of {verdict.decoded} decoded: "
        + (f"faults: {verdict.count}, broken shards: {len(verdict.broken)}" if verdict.count else "sound")
    )


def _say_stats(found: "Stats") -> None:
    """Tables, one below the other."""
    from rich.console import Console
    from rich.table import Table

    from synth.audit.text import one_line
    from synth.dataset.stats import in_bytes, ranked
    from synth.scene.capture import IMAGES

    page = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    failed, shards = f", {found.failed:,} failed" if found.failed else "", console.shards(found.shards)
    page.print(
        f"{one_line(found.name)}: {found.samples:,} samples{failed}, {shards}, {in_bytes(found.bytes)}",
        markup=False,
        highlight=False,
    )
    for note in found.notes:
        page.print(f"note: {one_line(note, LONGEST)}", markup=False, highlight=False, soft_wrap=True)

    def table(head: list[str], rows: list[list[Any]]) -> None:
        if not rows:
            return
        drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for number, name in enumerate(head):
            drawn.add_column(name, justify="right" if number and isinstance(rows[0][number], int | float) else "left")
        for row in rows:
            drawn.add_row(*(_cell(cell) for cell in row))
        page.print()
        page.print(drawn)

    tasks = sorted(found.tasks)
    images = [name for name in (*IMAGES, "both") if any(image == name for _, image in found.by_image)]
    share = lambda count: 100 * count / found.samples  # noqa: E731
    table(
        ["effect", "samples", "%", *tasks, *(f"on {name}" for name in images), "alone", "kept"],
        [
            [effect, count, share(count)]
            + [found.by_task[effect, task] for task in tasks]
            + [found.by_image[effect, image] for image in images]
            + [found.alone[effect], found.kept[effect]]
            for effect, count in ranked(found.effects)
        ],
    )
    table(
        ["how strong", "images", "from", "", "to", ""],
        [[name.partition(":")[0], *_spark(histogram)] for name, histogram in sorted(found.strengths.items())],
    )
    for head, counts in (
        ("kind", dict(ranked(found.kinds))),
        ("different effects", {str(number): count for number, count in sorted(found.numbers.items())}),
        ("size", {f"{width}×{height}": count for (height, width), count in sorted(found.sizes.items())}),
        ("target", dict(ranked(found.targets))),
    ):
        table([head, "samples", "%"], [[name, count, share(count)] for name, count in counts.items()])
    table(
        ["task", "dataset", "scenes", "samples", "%", "licence"],
        [
            [task, dataset, len(found.scenes.get(dataset, ())), count, share(count), licence]
            for (task, dataset, licence), count in sorted(found.sources.items())
        ],
    )
    table(
        ["member", "files", "bytes", "each"],
        [
            [name, count, in_bytes(found.member_bytes[name]), in_bytes(found.member_bytes[name] / count)]
            for name, count in sorted(found.members.items())
        ],
    )
    table(["failed because", "samples"], [[reason, count] for reason, count in ranked(found.reasons)])


def _cell(value: Any) -> Any:
    from rich.text import Text

    from synth.audit.text import one_line

    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else Text(one_line(value))


def _spark(histogram: "Histogram") -> list[Any]:
    """How many values, and a histogram in one line between the ends of its range."""
    drawn = histogram.drawn()
    most = max(drawn.counts)
    bars = "".join(" ▁▂▃▄▅▆▇█"[-(-8 * count // most)] for count in drawn.counts)
    return [sum(drawn.counts), f"{drawn.low:.3g}", bars, f"{drawn.high:.3g}", drawn.unit]


EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    verify: (
        "synth verify shards/mef_haze",
        "synth verify shards/mef_haze --all --workers 4",
        "synth verify shards/mef_haze --render --recipe mef_haze.yaml",
        "synth verify shards/demo --against benchmark/demo",
    ),
    sign: ("synth sign shards/vif_msrs --out vif_msrs.sign.json.gz",),
    stats: ("synth stats shards/mef_haze --picture stats.png",),
    preview: (
        "synth preview shards/mef_haze --out preview.html",
        "synth preview --recipe all_in_one --out sheet.png",
    ),
    render: ("synth render --recipe mef_haze --index 7 --out sample",),
}
