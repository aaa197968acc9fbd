"""Content that is not what its role says: infrared and depth in false colours or codes, images that are exchanged."""

import json

import cv2
import numpy as np
import pytest
from skimage import data

from synth.errors import UnreadableError, UserError
from synth.images.colour_maps import CYCLES, EXCHANGED, maps
from synth.images.pixels import luma
from synth.pairs.files import FilePair
from synth.pairs.folder import FolderSource
from synth.pairs.photos import PhotoSource
from synth.pairs.roles import as_roles, depth_values
from synth.recipe.schema import Recipe
from synth.sample.degrade import degrade_files
from synth.sample.doubts import doubts_of
from synth.sample.plan import make_plan
from synth.sample.render import render
from synth.tasks import TASKS
from tests.synth.helpers import photograph

VIF = TASKS["vif"].capture
H, W = 128, 160
FILES = {"a": "a.png", "b": "b.png"}


def temperature() -> np.ndarray:
    """(H, W) bytes from end to end: a smooth scene with three warm bodies and a cold one."""
    y, x = np.mgrid[0:H, 0:W]
    scene = 90 + 25 * np.sin(x / 20) + 20 * np.cos(y / 15)
    for down, across, level in ((35, 40, 255), (80, 110, 235), (95, 40, 190), (40, 120, 0)):
        scene[(y - down) ** 2 + (x - across) ** 2 < 256] = level
    return np.clip(cv2.GaussianBlur(scene, (0, 0), 2), 0, 255).astype(np.uint8)


TEMPERATURE = temperature()
VISIBLE = photograph(H, W)
GREY_VISIBLE = photograph(H, W, colour=False)
DISTANCE = np.linspace(100, 2, H)[:, None] - np.zeros(W)
DISTANCE[60:100, 50:80] = 9


def painted(values, name: str) -> np.ndarray:
    return np.rint(maps()[name][values]).astype(np.uint8)


def jpeg(image, quality: int = 80) -> np.ndarray:
    """As most cameras save it: with colours at half the resolution."""
    bgr = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(bgr, cv2.IMREAD_COLOR)[:, :, ::-1])


def grey3(image) -> np.ndarray:
    return np.repeat(image[:, :, None], 3, 2)


def likeness(one, other) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def infrared(b, a=VISIBLE) -> tuple[np.ndarray, str]:
    """What a pair has for its infrared image, and what is said of it."""
    roles = as_roles({"a": a, "b": np.ascontiguousarray(b)}, FILES, VIF)
    return roles.pictures["b"], " ".join(roles.doubts)


def write(path, image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[:, :, ::-1] if image.ndim == 3 else image)


@pytest.mark.parametrize("name", [name for name in maps() if name not in CYCLES and EXCHANGED not in name])
def test_infrared_in_a_known_map_is_the_temperature_again(name):
    for image, least in ((painted(TEMPERATURE, name), 0.9975), (jpeg(painted(TEMPERATURE, name)), 0.97)):
        values, said = infrared(image)
        assert values.shape == TEMPERATURE.shape
        assert likeness(values, TEMPERATURE) > least
        assert "b.png: infrared in false colours (map " in said


@pytest.mark.parametrize("name", ["jet", "turbo", "iron", "inferno", "rainbow of thermal cameras"])
def test_textures_sizes_and_text_do_not_hide_a_map(name):
    texture = cv2.resize(data.camera(), (240, 240), interpolation=cv2.INTER_AREA)
    cases = {
        "texture": (painted(texture, name), texture),
        "texture, JPEG": (jpeg(painted(texture, name), 85), texture),
        "shrunk": (cv2.resize(painted(TEMPERATURE, name), (100, 80), interpolation=cv2.INTER_AREA), None),
        "grown": (jpeg(cv2.resize(painted(TEMPERATURE, name), (272, 218), interpolation=cv2.INTER_CUBIC)), None),
        "exchanged": (painted(TEMPERATURE, name)[:, :, ::-1], None),
    }
    for label, (image, truth) in cases.items():
        truth = cv2.resize(TEMPERATURE, image.shape[1::-1], interpolation=cv2.INTER_AREA) if truth is None else truth
        values, said = infrared(image)
        assert "in false colours" in said, label
        assert abs(likeness(values, truth)) > 0.95, label


