"""False colours: the colour maps that pictures of one value a pixel are painted with, found in the pixels and undone.

A map is a curve through RGB, and a picture in false colours lies on it. JPEG, shrinking and text take single pixels off
the curve, and hardly ever those of even areas: by these a map is told. Thresholds are of bench/roles.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from synth.images.borders import Mask
from synth.images.pixels import Bytes, Floats, luma

COLOURED = 24  # levels between the channels of a pixel from which it has a colour: JPEG tints greys by less
SAMPLES, SAMPLED_OVER = 2048, 192  # pixels that are asked, and of a grid of how many a side the most even are taken
CLOSE, ON = 7.0, 24.0  # levels of RGB from a map: of a picture in it at the median, and of most of its pixels
MOST_OFF = 0.12  # of the even pixels may be farther from it
OFF = 40.0  # levels of RGB from its map where a pixel shows something else, such as text
MOST_UNDONE = 0.18  # of all pixels may do so: edges do, where JPEG keeps colours at half the resolution
BLACK, WHITE = 12, 243  # levels of what may be padding, text or a gap
BLANK = 9  # pixels across: smaller ones are filled from around
FILLED_FROM = 3.0  # pixels around
CYCLE = 1.5  # levels by which a map that ends where it begins must lie closer than another
FEWEST = 16  # coloured pixels that tell anything
SPAN = 24  # steps of 256 that a picture takes of its map at least: less is a hue that a photograph may have
TINTED = 0.2  # of the pixels have a colour in a tinted picture
ONE_COLOUR = 4.0  # levels that colours of one brightness vary by where they are one colour
STRONG, MOST_STRONG = 64, 0.4  # levels between channels of a strong colour, which most false ones are
GLANCED, GLANCED_STEP = 256, 4  # pixels of which a first look asks the maps, and each which one for strong colours

# Maps that OpenCV lacks, as INDEX:RRGGBB with straight lines between: iron and rainbow are those of thermal cameras
# (as of the Lepton, within 7 levels), the others those of matplotlib whose brightness does not tell the value.
STOPS = {
    "iron": "0:000000 32:1f0076 66:740188 94:b5078d 102:c2107f 131:e03931 161:ee6d0c 195:f7ab0d 225:ffe01e 255:fffdeb",
    "grey and iron": "0:ffffff 127:000000 143:1f0076 160:740188 174:b5078d 178:c2107f 193:e03931 208:ee6d0c 225:f7ab0d "
    "240:ffe01e 255:fffdeb",
    "rainbow of thermal cameras": "0:01034a 8:000352 23:003185 49:005acb 64:0071df 75:0485ca 87:119784 96:43ab3c "
    "103:69b91a 116:a4cc02 128:d4d703 143:edd008 158:fcb711 169:ff9b18 192:fb213b 206:f7194f 215:f83b60 220:fa5d6c "
    "225:fb6671 242:ffbfa5 255:ffe9d0",
    "Spectral": "0:9e0142 25:d43d4f 51:f46d43 76:fdad60 102:fee08b 128:ffffbe 153:e6f598 178:acdda4 204:66c2a5 "
    "229:3389bd 255:5e4fa2",
    "RdYlBu": "0:a50026 25:d62f27 51:f46d43 76:fdad60 102:fee090 128:feffc0 153:e0f3f8 179:aad8e9 204:74add1 "
    "230:4574b3 255:313695",
    "RdYlGn": "0:a50026 25:d62f27 51:f46d43 76:fdad60 102:fee08b 127:fffebe 153:d9ef8b 178:a7d96b 204:66bd63 "
    "229:1b9950 255:006837",
    "RdBu": "0:67001f 26:b3192c 51:d6604d 76:f3a481 102:fddbc7 128:f6f7f7 153:d1e5f0 178:93c6de 204:4393c3 229:2267ac "
    "255:053061",
    "coolwarm": "0:3b4cc0 32:6282ea 64:8db0fe 96:b9d0f9 128:dddcdc 159:f4c5ad 191:f49a7b 215:e57058 239:cb3e38 "
    "247:c0282f 255:b40426",
    "rainbow of matplotlib": "0:8000ff 37:3670f8 64:00b5eb 80:20d5e1 96:40ecd4 112:60fac5 127:7effb5 142:9cfba4 "
    "158:bced8f 174:dcd67a 191:feb562 218:ff703a 255:ff0000",
    "gist_rainbow": "0:ff0029 8:ff0200 55:feff00 102:00ff00 149:00fffd 196:0002ff 243:fe00ff 255:ff00bf",
    "nipy_spectral": "0:000000 13:770088 25:870098 26:83009a 38:0300aa 51:0000dd 64:0078dd 76:0098dd 89:00aaab "
    "102:00aa88 115:009a00 153:00ff00 166:bcff00 179:efed00 191:ffcd00 204:ff9900 217:fe0000 229:de0000 242:cc0000 "
    "255:cccccc",
    "gnuplot": "0:000000 1:100006 2:17000d 9:300038 24:4e008e 36:6001c6 50:7102f1 64:8004ff 78:8d07ef 92:990cc4 "
    "106:a41281 128:b52000 163:cc4300 195:df7200 226:f0b200 255:ffff00",
    "seismic": "0:00004c 64:0101ff 127:fdfdff 191:ff0101 255:800000",
    "bwr": "0:0000ff 127:fefeff 255:ff0000",
    "terrain": "0:333399 38:0098fe 64:01cc66 127:fdff99 191:805c54 255:ffffff",
}
CYCLES = ("hsv", "gist_rainbow", "twilight", "twilight_shifted")
"""Maps whose two ends are as good as one colour: what is hottest and what is coldest cannot be told apart."""


EXCHANGED = ", red and blue exchanged"
"""The end of the name of a map that was saved with its channels in the wrong order."""


@dataclass(frozen=True)
class Look:
    """What is told of a picture's colours. coloured: the share of its pixels that have one. map: the known map that it
    is painted with, if any. one_colour: pixels of one brightness have one colour, so that brightness tells the value.
    """

    coloured: float
    map: str | None = None
    one_colour: bool = False

    @property
    def cyclic(self) -> bool:
        """Whether the map cannot be undone."""
        return self.map is not None and self.map.removesuffix(EXCHANGED) in CYCLES


@dataclass(frozen=True, eq=False)
class Undone:
    """The values that were painted. values: (H, W), 0 to 255. other: where another colour is seen, of a mark or of an
    edge that JPEG mixed, and the values are filled from around. blank: where nothing is, but black or white.
    """

    values: Bytes
    other: Mask
    blank: Mask


@cache
def maps() -> dict[str, NDArray[np.float32]]:
    """All known maps by name: (256, 3) RGB from the lowest value to the highest."""
    steps = np.arange(256, dtype=np.uint8)[:, None]
    known = {
        name.removeprefix("COLORMAP_").lower(): cv2.applyColorMap(steps, getattr(cv2, name))[:, 0, ::-1]
        for name in sorted(dir(cv2))
        if name.startswith("COLORMAP_")
    }
    for name, text in STOPS.items():
        stops = [(int(at), bytes.fromhex(colour)) for at, _, colour in (stop.partition(":") for stop in text.split())]
        places = [at for at, _ in stops]
        known[name] = np.stack(
            [np.interp(np.arange(256), places, [colour[channel] for _, colour in stops]) for channel in range(3)], 1
        )
    known |= {
        name + EXCHANGED: colours[:, ::-1]
        for name, colours in known.items()
        if np.median(np.ptp(colours.astype(np.float32), axis=1)) > STRONG  # pale ones would be those of photographs
    }
    return {name: np.ascontiguousarray(colours, np.float32) for name, colours in known.items()}


@cache
def _tree(name: str | None) -> cKDTree:
    """Of the colours of a map; of those of all maps."""
    return cKDTree(np.concatenate(list(maps().values())) if name is None else maps()[name])


def spread(image: Bytes) -> Bytes:
    """The largest difference between the channels of each pixel of a picture, (H, W)."""
    red, green, blue = cv2.split(image)
    return cv2.max(cv2.max(cv2.absdiff(red, green), cv2.absdiff(green, blue)), cv2.absdiff(red, blue))


def look(image: Bytes) -> Look:
    """What a picture's colours are. image: (H, W, 3)."""
    share = float((spread(image) > COLOURED).mean())
    even = _even(image, SAMPLES) if share else np.zeros((0, 3), np.float32)
    coloured = even[_spreads(even) > COLOURED]
    if len(coloured) < FEWEST:
        return Look(share)
    usual, exchanged = ([name for name in maps() if name.endswith(EXCHANGED) == wrong] for wrong in (False, True))
    found = _nearest(usual, coloured, even) or _nearest(exchanged, coloured, even)
    return Look(share, found, share >= TINTED and _variation(coloured) <= ONE_COLOUR)


