"""The panels of the sheet, one function each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from candidates.drawing import (
    AGAINST,
    BIN,
    CLOUD,
    GREY,
    INK,
    MODEL,
    POINT,
    SIZE,
    SMALL,
    TOWARDS,
    TRANSIT,
    BrokenTime,
    FittedCurve,
    averages,
    clean_text,
    compress_peaks,
    robust_limits,
    scale_of,
    thin,
    trapezoid,
)
from candidates.evidence import LOCAL_HALF_WIDTH, Dip, dip
from candidates.wording import (
    apart_text,
    depth_text,
    note_text,
    scenario_text,
    shades,
    short,
    significance,
    validation_text,
)
from pipeline.ephemeris import cycle, phase, transit_mask
from pipeline.types import CleanedLightCurve, Floats, FoldedViews, LightCurve, SearchResult, TransitSignal

HOURS = 24.0
PPM = 1e6
MOST_SINGLE, SINGLE_BINS = 10, 24  # transits shown one by one, and the averages of each
MAX_MARKS = 250  # transits marked one by one; beyond, the coloured cadences must do
MOST_VECTORS = 2000  # points that the PDF draws one by one; more become an image, which is smaller and quicker
HARMONICS = ((1 / 3, "P/3"), (1 / 2, "P/2"), (2.0, "2P"), (3.0, "3P"))
SEEN = 1.92  # durations: the middles of the outermost bins that the model sees of a close-up
DASHED, DOTTED = (0, (5, 3)), (0, (1, 2))

Document = Mapping[str, Any]
Limits = tuple[float, float]


def say(axes: Axes, x: float, y: float, text: str, **more: Any) -> None:
    """Small words on a panel, at fractions of its width and height, on white so that points do not cut them."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    look: dict[str, Any] = {"fontsize": SMALL, "color": INK, "zorder": 8, "bbox": box} | more
    axes.text(x, y, clean_text(text), transform=axes.transAxes, parse_math=False, **look)


def heading(axes: Axes, text: str, right: str = "") -> None:
    """What the panel shows, above it."""
    height = axes.get_window_extent().height
    left: dict[str, Any] = {"fontsize": SIZE, "fontweight": "bold", "color": INK}
    for x, words, side, look in ((0.0, text, "left", left), (1.0, right, "right", {"fontsize": SMALL, "color": GREY})):
        if words:
            place: dict[str, Any] = {"transform": axes.transAxes, "ha": side, "va": "bottom", "parse_math": False}
            axes.text(x, 1 + 7 / height, clean_text(words), **place, **look)


def points(axes: Axes, x: Floats, y: Floats, colour: str, size: float) -> None:
    """Every point that the panel can tell apart."""
    box = axes.get_window_extent()
    keep = thin(x, y, axes.get_xlim(), axes.get_ylim(), int(box.width), int(box.height))
    axes.plot(
        x[keep],
        y[keep],
        linestyle="none",
        marker="o",
        markersize=size,
        markeredgewidth=0,
        color=colour,
        zorder=2,
        rasterized=keep.size > MOST_VECTORS,
    )


def flux_axis(axes: Axes, limits: Limits) -> float:
    """Set the limits of a relative flux, and return the factor from fraction to the unit on the axis."""
    factor, unit = scale_of(limits[1] - limits[0])
    axes.set_ylim(limits[0] * factor, limits[1] * factor)
    axes.set_ylabel(f"flux − 1  [{unit}]", fontsize=SIZE)
    return factor


def tint(axes: Axes, left: Floats, width: float, shade: list[int]) -> None:
    """Colour the background where the light curve speaks for a planet or against one, behind everything else."""
    begin = 0
    for place in range(1, len(shade) + 1):
        same = place < len(shade) and shade[place] == shade[begin] and left[place] > left[place - 1]
        if same:
            continue
        if shade[begin]:
            colours = TOWARDS if shade[begin] > 0 else AGAINST
            right = left[place - 1] + width
            axes.axvspan(left[begin], right, color=colours[abs(shade[begin]) - 1], linewidth=0, zorder=0)
        begin = place


