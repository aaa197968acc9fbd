"""`trainer fuse` on files as people have them: pairs, stacks, folders, deep files, what they carry beside pixels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from skimage import data

from tests.trainer.helpers import Command, picture, png
from trainer import Fuser
from trainer.data.images import read_image
from trainer.errors import UserError
from trainer.inference.jobs import jobs_of
from trainer.inference.pictures import is_deep, metadata_of
from trainer.inference.stacks import order

SIZE = 48


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two scenes with a and b, one with three images, one without b, and files that are none."""
    for scene, stems in {"x-1": "ab", "x-2": "ab", "deep/x-3": "abc", "half": "a"}.items():
        folder = tmp_path / "pairs" / scene
        folder.mkdir(parents=True)
        for number, stem in enumerate(stems):
            (folder / f"{stem}.png").write_bytes(png(picture(number, SIZE)))
    (tmp_path / "pairs/x-1/gt.png").write_bytes(png(picture(9, SIZE)))
    (tmp_path / "pairs/x-1/notes.txt").write_text("a note")
    return tmp_path / "pairs"


def fused(trainer_main: Command, weights: Path, *arguments: object) -> tuple[int, str, str]:
    return trainer_main("fuse", *arguments, "--prompt", "fuse the images", "--weights", weights)


def test_a_folder_of_scenes_becomes_a_folder_of_pictures(pairs, weights, tmp_path, trainer_main, fuser):
    out = tmp_path / "out"
    code, said, told = fused(trainer_main, weights, pairs, "-o", out)
    assert code == 0, told
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == [
        "deep/x-3.png",
        "x-1.png",
        "x-2.png",
    ]
    assert "left out: half: no image b" in told
    assert "3 of 3" in told
    assert said == f"{out}: 3 pictures\n"
    expected = fuser(pairs / "x-1/a.png", pairs / "x-1/b.png", "fuse the images")
    np.testing.assert_array_equal(read_image(out / "x-1.png"), expected)


def test_folders_of_equal_names_are_paired_by_name(weights, tmp_path, trainer_main):
    for folder, suffix, names in (("vi", ".png", "123"), ("ir", ".jpg", "234")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}{suffix}").write_bytes(png(picture(int(name), SIZE)))
    arguments = (tmp_path / "vi", tmp_path / "ir", "-o", tmp_path / "out", "--suffix", ".webp")
    code, _, told = fused(trainer_main, weights, *arguments)
    assert code == 0, told
    assert sorted(path.name for path in (tmp_path / "out").glob("*.webp")) == ["2.webp", "3.webp"]
    assert f"left out: 1: none in {tmp_path / 'ir'}" in told
    assert f"left out: 4: none in {tmp_path / 'vi'}" in told


def test_a_bad_pair_costs_itself_alone_and_the_same_command_goes_on(pairs, weights, tmp_path, trainer_main):
    (pairs / "x-1/b.png").write_bytes(b"no picture")
    (pairs / "x-2/b.png").write_bytes(png(picture(2, 32)))
    out = tmp_path / "out"
    code, said, told = fused(trainer_main, weights, pairs, "-o", out)
    assert code == 1
    assert said == f"{out}: 1 pictures, 2 could not be made\n"
    assert "x-1/b.png" in told
    assert "passed over: x-2: images of different sizes: a.png is 48x48, b.png is 32x32" in told
    before = (out / "deep/x-3.png").stat().st_mtime_ns
    shutil.copy(pairs / "x-2/a.png", pairs / "x-2/b.png")
    shutil.copy(pairs / "x-1/a.png", pairs / "x-1/b.png")
    code, said, told = fused(trainer_main, weights, pairs, "-o", out)
    assert code == 0
    assert "1 of 3 pictures are there already" in told
    assert (out / "deep/x-3.png").stat().st_mtime_ns == before


