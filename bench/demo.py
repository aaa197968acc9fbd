"""What the model of `make demo` is worth: PSNR on the held-out samples, beside its untrained start; and docs/demo.png.

`python -m bench.demo`, after `make demo`.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from bench.command import parsed, parser
from bench.document import place
from synth.images.codecs import read
from synth.images.pixels import Bytes, in_colour
from trainer import Fuser

PAIR = Path("out/demo/pair")
WEIGHTS = Path("runs/demo/weights")


def untrained(fuser: Fuser) -> Fuser:
    """The same network before its first step: the last layer is zero, so it gives the closed-form start."""
    for name, parameter in fuser.model.named_parameters():
        if name.startswith("out."):
            parameter.data.zero_()
    return fuser


def scores(fuser: Fuser) -> list[float]:
    """PSNR in dB of every sample that stands unpacked in PAIR, under its own instruction."""
    found = []
    for record in sorted(PAIR.glob("*.json")):
        stem = PAIR / record.name.removesuffix(".json")
        a, b, target = (in_colour(read(stem.with_suffix(f".{name}.png")).image) for name in ("a", "b", "target"))
        found.append(peak_signal_noise_ratio(target, fuser(a, b, json.loads(record.read_text())["instruction"])))
    return found


def main() -> None:
    """Print both means and draw the first sample."""
    parsed(parser(__doc__), globals(), {})
    fuser = Fuser.from_pretrained(WEIGHTS)
    trained = scores(fuser)
    start = scores(untrained(Fuser.from_pretrained(WEIGHTS)))
    better = sum(after > before for after, before in zip(trained, start, strict=True))
    print(
        f"{np.mean(start):.1f} dB before training, {np.mean(trained):.1f} dB after; better in {better} of {len(start)}"
    )
    first = PAIR / "000000000"
    shown: list[Bytes] = [in_colour(read(first.with_suffix(f".{name}.png")).image) for name in ("a", "b")]
    shown += [
        in_colour(read(Path("out/demo/fused.png")).image),
        in_colour(read(first.with_suffix(".target.png")).image),
    ]
    Image.fromarray(np.hstack(shown)).save(place("demo.png"), optimize=True)


if __name__ == "__main__":
    main()
