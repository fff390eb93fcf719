"""The ways to make a dip: each a map from standard normal deviates to the likelihood of what it would look like."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.types import Floats, Star
from pipeline.validation import priors, stars
from pipeline.validation.case import SUN, ValidationCase
from pipeline.validation.light import Eclipses, Folded, ln_likelihood
from pipeline.validation.unresolved import Background, Room

Body = Literal["planet", "eb", "eb2"]  # eb2: twins at twice the period
Place = Literal["target", "primary", "companion", "front", "behind", "neighbour"]
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

        more = 0 if place in ("target", "neighbour") else 1
        kind = KINDS[place, body == "planet"]
        return Setting(LETTER[place] + NAMES[body] + suffix, kind, host, 4 + more, likelihood, factor)

    def _hosts(self, place: Place, body: Body, star: Star, share: float, u: Floats) -> _Hosts:
        """Draw the star that loses light and the part of the aperture's light it sends."""
        mass, radius = star.mass or 1.0, star.radius or 1.0
        none = np.zeros(1)
        teff = star.teff or float(stars.teff_of(np.array(mass)))
        own = _Hosts(
            np.array([mass]), np.array([radius]), stars.limb_darkening(np.array([teff])),
            np.array([share]), none,
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
            which = self.background.pick(u[:, 0])
            fainter = self.background.fainter[which]
            second, size = self.background.mass[which], self.background.radius[which]
            heat = self.background.teff[which]
            ln_weight = self.background.ln_chance(fainter, self.room)
        light = 10 ** (-0.4 * fainter)
        if place in ("primary", "front"):
            return _Hosts(own.mass, own.radius, own.limb, share / (1 + light), ln_weight)
        return _Hosts(second, size, stars.limb_darkening(heat), share * light / (1 + light), ln_weight)

    def _weigh(self, body: Body, hosts: _Hosts, u: Floats) -> Floats:
        """Draw the body and its orbit; the likelihood times what the draw is worth beforehand."""
        number = u.shape[0]
        mass, radius, share = (np.broadcast_to(a, (number,)) for a in (hosts.mass, hosts.radius, hosts.share))
        argument = 2 * math.pi * u[:, 3] - 0.5 * math.pi
        factor = 2.0 if body == "eb2" else 1.0
        period = self.case.period * factor
        ln_weight = np.broadcast_to(hosts.ln_weight, (number,))
        if body == "planet":
            size = priors.planet_radius(u[:, 0], mass) * stars.EARTH_RADIUS
            e = priors.planet_eccentricity(u[:, 2])
            total = mass
        else:
            low, high = (priors.TWIN, 1.0) if body == "eb2" else (0.0, priors.TWIN)
            q, chance = priors.mass_ratio(u[:, 0], mass, priors.CLOSE, low, high)
            with np.errstate(divide="ignore"):
                ln_weight = ln_weight + np.log(chance)
            size = np.minimum(stars.radius_of(q * mass), radius)
            e = priors.binary_eccentricity(u[:, 2], period)
            total = (1 + q) * mass
        ratio = size / radius
        axis = DAY_AXIS * (total * period**2) ** (1 / 3) / radius
        distance = axis * (1 - e**2) / (1 + e * np.sin(argument))
        # inclinations that do not eclipse are not drawn: the draws that do are worth that much less
        reach = np.minimum((1 + ratio) / np.maximum(distance, 1e-9), 1.0)
        if body == "planet":
            first, second = share, share * (ratio / axis) ** 2
        else:
            brighter = stars.own_magnitude(mass, radius) - stars.own_magnitude(q * mass, size)
            other = 10 ** (0.4 * np.minimum(brighter, 0.0))
            first, second = share / (1 + other), share * other / (1 + other)
        possible = (1 + ratio < axis * (1 - e)) & np.isfinite(ln_weight) & (e < 1)
        found = np.full(number, -np.inf)
        if not possible.any():
            return found
        chosen = np.flatnonzero(possible)
        u1, u2 = (np.broadcast_to(limb, (number,))[chosen] for limb in hosts.limb)
        draws = Eclipses(
            ratio[chosen], axis[chosen], (reach * u[:, 1])[chosen], e[chosen], argument[chosen], first[chosen],
            second[chosen], (u1, u2), factor, body == "planet",
        )  # fmt: skip
        found[chosen] = ln_likelihood(self.folded, draws) + ln_weight[chosen] + np.log(reach[chosen])
        return found
