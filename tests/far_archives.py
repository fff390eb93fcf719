"""A small archive on the loopback, a clock that is set by hand, and what can go wrong between the two."""

import functools
import gzip
import threading
from dataclasses import replace

from hunter.network.door import Door
from hunter.network.downloads import Wanted
from hunter.network.settings import NetworkSettings
from hunter.replica import Catalogue, Fault, Replica, Reply

SECTOR = 7


class Clock:
    """Seconds that pass only by sleeping, and by ``tick`` at each look; every sleep is remembered."""

    def __init__(self, begin=1000.0, tick=0.0):
        self.time, self.tick, self.slept = begin, tick, []
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self.time += self.tick
            return self.time

    def sleep(self, seconds):
        with self._lock:
            assert seconds >= 0
            self.slept.append(seconds)
            self.time += seconds


@functools.cache
def small_sector():
    """Four stars of 0.2 d, files of 46 kB, with two 20-s files; never changed once it is made."""
    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(SECTOR, stars=4, span=0.2, pool=2, fast=1, hlsp=1)
    catalogue.release(SECTOR)
    catalogue.publish_script(SECTOR)
    return catalogue


def archive(clock, plan=None):
    return Replica(small_sector(), plan=plan, clock=clock)


def way_out(clock, store=None, now=None, draw=lambda: 0.5, **settings):
    """A door whose time is that of the clock; it never waits for real."""
    limits = {"contact": "https://example.org", "connect_seconds": 30.0, "read_seconds": 30.0, **settings}
    return Door(
        NetworkSettings(**limits), store, clock=clock, now=now or (lambda: 1.6e9 + clock.time), sleep=clock.sleep,
        draw=draw,
    )  # fmt: skip


def files(kind="LC", provenance="SPOC"):
    """Every file of the sector, by star."""
    found = [
        (entry, file)
        for entry in small_sector().visible(SECTOR)
        for file in entry.files
        if file.subgroup == kind and entry.provenance == provenance and entry.source is not None
    ]
    return sorted(found, key=lambda pair: pair[0].tic)


def content(number=0):
    """The bytes of a light curve as the archive holds them."""
    return small_sector().content(*files()[number]).data


def download_url(host, uri):
    return f"{host}/api/v0.1/Download/file?uri={uri}"


def wanted(host, number=0, **more):
    """A light curve of the sector, to be fetched from MAST."""
    entry, file = files()[number]
    told = {"star": str(entry.tic), "sector": SECTOR, "cadence_seconds": 120.0, "size": file.size, **more}
    return Wanted(file.uri, told.pop("urls", (download_url(host, file.uri),)), **told)


# ---- faults


def answers(status=200, body=b"", *headers):
    """A reply in place of the sound one."""
    page = Reply(status, (("Content-Type", "text/plain"), *headers), body)
    return Fault(f"answers {status}", reply=lambda request, sound: page)


def wire(**changes):
    """The sound reply, sent in another way."""
    return Fault(f"wire {' '.join(changes)}", reply=lambda request, sound: replace(sound, **changes))


def changed(change, name="changed"):
    """The sound file with other bytes."""
    return Fault(name, file=change)


def header(name, value):
    """The sound reply with another header; None takes it away."""
    return Fault(f"{name}: {value}", reply=lambda request, sound: sound.with_header(name, value))


def zipped():
    """The sound body, compressed on its way."""

    def reply(request, sound):
        return replace(sound, body=gzip.compress(sound.body)).with_header("Content-Encoding", "gzip")

    return Fault("gzip", reply=reply)


def unmarked(**changes):
    """The sound reply without what a range could be asked for with, sent in another way."""

    def reply(request, sound):
        bare = sound.with_header("ETag", None).with_header("Last-Modified", None)
        return replace(bare, **changes)

    return Fault("unmarked", reply=reply)


def redirect(place):
    return Fault("redirect", reply=lambda request, sound: Reply(302, (("Location", place),), b"elsewhere"))
