"""Records as they are stored, against what was rendered."""

import json

import pytest

from synth.sample.record import read_record
from synth.sample.render import render
from tests.synth.helpers import plan


def test_a_stored_record_is_read_as_it_was_made():
    record = render(plan(), 1).record
    assert read_record(json.dumps(record)) == record


@pytest.mark.parametrize("text", ["[]", "null", '"haze"', "7", "{", ""])
def test_what_is_no_object_is_no_record(text):
    with pytest.raises(ValueError, match=r"no object of JSON|line 1"):
        read_record(text)


def test_a_sample_says_how_each_input_is_stored():
    for encoding in ("jpeg95", "mixed", "png"):
        for index in range(6):
            sample = render(plan(encoding=encoding), index)
            assert sample.encodings == {name: image["encoding"] for name, image in sample.record["images"].items()}
            assert {name for name, made in sample.inputs.items() if made.file and encoding != "png"} == {
                name for name, stored in sample.encodings.items() if stored == "jpeg"
            }
