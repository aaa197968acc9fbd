"""What fell on a pair and what became of it, in words."""

from typing import Any

import pytest

from synth.audit.told import by_fate, extras, in_words, modality, seen_on, task_title


def entry(effect: str, image: str, asked: str = "remove", severity: float | None = None, **more: Any) -> dict[str, Any]:
    params = more.pop("params", {})
    return {
        "effect": effect,
        "image": image,
        "stage": "x",
        "severity": severity,
        "asked": asked,
        "params": params,
        **more,
    }


def record(*entries: dict[str, Any], task: str = "vif", **more: Any) -> Any:
    images = {"a": {"modality": "visible"}, "b": {"modality": "infrared"}}
    return {"task": task, "images": images, "degradations": list(entries), "target": {}, "absent": [], **more}


def told(given: Any) -> dict[str, list[str]]:
    return {fate: [str(one) for one in some] for fate, some in by_fate(given).items()}


def test_an_effect_on_both_images_stands_once_and_one_on_one_says_where():
    haze = [
        entry("haze", name, params={"visibility_m": 1100.0, "optical_depth_share": s})
        for name, s in (("a", 1), ("b", 0.4))
    ]
    given = record(*haze, entry("noise", "b", params={"sigma": 25.0}))
    assert told(given) == {"removed": ["haze, visibility 1.1 km", "noise, sigma 25, in the infrared image"]}
    assert seen_on(given) == "haze, visibility 1.1 km; noise, sigma 25, in the infrared image"


def test_different_strengths_stand_apart():
    given = record(*(entry("jpeg", name, params={"quality": q}) for name, q in (("a", 20), ("b", 41))), task="mef")
    assert told(given) == {
        "removed": ["JPEG, quality 20, in the under-exposed shot", "JPEG, quality 41, in the over-exposed shot"]
    }


def test_what_was_kept_and_lessened_is_told_apart():
    given = record(
        entry("snow", "a", "keep", params={"rate": 2.0}),
        entry("snow", "b", "keep", params={"rate": 2.0}),
        entry("rain", "b", "lessen", factor=0.5, params={"rate": 30.0}),
        entry("haze", "a", "lessen", severity=0.6, factor=0.25, params={"visibility_m": 90.0}),
        entry("contrast", "a", "lessen", factor=0.5, params={"gain": 0.4}),
        entry("noise", "a", params={"sigma": 8.0}),
    )
    assert told(given) == {
        "removed": ["noise, sigma 8, in the visible image"],
        "lessened": [
            "rain, 30 mm/h, in the infrared image, becomes rain, 15 mm/h",
            "haze, visibility 90 m, in the visible image, to 25% of its severity",
            "low contrast, at 40%, in the visible image, becomes low contrast, at 70%",
        ],
        "kept": ["snow, 2 mm/h of water"],
    }


def test_haze_that_is_lessened_lets_one_see_farther():
    given = record(entry("haze", "a", "lessen", factor=0.5, params={"visibility_m": 1100.0}))
    assert told(given)["lessened"][0].endswith("becomes haze, visibility 2.2 km")


def test_effects_and_tasks_that_nobody_here_knows():
    given = record(entry("lens_flare", "b", severity=0.4, params={"ghosts": 3, "seed": 9, "map": {}}), task="medical")
    given["images"]["b"]["modality"] = "pet"
    assert told(given) == {"removed": ["lens flare, ghosts 3, in b (pet)"]}
    assert task_title(given) == "medical"
    assert in_words(entry("thing", "a", severity=0.4)) == "thing, severity 0.4"  # type: ignore[arg-type]


def test_other_things_that_a_target_may_have():
    given = record(absent=["rain", "motion", "lens_flare"])
    given["target"] = {"emphasis": 0.6}
    assert list(extras(given)) == [
        ("stressed", "what is warm, by 0.6 of 1"),
        ("not there", "rain, motion blur, lens flare"),
    ]
    assert told(given) == {}


@pytest.mark.parametrize(("said", "read"), [("under", "under-exposed"), ("visible", "visible"), ("pet", "pet")])
def test_modalities_are_words(said, read):
    given = record()
    given["images"]["a"]["modality"] = said
    assert modality(given, "a") == read
