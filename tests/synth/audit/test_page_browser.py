"""The page of `synth preview` in a real browser: filters, zoom, keys, details, a phone, and a stranger's words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synth.audit.page import page as written
from synth.audit.shown import Shown, from_recipe
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from tests.browser import DESKTOP, PHONE
from tests.synth.audit.test_preview import DATA, EVIL, SIBLINGS, with_evil

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.slow
OPEN = "figure button"
PX = 48  # of a side of the pictures
FAINTEST = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => numbers(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (it) => {
    for (; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  let worst = [99, ""];
  for (const it of document.querySelectorAll("body *")) {
    const own = [...it.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !it.checkVisibility()) continue;
    const [one, two] = [light(getComputedStyle(it).color), light(behind(it))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (two + 0.05);
    if (contrast < worst[0]) worst = [contrast, it.outerHTML.slice(0, 80)];
  }
  return worst;
}"""
"""The least contrast between a text and what is behind it, by WCAG, and where it is."""


def plan_of(data: dict[str, Any]) -> Any:
    return make_plan(Recipe.model_validate(data))


@pytest.fixture(scope="module")
def samples() -> list[Shown]:
    return from_recipe(plan_of(DATA), 6)


@pytest.fixture(scope="module")
def siblings() -> list[Shown]:
    return from_recipe(plan_of(SIBLINGS), 8)


@pytest.fixture
def show(tmp_path: Path, open_page: Callable[..., "Page"]) -> Callable[..., "Page"]:
    """A page of samples, opened."""

    def shown(samples: list[Shown], size: tuple[int, int] = DESKTOP, title: str = "seen", **context: Any) -> "Page":
        path = tmp_path / "x.html"
        path.write_text(written(title, "some", samples), encoding="utf-8")
        return open_page(path.as_uri(), size, **context)

    return shown


def wide(seen: "Page") -> bool:
    """Whether anything makes the page scroll sideways."""
    return bool(seen.evaluate("document.documentElement.scrollWidth > innerWidth"))


def places(seen: "Page") -> list[tuple[float, ...]]:
    """Of the pictures in the view: left and top in their pane, and width."""
    seen.wait_for_function("[...document.querySelectorAll('.glass img')].every(image => image.complete)")
    found = seen.evaluate(
        """[...document.querySelectorAll('.glass img')].map(image => {
          const [one, pane] = [image, image.parentElement].map(it => it.getBoundingClientRect());
          return [one.left - pane.left, one.top - pane.top, one.width];
        })"""
    )
    return [tuple(round(number, 1) for number in place) for place in found]


def drag(seen: "Page", glass: "Locator", right: int, down: int) -> None:
    box = glass.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen.mouse.move(x, y)
    seen.mouse.down()
    seen.mouse.move(x + right, y + down, steps=3)
    seen.mouse.up()


def test_filters_agree_between_groups_and_any_word_does_within_one(show, samples):
    seen = show(samples)
    records = [sample.record for sample in samples]

    def count(**wanted: set[str]) -> int:
        has = {
            "task": lambda record: {record["task"]},
            "kind": lambda record: {record["kind"]},
            "effect": lambda record: {entry["effect"] for entry in record["degradations"]} or {"none"},
        }
        return sum(all(has[group](record) & words for group, words in wanted.items()) for record in records)

    def press(group: str, word: str) -> int:
        seen.locator(f'nav button[data-group="{group}"][data-word="{word}"]').click()
        assert seen.locator("nav output").inner_text() == f"{seen.locator('article:visible').count()} of 6 shown"
        return int(seen.locator("article:visible").count())

    assert press("task", "vif") == count(task={"vif"})
    assert press("effect", "rain") == 0
    assert seen.get_by_text("No sample has all of that.").is_visible()
    assert press("task", "mef") == count(task={"vif", "mef"}, effect={"rain"}) > 0
    assert press("task", "vif") == count(task={"mef"}, effect={"rain"})
    seen.get_by_role("button", name="Show all").click()
    assert seen.locator("article:visible").count() == 6
    assert not seen.get_by_role("button", name="Show all").is_visible()


def test_one_zoom_and_one_place_for_all_pictures(show, samples):
    seen = show(samples, (1000, 600))
    seen.locator(OPEN).first.click()
    fit = places(seen)
    assert len(fit) == 3
    assert len({place[2] for place in fit}) == 1
    for name, scale in (("1×", 1), ("2×", 2), ("4×", 4)):
        button = seen.get_by_role("button", name=name)
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert [place[2] for place in places(seen)] == [PX * scale] * 3
        assert seen.locator(".glass img").first.evaluate("it => getComputedStyle(it).imageRendering") == "pixelated"
    for _ in range(2):
        seen.keyboard.press("+")
    before = places(seen)
    assert {place[2] for place in before} == {PX * 16}
    drag(seen, seen.locator(".glass").nth(1), 40, -30)
    moved = places(seen)
    assert [(x - 40, y + 30, width) for x, y, width in moved] == before
    seen.mouse.wheel(25, 10)
    seen.wait_for_function(f"document.querySelector('.glass img').style.transform.includes('{moved[0][0] - 25:.0f}px')")
    assert [(x + 25, y + 10, width) for x, y, width in places(seen)] == moved
    drag(seen, seen.locator(".glass").first, 2000, 2000)
    assert {place[:2] for place in places(seen)} == {(0, 0)}  # no farther than to its edge
    seen.keyboard.press("0")
    assert places(seen) == fit


