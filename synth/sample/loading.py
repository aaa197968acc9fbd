"""Whole pairs, read once and kept for the next samples of a process, and what is found out of each."""

from cachetools import LRUCache, cached

from synth.errors import UnreadableError
from synth.pairs.base import CleanPair, PairRef
from synth.scene.rooms import room_odds
from synth.tasks import TASKS

PAIRS_BYTES = 80 << 20  # of decoded pairs that a process keeps
PAIRS_TOLD = 100_000  # and of how many how much they look like a room


def _weight(pair: CleanPair) -> int:
    return sum(array.nbytes for array in (*pair.pictures.values(), pair.gt, pair.depth) if array is not None)


@cached(LRUCache(PAIRS_BYTES, _weight))
def load(ref: PairRef) -> CleanPair:
    """A whole pair, kept from before or read now. Raises UnreadableError."""
    return ref.load()


@cached(LRUCache(PAIRS_TOLD))
def _odds_of_room(ref: PairRef) -> float:
    return room_odds(TASKS[ref.task].capture, load(ref).pictures)


def odds_of_room(ref: PairRef) -> float | None:
    """How much a pair looks like a room (`room_odds`); None where it cannot be read, which may be mended."""
    try:
        return _odds_of_room(ref)
    except UnreadableError:
        return None
