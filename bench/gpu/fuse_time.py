"""`python -m bench.gpu.fuse_time WEIGHTS`: seconds a fusion, after one that is not counted, and memory of the GPU."""

from __future__ import annotations

import time

import numpy as np
import torch

from bench.command import parsed, parser
from trainer.inference.fuser import Fuser

SIZES = ((480, 640), (2160, 3840))
TIMES = 5
QUICK = {"SIZES": ((40, 56),), "TIMES": 1}


def fuse_times(fuser: Fuser, large: bool = True) -> None:
    """Prints a line a size; large: the second, too."""
    rng = np.random.default_rng(0)
    for height, width in SIZES if large else SIZES[:1]:
        a, b = (rng.integers(256, size=(height, width, 3), dtype=np.uint8) for _ in "ab")
        fuser(a, b, "remove the rain")
        begun = time.perf_counter()
        for _ in range(TIMES):
            fuser(a, b, "remove the rain")
        taken = (time.perf_counter() - begun) / TIMES
        peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else float("nan")
        print(f"fuse {width}x{height}: {taken:.3f} s, peak {peak:.2f} GiB", flush=True)


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("weights", metavar="WEIGHTS")
    fuse_times(Fuser.from_pretrained(parsed(wanted, globals(), QUICK).weights))


if __name__ == "__main__":
    main()