def _nearest(names: Sequence[str], coloured: Floats, even: Floats) -> str | None:
    """Of some maps the one that pixels lie on, if they do."""
    shown = even[~_blank(even)]
    best, least = None, np.inf
    for name in names:
        distance, _ = _tree(name).query(coloured)
        close = float(distance.mean()) + CYCLE * (name.removesuffix(EXCHANGED) in CYCLES)
        if np.median(distance) > CLOSE or (distance > ON).mean() > MOST_OFF or close >= least:
            continue
        distance, index = _tree(name).query(shown)
        low, high = np.percentile(index, (2, 98))
        if (distance > ON).mean() <= MOST_OFF and high - low >= SPAN:
            best, least = name, close
    return best


def may_be_painted(image: Bytes) -> bool:
    """Whether a first look at some of its pixels leaves it open that a picture, (H, W, 3), is in false colours."""
    if float((spread(image[::GLANCED_STEP, ::GLANCED_STEP]) > STRONG).mean()) < MOST_STRONG:
        return False
    even = _even(image, GLANCED)
    strong = even[_spreads(even) > STRONG]
    if len(strong) < FEWEST:
        return False
    distance, _ = _tree(None).query(strong)
    return float((distance > ON).mean()) <= 2 * MOST_OFF


def undo(image: Bytes, name: str) -> Undone | None:
    """The values behind a picture, (H, W, 3), in a known map; None where too much of it shows something else."""
    red, green, blue = (channel.astype(np.uint32) for channel in cv2.split(image))
    packed, inverse = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    where = inverse.reshape(image.shape[:2])
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1).astype(np.float32)
    distance, index = _tree(name).query(colours)
    off, blank = (distance > OFF)[where], (_blank(colours) & (distance > ON))[where]
    blank = cv2.morphologyEx(blank.astype(np.uint8), cv2.MORPH_OPEN, np.ones((BLANK, BLANK), np.uint8)) > 0
    other = off & ~blank
    if blank.all() or other.sum() > MOST_UNDONE * (~blank).sum():
        return None
    values = index.astype(np.uint8)[where]
    values[blank] = luma(image)[blank]
    if other.any():
        values = cv2.inpaint(values, other.astype(np.uint8), FILLED_FROM, cv2.INPAINT_TELEA)
    return Undone(values, other, blank)


