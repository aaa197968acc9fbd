"""The light that drops and flakes carry, the veil they leave, and their blend with the scene."""

from dataclasses import dataclass

import cv2
import numpy as np

from synth.images.pixels import Floats, luma, shrink
from synth.scene.scene import View

LOOKED_AT = 128  # points across at which the surrounding light is looked at: a lamp is seldom smaller
LIGHT_GRID = 48  # and on the longer side on which it is spread
SURROUNDINGS = 0.16  # standard deviation of the light that a drop gathers, as a share of the width
AT_NIGHT = 0.9  # exponent of the surroundings by night, whatever falls: no sky lights it
GLOW = 0.03  # and of the glow that a veil leaves around lamps and sky
LAMPLIGHT = ((0.025, 0.5), (0.08, 1.0), (0.25, 0.5))  # by night: the same, and how much of each; it falls off softly
WHITES = 0.97  # quantile of radiance on that grid that a white thing in the scene has
GLOW_GREYING = 0.5  # of its colour, what a glow loses: veiled, a blue sky is greyer
GLARE = 2.0  # radiance up to which light spreads in a veil: a bracket may hold the sun, a thousand times its white
TINY = 1e-6


@dataclass(frozen=True)
class Shine:
    """How what falls takes on light. local: exponent of the surroundings against the sky. colour: exponent of the
    surroundings' colour. albedo: radiance against that of the sky.
    """

    local: float
    colour: float
    albedo: float


def behind_particles(image: Floats, shine: Shine, extinction: float, particles: Floats, view: View) -> Floats:
    """The image behind a veil, and single particles before both: twice I = J t + L (1 - t).

    extinction: of the veil, per metre. particles: their transmission as a logarithm, (H, W), not above 0.

    A drop shows a fish-eye picture of all that surrounds it (Garg and Nayar, "Vision and rain", IJCV 2007), a flake
    scatters it: most of what either sees is the sky, so by day L is about what a white thing in the scene has. By
    night it is the light of the lamps nearby, and elsewhere nearly none. Single particles only brighten: before what
    outshines them they fade away. Veiled, the sky stays as bright as it is, since the light that drops take from it
    is the light that they scatter out of it: there L is no less than the image blurred a little.
    """
    size = view.size[::-1]
    light, glow = _light(image, shine, view)
    through = cv2.multiply(view.scene.depth, -extinction)
    cv2.exp(through, dst=through)
    target = cv2.resize(glow, size, interpolation=cv2.INTER_LINEAR)
    veiled = cv2.blendLinear(image, target, through, cv2.subtract(1, through))
    cv2.resize(light, size, dst=target, interpolation=cv2.INTER_LINEAR)
    cv2.exp(particles, dst=through)
    return cv2.blendLinear(veiled, cv2.max(target, veiled, dst=target), through, cv2.subtract(1, through))


def _light(image: Floats, shine: Shine, view: View) -> tuple[Floats, Floats]:
    """The light of particles and that of the veil, times the gain, on a coarse grid of the image."""
    step = max(1, view.size[1] // LOOKED_AT)
    glaring = shrink(np.clip(image[::step, ::step], 0, GLARE * view.gain), LIGHT_GRID)
    grid = np.minimum(glaring, view.gain)
    night = view.scene.night
    wide = _spread(grid, SURROUNDINGS)
    glow = _spread(glaring, GLOW)
    grey = luma(wide)
    airlight = np.float32(view.gain) * np.asarray(view.scene.airlight, np.float32)
    level = float(airlight.mean())
    levels = np.sort(luma(grid), axis=None)
    sky = shine.albedo * max(level, (1 - night) * float(levels[int(WHITES * (levels.size - 1))]))
    local = shine.local + (AT_NIGHT - shine.local) * night
    of_place = grey**local
    light = np.maximum(of_place * np.float32(sky ** (1 - local)), grey)
    veil = np.maximum(np.minimum(of_place * np.float32(level ** (1 - local)), level), grey)
    if image.ndim == 3:
        tint = ((wide + TINY) / (grey[:, :, None] + TINY)) ** shine.colour * (airlight / max(level, TINY))
        light, veil = light[:, :, None] * tint, veil[:, :, None] * tint
        glow += np.float32(GLOW_GREYING) * (luma(glow)[:, :, None] - glow)
    light = np.minimum(light, view.gain)
    if night > 0:
        lamps = sum(np.float32(night * share) * _spread(grid, sigma) for sigma, share in LAMPLIGHT)
        light = np.maximum(light, np.minimum(lamps, view.gain))
    return light.astype(np.float32), np.maximum(veil, glow).astype(np.float32)


def _spread(grid: Floats, share: float) -> Floats:
    """The grid blurred by a share of its width."""
    return cv2.GaussianBlur(grid, (0, 0), share * grid.shape[1], borderType=cv2.BORDER_REPLICATE)


def behind_particles_in_infrared(
    image: Floats, share: float, extinction: float, particles: Floats, view: View
) -> Floats:
    """The same for a thermal camera, to which drops and flakes are as warm as the mean of its scene.

    share: of the visible optical thickness, what its wavelengths see.
    """
    through = cv2.exp(share * cv2.scaleAdd(view.scene.depth, -extinction, particles))
    ambient = np.float32(view.ambient)
    return ambient + (image - ambient) * (through if image.ndim == 2 else through[:, :, None])
