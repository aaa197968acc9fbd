"""Borders of padding are found, and skies, nights and frames of pictures are not."""

import cv2
import numpy as np
import pytest

from synth.images import codecs
from synth.images.borders import beneath, content
from synth.images.codecs import encode_jpeg
from synth.images.pixels import Bytes
from tests.synth.helpers import photograph

HEIGHT, WIDTH = 160, 220


def scene(colour: bool = False) -> Bytes:
    return photograph(HEIGHT, WIDTH, colour) // 2 + 60


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("colour", [True, False])
def test_a_frame_is_none_of_the_picture(level, colour):
    image = scene(colour)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[12:-7, 9:-15] = True
    image[~inside] = level
    assert np.array_equal(content(image), inside)


@pytest.mark.parametrize("degrees", [-5, 5])
def test_wedges_of_a_rotation_are_found_through_jpeg(degrees):
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, 1)
    turned = cv2.warpAffine(scene(), turn, (WIDTH, HEIGHT))
    inside = cv2.warpAffine(np.full((HEIGHT, WIDTH), 255, np.uint8), turn, (WIDTH, HEIGHT)) > 0
    read = cv2.imdecode(np.frombuffer(encode_jpeg(turned, 95), np.uint8), cv2.IMREAD_GRAYSCALE)
    found = content(read)
    assert 0.01 < np.mean(~inside) < 0.1
    assert np.mean(found != inside) < 0.2 * np.mean(~inside)
    core = cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert found[core].all()


def test_a_strip_of_one_column_is_found():
    image = scene()
    image[:, -1] = 0
    assert np.array_equal(~content(image), np.arange(WIDTH)[None, :].repeat(HEIGHT, 0) == WIDTH - 1)


def test_what_else_is_of_one_level_at_a_corner_is_content():
    ragged = scene()
    for column, depth in enumerate(60 + 30 * np.sin(np.arange(WIDTH) / 7)):
        ragged[: int(depth), column] = 0  # a night sky behind trees
    white = scene()
    white[:50] = 255  # a clipped sky over a straight horizon
    grey = scene()
    grey[:, :30] = 128  # a wall
    for image in (ragged, white, grey, np.zeros((9, 9), np.uint8), np.full((1, 5), 255, np.uint8), scene(True)):
        assert content(image).all()


@pytest.mark.parametrize("sky", [0, 255])
def test_an_even_sky_over_roofs_is_content(sky):
    image = np.full((HEIGHT, WIDTH), sky, np.uint8)
    rng = np.random.default_rng(1)
    for left in range(0, WIDTH, 20):
        image[int(rng.integers(30, 110)) :, left : left + 20] = scene()[:1, left : left + 20]
    assert content(image).all()


def test_a_night_with_one_lamp_is_content():
    """A hull of little content leaves most of a picture outside: no registration does."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    image[70:110, 80:140] = scene()[70:110, 80:140]
    assert content(image).all()


def test_what_is_found_in_real_pairs(research_data):
    """Infrared of M3FD was turned onto the visible pictures; that of MSRS was not, and its nights are black."""
    pairs = research_data / "pairs/train/vif"
    found = 0
    for folder in (*sorted(pairs.glob("m3fd-*")), *sorted(pairs.glob("msrs-*N"))):
        for file in folder.glob("[ab].*"):
            has = not content(codecs.read(file).image).all()
            assert not has or (folder.name.startswith("m3fd") and file.name.startswith("b")), file
            found += has
    assert found >= 15


def test_content_is_mirrored_beneath_a_strip_and_stays_itself():
    image = scene(colour=True)
    image[:, :12] = 0
    seen = np.ones((HEIGHT, WIDTH), bool)
    seen[:, :12] = False
    out = beneath(image, seen)
    assert np.array_equal(out[seen], image[seen])
    assert np.array_equal(out[:, :12], image[:, 17:29][:, ::-1]), (
        "around the third pixel of the content: two are smeared"
    )


def test_where_nothing_was_seen_nothing_is_mirrored():
    image = np.zeros((30, 30), np.uint8)
    assert np.array_equal(beneath(image, np.zeros((30, 30), bool)), image)
