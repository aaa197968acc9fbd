"""Statistics as a picture: bars and histograms drawn with Pillow alone."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synth.audit.text import Colour, one_line
from synth.console import shards
from synth.dataset.stats import Histogram, Stats, in_bytes, ranked
from synth.images.pixels import Bytes
from synth.tasks import TASKS

WIDTH, MARGIN, GAP = 1480, 36, 28
TEXT, SMALL, TITLE, HEAD = 15, 13, 18, 28
ROW = 24  # pixels from bar to bar
INK, MUTED, FAINT, PAPER = (28, 32, 38), (104, 112, 122), (226, 229, 233), (255, 255, 255)
BAR, BAD = (86, 104, 150), (196, 63, 63)
MOST_BARS = 24  # of one panel; the rest is one line
PLOT = 84  # height of a histogram
PER_ROW = 4  # histograms, at most
ALONG, UP = 6, 3  # ticks on an axis, at most
ROUNDING = 1e-9  # of a step, by which a tick may miss an end


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart: parts of one bar, each with its colour, and what is written behind it."""

    label: str
    parts: tuple[tuple[float, Colour], ...]
    note: str

    @property
    def total(self) -> float:
        return sum(value for value, _ in self.parts)


@dataclass(frozen=True)
class Panel:
    """A bar chart. legend: tasks whose colours are told below it."""

    title: str
    bars: Sequence[Bar]
    legend: Sequence[str] = ()


def draw(stats: Stats) -> Bytes:
    """The page as (H, W, 3) bytes, as high as it needs."""
    page = _Page()
    numbers = {f"{number} effects" if number != 1 else "1 effect": n for number, n in sorted(stats.numbers.items())}
    sizes = {f"{width}×{height} px": n for (height, width), n in sorted(stats.sizes.items())}
    made = [
        Panel("Effects (samples)", _effects(stats), sorted(stats.tasks)),
        Panel("Kinds of instruction", _plain(stats.kinds, stats.samples)),
        Panel("Different effects a sample", _plain(numbers, stats.samples, keep=True)),
        Panel("Tasks", _tasks(stats)),
    ]
    stored = [
        Panel("Sources (samples)", _sources(stats)),
        Panel("Sizes", _plain(sizes, stats.samples)),
        Panel("Bytes by member", _members(stats)),
        Panel("Targets", _plain(stats.targets, stats.samples)),
    ]
    if stats.strengths:
        top = page.panels(made, page.head(stats))
        top = page.histograms("How strong (once for each image)", sorted(stats.strengths.items()), top)
        top = page.panels(stored, top)
    else:
        top = page.panels([*made, *stored], page.head(stats))
    if stats.failed:
        top = page.bars("Failed samples", _plain(stats.reasons, stats.failed, BAD), MARGIN, top, WIDTH - 2 * MARGIN)
    return page.cut(top)


def _effects(stats: Stats) -> list[Bar]:
    bars = []
    for effect, count in ranked(stats.effects):
        parts = tuple((stats.by_task[effect, task], _colour(task)) for task in sorted(stats.tasks))
        more = [f"alone {stats.alone[effect]:,}"] + ([f"kept {stats.kept[effect]:,}"] if stats.kept[effect] else [])
        bars.append(Bar(effect, parts, f"{count:,} · {_percent(count, stats.samples)} · {', '.join(more)}"))
    return bars


def _tasks(stats: Stats) -> list[Bar]:
    return [Bar(t, ((n, _colour(t)),), f"{n:,} · {_percent(n, stats.samples)}") for t, n in ranked(stats.tasks)]


def _sources(stats: Stats) -> list[Bar]:
    bars = []
    for (task, dataset, _), count in sorted(stats.sources.items(), key=lambda item: (-item[1], item[0])):
        scenes = len(stats.scenes.get(dataset, ()))
        note = f"{count:,} · {_percent(count, stats.samples)} · {scenes:,} scene{'s' * (scenes != 1)}"
        bars.append(Bar(dataset, ((count, _colour(task)),), note))
    return bars


def _members(stats: Stats) -> list[Bar]:
    return [
        Bar(name, ((size, BAR),), f"{in_bytes(size)} · {in_bytes(size / stats.members[name])} each")
        for name, size in ranked(stats.member_bytes)
    ]


def _plain(counts: Mapping[str, int], total: int, colour: Colour = BAR, keep: bool = False) -> list[Bar]:
    items = list(counts.items()) if keep else sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Bar(name, ((count, colour),), f"{count:,} · {_percent(count, total)}") for name, count in items]


