"""What travels to a lent GPU: every word that instructions can hold, pairs that are not held out, pieces that join."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

import bench.gpu.speed as speed_of
from bench.gpu import fuse_time
from bench.gpu.pack import HELD_OUT, _pairs
from bench.gpu.words import sentences
from bench.gpu.work import PIECE, _split
from synth.instructions.grammar import KINDS, Mention, compose
from synth.instructions.phrases import EVERYWHERE, PHRASED, PLACES
from synth.pairs.split import side_of
from synth.tasks import TASKS


@pytest.fixture(scope="module")
def known() -> tuple[object, set[int]]:
    from trainer.frozen.text import PACKAGED, folder_of

    tokenizer = AutoTokenizer.from_pretrained(str(folder_of(PACKAGED)), local_files_only=True)
    return tokenizer, {number for sentence in sentences() for number in tokenizer(sentence)["input_ids"]}


def test_every_sentence_is_made_of_words_that_travel(known: tuple[object, set[int]]) -> None:
    tokenizer, numbers = known
    effects = sorted(PHRASED)
    ways = {"exposure": ("dark", "bright"), "contrast": ("low", "high")}
    wheres = [*PLACES, EVERYWHERE, *(words for task in TASKS.values() for words in task.words.values())]
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        mentions = [
            Mention(
                str(effect),
                (None, "weak", "strong")[int(rng.integers(3))],
                tuple(wheres[int(rng.integers(len(wheres)))]),
                way=ways.get(str(effect), (None,))[0 if str(effect) not in ways else int(rng.integers(2))],
            )
            for effect in rng.permutation(effects)[: 1 + seed % 3]
        ]
        kind = KINDS[seed % len(KINDS)]
        text = compose(kind, mentions, mentions[:1], "all", rng).text
        assert set(tokenizer(text)["input_ids"]) <= numbers, text  # type: ignore[operator]


def test_pairs_are_taken_by_the_roots_of_their_data_sets_and_none_that_is_held_out(tmp_path: Path) -> None:
    for task, name, count in (("vif", "large", 400), ("vif", "small", 16), ("mef", "only", 40)):
        for number in range(count):
            folder = tmp_path / task / f"{name}-{number:03d}"
            folder.mkdir(parents=True)
            for image in "ab":
                (folder / f"{image}.png").touch()
    order = [place for place, _ in _pairs(tmp_path)]
    assert len(set(order)) == len(order)
    assert all(side_of(place.name, HELD_OUT) == "train" for place in order)
    first = [place.as_posix().split("-")[0] for place in order[:40]]
    assert abs(first.count("mef/only") - 20) <= 2
    assert 2 <= first.count("vif/small") <= 5  # 4 of 24 roots
    assert len(order) == sum(side_of(f.name, HELD_OUT) == "train" for t in tmp_path.iterdir() for f in t.iterdir())


def test_pieces_are_small_and_join_to_the_whole(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(2 * PIECE + 5)
    _split(tmp_path, "x.tar", data)
    pieces = sorted(tmp_path.iterdir())
    assert [piece.stat().st_size for piece in pieces] == [PIECE, PIECE, 5]
    assert b"".join(piece.read_bytes() for piece in pieces) == data


def test_the_speed_of_steps_is_told_line_by_line_with_a_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed_of, "ON_A_CPU", (speed_of.Trial("tiny", 64, 2), speed_of.Trial("tiny", 32, 1)))
    monkeypatch.setattr(fuse_time, "SIZES", ((40, 56),))
    assert speed_of.speed(Namespace(seconds=60, each=0.05)) == 0
    told = capsys.readouterr().out
    lines = re.findall(
        r"^tiny (\d+) px, batch (\d): ([\d.]+) samples/s, tflop_per_s ([\d.]+) memory", told, re.MULTILINE
    )
    assert [line[:2] for line in lines] == [("64", "2"), ("32", "1")]
    assert all(float(line[2]) > 0 for line in lines)
    assert "aten::" in told
    assert re.search(r"fuse 56x40: [\d.]+ s", told)
    assert speed_of.speed(Namespace(seconds=-1, each=0.05)) == 0
    assert capsys.readouterr().out == "out of time\n"
