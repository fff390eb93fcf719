"""The portal of MAST ("Mashup"): CAOM observations, products and the TESS Input Catalog behind one address.

Filters are ANDed, values within one are ORed; strings compare whole and without case; ``%`` stands for anything;
minima and maxima are included. Rows have the fields of recorded replies.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, overload

from hunter.replica.catalogue import BTJD_TO_MJD, UNIX_TO_MJD, Catalogue, Entry, File
from hunter.replica.columns import COUNT, OBSERVATION, PRODUCT, TIC, Field
from pipeline.types import Star

Row = dict[str, Any]
Document = dict[str, Any]
LARGEST_PAGE = 50_000


class Refused(ValueError):
    """A request the portal answers with status ERROR."""


def invoke(catalogue: Catalogue, request: Mapping[str, Any]) -> Document:
    """Answer one request of the portal; a request it does not know gets status ERROR, as there."""
    service = str(request.get("service", "")).lower()
    params = request.get("params") or {}
    try:
        if service == "mast.catalogs.all.tic":
            return histograms()
        answer = SERVICES.get(service)
        if answer is None:
            raise Refused(f"Service {request.get('service')} is unknown")
        fields, rows = answer(catalogue, params)
        return paged(fields, rows, request)
    except (Refused, ValueError, TypeError, KeyError) as error:
        return {"status": "ERROR", "msg": str(error), "data": [], "fields": []}


def paged(fields: Sequence[Field], rows: Sequence[Row], request: Mapping[str, Any]) -> Document:
    """One page of rows as the portal replies it."""
    size = max(1, int(request.get("pagesize") or LARGEST_PAGE))
    page = max(1, int(request.get("page") or 1))
    part = rows[(page - 1) * size : page * size]
    return {
        "status": "COMPLETE",
        "msg": "",
        "data": list(part),
        "fields": [{"name": name, "type": kind} for name, kind in fields],
        "paging": {
            "page": page,
            "pageSize": size,
            "pagesFiltered": max(1, math.ceil(len(rows) / size)),
            "rows": len(part),
            "rowsFiltered": len(rows),
            "rowsTotal": len(rows),
        },
    }


def observations(catalogue: Catalogue, params: Mapping[str, Any]) -> tuple[Sequence[Field], Sequence[Row]]:
    found = _passing(catalogue, params, _candidates(catalogue, params))
    if _counts(params):
        return COUNT, [{"Column1": len(found)}]
    fields = [item for item in OBSERVATION if item[0] != "distance"]
    return _asked(params, fields, Lazy(found, lambda entry: observation_row(catalogue, entry)))


def observations_near(catalogue: Catalogue, params: Mapping[str, Any]) -> tuple[Sequence[Field], Sequence[Row]]:
    ra, dec, radius = _position(params)
    near = []
    for entry in _passing(catalogue, params, _candidates(catalogue, params)):
        away = _distance(entry.star, ra, dec)
        if away is not None and away <= radius:
            near.append((away * 3600, entry.obsid, entry))
    if _counts(params):
        return COUNT, [{"Column1": len(near)}]
    rows = [observation_row(catalogue, entry) | {"distance": away} for away, _, entry in sorted(near)]
    return _asked(params, OBSERVATION, rows)


def products(catalogue: Catalogue, params: Mapping[str, Any]) -> tuple[Sequence[Field], Sequence[Row]]:
    rows = []
    for text in str(params.get("obsid", "")).split(","):
        entry = catalogue.of_obsid(int(text)) if text.strip().isdigit() else None
        if entry is not None:
            rows += [product_row(catalogue, entry, file) for file in entry.files]
    return PRODUCT, rows


def tic_rows(catalogue: Catalogue, params: Mapping[str, Any]) -> tuple[Sequence[Field], Sequence[Row]]:
    filters = _filters(params)
    wanted = params.get("ID")
    stars = catalogue.stars()
    if wanted is not None:
        numbers = [int(item) for item in (wanted if isinstance(wanted, list) else [wanted])]
        rows = [tic_row(number, stars[number]) for number in numbers if number in stars]
    else:
        listed = _listed(params, "ID")
        chosen: Iterable[int] = stars if listed is None else [n for n in listed if n in stars]
        rows = [tic_row(number, stars[number]) for number in sorted(set(chosen))]
    rows = [row for row in rows if all(passes(row.get(name)) for name, passes in filters)]
    return _asked(params, TIC, rows)


def tic_near(catalogue: Catalogue, params: Mapping[str, Any]) -> tuple[Sequence[Field], Sequence[Row]]:
    ra, dec, radius = _position(params)
    filters = _filters(params)
    rows = []
    for number, star in catalogue.stars().items():
        away = _distance(star, ra, dec)
        if away is not None and away <= radius:
            row = tic_row(number, star) | {"dstArcSec": away * 3600}
            if all(passes(row.get(name)) for name, passes in filters):
                rows.append(row)
    rows.sort(key=lambda row: row["dstArcSec"])
    return _asked(params, [*TIC, ("dstArcSec", "float")], rows)


Service = Callable[[Catalogue, Mapping[str, Any]], tuple[Sequence[Field], Sequence[Row]]]
SERVICES: dict[str, Service] = {
    "mast.caom.filtered": observations,
    "mast.caom.filtered.position": observations_near,
    "mast.caom.cone": observations_near,
    "mast.caom.products": products,
    "mast.catalogs.filtered.tic.rows": tic_rows,
    "mast.catalogs.filtered.tic": tic_rows,
    "mast.catalogs.filtered.tic.position.rows": tic_near,
    "mast.catalogs.filtered.tic.position": tic_near,
    "mast.catalogs.tic.cone": tic_near,
}


def observation_row(catalogue: Catalogue, entry: Entry) -> Row:
    """A CAOM observation."""
    star = entry.star
    ra, dec = star.ra, star.dec
    reachable = entry.files[0].uri if entry.files else None
    return {
        "intentType": "science",
        "obs_collection": entry.collection,
        "provenance_name": entry.provenance,
        "instrument_name": "Photometer",
        "project": "TESS",
        "filters": "TESS",
        "wavelength_region": "Optical",
        "target_name": str(entry.tic),
        "target_classification": None,
        "obs_id": entry.obs_id,
        "s_ra": ra,
        "s_dec": dec,
        "dataproduct_type": "timeseries",
        "proposal_pi": "Ricker, George",
        "calib_level": 3,
        "t_min": round(entry.begin + BTJD_TO_MJD, 8),
        "t_max": round(entry.end + BTJD_TO_MJD, 8),
        "t_exptime": entry.exptime,
        "em_min": 600.0,
        "em_max": 1000.0,
        "obs_title": None,
        "t_obs_release": round(catalogue.released_at(entry) / 86400 + UNIX_TO_MJD, 5),
        "proposal_id": "N/A",
        "proposal_type": None,
        "sequence_number": entry.sector,
        "s_region": None if ra is None or dec is None else f"CIRCLE {ra:.6f} {dec:.6f} 0.00138889",
        "jpegURL": None,
        "dataURL": reachable,
        "dataRights": "PUBLIC",
        "mtFlag": False,
        "srcDen": None,
        "obsid": entry.obsid,
        "objID": entry.obsid + 500_000_000,
    }


def product_row(catalogue: Catalogue, entry: Entry, file: File) -> Row:
    """A product of an observation."""
    release = catalogue.data_release(entry)
    return {
        "obsID": entry.obsid,
        "obs_collection": entry.collection,
        "dataproduct_type": "timeseries",
        "obs_id": entry.obs_id,
        "description": file.description,
        "type": "S",
        "dataURI": file.uri,
        "productType": "SCIENCE",
        "productGroupDescription": "Minimum Recommended Products",
        "productSubGroupDescription": file.subgroup,
        "productDocumentationURL": None,
        "project": entry.provenance,
        "prvversion": f"simulated-{1 if release is None else release}",
        "proposal_id": "N/A",
        "productFilename": file.name,
        "size": file.size,
        "parent_obsid": entry.obsid,
        "dataRights": "PUBLIC",
        "calib_level": 3,
        "filters": "TESS",
    }


def tic_row(number: int, star: Star) -> Row:
    """A row of the TESS Input Catalog: every column, null where the simulation knows nothing."""
    density = None
    if star.mass is not None and star.radius:
        density = round(star.mass / star.radius**3, 6)
    row: Row = {name: None for name, _ in TIC}
    row |= {
        "ID": number,
        "version": "20190415",
        "objType": "STAR",
        "ra": star.ra,
        "dec": star.dec,
        "Tmag": star.tmag,
        "e_Tmag": None if star.tmag is None else 0.01,
        "Teff": star.teff,
        "e_Teff": None if star.teff is None else 120.0,
        "logg": star.logg,
        "e_logg": None if star.logg is None else 0.08,
        "rad": star.radius,
        "e_rad": None if star.radius is None else round(0.05 * star.radius, 5),
        "mass": star.mass,
        "e_mass": None if star.mass is None else round(0.1 * star.mass, 5),
        "rho": density,
        "lumclass": None if star.logg is None else ("DWARF" if star.logg > 4 else "GIANT"),
        "contratio": 0.005,
        "numcont": 3,
        "priority": 0.001,
        "objID": number + 10**9,
    }
    return row


def histograms() -> Document:
    """What the client merges into the configuration of the catalogue: ranges of numbers, words of the rest."""
    words = {"lumclass": ("DWARF", "GIANT"), "objType": ("STAR", "EXTENDED")}
    discrete: dict[str, Any] = {}
    for name, keys in words.items():
        found = [{"count": 1, "key": key} for key in keys]
        discrete[name] = {"hist": found, **{item["key"]: item for item in found}}
    continuous = {
        name: {"hist": {"hist": [{"key": 0, "count": 1}], "min": 0, "max": 1}, "min": 0, "max": 1, "treatNumeric": True}
        for name, kind in TIC
        if kind in ("float", "int") or name == "ID"
    }
    properties = {"discreteHistogram": discrete, "continuousHistogram": continuous}
    return {"status": "COMPLETE", "msg": "", "data": {"name": "NewDataSet", "Tables": [
        {"name": "Table", "ExtendedProperties": properties, "Rows": []}]}}  # fmt: skip


Filter = tuple[str, Callable[[Any], bool]]


# what filters of great sectors ask for, without making 20,000 rows
QUICK: dict[str, Callable[[Entry], Any]] = {
    "intentType": lambda entry: "science",
    "obs_collection": lambda entry: entry.collection,
    "provenance_name": lambda entry: entry.provenance,
    "project": lambda entry: "TESS",
    "dataproduct_type": lambda entry: "timeseries",
    "target_name": lambda entry: str(entry.tic),
    "obs_id": lambda entry: entry.obs_id,
    "t_exptime": lambda entry: entry.exptime,
    "sequence_number": lambda entry: entry.sector,
    "dataRights": lambda entry: "PUBLIC",
    "obsid": lambda entry: entry.obsid,
    "s_ra": lambda entry: entry.star.ra,
    "s_dec": lambda entry: entry.star.dec,
}


def _slowly(catalogue: Catalogue, name: str, entry: Entry) -> Any:
    return observation_row(catalogue, entry).get(name)


def _passing(catalogue: Catalogue, params: Mapping[str, Any], entries: list[Entry]) -> list[Entry]:
    """The observations that pass every filter."""
    for name, passes in _filters(params):
        value = QUICK.get(name) or partial(_slowly, catalogue, name)
        entries = [entry for entry in entries if passes(value(entry))]
    return entries


class Lazy(Sequence[Row]):
    """Rows that are made when they are on the page asked for."""

    def __init__(self, entries: Sequence[Entry], make: Callable[[Entry], Row]) -> None:
        self._entries = entries
        self._make = make

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Sequence[Row]:
        if isinstance(place, slice):
            return [self._make(entry) for entry in self._entries[place]]
        return self._make(self._entries[place])


def _counts(params: Mapping[str, Any]) -> bool:
    return str(params.get("columns") or "").upper().startswith("COUNT_BIG")


def _filters(params: Mapping[str, Any]) -> list[Filter]:
    made = []
    for item in params.get("filters") or ():
        name = str(item["paramName"])
        made.append((name, _test(item.get("values") or (), item.get("freeText"), item.get("separator"))))
    return made


def _test(values: Sequence[Any], free: str | None, separator: str | None) -> Callable[[Any], bool]:
    ranges = [value for value in values if isinstance(value, Mapping)]
    words = {str(value).strip().lower() for value in values if not isinstance(value, Mapping)}
    numbers = {number for number in map(_number, words) if number is not None}
    like = None if free is None else re.compile(".*".join(map(re.escape, free.lower().split("%"))))
    if words and not ranges and like is None and separator is None and not numbers:
        return lambda value: value is not None and str(value).lower() in words

    def passes(value: Any) -> bool:
        if value is None:
            return False
        if isinstance(value, int | float) and not isinstance(value, bool):
            if any(_low(item) <= value <= _high(item) for item in ranges):
                return True
            return value in numbers or (like is not None and like.fullmatch(str(value)) is not None)
        text = str(value).lower()
        parts = [text] if separator is None else [text, *(part.strip() for part in text.split(separator))]
        return any(part in words for part in parts) or (like is not None and like.fullmatch(text) is not None)

    return passes


def _candidates(catalogue: Catalogue, params: Mapping[str, Any]) -> list[Entry]:
    """The observations worth a row: of the sectors asked for and the stars asked for, where the filters say so."""
    sectors = _listed(params, "sequence_number")
    entries = (
        catalogue.visible()
        if sectors is None
        else [entry for sector in sorted(sectors) for entry in catalogue.visible(sector)]
    )
    stars = _listed(params, "target_name")
    return entries if stars is None else [entry for entry in entries if entry.tic in stars]


def _listed(params: Mapping[str, Any], name: str) -> set[int] | None:
    """The whole numbers a filter lists; None where it does not simply list some."""
    for item in params.get("filters") or ():
        if item["paramName"] == name and not item.get("freeText"):
            values = item.get("values") or ()
            if not any(isinstance(value, Mapping) for value in values):
                return {int(text) for text in map(str, values) if text.strip().isdigit()}
    return None


def _asked(
    params: Mapping[str, Any], fields: Sequence[Field], rows: Sequence[Row]
) -> tuple[Sequence[Field], Sequence[Row]]:
    """The columns asked for: all, a list of names, or the count of rows."""
    columns = str(params.get("columns") or "*")
    if _counts(params):
        return COUNT, [{"Column1": len(rows)}]
    if columns in ("*", "c.*"):
        return fields, rows
    wanted = [name.strip().removeprefix("c.").lower() for name in columns.split(",")]
    kept = [item for item in fields if item[0].lower() in wanted]
    return kept, [{name: row.get(name) for name, _ in kept} for row in rows]


def _position(params: Mapping[str, Any]) -> tuple[float, float, float]:
    if "position" in params:
        ra, dec, radius = (float(part) for part in str(params["position"]).split(","))
        return ra, dec, radius
    if not {"ra", "dec", "radius"} <= params.keys():
        raise Refused("ra, dec and radius are required")
    return float(params["ra"]), float(params["dec"]), float(params["radius"])


def _distance(star: Star, ra: float, dec: float) -> float | None:
    """Degrees between a star and a place."""
    if star.ra is None or star.dec is None:
        return None
    if abs(star.dec - dec) > 30:
        return 180.0
    one, two, turn = math.radians(star.dec), math.radians(dec), math.radians(star.ra - ra)
    half = math.sin((one - two) / 2) ** 2 + math.cos(one) * math.cos(two) * math.sin(turn / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _low(item: Mapping[str, Any]) -> float:
    return float(item.get("min", -math.inf))


def _high(item: Mapping[str, Any]) -> float:
    return float(item.get("max", math.inf))
