"""Measure the search against its peers, and write benchmarks/search.json; all light curves are simulated.

    python -P benchmarks/search.py                          every section, five rounds: about ten minutes
    python -P benchmarks/search.py --only one,batch --rounds 9

The same as ``hunter bench search --json``, but that sections measured earlier stay where others are asked for. Each
section carries the machine's load before and after it, its rounds and its versions.
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hunter.bench.search import SECTIONS, time_search
from hunter.cli.bench import table

REPORT = Path(__file__).with_suffix(".json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=REPORT)
    asked = parser.parse_args()
    known = json.loads(asked.out.read_text())["sections"] if asked.out.exists() else {}
    for name in asked.only.split(","):
        found = time_search([name], asked.rounds, say=lambda line: print(line, file=sys.stderr, flush=True))
        told = {"rounds": asked.rounds, "at": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%MZ}"}
        known[name] = told | {"versions": found["versions"]} | found["sections"][name]
        report = found | {"sections": {each: known[each] for each in SECTIONS if each in known}}
        asked.out.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
        for line in table(found):
            print(line)


if __name__ == "__main__":
    main()
