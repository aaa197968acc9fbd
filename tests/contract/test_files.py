"""Both programs read every file to the same pixels and to the right ones, or refuse it with words: shards/FILES.md."""

import sys
from pathlib import Path

import numpy as np
import pytest

from synth.errors import UnreadableError
from synth.images import codecs
from synth.images.headers import read_header
from synth.images.pixels import in_colour
from synth.pairs.folder import FolderSource
from tests.conftest import ROOT
from tests.contract.odd_files import GREY, RGB, H, Odd, W, odd_files, stretched, tiff
from trainer.data import folders
from trainer.data.images import read_image, read_pair, read_together
from trainer.errors import UserError

FILES = odd_files()
SAME = ("kinds", "decoding", "tiff", "tiff_tags", "levels")
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


def deep(values: np.ndarray) -> bytes:
    """A picture of 16 bits, grey or in colour."""
    tags = {258: 16} if values.ndim == 2 else {258: [16] * 3, 262: 2, 277: 3}
    return tiff([values.astype("<u2").tobytes()], tags)


def divided(values: np.ndarray, bits: int) -> np.ndarray:
    return np.floor(values.astype(float) * 255 / (2**bits - 1) + 0.5).astype(np.uint8)


def written(folder: Path, **files: bytes) -> dict[str, Path]:
    for name, data in files.items():
        (folder / f"{name}.tif").write_bytes(data)
    return {name: folder / f"{name}.tif" for name in files}


@pytest.mark.parametrize(
    ("dark", "bright", "bits"),
    [
        (GREY * 4.0, GREY * 16.0, 12),
        (GREY * 1.0, GREY * 4.0, 10),
        (GREY * 3.0, GREY * 257.0, 16),
        (GREY * 1.0, RGB * 60.0, 14),
        (GREY // 2, GREY * 1.0, 8),
    ],
)
def test_the_images_of_a_pair_are_divided_by_what_the_brighter_needs(dark, bright, bits, tmp_path: Path) -> None:
    files = written(tmp_path, a=deep(dark), b=deep(bright))
    theirs, ours = read_together(files), codecs.read_together(files)
    note = "16 bits divided by 257" if bits == 16 else f"{bits} bits in 16 divided by {(2**bits - 1) / 255:.4g}"
    for name, values in (("a", dark), ("b", bright)):
        np.testing.assert_array_equal(ours[name].image, divided(values, bits))
        assert ours[name].notes == (note,)
        np.testing.assert_array_equal(theirs[name], in_colour(ours[name].image))


def test_infrared_is_stretched_and_does_not_decide_what_its_partner_is_divided_by(tmp_path: Path) -> None:
    files = written(tmp_path, a=deep(RGB * 16.0), b=deep(GREY + 40_000.0))
    ours = codecs.read_together(files, ["b"])
    np.testing.assert_array_equal(ours["a"].image, divided(RGB * 16.0, 12))
    np.testing.assert_array_equal(ours["b"].image, stretched(GREY + 40_000.0))
    first, second, lines = read_pair(files["a"], files["b"])
    np.testing.assert_array_equal(first, ours["a"].image)
    np.testing.assert_array_equal(second, in_colour(ours["b"].image))
    low, high = ours["b"].stretch
    assert lines[1].endswith(
        f"b.tif: infrared: {low:.6g} to {high:.6g} became black to white; --infrared none where it is not"
    )
    assert "12 bits" in lines[0]


SMOOTH = np.linspace(0, 1, H * W).reshape(H, W)
COUNTS = 7000 + 900 * SMOOTH
SEEN = 200 + 60_000 * SMOOTH
KELVIN = tiff([(300 + SMOOTH).astype("<f4").tobytes()], {258: 32, 339: 3})
UNIT = tiff([SMOOTH.astype("<f4").tobytes()], {258: 32, 339: 3})
EIGHT, COLOUR = tiff([GREY.tobytes()], {}), tiff([RGB.tobytes()], {258: [8] * 3, 262: 2, 277: 3})


@pytest.mark.parametrize(
    ("a", "b", "infrared"),
    [
        (COLOUR, deep(COUNTS), "b"),
        (deep(COUNTS), COLOUR, "a"),
        (deep(RGB * 257.0), deep(COUNTS), "b"),
        (deep(RGB * 257.0), deep(np.dstack([COUNTS] * 3)), "b"),
        (EIGHT, deep(COUNTS), "b"),
        (deep(SEEN), EIGHT, ""),
        (deep(SEEN), deep(COUNTS), "b"),
        (deep(COUNTS), deep(SEEN), "a"),
        (deep(SEEN / 40), deep(SEEN), ""),
        (deep(COUNTS), deep(COUNTS + 30), ""),
        (deep(SEEN), KELVIN, "b"),
        (COLOUR, UNIT, "b"),
        (UNIT, UNIT, ""),
        (deep(RGB * 257.0), deep(RGB * 25.0), ""),
        (COLOUR, EIGHT, ""),
        (EIGHT, EIGHT, ""),
    ],
)
def test_fusing_finds_which_picture_is_infrared_and_says_so(a, b, infrared, tmp_path: Path) -> None:
    files = written(tmp_path, a=a, b=b)
    first, second, lines = read_pair(files["a"], files["b"])
    told = [line for line in lines if ": infrared: " in line or "; infrared: " in line]
    assert [name for name in files if any(f"{name}.tif: " in line for line in told)] == list(infrared)
    for name, image in (("a", first), ("b", second)):
        np.testing.assert_array_equal(image, read_together(files, list(infrared))[name])
        if name in infrared:
            assert image.min() == 0
            assert image.max() == 255
    if infrared:
        np.testing.assert_array_equal(read_pair(files["a"], files["b"], infrared)[1], second)


def test_two_deep_grey_pictures_name_the_option(tmp_path: Path) -> None:
    files = written(tmp_path, a=deep(COUNTS), b=deep(COUNTS + 30))
    for name, line in zip("ab", read_pair(files["a"], files["b"])[2], strict=True):
        assert line.endswith(f"not taken for infrared; --infrared {name} where it is")
    assert read_pair(files["a"], files["b"], "b")[1].max() == 255
    with pytest.raises(UserError, match="infrared 'c': say which picture is"):
        read_pair(files["a"], files["b"], "c")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"b\.tif: not an image that can be used \(floating-point"):
        read_pair(files["a"], written(tmp_path, b=KELVIN)["b"], "none")


