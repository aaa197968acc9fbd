"""`synth preview`: a sheet and a page of samples, from shards and from a recipe."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from synth.audit.page import page, pairs
from synth.audit.preview import GAP, MARGIN, sheet
from synth.audit.shown import Shown, from_recipe, from_shards
from synth.cli import app
from synth.dataset.shards import read_rows
from synth.errors import UserError
from synth.images import codecs
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.storage import Folder
from tests.synth.forging import Forger
from tests.synth.helpers import bracket_folder, generate

DATA: dict[str, Any] = {
    "name": "seen",
    "seed": 2,
    "samples": 23,
    "samples_per_shard": 10,
    "tasks": {
        "vif": {"sources": [{"builtin": "synthetic_thermal"}], "degradations": {"always": ["haze", "noise"]}},
        "mef": {"sources": [{"builtin": "bracketed"}], "degradations": {"always": ["rain", "jpeg"]}},
    },
    "crop": {"size": 48},
    "encoding": "mixed",
    "instructions": {"kinds": {"full": 0.5, "partial": 0.3, "clean": 0.2}},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("seen") / "d"
    generate(make_plan(Recipe.model_validate(DATA)), out)
    return out


def bytes_of(folder: Path) -> dict[int, tuple[dict, dict[str, bytes]]]:
    """Every sample's record and pictures, by plain slices of the tars."""
    found = {}
    for side in sorted(path.name for path in folder.glob("*.parquet")):
        tar = (folder / side.replace(".parquet", ".tar")).read_bytes()
        for row in read_rows(Folder(folder), side):
            names = [name for name in ("a", "b", "target") if row[f"{name}_offset"] is not None]
            pictures = {name: tar[row[f"{name}_offset"] :][: row[f"{name}_size"]] for name in names}
            found[row["index"]] = json.loads(row["record"]), pictures
    return found


