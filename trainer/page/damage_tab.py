"""The tab that damages a clean pair by the effects of `synth`, so that part of the damage can be asked away again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import gradio as gr

from trainer.page.damage import Damaged, Effect, Synth, Where
from trainer.page.parts import QUIET, TURN, Fusing, failed, note, problem, sides
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


def damage_tab(studio: Studio, synth: Synth | str, clean: tuple[Path, Path], fusing: Fusing) -> None:
    """synth: the program, or why there is none. clean: a pair to begin with, two exposures."""
    if isinstance(synth, str):
        gr.HTML(
            "<p>Here the effects of <code>synth</code>, the dataset tool, fall on a clean pair, by a slider each.</p>"
            + problem(synth),
            elem_id="missing",
        )
        return
    damaged = gr.State(None)
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
                seed = gr.Number(1, label="Seed", precision=0, minimum=0, maximum=2**31 - 1, min_width=90, scale=1)
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
                    gr.ImageSlider(
                        (start[number], start[number]),
                        label=name,
                        format="png",
                        type="filepath",
                        interactive=False,
                        max_height=360,
                        buttons=["fullscreen"],
                        elem_id=f"damaged-{number + 1}",
                    )
                )
                captions.append(gr.HTML(sides("clean", "damaged"), padding=False))

    def opened(paths: list[str] | None) -> tuple[Any, ...]:
        try:
            images = [small(image, OPENED) for image in pictures(look_at(_pair(paths), studio.megapixels))]
        except Exception as error:
            return (failed(error) if paths else "", gr.Button(interactive=False), None, *[gr.skip()] * 2)
        told = note(["These are the images. Set the sliders and press “Damage the pair”."])
        return (told, gr.Button(interactive=False), None, *((image, image) for image in images))

    def work(paths: list[str] | None, task: str, where: Where, seed: float | None, *values: Any) -> tuple[Any, ...]:
        try:
            wanted, rest = {}, list(values)
            for effect, _, ways in controls:
                severity = float(rest.pop(0) or 0)
                chosen = {way.key: way.values[at] for way in effect.ways[: len(ways)] if (at := rest.pop(0)) != EITHER}
                wanted[effect.name] = (severity, chosen, where)
            files = _pair(paths)
            clean = pictures(look_at(files, studio.megapixels))
            made = synth.damage(
                files,
                wanted,
                studio.folder,
                task=task,
                seed=int(seed or 0),
                megapixels=studio.megapixels,
                clauses=studio.clauses,
            )
            after = pictures(look_at(made.files, studio.megapixels))
        except Exception as error:
            return (failed(error), gr.Button(interactive=False), None, *[gr.skip()] * 2)
        shown = [(small(one, OPENED), small(other, OPENED)) for one, other in zip(clean, after, strict=True)]
        return (note(made.told), gr.Button(interactive=True), made, *shown)

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
    after = [message, use, damaged, *sliders]
    fall.click(work, [files, task, where, seed, *settings], after, concurrency_id="damage", **TURN)
    files.change(opened, [files], after, **QUIET)
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


def _pair(paths: Sequence[str] | None) -> list[Path]:
    return [Path(path) for path in paths or []]
