"""Couples: samples of one group, of shards of pictures and of latents, alone and in a mixture."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.data.helpers import keys
from tests.trainer.helpers import write_shard
from trainer.config import load_config
from trainer.data.batches import Batch, Batches, Needs
from trainer.data.choice import Only
from trainer.data.mates import Mates
from trainer.data.mixture import Mixture
from trainer.data.shards import IndexedShards, Reading, Sample, open_either, open_shards
from trainer.encoding.run import encode
from trainer.encoding.visits import Visits
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import TextEncoder
from trainer.training.feed import open_data


def write(folder: Path, per_pair: int = 2, failed: tuple[int, ...] = (), **kind: Any) -> Path:
    folder.mkdir()
    for number in range(2):
        indices = range(12 * number, 12 * number + 12)
        write_shard(folder / f"{number:06d}.tar", indices, per_pair=per_pair, failed=failed, **kind)
    manifest = {"version": 1, "kind": "images", "name": "two", "complete": True, "shards": []}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    return folder


def opened(folder: Path, only: Only | None = None) -> IndexedShards[Sample]:
    shards = open_shards([str(folder)], 0, only=only or Only())
    assert isinstance(shards, IndexedShards)
    return shards


def autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(KLTAutoencoder.fit([torch.rand(3, 32, 32) for _ in range(4)], 16))


def groups_of(batch: Batch, per_pair: int = 2) -> list[tuple[int, int]]:
    numbers = [int(key) // per_pair for key in batch.keys]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_mates_take_turns_and_who_has_none_gives_way_to_the_next_that_has() -> None:
    mates = Mates([7, 7, 5, 9, 9, 9])
    assert len(mates) == 5
    assert [mates.couple(number, 0) for number in range(6)] == [(0, 1), (1, 0), (3, 4), (3, 4), (4, 3), (5, 3)]
    assert [mates.couple(4, turn)[1] for turn in range(4)] == [3, 5, 3, 5]
    assert not Mates([3, 1, 2])
    assert Mates([1, 2, 2, 3]).couple(3, 0) == (1, 2), "after the last comes the first"


def test_a_batch_of_couples_holds_every_other_sample_of_the_order_beside_a_mate(tmp_path: Path) -> None:
    shards = opened(write(tmp_path / "set", failed=(3,)))
    batches = Batches(shards, autoencoder(), TextEncoder(), 64, Needs(crops=True))
    plain, couples = batches.batch(range(8, 20)), batches.batch(range(8, 20), couples=True)
    assert (plain.couples, couples.couples) == (False, True)
    assert all(one == other for one, other in groups_of(couples))
    assert all(one != other for one, other in zip(couples.keys[::2], couples.keys[1::2], strict=True))
    turns = [f"{number:09d}" for number in keys(shards, range(8, 20))]
    kept = zip(couples.keys[::2], turns[::2], strict=True)
    assert all(key == turn for key, turn in kept if turn != "000000002"), "the mate of which failed"
    assert "000000002" not in couples.keys
    for z in (couples.inputs.z_a, couples.inputs.z_b, couples.inputs.base):
        assert torch.equal(z[::2], z[1::2])
    assert not torch.equal(couples.target[::2], couples.target[1::2])
    assert couples.crops is not None
    assert torch.equal(couples.crops.a[::2], couples.crops.a[1::2])
    assert couples.inputs.prompts.pooled[::2].ne(couples.inputs.prompts.pooled[1::2]).any(1).all()


def test_two_of_a_couple_draw_alike_and_couples_apart(tmp_path: Path) -> None:
    batches = Batches(opened(write(tmp_path / "set")), autoencoder(), TextEncoder(), 64, Needs())
    assert list(batches.batch(range(6, 10), couples=True).draws) == [6, 6, 8, 8]
    assert list(batches.batch(range(6, 10)).draws) == [6, 7, 8, 9]


def test_a_mate_that_is_broken_leaves_its_sample_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.data.shards.MOST_BROKEN", 0.5)
    folder = write(tmp_path / "set")
    tar = folder / "000000.tar"
    shards = opened(folder)
    member = shards.samples.index[1].members[0]
    with tar.open("r+b") as file:
        file.seek(member.offset + member.size // 2)
        file.write(b"broken")
    batches = Batches(shards, autoencoder(), TextEncoder(), 0, Needs())
    seen: Counter[tuple[str, str]] = Counter()
    for start in range(0, 96, 8):
        found = batches.batch(range(start, start + 8), couples=True).keys
        seen.update(zip(found[::2], found[1::2], strict=True))
    assert ("000000000", "000000000") in seen, "beside itself, in place of 1"
    assert all(int(one) // 2 == int(other) // 2 for one, other in seen)


@pytest.mark.parametrize("per_pair", [1, 2])
def test_no_couples_is_one_line_that_says_what_makes_them(tmp_path: Path, per_pair: int) -> None:
    folder = write(tmp_path / "set", per_pair)
    config = load_config("tiny", {"training.couples": 0.1})
    if per_pair == 2:
        open_data(config, [str(folder)]).close()
        return
    told = r"no pair stands under two instructions in these shards.*instructions\.per_pair: 2"
    with pytest.raises(UserError, match=told):
        open_data(config, [str(folder)])
    open_data(load_config("tiny"), [str(folder)]).close()


def test_of_a_choice_of_samples_mates_are_those_that_were_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write_shard(folder / "0.tar", range(6), per_pair=2)
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "0.parquet")
    kinds = pa.array(["full", "keep", "full", "full", "keep", "keep"])
    pq.write_table(table.append_column("kind", kinds), folder / "0.parquet")
    shards = opened(folder / "0.tar", Only(kinds=("full",)))
    assert {shards.couple(number, 0) for number in range(3)} == {(1, 2), (2, 1)}


def test_tars_that_are_streamed_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", range(4), per_pair=2, sidecar=False)
    with pytest.raises(UserError, match=r"training\.couples needs the sidecars"):
        open_data(load_config("tiny", {"training.couples": 0.1}), [str(tmp_path / "0.tar")])


def test_a_mixture_draws_couples_from_those_of_its_datasets_that_have_some(tmp_path: Path) -> None:
    folders = [write(tmp_path / "alone", 1), write(tmp_path / "two", 2), write(tmp_path / "three", 3)]
    parts: list[Any] = [opened(folder) for folder in folders]
    mixture = Mixture(parts, [1, 1, 1], 0)
    mixture.check_couples()
    seen: Counter[int] = Counter()
    for position in range(300):
        first, second = mixture.couple(mixture.at(position), position)
        which = first // 24
        assert second // 24 == which
        assert first != second
        assert first % 24 // (which + 1) == second % 24 // (which + 1)
        seen[which] += 1
    assert set(seen) == {1, 2}
    with pytest.raises(UserError, match="no pair stands under two instructions"):
        Mixture(parts[:1], [1], 0).check_couples()


def test_latents_of_a_group_show_one_window_each_visit(tmp_path: Path) -> None:
    folder, out = write(tmp_path / "set"), tmp_path / "latents"
    config = load_config("tiny", {"model.tone": True, "autoencoder.channels": 16})
    encode(config, [str(folder)], out, Visits(count=3, window=16, symmetries=True))
    shards = open_either([str(out)], 0, Reading())
    assert isinstance(shards, IndexedShards)
    batches = Batches(shards, load_autoencoder(out / "autoencoder"), TextEncoder(), 0, Needs(pixels=True))
    seen = set()
    for start in range(0, 72, 8):
        batch = batches.batch(range(start, start + 8), couples=True)
        assert batch.inputs.pixels is not None
        assert batch.inputs.whole is not None
        assert torch.equal(batch.inputs.pixels[::2], batch.inputs.pixels[1::2])
        assert torch.equal(batch.inputs.whole.window[::2], batch.inputs.whole.window[1::2])
        for one, other in zip(batch.keys[::2], batch.keys[1::2], strict=True):
            assert (int(one[:9]) // 2, one[9:]) == (int(other[:9]) // 2, other[9:])
            assert one != other
            seen.add(one[9:])
    assert seen == {"-00", "-01", "-02"}


def test_latents_whose_windows_were_drawn_by_sample_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = write(tmp_path / "set"), tmp_path / "latents"
    monkeypatch.setattr("trainer.encoding.visits.group_of", lambda _, key: key)  # as it was before
    encode(load_config("tiny", {"autoencoder.channels": 16}), [str(folder)], out, Visits(window=16, symmetries=True))
    shards = open_either([str(out)], 0, Reading())
    batches = Batches(shards, load_autoencoder(out / "autoencoder"), TextEncoder(), 0, Needs())
    with pytest.raises(UserError, match="of one pair, and show other windows of it; encode the shards anew"):
        batches.batch(range(16), couples=True)