def test_pictures_of_other_settings_are_not_mixed(pairs, weights, tmp_path, trainer_main):
    out = tmp_path / "out"
    assert fused(trainer_main, weights, pairs, "-o", out)[0] == 0
    code, _, told = fused(trainer_main, weights, pairs, "-o", out, "--strength", "0.5")
    assert code == 2
    assert "other settings (strength)" in told
    assert fused(trainer_main, weights, pairs, "-o", out, "--strength", "0.5", "--overwrite")[0] == 0
    assert json.loads((out / "fuse.json").read_text())["strength"] == 0.5


def test_a_stack_is_pairwise_fusing_by_hand_in_its_order(fuser: Fuser, weights, tmp_path, trainer_main):
    images = [(picture(5, SIZE) * share).astype(np.uint8) for share in (0.5, 0.1, 1.0)]
    assert order(images) == [1, 0, 2]
    by_hand = fuser(fuser(images[1], images[0], "fuse the images"), images[2], "fuse the images")
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file, image in zip(files, images, strict=True):
        file.write_bytes(png(image))
    assert fused(trainer_main, weights, *files, "-o", tmp_path / "out.png")[0] == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), by_hand)
    given = fuser(fuser(images[0], images[1], "fuse the images"), images[2], "fuse the images")
    assert fused(trainer_main, weights, *files, "-o", tmp_path / "out.png", "--order", "given")[0] == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), given)


def test_strength_leads_from_the_closed_form_to_the_picture(fuser: Fuser):
    from trainer.evaluation.methods import fused as closed_form

    a, b = picture(1, SIZE), picture(2, SIZE)
    np.testing.assert_allclose(fuser.picture(a, b, "fuse", strength=0) * 255, closed_form(a, b), atol=0.51)
    whole, half = (fuser.picture(a, b, "fuse", strength=share) for share in (1.0, 0.5))
    base = fuser.picture(a, b, "fuse", strength=0)
    np.testing.assert_allclose(half, np.clip((whole + base) / 2, 0, 1), atol=2e-2)
    with pytest.raises(UserError, match="strength 2: from 0"):
        fuser(a, b, "fuse", strength=2)


def test_passes_are_the_mean_of_pictures_that_lie_elsewhere_on_the_grid(fuser: Fuser):
    a, b = picture(1, SIZE), picture(2, SIZE)
    height, width = a.shape[:2]
    made = []
    for dy, dx in ((0, 0), (8, 8), (4, 12), (12, 4)):
        moved = [cv2.copyMakeBorder(image, dy, 0, dx, 0, cv2.BORDER_REFLECT) for image in (a, b)]
        made.append(fuser.picture(*moved, "fuse")[dy:, dx:])
        assert made[-1].shape == (height, width, 3)
    for passes in (1, 2, 4):
        np.testing.assert_allclose(fuser.picture(a, b, "fuse", passes=passes), np.mean(made[:passes], 0), atol=1e-2)
    assert np.abs(made[0] - made[1]).mean() > 1e-3
    with pytest.raises(UserError, match="passes 3: 1, 2, 4"):
        fuser(a, b, "fuse", passes=3)


@pytest.mark.parametrize(("suffix", "deep"), [(".png", True), (".tif", True), (".jpg", False)])
def test_sixteen_bits_come_out_where_an_input_had_them(suffix, deep, weights, tmp_path, trainer_main):
    a = picture(1, SIZE).astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "a.png"), a)
    (tmp_path / "b.png").write_bytes(png(picture(2, SIZE)))
    assert [is_deep(tmp_path / name) for name in ("a.png", "b.png")] == [True, False]
    out = tmp_path / f"out{suffix}"
    assert fused(trainer_main, weights, tmp_path / "a.png", tmp_path / "b.png", "-o", out)[0] == 0
    found = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert found.dtype == (np.uint16 if deep else np.uint8)
    if deep:
        assert len(np.unique(found % 257)) > 100, "levels between those of eight bits"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_camera_and_profile_are_kept_and_the_orientation_is_applied(suffix, weights, tmp_path, trainer_main):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    upright = picture(1, SIZE)[:, :32]
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))
    turned.save(tmp_path / "a.jpg", exif=exif, icc_profile=profile, quality=95)
    (tmp_path / "b.png").write_bytes(png(np.ascontiguousarray(upright)))
    out = tmp_path / f"out{suffix}"
    code, _, told = fused(trainer_main, weights, tmp_path / "a.jpg", tmp_path / "b.png", "-o", out)
    assert code == 0, told
    with Image.open(out) as image:
        assert image.size == (32, SIZE)
        assert image.info["icc_profile"] == profile
        assert image.getexif()[0x010F] == "maker"
        assert image.getexif().get(0x0112, 1) == 1
    assert metadata_of(tmp_path / "b.png") == (None, None)


