"""SIMULATED rows made from real ones: views of nothing but noise, and binaries folded at half their period."""

import numpy as np
from numpy.typing import NDArray

from models.datasets.labelled import REASONS, Labelled
from models.inputs import GLOBAL_BINS, LOCAL_BINS, SCALARS, Rows, box_means, correlated_noise, measure, normalise


def shows_its_dip(rows: Rows) -> NDArray[np.bool_]:
    """Whether the local view falls by 0.4 of its depth in the middle half duration, (n,).

    Nigraha labels a star and folds each of its sectors on one ephemeris: one planet row in twelve shows no transit,
    and a network that learns those calls empty views planets (measured: noise scored 0.83 in the median).
    """
    return measure(rows)[0][:, 0] < -0.4


def without_any_dip(labelled: Labelled, count: int, rng: np.random.Generator) -> Labelled:
    """SIMULATED junk: the scalars of ``count`` rows drawn from all classes, with views of nothing but noise.

    A signal whose views are empty is no planet, whatever its period, depth and signal-to-noise say.
    """
    part = labelled.take(rng.choice(len(labelled), size=count, replace=count > len(labelled)))
    shape = part.rows.local_flux.shape
    present = np.ones(shape, dtype=np.float32)
    part_of = {
        f"{view}_flux": correlated_noise(shape, rng) * np.float32(scatter)
        for view, scatter in (("local", 1.0), ("odd", 1.41), ("even", 1.41))
    }
    rows = Rows(
        global_flux=correlated_noise(part.rows.global_flux.shape, rng),
        global_filled=np.ones_like(part.rows.global_flux),
        local_filled=present,
        odd_filled=present.copy(),
        even_filled=present.copy(),
        scalars=part.rows.scalars,
        **part_of,
    )
    return Labelled(
        normalise(rows),
        np.zeros(count, dtype=bool),
        np.full(count, REASONS.index("junk"), dtype=np.int64),
        part.tic,
        part.place,
        np.full(count, "simulated", dtype="U16"),
        np.full(count, "J", dtype="U4"),
        part.period,
    )


def folded_at_half(labelled: Labelled) -> Labelled:
    """Eclipsing binaries as a search finds them at half their period: odd and even transits are the two eclipses.

    Made from binaries whose global view shows a clear second eclipse opposite the first. They keep the star (and so
    its group) and count as eclipsing binaries; none is a planet.
    """
    rows = labelled.rows
    relative = rows.scalars[:, SCALARS.index("duration_over_period")]
    flux = rows.global_flux
    opposite = np.roll(flux, GLOBAL_BINS // 2, axis=1)
    width = np.maximum(1, np.rint(np.nan_to_num(relative, nan=0.03) * GLOBAL_BINS)).astype(np.int64)
    depth = -box_means(opposite, width)[:, GLOBAL_BINS // 2]
    sigma = measure(rows)[0][:, 4]
    chosen = np.flatnonzero(
        (labelled.reason == 1) & (depth > 0.1) & (sigma > 0.6) & (relative > 0.012) & (relative < 0.12)
    )
    if not chosen.size:
        return labelled.take(chosen)
    part = labelled.take(chosen)
    flux, relative = part.rows.global_flux, relative[chosen]
    # phase of the shorter period runs over half of the longer one
    place = np.linspace(-0.25, 0.25, GLOBAL_BINS) * (GLOBAL_BINS - 1) + (GLOBAL_BINS - 1) / 2
    first = np.stack([np.interp(place, np.arange(GLOBAL_BINS), row) for row in flux])
    swapped = np.roll(flux, GLOBAL_BINS // 2, axis=1)
    second = np.stack([np.interp(place, np.arange(GLOBAL_BINS), row) for row in swapped])
    near = np.linspace(-2, 2, LOCAL_BINS)[None] * relative[:, None] * (GLOBAL_BINS - 1) + (GLOBAL_BINS - 1) / 2
    even = np.stack([np.interp(where, np.arange(GLOBAL_BINS), row) for where, row in zip(near, swapped, strict=True)])
    odd = np.stack([np.interp(where, np.arange(GLOBAL_BINS), row) for where, row in zip(near, flux, strict=True)])
    ones = np.ones_like(part.rows.local_flux)
    scalars = part.rows.scalars.copy()
    scalars[:, SCALARS.index("log10_period")] -= np.log10(2)
    scalars[:, SCALARS.index("duration_over_period")] *= 2
    shallower = np.clip((1 + depth[chosen]) / 2, 0.3, 1)
    scalars[:, SCALARS.index("log10_depth")] += np.log10(shallower)
    new = Rows(
        global_flux=((first + second) / 2).astype(np.float32),
        global_filled=np.ones_like(part.rows.global_flux),
        local_flux=((odd + even) / 2).astype(np.float32),
        local_filled=ones,
        odd_flux=odd.astype(np.float32),
        odd_filled=ones.copy(),
        even_flux=even.astype(np.float32),
        even_filled=ones.copy(),
        scalars=scalars,
    )
    return Labelled(
        normalise(new),
        part.planet,
        part.reason,
        part.tic,
        part.place,
        np.full(len(part), "folded_at_half", dtype="U16"),
        part.disposition,
        part.period / 2,
    )
