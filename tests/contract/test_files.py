"""Both programs read every file to the same pixels and to the right ones, or refuse it with words: shards/FILES.md."""

from pathlib import Path

import numpy as np
import pytest

from synth.errors import UnreadableError
from synth.images import codecs
from synth.images.headers import read_header
from tests.conftest import ROOT
from tests.contract.odd_files import Odd, odd_files
from trainer.data import folders
from trainer.data.images import read_image
from trainer.errors import UserError

FILES = odd_files()
SAME = ("kinds", "decoding", "tiff", "levels")
"""Modules that both programs have, each its own copy."""


@pytest.mark.parametrize("name", FILES)
def test_both_programs_read_it_to_the_right_pixels_or_refuse_it(name: str, tmp_path: Path, capfd) -> None:
    odd: Odd = FILES[name]
    path = tmp_path / "a.png"  # which it is, its bytes say
    path.write_bytes(odd.data)
    if odd.shown is None:
        with pytest.raises(UnreadableError, match=odd.refused) as by_synth:
            codecs.read(path, odd.infrared)
        with pytest.raises(UserError, match=odd.refused) as by_trainer:
            read_image(path, odd.infrared)
        for error in (by_synth, by_trainer):
            assert "\n" not in str(error.value)
        assert "a.png: " in str(by_synth.value)
        assert str(tmp_path) not in str(by_synth.value)
    else:
        picture = codecs.read(path, odd.infrared)
        assert capfd.readouterr().err == ""
        image, shown = picture.image, np.asarray(odd.shown)
        assert image.dtype == np.uint8
        assert image.shape == shown.shape
        assert np.abs(image.astype(float) - shown).max() <= odd.tolerance
        assert picture.notes == odd.notes
        assert read_header(path).size == read_header(odd.data).size == shown.shape[:2]
        np.testing.assert_array_equal(
            read_image(path, odd.infrared), np.broadcast_to(image.reshape(*image.shape[:2], -1), (*image.shape[:2], 3))
        )


@pytest.mark.parametrize("name", SAME)
def test_the_copies_of_the_reader_say_the_same(name: str) -> None:
    texts = [(ROOT / folder / f"{name}.py").read_text(encoding="utf-8") for folder in ("synth/images", "trainer/data")]
    ours, theirs = (sorted(text.replace("synth.images", "trainer.data").splitlines()) for text in texts)
    assert ours == theirs


def test_both_programs_look_for_the_same_suffixes() -> None:
    assert set(codecs.SUFFIXES) == set(folders.SUFFIXES)