def test_text_on_false_colours_is_filled_and_their_padding_stays():
    image = painted(TEMPERATURE, "jet")
    cv2.putText(image, "36.5", (5, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    values, said = infrared(cv2.copyMakeBorder(image, 20, 20, 0, 0, cv2.BORDER_CONSTANT))
    assert "filled from around" in said
    assert likeness(values[20:-20], TEMPERATURE) > 0.99
    assert not values[:19].any()


@pytest.mark.parametrize("name", ["hsv", "twilight"])
def test_a_map_that_ends_where_it_begins_is_refused(name):
    with pytest.raises(
        UnreadableError, match=rf"^b\.png: infrared in false colours \(map {name}\), whose two ends are"
    ):
        infrared(painted(TEMPERATURE, name))


@pytest.mark.parametrize("image", [TEMPERATURE, grey3(TEMPERATURE), jpeg(grey3(TEMPERATURE), 40)])
def test_grey_infrared_is_left_as_it_is_and_nothing_is_said(image):
    for a in (VISIBLE, GREY_VISIBLE, grey3(GREY_VISIBLE)):
        values, said = infrared(image, a)
        assert values is image or np.array_equal(values, image)
        assert said == ""


def test_tinted_and_marked_infrared_is_said_and_not_refused():
    marked = grey3(TEMPERATURE)
    cv2.putText(marked, "FLIR", (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 60, 0), 2)
    values, said = infrared(jpeg(marked))
    assert "coloured marks" in said
    assert likeness(values, TEMPERATURE) > 0.98
    for tint in ((1, 0.85, 0.6), (0.7, 0.85, 1), (0.2, 1, 0.3)):
        values, said = infrared(jpeg(np.clip(TEMPERATURE[:, :, None] * np.array(tint), 0, 255).astype(np.uint8)))
        assert "tinted infrared" in said, tint
        assert likeness(values, TEMPERATURE) > 0.99
    for channel, name in enumerate(("red", "green", "blue")):
        alone = np.zeros((H, W, 3), np.uint8)
        alone[:, :, channel] = TEMPERATURE
        values, said = infrared(alone)
        assert f"its {name} channel alone" in said
        assert np.array_equal(values, TEMPERATURE)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "motorcycle"])
def test_a_photograph_in_the_place_of_infrared_is_said_with_its_brightness_taken(name):
    image = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    photo = cv2.resize(image, (240, 180), interpolation=cv2.INTER_AREA)
    grey = luma(photo)
    values, said = infrared(photo, grey)
    assert "b.png: infrared with colours" in said
    assert "exchanged" in said
    assert np.array_equal(values, grey)
    assert "as a photograph has" in infrared(photo, photo[::-1].copy())[1]
    assert as_roles({"a": photo, "b": grey}, FILES, VIF).doubts == (), "the right way round"
    with pytest.raises(UnreadableError, match=r"depth\.png: a depth map in colours of no known map; give the values"):
        depth_values(photo, "distance", "depth.png")


def test_false_colours_in_the_place_of_the_visible_image_are_said():
    roles = as_roles({"a": painted(TEMPERATURE, "jet"), "b": GREY_VISIBLE}, FILES, VIF)
    assert roles.doubts == ("a.png: in false colours (map jet), as infrared may be: are the images exchanged?",)
    brackets = as_roles({"a": painted(TEMPERATURE, "jet"), "b": VISIBLE}, FILES, TASKS["mef"].capture)
    assert brackets.doubts == ()


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (3, 3), (2, 500)])
def test_tiny_pictures_are_read(shape):
    image = cv2.resize(painted(TEMPERATURE, "jet"), shape[::-1])
    assert infrared(image, cv2.resize(VISIBLE, shape[::-1]))[0].shape == shape


def code(distance, far: float = 1000.0) -> np.ndarray:
    """As CARLA saves it: R + 256 G + 65536 B, over 2²⁴ − 1 of the farthest."""
    number = (distance / far * ((1 << 24) - 1)).astype(np.uint32)
    return np.stack([number & 255, number >> 8 & 255, number >> 16], 2).astype(np.uint8)


