"""Gradient-domain fusion in closed form: the best gradient at each place, put together by a screened Poisson equation.

What is decided is decided on the clean pair (`choose`) and is a value of its own; `fuse` applies it to that pair, or to
the same pair with some effects on it. There noise, streaks and flakes would else win the choice.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from synth.images import exposure_fusion as exposure
from synth.images.pixels import Bytes, Floats, in_colour, luma
from synth.scene.scene import Task
from synth.targets.activity import SIGMA, blur, signal, unit_luma
from synth.targets.colour import recolour
from synth.targets.focus import focus
from synth.targets.poisson import solve
from synth.targets.thermal import lift, welcome

VERSION = 2  # changes with the pixels, and stands in the record
LAMBDA: dict[Task, float] = {"vif": 0.015, "mef": 0.05, "mff": 0.05}  # of the intensity; 1/√λ: 8 and 4.5 pixels
DETAIL_MOST = 0.3  # how far, roughly, gradients may lift luma in [0, 1] over the intensity: beyond it they are halos
SEAM = 0.7  # pixels over which a choice of gradients goes from one image to the other
TIE = 1e-9  # energy in favour of the visible image where neither shows anything


@dataclass(frozen=True, eq=False)
class Choices:
    """What is decided on the clean pair. All (H, W) float32.

    gradient_a, gradient_b: in [0, 1], the share of each image's gradients; their sum falls below 1 where the infrared
        that was chosen hardly rises above its noise, or the visible image is near white.
    lean: in [−1, 1], which image the intensity comes from: b at −1 (of vif: a, and what b adds), a at 1.
    """

    gradient_a: Floats
    gradient_b: Floats
    lean: Floats


def choose(a: Bytes, b: Bytes, task: Task = "vif") -> Choices:
    """The choices of a clean pair, each (H, W) or (H, W, 3) of one size.

    vif, mef: the image whose gradients have more energy above its noise. vif: infrared adds to the intensity where it
    rises by more than its noise. mef: the weights of exposure fusion. mff: the image in focus. Only a vif pair is ever
    fused by another pair's choices, so that is the default.
    """
    luma_a, luma_b = unit_luma(a), unit_luma(b)
    if task == "mff":
        lean = focus(luma_a, luma_b)
        return Choices(_share(lean), _share(-lean), lean)
    signal_a, _ = signal(luma_a)
    signal_b, noise_b = signal(luma_b, thermal=task == "vif")
    if task == "mef":
        stronger = blur(np.sign(signal_a - signal_b), SEAM)
        return Choices(_share(stronger), _share(-stronger), exposure.choose(a, b))
    visible = blur((signal_a + np.float32(TIE) >= signal_b).astype(np.float32), SEAM)
    trust = np.minimum(signal_b / (noise_b + np.float32(TIE)), 1)  # 1 from twice the noise on
    broad_a, broad_b = blur(luma_a, SIGMA), blur(luma_b, SIGMA)
    rises = lift(broad_a, broad_b) > np.sqrt(noise_b)
    lean = np.where(rises, np.float32(-1), np.float32(1))
    return Choices(visible, (1 - visible) * trust * welcome(broad_a), lean)


def _share(lean: Floats) -> Floats:
    return (lean + np.float32(1)) * np.float32(0.5)


def fuse(task: Task, a: Bytes, b: Bytes, choices: Choices) -> Bytes:
    """The fused image, (H, W, 3) where either image has colour (vif: where the visible one has), else (H, W).

    Its luma F minimises ‖∇F − g‖² + λ‖F − u‖²: g are the chosen gradients, u is the intensity. It stays near u and
    in the range of its sources. Colour is the visible image's (vif), or that of the images blended as the intensity is.
    """
    luma_a, luma_b = unit_luma(a), unit_luma(b)
    picture, intensity = _intensity(task, a, b, luma_a, luma_b, choices.lean)
    dx = _chosen(np.diff(luma_a, axis=1), np.diff(luma_b, axis=1), choices, np.s_[:, :-1], np.s_[:, 1:])
    dy = _chosen(np.diff(luma_a, axis=0), np.diff(luma_b, axis=0), choices, np.s_[:-1, :], np.s_[1:, :])
    detail = solve(dx, dy, intensity, LAMBDA[task]) - intensity
    detail /= np.sqrt(1 + np.square(detail * np.float32(1 / DETAIL_MOST)))
    return recolour(_in_range(intensity + detail, luma_a, luma_b), picture)


def _intensity(task: Task, a: Bytes, b: Bytes, luma_a: Floats, luma_b: Floats, lean: Floats) -> tuple[Floats, Floats]:
    """The picture that gives its colours, (H, W) or (H, W, 3), and the intensity u, (H, W), in [0, 1]."""
    if task == "vif":
        picture = a.astype(np.float32) * np.float32(1 / 255)
        return picture, luma_a + _share(-lean) * lift(luma_a, luma_b)
    if task == "mef":
        levels = exposure.blend(a, b, lean)
    else:
        if a.ndim != b.ndim:
            a, b = in_colour(a), in_colour(b)
        levels = _mixed(a.astype(np.float32), b.astype(np.float32), lean if a.ndim == 2 else cv2.merge([lean] * 3))
    picture = np.clip(levels * np.float32(1 / 255), 0, 1)
    return picture, luma(picture)


def _mixed(x: Floats, y: Floats, lean: Floats) -> Floats:
    """x at a lean of 1, y at −1; with x and y swapped and the sign turned it is the same to the bit."""
    return (x + y) * np.float32(0.5) + lean * ((x - y) * np.float32(0.5))


def _chosen(step_a: Floats, step_b: Floats, choices: Choices, here: tuple, there: tuple) -> Floats:
    """Differences between neighbours by the mean of both neighbours' choices."""
    share_a = (choices.gradient_a[here] + choices.gradient_a[there]) * np.float32(0.5)
    share_b = (choices.gradient_b[here] + choices.gradient_b[there]) * np.float32(0.5)
    return share_a * step_a + share_b * step_b


def _in_range(fused: Floats, luma_a: Floats, luma_b: Floats) -> Floats:
    """Clipped to the darkest and the brightest luma of both sources."""
    darkest = min(float(luma_a.min()), float(luma_b.min()))
    brightest = max(float(luma_a.max()), float(luma_b.max()))
    return np.clip(fused, darkest, brightest)
