"""Whether two ephemerides are of one thing, and which signals of a sector are one event seen in many stars.

Errors are carried over the years between: an error of 1.5e-5 d in the period is half an hour after 1,500 orbits. Where
that leaves a phase unknown, it is said to be unknown, not to agree.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammainc, ndtri_exp

from pipeline.types import Floats, Integers

LIMIT = 18.42  # chi-square of period and phase together that one true match in 10,000 exceeds
MOST_CHANCE = 0.01  # of unrelated ephemerides may agree; where more would, agreeing says nothing
TELLING = 0.25  # of the period: where the phase is known no better to either side, it says nothing
DENSITY = 0.5  # of all periods lie within a factor e, at most: assumed, and more than in any catalogue of them
PERIOD_ERR = 1e-4  # of the period, where no error is given: what one sector gives
EPOCH_ERR = 0.02  # days, where neither an error nor a duration is given; with a duration, half of that
UNDERSTATED = (
    2.0  # published errors are taken so many times: of 2,314 TOIs of 2019 one in ten has moved by more by 2025
)
WANDER = 0.1  # of our duration: transit times wander, and a binary's minimum need not be its middle
CLOSE = 1e-3  # of the period: differing by less, beyond the errors, two periods may still be one
CLOCK = 8e-4  # days: catalogues count in UTC or TDB, of the sun or of the barycentre, and not all say so

RATIOS = ((1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2))  # our period to the other's, simplest first
RATIO_WORDS = {
    (1, 1): "the same period", (1, 2): "half its period", (2, 1): "twice its period", (1, 3): "a third of its period",
    (3, 1): "three times its period", (2, 3): "two thirds of its period", (3, 2): "one and a half times its period",
}  # fmt: skip


class Agreement(StrEnum):
    """What comparing two ephemerides comes to."""

    MATCH = "match"
    NO_MATCH = "no_match"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ephemeris:
    """When something dips; None is unknown."""

    period: float | None  # days
    epoch: float | None  # BTJD of the centre of a dip
    period_err: float | None = None  # days
    epoch_err: float | None = None  # days
    duration: float | None = None  # days


@dataclass(frozen=True, slots=True)
class Match:
    """What came of comparing a signal with another ephemeris."""

    status: Agreement
    words: str  # what was found, as a part of a sentence
    ratio: tuple[int, int] | None = None  # our period to the other's; None where no simple ratio holds
    at: float | None = None  # phase of the other ephemeris at which ours is compared: 0, or 0.5 for its second eclipse
    cycles: int | None = None  # of the shortest common period, between the two epochs
    period_sigma: float | None = None  # by how many errors the periods differ
    offset: float | None = None  # of the epochs, in the shortest common period, -0.5..0.5
    offset_err: float | None = None  # the same unit, errors carried over the cycles between
    sigma: float | None = None  # of period and phase together, as of one normal number
    chance: float | None = None  # that an unrelated ephemeris agrees as well, in any of the ratios
    assumed: tuple[str, ...] = ()  # errors that were not given


@dataclass(frozen=True, slots=True)
class _Trial:
    """Two ephemerides under one ratio."""

    ratio: tuple[int, int]
    at: float
    cycles: int | None
    apart: float  # the periods, of the shortest common one
    period_chi: float
    offset: float | None  # days
    offset_err: float | None  # days
    unit: float  # days, the shortest common period
    chance: float

    @property
    def telling(self) -> bool:
        """Whether the phase is known well enough to say anything."""
        return self.offset_err is not None and math.sqrt(LIMIT) * self.offset_err <= TELLING * self.unit

    @property
    def chi(self) -> float:
        if not self.telling or self.offset is None or self.offset_err is None:
            return self.period_chi
        return self.period_chi + (self.offset / self.offset_err) ** 2


def compare(signal: Ephemeris, other: Ephemeris, *, secondary: bool = False) -> Match:
    """Compare a signal with an ephemeris of a catalogue, in all simple ratios of their periods.

    Parameters
    ----------
    signal : Ephemeris
        Ours; its period and epoch are known.
    other : Ephemeris
    secondary : bool
        Also at half its period: the other is a binary, of which we may have found the second eclipse.

    Returns
    -------
    Match
        ``match`` where period and phase agree, and hardly one unrelated ephemeris in ``1 / MOST_CHANCE`` would;
        ``no_match`` where one of them differs by more than the errors allow; else ``unknown``.

    Raises
    ------
    ValueError
        If the signal has no period or no epoch.

    Notes
    -----
    If both are of one thing, the best guess of its period is the weighted mean of the two, with which the epochs are
    compared: what is left of period and phase is a chi-square of two degrees. A missing error is assumed, and said to
    be: 1e-4 of the period, half a duration (or 0.02 d) of the epoch; the other's are doubled, for published errors
    are too small as a rule, and our transits may wander by a tenth of their duration. The chance supposes that
    unrelated epochs are uniform, and that no more than half of all periods lie within a factor e of ours.
    """
    if not (_good(signal.period) and signal.epoch is not None and math.isfinite(signal.epoch)):
        raise ValueError(f"a signal has a period and an epoch, not {signal.period} and {signal.epoch}")
    if not _good(other.period):
        return Match(Agreement.UNKNOWN, "its period is not known")
    assumed: list[str] = []
    ours, theirs = _errors(signal, "our", assumed), _errors(other, "its", assumed, UNDERSTATED)
    ours = ours[0], math.hypot(ours[1], WANDER * (signal.duration or 0.0))
    trials = [
        _try(signal, other, ours, theirs, ratio, at)
        for ratio in RATIOS
        for at in ((0.0, 0.5) if secondary and ratio == (1, 1) else (0.0,))
    ]
    chance = min(1.0, sum(trial.chance for trial in trials))
    agreeing = [trial for trial in trials if trial.period_chi <= LIMIT]
    if not agreeing:
        close = [trial for trial in trials if max(trial.ratio) <= 2 and trial.apart <= CLOSE]
        if close:
            best = min(close, key=lambda trial: trial.apart)
            words = f"nearly {RATIO_WORDS[best.ratio]}: {best.apart:.2%} from it, more than the errors allow"
            return _told(Agreement.UNKNOWN, words, best, chance, assumed)
        nearest = min(trials, key=lambda trial: trial.period_chi)
        return _told(Agreement.NO_MATCH, "another period", nearest, chance, assumed)
    matching = [trial for trial in agreeing if trial.telling and trial.chi <= LIMIT]
    if matching:
        best = matching[0]
        words = RATIO_WORDS[best.ratio] + (" and phase" if best.at == 0 else ", at its second eclipse")
        if chance <= MOST_CHANCE:
            return _told(Agreement.MATCH, words, best, chance, assumed)
        words += f"; but so coarse are the errors that {chance:.1%} of unrelated ephemerides would agree"
        return _told(Agreement.UNKNOWN, words, best, chance, assumed)
    blind = [trial for trial in agreeing if not trial.telling]
    if blind:
        best = blind[0]
        words = RATIO_WORDS[best.ratio]
        if best.offset_err is None:
            words += "; it has no epoch to compare"
        else:
            words += (
                f"; the ephemeris is too old for its phase, which after {abs(best.cycles or 0):,} cycles is known to "
                f"{best.offset_err * 24:.1f} h only"
            )
        return _told(Agreement.UNKNOWN, words, best, chance, assumed)
    best = min(agreeing, key=lambda trial: trial.chi)
    share = (best.offset or 0.0) / best.unit
    return _told(
        Agreement.NO_MATCH, f"{RATIO_WORDS[best.ratio]}, but at another phase ({share:+.3f})", best, chance, assumed
    )


def _good(period: float | None) -> bool:
    return period is not None and math.isfinite(period) and period > 0


def _errors(ephemeris: Ephemeris, whose: str, assumed: list[str], times: float = 1.0) -> tuple[float, float]:
    """The errors of period and epoch, days, ``times`` what is given; what is not given is assumed, and named."""
    period_err, epoch_err, duration = ephemeris.period_err, ephemeris.epoch_err, ephemeris.duration
    if period_err is not None and _good(period_err):
        period_err *= times
    else:
        period_err = PERIOD_ERR * float(ephemeris.period or 0.0)
        assumed.append(f"{whose} period's error, {PERIOD_ERR:g} of it")
    if epoch_err is not None and _good(epoch_err):
        epoch_err *= times
    else:
        epoch_err = 0.5 * duration if duration is not None and _good(duration) else EPOCH_ERR
        if ephemeris.epoch is not None:
            assumed.append(f"{whose} epoch's error, {epoch_err * 24:.1f} h")
    return period_err, math.hypot(epoch_err, CLOCK)


def _try(
    signal: Ephemeris,
    other: Ephemeris,
    ours: tuple[float, float],
    theirs: tuple[float, float],
    ratio: tuple[int, int],
    at: float,
) -> _Trial:
    """Compare under one ratio: our period is ``ratio[0]`` common periods, the other's ``ratio[1]``."""
    assert signal.period is not None
    assert signal.epoch is not None
    assert other.period is not None
    mine, its = signal.period / ratio[0], other.period / ratio[1]
    mine_var, its_var = (ours[0] / ratio[0]) ** 2, (theirs[0] / ratio[1]) ** 2
    unit = (mine / mine_var + its / its_var) / (1 / mine_var + 1 / its_var)
    unit_var = 1 / (1 / mine_var + 1 / its_var)
    difference_var = mine_var + its_var
    period_chi = (mine - its) ** 2 / difference_var
    apart = abs(mine - its) / unit
    reach = math.sqrt(LIMIT)
    chance = min(1.0, 2 * reach * math.sqrt(difference_var) / unit * DENSITY)
    if other.epoch is None or not math.isfinite(other.epoch):
        return _Trial(ratio, at, None, apart, period_chi, None, None, unit, chance)
    since = signal.epoch - (other.epoch + at * other.period)
    cycles = round(since / unit)
    offset_err = math.sqrt(ours[1] ** 2 + theirs[1] ** 2 + cycles**2 * unit_var)
    chance *= min(1.0, 2 * reach * offset_err / unit)
    return _Trial(ratio, at, cycles, apart, period_chi, since - cycles * unit, offset_err, unit, chance)