@pytest.mark.parametrize("what", ["street", "other order", "noise", "steep", "room", "sky"])
def test_depth_in_24_bits_over_three_channels_is_put_together(what):
    rng = np.random.default_rng(1)
    distance = {
        "noise": DISTANCE * (1 + 0.01 * rng.normal(size=DISTANCE.shape)),
        "steep": DISTANCE * 9,
        "room": 1 + 2 * np.abs(np.sin(np.arange(W) / 30)) + np.linspace(0, 0.3, H)[:, None],
        "sky": np.where(np.arange(H)[:, None] < 30, 1000, DISTANCE),
    }.get(what, DISTANCE)
    image = code(distance)[:, :, ::-1] if what == "other order" else code(distance)
    values, said = depth_values(image, "distance", "depth.png")
    assert np.allclose(values * 1000, distance, atol=1e-3)
    assert said == "depth.png: a number of 24 bits in three channels, which was put together"


@pytest.mark.parametrize("name", ["jet", "turbo", "inferno", "magma", "viridis", "plasma", "Spectral"])
def test_depth_in_a_known_map_is_the_distance_again(name):
    levels = (DISTANCE / 100 * 255).astype(np.uint8)
    exact, said = depth_values(painted(levels, name), "distance", "depth.png")
    assert np.abs(exact - 1 - levels).max() <= 1, "and 0, which says that none was measured, nowhere"
    assert said == f"depth.png: depth in false colours (map {name}), which were undone"
    assert likeness(depth_values(jpeg(painted(levels, name)), "distance", "depth.png")[0], levels) > 0.99
    holes = painted(levels, name)
    holes[:20, :60] = 0
    if holes[0, 0].tolist() not in maps()[name].astype(int).tolist() and name not in ("inferno", "magma"):
        values, said = depth_values(holes, "distance", "depth.png")
        assert not values[:20, :60].any(), "gaps are no distance"
        assert "none at the" in said


def test_maps_from_red_to_blue_have_red_for_what_is_near():
    near = (255 * 2 / DISTANCE).clip(0, 255).astype(np.uint8)  # as a network has it, in Spectral_r
    values, _ = depth_values(painted(255 - near, "Spectral"), "inverse", "depth.png")
    assert np.abs(values - 1 - near).max() <= 1


def test_depth_in_equal_channels_is_kept_and_other_channels_are_refused():
    deep = (DISTANCE * 600).astype(np.uint16)
    for values in (deep, deep.astype(np.float32), (DISTANCE * 2).astype(np.uint8)):
        for shape in (values, cv2.merge([values] * 3)):
            assert np.array_equal(depth_values(shape, "distance", "d")[0], values.astype(np.float32))
    levels = (DISTANCE * 2.5).astype(np.uint8)
    assert np.abs(depth_values(jpeg(grey3(levels)), "distance", "d")[0] - levels).mean() < 2
    for colours, words in (
        (painted(levels, "hsv"), "false colours .map hsv., whose two ends are one colour"),
        (jpeg(code(DISTANCE)), "colours of no known map"),
        (np.stack([DISTANCE, DISTANCE * 2, DISTANCE], 2).astype(np.float32), "three channels that differ, of float32"),
    ):
        with pytest.raises(UnreadableError, match=rf"^d: .*{words}"):
            depth_values(colours, "distance", "d")


def recipe(root, **changes) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "t",
            "task": "vif",
            "samples": 2,
            "sources": [{"folder": str(root)}],
            "crop": {"size": 64, "flip": False},
            "degradations": {"always": [{"haze": {"severity": 0.8}}], "indoor": "as_outdoor"},
        }
        | changes
    )


