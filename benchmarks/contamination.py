"""How well is the light in an aperture shared out among the stars of a field?

    python benchmarks/contamination.py fields --number 200       against fields drawn point by point
    python benchmarks/contamination.py files ../shared/data      against what SPOC's own headers say, where that can be

The fields are simulated: up to 150 stars within 150 arcsec, magnitudes, motions, rotation, date and aperture drawn;
their places are worked out by astropy. ``wider`` and ``astray`` draw them with other images, and beside their places,
than those that are weighed with.
"""

import argparse
import csv
import gzip
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from star_fields import draw_field

from pipeline.contamination import contamination
from pipeline.pixels.prf import TESS_ANALYTIC
from pipeline.types import FieldStar

CASES = {"as drawn": {}, "images 5 % wider": {"wider": 1.05}, "0.1 px astray": {"astray": 0.1}}


def fields(number: int, seed: int) -> dict[str, object]:
    told: dict[str, object] = {}
    for name, more in CASES.items():
        errors, shares, spent = [], [], 0.0
        for place in range(number):
            drawn = draw_field(seed + place, **more)
            began = time.process_time()
            _, found = contamination(drawn.target, 1e-3, "SAP_FLUX", [drawn.pixels], [TESS_ANALYTIC], drawn.stars)
            spent += time.process_time() - began
            assert found is not None
            errors.append(found.fraction / drawn.fraction - 1)
            shares.append(drawn.fraction)
        size = np.abs(errors)
        told[name] = {
            "fields": number,
            "share of the target, 5 to 95 %": [round(float(np.percentile(shares, at)), 3) for at in (5, 95)],
            "median error": float(f"{np.median(size):.2g}"),
            "95 % of errors below": float(f"{np.percentile(size, 95):.2g}"),
            "largest error": float(f"{size.max():.2g}"),
            "within 2 %": float(np.mean(size <= 0.02)),
            "ms each": round(1e3 * spent / number, 2),
        }
    return told


def files(data: Path) -> dict[str, object]:
    """FLFRCSAP of every SPOC file from its own aperture and projection; CROWDSAP where neighbours are at hand."""
    import io

    from hunter.archives import fits_file
    from hunter.archives.readers import pixels as reader
    from pipeline.contamination import _caught
    from pipeline.sky import pixel_of, place_of, wcs_of

    rows = []
    for path in [*sorted((data / "lightcurves" / "spoc").glob("*.fits")), data / "pixels/tess_tpf1_TIC273589987.fits"]:
        raw = path.read_bytes()
        units = fits_file.walk(io.BytesIO(raw))
        mask = next(unit for unit in units if unit.name == "APERTURE")
        aperture = reader.aperture(raw, mask)
        primary, table = units[0], units[1]
        values = {name: primary.card(name) for name in ("RA_OBJ", "DEC_OBJ", "PMRA", "PMDEC", "TICID", "SECTOR")}
        if aperture is None or not aperture.any() or not isinstance(table.card("FLFRCSAP"), float):
            continue
        star = FieldStar("TIC", str(values["TICID"]), float(values["RA_OBJ"]), float(values["DEC_OBJ"]),
                         pm_ra=values["PMRA"], pm_dec=values["PMDEC"])  # fmt: skip
        middle = 0.5 * (float(table.card("TSTART")) + float(table.card("TSTOP")))
        place = np.array([pixel_of(wcs_of(reader._projection(table, mask)), *place_of(star, middle))])
        caught = float(_caught(TESS_ANALYTIC, place, aperture)[0])
        rows.append({
            "file": path.name, "tic": values["TICID"], "sector": values["SECTOR"], "pixels": int(aperture.sum()),
            "FLFRCSAP": round(float(table.card("FLFRCSAP")), 3), "captured": round(caught, 3),
            "CROWDSAP": table.card("CROWDSAP"),
        })  # fmt: skip
    with gzip.open(data / "catalogs" / "field_tic_v8_2.5arcmin.csv.gz", "rt") as stream:
        stars = list(csv.DictReader(stream))
    return {
        "the target's light in the aperture, against FLFRCSAP (analytic image of a star)": rows,
        "largest difference": max(abs(row["captured"] - row["FLFRCSAP"]) for row in rows),
        "CROWDSAP": f"not compared: the one catalogue of neighbours at hand is that of TIC {stars[0]['ID']}, "
        f"{len(stars)} stars, and none of these files is of that star",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["fields", "files"])
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    asked = parser.parse_args()
    told = fields(asked.number, asked.seed) if asked.what == "fields" else files(asked.data)
    text = json.dumps({"machine": f"{platform.machine()}, {os.cpu_count()} cores", asked.what: told}, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
