"""What a star does of itself: the class of its variability with probabilities, its period, its flares.

The undetrended twin is cut into pieces as long as a sector. Each is put on an even grid, where the Lomb-Scargle
spectrum with a floating mean (Zechmeister & Kuerster 2009, A&A 496, 577) is exact and takes two Fourier transforms; its
strongest waves, the fold at the strongest one and at twice its period, the autocorrelation (McQuillan, Aigrain & Mazeh
2013, MNRAS 432, 1203) and the dips below a running median become some sixty numbers, and a small network of constant
weights (`pipeline.variability_weights`, made by ``benchmarks/variability.py train``) turns these into probabilities. It
has learnt from SIMULATED stars alone.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from pipeline.types import Booleans, CleanedLightCurve, Floats, Integers, LightCurve, Star

VERSION = 1

CLASSES = (
    "eb_detached", "eb_contact", "rotation", "delta_scuti", "gamma_doradus", "rr_lyrae_cepheid", "quiet",
)  # fmt: skip
LEARNT = "trained on simulation; not trained on real labels"
LEAST_DAYS = 10.0  # with data; with fewer nothing is said
LONGEST_PIECE = 30.0  # days: a sector, on which the weights were learnt
SHORTEST_PIECE = 5.0  # days with data
PAUSE = 5.0  # days without data that end a piece
MOST_PIECES = 6  # evenly picked where there are more: the answer would not change, the time would
STEP = 10 / 1440  # days; faster cadences are averaged to this
FASTEST = 72.0  # cycles a day, of the even grid of 10 minutes
WAVES = 4  # taken off one after another
PHASES = 40  # bins of a fold
DIP_STEP = 30 / 1440  # days
DIP_WINDOW = 49  # steps of a running median, a day
ALIKE = 0.1  # periods of the two methods that differ by less agree
FLARE_APART = 0.03  # days; cut cadences closer than this are one flare
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Variability:
    """What one star does of itself."""

    kind: str | None  # the most probable of ``CLASSES``; None with the reason in ``note``
    probabilities: dict[str, float] = field(default_factory=dict)  # of every class; they sum to 1
    period: float | None = None  # days, of the strongest wave; None where none stands over the noise, or all is quiet
    period_err: float | None = None  # days
    autocorrelation_period: float | None = None  # days; None without a peak
    agree: bool | None = None  # whether the two periods are alike; None where one is unknown
    amplitude: float | None = None  # of the flux from its 5th to its 95th percentile, fraction, noise included
    flares: int | None = None  # None where it is not known what was cut, or the star's own rise is as steep
    flares_per_day: float | None = None
    days: float = 0.0  # with data
    note: str = ""  # a sentence a person can check, or why nothing is said


def classify(cleaned: CleanedLightCurve, star: Star = Star()) -> Variability:
    """Say what a star does of itself.

    Parameters
    ----------
    cleaned : CleanedLightCurve, n cadences
        ``raw`` is looked at, each of whose segments has been divided by its median: waves much longer than a segment
        are gone. Flares are counted among the cadences that cleaning cut.
    star : Star
        Its temperature helps where it is known.

    Returns
    -------
    Variability
        ``kind`` is None with fewer than ``LEAST_DAYS`` days of data, and the note begins with "few_days".

    Notes
    -----
    A dip that a planet can make is no binary here: binaries were drawn 2 or 3 % deep at least, planets up to that.
    Periods over half a piece are not told, and of a wave with two equal humps the Lomb-Scargle period is half.
    """
    raw = cleaned.raw
    exposure = float(np.median(cleaned.exposure)) if len(raw) else 0.0
    days = float(cleaned.exposure.sum())
    flares = count_flares(cleaned.flares, exposure)
    rate = None if flares is None or days <= 0 else flares / days
    pieces = split(raw, cleaned.exposure) if days >= LEAST_DAYS else []
    if not pieces:
        note = f"few_days: {days:.1f} days with data, {LEAST_DAYS:g} are needed in pieces of {SHORTEST_PIECE:g}"
        return Variability(None, flares=flares, flares_per_day=rate, days=days, note=note)
    series = [Series(raw.time[piece], raw.flux[piece], exposure) for piece in pieces]
    chances = _softmax(np.mean([np.log(opinion(measure(one), star.teff) + TINY) for one in series], axis=0))
    probabilities = {name: round(float(chance), 6) for name, chance in zip(CLASSES, chances, strict=True)}
    kind = CLASSES[int(np.argmax(chances))]
    period, error = strongest_period(series) if kind != "quiet" else (None, None)
    repeat = None if period is None else autocorrelation_period(series, period)
    if kind == "rr_lyrae_cepheid":  # cleaning takes the steep rise of a pulsation for flares
        flares = rate = None
    agree = None if period is None or repeat is None else abs(repeat / period - 1) < ALIKE
    amplitude = float(np.median([np.ptp(np.quantile(one.flux, (0.05, 0.95))) for one in series]))
    found = Variability(kind, probabilities, period, error, repeat, agree, amplitude, flares, rate, days)
    return Variability(**{name: getattr(found, name) for name in found.__slots__ if name != "note"}, note=_told(found))


def _told(found: Variability) -> str:
    """The sentence of a result."""
    likely = sorted(found.probabilities.items(), key=lambda item: -item[1])[:2]
    parts = [", ".join(f"{name} {chance:.2f}" for name, chance in likely)]
    if found.period is not None:
        text = f"period {found.period:.4g} +- {found.period_err:.1g} d"
        if found.autocorrelation_period is not None:
            same = "agrees" if found.agree else "differs"
            text += f" (autocorrelation {found.autocorrelation_period:.4g} d {same})"
        parts.append(text)
    parts.append(f"amplitude {1e6 * (found.amplitude or 0.0):.0f} ppm")
    if found.flares is not None:
        parts.append(f"{found.flares} flares in {found.days:.1f} d")
    return f"{'; '.join(parts)}; {LEARNT}"


def split(raw: LightCurve, exposure: Floats) -> list[Integers]:
    """Cut a light curve into pieces no longer than a sector: the places of their cadences, in order of time.

    Pieces with less than ``SHORTEST_PIECE`` days of data are left out; of more than ``MOST_PIECES`` some are picked.
    """
    pieces: list[Integers] = []
    edges = np.flatnonzero(np.diff(raw.time) > PAUSE) + 1
    for part in np.split(np.arange(len(raw)), edges):
        if part.size == 0:
            continue
        since = raw.time[part] - raw.time[part[0]]
        number = max(1, math.ceil(float(since[-1]) / LONGEST_PIECE))
        which = np.minimum((since / (since[-1] + TINY) * number).astype(np.int64), number - 1)
        pieces += [part[which == k] for k in range(number)]
    pieces = [piece for piece in pieces if exposure[piece].sum() >= SHORTEST_PIECE]
    if len(pieces) > MOST_PIECES:
        pieces = [pieces[k] for k in np.linspace(0, len(pieces) - 1, MOST_PIECES).round().astype(int)]
    return pieces


class Series:
    """One piece on an even grid with holes, and the sums over its window that any spectrum of it needs.

    Parameters
    ----------
    time : (n,) days, increasing
    flux : (n,) relative
    exposure : float
        Days; grids are no finer.
    """

    def __init__(self, time: Floats, flux: Floats, exposure: float) -> None:
        self.step = max(STEP, exposure)
        slot = np.rint((time - time[0]) / self.step).astype(np.int64)
        count = np.bincount(slot)
        self.slot: Integers = np.flatnonzero(count)
        binned = np.bincount(slot, flux)[self.slot] / count[self.slot]
        self.flux: Floats = binned - np.median(binned)
        self.time: Floats = np.float64(self.step) * self.slot.astype(np.float64)  # (m,) days from the beginning
        self.span = float(self.time[-1]) + self.step
        bend = flux[1:-1] - 0.5 * (flux[:-2] + flux[2:])
        white = 1.4826 * math.sqrt(2 / 3) * float(np.median(np.abs(bend))) if bend.size else 0.0
        self.noise = max(white / math.sqrt(flux.size / self.slot.size), TINY)  # of one bin

        size = 1 << math.ceil(math.log2(7 * LONGEST_PIECE / self.step))
        fastest = min(FASTEST, 0.49 / exposure if exposure > 0 else FASTEST)
        place = np.arange(
            math.ceil(size * self.step / self.span), int(size * self.step * min(fastest, 0.49 / self.step))
        )
        self.frequency: Floats = place / (size * self.step)  # (k,) cycles a day, from one in the whole piece
        self._size, self._place = size, place
        window = self._transform(np.full(self.slot.size, 1.0), full=True)
        c, s, double = window[place].real, -window[place].imag, window[2 * place % size]
        self._cc, self._ss = 0.5 * (1 + double.real) - c * c, 0.5 * (1 - double.real) - s * s
        self._cs = -0.5 * double.imag - c * s
        self._window = window

    def _transform(self, values: Floats, full: bool = False) -> np.ndarray:
        grid = np.zeros(self._size)
        grid[self.slot] = values / self.slot.size
        return np.fft.fft(grid) if full else np.fft.rfft(grid)

    def spectrum(self, values: Floats) -> Floats:
        """Share of the variance that a wave of each frequency explains, (k,)."""
        centred = values - values.mean()
        transform = self._transform(centred)[self._place]
        yc, ys = transform.real, -transform.imag
        area = self._cc * self._ss - self._cs**2
        explained = self._ss * yc**2 + self._cc * ys**2 - 2 * self._cs * yc * ys
        scale = area * max(float(np.mean(centred**2)), TINY**2)
        return np.where(area > 1e-4, explained / np.where(area > 1e-4, scale, 1.0), 0.0)

    def wave(self, values: Floats, frequency: float) -> tuple[float, Floats]:
        """Semi-amplitude of the best wave of one frequency, and the wave, (m,)."""
        angle = 2 * np.pi * frequency * self.time
        columns = np.stack([np.cos(angle), np.sin(angle), np.ones_like(angle)], axis=1)
        found = np.linalg.lstsq(columns.T @ columns, columns.T @ values, rcond=1e-10)[0]
        return float(np.hypot(found[0], found[1])), columns @ found

    def autocorrelation(self) -> tuple[Floats, Floats]:
        """Autocovariance summed over the pairs of each lag, and their number; lags in steps to half the span."""
        lags = int(0.5 * self.span / self.step) + 1
        centred = self._transform(self.flux - self.flux.mean())
        half = self._window[: centred.size]
        scale = self.slot.size**2
        pairs = np.fft.irfft(np.abs(half) ** 2)[:lags] * scale
        return np.fft.irfft(np.abs(centred) ** 2)[:lags] * scale, pairs

    def fold(self, period: float) -> tuple[Floats, float]:
        """Mean flux in each of ``PHASES`` bins, and the variance left within them."""
        place = np.minimum((self.time / period % 1.0 * PHASES).astype(np.int64), PHASES - 1)
        count = np.bincount(place, minlength=PHASES)
        mean = np.bincount(place, self.flux, minlength=PHASES) / np.maximum(count, 1)
        within = float(np.sum((self.flux - mean[place]) ** 2)) / max(self.flux.size - int((count > 0).sum()), 1)
        if (count == 0).any():
            mean = np.interp(np.arange(PHASES), np.flatnonzero(count), mean[count > 0], period=PHASES)
        return mean, within


def peak(power: Floats, frequency: Floats, at: int) -> float:
    """Frequency of a peak, by a parabola through three points."""
    if not 0 < at < power.size - 1:
        return float(frequency[at])
    left, middle, right = power[at - 1 : at + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(frequency[at] + np.clip(shift, -0.5, 0.5) * (frequency[1] - frequency[0]))


def measure(series: Series) -> dict[str, float]:
    """The numbers that tell the classes apart, by name; all finite.

    Logarithms are decimal. ``f1`` is the frequency of the strongest wave, ``a1`` its amplitude; ``f2`` is the strongest
    of what is left, and so on.
    """
    numbers = {**_spread(series), **_waves(series), **_repeats(series), **_dips(series)}
    return {name: float(np.nan_to_num(value, nan=0.0, posinf=9.0, neginf=-9.0)) for name, value in numbers.items()}


def _log(value: float, floor: float = TINY) -> float:
    return math.log10(max(value, floor))


def _spread(series: Series) -> dict[str, float]:
    """How the flux is distributed, and how fast it changes."""
    flux = series.flux
    q005, q02, q05, q25, q50, q75, q95, q98, q995 = np.quantile(
        flux, (0.005, 0.02, 0.05, 0.25, 0.5, 0.75, 0.95, 0.98, 0.995)
    )
    middle = max(float(q75 - q25), TINY)
    numbers = {
        "range": _log(q95 - q05),
        "range_over_noise": _log((q95 - q05) / series.noise),
        "spread_ratio": _log(float(flux.std()) / middle),
        "skew_25": float(q75 + q25 - 2 * q50) / middle,
        "skew_05": float(q95 + q05 - 2 * q50) / max(float(q95 - q05), TINY),
        "skew_02": float(q98 + q02 - 2 * q50) / max(float(q98 - q02), TINY),
        "tail_low": _log((q50 - q005) / middle),
        "tail_high": _log((q995 - q50) / middle),
    }
    grid = np.full(series.slot[-1] + 1, np.nan)
    grid[series.slot] = flux
    for name, hours in (("1h", 1.0), ("3h", 3.0), ("8h", 8.0), ("24h", 24.0)):
        lag = max(1, round(hours / 24 / series.step))
        change = np.abs(grid[lag:] - grid[:-lag])
        change = change[np.isfinite(change)]
        numbers[f"change_{name}"] = _log(float(np.median(change)) / middle) if change.size else 0.0
    return numbers


def _waves(series: Series) -> dict[str, float]:
    """The strongest waves, the bands they lie in, and the folds at the period of the first and at twice that."""
    power = series.spectrum(series.flux)
    total = max(float(power.sum()), TINY)
    numbers: dict[str, float] = {}
    edges = (0.0, 0.15, 0.5, 1.2, 3.5, 5.0, 10.0, 24.0, 1e3)
    for k, low in enumerate(edges[:-1]):
        inside = (series.frequency >= low) & (series.frequency < edges[k + 1])
        numbers[f"band_{k}"] = _log(float(power[inside].sum()) / total, 1e-4)
    fast = power[series.frequency > 4.5]
    numbers["fast_peak"] = _log(float(fast.max()) / max(float(np.median(fast)), TINY))
    numbers["power_1"] = float(power.max())
    left, waves = series.flux, []
    for number in range(WAVES):
        now = power if number == 0 else series.spectrum(left)
        at = int(np.argmax(now))
        frequency = peak(now, series.frequency, at)
        amplitude, model = series.wave(left, frequency)
        left = left - model
        waves.append((frequency, amplitude))
        numbers[f"left_{number + 1}"] = _log(float(left.std()) / max(float(series.flux.std()), TINY))
        numbers[f"peak_{number + 1}"] = _log(float(now[at]) / max(float(np.median(now)), TINY))
    numbers["left_over_noise"] = _log(float(left.std()) / series.noise)
    first, strongest = waves[0]
    numbers["f1"] = _log(first)
    numbers["a1"] = _log(strongest)
    numbers["cycles"] = _log(first * series.span)
    harmonic = near = 0.0
    for k, (frequency, amplitude) in enumerate(waves[1:], start=2):
        share = amplitude / max(strongest, TINY)
        numbers[f"f{k}"] = _log(frequency / first)
        numbers[f"a{k}"] = _log(share, 1e-3)
        ratio = frequency / first
        order = max(round(2 * ratio) / 2, 0.5)
        if order != 1 and abs(ratio - order) * first * series.span < 0.7:
            harmonic += share
        if abs(ratio - 1) * first * series.span < 2.5:
            near += share
    numbers["harmonic"], numbers["near"] = harmonic, near
    return numbers | _shapes(series, 1 / first)


def _shapes(series: Series, period: float) -> dict[str, float]:
    """What the folds look like."""
    variance = max(float(series.flux.var()), TINY**2)
    single, left_single = series.fold(period)
    double, left_double = series.fold(2 * period)
    height = max(float(np.ptp(single)), TINY)
    level = (single - single.min()) / height
    wave = np.fft.rfft(single)[1:4]
    r21, r31 = np.abs(wave[1:]) / max(float(np.abs(wave[0])), TINY)
    phi21 = float(np.angle(wave[1]) - 2 * np.angle(wave[0]))
    phi31 = float(np.angle(wave[2]) - 3 * np.angle(wave[0]))
    middle = PHASES // 2
    deepest = int(np.argmin(double))
    quarter = np.roll(double, PHASES // 4 - deepest)  # the deepest minimum in the middle of the first half
    first, second = quarter[:middle], quarter[middle:]
    size = max(float(np.ptp(double)), TINY)
    return {
        "fold_explains": 1 - left_single / variance,
        "double_explains": 1 - left_double / variance,
        "double_gains": _log(left_double / max(left_single, TINY**2)),
        "double_over_noise": 0.5 * _log(left_double / series.noise**2),
        "fold_low": float((level < 0.5).mean()),
        "fold_middle": float(np.median(level)),
        "fold_rise": float((int(np.argmax(single)) - int(np.argmin(single))) % PHASES) / PHASES,
        "r21": min(float(r21), 3.0),
        "r31": min(float(r31), 3.0),
        "cos_phi21": math.cos(phi21) * min(float(r21), 1.0),
        "sin_phi21": math.sin(phi21) * min(float(r21), 1.0),
        "cos_phi31": math.cos(phi31) * min(float(r31), 1.0),
        "minima_differ": float(second.min() - first.min()) / size,
        "maxima_differ": float(abs(second.max() - first.max())) / size,
        "double_low": float((double < double.min() + 0.5 * size).mean()),
    }


def _repeats(series: Series) -> dict[str, float]:
    """How well the light curve repeats, soon and late."""
    total, pairs = series.autocorrelation()
    curve = _correlation(total, pairs)
    found = _first_high(curve, series.step, 0.0)
    quarter = max(1, curve.size // 2)
    height = curve[found] if found is not None else 0.0
    late = float(curve[quarter:].max()) if curve.size > quarter else 0.0
    return {
        "repeat_period": _log((found or 1) * series.step),
        "repeat_height": float(height),
        "repeat_late": late,
        "repeat_lasts": min(late / max(float(height), 0.02), 3.0),
        "repeat_lowest": float(curve.min()),
    }


def _correlation(total: Floats, pairs: Floats) -> Floats:
    """Autocorrelation at each lag, 0 where few pairs are that far apart."""
    enough = pairs > 0.1 * pairs[0]
    curve = np.where(enough, total / np.where(enough, pairs, 1.0), 0.0)
    return curve / max(float(curve[0]), TINY**2)


def _first_high(curve: Floats, step: float, period: float) -> int | None:
    """Lag of the first peak that is nearly as high as the highest one, smoothed over a twelfth of the period."""
    width = max(3, round((period / 12 if period else 0.06) / step)) | 1
    half = width // 2
    sums = np.cumsum(np.concatenate([np.zeros(1), curve[half:0:-1], curve, np.zeros(half)]))
    smooth = (sums[width:] - sums[:-width]) / width
    inner = smooth[1:-1]
    peaks = np.flatnonzero((inner > smooth[:-2]) & (inner >= smooth[2:])) + 1
    falls = np.flatnonzero(np.diff(smooth) > 0)  # past the first descent from lag 0
    peaks = peaks[peaks > max(falls[0], width)] if falls.size else peaks[:0]
    peaks = peaks[(peaks < curve.size - half - 1) & (smooth[peaks] > 0.02)]
    if not peaks.size:
        return None
    return int(peaks[np.argmax(smooth[peaks] > 0.8 * smooth[peaks].max())])


def _dips(series: Series) -> dict[str, float]:
    """What falls below a running median of a day, and what rises above it."""
    places = np.arange(0.0, series.span, DIP_STEP)
    place = np.minimum((series.time / DIP_STEP).astype(np.int64), places.size - 1)
    count = np.bincount(place, minlength=places.size)
    known = count > 0
    flux = np.bincount(place, series.flux, minlength=places.size) / np.maximum(count, 1)
    flux = np.interp(places, places[known], flux[known])
    window = min(DIP_WINDOW, (flux.size - 1) | 1)
    padded = np.pad(flux, window // 2, mode="reflect")
    level = np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)[: flux.size]
    below = np.where(known, level - flux, 0.0)
    noise = max(1.4826 * float(np.median(np.abs(below[known]))), TINY)
    pairs = np.minimum(below[:-1], below[1:])
    rises = np.minimum(-below[:-1], -below[1:])
    deepest, highest = max(float(pairs.max()), TINY), max(float(rises.max()), TINY)
    low = below > max(5 * noise, 0.3 * deepest)
    start = np.flatnonzero(np.diff(np.concatenate([[False], low]).astype(int)) == 1)
    depths = np.maximum.reduceat(below, start) if start.size else np.zeros(1)
    depths = np.sort(depths)[::-1]
    wide = _width(below > 0.5 * deepest, int(np.argmax(pairs)))
    return {
        "dip": _log(deepest),
        "dip_over_noise": _log(deepest / noise),
        "dip_over_rise": _log(deepest / highest),
        "dip_share": _log(float(low.mean()), 1e-4),
        "dip_count": _log(1.0 + start.size),
        "dip_second": float(depths[min(1, depths.size - 1)] / max(float(depths[0]), TINY)) if depths.size > 1 else 0.0,
        "dip_width": _log(wide * DIP_STEP, 0.01),
        "outside": _log(noise / series.noise),
    }


def _width(inside: Booleans, at: int) -> int:
    """How many neighbours in a row are inside, around one place."""
    outside = np.flatnonzero(~inside)
    after = np.searchsorted(outside, at)
    left = outside[after - 1] if after > 0 else -1
    right = outside[after] if after < outside.size else inside.size
    return int(right - left - 1)


def strongest_period(series: list[Series]) -> tuple[float | None, float | None]:
    """Period of the strongest wave of all pieces together by Lomb-Scargle, up to half a piece, and its error; days.

    The error is that of a wave in noise (Montgomery & O'Donoghue 1999), where what the wave leaves is taken to be
    alike for half a period: spots that move and fade are no white noise.
    """
    longest = max(one.span for one in series)
    frequency = series[0].frequency
    weights = np.array([one.flux.size for one in series], dtype=np.float64)
    spectra = [np.interp(frequency, one.frequency, one.spectrum(one.flux), left=0.0) for one in series]
    spectrum = np.average(spectra, axis=0, weights=weights)
    power = spectrum.copy()
    power[1:-1][(power[1:-1] < power[:-2]) | (power[1:-1] < power[2:]) | (frequency[1:-1] < 2 / longest)] = 0.0
    at = 1 + int(np.argmax(power[1:-1]))
    best = peak(spectrum, frequency, at)
    points = float(weights.sum())
    if power[at] * points / 2 < math.log(power.size) + 12:  # chance of any such peak in white noise below e**-12
        return None, None
    errors = []
    for one in series:
        amplitude, model = one.wave(one.flux, best)
        left = max(float((one.flux - model).std()), TINY)
        independent = min(one.flux.size, 2 * one.span * best)
        errors.append(math.sqrt(6 / independent) * left / (math.pi * one.span * max(amplitude, TINY)))
    error = 1 / math.sqrt(sum(1 / max(e, TINY) ** 2 for e in errors))
    return 1 / best, max(error, 0.002 / longest) / best**2


def autocorrelation_period(series: list[Series], period: float | None) -> float | None:
    """Lag of the first high peak of the autocorrelation of all pieces together, days; None without one."""
    step = series[0].step
    lags = min(int(0.5 * one.span / step) for one in series)
    sums = [one.autocorrelation() for one in series if one.step == step]
    curve = _correlation(sum(t[:lags] for t, _ in sums), sum(p[:lags] for _, p in sums))  # type: ignore[arg-type]
    found = _first_high(curve, step, min(period or 0.0, 5.0))
    if found is None or not 0 < found < curve.size - 1:
        return None
    left, middle, right = curve[found - 1 : found + 2]
    bend = left - 2 * middle + right
    return float(step * (found + (np.clip(0.5 * (left - right) / bend, -0.5, 0.5) if bend < 0 else 0.0)))


def count_flares(cut: LightCurve | None, exposure: float) -> int | None:
    """Number of flares among the cadences that cleaning cut: three in a row at two minutes, two at slower cadences.

    A single cadence may be a cosmic ray. None where it is not known what was cut.
    """
    if cut is None:
        return None
    if len(cut) == 0:
        return 0
    first = np.concatenate([[True], np.diff(cut.time) > max(FLARE_APART, 1.5 * exposure)])
    lengths = np.bincount(np.cumsum(first) - 1)
    return int((lengths >= (3 if exposure < 0.003 else 2)).sum())


def opinion(numbers: dict[str, float], teff: float | None) -> Floats:
    """Probability of each class from the numbers of one piece, (7,)."""
    from pipeline import variability_weights as learnt

    values = inputs(numbers, teff)
    values = np.clip((values - learnt.CENTRE) / learnt.SCALE, -4.0, 4.0)
    return np.mean([_network(values, layers) for layers in learnt.NETWORKS], axis=0)


def inputs(numbers: dict[str, float], teff: float | None) -> Floats:
    """What the networks are handed: the numbers, the temperature in 1500 K from 6000 K, and whether it is known."""
    known = teff is not None and math.isfinite(teff)
    warm = (float(teff) - 6000.0) / 1500.0 if known and teff is not None else 0.0
    return np.array([*numbers.values(), warm, float(known)])


def _network(values: Floats, layers: tuple[tuple[Floats, Floats], ...]) -> Floats:
    """Layers of weights and biases, rectified between, probabilities at the end."""
    for number, (weights, bias) in enumerate(layers):
        values = (np.maximum(values, 0.0) if number else values) @ weights + bias
    return _softmax(values)


def _softmax(values: Floats) -> Floats:
    raised = np.exp(values - values.max())
    return raised / raised.sum()
