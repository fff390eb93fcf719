"""The evidence document: everything said about one candidate, as JSON that follows ``schema.json``.

Numbers are finite or ``null``; what could not be measured says why. A test that was not run is never
counted as passed, and only a document in which every test that decides passed and none failed calls its signal a
candidate.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from candidates.field_block import field_block
from candidates.files import safe_name
from candidates.portrait_block import portrait_blocks
from candidates.reading import SCHEMA_ID, SCHEMA_VERSION, BadEvidence, parse, read, schema, validate
from candidates.validation_block import validation_block
from candidates.verdict_block import judgement_block
from candidates.wording import confirmation_text, influences, sureness
from pipeline.confirm import Confirmation
from pipeline.disposition import Disposition, decide, measured_rates
from pipeline.ephemeris import cycle, phase
from pipeline.surroundings import Surroundings
from pipeline.types import (
    CleanedLightCurve,
    Evidence,
    Finding,
    Floats,
    FoldedViews,
    LightCurve,
    Score,
    SearchResult,
    Star,
    Target,
    TransitSignal,
    Verdict,
    View,
)
from pipeline.verdict import Judgement, judge

if TYPE_CHECKING:
    from pipeline.portrait import Portrait
    from pipeline.validation.case import Validation
    from pipeline.vetting.case import VetSettings

__all__ = [
    "BadEvidence",
    "build_evidence",
    "candidate_name",
    "confirmation_block",
    "parse",
    "read",
    "schema",
    "to_json",
    "validate",
]

EARTH_RADII_PER_SOLAR = 109.076  # IAU 2015 B3 nominal radii, 695700 km / 6378.1 km
LOCAL_HALF_WIDTH = 2.0  # durations; the local views span -2..2
THUMBNAIL_BINS = 64
PPM = 1e6
HOURS = 24.0

SECTOR_KEY = re.compile(r"^(?P<id>\S+) s(?P<sector>\d+)$")  # "261136679 s0001": one sector as a target of its own
OFFLINE = "no catalogue was asked: nothing leaves the machine without a person's command"
NO_CONFIRMATION = 'no second search was asked for: [search] confirm is "none"'
NO_EXPLANATION = "no explanation was asked for"
NO_FIT = "no fit was asked for"
NO_VALIDATION = 'no false-positive probability was asked for: [validate] method is "none"'


def candidate_name(target: Target, signal: TransitSignal, sector: int | None = None) -> str:
    """The name under which a candidate's files lie: ``TIC_261136679_p6.267890``.

    Parameters
    ----------
    target : Target
        Its kind and key are escaped, whatever they hold. A key of the form ``<id> s<sector>`` gives its id.
    signal : TransitSignal
    sector : int, optional
        Given only where two candidates would otherwise share a name.

    Raises
    ------
    ValueError
        If the period is not a positive finite number, or the sector is negative.
    """
    if not (math.isfinite(signal.period) and signal.period > 0):
        raise ValueError(f"{target.name}: a period of {signal.period} days cannot name a candidate")
    if sector is not None and sector < 0:
        raise ValueError(f"{target.name}: sector {sector} cannot name a candidate")
    match = SECTOR_KEY.match(target.key)
    key = match["id"] if match else target.key
    suffix = "" if sector is None else f"_s{int(sector)}"
    return f"{safe_name(f'{target.kind}_{key}')}_p{float(signal.period):.6f}{suffix}"


def plain(value: object, where: str) -> Any:
    """The value in JSON's own types.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, or the type has no place in JSON; the message says where.
    """
    if isinstance(value, Enum):
        return plain(value.value, where)
    if isinstance(value, np.generic):
        return plain(value.item(), where)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}: evidence holds finite numbers, or null where a value is unknown")
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), where)
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(item, f"{where}[{place}]") for place, item in enumerate(items)]
    raise ValueError(f"{where} is a {type(value).__name__}, which JSON cannot hold")


def in_order(value: Any) -> Any:
    """The same value with every mapping sorted by key, so that equal settings give equal bytes."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [in_order(item) for item in value]
    return value


