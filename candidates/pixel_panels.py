"""The panels of the pixels: the star, what goes missing in transit, and where that is on the sky."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from candidates.drawing import GREY, INK, MODEL, SIZE, SMALL, TRANSIT
from candidates.panels import heading, say
from pipeline.pixels.evidence import PixelEvidence, SectorPixels, SkyOffset
from pipeline.types import Floats

THREE_SIGMA = 3.44  # radius of the ellipse that holds 99.73 % in two dimensions, in sigmas
FAINTEST = 5.0  # magnitudes below the target; fainter neighbours are not marked
HALO = [withStroke(linewidth=4.5, foreground="white")]  # so that a mark is seen on any shade
INSET = 0.1  # of the panel; where the 3-sigma ellipse is smaller it is enlarged beside
SKY = 3.0  # pixels from the target that the sky panel shows at least


def best_sector(found: PixelEvidence) -> SectorPixels | None:
    """The sector to show: that of the surest place, else one that has images."""
    drawn = [sector for sector in found.sectors if sector.difference is not None]
    return max(drawn, key=lambda sector: (sector.fit.snr if sector.fit else 0.0, sector.transits), default=None)


def image(axes: Axes, sector: SectorPixels, values: Floats, title: str, unit: str, about_zero: bool) -> None:
    """One image of the stamp, with the stars of the catalogue, the target and the place of the dip."""
    shown = np.where(sector.valid, values, np.nan)
    top = float(np.nanmax(np.abs(shown))) or 1.0
    if about_zero:
        drawn = axes.imshow(shown, origin="lower", cmap="PuOr_r", norm=TwoSlopeNorm(0.0, -top, top))
    else:
        drawn = axes.imshow(np.log10(np.maximum(shown, 1e-4 * top)), origin="lower", cmap="Greys")
    axes.grid(False)
    target = sector.stars[0]
    for star in sector.stars[1:]:
        if star.tmag is not None and target.tmag is not None and star.tmag > target.tmag + FAINTEST:
            continue
        bright = 1.0 if star.tmag is None or target.tmag is None else 10 ** (-0.15 * (star.tmag - target.tmag))
        axes.plot(star.column, star.row, "o", markersize=4 + 7 * min(bright, 1.2), markerfacecolor="none",
                  markeredgecolor=MODEL, markeredgewidth=1.6, path_effects=HALO)  # fmt: skip
    axes.plot(sector.target_column, sector.target_row, "+", markersize=16, color=INK, markeredgewidth=2,
              path_effects=HALO)  # fmt: skip
    if sector.fit is not None:
        axes.plot(sector.fit.column, sector.fit.row, "x", markersize=10, color=TRANSIT, markeredgewidth=2.2,
                  path_effects=HALO)  # fmt: skip
    axes.set_xlim(-0.5, values.shape[1] - 0.5)
    axes.set_ylim(-0.5, values.shape[0] - 0.5)
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    heading(axes, title)
    figure = axes.figure
    bar = figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=SMALL)
    axes.set_xlabel(unit, fontsize=SIZE)


def sky(axes: Axes, found: PixelEvidence, sector: SectorPixels) -> None:
    """Where the dip is on the sky, against the target: ellipses of 1 and 3 sigmas, the stars, each sector's place."""
    offset = found.offset
    reach = SKY * sector.pixel_arcsec
    if offset is not None:
        reach = max(reach, 1.3 * offset.arcsec)
    for star in sector.stars[1:]:
        if abs(star.east) < reach and abs(star.north) < reach:
            size = 5.0 if star.tmag is None else float(np.clip(16 - star.tmag, 2, 10))
            axes.plot(star.east, star.north, "o", markersize=size, markerfacecolor="none", markeredgecolor=MODEL)
    axes.plot(0, 0, "+", markersize=16, color=INK, markeredgewidth=2)
    for one in found.sectors:
        if one.offset is not None and len(found.sectors) > 1:
            axes.plot(one.offset.east, one.offset.north, "x", markersize=6, color=GREY)
    if offset is None:
        say(axes, 0.5, 0.06, "the place of the dip is not known", ha="center", color=TRANSIT)
    else:
        place_of_dip(axes, offset)
        far = 1.4 * (THREE_SIGMA * offset.ellipse[0] + offset.arcsec)
        if far < INSET * reach:
            inset = axes.inset_axes((0.03, 0.04, 0.4, 0.4))
            inset.set_xlim(far, -far)
            inset.set_ylim(-far, far)
            inset.tick_params(labelbottom=False, labelleft=False, length=0)
            inset.plot(0, 0, "+", markersize=14, color=INK, markeredgewidth=2)
            place_of_dip(inset, offset)
            inset.text(
                0.05, 0.95, f"{2 * far:.2g}″ wide", transform=inset.transAxes, fontsize=SMALL, va="top", color=GREY
            )
    axes.set_xlim(reach, -reach)
    axes.set_ylim(-reach, reach)
    axes.set_xlabel("arcsec east of the target", fontsize=SIZE)
    axes.set_ylabel("arcsec north", fontsize=SIZE)
    words = "" if offset is None else f"{offset.arcsec:.1f} ± {offset.arcsec_err:.1f}″, {offset.sigma:.1f} σ"
    say(axes, 0.97, 0.97, "+ target   × dip   ○ other stars", ha="right", va="top", color=GREY)
    heading(axes, "Place of the dip", words)


def place_of_dip(axes: Axes, offset: SkyOffset) -> None:
    """Where the dip is, with ellipses of 1 and 3 sigmas."""
    axes.plot(offset.east, offset.north, "x", markersize=10, color=TRANSIT, markeredgewidth=2.2)
    long, short, angle = offset.ellipse
    for sigmas, line in ((1.52, "-"), (THREE_SIGMA, (0, (5, 3)))):
        # the direction is counted from north to east, and east is to the left
        axes.add_patch(
            Ellipse(
                (offset.east, offset.north),
                width=2 * sigmas * long,
                height=2 * sigmas * short,
                angle=90 - angle,
                fill=False,
                edgecolor=TRANSIT,
                linestyle=line,
                linewidth=1.5,
            )
        )
