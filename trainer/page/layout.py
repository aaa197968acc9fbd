"""The whole page: its looks, its head, its two tabs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from trainer.page.damage import Synth
from trainer.page.damage_tab import damage_tab
from trainer.page.examples import Example
from trainer.page.fuse_tab import fuse_tab
from trainer.page.work import Studio

CSS = Path(__file__).with_name("page.css")
DAY = 86_400


def theme() -> gr.themes.Base:
    """Of fonts that the system has: nothing is fetched."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    mono = ["ui-monospace", "Menlo", "Consolas", "monospace"]
    made = gr.themes.Default(
        primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=fonts, font_mono=mono, radius_size="md"
    )
    return made.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        color_accent="*primary_700",
        slider_color="*primary_600",
    )


def page(studio: Studio, examples: Sequence[Example], synth: Synth | str, clean: tuple[Path, Path]) -> gr.Blocks:
    """All of it. synth: the dataset tool, or why there is none. clean: a pair to damage at the start."""
    with gr.Blocks(title="Image fusion by instruction", analytics_enabled=False, delete_cache=(3600, DAY)) as made:
        gr.HTML(
            "<h1>Image fusion by instruction</h1><p>Two or more images of one scene, and a sentence that says what to "
            "put right: one clean picture.</p>",
            elem_id="head",
        )
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Fuse", id="fuse"):
                fusing = fuse_tab(studio, examples, tabs)
            with gr.Tab("Damage a pair", id="damage"):
                damage_tab(studio, synth, clean, fusing)
    return made
