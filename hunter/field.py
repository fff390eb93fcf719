"""The field around a target: its pixels, the stars near it, the shape of a star's image, as far as they lie here.

A folder holds pixel files beside its light curves. What is far away is fetched for candidates only
(`hunter.field_supply`): all that came is named in one list, so that a field is there whole or not at all, and reading
it asks no network.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hunter.archives import fits_file, formats, pixel_files
from hunter.archives.fits_file import Unit
from hunter.archives.identity import LARGEST_NUMBER, number, positive, star_of, text, whole
from pipeline.errors import UnusableData
from pipeline.types import FieldStar, Product, Target, TargetPixels

if TYPE_CHECKING:
    from hunter.network.files import FileStore
    from pipeline.pixels.prf import PrfGrid

PRF_COLUMNS = (45, 557, 1069, 1580, 2092)  # of the detector, where MAST has models of a star's image
PRF_ROWS = (1, 513, 1025, 1536, 2048)
PRF_SAMPLES = 117  # along each axis: 13 pixels, 9 samples each
SECOND_PRF = 4  # the sector from which the second set of models holds
NO_STAR = ("DUPLICATE", "ARTIFACT", "SPLIT")  # dispositions of the TESS Input Catalog


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """What is known around a target."""

    pixels: tuple[TargetPixels, ...]  # in order of sector
    stars: tuple[
        FieldStar, ...
    ]  # the target first, then its neighbours; the target alone where no catalogue tells more
    prf: tuple["PrfGrid | None", ...]  # the official models for each of ``pixels``; None where they are not at hand
    crowding: Mapping[int, float]  # CROWDSAP of the light curves, by sector
    contamination_ratio: float | None  # of the TESS Input Catalog: light of the neighbours over that of the target
    notes: tuple[str, ...]  # what is missing, and why


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a field that was fetched."""

    uri: str
    sha256: str
    sector: int | None = None


@dataclass(frozen=True, slots=True)
class FieldList:
    """All that came of a field, as it is stored; the same files give the same bytes."""

    target: str  # its name
    pixels: tuple[Listed, ...] = ()
    stars: Listed | None = None
    prf: tuple[str, ...] = ()  # files in the folder of models
    missing: tuple[str, ...] = ()  # sentences

    def to_bytes(self) -> bytes:
        def told(item: Listed) -> dict[str, Any]:
            return {"uri": item.uri, "sha256": item.sha256, "sector": item.sector}

        document = {
            "field": 1,
            "target": self.target,
            "pixels": [told(item) for item in self.pixels],
            "stars": told(self.stars) if self.stars else None,
            "prf": list(self.prf),
            "missing": list(self.missing),
        }
        return json.dumps(document, indent=1).encode()

    @classmethod
    def of(cls, content: bytes) -> "FieldList":
        """Raises ValueError, KeyError or TypeError where it is none."""
        document = json.loads(content)
        if document["field"] != 1:
            raise ValueError(f"a list of form {document['field']}")
        stars = document["stars"]
        return cls(
            str(document["target"]),
            tuple(Listed(**item) for item in document["pixels"]),
            Listed(**stars) if stars else None,
            tuple(map(str, document["prf"])),
            tuple(map(str, document["missing"])),
        )

    @property
    def empty(self) -> bool:
        return not self.pixels and self.stars is None


# ---------------------------------------------------------------------------------------------- what was fetched


def field_uri(target: Target) -> str:
    """What the list of a target's field is called in the store."""
    return f"field:{target.name}"


def fetched_list(store: "FileStore", target: Target) -> tuple[FieldList, str] | None:
    """The list of a field that was fetched, and its sha256; None where there is none."""
    try:
        content = store.place(field_uri(target)).read_bytes()
        found = FieldList.of(content)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (found, hashlib.sha256(content).hexdigest()) if found.target == target.name else None


def fetched_key(store: "FileStore", target: Target) -> str:
    """Name the field that was fetched; what was made of it stays good where its files have made room for others."""
    found = fetched_list(store, target)
    return "" if found is None else found[1]


