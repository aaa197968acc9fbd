"""Pictures that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.data.images import read_image
from trainer.errors import UserError


def test_an_image_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match="not an image"):
        read_image(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"b\.png: cannot be read"):
        read_image(tmp_path / "b.png")
