"""A faithful replica, on 127.0.0.1, of every host the hunter talks to; its stars are simulated and say so.

`hunter demo` shows a whole night with it, benchmarks measure against it, and the tests hold the hunter to it.
It speaks the portal (invoke, columnsconfig), file downloads with ranges, bulk scripts, S3, and more: see `server`.

Examples
--------
>>> catalogue = Catalogue()
>>> truth = catalogue.add_sky(folder, stars=40, seed=1, sector=5)        # real simulated stars, written to a folder
>>> catalogue.add_crowd(6, stars=20_000, cadence_seconds=120, span=6)    # a whole sector, cheap: stamped copies
>>> catalogue.add_folder(other)                                          # any folder of FITS files
>>> with Replica(catalogue, plan=Rules(Rule(unavailable("120"), route="download", hits={3}))) as replica:
...     replica.url, replica.settings                                    # http://127.0.0.1:PORT, the [archive] lines
...     catalogue.release(5, 0.5); catalogue.release(5)                  # rows and files trickle in
...     catalogue.publish_script(5)                                      # until then 404
...     catalogue.reprocess(5, tics={99000000001})                       # same name and size, higher DATA_REL
...     catalogue.withdraw(99000000002)                                  # its rows and files vanish
...     replica.plan = Weather(0.05, seed=7, outages=[Outage(t, t + 60)])  # times by replica.clock()
...     replica.refuse(); replica.accept()                               # port closed, opened again
...     replica.lines("download"), replica.most_connections()            # the log of requests
"""

from hunter.replica.catalogue import Catalogue, Entry, File
from hunter.replica.faults import Calm, Fault, Outage, Plan, Reply, Request, Rule, Rules, Weather, unavailable
from hunter.replica.server import Line, Replica

__all__ = [
    "Calm", "Catalogue", "Entry", "Fault", "File", "Line", "Outage", "Plan", "Replica", "Reply", "Request", "Rule",
    "Rules", "Weather", "unavailable",
]  # fmt: skip
