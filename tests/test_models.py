"""The networks: inputs, calibration, registry, scorer and training, on signals whose nature is known."""

import json
import pickle
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file, save_file

from models import calibrate
from models.augment import Augmentation, augment
from models.calibrate import Calibration, sigmoid
from models.datasets import (
    SPLITS,
    Labelled,
    ViewsRefused,
    assemble,
    digest_of,
    folded_at_half,
    groups,
    join_labelled,
    public_dataset,
    read_views,
    shows_its_dip,
    split_of,
    without_any_dip,
)
from models.evaluate import (
    average_precision,
    calibration_error,
    evaluate,
    precision_at,
    recall_at,
    roc_auc,
    scored_rows,
    with_interval,
)
from models.fine_tune import one_cycle
from models.inputs import (
    CLIP,
    GLOBAL_BINS,
    GLOBAL_LENGTH,
    GLOBAL_WIDTH,
    LOCAL_BINS,
    LOCAL_LENGTH,
    MEASURED,
    SCALARS,
    InputsRefused,
    Preparation,
    SignalInputs,
    fit_preparation,
    gather,
    measure,
    rebin,
    tensors,
)
from models.registry import MANIFEST, SHIPPED, ModelRefused, Registry, seal, verify_folder
from models.resnet1d import REASONS, Architecture, ResNet1D, Together, parameters
from models.scorer import Scorer
from models.stack import Committee, fit_weighing
from models.train import Recipe, learning_rows, train_on

torch.set_num_threads(1)


def transit(phase: np.ndarray, relative: float, depth: float = 1.0, flat: float = 0.7) -> np.ndarray:
    """A trapezoid centred on phase 0 lasting ``relative`` of a period, the bottom ``flat`` of it."""
    distance = np.abs(phase) / (relative / 2)
    return -depth * np.clip((1 - distance) / (1 - flat), 0, 1)


def make_signal(
    kind: str = "planet", snr: float = 30.0, seed: int = 0, depth: float = 0.004, relative: float = 0.04, **scalars
) -> SignalInputs:
    """SIMULATED: a planet, a binary with a second eclipse and unequal halves, or noise with the scatter of ``snr``."""
    rng = np.random.default_rng(seed)
    whole_phase = (np.arange(GLOBAL_LENGTH) + 0.5) / GLOBAL_LENGTH - 0.5
    near_phase = ((np.arange(LOCAL_LENGTH) + 0.5) / LOCAL_LENGTH - 0.5) * 4 * relative

    def noise(length: int, window: float, transits: float = 1.0) -> np.ndarray:
        # medians over a window of so many durations, closely spaced: correlated over window / spacing bins
        size = max(1, round(window))
        white = rng.standard_normal(length + size)
        smooth = np.convolve(white, np.ones(size) / np.sqrt(size), mode="same")[:length]
        return smooth / np.sqrt(transits)

    per_duration = depth / snr
    wide = per_duration / np.sqrt(1.2 / 201 / relative) * noise(GLOBAL_LENGTH, 12)
    close = [per_duration / np.sqrt(0.16) * noise(LOCAL_LENGTH, 10, share) for share in (1.0, 1.0, 0.5, 0.5)]
    shapes = {"planet": (1.0, 0.0, 1.0, 1.0), "binary": (1.0, 0.35, 1.3, 0.7), "noise": (0.0, 0.0, 0.0, 0.0)}
    primary, second, odd, even = (depth * share for share in shapes[kind])
    flat = 0.1 if kind == "binary" else 0.7
    opposite = (whole_phase + 1.0) % 1.0 - 0.5
    views = [
        transit(whole_phase, relative, primary, flat) + transit(opposite, relative, second, flat) + wide,
        *(
            transit(near_phase, relative, part, flat) + extra
            for part, extra in zip((primary, second, odd, even), close, strict=True)
        ),
    ]
    known = {
        "log10_period": 0.5,
        "log10_depth": np.log10(depth),
        "duration_over_period": relative,
        "log10_snr": np.log10(snr),
    }
    full = {f"{name}_filled": np.ones(len(flux), dtype=bool) for name, flux in zip(NAMES, views, strict=True)}
    return SignalInputs(
        **{f"{name}_flux": flux for name, flux in zip(NAMES, views, strict=True)},
        **full,
        depth=depth,
        scalars=known | scalars,
    )


NAMES = ("global", "local", "secondary", "odd", "even")


def make_labelled(count: int = 60, first_tic: int = 1, seed: int = 0) -> Labelled:
    """SIMULATED: a third planets, a third binaries, a third noise; a star each."""
    kinds = [("planet", "binary", "noise")[i % 3] for i in range(count)]
    rows = gather([make_signal(kind, 10 + 3 * (i % 20), seed * 10_000 + i) for i, kind in enumerate(kinds)])
    reason = np.array([{"planet": 0, "binary": 1, "noise": 3}[kind] for kind in kinds])
    return Labelled(
        rows,
        reason == 0,
        reason,
        np.arange(first_tic, first_tic + count),
        np.arange(count),
        np.full(count, "astronet", dtype="U16"),
        np.array([{"planet": "PC", "binary": "EB", "noise": "J"}[kind] for kind in kinds], dtype="U4"),
        np.full(count, 3.0) + np.arange(count) * 0.01,
    )


@pytest.fixture(scope="module")
def data():
    return assemble(make_labelled(180), {}, [], {})


@pytest.fixture(scope="module")
def recipe():
    return Recipe("tiny", epochs=8, members=2, batch=16, width=4, held_out=(), learning_rate=5e-3, trees=20, bins=15)


@pytest.fixture(scope="module")
def trained(data, recipe, tmp_path_factory) -> Path:
    return train_on(data, tmp_path_factory.mktemp("registry"), recipe, name="tiny", resamples=20)


@pytest.fixture
def model(trained, tmp_path) -> Path:
    """A copy of the trained model that a test may damage."""
    folder = tmp_path / "root" / "tiny"
    folder.mkdir(parents=True)
    for item in trained.iterdir():
        (folder / item.name).write_bytes(item.read_bytes())
    return folder


