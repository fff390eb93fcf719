"""The ways to make a dip: each a map from standard normal deviates to the likelihood of what it would look like."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from pipeline.types import Floats, Star
from pipeline.validation import priors, stars
from pipeline.validation.case import SUN, ValidationCase
from pipeline.validation.light import Eclipses, Folded, ln_likelihood
from pipeline.validation.unresolved import Background, Room

Body = Literal["planet", "eb", "eb2"]  # eb2: twins at twice the period
Place = Literal["target", "primary", "companion", "front", "behind", "neighbour"]
CELLS = (np.arange(32) + 0.5) / 32  # of the unit interval, where the more promising draws are sought
EVEN = 0.25  # of the draws come from all cells alike
DARKENED = 1.15  # central depth over the ratio of the areas
DAY_AXIS = 4.2083  # solar radii: of a one-day orbit around the Sun
NAMES = {"planet": "TP", "eb": "EB", "eb2": "EBx2P"}
LETTER = {"target": "", "primary": "P", "companion": "S", "front": "D", "behind": "B", "neighbour": "N"}
KINDS: dict[tuple[Place, bool], str] = {  # a planet or not
    ("target", True): "planet", ("primary", True): "planet", ("front", True): "planet",
    ("target", False): "eb", ("primary", False): "eb", ("front", False): "eb",
    ("companion", True): "stp", ("companion", False): "heb",
    ("behind", True): "btp", ("behind", False): "beb",
    ("neighbour", True): "ntp", ("neighbour", False): "neb",
}  # fmt: skip
HOSTS = {
    "target": "the target",
    "primary": "the target, beside an unresolved bound companion",
    "companion": "an unresolved bound companion of the target",
    "front": "the target, before an unresolved background star",
    "behind": "an unresolved background star",
}


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """One scenario before it is integrated."""

    name: str
    kind: str
    host: str
    dimensions: int
    ln_likelihood: Callable[[Floats], Floats]  # prior weights included
    ln_factor: float = 0.0  # of the centroid


@dataclass(frozen=True, slots=True, eq=False)
class _Hosts:
    """Whose light a draw loses, (n,) each or one for all."""

    mass: Floats
    radius: Floats
    limb: tuple[Floats, Floats]
    share: Floats  # of the aperture's light
    ln_weight: Floats
    whole: float  # share of the catalogued star, on top of whose light comes that of every unseen one
    unseen: Floats | float = 0.0  # light of a host that is not catalogued, over that of the catalogued star


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """All that the scenarios of one case share."""

    case: ValidationCase
    folded: Folded
    room: Room
    background: Background | None

    def all(self) -> Iterator[Setting]:
        """Every scenario that this case allows, those on the target first."""
        star = self.case.star
        places: list[Place] = ["target", "primary", "companion"]
        if self.background is not None:
            places += ["front", "behind"]
        bodies: tuple[Body, ...] = ("planet", "eb", "eb2")
        own = 0.0 if self.case.offset is None else self.case.offset.ln_likelihood(0.0, 0.0)
        for place in places:
            for body in bodies:
                yield self._setting(place, body, star, self.case.host_share, HOSTS[place], "")
        for neighbour in self.case.neighbours or ():
            known = neighbour.star if neighbour.star.mass and neighbour.star.radius else SUN
            factor = 0.0
            if self.case.offset is not None and neighbour.offset is not None:
                factor = self.case.offset.ln_likelihood(*neighbour.offset) - own
            host = f"{neighbour.key}, {neighbour.separation_arcsec:.1f} arcsec away"
            for body in bodies:
                yield self._setting("neighbour", body, known, neighbour.share, host, f" {neighbour.key}", factor)

    def _setting(
        self, place: Place, body: Body, star: Star, share: float, host: str, suffix: str, factor: float = 0.0
    ) -> Setting:
        def likelihood(x: Floats) -> Floats:
            from scipy.special import ndtr

            u = ndtr(x)
            hosts = self._hosts(place, body, star, share, u[:, 4:])
            return self._weigh(body, hosts, u)

        more = {"target": 0, "neighbour": 0, "front": 2, "behind": 2}.get(place, 1)
        kind = KINDS[place, body == "planet"]
        return Setting(LETTER[place] + NAMES[body] + suffix, kind, host, 4 + more, likelihood, factor)

    def _hosts(self, place: Place, body: Body, star: Star, share: float, u: Floats) -> _Hosts:
        """Draw the star that loses light and the part of the aperture's light it sends."""
        mass, radius = star.mass or 1.0, star.radius or 1.0
        none = np.zeros(1)
        teff = star.teff or float(stars.teff_of(np.array(mass)))
        own = _Hosts(
            np.array([mass]), np.array([radius]), stars.limb_darkening(np.array([teff]), self.case.band),
            np.array([share]), none, share,
        )  # fmt: skip
        if place in ("target", "neighbour"):
            return own
        if place in ("primary", "companion"):
            ratio, _ = priors.mass_ratio(u[:, 0], np.full(u.shape[0], mass), priors.WIDE)
            second = ratio * mass
            size = np.minimum(stars.radius_of(second), radius)
            fainter = stars.own_magnitude(second, size) - stars.own_magnitude(own.mass, own.radius)
            fainter = np.maximum(fainter, 0.0)
            with np.errstate(divide="ignore"):
                ln_weight = np.log(self.room.companions(fainter, body == "planet"))
            heat = np.minimum(stars.teff_of(second), star.teff or math.inf)
        else:
            assert self.background is not None
            which = self.background.pick(u[:, 0], u[:, 1])
            fainter = self.background.fainter[which]
            second, size = self.background.mass[which], self.background.radius[which]
            heat = self.background.teff[which]
            ln_weight = self.background.ln_chance(fainter, self.room)
        light = 10 ** (-0.4 * fainter)
        if place in ("primary", "front"):
            return _Hosts(own.mass, own.radius, own.limb, share / (1 + light), ln_weight, share)
        limb = stars.limb_darkening(heat, self.case.band)
        return _Hosts(second, size, limb, share * light / (1 + light), ln_weight, share, light)

    def _weigh(self, body: Body, hosts: _Hosts, u: Floats) -> Floats:
        """Draw the body and its orbit; the likelihood times what the draw is worth beforehand."""
        number = u.shape[0]
        mass, radius, share = (np.broadcast_to(a, (number,)) for a in (hosts.mass, hosts.radius, hosts.share))
        possible = np.isfinite(np.broadcast_to(hosts.ln_weight, (number,)))
        ln_weight = np.where(possible, hosts.ln_weight, 0.0)
        argument = 2 * math.pi * u[:, 3] - 0.5 * math.pi
        period = self.case.period * (2.0 if body == "eb2" else 1.0)
        planet = body == "planet"
        e = priors.planet_eccentricity(u[:, 2]) if planet else priors.binary_eccentricity(u[:, 2], period)
        e = np.minimum(e, 0.999)  # where any two bodies touch, below
        low, high = (priors.TWIN, 1.0) if body == "eb2" else (0.0, priors.TWIN)

        # first the size of the body, among those that can make the depth, then how centrally it passes
        sized, worth = self._sized(body, mass, radius, share, u[:, 0])
        ln_weight = ln_weight + worth
        if planet:
            ratio = priors.planet_radius(sized, mass) * stars.EARTH_RADIUS / radius
            light, total, other = share, mass, np.zeros(number)
        else:
            q, chance = priors.mass_ratio(sized, mass, priors.CLOSE, low, high)
            with np.errstate(divide="ignore"):
                ln_weight = ln_weight + np.log(chance)
            size = np.minimum(stars.radius_of(q * mass), radius)
            fainter = stars.own_magnitude(q * mass, size) - stars.own_magnitude(mass, radius)
            other = 10 ** (-0.4 * np.maximum(fainter, 0.0))
            ratio, total = size / radius, (1 + q) * mass
            light = 1 / (1 / share + other / hosts.whole)
            possible &= hosts.unseen * (1 + other) <= 1  # an unseen pair does not outshine the catalogued star
        axis = DAY_AXIS * (total * period**2) ** (1 / 3) / radius
        sine = np.sin(argument)
        distance = axis * (1 - e**2) / (1 + e * sine)
        speed = (1 + e * sine) ** 2 / (1 - e**2) ** 1.5
        # inclinations that do not eclipse are not drawn: the draws that do are worth that much less
        reach = np.minimum((1 + ratio) / np.maximum(distance, 1e-9), 1.0)
        along = period / (2 * math.pi * np.maximum(distance, 1e-9) * speed)  # days to move a radius
        central, worth = steer(u[:, 1], self._fitting(ratio, light, reach * distance, along))
        ln_weight = ln_weight + worth + np.log(reach)
        second = share * (ratio / axis) ** 2 if planet else light * other
        possible &= (1 + ratio < axis * (1 - e)) & np.isfinite(ln_weight)
        found = np.full(number, -np.inf)
        chosen = np.flatnonzero(possible)
        if not chosen.size:
            return found
        u1, u2 = (np.broadcast_to(limb, (number,))[chosen] for limb in hosts.limb)
        draws = Eclipses(
            ratio[chosen], axis[chosen], (reach * central)[chosen], e[chosen], argument[chosen], light[chosen],
            second[chosen], (u1, u2), period / self.case.period, planet,
        )  # fmt: skip
        found[chosen] = ln_likelihood(self.folded, draws) + ln_weight[chosen]
        return found

    def _sized(self, body: Body, mass: Floats, radius: Floats, share: Floats, v: Floats) -> tuple[Floats, Floats]:
        bound = np.log(share / radius**2 if body == "planet" else share)
        return steer(v, self._deep_enough(bound, _central_depths(body, float(mass[0]))))

    def planet_radii(self, x: Floats) -> Floats:
        """Earth radii of draws of the target's planet."""
        from scipy.special import ndtr

        star, number = self.case.star, x.shape[0]
        mass, radius, share = (np.full(number, a) for a in (star.mass or 1.0, star.radius or 1.0, self.case.host_share))
        return priors.planet_radius(self._sized("planet", mass, radius, share, ndtr(x[:, 0]))[0], mass)

    def _deep_enough(self, bound: Floats, table: Floats) -> Floats:
        """How promising sizes are, (n, cells): the measured depth, or a deeper one if the eclipse grazes."""
        excess = bound[:, None] + (table - math.log(self.folded.depth))
        near = math.hypot(0.2, self.folded.depth_err / self.folded.depth)
        return np.where(excess < 0, np.exp(-0.5 * np.minimum((excess / near) ** 2, 60)), 0.1 + 0.9 * np.exp(-excess))

    def _fitting(self, ratio: Floats, light: Floats, reach: Floats, along: Floats) -> Floats:
        """How promising impact parameters are, (n, cells), by the depth and the width they would give."""
        k = ratio[:, None]
        impact = reach[:, None] * CELLS
        inside = np.clip((1 + k - impact) / (2 * np.minimum(k, 1.0)), 1e-6, 1.0)  # the discs' overlap, roughly
        depth = light[:, None] * k**2 * inside**2 * (3 - 2 * inside) * DARKENED
        edge = np.maximum(1.0, impact + 0.37 * (1 + k - impact))
        width = along[:, None] * np.sqrt(np.maximum(edge**2 - impact**2, 1e-12))
        deep = np.log(depth / self.folded.depth) / math.hypot(0.25, self.folded.depth_err / self.folded.depth)
        wide = np.log(width / self.folded.half_width) / 0.35
        return np.exp(-0.5 * (np.minimum(deep**2, 60.0) + np.minimum(wide**2, 60.0)))


