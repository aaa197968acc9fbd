"""Exposure fusion: Mertens, Kautz, Van Reeth, "Exposure Fusion", Pacific Graphics 2007, for two images.

A weight lies between −1 (all of b) and 1 (all of a). With the weight w, the mean m and half the difference d of both
images, the fusion is m plus the Laplacian pyramid of d, weighed by the Gaussian pyramid of w: one pyramid instead of
two, and equal images give themselves back.
"""

import cv2
import numpy as np

from synth.images.pixels import Bytes, Floats, in_colour, luma, round_to_bytes

CONTRAST_FLOOR = 1e-3  # the measures are multiplied: without floors a grey or even place would have no say at all
SATURATION_FLOOR = 1e-2
EXPOSED_SHARE = 1e-4  # what decides where both images are flat and grey: which is the nearer to mid-grey
EXPOSED_SPREAD = 0.2  # of that nearness, as in the paper

SHOWN, FULL = (
    45,
    235,
)  # grey levels: of luma from which a frame shows what is there, of a channel that is as good as clipped
HALF, TOE, SHOULDER = 0.5, 0.07, 0.95  # luma: the middle, and what the ends land at
TOP, LEAST = 0.98, 0.75  # what the highest channel of the brightest lands at, and the lowest luma that this may mean
REST = 0.005  # share of a picture beyond either end
CLIPPING = (200, 245)  # grey levels of the highest channel over which the colour of a picture stops being true
COLOUR_DARK = 15  # luma in grey levels below which colour is noise
COLOUR_POWER = 0.7  # of the ratio of two lumas: dark frames are more vivid than bright ones (docs/targets.md)
COLOUR_BLUR = 1.5  # pixels over which the noise of a dark colour is averaged
ENDING, SLACK = 0.03, 0.002  # luma over which what is beyond a source's range is drawn into it; rounding
SAMPLED = 1 << 15  # pixels by which a share is found


def choose(a: Bytes, b: Bytes) -> Floats:
    """The weight of a against b, (H, W) in [−1, 1], by contrast and saturation (the paper's exponents 1, 1, 0)."""
    weight_a, weight_b = _weight(a), _weight(b)
    return (weight_a - weight_b) / (weight_a + weight_b)


def _weight(image: Bytes) -> Floats:
    """Contrast × saturation, (H, W) above 0; contrast alone of a grey image."""
    unit = image.astype(np.float32) * np.float32(1 / 255)
    plane = luma(unit)
    contrast = np.abs(cv2.Laplacian(plane, cv2.CV_32F)) + np.float32(CONTRAST_FLOOR)
    exposed = np.exp(np.square(plane - np.float32(0.5)) * np.float32(-0.5 / EXPOSED_SPREAD**2))
    if image.ndim == 3:
        red, green, blue = cv2.split(unit)
        mean = (red + green + blue) * np.float32(1 / 3)
        squares = np.square(red - mean) + np.square(green - mean) + np.square(blue - mean)
        contrast *= np.sqrt(squares) + np.float32(SATURATION_FLOOR)
    return contrast + np.float32(EXPOSED_SHARE) * exposed


def blend(a: Bytes | Floats, b: Bytes | Floats, weight: Floats) -> Floats:
    """Both images, in grey levels, blended scale by scale: (H, W, 3) where either has colour, else (H, W)."""
    if a.ndim != b.ndim:
        a, b = in_colour(a), in_colour(b)
    first, second = a.astype(np.float32), b.astype(np.float32)
    middle, half = (first + second) * np.float32(0.5), (first - second) * np.float32(0.5)
    return middle + _weighed(half, weight)


def into_range(plane: Floats, colours: Floats, a: Bytes, b: Bytes) -> Floats:
    """A blended luma, (H, W), drawn into the range of its sources, within [0, 1], by a smooth toe and shoulder, only as
    far as the picture needs: the pyramid of two frames that lie stops apart leaves the range at both ends.

    Of what the brighter frame shows (a luma over SHOWN) the darkest share REST lands at TOE; of what the darker frame
    has not clipped the brightest lands at SHOULDER, or lower, so that its highest channel lands at TOP. Around half a
    grey nothing moves. colours: the picture that gives them, of about this luma.
    """
    plane = plane.astype(np.float32, copy=False)
    first, second = luma(a), luma(b)
    seen = plane[np.maximum(first, second) > SHOWN]
    if seen.size:
        plane = HALF - _bent(HALF - plane, HALF - _quantile(seen, REST), HALF - TOE)
    kept = np.minimum(_highest(a), _highest(b)) < FULL
    if kept.any():
        last = _quantile(plane[kept], 1 - REST)
        over = _quantile((plane + _highest(colours) - luma(colours))[kept], 1 - REST) - TOP
        lands = max(LEAST, min(SHOULDER, last - max(over, 0)))
        plane = HALF + _bent(plane - HALF, last - HALF, lands - HALF)
    least, most = (float(end) / 255 for end in (np.minimum(first, second).min(), np.maximum(first, second).max()))
    if plane.min() < least - SLACK:
        knee = max(TOE, least + ENDING)
        plane = knee - _ending(knee - plane, knee - least)
    if plane.max() > most + SLACK:
        knee = min(SHOULDER, most - ENDING)
        plane = knee + _ending(plane - knee, most - knee)
    return np.clip(plane, least, most)


