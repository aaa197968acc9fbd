"""What several tests of synth look at."""

import shutil
from pathlib import Path

import pytest

from tests.synth import sound as auditing
from tests.synth.helpers import generate, plan


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A small dataset, to be looked at and not to be changed."""
    out = tmp_path_factory.mktemp("made") / "d"
    generate(plan(), out)
    return out


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> Path:
    """A dataset without a fault, to be looked at and not to be changed."""
    out = tmp_path_factory.mktemp("sound") / "d"
    generate(auditing.plan(), out)
    return out


@pytest.fixture
def dataset(sound, tmp_path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copytree(sound, tmp_path / "d"))
