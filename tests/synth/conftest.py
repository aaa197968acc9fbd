"""What several tests of synth look at."""

from pathlib import Path

import pytest

from tests.synth.helpers import generate, plan


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A small dataset, to be looked at and not to be changed."""
    out = tmp_path_factory.mktemp("made") / "d"
    generate(plan(), out)
    return out
