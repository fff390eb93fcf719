"""The pictures of a fit: the fold with the models the posterior allows, and the posterior's corner plot."""

import corner
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from candidates.drawing import BIN, DPI, INK, MODEL, SIZE, SMALL, style
from candidates.panels import flux_axis, heading
from candidates.plots import palette_png
from pipeline.fit.result import Curve, TransitFit

LABELS = {
    "period_days": "ΔP [s]", "epoch_btjd": "ΔT₀ [min]", "radius_ratio": "Rp/R*",
    "impact_parameter": "b", "duration_hours": "T₁₄ [h]", "limb_darkening_1": "u₁", "limb_darkening_2": "u₂",
    "jitter_ppm": "noise [ppm]",
}  # fmt: skip
OFFSET = {"period_days": 86400.0, "epoch_btjd": 1440.0}  # shown as the distance from the median, in this unit of a day
CORNER = 1400  # px


def fit_pictures(found: TransitFit) -> list[tuple[str, bytes]]:
    """What each picture shows, and its PNG; none where there is no fit.

    Parameters
    ----------
    found : TransitFit
        One that has not converged has the fold with its best model, and no corner.
    """
    pictures = []
    if found.curve is not None:
        pictures.append((
            "The folded transits with the middle model and the 68 % band of the posterior"
            if found.draws is not None else "The folded transits with the best model of a chain that has not converged",
            folded_picture(found.curve, found.draws is not None),
        ))  # fmt: skip
    if found.draws is not None:
        pictures.append(("Corner plot of the posterior: each parameter, and each pair; 16th, 50th, 84th percentile",
                         corner_picture(found)))  # fmt: skip
    return pictures


def folded_picture(curve: Curve, banded: bool) -> bytes:
    """The fold about the transit, and below it what the middle model leaves."""
    figure = Figure(figsize=(1100 / DPI, 620 / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    upper = figure.add_axes((0.09, 0.36, 0.89, 0.57))
    lower = figure.add_axes((0.09, 0.11, 0.89, 0.22))
    model = np.interp(curve.since, curve.at, curve.middle)
    bottom = float(min(curve.low.min(), (curve.flux - curve.err).min()))
    top = float(max((curve.flux + curve.err).max(), 0.0))
    reach = 0.08 * (top - bottom)
    for axes, flux, limits in (
        (upper, curve.flux, (bottom - reach, top + reach)),
        (lower, curve.flux - model, None),
    ):
        style(axes)
        if limits is None:
            spread = 1.15 * float((np.abs(flux) + curve.err).max())
            limits = (-spread, spread)
        factor = flux_axis(axes, limits)
        axes.errorbar(curve.since, flux * factor, yerr=curve.err * factor, linestyle="none", marker="o", markersize=4,
                      color=BIN, elinewidth=1, markeredgecolor="white", markeredgewidth=0.5, zorder=3)  # fmt: skip
        axes.set_xlim(curve.at[0], curve.at[-1])
        line = curve.middle if axes is upper else np.zeros(curve.at.size)
        if banded:
            below = curve.middle - line
            axes.fill_between(curve.at, (curve.low - below) * factor, (curve.high - below) * factor, color=MODEL,
                              alpha=0.3, linewidth=0, zorder=4)  # fmt: skip
        axes.plot(curve.at, line * factor, color=MODEL, linewidth=1.8, zorder=5)
    upper.tick_params(labelbottom=False)
    lower.set_ylabel(lower.get_ylabel().replace("flux − 1", "rest"), fontsize=SIZE)
    lower.set_xlabel("hours from mid-transit", fontsize=SIZE)
    heading(upper, "Fitted transit", "band: 68 % of the posterior" if banded else "not converged: best model, no band")
    return palette_png(canvas)


def corner_picture(found: TransitFit) -> bytes:
    """Every parameter against every other."""
    assert found.draws is not None
    values, labels = found.draws.copy(), []
    for column, name in enumerate(found.names):
        label = LABELS.get(name, name)
        if name in OFFSET:
            middle = float(np.median(values[:, column]))
            values[:, column] = (values[:, column] - middle) * OFFSET[name]
        labels.append(label)
    figure = Figure(figsize=(CORNER / DPI, CORNER / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    corner.corner(
        values, fig=figure, labels=labels, quantiles=[0.16, 0.5, 0.84], color=INK, plot_contours=False,
        plot_density=False, no_fill_contours=True, data_kwargs={"alpha": 0.35, "ms": 2.5, "color": BIN}, bins=24,
        label_kwargs={"fontsize": SMALL}, max_n_ticks=3, labelpad=0.08,
    )  # fmt: skip
    from_where = "\n".join(
        f"{LABELS[name]} counts from {found.parameters[name].median:.6f} {found.parameters[name].unit}"
        for name in OFFSET
    )
    figure.text(0.98, 0.97, from_where, ha="right", va="top", fontsize=SIZE, color=INK)
    figure.subplots_adjust(left=0.09, bottom=0.09)
    for axes in figure.axes:
        axes.tick_params(labelsize=SMALL - 2)
        axes.tick_params(axis="y", labelrotation=0)  # slanted, the lowest of one row meets the highest of the next
        for line in axes.lines:
            if line.get_linestyle() == "--":
                line.set_color(MODEL)
    return palette_png(canvas)
