"""Numbers and findings in words, the same on the sheet, on the page and in the terminal."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from candidates.quantities import decimals_for

SYMBOLS = {"pass": ("✓", "PASS"), "fail": ("✗", "FAIL"), "not_run": ("–", "NOT RUN"), "error": ("!", "ERROR")}
UNKNOWN = "unknown"
LEAST_FALSE_ALARM = 1e-9  # a smaller false-alarm probability is not told as a number
SIGNIFICANT = 3.0  # sigmas; what is over them and passed is small, or as planets may be: the note says why
DISAGREEING = 0.2  # members further apart than this are said to disagree
SETS = {
    frozenset(["planet"]): "planet",
    frozenset(["not planet"]): "not planet",
    frozenset(["planet", "not planet"]): "planet or not: undecided",
    frozenset(): "neither: unlike what it was calibrated on",
}
NOTICED = 0.1  # log odds; weaker influences are not named
SHADES = (0.15, 0.4, 0.7)  # of the strongest influence: where one shade ends and the next begins
SHADING = "shaded where flattening the light curve changes the score, darker over 40 and 70 % of the largest change"
PARTS = {
    "dip": "the dip itself",
    "beside": "the light just beside the dip",
    "other_dip": "the deepest other dip",
    "orbit": "the rest of the orbit",
    "parity": "how odd and even transits compare",
}
SCALARS = {
    "log10_period": "the period of {:.2f} d",
    "duration_over_period": "a dip lasting {:.1%} of the period",
    "log10_snr": "the S/N of {:.0f}",
    "odd_even_sigma": "the odd-even test at {:.1f} σ",
    "secondary_sigma": "the secondary test at {:.1f} σ",
    "secondary_over_primary": "a second dip of {:.0%} of the first",
    "centroid_offset": "a centroid offset of {:.2f}",
    "centroid_sigma": "the centroid test at {:.1f} σ",
    "tmag": "the magnitude of {:.1f}",
    "radius": "the star's radius of {:.2f} R☉",
    "teff": "the star's temperature of {:.0f} K",
    "n_transits": "the number of transits, {:.0f}",
    "duration_ratio": "a duration of {:.2f} times the expected one",
}
# why a test was not run, for programs; a person reads the words behind it
CODES = {
    "few_days": "too few days: ",
    "few_points": "too few cadences: ",
    "few_transits": "too few transits: ",
    "no_catalogue": "",
    "no_pixels": "",
    "no_stellar": "",
    "edge": "near the edge: ",
    "not_converged": "",
    "offline": "",
    "out_of_domain": "",
    "saturated": "saturated: ",
}
CODE = re.compile(f"(^|not run: )({'|'.join(CODES)}): ")
STARS = {
    "eb_detached": "detached eclipsing binary",
    "eb_contact": "contact binary",
    "rotation": "rotation with spots",
    "delta_scuti": "delta Scuti pulsation",
    "gamma_doradus": "gamma Doradus pulsation",
    "rr_lyrae_cepheid": "RR Lyrae or Cepheid pulsation",
    "quiet": "quiet",
}
BODIES = {
    "EBx2P": "twin binary at twice the period",
    "EB": "eclipsing binary",
    "TP": "planet",
}  # ends of scenario names
BANDS = {
    "validated": "validated as a planet",
    "likely_planet": "likely a planet",
    "likely_nearby_false_positive": "likely an eclipse of a neighbour",
    "false_positive": "false positive",
    "not_decided": "not decided",
}
MAX_FILES = 6  # data files named one by one on the sheet

Document = Mapping[str, Any]


def measured(value: float | None, error: float | None, unit: str = "", digits: int = 4) -> str:
    """A value with its error and unit: ``1234 ± 56 ppm``; the error decides the digits where there is one."""
    tail = f" {unit}" if unit else ""
    if value is None:
        return UNKNOWN
    if error is not None and error > 0 and math.isfinite(error):
        places = decimals_for(error, 0)
        return f"{value:.{places}f} ± {error:.{places}f}{tail}"
    return f"{significant(value, digits)}{tail}"


def depth_text(depth_ppm: float, error_ppm: float | None) -> str:
    """A depth in ppm, or in percent where ppm would be long."""
    if abs(depth_ppm) < 20_000:
        return measured(depth_ppm, error_ppm, "ppm", 3)
    return measured(depth_ppm / 1e4, None if error_ppm is None else error_ppm / 1e4, "%", 4)


def significant(value: float, digits: int = 4) -> str:
    """A number with so many significant digits, without an exponent where a person expects none."""
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if -4 <= magnitude < 7:
        return f"{value:.{max(0, digits - 1 - magnitude)}f}"
    return f"{value:.{digits - 1}e}"


def optional(value: float | None, form: str, unit: str = "") -> str:
    """A value in the given format, or ``unknown``."""
    return UNKNOWN if value is None else f"{value:{form}}" + (f" {unit}" if unit else "")


def title_of(document: Document) -> tuple[str, str]:
    """The title of the sheet: who and how often; and the verdict in few words."""
    name, signal = document["target"]["name"], document["signal"]
    return f"{short(name, 40)}   P = {signal['period_days']:.6f} d", verdict_words(document)


def called_text(verdict: Mapping[str, Any]) -> str:
    """What a signal is called, as people say it."""
    return str(verdict["disposition"]).replace("_", " ")


def verdict_words(document: Document) -> str:
    """The verdict in few words: what decided, or how many tests are behind it."""
    verdict = document["verdict"]
    called, tests = called_text(verdict), verdict["tests"]
    undone = tests["not_run"] + tests["error"]
    count = ", ".join(
        f"{number} {word}"
        for number, word in ((tests["pass"], "passed"), (tests["fail"], "failed"), (undone, "not run"))
        if number
    )
    if called.endswith(("candidate", "planet")):
        return f"{called.upper()}: tests {count}"
    if called == "unknown" and verdict["flux"]["disposition"] == "planet candidate":
        return f"PLANET CANDIDATE BY ITS LIGHT CURVE, tests {count}"
    return f"{called.upper()}: " + (
        f"tests {count}" if count and called == "unknown" else short(verdict["because"], 60)
    )


def counted(number: int, noun: str) -> str:
    """``1 test``, ``2 tests``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short(text: str, length: int) -> str:
    """At most so many characters, cut at a word where there is one, with an ellipsis."""
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    word = cut.rfind(" ")
    return (cut[:word] if word > 0.6 * length else cut) + "…"


