"""A studio of the weights that ship, and small pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.helpers import picture, png
from trainer.page.work import Studio


@pytest.fixture(scope="session")
def shared_studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(Path("release"), tmp_path_factory.mktemp("sent"), "cpu", megapixels=1.0)


@pytest.fixture
def studio(shared_studio: Studio, tmp_path: Path) -> Studio:
    """The networks of all tests, and a folder of this one alone."""
    shared_studio.folder = tmp_path / "sent"
    shared_studio.folder.mkdir()
    return shared_studio


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a picture, `size` px, under a name; the folder's name must not be told on the page."""

    def made(name: str, seed: int = 0, size: int = 48) -> Path:
        path = tmp_path / "private" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(picture(seed, size)))
        return path

    return made