def _told(status: Agreement, words: str, trial: _Trial, chance: float, assumed: Sequence[str]) -> Match:
    """The comparison of the trial that says most; of periods that differ, no more than by how much."""
    related = trial.period_chi <= LIMIT
    offset, offset_err = trial.offset, trial.offset_err
    return Match(
        status,
        words,
        trial.ratio if related else None,
        trial.at if related else None,
        trial.cycles if related else None,
        math.sqrt(trial.period_chi),
        offset / trial.unit if related and offset is not None else None,
        offset_err / trial.unit if related and offset_err is not None else None,
        float(-ndtri_exp(-0.5 * trial.chi - math.log(2.0))) if related and trial.telling else None,
        chance,
        tuple(assumed),
    )


# ------------------------------------------------------------------------------------------------ many stars

SHARED_CHANCE = 0.01  # share of what is told of a sector that is told by chance
NEAR = 210.0  # arcsec, ten pixels: so far reaches the light of a bright star
CCD_AREA = 12.0**2 * 3600.0**2  # square arcsec
CROWDING = 10.0  # stars with signals may stand so much closer than evenly spread: assumed
COARSEST = 0.02  # of the period: an ephemeris known no better is compared with none
PAIR_RATIOS = (1.0, 0.5, 2.0, 1.0 / 3.0, 3.0)  # periods of two stars that see one thing
FEW = 5  # transits: signals with no more are asked whether each fell when much else did
TOGETHER = 0.15  # days, the width of the window in which dips of many stars are one event