def test_keys_go_through_samples_and_pictures_and_close(show, samples):
    seen = show(samples)
    title = seen.locator("#view-title")
    cards = seen.locator("article")
    cards.first.locator(OPEN).nth(2).press("Enter")
    assert samples[0].record["instruction"] in title.inner_text()
    seen.keyboard.press("2")
    seen.keyboard.press("ArrowRight")
    assert samples[1].record["instruction"] in title.inner_text()
    assert {place[2] for place in places(seen)} == {2 * PX}  # the zoom stays
    seen.keyboard.press("ArrowLeft")
    seen.keyboard.press("ArrowLeft")
    assert samples[-1].record["instruction"] in title.inner_text()
    labels = []
    for _ in range(4):
        seen.keyboard.press("ArrowDown")
        labels.append([label.split()[0] for label in seen.locator(".pane p b").all_inner_texts()])
    assert labels == [["a"], ["b"], ["target"], ["a", "b", "target"]]
    seen.keyboard.press("ArrowUp")
    assert seen.locator(".solo button[aria-pressed=true]").inner_text() == "target"
    seen.keyboard.press("Escape")
    assert not seen.locator("dialog").is_visible()
    assert cards.last.locator(OPEN).first.evaluate("it => it === document.activeElement")
    word = seen.locator('nav button[data-group="task"]').first
    word.click()
    shown = seen.locator("article:visible")
    shown.first.locator(OPEN).first.click()
    for _ in range(shown.count()):
        seen.keyboard.press("ArrowRight")
    assert shown.first.locator("h2").inner_text() in title.inner_text()  # hidden samples are passed over


def test_the_rest_of_the_record_is_behind_a_click(show, samples):
    seen = show(samples)
    card = seen.locator("article").first
    key = card.get_by_text(samples[0].record["key"]).first
    assert not key.is_visible()
    card.get_by_text("Severities, seeds and the rest of the record").click()
    assert key.is_visible()
    assert samples[0].record["source"]["sha256"][0] in card.inner_text()
    words = seen.get_by_text("Keys, and what the words mean")
    words.click()
    assert seen.get_by_text("the sample before or after").is_visible()


def test_siblings_stand_side_by_side(show, siblings):
    seen = show(siblings)
    assert seen.locator("article").count() == 2
    card = seen.locator("article").first
    boxes = [box for target in card.locator("section figure").all() if (box := target.bounding_box())]
    assert len(boxes) == 4
    assert len({box["y"] for box in boxes}) == 1
    assert len({box["x"] for box in boxes}) == 4
    for number, sample in enumerate(siblings[:4]):
        assert sample.record["instruction"] in card.locator("section").nth(number).inner_text()
    kinds = [sample.record["kind"] for sample in siblings]
    for kind in set(kinds):  # a pair is shown where one of its sentences fits; sentences are counted
        seen.locator(f'nav button[data-word="{kind}"]').click()
        assert seen.locator("nav output").inner_text() == f"{kinds.count(kind)} of 8 shown"
        assert seen.locator("article:visible").count() == (kind in kinds[:4]) + (kind in kinds[4:])
        seen.locator(f'nav button[data-word="{kind}"]').click()
    card.locator(OPEN).first.click()
    assert len(places(seen)) == 6
    captions = seen.locator(".pane p").all_inner_texts()
    for sample, caption in zip(siblings[:4], captions[2:], strict=True):
        assert f"“{sample.record['instruction']}”" in caption


def test_on_a_phone_nothing_scrolls_sideways(show, samples, siblings):
    long = json.loads(json.dumps(samples[0].record))
    long["instruction"] = "x" * 300
    long["source"]["scene"] = "scene_" * 60
    long["degradations"] = [{**entry, "effect": "effect_" * 30} for entry in long["degradations"]]
    seen = show([*siblings, *samples, Shown(long, samples[0].pictures)], PHONE, title="t" * 200, has_touch=True)
    assert not wide(seen)
    seen.get_by_text("Filters", exact=True).click()
    for details in seen.locator("main details, .help").all():
        details.evaluate("it => it.open = true")
    assert not wide(seen)
    first = seen.locator("article").first
    assert len({box["x"] for it in first.locator("figure").all() if (box := it.bounding_box())}) == 2
    first.locator(OPEN).first.tap()
    panes = [box for glass in seen.locator(".glass").all() if (box := glass.bounding_box())]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= PHONE[0] for box in panes)
    assert all(box["y"] + box["height"] <= PHONE[1] for box in panes)
    assert not wide(seen)
    seen.get_by_role("button", name="Close").tap()
    assert not seen.locator("dialog").is_visible()


def test_two_fingers_zoom_all_pictures(show, samples):
    seen = show(samples[:1], PHONE, has_touch=True)
    seen.locator(OPEN).first.tap()
    before = places(seen)[0][2]
    box = seen.locator(".glass").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers = seen.context.new_cdp_session(seen)
    for kind, apart in (("touchStart", 20), ("touchMove", 30), ("touchMove", 40), ("touchEnd", 0)):
        points = [{"x": x + side * apart / 2, "y": y, "id": (side + 1) // 2} for side in (-1, 1)] if apart else []
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert [place[2] for place in places(seen)] == pytest.approx([2 * before] * 3, rel=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_by_day_and_by_night(show, samples, scheme):
    seen = show(samples[:3], color_scheme=scheme)
    contrast, where = seen.evaluate(FAINTEST)
    assert contrast >= 4.5, where
    seen.locator(OPEN).first.click()
    contrast, where = seen.evaluate(FAINTEST)
    assert contrast >= 4.5, where


def test_words_of_a_stranger_do_not_run(show, samples):
    seen = show([samples[0], with_evil(samples[1])], title=EVIL)
    seen.locator("article").last.locator(OPEN).first.click()
    seen.keyboard.press("ArrowDown")
    seen.locator("nav button").last.dispatch_event("click")
    assert seen.title() == " ".join(EVIL.split())
    assert seen.locator("script").count() == 1
    assert seen.locator("img[onerror]").count() == 0
