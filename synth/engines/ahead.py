"""Work that is handed out ahead: enough that no worker waits, and not all of a million items at once."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Handle = TypeVar("Handle")  # a future, or what stands for one


def ahead(
    items: Iterable[Item],
    most: int,
    submit: Callable[[Item], Handle],
    wait: Callable[[list[Handle]], tuple[Collection[Handle], Collection[Handle]]],
) -> Iterator[Collection[Handle]]:
    """Keep up to `most` items under way until all are through; yields what has finished, after each wait.

    submit: begins an item. wait: waits a while and parts what is under way into what has finished, which may be
    nothing, so that the caller can look around, and the others. Where it keeps their order, it gets the oldest first.
    """
    left, under_way = iter(items), list[Handle]()
    while True:
        under_way += [submit(item) for item in islice(left, most - len(under_way))]
        if not under_way:
            return
        finished, others = wait(under_way)
        under_way = list(others)
        yield finished
