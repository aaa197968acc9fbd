"""What both tabs of the page are made of: messages, pictures in a slider, and what one tab sets in the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from trainer.console import say
from trainer.errors import UserError
from trainer.files import one_line
from trainer.page.work import safe

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Of events that take no time."""
TURN: dict[str, Any] = {"concurrency_limit": 1, "api_visibility": "private"}
"""Of events that take long: one at a time, others wait."""


def slider(value: tuple[Any, Any], label: str, **options: Any) -> gr.ImageSlider:
    """Two pictures of one size, one beneath the other."""
    settings = {"format": "png", "type": "filepath", "interactive": False, "buttons": ["fullscreen"]}
    return gr.ImageSlider(value, label=label, **settings, **options)


def gallery(value: Sequence[tuple[Any, str]], **options: Any) -> gr.Gallery:
    """Small pictures, each above its words; none opens."""
    settings: dict[str, Any] = {"columns": 4, "height": "auto", "format": "png", "object_fit": "cover"}
    return gr.Gallery(value, allow_preview=False, buttons=[], interactive=False, **settings, **options)


class Fusing(NamedTuple):
    """Controls of the first tab that the second one sets."""

    tabs: gr.Tabs
    files: gr.File
    sentence: gr.Textbox
    offered: gr.Dataset
    offers: gr.State


def problem(text: object) -> str:
    """A message of what failed, for a gr.HTML."""
    return f'<div class="problem" role="alert">{safe(one_line(text))}</div>'


def note(lines: Sequence[str]) -> str:
    """Lines of something to tell, for a gr.HTML."""
    return "".join(f'<div class="note">{safe(line)}</div>' for line in lines)


def failed(error: BaseException) -> str:
    """What went wrong, in words for the page; what nobody foresaw is said in the terminal too."""
    if isinstance(error, UserError):
        return problem(error)
    say(f"trainer app: {type(error).__name__}: {one_line(error)}")
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate" in str(error):
        return problem("There is not enough memory for images of this size. Make them smaller.")
    if isinstance(error, OSError):
        return problem(f"A file could not be read or written ({error.strerror or 'unknown reason'}). Try again.")
    return problem("This could not be done; the terminal in which the page was started says why. Try other images.")


def sides(left: str, right: str) -> str:
    """What is on either side of a slider, for a gr.HTML; all of a long one is in its title."""
    left, right = safe(left), safe(right)
    return f'<div class="sides"><span title="{left}">◀ {left}</span><span title="{right}">{right} ▶</span></div>'
