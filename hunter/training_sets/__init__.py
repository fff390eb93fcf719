"""Labelled signals that come out of the hunt's own phases: simulated, injected into real light curves, or listed.

Whatever the light curve, it is cleaned, searched, folded, vetted and described by the code that hunts, with the
settings of the hunt, and each signal is labelled by what the search reported of it: a planet found at half its period
is a planet at an alias, and a planet's star whose reported signal is something else shows no planet. Work is done star
by star, each from a seed of its own, in as many processes as wanted; what is finished is kept, and the same call goes
on from there.
"""
