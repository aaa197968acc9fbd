"""How long the commands take to say what they can: `python -m bench.startup`."""

import statistics
import subprocess
import sys
import time

from bench.command import parsed, parser

RUNS = 9
QUICK = {"RUNS": 1}


def seconds(module: str) -> list[float]:
    """Wall time of `python -m MODULE --help`, as many times as RUNS says, after one warm-up."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", module, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return times[1:]


def main() -> None:
    """Print the median and the range for both programs."""
    parsed(parser(__doc__), globals(), QUICK)
    for module in ("synth", "trainer"):
        times = seconds(module)
        print(
            f"{module} --help: median {statistics.median(times):.2f} s of {RUNS}, {min(times):.2f} to {max(times):.2f}"
        )


if __name__ == "__main__":
    main()
