"""The KLT that is fitted as a run starts."""

from __future__ import annotations

import pytest
import torch

from trainer.errors import UserError
from trainer.frozen.klt import KLTAutoencoder


def test_pictures_smaller_than_a_block_are_one_line() -> None:
    with pytest.raises(UserError, match="a sample of 32x7 px"):
        KLTAutoencoder.fit([torch.zeros(3, 7, 32)])
