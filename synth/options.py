"""Options that several commands have, and what a shell completes for them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from synth import usage
from synth.paths import home


def recipe_names(incomplete: str) -> list[str]:
    """For a shell that completes: recipes that ship, and files."""
    from synth.recipe.file import shipped

    return [*_beginning(shipped(".yaml"), incomplete), *_files(incomplete, (".yaml", ".yml"))]


def signature_names(incomplete: str) -> list[str]:
    """Likewise: signatures."""
    from synth.recipe.file import SIGNATURE, shipped

    return [*_beginning(shipped(SIGNATURE), incomplete), *_files(incomplete, (SIGNATURE,))]


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Files with these endings whose path begins so, and folders on the way to others, as `folder/`."""
    above, line, begun = incomplete.rpartition("/")
    found = []
    try:
        for path in sorted(home(Path(f"{above}{line}")).iterdir()):
            if path.name.startswith(begun) and (begun or not path.name.startswith(".")):
                if path.is_dir():
                    found.append(f"{above}{line}{path.name}/")
                elif path.name.endswith(suffixes):
                    found.append(f"{above}{line}{path.name}")
    except OSError:
        return []
    return found


def effect_names(incomplete: str) -> list[str]:
    """Likewise: effects."""
    from synth.degradations import effects

    return [f"{name}=" for name in effects() if name.startswith(incomplete)]


Recipe = Annotated[
    str,
    typer.Option(
        "--recipe",
        help="A recipe: a YAML file, or the name of one that ships with the tool.",
        autocompletion=recipe_names,
    ),
]
Out = Annotated[
    str | None,
    typer.Option("--out", help="A folder, or a URL (s3://bucket/prefix). Default: shards/NAME."),
]
Data = Annotated[
    str | None,
    typer.Option("--data", help="Other pairs: a folder or URL with <task>/<stem>/ or <stem>/, or a manifest."),
]
Links = Annotated[
    bool | None,
    typer.Option(
        "--follow-links/--no-follow-links",
        help="Whether links of sources may lead out of their folders; default: as the recipe says, and in --data.",
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="The number of samples, instead of the recipe's.")]
PerShard = Annotated[int | None, typer.Option("--samples-per-shard", min=1, help="Instead of the recipe's.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes. Default: one for each core, or what the cluster has.",
        rich_help_panel=usage.RUN,
    ),
]
Engine = Annotated[str, typer.Option("--engine", help="local, or ray.", rich_help_panel=usage.RUN)]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Of a Ray cluster to join; none starts one here.", rich_help_panel=usage.RUN),
]
PairsLimit = Annotated[
    int,
    typer.Option(
        "--max-failed-pairs", min=1, help="Stop once so many pairs cannot be read …", rich_help_panel=usage.RUN
    ),
]
ShareLimit = Annotated[
    float,
    typer.Option(
        "--max-failed-share", min=0, max=1, help="… and over this share of all pairs.", rich_help_panel=usage.RUN
    ),
]
