"""Datasets that the readers of other projects are given, one of each encoding."""

import os
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENCODINGS = ("png", "jpeg95", "mixed")
os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": tempfile.mkdtemp(prefix="mmaif-readers-"),
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}  # read where datasets is imported


def made(out: Path, encoding: str, store: tuple[str, ...] = ()) -> Path:
    """All tasks and effects in shards of 32, and a pair that cannot be read: some samples fail."""
    from synth.recipe.schema import Recipe
    from synth.sample.plan import make_plan
    from tests.synth.helpers import bracket_folder, generate

    bracket_folder(out / "pairs")
    (out / "pairs/shots-1/a.png").write_bytes(b"")
    recipe = yaml.safe_load((ROOT / "recipes/all_in_one.yaml").read_text(encoding="utf-8"))
    recipe |= {"name": "read", "samples": 96, "samples_per_shard": 32, "encoding": encoding, "store": list(store)}
    recipe["crop"]["size"] = 64
    recipe["tasks"]["mef"]["sources"].append({"folder": str(out / "pairs"), "licence": "CC0"})
    plan = make_plan(Recipe.model_validate(recipe))
    generate(plan, out / "d")
    return out / "d"


@pytest.fixture(scope="session")
def datasets_by_encoding(tmp_path_factory) -> dict[str, Path]:
    store = {"png": ("clean",)}
    return {
        encoding: made(tmp_path_factory.mktemp(encoding), encoding, store.get(encoding, ())) for encoding in ENCODINGS
    }


@pytest.fixture(params=ENCODINGS)
def folder(request, datasets_by_encoding) -> Path:
    """A dataset of each encoding in turn."""
    return datasets_by_encoding[request.param]


@pytest.fixture(params=["png", "jpeg95"])
def uniform(request, datasets_by_encoding) -> Path:
    """A dataset whose samples all have the same members."""
    return datasets_by_encoding[request.param]