def scenario_text(name: str, host: str) -> str:
    """A scenario by its code and in words: ``BEB: eclipsing binary, an unresolved background star``."""
    code = name.split()[0]
    body = next((words for end, words in BODIES.items() if code.endswith(end)), "")
    return f"{code}: {', '.join(part for part in (body, host) if part)}"


def apart_text(block: Mapping[str, Any]) -> str:
    """What stands beside the false-positive probability and is never mixed into it."""
    reliability, planet = block["artifact"]["reliability"], block["planet_probability"]
    if planet is None or reliability is None:
        return ""
    return f"reliability {reliability:.3f}, so planet {planet:.3f}"


def note_text(text: str) -> str:
    """A finding's note as a person expects it to be set, the code for programs in words."""
    return CODE.sub(lambda found: found[1] + CODES[found[2]], text).replace("+-", "±")


def test_name(finding: Mapping[str, Any]) -> str:
    """A test as a person names it."""
    return str(finding["test"]).replace("_", " ")


def passed_text(finding: Mapping[str, Any]) -> str:
    """A test that passed, in few words: its significance where it has one, and whether that was let pass."""
    sigma = finding["sigma"]
    if sigma is None:
        return test_name(finding)
    return f"{test_name(finding)} {sigma:.1f} σ".replace("-", "−") + (", let pass" if sigma > SIGNIFICANT else "")


