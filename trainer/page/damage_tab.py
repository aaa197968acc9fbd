"""The tab that damages a clean pair by the effects of `synth`, so that part of the damage can be asked away again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from trainer.page.damage import Damaged, Effect, Synth, Where, pair_of, seed_of, shallow
from trainer.page.parts import QUIET, TURN, Fusing, failed, note, problem, sides, slider
from trainer.page.work import OPENED, Studio, look_at, pictures, safe, small

STAGES = {
    "scene": "In the air",
    "optics": "In the lens",
    "sensor": "In the sensor",
    "processing": "In the camera's processing",
    "codec": "In the file",
}
"""By stage, in the order of physics; another is called by its name."""
EITHER = "either"
BEGIN = {"haze": 0.6, "noise": 0.25}
"""Severities that are set at the start."""
FALLS: tuple[tuple[str, Where], ...] = (("as each does", ""), ("first image alone", "a"), ("second image alone", "b"))


NOTHING = (None, None, None, "", "")
"""No damaged pair, and nothing in the sliders and below them."""


class Fell(NamedTuple):
    """What came of one press, which may come late: of a pair that is no longer on the page."""

    files: tuple[str, ...]
    made: Damaged | str
    """Or what failed, as the page says it."""
    shown: tuple[Any, ...] = ()
    """Clean and damaged, by image."""


def fallen(fell: Fell | None, paths: Sequence[str] | None, told: str) -> tuple[Any, ...]:
    """The button, message, “Use as inputs”, damaged pair, sliders and captions, after a press.

    paths, told: what is on the page now, and what stands under the files. Damage of another pair is not shown.
    """
    ready, kept = gr.Button("Damage the pair", interactive=True), [gr.skip()] * (1 + len(NOTHING))
    if fell is None:
        return (ready, gr.skip(), *kept)
    if fell.files != tuple(map(str, paths or [])):
        return (ready, note(["The pair is another now: press “Damage the pair” again."]), *kept)
    if isinstance(fell.made, str):
        failure = note(["Nothing was damaged: see under the images."]) if fell.made == told else fell.made
        return (ready, failure, *kept)
    return (
        ready,
        note(fell.made.told),
        gr.Button(interactive=True),
        fell.made,
        *fell.shown,
        *[sides("clean", "damaged")] * len(fell.shown),
    )


def damage_tab(studio: Studio, synth: Synth | str, clean: tuple[Path, Path], fusing: Fusing) -> None:
    """synth: the program, or why there is none. clean: a pair to begin with, two exposures."""
    if isinstance(synth, str):
        gr.HTML(
            "<p>Here the effects of <code>synth</code>, the dataset tool, fall on a clean pair, by a slider each.</p>"
            + problem(synth),
            elem_id="missing",
        )
        return
    damaged, fell = gr.State(None), gr.State(None)
    start = pictures(look_at(clean, studio.megapixels))
    with gr.Row(elem_id="damage-columns"):
        with gr.Column(scale=5, min_width=320):
            files = gr.File(
                list(map(str, clean)),
                file_count="multiple",
                label="A clean pair of one scene",
                height=110,
                allow_reordering=True,
                elem_id="clean",
            )
            message_files = gr.HTML("", elem_id="clean-message", padding=False)
            task = gr.Dropdown(
                [(each.title, each.name) for each in synth.tasks],
                value=next((each.name for each in synth.tasks if "under" in each.images.values()), None)
                or synth.tasks[0].name,
                label="What they are",
                info="in this order",
                elem_id="task",
            )
            controls: list[tuple[Effect, gr.Slider, list[gr.Dropdown]]] = []
            for stage, effects in groupby(synth.effects, lambda effect: effect.stage):
                gr.HTML(f'<h2 class="stage">{safe(STAGES.get(stage, stage))}</h2>', padding=False)
                with gr.Row(elem_classes="effects", equal_height=False):
                    for effect in effects:
                        with gr.Column(min_width=150, elem_classes="effect"):
                            controls.append((effect, *_controls(effect)))
            with gr.Row():
                where = gr.Radio(list(FALLS), value="", label="Effects fall on", scale=3, min_width=220)
                seed = gr.Number(1, label="Seed", min_width=90, scale=1, elem_id="seed")
        with gr.Column(scale=7, min_width=320, elem_id="damage-result"):
            with gr.Row(elem_id="damage-actions"):
                fall = gr.Button("Damage the pair", variant="primary", min_width=150, elem_id="fall")
                use = gr.Button("Use as inputs", interactive=False, min_width=150, elem_id="use")
            message = gr.HTML(
                note(["Set the sliders, let the effects fall, and ask in the first tab for part of it to go."]),
                elem_id="damage-message",
                padding=False,
            )
            sliders, captions = [], []
            for number, name in enumerate(("First image", "Second image")):
                sliders.append(
                    slider((start[number], start[number]), name, max_height=360, elem_id=f"damaged-{number + 1}")
                )
                captions.append(gr.HTML("", elem_id=f"damaged-{number + 1}-caption", padding=False))

    def opened(paths: list[str] | None) -> tuple[Any, ...]:
        """After the files have changed: they are seen, without captions, until something has fallen on them."""
        try:
            seen = look_at(pair_of(paths or []), studio.megapixels)
            images = [small(image, OPENED) for image in pictures(seen)]
        except Exception as error:
            told = failed(error) if paths else ""
            return (told, gr.skip(), note(["Drop a clean pair."]), gr.Button(interactive=False), *NOTHING)
        told = note(["These are the images. Set the sliders and press “Damage the pair”.", *shallow(seen)])
        shown = [(image, image) for image in images]
        return ("", gr.skip(), told, gr.Button(interactive=False), None, *shown, "", "")

    def work(paths: list[str] | None, task: str, where: Where, seed: float | None, *values: Any) -> Iterator[Any]:
        """The button and what fell; whether it is shown is decided by what is on the page then."""
        given = tuple(map(str, paths or []))
        yield gr.Button("Damaging …", interactive=False), None
        try:
            wanted, rest = {}, list(values)
            for effect, _, ways in controls:
                severity = float(rest.pop(0) or 0)
                chosen = {way.key: way.values[at] for way in effect.ways[: len(ways)] if (at := rest.pop(0)) != EITHER}
                wanted[effect.name] = (severity, chosen, where)
            seen = look_at(pair_of(given), studio.megapixels)
            clean = pictures(seen)
            made = synth.damage(
                given,
                wanted,
                studio.folder,
                task=task,
                seed=seed_of(seed),
                megapixels=studio.megapixels,
                clauses=studio.clauses,
            )
            after = pictures(look_at(made.files, studio.megapixels))
        except Exception as error:
            yield gr.skip(), Fell(given, failed(error))
            return
        shown = tuple((small(one, OPENED), small(other, OPENED)) for one, other in zip(clean, after, strict=True))
        yield gr.skip(), Fell(given, made._replace(told=(*made.told, *shallow(seen))), shown)

    def used(made: Damaged | None) -> tuple[Any, ...]:
        if made is None:
            return tuple([gr.skip()] * 5)
        offered = list(made.sentences)
        return (
            gr.Tabs(selected="fuse"),
            list(map(str, made.files)),
            offered[0],
            gr.Dataset(samples=[[text] for text in offered]),
            offered,
        )

    settings = [control for _, slider, ways in controls for control in (slider, *ways)]
    after = [fall, message, use, damaged, *sliders, *captions]
    fall.click(
        work,
        [files, task, where, seed, *settings],
        [fall, fell],
        concurrency_id="damage",
        show_progress_on=sliders,
        **TURN,
    ).then(fallen, [fell, files, message_files], after, **QUIET)
    files.change(opened, [files], [message_files, *after], **QUIET)
    use.click(used, [damaged], [fusing.tabs, fusing.files, fusing.sentence, fusing.offered, fusing.offers], **QUIET)


def _controls(effect: Effect) -> tuple[gr.Slider, list[gr.Dropdown]]:
    """A slider of the severity, and a choice for each way that it can go."""
    low, high = effect.severity
    slider = gr.Slider(
        low,
        high,
        value=BEGIN.get(effect.name, low),
        step=(high - low) / 100,
        label=effect.label,
        buttons=[],
        elem_id=f"effect-{effect.name}",
    )
    ways = [
        gr.Dropdown(
            [(" / ".join(way.values), EITHER), *way.values],
            value=EITHER,
            label=" or ".join(way.values),
            show_label=False,
            min_width=100,
        )
        for way in effect.ways
    ]
    return slider, ways
