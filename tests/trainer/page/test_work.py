"""What the page does with images, without a browser."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainer.helpers import picture, png
from trainer import Fuser
from trainer.config import load_config
from trainer.data.images import to_tensor
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.fusing import Asked
from trainer.model.dit import FusionDiT
from trainer.objectives import OBJECTIVES, make_objective
from trainer.page import work
from trainer.page.examples import clean_pair, make_examples
from trainer.page.work import KEPT, Result, Studio, Visit, look_at, worded
from trainer.stopping import Stopped

PROMPT = "remove the noise and fuse the images"


def claims(width: int, height: int) -> bytes:
    """A PNG file whose header says so, and which has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


def test_what_cannot_be_fused_is_told_by_the_name_of_the_file(write, tmp_path):
    a, small, text, huge = write("a.png"), write("small.png", size=32), write("t.png"), write("huge.png")
    text.write_text("no picture")
    huge.write_bytes(claims(1001, 1000))  # its pixels are not asked for
    cases = {
        (): "Give two images of one scene, or more.",
        (a,): "a.png is one image: give two or more of one scene.",
        (a, small): "a.png is 48×48, small.png is 32×32",
        (a, text): "t.png cannot be used: no image that can be read",
        (a, huge): "huge.png has 1.0 megapixels, and 1 are the most here",
        (a, tmp_path / "private/gone.png"): "gone.png cannot be read (No such file or directory).",
        (a,) * 17: "17 images: 16 are the most.",
    }
    for paths, told in cases.items():
        with pytest.raises(UserError) as caught:
            look_at(paths, 1.0)
        assert told in str(caught.value)
        assert "private" not in str(caught.value)


def test_the_picture_to_download_is_that_of_the_network_at_full_depth(studio, write, monkeypatch):
    """Though what the page shows is small."""
    monkeypatch.setattr(work, "SHOWN", 24)
    a, b = write("first one.png", 1), write("b.png", 2)
    deep = picture(1, 48).astype(np.uint16) * 257
    cv2.imwrite(str(a), deep[:, :, ::-1])
    with Image.open(b) as image:
        exif = Image.Exif()
        exif[0x010F] = "a camera"
        image.save(b, exif=exif)
    made = studio.fuse([b, a], "regression", Asked(prompt=PROMPT))
    assert made.picture.name == "b-fused.png"
    found = cv2.imread(str(made.picture), cv2.IMREAD_UNCHANGED)
    assert (found.dtype, found.shape) == (np.uint16, (48, 48, 3))
    expected = studio.fuser("regression").picture(b, a, PROMPT)
    np.testing.assert_array_equal(found[:, :, ::-1], np.rint(expected * 65535).astype(np.uint16))
    with Image.open(made.picture) as image:
        assert image.getexif()[0x010F] == "a camera"
    for shown in (made.shown, made.thumb, *made.inputs):
        assert shown.parent == made.picture.parent
    assert cv2.imread(str(made.inputs[1])).shape[0] == cv2.imread(str(made.shown)).shape[0] == 48
    assert (made.sentence, made.names) == (PROMPT, ("b.png", "first one.png"))
    assert made.told.startswith("48×48, 16 bit, in ")


def test_auto_is_answered_by_the_sentence_that_was_seen(studio, write):
    a, b = write("a.png", 1), write("b.png", 2)
    made = studio.fuse([a, b], "regression", Asked(prompt="auto"))
    assert made.sentence == studio.fuser("regression").describe(a, b)


def test_three_images_are_fused_and_time_is_foretold_by_the_last(studio, write):
    paths = [write(f"{n}.png", n) for n in range(3)]
    made = studio.fuse(paths, "regression", Asked(prompt=PROMPT))
    assert len(made.inputs) == 3
    seen = look_at(paths, 1.0)
    one = studio.seconds(seen, "regression", Asked(prompt=PROMPT))
    assert studio.seconds(seen, "regression", Asked(prompt=PROMPT, passes=4)) == pytest.approx(4 * one)
    assert studio.seconds(seen[:2], "regression", Asked(prompt=PROMPT)) == pytest.approx(one / 2)


def test_a_file_that_breaks_late_leaves_nothing_and_tells_no_place(studio, write):
    a, b = write("a.png"), write("b.png")
    b.write_bytes(b.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"^b\.png: not an image that can be used") as caught:
        studio.fuse([a, b], "regression", Asked(prompt=PROMPT))
    assert "private" not in str(caught.value)
    assert list(studio.folder.iterdir()) == []


def test_a_fusion_ends_at_the_next_tile_and_leaves_nothing(studio, write, monkeypatch):
    a, b = write("a.png", 1, 128), write("b.png", 2, 128)
    monkeypatch.setattr(studio.fuser("regression"), "tile", 8)
    asked = []
    with pytest.raises(Stopped):
        studio.fuse([a, b], "regression", Asked(prompt=PROMPT), lambda: len(asked) == 3 or bool(asked.append(1)))
    assert len(asked) == 3
    assert list(studio.folder.iterdir()) == []
    assert studio.fuse([a, b], "regression", Asked(prompt=PROMPT)).picture.is_file()


