"""A cache that is bounded by what its values weigh, not by how many there are."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Keeps what was used last, up to a number of bytes; a value that weighs more on its own is not kept.

    weigh: bytes of a value.
    """

    def __init__(self, most_bytes: int, weigh: Callable[[Value], int]) -> None:
        self._most, self._weigh = most_bytes, weigh
        self._held: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not held."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key][0]
        value = make()
        weight = self._weigh(value)
        if weight <= self._most:
            self._held[key] = value, weight
            self._bytes += weight
            while self._bytes > self._most:
                self._bytes -= self._held.popitem(last=False)[1][1]
        return value