# ------------------------------------------------------------------------------------------------------- inputs


def test_the_bins_of_the_public_views_are_averages_of_the_finer_ones():
    flux = np.arange(2048, dtype=float)[None]
    coarse, filled = rebin(flux, np.ones_like(flux, dtype=bool), GLOBAL_BINS, GLOBAL_WIDTH, wrap=True)
    start = np.linspace(0, 1 - GLOBAL_WIDTH, GLOBAL_BINS)
    assert coarse[0] == pytest.approx((start + GLOBAL_WIDTH / 2) * 2048 - 0.5, abs=0.01)
    assert filled.all()


def test_empty_bins_are_interpolated_across_the_seam_of_phase_and_marked():
    flux = np.zeros((1, 2048))
    seen = np.ones((1, 2048), dtype=bool)
    flux[0, :100], flux[0, -100:] = 1.0, 1.0
    seen[0, :60], seen[0, -60:] = False, False
    flux[0, :60] = 1e9  # what stands where nothing was observed must not matter
    coarse, filled = rebin(flux, seen, GLOBAL_BINS, GLOBAL_WIDTH, wrap=True)
    assert filled[0, 0] == 0
    assert coarse[0, 0] == pytest.approx(1.0, abs=1e-5)
    assert filled[0, 100] == 1


def test_views_are_in_units_of_the_depth_and_the_parities_in_those_of_the_primary():
    rows = gather([make_signal("binary", snr=1e5)])
    assert rows.local_flux.min() == pytest.approx(-1)
    assert rows.global_flux.min() == pytest.approx(-1)
    # 1.3 and 0.7 of the primary, in the middle of the eclipse
    assert rows.odd_flux.min() == pytest.approx(-1.3, abs=0.03)
    assert rows.even_flux.min() == pytest.approx(-0.7, abs=0.03)
    numbers, secondary, _ = measure(rows)
    assert secondary.min() == pytest.approx(-0.35, abs=0.05)
    assert numbers[0, MEASURED.index("odd_even_difference")] == pytest.approx(0.6, abs=0.1)


def test_the_depth_does_not_change_what_the_network_sees():
    shallow, deep = (gather([make_signal(depth=depth, seed=5)]) for depth in (1e-4, 0.2))
    assert shallow.local_flux == pytest.approx(deep.local_flux, abs=1e-4)
    assert shallow.global_flux == pytest.approx(deep.global_flux, abs=1e-4)


@pytest.mark.parametrize("level", [0.0, 1.0, -3e-4])
def test_a_constant_light_curve_is_zero_and_never_nan(level):
    flat = {f"{name}_flux": np.full(len(getattr(make_signal(), f"{name}_flux")), level) for name in NAMES}
    rows = gather([replace(make_signal(), **flat, depth=0.0)])
    whole, close, scalars = tensors(rows, fit_preparation(rows, ("log10_period",)))
    for array in (whole, close, scalars):
        assert np.isfinite(array).all()
    assert (whole[:, 0] == 0).all()
    assert (close[:, ::2] == 0).all()


PLAIN = make_signal()
CONSTANTS = fit_preparation(gather([PLAIN]), ("log10_period", "tmag"))


@settings(max_examples=30, deadline=None)
@given(
    flux=arrays(np.float64, LOCAL_LENGTH, elements=st.floats(-1e6, 1e6)),
    filled=arrays(np.bool_, LOCAL_LENGTH),
    depth=st.floats(-1, 1),
)
def test_any_finite_view_gives_finite_bounded_inputs(flux, filled, depth):
    if not filled.any():
        filled[3] = True
    signal = replace(PLAIN, local_flux=flux, local_filled=filled, odd_filled=filled, odd_flux=flux, depth=depth)
    whole, close, scalars = tensors(gather([signal]), CONSTANTS)
    assert np.isfinite(whole).all()
    assert np.isfinite(close).all()
    assert np.isfinite(scalars).all()
    assert CLIP[0] - 1e-6 <= close.min()
    assert close.max() <= CLIP[1] + 1e-6


def test_a_missing_scalar_is_zero_with_its_bit_set_and_a_measured_mean_is_not():
    rows = gather([make_signal(tmag=10.0), make_signal(tmag=None), make_signal()])
    ones = [1.0] * len(MEASURED)
    constants = Preparation(("tmag",), (10.0, *ones), (2.0, *ones), (0.0, *ones), (20.0, *ones))
    _, _, scalars = tensors(rows, constants)
    bit = 1 + len(MEASURED)
    assert scalars[:, 0].tolist() == [0.0, 0.0, 0.0]
    assert scalars[:, bit].tolist() == [0.0, 1.0, 1.0]


def test_scalars_the_model_was_not_trained_with_change_nothing():
    constants = fit_preparation(gather([make_signal()]), ("log10_period",))
    plain, told = (
        tensors(gather([s]), constants)
        for s in (make_signal(), make_signal(centroid_sigma=40.0, teff=3000.0, radius=2.0, log10_snr=3.0))
    )
    for one, other in zip(plain, told, strict=True):
        assert np.array_equal(one, other)


def test_a_scalar_beyond_the_training_range_is_set_to_its_edge():
    rows = gather([make_signal(snr=snr, seed=3) for snr in (10, 20, 40)])
    constants = fit_preparation(rows, ("log10_snr",))
    far, edge = (
        tensors(gather([make_signal(seed=3, log10_snr=value)]), constants)[2] for value in (9.0, constants.high[0])
    )
    assert far[0, 0] == edge[0, 0]


