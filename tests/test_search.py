"""The search as a whole, on skies whose planets are known."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.timeseries import BoxLeastSquares
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import UnusableData
from pipeline.search import SearchSettings, search, search_many
from pipeline.types import LightCurve, SearchResult, Star

SUN = Star(radius=1.0, mass=1.0)
SIGMA = 1e-3  # per cadence
CADENCE = 10.0 / 1440.0  # days: the searches of these tests stay short
QUICK = SearchSettings(templates=("box",), max_signals=1, duration_ratio=1.4)


def sampling(days=27.0, cadence=CADENCE, start=1600.0, seed=0):
    """One sector with its mid-gap and 3 % of its cadences lost."""
    time = start + np.arange(0.0, days, cadence)
    time = time[np.abs(time - start - 13.5) > 0.6]
    return time[np.random.default_rng(seed).random(time.size) > 0.03]


def light_curve(planets=(), time=None, sigma=SIGMA, seed=0):
    """White noise and boxes; a planet is (period, epoch, duration, depth)."""
    time = sampling() if time is None else time
    flux = 1.0 + np.random.default_rng(seed + 1000).normal(0.0, sigma, time.size)
    for period, epoch, duration, depth in planets:
        flux[np.abs((time - epoch + period / 2) % period - period / 2) < duration / 2] -= depth
    return LightCurve(time, flux, np.full(time.size, sigma))


def phase_error(signal, period, epoch):
    """Days between an epoch and the nearest true transit."""
    return abs((signal.epoch - epoch + period / 2) % period - period / 2)


def depth_for(snr, period, duration, time, epoch):
    inside = np.abs((time - epoch + period / 2) % period - period / 2) < duration / 2
    return snr * SIGMA / np.sqrt(inside.sum() * (1.0 - inside.mean()))


def test_finds_a_planet_and_says_where_it_is():
    period, epoch, duration, depth = 3.317, 1601.234, 0.13, 2e-3
    result = search(light_curve([(period, epoch, duration, depth)]), star=SUN)
    (signal,) = result.signals
    assert result.best is signal
    assert signal.number == 1
    assert signal.alias_of is None
    assert abs(signal.period - period) < 4 * signal.period_err
    assert phase_error(signal, period, epoch) < 0.25 * duration
    assert result.period[0] <= 0.5 + 1e-9
    first, last = sampling()[[0, -1]]
    assert first <= signal.epoch <= last
    assert abs(signal.depth - depth) < 4 * signal.depth_err
    assert signal.duration == pytest.approx(duration, rel=0.2)
    assert signal.n_transits == 8
    assert signal.single_event_share < 0.3
    assert signal.sde > 4
    assert signal.bls_power == pytest.approx(depth**2 * 8 * 18.7, rel=0.4)  # 18.7 cadences of 10 minutes a transit


def test_every_phase_is_as_good_as_any_other():
    period, duration, snr = 2.9, 0.12, 25.0
    found = []
    for phase in np.linspace(0.0, 1.0, 12, endpoint=False):
        time = sampling(days=26.1)  # nine whole cycles
        epoch = 1600.0 + phase * period
        depth = depth_for(snr, period, duration, time, epoch)
        # the same noise for every phase, so weak that the signal-to-noise is that of the depth alone
        flux = 1.0 + np.random.default_rng(7).normal(0.0, SIGMA, time.size)
        centred = np.abs((time - epoch + period / 2) % period - period / 2) < duration / 2
        inside_mean = (flux[centred] - 1.0).mean()
        flux[centred] -= depth + inside_mean
        result = search(LightCurve(time, flux, np.full(time.size, SIGMA)), QUICK, SUN)
        assert result.best.period == pytest.approx(period, rel=1e-3)
        # against the noise this sky was made with: the measured one differs a little from phase to phase
        found.append(measured_height(result, time, flux))
    assert np.min(found) > 0.97 * np.mean(found)


def measured_height(result, time, flux):
    """Least-squares signal-to-noise of the signal found, for the noise the sky was made with."""
    signal = result.best
    inside = np.abs((time - signal.epoch + signal.period / 2) % signal.period - signal.period / 2) < signal.duration / 2
    depth = flux[~inside].mean() - flux[inside].mean()
    return depth / SIGMA / np.sqrt(1.0 / inside.sum() + 1.0 / (~inside).sum())


def injections(count, low, high, seed):
    rng = np.random.default_rng(seed)
    time = sampling()
    for k in range(count):
        period = float(np.exp(rng.uniform(np.log(0.7), np.log(11.0))))
        duration = 13.0 / 24.0 * (period / 365.25) ** (1 / 3) * np.sqrt(1.0 - rng.uniform(0.0, 0.7) ** 2)
        epoch = float(time[0] + rng.uniform(0.0, 1.0) * period)
        depth = depth_for(rng.uniform(low, high), period, duration, time, epoch)
        yield period, epoch, duration, light_curve([(period, epoch, duration, depth)], time, seed=seed + k)


def test_finds_what_astropy_finds():
    agreed = 0
    for period, epoch, duration, given_curve in injections(8, 9.0, 16.0, seed=40):
        result = search(given_curve, QUICK, SUN)
        model = BoxLeastSquares(given_curve.time, given_curve.flux, dy=given_curve.flux_err)
        durations = result.durations[result.durations < 0.35 * result.period[0]]
        theirs = model.power(result.period, durations, oversample=5, objective="snr")
        best = float(theirs.period[np.argmax(theirs.depth_snr)])
        span = given_curve.time[-1] - given_curve.time[0]
        agreed += abs(result.best.period / best - 1.0) * span < max(duration, 0.1)
        assert abs(result.best.period / period - 1.0) * span < duration
        assert phase_error(result.best, period, epoch) < 0.25 * duration + span * 0.002
    assert agreed == 8


def test_white_noise_stays_below_the_threshold():
    results = search_many(
        [light_curve(seed=seed) for seed in range(16)], replace(QUICK, templates=("box", "v")), [SUN] * 16
    )
    assert not any(result.signals for result in results)
    heights = [result.best.snr for result in results]
    # the note's white-noise nulls have a median of 4.8 to 5.0 and 1 % above 5.6, for a finer grid
    assert 4.0 < np.median(heights) < 5.5
    assert max(heights) < 6.5


@pytest.mark.parametrize("red", [0.0, 0.5])
def test_a_false_alarm_probability_is_not_a_boast(red):
    """Of eighty stars without a planet, few say that noise would seldom do this."""
    time = sampling()
    slow = np.random.default_rng(9).normal(0.0, red * SIGMA, (80, 375))
    drift = [np.interp(time, np.arange(1599.0, 1629.0, 0.08), each) for each in slow]
    curves = [
        LightCurve(time, light_curve(time=time, seed=k).flux + drift[k], np.full(time.size, SIGMA)) for k in range(80)
    ]
    chances = np.array([result.best.false_alarm_probability for result in search_many(curves, QUICK, [SUN] * 80)])
    # binomial: of eighty, eight are expected below a tenth, and more than fifteen come once in a hundred
    assert (chances < 0.1).sum() <= 15
    assert (chances < 0.01).sum() <= 4
    assert np.median(chances) > 0.3


@pytest.mark.parametrize(("depth", "nulls"), [(0.8e-3, 9), (2e-3, 1)])
def test_a_planet_is_hardly_a_false_alarm(depth, nulls):
    result = search(light_curve([(3.317, 1601.234, 0.13, depth)]), replace(QUICK, scrambles=4), SUN)
    assert result.best.snr > 7.1
    assert result.best.false_alarm_probability < 1e-3  # S/N 7.5 in the coarse spectrum of 2,700 periods
    assert result.best.false_alarm_nulls == nulls  # a strong signal needs no scrambles
    assert result.best.chi_square < 3.0


def test_finds_two_planets_and_numbers_them_by_strength():
    weak, strong = (2.213, 1600.9, 0.1, 1.4e-3), (5.871, 1602.2, 0.15, 4e-3)
    result = search(light_curve([weak, strong]), replace(QUICK, max_signals=4), SUN)
    assert [signal.period for signal in result.signals] == [
        pytest.approx(5.871, rel=2e-3),
        pytest.approx(2.213, rel=2e-3),
    ]
    assert [signal.number for signal in result.signals] == [1, 2]
    assert result.signals[0].snr > result.signals[1].snr
    assert result.signals[1].alias_of is None


def test_a_binary_of_equal_depths_is_found_at_half_its_period():
    period = 4.2
    primary, secondary = (period, 1600.7, 0.2, 0.05), (period, 1600.7 + period / 2, 0.2, 0.05)
    result = search(light_curve([primary, secondary]), SearchSettings(), SUN)
    assert result.signals[0].period == pytest.approx(period / 2, rel=1e-3)


def test_a_weak_secondary_is_found_and_named_a_harmonic_of_the_primary():
    period = 4.2
    primary, secondary = (period, 1600.7, 0.2, 0.05), (period, 1600.7 + period / 2, 0.2, 0.004)
    result = search(light_curve([primary, secondary]), SearchSettings(), SUN)
    assert result.signals[0].period == pytest.approx(period, rel=1e-3)
    assert result.signals[0].duration == pytest.approx(0.2, rel=0.1)
    second = result.signals[1]
    assert second.alias_of == 1
    assert phase_error(second, period, 1600.7 + period / 2) < 0.05


def test_a_deep_eclipse_keeps_its_duration_though_it_raises_the_noise():
    result = search(light_curve([(1.48, 1600.3, 0.2, 0.3)]), SearchSettings(), SUN)
    assert result.signals[0].period == pytest.approx(1.48, rel=5e-4)
    assert result.signals[0].duration == pytest.approx(0.2, rel=0.1)
    assert result.signals[0].depth == pytest.approx(0.3, rel=0.05)


def test_two_sectors_two_years_apart_are_searched_in_the_time_of_two_sectors():
    time = np.concatenate([sampling(start=1600.0), sampling(start=2330.0, seed=1)])
    period, epoch, duration = 3.7, 1601.9, 0.14
    wide = replace(QUICK, period_min=3.0, period_max=4.5)
    result = search(light_curve([(period, epoch, duration, 1.6e-3)], time), wide, SUN)
    assert result.best.period == pytest.approx(
        period, abs=duration * period / 757.0
    )  # coherent over the whole baseline
    assert phase_error(result.best, period, epoch) < 0.25 * duration


def test_without_period_max_no_period_is_longer_than_what_was_observed():
    time = np.concatenate([sampling(days=14.0, start=1600.0), sampling(days=14.0, start=2330.0, seed=1)])
    result = search(light_curve(time=time), replace(QUICK, max_periods=300), SUN)
    assert result.period[-1] < 28.0
    assert any("max_periods" in note for note in result.notes)


def test_one_glitch_is_not_a_planet():
    curve = light_curve([])
    flux = curve.flux.copy()
    flux[np.abs(curve.time - 1607.0) < 0.07] -= 0.02
    result = search(LightCurve(curve.time, flux, curve.flux_err), SearchSettings(), SUN)
    assert result.signals == ()
    assert any("refused" in note for note in result.notes)


def test_a_planet_is_found_beside_a_glitch():
    curve = light_curve([(3.317, 1601.234, 0.13, 2e-3)])
    flux = curve.flux.copy()
    flux[np.abs(curve.time - 1607.0) < 0.07] -= 0.03
    result = search(LightCurve(curve.time, flux, curve.flux_err), SearchSettings(), SUN)
    assert result.signals[0].period == pytest.approx(3.317, rel=2e-3)


def test_two_transits_are_enough_if_both_are_seen():
    result = search(light_curve([(11.5, 1604.0, 0.2, 4e-3)]), SearchSettings(), SUN)
    assert result.signals[0].period == pytest.approx(11.5, rel=5e-3)
    assert result.signals[0].n_transits == 2


def test_red_noise_counts_as_noise():
    rng = np.random.default_rng(3)
    time = sampling()
    slow = np.interp(time, np.arange(1599.0, 1629.0, 0.08), rng.normal(0.0, 1e-3, 375))
    curve = LightCurve(time, light_curve(time=time).flux + slow, np.full(time.size, SIGMA))
    quiet, restless = search(light_curve(time=time), QUICK, SUN), search(curve, QUICK, SUN)
    assert (restless.noise[-3:] > 1.5 * quiet.noise[-3:]).all()
    assert restless.signals == ()


def test_the_noise_is_that_of_a_transit():
    result = search(light_curve(), QUICK, SUN)
    expected = SIGMA / np.sqrt(result.durations / CADENCE * 0.97)
    # the longest durations see a hundred windows, and to the shortest one cadence more or less matters
    np.testing.assert_allclose(result.noise, expected, rtol=0.25)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_every_backend_finds_the_same(backend):
    curve = light_curve([(2.4, 1601.0, 0.12, 2.5e-3)], sampling(days=13.0))
    few = replace(QUICK, period_min=2.0, period_max=3.2, durations_hours=(2.0, 3.0))
    expected, found = search(curve, few, SUN), search(curve, few, SUN, backend=backend)
    np.testing.assert_allclose(found.power, expected.power, rtol=1e-5)
    assert found.best.period == pytest.approx(expected.best.period, rel=1e-9)
    assert found.best.snr == pytest.approx(expected.best.snr, rel=1e-5)
    assert found.backend == backend


def test_many_at_once_are_what_they_are_alone():
    time = sampling(days=16.0)
    curves = [light_curve([(2.4 + 0.3 * k, 1601.0, 0.12, 2e-3)], time, seed=k) for k in range(4)]
    curves.append(light_curve(time=sampling(days=15.0, seed=9)))
    together = search_many(curves, QUICK, [SUN] * 5)
    for curve, result in zip(curves, together, strict=True):
        alone = search(curve, QUICK, SUN)
        np.testing.assert_allclose(result.power, alone.power, rtol=1e-5)
        np.testing.assert_allclose(result.noise, alone.noise, rtol=1e-9)
        assert len(result.signals) == len(alone.signals)
        assert result.best.period == pytest.approx(alone.best.period, rel=1e-9)
        assert result.best.snr == pytest.approx(alone.best.snr, rel=1e-5)


def test_a_search_repeats_itself_to_the_bit():
    curve = light_curve([(2.4, 1601.0, 0.12, 2e-3)])
    first, again = search(curve, QUICK, SUN), search(curve, QUICK, SUN)
    assert first.signals == again.signals
    assert first.power.tobytes() == again.power.tobytes()


def test_the_two_pass_search_finds_a_planet_by_its_power():
    older = SearchSettings(method="two-pass-bls", coarse_nperiods=600, refine_nperiods=400, duration_ratio=1.6)
    planet = (3.317, 1601.234, 0.13, 6e-3)
    result = search(light_curve([planet]), replace(older, max_signals=1), SUN)
    assert result.method == "two-pass-bls"
    assert result.best.period == pytest.approx(3.317, rel=2e-3)
    # the older threshold has no unit: it follows the number of cadences
    assert [signal.bls_power > 0.001 for signal in result.signals] == [True]
    assert search(light_curve([planet]), replace(older, bls_threshold=1.0), SUN).signals == ()


def test_stars_and_light_curves_must_pair():
    with pytest.raises(ValueError, match="one star for each"):
        search_many([light_curve()], QUICK, [SUN, SUN])


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="abacus"):
        search(light_curve(), QUICK, SUN, backend="abacus")


@pytest.mark.parametrize("cadences", [0, 1, 2, 30])
def test_too_few_cadences_say_so(cadences):
    time = 1600.0 + np.arange(cadences) * 0.5
    result = search(LightCurve(time, np.ones(cadences), np.ones(cadences)))
    assert result.signals == ()
    assert result.best is None
    assert "min_points" in result.notes[0]


def test_half_a_day_leaves_no_period_to_try():
    result = search(light_curve(time=1600.0 + np.arange(0.0, 0.6, CADENCE)))
    assert result.best is None
    assert "period_min" in result.notes[0]


def test_a_constant_flux_has_nothing_to_find():
    time = sampling()
    result = search(LightCurve(time, np.ones(time.size), np.zeros(time.size)), QUICK, SUN)
    assert result.signals == ()
    assert result.best is None
    assert not result.power.any()
    assert any("nothing dims" in note for note in result.notes)


def numbers(result: SearchResult):
    for array in (result.period, result.power, result.durations, result.noise):
        yield from array
    for signal in (*result.signals, *([result.best] if result.best else [])):
        yield from (
            value
            for value in (
                signal.period, signal.epoch, signal.duration, signal.depth, signal.snr, signal.period_err,
                signal.epoch_err, signal.duration_err, signal.depth_err, signal.sde, signal.bls_power,
                signal.single_event_share,
            )
            if value is not None
        )  # fmt: skip


SMALL = SearchSettings(
    templates=("box", "v"), min_points=5, max_signals=2, duration_ratio=2.0, oversample=1.0, max_periods=400
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    count=st.integers(0, 400),
    step=st.sampled_from([2 / 1440, 30 / 1440, 0.3, 2.0]),
    gap=st.sampled_from([0.0, 3.0, 700.0, 3000.0]),
    kind=st.sampled_from(["flat", "noise", "dips", "steps", "spikes", "huge", "tiny"]),
    errors=st.sampled_from([0.0, 1e-3, 1e3]),
    seed=st.integers(0, 5),
)
def test_whatever_comes_in_no_nan_comes_out(count, step, gap, kind, errors, seed):
    rng = np.random.default_rng(seed)
    time = 1500.0 + np.arange(count) * step
    time[count // 2 :] += gap
    flux = {
        "flat": np.ones(count),
        "noise": 1 + rng.normal(0, 1e-3, count),
        "dips": 1 - 0.5 * (rng.random(count) < 0.05),
        "steps": 1 + 0.1 * (np.arange(count) > count / 2),
        "spikes": 1 + 1e3 * (rng.random(count) < 0.01) * rng.normal(size=count),
        "huge": 1e12 * rng.normal(size=count),
        "tiny": 1e-12 * rng.normal(size=count),
    }[kind]
    try:
        result = search(LightCurve(time, flux, np.full(count, errors)), SMALL)
    except UnusableData:
        return
    assert np.isfinite(list(numbers(result))).all()
    assert result.best is not None or result.notes


def test_real_planets_are_found(shared_data):
    """WASP-18 b as another program flattened it: nothing of ours stands between the file and the search."""
    from astropy.io import fits

    with fits.open(shared_data / "lightcurves" / "lightkurve_export" / "wasp18b_exovetter.fits") as file:
        table = file[1].data
        time, flux = (np.asarray(table[name], dtype=np.float64) for name in ("TIME", "FLUX"))
    good = np.isfinite(time) & np.isfinite(flux)
    curve = LightCurve(time[good], flux[good], np.full(int(good.sum()), np.nanstd(np.diff(flux)) / np.sqrt(2)))
    result = search(curve, QUICK)
    assert result.best.period == pytest.approx(0.9414525, rel=1e-3)
    assert phase_error(result.best, result.best.period, 1354.4582) < 0.25 * 2.05 / 24
    assert result.best.duration * 24 == pytest.approx(2.05, rel=0.15)
