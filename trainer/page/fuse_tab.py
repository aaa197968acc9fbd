"""The tab that fuses: images, a sentence, the picture beside what it was made of, and what was made before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from trainer.errors import UserError
from trainer.inference.auto import AUTO
from trainer.inference.fusing import Asked
from trainer.page.examples import Example
from trainer.page.parts import QUIET, TURN, Fusing, failed, gallery, note, problem, sides, slider
from trainer.page.work import ALIGNED, CALLED, OPENED, THUMB, Result, Seen, Studio, Visit, pictures, small
from trainer.stopping import Stopped

FORMER = "former result"
TICK = 0.4
"""Seconds between two looks at how a fusion gets on."""
TO_RESULT = """() => { const at = document.getElementById("result");
  if (window.innerWidth < 800 && !document.querySelector("#message .problem"))
    at.scrollIntoView({behavior: "smooth", block: "start"}); }"""
"""On a phone the result lies below the controls."""
SHOWN_PARTS = 6
"""Slider, caption, choice of what to compare with, download, words, strip."""


class Answer(NamedTuple):
    """What came of one press, which may come late: of images that are no longer those on the page."""

    files: tuple[str, ...]
    said: str
    """The sentence that stood on the page as it was pressed."""
    made: Result | str
    """Or what failed, as the page says it."""


@dataclass
class Run:
    """A fusion under way, and whether it is to end."""

    ended: bool = False


def fuse_tab(studio: Studio, examples: Sequence[Example], tabs: gr.Tabs) -> Fusing:
    first = examples[0]
    start = studio.look(first.files)
    visit = gr.State(Visit(), delete_callback=Visit.forget)
    offers = gr.State(list(first.sentences))
    answer, run = gr.State(None), gr.State(None)
    with gr.Row(elem_id="columns"):
        with gr.Column(scale=5, min_width=320):
            pairs = gr.Dataset(
                components=["textbox"],
                samples=[[example.name] for example in examples],
                type="index",
                label="Try an example",
                elem_id="examples",
            )
            files = gr.File(
                list(map(str, first.files)),
                file_count="multiple",
                label="Images of one scene, two or more",
                height=110,
                allow_reordering=True,
                elem_id="files",
            )
            message_files = gr.HTML("", elem_id="files-message", visible=True, padding=False)
            inputs = gallery(_thumbs(start, pictures(start)), show_label=False, elem_id="inputs")
            sentence = gr.Textbox(
                first.sentences[0],
                label="What to put right",
                placeholder="such as: remove the haze and fuse the images",
                lines=1,
                max_lines=4,
                max_length=1000,
                elem_id="sentence",
            )
            offered = gr.Dataset(
                components=["textbox"],
                samples=[[text] for text in first.sentences],
                type="index",
                label="Or pick one",
                elem_id="sentences",
            )
            with gr.Row(elem_id="actions"):
                fuse = gr.Button("Fuse", variant="primary", min_width=120, scale=2, elem_id="fuse")
                auto = gr.Button("Auto", min_width=120, visible=studio.sees, elem_id="auto")
                stop = gr.Button("Stop", min_width=120, visible=False, elem_id="stop")
            message = gr.HTML("", elem_id="message", padding=False)
            settings = _settings(studio)
        with gr.Column(scale=7, min_width=320, elem_id="result"):
            compare = slider(
                (str(first.files[0]), str(first.files[1])),
                "Before and after",
                show_label=False,
                max_height=520,
                elem_id="slider",
            )
            caption = gr.HTML(sides(first.files[0].name, first.files[1].name), elem_id="caption", padding=False)
            with gr.Row(elem_id="under"):
                against = gr.Radio(
                    _rivals(None, 2), value=0, label="Compare with", scale=3, min_width=280, elem_id="against"
                )
                with gr.Column(scale=1, min_width=170, elem_id="take"):
                    download = gr.DownloadButton("Download", interactive=False, size="md", elem_id="download")
                    told = gr.HTML(note(["These are the images. Press Fuse."]), elem_id="told", padding=False)
            strip = gallery([], label="Results, the newest first", fit_columns=False, visible=False, elem_id="strip")

    shown = [compare, caption, against, download, told, strip]

    def opened(paths: list[str] | None, visit: Visit) -> tuple[Any, ...]:
        """After the files have changed: they are seen, until there is a picture of them."""
        visit.at = -1
        try:
            seen = studio.look(paths or [])
            images = pictures(seen)
        except Exception as error:
            return (failed(error) if paths else "", "", gr.Gallery([], visible=False), visit, *_nothing())
        names = [each.path.name for each in seen]
        return (
            "",
            "",
            gr.Gallery(_thumbs(seen, images), columns=min(4, len(seen)), visible=True),
            visit,
            (small(images[0], OPENED), small(images[1], OPENED)),
            sides(names[0], names[1]),
            gr.Radio(_rivals(None, len(seen)), value=0),
            gr.DownloadButton(interactive=False),
            note(["These are the images. Press Fuse."]),
            gr.skip(),
        )

    def chosen(number: int) -> tuple[Any, ...]:
        example = examples[number]
        return (
            list(map(str, example.files)),
            example.sentences[0],
            gr.Dataset(samples=[[text] for text in example.sentences]),
            list(example.sentences),
        )

    def work(paths: list[str] | None, said: str, *values: Any) -> Iterator[Any]:
        yield from asked(paths, said, said, values)

    def automatic(paths: list[str] | None, said: str, *values: Any) -> Iterator[Any]:
        yield from asked(paths, said, AUTO, values)

    def asked(paths: list[str] | None, said: str, prompt: str, values: Sequence[Any]) -> Iterator[Any]:
        """Buttons, message, answer and run; what comes of the answer is decided by what is on the page then."""
        progress, files = gr.Progress(), tuple(map(str, paths or []))
        try:
            variant, wanted = _asked(studio, prompt, values)
            seen = studio.look(files)
        except Exception as error:
            yield (*[gr.skip()] * 4, Answer(files, said, failed(error)), None)
            return
        run = Run()
        yield (gr.Button("Fusing …", interactive=False), gr.Button(interactive=False), stopping(), "", None, run)
        try:
            expected = studio.seconds(seen, variant, wanted)
            with ThreadPoolExecutor(1) as pool:
                future: Future[Result] = pool.submit(studio.fuse, files, variant, wanted, lambda: run.ended)
                ticks = 0
                while not wait([future], timeout=TICK).done:
                    ticks += 1
                    progress(*_progress(ticks * TICK, expected))
                made: Result | str = future.result()
        except Stopped:
            made = note(["Stopped: nothing was fused."])
        except Exception as error:
            made = failed(error)
        yield (*[gr.skip()] * 4, Answer(files, said, made), None)

    def stopped(run: Run | None) -> Any:
        """The button, after it was pressed; what runs ends at the next tile."""
        if run is None:
            return gr.skip()
        run.ended = True
        return stopping(pressed=True)

    def again(visit: Visit, against: Any, event: gr.SelectData) -> tuple[Any, ...]:
        """A result of the strip, whose newest stands first."""
        at = len(visit.results) - 1 - int(event.index)
        if not visit.results[at].picture.exists():
            return (problem("This result is gone: files are kept for a day."), visit, *[gr.skip()] * len(shown))
        visit.at = at
        return ("", visit, *_shown(visit, against)[:-1], gr.skip())

    def compared(visit: Visit, against: Any) -> tuple[Any, ...]:
        if visit.seen is None:
            return gr.skip(), gr.skip()
        return _slider(visit, against)

    asked_for = [files, sentence, *settings]
    running = [fuse, auto, stop, message, answer, run]
    of_fusion: dict[str, Any] = {**TURN, "concurrency_id": "work", "show_progress_on": [compare]}
    for pressed in (
        gr.on([fuse.click, sentence.submit], work, asked_for, running, **of_fusion),
        auto.click(automatic, asked_for, running, **of_fusion),
    ):
        pressed.then(
            settled,
            [answer, files, message_files, sentence, against, visit],
            [fuse, auto, stop, message, sentence, visit, *shown],
            **QUIET,
        ).then(None, js=TO_RESULT)
    stop.click(stopped, [run], [stop], **QUIET)
    files.change(opened, [files, visit], [message_files, message, inputs, visit, *shown], **QUIET)
    pairs.click(chosen, [pairs], [files, sentence, offered, offers], **QUIET)
    offered.click(lambda number, all_: all_[number], [offered, offers], [sentence], **QUIET)
    strip.select(again, [visit, against], [message, visit, *shown], **QUIET)
    against.input(compared, [visit, against], [compare, caption], **QUIET)
    return Fusing(tabs, files, sentence, offered, offers)


def settled(
    answer: Answer | None, paths: Sequence[str] | None, told: str, said: str, against: Any, visit: Visit
) -> tuple[Any, ...]:
    """Fuse, Auto, Stop, message, sentence, visit, and what `_shown` gives, after a fusion.

    paths, said: what is on the page now; told: what stands under the files. A picture of other images than those goes
    among the results alone, and a sentence that was changed meanwhile stays.
    """
    ready = (gr.Button("Fuse", interactive=True), gr.Button(interactive=True), gr.Button(visible=False))
    kept = [gr.skip()] * SHOWN_PARTS
    if answer is None:
        return (*ready, gr.skip(), gr.skip(), visit, *kept)
    late = answer.files != tuple(map(str, paths or []))
    if isinstance(answer.made, str):
        failure = note(["Nothing was fused: see under the images."]) if answer.made == told else answer.made
        if late:
            failure += note(["This is of the images that were here before."])
        return (*ready, failure, gr.skip(), visit, *kept)
    if late:
        visit.add(answer.made, see=False)
        notes = note(["The picture of the images that were here before is among the results.", *answer.made.notes])
        return (*ready, notes, gr.skip(), visit, *kept[:-1], _strip(visit))
    visit.add(answer.made)
    words = answer.made.sentence if said == answer.said else gr.skip()
    return (*ready, note(answer.made.notes), words, visit, *_shown(visit, against))


def stopping(pressed: bool = False) -> gr.Button:
    """The button that ends a fusion, while one runs."""
    return gr.Button("Stopping …" if pressed else "Stop", interactive=not pressed, visible=True)


def _settings(studio: Studio) -> list[Any]:
    """Variant, steps, strength, passes, infrared, alignment."""
    steps = studio.steps(studio.variants[0])
    with gr.Accordion("More", open=False, elem_id="more"):
        variant = gr.Radio(
            list(studio.variants),
            value=studio.variants[0],
            label="Network",
            info="regression looks once, flow several times",
            visible=len(studio.variants) > 1,
        )
        takes = gr.Slider(
            1, 32, value=steps or 1, step=1, label="Steps", info="looks of the flow", visible=steps is not None
        )
        strength = gr.Slider(
            0,
            1,
            value=1,
            step=0.05,
            label="Strength",
            info="0: a plain fusion of the images as they are; 1: the network's picture",
            elem_id="strength",
        )
        passes = gr.Radio(
            [1, 2, 4], value=1, label="Passes", info="more take longer and show fewer squares in noisy skies"
        )
        infrared = gr.Radio(
            [(label, value) for value, label in CALLED.items()],
            value="auto",
            label="Infrared",
            info="which of two is a thermal camera's; its 16 bits are stretched",
        )
        align = gr.Radio(
            [(label, value) for value, label in ALIGNED.items()],
            value="",
            label="Alignment",
            info="lay the others onto the first image",
        )

    def switched(name: str) -> Any:
        own = studio.steps(name)
        return gr.Slider(value=own or 1, visible=own is not None)

    variant.change(switched, [variant], [takes], **QUIET)
    return [variant, takes, strength, passes, infrared, align]


def _asked(studio: Studio, said: str, values: Sequence[Any]) -> tuple[str, Asked]:
    """The variant, and what is asked of it. Raises UserError."""
    variant, steps, strength, passes, infrared, align = values
    if not (said or "").strip():
        raise UserError("The sentence is empty: say what to put right, pick one below it, or press Auto.")
    if variant not in studio.variants:
        raise UserError(f"These weights hold no {variant}.")
    if studio.steps(variant) is None:
        steps = None
    return variant, Asked(
        prompt=said, steps=steps, strength=strength, passes=passes, infrared=infrared, align=align or None
    )


def _progress(gone: float, expected: float | None) -> tuple[float | None, str]:
    """A share and words."""
    if expected is None:
        return None, f"Fusing, {gone:.0f} s"
    return min(0.97, gone / max(expected, TICK)), f"Fusing, {gone:.0f} of about {max(1, expected):.0f} s"


def _shown(visit: Visit, against: Any) -> tuple[Any, ...]:
    """Slider, caption, choice of what to compare with, download, words, strip: as the visit stands."""
    result = visit.seen
    assert result is not None
    rivals = _rivals(visit.former, len(result.inputs))
    if against not in [value for _, value in rivals]:
        against = 0
    return (
        *_slider(visit, against),
        gr.Radio(rivals, value=against),
        gr.DownloadButton("Download PNG", value=str(result.picture), interactive=True),
        note([result.told]),
        _strip(visit),
    )


def _strip(visit: Visit) -> gr.Gallery:
    """The results, the newest first."""
    return gr.Gallery(
        [(str(each.thumb), each.title) for each in reversed(visit.results)],
        selected_index=None,
        visible=len(visit.results) > 0,
    )


def _nothing() -> tuple[Any, ...]:
    """What `_shown` gives where there are no images that can be used; the results stay."""
    return (
        None,
        "",
        gr.Radio(_rivals(None, 2), value=0),
        gr.DownloadButton(interactive=False),
        note(["Drop two or more images, or try an example."]),
        gr.skip(),
    )


def _slider(visit: Visit, against: Any) -> tuple[Any, str]:
    """The result that is seen, against an input or the former one."""
    result, former = visit.seen, visit.former
    assert result is not None
    if against == FORMER and former is not None:
        return (str(former.shown), str(result.shown)), sides(former.quoted, result.quoted)
    number = against if isinstance(against, int) and against < len(result.inputs) else 0
    return (str(result.inputs[number]), str(result.shown)), sides(result.names[number], result.quoted)


def _rivals(former: Result | None, count: int) -> list[tuple[str, Any]]:
    """What a result can be compared with."""
    names = ("first image", "second image") if count == 2 else tuple(f"image {n}" for n in range(1, count + 1))
    return [*((name, number) for number, name in enumerate(names)), *([(FORMER, FORMER)] if former else [])]


def _thumbs(seen: Sequence[Seen], images: Sequence[Any]) -> list[tuple[Any, str]]:
    """Small pictures of files, with their names and sizes."""
    return [(small(image, THUMB), f"{each.path.name} · {each.told}") for each, image in zip(seen, images, strict=True)]