def tint_local(axes: Axes, document: Document, view: str, duration: float) -> None:
    """The same on a panel of hours around the dip, for one of the local views."""
    shade = shades(document["explanation"], view)
    if shade:
        step = 2 * SEEN / (len(shade) - 1) * duration * HOURS
        tint(axes, np.linspace(-SEEN, SEEN, len(shade)) * duration * HOURS - step / 2, step, shade)


def tint_global(axes: Axes, document: Document, middle: float, first: float, scale: float = 1.0) -> None:
    """The same on a panel of phases: from ``first`` on, counted from ``middle``, both in periods."""
    shade = shades(document["explanation"], "global")
    if shade:
        bins = len(shade)
        phases = ((np.arange(bins) - (bins - 1) / 2) / bins - middle - first) % 1.0 + first
        order = np.argsort(phases)
        left = (phases[order] - 0.5 / bins) * scale
        tint(axes, left, scale / bins * 1.001, [shade[place] for place in order])


def light_curves(raw: Axes, flat: Axes, cleaned: CleanedLightCurve, signal: TransitSignal, judged: LightCurve) -> None:
    """The light curve before and after detrending, its transits in colour and marked, what was not judged pale."""
    time = cleaned.flat.time
    inside = transit_mask(time, signal.period, signal.epoch, signal.duration)
    beside = ~np.isin(time, judged.time)
    axis = BrokenTime.of(time)
    shown = axis.place(time)
    raw.tick_params(labelbottom=False)
    flat.set_xlabel("time  [BTJD = BJD − 2457000, days]", fontsize=SIZE)
    for axes, flux, title in (
        (raw, cleaned.raw.flux - 1, "Light curve before detrending"),
        (
            flat,
            cleaned.flat.flux - 1,
            "Detrended; transits in orange, marked ▲" + "; of stronger signals pale" * bool(beside.any()),
        ),
    ):
        floor = float(np.quantile(flux[inside], 0.005)) if inside.any() else 0.0
        limits = robust_limits(flux, floor)
        axes.set_xlim(*axis.limits)
        factor = flux_axis(axes, limits)
        for which, colour, size in (
            (beside, CLOUD, 2.0),
            (~inside & ~beside, POINT, 2.0),
            (inside & ~beside, TRANSIT, 3.2),
        ):
            points(axes, shown[which], flux[which] * factor, colour, size)
        axis.draw(axes)
        outside = int(((flux < limits[0]) | (flux > limits[1])).sum())
        heading(axes, title, f"{outside} of {flux.size} cadences lie outside the panel" if outside else "")
    numbers = np.unique(cycle(time[inside], signal.period, signal.epoch))
    if 0 < numbers.size <= MAX_MARKS:
        centres = axis.place(np.float64(signal.epoch) + numbers.astype(np.float64) * signal.period)
        for axes in (raw, flat):
            axes.plot(
                centres,
                np.full(centres.size, 0.04),
                linestyle="none",
                marker="^",
                markersize=7,
                color=TRANSIT,
                markeredgecolor="white",
                markeredgewidth=0.6,
                transform=axes.get_xaxis_transform(),
                zorder=4,
            )


