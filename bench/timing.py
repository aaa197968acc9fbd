"""Speed of one function, for programs that may not import the rest of this project."""

import statistics
import time
from collections.abc import Callable

SECONDS = 0.5  # spent on each function


def rate(function: Callable[[], object], pixels: int) -> float:
    """Megapixels a second: the median of as many calls as fit, after one."""
    function()
    times: list[float] = []
    while sum(times) < SECONDS or len(times) < 3:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return pixels / statistics.median(times) / 1e6
