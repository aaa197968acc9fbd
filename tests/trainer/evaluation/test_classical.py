"""Restoration that is told the truth takes off what it is told, and no more."""

import cv2
import numpy as np
import pytest
from skimage import data

from trainer.evaluation.metrics import psnr
from trainer.evaluation.references.classical import UNDO, encoded, linear, restore


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[60:220, 120:280])


def said(effect: str, asked: str = "remove", **params: float) -> dict[str, object]:
    return {"effect": effect, "image": "a", "asked": asked, "params": params}


def levels(light: np.ndarray) -> np.ndarray:
    return np.rint(255 * encoded(light.astype(np.float32))).astype(np.uint8)


def damaged(effect: str, picture: np.ndarray) -> tuple[np.ndarray, dict[str, object]]:
    """A picture with one damage, made here, and what a record would say of it."""
    rng = np.random.default_rng(0)
    light = linear(picture.astype(np.float32) / 255)
    height, width = picture.shape[:2]
    if effect == "haze":
        t = np.linspace(0.25, 0.8, height)[:, None, None]
        return levels(light * t + 0.8 * (1 - t)), {"airlight": [0.8, 0.8, 0.8]}
    if effect in ("rain", "snow"):
        drops = cv2.dilate((rng.random((height, width)) < 0.004).astype(np.float32), np.ones((5, 1)))
        return np.clip(picture + 90 * drops[..., None], 0, 255).astype(np.uint8), {}
    if effect == "motion":
        line = np.full((1, 13), 1 / 13, np.float32)
        return levels(cv2.filter2D(light, -1, line)), {"length": 13.0, "angle": 0.0}
    if effect == "blur":
        return levels(cv2.GaussianBlur(light, (0, 0), 2.0)), {"sigma": 2.0}
    if effect == "defocus":
        y, x = np.mgrid[-5:6, -5:6]
        disc = (np.hypot(x, y) <= 4).astype(np.float32)
        return levels(cv2.filter2D(light, -1, disc / disc.sum())), {"radius": 4.0}
    if effect == "exposure":
        return levels(light * 2**-1.5), {"stops": -1.5}
    if effect == "contrast":
        mean = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).mean()
        return np.rint(mean + 0.4 * (picture - mean)).clip(0, 255).astype(np.uint8), {"gain": 0.4}
    if effect == "noise":
        return (picture + rng.normal(0, 25, picture.shape)).clip(0, 255).astype(np.uint8), {"sigma": 25.0}
    if effect == "sensor_noise":
        return (picture + rng.normal(0, 20, picture.shape)).clip(0, 255).astype(np.uint8), {"electrons": 400.0}
    if effect == "stripes":
        return (picture + rng.normal(0, 20, (1, width, 1))).clip(0, 255).astype(np.uint8), {"sigma": 20.0}
    assert effect == "jpeg"
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 12])[1], -1), {"quality": 12}


GAINS = {
    **{"haze": 4, "rain": 2, "snow": 2, "motion": 1.5, "blur": 2, "defocus": 1, "exposure": 12, "contrast": 8},
    **{"noise": 5, "sensor_noise": 4, "stripes": 3, "jpeg": 0.2},
}
"""dB that each gains at least."""


@pytest.mark.parametrize("effect", UNDO)
def test_each_damage_is_taken_off_as_far_as_a_textbook_goes(effect, picture):
    bad, params = damaged(effect, picture)
    restored = restore(bad, [said(effect, **params)])
    assert psnr(restored, picture) - psnr(bad, picture) > GAINS[effect]


def test_what_is_to_be_kept_stays_to_the_bit(picture):
    bad, params = damaged("contrast", picture)
    assert np.array_equal(restore(bad, [said("contrast", "keep", **params)]), bad)
    assert np.array_equal(restore(bad, [said("an effect of tomorrow")]), bad)


def test_what_is_to_be_lessened_is_a_mean(picture):
    bad, params = damaged("exposure", picture)
    whole = restore(bad, [said("exposure", **params)]).astype(int)
    part = restore(bad, [{**said("exposure", "lessen", **params), "factor": 0.25}]).astype(int)
    assert np.abs(part - (0.25 * bad + 0.75 * whole)).max() <= 1


def test_the_last_damage_is_undone_first(picture):
    dark, params = damaged("exposure", picture)
    mean = cv2.cvtColor(dark, cv2.COLOR_RGB2GRAY).mean()
    flat = np.rint(mean + 0.5 * (dark - mean)).astype(np.uint8)
    entries = [said("exposure", **params), said("contrast", gain=0.5)]
    assert psnr(restore(flat, entries), picture) > psnr(restore(flat, entries[::-1]), picture) + 3