def test_what_is_measured_of_a_transit_is_what_was_put_in():
    rows = gather([make_signal("planet", 300, seed, radius=1.2) for seed in range(8)])
    middle = dict(zip(MEASURED, np.median(measure(rows)[0], axis=0), strict=True))
    known = {name: np.median(rows.scalars[:, SCALARS.index(name)]) for name in SCALARS}
    radius = 109.1 * known["radius"] * 10 ** (known["log10_depth"] / 2)
    assert middle["log10_planet_radius"] == pytest.approx(np.log10(radius), abs=0.02)
    hours = 24 * 10 ** known["log10_period"] * known["duration_over_period"]
    assert middle["log10_duration"] == pytest.approx(np.log10(hours), abs=0.02)
    assert middle["trapezoid_duration"] == pytest.approx(1.0, abs=0.2)
    assert middle["trapezoid_share"] > 0.95
    assert middle["trapezoid_depth"] == pytest.approx(1.0, abs=0.1)
    assert middle["box_depth"] < -0.6
    assert abs(middle["half_depth"]) < 0.1
    for name in ("cosine", "sine", "cosine_half", "sine_half", "before", "after"):
        assert abs(middle[name]) < 0.1, name


def test_a_v_is_told_from_a_u_and_a_wave_from_a_flat_line():
    plain = gather([make_signal("planet", 300, 1)])
    offset = np.linspace(-1.92, 1.92, LOCAL_BINS)
    phase = np.linspace(-np.pi, np.pi, GLOBAL_BINS)
    shapes = {
        "U": -(np.abs(offset) < 0.5).astype(np.float32),
        "V": -np.clip(1 - np.abs(offset) / 0.5, 0, 1).astype(np.float32),
    }
    wave = (plain.global_flux + 0.3 * np.cos(2 * phase)).astype(np.float32)
    found = {
        name: dict(zip(MEASURED, measure(replace(plain, local_flux=flux[None], global_flux=wave))[0][0], strict=True))
        for name, flux in shapes.items()
    }
    assert found["V"]["v_share"] > 0.05 > found["U"]["v_share"]
    assert found["V"]["trapezoid_ingress"] == 0.5
    assert found["U"]["trapezoid_ingress"] == 0.05
    assert found["U"]["cosine_half"] == pytest.approx(0.3, abs=0.05)


def test_missing_odd_and_even_views_are_masked():
    empty = np.zeros(LOCAL_LENGTH, dtype=bool)
    rows = gather([replace(make_signal(), odd_filled=empty, even_filled=empty)])
    _, close, scalars = tensors(rows, fit_preparation(rows, ()))
    assert (close[0, 4:] == 0).all()
    place = MEASURED.index("odd_even_difference")
    assert scalars[0, place] == 0
    assert scalars[0, len(MEASURED) + place] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"local_flux": np.full(LOCAL_LENGTH, np.nan)},
            "signal 1: the local view holds 256 values that are not finite",
        ),
        ({"global_flux": np.zeros(201)}, "signal 1: the global view has shape (201,), it must be (2048,)"),
        ({"local_filled": np.zeros(LOCAL_LENGTH, dtype=bool)}, "signal 1: no cadence falls in the local view"),
        ({"depth": float("nan")}, "signal 1: its depth is nan"),
        ({"scalars": {"color": 1.0}}, "signal 1: unknown scalars color"),
        ({"scalars": {"tmag": float("inf")}}, "signal 1: tmag is infinite"),
    ],
)
def test_a_signal_that_cannot_be_scored_is_refused_in_one_line(change, words):
    with pytest.raises(InputsRefused) as refusal:
        gather([replace(make_signal(), **change)])
    assert str(refusal.value) == words


# ------------------------------------------------------------------------------------------------------ network


def test_the_network_has_the_shapes_and_the_size_it_says():
    network = ResNet1D(Architecture(scalars=30)).eval()
    assert 30_000 < parameters(network) < 60_000
    planet, reasons = network(torch.zeros(3, 2, 201), torch.zeros(3, 8, 61), torch.zeros(3, 30))
    assert planet.shape == (3,)
    assert reasons.shape == (3, len(REASONS))


def test_networks_asked_together_say_what_each_says_alone():
    torch.manual_seed(3)
    networks = [ResNet1D(Architecture(scalars=9, absent=("blend",))) for _ in range(3)]
    inputs = [torch.randn(40, 2, 201), torch.randn(40, 8, 61), torch.randn(40, 9)]
    for network in networks:  # batch-norms that are not the identity
        network.train()
        network(*(part * 2 + 1 for part in inputs))
        network.eval()
    with torch.inference_mode():
        planet, reasons = Together(networks)(*inputs)
        for k, network in enumerate(networks):
            alone, told = network(*inputs)
            assert planet[k].tolist() == pytest.approx(alone.tolist(), abs=1e-5)
            known = torch.isfinite(told)
            assert torch.equal(known, torch.isfinite(reasons[k]))
            assert reasons[k][known].tolist() == pytest.approx(told[known].tolist(), abs=1e-5)


def test_the_network_learns_a_tiny_set_by_heart():
    torch.manual_seed(0)
    labelled = make_labelled(24)
    constants = fit_preparation(labelled.rows, ("log10_snr",))
    inputs = [torch.from_numpy(a) for a in tensors(labelled.rows, constants)]
    # labels without any rule: only memory can serve
    truth = torch.from_numpy(np.random.default_rng(1).integers(0, 2, 24).astype(np.float32))
    network = ResNet1D(Architecture(scalars=constants.width, width=8, dropout=0.0))
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(80):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(*inputs)[0], truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05


def test_every_input_reaches_the_answer():
    torch.manual_seed(0)
    network = ResNet1D(Architecture(scalars=6)).eval()
    inputs = [torch.randn(1, *shape).requires_grad_() for shape in ((2, 201), (8, 61), (6,))]
    planet, reasons = network(*inputs)
    (planet.sum() + reasons[0, 0]).backward()
    for tensor in inputs:
        reached = (tensor.grad.abs() > 0).reshape(tensor.shape[1], -1).float().mean(dim=1)
        assert (reached > 0.5).all()


# ------------------------------------------------------------------------------------------------------ metrics


def test_metrics_agree_with_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(3)
    truth, weight = rng.random(400) < 0.2, rng.uniform(0.1, 2, 400)
    score = np.round(rng.normal(size=400) + truth, 1)  # many ties
    assert roc_auc(truth, score, weight) == pytest.approx(roc_auc_score(truth, score, sample_weight=weight))
    assert average_precision(truth, score, weight) == pytest.approx(
        average_precision_score(truth, score, sample_weight=weight)
    )


