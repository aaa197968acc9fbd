"""The tone head: it sees the whole, wherever the network works, and its field is smooth."""

from __future__ import annotations

import pytest
import torch

from tests.trainer.model.test_dit import build, inputs
from trainer.model.inputs import THUMBNAIL, Whole
from trainer.model.tone import GRID, within


def window(*sides: float) -> torch.Tensor:
    return torch.tensor([sides])


def test_thumbnails_are_means_over_what_a_pixel_covers() -> None:
    pixels = torch.rand(2, 3, 3, 2 * THUMBNAIL, 3 * THUMBNAIL)
    whole = Whole.of(pixels)
    assert whole.thumbnails.shape == (2, 9, THUMBNAIL, THUMBNAIL)
    torch.testing.assert_close(whole.thumbnails[1, 5, 7, 9], pixels[1, 1, 2, 14:16, 27:30].mean())
    assert whole.window.tolist() == [[0, 0, 1, 1]] * 2


def test_a_field_is_met_at_its_own_places_and_is_linear_between_them() -> None:
    field = torch.arange(GRID).float().expand(1, 1, GRID, GRID)  # rises by one a column
    there = within(field, window(0, 0, 1, 1), (GRID, GRID))
    torch.testing.assert_close(there, field)
    finer = within(field, window(0, 0, 1, 1), (3, 4 * GRID))[0, 0, 1]
    torch.testing.assert_close(finer[2:-2].diff(), torch.full((4 * GRID - 5,), 0.25))
    assert finer[0] == finer[1] == 0  # no further than the first place


@pytest.mark.parametrize("box", [(0, 0, 8, 12), (4, 6, 16, 20), (10, 3, 12, 5)])
def test_a_window_sees_its_part_of_the_field(box: tuple[int, int, int, int]) -> None:
    top, left, bottom, right = box
    field = torch.randn(1, 3, GRID, GRID)
    whole = within(field, window(0, 0, 1, 1), (16, 20))
    part = within(field, window(top / 16, left / 20, bottom / 16, right / 20), (bottom - top, right - left))
    torch.testing.assert_close(part, whole[..., top:bottom, left:right])


def test_the_window_of_a_part_is_found_from_its_places() -> None:
    rows, columns = (torch.arange(16) + 0.5) / 16, (torch.arange(20) + 0.5) / 20
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None, :, 4:8, 5:20]
    whole = Whole.of(torch.rand(1, 3, 3, 64, 80)).seen_at(places)
    torch.testing.assert_close(whole.window, window(4 / 16, 5 / 20, 8 / 16, 1))


def test_what_lies_outside_the_window_reaches_the_output() -> None:
    model, given = build(tone=True), inputs()
    assert given.whole is not None
    brighter = given._replace(whole=given.whole._replace(thumbnails=given.whole.thumbnails + 0.5))
    assert (model(brighter).z - model(given).z).abs().min() > 0


def test_a_network_with_a_tone_head_asks_for_the_whole() -> None:
    with pytest.raises(ValueError, match="thumbnails"):
        build(tone=True)(inputs()._replace(whole=None))
