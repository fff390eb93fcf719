"""Small tools of the sheet: scales, bins, broken time axes, columns of text."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.patches import Rectangle

from pipeline.types import Floats

WIDTH = 1600  # px
DPI = 100
SIZE = 11.5  # points: 16 px
SMALL = 10.0  # points: 14 px
LINE = 21  # px from line to line of text
INK, GREY, POINT, CLOUD = "#111827", "#4b5563", "#8b95a5", "#b4bdca"
TRANSIT, MODEL, BIN = "#c2410c", "#0b6e8f", "#111827"  # orange and blue differ to every eye, and in lightness

TOWARDS = ("#ece8fb", "#d3c9f5", "#b5a4ec")  # behind what speaks for a planet: weak, middling, strong
AGAINST = ("#fdf1d3", "#fbdf9d", "#f4c25b")  # and against


def style(axes: Axes) -> None:
    """Quiet frames, ticks that can be read."""
    axes.tick_params(labelsize=SMALL, color=GREY, labelcolor=INK, length=4)
    for name, spine in axes.spines.items():
        spine.set_color(GREY)
        spine.set_visible(name in ("left", "bottom"))
    axes.grid(True, color="#e5e7eb", linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)


def scale_of(span: float) -> tuple[float, str]:
    """Factor and unit for a relative flux that spans so much: ppm up to 2 %, percent beyond."""
    return (1e6, "ppm") if span < 0.02 else (100.0, "%")


def robust_limits(values: Floats, floor: float) -> tuple[float, float]:
    """Limits that hold all but the wildest cadences, and reach down to the floor of the dip."""
    low, high = (float(item) for item in np.quantile(values, (0.001, 0.999)))
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    # a flare or a scattered-light spike must not flatten the rest
    low = max(low, middle - 25 * spread) if spread > 0 else low
    high = min(high, middle + 12 * spread) if spread > 0 else high
    low, high = min(low, floor), max(high, 0.0)
    pad = max(0.08 * (high - low), 1e-6)
    return low - 1.6 * pad, high + pad  # more room below, for the marks


def thin(
    x: Floats, y: Floats, across: tuple[float, float], up: tuple[float, float], width: int, height: int
) -> np.ndarray:
    """Indices of one point for each pixel of the panel; what is left out could not be seen."""
    inside = (x >= across[0]) & (x <= across[1]) & (y >= up[0]) & (y <= up[1])
    where = np.flatnonzero(inside)
    column = ((x[where] - across[0]) / (across[1] - across[0]) * (width - 1)).astype(np.int64)
    row = ((y[where] - up[0]) / (up[1] - up[0]) * (height - 1)).astype(np.int64)
    _, first = np.unique(column * height + row, return_index=True)
    return where[np.sort(first)]


def compress_peaks(period: Floats, power: Floats, columns: int) -> tuple[Floats, Floats]:
    """The spectrum with at most two points for each column of a logarithmic axis: its highest and its lowest."""
    order = np.argsort(period, kind="stable")
    period, power = period[order], np.nan_to_num(power[order], nan=0.0, posinf=0.0, neginf=0.0)
    if period.size <= 2 * columns:
        return period, power
    place = np.log(period / period[0]) / math.log(period[-1] / period[0])
    column = np.minimum((place * columns).astype(np.int64), columns - 1)
    keep = np.zeros(period.size, dtype=bool)
    for order_by in (power, -power):
        ranked = np.lexsort((order_by, column))
        last = np.flatnonzero(np.diff(np.append(column[ranked], -1)) != 0)
        keep[ranked[last]] = True
    return period[keep], power[keep]


def averages(x: Floats, y: Floats, edges: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean and standard error of the cadences between equal edges; empty bins are left out.

    The error comes from the bin's own scatter where it holds eight cadences or more, else from the typical one.
    """
    bins = edges.size - 1
    index = np.floor((x - edges[0]) / (edges[-1] - edges[0]) * bins).astype(np.int64)
    good = (index >= 0) & (index < bins)
    index, x, y = index[good], x[good], y[good]
    count = np.bincount(index, minlength=bins)
    full = count > 0
    some = np.maximum(count, 1)
    where = np.bincount(index, weights=x, minlength=bins) / some
    mean = np.bincount(index, weights=y, minlength=bins) / some
    variance = np.bincount(index, weights=(y - mean[index]) ** 2, minlength=bins) / np.maximum(count - 1, 1)
    many = count >= 8
    typical = float(np.median(variance[many])) if many.any() else float(np.var(y)) if y.size else 0.0
    error = np.sqrt(np.where(many, variance, typical) / some)
    return where[full], mean[full], error[full]


