"""What the tabs answer, without a browser."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

import pytest

pytest.importorskip("gradio", reason="the page is made by gradio (pip install 'mmaif[app]')")

import gradio as gr

from tests.trainer.helpers import picture, png
from trainer.page.damage import Damaged
from trainer.page.damage_tab import Fell, fallen
from trainer.page.fuse_tab import Answer, settled
from trainer.page.parts import sides
from trainer.page.work import KEPT, Result, Visit

FUSE, AUTO, STOP, MESSAGE, SENTENCE, VISIT, SLIDER, CAPTION, AGAINST, DOWNLOAD, TOLD, STRIP = range(12)
ASKED = ("/x/a.png", "/x/b.png")
UNTOUCHED = gr.skip()


@pytest.fixture
def make(tmp_path):
    """A result over two inputs, by its sentence."""

    def made(sentence: str) -> Result:
        folder = Path(mkdtemp(dir=tmp_path))
        files = [folder / f"{name}.png" for name in ("p", "s", "t", "a", "b")]
        for path in files:
            path.write_bytes(png(picture(0, 16)))
        return Result(files[0], files[1], files[2], (files[3], files[4]), ("a.png", "b.png"), sentence, "16×16", ())

    return made


def test_a_picture_of_the_images_on_the_page_is_shown_with_its_sentence(make):
    made, visit = make("remove the haze"), Visit()
    said = settled(Answer(ASKED, "", made), list(ASKED), "", "", 0, visit)
    assert said[SLIDER] == (str(made.inputs[0]), str(made.shown))
    assert said[SENTENCE] == "remove the haze"
    assert visit.seen is made
    assert said[FUSE].interactive
    assert said[AUTO].interactive
    assert not said[STOP].visible


def test_a_picture_that_comes_late_goes_among_the_results_alone(make):
    made, visit = make("remove the haze"), Visit()
    for paths in (["/x/c.png", "/x/d.png"], ["/x/b.png", "/x/a.png"], [*ASKED, "/x/c.png"], [], None):
        said = settled(Answer(ASKED, "as asked", made), paths, "", "as asked", 0, visit)
        assert [said[at] for at in (SENTENCE, SLIDER, CAPTION, AGAINST, DOWNLOAD, TOLD)] == [UNTOUCHED] * 6
        assert "here before is among the results" in said[MESSAGE]
        assert said[FUSE].interactive
        assert visit.seen is None
    assert len(said[STRIP].value) == len(visit.results) == 5


def test_a_sentence_that_was_changed_meanwhile_stays(make):
    said = settled(Answer(ASKED, "as asked", make("as seen")), list(ASKED), "", "another", 0, Visit())
    assert said[SENTENCE] == UNTOUCHED
    assert "as seen" in said[CAPTION]


def test_a_late_failure_says_of_what_it_is():
    said = settled(Answer(ASKED, "", "<b>no memory</b>"), ["/x/c.png", "/x/d.png"], "", "", 0, Visit())
    assert said[MESSAGE].startswith("<b>no memory</b>")
    assert "were here before" in said[MESSAGE]
    assert said[FUSE].interactive
    assert settled(Answer(ASKED, "", "<b>x</b>"), list(ASKED), "", "", 0, Visit())[MESSAGE] == "<b>x</b>"


def test_a_late_result_leaves_what_is_seen_though_old_ones_go(make):
    visit = Visit()
    for number in range(KEPT):
        visit.add(make(str(number)))
    visit.at = 3
    seen = visit.seen
    visit.add(make("late"), see=False)
    assert visit.seen is seen
    visit.at = 0
    visit.add(make("later"), see=False)
    assert visit.seen is None


def test_what_stands_under_the_files_is_not_said_twice():
    said = settled(Answer(ASKED, "", "<b>no image</b>"), list(ASKED), "<b>no image</b>", "", 0, Visit())
    assert "no image" not in said[MESSAGE]
    assert "see under the images" in said[MESSAGE]
    assert "no pair" not in fallen(Fell(ASKED, "<b>no pair</b>"), list(ASKED), "<b>no pair</b>")[1]
    assert fallen(Fell(ASKED, "<b>no pair</b>"), list(ASKED), "")[1] == "<b>no pair</b>"


def test_options_stand_in_the_strip_and_beside_the_slider(make):
    made = make("fuse")._replace(options="strength 0.5")
    said = settled(Answer(ASKED, "", made), list(ASKED), "", "", 0, Visit())
    assert said[STRIP].value[0]["caption"] == "strength 0.5 · fuse"
    assert "strength 0.5 · “fuse”" in said[CAPTION]


def test_damage_of_a_pair_that_has_gone_is_not_shown():
    damaged = Damaged(("c", "d"), ("haze: first 0.50",), ("fuse",))
    fell = Fell(ASKED, damaged, (("a", "c"), ("b", "d")))
    button, message, use, state, *shown = fallen(fell, list(ASKED), "")
    assert button.interactive
    assert use.interactive
    assert "haze: first 0.50" in message
    assert (state, shown[:2]) == (damaged, [("a", "c"), ("b", "d")])
    assert ["damaged" in caption for caption in shown[2:]] == [True, True]
    for paths in (["/x/c.png", "/x/d.png"], [], None):
        button, message, *others = fallen(fell, paths, "")
        assert button.interactive
        assert "another now" in message
        assert others == [UNTOUCHED] * 6


def test_all_of_a_long_caption_is_in_its_title():
    assert 'title="&lt;a&gt; &quot;b&quot;"' in sides("left", '<a> "b"')
