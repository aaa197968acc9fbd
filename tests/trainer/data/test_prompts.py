"""The table of sentences, and how it is looked into."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainer.data.prompts import TABLE, PromptTable, Sentences, write_prompts
from trainer.errors import UserError
from trainer.frozen.text import TextEncoder

KNOWN = ["remove the haze", "fuse them", "clear the noise in both pictures, and leave the rain as it is there"]


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder(max_tokens=8)


def test_a_sentence_is_what_the_encoder_makes_of_it(tmp_path: Path, text: TextEncoder) -> None:
    write_prompts(tmp_path / TABLE, KNOWN, text)
    table = PromptTable(str(tmp_path / TABLE), text)
    assert len(table) == 3
    for sentence in KNOWN:
        found, wanted = table.find(sentence), text([sentence])
        assert found is not None
        torch.testing.assert_close(found.tokens, wanted.tokens[0], atol=1e-3, rtol=1e-3)
        assert torch.equal(found.mask, wanted.mask[0])
        assert torch.equal(found.pooled, wanted.pooled[0])
    assert table.find("something else") is None


def test_what_is_in_no_table_is_encoded(tmp_path: Path, text: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prompts(tmp_path / TABLE, KNOWN[:2], text)
    sentences, asked = Sentences(text, [f"{tmp_path}/0.tar", f"{tmp_path}/1.tar"]), list[str]()
    assert len(sentences.tables) == 1
    encode = TextEncoder.__call__
    monkeypatch.setattr(TextEncoder, "__call__", lambda self, new: [asked.extend(new), encode(self, new)][1])
    mixed = [KNOWN[1], "thin out the fog", KNOWN[0], KNOWN[2]]
    found = sentences(mixed)
    assert asked == ["thin out the fog", KNOWN[2]]
    torch.testing.assert_close(found.tokens, encode(text, mixed).tokens, atol=1e-3, rtol=1e-3)
    assert torch.equal(found.mask, encode(text, mixed).mask)


def test_a_table_of_another_encoder_and_a_damaged_one_are_refused(tmp_path: Path, text: TextEncoder) -> None:
    path, other = tmp_path / TABLE, TextEncoder(max_tokens=8)
    other.hash = "0" * 64
    write_prompts(path, KNOWN, other)
    with pytest.raises(UserError, match="of another text encoder than the run's"):
        PromptTable(str(path), text)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=f"{TABLE}: cannot be read"):
        PromptTable(str(path), text)


def test_of_a_table_that_cuts_elsewhere_the_sentences_are_taken_that_are_whole(tmp_path: Path) -> None:
    """Of one cut shorter, those that end before the cut; of one cut longer, those that the run reads whole."""
    made = {most: TextEncoder(max_tokens=most) for most in (8, 12, 64)}
    for most, text in made.items():
        write_prompts(tmp_path / f"{most}.arrow", KNOWN, text)
    short, long = PromptTable(str(tmp_path / "8.arrow"), made[64]), PromptTable(str(tmp_path / "64.arrow"), made[12])
    for table, text in ((short, made[64]), (long, made[12])):
        assert [table.find(sentence) is None for sentence in KNOWN] == [False, False, True]
        found = table.find(KNOWN[0])
        assert found is not None
        assert torch.equal(found.mask, text(KNOWN[:1]).mask[0])
    (tmp_path / "8.arrow").rename(tmp_path / TABLE)
    sentences = Sentences(made[64], [f"{tmp_path}/0.tar"])
    assert torch.equal(sentences(KNOWN).mask, made[64](KNOWN).mask), "and the rest is encoded on the way"