def test_precision_and_recall_count_what_they_say():
    truth = np.array([True, True, True, False, False])
    score, weight = np.array([0.9, 0.86, 0.2, 0.95, 0.1]), np.ones(5)
    assert precision_at(0.85)(truth, score, weight) == pytest.approx(2 / 3)
    assert recall_at(0.85)(truth, score, weight) == pytest.approx(2 / 3)
    assert np.isnan(precision_at(0.99)(truth, score, weight))


def test_the_interval_comes_from_stars_not_from_rows():
    rng = np.random.default_rng(0)
    truth = rng.random(60) < 0.4
    score = truth + rng.normal(size=60)
    repeated = [np.repeat(a, 20) for a in (truth, score, np.arange(60))]
    by_star = with_interval(roc_auc, *repeated)
    by_row = with_interval(roc_auc, *repeated[:2], np.arange(1200))
    assert by_star["high"] - by_star["low"] > 2 * (by_row["high"] - by_row["low"])


# -------------------------------------------------------------------------------------------------- calibration


def test_platt_finds_the_line_that_made_the_labels():
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 3, 20_000)
    truth = rng.random(20_000) < sigmoid(0.5 * raw - 1.0)
    found = calibrate._platt(raw, truth, np.ones(len(raw)))
    # standard errors are about 0.01 and 0.02 with so many
    assert found == pytest.approx((0.5, -1.0), abs=0.08)


@pytest.mark.parametrize("count", [2_000, 12_000])  # Platt with few planets, an isotonic curve with many
def test_calibrated_probabilities_are_met_on_other_rows(count):
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 3, 2 * count)
    truth = rng.random(2 * count) < sigmoid(0.6 * raw - 1.5)
    fitted = calibrate.fit(raw[:count], truth[:count], prior=0.3)
    assert fitted.method == ("platt" if truth[:count].sum() < calibrate.ISOTONIC_POSITIVES else "isotonic")
    before = calibration_error(truth[count:], sigmoid(raw[count:]))
    after = calibration_error(truth[count:], fitted.probability(raw[count:], fitted.training_prior))
    assert after < 0.04 < before


def test_a_stated_prior_shifts_the_odds_by_its_own():
    fitted = Calibration("platt", training_prior=0.05, prior=0.05)
    here, there = fitted.probability(0.3), fitted.probability(0.3, prior=0.5)
    odds = (0.5 / 0.5) / (0.05 / 0.95)
    assert there / (1 - there) == pytest.approx(here / (1 - here) * odds, rel=1e-6)


def test_a_calibration_survives_its_file_and_nonsense_does_not():
    one = Calibration("isotonic", 0.1, 0.2, knots=(-1.0, 2.0), heights=(0.1, 0.9))
    assert Calibration.from_json(json.loads(json.dumps(one.to_json()))) == one
    for wrong in ({"prior": 0.0}, {"method": "magic"}, {"heights": [0.1]}):
        with pytest.raises(ValueError, match=r"prior|calibration|heights"):
            Calibration.from_json(one.to_json() | wrong)


# ----------------------------------------------------------------------------------------------------- datasets


def astronet_file(path: Path, labelled: Labelled, **changes) -> Path:
    """A file in the layout of AstroNet's views."""
    count, scalars = len(labelled), labelled.rows.scalars
    columns = {
        "global_view": labelled.rows.global_flux,
        "local_view": labelled.rows.local_flux,
        "tic_id": labelled.tic,
        "row_id": np.arange(count),
        "Disposition": labelled.disposition.astype("U2"),
        "Period": labelled.period.astype(np.float32),
        "Duration": (labelled.period * 0.04).astype(np.float32),
        "Transit_Depth": (1e6 * 10 ** scalars[:, 1]).astype(np.float32),
        "SN": (10 ** scalars[:, 3]).astype(np.float32),
    }
    np.savez(path, **(columns | changes))
    return path


def test_a_file_of_views_is_read_with_its_units(tmp_path):
    labelled = make_labelled(30)
    read, dropped = read_views(astronet_file(tmp_path / "a.npz", labelled))
    assert read.rows.scalars[:, :4] == pytest.approx(
        labelled.rows.scalars[:, :4] * [0, 1, 1, 1] + np.log10(labelled.period)[:, None] * [1, 0, 0, 0], abs=1e-5
    )
    assert read.planet.sum() == 10
    assert sum(dropped.values()) == 0
    assert not (read.rows.odd_filled > 0).any()


def test_views_that_are_nan_throughout_are_dropped_and_counted(tmp_path):
    labelled = make_labelled(30)
    views = labelled.rows.global_flux.copy()
    views[4] = np.nan
    read, dropped = read_views(astronet_file(tmp_path / "a.npz", labelled, global_view=views))
    assert len(read) == 29
    assert list(dropped.values()) == [1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Disposition": np.full(30, "XX")}, "unknown labels XX"),
        ({"global_view": np.zeros((30, 200))}, r"global_view has shape \(30, 200\), it must be \(30, 201\)"),
        ({"tic_id": np.array([{}] * 30, dtype=object)}, "not an npz of plain arrays"),
    ],
)
def test_a_wrong_file_of_views_is_refused(tmp_path, changes, words):
    with pytest.raises(ViewsRefused, match=words):
        read_views(astronet_file(tmp_path / "a.npz", make_labelled(30), **changes))


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"not a zip")
    with pytest.raises(ViewsRefused, match="not an npz"):
        read_views(tmp_path / "a.npz")


def test_neighbours_that_see_the_same_eclipse_form_one_group():
    stars = {1: {"ra": 10.0, "dec": -60.0}, 2: {"ra": 10.1, "dec": -60.0}, 3: {"ra": 10.1, "dec": -60.0}, 4: {}}
    stars[5] = {"ra": 10.19, "dec": -60.0}
    period = np.array([3.0, 6.0003, 4.0, 3.0, 12.0, 3.0])
    tic = np.array([1, 2, 3, 4, 5, 1])
    # 2 sees twice the period of 1; 5 is tied to 1 through 2; 3 has another period; 4 has no place
    assert groups(tic, period, stars).tolist() == [1, 1, 3, 4, 1, 1]


