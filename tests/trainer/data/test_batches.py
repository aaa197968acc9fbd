"""Batches: what they carry of their samples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainer.helpers import picture, write_shard
from trainer.data.batches import Batches
from trainer.data.images import to_tensor
from trainer.data.shards import open_shards
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder(max_tokens=8)


def test_keys_positions_and_pictures_are_those_of_the_samples(dataset: Path, text: TextEncoder) -> None:
    shards, autoencoder = open_shards([str(dataset)], 0), Autoencoder(KLTAutoencoder(16))
    for pictures, cache_mb in ((True, 1), (True, 0), (False, 1)):
        batches = Batches(shards, autoencoder, text, cache_mb, pictures)
        for batch in (*batches.run(3, 15, 4), *batches.run(3, 15, 4)):  # the second time from the cache
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
    Batches(shards, Autoencoder(KLTAutoencoder(16)), text, 0).batch(0, 4)
    with pytest.raises(UserError, match="different sizes"):
        Batches(shards, Autoencoder(KLTAutoencoder(16)), text, 0, pictures=True).batch(0, 4)