def shown_bytes(samples: list[Shown]) -> dict[int, tuple[dict, dict[str, bytes]]]:
    return {sample.record["index"]: (sample.record, sample.pictures) for sample in samples}


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text outside of script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("count", [1, 2, 5, 11, 22, 23, 200])
def test_samples_are_spread_over_the_dataset_and_shown_as_stored(made, count):
    found = shown_bytes(from_shards(Folder(made), count))
    assert len(found) == min(count, 23)
    stored = bytes_of(made)
    assert all(found[index] == stored[index] for index in found)
    if count == 11:
        assert [sum(index // 10 == shard for index in found) for shard in range(3)] == [5, 5, 1]


def test_without_dataset_json_the_finished_shards_are_shown(made, tmp_path):
    for name in ("000000.tar", "000000.parquet", "000001.tar", "000001.parquet", "000002.tar"):
        shutil.copy(made / name, tmp_path / name)
    assert {index // 10 for index in shown_bytes(from_shards(Folder(tmp_path), 10))} == {0, 1}


def test_a_recipe_shows_what_its_shards_would_hold(made):
    plan = make_plan(Recipe.model_validate(DATA))
    assert shown_bytes(from_recipe(plan, 23)) == bytes_of(made)
    assert len(from_recipe(plan, 7)) == 7


def test_pairs_that_cannot_be_read_are_left_out(tmp_path):
    bracket_folder(tmp_path / "pairs", 2)
    (tmp_path / "pairs/shots-1/a.png").write_bytes(b"")
    part = {"sources": [{"folder": str(tmp_path / "pairs")}], "degradations": {"always": ["noise"]}}
    data = {**DATA, "tasks": {"mef": part}, "instructions": {"kinds": {"full": 1}}}
    plan = make_plan(Recipe.model_validate(data))
    assert 0 < len(from_recipe(plan, 23)) < 23
    generate(plan, tmp_path / "d")
    assert {s.record["source"]["scene"] for s in from_shards(Folder(tmp_path / "d"), 23)} == {"shots-0"}
    shutil.rmtree(tmp_path / "pairs/shots-0")
    plan = make_plan(Recipe.model_validate(data))
    with pytest.raises(UserError, match=r"none of 23 samples can be made: a\.png: the file is empty"):
        from_recipe(plan, 23)


def test_the_sheet_holds_the_pictures(made):
    samples = from_shards(Folder(made), 5)
    image = sheet(samples)
    target = codecs.decode(samples[0].pictures["target"]).repeat(5, 0).repeat(5, 1)
    found = np.lib.stride_tricks.sliding_window_view(image[:, MARGIN + 2 * 246 :][:, :240], (240, 240, 3))[::1, 0, 0]
    assert any(np.array_equal(window, target) for window in found)


def test_the_page_holds_pictures_words_and_parameters(made):
    samples = from_shards(Folder(made), 12)
    seen = Page(page("seen", "12 samples", samples))
    articles = seen.all("article")
    assert len(articles) == 12
    sources = [str(image["src"]) for image in seen.all("img") if image.get("src")]
    data = [base64.b64decode(source.partition("base64,")[2]) for source in sources]
    assert data == [sample.pictures[name] for sample in samples for name in ("a", "b", "target")]
    assert {source.partition(";")[0] for source in sources} == {"data:image/png", "data:image/jpeg"}
    text = "".join(seen.text)
    for sample, article in zip(samples, articles, strict=True):
        record = sample.record
        assert record["instruction"] in text
        effects = {entry["effect"] for entry in record["degradations"]} or {"none"}
        assert set(json.loads(str(article["data-effect"]))) == effects
        assert json.loads(str(article["data-task"])) == [record["task"]]
        for entry in record["degradations"]:
            for name, value in entry["params"].items():
                assert name in text
                assert not isinstance(value, float) or f"{value:.4g}" in text
    words = {(b["data-group"], b["data-word"]) for b in seen.all("button") if "data-group" in b}
    assert {("task", "vif"), ("task", "mef"), ("kind", "full"), ("effect", "rain"), ("effect", "haze")} <= words


def test_the_page_needs_nothing_but_itself(made):
    text = page("seen", "", from_shards(Folder(made), 3))
    seen = Page(text)
    assert not re.search(r"https?://", text)
    assert not seen.all("link")
    for tag, attributes in seen.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        source = attributes.get("src")
        assert source is None or source.startswith("data:image/")
    (policy,) = (m["content"] for m in seen.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'")
    assert "unsafe" not in str(policy)
    for language in ("prefers-color-scheme: dark", "color-scheme: light dark"):
        assert language in text


EVIL = "</h2><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def with_evil(sample: Shown) -> Shown:
    """A sample in which every word comes from somebody who means ill."""
    record = json.loads(json.dumps(sample.record))
    record.update(instruction=EVIL, kind=EVIL, task=EVIL, phrases=[EVIL], key=EVIL)
    record["source"] = dict.fromkeys(record["source"], EVIL)
    record["images"]["a"]["modality"] = record["images"]["b"]["modality"] = EVIL
    entry = {"effect": EVIL, "image": EVIL, "stage": EVIL, "severity": None, "asked": EVIL}
    record["degradations"] = [{**entry, "params": {EVIL: EVIL, "list": [EVIL], "map": {EVIL: EVIL}}}]
    return Shown(record, sample.pictures)


def test_words_of_a_stranger_are_words(made):
    evil = with_evil(from_shards(Folder(made), 1)[0])
    seen = Page(page(EVIL, EVIL, [evil]))
    assert len(seen.all("script")) == 1
    assert len(seen.all("h2")) == 1
    assert all("onerror" not in attributes for attributes in seen.all("img"))
    assert "".join(seen.text).count("document.title") > 15


@pytest.mark.parametrize(
    "data", [b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", b"", b"GIF89a", b"<html>"]
)
def test_what_is_neither_png_nor_jpeg_is_refused(made, data):
    sample = from_shards(Folder(made), 1)[0]
    broken = Shown(sample.record, {**sample.pictures, "a": data})
    with pytest.raises(UserError, match="a is neither PNG nor JPEG; run synth verify"):
        page("x", "", [broken])
    with pytest.raises(UserError, match="damaged"):
        sheet([broken])


@pytest.mark.parametrize("record", [{}, {"degradations": 3}, {"degradations": [{}]}])
def test_a_record_that_is_none_is_refused(made, record):
    sample = from_shards(Folder(made), 1)[0]
    with pytest.raises(UserError, match="run synth verify"):
        page("x", "", [Shown({**sample.record, **record} if record else {}, sample.pictures)])


@pytest.mark.parametrize(
    ("column", "value"), [("a_size", 10**15), ("a_size", -1), ("a_offset", 10**9), ("target_offset", None)]
)
def test_a_damaged_row_is_refused(made, tmp_path, column, value):
    out = Path(shutil.copytree(made, tmp_path / "d"))
    forger = Forger(out)
    for row in forger.rows:
        row[column] = value
    from synth.dataset.shards import sidecar

    (out / "000000.parquet").write_bytes(sidecar(forger.rows, forger.metadata))
    with pytest.raises(UserError, match=r"000000\.tar: sample 00000000\d is damaged"):
        from_shards(Folder(out), 5)


def test_a_picture_whose_bytes_changed_is_named_and_not_shown(made, tmp_path):
    out = Path(shutil.copytree(made, tmp_path / "d"))
    row = next(row for row in read_rows(Folder(out), "000000.parquet") if row["target_offset"] is not None)
    tar = bytearray((out / "000000.tar").read_bytes())
    tar[row["target_offset"] + row["target_size"] // 2] ^= 255
    (out / "000000.tar").write_bytes(tar)
    with pytest.raises(UserError, match=rf"000000\.tar: sample {row['key']} is damaged \(target is not the picture"):
        from_shards(Folder(out), 23)


def test_tars_alone_are_told_from_an_empty_folder(made, tmp_path):
    for tar in made.glob("*.tar"):
        shutil.copy(tar, tmp_path)
    with pytest.raises(
        UserError, match=r"3 tars without their sidecars \(\.parquet\), .*: copy 000000\.parquet and the others too$"
    ):
        from_shards(Folder(tmp_path), 5)


SIBLINGS: dict[str, Any] = {
    **DATA,
    "samples": 24,
    "samples_per_shard": 12,
    "tasks": {"vif": DATA["tasks"]["vif"]},
    "instructions": {"per_pair": 4, "kinds": {"full": 0.3, "partial": 0.3, "keep": 0.2, "lessen": 0.2}},
}


@pytest.fixture(scope="module")
def siblings(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("siblings") / "d"
    generate(make_plan(Recipe.model_validate(SIBLINGS)), out)
    return out


@pytest.mark.parametrize(("count", "groups"), [(2, [2]), (4, [4]), (10, [4, 4]), (24, [4] * 6), (1000, [4] * 6)])
def test_groups_are_shown_whole(siblings, count, groups):
    for samples in (
        from_shards(Folder(siblings), count),
        from_recipe(make_plan(Recipe.model_validate(SIBLINGS)), count),
    ):
        assert [len(group) for group in pairs(samples)] == groups
        assert len({sample.record["index"] for sample in samples}) == sum(groups)


def test_a_pair_under_several_sentences_stands_once_on_page_and_sheet(siblings):
    samples = from_shards(Folder(siblings), 8)
    seen = Page(page("siblings", "", samples))
    assert len(seen.all("article")) == 2
    sources = [base64.b64decode(str(i["src"]).partition("base64,")[2]) for i in seen.all("img") if i.get("src")]
    expected = []
    for group in (samples[:4], samples[4:]):
        expected += [group[0].pictures["a"], group[0].pictures["b"], *(sample.pictures["target"] for sample in group)]
    assert sources == expected
    text = "".join(seen.text)
    assert text.count("One pair, 4 sentences") == 2
    assert all(f"“{sample.record['instruction']}”" in text for sample in samples)
    assert sheet(samples).shape[1] == 2 * MARGIN + 6 * 240 + 5 * GAP


def test_samples_of_one_group_with_other_inputs_are_no_siblings(siblings):
    one, other, *_ = from_shards(Folder(siblings), 4)
    changed = Shown(other.record, {**other.pictures, "a": other.pictures["b"]})
    assert [len(group) for group in pairs([one, changed])] == [1, 1]


@pytest.mark.parametrize("per_pair", [0, -4, 10**6, "4", None, [4], 2.0])
def test_a_number_of_siblings_that_is_none_is_not_believed_and_the_rows_are_asked(siblings, tmp_path, per_pair):
    out = Path(shutil.copytree(siblings, tmp_path / "d"))
    described = json.loads((out / "dataset.json").read_text())
    described["recipe"]["instructions"]["per_pair"] = per_pair
    (out / "dataset.json").write_text(json.dumps(described))
    assert [len(group) for group in pairs(from_shards(Folder(out), 5))] == [4]
    (out / "dataset.json").unlink()
    assert [len(group) for group in pairs(from_shards(Folder(out), 8))] == [4, 4]


def test_every_sample_says_what_was_kept(made):
    samples = from_shards(Folder(made), 23)
    text = page("seen", "", samples)
    cards = text.split("<article")[1:]
    assert len(cards) == 23
    for card, sample in zip(cards, samples, strict=True):
        asked = {entry["asked"] for entry in sample.record["degradations"]}
        if not asked:
            assert "nothing fell on this pair" in card
        else:
            kept = re.search(r"<dt>kept</dt><dd>(.*?)</dd>", card)
            assert kept
            assert (kept[1] == "nothing") == ("keep" not in asked)


def test_the_page_says_how_large_it_is_and_what_failed(made, tmp_path):
    out = Path(shutil.copytree(made, tmp_path / "d"))
    described = json.loads((out / "dataset.json").read_text())
    described["counts"]["failed"] = 1234
    (out / "dataset.json").write_text(json.dumps(described))
    done = run(out, "--out", tmp_path / "x.html", "--count", 4)
    assert re.search(r"x\.html \(\d+\.\d [kM]B\)", done.output)
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert re.search(r"1,234 of its samples could not be made · this file has \d+\.\d [kM]B", text)


def test_pictures_of_many_samples_wait_until_they_come_near(made):
    samples = from_shards(Folder(made), 23)
    few, many = (page("x", "", some) for some in (samples, samples * 3))
    assert 'loading="lazy"' not in few
    assert many.count('loading="lazy"') == many.count("<img ") == 3 * few.count("<img ")


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["preview", *map(str, words)])


def test_the_command_writes_sheets_and_pages(made, tmp_path):
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(DATA))
    for words in ([made], ["--recipe", tmp_path / "t.yaml"]):
        for name in ("x.png", "x.html"):
            done = run(*words, "--out", tmp_path / "o" / name, "--count", 4)
            assert done.exit_code == 0, done.output
            assert done.output.startswith("4 samples of ")
            assert (tmp_path / "o" / name).stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.png"], "name one of them"),
        (["d", "--recipe", "mef_haze"], "name one of them"),
        (["d", "--data", "p"], "--data goes with --recipe"),
        (["d", "--out", "x.jpg"], "a sheet is a .png file, a page an .html file"),
        (["d", "--out", "x.png"], "no finished shard with a sample"),
    ],
)
def test_mistakes_take_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = run(*words).exception
    assert isinstance(error, UserError)
    assert message in str(error)


@pytest.mark.slow
def test_a_browser_runs_the_page_and_nothing_else(made, tmp_path):
    """The page's own script counts; a stranger's never runs. Where there is no Chromium, this is not tested."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium")
    samples = from_shards(Folder(made), 2)
    path = tmp_path / "x.html"
    path.write_text(page("honest", "", [samples[0], with_evil(samples[1])]), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120)
    assert "2 of 2 shown" in done.stdout
    assert "<title>honest</title>" in done.stdout