def _blank(pixels: Floats) -> Mask:
    """Which of some pixels, (N, 3), are black or white."""
    return (pixels.max(axis=1) <= BLACK) | (pixels.min(axis=1) >= WHITE)


def _spreads(pixels: Floats) -> Floats:
    """The same of pixels, (N, 3)."""
    return pixels.max(axis=1) - pixels.min(axis=1)


def _even(image: Bytes, most: int) -> Floats:
    """(N, 3), up to about so many pixels: of a grid, those in the most even places."""
    rough = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)
    step = -(-max(image.shape[:2]) // SAMPLED_OVER)
    pixels, rough = image[::step, ::step].reshape(-1, 3), rough[::step, ::step].ravel()
    order = np.argsort(rough, kind="stable")[: -(-len(rough) // 2)]
    return pixels[order[:: -(-len(order) // most)]].astype(np.float32)


def _variation(pixels: Floats) -> float:
    """By how many levels of RGB the colours of pixels, (N, 3), of about one brightness differ: the deviation."""
    brightness = luma(pixels[None])[0]
    levels = np.rint(brightness / 8).astype(int)
    count = np.maximum(np.bincount(levels), 1)
    squares = 0.0
    for values in (pixels - brightness[:, None]).T.astype(np.float64):
        squares += float(np.square(values - (np.bincount(levels, values) / count)[levels]).mean())
    return squares**0.5