def trapezoid(position: Floats, depth: float, total: float, flat: float) -> Floats:
    """A trapezoid dip: ``total`` wide at the top, ``flat`` wide at the bottom, in the unit of the position."""
    slope = max(total - flat, 1e-9) / 2
    return -depth * np.clip((total / 2 - np.abs(position)) / slope, 0.0, 1.0)


class FittedCurve(Protocol):
    """The model of a transit fit, as `pipeline.fit` gives it."""

    @property
    def at(self) -> Floats:
        """(m,) hours from mid-transit."""
        ...

    @property
    def low(self) -> Floats:
        """(m,) 16th percentile of the model, a fraction, 0 beside the transit."""
        ...

    @property
    def middle(self) -> Floats:
        """(m,) median."""
        ...

    @property
    def high(self) -> Floats:
        """(m,) 84th percentile."""
        ...


@dataclass(frozen=True, slots=True)
class BrokenTime:
    """A time axis without its long gaps: each piece of the observations side by side."""

    starts: Floats  # (k,) BTJD of the first cadence of each piece
    ends: Floats  # (k,) BTJD of the last
    offsets: Floats  # (k,) what to subtract from a time within the piece
    limits: tuple[float, float]

    @classmethod
    def of(cls, time: Floats) -> "BrokenTime":
        steps = np.diff(time)
        covered = float(steps[steps < 5].sum()) if steps.size else 1.0
        longest = max(5.0, 0.15 * covered)  # days; the pauses within a sector stay as they are
        cut = np.flatnonzero(steps > longest)
        starts, ends = time[np.append(0, cut + 1)], time[np.append(cut, time.size - 1)]
        gap = 0.015 * max(float((ends - starts).sum()), 1e-3)
        skipped = np.append(0.0, np.cumsum(np.maximum(starts[1:] - ends[:-1] - gap, 0.0)))
        shown = float(ends[-1] - skipped[-1] - starts[0])
        edge = max(0.008 * shown, 1e-3)
        return cls(starts, ends, skipped, (float(starts[0]) - edge, float(starts[0]) + shown + edge))

    def place(self, time: Floats) -> Floats:
        """Where on the panel a time falls; a time inside a gap falls at its edge."""
        piece = np.clip(np.searchsorted(self.starts, time, side="right") - 1, 0, None)
        return np.minimum(time, self.ends[piece]) - self.offsets[piece] if len(self.starts) > 1 else time

    def draw(self, axes: Axes) -> None:
        """Ticks at round times, and a line where time was left out."""
        width = self.limits[1] - self.limits[0]
        step = nice_step(width / 11)
        places: list[float] = []
        labels: list[str] = []
        for start, end, offset in zip(self.starts, self.ends, self.offsets, strict=True):
            ticks = np.arange(math.ceil(start / step) * step, end + 1e-9, step)
            if ticks.size == 0:
                ticks = np.array([start])
            for tick in ticks:
                place = float(tick - offset)
                if not places or place - places[-1] > 0.055 * width:
                    places.append(place)
                    labels.append(f"{tick:.0f}" if step >= 1 else f"{tick:.2f}")
        axes.set_xticks(places, labels)
        for end, offset, start, next_offset in zip(
            self.ends[:-1], self.offsets[:-1], self.starts[1:], self.offsets[1:], strict=True
        ):
            axes.axvline((end - offset + start - next_offset) / 2, color=GREY, linestyle=(0, (1, 2)), linewidth=1.2)


def nice_step(rough: float) -> float:
    """The round number (1, 2 or 5 times a power of ten) at or above."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))


@lru_cache(maxsize=4)
def _font(bold: bool) -> tuple[object, frozenset[int]]:
    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")))
    return font, frozenset(font.get_charmap())


def clean_text(text: str) -> str:
    """The text on one line, with ``?`` for whatever the font cannot show."""
    known = _font(False)[1]
    return "".join(character if ord(character) in known else "?" for character in " ".join(text.split(" ")))


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of a text in px."""
    font = _font(bold)[0]
    font.set_size(size, DPI)  # type: ignore[attr-defined]
    font.set_text(text, 0.0, flags=LoadFlags.NO_HINTING)  # type: ignore[attr-defined]
    return float(font.get_width_height()[0]) / 64  # type: ignore[attr-defined]