def star_line(document: Document) -> str:
    """The star in one line."""
    star = document["target"]["star"]
    parts = [
        ("Tmag", optional(star["tmag"], ".2f")),
        ("Teff", optional(star["teff"], ".0f", "K")),
        ("radius", optional(star["radius"], ".2f", "R☉")),
        ("log g", optional(star["logg"], ".2f")),
        ("mass", optional(star["mass"], ".2f", "M☉")),
        ("RA", optional(star["ra"], ".5f", "°")),
        ("Dec", optional(star["dec"], "+.5f", "°")),
    ]
    known = [f"{name} {value}" for name, value in parts if value != UNKNOWN]
    missing = [name for name, value in parts if value == UNKNOWN]
    line = "   ".join(known)
    if missing:
        line += ("   " if known else "") + f"unknown: {', '.join(missing)}"
    return line


def significance(document: Document, test: str) -> str:
    """How strongly a test speaks, as ``1.2 σ, PASS``; empty where there is no such test."""
    for finding in document["vetting"]:
        if finding["test"] == test:
            word = SYMBOLS[finding["status"]][1]
            return word if finding["sigma"] is None else f"{finding['sigma']:.1f} σ: {word}".replace("-", "−")
    return ""


def false_alarm(probability: float | None, nulls: int | None) -> str:
    """A false-alarm probability with what is behind it; a tail says nothing of one in a billion."""
    if probability is None:
        return UNKNOWN
    value = f"{probability:.2g}" if probability >= LEAST_FALSE_ALARM else f"< {LEAST_FALSE_ALARM:g}"
    return f"{value} ({nulls} null series)"


def signal_rows(document: Document) -> list[tuple[str, str]]:
    """The signal as rows of name and value with unit and error."""
    signal, derived, search = document["signal"], document["derived"], document["search"]
    period = signal["period_days"]
    rows = [
        ("period", measured(period, signal["period_days_err"], "d", 8)),
        ("epoch", measured(signal["epoch_btjd"], signal["epoch_btjd_err"], "BTJD", 9)),
        ("duration", measured(signal["duration_hours"], signal["duration_hours_err"], "h", 3)),
        ("depth", measured(signal["depth_ppm"], signal["depth_ppm_err"], "ppm", 3)),
        ("S/N", f"{signal['snr']:.1f}"),
        ("transits seen", optional(signal["n_transits"], "d")),
        ("largest single share", optional(signal["single_event_share"], ".0%")),
        ("SDE", optional(signal["sde"], ".1f")),
        ("BLS power", optional(signal["bls_power"], ".3g")),
        ("single transits, χ²", optional(signal["chi_square"], ".2f", "reduced")),
        ("false-alarm prob.", false_alarm(signal["false_alarm_probability"], signal["false_alarm_nulls"])),
        ("noise per transit", optional(search["noise_ppm"], ".0f", "ppm")),
        ("Rp/R*", measured(derived["radius_ratio"], derived["radius_ratio_err"], "", 3)),
        ("planet radius", optional(derived["planet_radius_earth"], ".2f", "R⊕ (undiluted)")),
    ]
    if signal["alias_of"] is not None:
        rows.append(("harmonic of", f"signal {signal['alias_of']}"))
    if document["confirmation"]["status"] != "not_run":
        rows.append(("second search", confirmation_text(document["confirmation"])))
    others = search["other_signals"]
    if others:
        listed = ", ".join(f"{item['period_days']:.4f} d (S/N {item['snr']:.1f})" for item in others[:3])
        rows.append(("other signals", listed + (f" and {len(others) - 3} more" if len(others) > 3 else "")))
    return rows


def confirmation_text(block: Mapping[str, Any]) -> str:
    """What a second search found, in one line."""
    if block["status"] != "done":
        return f"second search: {SYMBOLS[block['status']][1]}: {block['reason']}"
    name = f"TLS {block['version']}"
    if block["period_days"] is None:
        return f"{name}: no transit fits"
    parts = [
        "no SDE" if block["sde"] is None else f"SDE {block['sde']:.1f}",
        block["relation"] or f"another period, {block['period_days']:.5f} d",
    ]
    if block["relation"] and not block["agrees"]:
        same = block["relation"] == "same period"
        parts[-1] += " but another phase" if same else f", {block['period_days']:.5f} d"
    if block["odd_even_sigma"] is not None:
        parts.append(f"odd-even {block['odd_even_sigma']:.1f} sigma")
    return f"{name}: {', '.join(parts)}"


