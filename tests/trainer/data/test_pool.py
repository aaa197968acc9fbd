"""The pool: what it gives are windows of its samples, the same of all pictures, and it follows a growing dataset."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer import helpers
from tests.trainer.helpers import picture, write_shard
from trainer.data.batches import Needs, Step
from trainer.data.images import to_bytes
from trainer.data.pool import Growing, Pool, PoolConfig
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder

STAGES = ({"until": 0.5, "window": 16, "batch_size": 4}, {"until": 1, "batch_size": 2})


@contextmanager
def pool_of(folder: Path, **settings: Any) -> Iterator[Pool]:
    config = PoolConfig(**{"stages": STAGES, "at_least": 1, "workers": 0, "patience": 20.0} | settings)
    with closing(Pool(Growing([str(folder)]), ae(), TextEncoder(), config, 0, Needs(pixels=True, crops=True))) as pool:
        yield pool


def ae() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(KLTAutoencoder.fit([torch.rand(3, 32, 32) for _ in range(4)], 16))


def until_loaded(pool: Pool, count: int) -> None:
    limit = time.monotonic() + 30
    while pool.loaded < count:
        assert time.monotonic() < limit
        pool._check()
        time.sleep(0.02)


def every_window(image: np.ndarray, side: int) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
    """All windows of an image in all eight symmetries, and where each comes from."""
    last = image.shape[0] - side + 1
    for down, across in itertools.product(range(last), range(last)):
        window = image[down : down + side, across : across + side]
        for turn in range(8):
            turned = np.rot90(window, turn % 4)
            yield (down, across, turn), turned[:, ::-1] if turn >= 4 else turned


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_windows_of_samples_the_same_of_a_b_and_target(dataset: Path, workers: int) -> None:
    with pool_of(dataset, workers=workers) as pool:
        until_loaded(pool, 9)
        batch = pool.batch(range(12), 24)
    assert batch.crops is not None
    a, b, target = (to_bytes(crop).permute(0, 2, 3, 1).numpy() for crop in batch.crops)
    turns = set()
    for number, key in enumerate(batch.keys):
        whole = picture(int(key))
        found = [place for place, window in every_window(whole, 24) if np.array_equal(window, target[number])]
        assert found, key
        turns.update(place[2] for place in found)
        for seen, made in ((a, whole // 2), (b, (whole // 2 + 127).astype(np.uint8))):
            assert any(np.array_equal(w, seen[number]) for place, w in every_window(made, 24) if place in found)
    assert len(turns) > 3
    assert len(set(batch.keys)) > 3
    assert batch.target.shape == (12, 16, 3, 3)


def test_its_latents_are_those_of_the_pictures_in_it(dataset: Path) -> None:
    with pool_of(dataset) as pool:
        until_loaded(pool, 9)
        batch = pool.batch(range(3), None)
    assert batch.crops is not None
    coder = ae()
    expected = coder.normalise(coder.encode(batch.crops.target))
    torch.testing.assert_close(batch.target, expected)
    torch.testing.assert_close(batch.inputs.z_a, coder.normalise(coder.encode(batch.crops.a)))
    assert batch.inputs.pixels is not None
    torch.testing.assert_close(batch.inputs.pixels[:, 1], batch.crops.b)


def test_without_symmetries_whole_samples_come_as_they_are(dataset: Path) -> None:
    with pool_of(dataset, symmetries=False) as pool:
        until_loaded(pool, 9)
        batch = pool.batch(range(8), None)
    assert batch.crops is not None
    for key, target in zip(batch.keys, to_bytes(batch.crops.target), strict=True):
        np.testing.assert_array_equal(target.permute(1, 2, 0).numpy(), picture(int(key)))


def test_sentences_go_with_their_samples(dataset: Path) -> None:
    with pool_of(dataset) as pool:
        until_loaded(pool, 9)
        batch = pool.batch(range(9), 16)
    said = TextEncoder()(
        [("remove the haze", "clear the noise in both pictures", "fuse the two")[int(k) % 3] for k in batch.keys]
    )
    torch.testing.assert_close(batch.inputs.prompts.pooled, said.pooled)
    assert torch.equal(batch.inputs.prompts.mask, said.mask)


def test_shards_that_are_finished_later_come_in_and_the_newest_replace_the_oldest(tmp_path: Path) -> None:
    folder = tmp_path / "growing"
    folder.mkdir()
    write_shard(folder / "000000.tar", range(4))
    write_shard(folder / "000001.tar", range(4, 6), sidecar=False)  # not finished
    each = 32 * 32 * 9 + 40 * (384 * 4 + 1) + 384 * 4
    with pool_of(folder, gib=5.5 * each / 2**30) as pool:
        until_loaded(pool, 4)
        assert {key for _ in range(8) for key in pool.batch(range(8), 16).keys} <= {f"{i:09d}" for i in range(4)}
        write_shard(folder / "000002.tar", range(6, 10))
        until_loaded(pool, 8)
        assert (pool.room, pool.filled) == (5, 5)
        seen = {key for first in range(0, 400, 8) for key in pool.batch(range(first, first + 8), 16).keys}
        assert seen == {f"{i:09d}" for i in (3, 6, 7, 8, 9)}
        assert pool.shown()["pool"] == 8


def test_a_longer_sentence_that_comes_later_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, long = tmp_path / "growing", "clear the mist and the grain of both, " * 8
    folder.mkdir()
    write_shard(folder / "000000.tar", range(4))
    with pool_of(folder) as pool:
        until_loaded(pool, 4)
        monkeypatch.setattr(helpers, "INSTRUCTIONS", (long, "fuse"))
        write_shard(folder / "000001.tar", range(4, 6))
        until_loaded(pool, 6)
        batch = pool.batch(range(32), 16)
    lengths = dict(zip(batch.keys, batch.inputs.prompts.mask.sum(1).tolist(), strict=True))
    assert (lengths["000000004"], lengths["000000005"]) == (TextEncoder().length(long), 3)
    assert lengths["000000000"] == 5


def test_it_waits_for_the_first_shard_and_says_when_none_comes(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(UserError, match="no finished shard after 0 s; is `synth` at work"):
        Growing([str(tmp_path / "nothing")]).first(0, 0.1)
    with pool_of(dataset, at_least=50, patience=1.0) as pool, pytest.raises(UserError, match="9 samples after 1 s"):
        next(pool.run(iter([Step([range(4)])])))


def test_samples_of_several_sizes_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    write_shard(folder / "000000.tar", range(2))
    write_shard(folder / "000001.tar", range(2), size=64)
    steps = iter([Step([range(4)])] * 1000)
    with pool_of(folder, at_least=4) as pool, pytest.raises(UserError, match="different sizes of crop"):
        list(pool.run(steps))


@pytest.mark.parametrize("urls", [["a.tar"], ["one", "two"], ["https://somewhere/set"]])
def test_only_a_folder_here_can_grow(urls: list[str]) -> None:
    with pytest.raises(UserError, match="a pool is filled from one folder of this machine"):
        Growing(urls)


@pytest.mark.parametrize("ends", [[0.5], [0.5, 0.5, 1], [0.8, 0.2, 1]])
def test_stages_that_do_not_follow_each_other_are_refused(ends: list[float]) -> None:
    with pytest.raises(ValueError, match="each later than the one before, and the last at 1"):
        PoolConfig(stages=[{"until": end, "batch_size": 1} for end in ends])


def test_the_glance_is_of_the_whole_sample_turned_alike_and_says_where_the_window_lies(dataset: Path) -> None:
    with pool_of(dataset) as pool:
        until_loaded(pool, 9)
        batch = pool.batch(range(40), 16)
    whole, pixels = batch.inputs.whole, batch.inputs.pixels
    assert whole is not None
    assert pixels is not None
    side = whole.thumbnails.shape[-1]
    assert side == 32, "as large as the samples here: their pixels themselves"
    places = (whole.window * side).round().long()
    torch.testing.assert_close(whole.window * side, places.float(), atol=1e-4, rtol=0)
    for thumbnail, (top, left, bottom, right), seen in zip(whole.thumbnails, places.tolist(), pixels, strict=True):
        assert (bottom - top, right - left) == (16, 16)
        cut = thumbnail[:, top:bottom, left:right].unflatten(0, (3, 3))
        torch.testing.assert_close(cut, seen, atol=1e-6, rtol=0)
    assert len({tuple(place) for place in places.tolist()}) > 10


def test_a_batch_of_couples_shows_one_window_of_each_pair_under_two_sentences(tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    write_shard(folder / "000000.tar", range(8), per_pair=2)
    write_shard(folder / "000001.tar", range(8, 9))  # alone
    with pool_of(folder) as pool:
        until_loaded(pool, 9)
        batches = [pool.batch(range(start, start + 8), 16, couples=True) for start in range(0, 80, 8)]
    for batch in batches:
        assert batch.couples
        assert batch.crops is not None
        assert batch.inputs.whole is not None
        for one, other in zip(batch.keys[::2], batch.keys[1::2], strict=True):
            assert one != other
            assert int(one) // 2 == int(other) // 2
        for same in (batch.crops.a, batch.crops.b, batch.inputs.z_a, batch.inputs.whole.window):
            assert torch.equal(same[::2], same[1::2])
        assert not torch.equal(batch.crops.target[::2], batch.crops.target[1::2])
        windows = batch.inputs.whole.window[::2]
        assert len({tuple(window) for window in windows.tolist()}) > 1
    assert {key for batch in batches for key in batch.keys} == {f"{i:09d}" for i in range(8)}


def test_couples_that_the_newest_samples_have_parted_are_not_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    write_shard(folder / "000000.tar", range(4), per_pair=2)
    each = 32 * 32 * 9 + 40 * (384 * 4 + 1) + 384 * 4
    with pool_of(folder, gib=5.5 * each / 2**30) as pool:
        until_loaded(pool, 4)
        assert {int(key) for key in pool.batch(range(16), 16, couples=True).keys} <= {0, 1, 2, 3}
        write_shard(folder / "000001.tar", range(4, 6), per_pair=2)  # the second takes the place of 0
        until_loaded(pool, 6)
        assert {int(key) for key in pool.batch(range(64), 16, couples=True).keys} == {2, 3, 4, 5}


def test_a_pool_without_couples_says_what_makes_them(dataset: Path) -> None:
    with pool_of(dataset, patience=0.5) as pool:
        until_loaded(pool, 9)
        message = r"no pair stands under two instructions in 9 samples.*instructions\.per_pair: 2"
        with pytest.raises(UserError, match=message):
            next(pool.run(iter([Step([range(4)], True, 16)])))


def test_a_pool_waits_for_couples_that_have_not_come_yet(tmp_path: Path) -> None:
    folder = tmp_path / "growing"
    folder.mkdir()
    write_shard(folder / "000000.tar", range(4))
    with pool_of(folder) as pool:
        until_loaded(pool, 4)
        steps = pool.run(iter([Step([range(4)], False, 16), Step([range(4, 8)], True, 16)]))
        next(steps)
        later = Timer(0.5, write_shard, (folder / "000001.tar", range(4, 8)), {"per_pair": 2})
        later.start()
        (batch,) = next(steps)
        later.join()
    assert {int(key) for key in batch.keys} <= set(range(4, 8))