def _colour(task: str) -> Colour:
    return TASKS[task].colour if task in TASKS else BAR


def _percent(count: float, total: float) -> str:
    share = 100 * count / total if total else 0.0
    return f"{share:.1f}%" if share < 9.95 else f"{share:.0f}%"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, at most so many, a step of 1, 2 or 5 times a power of ten apart."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (factor * power for factor in (1, 2, 5, 10, 20, 50)):
        first, last = math.ceil(low / step - ROUNDING), math.floor(high / step + ROUNDING)
        if last - first < most:
            break
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def told(tick: float) -> str:
    """A number on an axis: 0.2, 50, 20,000."""
    return f"{tick:,.0f}" if abs(tick) >= 1000 else f"{tick:g}"


def as_png(picture: Bytes) -> bytes:
    """A page or a sheet as a PNG file. Shards are written fast; this one is to be small."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


class _Page:
    """A page that grows downward. Each method draws below `y` and returns where the next thing may stand."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", (WIDTH, 400), PAPER)
        self._pen = ImageDraw.Draw(self._image)
        self._fonts: dict[int, Any] = {}

    def cut(self, height: int) -> Bytes:
        """What was drawn, down to a height."""
        self._room(height)
        return np.asarray(self._image)[:height].copy()

    def head(self, stats: Stats) -> int:
        self._write(MARGIN, MARGIN, self._short(stats.name or "dataset", HEAD, WIDTH - 2 * MARGIN), HEAD)
        failed = f" · {stats.failed:,} failed" if stats.failed else ""
        facts = f"{stats.samples:,} samples{failed} · {shards(stats.shards)} · {in_bytes(stats.bytes)}"
        self._write(MARGIN, MARGIN + 40, facts, TEXT, MUTED)
        for number, line in enumerate(stats.notes, 1):
            self._write(MARGIN, MARGIN + 40 + ROW * number, self._short(line, TEXT, WIDTH - 2 * MARGIN), TEXT, BAD)
        return MARGIN + 84 + ROW * len(stats.notes)

    def bars(self, title: str, bars: Sequence[Bar], x: int, y: int, width: int) -> int:
        """A chart of horizontal bars."""
        if len(bars) > MOST_BARS:
            rest = sum(bar.total for bar in bars[MOST_BARS - 1 :])
            bars = [*bars[: MOST_BARS - 1], Bar(f"{len(bars) - MOST_BARS + 1} more", (), f"{rest:,.0f} together")]
        self._room(y + ROW * (len(bars) + 3))
        self._title(title, x, y, width)
        y += 36
        if not bars:
            self._write(x, y, "none", TEXT, MUTED)
            return y + ROW + GAP
        labels = min(max(self._width(bar.label, TEXT) for bar in bars), width * 45 // 100)
        notes = max(self._width(bar.note, SMALL) for bar in bars)
        room = max(width - labels - notes - 22, 40)
        most = max(bar.total for bar in bars) or 1
        for bar in bars:
            self._write(x, y, self._short(bar.label, TEXT, labels), TEXT)
            left = float(x + labels + 12)
            for value, colour in bar.parts:
                right = left + room * value / most
                if right - left >= 0.5:
                    self._pen.rectangle((round(left), y + 2, max(round(right) - 1, round(left)), y + ROW - 8), colour)
                left = right
            self._write(round(left) + 8, y + 1, bar.note, SMALL, MUTED)
            y += ROW
        return y + GAP

    def panels(self, panels: Sequence[Panel], y: int) -> int:
        """Charts in two columns, a wide one and another; each stands in the column that ends higher so far."""
        half = (WIDTH - 2 * MARGIN - GAP) // 2
        places, ends = ((MARGIN, half + 150), (MARGIN + half + 150 + GAP, half - 150)), [y, y]
        for panel in panels:
            if panel.bars or panel.legend:
                column = ends.index(min(ends))
                x, width = places[column]
                ends[column] = self.bars(panel.title, panel.bars, x, ends[column], width)
                if panel.legend:
                    ends[column] = self._legend(panel.legend, x, ends[column])
        return max(ends)

    def _legend(self, tasks: Sequence[str], x: int, y: int) -> int:
        """Which colour is which task."""
        self._room(y + ROW)
        for task in tasks:
            self._pen.rectangle((x, y - GAP + 8, x + 12, y - GAP + 20), _colour(task))
            self._write(x + 18, y - GAP + 5, one_line(task), SMALL, MUTED)
            x += 34 + self._width(one_line(task), SMALL)
        return y + GAP

    def histograms(self, title: str, items: Sequence[tuple[str, Histogram]], y: int) -> int:
        """Small histograms side by side, in rows of equal number, each with its own height."""
        self._title(title, MARGIN, y, WIDTH - 2 * MARGIN)
        y += 40
        per_row = -(-len(items) // -(-len(items) // PER_ROW))
        width = (WIDTH - 2 * MARGIN - (per_row - 1) * GAP) // per_row
        for at in range(0, len(items), per_row):
            self._room(y + PLOT + 90)
            for column, (name, histogram) in enumerate(items[at : at + per_row]):
                self._histogram(name, histogram, MARGIN + column * (width + GAP), y, width)
            y += PLOT + 68
        return y + GAP // 2

    def _histogram(self, name: str, histogram: Histogram, x: int, y: int, width: int) -> None:
        drawn = histogram.drawn()
        effect, count = self._short(name.partition(":")[0], TEXT, width // 2), f"n = {sum(drawn.counts):,}"
        self._write(x, y, effect, TEXT)
        left = self._width(effect, TEXT) + 8
        unit = self._short(drawn.unit, SMALL, width - left - self._width(count, SMALL) - 12)
        self._write(x + left, y + 2, unit, SMALL, MUTED)
        self._write(x + width - 2, y + 2, count, SMALL, MUTED, "ra")
        y += 30
        most, bars = max(drawn.counts) or 1, len(drawn.counts)
        heights = [tick for tick in ticks(0, most, UP) if tick == int(tick)]
        x, end = x + max(self._width(told(tick), SMALL) for tick in heights) + 8, x + width
        width, foot = end - x, y + PLOT
        for tick in heights:
            level = foot - round(PLOT * tick / most)
            self._pen.line((x, level, end, level), MUTED if tick == 0 else FAINT)
            self._write(x - 6, level, told(tick), SMALL, MUTED, "rm")
        for number, value in enumerate(drawn.counts):
            left, right = x + width * number // bars, x + width * (number + 1) // bars - 2
            if value:
                self._pen.rectangle((left, foot - max(1, round(PLOT * value / most)), right, foot - 1), BAR)
        for at, tick, middle in self._along(drawn, x, width):
            self._pen.line((at, foot, at, foot + 4), MUTED)
            self._write(middle, foot + 6, told(tick), SMALL, MUTED, "ma")

    def _along(self, drawn: Histogram, x: int, width: int) -> list[tuple[int, float, int]]:
        """As many ticks as have room: where each stands, what it says, and where the middle of that is."""
        found: list[tuple[int, float, int]] = []
        for most in range(ALONG, 1, -1):
            found, free = [], -WIDTH
            for tick in ticks(drawn.low, drawn.high, most):
                at = x + round(width * (tick - drawn.low) / (drawn.high - drawn.low))
                half = self._width(told(tick), SMALL) // 2
                middle = min(at, x + width - half)
                if middle - half < free:
                    break
                free = middle + half + SMALL
                found.append((at, tick, middle))
            else:
                return found
        return found

    def _title(self, title: str, x: int, y: int, width: int) -> None:
        self._room(y + 40)
        self._write(x, y, title, TITLE)
        self._pen.line((x, y + 27, x + width, y + 27), FAINT)

    def _write(self, x: int, y: int, text: str, size: int, colour: Colour = INK, anchor: str = "la") -> None:
        self._pen.text((x, y), one_line(text), fill=colour, font=self._font(size), anchor=anchor)

    def _width(self, text: str, size: int) -> int:
        return int(self._font(size).getlength(one_line(text))) + 1

    def _short(self, text: str, size: int, width: int) -> str:
        text = one_line(text)
        if self._width(text, size) <= width:
            return text
        while text and self._width(f"{text}…", size) > width:
            text = text[:-1]
        return f"{text}…"

    def _font(self, size: int) -> Any:
        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size)
        return self._fonts[size]

    def _room(self, height: int) -> None:
        """Make the page at least so high."""
        if height > self._image.height:
            larger = Image.new("RGB", (WIDTH, height + 400), PAPER)
            larger.paste(self._image, (0, 0))
            self._image, self._pen = larger, ImageDraw.Draw(larger)
