"""The demo benchmark, rendered once, and its signature."""

import shutil
from pathlib import Path

import pytest

from synth.audit.signature import SUFFIX, Signature, as_bytes, sign
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.plan import make_plan
from synth.storage import Folder
from tests.synth.helpers import generate


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The demo benchmark, rendered here; to be looked at and not to be changed."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    generate(make_plan(load_recipe(find_recipe("benchmark/demo"))), out)
    return out


@pytest.fixture(scope="session")
def signature(demo) -> Signature:
    return sign(Folder(demo))


@pytest.fixture(scope="session")
def signed(signature, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("signed") / f"demo{SUFFIX}"
    file.write_bytes(as_bytes(signature))
    return file


@pytest.fixture
def spoiled(demo, tmp_path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copytree(demo, tmp_path / "demo"))