def _bent(x: Floats, last: float, lands: float) -> Floats:
    """x where it is below 0; above, x / √(1 + (x / s)²) with s such that `last` lands there, if it is beyond that."""
    if last <= lands:
        return x
    inverse = np.float32(((last / lands) ** 2 - 1) / last**2)
    return np.where(x > 0, x / np.sqrt(1 + np.square(x) * inverse), x)


def _ending(x: Floats, room: float) -> Floats:
    """x where it is below 0; above, what never reaches `room`."""
    return np.where(x > 0, np.float32(room) * np.tanh(x * np.float32(1 / room)), x)


def recoloured(image: Bytes, other: Bytes) -> Bytes | Floats:
    """A picture in grey levels, unclipped, (H, W, 3) float32, which has the colours of another exposure where one of
    its own channels is clipped and that of the other is not; its luma stays. Where nothing is clipped it comes back.

    Of a clipped orange red is missing, and what is left is yellow. The other's colour grows with the ratio of both
    lumas, by less than in proportion, and where it is dark, and noise, by little.
    """
    if image.ndim == 2 or other.ndim == 2:
        return image
    share = np.maximum(clipping(image) - clipping(other), 0)
    if not share.any():
        return image
    seen, theirs = image.astype(np.float32), cv2.GaussianBlur(other.astype(np.float32), (0, 0), COLOUR_BLUR)
    own, dark = luma(seen), luma(theirs)
    gain = ((own + COLOUR_DARK) / (dark + COLOUR_DARK)) ** np.float32(COLOUR_POWER) * share
    keep = 1 - share
    return cv2.merge(
        [
            own + (mine - own) * keep + (their - dark) * gain
            for mine, their in zip(cv2.split(seen), cv2.split(theirs), strict=True)
        ]
    )


def clipping(image: Bytes) -> Floats:
    """How far the colours of a picture are lost, (H, W): 0 where they are true, 1 where a channel is clipped."""
    begins, full = CLIPPING
    x = np.clip((_highest(image).astype(np.float32) - begins) / np.float32(full - begins), 0, 1)
    return np.square(x) * (3 - 2 * x)


def hues(levels: Floats, a: Bytes | Floats, b: Bytes | Floats) -> Floats:
    """A blend of both pictures, (H, W, 3) in [0, 1] or beyond, whose colours are mixed of those of its two sources: the
    mixture that is nearest to the blend's own.

    levels: as `blend` gives them. Of a pyramid of frames that lie stops apart a dark place may else come out violet,
    though both show it grey. A colour is the difference of the channels to their luma.
    """
    own, red, blue = _colours(levels)
    (_, red_a, blue_a), (_, red_b, blue_b) = (_colours(in_colour(image).astype(np.float32)) for image in (a, b))
    red_way, blue_way = red_a - red_b, blue_a - blue_b
    share = (red - red_b) * red_way + (blue - blue_b) * blue_way
    share /= red_way * red_way + blue_way * blue_way + np.float32(1e-6)
    np.clip(share, 0, 1, out=share)
    red, blue = red_b + share * red_way, blue_b + share * blue_way
    green = red * np.float32(-0.299 / 0.587) + blue * np.float32(-0.114 / 0.587)  # so that the luma stays
    return cv2.merge([own + red, own + green, own + blue])


def _colours(image: Floats) -> tuple[Floats, Floats, Floats]:
    """Luma of grey levels (H, W, 3), and by how much red and blue are above it, (H, W) in units of white."""
    unit = image * np.float32(1 / 255)
    own = luma(unit)
    red, _, blue = cv2.split(unit)
    return own, red - own, blue - own


def _quantile(values: Floats, share: float) -> float:
    """Of enough of many values, (N,)."""
    return float(np.quantile(values[:: max(1, len(values) // SAMPLED)], share))


def _highest(image: Bytes | Floats) -> Bytes | Floats:
    """The largest channel, (H, W)."""
    if image.ndim == 2:
        return image
    red, green, blue = cv2.split(image)  # numpy's own maximum over three channels takes ten times as long
    return cv2.max(cv2.max(red, green), blue)


def _weighed(difference: Floats, weight: Floats) -> Floats:
    """The Laplacian pyramid of a difference times the Gaussian pyramid of its weight, put together again."""
    if min(weight.shape) < 2:
        return difference * _spread(weight, difference)
    smaller = cv2.pyrDown(difference)
    size = difference.shape[1::-1]
    detail = difference - cv2.pyrUp(smaller, dstsize=size)
    rest = _weighed(smaller, cv2.pyrDown(weight))
    return detail * _spread(weight, detail) + cv2.pyrUp(rest, dstsize=size)


def _spread(weight: Floats, image: Floats) -> Floats:
    return cv2.merge([weight] * 3) if image.ndim == 3 else weight


def mertens(a: Bytes, b: Bytes) -> Bytes:
    """The exposure fusion of two images: (H, W, 3) where either has colour, else (H, W)."""
    return round_to_bytes(blend(a, b, choose(a, b)))