def fetched_field(store: "FileStore", models: Path, target: Target, light_curves: Mapping[Product, Path]) -> Field:
    """Read a field that was fetched; every file is checked against its sha256 again.

    Raises
    ------
    ArchiveUnavailable
        If the disk failed to answer.
    """
    found = fetched_list(store, target)
    listed = found[0] if found else FieldList(target.name, missing=("its field has not been fetched",))
    notes = list(listed.missing)
    pixels: list[TargetPixels] = []
    for item in listed.pixels:
        try:
            pixels.append(pixel_files.read(store.place(item.uri), item.uri, item.sha256))
        except UnusableData as error:
            notes.append(f"{item.uri}: {error}")
    rows: list[dict[str, Any]] = []
    if listed.stars is not None:
        try:
            content = formats.contents(store.place(listed.stars.uri))
            if hashlib.sha256(content).hexdigest() != listed.stars.sha256:
                raise UnusableData("it has changed since it was fetched")
            rows = rows_of(content)
        except UnusableData as error:
            notes.append(f"{listed.stars.uri}: {error}")
    return gathered(target, pixels, rows, models, light_curves, notes)


def gathered(
    target: Target,
    pixels: Iterable[TargetPixels],
    rows: Sequence[Mapping[str, Any]],
    models: Path | None,
    light_curves: Mapping[Product, Path],
    notes: Sequence[str],
) -> Field:
    """Put a field together.

    Parameters
    ----------
    target : Target
    pixels : iterable of TargetPixels
    rows : sequence of mappings
        Of the TESS Input Catalog; none where there is no catalogue.
    models : Path or None
        The folder in which official models of a star's image lie.
    light_curves : mapping of Product to Path
        Their headers tell the target's place and motion, and the crowding that was corrected for.
    notes : sequence of str
    """
    ordered = sorted(pixels, key=lambda images: (images.product.sector or 0, images.product.uri))
    grids = [None if models is None else prf_grid(models, images) for images in ordered]
    told = list(notes)
    for images, grid in zip(ordered, grids, strict=True):
        if grid is None:
            where = f"sector {images.product.sector}" if images.product.mission == "TESS" else images.product.mission
            told.append(f"{where}: no official model of a star's image is at hand: an analytic one serves")
    own: FieldStar | None = None
    crowding: dict[int, float] = {}
    for product, path in light_curves.items():
        units = _headers(path)
        own = own or (own_star(target, units[0]) if units else None)
        share = positive(units[1].card("CROWDSAP")) if len(units) > 1 else None
        if product.sector is not None and share is not None and share <= 1:
            crowding[product.sector] = share
    stars = stars_of(rows)
    first = [star for star in stars if (star.kind, star.key) == (target.kind, target.key.partition(" ")[0])]
    own = first[0] if first else own or _known_star(target)
    stars = [star for star in stars if star not in first]
    if not rows:
        told.append("no catalogue of its neighbours is at hand")
    return Field(
        tuple(ordered),
        (own, *stars) if own is not None else (),
        tuple(grids),
        crowding,
        ratio_of(rows, target),
        tuple(told),
    )


def _headers(path: Path) -> Sequence[Unit]:
    """The first two headers of a file; none where it holds none that can be read."""
    try:
        return fits_file.walk(io.BytesIO(formats.unpacked(formats.contents(path))), 2)
    except UnusableData:
        return ()


def own_star(target: Target, primary: Unit) -> FieldStar | None:
    """The target as the header of its light curve has it: place, proper motion, magnitude; None without a place."""
    star = star_of(primary.card)
    if star.ra is None or star.dec is None:
        return None
    # Kepler and K2 write arcsec a year, and magnitudes of their own band
    unit = 1000.0 if text(primary.card("TELESCOP")).upper() == "KEPLER" else 1.0
    motion = [number(primary.card(name)) for name in ("PMRA", "PMDEC")]
    right, up = (None if value is None else unit * value for value in motion)
    magnitude = star.tmag if star.tmag is not None else positive(primary.card("KEPMAG"))
    return FieldStar(
        target.kind, target.key.partition(" ")[0], star.ra, star.dec, pm_ra=right, pm_dec=up, tmag=magnitude
    )


def _known_star(target: Target) -> FieldStar | None:
    """The target as far as the hunt knows it."""
    star = target.star
    if star.ra is None or star.dec is None:
        return None
    return FieldStar(target.kind, target.key.partition(" ")[0], star.ra, star.dec, tmag=star.tmag)


# --------------------------------------------------------------------------------------------- stars of the catalogue


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """The rows of a stored answer of the catalogue.

    Raises
    ------
    UnusableData
        If it is none.
    """
    try:
        rows = json.loads(content)
        if not (isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)):
            raise ValueError("no rows")
    except ValueError as error:
        raise UnusableData(f"it holds no stars: {error}") from None
    return rows