@dataclass(frozen=True, slots=True, eq=False)
class SeenSignals:
    """Signals of many stars, one a row."""

    star: Integers  # (n,) any number that is the star's own
    period: Floats  # (n,) days
    epoch: Floats  # (n,) BTJD of the first transit seen
    period_err: Floats  # (n,) days; NaN is unknown
    epoch_err: Floats  # (n,) days; NaN is unknown
    duration: Floats  # (n,) days
    depth: Floats  # (n,) fraction
    transits: Integers  # (n,) transits with data; 0 is unknown
    ra: Floats  # (n,) degrees; NaN is unknown
    dec: Floats  # (n,) degrees
    detectors: tuple[tuple[tuple[int, int, int], ...], ...]  # n times (sector, camera, CCD); empty is unknown


@dataclass(frozen=True, slots=True)
class Shared:
    """What one signal has in common with those of other stars."""

    row: int  # of the signal
    kind: str  # "ephemeris": one event or binary seen in many stars; "times": its dips fall when much else dips
    stars: int  # that share it, this one included
    source: int | None  # row of the deepest, of which the others may be contaminated; of an ephemeris only
    ratio: float | None  # its period over that of the source
    separation: float | None  # arcsec from the source; None where a position is unknown
    chance: float  # share of unrelated ones among signals that look so; or, of times, that this one looks so


