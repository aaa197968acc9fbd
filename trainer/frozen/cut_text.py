"""A text encoder whose vocabulary is cut to what some sentences need, for a machine that takes few megabytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from trainer.frozen.text import CUT, PACKAGED, folder_of, hash_of_folder

WORDS = "embeddings.word_embeddings.weight"
"""The matrix of which rows go."""


def cut_text_encoder(sentences: Iterable[str], out: Path, name: str = PACKAGED) -> int:
    """Writes a folder like that of the encoder, in fp16, with the pieces of words that the sentences are made of alone.

    A word is cut into the same pieces as before, since the longest piece that fits is taken, and only pieces that none
    of the words needs are gone. Other words become "unknown". Its embeddings are those of the whole one but for the
    rounding to fp16. `TextEncoder` gives it the hash of the whole one, so that weights go with either. Returns the
    number of pieces.
    """
    from transformers import AutoTokenizer

    folder = folder_of(name)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("*.safetensors", "vocab.txt", "README.md", "*.py"))
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    kept = set(tokenizer.all_special_ids)
    for sentence in sentences:
        kept.update(tokenizer(sentence)["input_ids"])
    order = sorted(kept)  # the padding stays the first
    new = {old: number for number, old in enumerate(order)}

    described: Any = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = described["model"]["vocab"]
    described["model"]["vocab"] = {word: new[old] for word, old in vocabulary.items() if old in new}
    for token in described["added_tokens"]:
        token["id"] = new[token["id"]]
    for token in described["post_processor"]["special_tokens"].values():
        token["ids"] = [new[old] for old in token["ids"]]
    if described.get("padding"):
        described["padding"]["pad_id"] = new[described["padding"]["pad_id"]]
    (out / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    words = sorted(described["model"]["vocab"], key=described["model"]["vocab"].get)
    (out / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (out / "config.json").write_text(json.dumps(config | {"vocab_size": len(order)}), encoding="utf-8")

    tensors = load_file(folder / "model.safetensors")
    tensors[WORDS] = tensors[WORDS][torch.tensor(order)]
    halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    save_file(halves, out / "model.safetensors", metadata={"format": "pt"})
    (out / CUT).write_text(json.dumps({"encoder": name, "hash": hash_of_folder(folder)}), encoding="utf-8")
    return len(order)