@lru_cache(maxsize=8)
def _of_cells(body: Body, light_host: bool) -> Floats:
    if body == "planet":
        radius = priors.planet_radius(CELLS, np.full(CELLS.size, 0.3 if light_host else 1.0))
        return 2 * np.log(radius * stars.EARTH_RADIUS)
    low, high = (priors.TWIN, 1.0) if body == "eb2" else (0.0, priors.TWIN)
    q, _ = priors.mass_ratio(CELLS, np.ones(CELLS.size), priors.CLOSE, low, high)
    return 1.8 * np.log(q) - np.log1p(q**4.5)


def _central_depths(body: Body, mass: float) -> Floats:
    """ln of the depth that bodies of each cell make centrally, over that of the host's light, roughly, (cells,)."""
    return _of_cells(body, mass <= 0.45) + math.log(DARKENED)


def steer(v: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Map uniform numbers to where a score is high, and tell what each is worth then.

    Parameters
    ----------
    v : Floats, (n,)
    score : Floats, (n, cells)
        Not negative; of even cells of the unit interval.

    Returns
    -------
    u : Floats, (n,)
    ln_weight : Floats, (n,)
        Of the uniform density at u over the one it was drawn from: the map changes no integral.
    """
    cells = score.shape[1]
    total = score.sum(axis=1, keepdims=True)
    share = np.where(total > 0, score / np.where(total > 0, total, 1.0), 1 / cells)
    share = EVEN / cells + (1 - EVEN) * share
    upper = np.cumsum(share, axis=1)
    v = np.minimum(v * upper[:, -1], np.nextafter(upper[:, -1], 0))
    cell = (upper <= v[:, None]).sum(axis=1)
    rows = np.arange(v.size)
    own = share[rows, cell]
    return np.clip((cell + 1 - (upper[rows, cell] - v) / own) / cells, 0.0, 1.0), -np.log(own * cells)
