"""The map of injection and recovery as a person looks at it: one PNG, drawn from its JSON alone."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from candidates.drawing import DPI, GREY, INK, MODEL, SIZE, SMALL, TRANSIT, WIDTH, style

HEIGHT = 900  # px
COLOURS = "cividis"  # rises in lightness, and looks alike to the colour-blind
NICE = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 14, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
LINES = {"0.5": ("50 %", "-", "o"), "0.9": ("90 %", "--", "s")}
LEAST, MOST = 2.0, 60.0  # expected signal-to-noise shown


def draw_completeness(document: Mapping[str, Any]) -> bytes:
    """Draw the map and the curve.

    Parameters
    ----------
    document : mapping
        As `hunter completeness --json` prints it.

    Returns
    -------
    bytes
        A PNG of 1600 x 900 pixels; the same document gives the same bytes.
    """
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    _title(figure, document)
    _map(figure, figure.add_axes((0.055, 0.1, 0.505, 0.72)), document)
    _curve(figure.add_axes((0.70, 0.1, 0.28, 0.72)), document)
    out = io.BytesIO()
    canvas.print_png(out, metadata={"Software": None})
    return out.getvalue()


def _title(figure: Figure, document: Mapping[str, Any]) -> None:
    counts, share = document["injections"], document["recovered"]
    targets = document["targets"]
    name = targets[0]["name"] if len(targets) == 1 else f"{len(targets):,} stars"
    partial = "   PARTIAL: stopped before the end" if document["partial"] else ""
    figure.text(
        0.015,
        0.955,
        f"{name}: which transits would be found{partial}",
        fontsize=19,
        color=INK,
        weight="bold",
        va="center",
    )
    total = ""
    if share["fraction"] is not None:
        part, low, high = (_percent(share[name]) for name in ("fraction", "low", "high"))
        total = f" · {part} recovered ({low} to {high}, 68 % interval)"
    few = counts["too_few_transits"]
    left_out = f", {few:,} more with fewer than 2 observed transits left out" if few else ""
    figure.text(
        0.015,
        0.912,
        f"{counts['injected']:,} {document['what']}{left_out}{total}",
        fontsize=SIZE + 1,
        color=INK,
        va="center",
    )
    injected = document["settings"]["injection"]
    how = (
        "put in before detrending, cleaned and detrended again"
        if injected["redetrend"]
        else "put into the detrended light curve: what detrending would take away is not counted"
    )
    figure.text(
        0.015,
        0.877,
        f"search threshold S/N {document['search_threshold']:g} · {how} · "
        f"impact parameter 0 to {injected['impact_max']:g} · seed {document['seed']}",
        fontsize=SMALL,
        color=GREY,
        va="center",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _map(figure: Figure, axes: Axes, document: Mapping[str, Any]) -> None:
    by = document["by"]
    logarithmic = by == "radius"
    found = document["map"]
    periods = np.asarray(found["period_edges_days"])
    sizes = np.asarray(found["radius_edges_earth" if logarithmic else "snr_edges"])
    shape = (sizes.size - 1, periods.size - 1)
    share, empty = np.full(shape, np.nan), []
    for cell in found["cells"]:
        place = cell[by], cell["period"]
        if cell["fraction"] is None:
            empty.append(place)
        else:
            share[place] = cell["fraction"]
    axes.set_xscale("log")
    axes.set_yscale("log" if logarithmic else "linear")
    drawn = axes.pcolormesh(periods, sizes, np.ma.masked_invalid(share), cmap=COLOURS, vmin=0, vmax=1)
    for j, k in empty:
        corner, wide, high = (periods[k], sizes[j]), periods[k + 1] - periods[k], sizes[j + 1] - sizes[j]
        axes.add_patch(
            Rectangle(corner, wide, high, facecolor="#f3f4f6", edgecolor="#9ca3af", hatch="///", linewidth=0)
        )
    for edge in periods[1:-1]:
        axes.axvline(edge, color="white", linewidth=1)
    for edge in sizes[1:-1]:
        axes.axhline(edge, color="white", linewidth=1)
    _counts(axes, found["cells"], by, periods, sizes, logarithmic)
    _contours(axes, document["contours"], by)
    axes.set_xlim(periods[0], periods[-1])
    axes.set_ylim(sizes[0], sizes[-1])
    _nice(axes.xaxis, periods, 12)
    if logarithmic:
        _nice(axes.yaxis, sizes, 9)
    axes.set_xlabel("period (days)", fontsize=SIZE, color=INK)
    axes.set_ylabel("radius (Earth radii)" if logarithmic else "expected S/N", fontsize=SIZE, color=INK)
    axes.tick_params(labelsize=SIZE, color=GREY, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(drawn, cax=figure.add_axes((0.572, 0.1, 0.012, 0.72)))
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0 %", "25 %", "50 %", "75 %", "100 %"])
    bar.ax.tick_params(labelsize=SMALL, labelcolor=INK, color=GREY)
    bar.outline.set_visible(False)
    bar.ax.set_title("found", fontsize=SMALL, color=INK, pad=6)
    axes.set_title("found / put in; hatched: none put in", fontsize=SMALL, color=GREY, loc="left", pad=6)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=2,
            fontsize=SMALL,
            frameon=False,
            borderaxespad=0.1,
            handlelength=3.6,
        )


def _counts(
    axes: Axes,
    cells: Sequence[Mapping[str, Any]],
    by: str,
    periods: np.ndarray,
    sizes: np.ndarray,
    logarithmic: bool,
) -> None:
    """How many of how many, in every cell, as large as it fits."""
    size = float(np.clip(110 / max(periods.size - 1, 0.7 * (sizes.size - 1)), 5.5, SIZE))
    for cell in cells:
        if not cell["injected"]:
            continue
        k, j = cell["period"], cell[by]
        x = np.sqrt(periods[k] * periods[k + 1])
        y = np.sqrt(sizes[j] * sizes[j + 1]) if logarithmic else (sizes[j] + sizes[j + 1]) / 2
        dark = cell["fraction"] < 0.55  # of the map of colours
        text = f"{cell['recovered']}/{cell['injected']}"
        # the contours pass below the numbers
        around = patheffects.withStroke(linewidth=3, foreground=colormaps[COLOURS](cell["fraction"]))
        colour = "white" if dark else INK
        axes.text(x, y, text, ha="center", va="center", fontsize=size, color=colour, path_effects=[around], zorder=5)


def _contours(axes: Axes, contours: Mapping[str, Sequence[Mapping[str, Any]]], by: str) -> None:
    halo = [patheffects.withStroke(linewidth=4.5, foreground="white")]
    for level, (words, line, mark) in LINES.items():
        points = contours.get(level, ())
        if not any(point[by] is not None for point in points):
            continue
        x = [point["period_days"] for point in points]
        y = [np.nan if point[by] is None else point[by] for point in points]
        axes.plot(
            x, y, line, marker=mark, color=TRANSIT, linewidth=2.2, markersize=5, label=f"{words} found",
            path_effects=halo,
        )  # fmt: skip


def _nice(axis: Any, bounds: np.ndarray, most: int) -> None:
    """A few round numbers on a logarithmic axis, written plainly."""
    inside = [value for value in NICE if bounds[0] * 0.999 <= value <= bounds[-1] * 1.001]
    step = -(-len(inside) // most)
    axis.set_major_locator(FixedLocator(inside[::step] or [bounds[0], bounds[-1]]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _curve(axes: Axes, document: Mapping[str, Any]) -> None:
    style(axes)
    points = [p for p in document["curve"] if LEAST <= p["snr_mean"] <= MOST]
    x = np.array([p["snr_mean"] for p in points])
    y = np.array([p["fraction"] for p in points])
    low, high = (np.array([p[name] for p in points]) for name in ("low", "high"))
    threshold = document["search_threshold"]
    axes.set_xscale("log")
    axes.set_xlim(max(LEAST, 0.85 * x.min()) if points else LEAST, min(MOST, 1.25 * x.max()) if points else MOST)
    axes.set_ylim(-0.03, 1.09)
    axes.axvline(threshold, color=GREY, linewidth=1.2, linestyle=":")
    axes.text(
        threshold * 0.98,
        1.05,
        f"threshold {threshold:g}",
        fontsize=SMALL,
        color=GREY,
        ha="right",
        va="center",
        clip_on=True,
    )
    for level in (0.5, 0.9):
        axes.axhline(level, color="#d1d5db", linewidth=1)
    if points:
        axes.errorbar(
            x, y, np.vstack([np.maximum(y - low, 0), np.maximum(high - y, 0)]),
            fmt="o-", color=MODEL, ecolor=MODEL, elinewidth=1.5, capsize=3, markersize=6, linewidth=1.2,
            label="recovered (68 % interval)", zorder=3,
        )  # fmt: skip
        _numbers(axes, points, high)
    multiple = [(p["snr_mean"], (p["recovered"] + p["harmonic"]) / p["injected"]) for p in points if p["harmonic"]]
    if multiple:
        axes.plot(
            *zip(*multiple, strict=True), "D", markerfacecolor="none", markeredgecolor=TRANSIT, markersize=8,
            markeredgewidth=1.6, label="with 1/3, 1/2, 2, 3 × P", zorder=4,
        )  # fmt: skip
    said = [
        f"{words} at S/N {document['snr_at'][level]:.1f}"
        for level, (words, _, _) in LINES.items()
        if document["snr_at"].get(level) is not None
    ]
    axes.set_title("   ".join(said), fontsize=SIZE, color=INK, loc="left", pad=6)
    axes.set_xlabel("expected S/N of the transits put in", fontsize=SIZE, color=INK)
    axes.set_ylabel("share recovered", fontsize=SIZE, color=INK)
    axes.xaxis.set_major_locator(FixedLocator([2, 3, 4, 5, 7, 10, 15, 20, 30, 50]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 0.9, 1]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value)))
    axes.tick_params(labelsize=SIZE)
    if points:
        axes.legend(loc="lower right", fontsize=SMALL, framealpha=0.9, edgecolor="#e5e7eb")


def _numbers(axes: Axes, points: Sequence[Mapping[str, Any]], high: np.ndarray) -> None:
    """How many were put in, above each point."""
    for point, top in zip(points, high, strict=True):
        axes.annotate(
            str(point["injected"]), (point["snr_mean"], top), xytext=(0, 4), textcoords="offset points",
            ha="center", fontsize=SMALL - 1.5, color=GREY,
        )  # fmt: skip
