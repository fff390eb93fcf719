"""Files in, one series out: sorted, without repeats, each segment around 1, every loss counted."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.clean import CleanSettings, DetrendSettings, clean
from pipeline.clean.stitch import stitch
from pipeline.errors import UnusableData
from pipeline.search import SearchSettings, search
from pipeline.types import Observation, Product


def make(
    start=1325.0,
    days=13.0,
    cadence=120.0,
    level=1000.0,
    noise=1e-3,
    seed=1,
    sector=1,
    release=None,
    mission="TESS",
    err=True,
    centroids=False,
):
    """One quiet product: flat flux with white noise of ``noise`` times the level."""
    random = np.random.default_rng(seed)
    time = start + np.arange(0, days, cadence / 86400)
    flux = level * (1 + random.normal(0, noise, time.size))
    return Observation(
        product=Product(f"{sector}-{seed}", "", mission, "SPOC", "PDCSAP_FLUX", sector, None, None, cadence, release),
        time=time,
        flux=flux,
        flux_err=np.full(time.size, level * noise if err else np.nan),
        quality=np.zeros(time.size, dtype=np.int64),
        centroid_column=np.arange(time.size, dtype=float) if centroids else None,
        centroid_row=np.full(time.size, 7.0) if centroids else None,
    )


def change(observation, **arrays):
    values = {name: getattr(observation, name) for name in observation.__slots__}
    return Observation(**{**values, **arrays})


def total(rejected):
    return sum(rejected.values())


def test_a_quiet_star_comes_out_whole_and_around_one():
    observation = make()
    cleaned = clean([observation])
    assert len(cleaned.flat) == observation.time.size
    assert np.median(cleaned.raw.flux) == pytest.approx(1, abs=1e-4)
    assert np.median(cleaned.flat.flux) == pytest.approx(1, abs=1e-4)
    assert cleaned.flat.flux_err == pytest.approx(1e-3, rel=0.01)
    assert cleaned.exposure == pytest.approx(120 / 86400)
    assert np.isnan(cleaned.centroid_column).all()
    assert cleaned.rejected == {}


def test_every_cadence_left_out_is_counted_under_its_reason():
    observation = make()
    flux, time, quality = observation.flux.copy(), observation.time.copy(), observation.quality.copy()
    flux[100:110] = np.nan
    time[200:205] = np.nan
    quality[300:320] = 128
    quality[104] = 128  # flagged and not a number: counted once
    flux[5000] *= 1.1
    cleaned = clean([change(observation, flux=flux, time=time, quality=quality)])
    assert cleaned.rejected["quality flag"] == 21
    assert cleaned.rejected["not a number"] == 14
    assert total(cleaned.rejected) + len(cleaned.flat) == time.size


def test_sectors_in_any_order_come_out_in_order_of_time_without_a_step():
    second, first = make(start=1353.0, level=2500.0, seed=2, sector=2), make(level=1000.0)
    cleaned = clean([second, first])
    assert (np.diff(cleaned.raw.time) > 0).all()
    assert [product.sector for product in cleaned.products] == [1, 2]
    assert np.unique(cleaned.segment).tolist() == [0, 1]
    levels = [np.median(cleaned.raw.flux[cleaned.segment == k]) for k in (0, 1)]
    # the brief: 0.1 %; a median of 9,360 points with 0.1 % of noise is good to 13 ppm
    assert levels == pytest.approx([1, 1], abs=1e-4)


def test_an_orbit_gap_separates_levels_that_differ():
    first, second = make(days=12), make(start=1338.5, days=12, level=1030.0, seed=3)
    joined = change(
        first,
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("time", "flux", "flux_err", "quality")
        },
    )
    raw = clean([joined]).raw
    before, after = raw.flux[raw.time < 1338], raw.flux[raw.time > 1338]
    assert abs(np.median(before[-500:]) - np.median(after[:500])) < 2e-4


def test_a_transit_does_not_move_the_level_of_its_segment():
    observation = make()
    dip = np.abs(observation.time - 1330) < 0.125
    raw = clean([change(observation, flux=observation.flux * (1 - 0.01 * dip))]).raw
    assert 1 - np.mean(raw.flux[np.abs(raw.time - 1330) < 0.125]) == pytest.approx(0.01, rel=0.02)


def test_mixed_cadences_of_one_stretch_keep_the_faster():
    fast, slow = make(days=10), make(days=13, cadence=1800, seed=4)
    cleaned = clean([slow, fast])
    overlap = cleaned.raw.time < 1334.9
    assert (cleaned.exposure[overlap] < 0.002).all()
    assert (cleaned.exposure[cleaned.raw.time > 1335.1] > 0.02).all()
    assert cleaned.rejected["covered by another product"] > 400


def test_of_two_releases_of_one_sector_the_newer_is_used():
    old, new = make(release=1, seed=5), make(start=1325.0 - 2 / 86400, release=42, seed=6)
    cleaned = clean([old, new])
    assert [product.data_release for product in cleaned.products] == [42]
    assert cleaned.rejected["covered by another product"] == old.time.size


def test_repeated_and_shuffled_cadences_change_nothing():
    observation = make(centroids=True)
    order = np.random.default_rng(7).permutation(np.repeat(np.arange(observation.time.size), 2))
    names = ("time", "flux", "flux_err", "quality", "centroid_column", "centroid_row")
    shuffled = change(observation, **{name: getattr(observation, name)[order] for name in names})
    once, twice = clean([observation]), clean([shuffled])
    assert np.array_equal(once.flat.time, twice.flat.time)
    assert np.array_equal(once.flat.flux, twice.flat.flux)
    assert np.array_equal(once.centroid_column, twice.centroid_column)
    assert twice.rejected["repeated cadence"] == observation.time.size


def test_twenty_second_data_become_two_minute_data_with_a_sixth_of_the_variance():
    observation = make(days=5, cadence=20.0, noise=3e-3, centroids=True)
    cleaned = clean([observation])
    assert len(cleaned.flat) == pytest.approx(observation.time.size / 6, rel=0.01)
    assert cleaned.exposure == pytest.approx(120 / 86400, rel=1e-3)
    assert np.std(cleaned.raw.flux) == pytest.approx(3e-3 / np.sqrt(6), rel=0.05)
    assert np.median(cleaned.raw.flux_err) == pytest.approx(3e-3 / np.sqrt(6), rel=0.01)
    assert np.isfinite(cleaned.centroid_row).all()


def test_a_transit_survives_binning_at_its_time():
    observation = make(days=5, cadence=20.0, noise=1e-4)
    inside = np.abs(observation.time - 1327.5) < 0.05
    raw = clean([change(observation, flux=observation.flux * (1 - 0.01 * inside))]).raw
    near = np.abs(raw.time - 1327.5) < 0.06
    # binning to 2 minutes may not move the centre by more than a few seconds
    assert np.average(raw.time[near], weights=1 - raw.flux[near]) == pytest.approx(1327.5, abs=5 / 86400)


def test_centroids_follow_their_cadences_and_are_nan_where_no_file_has_them():
    with_centroids, without = make(centroids=True), make(start=1353.0, seed=8, sector=2)
    cleaned = clean([with_centroids, without])
    assert np.isfinite(cleaned.centroid_column[cleaned.segment == 0]).all()
    assert np.isnan(cleaned.centroid_column[cleaned.segment == 1]).all()
    kept = np.round((cleaned.raw.time[cleaned.segment == 0] - 1325.0) * 720)
    assert np.array_equal(cleaned.centroid_column[cleaned.segment == 0], kept)


@pytest.mark.parametrize("errors", [np.nan, 0.0, -1.0, 1e9])
def test_errors_that_are_missing_or_nonsense_come_from_the_scatter(errors):
    observation = make()
    cleaned = clean([change(observation, flux_err=np.full(observation.time.size, errors))])
    assert np.median(cleaned.raw.flux_err) == pytest.approx(1e-3, rel=0.05)


def test_one_wild_error_does_not_outweigh_the_rest():
    observation = make()
    wild = observation.flux_err.copy()
    wild[50], wild[60], wild[70] = 1e-12, 1e12, np.nan
    errors = clean([change(observation, flux_err=wild)]).raw.flux_err
    assert errors.min() > 5e-4
    assert errors.max() < 2e-3


def test_scattered_light_is_cut_with_its_ramp():
    observation = make(noise=5e-3)
    glow = 35 * np.exp(-0.5 * ((observation.time - 1337.5) / 0.3) ** 2)
    cleaned = clean([change(observation, flux=observation.flux * (1 + glow))])
    assert cleaned.raw.flux.max() < 1.1
    assert cleaned.rejected["scattered light"] > 500
    # nothing far from the light is touched
    assert (cleaned.raw.time < 1335.5).sum() == (observation.time < 1335.5).sum()


def test_a_background_subtracted_twice_is_cut_and_a_total_eclipse_is_not():
    observation = make(noise=5e-3)
    negative = np.abs(observation.time - 1330) < 0.05
    eclipsed = np.abs(observation.time - 1333) < 0.05
    flux = observation.flux * (1 - eclipsed) * np.where(negative, -3, 1)
    cleaned = clean([change(observation, flux=flux)])
    assert cleaned.raw.flux.min() > -0.05
    assert (np.abs(cleaned.raw.time - 1333) < 0.04).sum() == (np.abs(observation.time - 1333) < 0.04).sum()


def test_the_noisy_start_of_an_orbit_is_cut():
    observation = make()
    first_hours = observation.time < 1325.5
    shaken = observation.flux + 10 * first_hours * np.random.default_rng(9).normal(0, 1, observation.time.size)
    cleaned = clean([change(observation, flux=shaken)])
    assert cleaned.rejected["noisy end of a segment"] > 200
    # judged in blocks of an hour: one block may stay and one may go too many
    assert (cleaned.raw.time < 1325.5).sum() <= 30
    assert (cleaned.raw.time > 1325.55).sum() == (observation.time > 1325.55).sum()
    kept = clean([change(observation, flux=shaken)], CleanSettings(noisy_ends=False))
    assert "noisy end of a segment" not in kept.rejected


def test_a_steep_eclipse_at_the_start_of_an_orbit_is_not_noise():
    observation = make(noise=3e-4)
    eclipse = 0.4 * np.clip(1 - np.abs(observation.time - 1325.1) / 0.125, 0, None)
    cleaned = clean([change(observation, flux=observation.flux * (1 - eclipse))])
    assert len(cleaned.raw) > observation.time.size - 5


@pytest.mark.parametrize(
    ("observations", "words"),
    [
        ([], "0 good cadences are too few"),
        ([make(days=12 * 120 / 86400)], r"12 good cadences are too few: \[clean\] min_points is 100"),
        ([make(days=0.4)], r"span only 0.399 days: \[clean\] min_span"),
        ([change(make(), flux=np.full(9360, 5.0))], "the same flux"),
        ([change(make(), flux=np.full(9360, np.nan))], "9360 not a number"),
        ([change(make(), quality=np.full(9360, 128))], "9360 quality flag"),
        ([change(make(), time=np.full(9360, np.nan))], "not a number"),
        ([change(make(), flux=make().flux - 2000)], "around 1, not around 0"),
        ([change(make(), flux=np.random.default_rng(1).normal(0.01, 1, 9360))], "not above the scatter|around 0"),
    ],
)
def test_what_cannot_be_hunted_is_refused_with_its_reason(observations, words):
    with pytest.raises(UnusableData, match=words):
        clean(observations)


def test_one_bad_sector_does_not_spoil_the_others():
    cleaned = clean([make(), change(make(start=1353.0, seed=2, sector=2), flux=np.full(9360, 0.0))])
    assert [product.sector for product in cleaned.products] == [1]
    assert cleaned.rejected["flux without a level"] == 9360


def test_flux_already_around_one_stays_so():
    observation = make(level=1.0)
    assert clean([observation]).raw.flux == pytest.approx(observation.flux, rel=1e-4)


def test_kepler_times_before_btjd_zero_are_fine():
    cleaned = clean([make(start=-2000.0, days=80, cadence=1765.5, mission="Kepler")])
    assert cleaned.raw.time[0] == -2000.0


wild = st.floats(allow_nan=True, allow_infinity=True, width=64)
plain = st.floats(0.5, 1.5)
times = st.one_of(wild, st.floats(1300, 1340), st.integers(0, 400).map(lambda k: 1325 + k / 48))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_wild_input_gives_a_sound_light_curve_or_a_reason(data):
    observations = []
    for _ in range(data.draw(st.integers(0, 3), label="products")):
        n = data.draw(st.integers(0, 60), label="cadences")
        column = st.lists(data.draw(st.sampled_from([wild, plain])), min_size=n, max_size=n)
        observations.append(
            Observation(
                product=Product(
                    "file",
                    "",
                    data.draw(st.sampled_from(["TESS", "Kepler", ""])),
                    "SPOC",
                    "FLUX",
                    cadence_seconds=data.draw(st.sampled_from([None, 20.0, 120.0, 1800.0, 0.0, float("nan")])),
                ),
                time=np.array(data.draw(st.lists(times, min_size=n, max_size=n)), dtype=float),
                flux=np.array(data.draw(column), dtype=float),
                flux_err=np.array(data.draw(column), dtype=float),
                quality=np.array(
                    data.draw(st.lists(st.sampled_from([0, 0, 0, 128]), min_size=n, max_size=n)), dtype=int
                ),
            )
        )
    loose = CleanSettings(min_points=3, min_span=0.0, min_segment=data.draw(st.sampled_from([0.0, 0.25])))
    method = data.draw(st.sampled_from(["biweight", "savgol-101", "none"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            cleaned = clean(observations, loose, DetrendSettings(method=method))
        except UnusableData:
            return
    n = len(cleaned.flat)
    assert n >= 3
    for values in (cleaned.flat.flux, cleaned.flat.flux_err, cleaned.raw.flux, cleaned.raw.flux_err, cleaned.exposure):
        assert values.shape == (n,)
        assert np.isfinite(values).all()
    assert (cleaned.raw.flux_err > 0).all()
    assert (np.diff(cleaned.flat.time) > 0).all()
    assert (np.diff(cleaned.segment) >= 0).all()
    assert np.unique(cleaned.segment).tolist() == list(range(cleaned.segment[-1] + 1))


@settings(max_examples=25, deadline=None)
@given(
    level=st.floats(1e-3, 1e9),
    gaps=st.lists(st.floats(0, 13), max_size=6),
    lost=st.floats(0, 0.9),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_star_seen_through_gaps_keeps_its_level(level, gaps, lost, seed):
    observation = make(cadence=1800.0, level=level, noise=2e-3, seed=seed)
    random = np.random.default_rng(seed)
    seen = random.random(observation.time.size) >= lost
    for gap in gaps:
        seen &= np.abs(observation.time - 1325 - gap) > 0.7
    flux = np.where(seen, observation.flux, np.nan)
    try:
        cleaned = clean([change(observation, flux=flux)], CleanSettings(min_points=20))
    except UnusableData:
        assert seen.sum() < 200
        return
    assert np.median(cleaned.flat.flux) == pytest.approx(1, abs=2e-3)
    assert np.std(cleaned.flat.flux) < 4e-3
    assert total(cleaned.rejected) + len(cleaned.flat) == flux.size


def test_stitching_alone_leaves_variability_in_place():
    observation = make()
    wave = 1 + 0.02 * np.sin(2 * np.pi * observation.time / 3)
    series = stitch([change(observation, flux=observation.flux * wave)], CleanSettings())
    assert np.ptp(np.convolve(series.flux, np.ones(30) / 30, mode="valid")) == pytest.approx(0.04, rel=0.05)


CADENCES = (120.0, 20.0, 600.0, 1800.0)  # seconds; sectors take them in turn
DUMPS = np.arange(2.5, 26, 3.1)  # days from the start of a sector


def mixed(sectors, step=0.0, seed=0):
    """Sectors of one quiet star at four cadences, each orbit with a level and a ramp of its own, and momentum dumps."""
    observations = []
    for number in range(sectors):
        random = np.random.default_rng(100 * seed + number)
        cadence, start = CADENCES[number % 4], 1325 + 27.4 * number
        blank = make(
            start, 26.0, cadence, 10 ** random.uniform(2, 4), 5e-4 * np.sqrt(120 / cadence), number, number + 1
        )
        days = blank.time - start
        flux, quality = blank.flux.copy(), blank.quality.copy()
        for begin, end in ((0.0, 12.4), (13.6, 26.0)):
            orbit = (days >= begin) & (days < end)
            level, ramp = 1 + random.uniform(-0.03, 0.03), 2e-3 * random.choice([-1, 1])
            flux[orbit] *= level * (1 + ramp * np.exp((begin - days[orbit]) / 0.4))
        for dump in DUMPS:
            flux *= np.where(days >= dump, 1 + step * random.choice([-1, 1]), 1)
            quality[np.abs(days - dump) < cadence / 86400] = 32
        flux[(days >= 12.4) & (days < 13.6)] = np.nan
        observations.append(change(blank, flux=flux, quality=quality))
    return observations


def offset(flat, time):
    """Levels of the quarter day of data before a time and of that behind the first cadence after it, compared."""
    before, after = flat.time < time, flat.time >= time
    last, first = flat.time[before].max(), flat.time[after].min()
    near = (before & (flat.time > last - 0.25), after & (flat.time < first + 0.25))
    return abs(np.median(flat.flux[near[0]]) - np.median(flat.flux[near[1]]))


@pytest.mark.parametrize("step", [0.0, 1e-3, 1e-2])
@pytest.mark.parametrize("sectors", [6, 13])
def test_many_sectors_of_mixed_cadence_leave_no_offset_and_no_box_at_a_boundary(sectors, step):
    cleaned = clean(mixed(sectors, step))
    assert [product.sector for product in cleaned.products] == list(range(1, sectors + 1))
    cuts = cleaned.segment[-1] + 1 - 2 * sectors
    assert cuts == 0 if step == 0 else 0.8 * sectors * len(DUMPS) <= cuts <= sectors * len(DUMPS)
    starts = 1325 + 27.4 * np.arange(sectors)
    boundaries = np.concatenate([starts[1:], starts + 13, *(starts + dump for dump in DUMPS)])
    assert max(offset(cleaned.flat, time) for time in boundaries) < 1e-3
    # a step at every one of 104 dumps leaves 0.01 % at a ramp, which the search may take for two transits: not promised
    if sectors == 6 or step == 0:
        assert search(cleaned.flat, SearchSettings()).signals == ()


@pytest.mark.parametrize("hours", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("depth", [5e-4, 2e-3, 0.1])
def test_a_dip_that_begins_at_a_momentum_dump_is_no_step(hours, depth):
    (observation,) = mixed(1)
    for dump in 1325 + DUMPS:
        dip = (observation.time >= dump) & (observation.time < dump + hours / 24)
        cleaned = clean([change(observation, flux=observation.flux * (1 - depth * dip))])
        assert cleaned.segment[-1] + 1 == 2


def test_a_star_that_varies_is_not_cut_at_its_momentum_dumps():
    (observation,) = mixed(1)
    for period in (0.3, 1.0, 2.0, 5.0):
        wave = 1 + 0.02 * np.sin(2 * np.pi * observation.time / period)
        assert clean([change(observation, flux=observation.flux * wave)]).segment[-1] + 1 == 2


def test_steps_can_be_left_alone():
    assert clean(mixed(1, step=1e-2), CleanSettings(dump_steps=False)).segment[-1] + 1 == 2
