"""What a picture, a prompt or a name of a file may be, as the command line takes them."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.helpers import picture, png
from trainer.data.folders import images_of
from trainer.data.images import WRITTEN, as_rgb, read_image, write_image
from trainer.errors import UserError
from trainer.inference.fuser import Fuser, PromptCut
from trainer.inference.jobs import jobs_of
from trainer.inference.pictures import Metadata, write_picture


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    for stem in "ab":
        (tmp_path / f"{stem}.png").write_bytes(png(picture(ord(stem), 48)))
    return tmp_path


def fuse(trainer_main, folder: Path, weights: Path, *more: object, prompt: str = "fuse", out: str = "out.png"):
    images = (folder / "a.png", folder / "b.png")
    return trainer_main("fuse", *images, "--weights", weights, "--prompt", prompt, "-o", folder / out, *more)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_on_a_full_disk_the_old_picture_stays_and_the_line_names_it(
    suffix, pair: Path, weights: Path, trainer_main, monkeypatch
) -> None:
    out = pair / f"out{suffix}"
    out.write_bytes(b"old")

    def half(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # without the path, as a write has it

    monkeypatch.setattr(Path, "write_bytes", half)
    code, _, told = fuse(trainer_main, pair, weights, out=out.name)
    assert (code, told) == (1, f"trainer: {out}: No space left on device\n")
    with pytest.raises(OSError, match=f"No space left on device: '{out}'"):
        write_image(out, picture(1))
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in pair.iterdir()) == ["a.png", "b.png", out.name]


def test_two_that_write_one_picture_both_write_it_whole(tmp_path: Path) -> None:
    image = picture(1, 48)
    write = [lambda: write_image(tmp_path / "x.png", image)]
    write += [lambda: write_picture(tmp_path / "x.png", image.astype(np.float32) / 255, False, Metadata())]
    faults: list[BaseException] = []

    def again(number: int) -> None:
        try:
            for _ in range(20):
                write[number]()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=again, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    assert np.array_equal(read_image(tmp_path / "x.png"), image)


@pytest.mark.parametrize("suffix", [".gif", ".hdr", ".pfm", ".avif", ".jp2", ".exr", ".ppm", ".sr", ""])
def test_what_the_line_does_not_offer_is_not_written(suffix, tmp_path: Path, trainer_main, pair: Path) -> None:
    with pytest.raises(UserError, match=r"end the name with \.png, .* or \.bmp"):
        write_image(tmp_path / f"x{suffix}", picture(1))
    code, _, told = fuse(trainer_main, pair, tmp_path / "none", out=f"x{suffix}")
    assert (code, told.count("\n")) == (2, 1)
    (tmp_path / "in").mkdir()
    code, _, told = trainer_main(
        *("fuse", tmp_path / "in", "--prompt", "x", "-o", tmp_path / "out", f"--suffix={suffix}")
    )
    assert code == 2
    assert "no picture format that is written" in told


@pytest.mark.parametrize("suffix", [*WRITTEN, ".PNG", ".Jpg"])
def test_what_it_offers_is_the_picture(suffix, tmp_path: Path) -> None:
    image = np.full((32, 40, 3), (200, 120, 40), np.uint8)
    write_image(tmp_path / f"x{suffix}", image)
    assert np.abs(read_image(tmp_path / f"x{suffix}").astype(int) - image).max() <= 4


@pytest.mark.parametrize("prompt", ["", "  ", "\t\n"])
def test_a_prompt_that_asks_nothing_is_refused(prompt, pair: Path, trainer_main) -> None:
    code, out, told = fuse(trainer_main, pair, pair / "none", prompt=prompt)
    assert (code, out, told.count("\n")) == (2, "", 1)
    assert "nothing is asked" in told
    code, _, told = trainer_main("evaluate", "--pairs", pair, "--prompt", prompt, "-o", pair / "report")
    assert code == 2
    assert "nothing is asked" in told


def test_a_prompt_of_unknown_words_is_told(pair: Path, weights: Path, fuser: Fuser, trainer_main) -> None:
    assert fuser.cut("remove the haze, and fuse the images \N{SLIGHTLY SMILING FACE}") == ""
    code, _, told = fuse(trainer_main, pair, weights, prompt="\N{SLIGHTLY SMILING FACE}" * 3)
    assert code == 0
    assert "1 of 1 words and signs of the prompt are unknown" in told
    with pytest.warns(PromptCut, match="8 of 9 words"):
        fuser(pair / "a.png", pair / "b.png", "去除雾霾并融合图像")


@pytest.mark.parametrize("prompt", ["AUTO", " Auto "])
def test_auto_is_auto_in_any_case(prompt, pair: Path, weights: Path, fuser: Fuser, trainer_main) -> None:
    try:
        said = fuser.describe(pair / "a.png", pair / "b.png")
    except UserError as error:
        said = str(error)
    _, out, told = fuse(trainer_main, pair, weights, prompt=prompt)
    assert said in out + told


def test_files_of_a_system_are_no_images(pair: Path) -> None:
    for name in ("._a.png", ".b.png", ".DS_Store"):
        (pair / name).write_bytes(b"\0\5\26\7")
    assert [path.name for path in images_of(pair, "--images")] == ["a.png", "b.png"]
    (job,) = jobs_of([pair, pair], pair / "out").jobs[:1]
    assert [path.name for path in job.images] == ["a.png", "a.png"]
    assert len(jobs_of([pair, pair], pair / "out").jobs) == 2


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0), (0, 0, 1)])
def test_an_image_without_a_pixel_is_refused(shape, fuser: Fuser) -> None:
    empty = np.zeros(shape, np.uint8)
    with pytest.raises(UserError, match="without a pixel"):
        as_rgb(empty, "a")
    with pytest.raises(UserError, match="without a pixel"):
        fuser(empty, empty, "fuse")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_narrow_stdout_shows_what_it_can(encoding, pair: Path, weights: Path, trainer_main, monkeypatch) -> None:
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding=encoding))
    code, _, told = fuse(trainer_main, pair, weights, out="fu\N{GREEK SMALL LETTER SIGMA}ed.png")
    sys.stdout.flush()
    assert code == 0, told
    shown = {"latin-1": b"fu?ed.png", "ascii": "fu\N{GREEK SMALL LETTER SIGMA}ed.png".encode()}  # typer widens ascii
    assert held.getvalue().splitlines()[-1].endswith(shown[encoding])


def test_home_is_meant_where_no_shell_saw_it(pair: Path, weights: Path, trainer_main, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(pair))
    monkeypatch.chdir(pair)
    weights_link = pair / "w"
    weights_link.symlink_to(weights)
    code, _, told = trainer_main("fuse", "~/a.png", "~/b.png", "--weights=~/w", "--prompt", "x", "--out=~/new/x.png")
    assert code == 0, told
    assert (pair / "new" / "x.png").is_file()
    assert trainer_main("fuse", "~/a.png", "~/b.png", "--weights", "~/w", "--prompt", "x", "-o~/y.png")[0] == 0
    assert (pair / "y.png").is_file()
    assert not (pair / "~").exists()
