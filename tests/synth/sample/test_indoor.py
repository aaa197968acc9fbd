"""Weather stays outside: pairs that are flagged, and pairs that look like rooms."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skimage import data
from typer.testing import CliRunner

from synth import degrade
from synth.cli import app
from synth.dataset.generate import retry
from synth.degradations import effects
from synth.degradations.settings import parse_effect
from synth.errors import UserError
from synth.images.pixels import Bytes
from synth.pairs.facts import read_facts
from synth.pairs.files import as_columns
from synth.pairs.writing import write_manifest
from synth.recipe.schema import Recipe
from synth.sample.draft import Draft, draft
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from synth.scene.rooms import room_odds
from synth.storage import Folder
from synth.tasks import TASKS
from tests.synth.forging import Forger
from tests.synth.helpers import generate, hashes, rows_of, run_of, write_pair
from tests.synth.sound import faults, verdict_of

ROOM, OUTSIDE = data.coffee()[:200, :260], data.rocket()[:200, :260]
WEATHER = {"haze", "rain", "snow"}
RULES = {
    "some": {"count": {1: 0.5, 2: 0.5}, "of": [{"rain": 0.5}, {"haze": 0.4}, {"blur": 0.3}, {"noise": {"sigma": 10}}]}
}


def folder(root: Path, **said: bool | None) -> Path:
    """Pairs of one even grey, by name, with what is said of each."""
    for name, indoor in said.items():
        scene = f"{name.partition('_')[0]}-{name}"
        write_pair(root / scene, np.full((70, 70, 3), 90, np.uint8), np.full((70, 70, 3), 90, np.uint8))
        if indoor is not None:
            (root / scene / "pair.yaml").write_text(f"indoor: {str(indoor).lower()}\n")
    return root


def plan(root: Path | str, indoor: str = "guess", **changes) -> Plan:
    source = {"manifest" if str(root).endswith((".csv", ".parquet")) else "folder": str(root)}
    recipe = {
        **{"name": "t", "task": "mff", "samples": 8, "sources": [source], "crop": {"size": 64}},
        **{"degradations": {**RULES, "indoor": indoor}, "instructions": {"kinds": {"full": 0.6, "partial": 0.4}}},
    }
    return make_plan(Recipe.model_validate(recipe | changes))


def drafts(chosen: Plan, count: int = 300) -> list[Draft]:
    return [draft(chosen, index) for index in range(count)]


def falls(drawn: Draft) -> bool:
    return any(spec.effect in WEATHER for spec in drawn.effects)


def test_which_effects_fall_outside():
    assert {name for name, effect in effects().items() if effect.outdoors} == WEATHER
    imgaug = {name: parse_effect({"imgaug": {"name": "Rain", "as": name}}) for name in ("rain", "noise")}
    assert imgaug["rain"].degradation.outdoors
    assert not imgaug["noise"].degradation.outdoors


@pytest.mark.parametrize("kind", ["folder", "csv", "parquet"])
@pytest.mark.parametrize("rule", ["guess", "flagged"])
def test_no_weather_falls_on_a_flagged_pair_and_all_else_does(tmp_path, kind, rule):
    root = folder(tmp_path / "mff", x_1=True, x_2=False, x_3=None, y_1=True, z_1=None)
    if kind != "folder":
        write_manifest(root, tmp_path / f"t.{kind}")
        root = tmp_path / f"t.{kind}"
    drawn = drafts(plan(root, rule))
    wet = Counter(item.pair.scene for item in drawn if falls(item))
    assert set(wet) == {"x-x_2", "x-x_3", "z-z_1"}
    assert {item.pair.scene for item in drawn if not falls(item)} == {"x-x_1", "x-x_2", "x-x_3", "y-y_1", "z-z_1"}


def test_only_the_pair_under_weather_is_another_and_the_same_every_time(tmp_path):
    """Kinds, effects, counts and quotas are those of a recipe that lets it rain in rooms."""
    root = folder(tmp_path, x_1=True, x_2=None, y_1=None, y_2=True, y_3=True)
    dry, wet = drafts(plan(root)), drafts(plan(root, "as_outdoor"))
    moved = 0
    for one, other in zip(dry, wet, strict=True):
        assert (one.effects, one.intent, one.task) == (other.effects, other.intent, other.task)
        if falls(one) and other.pair.indoor:
            moved += 1
        else:
            assert (one.pair, one.pair_number) == (other.pair, other.pair_number)
    assert moved > 50
    assert drafts(plan(root, samples=900)) == dry


def test_pairs_outside_are_drawn_as_often_against_each_other_as_before(tmp_path):
    """As if a pair were drawn again and again until one is outside."""
    root = folder(tmp_path, x_1=True, x_2=None, x_3=None, x_4=None, y_1=None, y_2=True, z_1=True)
    chosen = plan(root, sources=[{"folder": str(root), "weights": {"x": 4, "y": 2, "z": 3}}])
    wet = Counter(item.pair.scene for item in drafts(chosen, 4000) if falls(item))
    for scene, weight in {"x-x_2": 1, "x-x_3": 1, "x-x_4": 1, "y-y_1": 1}.items():
        assert wet[scene] / wet.total() == pytest.approx(weight / 4, abs=0.03)


def test_a_group_shows_one_pair(tmp_path):
    root = folder(tmp_path, x_1=True, x_2=None, x_3=None)
    settings = {"kinds": {"full": 0.6, "partial": 0.4}, "per_pair": 4}
    drawn = drafts(plan(root, instructions=settings, samples_per_shard=4), 80)
    for at in range(0, 80, 4):
        assert len({item.pair.scene for item in drawn[at : at + 4]}) == 1


def test_where_all_pairs_are_rooms_the_way_out_is_said(tmp_path):
    root = folder(tmp_path, x_1=True, x_2=True)
    with pytest.raises(UserError, match=r"rain falls outside, and all 2 pairs of mff are flagged indoor; .*as_outdoor"):
        plan(root)
    assert falls(next(item for item in drafts(plan(root, "as_outdoor")) if falls(item)))
    assert len(drafts(plan(root, degradations={"always": ["noise"]}, instructions={"kinds": {"full": 1}}))) == 300


def test_a_flag_is_in_the_record_and_in_the_fingerprint(tmp_path):
    root = folder(tmp_path, x_1=True, x_2=None)
    chosen = plan(root, "as_outdoor")
    said = {item.pair.scene: render(chosen, item.index).record["source"].get("indoor") for item in drafts(chosen, 12)}
    assert said == {"x-x_1": True, "x-x_2": None}
    (root / "x-x_1/pair.yaml").unlink()
    assert plan(root, "as_outdoor").fingerprint != chosen.fingerprint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("indor: true", "pair.yaml: indor: unknown key; did you mean 'indoor'?"),
        ("indoor: perhaps", "pair.yaml: indoor: 'perhaps' must be true or false"),
        ("- 3", "pair.yaml: holds no `key: value` (in 4096 bytes)"),
        ("{", "pair.yaml: cannot be read: "),
        ("x: &a [" + "1," * 3000, "pair.yaml: holds no `key: value`"),
    ],
)
def test_a_file_that_says_nothing_clear_leaves_its_pair_out(tmp_path, text, reason):
    root = folder(tmp_path, x_1=None, x_2=None)
    (root / "x-x_1/pair.yaml").write_text(text)
    (left,) = plan(root).left_out
    assert left.scene == "x-x_1"
    assert left.reason.startswith(reason)


def test_a_link_to_facts_elsewhere_is_not_followed(tmp_path):
    root = folder(tmp_path / "pairs", x_1=None, x_2=None)
    (tmp_path / "secret.yaml").write_text("indoor: true")
    (root / "x-x_1/pair.yaml").symlink_to(tmp_path / "secret.yaml")
    (left,) = plan(root).left_out
    assert left.reason.startswith("a link in it leads out of the source's folder; `follow_links: true`")


@pytest.mark.parametrize(("cell", "indoor"), [("TRUE", True), ("0", False), ("1.0", True), ("", None), ("no", False)])
def test_cells_say_yes_and_no_in_many_ways(tmp_path, cell, indoor):
    folder(tmp_path / "mff", x_1=None)
    (tmp_path / "t.csv").write_text(f"a,b,indoor\nmff/x-x_1/a.png,mff/x-x_1/b.png,{cell}\n")
    (pair,) = plan(tmp_path / "t.csv", "as_outdoor").pools[0].pairs
    assert pair.indoor is indoor
    assert as_columns([pair])[0].indoor is indoor


def test_a_column_of_a_table_may_have_gaps(tmp_path):
    folder(tmp_path, x_1=None)
    image = {"a": "x-x_1/a.png", "b": "x-x_1/b.png"}
    rows = [{**image, "scene": f"x-{v}", "indoor": v} for v in (True, None, False)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    pairs = plan(tmp_path / "t.parquet", "as_outdoor").pools[0].pairs
    assert Counter(pair.indoor for pair in pairs) == {True: 1, None: 1, False: 1}
    (tmp_path / "u.csv").write_text("a,b,indoor\nx-x_1/a.png,x-x_1/b.png,perhaps\n")
    with pytest.raises(UserError, match="indoor: 'perhaps' must be true or false"):
        plan(tmp_path / "u.csv")


def of(image: Bytes) -> float:
    return room_odds(TASKS["mff"].capture, {"a": image, "b": image})


def test_the_guess_tells_a_table_from_a_launch_and_shrugs_at_what_says_nothing():
    assert of(ROOM) > 1
    assert of(OUTSIDE) < -1
    for level in (0, 90, 255):
        assert of(np.full((80, 90, 3), level, np.uint8)) < 0, "an even picture may be rained on"
        assert of(np.full((1, 1), level, np.uint8)) < 0


def test_infrared_says_nothing_of_a_room():
    capture = TASKS["vif"].capture
    odds = [room_odds(capture, {"a": ROOM, "b": b}) for b in (OUTSIDE[:, :, 0], ROOM[:, :, 0])]
    assert odds[0] == odds[1]


def test_weather_does_not_fall_where_it_looks_like_a_room(tmp_path):
    write_pair(tmp_path / "x-room", ROOM, ROOM)
    write_pair(tmp_path / "x-out", OUTSIDE, OUTSIDE)
    assert {item.pair.scene for item in drafts(plan(tmp_path)) if falls(item)} == {"x-out"}
    for rule in ("flagged", "as_outdoor"):
        assert {item.pair.scene for item in drafts(plan(tmp_path, rule), 60) if falls(item)} == {"x-out", "x-room"}
    (tmp_path / "x-room/pair.yaml").write_text("indoor: false")
    assert {item.pair.scene for item in drafts(plan(tmp_path), 60) if falls(item)} == {"x-out", "x-room"}, "a word wins"


def test_where_all_look_like_rooms_it_falls_and_the_plan_says_so(tmp_path):
    write_pair(tmp_path / "x-room", ROOM, ROOM)
    warmer = np.clip(ROOM * np.array([1.1, 1.0, 0.7]), 0, 255).astype(np.uint8)
    write_pair(tmp_path / "x-warmer", warmer, warmer)
    assert of(warmer) > of(ROOM)
    wet = Counter(item.pair.scene for item in drafts(plan(tmp_path)) if falls(item))
    assert wet["x-room"] > 0.9 * wet.total(), "on the one that looks least like one, where both were tried"
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"{{name: t, task: mff, samples: 4, crop: {{size: 64}}, sources: [{{folder: {tmp_path}}}], "
        "degradations: {always: [rain]}}"
    )
    told = CliRunner().invoke(app, ["generate", "--recipe", str(recipe), "--dry-run"]).output
    assert "warning: mff: its pairs look like rooms, where no weather should fall; flag those from outside" in told
    write_pair(tmp_path / "x-out", OUTSIDE, OUTSIDE)
    assert "warning" not in CliRunner().invoke(app, ["generate", "--recipe", str(recipe), "--dry-run"]).output


def test_a_pair_that_cannot_be_read_costs_its_samples_as_ever(tmp_path):
    write_pair(tmp_path / "x-room", ROOM, ROOM)
    write_pair(tmp_path / "x-broken", OUTSIDE, OUTSIDE)
    (tmp_path / "x-broken/a.png").write_bytes(b"no picture")
    out = tmp_path / "d"
    generate(plan(tmp_path, samples=12), out)
    rows = rows_of(out)
    assert {row["scene"] for row in rows if row["status"] == "failed"} == {"x-broken"}
    assert all(not WEATHER & set(row["effects"]) for row in rows if row["scene"] == "x-room")


def test_once_mended_a_pair_gives_the_bytes_of_a_run_that_never_failed(tmp_path):
    for name, image in {"room": ROOM, "out": OUTSIDE, "sky": OUTSIDE[:, ::-1]}.items():
        write_pair(tmp_path / "p" / f"x-{name}", image, image)
    chosen = plan(tmp_path / "p", samples=16, samples_per_shard=4)
    generate(chosen, tmp_path / "whole", workers=2)  # in other processes, that remember no picture
    for name in ("room", "sky"):
        whole = (tmp_path / f"p/x-{name}/a.png").read_bytes()
        (tmp_path / f"p/x-{name}/a.png").write_bytes(whole[:500])
        assert generate(chosen, tmp_path / name, workers=2).failed > 0
        (tmp_path / f"p/x-{name}/a.png").write_bytes(whole)
        retry(chosen, Folder(tmp_path / name), run_of(2))
        assert hashes(tmp_path / name) == hashes(tmp_path / "whole")


def test_a_pair_given_by_hand_is_rained_on():
    assert not np.array_equal(degrade(ROOM, ROOM, {"rain": 0.8}, task="mff").a, ROOM)


def test_verify_knows_where_no_weather_falls(tmp_path):
    root, out = folder(tmp_path / "pairs", x_1=True, x_2=None), tmp_path / "d"
    generate(plan(root, samples=12, samples_per_shard=12), out)
    assert verdict_of(out).count == 0
    forger = Forger(out)
    wet = next(n for n, row in enumerate(forger.rows) if WEATHER & set(row["effects"]))
    forger.record(wet, lambda record: record["source"].update(indoor=True))
    forger.save()
    assert any("in a room: its pair is flagged indoor" in fault for fault in faults(out))


def test_facts_are_read_as_they_stand(tmp_path):
    (tmp_path / "pair.yaml").write_text("{indoor: yes}")
    assert read_facts(tmp_path / "pair.yaml") == {"indoor": True}
    with pytest.raises(ValueError, match="cannot be read"):
        read_facts(tmp_path / "nowhere.yaml")
