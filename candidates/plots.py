"""The sheet: one picture from which a tired astronomer can judge a candidate in a minute.

Drawn with Matplotlib's Agg canvas through a Figure object (never pyplot: no global state, no display), with no
clock and no randomness, so equal input gives equal bytes. The same figure is written as a PNG and as a PDF of one page.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from PIL import Image

from candidates import panels, pixel_panels
from candidates.drawing import AGAINST, DPI, GREY, INK, SIZE, TOWARDS, WIDTH, Column, FittedCurve, clean_text, style
from candidates.field_block import host_rows
from candidates.fit_block import fitted_rows
from candidates.wording import (
    SHADING,
    SYMBOLS,
    called_text,
    data_lines,
    decision_lines,
    explanation_text,
    known_lines,
    made_by,
    note_text,
    notes_of,
    passed_text,
    reference_text,
    score_rows,
    short,
    signal_rows,
    star_line,
    test_name,
    title_of,
    unknown_lines,
    variability_text,
)
from pipeline.pixels.evidence import SectorPixels
from pipeline.surroundings import Surroundings
from pipeline.types import CleanedLightCurve, Evidence, FoldedViews, SearchResult, TransitSignal

COLOURS = 128  # of the palette; with fewer a rare shade is taken for its neighbour
LEFT, RIGHT = 0.058, 0.988  # of the width
NOTE_LENGTH = 400  # characters of a finding on the sheet; the page has it in full


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page, twice."""

    png: bytes  # 1600 px wide
    pdf: bytes  # of one page, 16 inches wide, with text that can be searched


def draw_sheet(
    evidence: Evidence,
    cleaned: CleanedLightCurve,
    result: SearchResult,
    views: FoldedViews,
    surroundings: Surroundings | None = None,
    curve: FittedCurve | None = None,
) -> Sheet:
    """Draw everything about one candidate on one sheet.

    Parameters
    ----------
    evidence : Evidence
        Its document supplies every number and word; of ``run`` only the detection threshold is shown, nothing that
        changes from run to run.
    cleaned : CleanedLightCurve
        For the light curve, before and after detrending.
    result : SearchResult
        For the spectrum.
    views : FoldedViews
        For the folds.
    surroundings : Surroundings, optional
        For the pixels; without them the sheet has no images.
    curve : FittedCurve, optional
        The fitted model; without it a trapezoid is drawn through the fold.

    Returns
    -------
    Sheet
        The same bytes for the same input.
    """
    canvas = compose(evidence, cleaned, result, views, surroundings, curve)
    return Sheet(palette_png(canvas), _pdf(canvas.figure, evidence.document))