def members_text(score: Mapping[str, Any]) -> str:
    """What the members of the ensemble say, from the lowest to the highest."""
    members = score["members"]
    if not members:
        return UNKNOWN
    if len(members) == 1:
        return "a single network"
    apart = max(members) - min(members) > DISAGREEING
    spread = "" if score["member_spread"] is None else f", spread {score['member_spread']:.3f}"
    return f"{'disagree: ' if apart else ''}{min(members):.2f} to {max(members):.2f}{spread}"


def set_text(score: Mapping[str, Any]) -> str:
    """The conformal set in words, with its coverage."""
    if score["conformal_set"] is None:
        return f"{UNKNOWN}: {score['conformal_note']}"
    return f"{SETS[frozenset(score['conformal_set'])]} (at {score['conformal_coverage']:.0%} coverage)"


def sureness(score: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How sure the model is, as sides (for, against, unknown) and sentences."""
    said = []
    if score["conformal_set"] is None:
        said.append(("unknown", f"conformal set unknown: {score['conformal_note']}"))
    else:
        side = {(True, False): "for", (False, True): "against"}
        found = "planet" in score["conformal_set"], "not planet" in score["conformal_set"]
        said.append((side.get(found, "unknown"), f"conformal set: {set_text(score)}"))
    if (text := members_text(score)).startswith("disagree"):
        said.append(("unknown", f"the networks of the ensemble {text}"))
    return said


def score_rows(document: Document) -> list[tuple[str, str]]:
    """The score as rows of name and value."""
    score = document["score"]
    rows = [
        ("probability", f"{score['probability']:.4f}"),
        ("stated for a prior of", optional(score["prior"], ".3g")),
        ("threshold", f"{score['threshold']:g}"),
        ("raw output", f"{score['raw']:.4f}"),
        ("members", members_text(score)),
        ("set", set_text(score)),
        ("entropy", optional(score["entropy_bits"], ".2f", "bit")),
        ("disagreement", optional(score["disagreement_bits"], ".3f", "bit")),
        ("model", f"{short(score['model'], 32)}  {score['model_sha256'][:12]}"),
    ]
    if score["classes"]:
        best = sorted(score["classes"].items(), key=lambda item: (-item[1], item[0]))
        rows.append(("classes, raw", ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in best[:4])))
    return rows


def influence_words(name: str, value: float | None) -> str:
    """What moved a score, in plain words: a part of the light curve by its name, or a scalar with its value."""
    if name in PARTS:
        return PARTS[name] + (f" at phase {value % 1:.2f}" if name == "other_dip" and value is not None else "")
    if value is None:
        return name.replace("_", " ")
    if name == "log10_depth":
        return f"the depth of {depth_text(10**value * 1e6, None)}"
    if name in ("log10_period", "log10_snr"):
        value = 10**value
    form = SCALARS.get(name)
    return f"{name.replace('_', ' ')} of {significant(value, 3)}" if form is None else form.format(value)


def influences(explained: Mapping[str, Any]) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """What speaks for a planet, and what against, strongest first, three of each: words and influence in log odds."""
    found = [
        (influence_words(name, explained["other_dip_phase"] if name == "other_dip" else None), value)
        for name, value in explained["parts"].items()
    ]
    found += [
        (influence_words(name, scalar["value"]), scalar["influence"]) for name, scalar in explained["scalars"].items()
    ]
    found.sort(key=lambda item: (-abs(item[1]), item[0]))
    towards = [item for item in found if item[1] >= NOTICED]
    return towards[:3], [item for item in found if item[1] <= -NOTICED][:3]


def explanation_text(block: Mapping[str, Any]) -> str:
    """Why the model scores as it does, in two sentences."""
    if block["status"] != "done":
        return f"{SYMBOLS[block['status']][1]}: {block['reason']}"

    def listed(side: str) -> str:
        return ", ".join(f"{item['what']} ({item['influence']:+.1f})" for item in block[side]) or "nothing of note"

    return f"For a planet: {listed('towards')}. Against: {listed('against')}.".replace("-", "−")


def shades(block: Mapping[str, Any], view: str) -> list[int]:
    """How each bin of a view is shaded: 1 to 3 towards a planet, -1 to -3 against, 0 not at all."""
    if block["status"] != "done" or view not in block["views"]:
        return []
    strongest = max(abs(value) for shown in block["views"].values() for value in shown["influence"])
    if strongest < NOTICED:
        return [0] * len(block["views"][view]["influence"])
    return [
        sum(abs(value) >= share * strongest for share in SHADES) * (1 if value > 0 else -1)
        for value in block["views"][view]["influence"]
    ]


def file_line(file: Mapping[str, Any]) -> str:
    """One data file in a line: author, sector, cadence, release, fingerprint."""
    parts = [file["author"] or "author unknown"]
    if file["sector"] is not None:
        label = {"Kepler": "Q", "K2": "C"}.get(file["mission"], "S")
        parts.append(f"{label}{file['sector']}")
    if file["cadence_seconds"] is not None:
        parts.append(f"{file['cadence_seconds']:g} s")
    parts.append(file["flux_column"])
    parts.append("release unknown" if file["data_release"] is None else f"release {file['data_release']}")
    parts.append(f"sha256 {file['sha256'][:12]}")
    return "  ".join(part for part in parts if part)


def data_lines(document: Document) -> list[str]:
    """The data in lines: the files, then what was kept and what left out."""
    data = document["data"]
    lines = [file_line(file) for file in data["files"][:MAX_FILES]]
    if len(data["files"]) > MAX_FILES:
        lines.append(f"and {len(data['files']) - MAX_FILES} more files")
    rejected = sum(data["rejected"].values())
    lines.append(
        f"{data['cadences']} cadences searched, {rejected} left out; {data['days_observed']:.1f} days of exposure"
    )
    return lines


def known_lines(document: Document) -> list[str]:
    """What the catalogues at hand say, in lines: which they are, then what they know."""
    known = document["known"]
    tables = ", ".join(f"{table['source']} ({table['as_of']})" for table in known["catalogues"])
    where = "" if known["radius_arcsec"] is None else f" within {known['radius_arcsec']:g} arcsec"
    lines = [f"{counted(known['compared'], 'known object')}{where} compared: {tables}"]
    lines += [match["words"] for match in known["matches"]] or ["none has this ephemeris"]
    return lines + [text for text in (known["note"],) if text]


def unknown_lines(document: Document) -> list[str]:
    """What was not run, or ended in an error, and why; tests with one reason on one line."""
    together: dict[str, list[str]] = {}
    for finding in document["vetting"]:
        if finding["status"] in ("not_run", "error"):
            why = "ended in an error: " if finding["status"] == "error" else ""
            together.setdefault(why + note_text(finding["note"]), []).append(test_name(finding))
    told = {
        f"{test_name(finding)} {said}: {finding['note']}"
        for finding in document["vetting"]
        for said in ("was not run", "ended in an error")
    }
    rest = [
        reason["text"]
        for reason in document["verdict"]["reasons"]
        if reason["side"] == "unknown" and reason["text"] not in told
    ]
    return [f"{listed(names)}: {why}" for why, names in together.items()] + [note_text(text) for text in rest]


def reason_lines(document: Document, side: str) -> list[str]:
    """What speaks for the signal, against it, or is not known; the tests that passed on one line, by their names."""
    if side == "unknown":
        return unknown_lines(document)
    passed = [finding for finding in document["vetting"] if finding["status"] == "pass"]
    told = {f"{test_name(finding)} passed: {finding['note']}" for finding in passed}
    lines = [
        note_text(reason["text"])
        for reason in document["verdict"]["reasons"]
        if reason["side"] == side and reason["text"] not in told
    ]
    if side == "for" and passed:
        lines.append(f"{counted(len(passed), 'test')} passed: {listed([test_name(finding) for finding in passed])}")
    return lines


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


SHORT = {"false-positive probability": "FPP"}  # what is too long for the column of names


def decision_lines(document: Document) -> list[tuple[str, str]]:
    """Each opinion: whose it is, and what it says and why; then all together."""
    verdict = document["verdict"]
    lines = [
        (SHORT.get(one["source"], one["source"]), f"{one['says']}{_instead(one)}: {one['because']}")
        for one in verdict["opinions"]
    ]
    return [*lines, ("together", together_text(verdict))]


def _instead(opinion: Mapping[str, Any]) -> str:
    return f" ({opinion['called']})" if opinion["called"] else ""


def together_text(verdict: Mapping[str, Any]) -> str:
    """The one probability with its reserves, and who disagrees with whom."""
    together = verdict["together"]
    split = [" and ".join(pair["between"]) for pair in verdict["agreement"] if pair["agree"] is False]
    apart = f"; at odds: {', '.join(split)}" if split else ""
    if together["probability"] is None:
        return f"no probability: the prior of the score is not known{apart}"
    held = together["capped_by"]
    capped = f", held down as {' and '.join(name.replace('_', ' ') for name in held)} failed" if held else ""
    return (
        f"planet probability {together['probability']:.3f} for a prior of {together['prior']:.3g} from "
        f"{', '.join(together['weighed'])}{capped} (calibrated on {together['calibrated_on']}){apart}"
    )


def reference_text(document: Document) -> str:
    """How often the decision by the light curve was right about signals like this one, simulated."""
    found = document["verdict"]["flux"]["references"]
    if found is None:
        return "how often this decision is right was not counted at this S/N and period"
    low, high = found["snr"]
    strength = f"S/N over {low:g}" if high is None else f"S/N {low:g} to {high:g}"
    shares = [found[name] for name in ("completeness", "effectiveness")]
    kept, refused = (
        "none was made" if one["share"] is None else f"{one['share']:.1%} of {one['number']}" for one in shares
    )
    first, last = found["period_days"]
    return (
        f"on simulated stars, {strength}, period {first:g} to {last:g} d: "
        f"planets kept {kept}; false alarms refused {refused}"
    )


def variability_text(document: Document) -> str:
    """What the star does of itself, in a line."""
    block = document["variability"]
    if block["status"] != "done":
        return f"{SYMBOLS[block['status']][1].lower()}: {note_text(block['reason'])}"
    best = sorted(block["probabilities"].items(), key=lambda item: -item[1])
    said = ", ".join(f"{STARS[name]} {value:.0%}" for name, value in best[:2] if value >= 0.05)
    if block["period_days"] is not None:
        said += f"; wave of {measured(block['period_days'], block['period_days_err'], 'd')}"
    return f"{said} (learnt from simulated stars)"


def validation_text(block: Mapping[str, Any]) -> str:
    """The false-positive probability with its error, in a line."""
    if block["status"] in ("not_run", "error"):
        return f"{SYMBOLS[block['status']][1].lower()}: {block['reason']}"

    def one(name: str) -> str:
        value, error = block[name], block[f"{name}_err_dex"]
        if value is None:
            return f"{name.upper()} {UNKNOWN}"
        return f"{name.upper()} {value:.2g}" + ("" if error is None else f" ± {error:.2f} dex")

    said = f"{one('fpp')}, {one('nfpp')}"
    if block["band"] is not None:
        said += f": {BANDS[block['band']]}"
    return said + (f" ({block['reason']})" if block["reason"] else "")


def made_by(document: Document) -> str:
    """What made the evidence: versions, then the fingerprint of the model. Nothing that changes from run to run."""
    versions = ", ".join(f"{name} {value}" for name, value in document["run"]["versions"].items())
    model, schema = document["score"]["model_sha256"][:12], document["schema"]["version"]
    drawn = (("fit", document["fit"]), ("FPP", document["validation"].get("inputs", {})))
    seeds = [f"seed of the {name} {block['seed']}" for name, block in drawn if "seed" in block]
    return "; ".join([versions or "versions unknown", f"model {model}", f"evidence schema {schema}", *seeds])


def notes_of(document: Document) -> list[str]:
    """What the search and the fold want a person to know."""
    return [note_text(note) for note in (*document["search"]["notes"], *document["views"]["notes"])]
