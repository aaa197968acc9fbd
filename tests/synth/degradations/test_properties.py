"""What holds for every effect on any image, tried on images that hypothesis makes up."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth import degrade
from synth.degradations import effects
from synth.degradations.engine import LEAST_SEVERITY
from synth.images.pixels import Bytes
from synth.streams import stream

NAMES = list(effects())


@st.composite
def images(draw: st.DrawFn) -> Bytes:
    """16 to 70 pixels a side, odd or even, grey or colour; flat, noise, a step, or black and white."""
    height, width = draw(st.integers(16, 70)), draw(st.integers(16, 70))
    shape = (height, width, 3) if draw(st.booleans()) else (height, width)
    kind = draw(st.sampled_from(["black", "white", "flat", "noise", "step", "specks"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    image = np.full(shape, {"black": 0, "white": 255}.get(kind, draw(st.integers(1, 254))), np.uint8)
    if kind == "noise":
        image = rng.integers(0, 256, shape, dtype=np.uint8)
    elif kind == "step":
        image[:, width // 2 :] = 255 - image[:, width // 2 :]
    elif kind == "specks":
        image = (rng.random(shape) > 0.98).astype(np.uint8) * 255
    return image


@pytest.mark.parametrize("task", ["vif", "mef", "mff"])
@given(image=images(), name=st.sampled_from(NAMES), severity=st.floats(0, 1), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_effect_on_any_image(task, image, name, severity, seed):
    before = image.copy()
    other = np.ascontiguousarray(image[::-1])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        one = degrade(image, other, {name: severity}, task=task, seed=seed)
    two = degrade(image, other, {name: severity}, task=task, seed=seed)
    assert np.array_equal(image, before), "the input is left alone"
    assert np.array_equal(one.a, two.a), "the same bytes twice"
    assert np.array_equal(one.b, two.b)
    assert one.record == two.record
    for out, source in ((one.a, image), (one.b, other)):
        assert (out.shape, out.dtype) == (source.shape, source.dtype)
        if severity == 0:
            assert np.array_equal(out, source)


@given(severities=st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1), min_size=2, max_size=5), image=images())
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_effects_together(severities, image):
    out = degrade(image, image, severities)
    assert out.a.shape == image.shape
    drawn = {entry["effect"] for entry in out.record["degradations"]}
    assert drawn == {name for name, severity in severities.items() if severity >= LEAST_SEVERITY}


def digest() -> str:
    """A hash of all effects on one image."""
    import hashlib

    image = stream(3, 0, "picture").integers(0, 256, (64, 80, 3), dtype=np.uint8)
    done = hashlib.sha256()
    for name in NAMES:
        out = degrade(image, image[:, :, 0], {name: 0.6}, seed=9)
        done.update(out.a.tobytes() + out.b.tobytes())
    return done.hexdigest()


def test_another_process_makes_the_same_bytes():
    code = "from tests.synth.degradations.test_properties import digest; print(digest())"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == digest()
