"""Pictures in false colours are said, whatever they are of; photographs and grey pictures are not."""

import cv2
import numpy as np
import pytest
from skimage import data

from trainer.data.false_colours import map_of


def temperature() -> np.ndarray:
    y, x = np.mgrid[0:128, 0:160]
    scene = 90 + 25 * np.sin(x / 20) + 20 * np.cos(y / 15)
    for down, across, level in ((35, 40, 255), (80, 110, 235), (95, 40, 190), (40, 120, 0)):
        scene[(y - down) ** 2 + (x - across) ** 2 < 256] = level
    return np.clip(cv2.GaussianBlur(scene, (0, 0), 2), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["jet", "turbo", "inferno", "hot", "hsv", "viridis", "plasma", "rainbow"])
def test_a_picture_in_a_map_of_opencv_is_known(name):
    painted = cv2.applyColorMap(temperature(), getattr(cv2, f"COLORMAP_{name.upper()}"))
    assert map_of(np.ascontiguousarray(painted[:, :, ::-1])) == name
    saved = cv2.imdecode(cv2.imencode(".jpg", painted, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_COLOR_RGB)
    assert map_of(saved) is not None


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "camera", "coins"])
def test_a_photograph_is_none(name):
    image = getattr(data, name)()
    assert map_of(image if image.ndim == 3 else cv2.merge([image] * 3)) is None


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (3, 3, 3)])
def test_tiny_and_even_pictures_are_none(shape):
    for colour in ((0, 0, 0), (200, 20, 20)):
        assert map_of(np.full(shape, colour, np.uint8)) is None
