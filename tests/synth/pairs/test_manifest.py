"""Tables of pairs, and pairs behind URLs: the same samples as from folders, and nothing read from elsewhere."""

import csv
import errno
import os
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.errors import StoppedError, UserError
from synth.pairs.files import FilePair
from synth.pairs.manifest import ManifestSource
from synth.pairs.remote import DiskCache, Remote
from synth.pairs.source import LeftOut
from synth.pairs.writing import write_manifest
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.render import render
from tests.synth.helpers import DATA, bracket_folder, generate, photograph, rows_of, write_pair


def plan(source, **changes):
    return make_plan(Recipe.model_validate({**DATA, "samples": 6, "sources": [source], **changes}))


def listed(where, task="mef", **how):
    """The pairs of a manifest, and what is none with its reason."""
    items = list(ManifestSource(manifest=str(where), **how).pairs(task))
    return [i for i in items if isinstance(i, FilePair)], {i.scene: i.reason for i in items if isinstance(i, LeftOut)}


def table(path, *rows):
    """A CSV file of rows that may have different columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    from synth.pairs import remote

    monkeypatch.setenv("MMAIF_CACHE", str(tmp_path / "cache"))
    remote._cache.cache_clear()
    yield tmp_path / "cache"
    remote._cache.cache_clear()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_samples_of_a_manifest_are_those_of_its_folder(tmp_path, kind):
    pairs = bracket_folder(tmp_path / "mef")
    write_pair(pairs / "other-9", photograph(), photograph(), gt=photograph())
    out = tmp_path / f"pairs.{kind}"
    assert write_manifest(tmp_path, out) == 4
    found, wrong = listed(out)
    assert (len(found), wrong) == (4, {})
    assert {pair.size for pair in found} == {(160, 200), (96, 130)}
    from_folder, from_table = plan({"folder": str(pairs)}), plan({"manifest": str(out)})
    assert from_table.fingerprint == from_folder.fingerprint
    for index in range(6):
        one, other = render(from_folder, index), render(from_table, index)
        assert (one.a.tobytes(), one.target.tobytes()) == (other.a.tobytes(), other.target.tobytes())
        assert one.record == other.record
    over = make_plan(Recipe.model_validate(DATA), str(out))  # as --data
    assert over.fingerprint == from_folder.fingerprint


def test_a_manifest_says_task_dataset_scene_licence_and_split(tmp_path):
    write_pair(tmp_path / "x", photograph(), photograph())
    image = {"a": "x/a.png", "b": "x/b.png"}
    path = table(
        tmp_path / "t.csv",
        {
            **image,
            "task": "mef",
            "dataset": "d",
            "scene": "s1",
            "licence": "CC0",
            "split": "train",
            "more": "passed by",
        },
        {**image, "task": "mef", "dataset": "d", "scene": "s1", "split": "train"},
        {**image, "task": "mef", "dataset": "d", "scene": "s2", "split": "test"},
        {**image, "task": "vif", "dataset": "d", "scene": "s3"},
        image,
    )
    train, _ = listed(path, split="train")
    assert [(p.scene, p.dataset, p.licence) for p in train[:2]] == [("s1", "d", "CC0"), ("s1-p1", "d", "unknown")]
    test, _ = listed(path, split="test")
    assert "s2" in [p.scene for p in test]
    assert not {p.scene for p in train} & {p.scene for p in test}
    assert [p.scene for p in listed(path)[0]] == ["s1", "s1-p1", "s2", "manifest-a-06ccda01"]
    assert [p.scene for p in listed(path, task="vif")[0]] == ["s3", "manifest-a-06ccda01"]


def test_a_scene_in_two_splits_is_refused(tmp_path):
    row = {"a": "a.png", "b": "b.png", "scene": "s"}
    path = table(tmp_path / "t.csv", {**row, "split": "train"}, {**row, "split": "test"})
    with pytest.raises(UserError, match=r"row 1: scene 's' stands in train and in test; it has one side"):
        listed(path)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"a": "/etc/a.png", "b": "b.png"}, "outside of the manifest's folder"),
        ({"a": "a.png", "b": "../b.png"}, "outside of the manifest's folder"),
        ({"a": "a.png", "b": "file:///etc/b.png"}, "a file:// URL"),
        ({"a": "link.png", "b": "b.png"}, "a link that leads out"),
        ({"a": "folder/a.png", "b": "b.png"}, "a link that leads out"),
        ({"a": "a.png", "b": ""}, "no image b"),
        ({"a": "a.png", "b": "b.png", "scene": "x/../y"}, "a slash or a line break"),
        ({"a": "a.png", "b": "b.png", "width": "many", "height": "3"}, "no numbers of pixels"),
        ({"a": "a.png", "b": "b.png", "width": "inf", "height": "1e300"}, "no numbers of pixels"),
        ({"a": "a.png", "b": "b.png", "width": "9" * 30, "height": "3"}, "no numbers of pixels"),
        ({"a": "LOCAL:///etc/a.png", "b": "b.png"}, "a LOCAL:// URL"),
        ({"a": "simplecache::file:///etc/a.png", "b": "b.png"}, "a URL with '::' in it"),
        ({"a": "nonsense://x/a.png", "b": "b.png"}, "a nonsense:// URL, a kind that is not known"),
        ({"a": "circle.png", "b": "b.png"}, "a link that leads out"),
        ({"a": "circle.png/a.png", "b": "b.png"}, "a link that leads out"),
    ],
)
def test_a_row_that_leads_elsewhere_or_is_no_pair_is_left_out_with_its_reason(tmp_path, row, reason):
    (tmp_path / "link.png").symlink_to("/etc/hostname")
    (tmp_path / "folder").symlink_to("/etc")
    (tmp_path / "circle.png").symlink_to("circle.png")
    found, wrong = listed(table(tmp_path / "t.csv", row))
    assert not found
    assert reason in next(iter(wrong.values()))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", None, "no such manifest"),
        ("t.txt", b"a,b\n", r"a manifest is a .parquet, .csv, .tsv or .jsonl file"),
        ("t.csv", b"\xff\xfe\x00", "not a CSV file in UTF-8"),
        ("t.csv", b"a,bb\n1,2\n", "no column 'b'; did you mean 'bb'"),
        ("t.parquet", b"PAR1 or not", "not a parquet file that can be read"),
        ("t.csv", b"a,b,split\n1,2,holdout\n", "row 0: split 'holdout'; it is train, val, test"),
        ("t.csv", b"a,b,task\n1,2,MEF\n", "row 0: task 'MEF'; it is one of mef, mff, vif"),
    ],
)
def test_a_file_that_is_no_manifest_is_one_line(tmp_path, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        listed(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_cells_of_numbers_are_read_as_tables_write_them(tmp_path):
    """pandas writes a column of whole numbers with a gap in it as floats, the gap as NaN or as nothing."""
    image, gap = {"a": "x/a.png", "b": "x/b.png"}, float("nan")
    rows = [
        {**image, "scene": 0.0, "width": 640.0, "height": 512.0, "split": "train"},
        {**image, "scene": 0.0, "width": gap, "height": gap, "split": "train"},
        {**image, "scene": gap, "width": gap, "height": 512.0, "split": None},
        {"a": "x/a.png", "b": None, "scene": 4.0, "width": gap, "height": gap, "split": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows([{k: "" if v is None or v != v else v for k, v in row.items()} for row in rows])
    for name in ("t.parquet", "t.csv"):
        found, wrong = listed(tmp_path / name)
        assert [(pair.scene, pair.size) for pair in found] == [
            ("0.0", (512, 640)),
            ("0.0-p1", None),
            ("manifest-a-06ccda01", None),
        ], "two pairs of scene 0 are of one scene"
        assert wrong == {"4.0": "no image b"}
    pq.write_table(pa.Table.from_pylist([{**image, "scene": 0}, {**image, "scene": 0}]), tmp_path / "t.parquet")
    assert [pair.scene for pair in listed(tmp_path / "t.parquet")[0]] == ["0", "0-p1"]


def test_a_pair_of_two_sizes_is_left_out_by_its_manifest_too(tmp_path):
    pairs = bracket_folder(tmp_path / "mef")
    write_pair(pairs / "shots-9", photograph(), photograph(90, 100))
    write_manifest(tmp_path, tmp_path / "t.csv")
    from_folder, from_table = plan({"folder": str(pairs)}), plan({"manifest": str(tmp_path / "t.csv")})
    assert from_table.left_out == from_folder.left_out != ()
    assert from_table.fingerprint == from_folder.fingerprint


def test_a_manifest_is_named_by_a_path_of_any_kind(tmp_path, monkeypatch):
    bracket_folder(tmp_path / "mef")
    write_manifest(tmp_path, tmp_path / "t.csv")
    pairs, _ = listed(tmp_path / "t.csv")
    assert listed(f"file://{tmp_path}/t.csv")[0] == pairs, "with links checked as for any path"
    monkeypatch.chdir(tmp_path)
    assert [pair.scene for pair in listed("t.csv")[0]] == [pair.scene for pair in pairs]
    with pytest.raises(UserError, match=r"^/t\.csv: no such manifest$"):
        listed("/t.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match=r"folder\.csv: cannot be read: Is a directory$"):
        listed("folder.csv")


def test_what_a_url_needs_is_said_before_the_first_sample(tmp_path, monkeypatch):
    from synth.storage.bucket import is_known

    is_known.cache_clear()
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)  # what it has imported
    with pytest.raises(UserError, match=r"^s3://: .*pip install 'mmaif\[s3\]'$"):
        listed(table(tmp_path / "t.csv", {"a": "s3://x/a.png", "b": "s3://x/b.png"}))
    is_known.cache_clear()


def test_names_that_are_no_text_stop_nothing(tmp_path):
    pairs = bracket_folder(tmp_path / "mef\udcff")
    (pairs / "shots-2").rename(pairs / "shots-\udcff")
    chosen = plan({"folder": str(pairs)})
    assert [(item.scene, item.reason) for item in chosen.left_out] == [
        (r"'shots-\udcff'", "its name is no text in UTF-8")
    ]
    assert generate(chosen, tmp_path / "d").failed == 0


def test_a_manifest_is_written_beside_or_above_its_images_alone(tmp_path):
    pairs = bracket_folder(tmp_path / "in/mef")
    with pytest.raises(UserError, match="put it into one that holds"):
        write_manifest(pairs, tmp_path / "elsewhere/t.csv")
    with pytest.raises(UserError, match="of which task"):
        write_manifest(tmp_path, tmp_path / "t.csv")
    with pytest.raises(UserError, match="nowhere: no such folder of pairs"):
        write_manifest(tmp_path / "nowhere", tmp_path / "t.csv")
    with pytest.raises(UserError, match=r"a .parquet, .csv or .jsonl file"):
        write_manifest(pairs, tmp_path / "t.json")
    assert write_manifest(pairs, tmp_path / "t.csv") == 3


@pytest.fixture
def remote_pairs(tmp_path, request):
    """Three brackets in fsspec's memory, under a URL of this test's own."""
    pairs, url = bracket_folder(tmp_path / "pairs"), f"memory://{request.node.name}/pairs"
    fs = fsspec.filesystem("memory")
    for path in pairs.rglob("*.png"):
        fs.pipe_file(f"{url}/{path.relative_to(pairs)}".removeprefix("memory:/"), path.read_bytes())
    return pairs, url, fs


def test_pairs_behind_urls_give_the_samples_of_local_ones(tmp_path, remote_pairs):
    pairs, url, _ = remote_pairs
    rows = [{"a": f"{url}/shots-{n}/a.png", "b": f"{url}/shots-{n}/b.png", "dataset": "shots"} for n in range(3)]
    rows = [row | {"scene": f"shots-{n}"} for n, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    local = plan({"folder": str(pairs)})
    for source in ({"folder": url}, {"manifest": str(tmp_path / "t.parquet")}):
        remote = plan(source)
        assert remote.fingerprint == local.fingerprint
        for index in range(4):
            assert render(remote, index).a.tobytes() == render(local, index).a.tobytes()
            assert render(remote, index).record == render(local, index).record
    assert make_plan(Recipe.model_validate(DATA), url).fingerprint == local.fingerprint
    with pytest.raises(UserError, match="no pairs in it"):
        plan({"folder": f"{url}/nothing"})


def test_what_is_wrong_behind_a_url_is_a_row_without_a_place(tmp_path, remote_pairs):
    _, url, fs = remote_pairs
    root = url.removeprefix("memory:/")
    fs.pipe_file(f"{root}/shots-1/b.png", b"no image")
    fs.rm_file(f"{root}/shots-2/a.png")
    at = {n: {name: f"{url}/shots-{n}/{name}.png" for name in ("a", "b")} for n in range(3)}
    rows = [{**images, "scene": f"s{n}", "indoor": "no"} for n, images in at.items()]
    small = photograph(40, 30)
    write_pair(tmp_path / "small", small, small)
    rows.append({"a": "small/a.png", "b": "small/b.png", "scene": "s3", "width": "500", "height": "500"})
    path = table(tmp_path / "t.csv", *rows)
    generate(plan({"manifest": str(path)}, samples=40), tmp_path / "d")
    reasons = {row["scene"]: row["reason"] for row in rows_of(tmp_path / "d")}
    assert reasons["s0"] is None
    assert reasons["s1"].startswith("b.png: no image that can be read")
    assert reasons["s2"] == "a.png: no such file"
    assert reasons["s3"] == "its short side is 30 px, the crop 48", "though the table said otherwise"


def test_object_storage_that_is_away_ends_the_run_and_a_web_server_costs_its_samples(monkeypatch):
    def away(*_):
        raise OSError("x: failed 6 times")

    monkeypatch.setattr("synth.storage.bucket.Bucket.facts", away)
    with pytest.raises(StoppedError, match="failed 6 times"):
        Remote("memory://x/a.png").open()
    from synth.errors import UnreadableError

    with pytest.raises(UnreadableError, match="the web server does not give it"):
        Remote("http://127.0.0.1:1/a.png?size=1").open()
    assert Remote("http://127.0.0.1:1/a.png?size=1/2").name == "a.png"


def test_the_cache_serves_what_has_not_changed_and_asks_again_for_what_has(remote_pairs, cache):
    _, url, fs = remote_pairs
    file = Remote(f"{url}/shots-0/a.png")
    first = file.open().read()
    held = list(cache.iterdir())
    assert [path.read_bytes() for path in held] == [first]
    held[0].write_bytes(b"from the cache".ljust(len(first)))
    assert file.open().read().startswith(b"from the cache")
    held[0].write_bytes(first[:1000])
    assert file.open().read() == first, "what a fall of the machine cut short is fetched again"
    fs.pipe_file(file.url.removeprefix("memory:/"), b"mended since")
    assert file.open().read() == b"mended since"


@pytest.fixture
def web(tmp_path):
    """A web server that tells of a file no more than its length and when it was changed: its folder and its URL."""
    root = tmp_path / "web"
    root.mkdir()
    handler = partial(Quiet, directory=root)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield root, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_file_that_changed_on_a_web_server_is_fetched_again(web):
    root, url = web
    (root / "with space.png").write_bytes(b"broken")
    file = Remote(f"{url}/with%20space.png?size=1/2")
    assert file.open().read() == b"broken"
    (root / "with space.png").write_bytes(b"mended")
    os.utime(root / "with space.png", (0, 0))
    assert file.open().read() == b"mended"


@pytest.mark.parametrize("kind", ["http", "memory"])
def test_a_cache_that_cannot_be_used_ends_the_run_and_fails_no_sample(web, remote_pairs, cache, monkeypatch, kind):
    from synth.pairs import remote

    (web[0] / "a.png").write_bytes(b"data")
    file = Remote(f"{web[1]}/a.png" if kind == "http" else f"{remote_pairs[1]}/shots-0/a.png")
    cache.write_bytes(b"a file is in its way")
    with pytest.raises(StoppedError, match=r"^the cache of sources .*cache cannot be used: File exists; MMAIF_CACHE"):
        file.open()
    cache.unlink()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoppedError, match=r"cannot be used: No space left on device; MMAIF_CACHE names another"):
        file.open()
    for nonsense in ("abc", "nan", "-1"):
        remote._cache.cache_clear()
        monkeypatch.setenv("MMAIF_CACHE_GB", nonsense)
        with pytest.raises(UserError, match=f"^MMAIF_CACHE_GB={nonsense}: must be a number of gigabytes"):
            file.open()


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_cache_keeps_to_its_bytes_and_to_what_was_asked_for_last(tmp_path):
    cache = DiskCache(tmp_path / "c", 1000)
    for number in range(300):
        cache.get(f"file {number}", lambda: bytes(90))
        cache.get("often", lambda: bytes(90))
    total = sum(path.stat().st_size for path in (tmp_path / "c").iterdir())
    assert 500 < total <= 1100
    assert cache.get("often", lambda: b"made anew") == bytes(90)
    assert cache.get("file 3", lambda: b"made anew") == b"made anew"
    assert cache.get("large", lambda: bytes(2000)) == bytes(2000)
    shutil.rmtree(tmp_path / "c")