def wrap(text: str, width: float, size: float, indent: float = 0.0) -> list[str]:
    """Break a text into lines no wider than so many px, the first after an indent; long words are cut."""
    space = text_width("a a", size) - text_width("aa", size)
    lines: list[str] = []
    line, used = "", indent
    for word in text.split():
        while text_width(word, size) > width:  # a path or a hash
            cut = max(1, bisect_right(range(len(word)), width, key=lambda end: text_width(word[:end], size)) - 1)
            if line:
                lines.append(line)
            lines.append(word[:cut])
            line, used, word = "", 0.0, word[cut:]
        advance = text_width(word, size)
        if line and used + space + advance > width:
            lines.append(line)
            line, used = word, advance
        elif not line and used + advance > width and used:
            lines.append("")
            line, used = word, advance
        else:
            line = f"{line} {word}" if line else word
            used += advance + (space if line != word else 0.0)
    return [*lines, line] if line or not lines else lines


@dataclass(slots=True)
class Column:
    """A column of text, laid out from the top in px; drawn once its height is known."""

    left: int
    width: int
    size: float = SMALL
    y: float = 0.0
    pieces: list[tuple[float, float, str, bool, str]] = field(default_factory=list)  # x, y, text, bold, colour
    boxes: list[tuple[float, float]] = field(default_factory=list)  # top, bottom
    patches: list[tuple[float, float, str]] = field(default_factory=list)  # x, y, colour
    opened: float | None = None

    @property
    def height(self) -> int:
        return math.ceil(self.y)

    def _put(self, x: float, text: str, bold: bool = False, colour: str = INK) -> None:
        self.pieces.append((x, self.y, text, bold, colour))

    def heading(self, text: str) -> None:
        self._put(0, clean_text(text), bold=True, colour=MODEL)
        self.y += LINE + 2

    def gap(self) -> None:
        self.y += LINE * 0.6

    def pair(self, name: str, value: str, stop: float = 165) -> None:
        """A name, and its value at the tab stop."""
        self._put(0, clean_text(name), colour=GREY)
        for line in wrap(clean_text(value), self.width - stop, self.size):
            self._put(stop, line)
            self.y += LINE

    def paragraph(self, text: str, bold: bool = False, then: str = "", colour: str = INK) -> None:
        """Wrapped text; ``then`` goes on in the same paragraph, in the normal weight."""
        inset = 12 if self.opened is not None else 0
        room = self.width - 2 * inset
        text, then = clean_text(text), clean_text(then)
        if not then:
            for line in wrap(text, room, self.size):
                self._put(inset, line, bold, colour)
                self.y += LINE
            self.y += 3
            return
        self._put(inset, text, bold)
        start = text_width(text, self.size, bold) + 10
        lines = wrap(then, room - 14, self.size, indent=start - 14)
        for number, line in enumerate(lines):
            self._put(inset + (start if number == 0 else 14), line)
            self.y += LINE
        self.y += 3

    def grid(self, texts: Sequence[str], columns: int = 2) -> None:
        """Short texts side by side, line by line."""
        width = self.width / columns
        for place, text in enumerate(texts):
            self._put(14 + (place % columns) * width, wrap(clean_text(text), width - 20, self.size)[0])
            if place % columns == columns - 1 or place == len(texts) - 1:
                self.y += LINE
        self.y += 3

    def swatch(self, colours: Sequence[str], text: str) -> None:
        """Shades side by side, and what they mean."""
        self.patches += [(place * 24.0, self.y, colour) for place, colour in enumerate(colours)]
        self._put(24.0 * len(colours) + 10, clean_text(text))
        self.y += LINE

    def open_box(self, title: str) -> None:
        self.opened = self.y
        self.y += 8
        self._put(12, clean_text(title), bold=True, colour=TRANSIT)
        self.y += LINE + 2

    def close_box(self) -> None:
        assert self.opened is not None
        self.y += 6
        self.boxes.append((self.opened, self.y))
        self.opened = None
        self.y += 6

    def draw(self, figure: Figure, top: int, total: int) -> None:
        for begin, end in self.boxes:
            figure.add_artist(
                Rectangle(
                    (self.left / WIDTH, 1 - (top + end) / total),
                    self.width / WIDTH,
                    (end - begin) / total,
                    facecolor="#fff7ed",
                    edgecolor=TRANSIT,
                    linewidth=1.5,
                    zorder=0,
                )
            )
        for x, y, colour in self.patches:
            figure.add_artist(
                Rectangle(
                    ((self.left + x) / WIDTH, 1 - (top + y + 16) / total),
                    24 / WIDTH,
                    16 / total,
                    facecolor=colour,
                    edgecolor="none",
                )
            )
        for x, y, text, bold, colour in self.pieces:
            if text:
                figure.text(
                    (self.left + x) / WIDTH,
                    1 - (top + y) / total,
                    text,
                    fontsize=self.size,
                    color=colour,
                    va="top",
                    fontweight="bold" if bold else "normal",
                    parse_math=False,
                    zorder=3,
                )