def test_a_deep_tiff_of_ours_is_read_by_others(weights, tmp_path, trainer_main):
    tifffile.imwrite(tmp_path / "a.tif", picture(1, SIZE).astype(np.uint16) * 257, photometric="rgb")
    assert is_deep(tmp_path / "a.tif")
    code, _, told = fused(trainer_main, weights, tmp_path / "a.tif", tmp_path / "a.tif", "-o", tmp_path / "o.tif")
    assert code == 0, told
    found = tifffile.imread(tmp_path / "o.tif")
    assert (found.dtype, found.shape) == (np.uint16, (SIZE, SIZE, 3))
    np.testing.assert_array_equal(found, cv2.imread(str(tmp_path / "o.tif"), cv2.IMREAD_UNCHANGED)[:, :, ::-1])


def test_a_sheet_shows_inputs_and_picture(pairs, weights, tmp_path, trainer_main):
    files = [pairs / "deep/x-3" / f"{stem}.png" for stem in "abc"]
    assert fused(trainer_main, weights, *files, "-o", tmp_path / "out.png", "--compare")[0] == 0
    sheet = read_image(tmp_path / "out.compare.png")
    assert sheet.shape[1] >= 4 * SIZE
    assert sheet.shape[0] > SIZE


def test_what_is_off_by_pixels_is_laid_on_and_told(weights, tmp_path, trainer_main):
    scene = data.astronaut()[60:220, 120:280]
    (tmp_path / "a.png").write_bytes(png(np.ascontiguousarray(scene[10:138, 10:138])))
    (tmp_path / "b.png").write_bytes(png(np.ascontiguousarray(scene[13:141, 6:134])))
    out = tmp_path / "out.png"
    code, _, told = fused(trainer_main, weights, tmp_path / "a.png", tmp_path / "b.png", "-o", out, "--align", "mtb")
    assert code == 0, told
    assert "b.png: moved by 5.0 px" in told
    inside = (slice(10, -10), slice(10, -10))
    assert np.abs(read_image(out)[inside].astype(int) - scene[10:138, 10:138][inside]).mean() < 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.png", "-o", "out.png"), "one image; give two or more"),
        (("a.png", "folder", "-o", "out.png"), "a.png: a file beside folders"),
        (("folder", "-o", "out"), "no pair found"),
        (("folder", "-o", "out.png"), "the name of a picture, and of folders comes a folder"),
        (("a.png", "b.png", "-o", "a.png"), "a.png: this is an input"),
        (("a.png", "b.png", "-o", "out.xyz"), "no picture format"),
        (("a.png", "b.png", "-o", "out.png", "--align", "feel"), "align"),
        (("a.png", "b.png", "-o", "out.png", "--order", "random"), "order"),
        (("a.png", "b.png", "-o", "out.png", "--strength", "3"), "--strength"),
        (("a.png", "small.png", "-o", "out.png"), "different sizes: a.png is 48x48, small.png is 32x32"),
        (("a.png", "gone.png", "-o", "out.png"), "gone.png: cannot be read"),
    ],
)
def test_wrong_uses_are_one_line(arguments, said, weights, tmp_path, trainer_main, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, size in (("a.png", SIZE), ("b.png", SIZE), ("small.png", 32)):
        (tmp_path / name).write_bytes(png(picture(1, size)))
    (tmp_path / "folder").mkdir()
    code, out, told = fused(trainer_main, weights, *arguments)
    assert code == 2
    assert out == ""
    assert said in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_a_picture_in_the_folder_itself_is_a_scene(tmp_path):
    for stem in "ab":
        (tmp_path / f"{stem}.PNG").write_bytes(png(picture(1)))
    (job,) = jobs_of([tmp_path], tmp_path / "out").jobs
    assert job.out == tmp_path / "out" / f"{tmp_path.name}.png"


def test_an_output_in_the_place_of_an_input_is_refused_and_not_taken_for_done(weights, tmp_path, trainer_main):
    for name in ("vi", "ir"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(picture(len(name), SIZE)))
    for more in ((), ("--overwrite",)):
        code, _, told = fused(trainer_main, weights, tmp_path / "vi", tmp_path / "ir", "-o", tmp_path / "ir", *more)
        assert code == 2
        assert "would overwrite an input" in told
    assert [path.name for path in (tmp_path / "ir").iterdir()] == ["1.png"]


def test_a_folder_of_pictures_among_the_inputs_is_no_input_the_second_time(weights, tmp_path, trainer_main):
    for scene in "ab":
        (tmp_path / "pairs" / scene).mkdir(parents=True)
        for number, name in enumerate("ab"):
            (tmp_path / "pairs" / scene / f"{name}.png").write_bytes(png(picture(number, SIZE)))
    out = tmp_path / "pairs/fused"
    for _ in range(2):
        code, said, told = fused(trainer_main, weights, tmp_path / "pairs", "-o", out)
        assert code == 0, told
        assert said == f"{out}: 2 pictures\n"
        assert "left out" not in told
        assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "fuse.json"]
    code, _, told = fused(trainer_main, weights, tmp_path / "pairs", "-o", tmp_path / "pairs")
    assert (code, told.count("\n")) == (2, 1)
    assert "is a folder of inputs" in told
    code, _, told = fused(trainer_main, weights, tmp_path / "pairs", "-o", tmp_path / "pairs/a")
    assert (code, told.count("\n")) == (2, 1)
    assert "a.png is there already, an input" in told