def to_json(document: Mapping[str, object]) -> bytes:
    """The document as the bytes of its file: UTF-8, indented, in the document's own order, newline at the end.

    Raises
    ------
    ValueError
        If it holds NaN or Infinity.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode("utf-8", "backslashreplace") + b"\n"  # a broken character of a header becomes its JSON escape


def build_evidence(
    *,
    target: Target,
    cleaned: CleanedLightCurve,
    result: SearchResult,
    signal: TransitSignal,
    views: FoldedViews,
    findings: Sequence[Finding],
    score: Score,
    run: Mapping[str, object],
    name: str,
    fit: Mapping[str, object] | None = None,
    validation: "Validation | None" = None,
    known: Mapping[str, object] | None = None,
    confirmation: Confirmation | None = None,
    left_aside: Sequence[tuple[str, str]] = (),
    explanation: Mapping[str, Any] | None = None,
    vet: "VetSettings | None" = None,
    surroundings: Surroundings | None = None,
    portrait: "Portrait | str | None" = None,
) -> Evidence:
    """Gather what every phase said about one signal into one document.

    Parameters
    ----------
    target, cleaned, result, signal, views, findings, score
        The nouns of the phases; ``signal`` need not be the strongest of ``result``.
    run : mapping
        ``settings`` and ``versions`` (mappings), ``device`` (text), ``timings`` (phase to seconds) and
        ``finished_at`` (ISO text).
    name : str
        From :func:`candidate_name`.
    fit, known : mapping, optional
        Blocks of later phases, as the schema has them; ``None`` is written as ``not_run`` with its reason.
    validation : Validation, optional
        The false-positive probability; ``None`` is written as ``not_run`` with its reason.
    confirmation : Confirmation, optional
        What a second search found; ``None`` if none was asked for.
    left_aside : sequence of (uri, reason)
        Files of the star that were refused, or replaced by a better or newer one.
    explanation : mapping, optional
        What moved the score: ``method``, ``score``, ``views``, ``parts``, ``scalars`` and ``other_dip_phase``; or
        ``status`` error with its reason.
    vet : VetSettings, optional
        What the decision of the tests goes by; the defaults if not given.
    surroundings : Surroundings, optional
        What pixels and neighbours say; their findings follow those of the light curve.
    portrait : Portrait or str, optional
        The shapes and curves behind the tests, to be drawn; or why they could not be measured.

    Returns
    -------
    Evidence
        The document follows the schema; keys stand in a fixed order.

    Raises
    ------
    ValueError
        If any number is NaN or infinite (the message says which), or a status is none of the four.
    """
    flux = decide(findings, vet)
    findings = (*findings, *(surroundings.findings if surroundings is not None else ()))
    for finding in findings:
        if finding.status not in tuple(Verdict):
            allowed = " ".join(Verdict)
            raise ValueError(f"vetting test {finding.test!r} says {finding.status!r}, not one of {allowed}")
    blocks: dict[str, object] = {
        "schema": {"id": SCHEMA_ID, "version": SCHEMA_VERSION},
        "name": name,
        "target": _target(target),
        "data": _data(cleaned, left_aside),
        "signal": _signal(signal),
        "derived": _derived(signal, target.star),
        "search": _search(result, signal),
        "confirmation": confirmation_block(confirmation),
        "views": _views(views, signal),
        "score": _score(score),
        "explanation": _explanation(explanation),
        "centroid": _centroid(findings),
        "field": field_block(surroundings),
        **portrait_blocks(portrait),
        "vetting": [_finding(finding) for finding in findings],
        "fit": fit if fit is not None else {"status": "not_run", "reason": NO_FIT},
        "validation": validation_block(validation)
        if validation is not None
        else {"status": "not_run", "reason": NO_VALIDATION},
        "known": known if known is not None else {"status": "not_run", "reason": OFFLINE},
    }
    blocks["verdict"] = verdict(
        blocks,
        findings,
        score,
        signal,
        flux,
        decide(findings, vet),
        judge(findings, score, validation, vet),
    )
    blocks["run"] = {
        "settings": in_order(plain(run.get("settings", {}), "run.settings")),
        "versions": in_order(plain(run.get("versions", {}), "run.versions")),
        "device": run.get("device", ""),
        "timings": in_order(plain(run.get("timings", {}), "run.timings")),
        "finished_at": run.get("finished_at", ""),
    }
    return Evidence(name, plain(blocks, "evidence"))


def _target(target: Target) -> dict[str, object]:
    star = target.star
    return {
        "kind": target.kind,
        "key": target.key,
        "name": target.name,
        "star": {
            "tmag": star.tmag,
            "teff": star.teff,
            "logg": star.logg,
            "radius": star.radius,
            "mass": star.mass,
            "ra": star.ra,
            "dec": star.dec,
        },
    }


def _data(cleaned: CleanedLightCurve, left_aside: Sequence[tuple[str, str]]) -> dict[str, object]:
    time = cleaned.flat.time
    return {
        "files": [
            {
                "uri": product.uri,
                "sha256": product.sha256,
                "mission": product.mission,
                "author": product.author,
                "flux_column": product.flux_column,
                "sector": product.sector,
                "camera": product.camera,
                "ccd": product.ccd,
                "cadence_seconds": product.cadence_seconds,
                "data_release": product.data_release,
                "processing": product.processing,
                "created": product.created,
            }
            for product in cleaned.products
        ],
        "left_aside": [{"uri": uri, "reason": reason} for uri, reason in left_aside],
        "cadences": len(cleaned.flat),
        "rejected": {reason: int(cleaned.rejected[reason]) for reason in sorted(cleaned.rejected)},
        "first_btjd": float(time[0]) if time.size else None,
        "last_btjd": float(time[-1]) if time.size else None,
        "days_observed": float(cleaned.exposure.sum()),
    }


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else float(value) * factor


def _signal(signal: TransitSignal) -> dict[str, object]:
    return {
        "number": signal.number,
        "period_days": signal.period,
        "period_days_err": signal.period_err,
        "epoch_btjd": signal.epoch,
        "epoch_btjd_err": signal.epoch_err,
        "duration_hours": _scaled(signal.duration, HOURS),
        "duration_hours_err": _scaled(signal.duration_err, HOURS),
        "depth_ppm": _scaled(signal.depth, PPM),
        "depth_ppm_err": _scaled(signal.depth_err, PPM),
        "snr": signal.snr,
        "sde": signal.sde,
        "n_transits": signal.n_transits,
        "bls_power": signal.bls_power,
        "false_alarm_probability": signal.false_alarm_probability,
        "false_alarm_nulls": signal.false_alarm_nulls,
        "chi_square": signal.chi_square,
        "single_event_share": signal.single_event_share,
        "template": signal.template,
        "alias_of": signal.alias_of,
    }


def _derived(signal: TransitSignal, star: Star) -> dict[str, object]:
    """What follows from signal and star by one line of arithmetic: k = sqrt(depth), R_p = k R_star."""
    ratio = math.sqrt(signal.depth) if signal.depth > 0 else None
    error = None
    if ratio and signal.depth_err is not None:
        error = signal.depth_err / (2 * ratio)
    radius = ratio * star.radius * EARTH_RADII_PER_SOLAR if ratio and star.radius is not None else None
    return {
        "radius_ratio": ratio,
        "radius_ratio_err": error,
        "planet_radius_earth": radius,
        "assumes": "undiluted, central, no limb darkening, and this star as the host",
    }


def _search(result: SearchResult, signal: TransitSignal) -> dict[str, object]:
    noise = None
    if result.durations.size:
        noise = float(np.interp(signal.duration, result.durations, result.noise)) * PPM
    return {
        "method": result.method,
        "backend": result.backend,
        "periods": int(result.period.size),
        "period_min_days": float(result.period.min()) if result.period.size else None,
        "period_max_days": float(result.period.max()) if result.period.size else None,
        "noise_ppm": noise,
        "notes": list(result.notes),
        "other_signals": [
            {
                "number": other.number,
                "period_days": other.period,
                "epoch_btjd": other.epoch,
                "snr": other.snr,
                "alias_of": other.alias_of,
            }
            for other in result.signals
            if other.number != signal.number
        ],
    }


def confirmation_block(found: Confirmation | None) -> dict[str, Any]:
    """What a second search said, by its own names: its SDE and false-alarm probability are not ours."""
    if found is None:
        return {"status": "not_run", "reason": NO_CONFIRMATION}
    if found.status != "done":
        return {"status": "error", "reason": found.note}
    return {
        "status": "done",
        "method": "transit least squares",
        "version": found.version,
        "searched_days": [list(ends) for ends in found.ranges],
        "agrees": found.agrees,
        "relation": found.relation,
        "period_days": found.period,
        "epoch_btjd": found.epoch,
        "duration_hours": _scaled(found.duration, HOURS),
        "depth_ppm": _scaled(found.depth, PPM),
        "snr": found.snr,
        "sde": found.sde,
        "tls_false_alarm_probability": found.tls_fap,
        "odd_even_sigma": found.odd_even_sigma,
        "n_transits": found.transits,
        "note": found.note,
    }


@dataclass(frozen=True, slots=True, eq=False)
class Dip:
    """The cadences within reach of a dip, and its depth."""

    since: Floats  # (k,) durations from the middle, -2..2
    flux: Floats  # (k,) relative to the level beside the dip
    depth: float | None  # fraction, the mean over the inner half of the duration
    depth_err: float | None  # fraction, from the scatter beside the dip: white noise only


def dip(light_curve: LightCurve, signal: TransitSignal, at_phase: float = 0.0, parity: int | None = None) -> Dip:
    """Gather the cadences around a phase of the signal, and measure the depth there.

    Parameters
    ----------
    light_curve : LightCurve, n cadences
    signal : TransitSignal
    at_phase : float
        Where the dip is, in periods from the transit.
    parity : 0 or 1, optional
        Only even or only odd cycles.

    Notes
    -----
    The views' bins overlap, so errors come from the cadences. The inner half of the duration leaves ingress and
    egress out. The measured red noise is in the findings, not here.
    """
    if not signal.duration > 0:
        return Dip(np.zeros(0), np.zeros(0), None, None)
    middle = signal.epoch + at_phase * signal.period
    since = phase(light_curve.time, signal.period, middle) * signal.period / signal.duration
    near = np.abs(since) <= LOCAL_HALF_WIDTH
    if parity is not None:
        near &= cycle(light_curve.time, signal.period, middle) % 2 == parity
    since, flux = since[near], light_curve.flux[near]
    inner, beside = np.abs(since) <= 0.25, np.abs(since) > 0.75
    level = float(np.median(flux[beside])) if beside.any() else float(np.median(light_curve.flux))
    flux = flux - level
    if not inner.any():
        return Dip(since, flux, None, None)
    error = None
    if beside.sum() >= 8:
        spread = 1.4826 * float(np.median(np.abs(flux[beside])))
        error = spread * math.sqrt(1 / inner.sum() + 1 / beside.sum()) or None
    return Dip(since, flux, -float(flux[inner].mean()), error)


def bin_centres(bins: int, half_width: float) -> Floats:
    """Centres of equal bins over ``-half_width..half_width``."""
    edge = np.linspace(-half_width, half_width, bins + 1)
    return 0.5 * (edge[:-1] + edge[1:])


def thumbnail(view: View, bins: int = THUMBNAIL_BINS) -> list[int | None]:
    """The view in few bins, whole ppm; ``None`` where no cadence fell."""
    groups = np.array_split(np.arange(view.flux.size), bins)
    curve: list[int | None] = []
    for group in groups:
        filled = group[view.filled[group]]
        curve.append(round(float(view.flux[filled].mean()) * PPM) if filled.size else None)
    return curve


def _view(view: View, measured: Dip) -> dict[str, object]:
    return {
        "bins": int(view.flux.size),
        "filled": int(view.filled.sum()),
        "depth_ppm": _scaled(measured.depth, PPM),
        "depth_ppm_err": _scaled(measured.depth_err, PPM),
    }


def _views(views: FoldedViews, signal: TransitSignal) -> dict[str, object]:
    curve, other = views.light_curve, views.secondary_phase
    transit = dip(curve, signal)
    elsewhere = Dip(np.zeros(0), np.zeros(0), None, None) if other is None else dip(curve, signal, other)
    return {
        "global": _view(views.global_view, transit),
        "local": {**_view(views.local_view, transit), "curve_ppm": thumbnail(views.local_view)},
        "odd": _view(views.odd, dip(curve, signal, parity=1)),
        "even": _view(views.even, dip(curve, signal, parity=0)),
        "secondary": {**_view(views.secondary, elsewhere), "phase": other},
        "local_half_width_durations": LOCAL_HALF_WIDTH,
        "notes": list(views.notes),
    }


def _score(score: Score) -> dict[str, object]:
    return {
        "probability": score.probability,
        "raw": score.raw,
        "prior": score.prior,
        "threshold": score.threshold,
        "model": score.model,
        "model_sha256": score.model_sha256,
        "member_spread": score.member_spread,
        "classes": {name: score.classes[name] for name in sorted(score.classes)},
        "members": list(score.members),
        "entropy_bits": score.entropy,
        "disagreement_bits": score.disagreement,
        "conformal_set": None if score.conformal_set is None else list(score.conformal_set),
        "conformal_coverage": score.conformal_coverage,
        "conformal_note": score.conformal_note,
    }


def _explanation(found: Mapping[str, Any] | None) -> dict[str, object]:
    """What moved the score, with the three strongest on either side in words."""
    if found is None:
        return {"status": "not_run", "reason": NO_EXPLANATION}
    if found.get("status") == "error":
        return dict(found)
    towards, against = influences(found)
    return {
        "status": "done",
        "unit": "drop of the raw log odds when the part is made ordinary; positive speaks for a planet",
        "towards": [{"what": what, "influence": value} for what, value in towards],
        "against": [{"what": what, "influence": value} for what, value in against],
        **found,
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "test": finding.test,
        "status": str(finding.status),
        "value": finding.value,
        "sigma": finding.sigma,
        "limit": finding.limit,
        "note": finding.note,
    }


def _centroid(findings: Sequence[Finding]) -> dict[str, object]:
    for finding in findings:
        if finding.test == "centroid":
            return {
                "offset_arcsec": finding.value,
                "sigma": finding.sigma,
                "status": str(finding.status),
                "note": finding.note,
            }
    return {"offset_arcsec": None, "sigma": None, "status": "not_run", "note": "no centroid test was asked for"}


def references(signal: TransitSignal) -> dict[str, object] | None:
    """How often such decisions were right on simulated stars; null where nobody counted."""
    rates = measured_rates(signal)
    if rates is None:
        return None

    def share(part: int, whole: int) -> dict[str, object]:
        return {"number": whole, "share": part / whole if whole else None}

    return {
        "sky": "simulated",
        "snr": [None if math.isinf(edge) else edge for edge in rates.snr],
        "period_days": list(rates.period),
        "completeness": share(rates.kept, rates.planets),
        "effectiveness": share(rates.refused, rates.false_alarms),
    }


def verdict(
    blocks: Mapping[str, Any],
    findings: Sequence[Finding],
    score: Score,
    signal: TransitSignal,
    flux: Disposition,
    decided: Disposition,
    judgement: Judgement,
) -> dict[str, object]:
    """What speaks for the signal, what against, and what is not known, in sentences.

    Returns
    -------
    dict
        What :func:`judgement_block` says of all opinions, ``flux`` (the decision of the tests of the light curve
        alone), ``tested`` (that of all tests), ``reasons`` (each with ``side`` for | against | unknown and ``text``)
        and the counts of the tests by status.
    """
    reasons: list[dict[str, str]] = []

    def say(side: str, text: str) -> None:
        reasons.append({"side": side, "text": text})

    over = score.probability >= score.threshold
    prior = "" if score.prior is None else f", for a share of planets of {score.prior:.3g} among such signals"
    say(
        "for" if over else "against",
        f"{score.model} gives a planet probability of {score.probability:.3f}, "
        f"{'over' if over else 'below'} the threshold of {score.threshold:g}{prior}",
    )
    for side, text in sureness(blocks["score"]):
        say(side, text)
    transits = "" if signal.n_transits is None else f" over {signal.n_transits} transits"
    say("for", f"matched-filter signal-to-noise {signal.snr:.1f}{transits}")
    share = signal.single_event_share
    if share is not None and share > 0.5:
        say("against", f"one single transit carries {share:.0%} of the detection")
    if signal.alias_of is not None:
        say("against", f"the period is a harmonic of signal {signal.alias_of} of the same star")
    for reason in decided.reasons:
        say(reason.side, reason.text)
    confirmation = blocks["confirmation"]
    if confirmation["status"] == "done":
        say("for" if confirmation["agrees"] else "against", confirmation_text(confirmation))
    elif confirmation["status"] == "error":
        say("unknown", confirmation_text(confirmation))
    for block, title in (("fit", "transit fit"), ("validation", "false-positive probability"), ("known", "catalogues")):
        if blocks[block]["status"] == Verdict.NOT_RUN:
            say("unknown", f"{title} not run: {blocks[block]['reason']}")
    if blocks["fit"]["status"] in ("error", "not_converged"):
        said = "ended in an error" if blocks["fit"]["status"] == "error" else "has not converged"
        say("unknown", f"transit fit {said}: {blocks['fit']['reason']}")
    known = blocks["known"]
    for match in known.get("matches", ()):
        if match["side"] is not None:
            say(match["side"], match["words"])
    for missing in known.get("missing", ()):
        say("unknown", f"catalogues: {missing}")
    statuses = [str(finding.status) for finding in findings]
    return {
        **judgement_block(judgement),
        "flux": {
            "disposition": str(flux.word),
            "kind": flux.kind,
            "because": flux.because,
            "references": references(signal),
        },
        "tested": {"disposition": str(decided.word), "kind": decided.kind, "because": decided.because},
        "reasons": reasons,
        "tests": {str(status): statuses.count(status) for status in Verdict},
    }
