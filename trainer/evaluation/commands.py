"""The command that measures: evaluate. It parses, calls and prints."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from trainer.errors import UserError
from trainer.usage import MEASURE, Command, examples


def register(app: typer.Typer) -> None:
    """Add this to the commands of `trainer`."""
    for command, lines in EXAMPLES.items():
        app.command(cls=Command, rich_help_panel=MEASURE, epilog=examples(*lines))(command)


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


EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    evaluate: (
        "trainer evaluate --shards shards/test --weights release --shuffled -o out/test",
        'trainer evaluate --pairs PAIRS --prompt "remove the rain" --weights RUN/weights -o out/rain',
    ),
}