def test_pictures_by_name_among_the_inputs_are_no_inputs_either(weights, tmp_path, trainer_main):
    for name, suffix in (("vi", ".bmp"), ("ir", ".png")):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / f"1{suffix}"), picture(len(name), SIZE))
    folders = (tmp_path / "vi", tmp_path / "ir")
    assert fused(trainer_main, weights, *folders, "-o", folders[0])[0] == 2
    for _ in range(2):
        code, _, told = fused(trainer_main, weights, *folders, "-o", folders[0] / "fused")
        assert code == 0, told
        assert "left out" not in told


def test_two_files_of_one_name_are_no_pair(pairs, tmp_path):
    (pairs / "x-1/a.bmp").write_bytes(png(picture(1, SIZE)))
    found = jobs_of([pairs], tmp_path / "out")
    assert [job.name for job in found.jobs] == ["deep/x-3", "x-2"]
    assert any("x-1: 2 files of one name" in line and "a.bmp, a.png" in line for line in found.left_out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.png", "b.png", "-o", "out.png", "--suffix", ".tif"), "--suffix .tif: of a folder's pictures"),
        (
            ("a.png", "b.png", "a.png", "-o", "out.png", "--infrared", "b"),
            "--infrared b: of two images, and here are 3",
        ),
    ],
)
def test_an_option_that_means_nothing_there_is_refused(arguments, said, weights, tmp_path, trainer_main, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(png(picture(1, SIZE)))
    code, _, told = fused(trainer_main, weights, *arguments)
    assert (code, told.count("\n")) == (2, 1)
    assert said in told
