"""The pages: one for each candidate and an index, self-contained, readable from disk, by keyboard and on a phone.

Every text comes through the autoescaping of the templates; a Content-Security-Policy lets nothing load and no
script run but those of the template, named by their hashes. Charts are drawn by uPlot (MIT), which lies beside them.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from candidates import wording
from candidates.fit_block import NAMES, fit_rows
from candidates.review import DECISIONS, command
from candidates.rows import Row, ranked, row_of_record
from candidates.verdict_block import CALLED
from pipeline.types import Evidence

TEMPLATES = Path(__file__).with_name("templates")
CHARTS = ("uplot.js", "closer.js")
CURVE_WIDTH, CURVE_HEIGHT = 128, 40  # of a thumbnail, in its own units
FLUX_WORDS = ("planet candidate", "unknown", "false positive", "false alarm")


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["note"] = wording.note_text
    environment.filters["sig"] = lambda value, digits=4: (
        wording.UNKNOWN if value is None else wording.significant(value, digits)
    )
    return environment


@lru_cache(maxsize=16)
def _asset(name: str) -> Markup:
    """A style sheet or script of ours, which needs no escaping."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8").strip())


@lru_cache(maxsize=4)
def _policy(*scripts: str) -> str:
    digests = [base64.b64encode(hashlib.sha256(str(_asset(name)).encode()).digest()).decode() for name in scripts]
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src "
        + " ".join(f"'sha256-{digest}'" for digest in digests)
    )


