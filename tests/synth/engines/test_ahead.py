"""Work that is handed out ahead, against what a plain loop would do."""

import random

import pytest

from synth.engines.ahead import ahead


@pytest.mark.parametrize("most", [1, 3, 50])
def test_every_item_is_begun_once_in_order_and_told_once_with_never_too_many_under_way(most):
    rng, begun, told = random.Random(most), [], []

    def submit(item: int) -> str:
        begun.append(item)
        return str(item)

    def wait(under_way: list[str]) -> tuple[set[str], list[str]]:
        assert 0 < len(under_way) <= most
        assert len(under_way) == min(most, 20 - len(told)), "no worker waits while there is work"
        finished = set(rng.sample(under_way, rng.randrange(len(under_way) + 1)))
        return finished, [handle for handle in under_way if handle not in finished]

    for finished in ahead(range(20), most, submit, wait):
        told += sorted(finished)
    assert begun == list(range(20))
    assert sorted(map(int, told)) == begun


def test_the_oldest_stands_first_where_the_order_is_kept():
    finished = ahead("abcdef", 3, str.upper, lambda under_way: (under_way[:1], under_way[1:]))
    assert ["".join(some) for some in finished] == list("ABCDEF")


def test_items_are_taken_only_when_there_is_room_for_them():
    taken = []
    items = (taken.append(number) or number for number in range(10**9))
    looks = ahead(items, 4, str, lambda under_way: ((), under_way))
    for _ in range(3):
        assert not next(looks)
    assert taken == [0, 1, 2, 3]


def test_nothing_to_do_ends_at_once():
    assert list(ahead([], 3, str, lambda _: pytest.fail("waits for nothing"))) == []
