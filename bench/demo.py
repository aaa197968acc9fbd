"""What `make demo` shows, in numbers and as docs/demo.png: PSNR on its held-out samples of the model that it trains,
beside that model's start, and of the weights that ship. `python -m bench.demo`, after `make demo`.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from bench.command import parsed, parser
from bench.document import place
from synth.audit.preview import GAP, MUTED
from synth.audit.text import INK, written
from synth.audit.told import seen_on
from synth.images.codecs import read
from synth.images.pixels import Bytes, in_colour
from synth.sample.record import read_record
from trainer import Fuser

OUT = Path("out/demo")
PAIR = OUT / "pair"
WEIGHTS = Path("runs/demo/weights")
FIRST = "pair/000000000"
SHOWN = {
    f"{FIRST}.a": ("a: under-exposed", "{fell}"),
    f"{FIRST}.b": ("b: over-exposed", "{fell}"),
    "clear": ("“remove the haze”", "the weights that ship"),
    "hazy": ("“keep the haze”", "the weights that ship"),
    "fused": ("“remove the haze”", "a model of one minute"),
    f"{FIRST}.target": ("target", "the photograph itself"),
}
"""From left to right: what stands above each picture; {fell}: what fell on the pair."""
HEAD_PX, NOTE_PX = 20, 17


def untrained(fuser: Fuser) -> Fuser:
    """The same network before its first step: the last layer is zero, so it gives the closed-form start."""
    for name, parameter in fuser.model.named_parameters():
        if name.startswith("out."):
            parameter.data.zero_()
    return fuser


def picture(name: str) -> Bytes:
    """(H, W, 3), of a name in OUT."""
    return in_colour(read(OUT / f"{name}.png").image)


def labelled(name: str, fell: str) -> Bytes:
    """A picture under its words, as wide as it is."""
    image = picture(name)
    head, note = SHOWN[name]
    words = [
        written([head], image.shape[1], INK, HEAD_PX, 0),
        written([note.format(fell=fell)], image.shape[1], MUTED, NOTE_PX, 0),
    ]
    return np.vstack([*words, image])


def scores(fuser: Fuser) -> list[float]:
    """PSNR in dB of every sample that stands unpacked in PAIR, under its own instruction."""
    found = []
    for record in sorted(PAIR.glob("*.json")):
        a, b, target = (picture(f"pair/{record.stem}.{name}") for name in ("a", "b", "target"))
        found.append(peak_signal_noise_ratio(target, fuser(a, b, json.loads(record.read_text())["instruction"])))
    return found


def main() -> None:
    """Print the means and draw the first sample."""
    parsed(parser(__doc__), globals(), {})
    start = scores(untrained(Fuser.from_pretrained(WEIGHTS)))
    trained, shipped = scores(Fuser.from_pretrained(WEIGHTS)), scores(Fuser.from_pretrained("release"))
    better = sum(after > before for after, before in zip(trained, start, strict=True))
    print(
        f"{np.mean(start):.1f} dB before training, {np.mean(trained):.1f} dB after; better in {better} of {len(start)}"
        f"; the weights that ship: {np.mean(shipped):.1f} dB"
    )
    fell = seen_on(read_record((OUT / f"{FIRST}.json").read_text(encoding="utf-8")))
    columns = [labelled(name, fell) for name in SHOWN]
    height = max(column.shape[0] for column in columns)  # of small pictures words are broken
    columns = [np.pad(c, ((height - c.shape[0], 0), (0, 0), (0, 0)), constant_values=255) for c in columns]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    shown = np.hstack([part for column in columns for part in (column, gap)][:-1])
    Image.fromarray(shown).save(place("demo.png"), optimize=True)


if __name__ == "__main__":
    main()
