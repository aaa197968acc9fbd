"""How the inputs of a sample are stored: PNG, JPEG of quality 95, or the file of the JPEG that fell on them last.

Readers such as Hugging Face datasets want the same members in every sample: `png` and `jpeg95` give them.
"""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from synth.dataset.card import members_of
from synth.dataset.shards import Hashed, ShardWriter
from synth.degradations.engine import Applied, damage, damage_into_file
from synth.degradations.jpeg import JpegParams
from synth.degradations.resolution import ResolutionParams
from synth.images import codecs
from synth.recipe.schema import Recipe
from synth.sample.draft import draft
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from tests.synth.helpers import photograph, view

ONCE, TWICE = JpegParams(40, "420"), JpegParams(40, "422", 2, 0.4, (3, 5))


def plan(encoding: str, effects: list | dict, task: str = "mef", source: str = "bracketed") -> Plan:
    return make_plan(
        Recipe.model_validate(
            {
                "name": "t",
                "task": task,
                "seed": 1,
                "samples": 8,
                "sources": [{"builtin": source}],
                "crop": {"size": 64},
                "degradations": effects if isinstance(effects, dict) else {"always": effects},
                "instructions": {"kinds": {"general": 1.0}},
                "store": ["clean"],
                "encoding": encoding,
            }
        )
    )


def members(plan: Plan, index: int) -> dict[str, bytes]:
    file = io.BytesIO()
    with ShardWriter(Hashed(file)) as writer:
        writer.add(draft(plan, index), render(plan, index))
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        return {m.name.split(".", 1)[1]: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


@pytest.mark.parametrize("encoding", ["png", "jpeg95", "mixed"])
@pytest.mark.parametrize(("task", "source"), [("mef", "bracketed"), ("vif", "synthetic_thermal")])
def test_all_samples_have_equal_members_unless_they_may_be_mixed(encoding, task, source):
    """Some samples end in JPEG, some in another effect."""
    wanted = plan(encoding, {"some": {"count": {1: 1}, "of": ["jpeg", "noise"]}}, task, source)
    found = [sorted(members(wanted, index)) for index in range(8)]
    ends = {image["encoding"] for index in range(8) for image in render(wanted, index).record["images"].values()}
    if encoding == "mixed":
        assert ends == {"png", "jpeg"}
        assert {name for names in found for name in names} == set(members_of(wanted.recipe.resolved()))
        return
    assert ends == ({"png"} if encoding == "png" else {"jpeg95", "jpeg"})
    assert found == [sorted(members_of(wanted.recipe.resolved()))] * 8


def test_what_jpeg_made_is_the_same_picture_as_png():
    effects = ["noise", {"jpeg": {"images": "both"}}]
    for index in range(2):
        own, decoded = members(plan("mixed", effects), index), members(plan("png", effects), index)
        for name in ("a", "b"):
            assert np.array_equal(codecs.decode(own[f"{name}.jpg"]), codecs.decode(decoded[f"{name}.png"]))
        assert own["target.png"] == decoded["target.png"]


@pytest.mark.parametrize("encoding", ["jpeg95", "mixed"])
@pytest.mark.parametrize(("task", "source"), [("mef", "bracketed"), ("vif", "synthetic_thermal")])
def test_where_jpeg_is_last_its_own_bytes_are_stored_and_decode_to_the_sample(encoding, task, source):
    for index in range(3):
        wanted = plan(encoding, ["noise", {"jpeg": {"images": "both"}}], task, source)
        sample, stored = render(wanted, index), members(wanted, index)
        for name in ("a", "b"):
            assert sample.record["images"][name]["encoding"] == "jpeg"
            assert np.array_equal(codecs.decode(stored[f"{name}.jpg"]), getattr(sample, name))
        assert sorted(stored) == ["a.jpg", "b.jpg", "clean_a.png", "clean_b.png", "json", "target.png"]


def test_an_input_that_jpeg_left_alone_is_stored_as_the_recipe_says():
    effects = ["noise", {"jpeg": {"images": "a", "quality": 30}}]
    for encoding, member in (("mixed", "b.png"), ("jpeg95", "b.jpg")):
        wanted = plan(encoding, effects)
        sample, stored = render(wanted, 0), members(wanted, 0)
        assert sample.record["images"]["a"]["encoding"] == "jpeg"
        assert sample.record["images"]["b"]["encoding"] == ("png" if encoding == "mixed" else encoding)
        as_stored = sample.b if encoding == "mixed" else codecs.decode(codecs.encode_jpeg(sample.b, 95))
        assert np.array_equal(codecs.decode(stored[member]), as_stored)


def test_jpeg95_is_of_quality_95_without_subsampling_and_near_lossless():
    wanted = plan("jpeg95", ["haze"])
    index = next(i for i in range(8) if render(wanted, i).a.ndim == 3)
    sample, stored = render(wanted, index), members(wanted, index)
    image = Image.open(io.BytesIO(stored["a.jpg"]))
    assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
    assert image.quantization[0][0] == 2  # 16 at quality 50, times 10%
    error = np.mean((codecs.decode(stored["a.jpg"]).astype(float) - sample.a) ** 2)
    assert 10 * np.log10(255**2 / error) > 36
    assert np.array_equal(codecs.decode(stored["target.png"]), sample.target)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("params", [ONCE, TWICE], ids=["once", "twice"])
def test_the_file_of_an_image_is_that_of_its_last_pass_through_jpeg(colour, params):
    image = photograph(colour=colour)
    done = damage_into_file(image, [Applied("jpeg", "a", None, params)], view(image), None)
    assert done.file is not None
    assert np.array_equal(codecs.decode(done.file), done.image)
    assert np.array_equal(done.image, damage(image, [Applied("jpeg", "a", None, params)], view(image), None))


def test_there_is_no_file_where_another_effect_follows_or_the_codec_is_passed_by():
    image = photograph()
    jpeg, smaller = (
        Applied("jpeg", "a", None, ONCE),
        Applied("resolution", "a", None, ResolutionParams(2, "area", "linear")),
    )
    assert damage_into_file(image, [jpeg, smaller], view(image), None).file is None
    assert damage_into_file(image, [smaller, jpeg], view(image), None).file is not None
    none = Applied("jpeg", "a", None, JpegParams(None, "420"))
    assert damage_into_file(image, [none], view(image), None).file is None
    assert damage_into_file(image, [Applied("jpeg", "b", 0.5, ONCE)], view(image), None).file is None
