"""How fast the effects are, beside imgaug, albumentations and imagecorruptions: `make bench-effects`.

One thread, bytes in and bytes out, the conversions to and from linear light included; the time to draw parameters too.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
from skimage import data

from bench import timing
from bench.command import parsed, parser
from bench.document import put, table
from bench.timing import rate
from synth.degradations import effects
from synth.degradations.engine import EffectSpec, damage, draw
from synth.degradations.imgaug_shim import load_imgaug
from synth.engines.memory import keep_memory
from synth.images.pixels import Bytes
from synth.scene.backdrop import Backdrop
from synth.scene.scene import Distances, View, draw_scene
from synth.streams import Streams
from synth.tasks import TASKS

PEERS = Path(__file__).parents[1] / ".venv-peers/bin/python"
VIF = TASKS["vif"].capture
SIZES = [(256, 256), (512, 512), (1920, 1080)]
SEVERITY = 0.5
TURNS = 2
QUICK = {"SIZES": [(48, 40)], "TURNS": 1}
GOALS = {"haze": 10.0, "rain": 5.0, "snow": 4.0, "motion": 8.0, "defocus": 3.0, "noise": 3.0, "jpeg": 2.0}


def ours(name: str, image: Bytes) -> Callable[[], object]:
    """One effect on one visible image: draw and apply."""
    backdrop = Backdrop(VIF, {"a": image, "b": image})
    light, depth = backdrop.light, backdrop.whole()
    distances = Distances(lambda: depth, backdrop.depth_kind, backdrop.horizon)
    height, width = image.shape[:2]
    spec = EffectSpec(name, (SEVERITY, SEVERITY), (), "a")

    def run() -> object:
        scene = draw_scene(VIF, Streams(0, 0), width, distances, light)  # anew: a scene keeps its streaks
        view = View(scene, "a", "visible", (height, width), True, image)
        return damage(image, draw(spec, {"a": view}, Streams(0, 0)), view, None)

    return run


def imgaug_effects() -> dict[str, Any]:
    """By our names; parameters near ours at the severity measured."""
    load_imgaug()
    import imgaug.augmenters as iaa  # noqa: TID251

    return {
        "haze": iaa.Fog(),
        "rain": iaa.Rain(),
        "snow": iaa.Snowflakes(),
        "motion": iaa.MotionBlur(k=15),
        "blur": iaa.GaussianBlur(3.0),
        "noise": iaa.AdditiveGaussianNoise(scale=25, per_channel=True),
        "exposure": iaa.MultiplyBrightness(0.5),
        "contrast": iaa.LinearContrast(0.6),
        "jpeg": iaa.JpegCompression(60),
    }


def main() -> None:
    """Measure twice in turn with the peers, keep the better of the two, print the tables and document them."""
    given = parsed(parser(__doc__), globals(), QUICK)
    if given.quick:
        timing.SECONDS = 0.0
    cv2.setNumThreads(1)
    keep_memory()
    photograph = data.astronaut()
    found: dict[str, dict[str, dict[str, float]]] = {"ours": {}, "imgaug": {}}
    for _ in range(TURNS):
        for width, height in SIZES:
            image = cv2.resize(photograph, (width, height), interpolation=cv2.INTER_AREA)
            key, pixels = f"{width}x{height}", width * height
            for name in effects():
                _keep(found["ours"], name, key, rate(ours(name, image), pixels))
            for name, augmenter in imgaug_effects().items():
                _keep(found["imgaug"], name, key, rate(lambda a=augmenter, x=image: a(image=x), pixels))
        if given.quick and not PEERS.exists():
            continue
        command = [str(PEERS), str(Path(__file__).with_name("peers.py")), "time"]
        done = subprocess.run([*command, *(f"{w}x{h}" for w, h in SIZES)], check=True, capture_output=True, text=True)
        for library, by_name in json.loads(done.stdout).items():
            for name, by_size in by_name.items():
                for key, value in by_size.items():
                    _keep(found.setdefault(library, {}), name, key, value)
    text = "\n\n".join(_table(found, f"{w}x{h}") for w, h in SIZES)
    print(text)
    put("effects.md", "speed", "make bench-effects", text)


def _keep(found: dict[str, dict[str, float]], name: str, key: str, value: float) -> None:
    best = found.setdefault(name, {})
    best[key] = max(value, best.get(key, 0.0))


def _table(found: dict[str, dict[str, dict[str, float]]], key: str) -> str:
    rows = []
    for name in effects():
        mine = found["ours"][name][key]
        row = [name, f"{mine:.0f}"]
        for library in ("imgaug", "albumentations", "imagecorruptions"):
            other = found.get(library, {}).get(name, {}).get(key)
            row.append("–" if other is None else f"{other:.0f} ({mine / other:.1f}×)")
        row.append(f"{GOALS[name]:.0f}×" if name in GOALS else "")
        rows.append(row)
    head = [f"{key}, MP/s", "synth", "imgaug", "albumentations", "imagecorruptions", "goal against imgaug"]
    return table(head, rows)


if __name__ == "__main__":
    main()
