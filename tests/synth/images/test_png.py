"""PNG files of our own making, read by others."""

import io
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from synth.images.codecs import decode
from synth.images.png import encode_png
from tests.synth.helpers import photograph

SHAPES = [(1, 1), (1, 1, 3), (1, 9, 3), (9, 1), (33, 17, 3), (64, 300)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("what", ["noise", "black", "white"])
def test_three_readers_see_the_same_pixels(shape, what):
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = {"noise": noise, "black": np.zeros_like(noise), "white": np.full_like(noise, 255)}[what]
    data = encode_png(image)
    Image.open(io.BytesIO(data)).verify()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), image)
    by_opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(by_opencv if image.ndim == 2 else by_opencv[:, :, ::-1], image)
    assert np.array_equal(decode(data), image)


def test_a_picture_that_is_a_part_or_a_mirror_of_another_is_written_as_it_is_seen():
    image = photograph()
    for part in (image[3:40, 5:60], image[:, ::-1], image[:, :, 1]):
        assert np.array_equal(decode(encode_png(part)), part)


FLAT = """
import hashlib
import numpy as np
from synth.images.png import encode_png

rng, digest = np.random.default_rng(0), hashlib.sha256()
for _ in range(4000):
    image = rng.integers(0, 256, (8, 16, 3), dtype=np.uint8)
    image[:3] = image[0, 0]
    digest.update(encode_png(image))
print(digest.hexdigest())
"""


def test_a_picture_has_the_same_bytes_in_every_process():
    """Where a flat sky begins, some deflates find other matches than in the process before."""
    runs = [subprocess.run([sys.executable, "-c", FLAT], capture_output=True, check=True) for _ in range(4)]
    assert len({run.stdout for run in runs}) == 1


def test_a_file_is_about_as_large_as_opencvs():
    image = photograph(256, 256)
    theirs = cv2.imencode(".png", image)[1].size
    assert len(encode_png(image)) < 1.1 * theirs