def periodogram(axes: Axes, result: SearchResult, document: Document) -> None:
    """The spectrum of the search, this signal's peak, its harmonics and the threshold."""
    period, snr = document["signal"]["period_days"], document["signal"]["snr"]
    title = f"Periodogram ({result.method}): S/N {snr:.1f} at {period:.5f} d"
    axes.set_xlabel("period  [days]", fontsize=SIZE)
    axes.set_ylabel("signal-to-noise", fontsize=SIZE)
    if result.period.size < 2:
        heading(axes, title)
        say(axes, 0.5, 0.5, "the search kept no spectrum", ha="center", color=GREY)
        return
    heading(axes, title, f"{result.period.size} periods")
    low, high = float(result.period.min()), float(result.period.max())
    trial, power = compress_peaks(result.period, result.power, 700)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    near = np.abs(result.period / period - 1) < 0.01
    peak = (
        float(np.max(result.power[near])) if near.any() else snr
    )  # the spectrum is coarse: the signal's own S/N differs
    top = max(float(power.max()), peak) * 1.25
    axes.set_ylim(min(0.0, float(power.min())), top if top > 0 else 1.0)
    axes.plot(trial, power, color=POINT, linewidth=0.9, zorder=2)
    for factor, label in HARMONICS:
        if low < period * factor < high:
            axes.axvline(period * factor, color=MODEL, linestyle=DASHED, linewidth=1, zorder=1)
            place = np.log(period * factor / low) / np.log(high / low)
            opaque = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            say(axes, float(place), 0.985, label, ha="center", va="top", color=MODEL, bbox=opaque)
    axes.plot(
        [period], [peak + 0.04 * top], marker="v", markersize=10, color=TRANSIT, markeredgecolor="white", zorder=5
    )
    threshold = threshold_of(document)
    if threshold is not None:
        axes.axhline(threshold, color=INK, linestyle=DOTTED, linewidth=1.3, zorder=3)
        lower, upper = axes.get_ylim()
        say(axes, 0.008, (threshold - lower) / (upper - lower) + 0.015, f"threshold {threshold:g}", va="bottom")
    nice = [mantissa * 10.0**power for power in range(-3, 5) for mantissa in (1, 2, 5)]
    ticks = [value for value in nice if low <= value <= high]
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def threshold_of(document: Document) -> float | None:
    """The detection threshold among the settings of the run, if it is there."""
    search = document["run"]["settings"].get("search", {})
    value = search.get("snr") if isinstance(search, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def fold_limits(depth: float, values: Floats, errors: Floats) -> Limits:
    """Limits that show the dip and the averages, whatever the cloud of single cadences does."""
    noise = float(np.median(errors)) if errors.size else 0.0
    low = min(-depth, float(values.min()) if values.size else 0.0)
    high = max(0.0, float(np.quantile(values, 0.99)) if values.size else 0.0)
    pad = max(0.25 * (high - low), 3.0 * noise, 1e-6)
    return low - pad, high + pad


def average_points(axes: Axes, x: Floats, y: Floats, error: Floats | None, size: float = 4.5) -> None:
    axes.errorbar(
        x,
        y,
        yerr=error,
        linestyle="none",
        marker="o",
        markersize=size,
        color=BIN,
        elinewidth=1,
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=4,
    )


def whole_orbit(axes: Axes, views: FoldedViews, signal: TransitSignal, document: Document) -> None:
    """All phases, from a quarter before the transit on, so that a dip half an orbit later is seen whole."""
    folded = (phase(views.light_curve.time, signal.period, signal.epoch) + 0.25) % 1.0 - 0.25
    flux = views.light_curve.flux - 1
    x, y, error = averages(folded, flux, np.linspace(-0.25, 0.75, 202))
    limits = fold_limits(signal.depth, y, error)
    axes.set_xlim(-0.25, 0.75)
    factor = flux_axis(axes, limits)
    points(axes, folded, flux * factor, CLOUD, 1.6)
    average_points(axes, x, y * factor, None, 4)
    tint_global(axes, document, 0.0, -0.25)
    if views.secondary_phase is not None:
        where = (views.secondary_phase + 0.25) % 1.0 - 0.25
        axes.axvline(where, color=MODEL, linestyle=DASHED, linewidth=1.4, zorder=3)
        side = "right" if where > 0.5 else "left"
        say(axes, where + 0.25 + (0.01 if side == "left" else -0.01), 0.03, "deepest other dip", color=MODEL, ha=side)
    axes.set_xlabel("phase  [periods from mid-transit]", fontsize=SIZE)
    heading(axes, "Whole orbit, folded", f"{views.global_view.filled.mean():.0%} of the phases covered")


def close_up(axes: Axes, near: Dip, bins: int, duration: float) -> tuple[Floats, Floats, Floats]:
    """Prepare a panel of hours around a dip; return its averages: hours, fraction, error."""
    half = LOCAL_HALF_WIDTH * duration * HOURS
    axes.set_xlim(-half, half)
    axes.xaxis.set_major_locator(MaxNLocator(5, prune="both"))
    axes.set_xlabel("hours from mid-transit", fontsize=SIZE)
    if near.since.size == 0:
        say(axes, 0.5, 0.5, "no cadence falls here", ha="center", color=GREY)
        return np.zeros(0), np.zeros(0), np.zeros(0)
    return averages(near.since * duration * HOURS, near.flux, np.linspace(-half, half, bins + 1))


def transit(
    axes: Axes,
    views: FoldedViews,
    signal: TransitSignal,
    document: Document,
    curve: FittedCurve | None = None,
) -> None:
    """The transit itself: cadences, averages, the search's box and the fitted model, or else a trapezoid."""
    near = dip(views.light_curve, signal)
    x, y, error = close_up(axes, near, 60, signal.duration)
    factor = flux_axis(axes, fold_limits(signal.depth, y, error))
    hours = signal.duration * HOURS
    points(axes, near.since * hours, near.flux * factor, CLOUD, 2.0)
    tint_local(axes, document, "local", signal.duration)
    average_points(axes, x, y * factor, error * factor)
    fine = np.linspace(-LOCAL_HALF_WIDTH, LOCAL_HALF_WIDTH, 801) * hours
    box = np.where(np.abs(fine) <= 0.5 * hours, -signal.depth, 0.0)
    axes.plot(fine, box * factor, color=TRANSIT, linestyle=DASHED, linewidth=1.5, zorder=5, label="search")
    folded = document["folded"]
    fitted = folded["trapezoid"] if folded["status"] == "done" else None
    if curve is not None:
        converged = document["fit"]["status"] == "done"
        if converged:  # without convergence no error is shown
            axes.fill_between(
                curve.at, curve.low * factor, curve.high * factor, color=MODEL, alpha=0.3, linewidth=0, zorder=5
            )
        words = "fit and its 68 %" if converged else "fit, not converged"
        axes.plot(curve.at, curve.middle * factor, color=MODEL, linewidth=2, zorder=6, label=words)
    elif fitted is not None:
        length = fitted["duration_hours"]
        drawn = trapezoid(fine - fitted["late_hours"], fitted["depth_ppm"] / PPM, length, length * fitted["flat"])
        axes.plot(fine, drawn * factor, color=MODEL, linewidth=2, zorder=6, label="trapezoid")
    axes.legend(
        loc="upper center",
        ncols=2,
        fontsize=SMALL,
        framealpha=0.85,
        edgecolor="none",
        borderpad=0.2,
        columnspacing=1.2,
        handlelength=1.6,
    )
    block = document["signal"]
    heading(axes, "Transit, folded", "search: " + depth_text(block["depth_ppm"], block["depth_ppm_err"]))


def odd_even(left: Axes, right: Axes, views: FoldedViews, signal: TransitSignal, document: Document) -> None:
    """Odd and even transits side by side on one scale, each with both depths across."""
    dips = {"odd": dip(views.light_curve, signal, parity=1), "even": dip(views.light_curve, signal, parity=0)}
    drawn = {name: close_up(axes, dips[name], 32, signal.duration) for axes, name in ((left, "odd"), (right, "even"))}
    joined = [np.concatenate([drawn["odd"][item], drawn["even"][item]]) for item in (1, 2)]
    limits = fold_limits(signal.depth, joined[0], joined[1])
    for axes, name in ((left, "odd"), (right, "even")):
        factor = flux_axis(axes, limits)
        x, y, error = drawn[name]
        average_points(axes, x, y * factor, error * factor)
        tint_local(axes, document, name, signal.duration)
        for other, colour, line in (("odd", TRANSIT, DASHED), ("even", MODEL, "-")):
            depth = dips[other].depth
            if depth is not None:
                axes.axhline(-depth * factor, color=colour, linestyle=line, linewidth=1.5, zorder=3)
        depth = dips[name].depth
        words = "not observed" if depth is None else depth_words(dips[name])
        heading(axes, name.capitalize(), words)
    say(left, 0.03, 0.03, "- - odd depth", color=TRANSIT)
    say(right, 0.03, 0.03, "— even depth", color=MODEL)
    right.set_ylabel("")
    right.tick_params(labelleft=False)
    note = significance(document, "odd_even")
    if note:
        say(right, 0.97, 0.965, note, ha="right", va="top")


def secondary(axes: Axes, views: FoldedViews, signal: TransitSignal, document: Document) -> None:
    """The deepest dip away from the transit, on its own scale."""
    if views.secondary_phase is None:
        heading(axes, "Deepest other dip", "no phase found")
        say(axes, 0.5, 0.5, "no other phase could be measured", ha="center", color=GREY)
        return
    near = dip(views.light_curve, signal, views.secondary_phase)
    x, y, error = close_up(axes, near, 60, signal.duration)
    depth = near.depth or 0.0
    middle = np.abs(x) <= signal.duration * HOURS  # further out the transit itself may begin
    factor = flux_axis(axes, fold_limits(max(depth, 0.0), y[middle], error[middle]))
    average_points(axes, x, y * factor, error * factor)
    limits = axes.get_xlim()
    tint_global(axes, document, views.secondary_phase, -0.5, signal.period * HOURS)
    axes.set_xlim(*limits)
    half = 0.5 * signal.duration * HOURS
    axes.axhline(0, color=GREY, linewidth=0.9, zorder=1)
    axes.plot([-half, half], [-depth * factor] * 2, color=MODEL, linewidth=2, zorder=6)
    axes.set_xlabel(f"hours from phase {views.secondary_phase:.3f}", fontsize=SIZE)
    dips = near.depth is not None and near.depth > 0
    heading(axes, "Deepest other dip" if dips else "No other dip", f"{depth_words(near)}, white noise")


def half_orbit(axes: Axes, views: FoldedViews, signal: TransitSignal) -> None:
    """Half a period after the transit, where a circular orbit has its other eclipse, on the scale of the transit."""
    near = dip(views.light_curve, signal, 0.5)
    x, y, error = close_up(axes, near, 60, signal.duration)
    factor = flux_axis(axes, fold_limits(signal.depth, y, error))
    hours = signal.duration * HOURS
    points(axes, near.since * hours, near.flux * factor, CLOUD, 2.0)
    average_points(axes, x, y * factor, error * factor)
    axes.axhline(0, color=GREY, linewidth=0.9, zorder=1)
    axes.axhline(-signal.depth * factor, color=TRANSIT, linestyle=DASHED, linewidth=1.5, zorder=3)
    say(axes, 0.03, 0.03, "- - depth of the transit", color=TRANSIT)
    axes.set_xlabel("hours from phase 0.5", fontsize=SIZE)
    heading(axes, "Half a period later", depth_words(near))


def single_transits(axes: Axes, views: FoldedViews, signal: TransitSignal) -> None:
    """The best covered transits side by side on one scale, in order of time."""
    curve, reach = views.light_curve, 2.0 * signal.duration
    number = cycle(curve.time, signal.period, signal.epoch)
    since = curve.time - signal.epoch - number * signal.period
    inside = np.abs(since) <= 0.5 * signal.duration
    seen, cadences = np.unique(number[inside], return_counts=True)
    if seen.size == 0:
        heading(axes, "Single transits")
        say(axes, 0.5, 0.5, "no transit was observed", ha="center", color=GREY)
        return
    chosen = np.sort(seen[np.argsort(-cadences, kind="stable")[:MOST_SINGLE]])
    drawn = []
    for place, which in enumerate(chosen):
        near = (number == which) & (np.abs(since) <= reach)
        level = np.median(curve.flux[near & ~inside]) if (near & ~inside).any() else 1.0
        at, dims = since[near] / (2.2 * reach) + place, curve.flux[near] - level
        drawn.append((at, dims, *averages(at, dims, place + np.linspace(-0.5, 0.5, SINGLE_BINS + 1) / 1.1)))
    means, errors = (np.concatenate([part[item] for part in drawn]) for item in (3, 4))
    axes.set_xlim(-0.5, chosen.size - 0.5)
    factor = flux_axis(axes, fold_limits(signal.depth, means, errors))
    x, y = (np.concatenate([part[item] for part in drawn]) for item in (0, 1))
    points(axes, x, y * factor, CLOUD, 2.0)
    width = 0.25 * signal.duration / reach / 1.1
    for place, (_, _, at, mean, error) in enumerate(drawn):
        average_points(axes, at, mean * factor, error * factor)
        axes.plot([place - width, place + width], [-signal.depth * factor] * 2, color=TRANSIT, linewidth=1.5, zorder=5)
        if place:
            axes.axvline(place - 0.5, color=GREY, linewidth=0.7, zorder=1)
    axes.axhline(0, color=GREY, linewidth=0.9, zorder=1)
    times = signal.epoch + chosen * signal.period
    axes.set_xticks(np.arange(chosen.size), [f"{time:.1f}" for time in times])
    axes.set_xlabel(f"time of each transit  [BTJD]; each panel {2 * reach * HOURS:.3g} h wide", fontsize=SIZE)
    rest = f"the {chosen.size} best covered of {seen.size}" if seen.size > chosen.size else ""
    heading(axes, "Single transits; depth of the search in orange", rest)


def phase_scan(axes: Axes, document: Document) -> None:
    """How deep the light curve dips at every phase away from the transit, in sigmas, and where noise would end."""
    heading_text = "Secondary at every phase"
    axes.set_xlim(0, 1)
    axes.set_xlabel("phase  [periods from mid-transit]", fontsize=SIZE)
    axes.set_ylabel("depth over its error", fontsize=SIZE)
    block = document["folded"]
    scan = block["phases"] if block["status"] == "done" else None
    if scan is None:
        heading(axes, heading_text)
        why = "no phase is seen in two orbits" if block["status"] == "done" else note_text(block["reason"])
        say(axes, 0.5, 0.5, why, ha="center", color=GREY)
        return
    at, sigma, limit = (np.array(scan[name]) for name in ("phase", "sigma", "depth_limit_ppm"))
    deepest, line = int(np.argmax(sigma)), scan["threshold_sigma"]
    low, high = min(float(sigma.min()), -1.0), max(float(sigma.max()), line)
    axes.set_ylim(low - 0.08 * (high - low), high + 0.25 * (high - low))
    step = np.diff(at)
    gaps = np.flatnonzero(step > max(4 * float(np.median(step)) if step.size else 0.0, 0.01)) + 1
    axes.plot(np.insert(at, gaps, np.nan), np.insert(sigma, gaps, np.nan), color=INK, linewidth=1.1)
    axes.axhline(0, color=GREY, linewidth=0.9, zorder=1)
    axes.axhline(line, color=MODEL, linestyle=DASHED, linewidth=1.4, zorder=3)
    lower, upper = axes.get_ylim()
    place = (line - lower) / (upper - lower) + 0.02
    right = at[deepest] > 0.5  # each label on a side of its own
    away = (0.008, "left") if right else (0.992, "right")
    say(axes, away[0], place, "- - 3 σ for a look at every phase", color=MODEL, ha=away[1], va="bottom")
    axes.plot([at[deepest]], [sigma[deepest]], marker="o", markersize=6, color=TRANSIT, zorder=5)
    side = "right" if right else "left"
    words = f"{sigma[deepest]:.1f} σ at phase {at[deepest]:.3f}"
    edge = float(at[deepest]) + (0.012 if side == "left" else -0.012)
    say(axes, edge, (sigma[deepest] - lower) / (upper - lower), words, color=TRANSIT, ha=side, va="bottom")
    judged = significance(document, "secondary")
    said = f"; after the look {judged}" if judged else ""
    if judged.endswith("PASS") and sigma[deepest] > line:
        said += ", as a planet's occultation may be"
    heading(axes, heading_text, f"none deeper than {depth_text(float(limit.max()), None)} at 3 σ{said}")


def sectors(axes: Axes, document: Document) -> None:
    """The depth in each sector, and in all."""
    found = document["folded"]["sectors"]
    depth, err = (np.array([one[name] for one in found]) for name in ("depth_ppm", "depth_ppm_err"))
    place = np.arange(float(depth.size))
    percent = float(depth.max()) >= 20_000
    factor, unit = (1e-4, "%") if percent else (1.0, "ppm")
    weight = 1 / np.maximum(err, 1e-9) ** 2
    mean = float((weight * depth).sum() / weight.sum()) * factor
    average_points(axes, place, depth * factor, err * factor, 6)
    axes.axhline(mean, color=MODEL, linewidth=1.5, zorder=2)
    axes.set_xlim(-0.5, depth.size - 0.5)
    every = -(-depth.size // 8)
    labels = [one["name"].replace("sector ", "S").replace("quarter ", "Q").replace("campaign ", "C") for one in found]
    axes.set_xticks(place[::every], labels[::every])
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.9 * mean), max(high, 1.1 * mean))  # no smaller difference is worth a look
    axes.set_ylabel(f"mean depth  [{unit}]", fontsize=SIZE)
    heading(axes, "Depth by sector", significance(document, "depth_by_sector"))