def compose(
    evidence: Evidence,
    cleaned: CleanedLightCurve,
    result: SearchResult,
    views: FoldedViews,
    surroundings: Surroundings | None = None,
    curve: FittedCurve | None = None,
) -> FigureCanvasAgg:
    """What :func:`draw_sheet` draws, not yet drawn."""
    document: Mapping[str, Any] = evidence.document
    columns = _texts(document)
    # row: px above it (its heading and what hangs below the row before), px of its panels
    rows = [(112, 175), (42, 195), (96, 270), (96, 285), (96, 235), (96, 235)]
    sector = None if surroundings is None else pixel_panels.best_sector(surroundings.pixels)
    if sector is not None:
        rows.append((100, 300))
    judged = document["validation"]["status"] not in ("not_run", "error")
    if judged:
        rows.append((106, 150))
    above = sum(gap + height for gap, height in rows) + 78
    total = above + max(column.height for column in columns) + 12
    figure = Figure(figsize=(WIDTH / DPI, total / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    bottoms = np.cumsum([gap + height for gap, height in rows])

    def panel(row: int, left: float, right: float) -> Axes:
        axes = figure.add_axes((left, 1 - bottoms[row] / total, right - left, rows[row][1] / total))
        style(axes)
        return axes

    block = document["signal"]
    signal = TransitSignal(
        period=block["period_days"],
        epoch=block["epoch_btjd"],
        duration=block["duration_hours"] / 24,
        depth=block["depth_ppm"] / 1e6,
        snr=block["snr"],
    )
    _title(figure, document, total)
    panels.light_curves(panel(0, LEFT, RIGHT), panel(1, LEFT, RIGHT), cleaned, signal, views.light_curve)
    panels.periodogram(panel(2, LEFT, 0.475), result, document)
    panels.whole_orbit(panel(2, 0.547, RIGHT), views, signal, document)
    panels.transit(panel(3, LEFT, 0.345), views, signal, document, curve)
    panels.odd_even(panel(3, 0.412, 0.544), panel(3, 0.556, 0.688), views, signal, document)
    panels.secondary(panel(3, 0.752, RIGHT), views, signal, document)
    panels.half_orbit(panel(4, LEFT, 0.345), views, signal)
    panels.phase_scan(panel(4, 0.412, RIGHT), document)
    several = document["folded"].get("sectors")
    panels.single_transits(panel(5, LEFT, 0.688 if several else RIGHT), views, signal)
    if several:
        panels.sectors(panel(5, 0.752, RIGHT), document)
    if judged:
        panels.false_positive(panel(-1, LEFT, 0.36), panel(-1, 0.68, RIGHT), document)
    if surroundings is not None and sector is not None:
        _pixels(panel, surroundings, sector)
    for column in columns:
        column.draw(figure, above, total)
    return canvas


def _pixels(panel: Callable[[int, float, float], Axes], surroundings: Surroundings, sector: SectorPixels) -> None:
    """The row of images, each a square."""
    name = f"sector {sector.product.sector}" if sector.product.sector is not None else "its pixels"
    images = (
        (sector.direct, f"Beside transit, {name}", "log electrons/s", False),
        (sector.difference, "Missing in transit", "electrons/s", True),
        (sector.snr_image, "The same over its noise", "σ", True),
    )
    for place, (values, title, unit, about_zero) in enumerate(images):
        left = LEFT - 0.03 + 0.245 * place
        if values is not None:
            pixel_panels.image(panel(6, left, left + 0.2), sector, values, title, unit, about_zero)
    pixel_panels.sky(panel(6, 0.785, RIGHT), surroundings.pixels, sector)


def palette_png(canvas: FigureCanvasAgg) -> bytes:
    """The canvas as a PNG with a palette: a third of the bytes of full colour, the same to the eye."""
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    picture = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    out = io.BytesIO()
    picture.save(out, format="PNG", compress_level=6, dpi=(DPI, DPI))
    return out.getvalue()


def _pdf(figure: Figure, document: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    about = {"Title": document["name"], "Creator": "transit-hunter", "Producer": None, "CreationDate": None}
    FigureCanvasPdf(figure).print_pdf(out, metadata=about)
    return out.getvalue()


def _title(figure: Figure, document: Mapping[str, Any], total: int) -> None:
    left, right = title_of(document)
    lines = ((left, 20, "bold", "left", 12), (right, 16, "bold", "right", 15))
    score = document["score"]
    prior = "prior unknown" if score["prior"] is None else f"prior {score['prior']:.3g}"
    said = f"planet probability {score['probability']:.3f} ({prior}), threshold {score['threshold']:g}"
    lines += ((star_line(document), SIZE, "normal", "left", 49), (said, SIZE, "normal", "right", 49))  # type: ignore[assignment]
    for text, size, weight, side, top in lines:
        figure.text(
            0.012 if side == "left" else RIGHT,
            1 - top / total,
            clean_text(text),
            fontsize=size,
            fontweight=weight,
            color=INK,
            ha=side,
            va="top",
            parse_math=False,
        )


def _texts(document: Mapping[str, Any]) -> tuple[Column, ...]:
    """The text block, in three columns: the signal, the tests and the data, what is unknown and the score."""
    signal = Column(20, 470)
    signal.heading("Signal")
    for name, value in signal_rows(document):
        signal.pair(name, value)
    for name, value in fitted_rows(document):
        signal.pair(name, value)
    signal.pair("the star itself", variability_text(document))
    signal.gap()
    signal.heading("Why this score")
    signal.paragraph(explanation_text(document["explanation"]))
    if document["explanation"]["status"] == "done":
        signal.swatch(TOWARDS, "behind a fold: speaks for a planet")
        signal.swatch(AGAINST, "behind a fold: speaks against one")
        signal.paragraph(SHADING, colour=GREY)

    tests = Column(525, 535)
    tests.heading(f"Verdict: {called_text(document['verdict'])}")
    for name, value in decision_lines(document):
        tests.pair(name, short(value, NOTE_LENGTH), stop=95)
    tests.paragraph(reference_text(document), colour=GREY)
    tests.gap()
    tests.heading("Vetting")
    if not document["vetting"]:
        tests.paragraph("no test was asked for")
    for finding in document["vetting"]:  # what was not run stands in its box
        if finding["status"] in ("fail", "error"):
            symbol, word = SYMBOLS[finding["status"]]
            said = f"{test_name(finding)}: {note_text(finding['note'])}"
            tests.paragraph(f"{symbol} {word}", bold=True, then=short(said, NOTE_LENGTH))
    passed = [finding for finding in document["vetting"] if finding["status"] == "pass"]
    if passed:
        symbol, word = SYMBOLS["pass"]
        tests.paragraph(f"{symbol} {word}", bold=True, then="the page says more of each")
        tests.grid([passed_text(finding) for finding in passed])
    tests.gap()
    tests.heading("Data")
    for line in data_lines(document):
        tests.paragraph(line)
    notes = notes_of(document)
    if notes:
        tests.gap()
        tests.heading("Notes")
        for note in notes:
            tests.paragraph(short(note, NOTE_LENGTH), colour=GREY)

    unknown = Column(1092, 488)
    unknown.open_box("What was not run")
    lines = unknown_lines(document)
    for line in lines or ["nothing: every test of this version was run"]:
        unknown.paragraph(short(line, NOTE_LENGTH))
    unknown.close_box()
    unknown.gap()
    if document["known"]["status"] == "done":
        unknown.heading("Known already")
        for line in known_lines(document):
            unknown.paragraph(short(line, NOTE_LENGTH))
        unknown.gap()
    hosts = host_rows(document["field"])
    if hosts:
        unknown.heading("Which star dims")
        for name, value in hosts:
            unknown.pair(name, value)
    shorter = min(signal, unknown, key=lambda column: column.height)
    shorter.gap()
    shorter.heading("Score")
    for name, value in score_rows(document):
        shorter.pair(name, value)
    shorter = min(signal, tests, unknown, key=lambda column: column.height)
    shorter.gap()
    shorter.heading("Made by")
    shorter.paragraph(made_by(document), colour=GREY)
    return signal, tests, unknown
