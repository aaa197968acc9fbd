"""Pictures of the page of `synth preview`, of scikit-image's photographs alone, into docs/screens/:
`python -m bench.preview_screens`. It wants Chromium and playwright, and says so where one is missing.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import document
from bench.command import parsed, parser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1280, 900), (390, 844)
SHARPER = 2  # device pixels a pixel of a phone
SIZE = 192  # of the samples
STEP = 4  # levels from one to the next that a picture keeps: so it is small
SAMPLES, OF = 48, 480  # that are shown, of the recipe
SEED = 103  # whose first pair shows rain and low contrast that go, stay and grow less
QUICK = {"SIZE": 48, "SAMPLES": 4}
DAMAGE = ["haze", "rain", {"noise": {"sigma": [8, 40]}}, {"contrast": {"images": "shared"}}, "jpeg", "motion"]


def recipe() -> dict[str, Any]:
    """Built-in pairs of all tasks, four sentences each."""

    def part(source: str) -> dict[str, Any]:
        some = {"count": {2: 0.6, 3: 0.4}, "of": DAMAGE}
        return {"sources": [{"builtin": source}], "degradations": {"indoor": "as_outdoor", "some": some}}

    return {
        "name": "all_weather",
        "seed": SEED,
        "samples": OF,
        "samples_per_shard": SAMPLES,
        "tasks": {"vif": part("synthetic_thermal"), "mef": part("bracketed"), "mff": part("refocused")},
        "crop": {"size": SIZE, "scale": [0.9, 1.0]},
        "instructions": {"per_pair": 4, "kinds": {"full": 0.4, "partial": 0.4, "lessen": 0.2}},
    }


def write_page(out: Path) -> None:
    """The page itself, rendered from the recipe."""
    from synth.audit.page import page
    from synth.audit.shown import from_recipe
    from synth.recipe.schema import Recipe
    from synth.sample.plan import make_plan

    plan = make_plan(Recipe.model_validate(recipe()))
    samples = from_recipe(plan, SAMPLES)
    about = f"{len(samples)} of the {OF} samples of the recipe, rendered for this page"
    out.write_text(page(plan.recipe.name, about, samples), encoding="utf-8")


def save(page: "Page", name: str) -> None:
    """What stands in the window."""
    import io

    from PIL import Image

    folder = document.place("screens")
    folder.mkdir(exist_ok=True)
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = folder / f"{name}.png"
    taken.point(lambda level: min(255, round(level / STEP) * STEP)).save(path, optimize=True)
    print(f"{path}: {taken.width} x {taken.height} px, {path.stat().st_size / 1000:.0f} kB")


def take(browser: "Browser", url: str) -> None:
    """Desktop, phone, and the view of a pair at four times its size."""
    desk = browser.new_page(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    desk.goto(url)
    save(desk, "preview-desktop")
    desk.locator("figure button").first.click()
    desk.get_by_role("button", name="4×").click()
    desk.wait_for_function("[...document.querySelectorAll('.glass img')].every(image => image.complete)")
    save(desk, "preview-zoom")
    phone = browser.new_page(
        viewport={"width": PHONE[0], "height": PHONE[1]}, device_scale_factor=SHARPER, is_mobile=True, has_touch=True
    )
    phone.goto(url)
    save(phone, "preview-phone")


def main() -> None:
    """Take the pictures."""
    parsed(parser(__doc__), globals(), QUICK)
    path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        print("skipped: pictures of pages want Chromium (apt-get install chromium) and playwright (mmaif[dev])")
        sys.exit(0)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page = Path(folder) / "page.html"
        write_page(page)
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        take(browser, page.as_uri())
        browser.close()


if __name__ == "__main__":
    main()