def shared(seen: SeenSignals) -> list[Shared]:
    """Find the signals of a hunt that are one event or one binary seen in many stars of a sector.

    Parameters
    ----------
    seen : SeenSignals, n signals
        Without harmonics of stronger signals of the same star; those without a detector are compared with none.

    Returns
    -------
    list of Shared
        In order of row, one of a row at most. Stars on one CCD of one sector whose periods are equal, or as 1 to 2 or
        3, and whose dips fall together, form a family; the deepest dip is nearest to the source. Signals of few
        transits, each of which fell when many stars of the camera dipped, are scattered light or a jolt of the
        spacecraft.

    Notes
    -----
    Coughlin et al. (2014, AJ 147, 119) matched the periods and epochs of the Kepler candidates likewise. Here the
    errors set the window, and a family stands on how many agreeing stars, anywhere on the CCD or within ten pixels,
    unrelated signals would find: of all that is told of a sector one in a hundred is told by chance, and in ninety-nine
    sectors of a hundred without any family none is told. The density of periods is the measured one.
    """
    families = _ephemeris_families(seen)
    told = {item.row for item in families}
    return sorted([*families, *(item for item in _pile_ups(seen) if item.row not in told)], key=lambda item: item.row)


def _ephemeris_families(seen: SeenSignals) -> list[Shared]:
    period_err, epoch_err = _measured_errors(seen)
    relative = period_err / seen.period
    first, second, chance = _pairs(seen, relative, epoch_err)
    if not first.size:
        return []
    number, crowd = seen.star.size, _neighbours_on_detector(seen)
    separation = angle(seen.ra[first], seen.dec[first], seen.ra[second], seen.dec[second])
    near = separation <= NEAR  # False where a position is unknown
    tail = np.ones(number)  # the chance that an unrelated signal meets as many
    for some, share in ((np.ones(first.size, np.bool_), 1.0), (near, CROWDING * np.pi * NEAR**2 / CCD_AREA)):
        stars, widest = np.zeros(number), np.zeros(number)
        for one, other in ((first, second), (second, first)):
            met = {*zip(one[some].tolist(), seen.star[other[some]].tolist(), strict=True)}
            np.add.at(stars, [row for row, _ in met], 1.0)
            np.maximum.at(widest, one[some], chance[some])
        found = stars > 0
        expected = crowd[found] * min(share, 1.0) * widest[found]
        # two ways to look
        tail[found] = np.minimum(tail[found], 2.0 * gammainc(stars[found], np.maximum(expected, 1e-300)))
    stands = _false_share(tail, seen.detectors)
    holds = (stands[first] <= SHARED_CHANCE) & (stands[second] <= SHARED_CHANCE)
    return [item for family in _families(first[holds], second[holds]) for item in _family(seen, family, stands)]


def _false_share(tail: Floats, detectors: Sequence[Sequence[tuple[int, int, int]]]) -> Floats:
    """What share of a sector's signals would be unrelated, if all with such a tail or a smaller one were told, (n,).

    After Benjamini & Hochberg (1995): where nothing is related, the chance that anything at all is told.
    """
    sectors: dict[int, list[int]] = {}
    for row, places in enumerate(detectors):
        for sector in {place[0] for place in places}:
            sectors.setdefault(sector, []).append(row)
    share = np.ones(tail.size)
    for rows in sectors.values():
        order = np.array(rows)[np.argsort(tail[rows])]
        rate = tail[order] * order.size / np.arange(1, order.size + 1)
        share[order] = np.minimum(share[order], np.minimum.accumulate(rate[::-1])[::-1])
    return share


def _family(seen: SeenSignals, family: list[int], stands: Floats) -> list[Shared]:
    """One family, the deepest its source."""
    source = max(family, key=lambda row: (seen.depth[row], -row))
    stars = len({int(seen.star[row]) for row in family})
    chance = float(min(stands[row] for row in family))
    away = angle(seen.ra[family], seen.dec[family], seen.ra[source], seen.dec[source])
    return [
        Shared(
            row, "ephemeris", stars, source, float(seen.period[row] / seen.period[source]),
            None if math.isnan(distance) else float(distance), chance,
        )
        for row, distance in zip(family, away, strict=True)
    ]  # fmt: skip