def stars_of(rows: Iterable[Mapping[str, Any]]) -> list[FieldStar]:
    """The stars in rows of the TESS Input Catalog; positions are of J2000, as it has them."""
    stars = []
    for row in rows:
        tic = whole(row.get("ID"), 1, LARGEST_NUMBER)
        ra, dec = number(row.get("ra")), number(row.get("dec"))
        if tic is None or ra is None or dec is None or not (0 <= ra <= 360 and -90 <= dec <= 90):
            continue
        if str(row.get("disposition") or "").strip().upper() in NO_STAR:
            continue
        tmag = number(row.get("Tmag"))
        motion = [number(row.get(name)) for name in ("pmRA", "pmDEC")]
        bright = tmag if tmag is not None and -2 < tmag < 30 else None
        stars.append(FieldStar("TIC", str(tic), ra, dec, pm_ra=motion[0], pm_dec=motion[1], tmag=bright))
    return stars


def ratio_of(rows: Iterable[Mapping[str, Any]], target: Target) -> float | None:
    """The contamination ratio of a target, by its number; None where the catalogue has none."""
    key = target.key.partition(" ")[0]
    for row in rows:
        if target.kind == "TIC" and str(whole(row.get("ID"), 1, LARGEST_NUMBER)) == key:
            ratio = number(row.get("contratio"))
            return ratio if ratio is not None and ratio >= 0 else None
    return None


# ------------------------------------------------------------------------------------------ models of a star's image


def model_names(images: TargetPixels) -> tuple[str, ...]:
    """The files of the official models around the middle of some images; none but TESS has them in this form."""
    product = images.product
    if product.mission != "TESS" or None in (product.sector, product.camera, product.ccd):
        return ()
    rows, columns = images.aperture.shape
    folder = (
        f"start_s{1 if (product.sector or 0) < SECOND_PRF else SECOND_PRF:04d}/cam{product.camera}_ccd{product.ccd}"
    )
    return tuple(
        f"{folder}/row{row:04d}-col{column:04d}.fits"
        for row in _around(PRF_ROWS, images.row + (rows - 1) / 2)
        for column in _around(PRF_COLUMNS, images.column + (columns - 1) / 2)
    )


def _around(grid: Sequence[int], place: float) -> tuple[int, ...]:
    """The two places of the grid around one, or the last one where it lies beyond."""
    below = [at for at in grid if at <= place]
    above = [at for at in grid if at >= place]
    return tuple(sorted({below[-1] if below else grid[0], above[0] if above else grid[-1]}))


def prf_grid(models: Path, images: TargetPixels) -> "PrfGrid | None":
    """The official models around the middle of some images; None where one of them is not here, or is unsound."""
    from pipeline.pixels.prf import PrfGrid

    names = model_names(images)
    if not names:
        return None
    columns, rows, samples = [], [], []
    for name in names:
        place = re.search(r"row(\d{4})-col(\d{4})\.fits$", name)
        assert place is not None, "as model_names writes it"
        try:
            samples.append(model_of((models / name).read_bytes()))
        except (OSError, UnusableData):
            return None
        rows.append(int(place.group(1)))
        columns.append(int(place.group(2)))
    folder = names[0].rpartition("/")[0].replace("/", " ")
    return PrfGrid(f"TESS PRF {folder}", np.array(columns, float), np.array(rows, float), np.array(samples))


def model_of(raw: bytes) -> np.ndarray:
    """The samples of one model, (117, 117), from the primary image of its file.

    Raises
    ------
    UnusableData
        If it holds none.
    """
    unit = fits_file.walk(io.BytesIO(raw), 1)[0]
    kind = {-64: ">f8", -32: ">f4"}.get(unit.card("BITPIX"))  # type: ignore[call-overload]
    if kind is None or (unit.card("NAXIS1"), unit.card("NAXIS2")) != (PRF_SAMPLES, PRF_SAMPLES):
        raise UnusableData(f"it is no image of {PRF_SAMPLES} x {PRF_SAMPLES} samples")
    if unit.data + PRF_SAMPLES**2 * np.dtype(kind).itemsize > len(raw):
        raise UnusableData("it is cut short")
    image = np.frombuffer(raw, kind, PRF_SAMPLES**2, unit.data).reshape(PRF_SAMPLES, PRF_SAMPLES).astype(np.float64)
    if not (np.isfinite(image).all() and image.sum() > 0):
        raise UnusableData("its samples hold no light")
    return image
