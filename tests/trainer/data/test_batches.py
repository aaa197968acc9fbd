"""Batches: what they carry of their samples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainer.helpers import picture, write_shard
from trainer.data.batches import Batches, Needs, Step, encode_pair
from trainer.data.images import to_tensor
from trainer.data.shards import open_shards
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import fuse_base
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder

CPU = torch.device("cpu")
STEPS = [Step([range(start, start + 4)]) for start in (3, 7, 11)]


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder(max_tokens=8)


def test_keys_positions_and_pictures_are_those_of_the_samples(dataset: Path, text: TextEncoder) -> None:
    shards, autoencoder = open_shards([str(dataset)], 0), Autoencoder(KLTAutoencoder(16))
    for pictures, cache_mb in ((True, 1), (True, 0), (False, 1)):
        batches = Batches(shards, autoencoder, text, cache_mb, Needs(crops=pictures))
        for (batch,) in (*batches.run(STEPS), *batches.run(STEPS)):  # the second time from the cache
            assert len(batch.keys) == len(batch.positions) == len(batch.target) == 4
            expected = [sample.key for sample in shards.load([shards.at(position) for position in batch.positions])]
            assert list(batch.keys) == expected
            if not pictures:
                assert batch.crops is None
                continue
            assert batch.crops is not None
            target = to_tensor([picture(int(key)) for key in batch.keys], CPU)
            assert torch.equal(batch.crops.target, target)
            assert torch.equal(autoencoder.normalise(autoencoder.encode(target)), batch.target)
            dark = to_tensor([picture(int(key)) // 2 for key in batch.keys], CPU)
            assert torch.equal(batch.crops.a, dark)


@pytest.mark.parametrize("cache_mb", [0, 4])
def test_pixels_are_those_of_a_and_b_and_of_the_base_of_both(dataset: Path, text: TextEncoder, cache_mb: int) -> None:
    shards, autoencoder = open_shards([str(dataset)], 0), Autoencoder(KLTAutoencoder(16))
    batches = Batches(shards, autoencoder, text, cache_mb, Needs(pixels=True))
    for batch in (batches.batch(range(3)), batches.batch(range(3))):
        a, b = ([getattr(s, name) for s in shards.load([shards.at(p) for p in batch.positions])] for name in ("a", "b"))
        x, y = to_tensor(a, CPU), to_tensor(b, CPU)
        assert batch.inputs.pixels is not None
        torch.testing.assert_close(batch.inputs.pixels[:, 0], x, atol=1e-6, rtol=0)
        torch.testing.assert_close(batch.inputs.pixels[:, 1], y, atol=1e-6, rtol=0)
        torch.testing.assert_close(batch.inputs.pixels[:, 2], fuse_base(x, y), atol=1.01 / 255, rtol=0)
    assert batches.batch(range(3)).crops is None
    assert Batches(shards, autoencoder, text, cache_mb, Needs()).batch(range(3)).inputs.pixels is None


def test_a_pair_of_odd_sides_is_filled_up_to_whole_positions_pixels_as_latents() -> None:
    autoencoder = Autoencoder(KLTAutoencoder(16))
    a, b = picture(1)[:21, :30], picture(2)[:21, :30]
    pair = encode_pair(autoencoder, a, b)
    assert pair.latents.shape == (3, 16, 3, 4)
    assert pair.pixels.shape == (3, 3, 24, 32)
    again = autoencoder.encode(pair.pixels[:2].float() / 127.5 - 1)
    torch.testing.assert_close(again, pair.latents[:2], atol=1e-4, rtol=1e-4)


def test_pictures_of_two_sizes_with_latents_of_one_are_refused_where_they_are_asked_for(
    tmp_path: Path, text: TextEncoder
) -> None:
    write_shard(tmp_path / "0.tar", range(2), size=32)
    write_shard(tmp_path / "1.tar", range(2, 4), size=32)
    shards = open_shards([f"{tmp_path}/{{0,1}}.tar"], 0)
    load = shards.load

    def cut(numbers: list[int]) -> list:
        samples = load(numbers)
        for sample in samples:
            if int(sample.key) > 1:
                for name in ("a", "b", "target"):
                    object.__setattr__(sample, name, getattr(sample, name)[:31])
        return samples

    shards.load = cut  # type: ignore[method-assign, assignment]
    Batches(shards, Autoencoder(KLTAutoencoder(16)), text, 0, Needs()).batch(range(4))
    with pytest.raises(UserError, match="different sizes"):
        Batches(shards, Autoencoder(KLTAutoencoder(16)), text, 0, Needs(crops=True)).batch(range(4))