def _measured_errors(seen: SeenSignals) -> tuple[Floats, Floats]:
    """Errors of period and epoch with what is unknown assumed, and no better than the clock of one CCD."""
    epoch_err = np.hypot(np.where(seen.epoch_err > 0, seen.epoch_err, 0.25 * seen.duration), CLOCK)
    between = np.maximum(seen.transits - 1, 1)
    unknown = math.sqrt(2.0) * epoch_err / between
    return np.hypot(np.where(seen.period_err > 0, seen.period_err, unknown), CLOCK / between), epoch_err


def _pairs(seen: SeenSignals, relative: Floats, epoch_err: Floats) -> tuple[Integers, Integers, Floats]:
    """All pairs of stars on one detector whose ephemerides agree, each once, with the chance that two would."""
    usable = relative < COARSEST
    codes: dict[tuple[int, int, int], int] = {}
    where = [
        (row, codes.setdefault(detector, len(codes)))
        for row in np.flatnonzero(usable).tolist()
        for detector in seen.detectors[row]
    ]
    none = np.zeros(0, np.int64)
    if len(where) < 2:
        return none, none, np.zeros(0)
    row, code = np.array(where, dtype=np.int64).T
    log_period = np.log(seen.period)
    apart = float(np.ptp(log_period[row])) + 10.0  # detectors lie so far apart on one axis of periods
    key = code * apart + log_period[row]
    order = np.argsort(key)
    row, key = row[order], key[order]
    density = _density(log_period[usable])
    found: list[tuple[Integers, Integers]] = []
    chances: list[Floats] = []
    for ratio in PAIR_RATIOS:
        # each asks for those that are known no worse than it is, so that its own error sets the window
        half = math.sqrt(2.0 * LIMIT) * relative[row]
        low = np.searchsorted(key, key - math.log(ratio) - half)
        high = np.searchsorted(key, key - math.log(ratio) + half, side="right")
        size = high - low
        one = np.repeat(np.arange(row.size), size)
        two = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size) + np.repeat(low, size)
        a, b = row[one], row[two]
        better = (relative[b] < relative[a]) | ((relative[b] == relative[a]) & (b < a))
        a, b = a[better & (seen.star[a] != seen.star[b])], b[better & (seen.star[a] != seen.star[b])]
        a, b = np.unique(np.stack([a, b]), axis=1)  # they may share several sectors
        unit_a, unit_b = seen.period[a] * min(1.0, 1.0 / ratio), seen.period[b] * min(1.0, ratio)
        var_a, var_b = (relative[a] * unit_a) ** 2, (relative[b] * unit_b) ** 2
        unit = (unit_a / var_a + unit_b / var_b) / (1 / var_a + 1 / var_b)
        since = seen.epoch[a] - seen.epoch[b]
        cycles = np.round(since / unit)
        offset_var = epoch_err[a] ** 2 + epoch_err[b] ** 2 + cycles**2 / (1 / var_a + 1 / var_b)
        chi = (unit_a - unit_b) ** 2 / (var_a + var_b) + (since - cycles * unit) ** 2 / offset_var
        agree = (chi <= LIMIT) & (np.sqrt(LIMIT * offset_var) <= TELLING * unit)
        area = np.pi * LIMIT * np.sqrt((var_a + var_b) * offset_var) / unit**2
        found.append((a[agree], b[agree]))
        chances.append((len(PAIR_RATIOS) * density(log_period[b]) * area)[agree])
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found]), np.concatenate(chances)


def _density(log_period: Floats, half: float = 0.25) -> Callable[[Floats], Floats]:
    """The share of periods in a factor e, as measured around each; nowhere less than a twentieth."""
    ordered = np.sort(log_period)

    def density(at: Floats) -> Floats:
        inside = np.searchsorted(ordered, at + half, side="right") - np.searchsorted(ordered, at - half)
        return np.maximum(inside / (ordered.size * 2 * half), 0.05)

    return density


