"""Measure whole nights against the notebook stack, with one process and with two, and write benchmarks/night.json.

    python -P benchmarks/night.py --data ../shared/data    32 simulated quiet stars, and real SPOC files

The rows are those of ``hunter bench night --json``; the simulated sector is that of ``hunter.skies.write_sector``.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from hunter.bench.night import time_night
from hunter.settings import load, overrides
from hunter.skies import write_sector

REPORT = Path(__file__).with_suffix(".json")
SEED = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="holds lightcurves/spoc; without it only simulated stars are hunted")
    parser.add_argument("--stars", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--out", type=Path, default=REPORT)
    asked = parser.parse_args()
    known = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    with tempfile.TemporaryDirectory() as place:
        sky = Path(place) / "quiet"
        write_sector(sky, stars=asked.stars, seed=SEED, mix={"quiet": 1.0}, damaged=0)
        folders = {"quiet simulated": sky}
        if asked.data is not None:
            folders["real SPOC"] = asked.data / "lightcurves" / "spoc"
        for label, folder in folders.items():
            for workers in map(int, asked.workers.split(",")):
                settings = load(str(Path(place) / "home"), overrides(archive__source=str(folder.absolute())))
                say = f"{label}, {workers}: "
                found = time_night(
                    settings,
                    rounds=asked.rounds,
                    workers=workers,
                    say=lambda line, say=say: print(say + line, file=sys.stderr, flush=True),
                )
                known[f"{label}, {workers} process{'es' * (workers > 1)}"] = found
                asked.out.write_text(json.dumps(known, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
