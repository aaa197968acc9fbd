"""Padding is found where it is, and a night, a sky or a wall is none."""

import cv2
import numpy as np
import pytest

from synth.images import codecs
from synth.images.borders import beneath, content
from synth.images.pixels import Bytes
from tests.synth.helpers import photograph

SEEN = photograph(150, 200)


def framed(image: Bytes, value: int, top: int, bottom: int, left: int, right: int) -> Bytes:
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(value,) * 3)


def turned(image: Bytes, degrees: float) -> tuple[Bytes, Bytes]:
    """A picture turned as registration does, black around it, and what of it is picture (1), which is as exact."""
    height, width = image.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    ones = np.ones((height, width), np.uint8)
    image = np.clip(image, 40, 255)  # else dark things along the edge are as black as what is around them
    return cv2.warpAffine(image, move, (width, height)), cv2.warpAffine(ones, move, (width, height), flags=0)


@pytest.mark.parametrize("value", [0, 90, 255])
@pytest.mark.parametrize("colour", [True, False])
def test_a_frame_is_found_to_the_pixel(value, colour):
    image = framed(np.clip(SEEN if colour else SEEN[:, :, 1], 20, 235), value, 7, 10, 9, 12)
    seen = content(image)
    assert seen is not None
    wanted = np.zeros(image.shape[:2], bool)
    wanted[7:157, 9:209] = True
    assert (seen != wanted).mean() < 0.002


@pytest.mark.parametrize("sides", [(16, 0, 0, 0), (0, 9, 0, 0), (0, 0, 8, 0), (0, 0, 0, 30)])
@pytest.mark.parametrize("jpeg", [True, False])
def test_a_strip_on_one_side_is_found_in_a_jpeg_too(sides, jpeg):
    image = framed(np.clip(SEEN, 30, 235), 0, *sides)
    seen = content(codecs.decode(codecs.encode_jpeg(image, 95)) if jpeg else image)
    assert seen is not None
    top, _, left, _ = sides
    wanted = np.zeros(image.shape[:2], bool)
    wanted[top : 150 + top, left : 200 + left] = True
    assert (seen != wanted).mean() < 0.01


@pytest.mark.parametrize("degrees", [-2.0, 1.5, 4.0])
def test_wedges_of_a_turned_picture_are_found(degrees):
    image, saw = turned(SEEN, degrees)
    seen = content(image)
    assert seen is not None
    assert (seen != (saw > 0)).mean() < 0.012, "the pixels along the edge are of both"
    sure = cv2.erode(saw, np.ones((7, 7), np.uint8)) > 0
    assert seen[sure].all()


def skyline(sky: int) -> Bytes:
    """A town under an even sky."""
    image = np.full((150, 200, 3), sky, np.uint8)
    rng = np.random.default_rng(1)
    for left in range(0, 200, 20):
        image[int(rng.integers(30, 110)) :, left : left + 20] = SEEN[:1, left : left + 20] // 2 + 60
    return image


@pytest.mark.parametrize("sky", [0, 255])
def test_an_even_sky_over_roofs_is_no_padding(sky):
    assert content(skyline(sky)) is None


def test_a_white_sky_over_a_straight_horizon_is_no_padding_and_a_white_frame_is():
    image = np.clip(SEEN, 0, 200)
    assert content(framed(image, 255, 40, 0, 0, 0)) is None
    assert content(framed(image, 255, 8, 8, 8, 8)) is not None


def test_whole_and_even_pictures_have_none():
    for image in (SEEN, SEEN[:, :, 0], np.zeros((40, 50, 3), np.uint8), np.full((1, 1), 7, np.uint8)):
        assert content(image) is None


def test_what_is_found_in_real_pairs(research_data):
    """Infrared of M3FD was turned onto the visible pictures; that of MSRS was not, and its nights are black."""
    folders = sorted((research_data / "pairs/train/vif").glob("m3fd-*")) + sorted(
        (research_data / "pairs/train/vif").glob("msrs-*N")
    )
    found = {True: 0, False: 0}
    for folder in folders:
        for file in folder.glob("[ab].*"):
            has = content(codecs.read(file).image) is not None
            assert not (has and folder.name.startswith("msrs")), file
            found[has] += folder.name.startswith("m3fd") and file.name.startswith("b")
    assert found[True] >= 15


def test_content_is_mirrored_beneath_a_frame_and_stays_itself():
    image = framed(np.clip(SEEN, 30, 235), 0, 0, 0, 12, 0)
    seen = np.ones(image.shape[:2], bool)
    seen[:, :12] = False
    out = beneath(image, seen)
    assert np.array_equal(out[seen], image[seen])
    assert np.array_equal(out[:, :12], image[:, 17:29][:, ::-1]), (
        "around the third pixel of the content: two are smeared"
    )


def test_where_nothing_was_seen_nothing_is_mirrored():
    image = np.zeros((30, 30), np.uint8)
    assert np.array_equal(beneath(image, np.zeros((30, 30), bool)), image)