def _neighbours_on_detector(seen: SeenSignals) -> Floats:
    """With how many signals each shares a detector, (n,)."""
    counts: dict[tuple[int, int, int], int] = {}
    for detectors in seen.detectors:
        for detector in detectors:
            counts[detector] = counts.get(detector, 0) + 1
    return np.array([float(sum(counts[d] for d in detectors)) for detectors in seen.detectors])


def _families(first: Integers, second: Integers) -> list[list[int]]:
    """What hangs together, each family in order of row."""
    root: dict[int, int] = {}

    def find(row: int) -> int:
        root.setdefault(row, row)
        while root[row] != row:
            root[row] = row = root[root[row]]
        return row

    for one, two in zip(first.tolist(), second.tolist(), strict=True):
        a, b = find(one), find(two)
        root[max(a, b)] = min(a, b)
    families: dict[int, list[int]] = {}
    for row in sorted(root):
        families.setdefault(find(row), []).append(row)
    return list(families.values())


def _pile_ups(seen: SeenSignals) -> list[Shared]:
    """Signals of few transits, all of which fell when many stars of their camera dipped."""
    by_camera: dict[tuple[int, int], list[int]] = {}
    for row, detectors in enumerate(seen.detectors):
        if len(detectors) == 1 and 2 <= seen.transits[row] <= FEW:  # of longer series the sector's span is not known
            by_camera.setdefault(detectors[0][:2], []).append(row)
    return [item for _, rows in sorted(by_camera.items()) for item in _piled(seen, np.array(rows))]


def _piled(seen: SeenSignals, rows: Integers) -> list[Shared]:
    """Those of one camera in one sector."""
    begin = float(seen.epoch[rows].min())
    end = float((seen.epoch[rows] + (seen.transits[rows] - 1) * seen.period[rows]).max())
    each = np.maximum(np.floor((end - seen.epoch[rows]) / seen.period[rows] + 1e-6).astype(np.int64) + 1, 1)
    owner = np.repeat(np.arange(rows.size), each)
    number = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
    time = seen.epoch[rows][owner] + number * seen.period[rows][owner]
    order = np.argsort(time)
    ordered = time[order]
    low = np.searchsorted(ordered, ordered - TOGETHER / 2)
    high = np.searchsorted(ordered, ordered + TOGETHER / 2, side="right")
    stars = seen.star[rows][owner][order]
    together = np.array([np.unique(stars[a:b]).size - 1 for a, b in zip(low, high, strict=True)])  # without itself
    expected = time.size * TOGETHER / max(end - begin, TOGETHER)
    # the chance of as many elsewhere in the sector, for each window that was looked at
    crowded = time.size * gammainc(np.maximum(together, 1), expected) <= SHARED_CHANCE
    crowded &= together > 0
    inside = np.zeros(time.size, np.bool_)
    inside[order] = crowded
    beside = np.zeros(time.size, np.int64)
    beside[order] = together
    hits = np.bincount(owner, inside)
    # of a line of time, so much is crowded: the chance that every transit of an unrelated signal falls there
    share = min(1.0, _covered(ordered[crowded]) / max(end - begin, TOGETHER))
    chance = share**each
    return [
        Shared(int(rows[place]), "times", int(beside[owner == place].min()) + 1, None, None, None, float(chance[place]))
        for place in np.flatnonzero((hits == each) & (chance <= SHARED_CHANCE))
    ]


def _covered(times: Floats) -> float:
    """How much of the line of time lies within half a window of these, days."""
    if not times.size:
        return 0.0
    return float(np.minimum(np.diff(times), TOGETHER).sum() + TOGETHER)


def angle(ra: ArrayLike, dec: ArrayLike, other_ra: ArrayLike, other_dec: ArrayLike) -> Floats:
    """The angle between positions on the sky, arcsec, from positions in degrees; NaN where one is unknown."""
    ra, dec, other_ra, other_dec = (np.radians(np.asarray(x, np.float64)) for x in (ra, dec, other_ra, other_dec))
    half = np.sin((dec - other_dec) / 2) ** 2 + np.cos(dec) * np.cos(other_dec) * np.sin((ra - other_ra) / 2) ** 2
    separation: Floats = np.degrees(2 * np.arcsin(np.sqrt(np.minimum(half, 1.0)))) * 3600.0
    return separation
