"""Memory that a process keeps between images."""

import ctypes

KEPT = 256 << 20  # bytes


def keep_memory() -> None:
    """Let glibc keep up to 256 MB that were freed, instead of giving every image back to the system.

    An image of a megabyte is otherwise taken anew, page by page, for every step of every effect, which costs more
    than the steps (bench/effects.py shows it). Elsewhere than on glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    mallopt(trim_threshold, KEPT)
    mallopt(mmap_threshold, KEPT)
