"""The reader of latents on bytes that are not what they should be."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import torch

from trainer.data.latents import Encoded, Latents
from trainer.errors import UserError

KEY = "000000001"


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=array.dtype == object)
    return file.getvalue()


def decoded(**changes: Any) -> Encoded:
    record = {"version": 1, "instruction": "fuse", "encoded": {"size": [15, 24], "window": [0, 0, 0.5, 1], "turn": 0}}
    members = {
        "json": json.dumps(record | changes.get("record", {})).encode(),
        "latents.npy": npy(np.ones((4, 6, 2, 3), np.float16)),
        "pixels.npy": npy(np.full((3, 3, 16, 24), 7, np.uint8)),
        "glance.npy": npy(np.zeros((9, 32, 32), np.float16)),
    } | {name.replace("_", "."): data for name, data in changes.items() if name != "record"}
    found = {name: memoryview(bytearray(data)) for name, data in members.items() if data is not None}
    return Latents.decode(object.__new__(Latents), KEY, found, "0.tar")


def test_arrays_share_the_bytes_that_were_read() -> None:
    entry = decoded()
    assert (entry.latents.dtype, entry.size, entry.key) == (torch.float16, (15, 24), KEY)
    assert torch.equal(entry.latents, torch.ones(4, 6, 2, 3).half())
    assert entry.pixels is not None
    assert entry.whole is not None
    assert torch.equal(entry.whole.window, torch.tensor([[0, 0, 0.5, 1]]))
    data = bytearray(npy(np.zeros((4, 1, 1, 1), np.float16)))
    found = {"json": memoryview(json.dumps({"version": 1, "instruction": "", "encoded": {"size": [8, 8]}}).encode())}
    entry = Latents.decode(object.__new__(Latents), KEY, found | {"latents.npy": memoryview(data)}, "0.tar")
    entry.latents.add_(1)
    assert data.endswith(np.ones(4, np.float16).tobytes())
    assert decoded(pixels_npy=None, glance_npy=None).pixels is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latents_npy": npy(np.ones((4, 6, 2, 3), np.float32))}, r"latents\.npy: not the array .*float32"),
        ({"latents_npy": npy(np.ones((3, 6, 2, 3), np.float16))}, r"latents\.npy: not the array .*\(3, 6, 2, 3\)"),
        ({"latents_npy": npy(np.ones((4, 6, 2), np.float16))}, r"latents\.npy: not the array .*\(4, 6, 2\)"),
        ({"latents_npy": npy(np.ones((4, 6, 2, 3), np.float16))[:-2]}, r"latents\.npy: not the array"),
        ({"latents_npy": b"\x93NUMPY\x02\x00" + bytes(200)}, r"latents\.npy: .*no \.npy of version 1\.0"),
        ({"latents_npy": b""}, r"latents\.npy: not the array"),
        ({"latents_npy": npy(np.array([{}] * 4, object))}, r"latents\.npy: not the array"),
        ({"latents_npy": npy(np.asfortranarray(np.ones((4, 6, 2, 3), np.float16)))}, "in Fortran order"),
        ({"pixels_npy": npy(np.ones((2, 3, 16, 24), np.uint8))}, r"pixels .*beside latents"),
        ({"pixels_npy": npy(np.ones((3, 3, 17, 24), np.uint8))}, r"pixels .*beside latents"),
        ({"glance_npy": npy(np.ones((9, 16, 16), np.float16))}, r"glance\.npy: not the array"),
        ({"record": {"encoded": None}}, r"json: encoded: "),
        ({"record": {"encoded": {"size": [8]}}}, r"json: encoded"),
        ({"record": {"encoded": {"size": [0, 8], "window": [0, 0, 1, 1]}}}, r"json: encoded\.size"),
        ({"record": {"encoded": {"size": [8, 8], "window": "all"}}}, r"json: encoded: "),
        ({"record": {"version": 9}}, "format version 9"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as told:
        decoded(**changes)
    assert "\n" not in str(told.value)