def test_a_studio_that_is_closed_fuses_no_further(shared_studio, studio, write):
    pair = [write("a.png", 1), write("b.png", 2)]
    try:
        shared_studio.close()
        with pytest.raises(Stopped):
            studio.fuse(pair, "regression", Asked(prompt=PROMPT))
    finally:
        shared_studio._closed = False
    assert list(studio.folder.iterdir()) == []


def test_options_of_the_command_are_called_as_the_page_calls_them(tmp_path):
    path = tmp_path / "deep.png"
    said = worded(f"{path}: infrared: 1 to 2 became black to white; --infrared none where it is not", [path])
    assert said == "deep.png: infrared: 1 to 2 became black to white; set Infrared to “none” where it is not"
    assert worded(": --infrared a: of two images", []) == "Infrared “first image”: of two images"
    assert worded("--align ecc: no motion found", []) == "Alignment: no motion found"


@pytest.mark.filterwarnings("ignore::trainer.inference.fuser.PromptCut")
def test_notes_of_files_and_of_a_sentence_reach_the_page(studio, write):
    a, b = write("a.png", 1), write("b.png", 2)
    b.write_bytes(png((picture(2, 48).astype(np.uint16) * 200 + 3000)[:, :, 0]))
    made = studio.fuse([a, b], "regression", Asked(prompt="雾 去 除 融 合 图 像"))
    assert made.notes[0].startswith("b.png: infrared: ")
    assert len(made.notes) == 2


def test_options_that_were_set_are_told_with_the_result(studio, write):
    pair = [write("a.png", 1), write("b.png", 1)]
    assert studio.fuse(pair, "regression", Asked(prompt=PROMPT)).title == PROMPT
    made = studio.fuse(pair, "regression", Asked(prompt=PROMPT, strength=0.5, passes=2, infrared="none", align="mtb"))
    assert made.options == "strength 0.5, 2 passes, infrared: none, aligned by whole pixels"
    assert made.title == f"{made.options} · {PROMPT}"
    assert made.quoted == f"{made.options} · “{PROMPT}”"


def made_of(folder, size):
    folder.mkdir()
    for name in ("p", "s", "t"):
        (folder / f"{name}.png").write_bytes(png(picture(0, size)))
    return Result(folder / "p.png", folder / "s.png", folder / "t.png", (), (), "", "", ())


def test_a_visit_keeps_the_last_results_and_compares_those_of_one_size(tmp_path):
    visit = Visit()
    assert visit.seen is visit.former is None
    made = [made_of(tmp_path / str(n), 48 if n == 3 else 32) for n in range(KEPT + 2)]
    for result in made:
        visit.add(result)
        assert visit.seen is result
    assert visit.results == made[2:]
    assert [path.name for path in tmp_path.iterdir() if int(path.name) < 2] == []
    assert visit.former is made[-2]
    visit.at = 1  # of 48 px, after one of 32
    assert visit.former is None
    visit.at = 0
    assert visit.former is None
    visit.forget()
    assert list(tmp_path.iterdir()) == []


def test_weights_that_hold_both_offer_both_and_steps_of_the_flow_alone(tmp_path, write):
    autoencoder = Autoencoder(
        KLTAutoencoder.fit(list(to_tensor([picture(i, 64) for i in range(8)], torch.device("cpu"))), 16)
    )
    flow = FusionDiT(16, 8, 384, {"width": 32, "depth": 1, "heads": 2, "adapters": 4}, time=True)
    settings = OBJECTIVES["flow"].Config.model_validate({"kind": "flow", "start": "regression", "steps": 3})
    fuser = Fuser(flow, autoencoder, TextEncoder(max_tokens=16), make_objective(settings, autoencoder))
    fuser.save(tmp_path / "weights", load_config("tiny"))
    studio = Studio(tmp_path / "weights", tmp_path, "cpu")
    assert studio.variants == ("flow", "regression")
    assert (studio.steps("flow"), studio.steps("regression")) == (3, None)
    assert not studio.sees
    assert studio.options("flow", Asked(prompt=PROMPT, steps=3)) == ""
    assert studio.options("flow", Asked(prompt=PROMPT, steps=5)) == "5 steps"
    assert studio.options("regression", Asked(prompt=PROMPT)) == "regression"
    pair = [write("a.png", 1), write("b.png", 2)]
    for variant in studio.variants:
        assert studio.fuse(pair, variant, Asked(prompt=PROMPT)).picture.is_file()


def test_the_examples_are_small_pairs_of_one_size_that_say_what_to_ask(tmp_path):
    made = make_examples(tmp_path / "examples")
    assert len({example.name for example in made}) == len(made) == 3
    for example in made:
        look_at(example.files, 0.3)
        assert len(example.sentences) > 1
    look_at(clean_pair(tmp_path / "clean"), 0.3)