def test_the_record_and_the_plan_say_what_was_done(tmp_path):
    for number in range(6):
        folder = tmp_path / f"cam-{number}"
        write(folder / "a.png", VISIBLE)
        write(folder / "b.png", painted(TEMPERATURE, "jet") if number % 5 else TEMPERATURE)
        write(folder / "depth.png", code(DISTANCE))
    write(tmp_path / "plain-1/a.png", VISIBLE)
    write(tmp_path / "plain-1/b.png", TEMPERATURE)
    plan = make_plan(recipe(tmp_path))
    (doubt,) = doubts_of(plan)
    assert (doubt.task, doubt.dataset, doubt.pairs, doubt.looked_at) == ("vif", "cam", 4, 4)
    assert doubt.said == "depth.png: a number of 24 bits in three channels, which was put together"
    pair = next(pair for pair in FolderSource(folder=tmp_path).pairs("vif") if pair.scene == "cam-1")
    assert isinstance(pair, FilePair)
    clean = pair.load()
    assert clean.notes == clean.doubts
    assert clean.doubts[0] == "b.png: infrared in false colours (map jet), which were undone"
    assert clean.source_channels == {"a": 3, "b": 3}
    assert likeness(clean.pictures["b"], TEMPERATURE) > 0.99
    assert clean.depth is not None
    assert np.allclose(clean.depth, np.clip(DISTANCE / DISTANCE.max(), 0.02, 1), atol=1e-3)
    rendered = render(make_plan(recipe(tmp_path, sources=[{"folder": str(tmp_path), "weights": {"cam": 1000}}])), 0)
    assert (
        "depth.png: a number of 24 bits in three channels, which was put together" in rendered.record["source"]["notes"]
    )
    assert rendered.record["scene"]["depth"] == "distance"


def test_degrade_reads_both_and_says_so(tmp_path):
    write(tmp_path / "a.png", VISIBLE)
    write(tmp_path / "b.png", painted(TEMPERATURE, "iron"))
    levels = (DISTANCE / 100 * 255).astype(np.uint8)
    hazed = {}
    for name, depth in (("grey", levels), ("jet", painted(levels, "jet")), ("hsv", painted(levels, "hsv"))):
        write(tmp_path / f"{name}.png", depth)
    files = {"a": tmp_path / "a.png", "b": tmp_path / "b.png"}
    for name in ("grey", "jet"):
        given = (tmp_path / f"{name}.png", "distance")
        said = degrade_files(files, ["haze=1.0"], tmp_path / name, task="vif", seed=3, depth=given)
        assert said[0] == "b.png: infrared in false colours (map iron), which were undone"
        assert json.loads((tmp_path / name / "record.json").read_text())["notes"] == list(said)
        hazed[name] = cv2.imread(str(tmp_path / name / "a.png")).astype(float)
        assert cv2.imread(str(tmp_path / name / "b.png"), cv2.IMREAD_UNCHANGED).ndim == 2
    assert np.abs(hazed["grey"] - hazed["jet"]).mean() < 1
    with pytest.raises(UserError, match=r"hsv\.png: a depth map in false colours"):
        degrade_files(files, ["haze=1.0"], tmp_path / "o", task="vif", seed=3, depth=(tmp_path / "hsv.png", "distance"))


def test_depth_beside_a_photograph_is_read_alike(tmp_path):
    write(tmp_path / "x.png", VISIBLE)
    write(tmp_path / "x.depth.png", code(DISTANCE))
    pair = next(iter(PhotoSource(photos=tmp_path).pairs("mff")))
    clean = pair.load()
    assert any("24 bits in three channels" in note for note in clean.notes)
    assert clean.depth is not None
    assert np.allclose(clean.depth, np.clip(DISTANCE / DISTANCE.max(), 0.02, 1), atol=1e-3)


def test_degrade_says_what_was_done_to_more_than_8_bits(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), VISIBLE.astype(np.uint16) * 257)
    counts = np.linspace(20000, 22000, TEMPERATURE.size).reshape(TEMPERATURE.shape[:2]).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "b.png"), counts)
    files = {"a": tmp_path / "a.png", "b": tmp_path / "b.png"}
    said = degrade_files(files, ["noise=0.5"], tmp_path / "o", task="vif", seed=3, depth=None)
    assert said[0] == "a.png: 16 bits divided by 257"
    assert said[1].startswith("b.png: infrared: 2000")
    assert json.loads((tmp_path / "o/record.json").read_text())["notes"] == list(said)
