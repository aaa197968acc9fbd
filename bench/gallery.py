"""Pictures of the effects: `make gallery` writes docs/gallery.jpg, `python -m bench.gallery --pairs DIR` sheets of real
pairs into out/.
"""

import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from bench import document
from bench.command import parsed, parser
from bench.effects import PEERS
from synth.degradations import effects
from synth.degradations.base import Stage
from synth.degradations.engine import EffectSpec
from synth.degradations.imgaug_shim import load_imgaug
from synth.images import codecs
from synth.images.pixels import Bytes, in_colour
from synth.pairs.base import CleanPair
from synth.pairs.folder import FolderSource
from synth.pairs.source import LeftOut
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.streams import Streams
from synth.tasks import TASKS

SEVERITIES = (0.2, 0.4, 0.6, 0.8, 1.0)
CELL = 200  # pixels
LABEL = 96
WEATHER_PX = 300
QUALITY = 88  # of the JPEG: noise makes a PNG three times as large
IMGAUG = {"haze": "Fog", "rain": "Rain", "snow": "Snowflakes"}
REAL_PAIRS: dict[str, int] = {"vif": 10, "mef": 6, "mff": 4}
REAL_HEIGHT = 300
QUICK = {"SEVERITIES": (0.6,), "CELL": 48, "REAL_PAIRS": {"vif": 1, "mef": 1, "mff": 1}, "REAL_HEIGHT": 48}


def text(words: str, width: int, height: int) -> Bytes:
    """A white field with a few words on it."""
    field = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(field).multiline_text((4, 4), words, fill="black", font=ImageFont.load_default(13))
    return np.asarray(field)


def photographs() -> list[Bytes]:
    """Built-in photographs, square."""
    rocket, cat, coffee = data.rocket()[:, 60:487], data.chelsea()[:, 70:370], data.coffee()[:, 120:520]
    left = data.stereo_motorcycle()[0][:, 120:620]
    return [data.astronaut(), left, rocket, coffee, cat]


def outdoors() -> list[Bytes]:
    """Those with a sky: a launch at dusk, a lawn before houses."""
    return [data.rocket()[:, 60:487], data.camera()]


def damaged(image: Bytes, effect: str, severity: float, seed: int) -> Bytes:
    """One effect on one photograph as a visible image."""
    shot = Shot.of_whole(Backdrop(TASKS["vif"].capture, {"a": image, "b": image}), Streams(seed, 0))
    return shot.damage(shot.draw([EffectSpec(effect, (severity, severity), (), "a")]))["a"].image


def effect_rows() -> Bytes:
    """Each effect at five severities, each on the photograph that shows it."""
    rows = [np.hstack([text("", LABEL, 22), *(text(f"{s:g}", CELL, 22) for s in (0.0, *SEVERITIES))])]
    pictures = photographs()
    for number, (name, effect) in enumerate(effects().items()):
        for picture in outdoors() if effect.stage is Stage.SCENE else [pictures[number % len(pictures)]]:
            image = cv2.resize(picture, (CELL, CELL), interpolation=cv2.INTER_AREA)
            cells = [image, *(damaged(image, name, severity, 3 + number) for severity in SEVERITIES)]
            rows.append(np.hstack([text(name.replace("_", "\n"), LABEL, CELL), *map(in_colour, cells)]))
    return np.vstack(rows)


def weather_rows() -> Bytes:
    """Rain, snow and fog beside imgaug's and albumentations', at their default strength."""
    load_imgaug()
    import imgaug.augmenters as iaa  # noqa: TID251

    image = cv2.resize(outdoors()[0], (WEATHER_PX, WEATHER_PX), interpolation=cv2.INTER_AREA)
    columns = ["", "synth 0.4", "synth 0.8", "imgaug", "albumentations"]
    rows = [np.hstack([text(c, LABEL if not c else WEATHER_PX, 22) for c in columns])]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.png"
        source.write_bytes(codecs.encode_png(image))
        subprocess.run([PEERS, Path(__file__).with_name("peers.py"), "draw", source, folder], check=True)
        for name, theirs in IMGAUG.items():
            augmenter = getattr(iaa, theirs)()
            augmenter.seed_(7)
            albumentations = codecs.read(Path(folder) / f"albumentations-{name}.png").image
            ours = [damaged(image, name, severity, 4) for severity in (0.4, 0.8)]
            rows.append(np.hstack([text(name, LABEL, WEATHER_PX), *ours, augmenter(image=image), albumentations]))
    return np.vstack(rows)


def stacked(parts: list[Bytes]) -> Bytes:
    """Parts of different widths below each other, on white."""
    width = max(part.shape[1] for part in parts)
    padded = [np.pad(p, ((0, 6), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in parts]
    return np.vstack(padded)


def real_sheet(root: Path, out: Path, effect: str) -> None:
    """One effect on twenty real pairs: a clean, a at three severities, b clean, b at the last of them."""
    strips = []
    for task, count in REAL_PAIRS.items():
        refs = [item for item in FolderSource(folder=root / task).pairs(task) if not isinstance(item, LeftOut)]
        for number in np.linspace(0, len(refs) - 1, count).round().astype(int):
            pair = refs[number].load()
            strips.append(_pair_strip(task, pair, effect, int(number)))
    out.write_bytes(codecs.encode_png(stacked(strips)))


def _pair_strip(task: str, pair: CleanPair, effect: str, seed: int) -> Bytes:
    backdrop = Backdrop(TASKS[task].capture, pair.pictures, pair.depth, pair.depth_kind)
    shot = Shot.of_whole(backdrop, Streams(seed, 0))
    fallen = [shot.damage(shot.draw([EffectSpec(effect, (severity, severity))])) for severity in (0.3, 0.6, 0.9)]
    a, b = pair.pictures["a"], pair.pictures["b"]
    cells = [a, *(images["a"].image for images in fallen), b, fallen[-1]["b"].image]
    width = round(a.shape[1] * REAL_HEIGHT / a.shape[0])
    fitted = [cv2.resize(in_colour(cell), (width, REAL_HEIGHT), interpolation=cv2.INTER_AREA) for cell in cells]
    return np.hstack(fitted)


def main() -> None:
    """Write the gallery, or with `--pairs` a sheet of real pairs for each effect."""
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, help="a folder with vif/, mef/ and mff/")
    wanted.add_argument("--only", nargs="*", help="these effects alone, with --pairs")
    arguments = parsed(wanted, globals(), QUICK)
    if arguments.pairs is None:
        parts = [effect_rows()] if arguments.quick and not PEERS.exists() else [effect_rows(), weather_rows()]
        document.place("gallery.jpg").write_bytes(codecs.encode_jpeg(stacked(parts), QUALITY))
        return
    folder = Path("out/gallery")
    folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or effects():
        real_sheet(arguments.pairs, folder / f"{name}.png", name)


if __name__ == "__main__":
    main()
