"""Whether a plan's pairs are what they are said to be, as far as a few of each dataset tell before work starts."""

from dataclasses import dataclass

from synth.errors import UnreadableError
from synth.pairs.base import PairRef
from synth.sample.loading import load
from synth.sample.plan import Plan
from synth.tasks import TASKS

LOOKED_AT = 4  # pairs of a dataset, spread over it


@dataclass(frozen=True)
class Doubt:
    """What is in doubt of a dataset, by the first of its pairs of which anything is. pairs: of how many of those that
    were looked at something is."""

    task: str
    dataset: str
    said: str
    pairs: int
    looked_at: int


def doubts_of(plan: Plan) -> list[Doubt]:
    """One for each dataset of which anything is in doubt.

    Asked of pairs with infrared or a depth map alone, and of none behind URLs, which would have to be fetched.
    """
    found = []
    for pool in plan.pools:
        last = len(pool.pairs) - 1
        places = sorted({round(last * number / (LOOKED_AT - 1)) for number in range(LOOKED_AT)})
        pairs = [pair for pair in (pool.pairs[place] for place in places) if _may_be_doubted(pair)]
        said = [doubts[0] for pair in pairs if (doubts := _doubts(pair))]
        if said:
            found.append(Doubt(pool.task, pool.dataset, said[0], len(said), len(pairs)))
    return found


def _may_be_doubted(pair: PairRef) -> bool:
    capture = TASKS[pair.task].capture
    infrared = any(capture.is_infrared(name) for name in capture.modalities)
    return (infrared or getattr(pair, "depth", None) is not None) and None not in pair.headers()


def _doubts(pair: PairRef) -> tuple[str, ...]:
    try:
        return load(pair).doubts
    except UnreadableError as error:
        return (str(error),)