def test_no_star_and_no_group_lies_in_two_splits():
    stars = {t: {"ra": t // 2 + 0.01 * (t % 2), "dec": 0.0} for t in range(1, 400)}  # neighbours two by two
    labelled = join_labelled([make_labelled(150), make_labelled(60, first_tic=100, seed=1)])
    labelled = replace(labelled, period=np.round(labelled.period * 4) / 4)
    data = assemble(labelled, stars, [140], {})
    assert set(data.split) == set(SPLITS)
    assert (data.group != data.labelled.tic).sum() > 20
    for keys in (data.labelled.tic, data.group):
        for key in np.unique(keys):
            assert len(set(data.split[keys == key])) == 1
    assert set(data.split[data.labelled.tic == 140]) == {"test"}
    for patience, others in ((0, ("test", "calibration")), (3, ("test", "calibration", "validation"))):
        learnt = learning_rows(data, Recipe("any", patience=patience)).labelled.tic
        assert not set(learnt) & set(data.labelled.tic[data.part(*others)])
        assert set(learnt) == set(data.labelled.tic) - set(data.labelled.tic[data.part(*others)])


def test_a_star_keeps_its_split_when_others_come():
    few, many = (assemble(make_labelled(count), {}, [], {}) for count in (60, 120))
    assert few.split.tolist() == many.split[:60].tolist()
    assert few.id != many.id
    assert few.id == digest_of(few) == assemble(make_labelled(60), {}, [], {}).id
    assert split_of(7) == split_of(7)


def test_exact_copies_are_dropped_and_repeats_share_their_weight():
    labelled = make_labelled(30)
    twice = join_labelled([labelled, labelled, replace(make_labelled(3, seed=9), tic=np.array([1, 2, 3]))])
    data = assemble(twice, {}, [], {})
    assert data.notes["exact copies of another row"] == 30
    assert len(data) == 33
    assert data.weight[data.labelled.tic == 1].tolist() == [0.5, 0.5]


def test_a_binary_refolded_at_half_its_period_has_unequal_parities():
    binary = replace(
        make_labelled(30).take(np.arange(1, 30, 3)),
        rows=gather([make_signal("binary", 200, seed) for seed in range(10)]),
    )
    halves = folded_at_half(binary)
    assert len(halves) == 10
    assert halves.period == pytest.approx(binary.period / 2)
    numbers = measure(halves.rows)[0]
    # eclipses of 1 and 0.35 in units of their mean differ by 0.65 / 0.675
    assert np.median(numbers[:, MEASURED.index("odd_even_difference")]) == pytest.approx(0.96, abs=0.25)
    assert not halves.planet.any()


def test_planets_whose_view_is_empty_are_not_learnt_and_empty_views_are_junk():
    rng = np.random.default_rng(0)
    labelled = make_labelled(120)
    planets = np.flatnonzero(labelled.planet)
    empty = without_any_dip(labelled.take(planets), 30, rng)
    assert not empty.planet.any()
    assert shows_its_dip(labelled.rows)[planets].all()
    assert shows_its_dip(empty.rows).mean() < 0.2
    # the same empty views under a planet's label, as some public rows are
    lying = replace(empty, planet=np.ones(30, dtype=bool), tic=np.arange(900, 930), source=labelled.source[:30])
    data = assemble(join_labelled([labelled, lying]), {}, [], {})
    learnt = learning_rows(data, Recipe("any")).labelled
    assert shows_its_dip(learnt.rows)[learnt.planet].all()
    assert (learnt.source == "simulated").sum() > 0
    assert (data.labelled.planet[data.part("test")] & (data.labelled.tic[data.part("test")] >= 900)).any()


def test_augmented_rows_stay_bounded_and_are_the_same_for_the_same_seed():
    labelled = make_labelled(60)
    one, two = (
        augment(labelled.rows, labelled.reason == 1, Augmentation(), np.random.default_rng(4)) for _ in range(2)
    )
    for field in ("global_flux", "local_flux", "odd_flux", "even_flux", "scalars"):
        assert np.array_equal(getattr(one, field), getattr(two, field), equal_nan=True)
    assert np.isfinite(one.local_flux).all()
    assert not np.array_equal(one.local_flux, labelled.rows.local_flux)


def test_augmentation_switched_off_changes_nothing_but_rounding():
    off = Augmentation(*[0.0] * len(asdict(Augmentation())))
    rows = make_labelled(12).rows
    same = augment(rows, np.zeros(12, dtype=bool), replace(off, noisier=1.0, least_snr=1.0), np.random.default_rng(0))
    assert same.local_flux == pytest.approx(rows.local_flux, abs=1e-5)
    assert same.global_flux == pytest.approx(rows.global_flux, abs=1e-5)


def test_the_real_views_are_read_grouped_and_split(shared_data):
    data = public_dataset(shared_data / "labelled_views", held_out=[261136679])
    assert data.notes["nigraha: a view is NaN throughout"] >= 36
    assert data.notes["exact copies of another row"] > 300
    assert set(data.split[data.labelled.tic == 261136679]) == {"test"}
    for key in np.unique(data.labelled.tic)[::10]:
        assert len(set(data.split[data.labelled.tic == key])) == 1
    # a clear planet: deep minimum in the middle, in both sets
    planets = data.labelled.take(np.flatnonzero(np.isin(data.labelled.disposition, ("KP", "CP"))))
    assert np.median(np.abs(planets.rows.local_flux.argmin(axis=1) - 30)) < 6
    assert np.median(planets.rows.local_flux[:, 30]) == pytest.approx(-0.9, abs=0.1)


# ----------------------------------------------------------------------------------------------------- training


def test_a_planet_scores_above_noise_and_a_binary(trained):
    scorer = Scorer.load(trained)
    kinds = ("planet", "noise", "binary")
    scored = {k: scorer.score([make_signal(k, 40, 900 + i) for i in range(20)]) for k in kinds}
    planet, noise, binary = ([s["probability"] for s in scored[k]] for k in kinds)
    assert min(planet) > max(noise)
    assert np.median(planet) > np.median(binary) + 0.3
    assert np.mean([max(s["classes"], key=s["classes"].get) == "planet" for s in scored["planet"]]) > 0.8


def test_scores_do_not_depend_on_the_company_and_repeat_exactly(trained):
    scorer, again = Scorer.load(trained), Scorer.load(trained)
    signals = [make_signal(kind, 12, i) for i in range(30) for kind in ("planet", "noise", "binary")]
    together = scorer.score(signals)
    assert again.score(signals) == together
    alone = [scorer.score([signal])[0] for signal in signals[:10]]
    for one, other in zip(alone, together, strict=False):
        # float32 sums may differ in their last bits with the batch
        assert one["probability"] == pytest.approx(other["probability"], abs=2e-6)
    assert scorer.score([]) == []


def test_the_prior_is_stated_with_each_probability(trained):
    low, high = (Scorer.load(trained, prior=prior).score([make_signal(snr=12)])[0] for prior in (0.01, 0.9))
    assert (low["prior"], high["prior"]) == (0.01, 0.9)
    assert low["probability"] < high["probability"]
    assert low["raw"] == high["raw"]


def test_a_signal_with_nan_is_refused_by_the_scorer(trained):
    with pytest.raises(InputsRefused, match="not finite"):
        Scorer.load(trained).score([replace(make_signal(), global_flux=np.full(GLOBAL_LENGTH, np.nan))])


class Killed(Exception):
    """What a kill looks like from inside."""


def test_training_killed_and_resumed_ends_with_the_same_weights(data, recipe, trained, tmp_path):
    def killer(after: int):
        lines = []

        def progress(line: str) -> None:
            lines.append(line)
            if len(lines) == after:
                raise Killed

        return progress

    for after in (3, 7, 4):  # within the first member, and within the second
        with pytest.raises(Killed):
            train_on(data, tmp_path, recipe, name="tiny", progress=killer(after), resamples=20)
    lines: list[str] = []
    folder = train_on(data, tmp_path, recipe, name="tiny", progress=lines.append, resamples=20)
    assert len([line for line in lines if "epoch" in line]) == 2 * recipe.epochs - 14
    for item in sorted(trained.glob("*.safetensors")):
        assert (folder / item.name).read_bytes() == item.read_bytes(), item.name
    assert json.loads((folder / "calibration.json").read_text()) == json.loads(
        (trained / "calibration.json").read_text()
    )
    # asked again, the finished run is there
    assert train_on(data, tmp_path, recipe, name="tiny") == folder


def test_another_seed_gives_another_model_and_its_name_is_not_taken_over(data, recipe, trained):
    with pytest.raises(ModelRefused, match="from another run"):
        train_on(data, trained.parent, recipe, seed=1, name="tiny")


def test_the_learning_rate_rises_and_falls_once():
    rates = [one_cycle(step, 100, 1.0)[0] for step in range(101)]
    peak = int(np.argmax(rates))
    assert peak == 30
    assert rates[peak] == pytest.approx(1.0)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()


def test_the_card_names_the_data_the_licences_the_split_and_the_limits(trained):
    card = json.loads((trained / "card.json").read_text())
    text = json.dumps(card)
    for word in ("GPL-3", "sha256", "held_out", "limits", "seed"):
        assert word in text
    assert all("AstroNet" in line for line in card["data"]["sets"])  # the sets it learnt from, no others
    assert len(card["data"]["id"]) == 64
    metrics = json.loads((trained / "metrics.json").read_text())
    for who in ("stack", "network", "gradient-boosted trees"):
        figure = metrics[who]["planet against all"]["ap"]
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_a_file_of_views_is_judged_without_the_stars_of_training(trained, data, tmp_path):
    views = astronet_file(tmp_path / "a.npz", data.labelled)
    scorer = Scorer.load(trained)
    found = evaluate(scorer, views, resamples=10)
    unseen = len(data.part("test"))
    assert found["rows"]["judged"] == unseen
    assert found["planet against all"]["auc"]["n"] == unseen
    assert found["planet against all"]["auc"]["value"] > 0.9
    table = list(scored_rows(scorer, views))
    assert len(table) == len(data)
    assert sum(not line["seen"] for line in table) == unseen


# ----------------------------------------------------------------------------------------------------- registry


def test_a_whole_model_verifies_and_has_one_digest(model):
    assert verify_folder(model) == Scorer.load(model).sha256
    assert len(verify_folder(model)) == 64


@pytest.mark.parametrize(
    "name",
    [
        "weights-0.safetensors",
        "weights-1.safetensors",
        "card.json",
        "calibration.json",
        "metrics.json",
        "stars.safetensors",
        "trees.safetensors",
        "stack.json",
        MANIFEST,
    ],
)
def test_a_flipped_byte_anywhere_is_refused(model, name):
    data = bytearray((model / name).read_bytes())
    data[len(data) // 2] ^= 1
    (model / name).write_bytes(data)
    with pytest.raises(ModelRefused, match="tiny") as refusal:
        Scorer.load(model)
    assert "\n" not in str(refusal.value)


def test_a_missing_and_an_extra_file_are_refused(model):
    (model / "notes.txt").write_text("hello")
    with pytest.raises(ModelRefused, match=r"notes\.txt is not in its manifest"):
        Scorer.load(model)
    (model / "notes.txt").unlink()
    (model / "weights-1.safetensors").unlink()
    with pytest.raises(ModelRefused, match=r"weights-1\.safetensors is missing"):
        Scorer.load(model)
    with pytest.raises(ModelRefused, match="no model is here"):
        Scorer.load(model.parent / "elsewhere")


def test_a_pickle_posing_as_weights_is_refused_and_never_run(model, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    (model / "weights-0.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelRefused, match="sha256"):
        Scorer.load(model)
    seal(model)  # even where someone made the manifest fit
    with pytest.raises(ModelRefused, match="no safetensors file"):
        Scorer.load(model)
    torch.save({"a": torch.zeros(3)}, model / "weights-0.safetensors")
    seal(model)
    with pytest.raises(ModelRefused, match="no safetensors file"):
        Scorer.load(model)
    assert not (tmp_path / "sprung").exists()


def test_networks_and_trees_are_weighed_and_neither_alone_is_what_is_said(trained, data):
    scorer = Scorer.load(trained)
    seen = scorer.committee.look(data.labelled.rows)
    stack = json.loads((trained / "stack.json").read_text())["planet"]
    expected = stack["network"] * seen.networks + stack["trees"] * seen.trees[0] + stack["intercept"]
    assert seen.planet == pytest.approx(expected, abs=1e-9)
    assert stack["network"] + stack["trees"] > 0
    eclipse = np.array([score["eclipse_probability"] for score in scorer.score_rows(data.labelled.rows)])
    assert eclipse[data.labelled.reason < 2].mean() > eclipse[data.labelled.reason == 3].mean() + 0.5
    alone = Committee(scorer.networks, scorer.preparation, scorer.architecture).look(data.labelled.rows)
    assert alone.trees is None
    assert alone.planet == pytest.approx(seen.networks, abs=1e-4)  # batch-norms folded or not


def test_the_weighing_of_two_opinions_is_right_where_one_knows_nothing():
    generator = np.random.default_rng(0)
    truth = generator.random(4000) < 0.3
    knows = np.where(truth, 1.5, -1.5) + generator.normal(0, 1.0, 4000)
    found = fit_weighing(generator.normal(size=4000), knows, truth, np.ones(4000), hold=1.0)
    assert found.trees == pytest.approx(3.0, abs=0.3)
    assert found.network < 0.15
    contrary = fit_weighing(-knows, knows, truth, np.ones(4000), hold=1.0)
    assert contrary.network == 0.0
    assert contrary.trees > 2.5
    mirrored = fit_weighing(knows, -knows, truth, np.ones(4000), hold=1.0)
    assert mirrored.trees == 0.0
    assert mirrored.network > 2.5
    few = fit_weighing(generator.normal(size=40), knows[:40], truth[:40], np.ones(40))
    assert (few.network, few.trees) == pytest.approx((1 / 3, 2 / 3), abs=0.1)
    with pytest.raises(ValueError, match="both kinds"):
        fit_weighing(knows, knows, np.zeros(4000), np.ones(4000))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "stack.json").unlink(), r"stack\.json cannot be read"),
        (lambda folder: (folder / "trees.safetensors").unlink(), r"trees\.safetensors or stack\.json cannot be read"),
        (lambda folder: (folder / "stack.json").write_text("{}"), "weighs planet and eclipse"),
        (lambda folder: (folder / "trees.safetensors").write_bytes(b"no trees"), "cannot be read"),
        (lambda folder: save_file({"value": torch.zeros(3)}, folder / "trees.safetensors"), "are missing"),
    ],
)
def test_trees_that_do_not_fit_are_refused(model, change, words):
    change(model)
    seal(model)
    with pytest.raises(ModelRefused, match=words):
        Scorer.load(model)


def test_weights_of_another_architecture_are_refused_with_their_keys(model):
    weights = load_file(model / "weights-0.safetensors")
    wrongs = [
        ({"conv1.weight": torch.zeros(3)}, "another architecture"),
        ({k: v for k, v in weights.items() if k != "planet.bias"}, r"1 missing \(planet\.bias\)"),
        (weights | {"attention.weight": torch.zeros(2)}, r"1 unknown \(attention\.weight\)"),
        (weights | {"planet.weight": torch.zeros(1, 7)}, r"planet.weight \(1, 7\), not \(1, 64\)"),
        (weights | {"planet.bias": torch.full((1,), float("nan"))}, "not finite"),
    ]
    for wrong, words in wrongs:
        save_file(wrong, model / "weights-0.safetensors")
        seal(model)
        with pytest.raises(ModelRefused, match=words):
            Scorer.load(model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card["architecture"].update(name="transformer"), "its architecture is transformer"),
        (lambda card: card["architecture"].update(heads=8), "not understood"),
        (lambda card: card["architecture"].update(global_length=4096), "lengths"),
        (lambda card: card["inputs"].update(scalars=["color"]), "unknown scalars"),
        (lambda card: card["inputs"]["mean"].pop(), "as many means, deviations and ranges"),
        (lambda card: card.pop("inputs"), "not understood"),
        (lambda card: card.update(members=0), "no members"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(model, change, words):
    card = json.loads((model / "card.json").read_text())
    change(card)
    (model / "card.json").write_text(json.dumps(card))
    seal(model)
    with pytest.raises(ModelRefused, match=words):
        Scorer.load(model)


def copy_into(registry: Registry, model: Path, name: str) -> Path:
    def fill(folder: Path) -> None:
        for item in model.iterdir():
            if item.name != MANIFEST:
                (folder / item.name).write_bytes(item.read_bytes())

    return registry.register(name, fill)


def test_the_shipped_model_serves_until_one_is_promoted_and_again_after_rollback(model, tmp_path):
    Registry(model.parent).promote("tiny")
    registry = Registry(tmp_path / "hunt", shipped=model.parent)
    assert registry.current() == model
    with pytest.raises(ModelRefused, match="nothing was promoted"):
        registry.rollback()
    first, second = copy_into(registry, model, "first"), copy_into(registry, model, "second")
    assert registry.current() == model
    registry.promote("first")
    registry.promote("second")
    assert registry.current() == second
    assert [(e.name, e.current, e.shipped) for e in registry.list()] == [
        ("first", False, False),
        ("second", True, False),
        ("tiny", False, True),
    ]
    assert registry.rollback() == first
    assert registry.rollback() == model
    assert registry.verify() == {"first": None, "second": None, "tiny": None}
    assert registry.show("first").card["name"] == "tiny"


def test_an_empty_registry_without_a_shipped_model_has_no_current_one(tmp_path):
    registry = Registry(tmp_path / "none", shipped=tmp_path / "neither")
    assert registry.current() is None
    assert registry.list() == []


def test_a_model_is_registered_whole_or_not_at_all(model, tmp_path):
    registry = Registry(tmp_path / "hunt", shipped=tmp_path)

    def interrupted(folder: Path) -> None:
        (folder / "card.json").write_text("{}")
        raise Killed

    with pytest.raises(Killed):
        registry.register("half", interrupted)
    with pytest.raises(ModelRefused, match="missing"):
        registry.register("poor", lambda folder: None)
    assert list((tmp_path / "hunt").iterdir()) == []
    copy_into(registry, model, "one")
    with pytest.raises(ModelRefused, match="never overwritten"):
        copy_into(registry, model, "one")
    for bad in ("../out", "", ".hidden", "a/b"):
        with pytest.raises(ModelRefused):
            copy_into(registry, model, bad)


def test_a_damaged_or_simulated_model_is_not_promoted(model, tmp_path):
    registry = Registry(tmp_path / "hunt", shipped=tmp_path)
    copy_into(registry, model, "good")
    bad = copy_into(registry, model, "bad")
    (bad / "metrics.json").write_text("{}")
    with pytest.raises(ModelRefused, match=r"metrics\.json is not the file"):
        registry.promote("bad")
    assert "metrics.json" in registry.verify()["bad"]
    card = json.loads((model / "card.json").read_text()) | {"synthetic": True}
    (model / "card.json").write_text(json.dumps(card))
    copy_into(registry, model, "dreamt")
    with pytest.raises(ModelRefused, match="simulation only"):
        registry.promote("dreamt")
    with pytest.raises(ModelRefused, match="there are: bad, dreamt, good"):
        registry.promote("nobody")
    assert registry.current() is None


def test_a_damaged_record_of_what_serves_is_said_and_never_guessed(model, tmp_path):
    registry = Registry(tmp_path / "hunt", shipped=model.parent)
    copy_into(registry, model, "good")
    registry.promote("good")
    (tmp_path / "hunt" / "current.json").write_text("{")
    with pytest.raises(ModelRefused, match=r"current\.json: damaged"):
        registry.current()


def test_listing_models_imports_no_torch():
    code = (
        "import sys; from pathlib import Path; from models.registry import Registry; import models.inputs\n"
        "Registry(Path('nowhere')).list(); assert not {'torch', 'sklearn', 'scipy', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


# ------------------------------------------------------------------------------------------------ what is shipped


def test_the_shipped_model_is_whole_small_and_knows_a_planet_from_noise():
    folder = Registry(Path("nowhere")).current()
    assert folder is not None
    assert folder.parent == SHIPPED
    assert sum(item.stat().st_size for item in folder.iterdir()) < 4_000_000
    scorer = Scorer.load(folder)
    # each told the same period, depth and signal-to-noise: only the views differ. Judged where a hunt acts, at 0.85 for
    # the card's own prior; noise told to be a strong short-period signal still scores up to about 0.65.
    for snr in (15, 60):
        planet, noise = (
            [s["probability"] for s in scorer.score([make_signal(kind, snr, i) for i in range(40)])]
            for kind in ("planet", "noise")
        )
        assert min(planet) > 0.85 > 0.75 > max(noise)
        assert np.median(noise) < 0.3
    card = json.loads((folder / "card.json").read_text())
    assert card["synthetic"] is False


def test_the_card_says_whether_the_trees_are_beaten_and_how_the_prior_was_chosen():
    folder = Registry(Path("nowhere")).current()
    metrics = json.loads((folder / "metrics.json").read_text())
    ap = {who: metrics[who]["planet against all"]["ap"]["value"] for who in ("stack", "gradient-boosted trees")}
    assert metrics["serves"] == "stack"
    assert metrics["beats_baseline"] == (ap["stack"] > ap["gradient-boosted trees"])
    assert json.loads((folder / "card.json").read_text())["beats_baseline"] == metrics["beats_baseline"]
    choice = metrics["choice of prior, on the calibration stars"]
    best = max(choice, key=lambda prior: choice[prior]["f1"] or 0.0)
    assert json.loads((folder / "calibration.json").read_text())["prior"] == float(best)


RANKED = (
    "spoc/hlsp_tess-data-alerts_tess_phot_00025155310-s01_tess_v1_lc.fits",  # WASP-126 b
    "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits",  # pi Men c
    "spoc/HD_202772_A_b.fits",
    "spoc/tess2018206045859-s0001-0000000053842685-0120-s_lc.fits",  # a contact binary, found at half its period
    "spoc/tess2018206045859-s0001-0000000117544915-0120-s_lc.fits",  # a detached one, the same
    "lightkurve_export/TIC_38699825_TESS_Sector_02.fits",
    "ultracool/25ca_tess2019090412554-s0002-0000000340703996-0000-s_lc.fits",  # a rotating star
)


def test_the_shipped_model_ranks_real_planets_above_real_binaries_and_a_variable_star(shared_data, tmp_path):
    from hunter.archives.folder import FolderArchive
    from hunter.chain import inputs_of
    from hunter.settings import load
    from pipeline.clean import clean
    from pipeline.fold import fold
    from pipeline.search import search
    from pipeline.vet import vet

    found = []
    for name in RANKED:
        path = shared_data / "lightcurves" / name
        told = load(str(tmp_path), {"archive.source": str(path.parent)})
        archive = FolderArchive(path.parent, told.archive, only=[path])
        target = next(iter(archive.targets()))
        fetched = archive.fetch(target.target, target.sources)
        cleaned = clean([archive.read(product) for product in fetched.products], told.clean, told.detrend)
        signal = search(cleaned.flat, told.search, fetched.star, "numba").signals[0]
        views = fold(cleaned, signal, told.fold, told.detrend)
        findings = vet(cleaned, views, signal, fetched.star, told.vet)
        found.append(inputs_of(cleaned, views, signal, fetched.star, findings))
    folder = Registry(Path("nowhere")).current()
    scores = Scorer.load(folder).score(found)
    assert min(s["probability"] for s in scores[:3]) > 0.5 > 0.3 > max(s["probability"] for s in scores[3:])
    assert min(s["eclipse_probability"] for s in scores[:3]) > 0.5