def render_page(
    evidence: Evidence,
    sheet: bytes,
    closer: Mapping[str, Any] | None = None,
    pictures: Sequence[tuple[str, bytes]] = (),
) -> str:
    """The page of one candidate.

    Parameters
    ----------
    evidence : Evidence
    sheet : bytes
        The PNG of :func:`candidates.plots.draw_sheet`; it is put into the page.
    closer : mapping, optional
        From :func:`candidates.closer.closer_data`; without it the page has no charts.
    pictures : sequence of (words, PNG)
        Of the transit fit, from :func:`candidates.fit_panels.fit_pictures`.

    Returns
    -------
    str
        HTML that needs no other file and no network. Broken characters of a header have become ``?``.
    """
    document: Mapping[str, Any] = evidence.document
    page = (
        _templates()
        .get_template("page.html")
        .render(
            document=document,
            name=evidence.name,
            picture=base64.b64encode(sheet).decode(),
            alternative=alternative_text(document),
            verdict=wording.verdict_words(document),
            star=wording.star_line(document),
            signal_rows=wording.signal_rows(document),
            score_rows=wording.score_rows(document),
            explanation=wording.explanation_text(document["explanation"]),
            shading=wording.SHADING,
            seen=seen_views(document),
            fit_rows=fit_rows(document["fit"]),
            fit_names=NAMES,
            fit_pictures=[(words, base64.b64encode(png).decode()) for words, png in pictures],
            decisions_made=wording.decision_lines(document),
            reference=wording.reference_text(document),
            validation=wording.validation_text(document["validation"]),
            reasons=partial(wording.reason_lines, document),
            stars=wording.STARS,
            symbols=wording.SYMBOLS,
            notes=wording.notes_of(document),
            run_rows=run_rows(document),
            settings=flat_settings(document["run"]["settings"]),
            sides=(("for", "Speaks for it"), ("against", "Speaks against it"), ("unknown", "Not known")),
            command=command(evidence.name),
            decisions=DECISIONS,
            closer=None if closer is None else script_data(closer),
            averaged=0 if closer is None else closer["averaged"],
            style=_asset("style.css"),
            chart_style=_asset("uplot.css"),
            script=_asset("page.js"),
            chart_scripts=[_asset(name) for name in CHARTS],
            policy=_policy("page.js", *CHARTS),
        )
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def script_data(values: Mapping[str, Any]) -> Markup:
    """Numbers as JSON that may stand inside a script element."""
    return Markup(json.dumps(values, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def alternative_text(document: Mapping[str, Any]) -> str:
    """What the sheet shows, for who cannot see it."""
    signal = document["signal"]
    return (
        f"Light curve of {document['target']['name']} before and after detrending, periodogram, and folds on "
        f"{signal['period_days']:.5f} days with a dip of {signal['depth_ppm']:.0f} ppm; "
        "every number is in the tables below"
    )


def run_rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The run as rows of name and value."""
    run = document["run"]
    rows = [("finished", run["finished_at"] or wording.UNKNOWN), ("device", run["device"] or wording.UNKNOWN)]
    rows += [(f"version of {name}", str(value)) for name, value in run["versions"].items()]
    rows += [(f"seconds in {name}", f"{value:.3f}") for name, value in run["timings"].items()]
    return rows


SEEN_WIDTH, SEEN_HEIGHT = 600, 120  # of a view as the model sees it, in its own units
SEEN_TITLES = (
    ("global", "Whole orbit, transit in the middle", 1.6),
    ("local", "Two durations to either side", 1.0),
    ("odd", "Odd transits", 0.6),
    ("even", "Even transits", 0.6),
)


def seen_views(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The views as the model sees them, ready to be drawn: dots, and shaded stretches behind them."""
    block = document["explanation"]
    drawn: list[dict[str, Any]] = []
    if block["status"] != "done":
        return drawn
    for name, title, share in SEEN_TITLES:
        if name not in block["views"]:
            continue
        flux, width = block["views"][name]["flux"], round(SEEN_WIDTH * share)
        low, high = min(-1.0, *flux), max(0.2, *flux)
        step = width / len(flux)
        stretches: list[tuple[int, int, int]] = []  # first bin, bins, shade
        for place, shade in enumerate(wording.shades(block, name)):
            if stretches and stretches[-1][2] == shade and stretches[-1][0] + stretches[-1][1] == place:
                stretches[-1] = (stretches[-1][0], stretches[-1][1] + 1, shade)
            else:
                stretches.append((place, 1, shade))
        drawn.append(
            {
                "title": title,
                "width": width,
                "rects": [
                    (f"{first * step:.1f}", f"{bins * step:.1f}", f"{'t' if shade > 0 else 'a'}{abs(shade)}")
                    for first, bins, shade in stretches
                    if shade
                ],
                "dots": "".join(
                    f"M{(place + 0.5) * step:.1f} {4 + (high - value) / (high - low) * (SEEN_HEIGHT - 8):.1f}h0"
                    for place, value in enumerate(flux)
                ),
            }
        )
    return drawn


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings as rows of dotted name and value."""
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += flat_settings(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def render_index(rows: Sequence[Mapping[str, Any]], written: str = "") -> str:
    """The index over all candidates, best first.

    Parameters
    ----------
    rows : sequence of mappings
        As :func:`candidates.rows.index_row` or the state makes them, in any order; what a row does not know is
        shown as unknown.
    written : str
        When, for the reader; nothing is said if empty.

    Returns
    -------
    str
        HTML that needs no network and no other file than the candidates' own pages beside it.
    """
    listed = [shown(rank, row_of_record(row)) for rank, row in enumerate(ranked(rows), start=1)]
    page = (
        _templates()
        .get_template("index.html")
        .render(
            rows=listed,
            written=written,
            reviewed=sum(row["review"] != "" for row in listed),
            dispositions=CALLED,
            light_curve_words=FLUX_WORDS,
            decisions=DECISIONS,
            style=_asset("style.css"),
            script=_asset("index.js"),
            policy=_policy("index.js"),
            width=CURVE_WIDTH,
            height=CURVE_HEIGHT,
        )
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def shown(rank: int, row: Row) -> dict[str, Any]:
    """One row of the index: texts for the eye, numbers for sorting."""
    period, depth, tests = row.get("period_days"), row.get("depth_ppm"), ""
    if row.get("tests_passed") is not None:
        tests = f"{row['tests_passed']}✓ {row['tests_failed']}✗ {row['tests_not_run']}–"
    probability = row.get("probability")
    return {
        "rank": rank,
        "name": row["name"],
        "target": row.get("target") or row["name"],
        "link": f"{row['name']}.html",
        "probability": probability,
        "probability_text": "–" if probability is None else f"{probability:.3f}",
        "snr": row.get("snr"),
        "snr_text": "–" if row.get("snr") is None else f"{row['snr']:.1f}",
        "period": period,
        "period_text": "–" if period is None else f"{period:.5f}",
        "depth": depth,
        "depth_text": "–" if depth is None else f"{depth:.0f}",
        "duration": row.get("duration_hours"),
        "duration_text": "–" if row.get("duration_hours") is None else f"{row['duration_hours']:.2f}",
        "tmag": row.get("tmag"),
        "tmag_text": "–" if row.get("tmag") is None else f"{row['tmag']:.2f}",
        "tests": tests or "–",
        "failed": row.get("tests_failed"),
        "disposition": row.get("disposition") or "",
        "disposition_text": CALLED.get(str(row.get("disposition")), str(row.get("disposition") or "–")),
        "flux": row.get("flux") or "",
        "flux_text": str(row.get("flux") or "–").removesuffix(" candidate"),
        "review": row.get("review") or "",
        "reviewer": row.get("reviewer") or "",
        "problem": row.get("problem") or "",
        "shared": row.get("shared") or "",
        "curve": curve_path(row.get("curve_ppm") or ()),
    }


def curve_path(curve: Sequence[int | None]) -> str:
    """The path of a thumbnail: dots for the bins, on a box of 128 by 40, the dip whole.

    Empty where fewer than two bins are filled.
    """
    filled = [value for value in curve if value is not None]
    if len(filled) < 2:
        return ""
    low, high = min(filled), max(filled)
    span = max(high - low, 1)
    pieces: list[str] = []
    pen_down = False
    for place, value in enumerate(curve):
        if value is None:
            pen_down = False
            continue
        x = round(2 + place * (CURVE_WIDTH - 4) / max(len(curve) - 1, 1), 1)
        y = round(3 + (high - value) / span * (CURVE_HEIGHT - 6), 1)
        pieces.append(f"{'L' if pen_down else 'M'}{x:g} {y:g}")
        pen_down = True
    return "".join(pieces)