LEAST_SHOWN = 1e-6  # probability at the left end of the bars


def false_positive(bars: Axes, scenarios: Axes, document: Document) -> None:
    """FPP and NFPP with their errors against the published cuts; how the probability is split over the scenarios."""
    block = document["validation"]
    heading(bars, short(validation_text(block), 88))
    bars.set_xscale("log")
    bars.set_xlim(LEAST_SHOWN, 1)
    bars.set_ylim(-0.6, 1.6)
    bars.set_yticks([1, 0], ["FPP", "NFPP"])
    bars.set_xlabel("probability; dashed: published cuts", fontsize=SIZE)
    for y, name, cuts in ((1, "fpp", (0.015, 0.5)), (0, "nfpp", (1e-3, 0.1))):
        for cut in cuts:
            bars.plot([cut, cut], [y - 0.42, y + 0.42], color=MODEL, linestyle=DASHED, linewidth=1.3)
        value, dex = block[name], block[f"{name}_err_dex"]
        if value is None:
            bars.text(2 * LEAST_SHOWN, y, "unknown", va="center", fontsize=SMALL, color=GREY)
            continue
        shown = max(value, LEAST_SHOWN)
        bars.barh(y, shown - LEAST_SHOWN, left=LEAST_SHOWN, height=0.5, color=CLOUD, zorder=2)
        if dex is not None:
            ends = np.clip(shown * 10.0 ** np.array([-dex, dex]), LEAST_SHOWN, 1.0)
            bars.plot(ends, [y, y], color=INK, linewidth=2.5, zorder=4)
    best = sorted(block["scenarios"].items(), key=lambda item: -(item[1]["probability"] or 0.0))[:6]
    heading(scenarios, "Scenarios", apart_text(block))
    scenarios.set_xscale("log")
    scenarios.set_xlim(LEAST_SHOWN, 1)
    scenarios.set_ylim(len(best) - 0.4, -0.6)
    scenarios.set_yticks(range(len(best)), [short(scenario_text(name, one["host"]), 58) for name, one in best])
    for place, (_, one) in enumerate(best):
        chance = max(one["probability"] or 0.0, LEAST_SHOWN)
        scenarios.barh(place, chance - LEAST_SHOWN, left=LEAST_SHOWN, height=0.6, color=CLOUD, zorder=2)
        if one["probability"] is not None:
            left = chance < 0.03
            scenarios.text(chance * (1.2 if left else 0.8), place, f"{one['probability']:.3g}", va="center",
                           ha="left" if left else "right", fontsize=SMALL, color=INK, zorder=5)  # fmt: skip
    scenarios.set_xlabel("probability", fontsize=SIZE)


def depth_words(near: Dip) -> str:
    """The depth measured on the cadences themselves."""
    if near.depth is None:
        return "not observed"
    return depth_text(near.depth * PPM, None if near.depth_err is None else near.depth_err * PPM)