def test_gdals_missing_value_is_none_of_the_infrared_ones() -> None:
    values = (COUNTS - 8000).astype("<i2")
    values[:5] = -9999
    data = tiff([values.tobytes()], {258: 16, 339: 2, 42113: b"-9999\0"})
    image = codecs.decode_picture(data, infrared=True).image
    assert not image[:5].any()
    expected = np.interp(values[5:].astype(float), np.percentile(values[5:], (0.1, 99.9)), (0, 255))
    assert np.abs(image[5:] - expected).max() <= 0.51


def test_both_programs_find_files_of_every_suffix(tmp_path: Path) -> None:
    for at, suffix in enumerate(codecs.SUFFIXES):
        folder = tmp_path / "vif" / f"cam-{at}"
        folder.mkdir(parents=True)
        for name in "ab":
            (folder / f"{name}{suffix.upper() if at % 2 else suffix}").write_bytes(b"")
    found = list(FolderSource(folder=tmp_path / "vif").pairs("vif"))
    assert [type(pair).__name__ for pair in found] == ["FilePair"] * len(codecs.SUFFIXES)
    assert len(folders.images_of(tmp_path, "--pairs")) == 2 * len(codecs.SUFFIXES)


def test_a_folder_of_pairs_is_read_alike(tmp_path: Path) -> None:
    folder = tmp_path / "vif" / "cam-1"
    folder.mkdir(parents=True)
    written(folder, a=deep(RGB * 16.0), b=deep(COUNTS), gt=deep(RGB * 8.0))
    theirs = {picture.name: picture.image for picture in folders.pictures_of_pairs(tmp_path)}
    (pair,) = FolderSource(folder=tmp_path / "vif").pairs("vif")
    ours = pair.load()
    np.testing.assert_array_equal(theirs["a"], ours.pictures["a"])
    np.testing.assert_array_equal(theirs["b"], in_colour(ours.pictures["b"]))
    np.testing.assert_array_equal(theirs["gt"], ours.gt)
    assert set(ours.stretch) == {"b"}
    assert [note.split(" bits")[0] for note in ours.notes] == ["a.tif: 12", "gt.tif: 12"]


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def test_heic_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.jpg").write_bytes(HEIC)
    with pytest.raises(UnreadableError, match=r"a\.jpg: a HEIC picture needs pillow-heif: pip install 'mmaif\[heif\]'"):
        codecs.read(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a HEIC picture needs pillow-heif: pip install 'mmaif\[heif\]'"):
        read_image(tmp_path / "a.jpg")


def test_heic_is_read(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "a.heic"
    pillow_heif.from_bytes("RGB", (W, H), RGB.tobytes()).save(path, quality=100, chroma=444)
    assert np.abs(codecs.read(path).image.astype(int) - RGB).mean() < 3
    np.testing.assert_array_equal(read_image(path), codecs.read(path).image)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableError):
        codecs.read(path)
