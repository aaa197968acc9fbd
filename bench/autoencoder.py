"""What an autoencoder costs: `OMP_WAIT_POLICY=PASSIVE python -m bench.autoencoder [MODEL]` (default: mmaif, ours).

Prints the time of 640x480 on one CPU thread, and on a GPU where there is one; the peak memory of the whole process for
4096x4096 in tiles; and how far tiles are from the untiled result on 2048x2048, in its worst block of 64x64 pixels.
Pictures are a mosaic of scikit-image's photographs.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np
import torch

from bench.command import parsed, parser
from trainer.data.images import Image, to_images, to_tensor
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.loading import load_autoencoder

BLOCK = 64
REPEAT = 7
SIZE, WHOLE, LARGE = (480, 640), 2048, 4096
"""Of what is timed; sides of what is compared with its tiles, and of what memory is measured for."""
QUICK = {"REPEAT": 1, "SIZE": (48, 64), "WHOLE": 64, "LARGE": 128}


def mosaic(height: int, width: int) -> Image:
    """Photographs at full size beside and under each other, (H, W, 3) uint8."""
    from skimage import data

    page = np.zeros((height, width, 3), np.uint8)
    photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.immunohistochemistry()]
    top, number = 0, 0
    while top < height:
        row = 300  # the smallest of their heights
        left = 0
        while left < width:
            photograph = photographs[number % len(photographs)][:row]
            part = photograph[: height - top, : width - left]
            page[top : top + part.shape[0], left : left + part.shape[1]] = part
            left, number = left + part.shape[1], number + 1
        top += row
    return page


def seconds(autoencoder: Autoencoder, height: int, width: int) -> tuple[float, float]:
    """Median wall times of encoding and decoding."""
    x = to_tensor([mosaic(height, width)], autoencoder.device)
    times = []
    for _ in range(REPEAT + 1):
        begin = time.perf_counter()
        z = autoencoder.encode(x)
        _wait(autoencoder.device)
        middle = time.perf_counter()
        autoencoder.decode(z)
        _wait(autoencoder.device)
        times.append((middle - begin, time.perf_counter() - middle))
    encode, decode = np.median(times[1:], axis=0)
    return float(encode), float(decode)


def peak_mib(model: str, side: int) -> float:
    """Of a process that brings a picture to latents and back to bytes, with all that it imports."""
    code = f"from bench.autoencoder import there_and_back; there_and_back({model!r}, {side})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def there_and_back(model: str, side: int) -> None:
    """The work of `peak_mib`: prints its own peak."""
    image = mosaic(side, side)
    autoencoder = load_autoencoder(model)
    z = autoencoder.encode(to_tensor([image], autoencoder.device))
    to_images(autoencoder.decode(z))
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def worst_block_db(model: str, height: int, width: int) -> tuple[float, float]:
    """PSNR of the tiled round trip against the untiled one: in the worst block, and over all."""
    x = to_tensor([mosaic(height, width)], torch.device("cpu"))
    tiled, whole = load_autoencoder(model), load_autoencoder(model, tile=None)
    error = (tiled.decode(tiled.encode(x)).clamp(-1, 1) - whole.decode(whole.encode(x)).clamp(-1, 1)) ** 2
    blocks = torch.nn.functional.avg_pool2d(error.mean(1, keepdim=True), BLOCK)
    worst, mean = (10 * np.log10(4 / max(float(value), 1e-30)) for value in (blocks.max(), error.mean()))
    return worst, mean


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("model", metavar="MODEL", nargs="?", default="mmaif")
    model = parsed(wanted, globals(), QUICK).model
    size = f"{SIZE[1]}x{SIZE[0]}"
    torch.set_num_threads(1)
    encode, decode = seconds(load_autoencoder(model), *SIZE)
    print(f"{size}, one CPU thread   encode {encode:.3f} s, decode {decode:.3f} s, together {encode + decode:.3f} s")
    if torch.cuda.is_available():
        encode, decode = seconds(load_autoencoder(model, "cuda"), *SIZE)
        print(f"{size}, {torch.cuda.get_device_name()}   encode {encode:.4f} s, decode {decode:.4f} s")
    torch.set_num_threads(torch.get_num_interop_threads())
    print(f"{LARGE}x{LARGE} in tiles        peak {peak_mib(model, LARGE):.0f} MiB of the whole process")
    worst, mean = worst_block_db(model, WHOLE, WHOLE)
    print(f"{WHOLE}x{WHOLE}, tiles or not   worst block of {BLOCK}x{BLOCK} {worst:.1f} dB, over all {mean:.1f} dB")


if __name__ == "__main__":
    main()
